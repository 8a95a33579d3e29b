"""What a page of figures shows beside the rows of a report, as values; :mod:`.detailing` reads them from the ledger.

All money is in the report's currency, exact; ``None`` is not known and never 0. Features are told by their paths,
``""`` for what is unattributed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from ctxkit.metering.report.row import rounded
from ctxkit.money import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "REMOVALS",
    "Accuracy",
    "Cause",
    "Course",
    "Details",
    "Missed",
    "Part",
    "Spans",
    "Speed",
    "Step",
    "Strayed",
    "Thread",
]

REMOVALS: Final = ("stale", "spent", "episodes", "fit")
"""Passes that remove what was sent before, and are decided by what that is expected to save."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one feature cost, step by step.

    Attributes:
        feature: its path; ``None``: all that are not told one by one.
        costs: by step; ``None``: something was answered, and no price is known; 0: nothing was asked.
    """

    feature: str | None
    costs: tuple[Decimal | None, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What the provider's cache did in one step of time.

    Attributes:
        input_tokens: whole prompts of answers that tell what was read.
        read: of these, read from the cache.
        misses: answers that read less than they might have.
        missed: tokens that they did not read.
    """

    input_tokens: int = 0
    read: int = 0
    misses: int = 0
    missed: int = 0

    @property
    def cached(self) -> float | None:
        """Share of the prompts that was read from the cache."""
        return self.read / self.input_tokens if self.input_tokens else None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what was spent. Parts are disjoint and add up to the cost.

    Attributes:
        name: ``"fresh"``, ``"read"``, ``"written.5m"``, ``"written.30m"``, ``"written.1h"``, ``"written.12h"``,
            ``"output"`` (without reasoning), ``"reasoning"``, ``"calls"`` (tools of the provider's and fees per request),
            ``"storage"``, ``"waste"`` (what missed tokens cost more than reading them would have; it is taken out of
            fresh and written), ``"unsplit"`` (the provider's own sums, estimates, and sums that today's price list does
            not come to).
        cost: of it.
        tokens: that it paid for; ``None`` where it is not paid by tokens, or they are not known. Those of ``"waste"``
            stand in fresh or written too: there they cost what reading them would have.
    """

    name: str
    cost: Decimal
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """What one cause saved, signed: negative is a loss.

    Attributes:
        name: ``"cache"``, or the pass that edited.
        saved: by it.
    """

    name: str
    saved: Decimal


@dataclass(frozen=True, slots=True)
class Missed:
    """Misses of the provider's cache for one reason.

    Attributes:
        reason: see :data:`ctxkit.cacheable.MissReason`.
        requests: that missed.
        tokens: that they did not read.
        cost: what these cost more than a read; ``None``: no price is known.
        unpriced: misses whose cost is not known: ``cost`` is a lower bound when there are any.
    """

    reason: str
    requests: int
    tokens: int
    cost: Decimal | None
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far estimates of prompts were off, for one feature and model.

    Attributes:
        feature: that asked.
        model: that was asked.
        requests: with an estimate and a reported prompt.
        median: of the size of the relative error; 0.01 is one per cent.
        p90: of the same.
        p99: of the same.
        bias: estimated over reported prompts, minus 1, of the sums: negative when too little was estimated.
    """

    feature: str
    model: str
    requests: int
    median: float | None
    p90: float | None
    p99: float | None
    bias: float | None


@dataclass(frozen=True, slots=True)
class Spans:
    """Durations in seconds, of so many answers."""

    count: int = 0
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast answers came that read something from the cache, and those that read nothing.

    Attributes:
        name: ``"ttft"``, ``"tpot"`` or ``"e2e"``.
        cached: of those that read.
        cold: of those that told that they read nothing.
    """

    name: str
    cached: Spans
    cold: Spans


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation.

    Attributes:
        thread: its id.
        feature: of its requests (of the one that was asked most lately, where there are several).
        requests: that began in the period.
        attempts: of them that were made.
        input_tokens: of all prompts whose usage is known.
        read: of these, read from the cache.
        output: tokens.
        cost: ``None``: no price is known.
        unpriced: answered attempts without a known price: ``cost`` is a lower bound when there are any.
        savings: what edits and markers saved, signed; ``None``: not known.
        predicted: what removals decided in it were expected to save.
        per_request: cost by requests; ``None``: no price is known, or no request began in the period.
        edits: made, by pass; ``""`` for what is said to the provider's cache.
        misses: of the cache, by reason.
    """

    thread: str
    feature: str
    requests: int
    attempts: int
    input_tokens: int
    read: int
    output: int
    cost: Decimal | None
    unpriced: int
    savings: Decimal | None
    predicted: Decimal | None
    per_request: Decimal | None
    edits: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strayed:
    """A conversation that drifts, or is lost.

    Attributes:
        thread: its id.
        feature: of its latest request.
        measured: requests of it in the period whose drift was measured.
        score: of the latest one, from 0 to 1; so is ``level``.
        level: ``"drifting"`` or ``"lost"``.
        noise_share: of its tokens, over these requests; ``None``: it has none.
        noise_fee: what the noise cost; ``None``: no price is known.
        unpriced: of these requests, those whose fee is not known.
        stuck: the model seemed to do the same again and again.
        course: score by number of the request in the period, from 1.
    """

    thread: str
    feature: str
    measured: int
    score: float
    level: str
    noise_share: float | None
    noise_fee: Decimal | None
    unpriced: int
    stuck: bool
    course: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Details:
    """What stands beside the rows.

    Attributes:
        unit: of the steps of time.
        steps: their names in the user's zone, in order; those without any attempt are there too.
        courses: the dearest features, dearest first, and the rest together.
        caching: what the cache did, by step.
        cost: of the period; ``None``: no price is known.
        unpriced: attempts that were answered and have no known price: ``cost`` is a lower bound when there are any.
        parts: what it was spent on, in a fixed order; those that are there.
        causes: what saved and what lost, the largest first.
        predicted: what removals decided in the period were expected to save over the rest of their threads.
        realised: what passes that remove what was sent before have saved in the period, signed.
        misses: by reason, dearest first.
        accuracy: by feature and model, those with most requests first.
        speeds: with and without cache.
        best: threads that saved most.
        worst: threads that lost most.
        dearest: threads whose requests cost most.
        strayed: threads that drift most.
        threads: conversations of the period.
        limits: what was left out to be quick, as sentences.
    """

    unit: Literal["hour", "day", "month"]
    steps: tuple[str, ...]
    courses: tuple[Course, ...]
    caching: tuple[Step, ...]
    cost: Decimal | None
    unpriced: int
    parts: tuple[Part, ...]
    causes: tuple[Cause, ...]
    predicted: Decimal
    realised: Decimal
    misses: tuple[Missed, ...]
    accuracy: tuple[Accuracy, ...]
    speeds: tuple[Speed, ...]
    best: tuple[Thread, ...] = ()
    worst: tuple[Thread, ...] = ()
    dearest: tuple[Thread, ...] = ()
    strayed: tuple[Strayed, ...] = ()
    threads: int = 0
    limits: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For ``json.dumps``: money as decimal strings, what is unknown as ``None``."""
        return {
            "unit": self.unit,
            "steps": list(self.steps),
            "cost_by_feature": [{"feature": one.feature, "costs": [*map(plain, one.costs)]} for one in self.courses],
            "cost": plain(self.cost),
            "unpriced": self.unpriced,
            "parts": {one.name: {"cost": plain(one.cost), "tokens": one.tokens} for one in self.parts},
            "savings_by": {one.name: plain(one.saved) for one in self.causes},
            "predicted": plain(self.predicted),
            "realised": plain(self.realised),
            "caching": [{**_values(one), "cached": rounded(one.cached)} for one in self.caching],
            "misses": [_values(one) for one in self.misses],
            "accuracy": [_values(one) for one in self.accuracy],
            "latency": {one.name: {"cached": _values(one.cached), "cold": _values(one.cold)} for one in self.speeds},
            "threads": {
                "count": self.threads,
                "best": _all_values(self.best),
                "worst": _all_values(self.worst),
                "dearest": _all_values(self.dearest),
                "strayed": _all_values(self.strayed),
            },
            "limits": list(self.limits),
        }


def _all_values(ones: Iterable[Any]) -> list[dict[str, Any]]:
    return [_values(one) for one in ones]


def _values(one: Any) -> dict[str, Any]:
    """The fields of a flat value, for JSON."""

    def told(value: Any) -> Any:
        if isinstance(value, Decimal):
            return plain(value)
        return rounded(value) if isinstance(value, float) else value

    return {named.name: told(getattr(one, named.name)) for named in fields(one)}
