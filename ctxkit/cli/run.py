"""``ctxkit run -- COMMAND``: any program, in any language, metered without a change."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.errors import ConfigurationError, CtxkitError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.integrations.proxy.traffic import Traffic
    from ctxkit.integrations.proxy.upstreams import Upstream
    from ctxkit.kit import Kit
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report import Report
    from ctxkit.policy import Policy

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit run -- python app.py
  ctxkit run --feature nightly --label team=search -- make evaluate
  ctxkit run --mode cache -- node agent.mjs        markers and keys for the provider's cache, where they pay
  ctxkit run --json -- ./tool > told.json          the report follows what the program itself prints
  ctxkit run --upstream openai=http://localhost:8000/v1 --platform openai=vllm -- python app.py

The program is led to a proxy on the loopback by OPENAI_BASE_URL, ANTHROPIC_BASE_URL, GOOGLE_GEMINI_BASE_URL and the like;
a base URL that you have set stays the upstream. Its input, output and exit code are its own; the report goes to stderr.

exit code: the program's own (128 + n for signal n, 127 when there is no such command), 2 when ctxkit was used wrongly"""
_SHOWN = 5  # paths and reasons of each kind; --json has all of them
_NEEDED = ("httpx2", "starlette", "uvicorn")


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    import argparse

    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="meter any program, in any language, without a change to it",
        description="Runs a program behind a proxy on the loopback and reports what it asked of models, and what that cost.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="ctxkit run [options] -- COMMAND [ARGUMENT ...]",
    )
    parser.add_argument("--feature", metavar="NAME", help="whose requests these are (default: the command's name)")
    parser.add_argument(
        "--label", metavar="K=V", action="append", default=[], help="a further column for reports; may be repeated"
    )
    parser.add_argument(
        "--mode",
        choices=["observe", "cache", "lossless", "prune"],
        help="go further than to observe (default: observe, whatever ctxkit.toml says; or the file's of --policy)",
    )
    parser.add_argument("--policy", metavar="FILE", type=Path, help="a ctxkit.toml of its own")
    parser.add_argument(
        "--answers",
        choices=["memory", "disk"],
        help="answer the very same request with the answer it got before: in this run, or from run to run",
    )
    parser.add_argument(
        "--upstream", metavar="NAME=URL", action="append", default=[], help="where a provider or a variable leads to"
    )
    parser.add_argument(
        "--platform", metavar="NAME=PLATFORM", action="append", default=[], help="who serves it, where no host says so"
    )
    parser.add_argument("--http2", action="store_true", help="speak HTTP/2 to upstreams that do; needs httpx2[http2]")
    parser.add_argument("--ledger", metavar="PATH", help="default: $CTXKIT_HOME/ledger.db, or ~/.ctxkit/ledger.db")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object, on stdout")
    parser.add_argument("--html", metavar="FILE", type=Path, help="the report as a page of its own")
    parser.add_argument("--quiet", action="store_true", help="no report; the ledger has it all the same")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser


class _Told(NamedTuple):
    """What is known when the program has ended."""

    report: Report
    traffic: Traffic
    variables: Sequence[str]
    notes: Sequence[str]


def run(args: argparse.Namespace) -> int:
    """Run the program; its exit code, or 2 when ctxkit was used wrongly.

    Raises:
        ConfigurationError: options that cannot be.
    """
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if not words:
        print("ctxkit run: name a command: ctxkit run -- python app.py", file=sys.stderr)
        return 2
    if lacking := [name for name in _NEEDED if find_spec(name) is None]:
        told = f"ctxkit run: not installed: {', '.join(lacking)}; pip install 'ctxkit[run]'"
        print(told, file=sys.stderr)
        return 2
    if args.http2 and find_spec("h2") is None:
        print("ctxkit run: --http2 needs h2: pip install 'httpx2[http2]'", file=sys.stderr)
        return 2
    return _run(args, words)


def _run(args: argparse.Namespace, words: Sequence[str]) -> int:
    import os

    from ctxkit.defaults import home
    from ctxkit.integrations.proxy.program import run_child
    from ctxkit.integrations.proxy.server import Proxy
    from ctxkit.integrations.proxy.upstreams import blind_spots, environment, upstreams
    from ctxkit.kit import Kit
    from ctxkit.labels import as_text, feature
    from ctxkit.metering.ledger import Ledger

    found = upstreams(os.environ, _pairs("--upstream", args.upstream), _pairs("--platform", args.platform))
    labels = _pairs("--label", args.label)
    ledger = Path(args.ledger).expanduser() if args.ledger else home() / "ledger.db"
    _check(args, ledger)
    with _collected() as notes, Ledger(None) as only_this_run:
        kit = Kit(_policy(args), store=ledger.parent / "store", ledger=ledger)
        kit.listeners.append(only_this_run.append)
        began = kit.clock()
        kit.warm()
        attributed = feature(args.feature or Path(words[0]).name or "run")
        attributed.labels = as_text(labels)  # by any name, "name" included
        with closing(kit), attributed, Proxy(kit, found, within=feature, http2=args.http2) as proxy:
            code = run_child(words, environment(os.environ, found, proxy.base))
        if args.quiet and not args.html:
            return code
        variables = [name for one in found for name in one.variables]
        said = [*_strangers(proxy.strangers), *blind_spots(os.environ, found), *notes]
        _show_after(lambda: _Told(_report(only_this_run, kit, began), proxy.traffic, variables, said), args)
    return code


def _check(args: argparse.Namespace, ledger: Path) -> None:
    """Refuse, before the program runs, what could not be written after it has."""
    from ctxkit.metering.ledger import Ledger

    if Ledger(ledger).foreign():
        raise ConfigurationError(f"{ledger} is not a ctxkit ledger; name one with --ledger PATH")
    if args.html and not args.html.absolute().parent.is_dir():
        raise ConfigurationError(f"--html {args.html}: there is no folder {args.html.absolute().parent}")


def _show_after(told: Callable[[], _Told], args: argparse.Namespace) -> None:
    """Show it; whatever comes in the way, the exit code is the program's."""
    import os

    try:
        _show(told(), args)
    except BrokenPipeError:  # `ctxkit run --json -- ... | head`; what is left is not to be complained about at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, CtxkitError) as error:
        print(f"ctxkit run: {error}", file=sys.stderr)


def _policy(args: argparse.Namespace) -> Policy:
    """What was decided, and answers that are reused where it is asked for."""
    policy = _decided(args)
    if args.answers is None:
        return policy
    from ctxkit.answers import Answers

    answers = (policy.answers or Answers()).model_copy(update={"where": args.answers})
    return policy.model_copy(update={"answers": answers})


def _decided(args: argparse.Namespace) -> Policy:
    """Observe, unless it is asked for more: by ``--mode``, or in the file of ``--policy``."""
    from ctxkit.policy import Policy, decided_in

    if args.policy is None:
        return Policy.load(mode=args.mode or "observe")
    try:
        table = decided_in(args.policy)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"--policy {args.policy} cannot be read: {error}") from None
    return Policy(**{**table, **({"mode": args.mode} if args.mode else {})})


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigurationError(f"{option} wants NAME=VALUE, got {text!r:.80}")
        pairs[name] = value
    return pairs


class _Notes(logging.Handler):
    """What ctxkit has to say while the program runs is said at the end: the terminal is the program's."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _collected() -> Iterator[list[str]]:
    log, notes = logging.getLogger("ctxkit"), _Notes()
    before, log.propagate = log.propagate, False
    log.addHandler(notes)
    try:
        yield notes.said
    finally:
        log.removeHandler(notes)
        log.propagate = before


def _report(ledger: Ledger, kit: Kit, began: float) -> Report:
    from ctxkit.metering.prices import Prices
    from ctxkit.metering.report import report

    policy = kit.policy
    return report(
        ledger,
        ("feature", "model"),
        began,
        now=kit.clock(),
        currency=policy.currency,
        rate=policy.usd_rate,
        prices=Prices(policy.prices),
    )


def _strangers(found: Sequence[Upstream]) -> list[str]:
    """What to do where no price can be known."""
    return [
        f"nobody knows who serves {one.host}: say so to have it priced, --platform {one.name}=NAME ('openai', 'vllm', ...)"
        for one in found
    ]


def _show(told: _Told, args: argparse.Namespace) -> None:
    if args.html:
        from ctxkit.page import save

        save(told.report.to_html(), args.html)
    if args.quiet:
        return
    if args.json:
        print(json.dumps({**told.report.to_dict(), "run": _plain(told)}, indent=2, ensure_ascii=False), flush=True)
        return
    from rich.console import Console

    console = Console(stderr=True)
    if told.report.total.attempts:
        console.print(told.report)
    for line in _lines(told):
        console.print(f"ctxkit: {line}", markup=False, highlight=False, soft_wrap=True)


def _lines(told: _Told) -> Iterator[str]:
    """What the tables do not show of themselves."""
    traffic = told.traffic
    if not traffic.requests:
        yield (
            f"no request came by. Set were {', '.join(told.variables)}; a program that sets its own base URL, or whose "
            "SDK reads none of them, is not seen"
        )
    for kind, why in (
        (traffic.passed, "passed unmetered"),
        (traffic.unread, "passed unmetered, because"),
        (traffic.unreachable, "came to nothing"),
    ):
        for name, count in kind.most_common(_SHOWN):
            yield f"{count:,} {why}: {name}"
        if len(kind) > _SHOWN:
            yield f"... and {len(kind) - _SHOWN} more kinds; --json has them all"
    yield from told.notes


def _plain(told: _Told) -> dict[str, Any]:
    traffic = told.traffic
    return {
        "requests": traffic.requests,
        "passed": dict(traffic.passed),
        "unread": dict(traffic.unread),
        "unreachable": dict(traffic.unreachable),
        "abandoned": traffic.abandoned,
        "variables": list(told.variables),
        "notes": list(told.notes),
    }
