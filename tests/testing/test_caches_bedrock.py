"""Bedrock's cache behind boto3: checkpoints, their lives, what is refused (AWS, prompt caching, 2026-09)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.testing.caching import Metered, text

SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"
POINT = {"cachePoint": {"type": "default"}}
HOUR = {"cachePoint": {"type": "default", "ttl": "1h"}}


@pytest.fixture
def client(metered: Metered) -> Any:
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    url = metered.provider.bedrock_url
    client = boto3.client("bedrock-runtime", endpoint_url=url, region_name="us-east-1", config=config, **keys)
    yield metered.kit.wrap(client)
    client.close()


def said(tokens: int, about: str) -> dict[str, Any]:
    return {"text": text(tokens, about)}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def converse(client: Any, *messages: dict[str, Any], stream: bool = False, model: str = SONNET, **options: Any) -> Any:
    def call() -> Any:
        asked = {"modelId": model, "messages": list(messages), **options}
        return list(client.converse_stream(**asked)["stream"]) if stream else client.converse(**asked)

    return call


@pytest.mark.parametrize("stream", [False, True])
def test_b1_b2_b5_a_checkpoint_is_a_block_of_its_own(client: Any, metered: Metered, stream: bool) -> None:
    system = [said(1_500, "s"), POINT]
    call = converse(client, user(said(40, "q")), system=system, stream=stream)
    assert metered.of(call) == (0, {"5m": 1_500}, 40)
    assert metered.of(call) == (1_500, {}, 40)


@pytest.mark.parametrize("stream", [False, True])
def test_b5_writes_are_told_by_time_to_live(client: Any, metered: Metered, stream: bool) -> None:
    answers = []
    turns = user(said(600, "q"), POINT, said(7, "r"))
    call = converse(client, turns, system=[said(1_500, "s"), HOUR], stream=stream)
    assert metered.of(lambda: answers.append(call())) == (0, {"1h": 1_500, "5m": 600}, 7)
    usage = answers[0][-1]["metadata"]["usage"] if stream else answers[0]["usage"]
    assert usage["cacheWriteInputTokens"] == 2_100 == sum(part["inputTokens"] for part in usage["cacheDetails"])
    assert usage["inputTokens"] == 7


def test_b3_b7_the_minimum_is_that_of_the_whole_prefix(client: Any, metered: Metered) -> None:
    assert metered.of(converse(client, user(said(40, "q")), system=[said(1_000, "s"), POINT])) == (0, {}, 1_040)
    both = converse(client, user(said(24, "q"), POINT), system=[said(1_000, "s"), POINT])
    assert metered.of(both) == (0, {"5m": 1_024}, 0)


def test_b4_minimums_are_those_of_the_platform(client: Any, metered: Metered) -> None:
    opus = "anthropic.claude-opus-4-7"
    for tokens, written in ((4_095, {}), (4_096, {"5m": 4_096})):
        assert metered.of(converse(client, user(said(tokens, f"{tokens}"), POINT), model=opus))[1] == written


def test_b6_a_checkpoint_on_a_model_without_is_an_error(client: Any, metered: Metered) -> None:
    errors = pytest.importorskip("botocore.exceptions")
    with pytest.raises(errors.ClientError) as caught:
        converse(client, user(said(4_000, "q"), POINT), model="meta.llama3-1-70b-instruct-v1:0")()
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "cachePoint" in caught.value.response["Error"]["Message"]
    assert not metered.caches.state.entries


def test_five_checkpoints_are_refused(client: Any) -> None:
    errors = pytest.importorskip("botocore.exceptions")
    blocks = [block for number in range(5) for block in (said(500, f"{number}"), POINT)]
    with pytest.raises(errors.ClientError, match="maximum of 4") as caught:
        converse(client, user(*blocks))()
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_tools_have_checkpoints(client: Any, metered: Metered) -> None:
    tool = {"toolSpec": {"name": "add", "description": text(1_200, "t"), "inputSchema": {"json": {}}}}
    call = converse(client, user(said(40, "q")), toolConfig={"tools": [tool, POINT]})
    read, written, fresh = metered.of(call)
    assert (read, fresh) == (0, 40)
    assert written["5m"] > 1_200
    assert metered.of(converse(client, user(said(50, "r")), toolConfig={"tools": [tool, POINT]})) == (
        written["5m"],
        {},
        50,
    )


def test_regions_share_nothing(client: Any, metered: Metered) -> None:
    boto3 = pytest.importorskip("boto3")
    call = converse(client, user(said(1_500, "q"), POINT))
    metered.of(call)
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
    other = boto3.client("bedrock-runtime", endpoint_url=metered.provider.bedrock_url, region_name="eu-west-1", **keys)
    usage = converse(other, user(said(1_500, "q"), POINT))()["usage"]
    assert (usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]) == (0, 1_500)
    other.close()


@pytest.mark.parametrize("stream", [False, True])
def test_claude_invoked_in_its_own_format_has_the_same_cache(client: Any, metered: Metered, stream: bool) -> None:
    block = {"type": "text", "text": text(1_500, "q"), "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [user(block)]}

    def call() -> Any:
        asked = {"modelId": SONNET, "body": json.dumps(body)}
        if stream:
            return list(client.invoke_model_with_response_stream(**asked)["body"])
        return client.invoke_model(**asked)["body"].read()

    assert metered.of(call) == (0, {"1h": 1_500}, 0)
    assert metered.of(call) == (1_500, {}, 0)
