"""What came by, counted: for the coverage at the end. Names of paths and hosts only, and a bounded number of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Traffic"]

_MOST = 100  # names of one kind; whatever comes after them is counted together
_LONGEST = 120
_OTHERS = "others"


@dataclass(slots=True)
class Traffic:
    """Counts of one run.

    Attributes:
        requests: all that came with the secret.
        refused: those without it, or for another host than the loopback.
        passed: forwarded and not metered, by ``METHOD host/path``.
        unread: model calls that were forwarded and not metered, by why.
        unreachable: requests that came to nothing, by host and error.
        abandoned: the program went away before the last byte of the answer (some SDKs do at the last event).
    """

    requests: int = 0
    refused: int = 0
    abandoned: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    unreachable: Counter[str] = field(default_factory=Counter)

    def note(self, kind: Counter[str], name: str) -> None:
        """Count ``name`` once more."""
        name = name[:_LONGEST]
        kind[name if name in kind or len(kind) < _MOST else _OTHERS] += 1
