"""``ctxkit caches``: the provider's cache objects (Gemini's ``CachedContent``): what stands, what it cost, what it saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ctxkit.hall.cache_objects import CacheObject
    from ctxkit.kit import Kit

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit caches ls                               what the registry knows; asks nobody
  ctxkit caches ls --remote                      and what else stands at the provider: orphans, and those of others
  ctxkit caches show cachedContents/abc --json
  ctxkit caches refresh cachedContents/abc --ttl 2h
  ctxkit caches rm cachedContents/abc
  ctxkit caches rm --orphans --yes               those that ctxkit made and no registry knows

refresh, rm and --remote ask the provider as google-genai does: GEMINI_API_KEY or GOOGLE_API_KEY, or for Vertex
GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION.

exit code 1 when there is no such object, something was refused, or orphans stand, 2 when the command was used wrongly"""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "caches",
        help="cache objects of Gemini: age, reads, storage paid, saved; prolong or delete them",
        description="Cache objects that ctxkit made in mode 'cache' or by hand: age, reads, storage paid, saved, and "
        "whether they are worth their rent.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="JSON in place of tables and sentences")
    shared.add_argument("--store", metavar="PATH", help="default: $CTXKIT_HOME/store, or ~/.ctxkit/store")
    shared.add_argument("--ledger", metavar="PATH", help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = actions.add_parser("ls", parents=[shared], help="all of them, the newest first")
    ls.add_argument("--remote", action="store_true", help="ask the provider too")
    show = actions.add_parser("show", parents=[shared], help="one of them")
    show.add_argument("name", metavar="NAME", help="of the object: cachedContents/...")
    show.add_argument("--remote", action="store_true", help="ask the provider too")
    refresh = actions.add_parser("refresh", parents=[shared], help="have one live longer, from now")
    refresh.add_argument("name", metavar="NAME", help="of the object: cachedContents/...")
    refresh.add_argument("--ttl", default="1h", metavar="TIME", help="30m, 2h, 1d, 900s (default: 1h)")
    rm = actions.add_parser("rm", parents=[shared], help="end some at once")
    rm.add_argument("name", metavar="NAME", nargs="*", help="of objects: cachedContents/...")
    rm.add_argument("--orphans", action="store_true", help="all that ctxkit made and no registry knows")
    rm.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def run(args: argparse.Namespace) -> int:
    """Look or change; 0, 1 when there is none or it was refused, 2 when there is no store or nobody to ask."""
    from ctxkit.defaults import home
    from ctxkit.errors import CacheObjectError
    from ctxkit.kit import Kit

    folder = Path(args.store or home() / "store").expanduser()
    if not folder.is_dir():
        return _wrong(f"no store at {folder}. Wrap a client in mode 'cache' first, or name one with --store PATH.")
    kit = Kit(store=folder, ledger=args.ledger or home() / "ledger.db")
    try:
        return int(_ACTIONS[args.action](kit, args))
    except CacheObjectError as error:
        print(f"ctxkit caches: {error}", file=sys.stderr)
        return 1
    finally:
        kit.close()


def _wrong(why: str) -> int:
    print(f"ctxkit caches: {why}", file=sys.stderr)
    return 2


def _client() -> Any:
    """The client of the environment.

    Raises:
        ConfigurationError: there is none.
    """
    from importlib import import_module

    from ctxkit.errors import ConfigurationError

    try:
        return import_module("google.genai").Client()
    except ImportError:
        raise ConfigurationError("google-genai is not installed: pip install google-genai") from None
    except Exception as error:  # noqa: BLE001 - ValueError, or google-auth's own
        raise ConfigurationError(
            f"no client of Google can be made ({type(error).__name__}): set GEMINI_API_KEY, or for Vertex "
            "GOOGLE_GENAI_USE_VERTEXAI, GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION"
        ) from None


def _ls(kit: Kit, args: argparse.Namespace) -> int:
    found = kit.caches.list(remote=args.remote, client=_client() if args.remote else None)
    if args.json:
        print(json.dumps([one.to_dict() for one in found], indent=2, ensure_ascii=False))
    elif found:
        _table(found)
    else:
        print("no cache objects are known" + ("" if args.remote else "; --remote asks the provider"))
    return int(any(one.verdict == "orphan" for one in found))


def _show(kit: Kit, args: argparse.Namespace) -> int:
    client = _client() if args.remote else None
    name = _named(kit, args.name)
    if client is None and not any(one.name == name for one in kit.caches.list()):
        print(f"ctxkit caches: no cache object {args.name!r} is known; --remote asks the provider", file=sys.stderr)
        return 1
    _told(kit.caches.get(name, remote=args.remote, client=client), args)
    return 0


def _refresh(kit: Kit, args: argparse.Namespace) -> int:
    seconds = _seconds(args.ttl)
    if seconds is None:
        return _wrong(f"--ttl {args.ttl!r} is no time: 30m, 2h, 1d, 900s")
    _told(kit.caches.refresh(_named(kit, args.name), seconds=seconds, client=_client()), args)
    return 0


def _rm(kit: Kit, args: argparse.Namespace) -> int:
    if bool(args.name) == args.orphans:
        return _wrong("rm wants names, or --orphans")
    client = _client()
    names = (
        [one.name for one in kit.caches.orphans(client=client)]
        if args.orphans
        else [_named(kit, name) for name in args.name]
    )
    if names and not args.yes and not _agreed(names):
        return _wrong("nothing was deleted; --yes deletes without asking")
    for name in names:
        kit.caches.delete(name, client=client)
    print(json.dumps({"deleted": names}) if args.json else "\n".join(f"deleted {name}" for name in names) or "none")
    return 0


def _agreed(names: Sequence[str]) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Delete {', '.join(names)}? [y/N] ").strip().lower() in {"y", "yes"}


_ACTIONS = {"ls": _ls, "show": _show, "refresh": _refresh, "rm": _rm}


def _named(kit: Kit, name: str) -> str:
    """The whole name of what is called by its last part."""
    found = [one.name for one in kit.caches.list() if one.name == name or one.name.endswith("/" + name)]
    return found[0] if len(found) == 1 else name


def _seconds(text: str) -> float | None:
    number, unit = text[:-1], _UNITS.get(text[-1:])
    return float(number) * unit if unit is not None and number.isdecimal() and int(number) else None


def _told(one: CacheObject, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(one.to_dict(), indent=2, ensure_ascii=False))
        return
    for name, value in _facts(one).items():
        print(f"{name:14}{value}")


def _facts(one: CacheObject) -> dict[str, str]:
    reads = ", ".join(f"{feature or 'no feature'} {count:,}" for feature, count in sorted(one.reads.items()))
    return {
        "name": one.name or "(being created)",
        "model": f"{one.model} ({one.platform})",
        "tokens": f"{one.tokens:,}",
        "age": _span(one.age),
        "ends": _date(one.expires),
        "reads": f"{sum(one.reads.values()):,}" + (f" ({reads})" if reads else ""),
        "creation paid": _usd(one.creation_paid),
        "storage paid": _usd(one.storage_paid),
        "saved": _usd(one.saved),
        "net": _usd(one.net),
        "verdict": one.verdict,
    }


def _table(found: Sequence[CacheObject]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = ("name", "model", "tokens", "age", "reads", "storage paid", "saved", "net", "verdict")
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if name in ("name", "model", "verdict") else "right", overflow="fold")
    for one in found:
        facts = {**_facts(one), "reads": f"{sum(one.reads.values()):,}", "model": one.model}
        table.add_row(*(facts[name] for name in names))
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _usd(amount: Any) -> str:
    return "unknown" if amount is None else f"${amount:.4f}" if amount >= 0 else f"-${-amount:.4f}"


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:.0f}s"


def _date(moment: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(moment).astimezone().isoformat(" ", "seconds") if moment else "unknown"
