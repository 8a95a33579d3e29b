"""``kit.caches``: the provider's cache objects by hand, and what each of them cost and saved.

In mode ``cache`` they are made and ended by themselves (see ``ctxkit.hall.renting``); this is to look at them, to make one
ahead of time, and to tidy up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxkit.aside import aside
from ctxkit.caching.handles import Boundary, Choice, Handle, spent, verdict
from ctxkit.display import html_of, panel_of
from ctxkit.errors import CacheObjectError, ConfigurationError
from ctxkit.hall.tending import PREFIX, Lease
from ctxkit.money import EXACT, plain, usd_of
from ctxkit.page.values import Column, Section, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from ctxkit.cacheable import Keeper, Kept
    from ctxkit.hall.renting import Renting
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan

__all__ = ["CacheObject", "CacheObjects"]


@dataclass(frozen=True, slots=True)
class CacheObject:
    """One cache object, as far as is known of it.

    Attributes:
        name: the provider's name of it.
        platform: who keeps it.
        model: the only model that may read it.
        tokens: it holds.
        created: unix time in seconds.
        expires: unix time at which it ends.
        age: seconds for which it has stood.
        reads: requests that read it, by feature (``""``: none).
        creation_paid: USD for creating it; ``None``: no price is known.
        storage_paid: USD of rent so far.
        saved: USD that its reads saved so far, before both are taken off.
        verdict: ``"keep"``, ``"let go"``, ``"ended"``, ``"being created"``, ``"pinned"`` (made by hand: it lives as
            long as was said), ``"orphan"`` (made by ctxkit, and no registry knows it), ``"foreign"`` (not made by it).
        display_name: that it was given.
    """

    name: str
    platform: str
    model: str
    tokens: int
    created: float
    expires: float
    age: float
    reads: Mapping[str, int]
    creation_paid: Decimal | None
    storage_paid: Decimal | None
    saved: Decimal | None
    verdict: str
    display_name: str = ""

    @property
    def net(self) -> Decimal | None:
        """USD saved, all costs taken off; negative: it cost more than it saved so far."""
        if self.saved is None or self.creation_paid is None or self.storage_paid is None:
            return None
        return EXACT.subtract(self.saved, EXACT.add(self.creation_paid, self.storage_paid))

    def to_dict(self) -> dict[str, Any]:
        """For JSON: money as text."""
        money = ("creation_paid", "storage_paid", "saved", "net")
        return {**asdict(self), **{name: plain(getattr(self, name)) for name in money}}

    def _repr_html_(self) -> str:
        return html_of(lambda: [_section("Cache object", [self])], lambda: repr(self))

    def __rich__(self) -> Any:
        lines = [f"{name.replace('_', ' ')}: {value}" for name, value in self.to_dict().items()]
        return panel_of("Cache object", lambda: "\n".join(lines))


class CacheObjects:
    """The cache objects that a kit's store knows, and those of the accounts whose clients it wrapped.

    Every method that asks the provider takes ``client``, a ``genai.Client``; without it the one that was wrapped is
    used, or the one that made the object. All raise :class:`~ctxkit.errors.CacheObjectError` when the provider refuses
    or cannot be reached, and :class:`~ctxkit.errors.ConfigurationError` when nobody says whose objects are meant.
    """

    def __init__(self, kit: Kit, renting: Renting) -> None:
        self._kit = kit
        self._renting = renting
        self._tending = renting.tending

    def _repr_html_(self) -> str:
        return html_of(lambda: [_section("Cache objects", self.list())], lambda: repr(self))

    # ------------------------------------------------------------------ look

    def list(self, *, remote: bool = False, client: Any = None) -> Sequence[CacheObject]:
        """All that are known, the newest first.

        Args:
            remote: ask the provider too, and tell of those that no registry knows.
            client: whose.
        """
        now = self._tending.clock()
        self._tending.tended()
        known = dict(self._tending.registry.handles(now))
        found = [self._told(handle, now) for handle in known.values()]
        if remote or client is not None:
            keeper, names = self._keeper(client), {handle.name for handle in known.values()}
            found += [_stranger(kept, keeper, now) for kept in keeper.list() if kept.name not in names]
        return sorted(found, key=lambda one: -one.created)

    def get(self, name: str, *, remote: bool = False, client: Any = None) -> CacheObject:
        """One of them; with ``remote`` as the provider tells of it now."""
        now = self._tending.clock()
        self._tending.tended()
        handle = self._tending.registry.named(name, now)
        if handle is not None and not remote and client is None:
            return self._told(handle, now)
        keeper = self._keeper(client, handle)
        kept = keeper.get(name)
        if handle is None:
            return _stranger(kept, keeper, now)
        return self._told(replace(handle, expires=kept.expires, tokens=kept.tokens or handle.tokens), now)

    def orphans(self, *, client: Any = None) -> Sequence[CacheObject]:
        """Objects that ctxkit made and no registry knows: of a process that was killed, or a store that was lost."""
        return [one for one in self.list(remote=True, client=client) if one.verdict == "orphan"]

    # ------------------------------------------------------------------ change

    def create(self, body: Json, *, model: str, seconds: float = 3600.0, client: Any = None) -> CacheObject:
        """Make one ahead of time of all that ``body`` holds; later requests that begin so read it in mode ``cache``.

        It lives for ``seconds`` and is neither prolonged nor ended unasked. One that stands already is given back.

        Args:
            body: wire JSON of a request: system instruction, tools, tool configuration and contents, the last of
                which must not be the model's.
            model: the only one that may read it.
            seconds: to live.
            client: whose it shall be.
        """
        keeper, now = self._keeper(client), self._tending.clock()
        lease, boundary = self._boundary(body, model, keeper)
        stands = self._tending.registry.ready(boundary.key, now)
        if stands is None:
            stands = self._tending.create(lease, *self._choice(lease, boundary, model, keeper, seconds), now, told=True)
        if stands is None:
            raise CacheObjectError("another process is creating this object at the moment: look again in a minute")
        return self._told(stands, now)

    def _boundary(self, body: Json, model: str, keeper: Keeper) -> tuple[Lease, Boundary]:
        """Where an object ends that holds all of ``body``: a request is made of it that asks for more."""
        if not isinstance(body, dict):
            raise ConfigurationError("caches.create wants the wire JSON of a request, an object")
        contents = body.get("contents") or []
        turns = contents if isinstance(contents, list) else [contents]
        asked = {**body, "contents": [*turns, {"role": "user", "parts": [{"text": "?"}]}]}
        plan = self._kit.plan(asked, dialect="gemini.generate", platform=keeper.platform, model=model, rental=keeper)
        lease = plan.rental
        if not isinstance(lease, Lease) or not lease.found or lease.found[-1].message != len(lease.messages) - 2:
            raise ConfigurationError(
                f"no cache object can hold this of {model or 'no model'}: it must hold something, must not end with a "
                "turn of the model or name cachedContent, and the model must be one whose objects the rules describe"
            )
        return lease, lease.found[-1]

    def _choice(
        self, lease: Lease, boundary: Boundary, model: str, keeper: Keeper, seconds: float
    ) -> tuple[Choice, Handle]:
        rent = self._tending.rent(keeper.platform, model, boundary.tokens)
        prices = {} if rent is None else rent._asdict()
        wanted = Handle(boundary.key, lease.account, keeper.platform, model, pinned=True, **prices)
        return Choice(boundary, seconds, 0, 0.0, 0.0), wanted

    def refresh(self, name: str, *, seconds: float = 3600.0, client: Any = None) -> CacheObject:
        """Have one end so many seconds from now."""
        now = self._tending.clock()
        handle = self._tending.registry.named(name, now)
        keeper = self._keeper(client, handle)
        if handle is None:
            return _stranger(keeper.prolong(name, seconds), keeper, now)
        self._tending.prolong(keeper, handle, seconds, now)
        return self._told(self._tending.registry.named(name, now) or handle, now)

    def delete(self, name: str, *, client: Any = None) -> None:
        """End one at once; one that is gone already is no error."""
        now = self._tending.clock()
        keeper = self._keeper(client, self._tending.registry.named(name, now))
        try:
            keeper.delete(name)
        except CacheObjectError as error:
            if error.status not in (403, 404):
                raise
        self._tending.end(name, now)

    def gone(self, plan: Plan, status: int | None, text: str = "") -> bool:
        """A request was refused: True when that was for the object it was given; it goes again as it was.

        For doors; the object is written off.
        """
        return self._renting.gone(plan, status, text)

    def tend(self) -> None:
        """Do now what is done every few seconds by itself: create what pays, prolong it, let go what does not."""
        self._tending.tend()

    # ------------------------------------------------------------------ the same for event loops

    async def alist(self, **options: Any) -> Sequence[CacheObject]:
        """``list`` for event loops."""
        return await aside(partial(self.list, **options))

    async def aget(self, name: str, **options: Any) -> CacheObject:
        """``get`` for event loops."""
        return await aside(partial(self.get, name, **options))

    async def acreate(self, body: Json, *, model: str, **options: Any) -> CacheObject:
        """``create`` for event loops."""
        return await aside(partial(self.create, body, model=model, **options))

    async def arefresh(self, name: str, **options: Any) -> CacheObject:
        """``refresh`` for event loops."""
        return await aside(partial(self.refresh, name, **options))

    async def adelete(self, name: str, **options: Any) -> None:
        """``delete`` for event loops."""
        await aside(partial(self.delete, name, **options))

    # ------------------------------------------------------------------ whose

    def _keeper(self, client: Any = None, handle: Handle | None = None) -> Keeper:
        if client is not None:
            from ctxkit.integrations.google_caches import keeper_of

            return keeper_of(client)
        known = self._tending.keepers
        if handle is not None and handle.account in known:
            return known[handle.account]
        if handle is None and len(known) == 1:
            return next(iter(known.values()))
        why = "several accounts are known" if known else "no client of Google was wrapped yet"
        raise ConfigurationError(f"{why}: say whose cache objects you mean with client=genai.Client(...)")

    def _told(self, handle: Handle, now: float) -> CacheObject:
        creation, rent, saved = map(usd_of, spent(handle, now)) if handle.base else (None, None, None)
        says = verdict(handle, now)
        return CacheObject(
            handle.name,
            handle.platform,
            handle.model,
            handle.tokens,
            handle.created,
            handle.expires if handle.ended is None else handle.ended,
            handle.held(now),
            dict(handle.reads),
            creation,
            rent,
            saved,
            "pinned" if handle.pinned and says in ("keep", "let go") else says,
            PREFIX + handle.key,
        )


def _section(title: str, objects: Sequence[CacheObject]) -> Section:
    columns = (
        Column("Name"),
        Column("Model"),
        Column("Tokens", "count"),
        Column("Created", "time"),
        Column("Ends", "time"),
        Column("Reads", "count"),
        Column("Creation", "usd"),
        Column("Storage", "usd", "rent so far"),
        Column("Saved", "saved", "all costs taken off; negative: it cost more than it saved so far"),
        Column("Verdict"),
    )
    rows = tuple(
        (
            *(one.name, one.model, one.tokens, one.created, one.expires, sum(one.reads.values())),
            *(one.creation_paid, one.storage_paid, one.net, one.verdict),
        )
        for one in objects
    )
    return Section(title, tables=(Table(title, columns, rows),))


def _stranger(kept: Kept, keeper: Keeper, now: float) -> CacheObject:
    """One that no registry knows."""
    says = "orphan" if kept.display_name.startswith(PREFIX) else "foreign"
    age = max(min(now, kept.expires) - kept.created, 0.0)
    return CacheObject(
        kept.name,
        keeper.platform,
        kept.model,
        kept.tokens,
        kept.created,
        kept.expires,
        age,
        {},
        None,
        None,
        None,
        says,
        kept.display_name,
    )
