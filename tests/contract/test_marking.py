"""Mode ``cache`` through the real SDKs: what leaves is taken by their types and by the provider, and is read again."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from ctxkit import Kit, Policy, Record, dialects
from ctxkit.testing import FakeProvider, SimulatedCaches, capture

LONG = "You are a careful assistant of a small shop and answer in one short sentence. " * 200
TURNS = 4


@pytest.fixture
def kit() -> Iterator[Kit]:
    made = Kit(Policy(mode="cache", cold_start_wait=0), strict=True)
    yield made
    made.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(text="Yes.", caches=SimulatedCaches()) as running:
        yield running


def bodies(provider: FakeProvider) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in provider.requests]


def unmarked(value: Any) -> Any:
    """Without markers and fields of caches, and a list of one text as the text."""
    fields = {"cache_control", "prompt_cache_breakpoint", "prompt_cache_options", "prompt_cache_key", "session_id"}
    if isinstance(value, list):
        items = [unmarked(item) for item in value if not (isinstance(item, dict) and "cachePoint" in item)]
        lone = items[0] if len(items) == 1 and isinstance(items[0], dict) else {}
        return lone["text"] if lone.keys() == {"type", "text"} else items
    if isinstance(value, dict):
        return {key: unmarked(item) for key, item in value.items() if key not in fields}
    return value


def check(records: list[Record], *, marked: bool = True) -> None:
    assert [record.status for record in records] == ["settled"] * len(records)
    assert all(record.usage is not None for record in records)
    reads = [record.usage.read for record in records]
    assert reads[0] == 0
    assert all(read > 3_000 for read in reads[1:]), reads
    assert all(record.edits.get("n") for record in records) or not marked


CLAUDE_TOOLS = [{"name": "look", "description": "looks " * 40, "input_schema": {"type": "object", "properties": {}}}]


def claude(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": "claude-opus-5", "max_tokens": 50, "system": LONG, "tools": CLAUDE_TOOLS, "messages": messages}


def claude_turn(messages: list[dict[str, Any]], turn: int) -> None:
    """A tool is called and gives something back, with pieces that may bear a marker and some that may not."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "Eo"}
    called = {"type": "tool_use", "id": f"t{turn}", "name": "look", "input": {"turn": turn}}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    given = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": [{"type": "text", "text": "x"}, image]}
    messages.append({"role": "assistant", "content": [thought, called]})
    messages.append({"role": "user", "content": [given] if turn % 2 else [given, {"type": "text", "text": "go on"}]})


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(kit, provider, records, stream):
    sdk = pytest.importorskip("anthropic")
    messages = [{"role": "user", "content": "hello"}]
    asked = []
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        for turn in range(TURNS):
            body = claude(messages)
            asked.append(copy.deepcopy(body))
            if stream:
                with client.messages.stream(**body) as events:
                    events.get_final_message()
            else:
                client.messages.create(**body)
            assert body == asked[-1], "what the caller holds is never changed"
            claude_turn(messages, turn)
    check(records)
    for sent, was in zip(bodies(provider), asked, strict=True):
        sent.pop("stream", None)
        assert unmarked(sent) == unmarked(was)
        accepted(sent, sdk.types.message_create_params.MessageCreateParamsBase)


async def test_async_anthropic(kit, provider, records):
    sdk = pytest.importorskip("anthropic")
    messages = [{"role": "user", "content": "hello"}]
    async with sdk.AsyncAnthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        for turn in range(TURNS):
            await client.messages.create(**claude(messages))
            claude_turn(messages, turn)
    check(records)


def test_markers_of_the_user_stay_and_count(kit, provider, records):
    sdk = pytest.importorskip("anthropic")
    marker = {"type": "ephemeral", "ttl": "1h"}
    tools = [{**CLAUDE_TOOLS[0], "cache_control": marker}]
    messages = [{"role": "user", "content": [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]}]
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        for turn in range(TURNS):
            client.messages.create(**{**claude(messages), "tools": tools})
            claude_turn(messages, turn)
    assert {record.status for record in records} == {"settled"}
    for sent in bodies(provider):
        assert sent["tools"][0]["cache_control"] == marker
        assert sent["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
        assert json.dumps(sent).count("cache_control") <= 4


def test_the_top_level_marker_of_the_user_stays(kit, provider, records):
    sdk = pytest.importorskip("anthropic")
    messages = [{"role": "user", "content": "hello"}]
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        for turn in range(TURNS):
            client.messages.create(**claude(messages), cache_control={"type": "ephemeral"})
            messages += [{"role": "assistant", "content": f"a{turn}"}, {"role": "user", "content": f"u{turn}"}]
    check(records, marked=False)
    assert all(sent["cache_control"] == {"type": "ephemeral"} for sent in bodies(provider))


CHAT_TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def chat_turn(messages: list[dict[str, Any]], turn: int) -> None:
    call = {"id": f"t{turn}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
    messages.append({"role": "tool", "tool_call_id": f"t{turn}", "content": f"result {turn}"})
    messages.append({"role": "user", "content": [{"type": "text", "text": f"reminder {turn}"}]})


def test_openai_chat(provider):
    """Single questions, as is known after some: the provider is asked to write the instructions and nothing else."""
    sdk = pytest.importorskip("openai")
    ticks = count(1_800_000_000, 100)
    kit = Kit(Policy(mode="cache", cold_start_wait=0), strict=True, clock=lambda: float(next(ticks)))
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain, capture(kit) as records:
        client = kit.wrap(plain, platform="openai")
        for turn in range(12):
            messages = [{"role": "system", "content": LONG}, {"role": "user", "content": f"question {turn} " * 50}]
            client.chat.completions.create(model="gpt-6-sol", messages=messages)
    kit.close()
    check(records, marked=False)
    last = bodies(provider)[-1]
    assert last["prompt_cache_options"] == {"mode": "explicit"}
    assert last["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert records[-1].usage.written == {}, "nothing is written that nobody reads"
    for sent in bodies(provider):
        accepted(sent, sdk.types.chat.completion_create_params.CompletionCreateParamsBase)


def test_openai_streams_are_probed(kit, provider, records):
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain, platform="openai")
        chunks = list(
            client.chat.completions.create(model="gpt-6-sol", messages=[{"role": "user", "content": "x"}], stream=True)
        )
    assert records[0].status == "settled"
    assert all(chunk.choices for chunk in chunks)


def test_openai_responses(kit, provider, records):
    sdk = pytest.importorskip("openai")
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}]
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain, platform="openai")
        for person in range(3):
            items: list[dict[str, Any]] = [
                {"role": "developer", "content": LONG},
                {"role": "user", "content": f"hi {person}"},
            ]
            for turn in range(TURNS):
                client.responses.create(model="gpt-6-sol", input=items, tools=tools)
                items.append({"type": "function_call", "call_id": f"t{turn}", "name": "look", "arguments": "{}"})
                items.append({"type": "function_call_output", "call_id": f"t{turn}", "output": "nothing"})
    check(records, marked=False)
    assert any("prompt_cache_breakpoint" in json.dumps(sent) for sent in bodies(provider))
    for sent in bodies(provider):
        accepted(sent, sdk.types.responses.response_create_params.ResponseCreateParamsBase)


def test_a_history_that_the_provider_holds_is_never_edited(kit, provider, records):
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain, platform="openai")
        client.responses.create(model="gpt-6-sol", input=LONG, previous_response_id="resp_1")
    assert bodies(provider) == [{"input": LONG, "model": "gpt-6-sol", "previous_response_id": "resp_1"}]
    assert not records[0].edits.get("n")


def test_once_markers_were_taken_a_400_is_the_application_s_own(kit, provider, records):
    """It is told at once; servers that refuse markers are in tests/fault/test_markers.py."""
    sdk = pytest.importorskip("anthropic")
    with sdk.Anthropic(base_url=provider.anthropic_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain)
        for status in (200, 400, 200):
            provider.behave(status=status)
            with pytest.raises(sdk.BadRequestError) if status == 400 else nullcontext():
                client.messages.create(**claude([{"role": "user", "content": "hello"}]))
    assert [bool(record.edits.get("n")) for record in records] == [True, True, True]
    assert len(provider.requests) == 3


def test_older_models_get_a_key_that_routes(kit, provider, records):
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain, platform="openai")
        for question in ("one", "two"):
            messages = [{"role": "system", "content": LONG}, {"role": "user", "content": question}]
            client.chat.completions.create(model="gpt-4o", messages=messages)
        client.chat.completions.create(model="gpt-4o", messages=messages, prompt_cache_key="my own")
    one, two, own = (sent["prompt_cache_key"] for sent in bodies(provider))
    assert one == two != own == "my own"
    assert len(one) == 32


def test_a_conversation_of_xai_bears_its_header(kit, provider, records):
    sdk = pytest.importorskip("openai")
    with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
        client = kit.wrap(plain, platform="xai")
        messages = [{"role": "user", "content": "hello"}]
        for turn in range(3):
            client.chat.completions.create(model="grok-4.6", messages=messages)
            messages += [{"role": "assistant", "content": f"a{turn}"}, {"role": "user", "content": f"u{turn}"}]
        client.chat.completions.create(model="grok-4.6", messages=messages, extra_headers={"x-grok-conv-id": "mine"})
    one, two, three, mine = (request.headers["x-grok-conv-id"] for request in provider.requests)
    assert one == two == three != mine == "mine"
    assert bodies(provider)[0]["messages"] == [{"role": "user", "content": "hello"}]


def test_engines_keep_scopes_apart_where_the_user_wants_it(provider):
    sdk = pytest.importorskip("openai")
    for isolation, salted in ((False, 0), (True, 2)):
        provider.clear()
        salts = set()
        for scope in ("one", "two"):
            kit = Kit(Policy(mode="cache", scope=scope, cache_isolation=isolation), strict=True)
            with sdk.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as plain:
                messages = [{"role": "user", "content": LONG}]
                kit.wrap(plain, platform="vllm").chat.completions.create(model="m", messages=messages)
            kit.close()
        salts = {sent.get("cache_salt") for sent in bodies(provider)} - {None}
        assert len(salts) == salted


def test_bedrock(kit, provider, records):
    boto3 = pytest.importorskip("boto3")
    model = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": [{"text": "hello"}]}]
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=provider.bedrock_url,
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
    )
    kit.wrap(client)
    for turn in range(TURNS):
        before = copy.deepcopy(messages)
        client.converse(modelId=model, system=[{"text": LONG}], toolConfig={"tools": [tool]}, messages=messages)
        assert messages == before
        use = {"toolUse": {"toolUseId": f"t{turn}", "name": "look", "input": {}}}
        given = {"toolResult": {"toolUseId": f"t{turn}", "content": [{"text": "nothing"}]}}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [given]}]
    client.close()
    check(records)
    assert all("cachePoint" in json.dumps(sent) for sent in bodies(provider))


def test_gemini_has_nothing_to_mark(kit, provider, records):
    plan = kit.plan(
        {"contents": [{"role": "user", "parts": [{"text": LONG}]}]},
        dialect="gemini.generate",
        platform="google",
        model="gemini-2.5-pro",
    )
    assert plan.edits == ()


def accepted(value: Any, kind: Any, where: str = "body") -> None:
    """Every field of ``value`` is one that the SDK's type for it has: unknown ones would have to be extras."""
    choices = _dicts(kind)
    if isinstance(value, dict) and choices:
        fits = [one for one in choices if value.keys() <= get_type_hints(one).keys()]
        assert fits, f"{where}: {sorted(value)}"
        hints = {key: hint for one in reversed(fits) for key, hint in get_type_hints(one).items()}
        for key, item in value.items():
            if key in {
                "cache_control",
                "prompt_cache_breakpoint",
                "prompt_cache_options",
                "messages",
                "input",
                "content",
                "system",
                "tools",
            }:
                accepted(item, hints[key], f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            accepted(item, kind, f"{where}.{index}")


def _dicts(kind: Any) -> list[Any]:
    """The typed dicts that a type allows, inside lists and unions."""
    if is_typeddict(kind):
        return [kind]
    return [found for inner in get_args(kind) for found in _dicts(inner)] if get_origin(kind) is not None else []


def test_the_edits_of_every_dialect_leave_what_the_model_reads(kit):
    """What leaves is laid out as what came, marker for marker."""
    body = claude([{"role": "user", "content": "hello"}])
    plan = kit.plan(body, dialect="anthropic.messages", platform="anthropic")
    caches, view = dialects.caches("anthropic.messages"), dialects.get("anthropic.messages").view
    before = [block.value for message in view(body).messages for block in caches.blocks(message)]
    after = [block.value for message in view(plan.body).messages for block in caches.blocks(message)]
    assert plan.edits
    assert before == after
    assert kit.plan(plan.body, dialect="anthropic.messages", platform="anthropic").edits == ()
