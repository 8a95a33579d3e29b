"""Attempts under one operation: what was sent and has not been settled, and which request is a retry of it.

SDKs retry inside one call. A request is a retry when the same context (thread or task) sends the same request again
and the attempt before has not succeeded. Nothing of the SDK is needed for that, and it holds for retries that the
application or a framework makes, too.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.forks import on_fork
from ctxkit.labels import as_text, current
from ctxkit.model import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.model import Json, Record

__all__ = ["Attempts", "blank_plan"]

_LIMIT = 10_000  # attempts remembered of each kind


class _Trace(NamedTuple):
    fingerprint: bytes
    operation: str
    number: int
    attempt: str


_last: ContextVar[_Trace | None] = ContextVar("ctxkit_last_attempt", default=None)


def blank_plan(
    body: Json, *, now: float, feature: str | None = None, labels: Mapping[str, str] | None = None, **known: Any
) -> Plan:
    """A first attempt that knows who asks and when, before the request was looked at.

    Args:
        body: the wire JSON of the request.
        now: unix time in seconds; ids begin with it, so that they sort by time.
        feature: overrides the feature of the code that is running.
        labels: added to the labels of the code that is running.
        known: further fields of the plan.
    """
    who = current()
    attempt = f"{int(now * 1000):012x}{os.urandom(10).hex()}"
    return Plan(
        body=body,
        original=body,
        attempt=attempt,
        operation=attempt,
        created=now,
        feature=feature or (who.path if who else None),
        labels={**(who.labels if who else {}), **as_text(labels or {})},
        **known,
    )


class Attempts:
    """The attempts of one kit: sent and not succeeded (by their opening entries), failed, and over; all bounded."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Record] = OrderedDict()
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._over: OrderedDict[str, None] = OrderedDict()
        on_fork(self, "forget")

    def __contains__(self, attempt: str) -> bool:
        """It was sent, as far as anyone remembers."""
        return attempt in self._open or attempt in self._over

    def operation(self, plan: Plan, fingerprint: bytes) -> tuple[str, int]:
        """Operation and number of the attempt that ``plan`` would be."""
        last = _last.get()
        if last is not None and last.fingerprint == fingerprint and last.attempt in self._open:
            return last.operation, last.number + 1
        return plan.operation, 1

    def begin(self, plan: Plan, entry: Record) -> Record | None:
        """``plan`` was sent; ``entry`` is what the ledger keeps of it.

        Returns:
            The entry of the attempt it retries, when nobody said how that ended (httpx hooks do not see a connection
            fail).
        """
        last = _last.get()
        stranded = None
        if plan.number > 1 and last is not None:
            before = self._open.pop(last.attempt, None)
            told = last.attempt in self._failed
            self._failed.pop(last.attempt, None)
            stranded = None if told else before
        _last.set(_Trace(plan.fingerprint, plan.operation, plan.number, plan.attempt))
        self._open[plan.attempt] = entry
        _trim(self._open)
        return stranded

    def fail(self, plan: Plan) -> None:
        """It failed: the same request in this context would be its retry."""
        self._failed[plan.attempt] = None
        _trim(self._failed)

    def succeed(self, plan: Plan) -> bool:
        """It is over; True when this is the first one hears of it."""
        self._failed.pop(plan.attempt, None)
        self._over[plan.attempt] = None
        _trim(self._over)
        return self._open.pop(plan.attempt, None) is not None

    def forget(self) -> None:
        """A forked child has sent nothing: its parent settles what it sent."""
        self._open = OrderedDict()
        self._failed = OrderedDict()
        self._over = OrderedDict()

    def last(self) -> _Trace | None:
        """What this context sent last: to be taken along from a thread into the task that waits for it."""
        return _last.get()

    def resume(self, trace: _Trace | None) -> None:
        """Set what this context sent last."""
        _last.set(trace)


def _trim(values: OrderedDict[str, Any]) -> None:
    while len(values) > _LIMIT:
        values.popitem(last=False)
