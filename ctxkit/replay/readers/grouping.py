"""Recorded requests sorted into conversations, as they come.

A request continues the conversation whose last answer it holds (by the ids of its calls, else by its words), for that
stays the same where a prompt drifts, is shortened or is edited; one that holds no answer known here continues the
conversation whose messages it begins with. Of several it is the one with which it shares the most. Every other request
begins a conversation.

Equal messages are held once, whichever requests they stand in. Beyond a bound, conversations that were not continued for the
longest time are given out and forgotten.
"""

from __future__ import annotations

import json
import marshal
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from ctxkit.replay.recording import Asked, Recording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Body

__all__ = ["Groups", "answer_key", "bytes_of", "messages_key"]

_HELD = 64 * 1024 * 1024  # bytes of messages of conversations that may still be continued
_OVERHEAD = 2048  # bytes that a request costs beside its messages
_MODEL = ("assistant", "model")
_MADE = ("function_call", "reasoning", "custom_tool_call", "local_shell_call", "web_search_call")
_CALLS = ("tool_calls", "function_call")
_WORDS = 40  # characters from which an answer is nobody else's


def messages_key(dialect: str) -> str:
    """Under which a body of this wire holds its messages."""
    return {"gemini.generate": "contents", "openai.responses": "input"}.get(dialect, "messages")


@dataclass(slots=True)
class _Open:
    """A conversation that may be continued."""

    number: int
    first: bytes
    dialect: str
    platform: str
    feature: str
    asked: list[Asked] = field(default_factory=list)
    digests: set[bytes] = field(default_factory=set)
    links: list[bytes] = field(default_factory=list)
    tip: tuple[str, ...] = ()
    size: int = 0


class Groups:
    """Takes requests in their order and gives out conversations.

    Args:
        source: the file.
        format: of the file.
        held: bytes of messages that are held.
    """

    def __init__(self, source: str, format: str, held: int = _HELD) -> None:  # noqa: A002 - as the recording calls it
        self._source, self._format = source, format
        self._most, self._held, self._count = held, 0, 0
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._messages: dict[bytes, tuple[Json, int]] = {}  # by digest: the message, in how many conversations
        self._tips: dict[tuple[str, ...], int] = {}  # conversation by its last answer
        self._ends: dict[bytes, int] = {}  # by the messages of its last request

    def add(self, body: Body, source: str) -> Iterator[Recording]:
        """Take one more request; what had to be given out to make room."""
        key = messages_key(body.dialect)
        said = body.json.get(key)
        messages = said if isinstance(said, list) else []
        digests = [_digest(one) for one in messages]
        links = _links(digests, f"{body.dialect}\0{body.platform}")
        answers = [found for one in messages if (found := answer_key(one))]
        thread = self._found(links, answers)
        if thread is None:
            thread = self._begun(body, links)
        self._extended(thread, body, source, list(zip(digests, messages, strict=True)))
        self._turned(thread, links, answer_key(body.answer) or (answers[-1] if answers else ()))
        yield from self._room(thread)

    def rest(self) -> Iterator[Recording]:
        """All that are still held, in the order of their beginnings."""
        for thread in sorted(self._open.values(), key=lambda one: one.number):
            yield self._closed(thread)

    def _found(self, links: list[bytes], answers: list[tuple[str, ...]]) -> _Open | None:
        for answer in reversed(answers):
            thread = self._open.get(self._tips.get(answer, -1))
            if thread is not None and links and (links[0] == thread.first or sum(map(len, answer)) >= _WORDS):
                return thread
        number = next((found for link in reversed(links) if (found := self._ends.get(link)) is not None), None)
        return None if number is None else self._open.get(number)

    def _begun(self, body: Body, links: list[bytes]) -> _Open:
        self._count += 1
        first = links[0] if links else b""
        thread = _Open(self._count, first, body.dialect, body.platform, body.feature)
        self._open[thread.number] = thread
        return thread

    def _extended(self, thread: _Open, body: Body, source: str, messages: list[tuple[bytes, Json]]) -> None:
        """Add the request, every message of it as the object that is held already."""
        held = [self._held_of(thread, digest, message) for digest, message in messages]
        key = messages_key(body.dialect)
        json_ = {**body.json, key: held} if isinstance(body.json.get(key), list) else body.json
        thread.asked.append(Asked(json_, source, body.at, body.usage, body.model, body.answer, body.status))
        thread.size += _OVERHEAD
        self._held += _OVERHEAD

    def _held_of(self, thread: _Open, digest: bytes, message: Json) -> Json:
        known, users = self._messages.get(digest, (message, 0))
        if digest not in thread.digests:
            thread.digests.add(digest)
            self._messages[digest] = (known, users + 1)
            size = len(bytes_of(message))
            thread.size += size
            self._held += size
        return known

    def _turned(self, thread: _Open, links: list[bytes], tip: tuple[str, ...]) -> None:
        """It is known by its newest answer, and by its newest prompt."""
        self._forgotten(thread)
        thread.tip, thread.links = tip, links[-1:]
        if tip:
            self._tips[tip] = thread.number
        for link in thread.links:
            self._ends[link] = thread.number
        self._open.move_to_end(thread.number)

    def _forgotten(self, thread: _Open) -> None:
        if self._tips.get(thread.tip) == thread.number:
            del self._tips[thread.tip]
        for link in thread.links:
            if self._ends.get(link) == thread.number:
                del self._ends[link]

    def _room(self, newest: _Open) -> Iterator[Recording]:
        while self._held > self._most and len(self._open) > 1:
            oldest = next(iter(self._open.values()))
            if oldest is newest:
                return
            yield self._closed(oldest)

    def _closed(self, thread: _Open) -> Recording:
        del self._open[thread.number]
        self._held -= thread.size
        self._forgotten(thread)
        for digest in thread.digests:
            message, users = self._messages[digest]
            if users > 1:
                self._messages[digest] = (message, users - 1)
            else:
                del self._messages[digest]
        name = f"{thread.asked[0].source.rpartition('/')[2]}"
        asked = tuple(thread.asked)
        return Recording(name, self._source, self._format, thread.dialect, thread.platform, asked, thread.feature)


def answer_key(message: Json) -> tuple[str, ...]:
    """What tells a model's message from others, wherever it stands: ids of its calls, else its words."""
    if not isinstance(message, dict):
        return answer_key(message[-1]) if isinstance(message, list) and message else ()
    if message.get("role") not in _MODEL and message.get("type") not in _MADE:
        return ()
    blocks = [one for name in ("content", "parts", *_CALLS) for one in _listed(message.get(name))]
    ids = [found for one in (message, *blocks) if (found := _call_id(one))]
    if ids:
        return tuple(ids)
    content = message.get("content")
    words = content if isinstance(content, str) else "".join(filter(None, map(_words, blocks)))
    return (words.strip(),) if words.strip() else ()


def _listed(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _call_id(block: dict[str, Json]) -> str:
    inner = block.get("toolUse")
    found = inner.get("toolUseId") if isinstance(inner, dict) else block.get("call_id")
    if found is None and (block.get("type") in ("tool_use", "function") or "function" in block):
        found = block.get("id")
    return found if isinstance(found, str) else ""


def _words(block: dict[str, Json]) -> str:
    text = block.get("text")
    return text if isinstance(text, str) and not block.get("thought") else ""


def _digest(message: Json) -> bytes:
    return blake2b(bytes_of(message), digest_size=16).digest()


def bytes_of(message: Json) -> bytes:
    """Bytes that tell it from others."""
    try:
        return marshal.dumps(message, 2)
    except ValueError:
        return json.dumps(message).encode("utf-8", "surrogatepass")


def _links(digests: Iterable[bytes], head: str) -> list[bytes]:
    link, found = blake2b(head.encode("utf-8", "surrogatepass"), digest_size=16).digest(), []
    for digest in digests:
        link = blake2b(link + digest, digest_size=16).digest()
        found.append(link)
    return found
