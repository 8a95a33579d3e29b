"""What reading a streamed answer costs, per event and as a ratio to consuming it without a door.

The consumer is the least one there can be: it splits the stream into events and parses each with ``json.loads``.

    python tests/benchmarks/bench_stream.py [--json]

5,000 events of an OpenAI chat (and of the other formats) come through a real HTTP client in pieces of 512 bytes, from
memory, so no network is timed.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from ctxkit import Kit, Policy
from ctxkit.dialects import eventstream

EVENTS = 5_000
PIECE = 512
MESSAGES = [{"role": "user", "content": "Hi"}]


def sse(events: list[dict[str, Any]], *, named: bool = False, end: bytes = b"") -> bytes:
    name = (lambda event: b"event: " + event["type"].encode() + b"\n") if named else (lambda event: b"")
    return b"".join(name(e) + b"data: " + json.dumps(e, separators=(",", ":")).encode() + b"\n\n" for e in events) + end


def chat() -> bytes:
    usage = {"prompt_tokens": 9, "completion_tokens": EVENTS, "total_tokens": EVENTS + 9}
    events = [{"id": "c", "choices": [{"index": 0, "delta": {"content": f"word{i} "}}]} for i in range(EVENTS - 1)]
    return sse([*events, {"id": "c", "choices": [], "usage": usage}], end=b"data: [DONE]\n\n")


def messages() -> bytes:
    start = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}
    delta = {"type": "content_block_delta", "index": 0}
    events = [{**delta, "delta": {"type": "text_delta", "text": f"word{i} "}} for i in range(EVENTS - 3)]
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": EVENTS}}
    return sse([start, *events, last, {"type": "message_stop"}], named=True)


def responses() -> bytes:
    delta = {"type": "response.output_text.delta", "item_id": "msg", "output_index": 0}
    events = [{**delta, "delta": f"word{i} "} for i in range(EVENTS - 1)]
    usage = {"input_tokens": 9, "output_tokens": EVENTS, "total_tokens": EVENTS + 9}
    return sse([*events, {"type": "response.completed", "response": {"id": "r", "usage": usage}}], named=True)


def gemini() -> bytes:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
    part = lambda i: {"content": {"role": "model", "parts": [{"text": f"word{i} "}]}}  # noqa: E731
    events = [{"candidates": [part(i)], "usageMetadata": usage} for i in range(EVENTS)]
    events[-1]["candidates"][0]["finishReason"] = "STOP"
    return sse(events)


def converse() -> bytes:
    delta = lambda i: json.dumps({"contentBlockIndex": 0, "delta": {"text": f"word{i} "}}).encode()  # noqa: E731
    usage = {"inputTokens": 9, "outputTokens": EVENTS, "totalTokens": EVENTS + 9}
    frames = [eventstream.encode("contentBlockDelta", delta(i)) for i in range(EVENTS - 1)]
    return b"".join([*frames, eventstream.encode("metadata", json.dumps({"usage": usage}).encode())])


BEDROCK = "/model/amazon.nova-lite-v1%3A0/converse-stream"
BINARY = "application/vnd.amazon.eventstream"
CASES: dict[str, tuple[str, dict[str, Any], Callable[[], bytes], str]] = {
    "openai.chat": ("/v1/chat/completions", {"model": "gpt-4o", "messages": MESSAGES}, chat, ""),
    "openai.responses": ("/v1/responses", {"model": "gpt-4o", "input": "Hi"}, responses, ""),
    "anthropic.messages": ("/v1/messages", {"model": "claude-opus-4-8", "messages": MESSAGES}, messages, ""),
    "gemini.generate": ("/v1beta/models/m:streamGenerateContent", {"contents": []}, gemini, ""),
    "bedrock.converse": (BEDROCK, {"messages": []}, converse, BINARY),
}


def client_for(library: Any, body: bytes, media_type: str, encoding: str) -> Any:
    pieces = [body[i : i + PIECE] for i in range(0, len(body), PIECE)]
    headers = {
        "content-type": media_type or "text/event-stream",
        **({"content-encoding": encoding} if encoding else {}),
    }

    class Stream(library.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(pieces)

    transport = library.MockTransport(lambda request: library.Response(200, headers=headers, stream=Stream()))
    return library.Client(transport=transport, base_url="https://api.openai.com")


def consume(client: Any, path: str, body: dict[str, Any]) -> float:
    with client.stream("POST", path, json={**body, "stream": True}) as response:
        read = frames if response.headers["content-type"] == BINARY else lines
        began = time.perf_counter()
        read(response)
        return time.perf_counter() - began


def lines(response: Any) -> None:
    for line in response.iter_lines():
        if line.startswith("data: {"):
            json.loads(line[6:])


def frames(response: Any) -> None:
    decoder = eventstream.Decoder()
    for chunk in response.iter_bytes():
        for message in decoder.feed(chunk):
            json.loads(message.payload)


def row(library: Any, name: str, rounds: int, *, hide: bool = False, packed: bool = False) -> dict[str, Any]:
    path, body, make, media_type = CASES[name]
    wire = gzip.compress(make()) if packed else make()
    bare, metered = (client_for(library, wire, media_type, "gzip" if packed else "") for _ in range(2))
    kit = Kit(Policy(usage_probe=hide), strict=True)
    kit.attach(metered)
    consume(metered, path, body)  # vocabularies and dialects are loaded on first use
    without, with_tee = [], []
    for _ in range(rounds):
        without.append(consume(bare, path, body))
        with_tee.append(consume(metered, path, body))
    settled = all(record.status == "settled" for record in kit.ledger.records())
    kit.close()
    plain, tee = statistics.median(without), statistics.median(with_tee)
    what = name + (", gzip" if packed else "") + (", one chunk hidden" if hide else "")
    return {
        "case": what,
        "us_per_event": round((tee - plain) / EVENTS * 1e6, 2),
        "alone_us_per_event": round(plain / EVENTS * 1e6, 2),
        "ratio": round(tee / plain, 2),
        "settled": settled,
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--rounds", type=int, default=15)
    given = options.parse_args()
    library = importlib.import_module("httpx2")
    rows = [row(library, name, given.rounds) for name in CASES]
    rows.append(row(library, "openai.chat", given.rounds, packed=True))
    rows.append(row(library, "openai.chat", given.rounds, hide=True))
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{EVENTS:,} events in pieces of {PIECE} bytes; the tee's own time, and both as a ratio")
    for each in rows:
        print(
            f"{each['case']:38} {each['us_per_event']:5.2f} us per event"
            f"   {each['ratio']:5.2f} x the client alone ({each['alone_us_per_event']:.2f} us)"
            f"   settled: {each['settled']}"
        )


if __name__ == "__main__":
    main()
