"""What markers saved, as it came to be: the sum over a session is the bill without ctxkit less the bill with it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

LONG = "You are a careful assistant of a small shop and answer in one short sentence. " * 200
MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
TOOLS = [
    {"name": name, "description": name, "input_schema": SCHEMA} for name in ("read_file", "edit_file", "list_orders")
]
START = 1_795_000_000.0


class Clock:
    """Stands still until it is moved."""

    now = START

    def __call__(self) -> float:
        return self.now


Session = Callable[[Any, Clock], None]


def run(mode: str, session: Session, sdk: Any, cold_start_wait: float = 0, **policy: Any) -> list[Record]:
    clock = Clock()
    kit = Kit(Policy(mode=mode, cold_start_wait=cold_start_wait, shadow=False, **policy), strict=True, clock=clock)
    caches = SimulatedCaches(clock=clock)
    with (
        FakeProvider(text="Yes.", caches=caches, delay=0.2 if cold_start_wait else 0) as provider,
        capture(kit) as records,
    ):
        name, url = (
            ("Anthropic", provider.anthropic_url) if "Anthropic" in dir(sdk) else ("OpenAI", provider.openai_url)
        )
        with getattr(sdk, name)(base_url=url, api_key="none", max_retries=0) as plain:
            wrapped = kit.wrap(plain) if name == "Anthropic" else kit.wrap(plain, platform="openai")
            session(wrapped, clock)
    kit.close()
    return records


def both(session: Session, sdk: Any, **more: Any) -> tuple[Decimal, list[Record]]:
    """What ctxkit made of the bill, and the records with it."""
    free, held = run("observe", session, sdk), run("cache", session, sdk, **more)
    assert len(free) == len(held)
    assert all(record.savings is None for record in free), "who only observes saves nothing"
    return sum(record.cost for record in free) - sum(record.cost for record in held), held


def talks(gaps: tuple[float, ...], **more: Any) -> Session:
    """Conversations with one assistant, and after so many seconds the next turn of each."""

    def session(client: Any, clock: Clock) -> None:
        held: list[list[dict[str, Any]]] = [[] for _ in range(3)]
        for turn, gap in enumerate(gaps):
            for number, messages in enumerate(held):
                messages.append({"role": "user", "content": f"conversation {number}, question {turn} " * 20})
                body = {"model": "claude-opus-5", "max_tokens": 50, "system": LONG, "messages": messages, **more}
                client.messages.create(**body)
                messages.append({"role": "assistant", "content": "Yes."})
                clock.now += 1
            clock.now += gap

    return session


@pytest.mark.parametrize("gaps", [(20,) * 5, (20, 400, 20, 4000, 20), (4000,) * 4, (1,)])
def test_without_markers_of_the_user_it_is_exact(gaps):
    sdk = pytest.importorskip("anthropic")
    difference, records = both(talks(gaps), sdk)
    assert sum(record.savings for record in records) == difference
    assert any(record.savings for record in records)


def test_a_surcharge_that_nobody_read_counts_against_it():
    sdk = pytest.importorskip("anthropic")
    _, records = both(talks((4000,) * 4), sdk)
    assert any(record.savings < 0 for record in records)


@pytest.mark.parametrize("marked", ["system", "top level"])
def test_what_the_user_marked_is_not_our_doing(marked):
    sdk = pytest.importorskip("anthropic")
    more: dict[str, Any] = {"cache_control": MARK}
    if marked == "system":
        more = {"system": [{"type": "text", "text": LONG, "cache_control": MARK}]}
    difference, records = both(talks((20,) * 5, **more), sdk)
    known = [record.savings for record in records]
    assert sum(known) == difference
    assert difference > 0  # the end of the prompt beside the opening, or the opening beside the end


def test_what_the_provider_caches_by_itself_is_not_our_doing():
    sdk = pytest.importorskip("openai")

    def session(client: Any, clock: Clock) -> None:
        for number in range(20):
            messages = [{"role": "system", "content": LONG}, {"role": "user", "content": f"question {number} " * 50}]
            client.chat.completions.create(model="gpt-6-sol", messages=messages)
            clock.now += 20

    difference, records = both(session, sdk)
    known = [record.savings for record in records]
    assert difference > 0
    assert sum(known) == difference


def test_a_burst_of_which_one_goes_first():
    """Threads and a real clock; the first one did not know, one wrote, six read."""
    sdk = pytest.importorskip("anthropic")

    def session(client: Any, _: Clock) -> None:
        def one(number: int) -> None:
            messages = [{"role": "user", "content": f"question {number}"}]
            client.messages.create(model="claude-opus-5", max_tokens=50, system=LONG * 2, messages=messages)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(8)))

    difference, records = both(session, sdk, cold_start_wait=30.0)
    assert sum(record.savings for record in records) == difference > 0
    assert sum(record.savings < 0 for record in records) == 1


def test_the_report_shows_it_where_there_is_any():
    for mode, shown in (("observe", False), ("cache", True)):
        clock = Clock()
        kit = Kit(Policy(mode=mode), strict=True, clock=clock)
        system = {"model": "claude-opus-5", "max_tokens": 50, "system": LONG * 2}
        body = {**system, "messages": [{"role": "user", "content": "hello " * 50}]}
        plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
        written = 7_000 if plan.edits else 0
        usage = {"input_tokens": 7_005 - written, "cache_creation_input_tokens": written, "cache_read_input_tokens": 0}
        record = kit.settle(plan, {"id": "m", "model": "claude-opus-5", "usage": {**usage, "output_tokens": 5}})
        assert ("Saved" in kit.report().text()) is shown
        assert kit.report().total.savings == record.savings
        kit.close()


def agent(turns: int, gaps: tuple[float, ...] = (15,), *, rows: int = 20) -> Session:
    """An agent that reads files, edits them and lists orders, which come as JSON with much white space."""

    def session(client: Any, clock: Clock) -> None:
        rng = random.Random(5)
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Mend the shop. " * 20}]
        for turn in range(turns):
            body = {"model": "claude-opus-5", "max_tokens": 50, "system": LONG, "tools": TOOLS}
            client.messages.create(**body, messages=[*messages])
            lines = [" ".join(rng.choices(LONG.split(), k=8)) for _ in range(rows)]
            orders = json.dumps([{"order": number, "text": line} for number, line in enumerate(lines)], indent=4)
            name, said = (("read_file", "\n".join(lines)), ("edit_file", "done"), ("list_orders", orders))[turn % 3]
            asked = {"since": turn} if turn % 3 == 2 else {"path": f"src/f{turn // 6}.py", "old": str(turn), "new": "b"}
            call = {"type": "tool_use", "id": f"toolu_{turn}", "name": name, "input": asked}
            result = {"type": "tool_result", "tool_use_id": f"toolu_{turn}", "content": said}
            messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
            clock.now += gaps[turn % len(gaps)]

    return session


@pytest.mark.parametrize("mode", ["lossless", "prune"])
@pytest.mark.parametrize(
    "gaps", [*(pytest.param(gaps, marks=pytest.mark.slow) for gaps in [(15,), (200, 320)]), (15, 15, 15, 15, 4_000)]
)
def test_a_tidied_session_saves_the_bill_without_it_less_the_bill_with_it(mode, gaps):
    sdk = pytest.importorskip("anthropic")
    session = agent(24, gaps)
    free, held = run("observe", session, sdk), run(mode, session, sdk)
    difference = sum(record.cost for record in free) - sum(record.cost for record in held)
    assert all(sum(record.savings_by.values()) == record.savings for record in held)
    assert {cause for record in held for cause in record.savings_by} >= {"cache", "compact"}
    saved = sum(record.savings for record in held)
    assert abs(saved - difference) <= abs(difference) / 100  # what is taken out is known by estimate
    assert difference > 0


@pytest.mark.slow
def test_the_price_of_a_rewrite_is_that_of_the_passes_that_made_it():
    sdk = pytest.importorskip("anthropic")
    held = run("prune", agent(40, rows=200), sdk)
    later = [
        sum(amount for cause, amount in record.savings_by.items() if cause in ("stale", "spent", "episodes"))
        for record in held
    ]
    assert any(record.predicted for record in held), "nothing was removed"
    first = next(number for number, record in enumerate(held) if record.predicted)
    assert later[:first] == [0] * first
    assert min(later) < 0, "no rewrite cost anything"
    assert sum(later) > 0
