"""Write docs/reference/benchmarks.md from what benchmarks in tests/benchmarks measured.

python -m tests.benchmarks.bench_hygiene --json measured.json     # an hour or so, all of it
python -m tests.benchmarks.bench_loops --json loops.json          # half a minute
python -m tests.benchmarks.bench_drift --json drift.json          # some minutes
python -m tests.benchmarks.bench_evidence --json evidence.json    # an hour or so, all of it
python scripts/benchmarks.py measured.json [more.json ...]

Chapters of which no file tells anything stay as they are.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"

SETTINGS = {
    "anthropic": ("Anthropic, 5-minute cache", "Claude Sonnet 4.5: reads at 0.1 of the input price, writes at 1.25."),
    "idle": ("Anthropic, with pauses", "The same, with a pause of ten minutes after every eighth request."),
    "cheap": ("Very cheap reads", "Claude Fable 5.1: reads at 0.025, writes at 1.25."),
    "openai-old": ("OpenAI before 5.6", "GPT-5.1: reads at 0.1, writes cost nothing, no markers."),
    "openai-new": ("OpenAI from 5.6 on", "GPT-5.6: reads at 0.1, writes at 1.25, endings of messages are cached."),
}
SETS = {
    "tau_bench_airline": "Tool chats, one conversation a thread",
    "tau_bench_airline:5": "Tool chats, 5 conversations a thread",
    "tau_bench_airline:20": "Tool chats, 20 conversations a thread",
    "swe_agent_demos": "SWE-agent, a coding agent",
    "openhands": "OpenHands, long coding runs",
    "aider_chats": "aider, coding chats",
    "mint": "MINT, short problems with an interpreter",
}
OURS = {"observe", "cache", "lossless", "prune", "prune, fresh kit", "prune, own markers"}

HEAD = """\
# Benchmarks

Written by `python scripts/benchmarks.py` from `python -m tests.benchmarks.bench_hygiene --json FILE`.
{where}

Recorded conversations and agent runs are sent once more, request by request, through every mode of ctxkit and through
rivals, to providers' caches that are simulated by the rules of [the providers](providers/index.md) and billed by their price
lists. Losses are in the tables, too.

- **cost** is the price of all prompts over that of the raw history, which is sent append-only with a marker behind the
  opening instruction and one at the tail (where the wire has markers). Answers cost the same everywhere and are left out.
  Behind it the interval that holds 95 of 100 draws of as many threads, with replacement (1,000 draws).
- **ideal** is the same ratio under ideal billing: whatever an earlier request of the thread shares with this one is read, to
  the block, with no minimum and wherever it ends, and only what will be read is written. That is a lower bound for the bodies
  that were sent: no placing of markers could do better, but for buying a longer life
  than the default one, which shows where there are pauses.
- **worst** is the thread that fared worst; **> 1.01** the share of threads that cost more than 1 % above raw.
- **present**: of the identifiers in the recorded model's answers (values passed to tools; ids, amounts, dates, paths and names
  in words) that stood in the conversation at that call, the share that still stood in what was sent. **in reach** adds those
  that stood in the result of a tool that the request has, which can be called again.
- **rewrites** per thread: requests that did not continue the one before them.
- **ms**: median time of the decision per request, in milliseconds, on this machine; for ctxkit it holds all that a plan does
  (counting, pricing, forecast).
- **captured**: share of the possible saving. The *optimum* is the least that any policy could have paid, found by dynamic
  programming over when to rewrite and from where, with one fixed set of what may go: what mode `prune` makes smaller on arrival,
  and what its passes propose at each request, whatever it costs. Its cost stands under **cost** where a prefix can be read only
  where a request ended one, under **ideal** where it can be read anywhere. It knows the future, also which request is the last
  one (the end of its prompt need not be written: most of what is left on short threads), but not that what is written right
  before a rewrite need not be: there it may be off by a few thousandths.

One kit meets all threads of a row, a day apart, so that it learns how long they live; `prune, fresh kit` meets each with a new one.
In `prune, own markers` the application has set the markers of the raw history itself. Requests follow one another by 5 seconds.

Rivals, pinned in the extra `bench`, each with the settings that its documentation shows: `trim_messages` of LangChain (last
8,000 tokens, beginning with a user), its `ClearToolUsesEdit` with its defaults (from 100,000 tokens on) and from 8,000 tokens on,
headroom's `compress` and `densify`, llmbuffer (at most 8,000 tokens). By hand: the last 20 messages; old results cleared in batches
of ten, the latest five kept; JSON white space taken out; and a toy of forty lines (white space, and when the history exceeds
30,000 characters its oldest turns go at once until 10,000 are left, all but identifiers in a stub; eager: 20,000 and 5,000).
"""


def number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def row_of(name: str, one: dict[str, Any]) -> str:
    shown = f"**{name}**" if name in OURS else name
    if name == "optimum":
        return f"| *optimum* | | {one['cost']:.3f} | {one['ideal']:.3f} | | | | | | | |"
    low, high = one["interval"]
    cells = [
        shown,
        f"{one['tokens']:.3f}",
        f"{one['cost']:.3f} ({low:.3f}-{high:.3f})",
        f"{one['ideal']:.3f}",
        f"{one['worst']:.3f}",
        f"{one['above_1']:.0%}",
        f"{one['present']:.4f}",
        f"{one['reach']:.4f}",
        f"{one['rewrites']:.1f}",
        f"{one['milliseconds']:.2f}",
        number(one["captured"], ".0%"),
    ]
    return f"| {' | '.join(cells)} |"


def tables(measured: dict[str, dict[str, Any]], setting: str) -> list[str]:
    lines: list[str] = []
    for name, title in SETS.items():
        rows = {
            key.rpartition("/")[2]: one
            for key, one in measured.items()
            if key.rpartition("/")[0] == f"{setting}/{name}"
        }
        if "raw" not in rows:
            continue
        raw = rows["raw"]
        lines += [
            f"### {title}",
            "",
            f"{raw['threads']} threads, {raw['calls']:,} requests, {raw['references']:,} references.",
            "",
            "| | tokens | cost | ideal | worst | > 1.01 | present | in reach | rewrites | ms | captured |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(row_of(row, one) for row, one in rows.items() if row != "raw"),
            "",
        ]
    return lines


def where() -> str:
    made = datetime.now(UTC).date().isoformat()
    cores, system = os.cpu_count(), f"{platform.system()} {platform.machine()}"
    return f"Times belong to the machine: {cores} cores, {system}, Python {platform.python_version()}, {made}."


def loops(rows: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "Whether the model is stuck (`loop` of [drift](../explanation/drift.md)): recorded sessions of agents, and the agent runs and",
        "chats from above, by `python -m tests.benchmarks.bench_loops`. `tests/benchmarks/loops.json` says which are loops, and by which",
        "rule somebody who read them judged that. A conversation counts as found when it is stuck at any of its requests. Sessions are in",
        "two halves by the name of their recording: thresholds were set on one, the other one counts. Of agent runs those were read that",
        "were found, and those in which one thing stands three times word for word; the detector was mended once after that. Intervals:",
        "Wilson's, for 95 of 100. Conversations of one recording are alike, so that the intervals are narrower than they should be.",
        "",
        "| | conversations | recordings | loops | found | precision | recall |",
        "|---|---|---|---|---|---|---|",
    ]
    return [*lines, *(loops_row(name, one) for name, one in rows.items())]


def loops_row(name: str, one: dict[str, Any]) -> str:
    shares = []
    for what in ("precision", "recall"):
        low, high = one[f"{what}_interval"]
        shares.append("" if one[what] is None else f"{one[what]:.3f} ({low:.3f}-{high:.3f})")
    counts = " | ".join(str(one[what]) for what in ("conversations", "recordings", "loops", "found"))
    return f"| {SETS.get(name, name)} | {counts} | {' | '.join(shares)} |"


DRIFT = """\
What the figures of [drift](../explanation/drift.md) say of the conversations above, by `python -m tests.benchmarks.bench_drift`,
ranked by {by}; tokens are taken as a quarter of the characters.

### Noise

At up to {each} requests of each conversation, three times as many of those made of several. **kept**: of the names in the recorded
model's very next answer that stood in the prompt, the share that stood in what is not called noise, as a mean over answers;
beside it the same where as many tokens go by chance, and where the oldest go. Levels are those of the last request. **ms**:
median over conversations, for each request.

| | conversations | requests | tokens | noise | answers | kept | by chance | the oldest | calm | drifting | lost | ms |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
{noise}

### Score

**AUC**: how often a bad conversation has the higher figure, 0.5 being chance, with DeLong's interval for 95 of 100. Bad ones are
longer, so the number of messages is a yardstick, and **of the same length** compares only conversations that differ by no
more than two messages (tool chats) or none, with the interval of {draws} draws. Weights and levels were chosen with these
conversations in view, the detector of loops with half of the sessions.
{score}"""


def drift(found: dict[str, Any]) -> list[str]:
    noise = "\n".join(noise_row(name, one) for name, one in found["noise"].items())
    score = "\n".join(line for name, one in found["score"].items() for line in scores(name, one))
    return DRIFT.format(
        by=BY.get(found["by"], found["by"]), each=found["each"], draws=200, noise=noise, score=score
    ).split("\n")


BY = {"lexical": "words alone"}


def noise_row(name: str, one: dict[str, Any]) -> str:
    cells = [
        SETS[name],
        f"{one['threads']}",
        f"{one['requests']:,}",
        f"{one['tokens']:,.0f}",
        f"{one['noise']:.3f}",
        f"{one['answers']}",
        *(f"{one[what]:.3f}" for what in ("kept", "random", "oldest")),
        *(f"{share:.0%}" for share in one["levels"].values()),
        f"{one['milliseconds']:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def scores(name: str, one: dict[str, Any]) -> list[str]:
    levels = (
        ", ".join(f"{share:.0%} {level}" for level, share in one["levels"][kind].items()) for kind in ("bad", "good")
    )
    bad, good = levels
    alike = any("alike" in row for row in one["figures"].values())
    return [
        "",
        f"**{name[0].upper()}{name[1:]}**: {one['bad']} and {one['good']}. At their worst the former are {bad}, the latter {good}.",
        "",
        f"| | mean of the former | of the latter | AUC |{' of the same length |' if alike else ''}",
        f"|---|---|---|---|{'---|' if alike else ''}",
        *(score_row(figure, row) for figure, row in one["figures"].items()),
    ]


def score_row(figure: str, row: dict[str, Any]) -> str:
    shares = [f"{row[key][0]:.3f} ({row[key][1]:.3f}-{row[key][2]:.3f})" for key in ("auc", "alike") if row.get(key)]
    return f"| {figure} | {row['bad']:.3f} | {row['good']:.3f} | {' | '.join(shares)} |"


QUESTIONS = """\
Whether a question was asked before in other words, by `python -m tests.benchmarks.bench_questions`. It is told in an
[audit](../how-to/audit.md), and nothing is ever answered by it. The questions of a set come in random order, each is compared with all
before it, and the one most like it is a match if its cosine reaches the threshold: of rare words (**words**), or of vectors of
all-MiniLM-L6-v2 (**model**). **matched**: share of the questions that found one; **false**: share of those matches whose labels
differ; **outside**: share of the questions of no intent that found one, which none should. Behind each the interval that holds 95
of 100 draws with replacement (1,000 draws). Labels are intents, and two questions of one intent ("What does a card cost?", "Is a
second card free?") need not be one question: the share of matches that are not the same question is larger than **false**.

| set | questions | by | from | matched | false | outside |
|---|---|---|---|---|---|---|
{rows}"""


def questions(found: list[dict[str, Any]]) -> list[str]:
    return QUESTIONS.format(rows="\n".join(map(questions_row, found))).split("\n")


def questions_row(one: dict[str, Any]) -> str:
    shares = ("" if mean is None else "{:.3f} ({:.3f}-{:.3f})".format(*mean) for mean in (one[key] for key in SHARES))
    return f"| {one['set']} | {one['questions']:,} | {one['by']} | {one['threshold']:.2f} | {' | '.join(shares)} |"


SHARES = ("matched", "false", "none_matched")
EVIDENCE = """\
What is still there when a conversation has to fit a share of its tokens, by `python -m tests.benchmarks.bench_evidence` (its head
says how to run all rows in one environment). Every row gets the same requests and the same budget; instructions and what is
asked stay in all of them.

Meetings (QMSum): every turn is a message "speaker: words", roles alternate as in a chat, the question is the last message of the
user; each question is a request of its own (three of each meeting at most, drawn by `--questions 3`). **kept** is the share of the tokens of the turns that answer it which is still there
word for word, the mean over questions. Tool chats (tau-bench): every tenth call of the recorded model, from 5,000 tokens on; **kept** is
the share of the references in its answer that still stand in the prompt. **seen** and **unseen** are halves of the meetings and
threads by a hash of their names: ctxkit was made better on the first one only. **whole**: answers that are there as a whole.
**used**: of the budget, stubs included; above 1 the latest steps alone, which stay, are more. **valid**: threads that a provider
takes which wants roles to alternate and calls with their results. **x plain**: kept over what the best plain ranking keeps (BM25
with and without its stop words, embeddings). Intervals: 95 of 100 draws of as many meetings or threads, with replacement.

Truncation is until the budget is full, from the oldest or from the middle; rankings (bm25s with its defaults, cosines of
all-MiniLM-L6-v2) take turns as long as there is room. ctxkit is a kit in mode `prune` with `tidy.max_input_tokens`, fresh for each
request: the first one of a thread that is too long. Nothing here asks a model, and that evidence is in the prompt does
not mean that it is used.
"""
EVIDENCE_SETS = {
    "meetings": "Meetings",
    "chats:5": "Tool chats, 5 conversations a thread",
    "chats:20": "Tool chats, 20 conversations a thread",
}


def evidence(rows: dict[str, dict[str, Any]]) -> list[str]:
    lines = EVIDENCE.rstrip().split("\n")
    for name, title in EVIDENCE_SETS.items():
        found = {tuple(key.split("/")[1:]): one for key, one in rows.items() if key.startswith(f"{name}/")}
        if not found:
            continue
        first = next(iter(found.values()))
        lines += ["", f"### {title}, shortened", "", f"{first['requests']} requests of {first['names']}.", ""]
        lines += [
            "| budget | | kept | seen | unseen | whole | used | valid | x plain |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        ordered = sorted(found, key=lambda one: float(one[1]))
        lines += [evidence_row(row, float(budget), found[row, budget]) for row, budget in ordered]
    return lines


def evidence_row(name: str, budget: float, one: dict[str, Any]) -> str:
    low, high = one["interval"]
    ahead = one.get("ahead")
    cells = [
        f"{budget:.0%}",
        f"**{name}**" if name.startswith("ctxkit") else name,
        f"{one['all']:.3f} ({low:.3f}-{high:.3f})",
        number(one["seen"], ".3f"),
        number(one["unseen"], ".3f"),
        number(one.get("whole"), ".3f"),
        f"{one['used']:.2f}",
        f"{one['sound']:.0%}",
        f"{ahead['ratio']:.2f} ({ahead['interval'][0]:.2f}-{ahead['interval'][1]:.2f})" if ahead else "",
    ]
    return f"| {' | '.join(cells)} |"


CHAPTERS: dict[str, tuple[str, Callable[[Any], list[str]]]] = {
    "Loops": ("loops", loops),
    "Drift": ("drift", drift),
    "Questions": ("questions", questions),
    "Evidence": ("evidence", evidence),
}
"""Chapters that are not about modes and rivals: the key of their figures in a file, and what writes them."""


def chapters(page: str, measured: dict[str, Any]) -> list[str]:
    """Each of them anew where it was measured, else as it stands in the page."""
    lines: list[str] = []
    for title, (key, write) in CHAPTERS.items():
        before = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0].strip("\n").split("\n")
        found = write(measured[key]) if key in measured else before
        lines += [f"## {title}", "", *found, ""] if any(found) else []
    return lines


def modes(page: str, measured: dict[str, Any]) -> list[str]:
    """Modes and rivals, setting by setting; as they stand in the page if nothing of them was measured."""
    if not measured:
        return [min((page.partition(f"\n## {title}\n")[0] for title in CHAPTERS), key=len).rstrip("\n"), ""]
    lines = [HEAD.format(where=where())]
    for setting, (title, about) in SETTINGS.items():
        found = tables(measured, setting)
        if found:
            lines += [f"## {title}", "", about, "", *found]
    return lines


def main(files: list[str]) -> None:
    measured: dict[str, Any] = {}
    for file in files:
        measured |= json.loads(Path(file).read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    others = {key for key, _ in CHAPTERS.values()}
    lines = modes(page, {key: one for key, one in measured.items() if key not in others})
    PAGE.write_text("\n".join([*lines, *chapters(page, measured)]).rstrip() + "\n", encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(measured)} rows")


if __name__ == "__main__":
    main(sys.argv[1:])
