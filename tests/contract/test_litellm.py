"""LiteLLM: wrapped functions come back, and one call counts once whatever happens inside."""

from __future__ import annotations

import asyncio
import os

import pytest

from ctxkit import Usage, feature
from ctxkit.errors import BudgetExceeded, UnsupportedClientError
from ctxkit.integrations.litellm_usage import answer_of, usage_of
from tests.contract.shared import MESSAGES, collected, only, wire

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the network when imported
litellm = pytest.importorskip("litellm", reason="LiteLLM is not installed")

# LiteLLM leaves clients and coroutines of its own to the garbage collector, and warns of its pydantic models.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{name}")
    for name in (
        "ResourceWarning",
        "pytest.PytestUnraisableExceptionWarning",
        "DeprecationWarning",
        "UserWarning",
        "RuntimeWarning",
    )
]


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(litellm, "suppress_debug_info", True)


ROUTES = {
    "openai": ("openai/gpt-4o", lambda provider: provider.openai_url, "unknown", "gpt-4o"),
    "anthropic": (
        "anthropic/claude-sonnet-4-5",
        lambda provider: provider.anthropic_url,
        "anthropic",
        "claude-sonnet-4-5",
    ),
}


@pytest.fixture(params=ROUTES.values(), ids=ROUTES)
def route(request, provider):
    model, url, platform, name = request.param
    options = {"model": model, "api_base": url(provider), "api_key": "none", "messages": MESSAGES, "max_tokens": 50}
    return options, platform, name


def check(record, platform, name, usage=(100, 64, 20)):
    assert (record.status, record.platform, record.model) == ("settled", platform, name)
    assert (record.usage.input_total, record.usage.read, record.usage.output) == usage
    assert record.dialect == "openai.chat"


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_completion_is_the_same_function_to_look_at(kit):
    wrapped = kit.wrap(litellm.completion)
    assert wrapped.__name__ == "completion"
    assert wrapped.__wrapped__ is litellm.completion
    assert kit.wrap(wrapped) is wrapped
    assert asyncio.iscoroutinefunction(kit.wrap(litellm.acompletion))


def test_completion(provider, kit, records, route):
    options, platform, name = route
    expected = litellm.completion(**options)
    sent = wire(provider)
    provider.clear()
    response = kit.wrap(litellm.completion)(**options)
    assert response.choices[0].message.content == expected.choices[0].message.content
    assert response.usage.model_dump() == expected.usage.model_dump()
    assert wire(provider) == sent
    check(only(records), platform, name)


def test_stream_with_usage(kit, records, route):
    options, platform, name = route
    stream = kit.wrap(litellm.completion)(**options, stream=True, stream_options={"include_usage": True})
    assert isinstance(stream, litellm.CustomStreamWrapper)
    chunks = list(stream)
    assert chunks[-1].usage.prompt_tokens == 100
    check(only(records), platform, name)


def test_stream_without_usage(provider, kit, records, route):
    """Anthropic's stream carries usage anyway; OpenAI's has to be asked for it."""
    options, platform, name = route
    expected = text(litellm.completion(**options, stream=True))
    sent = wire(provider)
    provider.clear()
    assert text(kit.wrap(litellm.completion)(**options, stream=True)) == expected
    assert wire(provider) == sent
    if platform == "anthropic":
        check(only(records), platform, name)
    else:
        assert (only(records).status, only(records).usage) == ("unverified", None)


def test_probed_stream(provider, probing, probed, route):
    options, platform, name = route
    expected = [len(chunk.choices) for chunk in litellm.completion(**options, stream=True)]
    provider.clear()
    chunks = list(probing.wrap(litellm.completion)(**options, stream=True))
    assert [len(chunk.choices) for chunk in chunks] == expected
    assert all(getattr(chunk, "usage", None) is None for chunk in chunks)
    assert ("stream_options" in provider.requests[0].json) is (platform != "anthropic")
    check(only(probed), platform, name)


def test_arguments_by_their_place_stay_there(provider, probing, probed, route):
    options, platform, name = route
    placed = (options.pop("model"), options.pop("messages"), None, None, None, None, True, None)
    assert text(probing.wrap(litellm.completion)(*placed, **options))
    assert ("stream_options" in provider.requests[0].json) is (platform != "anthropic")
    check(only(probed), platform, name)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_server_that_refuses_the_probe_gets_the_call_as_it_was_and_is_not_asked_again(
    provider, probing, probed, asynchronous
):
    options = {"model": "openai/gpt-4o", "api_base": provider.openai_url, "api_key": "none", "messages": MESSAGES}
    provider.reply(b'{"error": {"message": "extra fields not permitted: stream_options"}}', status=422)

    async def call():
        acompletion = probing.wrap(litellm.acompletion)
        for _ in range(2):
            assert [chunk async for chunk in await acompletion(**options, stream=True)]

    if asynchronous:
        asyncio.run(call())
    else:
        completion = probing.wrap(litellm.completion)
        assert text(completion(**options, stream=True))
        assert text(completion(**options, stream=True))
    assert ["stream_options" in request.json for request in provider.requests] == [True, False, False]
    assert [(r.status, r.number) for r in probed] == [("failed", 1), ("unverified", 2), ("unverified", 1)]


def test_next(kit, records, route):
    options, platform, name = route
    stream = kit.wrap(litellm.completion)(**options, stream=True, stream_options={"include_usage": True})
    while next(stream, None) is not None:
        pass
    check(only(records), platform, name)


async def test_async(kit, records, route):
    options, platform, name = route
    acompletion = kit.wrap(litellm.acompletion)
    await acompletion(**options)
    stream = await acompletion(**options, stream=True, stream_options={"include_usage": True})
    assert isinstance(stream, litellm.CustomStreamWrapper)
    async for _ in stream:
        pass
    stream = await acompletion(**options, stream=True, stream_options={"include_usage": True})
    while True:
        try:
            await anext(stream)
        except StopAsyncIteration:
            break
    assert len(records) == 3
    for record in records:
        check(record, platform, name)


def test_positional_arguments_and_messages_of_its_own(provider, kit, records):
    completion = kit.wrap(litellm.completion)
    options = {"api_base": provider.openai_url, "api_key": "none"}
    first = completion("openai/gpt-4o", MESSAGES, **options)
    completion("openai/gpt-4o", [*MESSAGES, first.choices[0].message, *MESSAGES], **options)
    assert [record.status for record in records] == ["settled", "settled"]
    assert len(provider.requests[1].json["messages"]) == 3


def test_its_own_retries_count_once(provider, kit, records, route):
    options, platform, name = route
    provider.behave(failures=1)
    kit.wrap(litellm.completion)(**options, num_retries=2)
    assert len(provider.requests) == 2
    check(only(records), platform, name)


def test_refused(provider, kit, records, route):
    options, *_ = route
    provider.behave(status=400)
    with pytest.raises(litellm.BadRequestError):
        kit.wrap(litellm.completion)(**options)
    assert (only(records).status, only(records).http_status) == ("failed", 400)


def test_over_a_wrapped_client_counts_once(provider, kit, records):
    openai = pytest.importorskip("openai")
    client = kit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"))
    kit.wrap(litellm.completion)(model="openai/gpt-4o", messages=MESSAGES, client=client)
    assert len(records) == 1
    litellm.completion(model="openai/gpt-4o", messages=MESSAGES, client=client)
    assert len(records) == 2, "without the outer door the inner one meters"
    client.close()


@pytest.mark.parametrize("way", ["drop", "break"])
def test_abandoned_stream(kit, records, route, way):
    options, *_ = route
    stream = kit.wrap(litellm.completion)(**options, stream=True)
    if way == "break":
        for _ in stream:
            break
    del stream
    collected(records)
    assert only(records).status == "partial"


def test_router(provider, kit, records):
    deployment = {"model": "openai/gpt-4o", "api_base": provider.openai_url, "api_key": "none"}
    router = litellm.Router(model_list=[{"model_name": "fast", "litellm_params": deployment}])
    kit.wrap(router.completion)(model="fast", messages=MESSAGES)
    asyncio.run(kit.wrap(router.acompletion)(model="fast", messages=MESSAGES))
    assert [(r.status, r.model) for r in records] == [("settled", "gpt-4o")] * 2


def test_an_answer_from_its_own_cache_costs_nothing():
    response = litellm.ModelResponse(usage=litellm.Usage(prompt_tokens=100, completion_tokens=20, total_tokens=120))
    assert answer_of(response).usage.fresh == 100
    response._hidden_params["cache_hit"] = True
    assert answer_of(response).usage == Usage(0, 0, {}, 0)
    assert answer_of(response).cost == 0


def test_writes_by_time_to_live():
    usage = litellm.Usage(
        prompt_tokens=22,
        completion_tokens=9,
        total_tokens=31,
        cache_read_input_tokens=7,
        cache_creation_input_tokens=5,
        prompt_tokens_details={
            "cache_creation_token_details": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}
        },
    )
    assert usage_of(usage) == Usage(fresh=10, read=7, written={"5m": 2, "1h": 3}, output=9)
    assert usage_of(litellm.Usage()) is None, "zeros are what LiteLLM writes where nothing was reported"


def test_what_does_not_add_up_is_said_and_never_negative():
    """A gateway that reports the prompt net of its cache, and audio that was cached."""
    usage = litellm.Usage(
        prompt_tokens=10,
        completion_tokens=5,
        total_tokens=115,
        prompt_tokens_details={"cached_tokens": 100, "audio_tokens": 40},
    )
    answer = answer_of(litellm.ModelResponse(usage=usage))
    assert answer.usage == Usage(fresh=0, read=100, output=5)
    assert answer.problems == ("input buckets sum to 100, the provider reported 10",)


def test_labels(kit, records, route):
    options, *_ = route
    with feature("digest"):
        stream = kit.wrap(litellm.completion)(**options, stream=True)
    list(stream)
    assert only(records).feature == "digest"


def test_a_refused_budget_reaches_the_user(provider, kit, route, monkeypatch):
    def refuse(*_, **__):
        raise BudgetExceeded("spent")

    monkeypatch.setattr(kit, "plan", refuse)
    with pytest.raises(BudgetExceeded):
        kit.wrap(litellm.completion)(**route[0])
    assert provider.requests == []


@pytest.mark.parametrize("name", ["embedding", "text_completion", "token_counter"])
def test_other_functions_are_refused(kit, name):
    with pytest.raises(UnsupportedClientError, match="completion and acompletion"):
        kit.wrap(getattr(litellm, name))
