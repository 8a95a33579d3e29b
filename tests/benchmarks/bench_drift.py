"""What the figures of drift say of recorded conversations: noise that is none, and whether the score tells good from bad.

    python -m tests.benchmarks.bench_drift --quick               # samples, a minute
    python -m tests.benchmarks.bench_drift --json FILE           # everything, for scripts/benchmarks.py
    python -m tests.benchmarks.bench_drift --relevance auto      # with the embedding model that is at hand

*Noise.* At some requests of each conversation: how much is noise, and whether what the recorded model named in its very next
answer (:mod:`ctxkit.replay.references`) still stands in what is none, as a mean over answers; beside it, where as many tokens
go by chance, and where the oldest go.

*Score.* The area under the curve (AUC): how often a conversation that failed scores higher than one that succeeded, 0.5
being chance; with DeLong's interval for 95 of 100. Long conversations fail more often and score higher, so the number of
messages alone is a yardstick, and a second figure compares only conversations of about the same length.

Tokens are taken as a quarter of the characters.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from pathlib import Path
from statistics import fmean, median, pvariance

from ctxkit.hygiene.drift import curve, level_of
from ctxkit.hygiene.drift.parts import parts_of
from ctxkit.hygiene.history import History
from ctxkit.hygiene.relevance import relevance
from ctxkit.replay.references import referred, stands
from ctxkit.replay.threads import grouped, read_threads
from tests.benchmarks.bench_loops import conversations, history_of

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve() / "threads"
NOISE = (
    "tau_bench_airline",
    "tau_bench_airline:5",
    "tau_bench_airline:20",
    "swe_agent_demos",
    "openhands",
    "aider_chats",
    "mint",
)
EACH = 8  # requests of a conversation that are looked at; of one that was glued together, three times as many
LEVELS = ("calm", "drifting", "lost")
LENGTH = "number of messages"


def tokens(piece):
    return len(piece.text) / 4


def threads(name, most):
    file, _, size = name.partition(":")
    found = grouped(list(read_threads(DATA / f"{file}.jsonl.xz")), int(size or 1))
    return found if len(found) <= most else random.Random(1).sample(found, most)


def told(thread):
    return history_of("openai.chat", {"model": "m", "messages": list(thread.messages)})


def looked(history, ranked, ends=None, most=EACH):
    """What is found at some requests, and how long one of them takes."""
    began = time.perf_counter()
    found = curve(history, tokens_of=tokens, relevance=ranked, ends=ends, most=most)
    return found, (time.perf_counter() - began) / max(len(found), 1)


# ---- noise ---------------------------------------------------------------------------------------------------------------


def kept(history, end, spots, answer, chance):
    """Of the names in the answer that stood in the prompt, those in what is no noise; where as much goes by chance; by age."""
    parts = parts_of(History([piece for piece in history.pieces if piece.message < end], end), tokens)
    names = [name for name in sorted(referred(answer)) if stands(name, text_of(parts, ()))]
    if not names:
        return 0, 0, 0, 0
    noise = {at for at, part in enumerate(parts) if any(within(part, spot) for spot in spots)}
    latest = max((one.piece.message for one in parts if one.piece.speaker == "assistant"), default=end)
    older = [at for at, one in enumerate(parts) if one.piece.message < latest]  # as with noise, what came last stays
    size = sum(parts[at].tokens for at in noise)
    gone = (noise, first(chance.sample(older, len(older)), parts, size), first(older, parts, size))
    texts = [text_of(parts, out) for out in gone]
    return 1, *(fmean(stands(name, text) for name in names) for text in texts)


def within(part, spot):
    return spot.place == part.piece.place and spot.start - 1e-6 <= part.start < spot.start + spot.tokens - 1e-6


def text_of(parts, out):
    return "\n".join(one.text for at, one in enumerate(parts) if at not in out)


def first(order, parts, size):
    """So many of them that they come to these tokens."""
    out = set()
    for at in order:
        if size < parts[at].tokens / 2:
            break
        out.add(at)
        size -= parts[at].tokens
    return out


def noise_row(name, most, ranked):
    chance, shares, names, seconds, levels = random.Random(3), [], [], [], []
    for thread in threads(name, most):
        history = told(thread)
        before = len(thread.messages) - history.count
        found, each = looked(history, ranked, most=3 * EACH if ":" in name else EACH)
        seconds.append(each)
        levels.append(level_of(found[-1][1].drift.score))
        for end, one in found:
            shares.append((one.drift.noise, one.drift.tokens))
            if end + before < len(thread.messages):
                names.append(kept(history, end, one.spots, thread.messages[end + before], chance))
    asked, *still = (sum(each) for each in zip(*names, strict=True))
    return {
        "threads": len(levels),
        "requests": len(shares),
        "tokens": fmean(of for _, of in shares),
        "noise": sum(noise for noise, _ in shares) / max(sum(of for _, of in shares), 1),
        "answers": asked,
        **{what: each / max(asked, 1) for what, each in zip(("kept", "random", "oldest"), still, strict=True)},
        "levels": {level: levels.count(level) / len(levels) for level in LEVELS},
        "milliseconds": 1e3 * median(seconds),
    }


# ---- score ---------------------------------------------------------------------------------------------------------------


def figures(history, ranked, ends=None):
    """Of a whole conversation: at its last request, and over all that were looked at."""
    found, _ = looked(history, ranked, ends)
    last, every = found[-1][1].drift, [one.drift for _, one in found]
    return {
        "score": last.score,
        "score, mean over requests": fmean(one.score for one in every),
        "score, highest": max(one.score for one in every),
        "noise": last.noise_share,
        "repetition": last.repetition,
        "loop, highest": max(one.loop for one in every),
        "goal lost": 0.0 if last.goal is None else 1 - last.goal,
        LENGTH: history.count,
    }


def auc(bad, good):
    """How often one of ``bad`` is above one of ``good``, a tie counting half, with DeLong's interval."""
    if min(len(bad), len(good)) < 2:
        return None
    low, high = sorted(good), sorted(bad)
    over = [(bisect_left(low, one) + bisect_right(low, one)) / 2 / len(low) for one in bad]
    under = [1 - (bisect_left(high, one) + bisect_right(high, one)) / 2 / len(high) for one in good]
    middle, error = fmean(over), math.sqrt(pvariance(over) / (len(bad) - 1) + pvariance(under) / (len(good) - 1))
    return middle, max(middle - 1.96 * error, 0.0), min(middle + 1.96 * error, 1.0)


def alike(pairs, figure, near, draws=200):
    """The same over pairs of about the same length; where it lies in 95 of 100 draws of as many conversations."""

    def of(drawn):
        by_length, over, pairs_ = defaultdict(list), 0.0, 0
        for one, failed in drawn:
            if not failed:
                for length in range(one[LENGTH] - near, one[LENGTH] + near + 1):
                    by_length[length].append(one[figure])
        for values in by_length.values():
            values.sort()
        for one, failed in drawn:
            if failed:
                values = by_length.get(one[LENGTH], ())
                over += (bisect_left(values, one[figure]) + bisect_right(values, one[figure])) / 2
                pairs_ += len(values)
        return over / pairs_ if pairs_ else 0.5

    chance = random.Random(7)
    found = sorted(of(chance.choices(pairs, k=len(pairs))) for _ in range(draws))
    return of(pairs), found[round(draws * 0.025)], found[round(draws * 0.975) - 1]


def compared(pairs, near=None):
    """By figure; ``pairs`` hold the figures of a conversation and whether it is a bad one."""
    rows = {}
    for figure in pairs[0][0]:
        bad, good = (
            [one[figure] for one, failed in pairs if failed],
            [one[figure] for one, failed in pairs if not failed],
        )
        rows[figure] = {"bad": fmean(bad), "good": fmean(good), "auc": auc(bad, good)}
        if near is not None:
            rows[figure]["alike"] = alike(pairs, figure, near)
    return {
        "bad": sum(failed for _, failed in pairs),
        "good": sum(not failed for _, failed in pairs),
        "levels": {"bad": shares_of(pairs, failed=True), "good": shares_of(pairs, failed=False)},
        "figures": rows,
    }


def shares_of(pairs, *, failed):
    levels = [level_of(one["score, highest"]) for one, bad in pairs if bad is failed]
    return {level: levels.count(level) / max(len(levels), 1) for level in LEVELS}


def outcomes(name, field, most, ranked):
    return [(figures(told(one), ranked), float(one.label[field]) < 0.5) for one in threads(name, most)]


def glued(size, most, ranked):
    """One conversation against so many of others in one."""
    alone, together = threads("tau_bench_airline", most), threads(f"tau_bench_airline:{size}", most)
    return [(figures(told(one), ranked), bad) for bad, some in ((False, alone), (True, together)) for one in some]


def stuck(most, ranked):
    """Recorded sessions: those that somebody called a loop against all others."""
    found = [(one.history, one.loop) for one in conversations()]
    drawn = found if len(found) <= most else random.Random(1).sample(found, most)
    return [(figures(history, ranked, [*history.steps[1:], history.count]), loop) for history, loop in drawn]


# ---- all of it -----------------------------------------------------------------------------------------------------------


def ranking(name):
    if name == "lexical":
        return relevance
    from ctxkit.hygiene.semantic import Semantic
    from ctxkit.hygiene.vectors import shared

    return Semantic(shared(name), wait=math.inf)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="samples")
    parser.add_argument("--relevance", default="lexical", help="lexical, auto, or an embedding model")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args()
    ranked = ranking(asked.relevance)
    most = 20 if asked.quick else 150
    out = {"by": asked.relevance, "each": EACH, "noise": {}, "score": {}}
    for name in NOISE:
        out["noise"][name] = one = noise_row(name, most, ranked)
        levels = "  ".join(f"{level} {share:.0%}" for level, share in one["levels"].items())
        print(
            f"{name:24}{one['requests']:6} requests {one['tokens']:9,.0f} tokens  noise {one['noise']:.3f}  "
            f"{one['answers']:5} answers kept {one['kept']:.3f} random {one['random']:.3f} oldest {one['oldest']:.3f}  {levels}  {one['milliseconds']:.1f} ms",
            flush=True,
        )
    compare = {
        "tool chats, failed and successful": (lambda: outcomes("tau_bench_airline", "reward", most, ranked), 2),
        "problems with an interpreter, failed and solved": (lambda: outcomes("mint", "success", most * 10, ranked), 0),
        "sessions, loops and others": (lambda: stuck(most * 10, ranked), None),
        "20 conversations in one and 1": (lambda: glued(20, most, ranked), None),
        "5 conversations in one and 1": (lambda: glued(5, most, ranked), None),
    }
    for name, (make, near) in compare.items():
        out["score"][name] = one = compared(make(), near)
        print(f"\n{name}: {one['bad']} and {one['good']}; at the worst {one['levels']}")
        for figure, row in one["figures"].items():
            shown = [
                f"{key} {row[key][0]:.3f} ({row[key][1]:.3f}-{row[key][2]:.3f})"
                for key in ("auc", "alike")
                if row.get(key)
            ]
            print(f"  {figure:28}{row['bad']:9.3f}{row['good']:9.3f}  {'  '.join(shown)}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"drift": out}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
