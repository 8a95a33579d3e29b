"""What goes in and out of the fake provider: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.model import Json

__all__ = [
    "Answered",
    "Ask",
    "Behaviour",
    "Fault",
    "Format",
    "Reply",
    "Request",
    "Tokens",
    "ToolCall",
    "four_characters",
]

Format: TypeAlias = Literal[
    "openai.chat",
    "openai.responses",
    "openai.completions",
    "openai.embeddings",
    "anthropic.messages",
    "gemini.generate",
    "gemini.embeddings",
    "bedrock.converse",
    "bedrock.invoke",
    "count",
    "models",
]
"""What a request asks for; ``count`` is any token-counting endpoint, ``models`` any list of models."""

Fault: TypeAlias = Literal["cut", "truncated_gzip", "broken_stream"]
"""How an answer can be damaged.

``cut``
    the connection is closed half way through the body.
``truncated_gzip``
    the body is compressed and its second half missing, while the HTTP framing is whole.
``broken_stream``
    an event in the middle carries half a JSON object (in an event stream: a wrong checksum).
"""


def four_characters(text: str) -> int:
    """The default rule of counting: four characters are a token, rounded up; nothing is none.

    >>> four_characters("Hello")
    2
    """
    return -(-len(text) // 4)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an answer says it used, in one form for all providers.

    Attributes:
        input: the whole prompt, cached part included.
        output: everything that was written, reasoning included.
        read: how many of ``input`` came from the provider's cache.
        written: how many of ``input`` were written to it.
        reasoning: how many of ``output`` were reasoning.
        lives: ``written`` by time to live (``{"5m": 148, "1h": 100}``); empty: the provider does not say, or says 5m.
    """

    input: int
    output: int
    read: int = 0
    written: int = 0
    reasoning: int = 0
    lives: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call the fake model makes."""

    name: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the fake provider answers, until told otherwise.

    Attributes:
        text: what the model says. U+2028 and U+2029 go over the wire as they are: legal JSON, and more than the streams
            of some SDKs can bear (google-genai 1.x).
        calls: tools the model calls after it has spoken.
        reasoning: what the model thinks first, ``""`` for nothing.
        tokens: the usage that is reported; ``None`` counts it by ``count``.
        usage: False: the provider reports no usage at all.
        count: the rule of counting: tokens of a text. What the model reads is counted as compact JSON.
        embedding: the vector of every embedding.
        status: 400 and above: every request is refused, in the provider's own error shape.
        message: what a refusal says.
        failures: the first so many requests are refused with ``failure_status``.
        failure_status: see ``failures``.
        retry_after: seconds; sent with refusals as the provider sends it.
        redirects: the first so many requests get a 307 to the same place with ``?redirected=1``.
        delay: seconds before the first byte.
        chunk_delay: seconds between the pieces of a streamed body.
        piece: bytes per piece, so that events and characters are split; ``None``: an event a piece.
        gzip: compress, if the request accepts it.
        content_type: sent instead of the right one.
        fault: damage to the answer.
    """

    text: str = "Hello from the fake provider. It's a good day: 3 > 2 and naïve café 漢字 \U0001f600."
    calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    tokens: Tokens | None = None
    usage: bool = True
    count: Callable[[str], int] = four_characters
    embedding: tuple[float, ...] = (0.25, -0.5, 0.125)
    status: int = 200
    message: str = "The fake provider was told to refuse this."
    failures: int = 0
    failure_status: int = 503
    retry_after: float | None = None
    redirects: int = 0
    delay: float = 0.0
    chunk_delay: float = 0.0
    piece: int | None = None
    gzip: bool = False
    content_type: str | None = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it goes over the wire.

    Attributes:
        body: the bytes, before compression.
        status: HTTP status.
        content_type: of the body.
        headers: further headers.
        chunks: lengths of the pieces in which a streamed body is written; empty: by its content type.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire.

    Attributes:
        method: ``"POST"``.
        path: without the query, percent-encoding kept.
        query: what stood after the ``?``.
        headers: by lower-case name.
        body: the raw bytes, as sent.
        json: the body parsed, or ``None`` where it is no JSON.
        host: the host the client believes it talks to (see ``FakeProvider.proxy_url``).
        number: 1 for the first request the server saw.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    json: Json
    host: str
    number: int


class Ask(NamedTuple):
    """What a request wants, once its path is understood, and what the model will say.

    Attributes:
        format: the wire format.
        model: the model asked for.
        stream: the answer is to be streamed.
        request: the request itself.
        says: how to answer.
        tokens: what is reported, or ``None`` for nothing.
        silent: the request only fills the cache: it ends before the first token of an answer.
        told: what else the answer says at its top level.
    """

    format: Format
    model: str
    stream: bool
    request: Request
    says: Behaviour
    tokens: Tokens | None
    silent: bool = False
    told: Mapping[str, Json] = {}

    @property
    def body(self) -> Mapping[str, Json]:
        """The request's JSON object (empty where it is none)."""
        return self.request.json if isinstance(self.request.json, dict) else {}

    @property
    def wants_usage(self) -> bool:
        """An OpenAI stream shall end with its usage, and there is one to report."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True and self.tokens is not None

    @property
    def id(self) -> str:
        """A number that makes ids unique within the server, and the same in every run."""
        return f"{self.request.number:08d}"


def _nothing() -> None:
    """What most answers have to do when they begin or end."""


class Answered(NamedTuple):
    """A reply, how it is to be written, and what is to be done meanwhile.

    Attributes:
        reply: what is answered.
        behaviour: how it is written.
        begins: called before the first byte leaves.
        ends: called before the last byte leaves, so that whoever has the whole answer may rely on it.
    """

    reply: Reply
    behaviour: Behaviour
    begins: Callable[[], None] = _nothing
    ends: Callable[[], None] = _nothing
