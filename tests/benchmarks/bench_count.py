"""What counting and learning cost, as ratios within one run.

    python tests/benchmarks/bench_count.py

Rows: the first sight of a 100,000-token history of 400 messages against tiktoken's own encode of its text, per family;
the same history remembered; ``correct`` and ``observe`` together.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from pathlib import Path

from ctxkit.dialects.anthropic import messages as anthropic_messages
from ctxkit.dialects.openai import chat as openai_chat
from ctxkit.metering.count import Counter
from ctxkit.metering.learning import Learned
from ctxkit.metering.tokens import _encoding as vocabulary
from ctxkit.model import Usage

MESSAGES, TOKENS = 400, 100_000


def history():
    """Messages of 250 tokens each, cut from the source of this package."""
    encoding = vocabulary("o200k_base")
    folder = Path(__file__).parents[2] / "ctxkit"
    source = "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.py")))
    tokens = encoding.encode_ordinary(source * 3)[:TOKENS]
    size = TOKENS // MESSAGES
    return [encoding.decode(tokens[place : place + size]) for place in range(0, TOKENS, size)]


def best(call, rounds):
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def main():
    texts = history()
    encoding = vocabulary("o200k_base")
    roles = ("user", "assistant")
    body = {"messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]}
    plain = best(lambda: [encoding.encode_ordinary(text) for text in texts], 9)
    print(f"tiktoken's own encode of {MESSAGES} messages, {TOKENS:,} tokens: {plain * 1e3:.1f} ms")
    for view, platform, model in (
        (anthropic_messages, "anthropic", "claude-sonnet-4-5"),
        (openai_chat, "mistral", "mistral-large-latest"),
        (openai_chat, "openai", "gpt-4o"),
    ):
        conversation = view.view(body)
        digests = [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
        Counter().count(conversation, digests, platform=platform, model=model)  # the vocabulary is loaded

        def count(counter, conversation=conversation, digests=digests, platform=platform, model=model):
            return counter.count(conversation, digests, platform=platform, model=model)

        first = best(lambda count=count: count(Counter()), 9)
        known = Counter()
        count(known)
        again = best(lambda count=count, known=known: count(known), 500)
        print(f"{model}: first sight {first / plain:.2f} x encode; remembered {again * 1e6:.0f} us")
    learned, usage = Learned(), Usage(fresh=900, read=100, written={}, output=50)
    found = count(known)

    def settle():
        learned.correct(found, "feature", "model")
        learned.observe(found, "feature", "model", usage)

    print(f"correct and observe: {best(lambda: [settle() for _ in range(100)], 200) * 1e4:.1f} us")


if __name__ == "__main__":
    main()
