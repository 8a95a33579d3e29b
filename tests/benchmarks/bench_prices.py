"""What a price costs: resolve and charge against genai-prices' own arithmetic, in one run.

    python tests/benchmarks/bench_prices.py [--json]

Every row prices the same usage on both sides: ``Prices.card`` (remembered) and ``charge`` here, ``calc_price`` there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import timeit
from datetime import UTC, datetime

import genai_prices

from ctxkit.metering.prices import Prices, charge
from ctxkit.model import Usage

MOMENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT = MOMENT.timestamp()
CASES = {
    "Claude, cache written and read": (
        ("anthropic", "claude-sonnet-4-6"),
        Usage(fresh=1_000, read=8_000, written={"5m": 1_000, "1h": 2_000}, output=500),
        {"input_tokens": 12_000, "cache_read_tokens": 8_000, "cache_write_tokens": 3_000, "cache_write_1h_tokens": 2_000, "output_tokens": 500},
    ),
    "GPT with a cliff, cache read": (
        ("openai", "gpt-6.1-terra"),
        Usage(fresh=3_000, read=9_000, written={}, output=500),
        {"input_tokens": 12_000, "cache_read_tokens": 9_000, "output_tokens": 500},
    ),
    "Gemini with a cliff": (
        ("google", "gemini-2.5-pro"),
        Usage(fresh=50_000, read=200_000, output=2_000),
        {"input_tokens": 250_000, "cache_read_tokens": 200_000, "output_tokens": 2_000},
    ),
}  # fmt: skip


def best(call, number: int) -> float:
    """Least microseconds a call of five rounds."""
    return min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6


def known(prices: Prices, name: str) -> dict[str, float]:
    (platform, model), usage, theirs = CASES[name]
    given = genai_prices.Usage(**theirs)

    def ours() -> int | None:
        return charge(prices.card(platform, model, at=AT), usage)

    def listed() -> object:
        return genai_prices.calc_price(given, model, provider_id=platform, genai_request_timestamp=MOMENT)

    assert ours() == listed().total_price * 10**12
    card = prices.card(platform, model, at=AT)
    return {
        "charge_us": best(lambda: charge(card, usage), 50_000),
        "us": best(ours, 50_000),
        "genai_us": best(listed, 500),
    }


def unknown(prices: Prices) -> dict[str, float]:
    def listed() -> None:
        with contextlib.suppress(LookupError):
            genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "no-such-model", provider_id="openai")

    return {"us": best(lambda: prices.card("openai", "no-such-model", at=AT), 50_000), "genai_us": best(listed, 200)}


def first(name: str) -> float:
    """Microseconds to resolve a card that was never seen, with the list already loaded."""
    (platform, model), _, _ = CASES[name]
    Prices().card(platform, model, at=AT)
    made = [Prices() for _ in range(20)]
    for one in made:
        one.card("vllm", "warm", at=AT)  # reads the rows that come along
    return min(timeit.repeat(lambda: made.pop().card(platform, model, at=AT), number=1, repeat=20)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    prices = Prices()
    rows = {name: known(prices, name) for name in CASES} | {"a model nobody lists": unknown(prices)}
    for row in rows.values():
        row["ratio"] = row["genai_us"] / row["us"]
    resolved = {name: first(name) for name in CASES}
    if args.json:
        print(json.dumps({"rows": rows, "first_resolve_us": resolved}, indent=2))
        return
    print(f"{'':34}{'charge':>10}{'card+charge':>13}{'calc_price':>12}{'ratio':>8}{'first card':>12}")
    for name, row in rows.items():
        alone = f"{row['charge_us']:.2f} us" if "charge_us" in row else "-"
        seen = f"{resolved[name]:.0f} us" if name in resolved else "-"
        print(f"{name:34}{alone:>10}{row['us']:>10.2f} us{row['genai_us']:>9.1f} us{row['ratio']:>7.0f}x{seen:>12}")


if __name__ == "__main__":
    main()
