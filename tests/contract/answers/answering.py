"""What the contract tests of reused answers share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from ctxkit import Kit, Policy, Record
from ctxkit.answers import Answers
from ctxkit.testing import FakeProvider, ToolCall, capture

TOOLS = (ToolCall("add", {"a": 2, "b": "zwei ü 漢"}), ToolCall("look", {}))
LONG = 30.0  # seconds nobody waits in a test that passes
MANY = 5


@contextmanager
def reusing(**options: Any) -> Iterator[Kit]:
    """A strict kit that reuses answers."""
    made = Kit(Policy(answers=Answers(wait=LONG), **options), strict=True)
    yield made
    made.close()


def sent_once(provider: FakeProvider, kit: Kit, call: Callable[[], Any]) -> Any:
    """What a call gives, made twice: the same both times, and sent the first time only."""
    with capture(kit) as records:
        first = call()
        assert len(provider.requests) == 1
        again = call()
    assert again == first
    assert len(provider.requests) == 1
    saved(records)
    return first


async def sent_once_async(provider: FakeProvider, kit: Kit, call: Callable[[], Awaitable[Any]]) -> Any:
    """``sent_once`` for coroutine functions."""
    with capture(kit) as records:
        first = await call()
        assert len(provider.requests) == 1
        again = await call()
    assert again == first
    assert len(provider.requests) == 1
    saved(records)
    return first


def saved(records: list[Record]) -> None:
    """The first cost something, and the second saved just that."""
    first, again = records
    assert (first.status, again.status) in {("settled", "reused"), ("unverified", "reused")}
    assert again.cost == 0
    assert again.usage is None or again.usage.input_total == again.usage.output == 0
    if first.status == "settled" and first.cost_source == "card":
        assert again.savings_by == {"answers": first.cost}
    assert again.response_id == first.response_id


def sent_twice(provider: FakeProvider, kit: Kit, call: Callable[[], Any], **further: Any) -> None:
    """A call whose answer is not one to be given again."""
    asked = len(provider.requests)
    for _ in range(2):
        call(**further)
    assert len(provider.requests) == asked + 2
    assert kit.answers is not None
    assert kit.answers.tally.reused == 0


def at_once(provider: FakeProvider, kit: Kit, call: Callable[[], Any]) -> None:
    """The same from several threads: one goes, the others wait for its answer, and all get the same."""
    provider.behave(delay=0.1, piece=None)
    barrier = threading.Barrier(MANY)

    def one(_number: int) -> Any:
        barrier.wait(LONG)
        return call()

    with ThreadPoolExecutor(MANY) as pool:
        found = list(pool.map(one, range(MANY)))
    assert found == [found[0]] * MANY
    one_went(provider, kit)


async def at_once_async(provider: FakeProvider, kit: Kit, call: Callable[[], Awaitable[Any]]) -> None:
    """``at_once`` from several tasks; the loop goes on turning meanwhile."""
    provider.behave(delay=0.1, piece=None)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    found = await asyncio.gather(*(call() for _ in range(MANY)))
    turning.cancel()
    assert found == [found[0]] * MANY
    assert turns > 5
    one_went(provider, kit)


def one_went(provider: FakeProvider, kit: Kit) -> None:
    """One request was sent, and the others waited for it."""
    assert kit.answers is not None
    assert len(provider.requests) == 1
    assert kit.answers.tally.waited == MANY - 1
