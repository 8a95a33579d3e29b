"""One provider's cache in figures: what may be marked, what matches, what lives how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.cacheable import Tier

__all__ = ["Claim", "Match", "Rule"]

Match: TypeAlias = Literal["marks", "endings", "intervals", "units", "prefix", "handle"]
"""Where a cached prefix may end.

``marks``
    at a marker and nowhere else; looked up from each marker backwards (Anthropic, Bedrock, explicit Qwen).
``endings``
    at markers and at the endings of messages (OpenAI from 5.6 on).
``intervals``
    every so many tokens (OpenAI before 5.6).
``units``
    at the end of the input and of the output of earlier requests, and where a common prefix was noticed (DeepSeek).
``prefix``
    anywhere, in steps of ``granularity`` tokens (engines, xAI, Mistral, Groq, Gemini implicit).
``handle``
    at the end of an object that was created for it (Gemini explicit).
"""


class Claim(NamedTuple):
    """What one source says.

    Attributes:
        value: figure, text, or ``None`` for a source that says it is unknown.
        source: page, package or observer.
        as_of: ISO date of the source, ``""`` where it bears none.
        aside: why this claim does not count here (``"superseded"``, ``"another platform"``); ``""`` when it does.
    """

    value: Any
    source: str
    as_of: str = ""
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one provider, on one platform, caches one model: what a request may ask, and what it then gets.

    Where sources disagree the pessimistic value stands here, and all of them in ``claims``. ``None`` is unknown.

    Attributes:
        id: row of the table (``"anthropic.direct"``), with the model family where it narrows it.
        provider: whose cache it is.
        match: where a cached prefix may end.
        automatic: caches without being asked.
        marker: name of the wire field that marks, or ``None``.
        tiers: where markers may stand.
        top_level: the marker may stand at the top level of the request, for its last block; ``None``: unknown.
        slots: markers that write per request; ``None``: no limit is known.
        excess: markers beyond ``slots`` are ``"refused"`` with the request, or only the ``"latest"`` count.
        lookback: positions looked at per marker, the marker's own included; ``None``: no limit.
        lookback_unit: ``"block"``, or ``"group"`` when consecutive tool blocks of a message count as one.
        endings: earlier message endings that are looked up (``match="endings"``).
        opening: the developer messages that a conversation opens with can be read by other conversations, though only
            its latest ending is marked (``match="endings"``).
        candidates: latest explicit markers that are looked up (``match="endings"``).
        first_candidates: first explicit markers that are looked up beside them.
        interval: tokens between two boundaries (``match="intervals"``).
        minimum: least tokens of a prefix that is cached; ``None``: unknown.
        floor: least tokens of a prefix that anybody saw read, where that is less than ``minimum``: for upper bounds.
        granularity: reported reads are a multiple of it; 1 is exact.
        hidden: tokens before the visible prompt that count for boundaries and are not reported: a range
            ``(least, most)``.
        lives: seconds an entry lives by time to live (``{"5m": 300, "1h": 3600}``).
        ttl: the time to live that holds when none is asked for.
        life: whether ``lives`` are a ``"minimum"``, ``"typical"`` or ``"maximum"``.
        longer_first: a longer time to live must stand before a shorter one.
        refresh: a read begins the life anew; ``None``: unknown.
        refresh_asked: it begins anew with the time to live of the reading request, not with its own.
        visible: when a written entry can be read: the request ``"starts"``, its answer ``"begins"`` or ``"ends"``, or
            some ``"seconds"`` later.
        appears: those seconds.
        write: price of a write by time to live, as a multiple of the input price.
        read: price of a read, as a multiple of the input price.
        storage: entries cost rent by time.
        isolation: what entries are kept apart by (``"organisation"``, ``"workspace"``, ``"region"``, ``"key"``,
            ``"server"``, ``"project"``, ``"location"``, ``"user"``, ``"account"``, ``"subscription"``, ``"model"``,
            ``"speed"``).
        guaranteed: a hit is promised while the entry lives.
        certain: hits are near-certain while the entry lives, so that a forecast may be more than an upper bound.
        key_field: wire field that routes or separates (``"prompt_cache_key"``, ``"session_id"``, ``"cache_salt"``).
        key_header: HTTP header that routes (``"x-grok-conv-id"``).
        key_separates: entries under different keys are never shared (else the key is a hint).
        strips_thinking: a new user turn removes earlier thinking from the prompt; ``None``: unknown.
        parameters_break_all: a change of thinking or effort loses tools and system as well; ``None``: on some
            models, and which is not known.
        prewarm: wire form that fills the cache without an answer (``"max_tokens"``, ``"prewarm"``), or ``None``.
        usage: usage recipe of the answer.
        as_of: ISO date of the row.
        claims: who says what, by name of the field (``"minimum"``, ``"lives.5m"``, ``"write.1h"``); claims that do
            not count are among them and say why.
        notes: what a person should know.
    """

    id: str
    provider: str
    match: Match
    automatic: bool = False
    marker: str | None = None
    tiers: frozenset[Tier] = frozenset()
    top_level: bool | None = None
    slots: int | None = None
    excess: Literal["refused", "latest"] = "latest"
    lookback: int | None = None
    lookback_unit: Literal["block", "group"] = "block"
    endings: int = 0
    opening: bool = False
    candidates: int = 0
    first_candidates: int = 0
    interval: int | None = None
    minimum: int | None = None
    floor: int | None = None
    granularity: int = 1
    hidden: tuple[int, int] = (0, 0)
    lives: Mapping[str, float] = field(default_factory=dict)
    ttl: str = ""
    life: Literal["minimum", "typical", "maximum"] = "typical"
    longer_first: bool = False
    refresh: bool | None = None
    refresh_asked: bool = False
    visible: Literal["starts", "begins", "ends", "seconds"] = "begins"
    appears: float = 0.0
    write: Mapping[str, float] = field(default_factory=dict)
    read: float | None = None
    storage: bool = False
    isolation: tuple[str, ...] = ()
    guaranteed: bool = False
    certain: bool = False
    key_field: str | None = None
    key_header: str | None = None
    key_separates: bool = False
    strips_thinking: bool | None = False
    parameters_break_all: bool | None = False
    prewarm: str | None = None
    usage: str = ""
    as_of: str = ""
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def seconds(self, ttl: str | None) -> float | None:
        """How long an entry of this time to live (``""`` or ``None``: the default) lives; ``None``: unknown."""
        return self.lives.get(ttl or self.ttl)
