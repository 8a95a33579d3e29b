"""The values that walk through the house: frozen, without behaviour that needs the outside.

Reading a request gives a :class:`Conversation` of :class:`Message` and :class:`Part`, each with the path of
the wire JSON it looks at. Weighing it gives an :class:`Estimate`, planning a :class:`Plan`; the answer is read
into an :class:`Answer`, whose :class:`Usage` is settled into a :class:`Record`.

``Part`` and ``Message`` are named tuples and not dataclasses: a plan looks at hundreds of them, and a frozen
dataclass takes nearly three times as long to make (0.47 against 0.18 microseconds on Python 3.11).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

    from ctxkit.cacheable import Diagnosis, Forecast, Miss, MissReason
    from ctxkit.drift import Drift
    from ctxkit.editable import Tidied

__all__ = [
    "Answer",
    "Conversation",
    "CostRange",
    "Edit",
    "Estimate",
    "Json",
    "Message",
    "Part",
    "PartKind",
    "Path",
    "Plan",
    "Record",
    "Status",
    "Timing",
    "Usage",
]

Json: TypeAlias = Any
"""What ``json.loads`` returns: the wire, as the provider defines it."""

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the request body: ``("messages", 3, "content", 0)``."""

PartKind: TypeAlias = Literal[
    "text", "tool", "tool_call", "tool_result", "reasoning", "image", "audio", "video", "document", "marker", "other"
]
"""What a part is to the model. ``tool`` is a definition; ``marker`` a cache breakpoint that is a block of its own."""

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


class Part(NamedTuple):
    """One piece of what the model reads, and where it stands in the wire JSON.

    Attributes:
        kind: what it is to the model.
        role: role of the message it stands in, as the wire says it (``"system"`` for system text, ``"tools"`` for
            tool definitions).
        path: where ``value`` stands in the body; ``apply`` takes edits by this path.
        value: the wire value at ``path``: the same object, never a copy. Do not change it.
        text: the text the model reads, where there is any: the text itself, the arguments of a call as JSON text,
            the output of a tool joined to one text. ``""`` for media.
        pair: id that ties a tool call to its result (for Gemini the function name, when the wire has no id).
        name: name of the tool, for tools, calls and results that carry it.
        signed: carries a signature or encrypted content and must never be altered.
    """

    kind: PartKind
    role: str
    path: Path
    value: Json
    text: str = ""
    pair: str | None = None
    name: str | None = None
    signed: bool = False


class Message(NamedTuple):
    """One message (or input item, or tool definition, or system block): a step of the cached prefix.

    Attributes:
        role: as the wire says it; ``"tools"`` and ``"system"`` for what stands before the messages.
        path: where ``value`` stands in the body.
        value: the wire value: the same object, never a copy.
        read: gives the parts; use :attr:`parts`. Reading is put off because a message that was seen before is
            known by its hash and need not be taken apart again.
    """

    role: str
    path: Path
    value: Json
    read: Callable[[Message], tuple[Part, ...]]

    @property
    def parts(self) -> tuple[Part, ...]:
        """What the message consists of, in wire order."""
        return self.read(self)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A read-only look at a request body, in the order in which the provider's cache reads it.

    Attributes:
        dialect: name of the wire format.
        model: model name in the body, or ``""`` where the wire keeps it elsewhere (Gemini keeps it in the URL).
        messages: everything the model reads, in cache order: tools, system, then messages (per dialect).
        options: the rest of the body (sampling, limits, response format, ...): every top-level field that is not
            part of ``messages``, by reference.
        server_history: id of a history the provider holds (``previous_response_id``, ``conversation``,
            ``cachedContent``): such a request is metered and threaded by it, and never edited.
        max_output: longest answer the request allows in tokens, or ``None``.
        choices: how many answers were asked for.
        stream: the answer is to be streamed, where the body says so.
        tier: service tier that was asked for.
    """

    dialect: str
    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, Json] = field(default_factory=dict)
    server_history: str | None = None
    max_output: int | None = None
    choices: int = 1
    stream: bool = False
    tier: str | None = None

    @property
    def parts(self) -> Iterator[Part]:
        """All parts in cache order."""
        for message in self.messages:
            yield from message.parts


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a request body.

    Attributes:
        kind: ``"replace"`` puts ``value`` at ``path`` (a new key of an existing object too); ``"drop"`` removes it.
        path: where.
        reason: one sentence for people.
        value: what is put there.
        tokens_before: tokens of what stood there, by the estimate.
        tokens_after: tokens of what stands there now.
        lossless: nothing that carries meaning was lost.
        predicted_saving: USD over the rest of the thread, signed; ``None`` when it was not priced.
        by: the pass that made it (``"repeats"``), ``""`` for what is said to the provider's cache.
    """

    kind: Literal["replace", "drop"]
    path: Path
    reason: str
    value: Json = None
    tokens_before: int = 0
    tokens_after: int = 0
    lossless: bool = True
    predicted_saving: Decimal | None = None
    by: str = ""


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


@dataclass(frozen=True, slots=True)
class CostRange:
    """What a request may cost in USD before it is sent; each ``None`` when it cannot be known.

    Attributes:
        low: everything that may be cached is read from the cache, and nothing is answered.
        expected: the feature's own history of cache reads and output lengths.
        max: the dearest tier that the high estimate reaches, nothing cached, the longest answer allowed.
    """

    low: Decimal | None = None
    expected: Decimal | None = None
    max: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens and cost before the request is sent.

    Attributes:
        input_tokens: the expected prompt, cached part included.
        input_low: with ``input_high`` the interval that holds the reported count in at least 95 % of requests.
        input_high: see ``input_low``.
        usage: the expected buckets.
        cost: the range in USD.
        method: ``"exact"`` (the provider's own vocabulary), ``"fitted"`` (calibrated estimator) or ``"rough"``
            (a family that was never fitted).
        family: the row of the calibration table that was used.
    """

    input_tokens: int
    input_low: int
    input_high: int
    usage: Usage = field(default_factory=Usage)
    cost: CostRange = field(default_factory=CostRange)
    method: Literal["exact", "fitted", "rough"] = "rough"
    family: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be sent, and what it will cost. Making one changes nothing.

    Attributes:
        body: the wire JSON to send (the caller's own object when nothing is edited).
        edits: what was changed.
        estimate: tokens and cost before sending; ``None`` for what is not understood.
        attempt: id of this attempt. Retries share ``operation``.
        operation: id of the call the application made.
        number: 1 for the first attempt, 2 for the first retry, ...
        dialect: name of the wire format, ``""`` when unmetered.
        platform: who serves it (``"openai"``, ``"azure"``, ``"bedrock"``, ...).
        model: requested model.
        feature: path of the feature that asked (``"chat/summary"``), or ``None`` (unattributed).
        labels: labels at the time of planning.
        scope: organisation, workspace or tenant whose provider cache this is.
        thread: id of the conversation this request continues.
        prefix: keyed hashes of the growing prefix, one per message, in cache order.
        stream: the answer is to be streamed.
        created: unix time of the plan, in seconds.
        tier: service tier that was asked for.
        region: region of the platform, where the door knows it.
        count: what the correction of later estimates needs to know of this one.
        fingerprint: keyed hash of the whole request: equal for a retry.
        unmetered: why nothing is known of this request, or ``None``.
        forecast: what the provider's cache will do with it, as far as is known; ``None`` where nothing is cached.
        layout: the request as its cache reads it, for settling; not for users.
        headers: HTTP headers that a door is to add, where the request has none of that name.
        notes: what was decided beside the edits, and why; for people.
        fixed: nothing of it may be changed any more (a request that is signed already).
        rental: what is known of the provider's cache objects for it; not for users.
        tidied: what was made smaller, why now, and what is pending; ``None`` in modes that leave contents alone.
        decision: what ``sent`` is to commit of it; not for users.
        original: the wire JSON as the application gave it; its own object.
        gauge: measures the drift of a plan; not for users.
    """

    body: Json
    edits: tuple[Edit, ...] = ()
    estimate: Estimate | None = None
    attempt: str = ""
    operation: str = ""
    number: int = 1
    dialect: str = ""
    platform: str = ""
    model: str = ""
    feature: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: str | None = None
    thread: str | None = None
    prefix: Sequence[bytes] = ()
    stream: bool = False
    created: float = 0.0
    tier: str | None = None
    region: str | None = None
    count: object = None
    fingerprint: bytes = b""
    unmetered: str | None = None
    forecast: Forecast | None = None
    layout: object = field(default=None, repr=False, compare=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fixed: bool = False
    rental: object = field(default=None, repr=False, compare=False)
    tidied: Tidied | None = None
    decision: object = field(default=None, repr=False, compare=False)
    original: Json = field(default=None, repr=False, compare=False)
    gauge: Callable[[Plan], Drift | None] | None = field(default=None, repr=False, compare=False)

    @property
    def drift(self) -> Drift | None:
        """How much of it is noise, what that will cost about, and whether the model is stuck: measured when it is asked.

        On a long conversation that takes a moment. ``None``: the policy says not to, or nobody can read the conversation.
        """
        return None if self.gauge is None else self.gauge(self)

    def explain(self) -> str:
        """The plan as a person would want it told."""
        from ctxkit.explain import explain_plan

        return explain_plan(self)

    def _repr_html_(self) -> str:
        from ctxkit.display import plan_html

        return plan_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        del cycle
        printer.text(self.explain())

    def __rich__(self) -> Any:
        from ctxkit.display import panel_of

        return panel_of("Plan", self.explain)


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
        from ctxkit.display import record_text

        del cycle
        printer.text(record_text(self))

    def __rich__(self) -> Any:
        from ctxkit.display import panel_of, record_text

        return panel_of("Record", lambda: record_text(self))
