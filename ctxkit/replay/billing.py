"""What a provider would bill for the requests of a thread: by its rules and the markers they carry, and at the very least.

*Real* is the provider's simulated cache: only prefixes that a marker (or what the provider itself caches) ended are read,
from its minimum on, as long as they live. *Ideal* is a lower bound for the same bodies: whatever an earlier request of the
thread shares with this one, to the block, is read while it lives, with no minimum and wherever it ends; and of the rest
only that is written which a later request does read. No placing of markers could do better, but for buying a longer life.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.caching.layout import Layouts, Space, lay_out
from ctxkit.caching.rules import find, mode_of
from ctxkit.caching.simulator import State, bill, commit, look
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.model import Usage
from ctxkit.replay.hashing import HASHER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules import Rule
    from ctxkit.metering.prices.card import Card
    from ctxkit.model import Json

__all__ = ["SECONDS", "Account", "Billed", "Ideal", "Setting"]

SECONDS = 2.0
"""That an answer takes; it begins after half of them."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when a thread is replayed.

    Attributes:
        name: for people.
        platform: who serves it.
        model: by which it is counted, cached and priced.
        dialect: wire format of its bodies.
        gap: seconds from one request to the next.
        idle: seconds of a longer gap.
        idle_every: requests between two longer gaps; 0: there are none.
    """

    name: str
    platform: str
    model: str
    dialect: str
    gap: float = 5.0
    idle: float = 0.0
    idle_every: int = 0

    def moments(self, count: int, start: float) -> list[float]:
        """When each request begins."""
        found, now = [], start
        for index in range(count):
            if index:
                now += self.idle if self.idle_every and index % self.idle_every == 0 else self.gap
            found.append(now)
        return found


class Billed(NamedTuple):
    """One request as it was billed; its answer costs the same everywhere and is left out.

    Attributes:
        usage: buckets of the prompt, and the tokens of the answer.
        pico: price of the prompt, in pico-dollars.
        rewritten: the prompt does not continue the one before it.
        layout: the request as its cache reads it.
        refused: why the provider would not serve it, ``""``: it does.
    """

    usage: Usage
    pico: int
    rewritten: bool
    layout: Layout
    refused: str = ""


class Account:
    """The provider's side of one thread: its cache, and what it bills."""

    def __init__(self, setting: Setting, counter: Counter | None = None, prices: Prices | None = None) -> None:
        self.setting = setting
        self._state = State()
        self._counter = counter or Counter()
        self._prices = prices or Prices()
        self._layouts = Layouts()
        self._before: tuple[int, bytes] | None = None

    def rule(self, mode: str | None = None) -> Rule | None:
        """How its cache works."""
        return find(self.setting.platform, self.setting.model, dialect=self.setting.dialect, mode=mode)

    def rates(self, now: float, tokens: int) -> Mapping[str, int]:
        """Pico-dollars per token by bucket, of a prompt of this length."""
        card = self.card(now)
        return card.rates(tokens)

    def card(self, now: float) -> Card:
        """The price list.

        Raises:
            ValueError: there is none.
        """
        card = self._prices.card(self.setting.platform, self.setting.model, at=now)
        if card is None:
            raise ValueError(f"no price is known for {self.setting.model} on {self.setting.platform}")
        return card

    def laid_out(self, body: Json) -> tuple[Layout, Rule | None]:
        """A body as its cache reads it, and how that works for it."""
        setting, named = self.setting, dialects.get(self.setting.dialect)
        reader = dialects.caches(setting.dialect)
        if named is None or reader is None:
            raise ValueError(f"no dialect {setting.dialect!r} that caches")
        view = named.view(body)
        digests, marked = HASHER.digests(view.messages, named.identity)
        count = self._counter.count(view, digests, platform=setting.platform, model=setting.model)
        weights, scale = self._counter.weights(view, digests, platform=setting.platform, model=setting.model)
        ask = reader.ask(view)
        rule = self.rule(mode_of(ask, marked=bool(marked)))
        layout = lay_out(
            HASHER,
            view.messages,
            weights,
            reader.blocks,
            ask,
            Space(setting.platform, setting.model),
            rule,
            total=count.tokens,
            chain=HASHER.chain(digests, setting.dialect),
            marked=marked,
            memory=self._layouts,
            scale=scale,
        )
        return layout, rule

    def weights(self, body: Json) -> list[float]:
        """Tokens of each message of a body, in cache order."""
        setting, named = self.setting, dialects.get(self.setting.dialect)
        assert named is not None
        view = named.view(body)
        digests, _ = HASHER.digests(view.messages, named.identity)
        return self._counter.weights(view, digests, platform=setting.platform, model=setting.model)[0]

    def tokens(self, body: Json) -> int:
        """Tokens of a prompt."""
        return round(self.laid_out(body)[0].total)

    def serve(self, body: Json, now: float, output: int = 0) -> Billed:
        """Answer a request: what its prompt costs, by the entries that live."""
        layout, rule = self.laid_out(body)
        outcome = look(self._state, layout, rule, now)
        self._state = commit(self._state, outcome, rule, begins=now + SECONDS / 2, ends=now + SECONDS)
        usage = Usage(fresh=outcome.fresh, read=outcome.read, written=dict(outcome.written), output=output)
        price = bill(outcome, self.rates(now, outcome.total))
        if price is None:
            raise ValueError(f"no price is known for what {self.setting.model} cached")
        refused = outcome.error.message if outcome.error else ""
        return Billed(usage, price, self._rewritten(layout), layout, refused)

    def _rewritten(self, layout: Layout) -> bool:
        before, positions = self._before, layout.positions
        self._before = (len(positions), positions[-1].link) if positions else None
        if before is None:
            return False
        count, link = before
        return len(positions) < count or positions[count - 1].link != link


@dataclass(slots=True)
class _Held:
    """A prefix that was written.

    Attributes:
        used: when, or when it was last read.
        read: it was.
    """

    used: float
    read: bool = False


class _Asked(NamedTuple):
    """A request whose price is known when all have come.

    Attributes:
        whole: tokens of its prompt.
        read: how many of them it reads.
        added: tokens of each prefix that it writes first.
        rates: pico-dollars per token by bucket.
    """

    whole: int
    read: int
    added: Sequence[tuple[float, _Held]]
    rates: Mapping[str, int]


@dataclass(slots=True)
class Ideal:
    """The least that a provider could bill for the requests of one thread.

    Attributes:
        life: seconds that a prefix lives after its last use.
    """

    life: float
    _held: dict[bytes, _Held] = field(default_factory=dict)
    _requests: list[_Asked] = field(default_factory=list)

    def serve(self, layout: Layout, now: float, rates: Mapping[str, int]) -> None:
        """Take one request; its price is known when all have come."""
        whole = round(layout.total)
        ends = [(layout.entry(index), one.tokens) for index, one in enumerate(layout.positions)]
        shared = next((at for at in reversed(range(len(ends))) if self._alive(ends[at][0], now)), -1)
        for name, _ in ends[: shared + 1]:
            held = self._held.setdefault(name, _Held(now))
            held.used, held.read = now, True
        added = []
        for name, tokens in ends[shared + 1 :]:
            self._held[name] = _Held(now)
            added.append((tokens, self._held[name]))
        read = min(round(ends[shared][1]), whole) if shared >= 0 else 0
        self._requests.append(_Asked(whole, read, added, rates))

    def _alive(self, name: bytes, now: float) -> bool:
        held = self._held.get(name)
        return held is not None and now < held.used + self.life

    def settled(self) -> list[int]:
        """What each request costs, in pico-dollars."""
        return [_price(one) for one in self._requests]


def _price(asked: _Asked) -> int:
    whole, read, added, rates = asked
    fresh = rates["fresh"]
    until = next((min(round(tokens), whole) for tokens, held in reversed(added) if held.read), read)
    written = max(until - read, 0)
    write = min((rate for name, rate in rates.items() if name.startswith("written")), default=fresh)
    return read * rates.get("read", fresh) + written * max(write, fresh) + (whole - read - written) * fresh
