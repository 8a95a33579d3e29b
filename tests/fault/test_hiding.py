"""While a chunk may be hidden (``usage_probe``), the client gets decoded bytes: whatever breaks, it gets all of them."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from ctxkit import Kit, Policy
from ctxkit.errors import ProviderShapeError
from ctxkit.integrations import exchange, reading, tee
from ctxkit.integrations.reading import Body
from tests.contract.shared import MESSAGES
from tests.fault.test_doors import Ticks, broken

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")


@pytest.fixture
def kit():
    made = Kit(Policy(usage_probe=True))
    yield made
    made.close()


def asked(provider, wrap):
    provider.behave(gzip=True)
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as sdk:
        stream = wrap(sdk).chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        return [chunk.choices[0].delta.content for chunk in stream]


STAGES = {
    "the beginning of the answer": lambda kit, patch: patch.setattr(kit, "began", broken),
    "the timer": lambda kit, patch: patch.setattr(kit, "timer", Ticks(2)),
    "the timer, once the answer has begun": lambda kit, patch: patch.setattr(kit, "timer", Ticks(3)),
    "making the exchange": lambda kit, patch: patch.setattr(exchange.Exchange, "__init__", broken),
    "making the exchange, half way": lambda kit, patch: patch.setattr("ctxkit.integrations.abandoned.watch", broken),
    "sent": lambda kit, patch: patch.setattr(kit, "sent", broken),
    "settle": lambda kit, patch: patch.setattr(kit, "settle", broken),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_the_call_goes_on_unchanged(provider, kit, monkeypatch, stage):
    expected = asked(provider, lambda client: client)
    stage(kit, monkeypatch)
    assert asked(provider, kit.wrap) == expected
    assert kit.faults.counts


def test_bytes_that_cannot_be_read_as_they_pass_stay_as_they_came(provider, kit, monkeypatch):
    monkeypatch.setattr(tee, "_tees", broken)
    provider.behave(gzip=True)
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as sdk:
        stream = kit.wrap(sdk).chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


PAGE = b"<html>" + bytes(range(65, 91)) * 4_000
JSON = b'{"text": "' + bytes(range(65, 91)) * 4_000 + b'"}'


@pytest.mark.parametrize("encoding", ["gzip", "deflate", ""])
@pytest.mark.parametrize("body", [PAGE, JSON], ids=["neither JSON nor events", "JSON that is too large"])
def test_what_is_not_read_is_decoded_all_the_same(monkeypatch, body, encoding):
    monkeypatch.setattr(reading, "LARGEST", 1_000)
    sent = {"gzip": gzip.compress, "deflate": zlib.compress, "": bytes}[encoding](body)
    read = Body("openai.chat", "openai", encoding=encoding, hide_usage=True)
    shown = [read.feed(sent[start : start + 50]) for start in range(0, len(sent), 50)]
    assert b"".join(shown) + read.finish() == body


@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_a_framing_that_is_broken_stays_as_it_is(encoding):
    read = Body("openai.chat", "openai", "application/vnd.amazon.eventstream", encoding, hide_usage=True)
    sent = gzip.compress(PAGE) if encoding else PAGE
    assert b"".join([read.feed(sent[:100]), read.feed(sent[100:]), read.finish()]) == PAGE
    assert isinstance(read.error, ProviderShapeError)


def test_an_answer_that_is_there_already_loses_the_chunk_too(kit):
    """Transports that record or cache give whole answers."""
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    said = {**chunk, "choices": [{"index": 0, "delta": {"content": "four"}, "finish_reason": "stop"}]}
    usage = {**chunk, "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}
    whole = b"data: %b\n\ndata: %b\n\ndata: [DONE]\n\n" % (json.dumps(said).encode(), json.dumps(usage).encode())
    with openai.DefaultHttpxClient() as default:
        library = tee.library_of(default)
    with library.Client(transport=library.MockTransport(lambda _: library.Response(200, content=whole))) as client:
        sdk = openai.OpenAI(base_url="http://there/v1", api_key="none", http_client=kit.attach(client))
        stream = sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        assert [chunk.choices[0].delta.content for chunk in stream] == ["four"]
    (record,) = kit.ledger.records()
    assert (record.status, record.usage.output) == ("settled", 1)


def test_a_fault_while_a_fault_is_noted_costs_no_byte(provider, monkeypatch):
    """An answer that may be kept cannot be read, and nobody can be told so."""
    kit = Kit(Policy(answers=True))
    monkeypatch.setattr(Body, "feed", broken)
    monkeypatch.setattr("ctxkit.hall.answering._Lead.abandon", broken)
    with openai.OpenAI(base_url=provider.openai_url, api_key="none", max_retries=0) as sdk:
        assert kit.wrap(sdk).chat.completions.create(model="gpt-4o", messages=MESSAGES).choices
    assert kit.faults.counts["door: answers: BrokenError"]
    kit.close()
