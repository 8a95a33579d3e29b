"""``ctxkit lint``: what in recorded requests will break the provider's cache, or never reach it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ctxkit.caching.lint import Finding
    from ctxkit.errors import TranscriptError
    from ctxkit.kit import Kit
    from ctxkit.model import Plan

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit lint requests.jsonl                     one request body per line, in the order they were sent
  ctxkit lint prompts/ --model claude-sonnet-4-6 --platform anthropic
  ctxkit lint requests.jsonl --json --ignore large-tool

exit code 1 when something was found, 2 when the command was used wrongly or nothing could be read"""
_SHOWN = 40  # findings printed in full; all of them stand in --json


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "lint",
        help="what in requests will break the provider's cache",
        description="Checks recorded requests for what breaks a provider's cache or never reaches it: dates and ids in the "
        "prefix, tools that change their order, markers that cannot pay, oversized schemas, ...",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="JSON or JSONL files, or folders of them")
    parser.add_argument("--dialect", metavar="NAME", help="wire format (default: by the looks of each request)")
    parser.add_argument("--platform", metavar="NAME", help="who serves them (default: the owner of the wire format)")
    parser.add_argument("--model", metavar="NAME", help="for requests that carry none")
    parser.add_argument("--ignore", metavar="IDS", default="", help="checks that are not wanted, with commas")
    parser.add_argument("--rules", action="store_true", help="list the checks")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0: none, 1: some, 2: nothing could be read."""
    from ctxkit.caching.lint import RULES
    from ctxkit.hall.imagined import onlooking
    from ctxkit.hall.linting import lint
    from ctxkit.kit import Kit
    from ctxkit.policy import Policy

    if args.rules:
        print("\n".join(f"{name:24}{about}" for name, about in RULES.items()))
        return 0
    if not args.paths:
        print("ctxkit lint: name a file or folder of recorded requests; see ctxkit lint --help", file=sys.stderr)
        return 2
    kit = Kit(onlooking(Policy.load(), "observe"))
    complaints: list[TranscriptError] = []
    count = 0

    def plans() -> Iterator[tuple[Plan, str]]:  # one after another: a folder may hold more than memory does
        nonlocal count
        for one in _plans(kit, args, complaints):
            count += 1
            yield one

    ignore = [name.strip() for name in args.ignore.split(",") if name.strip()]
    findings = lint(plans(), kit.rooms.meter.rates, ignore)
    kit.close()
    for complaint in complaints:
        print(f"ctxkit lint: {complaint}", file=sys.stderr)
    _show(findings, count, complaints, as_json=args.json)
    if complaints and not count:
        return 2
    return 1 if findings else 0


def _plans(kit: Kit, args: argparse.Namespace, complaints: list[TranscriptError]) -> Iterator[tuple[Plan, str]]:
    from ctxkit.replay.transcripts import read

    for path in _files(args.paths):
        for one in read(
            path, dialect=args.dialect, platform=args.platform, model=args.model, complain=complaints.append
        ):
            plan = kit.plan(
                one.body,
                dialect=one.dialect,
                platform=one.platform,
                model=one.model,
                scope=str(path),
                fixed=True,
                now=0.0,
            )
            yield plan, one.source


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".json", ".jsonl"))
        else:
            yield path


def _show(findings: Sequence[Finding], count: int, complaints: Sequence[TranscriptError], *, as_json: bool) -> None:
    if as_json:
        told = {"requests": count, "findings": [_plain(one) for one in findings], "unread": list(map(str, complaints))}
        print(json.dumps(told, indent=2))
        return
    for one in findings[:_SHOWN]:
        print(_told(one))
    if len(findings) > _SHOWN:
        print(f"... and {len(findings) - _SHOWN} more; --json has them all")
    requests = f"{count:,} request{'' if count == 1 else 's'}"
    found = f"{len(findings):,} finding{'' if len(findings) == 1 else 's'}"
    print(f"{found} in {requests}" if findings else f"nothing to complain of in {requests}")


def _told(one: Finding) -> str:
    cost = "cost unknown" if one.cost is None else f"${one.cost:,.2f} per 1,000 requests"
    price = f" [{one.tokens:,} tokens, {cost}]" if one.tokens else ""
    sure = "" if one.certain else "likely: "
    return f"{one.source}: {one.severity} {one.rule}: {sure}{one.message}{price}\n    {one.fix}"


def _plain(one: Finding) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "severity": one.severity,
        "certain": one.certain,
        "source": one.source,
        "path": list(one.path),
        "message": one.message,
        "fix": one.fix,
        "tokens": one.tokens,
        "usd_per_1000_requests": None if one.cost is None else str(one.cost),
    }
