"""How far a request has drifted, and where its noise stands: a body meets the hygiene room's measures. Part of the hall."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from ctxkit import dialects
from ctxkit.hall.retelling import Request, opening_of
from ctxkit.hygiene.drift import looked
from ctxkit.hygiene.relevance import relevance as lexical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.drift import Drift
    from ctxkit.hygiene.drift import Looked
    from ctxkit.hygiene.drift.noise import Spot
    from ctxkit.hygiene.pins import Pin
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.metering.paid import Paid
    from ctxkit.model import Conversation, Json

__all__ = ["Gauge", "Noise", "Seen", "noise_of"]

Noise: TypeAlias = tuple[tuple[float, float], ...]
"""Tokens of a prompt that stand before some noise, and how many are noise there."""


class Weighing(Protocol):
    """Counts tokens."""

    def weights(
        self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str
    ) -> tuple[list[float], str]:
        """Tokens of each message, and by whose measure."""
        ...


class Seen(NamedTuple):
    """A request that was looked at.

    Attributes:
        drift: its figures; neither priced nor judged.
        noise: where it stands in the prompt.
        counted: tokens of the prompt.
    """

    drift: Drift
    noise: Noise
    counted: float

    def fee(self, paid: Paid) -> int | None:
        """Pico-dollars that the noise cost where it stands; ``None``: no price is known."""
        if paid.rates is None or not paid.tokens or not self.counted:
            return None
        share = paid.tokens / self.counted
        return round(sum(paid.price(start * share, tokens * share) for start, tokens in self.noise))


class Gauge:
    """Looks at requests.

    Args:
        hasher: of messages, by which they are counted once.
        weighing: counts them.
        pins: what holds for good whatever is said.
        relevance: how much of a query texts hold.
    """

    def __init__(
        self,
        hasher: Hasher,
        weighing: Weighing,
        pins: Sequence[Pin] = (),
        relevance: Relevance = lexical,
    ) -> None:
        self._hasher = hasher
        self._weighing = weighing
        self._pins = pins
        self._relevance = relevance

    def look(self, body: Json, *, dialect: str, platform: str, model: str) -> Seen | None:
        """What a request holds; ``None`` where the provider has the conversation, or nobody can read it."""
        named, texts = dialects.get(dialect), dialects.texts(dialect)
        if named is None or texts is None:
            return None
        view = named.view(body)
        if view.server_history is not None:
            return None
        digests, _ = self._hasher.digests(view.messages, named.identity)
        weights, _ = self._weighing.weights(view, digests, platform=platform, model=model or view.model)
        start = opening_of(view)
        request = Request(view.messages[start:], texts, weights[start:], sum(weights[:start]))
        found = looked(
            request.history,
            tokens_of=request.tokens,
            relevance=self._relevance,
            pins=self._pins,
            before=request.reached[0],
        )
        return _seen(request, found, start)


def _seen(request: Request, found: Looked, start: int) -> Seen:
    taken = tuple(one._replace(message=one.message + start, by=one.by + start) for one in found.drift.superseded)
    return Seen(replace(found.drift, superseded=taken), noise_of(request, found.spots), request.reached[-1])


def noise_of(request: Request, spots: Iterable[Spot]) -> Noise:
    """Noise of pieces as noise of the prompt."""
    return tuple((_before(request, spot.place) + spot.start, spot.tokens) for spot in spots)


def _before(request: Request, place: tuple[int, int]) -> float:
    """Tokens of the prompt that stand before a piece."""
    earlier = takewhile(lambda piece: piece.place != place, request.pieces(place[0]))
    return request.reached[place[0]] + sum(map(request.tokens, earlier))
