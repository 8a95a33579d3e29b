"""What became of a request: the value that the ledger keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from ctxkit.cacheable import Miss, MissReason
    from ctxkit.drift import Drift
    from ctxkit.model.answer import Timing, Usage
    from ctxkit.model.estimate import Estimate
    from ctxkit.model.request import Json

__all__ = ["Record", "Status"]

Status: TypeAlias = Literal["open", "settled", "partial", "unverified", "failed", "unmetered", "reused"]
"""How an attempt ended.

``open``
    sent, not answered yet (or the process died before it was).
``settled``
    the provider reported usage, the answer was complete.
``partial``
    the answer was cut; what usage was seen stands, the rest is estimated.
``unverified``
    answered, but the provider reported no usage: priced by the estimate.
``failed``
    refused or never answered (status 400 and above, no connection): nothing was billed as far as is known.
``unmetered``
    passed a door but is not understood: counted, never priced.
``reused``
    not sent: answered with what the very same request got before (``policy.answers``). It cost nothing.
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One settled attempt, as the ledger keeps it. Holds no prompt text.

    Attributes:
        attempt: id of this attempt; ``operation`` is shared by its retries, ``number`` counts them from 1.
        status: how it ended.
        http_status: status code of the answer, or ``None`` when there was none.
        created: unix time at which the request was planned, in seconds.
        dialect: name of the wire format, ``""`` when unmetered.
        platform: who served it.
        model: requested model; ``response_model`` is the one that answered.
        feature: path of the feature, or ``None`` (unattributed).
        labels: labels at the time of planning.
        scope: whose provider cache it was.
        thread: id of the conversation.
        usage: reported buckets, or ``None``.
        cost: USD, or ``None`` when it cannot be known (unknown model or price): never 0 for that.
        cost_source: where ``cost`` comes from: ``"provider"``, ``"card"``, ``"estimate"`` or ``None``.
        card_cost: USD by the price card, kept beside a provider's own figure.
        card: id of the price card, so that history can be priced again.
        estimate: what was expected before sending.
        timing: moments of the attempt.
        response_id: the provider's id of the answer.
        finish: finish reason as reported.
        tier: service tier that was billed.
        stream: the answer was streamed.
        edits: how many edits were made and what they removed (``{"n": 2, "tokens": 900}``).
        problems: figures of the answer that do not add up.
        forecast_read: tokens that were to be read from the cache at most, as forecast; ``None``: no forecast.
        miss_reason: why less was read than could have been, or ``None``.
        miss_tokens: how many tokens that were.
        miss_cost: USD that they cost more than a read would have, or ``None`` when that cannot be known.
        miss: the same with what differed, and who says so.
        forecast: what the provider's cache was expected to do: ``rule``, ``read``, ``bound``, ``written`` by time to
            live, ``fresh``, ``probability`` of a read, ``guaranteed``, ``unsupported``; what was unknown is left out.
        notes: what was changed and decided before it was sent, in sentences.
        savings: USD that ctxkit's edits and markers saved (negative: cost), where that is known: what the request would
            have cost as its user wrote it, every request of its history sent so, less what it did cost.
        savings_by: the same by cause: ``"cache"`` (what was said to the provider's cache), the passes that made edits
            (``"compact"``, ``"stale"``, ...) and ``"answers"`` (an answer that was reused: what it did cost when it
            was given); they add up to ``savings``.
        predicted: USD that removals decided for this request are expected to save over the rest of its thread.
        drift: how much of it was noise, and what that cost; measured after it was settled, so ``None`` in what ``settle``
            gives, and in the ledger where it was not measured.
    """

    attempt: str
    operation: str
    number: int
    status: Status
    http_status: int | None
    created: float
    dialect: str
    platform: str
    model: str
    response_model: str | None = None
    feature: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: str | None = None
    thread: str | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    cost_source: Literal["provider", "card", "estimate"] | None = None
    card_cost: Decimal | None = None
    card: str | None = None
    estimate: Estimate | None = None
    timing: Timing | None = None
    response_id: str | None = None
    finish: str | None = None
    tier: str | None = None
    stream: bool = False
    edits: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    forecast_read: int | None = None
    miss_reason: MissReason | None = None
    miss_tokens: int | None = None
    miss_cost: Decimal | None = None
    miss: Miss | None = None
    forecast: Mapping[str, Json] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    savings: Decimal | None = None
    savings_by: Mapping[str, Decimal] = field(default_factory=dict)
    predicted: Decimal | None = None
    drift: Drift | None = None

    @property
    def error_vs_estimate(self) -> float | None:
        """Signed error of the token estimate: 0.02 when 2 % more was estimated than the provider reported."""
        actual = self.usage.input_total if self.usage else None
        if self.estimate is None or not actual:
            return None
        return self.estimate.input_tokens / actual - 1

    def _repr_html_(self) -> str:
        from ctxkit.display import record_html

        return record_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        from ctxkit.explain import explain_record

        del cycle
        printer.text(explain_record(self))

    def __rich__(self) -> Any:
        from ctxkit.display import panel_of
        from ctxkit.explain import explain_record

        return panel_of("Record", lambda: explain_record(self))
