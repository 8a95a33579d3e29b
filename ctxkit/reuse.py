"""The values by which a front door asks for an answer that is there already, and hands one over to be kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from ctxkit.model import Json, Record

__all__ = ["FLAG", "Headers", "Lead", "Origin", "Reused"]

FLAG = "x-ctxkit-answer"
"""Header of a response that was not sent by a provider; its value is ``reused``."""

Headers: TypeAlias = "Mapping[str, str] | Iterable[tuple[str, str]]"
"""Names and values, names in any case; a name may stand several times."""


class Origin(NamedTuple):
    """What decides on an answer beside the body of the request.

    Attributes:
        url: the whole of it, with scheme, host, port, path and query.
        headers: of the request as it would leave, credentials included.
        raw: the bytes of the body as the application sent it, where they are at hand.
        extra: JSON of whatever stands neither in the body nor in URL and headers.
    """

    url: str
    headers: Headers = ()
    raw: bytes | None = None
    extra: Json = None


@dataclass(frozen=True, slots=True)
class Reused:
    """An answer that was given before to the very same request.

    Attributes:
        status: HTTP status, 200.
        headers: the few that matter, names in lower case: the type of the content, the provider's id of the request
            that was sent, and :data:`FLAG`. Neither length nor encoding.
        events: the body, decoded, cut where its events end; a whole JSON answer is one piece.
        stored: unix time at which it was kept, in seconds.
        cost: USD that it did cost; ``None`` where that is not known.
        said: what it says of itself, by the names of :class:`~ctxkit.model.Record`: ``response_model``,
            ``response_id``, ``finish``, ``tier``.
        waited: seconds waited for it, because it was under way.
    """

    status: int
    headers: Mapping[str, str]
    events: tuple[bytes, ...]
    stored: float
    cost: Decimal | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    waited: float = 0.0

    @property
    def body(self) -> bytes:
        """All of it, byte for byte as the first one read it."""
        return b"".join(self.events)


class Lead(Protocol):
    """A request that goes out and whose answer may be kept; others may be waiting for it."""

    def feed(self, piece: bytes) -> None:
        """The next bytes of the answer, decoded, as the client reads them; never raises."""

    def keep(self, record: Record, *, status: int = 200, headers: Headers = ()) -> None:
        """The answer came to its end and was settled: keep it, if it is one that may be kept."""

    def abandon(self) -> None:
        """There will be no answer that could be kept; those who wait go on. Saying it twice changes nothing."""
