"""What should be sent: the value that walks from door to door."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.cacheable import Forecast
    from ctxkit.drift import Drift
    from ctxkit.editable import Tidied
    from ctxkit.model.estimate import Estimate
    from ctxkit.model.request import Edit, Json

__all__ = ["Plan"]


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
