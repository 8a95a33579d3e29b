"""What planning in the shadow costs an application that never waits, as a ratio within one run.

    python tests/benchmarks/bench_shadow.py [--json]

Conversations are planned and settled one after another without a pause, with the policy's ``shadow`` off and on, in turns.
An application that waits for answers has the same plans and settlements, and pays for the offer alone (last row).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bench_plan import ANSWERS, agent, history

from ctxkit import Kit, Policy
from ctxkit.hall.shadow import shadows_of

ROUNDS, SECONDS = 5, 4.0


def busy(body: dict, dialect: str, *, shadow: bool) -> tuple[float, float, float]:
    """Requests a second, and microseconds of the median and of the slowest per cent; ten requests a conversation."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(Policy(shadow=shadow), store=Path(folder) / "store", ledger=Path(folder) / "ledger.db")
        begun, number = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS:
            new = [{"role": "user", "content": f"{number // 10}, {turn}"} for turn in range(number % 10 + 1)]
            longer, before = {**body, "messages": [*body["messages"], *new]}, time.perf_counter()
            plan = kit.plan(
                longer, dialect=dialect, platform=dialect.split(".", maxsplit=1)[0], thread=f"t{number // 10}"
            )
            kit.settle(plan, ANSWERS[dialect])
            taken.append((time.perf_counter() - before) * 1e6)
            number += 1
        elapsed = time.perf_counter() - begun
        kit.close()
    taken.sort()
    return number / elapsed, statistics.median(taken), taken[int(len(taken) * 0.99)]


def offered(body: dict) -> float:
    """Microseconds of handing a request over."""
    kit = Kit(Policy(shadow=False))
    shadows = shadows_of(kit)
    shadows.behind._begin = lambda: None
    plan = kit.plan(body, dialect="openai.chat", platform="openai")
    record = kit.settle(plan, ANSWERS["openai.chat"])
    begun = time.perf_counter()
    for _ in range(10_000):
        shadows.offer(plan, record)
        shadows.behind.queue.clear()
    return (time.perf_counter() - begun) * 100


def measure() -> list[dict]:
    rng = random.Random(7)
    bodies = {
        "chat, 400 messages": ("openai.chat", history(rng, 400, 170)),
        "agent, 200 messages": ("anthropic.messages", agent(rng, 100, 680)),
        "chat, 3 messages": ("openai.chat", history(rng, 2, 20)),
    }
    rows = []
    for name, (dialect, body) in bodies.items():
        runs = [(busy(body, dialect, shadow=False), busy(body, dialect, shadow=True)) for _ in range(ROUNDS)]
        off, on = ([statistics.median(run[side][place] for run in runs) for place in range(3)] for side in (0, 1))
        rows.append(
            {"what": name, "per second": round(off[0]), "with shadow": round(on[0]), "ratio": round(on[0] / off[0], 3),
             "p50": round(on[1] / off[1], 3), "p99": round(on[2] / off[2], 3)}
        )  # fmt: skip
    return [*rows, {"what": "offer, microseconds", "with shadow": round(offered(bodies["chat, 400 messages"][1]), 1)}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = measure()
    if parser.parse_args().json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print("  ".join(f"{name} {value}" for name, value in row.items()))
