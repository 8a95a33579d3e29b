"""The replay: each exchange once without ctxkit and once with it, and what must be equal."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ctxkit.kit import Kit
from ctxkit.model import Record
from ctxkit.testing import Behaviour, FakeProvider, Request, capture
from tests.replay.callers import CALLERS
from tests.replay.calling import Caller, Outcome, outcome
from tests.replay.expected import expected
from tests.replay.recordings import Exchange, reply

_VOLATILE = {"authorization", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request", "idempotency-key"}
_OWN = {"x-stainless-raw-response"}  # the Anthropic SDK itself says so of every client with a middleware
"""Headers that differ between two equal calls."""


@dataclass
class Tally:
    """What came of a lane.

    Attributes:
        lane: its name.
        replayed: exchanges that went over the wire, twice.
        ways: how many were sent by which entry of the SDK.
        equal: rows that equal the recorded usage.
        given_up: rows that differ because the SDK itself stopped reading the answer.
        excused: rows that cannot equal the recording, by reason.
        altered: bodies that the SDK itself sent otherwise than recorded.
        sdk_errors: answers that the SDK itself could not read, by error (they were metered all the same).
        unsent: exchanges that the SDK refused to send, by reason.
        faults: what went wrong, by name: ids of exchanges and what was seen.
    """

    lane: str
    replayed: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    equal: int = 0
    given_up: int = 0
    excused: Counter[str] = field(default_factory=Counter)
    altered: int = 0
    sdk_errors: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def fault(self, name: str, exchange: Exchange, seen: str) -> None:
        """Note that something is not as it must be."""
        self.faults.setdefault(name, []).append(f"{exchange.id} {exchange.provider} {exchange.model}: {seen}"[:600])


class _Pair:
    """One SDK twice: bare, and wrapped by a kit."""

    def __init__(self, family: str, provider: FakeProvider, kit: Kit) -> None:
        self.provider = provider
        self.kit = kit
        self.bare: Caller = CALLERS[family](provider, lambda client: client)
        self.wrapped: Caller = CALLERS[family](provider, kit.wrap)

    def send(self, caller: Caller, way: str, exchange: Exchange, behaviour: Behaviour) -> tuple[Outcome, list[Request]]:
        self.provider.clear()
        self.provider.behave(behaviour)
        self.provider.reply(reply(exchange))
        got = outcome(caller.ways[way], exchange)
        return got, list(self.provider.requests)


@contextmanager
def pair(family: str, kit: Kit) -> Iterator[_Pair]:
    """An SDK, bare and wrapped, and the server that both talk to."""
    with FakeProvider() as provider:
        made = _Pair(family, provider, kit)
        try:
            yield made
        finally:
            made.bare.close()
            made.wrapped.close()


Check = Callable[[Exchange, Record], str]
"""What is wrong with a row of the ledger, or ``""``."""


def replay(
    lane: str, listed: list[Exchange], kit: Kit, check: Check | None = None, *, asynchronous: bool = False
) -> Tally:
    """Send every exchange both ways and compare; then read the rows back from the ledger's file.

    Args:
        lane: name of the lane.
        listed: its exchanges.
        kit: the wrapped clients report to it.
        asynchronous: by the async side of the SDK.
        check: default: the row's buckets against the recorded usage.
    """
    tally = Tally(lane)
    attempts: dict[str, tuple[Exchange, bool]] = {}
    family = lane.partition(".")[0]
    with pair(f"{family} async" if asynchronous else family, kit) as sdk:
        for number, exchange in enumerate(listed):
            _one(sdk, tally, exchange, _behaviour(number), attempts)
    kit.flush()
    for record in kit.ledger.records():
        if record.attempt in attempts:
            exchange, unread = attempts.pop(record.attempt)
            seen = (check or row_differs)(exchange, record)
            _judge(tally, exchange, seen, seen and excuse(exchange, record), unread=unread)
    for exchange, _ in attempts.values():
        tally.fault("no row in the ledger", exchange, "")
    return tally


def _judge(tally: Tally, exchange: Exchange, seen: str, excused: str, *, unread: bool) -> None:
    """A stream that the SDK itself gave up reading has a row, and that row may be partial."""
    if not seen:
        tally.equal += 1
    elif unread:
        tally.given_up += 1
    elif excused:
        tally.excused[excused] += 1
    else:
        tally.fault("the row differs", exchange, seen)


def _behaviour(number: int) -> Behaviour:
    """Every other answer compressed, every fifth in pieces that split events and characters."""
    return Behaviour(gzip=number % 2 == 1, piece=97 if number % 5 == 0 else None)


def _one(
    sdk: _Pair, tally: Tally, exchange: Exchange, behaviour: Behaviour, attempts: dict[str, tuple[Exchange, bool]]
) -> None:
    way, bare, sent = _best_way(sdk, exchange, behaviour)
    if len(sent) != 1:
        tally.unsent[bare.error[:100] or f"{len(sent)} requests"] += 1
        return
    with capture(sdk.kit) as records:
        got, sent_wrapped = sdk.send(sdk.wrapped, way, exchange, behaviour)
    tally.replayed += 1
    tally.ways[way] += 1
    tally.altered += not _as_recorded(exchange, sent[0])
    unread = bool(bare.error) and exchange.status < 400
    if unread:
        tally.sdk_errors[bare.error.partition("\n")[0][:80]] += 1
    if got != bare:
        tally.fault("the caller got something else", exchange, _difference(bare, got))
    if [_wire(request) for request in sent_wrapped] != [_wire(request) for request in sent]:
        tally.fault("the request changed", exchange, _wire_difference(sent[0], sent_wrapped))
    if len(records) != 1:
        tally.fault("not one row", exchange, f"{len(records)} rows; {got.error}")
    for record in records[:1]:
        attempts[record.attempt] = (exchange, unread)


def _best_way(sdk: _Pair, exchange: Exchange, behaviour: Behaviour) -> tuple[str, Outcome, list[Request]]:
    """The first way that sends the body as recorded, else the last; with what came of it, bare."""
    way, got, sent = "", Outcome(None), []
    for way in sdk.bare.ways:
        got, sent = sdk.send(sdk.bare, way, exchange, behaviour)
        if len(sent) == 1 and _as_recorded(exchange, sent[0]):
            break
    return way, got, sent


def _as_recorded(exchange: Exchange, request: Request) -> bool:
    return bool(request.json == exchange.request)


def _wire(request: Request) -> tuple[Any, ...]:
    headers = {name: value for name, value in request.headers.items() if name not in _VOLATILE | _OWN}
    return request.method, request.host, request.path, request.query, headers, request.body


def _wire_difference(bare: Request, sent: list[Request]) -> str:
    if len(sent) != 1:
        return f"{len(sent)} requests instead of 1"
    names = ("method", "host", "path", "query", "headers", "body")
    pairs = zip(names, _wire(bare), _wire(sent[0]), strict=True)
    return "; ".join(f"{name}: {_shown(before, after)}" for name, before, after in pairs if before != after)


def _shown(before: Any, after: Any) -> str:
    if isinstance(before, dict):
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return ", ".join(f"{name} {before.get(name)!r} -> {after.get(name)!r}" for name in changed)
    return f"{before!r:.200} -> {after!r:.200}"


def _difference(bare: Outcome, got: Outcome) -> str:
    if bare.error != got.error:
        return f"{bare.error!r} -> {got.error!r}"
    if len(bare.chunks) != len(got.chunks):
        return f"{len(bare.chunks)} chunks -> {len(got.chunks)}"
    return f"{json.dumps(bare, default=str)[:250]} -> {json.dumps(got, default=str)[:250]}"


def row_differs(exchange: Exchange, record: Record) -> str:
    """What is wrong with a settled row: dialect, buckets, status."""
    if record.dialect != exchange.dialect:
        return f"dialect {record.dialect!r}"
    figures = expected(record.dialect, exchange.usage, exchange.body)
    if seen := figures.differs(record.usage):
        return seen + f" (status {record.status}, reported {json.dumps(exchange.usage)[:300]})"
    told = "unverified" if figures.input is None else "settled"
    return "" if record.status == told else f"status {record.status}"


def excuse(exchange: Exchange, record: Record) -> str:
    """Why a row cannot equal the recorded usage, or ``""``."""
    figures = expected(exchange.dialect or "", exchange.usage, exchange.body)
    if exchange.dialect == "openai.responses" and record.status == "unmetered" and "input" not in exchange.request:
        return "a request that is none of its endpoint's: unmetered"
    cached = (figures.read or 0) + (figures.written or 0)
    if figures.input is not None and cached > figures.input and record.problems:
        return "more tokens read and written than the prompt has: the row names the contradiction"
    if exchange.body and not all(re.search(rf"\b{figure}\b", exchange.body) for figure in _figures(exchange.usage)):
        return "recorded usage that does not stand in the recorded body"
    return ""


def _figures(usage: Any) -> Iterator[int]:
    if isinstance(usage, dict):
        for value in usage.values():
            yield from _figures(value)
    elif isinstance(usage, int) and not isinstance(usage, bool):
        yield usage
