"""A request laid out as a provider's cache reads it: positions at which a cached prefix may end.

Laying out takes a message apart only once: the positions of a growing conversation are remembered by the hash of its
prefix, so that the next turn adds its own and nothing else. Markers are no part of a position, because they move from
turn to turn; they stand beside them, by index.
"""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import TIERS
from ctxkit.caching.prefixes import DIGEST_SIZE
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ctxkit.cacheable import Ask, Block, Tier
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Message, PartKind, Path

__all__ = ["Layout", "Layouts", "Position", "Space", "lay_out"]


_EFFORT = ("thinking", "effort")
_SHARED = 24  # references to a position take the memory of one


class Position(NamedTuple):
    """The end of one block.

    Attributes:
        link: keyed hash of everything the model reads up to here, without markers and parameters.
        tokens: of that prefix, by the estimate.
        tier: where the block stands.
        role: as in :class:`~ctxkit.cacheable.Block`.
        kind: what the block is.
        path: of the block when it was first seen, for people: markers that are blocks of their own move it, so an
            edit takes its path from the request at hand (see :meth:`Layout.source`).
        message: number of its message, those that are nothing but a marker not counted.
        ends: it is the last block of its message.
        markable: a marker may be put here.
        sways: what stands here or before and changes the prompt by its mere presence, as ``(tier, what)``.
    """

    link: bytes
    tokens: float
    tier: Tier
    role: str
    kind: PartKind
    path: Path
    message: int
    ends: bool
    markable: bool
    sways: frozenset[tuple[Tier, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Space:
    """Whose entries a request can meet: what else must be equal beside the prefix.

    Attributes:
        platform: who serves it.
        model: the model, as asked for.
        scope: organisation, workspace or tenant.
        region: where.
    """

    platform: str
    model: str
    scope: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A request as its provider's cache reads it.

    Attributes:
        space: whose entries it can meet.
        positions: the ends of its blocks, in cache order.
        marks: time to live asked for at a position, by its index (``""``: a marker that names none).
        ask: what else the request says to the cache.
        keys: what stands before the prefix in the identity of an entry, by tier: the space, the key that separates,
            and the parameters of this tier and those before it.
        total: tokens of the whole prompt, framing included; at least those of the last position.
        sources: index in the request of each message that is more than a marker; ``None``: all are.
        known: how many of the positions this process had laid out before.
    """

    space: Space
    positions: Sequence[Position]
    marks: Mapping[int, str]
    ask: Ask
    keys: Mapping[Tier, bytes]
    total: float
    sources: Sequence[int] | None = None
    known: int = 0

    def source(self, index: int) -> int:
        """Index in the request of the message that holds this position."""
        number = self.positions[index].message
        return number if self.sources is None else self.sources[number]

    def keyed(self, hasher: Hasher, rule: Rule, key: str) -> Layout:
        """The same request with a key of its own, which may separate its entries from others."""
        ask = replace(self.ask, key=key)
        sways = self.positions[-1].sways if self.positions else frozenset()
        return replace(self, ask=ask, keys=_keys(hasher, self.space, ask, rule, sways))

    def entry(self, index: int) -> bytes:
        """Name of the cache entry that would end at this position."""
        position = self.positions[index]
        return hashlib.sha256(self.keys[position.tier] + position.link).digest()[:DIGEST_SIZE]


def lay_out(
    hasher: Hasher,
    messages: Sequence[Message],
    weights: Sequence[float],
    blocks: Callable[[Message], Sequence[Block]],
    ask: Ask,
    space: Space,
    rule: Rule | None,
    *,
    total: float,
    chain: Sequence[bytes] = (),
    marked: Sequence[int] | None = None,
    memory: Layouts | None = None,
    scale: str = "",
) -> Layout:
    """Lay a request out.

    Args:
        hasher: keyed hashes.
        messages: the request, in cache order.
        weights: tokens of each message.
        blocks: takes one message apart, markers told.
        ask: what the request says to the cache beside its markers.
        space: whose entries it can meet.
        rule: how that cache works; ``None`` when nobody knows.
        total: tokens of the whole prompt.
        chain: keyed hash of each prefix, for ``memory``.
        marked: indices of the messages that carry markers, in order; ``None``: look at all.
        memory: remembers positions by prefix.
        scale: what ``weights`` go by (dialect and family of tokens): positions of another scale are not used again.
    """
    marks = _marked_blocks(messages, blocks, marked)
    lone = {index for index, found in marks.items() if _only_marks(messages[index], found)}
    sources = [index for index in range(len(messages)) if index not in lone] if lone else None
    real = range(len(messages)) if sources is None else sources
    links = chain if sources is None or not chain else [chain[index] for index in sources]
    positions = list(memory.find(scale, links)) if memory is not None else []
    known = len(positions)
    _extend(positions, hasher, ((messages[index], weights[index]) for index in _after(real, positions)), blocks)
    if memory is not None and links:
        memory.keep(scale, links[-1], positions, known)
        if not known and len(links) > 1:  # other requests may differ in their last message alone
            before = positions[: bisect_left(positions, len(links) - 1, key=attrgetter("message"))]
            memory.keep(scale, links[-2], before, len(before))
    keys = _keys(hasher, space, ask, rule, positions[-1].sways if positions else frozenset())
    whole = max(total, positions[-1].tokens if positions else 0.0)
    return Layout(space, positions, _marks(marks, real, positions), ask, keys, whole, sources, known)


def _after(real: Sequence[int], positions: Sequence[Position]) -> Sequence[int]:
    """The messages behind those that were laid out before."""
    return real[positions[-1].message + 1 :] if positions else real


def _extend(
    positions: list[Position],
    hasher: Hasher,
    fresh: Iterable[tuple[Message, float]],
    blocks: Callable[[Message], Sequence[Block]],
) -> None:
    link, tokens, _, _, _, _, number, _, _, sways = (
        positions[-1] if positions else _START._replace(link=hasher.digest(""))
    )
    for message, weight in fresh:
        number += 1
        found = [block for block in blocks(message) if block.kind != "marker"]
        sizes = _shares(found)
        for place, block in enumerate(found):
            link = hashlib.sha256(link + hasher.digest((block.tier, block.role, block.value))).digest()[:DIGEST_SIZE]
            sways = sways.union(block.sways) if block.sways else sways
            ended = place == len(found) - 1
            reached = tokens + weight * sizes[place]
            positions.append(
                Position(
                    link, reached, block.tier, block.role, block.kind, block.path, number, ended, block.markable, sways
                )
            )
        tokens += weight


_START = Position(b"", 0.0, "tools", "", "other", (), -1, True, False)


def _shares(blocks: Sequence[Block]) -> list[float]:
    """Which part of a message has been read when each of its blocks ends; the last one ends with all of it."""
    whole = sum(block.size for block in blocks)
    if not whole:
        return [(place + 1) / len(blocks) for place in range(len(blocks))]
    return [reached / whole for reached in accumulate(block.size for block in blocks)]


def _marked_blocks(
    messages: Sequence[Message], blocks: Callable[[Message], Sequence[Block]], marked: Sequence[int] | None
) -> dict[int, Sequence[Block]]:
    """The blocks of the messages that carry markers."""
    looked = {index: blocks(messages[index]) for index in (range(len(messages)) if marked is None else marked)}
    return {index: found for index, found in looked.items() if any(block.mark is not None for block in found)}


def _only_marks(message: Message, blocks: Sequence[Block]) -> bool:
    return all(block.kind == "marker" and block.path == message.path for block in blocks)


def _marks(marks: Mapping[int, Sequence[Block]], real: Sequence[int], positions: Sequence[Position]) -> dict[int, str]:
    """Markers by position. One that is a block of its own marks what stands before it, in an earlier message too."""
    found: dict[int, str] = {}
    for index, blocks in marks.items():
        at = bisect_left(positions, bisect_left(real, index), key=attrgetter("message"))
        for block in blocks:
            at += block.kind != "marker"
            if block.mark is not None and at > 0:
                found[at - 1] = block.mark
    return found


def _keys(
    hasher: Hasher, space: Space, ask: Ask, rule: Rule | None, sways: frozenset[tuple[Tier, str]]
) -> dict[Tier, bytes]:
    """Each tier's key holds its own parameters and those of the tiers before it."""
    separate = ask.key if rule is not None and rule.key_separates else None
    key = hasher.digest((space.platform, space.model, space.scope, space.region, separate))
    early = rule is not None and rule.parameters_break_all is not False
    keys: dict[Tier, bytes] = {}
    for tier in TIERS:
        key = hashlib.sha256(key + hasher.digest(_identity(tier, ask, sways, early=early))).digest()[:DIGEST_SIZE]
        keys[tier] = key
    return keys


def _identity(tier: Tier, ask: Ask, sways: frozenset[tuple[Tier, str]], *, early: bool) -> tuple[object, ...]:
    """What belongs to a tier beside its blocks; ``early``: thinking and effort count from the first token on."""
    given = dict(ask.parameters.get(tier, ()))
    if early and tier != "messages":
        given |= {name: value for name, value in ask.parameters.get("messages", {}).items() if name in _EFFORT}
    return (sorted(given.items(), key=itemgetter(0)), sorted(what for where, what in sways if where == tier))


class Layouts:
    """Remembers positions by the prefix they end; for all threads.

    Args:
        size: positions remembered.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._held = 0
        self._known: OrderedDict[tuple[str, bytes], tuple[int, list[Position]]] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def find(self, scale: str, chain: Sequence[bytes]) -> list[Position]:
        """Positions of the longest known prefix, weighed by this scale; do not change them."""
        known = self._known
        for link in reversed(chain):
            key = (scale, link)
            if key in known:
                with self._lock:
                    if key in known:  # another thread may have made room in between
                        known.move_to_end(key)
                        return known[key][1]
        return []

    def keep(self, scale: str, link: bytes, positions: list[Position], known: int = 0) -> None:
        """Remember the positions of the prefix ``link``; those unused for longest go first.

        ``known``: how many of them were remembered before and are held twice by reference only.
        """
        key = (scale, link)
        cost = 1 + len(positions) - known + known // _SHARED
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return
            self._known[key] = cost, positions
            self._held += cost
            while self._held > self._size and len(self._known) > 1:
                self._held -= self._known.popitem(last=False)[1][0]

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()
