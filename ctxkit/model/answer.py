"""What an answer says of itself: the tokens it was billed, how it ended, and when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ctxkit.cacheable import Diagnosis

__all__ = ["Answer", "Timing", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in disjoint buckets: one token stands in exactly one. ``None`` is unknown and never means 0.

    Attributes:
        fresh: input tokens billed at the plain input rate.
        read: input tokens read from the provider's cache.
        written: input tokens written to the cache by time to live (``"5m"``, ``"30m"``, ``"1h"``, ``"12h"``);
            ``{}`` is known to be none, ``None`` unknown.
        output: output tokens, reasoning included.
        reasoning: how many of ``output`` were reasoning.
        media: tokens of other modalities *inside* the buckets, by ``"modality.bucket"``
            (``"audio.fresh"``, ``"audio.read"``, ``"audio.output"``, ``"image.output"``, ``"image.fresh"``, ...).
        calls: server-side tool calls billed per call (``"web_search": 2``).
    """

    fresh: int | None = None
    read: int | None = None
    written: Mapping[str, int] | None = None
    output: int | None = None
    reasoning: int | None = None
    media: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)

    @property
    def input_total(self) -> int | None:
        """The whole prompt: fresh + read + written; ``None`` when the provider said nothing of it."""
        if self.fresh is None:
            return None
        return self.fresh + (self.read or 0) + self.written_total

    @property
    def written_total(self) -> int:
        """Tokens written to the cache at any time to live (unknown counts as nothing seen)."""
        return sum(self.written.values()) if self.written else 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says of itself, whichever wire it came by.

    Attributes:
        usage: buckets, or ``None`` when the provider reported none.
        model: the model that answered, as reported.
        id: the provider's id of the response.
        finish: finish or stop reason, as reported (the first one where there are several).
        tier: service tier that was billed, as reported.
        region: where the answer was computed, when it is reported and may move the price.
        cost: cost in USD that the provider itself reported.
        complete: the answer came to its end (a stream: its terminator was seen).
        problems: what in the reported figures does not add up; shown in the report, never raised.
        diagnosis: why the provider's cache was missed, where the provider was asked and says.
    """

    usage: Usage | None = None
    model: str | None = None
    id: str | None = None
    finish: str | None = None
    tier: str | None = None
    region: str | None = None
    cost: Decimal | None = None
    complete: bool = True
    problems: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Moments of one attempt in seconds of one monotonic clock; ``None`` where it was not seen.

    Attributes:
        sent: the request left.
        first_chunk: first bytes of a body that streams, of any kind.
        first_content: first chunk with non-empty content.
        last: the end of the answer.
    """

    sent: float | None = None
    first_chunk: float | None = None
    first_content: float | None = None
    last: float | None = None

    @property
    def ttft(self) -> float | None:
        """Time to first token: first non-empty content minus sent, in seconds."""
        return _gap(self.sent, self.first_content)

    @property
    def ttfc(self) -> float | None:
        """Time to first chunk of any kind, in seconds."""
        return _gap(self.sent, self.first_chunk)

    @property
    def e2e(self) -> float | None:
        """End to end: last chunk minus sent, in seconds."""
        return _gap(self.sent, self.last)

    def tpot(self, visible_output: int | None) -> float | None:
        """Time per output token after the first, in seconds: ``(last - first_content) / (n - 1)``, for n >= 2."""
        span = _gap(self.first_content, self.last)
        if span is None or visible_output is None or visible_output < 2:
            return None
        return span / (visible_output - 1)


def _gap(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)
