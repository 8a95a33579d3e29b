"""The annexe of the hall where the very same request gets the answer that it got before, without being sent.

A door asks with its plan and with what it would send it by (:meth:`Answering.find`), and gets one of three: the answer; the
lead, when the request has to go and its answer may be kept; or nothing, when it is no request that may be answered again.
Whatever goes wrong in here is counted and said once, and the request goes out as if there were no such thing.

An answer that was served is recorded as ``reused``: it cost nothing, and saved what it did cost when it was given. Nothing
was sent, so the provider's cache keeps what it had, nobody learns from it, and no attempt begins.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.aside import aside
from ctxkit.caching.answers.entry import DamagedError
from ctxkit.caching.answers.key import UnwritableError, ambiguous, key_of, lowered, told
from ctxkit.caching.answers.shelf import Shelf
from ctxkit.caching.answers.underway import Turn, UnderWay
from ctxkit.dialects import complete
from ctxkit.errors import StoreError
from ctxkit.forks import on_fork
from ctxkit.hall import bookkeeping
from ctxkit.labels import LONGEST_LABEL
from ctxkit.metering.settling import reused_record
from ctxkit.reuse import FLAG, Reused

if TYPE_CHECKING:
    from ctxkit.caching.answers.underway import Token
    from ctxkit.kit import Kit
    from ctxkit.model import Plan, Record, Timing
    from ctxkit.policy import Policy
    from ctxkit.reuse import Headers, Lead, Origin
    from ctxkit.stores.kept import KeptStore

__all__ = ["Answering", "Tally"]

_HEADERS = frozenset(
    {
        *("content-type", "request-id", "x-request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id"),
        *("openai-processing-ms", "openai-version", "openai-organization", "anthropic-organization-id"),
    }
)
"""Headers of an answer that are kept; no limits, no cookies, nothing of how it travelled."""

_SAID = ("response_model", "response_id", "finish", "tier")
_KNOWN = frozenset({"settled", "unverified"})
_LONGEST = 1_000  # characters of a header


class Tally(NamedTuple):
    """What came of it so far, in this process.

    Attributes:
        asked: requests that could have been answered again.
        reused: of those, how many were.
        waited: of the reused, how many waited for an answer that was under way.
        kept: answers that stand on the shelf since, or stood.
        unfit: answers that were not whole, or not ones to keep.
        damaged: entries on disk that were not what was kept there, or could not be read.
    """

    asked: int = 0
    reused: int = 0
    waited: int = 0
    kept: int = 0
    unfit: int = 0
    damaged: int = 0


class Answering:
    """The answers of one kit, for all threads and tasks; a door asks it, ``kit.answers``."""

    def __init__(self, kit: Kit, disk: KeptStore | None) -> None:
        options = kit.policy.answers
        assert options is not None
        self._kit = kit
        self._options = options
        self._disk = disk
        self._secret = kit.rooms.hasher.secret("answers")
        self._shelf = Shelf(self._secret, options.ttl, options.max_bytes, options.max_answers, disk)
        self._under_way = UnderWay(kit.timer)
        self._tidied = _tidied(kit.policy) if kit.policy.tidies else ""
        self.tally = Tally()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ before a request would leave

    def find(self, plan: Plan, origin: Origin, patience: float | None = None) -> Reused | Lead | None:
        """The answer, if there is one or one is under way; else who leads. May wait; never raises (strict kits do).

        Args:
            plan: of the request; nothing but ``plan`` was done with it so far.
            origin: what else decides on the answer.
            patience: seconds that whoever asks waits at most; ``None``: as long as the policy says.
        """
        try:
            name = self._name(plan, origin)
            if name is None:
                return None
            look = partial(self._looked, name)
            found = look() or self._fetched(name) or self._under_way.take(name, self._bound(patience), look)
            return self._found(found, plan, name)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._fault(error)
            return None

    async def afind(self, plan: Plan, origin: Origin, patience: float | None = None) -> Reused | Lead | None:
        """``find`` for event loops: only the task waits, and the disk is read in a thread."""
        try:
            name = self._name(plan, origin)
            if name is None:
                return None
            look = partial(self._looked, name)
            found = look()
            if found is None and self._disk is not None:
                found = await aside(partial(self._fetched, name))
            turn = found or await self._under_way.atake(name, self._bound(patience), look)
            return self._found(turn, plan, name)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._fault(error)
            return None

    def _bound(self, patience: float | None) -> float:
        return self._options.wait if patience is None else min(self._options.wait, patience)

    def _fault(self, error: Exception) -> None:
        self._kit.faults.note("answers", error, "Please report it; the request goes out.")

    def _found(self, found: Reused | Turn, plan: Plan, name: bytes) -> Reused | Lead:
        self._count(asked=1)
        if isinstance(found, Reused):
            return found
        if found.answer is not None:
            self._count(waited=1)
            return replace(found.answer, waited=found.waited)
        return _Lead(self, plan, name, found.token, self._options.max_answer_bytes)

    def _name(self, plan: Plan, origin: Origin) -> bytes | None:
        """The key of a request; ``None``: it is none that may be answered again."""
        body = plan.body if plan.original is None else plan.original
        if plan.unmetered or not plan.dialect or not complete.repeatable(plan.dialect, body):
            return None
        if origin.raw is not None and ambiguous(origin.raw):
            return None
        try:
            who = (plan.scope, [[label, _unabridged(plan.labels.get(label))] for label in self._options.apart])
            what = (plan.dialect, plan.platform, plan.region, plan.model, plan.stream, self._tidied)
            return key_of(self._secret, who, what, origin.url, told(origin.headers), origin.extra, body)
        except UnwritableError:
            return None

    def _looked(self, name: bytes) -> Reused | None:
        return self._shelf.get(name, self._kit.clock())

    def _fetched(self, name: bytes) -> Reused | None:
        try:
            return self._shelf.fetch(name, self._kit.clock())
        except (DamagedError, StoreError) as error:
            self._count(damaged=1)
            self._kit.faults.warn("answers: on disk", f"an answer cannot be used: {error}")
            return None

    # ------------------------------------------------------------------ what came of it

    def served(self, plan: Plan, reused: Reused, timing: Timing | None = None) -> Record:
        """Write down that an answer was handed over, once.

        Args:
            plan: of the request, which was not sent.
            reused: what :meth:`find` gave.
            timing: from before ``find`` (``sent``) until it was handed over (``last``).
        """
        self._count(reused=1)
        record = reused_record(plan, reused, timing, age=self._kit.clock() - reused.stored)
        return bookkeeping.reused(self._kit, plan, record)

    async def aserved(self, plan: Plan, reused: Reused, timing: Timing | None = None) -> Record:
        """``served`` for event loops: a commit that waits for the disk (``sync="full"``) waits in a thread."""
        if self._kit.ledger.sync == "full":
            return await aside(partial(self.served, plan, reused, timing))
        return self.served(plan, reused, timing)

    def keep(self, plan: Plan, name: bytes, answer: bytes, record: Record, headers: Headers) -> Reused | None:
        """Keep an answer that was settled, if it is whole; gives it as later requests get it."""
        events = None
        if record.status in _KNOWN and record.http_status == 200 and not record.problems:
            body = plan.body if plan.original is None else plan.original
            events = complete.whole(plan.dialect, body, answer)
        if events is None:
            self._count(unfit=1)
            return None
        reused = self._reused(events, record, headers)
        self._count(kept=1)
        try:
            self._shelf.put(name, reused)
        except StoreError as error:
            self._kit.faults.warn("answers: on disk", str(error))
        return reused

    def _reused(self, events: tuple[bytes, ...], record: Record, headers: Headers) -> Reused:
        said = {name: value for name in _SAID if (value := getattr(record, name))}
        # An estimate is no cost that is known, so nobody knows what is saved.
        cost = record.cost if record.cost_source in ("provider", "card") else None
        kept = {name: value for name, value in lowered(headers) if name in _HEADERS and len(value) <= _LONGEST}
        return Reused(200, {**kept, FLAG: "reused"}, events, self._kit.clock(), cost, said)

    def over(self, token: Token, answer: Reused | None, *, vain: bool) -> None:
        """A lead is over: those who wait for it go on; ``vain``: it was answered, and the answer is not one to keep."""
        self._under_way.over(token, answer, vain=vain)

    def note(self, error: Exception) -> None:
        """A fault in keeping an answer."""
        self._kit.faults.note("answers", error, "Please report it; the answer is not kept.")

    def _count(self, **more: int) -> None:
        with self._lock:
            self.tally = self.tally._replace(**{name: getattr(self.tally, name) + n for name, n in more.items()})

    def flush(self) -> None:
        """Write what waits for the disk, and delete what is over."""
        if self._disk is not None:
            self._disk.flush()

    def close(self) -> None:
        """Write what waits and let go of the file."""
        if self._disk is not None:
            self._disk.close()


class _Lead:
    """A request that goes; see :class:`ctxkit.reuse.Lead`."""

    __slots__ = ("__weakref__", "_answering", "_name", "_open", "_pieces", "_plan", "_process", "_room", "_token")

    def __init__(self, answering: Answering, plan: Plan, name: bytes, token: Token | None, most: int) -> None:
        self._answering = answering
        self._plan = plan
        self._name = name
        self._token = token
        self._room = most
        self._pieces: list[bytes] = []
        self._open = [True]  # taken out by whoever ends it: ``pop`` is atomic
        self._process = os.getpid()  # a forked child holds a copy, which is not its own to keep

    def feed(self, piece: bytes) -> None:
        """The next bytes of the answer; one that is too large is let go at once."""
        if not self._open:
            return
        self._room -= len(piece)
        if self._room < 0:
            if self._ends():
                self._let_go(None, vain=True)
        else:
            self._pieces.append(bytes(piece))

    def keep(self, record: Record, *, status: int = 200, headers: Headers = ()) -> None:
        """The answer came to its end: it is kept if it may be, and those who wait go on either way."""
        if not self._ends():
            return
        answer = None
        try:
            if status == 200:
                body = b"".join(self._pieces)
                answer = self._answering.keep(self._plan, self._name, body, record, headers)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._answering.note(error)
        finally:
            self._let_go(answer, vain=answer is None and status == 200)

    def abandon(self) -> None:
        """There is no answer: the next one of those who wait goes."""
        if self._ends():
            self._let_go(None)

    def _ends(self) -> bool:
        try:
            self._open.pop()
        except IndexError:
            return False
        return self._process == os.getpid()

    def _let_go(self, answer: Reused | None, *, vain: bool = False) -> None:
        self._pieces = []
        token, self._token = self._token, None
        if token is not None:
            self._answering.over(token, answer, vain=vain)


def _tidied(policy: Policy) -> str:
    """What decides how a request is tidied: what was answered to one so made smaller is no answer to the whole of it.

    Patterns are written out, since ``repr`` cuts long ones. Callables are told by their address: nobody shares theirs.
    """
    pins = [(pin.pattern, pin.flags) if isinstance(pin, re.Pattern) else pin for pin in policy.tidy.pins]
    return f"{policy.mode} {policy.tidy!r} {pins!r}"


def _unabridged(label: str | None) -> str | None:
    """The label, unless it may have been cut.

    Raises:
        UnwritableError: it may, and then two tenants would have the same one.
    """
    if label is not None and len(label) >= LONGEST_LABEL:
        raise UnwritableError("a label that may have been cut")
    return label
