"""Where a plan changes the body: the new one leaves, its length and signature are right, the caller's stays as it was.

No policy of this version edits; the doors carry an edit all the same, so that is tried with a plan that makes one.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.contract.shared import MESSAGES, only

ADDED = {"role": "assistant", "content": "An edit: 漢字."}


@pytest.fixture
def editing(kit, monkeypatch):
    """A kit whose plans add one message."""
    plan = kit._plan  # of plan and aplan alike

    def edited(blank, *options):
        made, body = plan(blank, *options), blank.body
        content = ADDED["content"] if made.dialect != "bedrock.converse" else [{"text": ADDED["content"]}]
        return replace(made, body={**body, "messages": [*body["messages"], {**ADDED, "content": content}]})

    monkeypatch.setattr(kit, "_plan", edited)
    return kit


def sent(provider):
    request = provider.requests[0]
    assert request.headers["content-length"] == str(len(request.body))
    assert ADDED["content"] in json.dumps(request.json, ensure_ascii=False)
    return request


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_openai(provider, editing, records, asynchronous):
    openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    messages = copy.deepcopy(MESSAGES)
    options = {"base_url": provider.openai_url, "api_key": "none"}
    provider.behave(gzip=True)
    if asynchronous:

        async def call():
            async with openai.AsyncOpenAI(**options) as sdk:
                await editing.wrap(sdk).chat.completions.create(model="gpt-4o", messages=messages)

        asyncio.run(call())
    else:
        with openai.OpenAI(**options) as sdk:
            editing.wrap(sdk).chat.completions.create(model="gpt-4o", messages=messages)
    assert messages == MESSAGES
    assert "deflate" in sent(provider).headers["accept-encoding"], "it is the client's own affair"
    assert only(records).status == "settled"


def test_a_redirect_is_not_edited_twice(provider, editing, records):
    openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    provider.behave(redirects=1)
    with openai.OpenAI(base_url=provider.openai_url, api_key="none") as sdk:
        editing.wrap(sdk).chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert len(provider.requests[1].json["messages"]) == 2
    assert provider.requests[0].body == provider.requests[1].body
    assert only(records).status == "settled"


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_anthropic(provider, editing, records, asynchronous):
    anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")
    messages = copy.deepcopy(MESSAGES)
    ask = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": messages}
    options = {"base_url": provider.anthropic_url, "api_key": "none"}
    if asynchronous:

        async def call():
            async with anthropic.AsyncAnthropic(**options) as sdk:
                await editing.wrap(sdk).messages.create(**ask)

        asyncio.run(call())
    else:
        with anthropic.Anthropic(**options) as sdk:
            editing.wrap(sdk).messages.create(**ask)
    assert messages == MESSAGES
    sent(provider)
    assert only(records).status == "settled"


def signature(request, url):
    """The signature that AWS would compute over what it received, beside the one that came along."""
    auth = importlib.import_module("botocore.auth")
    awsrequest = importlib.import_module("botocore.awsrequest")
    credentials = importlib.import_module("botocore.credentials").Credentials("none", "none")
    given = dict(
        part.strip().partition("=")[::2] for part in request.headers["authorization"].partition(" ")[2].split(",")
    )
    path = "/".join(quote(part, safe="%") for part in request.path.split("/"))
    headers = {name: request.headers[name] for name in given["SignedHeaders"].split(";")}
    received = awsrequest.AWSRequest(request.method, url + path, headers, request.body)
    received.context["timestamp"] = request.headers["x-amz-date"]
    signer = auth.SigV4Auth(credentials, "bedrock", "eu-west-1")
    canonical = signer.canonical_request(received)
    return signer.signature(signer.string_to_sign(received, canonical), received), given["Signature"]


@pytest.mark.parametrize("operation", ["converse", "converse_stream", "invoke_model"])
def test_boto3_signs_what_leaves(provider, editing, operation):
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none", "region_name": "eu-west-1"}
    client = editing.wrap(boto3.client("bedrock-runtime", endpoint_url=provider.bedrock_url, **keys))
    model = "amazon.nova-lite-v1:0"
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]
    before = copy.deepcopy(messages)
    if operation == "invoke_model":
        client.invoke_model(modelId=model, body=json.dumps({"messages": messages}))["body"].read()
    elif operation == "converse":
        client.converse(modelId=model, messages=messages)
    else:
        list(client.converse_stream(modelId=model, messages=messages)["stream"])
    client.close()
    assert messages == before
    computed, given = signature(sent(provider), provider.bedrock_url)
    assert computed == given


def test_anthropic_bedrock_signs_what_leaves(provider, editing, records):
    anthropic = pytest.importorskip("anthropic", reason="the Anthropic SDK is not installed")
    pytest.importorskip("boto3", reason="boto3 is not installed")
    with anthropic.AnthropicBedrock(
        base_url=provider.bedrock_url, aws_access_key="none", aws_secret_key="none", aws_region="eu-west-1"
    ) as sdk:
        editing.wrap(sdk).messages.create(model="anthropic.claude-opus-4-8", max_tokens=9, messages=MESSAGES)
    computed, given = signature(sent(provider), provider.bedrock_url)
    assert computed == given
    assert only(records).status == "settled"


def test_a_signed_request_at_an_http_door_is_not_edited(provider, editing, records):
    library = pytest.importorskip("httpx2", reason="httpx2 is not installed")
    with library.Client(base_url=provider.base_url) as client:
        editing.attach(client)
        client.post(
            "/v1/chat/completions",
            json={"model": "gpt-4o", "messages": MESSAGES},
            headers={"authorization": "AWS4-HMAC-SHA256 Credential=none"},
        )
    assert provider.requests[0].json["messages"] == MESSAGES
    assert only(records).status == "settled"
    assert editing.faults.counts["door: signed request"] == 1
