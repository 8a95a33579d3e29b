"""``ctxkit prices``: what a model costs and where that is known from; other people's price maps as rows of one's own."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from ctxkit.metering.prices import Card, Prices
    from ctxkit.metering.prices.coming import Change

__all__ = ["add_parser", "run"]

_EXAMPLE = """examples:
  ctxkit prices show claude-sonnet-4-6
  ctxkit prices show gpt-6.1-terra --platform openai --tier flex --at 2026-12-01 --json
  ctxkit prices import model_prices_and_context_window.json --platform qwen -o prices.toml"""

# Where to look when no platform is named, first-party lists first.
_PLATFORMS = (
    *("openai", "anthropic", "google", "bedrock", "azure", "deepseek", "xai", "mistral", "moonshot", "zai", "groq"),
    *("cohere", "perplexity", "together", "fireworks", "cerebras", "minimax", "meta", "voyage", "openrouter"),
)
_COLUMNS = {"fresh": "input", "read": "cache read", "output": "output", "reasoning": "reasoning"}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add this command to the parser's commands."""
    from argparse import RawDescriptionHelpFormatter

    about = "What a model costs, as a dated card with its source, and rows of one's own from a LiteLLM price map."
    parser: argparse.ArgumentParser = commands.add_parser(
        "prices",
        help="what a model costs, and where that is known from",
        description=about,
        epilog=_EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="the rates of a model", epilog="example: ctxkit prices show gpt-6.1-terra")
    show.add_argument("model", metavar="MODEL", help="as a request names it")
    show.add_argument(
        "--platform", metavar="NAME", help="openai, azure, bedrock, vertex, ...; default: wherever it is listed"
    )
    show.add_argument("--tier", metavar="NAME", help="batch, flex, priority, fast; default: standard")
    show.add_argument("--region", metavar="NAME", help="us, eu, us-east5, ...")
    show.add_argument("--at", metavar="TIME", help="2026-12-01 or 2026-12-01T07:00, in UTC; default: now")
    show.add_argument("--prices", metavar="FILE", type=Path, help="rows of your own; default: those of your settings")
    show.add_argument("--json", action="store_true", help="one JSON object")
    take = actions.add_parser(
        "import",
        help="a LiteLLM price map as price rows",
        epilog="example: ctxkit prices import map.json -o prices.toml",
    )
    take.add_argument("file", metavar="FILE", type=Path, help="model_prices_and_context_window.json")
    take.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write; default: standard output")
    take.add_argument("--platform", metavar="NAMES", default="", help="only these, with commas between them")
    take.add_argument("--model", metavar="PATTERNS", default="", help="only models that fit, such as gpt-6*,qwen*")
    take.add_argument("--fill", action="store_true", help="use them only where nothing else has a price")
    take.add_argument("--as-of", metavar="DATE", help="date of the map, kept with every row")
    take.add_argument("--json", action="store_true", help="say as JSON what was taken and what was left out")
    return parser


def run(args: argparse.Namespace) -> int:
    """Show or import; 0, or 1 when nothing was found."""
    return _show(args) if args.action == "show" else _import(args)


def _show(args: argparse.Namespace) -> int:
    prices, at = _prices(args.prices), _moment(args.at)
    platforms = (args.platform,) if args.platform else _PLATFORMS
    found = list(_cards(prices, platforms, args, at))
    if args.json:
        print(json.dumps({"model": args.model, "at": _iso(at), "cards": [_plain(*place) for place in found]}, indent=2))
    elif found:
        for platform, card, coming in found:
            _print(platform, card, coming)
    else:
        where = f"on {args.platform}" if args.platform else "on any platform that is listed"
        tier = f" in tier {args.tier}" if args.tier else ""
        print(f"{args.model}: UNKNOWN {where}{tier}. Give it a price in a file of your own: docs/how-to/prices.md")
    return 0 if found else 1


def _prices(file: Path | None) -> Prices:
    from ctxkit.metering.prices import Prices
    from ctxkit.policy import Policy

    return Prices(file or Policy.load().prices)


def _cards(
    prices: Prices, platforms: Iterable[str], args: argparse.Namespace, at: float
) -> Iterator[tuple[str, Card, list[Change]]]:
    from ctxkit.metering.prices.coming import DAYS, changes

    where = {"tier": args.tier, "region": args.region, "at": at}
    for platform in platforms:
        if (card := prices.card(platform, args.model, **where)) is not None:
            coming = prices.scheduled(platform, args.model, **where, until=at + DAYS * 86_400)
            yield platform, card, [one for change in coming for one in changes(platform, args.model, *change)]


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--at {text} is no date; write 2026-12-01 or 2026-12-01T07:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _per_mtok(name: str, rate: int) -> str:
    """USD per million tokens, or per thousand calls and requests."""
    from ctxkit.metering.prices import convert

    thousand = name == "request" or name.startswith("call.")
    return f"{(convert(rate) * (1_000 if thousand else 1_000_000)).normalize():f}"


def _plain(platform: str, card: Card, coming: list[Change]) -> dict[str, Any]:
    return {
        "platform": platform,
        "id": card.id,
        "provider": card.provider,
        "model": card.model,
        "tier": card.tier,
        "source": card.source,
        "as_of": card.as_of,
        "valid_from": _iso(card.valid_from),
        "valid_to": _iso(card.valid_to),
        "tiers": [
            {
                "above": tier.above,
                "usd_per_mtok": _group(tier.rates, ""),
                "usd_per_thousand_calls": _group(tier.rates, "call."),
            }
            for tier in card.tiers
        ],
        "storage_usd_per_mtok_hour": None if card.storage is None else _per_mtok("storage", card.storage),
        "context_window": card.context_window,
        "max_output": card.max_output,
        "changes": _iso(coming[0].at) if coming else None,
        "coming": [
            {name: value for name, value in one.to_dict().items() if name in ("at", "bucket", "above", "from", "to")}
            for one in coming
        ],
    }


def _group(rates: Any, prefix: str) -> dict[str, str]:
    """Token rates, or the calls, as decimal text; the plain write stands under its time to live already."""
    return {
        name.removeprefix(prefix): _per_mtok(name, rate)
        for name, rate in rates.items()
        if (name.startswith("call.") or name == "request") is bool(prefix) and name != "written"
    }


def _print(platform: str, card: Card, coming: list[Change]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{card.model} on {platform}, {card.tier}", title_justify="left", box=None, pad_edge=False)
    table.add_column("USD per million tokens")
    buckets = list(dict.fromkeys(name for tier in card.tiers for name in _group(tier.rates, "")))
    for name in sorted(buckets, key=_order):
        table.add_column(_COLUMNS.get(name, name.replace("written.", "write ")), justify="right")
    for tier in card.tiers:
        short = f"prompts to {card.tiers[1].above:,}" if len(card.tiers) > 1 else "every prompt"
        label = f"prompts over {tier.above:,}" if tier.above else short
        rates = _group(tier.rates, "")
        table.add_row(label, *(rates.get(name, "-") for name in sorted(buckets, key=_order)))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    for line in _notes(card, coming):
        console.print(line, markup=False)
    console.print()


def _order(name: str) -> tuple[int, str]:
    known = ("fresh", "read", "written.5m", "written.30m", "written.1h", "written.12h", "output", "reasoning")
    return (known.index(name) if name in known else len(known), name)


def _notes(card: Card, coming: list[Change]) -> Iterator[str]:
    from ctxkit.metering.prices.coming import told

    if card.storage is not None:
        yield f"a cache handle: {_per_mtok('storage', card.storage)} per million tokens and hour"
    if calls := _group(card.tiers[0].rates, "call."):
        yield "per thousand: " + ", ".join(f"{name.replace('_', ' ')} {usd}" for name, usd in calls.items())
    sizes = {"window": card.context_window, "longest answer": card.max_output}
    if any(sizes.values()):
        yield ", ".join(f"{name} {size:,}" for name, size in sizes.items() if size)
    yield f"card {card.id}" + (f", checked {card.as_of}" if card.as_of else "")
    if card.valid_to is not None:
        yield f"holds until {_iso(card.valid_to)}"
    yield from told(coming)


def _import(args: argparse.Namespace) -> int:
    from ctxkit.metering.prices.litellm_map import read_map, to_toml

    data = _json(args.file)
    made = read_map(
        data,
        source=f"LiteLLM price map {args.file.name}",
        as_of=None if args.as_of is None else _date(args.as_of),
        mode="fill" if args.fill else "replace",
        providers=_list(args.platform),
        models=_list(args.model),
    )
    text = to_toml(
        made.rows, f"Price rows made by `ctxkit prices import` of {args.file.name}. See docs/how-to/prices.md."
    )
    if args.output is None and not args.json:
        print(text, end="")
    elif args.output is not None:
        args.output.write_text(text, encoding="utf-8")
    said = {
        "rows": len(made.rows),
        "left_out": dict(made.left_out.most_common()),
        "output": args.output and str(args.output),
    }
    if args.json:
        print(json.dumps(said, indent=2))
    else:
        left = "".join(f"; {n:,} {why}" for why, n in made.left_out.most_common())
        print(
            f"{len(made.rows):,} rows{f' in {args.output}' if args.output else ''}; left out{left or ': nothing'}",
            file=sys.stderr,
        )
    return 0 if made.rows else 1


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigurationError(f"{file} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{file} is not a LiteLLM price map: one object with a key per model")
    return data


def _date(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError as error:
        raise ConfigurationError(f"--as-of {text} is no date; write 2026-11-20") from error


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
