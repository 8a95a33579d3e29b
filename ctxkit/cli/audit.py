"""``ctxkit audit``: what recorded conversations waste, cost, and would have cost."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from ctxkit.policy import Policy
    from ctxkit.replay.auditing import Audit, Files

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit audit requests.jsonl                    request bodies, in the order they were sent
  ctxkit audit ~/.claude/projects                every session of a coding agent
  ctxkit audit runs/ --model claude-sonnet-4-6   what these conversations would have cost there
  ctxkit audit runs/ --policy lossless --json | jq .todo
  ctxkit audit runs/ --html audit.html

exit code 1 when something can be done about it, 0 when not, 2 when nothing could be read or the command was used wrongly"""
_SHOWN = 20  # complaints printed in full; all of them stand in --json


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "audit",
        help="what recorded conversations waste, cost, and would have cost",
        description="Reads recorded conversations in the formats of providers, coding agents, cassettes and traces, says what "
        "they cost and what of that was waste, replays them in every mode of ctxkit, and ranks what to do. "
        "Nothing is sent.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files, or folders of them")
    parser.add_argument(
        "--model", metavar="NAME", help="what if this model had been asked; also where none was recorded"
    )
    parser.add_argument(
        "--platform", metavar="NAME", help="what if this platform had served (anthropic, openai, bedrock, ...)"
    )
    parser.add_argument(
        "--ttl", metavar="LIFE", help="what if cache entries were asked to live so long: 5m, 30m, 1h, 12h, 24h"
    )
    parser.add_argument(
        "--policy", metavar="MODE|FILE", help="what counts as ctxkit: cache, lossless, prune (default), or a TOML file"
    )
    parser.add_argument("--dialect", metavar="NAME", help="wire format of requests (default: by their looks)")
    parser.add_argument("--all", action="store_true", help="replay everything, however long it takes, and no sample")
    parser.add_argument("--processes", type=int, metavar="N", help="at most so many (default: one per processor)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page that opens in any browser")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the audit; 0: nothing to do, 1: something, 2: nothing could be read."""
    from ctxkit.replay.auditing import Files, audit

    policy, mode = _policy(args.policy)
    assumed = _assumed(args)
    if wrong := _wrong(args):
        print(f"ctxkit audit: {wrong}", file=sys.stderr)
        return 2
    files = Files(args.paths, dialect=args.dialect)
    with _progress(files) as told:
        found = audit(
            files,
            policy=policy,
            mode=mode,
            assumed=assumed,
            everything=args.all,
            processes=args.processes,
            told=told,
            unread=lambda: files.complaints,
        )
    _complain(found)
    if args.html is not None and found.threads:
        from ctxkit.page import render, save

        save(render(found.page()), args.html)
    _show(found, as_json=args.json)
    if not found.threads:
        return 2
    return 1 if found.todo else 0


def _wrong(args: argparse.Namespace) -> str | None:
    """What cannot be meant, in one sentence."""
    from ctxkit.dialects import EDITABLE
    from ctxkit.dialects.platforms import PLATFORMS

    if not args.paths:
        return "name a file or folder of recorded conversations; see ctxkit audit --help"
    if args.processes is not None and args.processes < 1:
        return "--processes: at least 1"
    if args.dialect is not None and args.dialect not in EDITABLE:
        return f"no dialect {args.dialect!r}; there are: {', '.join(EDITABLE)}"
    names = [one.name for one in PLATFORMS]
    if args.platform is not None and args.platform not in names:
        return f"no platform {args.platform!r}; there are: {', '.join(names)}"
    return None


def _assumed(args: argparse.Namespace) -> Any:
    from ctxkit.errors import ConfigurationError
    from ctxkit.replay.posing import Assumed

    lives = ("5m", "30m", "1h", "12h", "24h")
    if args.ttl is not None and args.ttl not in lives:
        raise ConfigurationError(f"--ttl {args.ttl}: entries live {', '.join(lives)}")
    return Assumed(platform=args.platform, model=args.model, ttl=args.ttl, begins=time.time())


def _policy(named: str | None) -> tuple[Policy, str | None]:
    """The policy, and the mode that counts as ctxkit where that was named.

    Raises:
        ConfigurationError: there is neither such a mode nor such a file, or the file says what cannot be.
    """
    from ctxkit.errors import ConfigurationError
    from ctxkit.policy import Policy, decided_in
    from ctxkit.replay.resending import MODES

    if named is None:
        return Policy.load(), None
    if named in MODES:
        return Policy.load(mode=named), named
    try:
        return Policy(**decided_in(Path(named))), None
    except FileNotFoundError:
        raise ConfigurationError(f"--policy {named}: neither a mode ({', '.join(MODES)}) nor a file") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--policy {named}: cannot be read: {error}") from None


def _complain(found: Audit) -> None:
    for one in found.unread[:_SHOWN]:
        print(f"ctxkit audit: {one}", file=sys.stderr)
    if len(found.unread) > _SHOWN:
        print(f"ctxkit audit: ... and {len(found.unread) - _SHOWN:,} more; --json has them all", file=sys.stderr)
    if not found.threads:
        print("ctxkit audit: no recorded request could be read", file=sys.stderr)


def _show(found: Audit, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    if found.threads:
        from rich.console import Console

        from ctxkit.replay.rendering import renderables

        console = Console(highlight=False)
        for one in renderables(found):
            console.print(one)


@contextmanager
def _progress(files: Files) -> Iterator[Callable[[str, int], None] | None]:
    """A bar on the terminal, of bytes read and then of requests replayed; nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        measuring = bar.add_task("measuring", total=None, said="")
        replaying = bar.add_task("replaying", total=None, said="", visible=False)
        done = {"measured": 0, "replayed": 0, "to replay": 0}

        def told(what: str, requests: int) -> None:
            done[what] += requests
            if what == "measured":
                whole = files.total if files.read else None
                bar.update(measuring, total=whole, completed=files.read, said=f"{done[what]:,} requests")
                return
            bar.update(measuring, total=1, completed=1)
            whole = done["to replay"]
            bar.update(
                replaying,
                total=whole,
                completed=done["replayed"],
                said=f"{done['replayed']:,} of {whole:,}",
                visible=True,
            )

        yield told
