"""How the conversations of a feature go, as far as was seen: do they go on, after how long, and what comes again.

A request is known again by the links of its positions, so nothing has to name a conversation. The longest prefix that
was sent before tells three things apart: the request goes on with a conversation; it opens another one with the same
tools and instructions; it is new. What was sent at the end of a request and is not sent again with the next one
(reminders, the time of day) is volatile, and so is what changes within tools and instructions.

Everything is counted in this process and bounded; nothing of a prompt is held but keyed hashes. What was learned of a
feature, not of its prompts, outlives the process (``dump`` and ``load``).
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.caching.bursts import Bursts
from ctxkit.caching.features import Features
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from ctxkit.caching.layout import Layout, Position

__all__ = ["Choice", "Habits", "Outlook", "Within", "opening_end"]

_KNOWN_LIVES = ((300.0, 0.98), (3600.0, 0.995))  # share of gaps within, as long as nothing was seen
_PRIOR = 2  # requests that what is assumed weighs as much as
_GOES_ON, _SINGLE = 0.9, 0.3  # assumed of a conversation with tools or answers, and of a lone question
_SHARED = 0.5  # assumed of an opening that is long enough to be cached: that another conversation opens with it
_PATIENCE = 60.0  # seconds after which a request that nobody followed up counts as the last one, until somebody does
_SAMPLES = 64
_FAR = 10.0  # requests that are looked ahead
_TAILS = 3  # continuations that have to agree on what is volatile
_LAST_ENDS = 4
_INSTRUCTIONS = frozenset({"system", "developer"})


class Choice(NamedTuple):
    """What was marked: times to live of the end of the opening and of the prompt; ``None``: not marked.

    Attributes:
        opening: of tools and instructions.
        tail: of the whole prompt.
        mode: of the request, where it says one.
    """

    opening: str | None = None
    tail: str | None = None
    mode: str | None = None


class Within(NamedTuple):
    """Gaps between requests, in seconds."""

    gaps: Sequence[float] = ()

    def share(self, seconds: float) -> float:
        """The share of gaps that a life of so many seconds bridges."""
        assumed = next((share for life, share in reversed(_KNOWN_LIVES) if seconds >= life), 0.5)
        bridged = sum(gap <= seconds for gap in self.gaps)
        return (bridged + _PRIOR * assumed) / (len(self.gaps) + _PRIOR)


class Outlook(NamedTuple):
    """What is to be expected of a request, from those before it.

    Attributes:
        goes_on: probability that another request continues this one.
        more: requests that are expected to.
        grows: tokens that each of them adds; ``None``: not seen yet.
        gaps: after which time.
        lost: positions at the end that the next request will not have.
        known: index of the last position that an earlier request had; -1: none.
        opening: index at which tools and instructions end, or the stable part of them; -1: none are stable.
        again: other conversations that are expected to open with them: as many again as there were already, or as are
            under way at this moment.
        arrivals: gaps between requests with this opening.
        per_minute: requests with this opening a minute.
        previous: what was chosen for the request that this one continues.
        begun: this is the first request of its conversation.
        told: requests of this kind from which that was learned.
    """

    goes_on: float = _SINGLE
    more: float = _SINGLE
    grows: float | None = None
    gaps: Within = Within()
    lost: int = 0
    known: int = -1
    opening: int = -1
    again: float = 0.0
    arrivals: Within = Within()
    per_minute: float = 0.0
    previous: Choice | None = None
    begun: bool = True
    told: int = 0


class _Asked:
    """One request that was sent."""

    __slots__ = ("begun", "choice", "count", "followed", "time")

    def __init__(self, time: float, count: int, choice: Choice, *, begun: bool) -> None:
        self.time, self.count, self.choice, self.begun = time, count, choice, begun
        self.followed = False


class _Feature:
    """What was seen of one feature."""

    __slots__ = ("aged", "gaps", "grown", "known", "lost", "young")

    def __init__(self) -> None:
        self.known: deque[bool] = deque(maxlen=_SAMPLES)
        self.gaps: deque[float] = deque(maxlen=_SAMPLES)
        self.grown: deque[float] = deque(maxlen=_SAMPLES)
        self.lost: deque[int] = deque(maxlen=_TAILS)
        self.young: deque[_Asked] = deque(maxlen=1_000)
        self.aged: deque[_Asked] = deque(maxlen=_SAMPLES)

    def figures(self) -> dict[str, list[Any]]:
        """Everything, as JSON has it."""
        told = [[asked.begun, asked.followed] for asked in (*self.aged, *self.young)]
        known = list(self.known)
        return {
            "gaps": list(self.gaps),
            "grown": list(self.grown),
            "lost": list(self.lost),
            "told": told,
            "known": known,
        }

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> _Feature:
        """From what :meth:`figures` gave."""
        feature = cls()
        feature.gaps.extend(map(float, figures["gaps"]))
        feature.grown.extend(map(float, figures["grown"]))
        feature.lost.extend(map(int, figures["lost"]))
        feature.known.extend(map(bool, figures.get("known", ())))
        for begun, followed in figures["told"]:
            asked = _Asked(0.0, 0, Choice(), begun=bool(begun))
            asked.followed = bool(followed)
            feature.aged.append(asked)
        return feature

    def goes_on(self, assumed: float, *, begun: bool) -> float:
        """Share of requests that another one followed, first ones and later ones apart."""
        told = [asked.followed for asked in self.aged if asked.begun is begun]
        return (sum(told) + _PRIOR * assumed) / (len(told) + _PRIOR)

    def shares(self) -> float:
        """Share of conversations whose opening was known already: of an opening that is new another is expected as often."""
        return (sum(self.known) + _PRIOR * _SHARED) / (len(self.known) + _PRIOR)

    def following(self, assumed: float, *, begun: bool) -> tuple[float, float]:
        """That another request follows, and how many do: as many again as a share of that size goes on."""
        goes_on, later = self.goes_on(assumed, begun=begun), self.goes_on(assumed, begun=False)
        return goes_on, goes_on * min(1.0 / max(1.0 - later, 1e-9), _FAR)

    def age(self, now: float) -> None:
        while self.young and (self.young[0].followed or now - self.young[0].time >= _PATIENCE):
            self.aged.append(self.young.popleft())


class _Opening:
    """What was seen of the tools and instructions that conversations open with."""

    __slots__ = ("gaps", "requests", "starts", "time")

    def __init__(self) -> None:
        self.starts = self.requests = 0
        self.time: float | None = None
        self.gaps: deque[float] = deque(maxlen=_SAMPLES)


class Habits:
    """Learns from requests that were sent what is to be expected of the next ones.

    Args:
        links: positions remembered.
        features: features, and openings, remembered.

    Attributes:
        bursts: requests under way.
    """

    def __init__(self, links: int = 30_000, features: int = 1_000) -> None:
        self._links, self._most = links, features
        self._seen: OrderedDict[bytes, _Asked] = OrderedDict()
        self._features = Features(_Feature, most=features)
        self._openings: OrderedDict[bytes, _Opening] = OrderedDict()
        self.bursts = Bursts()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def dump(self) -> bytes:
        """What was learned of features, to be kept: figures alone, no hash of a prompt."""
        with self._lock:
            return self._features.dump()

    def load(self, stored: bytes | None) -> None:
        """Begin with what was kept; what cannot be read is forgotten."""
        with self._lock:
            self._features.load(stored)

    def outlook(self, feature: str, layout: Layout, now: float = 0.0, owner: Hashable = None) -> Outlook:
        """What is to be expected of a request; with an ``owner``, who plans it, it counts for those planned beside it."""
        positions = layout.positions
        if not positions:
            return Outlook()
        with self._lock:
            end = opening_end(positions)
            ends = _ends(positions, end)
            links = [positions[index].link for index in ends]
            beside = dict(zip(ends, self.bursts.planned(owner, links, now), strict=True)) if owner is not None else {}
            known, before = self._known(positions)
            begun = known <= end
            held = self._features.get(feature) or _Feature()
            stable = self._stable(positions, end, beside)
            opening = self._openings.get(positions[stable].link) if stable >= 0 else None
            goes_on, more = held.following(_GOES_ON if _in_talk(positions) else _SINGLE, begun=begun)
            return Outlook(
                goes_on=goes_on,
                more=more,
                grows=fmean(held.grown) if held.grown else None,
                gaps=Within(tuple(held.gaps)),
                lost=min(held.lost) if len(held.lost) == _TAILS else 0,
                known=known,
                opening=stable,
                again=max(_again(opening, held.shares()), min(float(beside.get(stable, 0)), _FAR)),
                arrivals=Within(tuple(opening.gaps) if opening else ()),
                per_minute=_per_minute(opening),
                previous=before.choice if before is not None and not begun else None,
                begun=begun,
                told=sum(asked.begun is begun for asked in held.aged),
            )

    def left(self, owner: Hashable, attempt: str, layout: Layout, now: float) -> None:
        """A request leaves: it is under way until ``bursts`` is told that it ended."""
        ends = _ends(layout.positions, opening_end(layout.positions))
        self.bursts.sent(owner, attempt, [layout.positions[index].link for index in ends], now)

    def note(self, feature: str, layout: Layout, now: float, choice: Choice) -> None:
        """A request was sent."""
        positions = layout.positions
        if not positions:
            return
        with self._lock:
            end = opening_end(positions)
            known, before = self._known(positions)
            begun = known <= end
            asked = _Asked(now, len(positions), choice, begun=begun)
            held = self._features.held(feature)
            if before is not None and not begun and not before.followed:
                self._followed(held, before, known, now)
                held.grown.append(max(positions[-1].tokens - positions[known].tokens, 0.0))
            held.young.append(asked)
            held.age(now)
            if begun and end >= 0:
                held.known.append(positions[end].link in self._openings)
            for index in range(max(known, 0), len(positions)):
                self._seen[positions[index].link] = asked
                self._seen.move_to_end(positions[index].link)
            while len(self._seen) > self._links:
                self._seen.popitem(last=False)
            self._opened(positions, end, now, begun=begun)

    def _known(self, positions: Sequence[Position]) -> tuple[int, _Asked | None]:
        """The last position that was sent before, and the last request that had it."""
        seen = self._seen
        for index in range(len(positions) - 1, -1, -1):
            asked = seen.get(positions[index].link)
            if asked is not None:
                return index, asked
        return -1, None

    def _followed(self, held: _Feature, before: _Asked, known: int, now: float) -> None:
        before.followed = True
        held.gaps.append(max(0.0, now - before.time))
        held.lost.append(before.count - 1 - known)

    def _stable(self, positions: Sequence[Position], end: int, beside: Mapping[int, int]) -> int:
        """The end of the opening; where only a part of it ever came again, or comes now, the end of that part."""
        if end < 0 or positions[end].link in self._openings or beside.get(end):
            return end
        for index in _ends(positions, end):
            opening = self._openings.get(positions[index].link)
            if beside.get(index) or (opening is not None and opening.starts > _TAILS):
                return index
        return end

    def _opened(self, positions: Sequence[Position], end: int, now: float, *, begun: bool) -> None:
        """Count the last ends of what a conversation opens with: which of them come again is what is learned."""
        for index in _ends(positions, end):
            opening = self._opening(positions[index].link)
            opening.requests += 1
            opening.starts += begun
            if opening.time is not None:
                opening.gaps.append(max(0.0, now - opening.time))
            opening.time = now

    def _opening(self, link: bytes) -> _Opening:
        """What was seen of this opening, which comes now; of too many, the one that came longest ago is forgotten."""
        opening = self._openings.setdefault(link, _Opening())
        self._openings.move_to_end(link)
        while len(self._openings) > self._most:
            self._openings.popitem(last=False)
        return opening

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def opening_end(positions: Sequence[Position]) -> int:
    """Index at which tools and instructions end that a conversation opens with; -1: it opens without."""
    last = -1
    for index, position in enumerate(positions):
        if position.tier != "tools" and position.role not in _INSTRUCTIONS:
            break
        last = index
    return last


def _ends(positions: Sequence[Position], end: int) -> list[int]:
    """Where an opening may end before something in it that changes: its last blocks, and its tools."""
    tools = next((index for index in range(end, -1, -1) if positions[index].tier == "tools"), end)
    last = range(end, max(end - _LAST_ENDS, -1), -1)
    return [*last, tools] if last and tools < last[-1] else [*last]


def _in_talk(positions: Sequence[Position]) -> bool:
    """There are tools, or an answer was given already."""
    return positions[0].tier == "tools" or any(position.role == "assistant" for position in reversed(positions))


def _again(opening: _Opening | None, shared: float) -> float:
    """As many as there were already, but not more than a few: what they are worth is paid for now."""
    if opening is None or opening.starts < 2:
        return shared if opening is None else 0.0
    return min(opening.starts - 1, _FAR) * opening.starts / opening.requests


def _per_minute(opening: _Opening | None) -> float:
    if opening is None or not opening.gaps:
        return 0.0
    return len(opening.gaps) * 60.0 / max(sum(opening.gaps), 1.0)
