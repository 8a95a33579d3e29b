"""What a provider's cache sees of a request, and what is forecast of it: frozen values that rooms hand one another.

A dialect reads them off the wire (``dialects/*/caches.py``), the caching room reasons with them, the hall carries them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.model import Json, PartKind, Path

__all__ = [
    "TIERS",
    "Ask",
    "Block",
    "Breakpoint",
    "Diagnosis",
    "Forecast",
    "Keeper",
    "Kept",
    "Miss",
    "MissReason",
    "Tier",
    "Wish",
]

Tier: TypeAlias = Literal["tools", "system", "messages"]
"""A stretch of the prompt; a change in one leaves those before it as they were."""

TIERS: tuple[Tier, ...] = ("tools", "system", "messages")

MissReason: TypeAlias = Literal[
    "ttl_expired",
    "prefix_changed",
    "tools_changed",
    "model_changed",
    "parameters_changed",
    "below_minimum",
    "not_marked",
    "lookback_exceeded",
    "raced",
    "evicted_or_rerouted",
    "scope_changed",
    "unknown",
]
"""Why a request read less than it might have."""


class Block(NamedTuple):
    """One piece of a message after which a cached prefix may end.

    Attributes:
        tier: where it stands.
        role: whose it is, in one vocabulary for all wires: ``"tools"``, ``"system"``, ``"developer"``, ``"user"``,
            ``"assistant"``, ``"tool"`` (a result), ``"other"``.
        kind: what it is to the model.
        path: where it stands in the body; a marker is put on it, or right behind it, by this path.
        value: what the model reads of it, cache markers left out: what its identity is made of.
        markable: the wire allows a marker here.
        mark: time to live of the marker that stands here, ``""`` for a marker that names none; ``None``: no marker.
        size: characters of it, by which the tokens of a message are shared among its blocks.
        sways: what its mere presence changes of the prompt, as ``(tier, what)``: an image anywhere in a request to
            Claude is another prompt for all messages (``("messages", "image")``).

    A marker that stands where a message begins, or is a message of its own (``cachePoint`` among tools), is a block of
    kind ``"marker"``: it marks the block before it, and no prefix ends at it.
    """

    tier: Tier
    role: str
    kind: PartKind
    path: Path
    value: Json
    markable: bool = False
    mark: str | None = None
    size: int = 0
    sways: tuple[tuple[Tier, str], ...] = ()


class Breakpoint(NamedTuple):
    """A marker to be set.

    Attributes:
        path: of the :class:`Block` it goes to; ``()`` for one at the top level of the request.
        ttl: time to live, ``""`` for the provider's default.
        reason: why, in one sentence for people.
    """

    path: Path
    ttl: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be said to the provider's cache: markers, and fields of the whole request.

    Attributes:
        breakpoints: markers to be set.
        marker: wire field that marks (``"cache_control"``, ``"cachePoint"``, ``"prompt_cache_breakpoint"``).
        mode: ``"implicit"`` or ``"explicit"``, where the request is to say.
        ttl: time to live for the whole request.
        retention: older form of the time to live.
        key: what routes or separates its entries, to stand in ``key_field`` (dots lead into objects).
        key_field: wire field of ``key``.
        reasons: of ``mode``, ``ttl``, ``retention`` and ``key``, by their names.
    """

    breakpoints: tuple[Breakpoint, ...] = ()
    marker: str = ""
    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None
    retention: str | None = None
    key: str | None = None
    key_field: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request says to the provider's cache beside the markers on its blocks.

    Attributes:
        automatic: time to live of a top-level marker (Anthropic ``cache_control``), ``""`` when it names none;
            ``None``: there is none.
        mode: ``"implicit"`` or ``"explicit"`` where the request says (OpenAI ``prompt_cache_options.mode``).
        ttl: time to live for the whole request.
        key: what separates or routes its entries (``prompt_cache_key``, ``cache_salt``, ``session_id``).
        retention: older form of the time to live (OpenAI ``prompt_cache_retention``).
        handle: name of a cache object of the provider (Gemini ``cachedContent``).
        prewarm: nothing is to be answered, only cached.
        compared: id of the answer that the provider is asked to compare with (its own diagnosis).
        parameters: what else belongs to the identity of each tier, by name, as the wire has it: a change in
            ``parameters["system"]`` is a change of system *and* messages. What is left at its default is not there.
            ``"thinking"`` and ``"effort"`` stand under ``"messages"``; a rule with ``parameters_break_all`` moves them.
    """

    automatic: str | None = None
    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None
    key: str | None = None
    retention: str | None = None
    handle: str | None = None
    prewarm: bool = False
    compared: str | None = None
    parameters: Mapping[Tier, Mapping[str, Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the provider itself says of a request's cache, compared with an earlier request that it was told of.

    Sources: Anthropic ``diagnostics`` (2026-08-22, anthropic 2.11.0), OpenAI ``prompt_cache_diagnostics`` (openai 3.52.0).

    Attributes:
        state: ``"same"``: no divergence (Anthropic's ``null`` also stands for a first turn, and for no question);
            ``"pending"``: the comparison was still running; ``"missed"``: it found where the two part;
            ``"unknown"``: it could not be made.
        type: the provider's own word for it (``"tools_changed"``, ``"previous_message_not_found"``, ``"cache_hit"``).
        missed: input tokens behind the divergence, by the provider's estimate.
        reusable: tokens of the prefix that could be read again (OpenAI).
    """

    state: Literal["same", "pending", "missed", "unknown"]
    type: str = ""
    missed: int | None = None
    reusable: int | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """Tokens that will not, or could not, be read from the cache, and why.

    Attributes:
        reason: one of :data:`MissReason`.
        tokens: how many, by the estimate or as reported.
        path: the first part that differs, where one does.
        detail: for people: what changed (names, counts, lengths, keyed hashes), never the text of a prompt.
        source: ``"forecast"``, ``"settled"``, or ``"provider"`` when the provider itself said so.
    """

    reason: MissReason
    tokens: int
    path: Path = ()
    detail: str = ""
    source: Literal["forecast", "settled", "provider"] = "forecast"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the provider's cache will do with a request, as far as is known before it is sent.

    Attributes:
        rule: id of the rules it goes by (``"anthropic.direct"``); ``""`` where none are known.
        cached_tokens: what will be read if the entry still lives: to the token where a cache matches at markers; for
            caches that do as best they can an upper bound by the rules, until settlements taught how much less (or
            more) they report. 0 when nothing is, ``None`` when it cannot be told.
        bound_tokens: what will be read at most, by the rules alone.
        written: tokens that will be written by time to live.
        fresh: the rest of the prompt.
        misses: what could have been read and will not be, with reasons.
        guaranteed: the provider promises such a hit (else it is an upper bound).
        hit_probability: share of such forecasts that came true so far; ``None`` while too few were settled.
        expires: unix time at which the entry that will be read ends, as far as is known.
        pings: reads that may keep an idle entry alive before they cost more than writing it again; ``None``: nobody
            promises that they do, or writes are not billed.
        unsupported: why nothing is forecast (unknown model or platform, a cache that nobody described).
    """

    rule: str = ""
    cached_tokens: int | None = None
    bound_tokens: int | None = None
    written: Mapping[str, int] = field(default_factory=dict)
    fresh: int | None = None
    misses: tuple[Miss, ...] = ()
    guaranteed: bool = False
    hit_probability: float | None = None
    expires: float | None = None
    pings: int | None = None
    unsupported: str | None = None


class Kept(NamedTuple):
    """A cache object as its provider tells of it (Gemini's ``CachedContent``).

    Attributes:
        name: the provider's name of it.
        model: the only model that may read it, bare.
        tokens: it holds.
        created: unix time in seconds.
        expires: unix time at which it ends.
        display_name: that it was given.
    """

    name: str
    model: str
    tokens: int
    created: float
    expires: float
    display_name: str = ""


class Keeper(Protocol):
    """Creates, finds and ends the cache objects of one account; a front door brings it.

    Every method raises ``CacheObjectError`` when the provider refuses or cannot be reached.
    """

    @property
    def account(self) -> str:
        """Whose they are; equal for all clients that may use the same ones."""
        ...

    @property
    def platform(self) -> str:
        """Who keeps them."""
        ...

    def create(self, model: str, content: Mapping[str, Json], seconds: float, display_name: str) -> Kept:
        """Create one that lives so long."""
        ...

    def get(self, name: str) -> Kept:
        """What is known of one."""
        ...

    def list(self) -> Sequence[Kept]:
        """All of the account."""
        ...

    def prolong(self, name: str, seconds: float) -> Kept:
        """Have one end so many seconds from now."""
        ...

    def delete(self, name: str) -> None:
        """End one at once."""
        ...
