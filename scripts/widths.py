"""How wide the intervals of fitted families must be, from errors on projects that a fit never saw.

A request of a new project differs from the recordings in ways that no second recording of the same project shows. So
the widths rest on the errors that fits without a whole project made on it. How large these are depends on what the
fit knew of the model: it may have seen it in several projects, in one, only others of its family, or none of its kind.
For each such state of knowledge (with and without tools, by size) the outermost errors are measured in units of what
the model, or the family, shows between recordings of known projects: what varies little there varies little elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ctxkit.metering.families import UNKNOWN
from ctxkit.metering.fitted import row_names, spread
from scripts.fitting import Case, Fit
from scripts.recorded import project_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from ctxkit.metering.fitted import Steps

__all__ = ["Stranger", "Widths", "names_of", "plain_steps", "strangers", "strangers_without", "with_tools"]

_SIZES = (300, 1000, 10**9)
_FEWEST = 60
"""Fewer errors than this say nothing of the outermost ones: those of all sizes, or with and without tools, are used."""
_TAIL = 0.0125
"""Share of errors beyond each end of an interval."""
_NARROWEST = 0.2
"""No row is known better than this, in units of :func:`spread`."""


class Stranger(NamedTuple):
    """One request of a project that the fit did not see.

    Attributes:
        case: the request.
        expected: what the fit expected of it.
        known: in how many projects the fit had seen each row of the table.
    """

    case: Case
    expected: float
    known: Mapping[str, int]


def strangers(cases: Sequence[Case]) -> list[Stranger]:
    """Every case, as a fit without its project has it."""
    return [found for mine in _projects(cases) for found in _asked(cases, {mine})[mine]]


def strangers_without(cases: Sequence[Case]) -> dict[int, list[Stranger]]:
    """For each project, all cases of the others as fits without them and without that project have them."""
    found: defaultdict[int, list[Stranger]] = defaultdict(list)
    for one, other in combinations(_projects(cases), 2):
        asked = _asked(cases, {one, other})
        found[one] += asked[other]
        found[other] += asked[one]
    return found


def _projects(cases: Sequence[Case]) -> list[int]:
    return sorted({project_of(case.sample.repo) for case in cases})


def _asked(cases: Sequence[Case], away: Collection[int]) -> dict[int, list[Stranger]]:
    """The cases of the projects ``away`` by a fit on all others."""
    seen = [case for case in cases if project_of(case.sample.repo) not in away]
    fit, known = Fit(seen).run(), projects_of(seen)
    asked: dict[int, list[Stranger]] = {mine: [] for mine in away}
    for case in cases:
        mine = project_of(case.sample.repo)
        if mine in asked:
            asked[mine].append(Stranger(case, fit.predict(case), known))
    return asked


def projects_of(cases: Iterable[Case]) -> Mapping[str, int]:
    """In how many projects each row of the table was seen."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for case in cases:
        for name in names_of(case):
            found[name].add(case.sample.repo)
    return {name: len(repos) for name, repos in found.items()}


def names_of(case: Case) -> tuple[str, ...]:
    """The rows of the table that a case may be weighed by, the most special first."""
    return tuple(reversed(row_names(case.sample.platform, case.sample.model, case.family)))


def with_tools(case: Case) -> str:
    """What marks intervals of requests with tools."""
    return "+tools" if {"tool", "tool.server"} & case.x.keys() and not case.tools_dropped else ""


def error_of(case: Case, expected: float) -> float:
    """Reported tokens beyond the expected ones, in units of :func:`spread`."""
    return (case.y - expected) / spread(expected)


def state_of(name: str, known: Mapping[str, int]) -> str:
    """What is known of a model whose most special row is ``name``."""
    if name.startswith("="):
        return "model in several projects" if known[name] > 1 else "model in one project"
    return "family" if name[0] not in "~*" else "others"


@dataclass(frozen=True, slots=True)
class Widths:
    """Widths that were measured, from which those of any row follow.

    Attributes:
        usual: 90th percentile of the errors between recordings of the same projects, by row.
        reach: the outermost errors on new projects in units of it, below and above, by state of knowledge.
        known: in how many projects each row was seen.
    """

    usual: Mapping[str, float]
    reach: Mapping[str, tuple[float, float]]
    known: Mapping[str, int]

    @classmethod
    def measured(cls, near: Iterable[tuple[Case, float]], far: Iterable[Stranger]) -> Widths:
        """From errors on known projects (``near``) and on new ones (``far``)."""
        pairs = list(near)
        usual = _usual(pairs)
        reach = _reach(far, usual)
        return cls(usual, reach, projects_of(case for case, _ in pairs))

    def steps(self) -> dict[str, Steps]:
        """Intervals of all rows, as the table keeps them."""
        found = {}
        for name in self.known:
            state = state_of(name, self.known)
            for tools in ("", "+tools"):
                unit = _first(self.usual, [name], tools)
                found[name + tools] = [self._step(state, tools, upper, unit) for upper in _SIZES]
        for tools in ("", "+tools"):
            found[UNKNOWN + tools] = [self._step("others", tools, upper, self.usual["*" + tools]) for upper in _SIZES]
        return found

    def scales(self, case: Case) -> tuple[str, ...]:
        """Names under which the interval of a case is looked up."""
        names = tuple(name for name in names_of(case) if name in self.known)
        return names if case.family in names else (UNKNOWN,)

    def _step(self, state: str, tools: str, upper: float, unit: float) -> list[float]:
        low, high = next(self.reach[key] for key in _keys(state, tools, upper) if key in self.reach)
        # Projects are few: that all of them erred to one side does not say that the next one will.
        return [upper, round(min(low, -1.0) * unit, 2), round(max(high, 1.0) * unit, 2)]


def _first(usual: Mapping[str, float], names: Iterable[str], tools: str) -> float:
    return next((usual[name + tools] for name in names if name + tools in usual), usual["*" + tools])


def _usual(pairs: Sequence[tuple[Case, float]]) -> dict[str, float]:
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for case, expected in pairs:
        for name in names_of(case):
            errors[name + with_tools(case)].append(abs(error_of(case, expected)))
    usual: dict[str, float] = {}
    for name in sorted(errors, key=lambda name: (not name.startswith("*"), not name.startswith("~"), "@" in name)):
        everyone = float(np.quantile(errors["*+tools" if name.endswith("+tools") else "*"], 0.9))
        mine = errors[name]
        # As if ten errors more had been seen, of the size that is usual for all.
        usual[name] = max(_NARROWEST, (float(np.quantile(mine, 0.9)) * len(mine) + 10 * everyone) / (len(mine) + 10))
    return usual


def _keys(state: str, tools: str, upper: float) -> tuple[str, ...]:
    return f"{state}{tools}<{upper:g}", f"{state}{tools}", state, "*"


def _reach(far: Iterable[Stranger], usual: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    errors: defaultdict[str, list[float]] = defaultdict(list)
    for case, expected, known in far:
        tools = with_tools(case)
        names = [name for name in names_of(case) if name in known]
        state = state_of(names[0], known)
        upper = next(size for size in _SIZES if expected < size)
        error = error_of(case, expected) / _first(usual, names, tools)
        for key in _keys(state, tools, upper):
            errors[key].append(error)
    return {key: _ends(found) for key, found in errors.items() if len(found) >= _FEWEST or key == "*"}


def _ends(errors: Sequence[float], share: float = _TAIL) -> tuple[float, float]:
    """The finite-sample correction of split conformal prediction: of n errors take the ((n + 1) q)th."""
    tail = max(0.0, share - 1.0 / len(errors))
    low, high = np.quantile(errors, [tail, 1.0 - tail])
    return float(low), float(high)


def plain_steps(errors: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Steps]:
    """Intervals by name for counts that nothing was fitted for, from ``(expected, error)`` in units of ``spread``."""
    return {name: [_plain(found, upper) for upper in _SIZES] for name, found in errors.items() if len(found) >= _FEWEST}


def _plain(found: Sequence[tuple[float, float]], upper: float) -> list[float]:
    mine = [error for tokens, error in found if upper == next(size for size in _SIZES if tokens < size)]
    low, high = _ends(mine if len(mine) >= _FEWEST else [error for _, error in found], _EXACT_TAIL)
    return [upper, round(min(low, -_EXACT), 2), round(max(high, _EXACT), 2)]


_EXACT, _EXACT_TAIL = 0.05, 0.02
