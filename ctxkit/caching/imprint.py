"""Makes the footprint of a settled request, reusing what the request it continues has left."""

from __future__ import annotations

import json
import math
import threading
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from itertools import chain as joined
from itertools import islice
from typing import TYPE_CHECKING

from ctxkit.caching.footprints import WIDTH, Footprint, Names, Parameter, Tool
from ctxkit.caching.forecast import EXACT
from ctxkit.caching.simulator.breakpoints import breakpoints
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.layout import Layout, Position
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Json, Message, Usage

__all__ = ["Imprints", "Seen"]

_BEFORE = frozenset({"tools", "system", "developer"})  # what a conversation opens with
_MOST_TOOLS = 256
_LONGEST_NAME = 64
_REMEMBERED = 200  # lists of tools
_MARKERS = frozenset({"cache_control", "cachePoint", "prompt_cache_breakpoint"})
_EARLY = frozenset({"thinking", "effort"})


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A request as it was planned, until it is settled.

    Attributes:
        messages: of the request, in cache order.
        digests: keyed hash of each by itself.
        chain: keyed hash of each prefix.
    """

    messages: Sequence[Message]
    digests: Sequence[bytes]
    chain: Sequence[bytes]

    def own(self, before: Footprint | None = None) -> bytes:
        """Hash of each message of the conversation by itself, joined; ``before``: a request that this one continues."""
        start = next((at for at, one in enumerate(self.messages) if one.role not in _BEFORE), len(self.messages))
        known = before.own if before is not None and not before.gap[1] else b""
        rest = self.digests[start + len(known) // WIDTH :]
        return known + b"".join([digest[:WIDTH] for digest in rest])


class Imprints:
    """Makes names and footprints; remembers lists of tools, which rarely change. One per kit, for all threads."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._tools: OrderedDict[bytes, tuple[tuple[Tool, ...], bytes, int]] = OrderedDict()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def names(self, now: Footprint, layout: Layout, seen: Seen, thread: str, feature: str | None) -> Names:
        """By what the request is found again; requests without a feature are alike by how they open alone."""
        return Names(
            seen.chain,
            self._hasher.digest(thread),
            now.own,
            layout.positions[now.opening].link if now.opening >= 0 else b"",
            self._hasher.digest((feature, layout.space.platform)) if feature else b"",
        )

    def footprint(
        self,
        attempt: str,
        at: float,
        foreseen: Foreseen,
        seen: Seen,
        usage: Usage,
        before: Footprint | None = None,
    ) -> Footprint:
        """The footprint of a request whose usage was reported; ``before``: the one that it continues, if any."""
        rule, layout = foreseen.rule, foreseen.layout
        links, sizes = _measured(layout.positions, before)
        cached = _cached(rule, usage)
        tools, toolbox, count = self._tools_of(layout, seen)
        return Footprint(
            attempt,
            layout.space,
            at,
            _expires(foreseen, at),
            cached,
            usage.input_total or 0,
            _reach(foreseen, cached),
            _opening(layout.positions),
            bool(layout.marks) or layout.ask.automatic is not None,
            tools,
            toolbox,
            count,
            self._parameters(layout, rule),
            self._route(layout, rule),
            len(layout.positions),
            links,
            sizes,
            seen.own(before),
        )

    def _parameters(self, layout: Layout, rule: Rule) -> dict[str, Parameter]:
        early = rule.parameters_break_all is not False
        found: dict[str, Parameter] = {}
        for tier, given in layout.ask.parameters.items():
            for name, value in given.items():
                where = "tools" if early and name in _EARLY else tier
                found[name[:_LONGEST_NAME]] = Parameter(where, self._hash(value))
        for where, what in layout.positions[-1].sways if layout.positions else ():
            found[what] = Parameter(where, b"")
        if rule.key_separates and layout.ask.key is not None:
            found[rule.key_field or "key"] = Parameter("tools", self._hash(layout.ask.key))
        return found

    def _route(self, layout: Layout, rule: Rule) -> bytes:
        key = None if rule.key_separates else layout.ask.key
        return b"" if key is None else self._hash(key)

    def _hash(self, value: Json) -> bytes:
        return self._hasher.digest(value)[:WIDTH]

    # ---- Tools

    def _tools_of(self, layout: Layout, seen: Seen) -> tuple[tuple[Tool, ...], bytes, int]:
        last = next((i for i, one in enumerate(layout.positions) if one.tier != "tools"), len(layout.positions)) - 1
        if last < 0:
            return (), b"", 0
        link = layout.positions[last].link
        with self._lock:
            if link in self._tools:
                self._tools.move_to_end(link)
                return self._tools[link]
        tools, count = self._read_tools(layout, seen, last)
        found = (tools, link, count)
        with self._lock:
            self._tools[link] = found
            while len(self._tools) > _REMEMBERED:
                self._tools.popitem(last=False)
        return found

    def _read_tools(self, layout: Layout, seen: Seen, last: int) -> tuple[tuple[Tool, ...], int]:
        sources = dict.fromkeys(layout.source(index) for index in range(last + 1))
        parts = joined.from_iterable(seen.messages[index].parts for index in sources)
        tools = (part for part in parts if part.kind == "tool")
        kept = tuple(self._tool(part.name or "", _bare(part.value)) for part in islice(tools, _MOST_TOOLS))
        return kept, len(kept) + sum(1 for _ in tools)

    def _tool(self, name: str, value: Json) -> Tool:
        return Tool(name[:_LONGEST_NAME], self._hash(value), self._hash(_ordered(value)))

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()


def _bare(value: Json) -> Json:
    """A definition without markers on it."""
    if not isinstance(value, dict) or not _MARKERS.intersection(value):
        return value
    return {key: item for key, item in value.items() if key not in _MARKERS}


def _ordered(value: Json) -> Json:
    """The value with its keys in order, as text; what has no such text is as it is."""
    try:
        return json.dumps(value, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        return value


def _opening(positions: Iterable[Position]) -> int:
    last = -1
    for last, position in enumerate(positions):
        if position.role not in _BEFORE:
            return last - 1
    return last


def _measured(positions: Sequence[Position], before: Footprint | None) -> tuple[bytes, array[int]]:
    """Links and sizes; those of the request that this one continues are taken over."""
    known = 0
    if before is not None and before.gap[0] == before.gap[1] and 0 < before.length <= len(positions):
        known = before.length if positions[before.length - 1].link[:WIDTH] == before.link(before.length - 1) else 0
    rest = positions[known:] if known else positions
    links = b"".join([position.link[:WIDTH] for position in rest])
    sizes = array("q", [round(position.tokens) for position in rest])
    return (before.links + links, before.sizes + sizes) if known and before is not None else (links, sizes)


def _cached(rule: Rule, usage: Usage) -> int:
    """Tokens of the longest prefix that the request has left in the cache."""
    total, read = usage.input_total or 0, usage.read or 0
    if rule.match in EXACT:
        return min(read + usage.written_total, total)
    if not rule.automatic or total < (rule.minimum or 0):
        return 0
    step = rule.interval or rule.granularity
    return total // step * step


def _reach(foreseen: Foreseen, cached: int) -> int:
    if not cached:
        return -1
    if foreseen.rule.match in EXACT:
        matched = foreseen.matched
        return max([matched.read, *(write.at for write in matched.writes)])
    return len(foreseen.layout.positions) - 1


def _expires(foreseen: Foreseen, at: float) -> float:
    rule, matched = foreseen.rule, foreseen.matched
    marks = breakpoints(rule, foreseen.layout) if rule.match in EXACT else []
    asked = marks[-1].ttl if marks else matched.writes[-1].ttl if matched.writes else rule.ttl
    life = rule.seconds(asked)
    if life is None:
        return math.inf
    if matched.entry is not None and not matched.writes and not rule.refresh:
        return matched.entry.expires
    return at + life
