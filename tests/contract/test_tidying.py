"""Modes ``lossless`` and ``prune`` through the real SDKs: what leaves is smaller, and what the caller holds is as it was."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ctxkit import Kit, Policy, Record
from ctxkit.testing import FakeProvider, SimulatedCaches

LONG = "You help the customers of a small airline, politely and within its rules. " * 150
EPISODES = 6
Turn = tuple[str, Any]  # "user" and "model" say a text, "call" and "result" carry an id and a value


@pytest.fixture(params=["lossless", "prune"])
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    made = Kit(Policy(mode=request.param, cold_start_wait=0, shadow=False), strict=True)
    yield made
    made.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", caches=SimulatedCaches()) as running:
        yield running


def flights(seed: int) -> list[dict[str, Any]]:
    return [{"flight": f"HAT{seed:02d}{row:02d}", "from": "ATL", "price": 100 + row * seed} for row in range(40)]


def talk() -> list[Turn]:
    """Customers who have nothing to do with one another, in one thread."""
    turns: list[Turn] = []
    for seed in range(1, EPISODES + 1):
        turns += [
            ("user", f"I am customer cust_{seed:04d} and want trip TRIP{seed:04d}."),
            ("call", (f"c{seed}", {"trip": f"TRIP{seed:04d}"})),
            ("result", (f"c{seed}", flights(seed))),
            ("model", f"Trip TRIP{seed:04d} is booked. " + "Have a good flight. " * 8),
            ("user", "Thanks, that was all."),
            ("model", "You are welcome."),
        ]
    return turns


def asked(turns: list[Turn]) -> Iterator[list[Turn]]:
    """What stands before each thing that the model says."""
    for index, (kind, _) in enumerate(turns):
        if kind in ("call", "model"):
            yield turns[:index]


def run(turns: list[Turn], shape: Callable[[Turn], Any], send: Callable[[list[Any]], Any]) -> None:
    """Send each request; what the caller holds stays as it is."""
    for before in asked(turns):
        messages = [shape(turn) for turn in before]
        held = copy.deepcopy(messages)
        send(messages)
        assert messages == held


def check(kit: Kit, records: list[Record], provider: FakeProvider, raw: int) -> None:
    """Everything was answered, smaller bodies left, and nothing was noted as a fault."""
    assert {record.status for record in records} == {"settled"}
    assert not kit.faults.counts
    assert len(provider.requests[-1].body) < raw * (0.8 if kit.policy.mode == "lossless" else 0.7)
    assert f"TRIP{2:04d}" in provider.requests[-1].body.decode(), "identifiers are kept"
    assert sum(record.edits.get("tokens", 0) for record in records) > 0
    if records[-1].savings is not None:
        assert sum(record.savings or 0 for record in records) > 0


def as_chat(turn: Turn) -> Any:
    kind, value = turn
    if kind == "call":
        function = {"name": "search", "arguments": json.dumps(value[1])}
        return {"role": "assistant", "tool_calls": [{"id": value[0], "type": "function", "function": function}]}
    if kind == "result":
        return {"role": "tool", "tool_call_id": value[0], "content": json.dumps(value[1], indent=1)}
    return {"role": "assistant" if kind == "model" else "user", "content": value}


def test_openai_chat(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    sdk = pytest.importorskip("openai")
    with kit.wrap(sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0), platform="openai") as client:
        opening = {"role": "system", "content": LONG}
        run(
            talk(),
            as_chat,
            lambda messages: client.chat.completions.create(model="gpt-6-sol", messages=[opening, *messages]),
        )
    raw = len(json.dumps([opening, *map(as_chat, talk())]))
    check(kit, records, provider, raw)


def as_item(turn: Turn) -> Any:
    kind, value = turn
    if kind == "call":
        return {
            "type": "function_call",
            "call_id": value[0],
            "name": "search",
            "arguments": json.dumps(value[1]),
        }
    if kind == "result":
        return {"type": "function_call_output", "call_id": value[0], "output": json.dumps(value[1], indent=1)}
    return {"role": "assistant" if kind == "model" else "user", "content": value}


def test_openai_responses(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    sdk = pytest.importorskip("openai")
    with kit.wrap(sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0), platform="openai") as client:
        run(
            talk(),
            as_item,
            lambda items: client.responses.create(model="gpt-6-sol", instructions=LONG, input=items),
        )
    check(kit, records, provider, len(LONG) + len(json.dumps(list(map(as_item, talk())))))


def as_anthropic(turn: Turn) -> Any:
    kind, value = turn
    if kind == "call":
        block = {"type": "tool_use", "id": value[0], "name": "search", "input": value[1]}
        return {"role": "assistant", "content": [block]}
    if kind == "result":
        text = [{"type": "text", "text": json.dumps(value[1], indent=1)}]
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": value[0], "content": text}]}
    return {"role": "assistant" if kind == "model" else "user", "content": value}


def test_anthropic(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    sdk = pytest.importorskip("anthropic")
    with kit.wrap(sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0)) as client:
        run(
            talk(),
            as_anthropic,
            lambda messages: client.messages.create(
                model="claude-opus-5", max_tokens=50, system=LONG, messages=messages
            ),
        )
    check(kit, records, provider, len(LONG) + len(json.dumps(list(map(as_anthropic, talk())))))


def as_gemini(turn: Turn) -> Any:
    kind, value = turn
    if kind == "call":
        return {"role": "model", "parts": [{"functionCall": {"id": value[0], "name": "search", "args": value[1]}}]}
    if kind == "result":
        response = {"id": value[0], "name": "search", "response": {"result": json.dumps(value[1], indent=1)}}
        return {"role": "user", "parts": [{"functionResponse": response}]}
    return {"role": "model" if kind == "model" else "user", "parts": [{"text": value}]}


def test_gemini(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    sdk = pytest.importorskip("google.genai")
    options = kit.google_http_options(base_url=provider.base_url)
    with sdk.Client(api_key="none", http_options=options) as client:
        run(
            talk(),
            as_gemini,
            lambda contents: client.models.generate_content(
                model="gemini-2.5-flash", contents=contents, config={"system_instruction": LONG}
            ),
        )
    check(kit, records, provider, len(LONG) + len(json.dumps(list(map(as_gemini, talk())))))


def as_converse(turn: Turn) -> Any:
    kind, value = turn
    if kind == "call":
        block: Any = {"toolUse": {"toolUseId": value[0], "name": "search", "input": value[1]}}
        return {"role": "assistant", "content": [block]}
    if kind == "result":
        block = {"toolResult": {"toolUseId": value[0], "content": [{"text": json.dumps(value[1], indent=1)}]}}
        return {"role": "user", "content": [block]}
    return {"role": "assistant" if kind == "model" else "user", "content": [{"text": value}]}


def test_converse(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    boto3 = pytest.importorskip("boto3")
    secrets = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    client = kit.wrap(
        boto3.client("bedrock-runtime", endpoint_url=provider.base_url, region_name="us-east-1", **secrets)
    )
    tools = {"tools": [{"toolSpec": {"name": "search", "inputSchema": {"json": {"type": "object"}}}}]}
    run(
        talk(),
        as_converse,
        lambda messages: client.converse(
            modelId="anthropic.claude-sonnet-4-5-20250929-v1:0",
            system=[{"text": LONG}],
            messages=messages,
            toolConfig=tools,
        ),
    )
    check(kit, records, provider, len(LONG) + len(json.dumps(list(map(as_converse, talk())))))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_litellm(kit: Kit, records: list[Record], provider: FakeProvider) -> None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network when imported
    litellm = pytest.importorskip("litellm")
    completion = kit.wrap(litellm.completion)
    opening = {"role": "system", "content": LONG}
    run(
        talk(),
        as_chat,
        lambda messages: completion(
            model="openai/gpt-6-sol", messages=[opening, *messages], api_base=provider.openai_url, api_key="none"
        ),
    )
    raw = len(json.dumps([opening, *map(as_chat, talk())]))
    check(kit, records, provider, raw)
