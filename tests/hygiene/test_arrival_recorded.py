"""What arrives in recorded requests and conversations is made smaller, and nothing of it is lost."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from ctxkit import dialects
from ctxkit.errors import ProviderShapeError
from ctxkit.hall.retelling import opening_of
from ctxkit.hall.tidypasses import arriving
from ctxkit.hygiene.arrival import Arrivals
from ctxkit.hygiene.deltas import patched
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.tables import PHRASE, untable
from ctxkit.hygiene.whitespace import spans
from ctxkit.replay.threads import grouped, read_threads
from ctxkit.tidiness import Tidy
from tests.dialects.test_texts import DIALECTS
from tests.hygiene.arriving import again, sent, texts, tidied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.hygiene.arriving import Messages

pytestmark = pytest.mark.slow

PASSES = arriving(Tidy(), prunes=True)


def taken(name: str, body: object) -> Messages:
    """The pieces of a request behind its opening."""
    conversation = dialects.get(name).view(body)  # type: ignore[union-attr, arg-type]
    wire = dialects.texts(name)
    assert wire is not None
    messages = conversation.messages[opening_of(conversation) :]
    return [wire.pieces(message, index) for index, message in enumerate(messages)]


def values(text: str) -> list[object]:
    """The JSON in a text, tables read back; numbers as they are written."""
    if PHRASE in text:
        return [untable(text)]
    return [json.loads(text[start:end], parse_int=str, parse_float=str) for start, end in spans(text)]


def check(messages: Messages) -> Counter[str]:
    """What holds of every conversation; gives characters saved by pass, and all of them."""
    compact = tidied(PASSES[:1], messages)
    for place, one in compact.items():
        old = messages[place[0]][place[1]].text
        if PHRASE in one.text and PHRASE not in old:
            assert [json.loads(old[start:end]) for start, end in spans(old)] == values(one.text)
        else:
            assert values(one.text) == values(old)
    made = tidied(PASSES, messages)
    once = sent(messages, made)
    assert not tidied(PASSES, once)
    saved: Counter[str] = Counter(all=sum(map(len, texts(messages))))
    for place, one in made.items():
        old = messages[place[0]][place[1]]
        assert place[0] > 0
        assert old.speaker in ("user", "tool")
        assert MARK not in old.text
        assert not old.locked
        assert len(one.text) < len(old.text)
        assert all(target < place for target in one.targets)
        if one.by.endswith("deltas"):
            target = one.targets[-1]
            base = once[target[0]][target[1]]
            left = compact[place].text if place in compact else old.text
            assert base.kind == "arguments" or patched(base.text, one.text.partition("\n")[2]) == left
        saved[one.by] += len(old.text) - len(one.text)
    arrivals = Arrivals(PASSES)
    for length in {1, len(messages) // 3, len(messages) // 2, len(messages) - 1, len(messages)} - {0}:
        part = again(arrivals, messages[:length])
        assert part == {place: one for place, one in made.items() if place[0] < length}
    return saved


def requests(folder: Path) -> Iterator[Messages]:
    """Recorded requests, taken apart."""
    with lzma.open(folder / "exchanges" / "requests.jsonl.xz") as file:
        for record in map(json.loads, file):
            name = DIALECTS.get(record["endpoint"])
            if name is None:
                continue
            try:
                yield taken(name, record["request"])
            except ProviderShapeError:
                continue


def test_recorded_requests(recorded: Path) -> None:
    saved: Counter[str] = Counter()
    for messages in requests(recorded):
        saved.update(check(messages))
    assert saved["compact"] > 0
    assert saved["repeats"] > 0


@pytest.mark.parametrize(
    ("name", "size", "share"),
    [
        ("tau_bench_airline", 1, 0.14),
        ("tau_bench_airline", 20, 0.14),
        ("swe_agent_demos", 1, 0.14),
        ("openhands", 1, 0.28),
        ("aider_chats", 1, 0.2),
    ],
)
def test_recorded_threads(recorded: Path, name: str, size: int, share: float) -> None:
    saved: Counter[str] = Counter()
    for thread in grouped([*read_threads(recorded / "threads" / f"{name}.jsonl.xz")], size):
        saved.update(check(taken("openai.chat", {"model": "gpt-5", "messages": [*thread.messages]})))
    whole = saved.pop("all")
    assert saved.total() > share * whole, {by: count / whole for by, count in saved.items()}
