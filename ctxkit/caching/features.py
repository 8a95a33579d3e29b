"""What is learned of each feature, for so many of them: those met last; kept as JSON."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["UNREADABLE", "Features", "Memory"]

_KEPT = 200

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What comes of figures that another version wrote, or nobody of ours."""


class Memory(Protocol):
    """What is needed of a store."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or ``None``."""

    def put(self, key: bytes, value: bytes) -> None:
        """Keep a value; may be written later."""


class Learned(Protocol):
    """What is learned of one feature."""

    def figures(self) -> dict[str, Any]:
        """As JSON has it."""
        ...

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Self:
        """From what :meth:`figures` gave."""
        ...


T = TypeVar("T", bound=Learned)


class Features(Generic[T]):
    """By name; whoever owns it has the lock.

    Args:
        kind: of what is learned of one; made without arguments.
        stored: what :meth:`dump` gave once; what cannot be read is forgotten.
        most: features held in this process.
    """

    def __init__(self, kind: type[T], stored: bytes | None = None, most: int = _KEPT) -> None:
        self._kind = kind
        self._most = most
        self._held: OrderedDict[str, T] = OrderedDict()
        self.load(stored)

    def get(self, name: str) -> T | None:
        """What is known of one, or ``None``."""
        return self._held.get(name)

    def held(self, name: str) -> T:
        """What is known of one, which is met now; of too many, the one met longest ago is forgotten."""
        found = self._held.get(name)
        if found is None:
            found = self._held[name] = self._kind()
        self._held.move_to_end(name)
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return found

    def __len__(self) -> int:
        return len(self._held)

    def items(self) -> Iterable[tuple[str, T]]:
        """All of them."""
        return self._held.items()

    def dump(self) -> bytes:
        """Those met last, to be kept."""
        last = list(self._held.items())[-_KEPT:]
        return json.dumps({name: one.figures() for name, one in last}).encode()

    def load(self, stored: bytes | None) -> None:
        """Add what was kept."""
        try:
            self._held.update(
                {str(name): self._kind.of(figures) for name, figures in json.loads(stored or b"{}").items()}
            )
        except UNREADABLE:
            return
