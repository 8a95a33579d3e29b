"""Which handles stand, for all threads and processes of a store: one JSON text, changed by compare and swap.

Whoever wants to create a handle claims it first, for a while: of two processes one creates, and a creator that was
killed blocks nobody for longer than that.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.caching.handles.handle import Handle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Claim", "Registry", "Shared"]

_KEY = b"handles"
_TRIES = 50
_LEASE = 120.0  # seconds that a creation may take before another one may try
_APART = 60.0  # seconds by which clocks of two claimants may differ; a lease further ahead is of a clock that was wrong
_LOOK = 1.0  # seconds for which what was read of the store is taken for true
_LIMIT = 400  # handles remembered; those that ended first go first
_RECENT = 16


class Shared(Protocol):
    """What the registry needs of a store."""

    def fresh(self, key: bytes) -> bytes | None:
        """The value as all processes see it now."""

    def swap(self, key: bytes, old: bytes | None, new: bytes) -> bytes | None:
        """Put ``new`` where ``old`` stands; the value that stands then."""


class Claim(NamedTuple):
    """What came of wanting to create a handle.

    Attributes:
        mine: the caller is to create it, and nobody else does.
        abandoned: somebody began to, and never said what came of it: it may stand at the provider already.
    """

    mine: bool
    abandoned: bool = False


class Registry:
    """The handles of a store. Every change is seen by all; what is read is at most a second old."""

    def __init__(self, store: Shared) -> None:
        self._store = store
        self._taken: tuple[bytes | None, dict[str, Handle]] = None, {}  # one value: threads see both or neither
        self._looked: float | None = None

    def handles(self, now: float) -> Mapping[str, Handle]:
        """All that are known, by key, those that ended among them."""
        if self._looked is None or not 0 <= now - self._looked < _LOOK:  # a clock may go backwards
            self._take(self._store.fresh(_KEY))
            self._looked = now
        return self._taken[1]

    def ready(self, key: str, now: float) -> Handle | None:
        """The handle of this content, if a request may read it."""
        handle = self.handles(now).get(key)
        return handle if handle is not None and handle.ready(now) else None

    def named(self, name: str, now: float) -> Handle | None:
        """The handle the provider calls so."""
        return next((handle for handle in self.handles(now).values() if handle.name == name), None)

    def claim(self, wanted: Handle, owner: str, now: float) -> Claim:
        """Say that ``owner`` creates this handle, unless it stands or somebody else does."""
        claim = Claim(mine=False)

        def change(handles: dict[str, Handle]) -> bool:
            nonlocal claim
            before = handles.get(wanted.key)
            if before is not None and (
                before.ready(now) or (not before.name and 0 < before.lease - now <= _LEASE + _APART)
            ):
                claim = Claim(mine=False)
                return False
            if before is not None and before.name:  # it goes on being told of, and charged to its end
                past = replace(before, key=f"{before.key}.{before.created:.0f}")
                handles[past.key] = past
            handles[wanted.key] = replace(wanted, owner=owner, lease=now + _LEASE)
            claim = Claim(mine=True, abandoned=before is not None and not before.name)
            return True

        return claim if self._change(change) else Claim(mine=False)

    def keep(self, handle: Handle) -> bool:
        """Write a handle down, whatever stood there; False when the store cannot."""

        def change(handles: dict[str, Handle]) -> bool:
            handles[handle.key] = handle
            return True

        return self._change(change)

    def drop(self, key: str) -> None:
        """Forget a handle that never came to be."""

        def change(handles: dict[str, Handle]) -> bool:
            return handles.pop(key, None) is not None

        self._change(change)

    def end(self, name: str, now: float) -> Handle | None:
        """It is gone; the handle, once, for whoever says so first."""
        return self._alter(name, lambda handle: replace(handle, ended=now) if handle.ended is None else None)

    def prolong(self, name: str, expires: float) -> None:
        """Its end was moved."""
        self._alter(name, lambda handle: replace(handle, expires=expires))

    def read(self, counts: Mapping[str, Mapping[str, int]], times: Mapping[str, list[float]]) -> None:
        """Add reads: by name and feature, and when they were."""

        def change(handles: dict[str, Handle]) -> bool:
            for key, handle in handles.items():
                if handle.name in counts:
                    handles[key] = _with_reads(handle, counts[handle.name], times.get(handle.name, []))
            return True

        if counts:
            self._change(change)

    def _alter(self, name: str, alter: Callable[[Handle], Handle | None]) -> Handle | None:
        result: Handle | None = None

        def change(handles: dict[str, Handle]) -> bool:
            nonlocal result
            found = next((handle for handle in handles.values() if handle.name == name), None)
            result = alter(found) if found is not None else None
            if result is not None:
                handles[result.key] = result
            return result is not None

        return result if self._change(change) else None

    def _change(self, change: Callable[[dict[str, Handle]], bool]) -> bool:
        """Make a change to what stands now; ``change`` may be called again, and says whether there is one."""
        raw = self._store.fresh(_KEY)
        for _ in range(_TRIES):
            handles = _parsed(raw)
            if not change(handles):
                self._take(raw)
                return False
            new = _text(handles)
            stands = self._store.swap(_KEY, raw, new)
            self._take(stands)
            if stands == new:
                return True
            if stands is None and raw is None:
                return False  # the store cannot be written
            raw = stands
        return False

    def _take(self, raw: bytes | None) -> None:
        if raw != self._taken[0] or raw is None:
            self._taken = raw, _parsed(raw)


def _with_reads(handle: Handle, counts: Mapping[str, int], times: list[float]) -> Handle:
    reads = {feature: handle.reads.get(feature, 0) + counts.get(feature, 0) for feature in {**handle.reads, **counts}}
    return replace(handle, reads=reads, times=tuple(sorted([*handle.times, *times]))[-_RECENT:])


def _parsed(raw: bytes | None) -> dict[str, Handle]:
    if not raw:
        return {}
    try:
        told = json.loads(raw)
        return {handle.key: handle for handle in map(Handle.of, told["handles"])}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # nothing of ours: it is written anew


def _text(handles: dict[str, Handle]) -> bytes:
    kept = list(handles.values())
    if len(kept) > _LIMIT:
        kept.sort(key=lambda handle: (handle.ended is None, handle.expires))
        kept = kept[-_LIMIT:]
    return json.dumps({"version": 1, "handles": [handle.to_dict() for handle in kept]}).encode()
