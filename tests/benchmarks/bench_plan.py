"""What a plan and a settlement cost, as ratios within one run.

    python tests/benchmarks/bench_plan.py [--json]

Rows: one new turn on a 100,000-token history against ``json.dumps`` of the same body; a small request; the first
sight of such a history against tiktoken's own encode of its text; importing ctxkit against bare Python.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ctxkit import Kit, Policy
from ctxkit.metering.tokens import _encoding as vocabulary

WORDS = (Path(__file__).read_text() + json.dumps.__doc__ * 3).split()


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def history(rng: random.Random, messages: int, words: int) -> dict:
    turns = [{"role": ("user", "assistant")[i % 2], "content": text(rng, words)} for i in range(messages)]
    return {"model": "gpt-4o", "messages": [{"role": "system", "content": text(rng, 300)}, *turns]}


def agent(rng: random.Random, calls: int, words: int) -> dict:
    messages = [{"role": "user", "content": [{"type": "text", "text": text(rng, 100)}]}]
    for i in range(calls):
        call = {"type": "tool_use", "id": f"toolu_{i}", "name": "read", "input": {"path": f"src/{i}.py"}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{i}", "content": text(rng, words)}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
    tool = {"name": "read", "description": "Read a file.", "input_schema": {"type": "object", "properties": {}}}
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 1024,
        "tools": [tool],
        "system": "Be brief.",
        "messages": messages,
    }


def spread(call, rounds: int) -> tuple[float, float]:
    """p50 and p99 in microseconds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1e6)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


ANSWERS = {
    "openai.chat": {
        "id": "a", "model": "gpt-4o-2024-08-06", "choices": [{"finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100_000, "completion_tokens": 300, "total_tokens": 100_300},
    },
    "anthropic.messages": {
        "id": "a", "model": "claude-sonnet-4-6", "stop_reason": "end_turn", "type": "message",
        "usage": {"input_tokens": 100_000, "output_tokens": 300},
    },
}  # fmt: skip


def next_turn(kit: Kit, body: dict, dialect: str, rounds: int, answer: dict | None = None) -> tuple[float, float]:
    """Each round is a turn nobody saw before: the history plus one message that is new."""
    answer = answer or ANSWERS[dialect]
    kit.settle(kit.plan(body, dialect=dialect, platform=dialect.split(".", maxsplit=1)[0]), answer)
    turns = iter(range(10**9))

    def turn() -> None:
        new = {"role": "user", "content": f"And what about number {next(turns)}?"}
        longer = {**body, "messages": [*body["messages"], new]}
        plan = kit.plan(longer, dialect=dialect, platform=dialect.split(".", maxsplit=1)[0])
        kit.settle(plan, answer)

    for _ in range(20):
        turn()
    return spread(turn, rounds)


def first_sight(body: dict, dialect: str) -> float:
    """Microseconds of planning a history nobody saw, by a kit that is warm."""
    kit = Kit(strict=True)
    kit.plan({"model": body["model"], "messages": []}, dialect=dialect, platform=dialect.split(".", maxsplit=1)[0])
    began = time.perf_counter()
    kit.plan(body, dialect=dialect, platform=dialect.split(".", maxsplit=1)[0])
    return (time.perf_counter() - began) * 1e6


def measure() -> list[dict]:
    rng = random.Random(7)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(store=Path(folder) / "store", ledger=Path(folder) / "ledger.db", strict=True)
        bodies = {
            "chat, 400 messages": ("openai.chat", history(rng, 400, 170)),
            "chat, 100 messages": ("openai.chat", history(rng, 100, 680)),
            "agent, 200 messages": ("anthropic.messages", agent(rng, 100, 680)),
        }
        for name, (dialect, body) in bodies.items():
            parse = json.loads(json.dumps(body))
            texts = [json.dumps(parse)] if dialect != "openai.chat" else [m["content"] for m in parse["messages"]]
            o200k = vocabulary("o200k_base")
            tokens = sum(len(o200k.encode_ordinary(t)) for t in texts)
            encode = min(spread(lambda: [o200k.encode_ordinary(t) for t in texts], 3))  # noqa: B023
            first = min(first_sight(parse, dialect) for _ in range(3))
            dumps, _ = spread(lambda: json.dumps(body), 200)  # noqa: B023
            p50, p99 = next_turn(kit, body, dialect, 500)
            rows += [
                {"row": f"next turn, {name} ({tokens:,} tokens)", "p50_us": p50, "p99_us": p99,
                 "ratio": p50 / dumps, "of": "json.dumps of the body", "goal": 1.5, "p99/p50": p99 / p50},
                {"row": f"first sight, {name}", "p50_us": first, "ratio": first / encode, "of": "tiktoken's own encode",
                 "goal": 1.5},
            ]  # fmt: skip
        small = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
        usage = {"prompt_tokens": 25, "completion_tokens": 20, "total_tokens": 45}
        p50, p99 = next_turn(kit, small, "openai.chat", 3000, ANSWERS["openai.chat"] | {"usage": usage})
        rows.append({"row": "small request", "p50_us": p50, "p99_us": p99, "goal_us": 150})
        kit.close()
        for mode, times in (("cache", 500), ("lossless", 200), ("prune", 200)):
            for name in ("chat, 400 messages", "agent, 200 messages"):
                rows.append(acting(folder, mode, times, name, *bodies[name]))
    bare, ours = (start_up(code) for code in ("pass", "import ctxkit"))
    rows.append({"row": "import ctxkit over bare Python", "p50_us": ours - bare, "goal_us": 60_000})
    return rows


def acting(folder: str, mode: str, times: int, name: str, dialect: str, body: dict) -> dict:
    """The next turn once more where the cache is looked after, or contents are tidied, too."""
    kit = Kit(Policy(mode=mode), store=Path(folder) / f"{dialect}-{mode}-store", strict=True)
    dumps, _ = spread(lambda: json.dumps(body), 200)
    p50, p99 = next_turn(kit, body, dialect, times)
    kit.close()
    return {"row": f"next turn in mode {mode}, {name}", "p50_us": p50, "p99_us": p99,
            "ratio": p50 / dumps, "of": "json.dumps of the body", "goal": 1.5, "p99/p50": p99 / p50}  # fmt: skip


def start_up(code: str) -> float:
    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    return spread(run, 15)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    rows = measure()
    if parser.parse_args().json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        ratio = (
            f"{row['ratio']:.2f} x {row['of']} (goal {row['goal']})" if "ratio" in row else f"goal {row['goal_us']} us"
        )
        tail = f", p99 {row['p99_us']:,.0f} us" if "p99_us" in row else ""
        print(f"{row['row']:50} p50 {row['p50_us']:>10,.0f} us{tail}: {ratio}")


if __name__ == "__main__":
    main()
