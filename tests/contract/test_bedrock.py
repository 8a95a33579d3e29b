"""boto3's bedrock-runtime client by botocore's events."""

from __future__ import annotations

import json

import pytest

from ctxkit import feature
from ctxkit.errors import BudgetExceeded, UnsupportedClientError
from ctxkit.integrations.nesting import nested
from tests.contract.shared import collected, only, settled, wire

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
from botocore import eventstream  # noqa: E402
from botocore.awsrequest import AWSResponse  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError  # noqa: E402
from botocore.response import StreamingBody  # noqa: E402

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "meta.llama3-8b-instruct-v1:0"
CONVERSE = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "What is 2 + 2?"}]}]}
INVOKE = {
    "modelId": MODEL,
    "body": json.dumps(
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "What is 2 + 2?"}],
        }
    ),
}


def made(provider, attempts=1, service="bedrock-runtime"):
    return boto3.client(
        service,
        endpoint_url=provider.bedrock_url,
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        config=Config(retries={"total_max_attempts": attempts}),
    )


@pytest.fixture
def client(provider, kit):
    sdk = made(provider)
    yield kit.wrap(sdk)
    sdk.close()


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    return value


def filled(body):
    buffer, found = bytearray(50), b""
    while count := body.readinto(buffer):
        found += bytes(buffer[:count])
    return found


def inside(body):
    with body as raw:
        return raw.read()


READS = {
    "read": lambda body: body.read(),
    "read in pieces": lambda body: b"".join(iter(lambda: body.read(7), b"")),
    "iterate": b"".join,
    "iter_chunks": lambda body: b"".join(body.iter_chunks(10)),
    "iter_lines": lambda body: b"\n".join(body.iter_lines()),
    "readlines": lambda body: b"".join(body.readlines()),
    "next": lambda body: b"".join(iter(lambda: next(body, b""), b"")),
    "readinto": filled,
    "json": lambda body: json.dumps(json.load(body), separators=(",", ":"), ensure_ascii=False).encode(),
    "with": inside,
}
CALLS = {
    "converse": ("bedrock.converse", lambda c: plain(c.converse(**CONVERSE))),
    "converse_stream": ("bedrock.converse", lambda c: list(c.converse_stream(**CONVERSE)["stream"])),
    "invoke_model": ("bedrock.invoke", lambda c: c.invoke_model(**INVOKE)["body"].read()),
    "invoke_model_with_response_stream": (
        "bedrock.invoke",
        lambda c: list(c.invoke_model_with_response_stream(**INVOKE)["body"]),
    ),
}


@pytest.mark.parametrize(("dialect", "call"), CALLS.values(), ids=CALLS)
def test_every_way_of_calling_settles_once_and_changes_nothing(provider, kit, records, dialect, call):
    bare = made(provider)
    expected = call(bare)
    bare.close()
    sent = wire(provider)
    provider.clear()
    sdk = made(provider)
    assert kit.wrap(sdk) is sdk
    assert call(sdk) == expected
    sdk.close()
    assert wire(provider) == sent, "not one byte of the request may change"
    settled(records, dialect, model=MODEL, platform="bedrock", number=1)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_every_way_of_reading_a_body(provider, kit, records, read):
    bare = made(provider)
    expected = bare.invoke_model(**INVOKE)["body"].read()
    bare.close()
    provider.clear()
    sdk = kit.wrap(made(provider))
    response = sdk.invoke_model(**INVOKE)
    assert isinstance(response["body"], StreamingBody)
    assert read(response["body"]) == expected
    response["body"].close()
    sdk.close()
    settled(records, "bedrock.invoke")


def test_a_body_that_is_read_exactly_and_closed_is_whole(client, records):
    response = client.invoke_model(**INVOKE)
    length = int(response["ResponseMetadata"]["HTTPHeaders"]["content-length"])
    assert len(response["body"].read(length)) == length
    response["body"].close()
    settled(records, "bedrock.invoke")


def test_a_body_nobody_reads_is_counted_by_its_headers(client, records):
    client.invoke_model(**INVOKE)["body"].close()
    record = only(records)
    assert (record.status, record.usage.fresh, record.usage.output) == ("settled", 36, 20)


def test_tokens_that_stand_in_headers_alone(client, records):
    body = json.dumps({"prompt": "What is 2 + 2?"})
    client.invoke_model(modelId=LLAMA, body=body)["body"].read()
    record = only(records)
    assert (record.status, record.usage.fresh, record.usage.output) == ("settled", 36, 20)


@pytest.mark.parametrize("kind", [str.encode, bytearray], ids=["bytes", "bytearray"])
def test_bodies_of_other_kinds(client, records, kind):
    raw = INVOKE["body"].encode()
    client.invoke_model(modelId=MODEL, body=raw if kind is str.encode else bytearray(raw))["body"].read()
    settled(records, "bedrock.invoke")


def test_a_file_as_body_is_sent_and_counted_as_unmetered(client, kit, provider, tmp_path):
    file = tmp_path / "body.json"
    file.write_text(INVOKE["body"], encoding="utf-8")
    with file.open("rb") as body:
        client.invoke_model(modelId=MODEL, body=body)["body"].read()
    assert provider.requests[0].body == INVOKE["body"].encode()
    (record,) = kit.ledger.records()
    assert record.status == "unmetered"


def test_the_record_is_there_with_the_metadata_event(client, records):
    seen = [(next(iter(event)), len(records)) for event in client.converse_stream(**CONVERSE)["stream"]]
    assert seen[-1] == ("metadata", 1)
    assert {count for _, count in seen[:-1]} == {0}
    settled(records, "bedrock.converse", stream=True)


def test_the_stream_keeps_its_type_and_its_methods(client, records):
    stream = client.converse_stream(**CONVERSE)["stream"]
    assert isinstance(stream, eventstream.EventStream)
    assert stream._operation_name == "ConverseStream"
    stream.close()
    assert only(records).status == "partial"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_that_is_dropped_is_partial(client, records):
    stream = client.converse_stream(**CONVERSE)["stream"]
    next(iter(stream))
    del stream
    collected(records)
    assert only(records).status == "partial"


def test_a_stream_can_be_left_and_taken_up_again(client, records):
    stream = client.converse_stream(**CONVERSE)["stream"]
    for _ in stream:
        break
    assert records == []
    for _ in stream:
        pass
    settled(records, "bedrock.converse")


def test_the_dictionaries_of_the_caller_are_untouched(client):
    params = json.loads(json.dumps(CONVERSE))
    client.converse(**params)
    assert params == CONVERSE


def test_retries_of_botocore_are_inside_one_attempt(provider, kit, records):
    provider.behave(failures=2)
    sdk = kit.wrap(made(provider, attempts=3))
    sdk.converse(**CONVERSE)
    sdk.close()
    assert len(provider.requests) == 3
    settled(records, "bedrock.converse", number=1)


@pytest.mark.parametrize("call", [call for _, call in CALLS.values()], ids=CALLS)
def test_refused(provider, client, records, call):
    provider.behave(status=400)
    with pytest.raises(ClientError):
        call(client)
    assert (only(records).status, only(records).http_status) == ("failed", 400)


def test_no_connection(provider, client, records):
    provider.close()
    with pytest.raises(EndpointConnectionError):
        client.converse(**CONVERSE)
    assert (only(records).status, only(records).http_status) == ("failed", None)


def test_a_call_that_botocore_refuses_itself(client, records):
    with pytest.raises(ParamValidationError):
        client.converse(modelId=MODEL, messages="no list")
    collected(records)
    assert only(records).status in {"failed", "unmetered"}


def test_wrapping_twice_meters_once(provider, kit, records):
    sdk = made(provider)
    kit.wrap(kit.wrap(sdk)).converse(**CONVERSE)
    sdk.close()
    settled(records, "bedrock.converse")


def test_two_kits(provider, kit, records, probing, probed):
    sdk = made(provider)
    probing.wrap(kit.wrap(sdk))
    CALLS["converse_stream"][1](sdk)
    CALLS["invoke_model"][1](sdk)
    sdk.close()
    assert [r.status for r in records] == [r.status for r in probed] == ["settled", "settled"]


def test_an_answer_put_in_by_a_test_of_the_user(client, records):
    """``before-call`` may answer in place of the service (as botocore's Stubber does)."""
    answer = {"output": {}, "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}, "stopReason": "end_turn"}
    http = AWSResponse("http://stub", 200, {}, None)
    client.meta.events.register("before-call.bedrock-runtime.Converse", lambda **_: (http, answer))
    assert client.converse(**CONVERSE) is answer
    assert only(records).usage.fresh == 3


def test_labels(client, records):
    with feature("digest", team="news"):
        stream = client.converse_stream(**CONVERSE)["stream"]
    list(stream)
    assert (only(records).feature, dict(only(records).labels)) == ("digest", {"team": "news"})


def test_inner_doors_stand_aside(client, kit, records):
    with nested():
        client.converse(**CONVERSE)
    assert records == []


def test_a_refused_budget_reaches_the_user(client, kit, provider, monkeypatch):
    def refuse(*_, **__):
        raise BudgetExceeded("spent")

    monkeypatch.setattr(kit, "plan", refuse)
    with pytest.raises(BudgetExceeded):
        client.converse(**CONVERSE)
    assert provider.requests == []


def test_other_services_are_refused(provider, kit):
    sdk = made(provider, service="bedrock")
    with pytest.raises(UnsupportedClientError, match="bedrock-runtime"):
        kit.wrap(sdk)
    sdk.close()
