"""What could have been removed of a recorded thread, and when: the reference set that all policies are measured by.

It holds what arrives smaller in mode ``prune`` (that is free, and in every figure of the optimum) and what its deferred
passes propose at each request, whatever it would cost; each is weighed by taking it out of the prompt and counting.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.caching.prefixes import Hasher
from ctxkit.editable import Fold
from ctxkit.faults import Faults
from ctxkit.hygiene.decisions import Decided
from ctxkit.hygiene.editing import Said, combined
from ctxkit.hygiene.stubs import said as stubbed
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.policy import Policy
from ctxkit.replay.billing import Account
from ctxkit.replay.optimum import Offer, Timeline, least
from ctxkit.replay.running import START
from ctxkit.replay.shapes import shape_of
from ctxkit.retelling import Request, opening_of
from ctxkit.tidypasses import Passes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.editable import Action, Place, Rewrite
    from ctxkit.hygiene.editing import Sayings
    from ctxkit.model import Conversation, Json
    from ctxkit.replay.billing import Setting
    from ctxkit.replay.threads import Thread

__all__ = ["Optimum", "Possible", "optimum", "possible"]


class Optimum(NamedTuple):
    """The least a thread could have cost, in pico-dollars.

    Attributes:
        real: a prefix can be read only where a request before ended one, from the provider's minimum on.
        ideal: it can be read anywhere: a lower bound that no provider sells.
    """

    real: float
    ideal: float


@dataclass(frozen=True, slots=True)
class Possible:
    """A thread as it arrives, and what may go of it.

    Attributes:
        sizes: tokens of each prompt, as it arrived.
        reached: tokens before each message, the opening instruction left out of the count of messages.
        opening: tokens of tools and opening instruction.
        offers: request, first message that changes, and tokens.
    """

    sizes: Sequence[float]
    reached: Sequence[float]
    opening: float
    offers: Sequence[tuple[int, int, float]]


class _Watching:
    """Makes the reference set of one thread."""

    def __init__(self, account: Account, setting: Setting, policy: Policy) -> None:
        self._account = account
        self._setting = setting
        self._passes = Passes(policy, Faults(strict=True))
        self._hasher = Hasher(b"possible" * 4)
        self._seen: set[Action] = set()
        self._going: dict[int, float] = {}  # tokens on offer, by message
        self.offers: list[tuple[int, int, float]] = []
        self.reached: list[float] = []
        self.opening = 0.0

    def watch(self, number: int, body: Json) -> float:
        """One request; tokens of it as it arrives."""
        named, texts = dialects.get(self._setting.dialect), dialects.texts(self._setting.dialect)
        assert named is not None
        assert texts is not None
        view = named.view(body)
        start = opening_of(view)
        digests, _ = self._hasher.digests(view.messages, named.identity)
        weights = self._account.weights(body)
        request = Request(view.messages[start:], texts, weights[start:], sum(weights[:start]))
        chain = self._hasher.chain(digests[start:], "possible")
        arrived = self._passes.arrived(chain, request, points=True)
        edits = request.edits(Said(arrived, {}))
        smaller = named.apply(body, edits) if edits else body
        size = self._settled(smaller, view, start)
        for one in self._passes.candidates(request.history):
            self._offer(number, one.action, body, request, arrived, size)
        return size

    def _settled(self, body: Json, view: Conversation, start: int) -> float:
        """Tokens of a body; remembers how far each message reaches."""
        layout, _ = self._account.laid_out(body)
        ends = dict[int, float]()
        for position in layout.positions:
            ends[position.message] = position.tokens
        self.opening = ends.get(start - 1, 0.0)
        reached = [self.opening]
        for index in range(start, len(view.messages)):
            reached.append(ends.get(index, reached[-1]))
        self.reached = reached
        return round(layout.total)

    def _offer(
        self, number: int, action: Action, body: Json, request: Request, arrived: Mapping[Place, Rewrite], size: float
    ) -> None:
        """What an action takes beyond what was on offer in the same messages already."""
        named = dialects.get(self._setting.dialect)
        if action in self._seen or named is None:
            return
        self._seen.add(action)
        said = combined(arrived, [Decided(action, "")], partial(_rendered, request))
        saved = size - self._account.tokens(named.apply(body, request.edits(said)))
        before, after = request.removed(Said(arrived, {})), request.removed(said)
        shares = {index: max(tokens - before.get(index, 0.0), 0.0) for index, tokens in after.items()}
        whole = sum(shares.values())
        more = 0.0
        for index, share in shares.items():
            tokens = share / whole * saved if whole else 0.0
            more += max(tokens - self._going.get(index, 0.0), 0.0)
            self._going[index] = max(tokens, self._going.get(index, 0.0))
        if more > 0:
            first = action.start if isinstance(action, Fold) else action.place[0]
            self.offers.append((number, first, more))


def _rendered(request: Request, action: Action) -> Sayings:
    return stubbed(request.history, action, ref=None, recallable=False)


def possible(
    thread: Thread,
    setting: Setting,
    *,
    policy: Policy | None = None,
    counter: Counter | None = None,
    prices: Prices | None = None,
) -> Possible:
    """The reference set of a thread: what ``policy`` (default: mode ``prune``) makes smaller, and proposes."""
    account = Account(setting, counter or Counter(), prices or Prices())
    shape = shape_of(setting.dialect)
    watching = _Watching(account, setting, policy or Policy(mode="prune"))
    sizes = [
        watching.watch(number, shape(setting.model, thread.messages[:index], thread.tools))
        for number, index in enumerate(thread.calls)
    ]
    return Possible(sizes, watching.reached, watching.opening, watching.offers)


def optimum(
    thread: Thread,
    setting: Setting,
    *,
    policy: Policy | None = None,
    counter: Counter | None = None,
    prices: Prices | None = None,
) -> Optimum:
    """The least that any policy could have paid for the prompts of a thread, over that reference set.

    One life of entries is bought for the whole thread, the one that is best. Price steps by length are taken as they are
    without removal.
    """
    prices = prices or Prices()
    found = possible(thread, setting, policy=policy, counter=counter, prices=prices)
    account = Account(setting, counter, prices)
    rule = account.rule()
    lives = dict(rule.lives) if rule is not None and rule.lives else {"": 300.0}
    rates = account.rates(START, round(max(found.sizes, default=0.0)))
    minimum = (rule.minimum or 0) if rule is not None else 0
    ways = [
        Optimum(
            least(_timeline(found, setting, rates, ttl, seconds, minimum, real=True)),
            least(_timeline(found, setting, rates, ttl, seconds, 0, real=False)),
        )
        for ttl, seconds in lives.items()
        if f"written.{ttl}" in rates or "written" not in rates
    ]
    return Optimum(min(one.real for one in ways), min(one.ideal for one in ways))


def _timeline(
    found: Possible, setting: Setting, rates: Mapping[str, int], ttl: str, seconds: float, minimum: int, *, real: bool
) -> Timeline:
    moments = setting.moments(len(found.sizes), START)
    kept = [
        bool(at) and moments[at] - moments[at - 1] < seconds and found.sizes[at - 1] >= minimum
        for at in range(len(found.sizes))
    ]
    firsts = sorted({first for _, first, _ in found.offers})
    number = {first: at for at, first in enumerate(firsts)}
    bounds = [_bound(found, found.reached[first], minimum, real=real) for first in firsts]
    fresh, write = rates["fresh"], rates.get(f"written.{ttl}", rates["fresh"])
    offers = [Offer(since, number[first], tokens) for since, first, tokens in found.offers]
    return Timeline(found.sizes, bounds, offers, kept, rates.get("read", fresh), max(write, fresh), fresh)


def _bound(found: Possible, reached: float, minimum: int, *, real: bool) -> float:
    """Tokens that can be read of a prompt that differs from here on."""
    if not real:
        return reached
    at = bisect_right(found.sizes, reached)
    end = max(found.sizes[at - 1] if at else 0.0, found.opening)
    return end if end >= minimum else 0.0
