"""What placing markers brings: conversations over simulated caches, without markers, with the automatic one, placed.

    python tests/benchmarks/bench_placement.py [seeds]

Costs are shares of what the same requests cost where nothing is ever cached; the mean over some seeds. Output tokens
are left out: they are the same everywhere. Placement believes what the simulated cache holds and knows no price list
but the rules' multipliers. The conversations are those of ``tests/caching/scenarios.py``.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parents[2]))

from ctxkit.cacheable import Ask
from tests.caching.conversations import Provider
from tests.caching.scenarios import SCENARIOS, Played, play, requests_of

PROVIDERS = [
    Provider("anthropic", "claude-opus-5", "anthropic.messages"),
    Provider("anthropic", "claude-opus-5-5", "anthropic.messages"),
    Provider("bedrock", "claude-sonnet-4-5", "bedrock.converse"),
    Provider("openai", "gpt-6-sol", "openai.responses"),
    Provider("qwen", "qwen3.7-max", "openai.chat"),
]


def share(played: list[Played]) -> str:
    return f"{fmean(one.cost / one.uncached for one in played):10.3f}"


def main(seeds: int) -> None:
    for provider in PROVIDERS:
        rule = provider.rule
        print(f"\n{rule.id}, {provider.model}: share of the price of an uncached prompt")
        print(f"{'':28}{'unmarked':>10}{'automatic':>10}{'placed':>10}   chosen most often (opening, end, mode)")
        for name in SCENARIOS:
            requests = [requests_of(name, rule, seed) for seed in range(seeds)]
            plain = [play(provider, one) for one in requests]
            own = rule.id.startswith("anthropic")  # others have no top-level marker
            automatic = [play(provider, one, ask=Ask(automatic="")) for one in requests] if own else []
            begun = time.perf_counter()
            placed = [play(provider, one, placed=True) for one in requests]
            spent = (time.perf_counter() - begun) / sum(map(len, requests))
            chosen = Counter(placement.choice for one in placed for placement in one.placements).most_common(2)
            words = "; ".join(f"{choice.opening}, {choice.tail}, {choice.mode} x{n}" for choice, n in chosen)
            middle = share(automatic) if own else f"{'-':>10}"
            print(
                f"{name:28}{share(plain)}{middle}{share(placed)}   {words}   {spent * 1e6:.0f} us a request, simulated"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
