"""How much of what could be read is read: learned from settlements, per rule and model.

Rules say up to where a prefix may be read. What best-effort providers then report is less, or more: some count what their
template adds behind the last message, some keep the answer too, some report the same figure again for several turns. So a
read is foreseen in several ways, each of them simple, and the one that erred least lately is believed. Until anything was
settled that is the bound itself.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict, deque
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ctxkit.caching.features import UNREADABLE
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CERTAIN", "WAYS", "Experience", "Known", "Way"]

Way: TypeAlias = Literal["rule", "short", "again", "answer", "answer_short"]
"""How a read is foreseen: by the ``rule`` alone; the rule less what usually was missing (``short``); what the request
before read (``again``); with that request's answer (``answer``), and that less what usually was missing."""

WAYS: tuple[Way, ...] = ("rule", "short", "again", "answer", "answer_short")
CERTAIN: tuple[Way, ...] = ("rule", "answer")
"""For caches that keep what they should, an engine of one's own: only whether answers are sent back as they came differs."""

_LATELY = 16  # errors that decide which way is believed
_SHORTFALLS = 32
_CAME = 64  # expected reads that the probability is made of
_READS = 16  # different reads, of which the step is learned
_LEAST = 3  # settlements before anything is concluded
_DOUBT = 30  # expected reads of which next to none came, after which a rule is relied upon no more
_DOUBTED = 0.05


class Known(NamedTuple):
    """What is known of a read that is about to be foreseen.

    Attributes:
        bound: tokens that are read by the rules.
        prompt: tokens of the longest prefix believed alive, as reported.
        answer: tokens of the answer that stands behind it in this request too; 0 where it does not.
        again: tokens that the request which sent that prefix read itself; ``None``: unknown.
        step: reads are a multiple of it.
        most: no more than this can be read: the prompt less its last token.
        stepped: the step is that of the rule's own, or was learned: errors tell of the way and not of the step.
    """

    bound: int
    prompt: float
    answer: float
    again: int | None
    step: int
    most: int
    stepped: bool = True


class _Model:
    """What was learned of one rule and model."""

    __slots__ = ("came", "errors", "least", "reads", "shortfalls")

    def __init__(self) -> None:
        self.errors: dict[Way, deque[float]] = {way: deque(maxlen=_LATELY) for way in WAYS}
        self.shortfalls: dict[Way, deque[float]] = {way: deque(maxlen=_SHORTFALLS) for way in ("rule", "answer")}
        self.came: deque[bool] = deque(maxlen=_CAME)
        self.least: int | None = None
        self.reads: deque[int] = deque(maxlen=_READS)  # different ones

    def step(self) -> int | None:
        """What all reads are a multiple of; ``None`` before enough different ones were seen."""
        return math.gcd(*self.reads) if len(self.reads) >= _LEAST else None

    def foreseen(self, way: Way, known: Known) -> int:
        if way == "rule" or (way == "again" and not known.again):
            return known.bound
        if way == "again":
            return min(known.again or 0, known.most)
        tokens = known.prompt + (known.answer if way in ("answer", "answer_short") else 0.0)
        if way in ("short", "answer_short"):
            tokens -= self._shortfall("rule" if way == "short" else "answer", known.step)
        return max(int(min(tokens, known.most) // known.step * known.step), 0)

    def _shortfall(self, way: Way, step: int) -> float:
        """What is usually missing, beyond the half step that rounding takes on the average."""
        seen = self.shortfalls[way]
        return max(median(seen) - (step / 2 if step > 1 else 0), 0.0) if len(seen) >= _LEAST else 0.0

    def best(self, ways: Sequence[Way]) -> Way:
        """The way that erred least lately; of equals, the simplest."""
        return min(ways, key=self._error)

    def _error(self, way: Way) -> tuple[float, float]:
        """The median, because what is foreseen is wrong by much at times; where that is the same, the mean."""
        seen = self.errors[way]
        return (median(seen), fmean(seen)) if len(seen) >= _LEAST else (0.0, 0.0)

    def note(self, known: Known, read: int) -> None:
        for way in WAYS:
            self.errors[way].append(abs(self.foreseen(way, known) - read) / read)
        self.shortfalls["rule"].append(float(known.prompt - read))
        self.shortfalls["answer"].append(float(known.prompt + known.answer - read))


class Experience:
    """What settlements taught; one per kit, for all threads.

    Args:
        stored: what an earlier :meth:`dump` gave; anything else is as good as nothing.
        size: rules and models remembered.
    """

    def __init__(self, stored: bytes | None = None, size: int = 500) -> None:
        self._size = size
        self._models: OrderedDict[tuple[str, str], _Model] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")
        if stored:
            self._load(stored)

    def tokens(self, rule: str, model: str, known: Known, ways: Sequence[Way] = WAYS) -> int:
        """What will be read, if the prefix is alive."""
        held = self._models.get((rule, model))
        if held is None:
            return known.bound
        return held.foreseen(held.best(ways), known)

    def probability(self, rule: str, model: str) -> float | None:
        """Share of expected reads that came; ``None`` while too few were settled."""
        held = self._models.get((rule, model))
        return sum(held.came) / len(held.came) if held is not None and len(held.came) >= _LEAST else None

    def doubted(self, rule: str, model: str) -> bool:
        """So many expected reads did not come that the rule cannot be right."""
        held = self._models.get((rule, model))
        return held is not None and len(held.came) >= _DOUBT and sum(held.came) < _DOUBTED * len(held.came)

    def step(self, rule: str, model: str) -> int | None:
        """What all reported reads are a multiple of (the blocks of an engine); ``None``: not known yet."""
        held = self._models.get((rule, model))
        return held.step() if held is not None else None

    def least(self, rule: str, model: str) -> int | None:
        """The smallest read that was reported: a minimum above it does not hold."""
        held = self._models.get((rule, model))
        return held.least if held is not None else None

    def note(self, rule: str, model: str, known: Known | None, read: int) -> None:
        """Learn from a settlement.

        Args:
            rule: id of the rules.
            model: as asked for.
            known: what was known of an expected read; ``None``: none was expected.
            read: tokens that the provider reported as read.
        """
        with self._lock:
            held = self._models.setdefault((rule, model), _Model())
            self._models.move_to_end((rule, model))
            while len(self._models) > self._size:
                self._models.popitem(last=False)
            if read > 0:
                held.least = read if held.least is None else min(held.least, read)
                if read not in held.reads:
                    held.reads.append(read)
            if known is not None:
                held.came.append(read > 0)
                if read > 0 and known.stepped:
                    held.note(known, read)

    def dump(self) -> bytes:
        """All that was learned, as JSON."""
        with self._lock:
            return json.dumps([[*key, _plain(model)] for key, model in self._models.items()]).encode()

    def _load(self, stored: bytes) -> None:
        try:
            for rule, model, plain in json.loads(stored):
                self._models[str(rule), str(model)] = _model(plain)
        except UNREADABLE:
            self._models.clear()

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _plain(model: _Model) -> dict[str, object]:
    return {
        "errors": {way: list(seen) for way, seen in model.errors.items()},
        "shortfalls": {way: list(seen) for way, seen in model.shortfalls.items()},
        "came": list(model.came),
        "least": model.least,
        "reads": list(model.reads),
    }


def _model(plain: Mapping[str, Mapping[str, list[float]]]) -> _Model:
    model = _Model()
    for way, errors in model.errors.items():
        errors.extend(float(error) for error in plain["errors"].get(way, ()))
    for way, shortfalls in model.shortfalls.items():
        shortfalls.extend(float(tokens) for tokens in plain["shortfalls"].get(way, ()))
    model.came.extend(bool(came) for came in plain["came"])
    model.reads.extend(int(read) for read in plain["reads"])
    least = plain["least"]
    model.least = least if isinstance(least, int) else None
    return model
