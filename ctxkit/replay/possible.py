"""What could have been removed of a recorded thread, and when: the reference set that all policies are measured by.

It holds what arrives smaller in mode ``prune`` (that is free, and in every figure of the optimum) and what its deferred
passes propose at each request, whatever it would cost (stretches that follow one another as one, too). Each is weighed by
counting the prompt without it, and without all that was proposed before.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.editable import Fold
from ctxkit.faults import Faults
from ctxkit.hall.retelling import Request, opening_of
from ctxkit.hall.tidypasses import Passes
from ctxkit.hygiene.decisions import Decided
from ctxkit.hygiene.editing import Said, combined, standing
from ctxkit.hygiene.episodes import joined
from ctxkit.hygiene.stubs import said as stubbed
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.policy import Policy
from ctxkit.replay.billing import Account
from ctxkit.replay.hashing import HASHER
from ctxkit.replay.optimum import Offer, Timeline, least
from ctxkit.replay.running import START
from ctxkit.replay.shapes import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ctxkit.dialects.base import Dialect
    from ctxkit.editable import Action, Candidate, Place, Rewrite
    from ctxkit.hygiene.stubs import Sayings
    from ctxkit.metering.prices import Card
    from ctxkit.model import Conversation, Json
    from ctxkit.replay.billing import Setting
    from ctxkit.replay.threads import Thread

__all__ = ["Optimum", "Possible", "optimum", "optimum_of", "possible"]


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


class _Prompt(NamedTuple):
    """A request as the application has it.

    Attributes:
        dialect: its wire format.
        body: on the wire.
        request: the same, message by message.
        arrived: what of it arrives smaller.
    """

    dialect: Dialect
    body: Json
    request: Request
    arrived: Mapping[Place, Rewrite]


class _Watching:
    """Makes the reference set of one thread."""

    def __init__(self, account: Account, setting: Setting, policy: Policy) -> None:
        self._account = account
        self._setting = setting
        self._passes = Passes(policy, Faults(strict=True))
        self._seen: set[Action] = set()
        self._going: list[Decided] = []  # all that is on offer
        self._spared: dict[int, float] = {}  # tokens that stretches side by side save as one, by their first message
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
        digests, _ = HASHER.digests(view.messages, named.identity)
        weights = self._account.weights(body)
        request = Request(view.messages[start:], texts, weights[start:], sum(weights[:start]))
        chain = HASHER.chain(digests[start:], "possible")
        arrived = self._passes.arrived(chain, request, points=True)
        edits = request.edits(Said(arrived, {}))
        smaller = named.apply(body, edits) if edits else body
        size = self._settled(smaller, view, start)
        news = [one for one in self._passes.candidates(request.history) if one.action not in self._seen]
        if news:
            self._offer(number, news, _Prompt(named, body, request, arrived))
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

    def _offer(self, number: int, news: Sequence[Candidate], prompt: _Prompt) -> None:
        """What each takes beyond all that was on offer before: pointers into what goes are no reason to leave it."""
        size = self._size(prompt, self._going)
        for one in news:
            if one.action in self._seen:
                continue
            self._seen.add(one.action)
            going = [*self._going, Decided(one.action, one.by)]
            left = self._size(prompt, going)
            if left < size:
                self.offers.append((number, one.first, size - left))
                self._going, size = going, left
        for fold in joined([one.action for one in standing(self._going) if isinstance(one.action, Fold)]):
            more = size - self._size(prompt, [*self._going, Decided(fold, "")]) - self._spared.get(fold.start, 0.0)
            if more > 0:
                self.offers.append((number, fold.start, more))
                self._spared[fold.start] = self._spared.get(fold.start, 0.0) + more

    def _size(self, prompt: _Prompt, going: Sequence[Decided]) -> float:
        """Tokens of the prompt without all of this."""
        said = combined(prompt.arrived, standing(going), partial(_rendered, prompt.request))
        return float(self._account.tokens(prompt.dialect.apply(prompt.body, prompt.request.edits(said))))


def _rendered(request: Request, action: Action) -> Sayings:
    return stubbed(request.history, action)


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
    return _possible(_bodies(thread, setting), account, policy)


def _bodies(thread: Thread, setting: Setting) -> Iterator[Json]:
    shape = shape_of(setting.dialect)
    return (shape(setting.model, thread.messages[:index], thread.tools) for index in thread.calls)


def _possible(bodies: Iterable[Json], account: Account, policy: Policy | None) -> Possible:
    watching = _Watching(account, account.setting, policy or Policy(mode="prune"))
    sizes = [watching.watch(number, body) for number, body in enumerate(bodies)]
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
    account = Account(setting, counter, prices)
    found = _possible(_bodies(thread, setting), account, policy)
    rates = account.rates(START, round(max(found.sizes, default=0.0)))
    return _least(found, account, rates, setting.moments(len(found.sizes), START))


def optimum_of(
    bodies: Sequence[Json],
    moments: Sequence[float],
    setting: Setting,
    card: Card,
    *,
    policy: Policy | None = None,
    counter: Counter | None = None,
    prices: Prices | None = None,
    most: int | None = None,
) -> Optimum:
    """The same for recorded bodies, each of which goes on from the one before, at their own times.

    Args:
        bodies: on the wire of the setting.
        moments: when each was sent, in unix seconds.
        setting: where.
        card: the price list.
        policy: whose mode ``prune`` says what may go.
        counter: of tokens, to be used for several threads.
        prices: likewise.
        most: offers that are looked at, those that save most first: it takes time with the cube of them.
    """
    account = Account(setting, counter, prices)
    found = _possible(bodies, account, policy)
    if most is not None:
        found = replace(found, offers=_foremost(found, most))
    return _least(found, account, card.rates(round(max(found.sizes, default=0.0))), moments)


def _foremost(found: Possible, most: int) -> Sequence[tuple[int, int, float]]:
    count = len(found.sizes)
    best = sorted(found.offers, key=lambda offer: (-(count - offer[0]) * offer[2], offer))[:most]
    return sorted(best)


def _least(found: Possible, account: Account, rates: Mapping[str, int], moments: Sequence[float]) -> Optimum:
    rule = account.rule()
    lives = dict(rule.lives) if rule is not None and rule.lives else {"": 300.0}
    minimum = (rule.minimum or 0) if rule is not None else 0
    sold = {ttl: one for ttl, one in lives.items() if f"written.{ttl}" in rates or "written" not in rates}
    ways = [
        Optimum(
            least(_timeline(found, moments, rates, ttl, seconds, minimum, real=True)),
            least(_timeline(found, moments, rates, ttl, seconds, 0, real=False)),
        )
        for ttl, seconds in (sold or dict([min(lives.items(), key=lambda one: one[1])])).items()
    ]
    return Optimum(min(one.real for one in ways), min(one.ideal for one in ways))


def _timeline(
    found: Possible,
    moments: Sequence[float],
    rates: Mapping[str, int],
    ttl: str,
    seconds: float,
    minimum: int,
    *,
    real: bool,
) -> Timeline:
    kept = [
        bool(at) and moments[at] - moments[at - 1] < seconds and found.sizes[at - 1] >= minimum
        for at in range(len(found.sizes))
    ]
    firsts = sorted({first for _, first, _ in found.offers})
    number = {first: at for at, first in enumerate(firsts)}
    bounds = [_bound(found, found.reached[first], minimum, real=real) for first in firsts]
    fresh, write = rates["fresh"], rates.get(f"written.{ttl}", rates.get("written", rates["fresh"]))
    offers = [Offer(since, number[first], tokens) for since, first, tokens in found.offers]
    return Timeline(found.sizes, bounds, offers, kept, rates.get("read", fresh), max(write, fresh), fresh)


def _bound(found: Possible, reached: float, minimum: int, *, real: bool) -> float:
    """Tokens that can be read of a prompt that differs from here on."""
    if not real:
        return reached
    at = bisect_right(found.sizes, reached)
    end = max(found.sizes[at - 1] if at else 0.0, found.opening)
    return end if end >= minimum else 0.0
