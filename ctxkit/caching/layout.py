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
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import TIERS
from ctxkit.caching.prefixes import DIGEST_SIZE
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.cacheable import Ask, Block, Tier
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Message, PartKind, Path

__all__ = ["Layout", "Layouts", "Position", "Space", "lay_out"]


class Position(NamedTuple):
    """The end of one block.

    Attributes:
        link: keyed hash of everything the model reads up to here, without markers and parameters.
        tokens: of that prefix, by the estimate.
        tier: where the block stands.
        role: as in :class:`~ctxkit.cacheable.Block`.
        kind: what the block is.
        path: of the block.
        message: index of its message.
        ends: it is the last block of its message.
        markable: a marker may be put here.
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
    """

    space: Space
    positions: Sequence[Position]
    marks: Mapping[int, str]
    ask: Ask
    keys: Mapping[Tier, bytes]
    total: float

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
        marked: indices of the messages that carry markers; ``None``: look at all.
        memory: remembers positions by prefix.
    """
    known = memory.find(chain) if memory and chain else []
    positions = list(known)
    link = positions[-1].link if positions else hasher.digest("")
    tokens = positions[-1].tokens if positions else 0.0
    for index in range(positions[-1].message + 1 if positions else 0, len(messages)):
        for position in _positions(hasher, blocks(messages[index]), index, weights[index], link, tokens):
            positions.append(position)
            link = position.link
        tokens += weights[index]
    if memory and chain:
        memory.keep(chain[-1], positions)
    marks = _marks(messages, positions, blocks, range(len(messages)) if marked is None else marked)
    keys = _keys(hasher, space, ask, rule)
    return Layout(space, positions, marks, ask, keys, max(total, tokens))


def _positions(
    hasher: Hasher, blocks: Sequence[Block], message: int, weight: float, link: bytes, tokens: float
) -> list[Position]:
    """The ends of one message's blocks; its tokens are shared among them by their size."""
    whole = sum(block.size for block in blocks) or 1
    found = []
    for number, block in enumerate(blocks, 1):
        digest = hasher.digest((block.tier, block.role, block.value))
        link = hashlib.sha256(link + digest).digest()[:DIGEST_SIZE]
        last = number == len(blocks)
        tokens += weight * (block.size / whole if whole > 1 else 1 / len(blocks))
        found.append(
            Position(link, tokens, block.tier, block.role, block.kind, block.path, message, last, block.markable)
        )
    return found


def _marks(
    messages: Sequence[Message],
    positions: Sequence[Position],
    blocks: Callable[[Message], Sequence[Block]],
    marked: Sequence[int],
) -> dict[int, str]:
    found = {}
    for index in marked:
        first = bisect_left(positions, index, key=attrgetter("message"))
        for offset, block in enumerate(blocks(messages[index])):
            if block.mark is not None:
                found[first + offset] = block.mark
    return found


def _keys(hasher: Hasher, space: Space, ask: Ask, rule: Rule | None) -> dict[Tier, bytes]:
    """Each tier's key holds its own parameters and those of the tiers before it."""
    separate = ask.key if rule is not None and rule.key_separates else None
    key = hasher.digest((space.platform, space.model, space.scope, space.region, separate))
    keys: dict[Tier, bytes] = {}
    for tier in TIERS:
        key = hashlib.sha256(key + hasher.digest(ask.parameters.get(tier))).digest()[:DIGEST_SIZE]
        keys[tier] = key
    return keys


class Layouts:
    """Remembers positions by the prefix they end; for all threads.

    Args:
        size: positions remembered.
    """

    def __init__(self, size: int = 50_000) -> None:
        self._size = size
        self._held = 0
        self._known: OrderedDict[bytes, list[Position]] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def find(self, chain: Sequence[bytes]) -> list[Position]:
        """Positions of the longest known prefix; do not change them."""
        known = self._known
        for link in reversed(chain):
            found = known.get(link)
            if found is not None:
                return found
        return []

    def keep(self, link: bytes, positions: list[Position]) -> None:
        """Remember the positions of the prefix ``link``; the longest unused ones go first."""
        with self._lock:
            if link in self._known:
                self._known.move_to_end(link)
                return
            self._known[link] = positions
            self._held += len(positions)
            while self._held > self._size and len(self._known) > 1:
                self._held -= len(self._known.popitem(last=False)[1])

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()
