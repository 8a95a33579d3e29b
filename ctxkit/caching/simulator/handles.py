"""Gemini's explicit cache objects as a state machine: a request for a handle and a moment in, handles and refusals out.

A handle is the whole prefix of a prompt: it is created once, never changed but for its end, bound to one model and one
owner (the project of a key; on Vertex a project and location), and read until it ends. Reads do not prolong it.
Sources: ai.google.dev caching (2026-09-02, 2026-09-11); google-genai 3.4.0; the texts of errors as observed by third
parties on 2026-09-07, those marked below as ours where nobody has published one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.caching.moments import NANO, nanoseconds
from ctxkit.caching.simulator.entries import Matched, Outcome, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Json

__all__ = ["BESIDE", "Handle", "Handles", "Wanted", "create", "delete", "get", "pages", "update", "use"]

BESIDE = frozenset({"system_instruction", "tools", "tool_config"})
"""What may not stand beside a handle in a request, even byte for byte the same."""

_REMEMBERED = 10_000  # handles that have ended are kept for the bill; the oldest go first
_PAGE = 1_000  # the most that a page of the list holds

_MISSING = Refusal(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)")
_NOT_ALONE = Refusal(
    400,
    "INVALID_ARGUMENT",
    "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config.\n\n"
    "Proposed fix: move those values to CachedContent from GenerateContent request.",
)
_MODEL_TURN = Refusal(400, "INVALID_ARGUMENT", "Requests ending with a model turn are not supported")
_ENDED = Refusal(400, "INVALID_ARGUMENT", "The expiration time must lie in the future.")  # the text is ours


class Wanted(NamedTuple):
    """A handle that is asked for.

    Attributes:
        model: bare name (``"gemini-2.5-flash"``).
        owner: whose it will be.
        tokens: of contents, system instruction, tools and tool configuration together.
        last: role of the last of its contents, ``""`` when it has none.
        ttl: nanoseconds it shall live; ``None``: until ``expires``, or the provider's default.
        expires: when it shall end, in nanoseconds since 1970.
        display_name: for people.
        parent: what its name begins with (``"projects/p/locations/l/"``); ``""`` on the Gemini API.
        tool_config: how its tools are to be used; holds for the requests that read it.
    """

    model: str
    owner: str
    tokens: int
    last: str = ""
    ttl: int | None = None
    expires: int | None = None
    display_name: str = ""
    parent: str = ""
    tool_config: Json = None


@dataclass(frozen=True, slots=True)
class Handle:
    """One cache object. Moments are nanoseconds since 1970.

    Attributes:
        name: ``"cachedContents/..."``, on Vertex behind its project and location.
        model: bare name of the only model that may use it.
        owner: who alone may use it.
        tokens: it holds.
        created: when.
        updated: when its end was last moved.
        expires: when it ends.
        deleted: when it was deleted, if it was.
        display_name: for people.
        tool_config: how its tools are to be used.
    """

    name: str
    model: str
    owner: str
    tokens: int
    created: int
    updated: int
    expires: int
    deleted: int | None = None
    display_name: str = ""
    tool_config: Json = None

    def alive(self, now: float) -> bool:
        """It can be read at this moment."""
        return self.deleted is None and nanoseconds(now) < self.expires

    def held(self, now: float) -> float:
        """Seconds for which it has really stood until ``now``: storage is charged for these, not for the life asked for.

        googleapis/js-genai#508; the vendor's page words it as "based on the TTL duration".
        """
        end = min(nanoseconds(now), self.expires if self.deleted is None else min(self.deleted, self.expires))
        return max(end - self.created, 0) / NANO


@dataclass(frozen=True, slots=True)
class Handles:
    """All handles of a provider, those that ended among them (for the bill).

    Attributes:
        held: by name, in order of creation.
        count: handles ever created.
        quota: handles that an owner may create within a minute; ``None``: without limit.
    """

    held: Mapping[str, Handle] = field(default_factory=dict)
    count: int = 0
    quota: int | None = None

    def find(self, name: str, owner: str, now: float) -> Handle | None:
        """The live handle of this name, if it is this owner's."""
        handle = self.held.get(name)
        return handle if handle is not None and handle.owner == owner and handle.alive(now) else None

    def token_hours(self, now: float) -> float:
        """What storage is charged by, over all handles there ever were (of the latest 10,000 that ended)."""
        return sum(handle.tokens * handle.held(now) for handle in self.held.values()) / 3600


def create(
    state: Handles, wanted: Wanted, rule: Rule | None, now: float, *, lag: float = 0.0
) -> tuple[Handles, Handle | Refusal]:
    """Create a handle.

    Args:
        state: the handles before.
        wanted: what is asked for.
        rule: the row of explicit caching of this model; ``None``: the model has none.
        now: the moment, in unix seconds.
        lag: seconds by which the end is counted from before ``created`` (0.415 was observed).
    """
    refused = _refused(state, wanted, rule, now)
    if refused is not None or rule is None:
        return state, refused or _unsupported(wanted)
    created = nanoseconds(now)
    expires = _end(wanted, rule, created - nanoseconds(lag))
    if expires is None or expires <= created:
        return state, _ENDED
    handle = Handle(
        f"{wanted.parent}cachedContents/{state.count + 1:016d}",
        wanted.model,
        wanted.owner,
        wanted.tokens,
        created,
        created,
        expires,
        display_name=wanted.display_name,
        tool_config=wanted.tool_config,
    )
    return replace(_with(state, handle, now), count=state.count + 1), handle


def _end(wanted: Wanted, rule: Rule, start: int) -> int | None:
    if wanted.ttl is not None:
        return start + wanted.ttl
    if wanted.expires is not None:
        return wanted.expires
    life = rule.seconds(None)
    return None if life is None else start + nanoseconds(life)


def _refused(state: Handles, wanted: Wanted, rule: Rule | None, now: float) -> Refusal | None:
    if rule is None or rule.match != "handle":
        return _unsupported(wanted)
    if state.quota is not None and _recent(state, wanted.owner, now) >= state.quota:
        return Refusal(
            429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'CachedContent create requests per minute'."
        )
    if wanted.last == "model":
        return _MODEL_TURN
    if rule.minimum is not None and wanted.tokens < rule.minimum:
        text = f"Cached content is too small. total_token_count={wanted.tokens}, min_total_token_count={rule.minimum}"
        return Refusal(400, "INVALID_ARGUMENT", text)
    return None


def _unsupported(wanted: Wanted) -> Refusal:
    """The API's general text for a method that a model has not."""
    return Refusal(
        404,
        "NOT_FOUND",
        f"models/{wanted.model} is not found for API version v1beta, or is not supported for createCachedContent. "
        "Call ListModels to see the list of available models and their supported methods.",
    )


def _recent(state: Handles, owner: str, now: float) -> int:
    since = nanoseconds(now) - 60 * NANO
    return sum(handle.owner == owner and handle.created > since for handle in state.held.values())


def use(
    state: Handles, name: str, model: str, owner: str, now: float, *, tokens: int, beside: Collection[str] = ()
) -> Outcome:
    """What a request gets that names a handle: the whole of it is read, everything that it sends itself is fresh.

    Contents that stand in the handle and are sent once more are not recognised: they count a second time.

    Args:
        state: the handles.
        name: of the handle.
        model: bare name of the model asked.
        owner: who asks.
        now: the moment, in unix seconds.
        tokens: of the request itself.
        beside: which of :data:`BESIDE` the request sets.
    """
    handle = state.find(name, owner, now)
    if handle is None:
        return Outcome(error=_MISSING, now=now)
    if not BESIDE.isdisjoint(beside):
        return Outcome(error=_NOT_ALONE, now=now)
    if handle.model != model:
        text = (
            f"Model used by GenerateContent request (models/{model}) and CachedContent (models/{handle.model}) "
            "has to be the same."
        )
        return Outcome(error=Refusal(400, "INVALID_ARGUMENT", text), now=now)
    read = handle.tokens
    matched = Matched(tokens=read, least=read, most=read, fresh=tokens)
    return Outcome(
        read, fresh=tokens, least=read, most=read, guaranteed=True, miss_probability=0.0, matched=matched, now=now
    )


def get(state: Handles, name: str, owner: str, now: float) -> Handle | Refusal:
    """One handle: what is known of it, never its contents."""
    return state.find(name, owner, now) or _MISSING


def pages(state: Handles, owner: str, now: float, *, size: int = 100, token: str = "") -> tuple[list[Handle], str]:
    """A page of the owner's live handles, and the token of the next page, ``""`` when there is none.

    Args:
        state: the handles.
        owner: who asks.
        now: the moment, in unix seconds.
        size: handles to a page; at most 1,000.
        token: of the page, as the one before it gave.
    """
    found = [handle for handle in state.held.values() if handle.owner == owner and handle.alive(now)]
    start = int(token) if token.isdecimal() else 0
    end = start + min(size if size > 0 else 100, _PAGE)
    return found[start:end], str(end) if end < len(found) else ""


def update(
    state: Handles, name: str, owner: str, now: float, *, ttl: int | None = None, expires: int | None = None
) -> tuple[Handles, Handle | Refusal]:
    """Move the end of a handle, and nothing else: ``ttl`` nanoseconds from now, or the moment ``expires``."""
    handle = state.find(name, owner, now)
    if handle is None:
        return state, _MISSING
    moment = nanoseconds(now)
    end = expires if ttl is None else moment + ttl
    if end is None:
        return state, handle
    if end <= moment:
        return state, _ENDED
    moved = replace(handle, expires=end, updated=moment)
    return _with(state, moved, now), moved


def delete(state: Handles, name: str, owner: str, now: float) -> tuple[Handles, Refusal | None]:
    """End a handle at once."""
    handle = state.find(name, owner, now)
    if handle is None:
        return state, _MISSING
    return _with(state, replace(handle, deleted=nanoseconds(now)), now), None


def _with(state: Handles, handle: Handle, now: float) -> Handles:
    held = {**state.held, handle.name: handle}
    if len(held) > _REMEMBERED:
        for name in list(_ended(held, now))[: len(held) - _REMEMBERED]:
            del held[name]
    return replace(state, held=held)


def _ended(held: Mapping[str, Handle], now: float) -> Iterator[str]:
    return (name for name, handle in held.items() if not handle.alive(now))
