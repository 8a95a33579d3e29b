"""What the parts of one page share: its currency, its ids, the colours of its series, the room that is left."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Final, Literal

from ctxkit.page.formats import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SLOTS", "Sheet", "said"]

SLOTS: Final = 12
"""Looks that a series can have; the stylesheet knows them by number."""

_PERCENT: Final = re.compile(r"(?<=\d) %")  # never at the head of a line
_ROOM: Final = {"rows": 1_200_000, "charts": 650_000}  # bytes: the whole file stays below two megabytes


def said(text: str, size: int = 120) -> str:
    """A text for the inside of HTML: nothing hidden in it, not too long, escaped."""
    return escape(_PERCENT.sub("\N{NO-BREAK SPACE}%", shortened(visible(text), size)))


class Sheet:
    """A page, or a part of one, while it is written."""

    def __init__(self, currency: str, prefix: str = "c", level: int = 3) -> None:
        self.currency = currency
        self.level = level
        self._prefix = prefix
        self._ids = 0
        self._room = dict(_ROOM)
        self._slots: dict[str, int] = {}

    def id(self) -> str:
        """A new one."""
        self._ids += 1
        return f"{self._prefix}{self._ids}"

    def heading(self, text: str, otherwise: str) -> str:
        """A heading of a chart or a table; one that has no name is called by its kind where it is read aloud."""
        name = said(text, 200)
        return f"<h{self.level}>{name}</h{self.level}>" if text.strip() else f'<p class="vh">{otherwise}</p>'

    def room_for(self, what: Literal["rows", "charts"], text: str) -> bool:
        """Whether it still has room; if so that is taken."""
        left = self._room[what] - len(text.encode())
        if left >= 0:
            self._room[what] = left
        return left >= 0

    def slots(self, names: Sequence[str]) -> list[int]:
        """Looks of the series of a chart: the same name looks the same all over the page."""
        if len(names) == 1:  # nothing to be told apart from
            return [self._slots.get(names[0], 0)]
        known = {name: self._slots[name] for name in dict.fromkeys(names) if name in self._slots}
        taken: set[int] = set()
        return [self._slot(name, known, taken) for name in names]

    def _slot(self, name: str, known: dict[str, int], taken: set[int]) -> int:
        slot = known.get(name)
        if slot is None or slot in taken:
            kept = taken.union(known.values())
            slot = next((free for free in range(SLOTS) if free not in kept), len(taken) % SLOTS)
        taken.add(slot)
        self._slots.setdefault(name, slot)
        return slot
