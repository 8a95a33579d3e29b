"""Answers reused through boto3: botocore's own parser reads them, and nothing is signed or sent."""

from __future__ import annotations

import json

import pytest

from tests.contract.answers.answering import at_once, sent_once, sent_twice

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
from botocore.config import Config  # noqa: E402
from botocore.eventstream import EventStream  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

from tests.contract.test_bedrock import CONVERSE, INVOKE, made, plain  # noqa: E402


@pytest.fixture
def client(provider, kit):
    sdk = made(provider)
    yield kit.wrap(sdk)
    sdk.close()


def asker(provider, key="none", secret="none", region="eu-west-1"):
    return boto3.client(
        "bedrock-runtime",
        endpoint_url=provider.bedrock_url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


CALLS = {
    "converse": lambda c: plain(c.converse(**CONVERSE)),
    "converse_stream": lambda c: list(c.converse_stream(**CONVERSE)["stream"]),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_way_of_calling_is_sent_once(provider, kit, client, call):
    sent_once(provider, kit, lambda: call(client))


def test_it_looks_as_if_it_had_come(client):
    first, again = client.converse(**CONVERSE), client.converse(**CONVERSE)
    told = again["ResponseMetadata"]
    assert told["HTTPHeaders"]["x-ctxkit-answer"] == "reused"
    assert (told["HTTPStatusCode"], told["RetryAttempts"]) == (200, 0)
    assert told.get("RequestId") == first["ResponseMetadata"].get("RequestId")


def test_a_stream_is_botocores_own(provider, client):
    list(client.converse_stream(**CONVERSE)["stream"])
    stream = client.converse_stream(**CONVERSE)["stream"]
    assert type(stream) is EventStream
    assert "messageStart" in next(iter(stream))
    stream.close()
    assert list(stream) == []
    assert len(provider.requests) == 1


def test_handlers_of_the_users_own_see_it(client):
    seen = []
    name = "after-call.bedrock-runtime.Converse"
    client.meta.events.register(
        name, lambda http_response, parsed, **_: seen.append((http_response.status_code, parsed))
    )
    first, again = client.converse(**CONVERSE), client.converse(**CONVERSE)
    assert seen == [(200, first), (200, again)]


def test_other_credentials_and_regions_are_somebody_else(provider, kit, client):
    client.converse(**CONVERSE)
    for who in ({"key": "other"}, {"secret": "other"}, {"region": "us-east-1"}):
        kit.wrap(asker(provider, **who)).converse(**CONVERSE)
    assert len(provider.requests) == 4
    kit.wrap(asker(provider)).converse(**CONVERSE)
    assert len(provider.requests) == 4


def test_credentials_that_are_renewed_are_those_of_one_client(provider, kit, monkeypatch):
    from botocore.credentials import RefreshableCredentials

    def renewing():
        sdk = asker(provider)
        signer = sdk._request_signer
        then = signer._credentials
        names = {"access_key": then.access_key, "secret_key": then.secret_key, "token": None}
        signer._credentials = RefreshableCredentials.create_from_metadata(
            {**names, "expiry_time": "2999-01-01T00:00:00Z"}, refresh_using=dict, method="test"
        )
        return kit.wrap(sdk)

    one, other = renewing(), renewing()
    for client in (one, one, other, other):
        client.converse(**CONVERSE)
    assert len(provider.requests) == 2


def test_what_is_asked_by_invoke_goes_out(provider, client):
    for _ in range(2):
        client.invoke_model(**INVOKE)["body"].read()
    assert len(provider.requests) == 2


@pytest.mark.parametrize("stop", ["max_tokens", "guardrail_intervened", "content_filtered"])
def test_answers_that_are_not_whole_are_asked_for_again(provider, kit, client, stop):
    message = {"role": "assistant", "content": [{"text": "Four."}]}
    usage = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}
    body = {"output": {"message": message}, "stopReason": stop, "usage": usage, "metrics": {"latencyMs": 1}}
    for _ in range(2):
        provider.reply(json.dumps(body).encode())
    sent_twice(provider, kit, lambda: client.converse(**CONVERSE))


def test_errors_and_streams_that_are_left_are_asked_for_again(provider, kit, client):
    def left():
        client.converse_stream(**CONVERSE)["stream"].close()

    def refused():
        with pytest.raises(ClientError):
            client.converse(**CONVERSE)

    sent_twice(provider, kit, left)
    provider.behave(status=400)
    sent_twice(provider, kit, refused)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_threads_that_ask_the_same_send_one_request(provider, kit, client, call):
    at_once(provider, kit, lambda: call(client))


def test_an_answer_that_somebody_else_puts_in_is_not_kept(kit, client):
    from botocore.stub import Stubber

    def stubbed(text):
        message = {"role": "assistant", "content": [{"text": text}]}
        usage = {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}
        told = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 1}}
        with Stubber(client) as stubber:
            stubber.add_response("converse", told)
            return client.converse(**CONVERSE)["output"]["message"]["content"][0]["text"]

    assert [stubbed("one"), stubbed("two")] == ["one", "two"]
    assert kit.answers.tally.kept == 0
