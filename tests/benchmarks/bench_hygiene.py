"""What tidying brings: recorded threads through every mode, and through rivals, to simulated providers.

    python -m tests.benchmarks.bench_hygiene --quick            # tool chats, one provider, a minute or two
    python -m tests.benchmarks.bench_hygiene --only prune toy   # some of the rows
    python -m tests.benchmarks.bench_hygiene --json FILE        # everything, for scripts/benchmarks.py: an hour

Costs are those of the prompts over the raw ones (answers cost the same everywhere): the application's history as it is,
with a marker behind the opening instruction and one at the tail.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

from ctxkit.errors import ConfigurationError
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.policy import Policy
from ctxkit.replay.billing import Setting
from ctxkit.replay.optimum import captured
from ctxkit.replay.possible import optimum
from ctxkit.replay.references import References
from ctxkit.replay.running import KitSender, Peer, replay
from ctxkit.replay.threads import grouped, read_threads
from tests.benchmarks import toys
from tests.benchmarks.peers import PEERS, Absent, Piped

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve() / "threads"
ANTHROPIC = Setting("Anthropic, 5 minutes", "anthropic", "claude-sonnet-4-5", "anthropic.messages")
SETTINGS = {
    "anthropic": ANTHROPIC,
    "idle": Setting(
        "Anthropic, 5 minutes, pauses of 10", "anthropic", "claude-sonnet-4-5", "anthropic.messages", 5.0, 600.0, 8
    ),
    "cheap": Setting("Anthropic, reads at 0.025", "anthropic", "claude-fable-5-1", "anthropic.messages"),
    "openai-old": Setting("OpenAI before 5.6", "openai", "gpt-5.1", "openai.chat"),
    "openai-new": Setting("OpenAI from 5.6 on", "openai", "gpt-5.6", "openai.chat"),
}
ROWS = {
    "raw": Peer,
    "observe": lambda: KitSender(Policy(mode="observe"), as_raw=True),
    "cache": lambda: KitSender(Policy(mode="cache")),
    "lossless": lambda: KitSender(Policy(mode="lossless")),
    "prune": lambda: KitSender(Policy(mode="prune")),
    "prune, fresh kit": lambda: KitSender(Policy(mode="prune"), fresh=True),
    "prune, own markers": lambda: KitSender(Policy(mode="prune"), as_raw=True),
    "white space": lambda: Peer(toys.white_space),
    "toy": lambda: Peer(toys.Toy()),
    "toy, eager": lambda: Peer(toys.Toy(20_000, 5_000)),
    "keep last 20": lambda: Peer(toys.last(20)),
    "batched clear": lambda: Peer(toys.Cleared()),
    **{name: (lambda name=name: Peer(Piped(name))) for name in PEERS},
}
QUICK = ("raw", "cache", "lossless", "prune", "white space", "toy")


def sets_of(names, sample):
    """Threads by name of their set."""
    found = {}
    for name in names:
        file, _, size = name.partition(":")
        threads = grouped(list(read_threads(DATA / f"{file}.jsonl.xz")), int(size or 1))
        found[name] = threads if len(threads) <= sample else random.Random(1).sample(threads, sample)
    return found


def played(row, threads, setting, counter, prices):
    """All threads of a set through one row, one after another."""
    sender, runs, seen = ROWS[row](), [], []
    for thread in threads:
        seen.append(References())
        runs.append(replay(thread, sender, setting, watch=[seen[-1]], counter=counter, prices=prices))
    sender.close()
    return runs, seen


def ratio(runs, raw, figure):
    whole = sum(getattr(one, figure) for one in raw)
    return sum(getattr(one, figure) for one in runs) / whole if whole else 1.0


def interval(runs, raw, figure="pico", draws=1000):
    """Where the pooled ratio lies in 95 of 100 draws of as many threads, with replacement."""
    pairs = [(getattr(one, figure), getattr(two, figure)) for one, two in zip(runs, raw, strict=True)]
    chance = random.Random(7)
    found = []
    for _ in range(draws):
        drawn = chance.choices(pairs, k=len(pairs))
        found.append(sum(one for one, _ in drawn) / sum(two for _, two in drawn))
    found.sort()
    return found[round(draws * 0.025)], found[round(draws * 0.975) - 1]


def optima(threads, setting, counter, prices):
    """The least that each thread could have cost; nothing where numpy is missing."""
    try:
        return [optimum(thread, setting, counter=counter, prices=prices) for thread in threads]
    except ConfigurationError as error:
        print(f"no optimum: {error}")
        return []


def measured(runs, raw, seen, best=()):
    """What a row came to."""
    worst = [one.pico / two.pico for one, two in zip(runs, raw, strict=True)]
    found = sum(one.found for one in seen)
    calls = sorted(call.seconds for run in runs for call in run.calls)
    return {
        "tokens": ratio(runs, raw, "tokens"),
        "cost": ratio(runs, raw, "pico"),
        "interval": interval(runs, raw),
        "ideal": ratio(runs, raw, "ideal"),
        "rewrites": sum(one.rewrites for one in runs) / len(runs),
        "present": sum(one.present for one in seen) / found if found else 1.0,
        "reach": sum(one.present + one.recoverable for one in seen) / found if found else 1.0,
        "references": found,
        "worst": max(worst),
        "above_1": sum(one > 1.01 for one in worst) / len(worst),
        "milliseconds": 1e3 * calls[len(calls) // 2],
        "refused": sum(bool(call.refused) for run in runs for call in run.calls),
        "captured": captured([one.pico for one in raw], [one.pico for one in runs], [one.real for one in best])
        if best
        else None,
        "threads": len(runs),
        "calls": len(calls),
    }


HEAD = f"{'':34}{'tokens':>8}{'cost':>8}{'95 of 100':>16}{'ideal':>8}{'worst':>8}{'>1.01':>7}{'present':>9}{'reach':>8}{'rewrites':>10}{'ms':>8}{'refused':>9}{'captured':>10}"


def line(name, one):
    low, high = one["interval"]
    return (
        f"{name:34}{one['tokens']:8.3f}{one['cost']:8.3f}{f'{low:.3f}-{high:.3f}':>16}{one['ideal']:8.3f}"
        f"{one['worst']:8.3f}{one['above_1']:7.0%}{one['present']:9.4f}{one['reach']:8.4f}{one['rewrites']:10.1f}"
        f"{one['milliseconds']:8.2f}{one['refused']:9}{'' if one['captured'] is None else format(one['captured'], '10.1%')}"
    )


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tool chats, one provider, few rows")
    parser.add_argument("--only", nargs="*", help="rows, raw is always among them")
    parser.add_argument("--sets", nargs="*", help="as tau_bench_airline:5, openhands, mint")
    parser.add_argument("--settings", nargs="*", choices=list(SETTINGS))
    parser.add_argument("--sample", type=int, default=0, help="threads of a set at most")
    parser.add_argument("--optimum", action="store_true", help="share of the possible saving (always with --json)")
    parser.add_argument("--missing", action="store_true", help="show references that were lost")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(argv)
    if not DATA.is_dir():
        parser.error(f"no recorded conversations at {DATA}: set CTXKIT_DATA to the folder that holds threads/")
    chats = ["tau_bench_airline", "tau_bench_airline:5", "tau_bench_airline:20"]
    names = asked.sets or (chats if asked.quick else [*chats, "swe_agent_demos", "openhands", "aider_chats", "mint"])
    rows = asked.only or (QUICK if asked.quick else list(ROWS))
    settings = asked.settings or (["anthropic"] if asked.quick else list(SETTINGS))
    counter, prices, out = Counter(), Prices(), {}
    sets = sets_of(names, asked.sample or (10_000 if asked.quick else 100))
    for setting in settings:
        for name, threads in sets.items():
            calls = sum(len(one.calls) for one in threads)
            print(f"\n{SETTINGS[setting].name}: {name}, {len(threads)} threads, {calls} requests\n{HEAD}", flush=True)
            raw, seen = played("raw", threads, SETTINGS[setting], counter, prices)
            best = optima(threads, SETTINGS[setting], counter, prices) if asked.optimum or asked.json else []
            if best:
                whole = sum(one.pico for one in raw)
                real, ideal = sum(one.real for one in best) / whole, sum(one.ideal for one in best) / whole
                out[f"{setting}/{name}/optimum"] = {"cost": real, "ideal": ideal, "threads": len(best), "calls": calls}
                print(f"{'optimum':34}{'':8}{real:8.3f}{'':16}{ideal:8.3f}", flush=True)
            for row in dict.fromkeys(["raw", *rows]):
                began = time.perf_counter()
                try:
                    runs, seen = (
                        (raw, seen) if row == "raw" else played(row, threads, SETTINGS[setting], counter, prices)
                    )
                except Absent as absent:
                    print(f"{row:34} left out: {absent}", flush=True)
                    continue
                one = measured(runs, raw, seen, best)
                out[f"{setting}/{name}/{row}"] = one
                print(f"{line(row, one)}  ({time.perf_counter() - began:.0f} s)", flush=True)
                if asked.missing:
                    print("   lost:", [lost for each in seen for lost in each.missing][:40])
            if asked.json:
                asked.json.write_text(json.dumps(out, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
