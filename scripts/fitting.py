"""The calibrated estimator's model, and how it is fitted.

Reported tokens are a linear sum of the features that ``ctxkit.metering.features`` counts. Weights are found level by
level: over all requests, per tokenizer, per family, per family at one platform, per model, per model at one
platform. Each level may leave the one above it only as far as its data insist (a ridge towards the parent, wide for
prompts that a provider adds, narrow for weights of text), so that a family with three recordings stays sane. Errors
count by their size (iteratively reweighted least squares), not by its square, so that odd recordings do not bend the
line, and requests that repeat one another share one vote.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import lsq_linear

from ctxkit.metering.families import UNKNOWN, family_of, group_of, stem_of, writing_of
from ctxkit.metering.features import Traits, format_traits, traits_of
from ctxkit.metering.fitted import KINDLESS
from ctxkit.metering.frame import frame_of
from ctxkit.metering.textkinds import kinds_of
from scripts.priors import DOCUMENTED, TEMPLATES, WRITES_IDS, documented, loose, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.recorded import Sample

__all__ = ["Case", "Fit", "Strength", "case_of", "cases_of", "parent_name"]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One request as the fit sees it.

    Attributes:
        sample: where it came from.
        x: its features; ``bare``: the same without its tools.
        bare: see ``x``.
        family: row of its family; ``stem``: its model.
        stem: see ``family``.
    """

    sample: Sample
    x: Mapping[str, float]
    bare: Mapping[str, float]
    family: str
    stem: str

    @property
    def y(self) -> float:
        """Reported tokens."""
        return float(self.sample.total)

    @property
    def tools_dropped(self) -> bool:
        """``tool_choice: none``, which most families answer by leaving the tools out of the prompt."""
        return "f.tools.none" in self.x


def cases_of(samples: Iterable[Sample]) -> list[Case]:
    """The requests of fitted families, alike ones (same model, platform, features and total) only once."""
    seen: set[tuple[Any, ...]] = set()
    cases = []
    for sample in samples:
        case = case_of(sample)
        key = (case.family, case.stem, sample.platform, sample.total, tuple(sorted(case.x.items())))
        if case.family != UNKNOWN and key not in seen:
            seen.add(key)
            cases.append(case)
    return cases


def case_of(sample: Sample) -> Case:
    """The features of one request."""
    x: Counter[str] = Counter()
    tools: Counter[str] = Counter()
    messages = sample.conversation.messages
    family = family_of(sample.model, sample.platform)
    writing = writing_of(family)
    traits = [traits_of(message, writing) for message in messages]
    last = max((place for place, one in enumerate(traits) if one.turn), default=-1)
    for place, one in enumerate(traits):
        _add(tools if messages[place].role == "tools" else x, one)
        _add_thoughts(x, one, "now" if place > last else "past")
    frame = frame_of(sample.conversation)
    x.update(f"f.{flag}" for flag in frame.flags)
    if frame.format is not None:
        _add(x, format_traits(frame.format, writing))
    if family not in WRITES_IDS:
        del x["t.id.text"]
    bare = {name: count for name, count in x.items() if name != "f.tools.none"}
    return Case(sample, dict(x + tools), bare, family, stem_of(sample.model))


def _add(x: Counter[str], traits: Traits) -> None:
    x.update(traits.counts)
    for name, text in traits.texts:
        kinds = kinds_of(text) if text else {}
        count = sum(kinds.values())
        if name not in KINDLESS:
            x.update({f"k.{kind}": found for kind, found in kinds.items()})
            x["tokens"] += count
        if name and count:
            x[f"t.{name}"] += count


def _add_thoughts(x: Counter[str], traits: Traits, when: str) -> None:
    for name, texts in (("reasoning", traits.reasoning), ("tagged", traits.tagged)):
        count = sum(sum(kinds_of(text).values()) for text in texts)
        if count:
            x[f"{name}.{when}"] += count
    if sum(traits.signature):
        x[f"signature.{when}"] += sum(traits.signature)


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly each level is held to its parent: chosen by the held-out error of whole recordings."""

    everyone: float = 0.3
    group: float = 0.15
    family: float = 0.3
    model: float = 0.5
    text: float = 10.0
    tail: float = 0.5


_FIRM = 8.0
"""How far documented figures may stray."""

_Weights = dict[str, float]


def _known(case: Case) -> Mapping[str, float]:
    """What is documented for the model or the family of a case."""
    return _hidden(f"={case.stem}") or _hidden(case.family)


def _hidden(name: str) -> Mapping[str, float]:
    return {key: figure for key, figure in documented(name).items() if key.startswith("f.tools") and name in DOCUMENTED}


@dataclass(slots=True)
class Fit:
    """Weights of every row, fitted on ``cases``."""

    cases: Sequence[Case]
    strength: Strength = field(default_factory=Strength)
    rows: dict[str, _Weights] = field(default_factory=dict)
    keeps: dict[str, bool] = field(default_factory=dict)
    support: Counter[str] = field(default_factory=Counter)

    def run(self) -> Fit:
        """Fit all levels."""
        self._decide_dropping()
        used = [case for case in self.cases if self.keeps_tools(case.family) or not case.tools_dropped]
        votes = _votes(used)
        how = self.strength
        # Ids are read only where a template writes them: what those families pay is nobody else's.
        self.rows["*"] = {**self._everyone(used, votes), "t.id.text": 0.0}
        levels: tuple[tuple[Callable[[Case], str], Callable[[Case], str], float], ...] = (
            (lambda case: f"~{group_of(case.family)}", lambda _: "*", how.group),
            (lambda case: case.family, lambda case: f"~{group_of(case.family)}", how.family),
            (lambda case: f"{case.family}@{case.sample.platform}", lambda case: case.family, how.model),
            (lambda case: f"={case.stem}", lambda case: case.family, how.model),
            (lambda case: f"={case.stem}@{case.sample.platform}", lambda case: f"={case.stem}", how.model),
        )
        for name_of, parent_of, pull in levels:
            self._level(used, votes, name_of, parent_of, pull)
        self._documented()
        return self

    def _everyone(self, used: Sequence[Case], votes: Mapping[int, float]) -> _Weights:
        begin = {name: start(name) for name in sorted({name for case in used for name in case.x})} | documented("*")
        return _pooled(used, votes, begin, self.strength.everyone, self.strength, frame=0.05)

    def _level(
        self,
        used: Sequence[Case],
        votes: Mapping[int, float],
        name_of: Callable[[Case], str],
        parent_of: Callable[[Case], str],
        pull: float,
    ) -> None:
        members: defaultdict[str, list[Case]] = defaultdict(list)
        for case in used:
            members[name_of(case)].append(case)
        for name, cases in members.items():
            self.support[name] = len(cases)
            if "@" in name and self.support[parent_name(name)] == len(cases):
                continue  # served by one platform only: the row without it says the same
            parent = {**self.rows[parent_of(cases[0])], **documented(name)}
            if name.startswith("~"):
                self.rows[name] = _pooled(cases, votes, parent, pull, self.strength)
            else:
                firm = frozenset(_known(cases[0]))
                self.rows[name] = _solve(cases, votes, parent, pull, self.strength, firm=firm)

    def _documented(self) -> None:
        """Families and models with documented figures and no recordings still get a row."""
        for name in sorted(DOCUMENTED.keys() | TEMPLATES.keys(), key=lambda name: (name.startswith("="), name)):
            family = family_of(name[1:]) if name.startswith("=") else name
            parents = (family, f"~{group_of(family)}", "*")
            parent = next(self.rows[parent] for parent in parents if parent in self.rows and parent != name)
            self.rows.setdefault(name, {**parent, **documented(name)})

    def _decide_dropping(self) -> None:
        """Which families read their tools even when they may not be called: those that it explains better."""
        doubtful: defaultdict[str, list[Case]] = defaultdict(list)
        for case in self.cases:
            if case.tools_dropped:
                doubtful[case.family].append(case)
        plain: defaultdict[str, list[Case]] = defaultdict(list)
        for case in self.cases:
            if "f.tools" in case.x:
                plain[case.family].append(case)
        for family, cases in doubtful.items():
            may, must_not = [_beyond_text(case) for case in plain[family]], [_beyond_text(case) for case in cases]
            self.keeps[family] = bool(may) and float(np.median(must_not)) > 0.6 * float(np.median(may))

    @property
    def families(self) -> frozenset[str]:
        """Names of all family rows."""
        documented = frozenset(name for name in DOCUMENTED if not name.startswith(("=", "~")))
        return documented | {case.family for case in self.cases}

    def keeps_tools(self, family: str) -> bool:
        """Whether tools that may not be called are read all the same (Anthropic documents that they are)."""
        return family.startswith("claude") or self.keeps.get(family, False)

    def chain(self, case: Case) -> tuple[str, ...]:
        """The most special row of a case first."""
        platform = case.sample.platform
        mine = (f"={case.stem}@{platform}", f"={case.stem}", f"{case.family}@{platform}", case.family)
        return (*mine, f"~{group_of(case.family)}", "*")

    def predict(self, case: Case) -> float:
        """Expected tokens of a case."""
        weights = next(self.rows[name] for name in self.chain(case) if name in self.rows)
        dropped = case.tools_dropped and not self.keeps_tools(case.family)
        x = case.bare if dropped else case.x
        return max(1.0, sum(weights.get(name, 0.0) * count for name, count in x.items()))


def _beyond_text(case: Case) -> float:
    """Reported tokens beyond those of the messages' text."""
    return case.y - sum(count for name, count in case.bare.items() if name.startswith("k."))


def parent_name(name: str) -> str:
    """The row for all platforms that ``name``, a row for one of them, builds on."""
    return name.partition("@")[0]


def _votes(cases: Sequence[Case]) -> dict[int, float]:
    """Weight of each case: those with the same text in one family, or in one recording, share."""

    def text(case: Case) -> tuple[Any, ...]:
        return (case.family, case.stem, *sorted(item for item in case.x.items() if item[0].startswith("k.")))

    alike = Counter(text(case) for case in cases)
    recordings = Counter((case.family, case.sample.recording) for case in cases)
    return {
        id(case): float(max(alike[text(case)], recordings[case.family, case.sample.recording])) ** -0.5
        for case in cases
    }


def _solve(
    cases: Sequence[Case],
    votes: Mapping[int, float],
    parent: _Weights,
    pull: float,
    how: Strength,
    frame: float = 1.0,
    firm: frozenset[str] = frozenset(),
    less: Mapping[int, float] | None = None,
) -> _Weights:
    """Weights that explain ``cases``, no farther from ``parent`` than they must.

    ``frame`` narrows what requests may add by themselves: hidden prompts are a family's own, not everyone's; ``firm``
    names what is documented; ``less`` is what hides in each case besides: it and what is documented are then taken
    for granted.
    """
    granted = [{} if less is None else _known(case) for case in cases]
    names = sorted(
        {name for case, sure in zip(cases, granted, strict=True) for name in case.x.keys() - sure if name in parent}
    )
    place = {name: index for index, name in enumerate(names)}
    a = np.zeros((len(cases), len(names)))
    y = np.array([case.y - (less or {}).get(id(case), 0.0) for case in cases])
    for row, case in enumerate(cases):
        for name, count in case.x.items():
            if name in granted[row]:
                y[row] -= count * granted[row][name]
            elif name in place:
                a[row, place[name]] = count
    center = np.array([parent[name] for name in names])
    textual = [name.startswith(("k.", "t.")) or name == "tokens" for name in names]
    hold = np.sqrt(pull * np.where(textual, how.text, 1.0)) / np.array(
        [_FIRM if name in firm else loose(name) * (frame if name.startswith("f.") else 1.0) for name in names]
    )
    least = np.array([-0.6 if name.startswith("t.") or name == "tokens" else 0.0 for name in names])
    noise = 2.0 + 0.01 * np.array([case.y for case in cases])
    weight = np.array([votes[id(case)] for case in cases]) / noise
    found = _reweighted(a, y, noise, weight, center, hold, np.minimum(least, center - 1e-6), how.tail)
    return {**parent, **dict(zip(names, map(float, found), strict=True))}


def _pooled(
    cases: Sequence[Case], votes: Mapping[int, float], parent: _Weights, pull: float, how: Strength, frame: float = 1.0
) -> _Weights:
    """Weights of several families: what each model adds by itself is set aside, in turns with the weights."""
    less: dict[int, float] = {}
    found = parent
    for _ in range(2):
        found = _solve(cases, votes, parent, pull, how, frame, less=less)
        less = _habits(cases, found)
    return found


def _habits(cases: Sequence[Case], weights: _Weights) -> dict[int, float]:
    """What hides in each case: the median of what its model at its platform has beyond ``weights``."""
    alike: defaultdict[tuple[str, ...], list[tuple[Case, float]]] = defaultdict(list)
    for case in cases:
        sure = {**weights, **_known(case)}
        beyond = case.y - sum(sure.get(name, 0.0) * count for name, count in case.x.items())
        flags = (name for name in case.x if name.startswith(("f.tools", "f.format")))
        alike[case.stem, case.sample.platform, *flags].append((case, beyond))
    less: dict[int, float] = {}
    for found in alike.values():
        middle = float(np.median([beyond for _, beyond in found])) * len(found) / (len(found) + 2)
        less |= {id(case): middle for case, _ in found}
    return less


def _reweighted(a: Any, y: Any, noise: Any, weight: Any, center: Any, hold: Any, least: Any, tail: float) -> Any:
    """Least absolute deviations with a ridge and lower bounds, by reweighting until it stands still."""
    found, scale = center, weight
    for _ in range(15):
        system = np.vstack([a * scale[:, None], np.diag(hold)])
        target = np.concatenate([y * scale, center * hold])
        before, found = found, lsq_linear(system, target, (least, np.inf), method="bvls", max_iter=300).x
        if np.max(np.abs(found - before)) < 1e-3:
            break
        scale = weight / np.sqrt(np.maximum(np.abs(a @ found - y) / noise, tail))
    return found
