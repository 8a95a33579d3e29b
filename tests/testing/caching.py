"""What tests of the provider's caches share: a clock, texts of known length, and what ctxkit reads of the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ctxkit import Kit, Usage
from ctxkit.testing import FakeProvider, SimulatedCaches, capture


@dataclass
class Clock:
    """Unix time that tests move."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


def text(tokens: int, about: str) -> str:
    """A text of exactly so many tokens, as the fake provider counts."""
    return (f"{about} ".ljust(16, ".") * tokens)[: 4 * tokens]


def buckets(usage: Usage | None) -> tuple[int, dict[str, int], int | None]:
    """(read, written, fresh); Gemini does not tell a read of nothing."""
    assert usage is not None
    return usage.read or 0, {ttl: tokens for ttl, tokens in (usage.written or {}).items() if tokens}, usage.fresh


@dataclass
class Metered:
    """A running provider with caches, and a kit that settles what the clients get."""

    provider: FakeProvider
    clock: Clock
    kit: Kit
    seen: list[Any] = field(default_factory=list)

    def of(self, call: Callable[[], object]) -> tuple[int, dict[str, int], int | None]:
        """Buckets of one call, as ctxkit settles them; they are those of the simulator."""
        with capture(self.kit) as records:
            call()
        (record,) = records
        self.seen.append(record)
        outcome = self.caches.outcomes[-1]
        found = buckets(record.usage)
        assert found == (outcome.read, {ttl: n for ttl, n in outcome.written.items() if n}, outcome.fresh)
        assert record.usage.input_total == outcome.total
        return found

    @property
    def caches(self) -> SimulatedCaches:
        caches = self.provider.caches
        assert caches is not None
        return caches
