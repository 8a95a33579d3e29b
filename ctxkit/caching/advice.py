"""What would have been cheaper: times to live, pings and prewarming, reckoned over requests that were really made.

Hindsight, and no forecast: every figure is what a choice would have cost or saved over these very requests, with its
sign, at the rates of today, for the tokens of the prefix alone. The choice itself (how many pings) is the best one that
hindsight finds, so nothing that comes out as a loss was worth considering. Two requests of a thread are taken to share
the earlier one's whole prompt, and what was never cached is not reckoned with.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ctxkit.caching.economics import most_pings
from ctxkit.money import usd_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Record

__all__ = ["Advice", "Case", "Kind", "Turn", "advise", "turn_of"]

Kind: TypeAlias = Literal["ttl", "keep_alive", "cold_start", "prewarm"]
"""What is advised on.

``ttl``
    another time to live than the one that was mostly written.
``keep_alive``
    pings that read an idle thread's prefix before it ends. ctxkit never sends any.
``cold_start``
    waiting for one that goes first (``cold_start_wait``), where requests raced to write the same prefix.
``prewarm``
    filling the cache before such a burst (``kit.prewarm``): the same, less the read of one more request.
"""

_FEWEST = 5  # requests that were cached, below which nothing is said
_MOST = 100  # pings through one idle stretch
_BURST = 60.0  # seconds between races, from which on they are of two bursts


class Turn(NamedTuple):
    """One settled request.

    Attributes:
        feature: that asked; ``""`` when unattributed.
        platform: who served it.
        model: that was asked for.
        dialect: wire format.
        thread: conversation.
        created: unix time in seconds.
        tokens: of the whole prompt.
        read: tokens read from the cache.
        written: tokens written, by time to live.
        raced: tokens that it did not read because another request was still writing them.
    """

    feature: str
    platform: str
    model: str
    dialect: str
    thread: str
    created: float
    tokens: int
    read: int = 0
    written: Mapping[str, int] = {}
    raced: int = 0


class Case(NamedTuple):
    """How requests of one kind are cached, and at which rates.

    Attributes:
        rule: how the provider's cache works.
        rates: pico-dollars per token by bucket.
    """

    rule: Rule
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Advice:
    """What one choice would have come to for one feature.

    Attributes:
        kind: of choice.
        feature: ``""`` when unattributed.
        platform: who served it.
        model: that was asked for.
        choice: what was reckoned with (``"1h"``, ``"11 pings"``).
        saving_pico: pico-dollars that it would have saved over these requests; negative: cost.
        requests: that were looked at.
        text: the same for people.
    """

    kind: Kind
    feature: str
    platform: str
    model: str
    choice: str
    saving_pico: int
    requests: int
    text: str

    @property
    def pays(self) -> bool:
        """It would have saved money."""
        return self.saving_pico > 0

    def to_dict(self) -> dict[str, object]:
        """For ``json.dumps``: ``saving_usd`` is a decimal string, signed."""
        return {
            "kind": self.kind,
            "feature": self.feature or None,
            "platform": self.platform,
            "model": self.model,
            "choice": self.choice,
            "saving_usd": f"{usd_of(self.saving_pico):f}",
            "requests": self.requests,
            "text": self.text,
        }


def turn_of(record: Record) -> Turn | None:
    """A settled record as a turn; ``None`` where it tells too little."""
    usage = record.usage
    if record.status != "settled" or usage is None or usage.input_total is None or not record.thread:
        return None
    return Turn(
        record.feature or "",
        record.platform,
        record.model,
        record.dialect,
        record.thread,
        record.created,
        usage.input_total,
        usage.read or 0,
        usage.written or {},
        (record.miss_tokens or 0) if record.miss_reason == "raced" else 0,
    )


def advise(turns: Iterable[Turn], case: Callable[[str, str, str], Case | None], *, until: float) -> tuple[Advice, ...]:
    """What would have been cheaper, largest saving first.

    Args:
        turns: settled requests, in any order.
        case: by platform, model and dialect; ``None``: nobody knows, and nothing is said.
        until: unix time at which the look back ends: threads that were idle by then may still go on.
    """
    groups: dict[tuple[str, str, str, str], list[Turn]] = defaultdict(list)
    for turn in turns:
        groups[turn.feature, turn.platform, turn.model, turn.dialect].append(turn)
    found = [
        advice
        for (_, platform, model, dialect), group in groups.items()
        if (known := case(platform, model, dialect)) is not None
        for advice in _of_group(sorted(group, key=lambda turn: turn.created), known, until)
    ]
    return tuple(sorted(found, key=lambda advice: (-advice.saving_pico, advice.feature, advice.model, advice.kind)))


def _of_group(group: Sequence[Turn], case: Case, until: float) -> Iterator[Advice]:
    rates = case.rates
    if "fresh" not in rates or "read" not in rates:
        return
    cached = [turn for turn in group if turn.read or any(turn.written.values())]
    if len(cached) >= _FEWEST:
        spans = list(_spans(cached, until))
        yield from _lives(cached, spans, case)
        yield from _pings(cached, spans, case)
    yield from _bursts(group, case)


# ---- Idle threads -----------------------------------------------------------------------------------------------------


class _Span(NamedTuple):
    """An idle stretch of a thread."""

    seconds: float
    tokens: int  # of the prefix that idles
    added: int  # tokens that the next request added
    last: bool  # nothing came after it


def _spans(turns: Sequence[Turn], until: float) -> Iterator[_Span]:
    threads: dict[str, list[Turn]] = defaultdict(list)
    for turn in turns:
        threads[turn.thread].append(turn)
    for thread in threads.values():
        for before, after in pairwise(thread):
            shared = min(before.tokens, after.tokens)
            yield _Span(after.created - before.created, shared, after.tokens - shared, last=False)
        yield _Span(until - thread[-1].created, thread[-1].tokens, 0, last=True)


def _write(case: Case, ttl: str) -> int:
    rates = case.rates
    ordinary = rates.get("written", rates["fresh"]) if ttl == case.rule.ttl else None
    return rates.get(f"written.{ttl}", ordinary if ordinary is not None else rates["fresh"])


class _Life(NamedTuple):
    seconds: float
    write: int


def _priced(case: Case) -> dict[str, _Life]:
    """Times to live that have a price of their own."""
    rule, rates = case.rule, case.rates
    return {
        ttl: _Life(seconds, _write(case, ttl))
        for ttl, seconds in rule.lives.items()
        if f"written.{ttl}" in rates or (ttl == rule.ttl and "written" in rates)
    }


def _used(turns: Sequence[Turn], rule: Rule) -> str:
    """The time to live that was mostly written."""
    written: dict[str, int] = defaultdict(int)
    for turn in turns:
        for ttl, tokens in turn.written.items():
            written[ttl] += tokens
    return max(written, key=lambda ttl: written[ttl], default=rule.ttl)


def _lives(turns: Sequence[Turn], spans: Sequence[_Span], case: Case) -> Iterator[Advice]:
    lives, used = _priced(case), _used(turns, case.rule)
    if len(lives) < 2 or used not in lives or not case.rule.refresh:
        return
    opened = sum(span.tokens for span in _first(turns))
    spent = {ttl: _spent(life, opened, spans, case.rates["read"]) for ttl, life in lives.items()}
    best = min((ttl for ttl in spent if ttl != used), key=lambda ttl: spent[ttl])
    saving = spent[used] - spent[best]
    text = f"marking with {best} instead of {used} would have {_outcome(saving)}"
    yield _advice("ttl", turns, best, saving, text)


def _first(turns: Sequence[Turn]) -> list[Turn]:
    """The opening request of each thread."""
    return list({turn.thread: turn for turn in reversed(turns)}.values())


def _spent(life: _Life, opened: int, spans: Sequence[_Span], read: int) -> int:
    """What all prefixes cost that are written at this life and read while it lasts."""
    again = sum(span.tokens * (read if span.seconds <= life.seconds else life.write) for span in spans if not span.last)
    added = sum(span.added for span in spans)
    return (opened + added) * life.write + again


def _pings(turns: Sequence[Turn], spans: Sequence[_Span], case: Case) -> Iterator[Advice]:
    rule, used = case.rule, _used(turns, case.rule)
    life = _priced(case).get(used)
    if life is None or not rule.refresh or not (rule.certain or rule.guaranteed):
        return
    most = most_pings(life.write, case.rates["read"])
    if not most:
        return
    idle = [(span.tokens, ends, span.last) for span in spans if (ends := _ends(span.seconds, life.seconds))]
    saved = {number: _kept(number, life.write, case.rates["read"], idle) for number in range(1, min(most, _MOST) + 1)}
    best = max(saved, key=lambda number: saved[number])
    pings = f"{best} ping{'s' if best > 1 else ''}"
    text = f"up to {pings} per idle stretch, one every {life.seconds:g} s, would have {_outcome(saved[best])}"
    yield _advice("keep_alive", turns, pings, saved[best], text)


def _ends(idle: float, life: float) -> int:
    """How often an entry would end within an idle stretch: so many pings it takes."""
    return max(ceil((idle - life) / life), 0)


def _kept(most: int, write: int, read: int, idle: Iterable[tuple[int, int, bool]]) -> int:
    """What up to so many pings per idle stretch would have saved; those for threads that never went on are lost."""
    saving = 0
    for tokens, ends, last in idle:
        spared = write - read if ends <= most and not last else 0
        saving += tokens * (spared - read * min(ends, most))
    return saving


# ---- Bursts -----------------------------------------------------------------------------------------------------------


def _bursts(turns: Sequence[Turn], case: Case) -> Iterator[Advice]:
    raced = [turn for turn in turns if turn.raced > 0]
    if not raced:
        return
    saving = sum(turn.raced * (_unread(turn, case) - case.rates["read"]) for turn in raced)
    once_more = sum(case.rates["read"] * max(turn.raced for turn in burst) for burst in _apart(raced))
    many = f"{len(raced)} request{'s' if len(raced) > 1 else ''} raced to write what others wrote"
    text = f"{many}; waiting for one that goes first would have {_outcome(saving)}"
    yield _advice("cold_start", turns, "cold_start_wait", saving, text)
    text = f"{many}; prewarming once per burst would have {_outcome(saving - once_more)}"
    yield _advice("prewarm", turns, "once per burst", saving - once_more, text)


def _unread(turn: Turn, case: Case) -> int:
    """What a token of it cost that was not read."""
    ttl = next((ttl for ttl, tokens in turn.written.items() if tokens), None)
    return case.rates["fresh"] if ttl is None else _write(case, ttl)


def _apart(raced: Sequence[Turn]) -> Iterator[list[Turn]]:
    burst = [raced[0]]
    for before, turn in pairwise(raced):
        if turn.created - before.created > _BURST:
            yield burst
            burst = []
        burst.append(turn)
    yield burst


def _advice(kind: Kind, turns: Sequence[Turn], choice: str, saving: int, text: str) -> Advice:
    one = turns[0]
    return Advice(kind, one.feature, one.platform, one.model, choice, saving, len(turns), text)


def _outcome(pico: int) -> str:
    return f"{'saved' if pico > 0 else 'cost'} ${usd_of(abs(pico)):,.4f}{'' if pico > 0 else ' more'}"
