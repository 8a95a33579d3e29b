"""What is remembered of a settled request, so that a later one can be told what has changed since.

A footprint holds keyed hashes, lengths, names of tools and of parameters, and figures; nothing of a prompt. It is found
again under several names, because a request that lost its prefix is no longer known by it: by the prefix it ended, by
its thread, by its latest messages (each by itself), by what it opened with, and by its feature.
"""

from __future__ import annotations

import json
import math
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.caching.layout import Space
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.caching.layout import Layout

__all__ = ["WIDTH", "Footprint", "Footprints", "Parameter", "Tool", "first_difference", "own_names"]

WIDTH = 8
"""Bytes kept of a hash: enough to tell two requests of one store apart."""

_FIRST, _LAST = 128, 384  # positions that the shared store keeps of a longer request
_HELD = 24 << 20  # bytes of footprints in this process
_NAMES = 50_000
_ENDING = 3  # latest messages by which a request is found again
_NEAR = 12  # messages from the end that are looked up
_ASKED = 4  # of them, in the shared store


class Tool(NamedTuple):
    """One tool of a request.

    Attributes:
        name: as the application calls it, shortened.
        digest: keyed hash of its definition as it was written.
        canonical: the same with its keys in order: equal where only the writing differs.
    """

    name: str
    digest: bytes
    canonical: bytes


class Parameter(NamedTuple):
    """A parameter that belongs to the identity of a cached prefix.

    Attributes:
        tier: from where on a change of it counts.
        digest: keyed hash of its value.
    """

    tier: str
    digest: bytes


class Footprint(NamedTuple):
    """One settled request.

    Attributes:
        attempt: its id.
        space: whose entries it could meet.
        at: when it was planned, in unix seconds.
        expires: when what it left in the cache ends; infinite where nobody knows.
        cached: tokens of the prefix it left in the cache, as far as was reported; 0: nothing.
        total: tokens of its prompt, as reported.
        reach: index of the last position of that prefix; -1: none.
        opening: index of the last position before the conversation itself; -1: none.
        marked: it carried markers.
        tools: its tools, in order; the first few hundred.
        toolbox: hash of them all.
        tool_count: of them all.
        parameters: by name.
        route: keyed hash of what routes it without separating entries.
        length: positions.
        links: hash of the prefix at each position, joined.
        sizes: tokens of the prefix at each position, by the estimate.
        own: hash of each message of the conversation by itself, joined.
        gap: positions ``gap[0]`` up to ``gap[1]`` were not kept.
    """

    attempt: str
    space: Space
    at: float
    expires: float
    cached: int
    total: int
    reach: int
    opening: int
    marked: bool
    tools: tuple[Tool, ...]
    toolbox: bytes
    tool_count: int
    parameters: Mapping[str, Parameter]
    route: bytes
    length: int
    links: bytes
    sizes: array[int]
    own: bytes
    gap: tuple[int, int] = (0, 0)

    def slot(self, index: int) -> int:
        """Where position ``index`` stands in ``links`` and ``sizes``; -1: it was not kept."""
        start, end = self.gap
        return index if index < start else -1 if index < end else index - (end - start)

    def link(self, index: int) -> bytes:
        """Hash of the prefix that ends at a position that was kept."""
        slot = self.slot(index)
        return self.links[slot * WIDTH : (slot + 1) * WIDTH]

    def tokens(self, index: int) -> int | None:
        """Tokens of the prefix that ends at a position, by the estimate; ``None``: not kept. 0 for -1."""
        if index < 0:
            return 0
        slot = self.slot(index)
        return self.sizes[slot] if slot >= 0 else None

    def kept(self) -> Sequence[int]:
        """Positions that were kept, ascending."""
        start, end = self.gap
        return range(self.length) if start == end else (*range(start), *range(end, self.length))

    def shortened(self) -> Footprint:
        """Without the middle of a very long request."""
        if self.gap[0] != self.gap[1] or self.length <= _FIRST + _LAST:
            return self
        end = self.length - _LAST
        return self._replace(
            links=self.links[: _FIRST * WIDTH] + self.links[end * WIDTH :],
            sizes=self.sizes[:_FIRST] + self.sizes[end:],
            own=self.own[: _FIRST * WIDTH] + self.own[max(len(self.own) - _LAST * WIDTH, _FIRST * WIDTH) :],
            gap=(_FIRST, end),
        )


def first_difference(layout: Layout, before: Footprint) -> tuple[int, bool]:
    """Index of the first position that is not as it was, and whether that is known to the position.

    As many as both have in common where one is the beginning of the other.
    """
    positions = layout.positions
    shorter = min(len(positions), before.length)
    known = [index for index in before.kept() if index < shorter] if before.length > shorter else before.kept()
    # Links are chained: once one differs all that follow do.
    place = bisect_left(known, True, key=lambda index: positions[index].link[:WIDTH] != before.link(index))
    after_last = known[place - 1] + 1 if place else 0
    if place == len(known):
        return shorter, after_last == shorter
    return after_last, after_last == known[place]


def own_names(own: bytes) -> Iterator[bytes]:
    """Hashes of messages by themselves, latest first."""
    for end in range(len(own), 0, -WIDTH):
        yield own[end - WIDTH : end]


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Names(NamedTuple):
    """By what a request is found again.

    Attributes:
        chain: keyed hash of each prefix, in cache order.
        thread: its thread.
        own: hash of each message of the conversation by itself, joined.
        opening: hash of what stands before the conversation; ``b""``: nothing does.
        feature: whose requests are alike.
    """

    chain: Sequence[bytes]
    thread: bytes
    own: bytes
    opening: bytes
    feature: bytes


class Footprints:
    """Footprints by name; one per kit, for all threads. Bounded here, and short in the store.

    Args:
        store: shared memory of workers and restarts.
        size: bytes held in this process; those unused for longest go first.
    """

    def __init__(self, store: Memory, size: int = _HELD) -> None:
        self._store = store
        self._size = size
        self._held = 0
        self._known: OrderedDict[bytes, Footprint] = OrderedDict()  # under the prefix that it ended
        self._names: OrderedDict[bytes, bytes] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def keep(self, names: Names, footprint: Footprint, *, shared: bool = True) -> None:
        """Remember a settled request; ``shared``: in the store too."""
        if not names.chain:
            return
        chain = names.chain[-1]
        others = list(_others(names))
        with self._lock:
            news = [name for name in others[1:] if name not in self._names or name[:1] in b"os"]
            toolbox = footprint.toolbox and b"u" + footprint.toolbox
            if toolbox and toolbox not in self._names:
                news.append(toolbox)
                others.append(toolbox)
            self._let_go(chain)
            self._known[chain] = footprint
            self._held += _weight(footprint)
            for name in others:
                self._names[name] = chain
                self._names.move_to_end(name)
            while self._held > self._size and len(self._known) > 1:
                self._let_go(next(iter(self._known)))
            while len(self._names) > _NAMES:
                self._names.popitem(last=False)
        if not shared:
            return
        self._store.put(b"f" + names.thread, _packed(footprint))
        for name in news:
            self._store.put(b"g" + name, names.thread if name is not toolbox else _packed_tools(footprint.tools))

    def _let_go(self, chain: bytes) -> None:
        gone = self._known.pop(chain, None)
        if gone is not None:
            self._held -= _weight(gone)

    def continued(self, chain: Sequence[bytes]) -> Footprint | None:
        """The request that one with this chain continues, or repeats: the longest known prefix of it."""
        known = self._known
        for link in reversed(chain):
            found = known.get(link)
            if found is not None:
                return found
        return None

    def alike(self, names: Names, *, shared: bool = False) -> Iterator[Footprint]:
        """Requests that this one may continue although its prefix is another: by its latest messages, then its thread.

        ``shared``: ask the store too, where this process knows nothing.
        """
        for place, own in enumerate(own_names(names.own[-_NEAR * WIDTH :])):
            if found := self._find(b"m" + own, shared=shared and place < _ASKED):
                yield found
        if found := self._find(b"t" + names.thread, shared=shared):
            yield found

    def opened(self, names: Names, *, shared: bool = False) -> Iterator[Footprint]:
        """Requests that opened like this one, or that the same feature sent last."""
        for name in ([b"o" + names.opening] if names.opening else []) + (
            [b"s" + names.feature] if names.feature else []
        ):
            if found := self._find(name, shared=shared):
                yield found

    def _find(self, name: bytes, *, shared: bool) -> Footprint | None:
        chain = self._names.get(name)
        found = self._known.get(chain) if chain is not None else None
        if found is not None or not shared:
            return found
        thread = name[1:] if name[:1] == b"t" else self._store.get(b"g" + name)
        stored = self._store.get(b"f" + thread) if thread else None
        found = _unpacked(stored) if stored else None
        if found is None or not found.toolbox:
            return found
        return found._replace(tools=_unpacked_tools(self._store.get(b"gu" + found.toolbox)))

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _others(names: Names) -> Iterator[bytes]:
    yield b"t" + names.thread
    for own in own_names(names.own[-_ENDING * WIDTH :]):
        yield b"m" + own
    if names.opening:
        yield b"o" + names.opening
    if names.feature:
        yield b"s" + names.feature


def _weight(footprint: Footprint) -> int:
    fixed = 1_000 + 200 * len(footprint.tools)
    return fixed + len(footprint.links) + 4 * len(footprint.sizes) + len(footprint.own)


def _packed(footprint: Footprint) -> bytes:
    """A line of JSON and three stretches of bytes; the tools stand by themselves, because they rarely change."""
    short = footprint.shortened()
    plain = short._asdict() | {
        "expires": None if math.isinf(short.expires) else short.expires,
        "tools": (),
        "toolbox": short.toolbox.hex(),
        "route": short.route.hex(),
        "parameters": {name: [one.tier, one.digest.hex()] for name, one in short.parameters.items()},
        "space": [short.space.platform, short.space.model, short.space.scope, short.space.region],
        "links": len(short.links),
        "sizes": len(short.sizes) * short.sizes.itemsize,
        "own": len(short.own),
    }
    head = json.dumps(plain, separators=(",", ":")).encode()
    return b"".join((head, b"\n", short.links, short.sizes.tobytes(), short.own))


def _unpacked(stored: bytes) -> Footprint | None:
    """What another process, or another version, wrote; ``None`` for what cannot be read."""
    try:
        head, _, rest = stored.partition(b"\n")
        plain = json.loads(head)
        links, sizes, own = (int(plain[name]) for name in ("links", "sizes", "own"))
        measured = array("q")
        measured.frombytes(rest[links : links + sizes])
        found = Footprint(
            **plain
            | {
                "expires": math.inf if plain["expires"] is None else float(plain["expires"]),
                "tools": (),
                "toolbox": bytes.fromhex(plain["toolbox"]),
                "route": bytes.fromhex(plain["route"]),
                "parameters": {
                    name: Parameter(tier, bytes.fromhex(one)) for name, (tier, one) in plain["parameters"].items()
                },
                "space": Space(*map(str, plain["space"])),
                "gap": (int(plain["gap"][0]), int(plain["gap"][1])),
                "links": rest[:links],
                "sizes": measured,
                "own": rest[links + sizes : links + sizes + own],
            }
        )
        whole = found.length - (found.gap[1] - found.gap[0])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError):
        return None
    return found if len(found.links) == whole * WIDTH and len(found.sizes) == whole else None


def _packed_tools(tools: Sequence[Tool]) -> bytes:
    return json.dumps([[one.name, one.digest.hex(), one.canonical.hex()] for one in tools]).encode()


def _unpacked_tools(stored: bytes | None) -> tuple[Tool, ...]:
    try:
        found = json.loads(stored or b"[]")
        return tuple(Tool(str(name), bytes.fromhex(one), bytes.fromhex(two)) for name, one, two in found)
    except (ValueError, TypeError):
        return ()
