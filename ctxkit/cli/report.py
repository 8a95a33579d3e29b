"""``ctxkit report``: what was sent and what it cost, by feature, model, day, ..."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from ctxkit.caching.advice import Advice
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report import Report
    from ctxkit.policy import Policy

__all__ = ["add_parser", "complaint", "run"]

_EXAMPLE = """examples:
  ctxkit report                                  by feature, all time
  ctxkit report --by feature,model --since 7d
  ctxkit report --by day --since 2026-11-01 --timezone Europe/Berlin
  ctxkit report --by label:team --json | jq .total.cost
  ctxkit report --by miss_reason --since 7d      what the provider's cache could have saved, and why it did not
  ctxkit report --since 7d --html report.html    a page to look at: charts, tables to sort, all in one file
  ctxkit report --since 7d --advice              what pings, other lives or waiting would have saved"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "report",
        help="what was sent and what it cost, by feature, model, day, ...",
        description="What was sent, what it cost, how well that was known before, and how fast answers came.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--by",
        default="feature",
        metavar="NAMES",
        help="feature, model, platform, dialect, tier, scope, status, miss_reason, day, hour, label:NAME; "
        "several with commas",
    )
    parser.add_argument("--since", metavar="TIME", help="7d, 24h, today, 2026-11-01, 2026-11-01T14:00")
    parser.add_argument("--until", metavar="TIME", help="the same; a day is included")
    parser.add_argument("--timezone", metavar="ZONE", help="whose days and hours (default: local time)")
    parser.add_argument("--advice", action="store_true", help="what pings, other lives or waiting would have saved")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--csv", action="store_true", help="one line per row")
    parser.add_argument("--html", metavar="FILE", help="a page of charts and tables in one file that opens offline")
    parser.add_argument("--ledger", metavar="PATH", help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the report or write its page; 0, or 2 when there is no ledger or the page cannot be written."""
    from ctxkit.defaults import home
    from ctxkit.metering.ledger import Ledger
    from ctxkit.policy import Policy

    policy = Policy.load()
    ledger = Ledger(args.ledger or home() / "ledger.db")
    if why := complaint(ledger):
        print(f"ctxkit report: {why}", file=sys.stderr)
        return 2
    with ledger:
        found = _with_beside(_found(ledger, policy, args), policy, ledger.path.parent / "store")
        advice = _advice(ledger, policy, args.since) if args.advice else ()
        page = found.to_html() if args.html is not None else ""
    if args.html is not None and not _written(page, args):
        return 2
    _show(found, advice, args)
    return 0


def _found(ledger: Ledger, policy: Policy, args: argparse.Namespace) -> Report:
    from dataclasses import replace

    from ctxkit.metering.ledger.using import soon
    from ctxkit.metering.prices import Prices
    from ctxkit.metering.report import report

    prices, now = Prices(policy.prices), time.time()
    found = report(
        ledger,
        args.by,
        args.since,
        args.until,
        args.timezone,
        now=now,
        currency=policy.currency,
        rate=policy.usd_rate,
        prices=prices,
    )
    return replace(found, coming=soon(ledger, prices, now))


def _advice(ledger: Ledger, policy: Policy, since: str | None) -> Sequence[Advice]:
    from ctxkit.hall.imagined import onlooking
    from ctxkit.kit import Kit

    return Kit(onlooking(policy, policy.mode), ledger=ledger).advice(since)


def _written(page: str, args: argparse.Namespace) -> bool:
    from ctxkit.errors import ConfigurationError
    from ctxkit.page import save

    try:
        place = save(page, args.html)
    except ConfigurationError as why:
        print(f"ctxkit report: {why}", file=sys.stderr)
        return False
    aside = sys.stderr if args.json or args.csv else sys.stdout
    print(f"The report is in {place} ({max(1, len(page) // 1000):,} kB).", file=aside)
    return True


def _with_beside(found: Report, policy: Policy, folder: Path) -> Report:
    """The report with what the store beside the ledger knows: what stronger modes would have saved, how tidying stands."""
    from dataclasses import replace

    from ctxkit.hall.accounts import told
    from ctxkit.hall.shadow import read_shadow
    from ctxkit.stores import open_store

    if not folder.is_dir():
        return found
    store = open_store(folder)
    try:
        return replace(found, shadow=read_shadow(store, policy.mode, found.since), tidied=told(store))
    finally:
        store.close()


def complaint(ledger: Ledger) -> str | None:
    """Why there is nothing to report from; a file that is no ledger is left alone."""
    if not ledger.exists():
        return (
            f"no ledger at {ledger.path}. Wrap a client, client = ctxkit.wrap(OpenAI()), and send a request; "
            "or run `ctxkit demo`, or name a ledger with --ledger PATH."
        )
    if ledger.foreign():
        return f"{ledger.path} is not a ctxkit ledger; name one with --ledger PATH."
    return None


def _show(report: Report, advice: Sequence[Advice], args: argparse.Namespace) -> None:
    if args.json:
        told = {"advice": [one.to_dict() for one in advice]} if args.advice else {}
        print(json.dumps({**report.to_dict(), **told}, indent=2, ensure_ascii=False))
    elif args.csv:
        print(report.to_csv(), end="")
    elif args.html is None:
        from rich.console import Console

        Console().print(report)
    if args.advice and not (args.json or args.csv):
        for one in advice:
            print(f"{one.feature or '(unattributed)'}, {one.model} on {one.platform}: {one.text}")
        if not advice:
            print("no advice: too little was cached, or nobody knows the prices")
