"""``ctxkit whatif``: the ledger or transcripts as other models, platforms, days, tiers, lives and modes would bill them."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError
from ctxkit.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from decimal import Decimal

    from rich.table import Table

    from ctxkit.metering.prices import Prices
    from ctxkit.policy import Policy
    from ctxkit.replay.alternatives import Alternative
    from ctxkit.replay.auditing import Files
    from ctxkit.replay.whatif import Priced, WhatIf

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit whatif --model claude-haiku-4-5,gpt-5-mini --since 30d
  ctxkit whatif --tier batch --tier flex --model gpt-6.1-terra
  ctxkit whatif --date 2026-12-01                    by the prices of a day to come, or gone by
  ctxkit whatif --ttl 5m,1h --json | jq '.alternatives[] | {ttl, difference}'
  ctxkit whatif logs/ --model claude-sonnet-4-6 --mode cache,prune

Without PATH the ledger is read. All combinations of what is given are worked out, 64 at most.

exit code: 0, 1 when the price of an alternative is not known or something could not be read, 2 when used wrongly"""
_PARTS = ("model", "platform", "date", "tier", "ttl", "mode")
_SHOWN, _COMPLAINTS = 12, 20  # notes, and lines about what could not be read
_HEADS = ("Input", "Cached", "Cost (USD)", "Difference", "Per 1,000")
_WIDE, _NARROW = 90, 72  # columns of a terminal: all figures, and a column for each part
_SQLITE = b"SQLite format 3\0"


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    from argparse import RawDescriptionHelpFormatter

    parser: argparse.ArgumentParser = commands.add_parser(
        "whatif",
        help="what it would have cost on other models, platforms, days, tiers, lives, modes",
        description="The ledger, or transcripts, as other models, platforms, days, service tiers, lives of cache entries and "
        "modes would have billed them, the cache simulated.",
        epilog=_EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="transcripts: files and folders (default: the ledger)")
    parser.add_argument("--ledger", metavar="PATH", help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db")
    parser.add_argument("--since", metavar="TIME", help="of the ledger: 7d, 24h, today, 2026-11-01, 2026-11-01T14:00")
    for name, about in (
        ("model", "another model"),
        ("platform", "who might serve it: bedrock, vertex, openrouter, ..."),
        ("date", "the prices of a day: 2026-12-01, today"),
        ("tier", "service tier: standard, batch, flex, priority, fast"),
        ("ttl", "life of cache entries: 5m, 30m, 1h, 12h, 24h"),
        ("mode", "of ctxkit: observe, cache, lossless, prune"),
    ):
        parser.add_argument(
            f"--{name}", action="append", default=[], metavar="NAMES", help=f"{about}; several with commas"
        )
    parser.add_argument(
        "--prices", metavar="FILE", type=Path, help="price rows of your own; default: those of your settings"
    )
    parser.add_argument(
        "--processes", metavar="N", type=int, help="at most, for transcripts (default: one per processor)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table; 0, 1 when something is not known, or 2 when there is no ledger."""
    from ctxkit.metering.prices import Prices
    from ctxkit.policy import Policy

    policy = Policy.load(**({"prices": args.prices} if args.prices else {}))
    prices, now = Prices(policy.prices), time.time()
    wanted = _wanted(args, prices, now)
    if args.processes is not None and args.processes < 1:
        raise ConfigurationError("--processes is 1 or more")
    if args.paths and not _is_ledger(args.paths):
        return _tell(*_transcripts(args, wanted, policy, now), args)
    found = _ledger(args, wanted, policy, prices, now)
    return 2 if found is None else _tell(found, (), args)


def _tell(found: WhatIf, unread: Sequence[str], args: argparse.Namespace) -> int:
    for line in unread[:_COMPLAINTS]:
        print(f"ctxkit whatif: {printable(line)}", file=sys.stderr)
    if len(unread) > _COMPLAINTS:
        print(f"ctxkit whatif: ... and {len(unread) - _COMPLAINTS:,} more; --json has them all", file=sys.stderr)
    if args.paths and not found.present.requests:
        print("ctxkit whatif: no requests found there", file=sys.stderr)
        return 2
    _show(found, unread, args)
    return 1 if unread or any(one.pico is None for one in found.alternatives) else 0


def _wanted(args: argparse.Namespace, prices: Prices, now: float) -> tuple[Alternative, ...]:
    from ctxkit.metering.report.period import moment
    from ctxkit.replay.alternatives import alternatives, known_mode, known_platform, known_tier, known_ttl

    def day(text: str) -> tuple[str, float]:
        try:
            at = moment(text, now=now, zone=UTC)
        except ConfigurationError as error:
            raise ConfigurationError(f"--date: {error}") from None
        return text, now if at is None else at

    return alternatives(
        _names(args.model),
        [known_platform(name, prices) for name in _names(args.platform)],
        [day(text) for text in _names(args.date)],
        [known_tier(name, prices) for name in _names(args.tier)],
        [known_ttl(name) for name in _names(args.ttl)],
        [known_mode(name) for name in _names(args.mode)],
    )


def _names(given: Iterable[str]) -> list[str]:
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


# ---- the ledger ----------------------------------------------------------------------------------------------------------


def _is_ledger(paths: Sequence[str]) -> bool:
    """One path, and a database at it."""
    try:
        with Path(paths[0]).open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE and len(paths) == 1
    except (OSError, ValueError):
        return False


def _ledger(
    args: argparse.Namespace, wanted: Sequence[Alternative], policy: Policy, prices: Prices, now: float
) -> WhatIf | None:
    from ctxkit.cli.report import complaint
    from ctxkit.defaults import home
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report.period import moment
    from ctxkit.replay.supposing import suppose

    if args.paths and args.ledger:
        raise ConfigurationError("give a ledger or transcripts, not both")
    since = moment(args.since, now=now, zone=None)
    ledger = Ledger(args.ledger or (args.paths[0] if args.paths else home() / "ledger.db"))
    if why := complaint(ledger):
        print(f"ctxkit whatif: {why}", file=sys.stderr)
        return None
    shadow = _shadow(ledger.path.parent / "store", policy, since) if any(one.mode for one in wanted) else None
    with ledger:
        return suppose(ledger, wanted, prices, since=since, shadow=shadow)


def _shadow(folder: Path, policy: Policy, since: float | None) -> Any:
    """What the store beside the ledger knows of stronger modes."""
    from ctxkit.hall.shadow import read_shadow
    from ctxkit.stores import open_store

    if not folder.is_dir():
        return None
    store = open_store(folder)
    try:
        return read_shadow(store, policy.mode, since)
    finally:
        store.close()


# ---- transcripts ---------------------------------------------------------------------------------------------------------


def _transcripts(
    args: argparse.Namespace, wanted: Sequence[Alternative], policy: Policy, now: float
) -> tuple[WhatIf, tuple[str, ...]]:
    from ctxkit.replay.auditing import Files
    from ctxkit.replay.otherwise import otherwise

    if args.ledger or args.since:
        raise ConfigurationError("--ledger and --since are of the ledger: leave them out, or the paths")
    files = Files(args.paths)
    with _progress(files, quiet=args.json) as told:
        found, failed = otherwise(files, wanted, policy, now=now, processes=args.processes, told=told)
    return found, (*files.complaints, *failed)


@contextmanager
def _progress(files: Files, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A bar of bytes read, where somebody looks on."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("sent once more"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task, done = bar.add_task("", total=None, said=""), 0

        def told(requests: int) -> None:
            nonlocal done
            done += requests
            bar.update(task, completed=files.read, total=files.total, said=f"{done:,} requests")

        yield told


# ---- telling -------------------------------------------------------------------------------------------------------------


def _show(found: WhatIf, unread: Sequence[str], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps({**found.to_dict(), "unread": list(unread)}, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(f"What if: {found.present.requests or 0:,} requests", style="bold"))
    console.print(_table(found, console.width))
    notes = _notes(found)
    for note in notes[:_SHOWN]:
        console.print(Text(printable(note)))
    if len(notes) > _SHOWN:
        console.print(Text(f"... and {len(notes) - _SHOWN} notes more; --json has them all"))


def _table(found: WhatIf, width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    given = [name for name in _PARTS if any(getattr(one.alternative, name, None) for one in found.alternatives)]
    heads = _HEADS if width >= _WIDE else _HEADS[1:-1] if width >= _NARROW else _HEADS[2:-1]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in given if width >= _NARROW else ["alternative"]:
        table.add_column(name.upper() if name == "ttl" else name.capitalize(), overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)

    def add(one: Priced, parts: Sequence[str], style: str) -> None:
        cells = _figures(one, found.present)
        parts = parts if width >= _NARROW else [" ".join(filter(None, parts))]
        table.add_row(*map(Text, (*map(printable, parts), *(cells[head] for head in heads))), style=style)

    blanks = [""] * (len(given) - 1)
    add(found.present, ["as it was sent", *blanks], "bold")
    if found.simulated is not None:
        add(found.simulated, ["the same, simulated", *blanks], "dim")
    table.add_section()
    for one in found.alternatives:
        add(one, [str(getattr(one.alternative, name) or "") for name in given], "")
    return table


def _figures(one: Priced, present: Priced) -> dict[str, str]:
    figures = (
        "-" if one.input_tokens is None else f"{one.input_tokens:,}",
        "-" if one.cached is None else f"{one.cached:.1%}",
        _money(one.cost),
        "" if one is present else _signed(one.less(present)),
        _money(one.per_thousand),
    )
    return dict(zip(_HEADS, figures, strict=True))


def _money(amount: Decimal | None) -> str:
    if amount is None:
        return "unknown"
    places = 2 if abs(amount) >= 100 else 4 if abs(amount) >= 0.01 or not amount else 6
    return f"${amount:,.{places}f}"


def _signed(amount: Decimal | None) -> str:
    if amount is None:
        return "-"
    return ("-" if amount < 0 else "+") + _money(abs(amount)) if amount else "0"


def _notes(found: WhatIf) -> list[str]:
    """What is to be known, each once."""
    held = [note for one in found.alternatives for note in one.notes]
    return list(dict.fromkeys((*found.notes, *found.present.notes, *held)))
