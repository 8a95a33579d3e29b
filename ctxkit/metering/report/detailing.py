"""Reads the details of a report: costs and caching over time from the roll-ups, all else from the attempts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from ctxkit.errors import StoreError
from ctxkit.metering.ledger.rollup import HOUR
from ctxkit.metering.report.conversations import standing_out
from ctxkit.metering.report.details import REMOVALS, Accuracy, Cause, Course, Details, Missed, Part, Step
from ctxkit.metering.report.drifts import strayed
from ctxkit.metering.report.period import day_of, hour_of, next_day
from ctxkit.metering.report.reading import OTHERS, Group, groups_of, one_state
from ctxkit.metering.report.row import Row
from ctxkit.metering.report.speeds import MOST, speeds
from ctxkit.metering.report.spending import PARTS, Split, split
from ctxkit.money import EXACT, usd_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from decimal import Decimal
    from typing import Literal

    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report.reading import Groups, Question
    from ctxkit.metering.report.spending import Cards

__all__ = ["SCORED", "details_of"]

_TOLD: Final = 8  # features whose course is told one by one
SCORED: Final = 100
"""Features and models whose estimates are told."""

_FEW_HOURS: Final = 2 * 86_400
_MANY_DAYS: Final = 92


def details_of(ledger: Ledger, question: Question, rate: Decimal, cards: Cards) -> Callable[[], Details]:
    """Reads the details of what a question is about when it is called, and remembers them.

    That raises ``StoreError`` when the ledger cannot be read, or was a temporary one that is closed.

    Args:
        ledger: to read from.
        question: of the report; what it groups by does not matter here.
        rate: units of the report's currency per USD.
        cards: finds the rates of any time.
    """
    return cache(partial(_details, ledger, question, rate, cards))


def _details(ledger: Ledger, question: Question, rate: Decimal, cards: Cards) -> Details:
    def read(db: sqlite3.Connection) -> Details:
        with one_state(db):
            return _Reader(db, question, rate, cards).read()

    if not ledger.exists():  # a temporary one that was closed: reading would make a new one
        raise StoreError("the ledger is not there any more")
    return ledger.read(read)


class _Reader:
    """Reads one state of the database."""

    def __init__(self, db: sqlite3.Connection, question: Question, rate: Decimal, cards: Cards) -> None:
        self._db = db
        self._question = question
        self._rate = rate
        self._cards = cards
        since, until = question.since, question.until
        self._bounds = float("-inf") if since is None else since, float("inf") if until is None else until

    def _money(self, pico: int) -> Decimal:
        return EXACT.multiply(usd_of(pico), self._rate)

    def read(self) -> Details:
        """All of it."""
        unit, steps = self._steps()
        told = self._groups(by=("feature", "model", "miss_reason"))
        apart = _dearest(told)
        by = "hour" if unit == "hour" else "day", "feature"
        over_time = self._groups(by=by, plain=True, apart=frozenset(apart))
        if unit == "month":
            over_time = _by_month(over_time)
        total = Row((), _merged(told.values()), self._rate)
        found, limited = speeds(self._db, *self._bounds)
        threads, count = standing_out(self._db, *self._bounds, self._money)
        return Details(
            unit=unit,
            steps=steps,
            courses=tuple(self._courses(over_time, steps, apart)),
            caching=tuple(_caching(over_time, steps)),
            cost=total.cost,
            unpriced=total.unpriced,
            parts=tuple(self._parts(total)),
            causes=tuple(_causes(total)),
            predicted=total.predicted,
            realised=EXACT.multiply(usd_of(_removed(total.group)), self._rate),
            misses=tuple(self._misses(told)),
            accuracy=tuple(_accuracy(told)),
            speeds=found,
            **threads,
            strayed=strayed(self._db, *self._bounds, self._money) if _drifts(total) else (),
            threads=count,
            limits=tuple(_limits(speed=limited, scored=len(_scored(told)))),
        )

    def _groups(self, **asked: Any) -> Groups:
        """Groups of the period in which there is anything."""
        groups, _ = groups_of(self._db, replace(self._question, **asked))
        return {key: group for key, group in groups.items() if group.used}

    # ------------------------------------------------------------------ over time

    def _steps(self) -> tuple[Literal["hour", "day", "month"], tuple[str, ...]]:
        """The unit that suits the length of the period, and all steps of it, those without any attempt too."""
        bounds = self._seen()
        if bounds is None:
            return "day", ()
        begin, end = bounds
        zone = self._question.zone
        if end - begin <= _FEW_HOURS:
            hours = range(int(begin - begin % HOUR), int(end) + 1, HOUR)
            return "hour", tuple(dict.fromkeys(hour_of(hour, zone) for hour in hours))
        days, at = [], begin
        while at <= end:
            days.append(day_of(at, zone))
            at = next_day(at, zone)
        days = list(dict.fromkeys(days))
        if len(days) > _MANY_DAYS:
            return "month", tuple(dict.fromkeys(day[:7] for day in days))
        return "day", tuple(days)

    def _seen(self) -> tuple[float, float] | None:
        """Moments of the first and the last attempt of the period, each looked up in the index."""
        place = "FROM attempts WHERE created >= ? AND created < ?"
        first, last = (
            self._db.execute(f"SELECT {end}(created) {place}", self._bounds).fetchone()[0] for end in ("min", "max")
        )
        return None if first is None else (first, last)

    def _courses(self, groups: Groups, steps: tuple[str, ...], apart: list[str]) -> Iterator[Course]:
        for feature in apart:
            yield Course(feature, tuple(self._spent(groups.get((step, feature))) for step in steps))
        if any(feature == OTHERS for _, feature in groups):
            yield Course(None, tuple(self._spent(groups.get((step, OTHERS))) for step in steps))

    def _spent(self, group: Group | None) -> Decimal | None:
        """What a group cost: ``None`` where something was answered and nothing of it has a price."""
        if group is None:
            return self._money(0)
        unknown = any(group.unpriced.values()) and not group.counters["priced"]
        return None if unknown else self._money(group.counters["cost_pico"])

    # ------------------------------------------------------------------ sums

    def _parts(self, total: Row) -> Iterator[Part]:
        found = split(self._db, *self._bounds, self._cards) if total.group.counters["priced"] else Split()
        if storage := total.group.counters["storage_pico"]:
            found.pico["storage"] = storage
        if rest := total.group.counters["cost_pico"] - sum(found.pico.values()):
            found.pico["unsplit"] = rest
        for name in PARTS:
            if found.pico.get(name) or found.tokens.get(name):
                yield Part(name, self._money(found.pico[name]), found.tokens.get(name))

    def _misses(self, told: Groups) -> Iterator[Missed]:
        reasons: dict[str, Group] = {}
        for (_, _, reason), group in told.items():
            if reason:
                reasons.setdefault(reason, Group()).merge(group)
        rows = [Row((reason,), group, self._rate) for reason, group in reasons.items()]
        for row in sorted(rows, key=lambda row: (-row.group.counters["miss_pico"], row.key)):
            yield Missed(row.key[0], row.misses, row.missed, row.miss_cost, row.misses_unpriced)


def _drifts(total: Row) -> bool:
    """Some conversation does; looking for which takes as long as all attempts take to read."""
    return bool(total.drifted("drifting") or total.drifted("lost"))


def _limits(*, speed: bool, scored: int) -> Iterator[str]:
    """What was left out."""
    if speed:
        yield f"speed is that of the latest {MOST:,} answers"
    if scored > SCORED:
        yield f"estimates are told for {SCORED} of {scored:,} features and models, those with most answers"


def _dearest(told: Groups) -> list[str]:
    """The features whose course is told one by one; a rest of a single one has its own name, too."""
    costs: dict[str, int] = {}
    for (feature, *_), group in told.items():
        costs[feature] = costs.get(feature, 0) + group.counters["cost_pico"]
    dearest = sorted(costs, key=lambda feature: (-costs[feature], feature))
    return dearest if len(dearest) == _TOLD + 1 else dearest[:_TOLD]


def _by_month(groups: Groups) -> Groups:
    found: Groups = {}
    for (day, feature), group in groups.items():
        found.setdefault((day[:7], feature), Group()).merge(group)
    return found


def _merged(groups: Iterable[Group]) -> Group:
    whole = Group()
    for group in groups:
        whole.merge(group)
    return whole


def _caching(groups: Mapping[tuple[str, ...], Group], steps: tuple[str, ...]) -> Iterator[Step]:
    whole: dict[str, Group] = {step: Group() for step in steps}
    for (step, _), group in groups.items():
        whole.setdefault(step, Group()).merge(group)
    for step in steps:
        counters = whole[step].counters
        yield Step(*(counters[name] for name in ("readable", "read", "misses", "miss_tokens")))


def _causes(total: Row) -> Iterator[Cause]:
    # ``savings_by`` is in the order of CAUSES, which stays among equals.
    for name, saved in sorted(total.savings_by.items(), key=lambda one: one[1].copy_abs(), reverse=True):
        yield Cause(name, saved)


def _removed(group: Group) -> int:
    return sum(group.counters[f"saved_{name}_pico"] for name in REMOVALS)


def _accuracy(told: Groups) -> Iterator[Accuracy]:
    wanted: dict[tuple[str, str], list[Group]] = {pair: [] for pair in _scored(told)[:SCORED]}
    for (feature, model, _), group in told.items():
        if (known := wanted.get((feature, model))) is not None:
            known.append(group)
    for (feature, model), groups in wanted.items():
        row = Row((feature, model), _merged(groups))
        if count := row.group.sketches["error"].sketch().count():
            yield Accuracy(feature, model, count, row.error(0.5), row.error(0.9), row.error(0.99), row.bias)


def _scored(told: Groups) -> list[tuple[str, str]]:
    """Features and models of which an estimate can be scored, those with most answers first."""
    answers: dict[tuple[str, str], int] = {}
    for (feature, model, _), group in told.items():
        if group.counters["act_input"]:
            answers[feature, model] = answers.get((feature, model), 0) + group.counters["metered"]
    return sorted(answers, key=lambda pair: (-answers[pair], pair))
