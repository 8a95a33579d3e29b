"""Anthropic's cache behind the real client: what its page says of reads, writes, refusals and diagnoses (2026-08-22)."""

from __future__ import annotations

from typing import Any

import pytest

from ctxkit import dialects
from ctxkit.testing import Tokens
from tests.testing.caching import Metered, text

OPUS = "claude-opus-5"


@pytest.fixture
def client(metered: Metered) -> Any:
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=metered.provider.anthropic_url, api_key="none", max_retries=0) as client:
        yield metered.kit.wrap(client)


def marked(tokens: int, about: str, ttl: str = "") -> dict[str, Any]:
    marker = {"type": "ephemeral", "ttl": ttl} if ttl else {"type": "ephemeral"}
    return {"type": "text", "text": text(tokens, about), "cache_control": marker}


def plain(tokens: int, about: str) -> dict[str, Any]:
    return {"type": "text", "text": text(tokens, about)}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def asking(client: Any, *blocks: dict[str, Any], stream: bool = False, **options: Any) -> Any:
    asked = {"model": OPUS, "max_tokens": 100, "messages": [user(*blocks)], **options}

    def call() -> Any:
        if not stream:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as events:
            return events.get_final_message()

    return call


@pytest.mark.parametrize("stream", [False, True])
def test_a2_a_marker_further_on_reads_the_earlier_prefix(client: Any, metered: Metered, stream: bool) -> None:
    ten = [plain(100, f"block {number}") for number in range(10)]
    more = [plain(100, f"block {number}") for number in range(10, 15)]
    first = [*ten[:-1], marked(100, "block 9")]
    assert metered.of(asking(client, *first, stream=stream)) == (0, {"5m": 1_000}, 0)
    second = [*ten, *more[:-1], marked(100, "block 14")]
    assert metered.of(asking(client, *second, stream=stream)) == (1_000, {"5m": 500}, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a12_two_lives_are_written_and_reported_apart(client: Any, metered: Metered, stream: bool) -> None:
    head, middle, tail = marked(1_000, "a", "1h"), marked(600, "b", "1h"), marked(700, "c")
    rest = plain(30, "d")
    assert metered.of(asking(client, head, stream=stream)) == (0, {"1h": 1_000}, 0)
    assert metered.of(asking(client, head, middle, tail, rest, stream=stream)) == (1_000, {"1h": 600, "5m": 700}, 30)


def test_a1_without_markers_nothing_is_cached(client: Any, metered: Metered) -> None:
    for _ in range(2):
        assert metered.of(asking(client, plain(5_000, "long"))) == (0, {}, 5_000)


def test_a8_the_clock_is_the_one_given(client: Any, metered: Metered) -> None:
    call = asking(client, marked(600, "a"))
    assert metered.of(call)[0] == 0
    metered.clock.now += 299
    assert metered.of(call)[0] == 600
    metered.clock.now += 299
    assert metered.of(call)[0] == 600
    metered.clock.now += 301
    assert metered.of(call) == (0, {"5m": 600}, 0)


def test_tools_and_system_stand_before_the_messages(client: Any, metered: Metered) -> None:
    tool = {"name": "add", "input_schema": {"type": "object"}}
    call = asking(client, plain(40, "q"), tools=[tool], system=[marked(600, "s")])
    read, written, fresh = metered.of(call)
    assert (read, fresh) == (0, 40)
    assert written["5m"] > 600
    other = asking(client, plain(50, "r"), tools=[tool], system=[marked(600, "s")])
    assert metered.of(other) == (written["5m"], {}, 50)
    changed = asking(client, plain(50, "r"), tools=[{**tool, "name": "sub"}], system=[marked(600, "s")])
    assert metered.of(changed)[0] == 0


def test_another_key_is_another_organisation(client: Any, metered: Metered) -> None:
    call = asking(client, marked(600, "a"))
    metered.of(call)
    other = client.with_options(api_key="another")
    assert metered.of(asking(other, marked(600, "a"))) == (0, {"5m": 600}, 0)
    assert metered.of(call)[0] == 600


@pytest.mark.parametrize(
    ("blocks", "options", "said"),
    [
        ([marked(100, str(number)) for number in range(5)], {}, "maximum of 4"),
        ([marked(100, "a"), marked(100, "b", "1h")], {}, "must not come after"),
        ([marked(100, "a", "2h")], {}, "ttl"),
        ([{"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}], {}, "cannot be set"),
        ([marked(100, "a")], {"max_tokens": 0, "stream": True}, "stream"),
        (
            [marked(100, "a")],
            {"max_tokens": 0, "thinking": {"type": "enabled", "budget_tokens": 1_024}},
            "thinking",
        ),
        ([marked(100, "a")], {"max_tokens": 0, "tool_choice": {"type": "any"}, "tools": []}, "tool_choice"),
        (
            [marked(100, "a")],
            {"max_tokens": 0, "output_config": {"format": {"type": "json_schema", "schema": {}}}},
            "output_config",
        ),
    ],
)
def test_a5_a6_a18_what_the_provider_refuses_is_400_in_its_own_shape(
    client: Any, metered: Metered, blocks: list[Any], options: dict[str, Any], said: str
) -> None:
    anthropic = pytest.importorskip("anthropic")
    with pytest.raises(anthropic.BadRequestError) as caught:
        asking(client, *blocks, **{key: value for key, value in options.items() if key != "stream"} | options)()
    error = caught.value.body["error"]
    assert error["type"] == "invalid_request_error"
    assert said in error["message"]
    assert not metered.caches.state.entries


def test_a18_a_request_for_no_tokens_fills_the_cache(client: Any, metered: Metered) -> None:
    answers = []
    shared = marked(600, "shared")
    assert metered.of(lambda: answers.append(asking(client, shared, plain(1, "x"), max_tokens=0)())) == (
        0,
        {"5m": 600},
        1,
    )
    (answer,) = answers
    assert (answer.content, answer.stop_reason, answer.usage.output_tokens) == ([], "max_tokens", 0)
    assert metered.of(asking(client, shared, plain(20, "question"))) == (600, {}, 20)


def test_below_the_minimum_nothing_is_cached_and_nothing_is_said(client: Any, metered: Metered) -> None:
    assert metered.of(asking(client, marked(511, "a"))) == (0, {}, 511)
    assert metered.of(asking(client, marked(512, "a"))) == (0, {"5m": 512}, 0)


def test_an_unknown_model_caches_nothing(client: Any, metered: Metered) -> None:
    for _ in range(2):
        assert metered.of(asking(client, marked(600, "a"), model="claude-opus-99")) == (0, {}, 600)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"system": [marked(600, "other")]}, ("system_changed", 650)),
        ({"tools": [{"name": "sub", "input_schema": {}}]}, ("tools_changed", 650)),
        ({"model": "claude-sonnet-5"}, ("model_changed", 650)),
        ({"messages": [user(plain(60, "elsewhere"))]}, ("messages_changed", 50)),
        ({"tool_choice": {"type": "none"}}, ("unavailable", None)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a19_the_first_divergence_is_told_to_who_asks(
    client: Any, metered: Metered, change: dict[str, Any], expected: Any, stream: bool
) -> None:
    first = {"system": [marked(600, "s")]}
    told = asking(client, plain(50, "q"), **first, **comparing(None), stream=stream)()
    assert told.to_dict()["diagnostics"] is None
    messages = [user(plain(50, "q")), {"role": "assistant", "content": "Fine."}, user(plain(10, "r"))]
    again = {**first, "messages": messages, **change, **comparing(told.id)}
    found = asking(client, **again, stream=stream)().to_dict()["diagnostics"]
    if expected is None:
        assert found is None
        return
    reason = found["cache_miss_reason"]
    assert (reason["type"], reason.get("cache_missed_input_tokens")) == expected


def comparing(earlier: str | None) -> dict[str, Any]:
    """Older clients know no argument for it."""
    return {"extra_body": {"diagnostics": {"previous_message_id": earlier}}}


def test_a19_not_asked_for_not_told_and_unknown_ids_are_not_found(client: Any) -> None:
    assert "diagnostics" not in asking(client, plain(50, "q"))().to_dict()
    found = asking(client, plain(50, "q"), **comparing("msg_never"))().to_dict()["diagnostics"]
    assert found == {"cache_miss_reason": {"type": "previous_message_not_found"}}


def test_ctxkit_reads_the_diagnosis(client: Any) -> None:
    earlier = asking(client, plain(50, "q"))()
    later = asking(client, plain(60, "r"), **comparing(earlier.id))()
    dialect = dialects.get("anthropic.messages")
    assert dialect is not None
    found = dialect.answer(later.to_dict(), "anthropic").diagnosis
    assert found is not None
    assert (found.state, found.type, found.missed) == ("missed", "messages_changed", 50)


def test_counting_agrees_with_what_is_billed(client: Any, metered: Metered) -> None:
    messages = [user(plain(70, "a"), marked(30, "b"))]
    assert client.messages.count_tokens(model=OPUS, messages=messages).input_tokens == 100


def test_usage_that_is_told_by_hand_stays(client: Any, metered: Metered) -> None:
    metered.provider.behave(tokens=Tokens(input=10, output=2, read=4))
    usage = asking(client, marked(600, "a"))().usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (6, 4)
