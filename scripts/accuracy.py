"""Measure the estimate before sending against recorded requests; writes ``docs/reference/accuracy.md``.

    python -m scripts.accuracy [--data FOLDER] [--out FILE]

Every figure of a fitted family is held out: the weights that made it never saw the recording it is measured on.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from zlib import crc32

from ctxkit.metering.count import Count
from ctxkit.metering.count import Counter as TokenCounter
from ctxkit.metering.exact import exact_for
from ctxkit.metering.families import UNKNOWN, family_of
from ctxkit.metering.fitted import Steps, table, width_of
from ctxkit.metering.learning import Learned
from ctxkit.model import Usage
from scripts.fit_estimator import held_out, openai_errors
from scripts.fitting import Case, case_of, cases_of
from scripts.recorded import DATA, Sample, digests_of, fold_of, project_of, samples
from scripts.widths import Stranger, Widths, plain_steps, strangers, strangers_without, with_tools

OUT = Path(__file__).parent.parent / "docs" / "reference" / "accuracy.md"


@dataclass(frozen=True, slots=True)
class Result:
    """One request: what was expected, and what was reported."""

    sample: Sample
    count: Count
    kind: str
    family: str

    @property
    def total(self) -> int:
        """Tokens as reported."""
        return self.sample.total

    @property
    def error(self) -> int:
        """Tokens expected too many."""
        return self.count.tokens - self.total

    @property
    def covered(self) -> bool:
        """The reported count lies in the interval."""
        return self.count.low <= self.total <= self.count.high


def kind_of(sample: Sample) -> str:
    """What a request holds besides plain text."""
    parts = {part.kind for part in sample.conversation.parts}
    if parts & {"image", "audio", "video", "document"}:
        return "media"
    if "tool" in parts:
        return "tools"
    return "Japanese" if sample.japanese else "text"


# ------------------------------------------------------------------------------------------ results


def exact_results(found: Sequence[Sample]) -> list[Result]:
    """OpenAI models, by the counter itself: nothing of it was fitted here but the width of its interval."""
    counter = TokenCounter()
    exact = [sample for sample in found if exact_for(sample.platform, sample.model) is not None]
    results = []
    for mine in sorted({project_of(sample.repo) for sample in exact}):
        steps = plain_steps(openai_errors(sample for sample in exact if project_of(sample.repo) != mine))
        for sample in exact:
            if project_of(sample.repo) == mine:
                digests = digests_of(sample.conversation)
                count = counter.count(sample.conversation, digests, platform=sample.platform, model=sample.model)
                endpoint = "Responses" if sample.conversation.dialect == "openai.responses" else "Chat"
                results.append(Result(sample, _narrowed(sample, count, steps), kind_of(sample), f"OpenAI {endpoint}"))
    return results


def _narrowed(sample: Sample, count: Count, steps: Mapping[str, Steps]) -> Count:
    """``count`` with an interval from other projects' errors; what slack the request itself gave stays."""
    tools = "tool" in {part.kind for part in sample.conversation.parts}
    scales = (count.family, "openai")
    shipped = width_of(scales, count.tokens, 0.0, tools=tools)
    low, high = width_of(scales, count.tokens, max(0.0, count.high - 1 - shipped[1]), tools=tools, known=steps)
    return replace(count, low=min(count.tokens, max(0, floor(low))), high=max(count.tokens, ceil(high)))


_LAUNCH = range(1_740_787_200, 1_743_465_600)
"""March 2025, when the Responses API began: its answers report 18 tokens more, with tools about 215."""
_CREATED = re.compile(r'"created(?:_at)?":\s*(\d{10})')


def launched(folder: Path) -> frozenset[str]:
    """Records that were answered in the month in which the Responses API began."""
    with lzma.open(folder / "exchanges" / "responses.jsonl.xz", "rt", encoding="utf-8") as lines:
        rows = (json.loads(line) for line in lines)
        bodies = ((row["id"], row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])) for row in rows)
        return frozenset(name for name, body in bodies if (at := _CREATED.search(body)) and int(at.group(1)) in _LAUNCH)


def cause_of(sample: Sample, launch: frozenset[str]) -> str:
    """What is known to make the report of an OpenAI request differ from its count."""
    conversation = sample.conversation
    if conversation.dialect == "openai.responses" and sample.id in launch:
        return "answered in the month in which Responses began"
    kinds = {str(message.value.get("type")) for message in conversation.messages if isinstance(message.value, dict)}
    if "compaction" in kinds:
        return "a history that the provider compacted and encrypted"
    if "reasoning" in kinds:
        return "encrypted thoughts in the history"
    if kinds & {"additional_tools", "custom"}:
        return "tools declared on the way, or with a grammar"
    if sample.platform not in ("openai", "azure"):
        return "another host"
    return "none"


def fitted_results(found: Sequence[Sample]) -> tuple[list[Result], list[Result]]:
    """Fitted families, held out by recording, and by project; weights and intervals both come from the others."""
    asked = [case_of(sample) for sample in found]
    cases = cases_of(found)
    alone = {id(case.sample) for case in cases}
    near, far = held_out(cases, asked=asked), held_out(cases, _project, asked)
    once = [pair for pair in near if id(pair[0].sample) in alone]
    strange, without = strangers(cases), strangers_without(cases)
    return (
        _with_widths(near, _recording, lambda mine: _apart(once, strange, _recording, mine)),
        _with_widths(far, _project, lambda mine: _apart(once, without[mine], _project, mine)),
    )


def _recording(case: Case) -> int:
    return fold_of(case.sample.recording)


def _project(case: Case) -> int:
    return project_of(case.sample.repo)


_Pairs = Sequence[tuple[Case, float]]


def _apart(near: _Pairs, far: Sequence[Stranger], fold: Callable[[Case], int], mine: int) -> Widths:
    """Widths from all folds but one."""
    return Widths.measured(
        [pair for pair in near if fold(pair[0]) != mine], [one for one in far if fold(one.case) != mine]
    )


def _with_widths(pairs: _Pairs, fold: Callable[[Case], int], measured: Callable[[int], Widths]) -> list[Result]:
    """Results whose intervals were measured without their fold."""
    results = []
    for mine in sorted({fold(case) for case, _ in pairs}):
        widths = measured(mine)
        steps = widths.steps()
        results += [_result(case, expected, widths, steps) for case, expected in pairs if fold(case) == mine]
    return results


def _result(case: Case, expected: float, widths: Widths, steps: Mapping[str, Steps]) -> Result:
    low, high = width_of(widths.scales(case), expected, 0.0, tools=bool(with_tools(case)), known=steps)
    tokens = max(1, round(expected))
    count = Count(tokens, min(tokens, floor(low)), max(tokens, ceil(high)), "fitted", case.family)
    return Result(case.sample, replace(count, shape=_shape(case.sample)), kind_of(case.sample), case.family)


def _shape(sample: Sample) -> int:
    """As the counter makes it."""
    conversation = sample.conversation
    tools = [one for one in conversation.messages if one.role == "tools"]
    digests = digests_of(replace(conversation, messages=tuple(tools)))
    return crc32(b"".join(digests) + " ".join(conversation.options).encode("utf-8", "surrogatepass"))


def corrected(results: Sequence[Result], feature: Callable[[Sample], str]) -> list[tuple[int, Result, Count]]:
    """Replay in recorded order: settlements before, result, and the corrected count of each."""
    learned = Learned(memory=1_000_000)
    seen: Counter[str] = Counter()
    replayed = []
    ordered = sorted(results, key=lambda one: (one.sample.session, one.sample.order))
    for result in ordered:
        name = feature(result.sample)
        model = result.sample.model
        replayed.append((seen[name], result, learned.correct(result.count, name, model)))
        learned.observe(result.count, name, model, Usage(fresh=result.total))
        seen[name] += 1
    return replayed


# ------------------------------------------------------------------------------------------ figures


def figures(results: Sequence[Result]) -> str:
    """One row of a table: how many, then errors below 1,000 tokens, from 1,000 tokens on, and coverage."""
    small = [abs(one.error) for one in results if one.total < 1000]
    large = [abs(one.error) / one.total for one in results if one.total >= 1000]
    covered = _share(one.covered for one in results)
    width = _quantile([(one.count.high - one.count.low) / one.count.tokens for one in results], 0.5)
    cells = [
        f"{len(results):,}",
        *_cells(small, lambda error: f"{error:.0f}", lambda error: error <= 40),
        *_cells(large, _percent, lambda error: error <= 0.1),
        covered,
        _percent(width),
    ]
    return " | ".join(cells)


_HEAD = (
    "n | n < 1,000 | median, tokens | p90, tokens | within 40 | "
    "n >= 1,000 | median | p90 | within 10 % | in the interval | interval's width"
)


def _cells(errors: Sequence[float], show: Callable[[float], str], good: Callable[[float], bool]) -> list[str]:
    if not errors:
        return ["0", "", "", ""]
    share = _share(good(error) for error in errors)
    return [f"{len(errors):,}", show(_quantile(errors, 0.5)), show(_quantile(errors, 0.9)), share]


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _share(flags: Iterable[bool]) -> str:
    found = list(flags)
    return _percent(sum(found) / len(found)) if found else ""


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def grouped(results: Sequence[Result], key: Callable[[Result], str], title: str) -> str:
    """A table with one row per group."""
    groups: defaultdict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[key(result)].append(result)
    rows = [f"| {name} | {figures(found)} |" for name, found in sorted(groups.items())]
    rows.append(f"| **all** | {figures(results)} |")
    rule = "|" + "---|" * (_HEAD.count("|") + 2)
    return "\n".join([f"| {title} | {_HEAD} |", rule, *rows])


def within(results: Sequence[Result], limit: float) -> str:
    """Share of requests whose error is at most ``limit`` of the reported count, and the median error."""
    errors = [abs(one.error) / one.total for one in results]
    exact = _share(one.error == 0 for one in results)
    return f"{len(results):,} | {_percent(_quantile(errors, 0.5))} | {exact} | {_share(e <= limit for e in errors)}"


def online(results: Sequence[Result], feature: Callable[[Sample], str], title: str) -> list[str]:
    """Rows of the table of corrections: before and after, by how many settlements came before."""
    replayed = corrected(results, feature)
    rows = []
    for name, least, most in (("0", 0, 1), ("1 to 4", 1, 5), ("5 to 19", 5, 20), ("20 and more", 20, 10**9)):
        found = [(result, count) for seen, result, count in replayed if least <= seen < most]
        before = [abs(result.error) / result.total for result, _ in found]
        after = [abs(count.tokens - result.total) / result.total for result, count in found]
        near = [abs(count.tokens - result.total) <= max(5, 0.05 * result.total) for result, count in found]
        inside = [count.low <= result.total <= count.high for result, count in found]
        if found:
            shares = (_share(error <= 0.05 for error in before), _share(error <= 0.05 for error in after))
            rows.append(
                f"| {title} | {name} | {len(found):,} | {' | '.join(shares)} | {_share(near)} | {_share(inside)} |"
            )
    return rows


# ------------------------------------------------------------------------------------------ the page


def page(folder: Path) -> str:
    """The whole page."""
    everything = list(samples(folder))
    used = [sample for sample in everything if sample.left_out is None]
    exact, launch = exact_results(used), launched(folder)
    near, far = fitted_results([sample for sample in used if _is_fitted(sample)])
    unknown = [sample for sample in used if _is_unknown(sample)]
    return _PAGE.format(
        date=table()["date"],
        n=f"{len(everything):,}",
        exact="\n".join(_exact_rows(exact, lambda one: f"{one.family} | {one.kind}")),
        causes="\n".join(_exact_rows(exact, lambda one: f"{one.family}, {one.kind} | {cause_of(one.sample, launch)}")),
        exact_sizes=grouped(exact, lambda one: f"{one.family}, {one.kind}", "OpenAI"),
        families=grouped(near, lambda one: one.family, "family"),
        platforms=grouped(near, lambda one: one.sample.platform, "platform"),
        kinds=grouped(near, lambda one: one.kind, "kind"),
        recordings=_by_recording(near),
        strangers=grouped(far, lambda one: one.family, "family"),
        online="\n".join(_online_rows(exact, near)),
        media=_media(everything),
        left=_left_out(everything, len(unknown)),
    )


def _is_fitted(sample: Sample) -> bool:
    return exact_for(sample.platform, sample.model) is None and not _is_unknown(sample)


def _is_unknown(sample: Sample) -> bool:
    return exact_for(sample.platform, sample.model) is None and family_of(sample.model, sample.platform) == UNKNOWN


def _exact_rows(results: Sequence[Result], key: Callable[[Result], str]) -> list[str]:
    groups: defaultdict[str, list[Result]] = defaultdict(list)
    for one in results:
        groups[key(one)].append(one)
    return [
        f"| {name} | {within(found, 0.01)} | {_share(abs(one.error) <= 0.05 * one.total for one in found)} |"
        f" {_share(one.covered for one in found)} |"
        for name, found in sorted(groups.items())
    ]


def _by_recording(results: Sequence[Result]) -> str:
    """Medians over recordings, so that a loop of a hundred requests has one vote."""
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for one in results:
        if one.total >= 1000:
            groups[one.sample.recording].append(abs(one.error) / one.total)
    medians = [_quantile(errors, 0.5) for errors in groups.values()]
    near = _share(error <= 0.1 for error in medians)
    middle = _percent(_quantile(medians, 0.5))
    return f"{len(medians)} recordings hold requests from 1,000 tokens on: median error {middle}, {near} within 10 %."


def _online_rows(exact: Sequence[Result], fitted: Sequence[Result]) -> list[str]:
    rows: list[str] = []
    for name, results in (("OpenAI", exact), ("other families", fitted)):
        rows += online(results, lambda sample: sample.session, f"{name}: one recorded session")
        rows += online(
            results, lambda sample: f"{sample.repo} {sample.platform}", f"{name}: one project on one platform"
        )
    return rows


def _media(everything: Sequence[Sample]) -> str:
    """Requests with media, whose data was taken out of the recordings: sizes had to be guessed."""
    counter = TokenCounter()
    results = []
    for sample in everything:
        elided = sample.left_out in ("long base64 was taken out of the recording", _BY_REFERENCE)
        if elided and kind_of(sample) == "media" and not _is_unknown(sample):
            digests = digests_of(sample.conversation)
            count = counter.count(sample.conversation, digests, platform=sample.platform, model=sample.model)
            results.append(Result(sample, count, "media", count.family.partition(":")[0].partition("-")[0]))
    return grouped(results, lambda one: one.family, "family")


_BY_REFERENCE = "media by reference (its size is not in the request)"


def _left_out(everything: Sequence[Sample], unknown: int) -> str:
    reasons = Counter(sample.left_out for sample in everything if sample.left_out)
    rows = [f"| {reason} | {count:,} |" for reason, count in reasons.most_common()]
    rows.append(f"| the model's name does not say its family (inference profiles, routers) | {unknown:,} |")
    return "\n".join(["| why | requests |", "|---|---|", *rows])


_PAGE = """# Accuracy of the estimate before sending

Written by `python -m scripts.accuracy` from {n} recorded requests of real providers (recorded 2023 to 2026); the table
of weights is of {date}. The data is no part of the repository. All errors are measured against the number of prompt
tokens that the provider reported, cached tokens included.

## OpenAI models: exact vocabulary and framing

| endpoint | kind | n | median error | equal | within 1 % | within 5 % | in the interval |
|---|---|---|---|---|---|---|---|
{exact}

The same, parted by what is known to make a difference: the rows above hold all of it.

| request | cause | n | median error | equal | within 1 % | within 5 % | in the interval |
|---|---|---|---|---|---|---|---|
{causes}

{exact_sizes}

Nothing is fitted here but the widths of the intervals; they come from the requests of other projects.

## Other families: calibrated, held out by recording

Weights and intervals were made without the recording that they are measured on (five folds of whole recordings), but
with others of its project.

{families}

{recordings}

### By kind

A request with Japanese text and tools stands under tools. There are next to no recordings with Chinese, Japanese or
Korean text in families other than OpenAI's: the weights of these scripts come from the vocabularies of DeepSeek and
Claude 2 and from guesses between them, are not verified, and widen the interval (by a third of that text's tokens).

{kinds}

### By platform

{platforms}

## Other families: projects that were never seen

All recordings of a project are left out together (crmne/ruby_llm, pydantic/pydantic-ai, Mirascope/mirascope, all
others), and with one of them often every recording of a model. Widths are measured without it too: on each other
project, by fits that saw neither. The intervals of the package are made this way, so they are wider than errors
between recordings of one project would ask for: that is the price of covering projects that nobody recorded.

{strangers}

## After settlements: corrected online

The recorded requests in their order; what was learned from the ones before corrects the next. `after` counts requests
within 5 % of the reported count; `or 5 tokens` counts those within 5 tokens too, which is what one can ask of a prompt
of 30 tokens.

| feature | settlements before | n | before: within 5 % | after: within 5 % | after: within 5 % or 5 tokens | in the interval |
|---|---|---|---|---|---|---|
{online}

## Media

The recordings hold images and documents without their data, so their sizes had to be guessed from the length of what
was taken out; with the data at hand the documented rules apply. Not held out.

{media}

## What was left out, and why

{left}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds exchanges/ (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="where the page is written (default: %(default)s)")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page(options.data), encoding="utf-8")
    print(options.out)


if __name__ == "__main__":
    main()
