"""Recorded exchanges of Anthropic, Gemini and Bedrock: every request is read, every answer's figures are the provider's.

What is expected is worked out here a second time, from the recorded ``usage`` alone. The recordings also carry a
normalised count of their own (``n``); where it differs, :func:`why_n_differs` names the reason.
Recorded Bedrock streams kept no bytes, only their merged usage: their events are built again from it.
"""

import base64
import json
import lzma
from collections import Counter
from itertools import chain

import pytest

from ctxkit import dialects
from ctxkit.dialects import sse, wire
from ctxkit.errors import ProviderShapeError

DIALECTS = {
    "messages": "anthropic.messages",
    "generate": "gemini.generate",
    "generate_stream": "gemini.generate",
    "converse": "bedrock.converse",
    "converse_stream": "bedrock.converse",
    "invoke": "bedrock.invoke",
    "invoke_stream": "bedrock.invoke",
}
RUBY = "crmne/ruby_llm"
METRICS = "amazon-bedrock-invocationMetrics"


@pytest.fixture(scope="module")
def exchanges(recorded):
    """(request record, raw answer or None) of these formats."""
    found = {}
    for record in lines(recorded / "exchanges" / "requests.jsonl.xz"):
        if record["endpoint"] in DIALECTS:
            found[record["id"]] = [record, None]
    for record in lines(recorded / "exchanges" / "responses.jsonl.xz"):
        if record["id"] in found:
            found[record["id"]][1] = record["body"]
    return list(found.values())


def lines(path):
    with lzma.open(path) as file:
        yield from map(wire.loads, file)


def dialect_of(record):
    return dialects.get(DIALECTS[record["endpoint"]])


@pytest.mark.slow
def test_every_request_is_read(exchanges):
    seen, refused = Counter(), Counter()
    for record, _ in exchanges:
        body, dialect = record["request"], dialect_of(record)
        try:
            conversation = dialect.view(body)
        except ProviderShapeError as error:
            refused[str(error)] += 1
            # Cohere's own /generate is recorded under the same endpoint name.
            assert record["endpoint"] == "generate", record["id"]
            assert "contents" not in body, record["id"]
            continue
        seen[record["endpoint"]] += 1
        assert dialect.apply(body, []) is body
        for message in conversation.messages:
            bare = dialect.identity(message.value)
            assert dialect.identity(bare) is bare
            for part in message.parts:
                assert at(body, part.path) is part.value, record["id"]
                assert isinstance(part.text, str)
    print(f"\nread: {dict(seen)}; refused: {dict(refused)}")
    assert len(seen) == len(DIALECTS)


def at(body, path):
    for key in path:
        body = body[key]
    return body


@pytest.mark.slow
def test_tool_calls_and_results_pair(exchanges):
    """Every result that names its call has one before it: identifiers are read from the right fields."""
    lonely = Counter()
    for record, _ in exchanges:
        called = set()
        try:
            parts = list(dialect_of(record).view(record["request"]).parts)
        except ProviderShapeError:
            continue
        for part in parts:
            if part.kind == "tool_call":
                called.add(part.pair)
            elif part.kind == "tool_result" and part.pair not in called:
                lonely[record["endpoint"], record["repo"]] += 1
    # One client of Gemini puts an id of its own where the function's name belongs.
    known = sum(count for (endpoint, repo), count in lonely.items() if (endpoint[:8], repo) == ("generate", RUBY))
    # A few recordings begin in the middle of a conversation.
    assert sum(lonely.values()) - known <= len(exchanges) * 0.01, lonely


def test_usage_of_every_answer_is_what_the_provider_reported(exchanges):
    equal, explained, wrong = Counter(), Counter(), []
    for record, body in exchanges:
        if body is None:
            continue
        found = read(record, body)
        wanted = expected(record["usage"] or {}, body)
        if figures(found.usage) != wanted:
            wrong.append((record["id"], record["endpoint"], figures(found.usage), wanted, record["usage"]))
            continue
        equal[record["endpoint"]] += 1
        if wanted and normalised(wanted) != noted(record):
            explained[why_n_differs(record)] += 1
    print(f"\nequal: {dict(equal)}; `n` differs: {dict(explained)}")
    assert equal
    assert wrong == []
    assert explained[None] == 0


def test_bedrock_streams_built_again_from_their_usage(exchanges):
    equal, wrong = Counter(), []
    for record, _ in exchanges:
        if record["endpoint"] not in {"converse_stream", "invoke_stream"}:
            continue
        reader = dialect_of(record).stream("bedrock")
        for event in events_of(record):
            reader.feed(event)
        found = reader.answer()
        assert (reader.done, reader.content, found.complete) == (True, True, True), record["id"]
        if figures(found.usage) == expected(record["usage"]):
            equal[record["endpoint"]] += 1
        else:
            wrong.append((record["id"], figures(found.usage), record["usage"]))
    print(f"\nequal: {dict(equal)}")
    assert equal
    assert wrong == []


def read(record, body):
    dialect, raw = dialect_of(record), body.encode("utf-8", "surrogatepass")
    if not record["streamed"]:
        return dialect.answer(with_headers(record, wire.loads(raw)), record["provider"])
    if raw.lstrip().startswith(b"["):  # Gemini without server-sent events
        return dialect.answer(wire.loads(raw), record["provider"])
    splitter, reader = sse.Splitter(), dialect.stream(record["provider"])
    for event in chain(splitter.feed(raw), splitter.finish()):
        if event.data:
            assert reader.feed(event.data) is False
    if dialect.name == "gemini.generate":
        reader.end()
    found = reader.answer()
    assert reader.done, record["id"]
    assert found.complete, record["id"]
    assert reader.content or not found.usage.output or dialect.name == "gemini.generate", record["id"]
    return found


def with_headers(record, response):
    usage = record["usage"] or {}
    if usage.get("_from") != "header":
        return response
    names = {"inputTokens": "x-amzn-bedrock-input-token-count", "outputTokens": "x-amzn-bedrock-output-token-count"}
    return dialect_of(record).metered(response, {names[key]: str(usage[key]) for key in names if key in usage})


def events_of(record):
    usage = record["usage"]
    if record["endpoint"] == "converse_stream":
        yield b'{"contentBlockDelta":{"delta":{"text":"x"}}}'
        yield json.dumps({"metadata": {"usage": usage}}).encode()
        return
    if "input_tokens" in usage:
        yield packed({"type": "message_start", "message": {"usage": usage | {"output_tokens": 1}}})
        yield packed({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x"}})
        yield packed({"type": "message_delta", "delta": {}, "usage": {"output_tokens": usage["output_tokens"]}})
        yield packed({"type": "message_stop", METRICS: usage})
        return
    own = {key: usage[key] for key in ("prompt_token_count", "generation_token_count") if key in usage}
    yield packed({"generation": "x", **own})
    yield packed({"generation": "", METRICS: usage})


def packed(event):
    return json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode()}).encode()


def figures(usage):
    if usage is None:
        return {}
    return {
        "input": usage.input_total,
        "read": usage.read or 0,
        "written": usage.written_total,
        "output": usage.output,
        "reasoning": usage.reasoning,
    }


def expected(usage, body=None):
    """The provider's own figures, by the names they have; ``{}`` when there are none.

    Titan's output count stands with its texts, in ``body``.
    """
    if "input_tokens" in usage:
        return of_anthropic(usage)
    if "promptTokenCount" in usage or "candidatesTokenCount" in usage:
        return of_gemini(usage)
    if "prompt_tokens" in usage:
        return row(usage["prompt_tokens"], output=usage["completion_tokens"])
    if "inputTokenCount" in usage:  # metrics at the end of an InvokeModel stream
        read, written = usage.get("cacheReadInputTokenCount", 0), usage.get("cacheWriteInputTokenCount", 0)
        return row(usage["inputTokenCount"] + read + written, read, written, usage["outputTokenCount"])
    if "inputTokens" in usage or "outputTokens" in usage:
        read, written = usage.get("cacheReadInputTokens"), usage.get("cacheWriteInputTokens")
        read = usage.get("cacheReadInputTokenCount", 0) if read is None else read
        written = usage.get("cacheWriteInputTokenCount", 0) if written is None else written
        given = usage.get("inputTokens")
        return row(None if given is None else given + read + written, read, written, usage["outputTokens"])
    if "prompt_token_count" in usage:
        return row(usage["prompt_token_count"], output=usage["generation_token_count"])
    if "inputTextTokenCount" in usage:
        results = json.loads(body).get("results", ())
        return row(usage["inputTextTokenCount"], output=sum(result["tokenCount"] for result in results))
    return {}


def row(given, read=0, written=0, output=None, reasoning=None):
    return {"input": given, "read": read, "written": written, "output": output, "reasoning": reasoning}


def of_anthropic(usage):
    # A compaction is billed beside the top-level figures; an advisor at another model's price.
    steps = [step for step in usage.get("iterations", ()) if step["type"] != "advisor_message"] or [usage]
    given, read, written, output = (
        sum(step.get(name) or 0 for step in steps)
        for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
    )
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return row(given + read + written, read, written, output, thinking)


def of_gemini(usage):
    prompt, total = usage.get("promptTokenCount"), usage.get("totalTokenCount")
    candidates, thoughts = usage.get("candidatesTokenCount", 0), usage.get("thoughtsTokenCount", 0)
    whole = None if prompt is None else prompt + usage.get("toolUsePromptTokenCount", 0)
    inside = whole is not None and whole + candidates == total
    output = candidates if inside else candidates + thoughts
    return row(whole, usage.get("cachedContentTokenCount", 0), 0, output, usage.get("thoughtsTokenCount"))


def normalised(wanted):
    return wanted["input"], wanted["output"] or 0, wanted["read"], wanted["written"]


def noted(record):
    """The recordings' own count, in which Gemini's thoughts stand beside its output."""
    n = record["n"] or {}
    thoughts = n.get("reasoning", 0) if record["endpoint"].startswith("generate") else 0
    return n.get("total_input"), n.get("output", 0) + thoughts, n.get("cache_read", 0), n.get("cache_write", 0)


def why_n_differs(record):
    """Why the recordings' own count is not what was billed; ``None`` when there is no reason."""
    usage = record["usage"]
    if any(step["type"] == "compaction" for step in usage.get("iterations", ())):
        return "compaction is billed beside the top-level figures"
    if usage.get("toolUsePromptTokenCount"):
        return "what the provider's tools put into the prompt is billed, too"
    if "inputTextTokenCount" in usage:
        return "Titan's output count stands with its texts"
    if (
        usage.get("thoughtsTokenCount")
        and usage["promptTokenCount"] + usage["candidatesTokenCount"] == usage["totalTokenCount"]
    ):
        return "thoughts are inside the candidates, as the total says"
    return None
