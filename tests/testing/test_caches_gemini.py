"""Gemini's cache objects behind google-genai, sync and async, on the Gemini API and on Vertex (ai.google.dev, 2026-09)."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

import pytest

from ctxkit.testing import SimulatedCaches, ToolCall
from tests.testing.caching import Metered, text

FLASH = "gemini-2.5-flash"
VERTEX = "projects/p/locations/europe-west4"
GONE = "CachedContent not found (or permission denied)"


def made(metered: Metered, *, vertex: bool = False, key: str = "none") -> Any:
    genai = pytest.importorskip("google.genai")
    options = {"base_url": metered.provider.gemini_url}
    if not vertex:
        return genai.Client(api_key=key, http_options=options)
    credentials = pytest.importorskip("google.auth.credentials").AnonymousCredentials()
    credentials.token = "none"
    where = {"project": "p", "location": "europe-west4"}
    return genai.Client(vertexai=True, credentials=credentials, http_options=options, **where)


@pytest.fixture
def client(metered: Metered) -> Any:
    genai = pytest.importorskip("google.genai")
    http = metered.kit.google_http_options(base_url=metered.provider.gemini_url)
    client = genai.Client(api_key="none", http_options=http)
    yield client
    client.close()
    http.httpx_client.close()
    asyncio.run(http.httpx_async_client.aclose())


def content(tokens: int, about: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text(tokens, about)}]}


def create(client: Any, tokens: int = 7_021, **config: Any) -> Any:
    return client.caches.create(model=FLASH, config={"contents": [content(tokens, "cached")], **config})


def generate(client: Any, *contents: dict[str, Any], stream: bool = False, model: str = FLASH, **config: Any) -> Any:
    def call() -> Any:
        asked = {"model": model, "contents": list(contents), "config": config}
        if stream:
            return list(client.models.generate_content_stream(**asked))
        return client.models.generate_content(**asked)

    return call


def refused(call: Any) -> Any:
    errors = pytest.importorskip("google.genai.errors")
    with pytest.raises(errors.ClientError) as caught:
        call()
    return caught.value.code, caught.value.status, caught.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_e4_e7_e13_a_handle_is_read_by_the_whole(client: Any, metered: Metered, stream: bool) -> None:
    handle = create(client)
    reading = {"cached_content": handle.name, "stream": stream}
    assert metered.of(generate(client, content(15, "question"), **reading)) == (7_021, {}, 15)
    again = generate(client, content(6_948, "cached"), content(15, "question"), **reading)
    assert metered.of(again) == (7_021, {}, 6_963)


def test_e1_e10_what_create_answers(client: Any, metered: Metered) -> None:
    assert refused(lambda: create(client, 16)) == (
        400,
        "INVALID_ARGUMENT",
        "Cached content is too small. total_token_count=16, min_total_token_count=1024",
    )
    tool = {"function_declarations": [{"name": "add"}]}
    handle = create(client, system_instruction=text(5, "s"), tools=[tool], display_name="shared")
    assert handle.usage_metadata.total_token_count > 7_026
    assert (handle.model, handle.display_name) == ("models/gemini-2.5-flash", "shared")
    wire = json.loads(raw(metered, "GET", handle.name))
    assert wire.keys() == {"name", "model", "createTime", "updateTime", "expireTime", "displayName", "usageMetadata"}


@pytest.mark.parametrize(
    "beside",
    [
        {"system_instruction": "Be brief."},
        {"tools": [{"function_declarations": [{"name": "add"}]}]},
        {"tool_config": {"function_calling_config": {"mode": "ANY"}}},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_e2_nothing_stands_beside_a_handle(client: Any, beside: dict[str, Any], stream: bool) -> None:
    handle = create(client)
    call = generate(client, content(15, "q"), cached_content=handle.name, stream=stream, **beside)
    status, kind, said = refused(call)
    assert (status, kind) == (400, "INVALID_ARGUMENT")
    assert said.startswith("CachedContent can not be used with GenerateContent request setting system_instruction")


@pytest.mark.parametrize("stream", [False, True])
def test_e3_an_expired_deleted_or_foreign_handle_is_403(client: Any, metered: Metered, stream: bool) -> None:
    expired, deleted, kept = create(client, ttl="60s"), create(client), create(client)
    client.caches.delete(name=deleted.name)
    metered.clock.now += 60
    for name in (expired.name, deleted.name, "cachedContents/never"):
        assert refused(generate(client, content(15, "q"), cached_content=name, stream=stream)) == (
            403,
            "PERMISSION_DENIED",
            GONE,
        )
        assert refused(lambda name=name: client.caches.get(name=name))[0] == 403
    other = made(metered, key="another project's")
    assert refused(generate(other, content(15, "q"), cached_content=kept.name, stream=stream))[0] == 403
    other.close()
    assert metered.of(generate(client, content(15, "q"), cached_content=kept.name))[0] == 7_021


def test_e5_only_its_end_can_be_moved(client: Any, metered: Metered) -> None:
    handle = create(client, ttl="100s")
    metered.clock.now += 10
    metered.of(generate(client, content(15, "q"), cached_content=handle.name))
    assert client.caches.get(name=handle.name).expire_time == handle.expire_time
    moved = client.caches.update(name=handle.name, config={"ttl": "200s"})
    assert moved.expire_time - handle.expire_time == timedelta(seconds=110)
    end = moved.expire_time + timedelta(hours=1)
    assert client.caches.update(name=handle.name, config={"expire_time": end}).expire_time == end
    with pytest.raises(urllib.error.HTTPError) as caught:
        raw(metered, "PATCH", handle.name, {"displayName": "another"})
    assert caught.value.code == 400


def test_e6_storage_ends_with_the_handle(client: Any, metered: Metered) -> None:
    handle = create(client, 36_000, ttl="7200s")
    metered.clock.now += 100
    client.caches.delete(name=handle.name)
    metered.clock.now += 10_000
    assert metered.caches.handles.token_hours(metered.clock()) == 1_000


def test_e8_a_handle_is_bound_to_its_model(client: Any) -> None:
    handle = create(client)
    status, kind, said = refused(generate(client, content(15, "q"), model="gemini-2.5-pro", cached_content=handle.name))
    assert (status, kind) == (400, "INVALID_ARGUMENT")
    assert "has to be the same" in said


def test_e9_it_lives_an_hour_unless_told_otherwise(client: Any, metered: Metered) -> None:
    metered.clock.now += 0.123456
    handle = create(client)
    life = handle.expire_time - handle.create_time
    assert abs(life - timedelta(hours=1)) < timedelta(seconds=5)
    assert json.loads(raw(metered, "GET", handle.name))["expireTime"].endswith("Z")


def test_e11_how_tools_are_used_may_stand_in_it_and_holds(client: Any, metered: Metered) -> None:
    metered.provider.behave(calls=(ToolCall("add", {"a": 1}),))
    tool = {"function_declarations": [{"name": "add"}]}
    never = {"function_calling_config": {"mode": "NONE"}}
    free, bound = create(client, tools=[tool]), create(client, tools=[tool], tool_config=never)
    assert generate(client, content(15, "q"), cached_content=free.name)().function_calls
    assert not generate(client, content(15, "q"), cached_content=bound.name)().function_calls


def test_e12_delete_and_an_empty_list_are_empty_objects(client: Any, metered: Metered) -> None:
    handle = create(client)
    assert [found.name for found in client.caches.list()] == [handle.name]
    assert json.loads(raw(metered, "DELETE", handle.name)) == {}
    assert json.loads(raw(metered, "GET", "cachedContents")) == {}
    assert list(client.caches.list()) == []


def test_the_list_has_pages(client: Any) -> None:
    names = [create(client).name for _ in range(5)]
    pager = client.caches.list(config={"page_size": 2})
    assert len(pager) == 2
    assert [handle.name for handle in pager] == names


def test_e14_contents_do_not_end_with_the_model(client: Any) -> None:
    contents = [content(7_000, "q"), content(21, "a", role="model")]
    status, kind, said = refused(lambda: create(client, contents=contents))
    assert (status, kind) == (400, "INVALID_ARGUMENT")
    assert said == "Requests ending with a model turn are not supported"


def test_e15_argon_has_no_handles(client: Any) -> None:
    config = {"contents": [content(7_021, "c")]}
    assert refused(lambda: client.caches.create(model="gemini-4-argon", config=config))[0] == 404


class TestQuota:
    """Creating more handles than is allowed."""

    @pytest.fixture
    def simulated(self) -> dict[str, Any]:
        return {"quota": 1}

    def test_it_is_429_until_a_minute_has_passed(self, client: Any, metered: Metered) -> None:
        create(client)
        assert refused(lambda: create(client))[:2] == (429, "RESOURCE_EXHAUSTED")
        metered.clock.now += 61
        create(client)


def test_implicit_caching_needs_no_handle(client: Any, metered: Metered) -> None:
    head = content(5_000, "shared")
    assert metered.of(generate(client, head, content(10, "one")))[0] == 0
    assert metered.of(generate(client, head, content(20, "two"))) == (5_000, {}, 20)


def test_vertex_names_a_place(metered: Metered) -> None:
    client = made(metered, vertex=True)
    handle = create(client)
    assert handle.name.startswith(f"{VERTEX}/cachedContents/")
    assert handle.model == f"{VERTEX}/publishers/google/models/{FLASH}"
    answer = generate(client, content(15, "q"), cached_content=handle.name)()
    assert (answer.usage_metadata.prompt_token_count, answer.usage_metadata.cached_content_token_count) == (
        7_036,
        7_021,
    )
    assert client.caches.get(name=handle.name).name == handle.name
    assert [found.name for found in client.caches.list()] == [handle.name]
    assert client.caches.update(name=handle.name, config={"ttl": "10s"}).name == handle.name
    client.caches.delete(name=handle.name)
    assert refused(generate(client, content(15, "q"), cached_content=handle.name))[0] == 403
    client.close()


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # aiohttp's, at what google-genai 1.x does
def test_the_life_of_a_handle_from_async_code(metered: Metered) -> None:
    async def life() -> None:
        client = made(metered)
        caches = client.aio.caches
        handle = await caches.create(model=FLASH, config={"contents": [content(7_021, "c")]})
        answer = await client.aio.models.generate_content(
            model=FLASH, contents=[content(15, "q")], config={"cached_content": handle.name}
        )
        assert answer.usage_metadata.cached_content_token_count == 7_021
        assert (await caches.get(name=handle.name)).name == handle.name
        assert [found.name async for found in await caches.list()] == [handle.name]
        await caches.update(name=handle.name, config={"ttl": "10s"})
        await caches.delete(name=handle.name)
        assert [found.name async for found in await caches.list()] == []
        await client.aio.aclose()
        client.close()

    asyncio.run(life())


def test_a_failing_provider_refuses_handles_in_their_own_shape(client: Any, metered: Metered) -> None:
    metered.provider.behave(failures=1, failure_status=429, message="Slow down.")
    assert refused(lambda: create(client)) == (429, "RESOURCE_EXHAUSTED", "Slow down.")
    create(client)


def test_without_caches_there_are_no_handles(provider: Any) -> None:
    assert provider.caches is None
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{provider.gemini_url}/v1beta/cachedContents")
    assert caught.value.code == 404
    caught.value.close()


def raw(metered: Metered, method: str, name: str, body: Any = None) -> bytes:
    """One request without a client in between."""
    url = f"{metered.provider.gemini_url}/v1beta/{name}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"x-goog-api-key": "none"}, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        error.close()
        raise


def test_an_odd_request_for_a_handle_is_400(metered: Metered) -> None:
    for body in ({}, {"model": "models/x", "contents": 7}, {"model": f"models/{FLASH}", "ttl": "soon"}):
        with pytest.raises(urllib.error.HTTPError) as caught:
            raw(metered, "POST", "cachedContents", body)
        assert caught.value.code == 400
    assert isinstance(metered.caches, SimulatedCaches)
    assert not metered.caches.handles.held


def test_a_handle_is_read_through_the_openai_format_too(metered: Metered) -> None:
    openai = pytest.importorskip("openai")
    handle = create(made(metered))
    with openai.OpenAI(base_url=f"{metered.provider.gemini_url}/v1beta/openai/", api_key="none") as client:
        usage = client.chat.completions.create(
            model=FLASH,
            messages=[{"role": "user", "content": text(15, "q")}],
            extra_body={"cached_content": handle.name},
        ).usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (7_036, 7_021)
