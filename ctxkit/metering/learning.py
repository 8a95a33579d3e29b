"""What settlements teach about the next request of the same feature.

A feature sends alike requests: the same system text and tools, a history that grows. What the estimate of its family
misses (a prompt the provider adds, tools that render a little longer, a language) is then the same offset and the same
ratio each time, and a few settlements tell both. Beside it: how long answers are, and which share of the prompt the
provider read from its cache.

Holds numbers only, with the names they belong to: no prompt text.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, insort
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.metering.count import Count
    from ctxkit.model import Usage

__all__ = ["Learned"]

_VERSION = 1
_Kept = TypeVar("_Kept")


class Learned:
    """Corrections per feature, learned online; one per kit, for all threads.

    Args:
        memory: how many features (times models) are kept; the one that was not observed for longest goes first.
    """

    def __init__(self, memory: int = 4096) -> None:
        self._lines: _Recent[_Line] = _Recent(memory)
        self._answers: _Recent[_Lengths] = _Recent(memory)
        self._shares: _Recent[_Share] = _Recent(memory)
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        self._lock = threading.Lock()

    def correct(self, count: Count, feature: str | None, model: str) -> Count:
        """``count`` as past settlements of this feature would have had it; unchanged when there were none."""
        key = feature or ""
        line = self._lines.get((count.family, key, model, count.shape)) or self._lines.get(
            (count.family, key, model, -1)
        )
        if line is None:
            return count
        tokens = line.predict(count.tokens)
        if not -_FARTHEST < tokens < _FARTHEST:
            return count
        below, above = line.widths(count)
        expected = max(1, round(tokens))
        low, high = int(tokens - below), int(tokens + above) + 1
        return replace(count, tokens=expected, low=max(0, min(expected, low)), high=max(expected, high))

    def expect_output(self, feature: str | None, model: str) -> int | None:
        """Median length of the answers of this feature in tokens; ``None`` before the first."""
        return self.output_quantile(feature, model, 0.5)

    def output_quantile(self, feature: str | None, model: str, share: float) -> int | None:
        """Length that ``share`` of the latest answers of this feature did not pass; ``None`` before the first."""
        lengths = self._answers.get(("", feature or "", model, 0))
        return lengths.quantile(share) if lengths else None

    def expect_read_share(self, feature: str | None, model: str) -> float | None:
        """Share of the prompt that the provider reads from its cache; ``None`` when it never said."""
        share = self._shares.get(("", feature or "", model, 0))
        return share.value if share else None

    def observe(self, count: Count, feature: str | None, model: str, usage: Usage) -> None:
        """Learn from a settled request.

        Args:
            count: as the counter gave it, before :meth:`correct`.
            feature: the feature that asked.
            model: the model that was asked for.
            usage: what the provider reported.
        """
        actual = usage.input_total
        key = feature or ""
        with self._lock:
            if actual:
                for shape in (count.shape, -1):
                    line = self._lines.at((count.family, key, model, shape), lambda: _Line(count))
                    line.observe(count, actual)
                if usage.read is not None:
                    self._shares.at(("", key, model, 0), _Share).observe(usage.read / actual)
            if usage.output is not None:
                self._answers.at(("", key, model, 0), _Lengths).observe(usage.output)

    def dump(self) -> bytes:
        """All of it as JSON, for a store that outlives the process."""
        with self._lock:
            kept = {name: recent.dump() for name, recent in self._parts().items()}
        return json.dumps({"version": _VERSION, **kept}, separators=(",", ":")).encode()

    @classmethod
    def load(cls, data: bytes, memory: int = 4096) -> Learned:
        """What :meth:`dump` gave; anything else gives an empty one, since learning begins anew by itself."""
        learned = cls(memory)
        try:
            kept = json.loads(data)
            if kept["version"] == _VERSION:
                learned._fill(kept)
        except (ValueError, KeyError, TypeError, IndexError):
            return cls(memory)
        return learned

    def _fill(self, kept: dict[str, Any]) -> None:
        self._lines.fill(kept["lines"], _Line.revive)
        self._answers.fill(kept["answers"], _Lengths.revive)
        self._shares.fill(kept["shares"], _Share.revive)

    def _parts(self) -> dict[str, _Recent[Any]]:
        return {"lines": self._lines, "answers": self._answers, "shares": self._shares}


_Key = tuple[str, str, str, int]


class _Recent(Generic[_Kept]):
    """A bounded table of what is learned, by (family, feature, model, shape); the longest unobserved goes first."""

    def __init__(self, memory: int) -> None:
        self._memory = max(1, memory)
        self._kept: dict[_Key, _Kept] = {}

    def get(self, key: _Key) -> _Kept | None:
        return self._kept.get(key)

    def at(self, key: _Key, make: Callable[[], _Kept]) -> _Kept:
        kept = self._kept.pop(key, None)
        if kept is None:
            kept = make()
            if len(self._kept) >= self._memory:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = kept
        return kept

    def dump(self) -> list[list[Any]]:
        return [[*key, kept.state()] for key, kept in self._kept.items()]  # type: ignore[attr-defined]

    def fill(self, rows: list[list[Any]], revive: Callable[[Any], _Kept]) -> None:
        for family, feature, model, shape, state in rows[-self._memory :]:
            self._kept[str(family), str(feature), str(model), int(shape)] = revive(state)


class _Line:
    """``reported = offset + ratio * estimated``: recursive least squares that forgets, with a limit on surprises.

    The prior is offset 0, ratio 1, held as loosely as the family's interval is wide; one odd settlement (a prompt that
    the provider cut or extended) moves the line little, a lasting change moves it within a few. Where the line did
    worse than the estimate itself of late (a feature of many unlike requests), the estimate stands.
    """

    __slots__ = ("a", "b", "n", "own", "paa", "pab", "pbb", "raw", "reach", "streak")

    def __init__(self, count: Count) -> None:
        half = max(2.0, (count.high - count.low) / 2)
        self.a, self.b, self.n = 0.0, 1.0, 0.0
        self.paa = min(half, _LOOSEST_OFFSET) ** 2
        self.pbb = min(0.5, max(0.02, half / max(count.tokens, 1) / 3)) ** 2
        self.pab = 0.0
        self.reach = max(1.0, half / _noise(count.tokens))
        self.raw = self.own = self.streak = 0.0

    def predict(self, tokens: float) -> float:
        """What the line, or the estimate if that did better, expects to be reported."""
        return tokens if self.raw < self.own else self.a + self.b * tokens

    def widths(self, count: Count) -> tuple[float, float]:
        """How far below and above the line the reported count is expected: the family's own width at first."""
        learned = self.reach * _noise(count.tokens)
        trust = self.n / (self.n + _PATIENCE)
        below = (1 - trust) * (count.tokens - count.low) + trust * learned
        above = (1 - trust) * (count.high - count.tokens) + trust * learned
        return below, above

    def observe(self, count: Count, actual: int) -> None:
        tokens = float(count.tokens)
        noise = _noise(tokens)
        self._stretch(abs(actual - self.predict(tokens)) / noise)
        error = actual - self.a - self.b * tokens
        self.raw += (abs(actual - tokens) / noise - self.raw) * _RECENT
        self.own += (abs(error) / noise - self.own) * _RECENT
        self._doubt(error, noise, tokens)
        gain_a = self.paa + self.pab * tokens
        gain_b = self.pab + self.pbb * tokens
        known = gain_a + gain_b * tokens
        total = max(noise * noise + known, error * error / _SURPRISE)
        gain_a, gain_b = gain_a / total, gain_b / total
        self.a += gain_a * error
        self.b += gain_b * error
        self._narrow(gain_a, gain_b, total)
        self.n += 1

    def _doubt(self, error: float, noise: float, tokens: float) -> None:
        """One surprise is an odd request; three in a row are a change, which what was known must not hold up."""
        known = self.paa + (2 * self.pab + self.pbb * tokens) * tokens
        surprised = error * error > _SURPRISE * (noise * noise + known)
        self.streak = self.streak + 1 if surprised else 0.0
        if self.streak >= _CHANGE:
            self.paa = min(_LOOSEST_OFFSET**2, self.paa + error * error)
            self.streak = 0.0

    def _narrow(self, gain_a: float, gain_b: float, total: float) -> None:
        """What is known better now, less what is forgotten, within the bounds of the prior."""
        self.paa = min(_LOOSEST_OFFSET**2, (self.paa - gain_a * gain_a * total) / _MEMORY)
        self.pab = (self.pab - gain_a * gain_b * total) / _MEMORY
        self.pbb = min(0.25, (self.pbb - gain_b * gain_b * total) / _MEMORY)
        bound = (self.paa * self.pbb) ** 0.5
        self.pab = max(-bound, min(bound, self.pab))

    def _stretch(self, ratio: float) -> None:
        """Follow the 96th percentile of errors: up by 60 % when one lies beyond, down by 2.5 % when not."""
        self.reach = min(_FARTHEST, self.reach * 1.6) if ratio > self.reach else max(0.5, self.reach * 0.975)

    def state(self) -> list[float]:
        return [getattr(self, name) for name in _STATE]

    @classmethod
    def revive(cls, state: list[float]) -> _Line:
        line = cls.__new__(cls)
        for name, figure in zip(_STATE, state, strict=True):
            setattr(line, name, float(figure))
        return line


_STATE = ("a", "b", "n", "paa", "pab", "pbb", "reach", "raw", "own", "streak")
_CHANGE = 3
_LOOSEST_OFFSET = 2000.0
_SURPRISE = 9.0
"""Errors beyond three standard deviations count as if they were at three."""
_MEMORY = 0.97
"""What a settlement weighs after the next one: about 30 are remembered."""
_RECENT = 0.15
"""Share of the newest error in the mean by which the line and the bare estimate are compared."""
_PATIENCE = 6
"""Settlements after which the learned width counts as much as the family's."""
_FARTHEST = 1e9


def _noise(tokens: float) -> float:
    """Errors that no line explains: a few tokens and half a per cent."""
    return 2.0 + 0.005 * tokens


class _Lengths:
    """The latest lengths of answers."""

    __slots__ = ("latest", "ordered")

    def __init__(self) -> None:
        self.latest: list[int] = []
        self.ordered: list[int] = []

    def observe(self, length: int) -> None:
        if len(self.latest) >= _KEPT:
            gone = self.latest.pop(0)
            del self.ordered[bisect_left(self.ordered, gone)]
        self.latest.append(length)
        insort(self.ordered, length)

    def quantile(self, share: float) -> int:
        ordered = self.ordered
        return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered))))]

    def state(self) -> list[int]:
        return list(self.latest)

    @classmethod
    def revive(cls, state: list[int]) -> _Lengths:
        lengths = cls()
        for length in state[-_KEPT:]:
            lengths.observe(int(length))
        return lengths


_KEPT = 63
"""An odd number, so that the median is one of them."""


class _Share:
    """A mean that forgets: a plain mean at first."""

    __slots__ = ("n", "value")

    def __init__(self) -> None:
        self.n, self.value = 0, 0.0

    def observe(self, share: float) -> None:
        self.n += 1
        self.value += (min(1.0, max(0.0, share)) - self.value) / min(self.n, 32)

    def state(self) -> list[float]:
        return [self.n, self.value]

    @classmethod
    def revive(cls, state: list[float]) -> _Share:
        share = cls()
        share.n, share.value = int(state[0]), float(state[1])
        return share
