"""The recorded exchanges, sorted into lanes: one per wire format, streamed and not.

Nothing recorded stands in the repository; hosts that were blotted out before publication get a host of their kind.
"""

from __future__ import annotations

import base64
import functools
import json
import lzma
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ctxkit.dialects.eventstream import encode
from ctxkit.testing import Reply

LANES = (
    "openai.chat",
    "openai.chat stream",
    "openai.responses",
    "openai.responses stream",
    "openai.completions",
    "openai.embeddings",
    "anthropic.messages",
    "anthropic.messages stream",
    "gemini.generate",
    "gemini.generate stream",
    "bedrock.converse",
    "bedrock.converse stream",
    "bedrock.invoke",
    "bedrock.invoke stream",
)

_HOSTS = {
    "azure": "resource.openai.azure.com",
    "snowflake": "account.snowflakecomputing.com",
    "heroku": "us.inference.heroku.com",
    "gpustack": "gpustack.example",
}
_BLOTTED = (
    (re.compile(r"^<GPUSTACK_API_BASE>"), "http://gpustack.example/v1"),
    (re.compile(r"^<OLLAMA_API_BASE>"), "http://localhost:11434/v1/"),
    (re.compile(r"^<AZURE_OPENAI_(API_BASE|ENDPOINT)>"), "http://resource.openai.azure.com"),
    (re.compile(r"<GOOGLE_CLOUD_LOCATION>"), "us-central1"),
    (re.compile(r"<GOOGLE_CLOUD_PROJECT>"), "project"),
    (re.compile(r"<AWS_REGION>"), "us-east-1"),
)
_PATHS = (
    (re.compile(r".*/chat/completions"), "openai.chat"),
    (re.compile(r".*/v1/completions|.*/deployments/[^/]+/completions"), "openai.completions"),
    (re.compile(r".*/responses"), "openai.responses"),
    (re.compile(r".*/v1/messages|.*:(?:rawPredict|streamRawPredict)"), "anthropic.messages"),
    (re.compile(r".*/models/[^/]+:(?:generateContent|streamGenerateContent)"), "gemini.generate"),
    (re.compile(r".*/model/[^/]+/converse(?:-stream)?"), "bedrock.converse"),
    (re.compile(r".*/model/[^/]+/invoke(?:-with-response-stream)?"), "bedrock.invoke"),
)
_EMBEDDERS = ("openai", "azure", "mistral", "ollama", "openrouter", "perplexity", "voyage")
"""Whose ``/embeddings`` is OpenAI's."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and what came back.

    Attributes:
        id: name in the recordings.
        provider: whose endpoint it was.
        url: with hosts put back, on plain http.
        streamed: the answer was a stream.
        request: the JSON body.
        body: the recorded answer, or ``None`` where only its usage was kept (binary streams, embeddings).
        usage: as the provider reported it.
        media: how many media contents are placeholders.
        status: of the answer.
    """

    id: str
    provider: str
    url: str
    streamed: bool
    request: dict[str, Any]
    body: str | None
    usage: Mapping[str, Any]
    media: int = 0
    status: int = 200

    @property
    def path(self) -> str:
        """Path of the URL, percent-encoding kept."""
        return urlsplit(self.url).path

    @property
    def model(self) -> str:
        """The model that the path names, else the body."""
        found = re.search(r"/models?/([^/]+?)(?:[:/](?:[a-zA-Z]+|converse-stream|invoke[a-z-]*))$", self.path)
        return unquote(found[1]) if found else str(self.request.get("model", ""))

    @property
    def dialect(self) -> str | None:
        """The wire format, by the path."""
        if self.path.endswith("/embeddings"):
            return "openai.embeddings" if self.provider in _EMBEDDERS else None
        return next((name for pattern, name in _PATHS if pattern.fullmatch(self.path)), None)

    @property
    def lane(self) -> str | None:
        """The lane it belongs to; ``None``: no wire format of ours, or no POST of one."""
        if self.dialect is None:
            return None
        return f"{self.dialect} stream" if self.streamed else self.dialect


def exchanges(data: Path) -> dict[str, list[Exchange]]:
    """Every recorded exchange by lane; what fits none is under ``"other"``."""
    sorted_in: dict[str, list[Exchange]] = {lane: [] for lane in (*LANES, "other", "no body")}
    for exchange in _all(data):
        lane = exchange.lane or "other"
        if exchange.body is None and not _rebuilt(exchange):
            lane = "no body"
        sorted_in.setdefault(lane, []).append(exchange)
    return sorted_in


def refusals(data: Path) -> list[Exchange]:
    """Recorded answers of status 400 and above, of the wire formats that ctxkit meters."""
    listed = []
    for line in _lines(data / "exchanges" / "errors_and_cache_handles.jsonl.xz"):
        kept = json.loads(line)
        if kept["special"] != "error" or not isinstance(kept["request"], dict):
            continue
        answer = kept["response"]
        body = answer if isinstance(answer, str) else json.dumps(answer)
        exchange = _exchange(kept, body, str(len(listed)), kept["status"])
        if exchange.dialect is not None:
            listed.append(exchange)
    return listed


def reply(exchange: Exchange) -> Reply:
    """What the server says: the recorded body, verbatim.

    Of embeddings and of Bedrock's binary streams only the usage was kept; an answer is built around it.
    """
    if exchange.body is None:
        return _rebuild(exchange)
    body = exchange.body.encode("utf-8", "surrogatepass")
    if exchange.streamed and exchange.status < 400:
        sizes = tuple(min(512, len(body) - at) for at in range(0, len(body), 512))
        array = exchange.body.startswith("[")
        content_type = "application/json; charset=UTF-8" if array else "text/event-stream; charset=utf-8"
        return Reply(body, content_type=content_type, chunks=sizes)
    content_type = "application/json" if body[:1] in (b"{", b"[") else "text/plain"
    return Reply(body, exchange.status, content_type, _token_headers(exchange.usage))


def sample(listed: list[Exchange], size: int) -> list[Exchange]:
    """``size`` of them, spread evenly and always the same."""
    return listed if len(listed) <= size else [listed[index * len(listed) // size] for index in range(size)]


@functools.cache
def _bodies(data: Path) -> dict[str, str]:
    lines = _lines(data / "exchanges" / "responses.jsonl.xz")
    return {kept["id"]: kept["body"] for kept in map(json.loads, lines)}


def _all(data: Path) -> Iterator[Exchange]:
    bodies = _bodies(data)
    for line in _lines(data / "exchanges" / "requests.jsonl.xz"):
        kept = json.loads(line)
        if isinstance(kept["request"], dict):
            yield _exchange(kept, bodies.get(kept["id"]), kept["id"], kept["status"])


def _lines(file: Path) -> Iterator[str]:
    with lzma.open(file, "rt", encoding="utf-8") as lines:
        yield from lines


def _exchange(kept: dict[str, Any], body: str | None, name: str, status: int) -> Exchange:
    url = _url(kept["url"], kept["provider"])
    streamed = bool(kept.get("streamed", kept["request"].get("stream") is True or "stream" in url.rpartition("/")[2]))
    usage = kept.get("usage") or {}
    media = kept.get("elided") or 0
    return Exchange(name, kept["provider"], url, streamed, kept["request"], body, usage, media, status)


def _url(url: str, provider: str) -> str:
    for pattern, host in _BLOTTED:
        url = pattern.sub(host, url)
    url = url.replace("https://", "http://", 1).replace(":443/", "/", 1)
    return url.replace("http://HOST/", f"http://{_HOSTS.get(provider, 'gateway.example')}/", 1).replace(
        ".com//", ".com/"
    )


def _rebuilt(exchange: Exchange) -> bool:
    binary = exchange.streamed and (exchange.dialect or "").startswith("bedrock.")
    return binary or exchange.dialect == "openai.embeddings" or exchange.dialect == "bedrock.invoke"


def _rebuild(exchange: Exchange) -> Reply:
    if exchange.dialect == "openai.embeddings":
        item = {"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}
        body = {"object": "list", "data": [item], "model": exchange.model, "usage": exchange.usage}
        return Reply(json.dumps(body).encode())
    if exchange.dialect == "bedrock.invoke" and not exchange.streamed:
        figures = {} if "_from" in exchange.usage else exchange.usage
        return Reply(
            json.dumps({"embedding": [0.5, -0.25], **figures}).encode(), headers=_token_headers(exchange.usage)
        )
    messages = _converse(exchange) if exchange.dialect == "bedrock.converse" else _invoked(exchange)
    pieces = [encode(kind, json.dumps(payload).encode()) for kind, payload in messages]
    sizes = tuple(map(len, pieces))
    return Reply(b"".join(pieces), content_type="application/vnd.amazon.eventstream", chunks=sizes)


def _token_headers(usage: Mapping[str, Any]) -> dict[str, str]:
    """Where the recorded figures came from headers, they go back there."""
    if usage.get("_from") != "header":
        return {}
    return {
        "x-amzn-bedrock-input-token-count": str(usage["inputTokens"]),
        "x-amzn-bedrock-output-token-count": str(usage["outputTokens"]),
    }


def _converse(exchange: Exchange) -> Iterator[tuple[str, Any]]:
    yield "messageStart", {"role": "assistant"}
    yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Rebuilt\u2028around the usage."}}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": "end_turn"}
    yield "metadata", {"usage": exchange.usage, "metrics": {"latencyMs": 5}}


def _invoked(exchange: Exchange) -> Iterator[tuple[str, Any]]:
    """Anthropic's own events where the usage is Anthropic's, and the metrics that end every stream."""
    names = ("inputTokenCount", "outputTokenCount", "invocationLatency", "firstByteLatency")
    cached = ("cacheReadInputTokenCount", "cacheWriteInputTokenCount")
    metrics = {name: exchange.usage[name] for name in (*names, *cached) if name in exchange.usage}
    own = {name: value for name, value in exchange.usage.items() if name not in metrics}
    events: list[dict[str, Any]] = [{"type": "content_block_delta", "delta": {"text": "Rebuilt"}}]
    if "input_tokens" in own:
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": exchange.model, "content": []}
        events.insert(0, {"type": "message_start", "message": {**start, "usage": {**own, "output_tokens": 1}}})
        events.append({"type": "message_delta", "delta": {}, "usage": {"output_tokens": own["output_tokens"]}})
        events.append({"type": "message_stop"})
    else:
        events.append({"outputText": "", "completionReason": "FINISH", **own})
    events[-1]["amazon-bedrock-invocationMetrics"] = metrics
    for event in events:
        yield "chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()}
