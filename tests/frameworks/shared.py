"""A model that works as an agent does, in every wire format, and what is to hold of each run of a framework."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxkit import Kit, Record
from ctxkit.testing import Behaviour, FakeProvider, Request, Tokens, ToolCall

CITIES = ("Rome", "Oslo", "Lima")
TOKENS = Tokens(input=100, output=20, read=64)
LOOKED_UP = "\n".join(
    f"{year}: {year * 7919 % 1013} mm of rain, {year * 104729 % 37} days of frost" for year in range(120)
)
FOUND = "It rained in Rome, Oslo and Lima."
QUESTION = "How much did it rain in Rome, Oslo and Lima?"


def look_up(city: str) -> str:
    """The weather records of a city, the same long table for each: the second one repeats the first."""
    assert city in CITIES
    return LOOKED_UP


def agent(request: Request) -> Behaviour | None:
    """Asks for ``look_up`` city by city, as many as there are results missing, and answers then."""
    if not isinstance(request.json, dict) or not offered(request.json):
        return None
    done = len(list(results(request.json)))
    if done >= len(CITIES):
        return Behaviour(text=FOUND, tokens=TOKENS, piece=3)
    return Behaviour(text="", calls=(ToolCall("look_up", {"city": CITIES[done]}),), tokens=TOKENS, piece=3)


def offered(body: dict[str, Any]) -> bool:
    """The request offers the tool."""
    return "look_up" in str(body.get("tools"))


def results(node: Any) -> Sequence[Any]:
    """Every tool result of a request, whatever its wire format."""
    if isinstance(node, list):
        return [found for inner in node for found in results(inner)]
    if not isinstance(node, dict):
        return []
    if node.get("role") == "tool" or node.get("type") in {"function_call_output", "tool_result"}:
        return [node]
    if "functionResponse" in node or "function_response" in node:
        return [node]
    return [found for value in node.values() for found in results(value)]


def asked(provider: FakeProvider) -> list[Request]:
    """What the provider was asked that costs money."""
    return [request for request in provider.requests if request.method == "POST"]


def metered(
    provider: FakeProvider, kit: Kit, records: Sequence[Record], *, feature: str | None, threads: int | None = 1
) -> None:
    """Each request on the wire is one settled attempt, in the ledger too, with its usage, feature and thread."""
    sent = asked(provider)
    assert sent
    assert [record.status for record in records] == ["settled"] * len(sent), [r.status for r in records]
    assert {record.feature for record in records} == {feature}
    for record in records:
        assert record.usage is not None
        assert (record.usage.input_total, record.usage.read, record.usage.output) == (100, 64, 20)
        assert record.problems == ()
    if threads is not None:
        assert len({record.thread for record in records}) == threads
    kit.flush()
    total = kit.report().to_dict()["total"]
    assert (total["attempts"], total["input_tokens"]) == (len(sent), 100 * len(sent))


def retried(records: Sequence[Record]) -> None:
    """Two attempts failed and the third settled, all of one call."""
    assert [(r.status, r.http_status, r.number) for r in records] == [
        ("failed", 503, 1),
        ("failed", 503, 2),
        ("settled", 200, 3),
    ]
    assert len({record.operation for record in records}) == 1


def tidied(provider: FakeProvider, records: Sequence[Record]) -> None:
    """Repeats were sent as pointers, and every result was there all the same."""
    last = asked(provider)[-1]
    assert len(list(results(last.json))) == len(CITIES)
    whole = last.body.decode().count("119: ")
    assert whole < len(CITIES), "no table was told by the one before it"
    assert sum(record.edits.get("tokens", 0) for record in records if record.edits) > 0
