"""``ctxkit explain``: one request, from what was planned to what it cost and why it missed the cache."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit explain 019a2b3c4d5e                    the beginning of an id is enough while it is the only one
  ctxkit explain msg_01XYZ                       the provider's own id of the answer
  ctxkit explain 019a2b3c4d5e --json | jq .miss

Ids stand in record.attempt and record.operation, and in the ledger's table "attempts"."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "explain",
        help="one request: what was planned, forecast, read and written, why it missed, what it cost",
        description="One request: what was planned, estimated and forecast, what was read and written, why it missed "
        "the provider's cache and what differed, what it cost, its edits and retries. The ledger holds no text of "
        "prompts, so none is shown.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "id", metavar="ID", help="of an attempt, an operation (a call with its retries) or an answer; or its beginning"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--ledger", metavar="PATH", help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db")
    return parser


def run(args: argparse.Namespace) -> int:
    """Tell of the request; 0, 1 when the ledger knows none of that id, or 2 when there is no ledger."""
    from ctxkit.cli.report import complaint
    from ctxkit.defaults import home
    from ctxkit.explain import explain_record, record_dict
    from ctxkit.metering.ledger import Ledger

    ledger = Ledger(args.ledger or home() / "ledger.db")
    if why := complaint(ledger):
        print(f"ctxkit explain: {why}", file=sys.stderr)
        return 2
    with ledger:
        record = ledger.record(args.id)
        attempts = ledger.attempts(record.operation) if record is not None else []
    if record is None:
        print(f"ctxkit explain: no request {args.id!r} in {ledger.path}; ids are those of records", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(record_dict(record, attempts), indent=2, ensure_ascii=False))
    else:
        print(explain_record(record, attempts))
    return 0
