"""What every door shares: one attempt from the moment it leaves until it is settled, exactly once.

An attempt settles at the protocol's own end of stream (before the last piece is handed on, so that the record is there
when the SDK returns), else when the bytes are exhausted, else when the answer is closed, else when nobody holds it
any more. Whatever goes wrong in here is noted and the user's bytes pass on untouched; only ``BudgetExceeded`` and
``ConfigurationError`` leave.
"""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ctxkit.errors import BudgetExceeded, ConfigurationError, ProviderShapeError
from ctxkit.integrations import abandoned
from ctxkit.integrations.reading import Body, BrokenEncodingError
from ctxkit.model import Answer, Json, Plan, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ctxkit.kit import Kit
    from ctxkit.model import Record
    from ctxkit.reuse import Headers, Lead

__all__ = ["SIGNED", "Exchange", "Seen", "Settlement", "guard"]

SIGNED = "AWS4-HMAC-SHA256"
"""How the ``authorization`` of a request begins in which no byte may change any more."""


@contextmanager
def guard(kit: Kit, where: str) -> Iterator[None]:
    """Inside, a fault of ours is counted and logged, and the user's call goes on."""
    try:
        yield
    except (BudgetExceeded, ConfigurationError):
        raise
    except Exception as error:  # noqa: BLE001 - the user's call is sacred
        kit.faults.note(where, error, "Please report it; your call went on without ctxkit.")


class Seen(Protocol):
    """What was seen of an answer so far."""

    @property
    def done(self) -> bool:
        """The protocol's own end was seen."""
        ...

    @property
    def content(self) -> bool:
        """A first piece of content was seen."""
        ...

    def result(self, *, ended: bool) -> Mapping[str, Json] | Answer | Usage | None:
        """What the answer says of itself; ``ended`` is False when it was cut or abandoned."""
        ...


class Settlement(NamedTuple):
    """Everything ``kit.settle`` needs, so that an abandoned attempt can be settled after it is gone."""

    kit: Kit
    plan: Plan
    response: Mapping[str, Json] | Answer | Usage | None
    status: int | None
    timing: Timing | None
    lead: Lead | None = None
    whole: bool = False  # the answer came to its end, and may be kept
    headers: Headers = ()

    def settle(self) -> None:
        """Write it down."""
        try:
            self._keep(self.kit.settle(self.plan, self.response, status=self.status, timing=self.timing))
        finally:
            self._let_go()

    async def asettle(self) -> None:
        """Write it down without blocking the event loop."""
        try:
            self._keep(await self.kit.asettle(self.plan, self.response, status=self.status, timing=self.timing))
        finally:
            self._let_go()

    def _keep(self, record: Record) -> None:
        if self.lead is not None and self.whole:
            self.lead.keep(record, status=self.status or 200, headers=self.headers)

    def _let_go(self) -> None:
        if self.lead is not None:
            self.lead.abandon()  # says nothing where it was kept


class Exchange:
    """One attempt of one request, as its door sees it.

    Args:
        kit: what plans and settles.
        plan: the plan that was sent.
        adds_usage: ctxkit asked for a usage chunk that the client did not ask for.
        lead: takes the answer, where it may be kept for later requests.

    Attributes:
        status: HTTP status of the answer; ``None`` until there is one.
        headers: of the answer.
        body: how the bytes of the answer are read; ``None`` while there are none, or when they cannot be read.
        reader: what was seen of the answer: ``body``, or what a door that sees objects puts there.
    """

    __slots__ = (
        "_answer",
        "_first_chunk",
        "_first_content",
        "_lead",
        "_once",
        "_process",
        "_sent",
        "adds_usage",
        "body",
        "headers",
        "kit",
        "plan",
        "reader",
        "status",
    )

    def __init__(self, kit: Kit, plan: Plan, *, adds_usage: bool = False, lead: Lead | None = None) -> None:
        self._lead = lead
        self.headers: Headers = ()
        self.kit = kit
        self.plan = plan
        self.adds_usage = adds_usage
        self.status: int | None = None
        self.body: Body | None = None
        self.reader: Seen | None = None
        self._answer: Mapping[str, Json] | Answer | Usage | None = None
        self._once = threading.Lock()  # taken by whoever settles, and never given back
        self._process = os.getpid()  # a forked child holds a copy, which is not its own to settle
        self._sent: float = kit.timer()
        self._first_chunk: float | None = None
        self._first_content: float | None = None
        abandoned.watch()

    def sent(self) -> None:
        """The request leaves now: commit it, and begin to take the time."""
        self.kit.sent(self.plan)
        self._sent = self.kit.timer()

    async def asent(self) -> None:
        """``sent`` for event loops; who is cancelled meanwhile leaves an attempt that settles as failed."""
        await self.kit.asent(self.plan)
        self._sent = self.kit.timer()

    @property
    def settled(self) -> bool:
        """Nothing more will be written down of this attempt."""
        return self._once.locked()

    def answered(self, status: int, media_type: str = "", encoding: str = "", headers: Headers = ()) -> None:
        """An answer came; its body is still to be read."""
        self.status, self.headers = status, headers
        if status < 400 and not self.plan.unmetered:
            with guard(self.kit, "door: answer"):
                plan, copy = self.plan, None if self._lead is None else self.passed
                self.body = self.reader = Body(
                    plan.dialect, plan.platform, media_type, encoding, hide_usage=self.adds_usage, copy=copy
                )

    @property
    def leads(self) -> bool:
        """The answer may be kept."""
        return self._lead is not None

    def passed(self, data: bytes) -> None:
        """These bytes of the answer, decoded, are handed on."""
        if self._lead is not None:
            try:
                self._lead.feed(data)
            except Exception as error:  # noqa: BLE001 - it is read and settled all the same
                self._note(error)

    def knows(self, response: Mapping[str, Json] | Answer | Usage | None) -> None:
        """What the answer says, where a door reads it itself."""
        self._answer = response

    def item(self, item: Any, see: Callable[[Any], bool]) -> bool:
        """Have ``see`` look at an object that passes; True when it says that the caller is not to get it."""
        if self._first_chunk is None:
            self._begins()
        hidden = False
        try:
            hidden = see(item)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._note(error)
        if self._first_content is None and self.reader is not None and self.reader.content:
            self._says_something()
        return hidden

    def feed(self, raw: bytes) -> bytes:
        """Read the next bytes of the answer; gives what is to be handed on.

        Raises:
            BrokenEncodingError: only where the client gets decoded bytes (:attr:`Body.hides`), which there are none of.
        """
        body = self.body
        if body is None:
            return raw
        if self._first_chunk is None:
            self._begins()
        try:
            shown = body.feed(raw)
        except Exception as error:
            self._blind(error)
            if body.hides and isinstance(error, BrokenEncodingError):
                raise  # decoding was taken over from the client: the door tells it what its own decoder would
            return raw
        if self._first_content is None and body.content:
            self._says_something()
        if body.error is not None:
            broken, body.error = body.error, None
            self._note(broken)
        return shown

    def _begins(self) -> None:
        """The first piece is here. Headers say less: some servers send them before they have read the prompt."""
        with guard(self.kit, "door: answer"):
            self._first_chunk = self.kit.timer()
            self.kit.began(self.plan)

    def _says_something(self) -> None:
        """The first piece of content is here."""
        with guard(self.kit, "door: answer"):
            self._first_content = self.kit.timer()

    def _blind(self, error: Exception) -> None:
        """Stop reading: the bytes pass on as they come, and what was seen so far is all there is."""
        body, self.body, self.reader = self.body, None, None
        if body is not None:
            with guard(self.kit, "door: answer"):
                self._answer = body.result(ended=False)
        self._note(error)

    def _note(self, error: Exception) -> None:
        self.let_go()
        self._tell(error)

    def _tell(self, error: Exception) -> None:
        if isinstance(error, ProviderShapeError | ValueError):
            self.kit.faults.warn("door: malformed answer", str(error))
        else:
            self.kit.faults.note("door: answer", error, "The answer went on unread.")

    @property
    def over(self) -> bool:
        """The protocol's own end was seen and nothing is settled yet."""
        return self.reader is not None and self.reader.done and not self._once.locked()

    def rest(self) -> bytes:
        """The bytes are exhausted; gives those that were held back."""
        body = self.body
        if body is None:
            return b""
        with guard(self.kit, "door: answer"):
            held = body.finish()
            if body.error is not None:
                self._note(body.error)
            return held
        return b""

    def settle(self, *, ended: bool = True) -> None:
        """Settle, unless that was done.

        Args:
            ended: the answer came to its end; False when it was cut or abandoned.
        """
        with guard(self.kit, "door: settle"):
            settlement = self._settlement(ended=ended)
            if settlement is not None:
                settlement.settle()

    async def asettle(self, *, ended: bool = True) -> None:
        """``settle`` for event loops."""
        with guard(self.kit, "door: settle"):
            settlement = self._settlement(ended=ended)
            if settlement is not None:
                await settlement.asettle()

    def let_go(self) -> None:
        """Nobody is to wait for this answer any more, and it is not kept."""
        lead, self._lead = self._lead, None
        if lead is not None:
            with guard(self.kit, "door: answers"):
                lead.abandon()

    def _settlement(self, *, ended: bool) -> Settlement | None:
        if self._process != os.getpid() or not self._once.acquire(blocking=False):
            return None
        answer, whole = self._answer, ended and self.status is not None and self.status < 300
        if self.reader is not None:
            try:
                answer = self.reader.result(ended=ended)
            except Exception as error:  # noqa: BLE001 - the user's call is sacred
                whole = False
                self._tell(error)
        whole = whole and answer is not None
        if answer is None and self.status is not None and not ended:
            answer = Answer(complete=False)
        lead, self._lead = self._lead, None  # is told by the settlement: a finaliser may run inside any lock
        return Settlement(self.kit, self.plan, answer, self.status, self._timing(), lead, whole, self.headers)

    def _timing(self) -> Timing | None:
        with guard(self.kit, "door: settle"):
            first = self._first_chunk if self.plan.stream else None
            return Timing(self._sent, first, self._first_content, self.kit.timer())
        return None

    def __del__(self) -> None:
        """Nobody holds the attempt any more: it was abandoned, or its connection failed."""
        with contextlib.suppress(Exception):  # the interpreter may be half gone
            settlement = self._settlement(ended=False)
            if settlement is not None:
                abandoned.settle_elsewhere(partial(_settle_abandoned, settlement))


def _settle_abandoned(settlement: Settlement) -> None:
    with guard(settlement.kit, "door: settle"):
        settlement.settle()
