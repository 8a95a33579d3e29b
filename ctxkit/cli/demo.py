"""``ctxkit demo``: a walk through everything on a bundled conversation, offline.

A stand-in for the providers on this machine answers what ``demo.json`` says. Everything else is real: the requests go
through a front door over HTTP, are weighed and priced before they leave, and settled when the answer is there.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from ctxkit.kit import Kit
    from ctxkit.model import Record

__all__ = ["add_parser", "run"]

_INTRO = """[bold]A travel agency's assistant, eight requests to three providers.[/bold]
Nothing leaves this machine: a stand-in answers for them, with the usage that is written in its script.
Before each request ctxkit says what it will cost, after it what it did cost."""

_OUTRO = """[bold]Your own program:[/bold]  client = ctxkit.wrap(OpenAI())   and   @ctxkit.feature("search")
then [bold]ctxkit report --by feature,model[/bold]"""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="an offline walk through everything",
        description="Meters a bundled conversation with three providers, offline, and shows the report.",
        epilog="example: ctxkit demo",
    )
    parser.add_argument("--json", action="store_true", help="the records and the report as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Play the script and print what was metered."""
    from rich.console import Console

    from ctxkit.kit import Kit
    from ctxkit.metering.ledger import Ledger

    console = Console(quiet=args.json, highlight=False)
    console.print(_INTRO, end="\n\n")
    with tempfile.TemporaryDirectory() as folder, closing(Kit(ledger=Ledger(Path(folder) / "demo.db"))) as kit:
        records = _play(kit, _script(), console)
        report = kit.report(by=("feature", "model"))
        if args.json:
            print(json.dumps({"records": [_told(record) for record in records], "report": report.to_dict()}, indent=2))
        console.print(report)
        console.print(_OUTRO)
    return 0


def _script() -> dict[str, Any]:
    script: dict[str, Any] = json.loads(Path(__file__).with_name("demo.json").read_text(encoding="utf-8"))
    return script


def _play(kit: Kit, script: dict[str, Any], console: Console) -> list[Record]:
    import httpx2  # genai-prices brings it

    from ctxkit.testing import FakeProvider, Reply, capture

    answers = iter(script["steps"])

    def answer(_request: object) -> Reply:
        step = next(answers)
        return Reply(json.dumps(step["answer"]).encode(), status=step.get("status", 200))

    with (
        FakeProvider(answer=answer) as provider,
        # As a proxy the stand-in is asked under the providers' own host names, by which ctxkit knows them.
        kit.attach(httpx2.Client(proxy=provider.proxy_url)) as client,
        capture(kit) as records,
    ):
        for number, step in enumerate(script["steps"], 1):
            _send(client, script["threads"][step["thread"]], step)
            _tell(console, number, step, records[-1])
    return records


def _send(client: Any, thread: dict[str, Any], step: dict[str, Any]) -> None:
    from ctxkit.labels import feature

    body = {**thread["body"], "contents" if thread.get("contents") else "messages": thread["messages"][: step["upto"]]}
    with feature(step["feature"]) if step["feature"] else nullcontext():
        client.post(thread["url"], json=body)


def _tell(console: Console, number: int, step: dict[str, Any], record: Record) -> None:
    console.print(f"[bold]{number}[/bold] {record.model}  [dim]{step['say']}[/dim]")
    estimate = record.estimate
    if estimate is not None:
        cost = _usd(estimate.cost.expected) if estimate.cost.expected is not None else "at an unknown price"
        console.print(
            f"  before  {estimate.input_tokens:,} tokens ({estimate.input_low:,} to {estimate.input_high:,}), "
            f"{cost}, at most {_usd(estimate.cost.max)}"
        )
    console.print(f"  after   {_after(record)}")


def _after(record: Record) -> str:
    usage = record.usage
    if usage is None:
        return f"[yellow]{record.status}[/yellow] (status {record.http_status})"
    read = "" if usage.read is None else f", {usage.read:,} read"
    written = "".join(f", {tokens:,} written for {ttl}" for ttl, tokens in (usage.written or {}).items() if tokens)
    return (
        f"{usage.input_total:,} tokens: {usage.fresh:,} fresh{read}{written}; {usage.output:,} out; {_usd(record.cost)}"
    )


def _usd(amount: Any) -> str:
    return "unknown" if amount is None else f"${amount:.6f}"


def _told(record: Record) -> dict[str, Any]:
    from ctxkit.metering.ledger.rows import row_of

    return row_of(record)
