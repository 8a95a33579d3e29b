"""Recorded requests and answers of OpenAI's formats: every one is viewed, every usage is what the provider reported.

What is expected is computed here from the recorded wire figures and not by the code under test.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter
from pathlib import Path

import pytest

from ctxkit import dialects
from ctxkit.dialects.routing import route
from ctxkit.dialects.sse import Splitter
from ctxkit.errors import ProviderShapeError

DIALECTS = {
    "chat": "openai.chat", "responses": "openai.responses", "embeddings": "openai.embeddings", "completions": "openai.completions",
}  # fmt: skip
PLATFORMS = {"google-gla": "google", "google-vertex": "vertex", "vercel-gw": "vercel"}
# Recorded under these endpoints and of another format: Cohere's, Google's and Ollama's own embeddings, updates of stored
# completions, a chat request sent to /responses, chat requests and prompt templates at an address ending in "completions".
FOREIGN = {
    "embeddings": "openai.embeddings: input is missing",
    "completions": "openai.completions: prompt is missing",
    "chat": "openai.chat: messages is of type NoneType, not a list",
    "responses": "openai.responses: none of input, instructions, prompt, previous_response_id, conversation is there",
}
MOST_FOREIGN = {"embeddings": 44, "completions": 21, "chat": 6, "responses": 3}


def lines(path: Path):
    with lzma.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


@pytest.fixture(scope="module")
def requests(recorded):
    return {
        row["id"]: row for row in lines(recorded / "exchanges" / "requests.jsonl.xz") if row["endpoint"] in DIALECTS
    }


@pytest.fixture(scope="module")
def answers(recorded, requests):
    return [
        (requests[row["id"]], row["body"])
        for row in lines(recorded / "exchanges" / "responses.jsonl.xz")
        if row["id"] in requests
    ]


def covered(value, path, shown):
    """Every leaf of a message lies inside a part, but for its role and what ties calls to results."""
    if path in shown or (path[-1] in {"role", "type", "call_id", "tool_call_id", "name"} and isinstance(value, str)):
        return True
    if value is None or value in ([], {}):
        return True
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    steps = [covered(item, (*path, key), shown) for key, item in items]
    return bool(steps) and all(steps)


@pytest.mark.slow
def test_every_recorded_request_is_viewed_and_nothing_in_it_is_invisible(requests):
    foreign, reasons = Counter(), set()
    for row in requests.values():
        dialect, body = dialects.get(DIALECTS[row["endpoint"]]), row["request"]
        assert dialect.apply(body, []) is body
        try:
            found = dialect.view(body)
        except ProviderShapeError as error:
            foreign[row["endpoint"]] += 1
            reasons.add(str(error))
            continue
        assert set(body) == {message.path[0] for message in found.messages} | set(found.options) | {
            key for key in ("messages", "tools", "functions", "input") if body.get(key) == []
        }
        for message in found.messages:
            shown = {part.path for part in message.parts}
            assert covered(message.value, message.path, shown), (row["id"], message.path)
            once = dialect.identity(message.value)
            assert dialect.identity(once) is once
            if isinstance(message.value, str) and dialect.name == "openai.responses":
                assert once == {"role": "user", "content": message.value}
            elif "cache_control" not in str(message.value) and "prompt_cache_breakpoint" not in str(message.value):
                assert once is message.value
    assert reasons <= set(FOREIGN.values())
    assert all(foreign[endpoint] <= most for endpoint, most in MOST_FOREIGN.items()), foreign
    print(f"\n{len(requests)} requests, {len(requests) - foreign.total()} viewed, foreign: {dict(foreign)}")


def read(row, body):
    dialect = dialects.get(DIALECTS[row["endpoint"]])
    platform = PLATFORMS.get(row["provider"], row["provider"])
    if not row["streamed"]:
        return dialect.answer(json.loads(body), platform), json.loads(body).get("usage")
    splitter, stream, wire = Splitter(), dialect.stream(platform), None
    raw = body.encode("utf-8", "surrogatepass")
    events = [event for start in range(0, len(raw), 1000) for event in splitter.feed(raw[start : start + 1000])]
    for event in events + splitter.finish():
        if event.data:
            stream.feed(event.data)
            wire = reported(event.data) or wire
    return stream.answer(), wire


def reported(data):
    """The usage object of one event, wherever it stands."""
    try:
        event = json.loads(data)
    except ValueError:
        return None
    return event.get("usage") or (event.get("response") or {}).get("usage") or (event.get("x_groq") or {}).get("usage")


def expected(wire, provider):
    """Whole prompt, read, written, output and reasoning by the providers' documentation."""
    prompt, output, total = (
        wire.get("prompt_tokens", wire.get("input_tokens")),
        wire.get("completion_tokens", wire.get("output_tokens")),
        wire.get("total_tokens"),
    )
    inside = wire.get("prompt_tokens_details") or wire.get("input_tokens_details") or {}
    outside = wire.get("completion_tokens_details") or wire.get("output_tokens_details") or {}
    cached = [
        inside.get("cached_tokens"),
        *(wire.get(key) for key in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")),
    ]
    read = next((figure for figure in cached if figure is not None), 0)
    written = inside.get("cache_write_tokens") or 0
    reasoning = outside.get("reasoning_tokens") or wire.get("reasoning_tokens") or 0
    if total is not None and output is not None and total != prompt + output:
        if total == prompt + output + reasoning:  # xAI
            output += reasoning
        elif total == prompt + output + (inside.get("audio_tokens") or 0):  # Mistral
            prompt = total - output
        elif provider == "google-gla":
            output, reasoning = total - prompt, total - prompt - output
    if provider == "ollama" and not prompt:
        return None, read, written, output, reasoning
    # A cache larger than its prompt (xAI, also on Azure: its own costs bill all of it) counts as reported, and what was
    # written and read alike counts as read.
    return max(prompt, read), read, min(written, max(0, prompt - read)), output, reasoning


@pytest.mark.slow
def test_every_recorded_usage_is_what_the_provider_reported(answers):
    equal, differing, without = Counter(), [], Counter()
    for row, body in answers:
        try:
            answer, wire = read(row, body)
        except json.JSONDecodeError:
            without["not JSON", row["provider"]] += 1
            continue
        if not wire:
            assert answer.usage is None
            without["no usage", row["provider"]] += 1
            continue
        if answer.usage is None:
            without["another format", row["id"]] += 1
            continue
        found = answer.usage
        got = (found.input_total, found.read or 0, found.written_total, found.output, found.reasoning or 0)
        want = expected(wire, row["provider"])
        if row["endpoint"] == "embeddings":
            want = (*want[:3], 0, 0)
        if got == want:
            equal[row["endpoint"], bool(row["streamed"])] += 1
        else:
            differing.append((row["id"], got, want))
    print(f"\nequal {equal.total()}: {dict(equal)}; without usage: {dict(without)}")
    assert differing == []
    # A chat request and its chat stream, sent to /responses.
    assert [key for key in without if key[0] == "another format"] in ([], [("another format", "4e453acd162e437c")])
    assert equal.total() > 0


@pytest.mark.slow
def test_recorded_figures_also_equal_the_record_where_it_speaks_of_the_same_answer(answers):
    """The record's own normalisation, where its usage is the answer's: it leaves out some writes and reads."""
    same = Counter()
    for row, body in answers:
        if row["endpoint"] == "embeddings":
            continue
        answer, wire = read(row, body)
        if answer.usage is None or wire != row["usage"] or answer.problems:
            continue
        n, found = row["n"], answer.usage
        tests = {
            "input": found.input_total == n["total_input"] or row["provider"] == "mistral",
            "read": (found.read or 0) == (n.get("cache_read") or 0) or "num_cached_tokens" in wire,
            "output": found.output in (n.get("output"), (n.get("output") or 0) + (n.get("reasoning") or 0))
            or row["provider"] == "google-gla",
        }
        assert all(tests.values()), (row["id"], tests, wire, n)
        same[row["endpoint"], bool(row["streamed"])] += 1
    print(f"\nequal to the record: {dict(same)}")
    assert same.total() > 0


@pytest.mark.slow
def test_the_terminator_of_nearly_every_recorded_stream_is_seen(answers):
    cut = [
        row["id"]
        for row, body in answers
        if row["streamed"] and row["endpoint"] in ("chat", "responses") and not read(row, body)[0].complete
    ]
    streams = sum(bool(row["streamed"]) for row, _ in answers)
    print(f"\n{streams} streams, incomplete: {cut}")
    assert len(cut) <= 0.01 * streams


@pytest.mark.slow
def test_recorded_addresses_lead_to_their_dialect(requests):
    for row in requests.values():
        url = row["url"] or ""
        host, _, path = url.partition("://")[2].partition("/")
        found = route("/" + path, host)
        if found is not None and row["endpoint"] in ("chat", "responses"):
            assert found.dialect == DIALECTS[row["endpoint"]], url
