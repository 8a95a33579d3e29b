"""Recorded requests sorted into conversations, as they come.

A request continues the conversation whose last answer it holds (by the ids of its calls, else by its words), for that
stays the same where a prompt drifts, is shortened or is edited; one that holds no answer known here continues the
conversation whose last prompt it begins with, cache markers apart. Of several it is the newest, of the same model if it can
be. Every other request begins a conversation, the same prompt once more (unless it was refused before) too.

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

from ctxkit import dialects
from ctxkit.replay.recording import Asked, Recording, messages_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Body

__all__ = ["Groups", "answer_key", "bytes_of"]

_HELD = 64 * 1024 * 1024  # bytes of messages of conversations that may still be continued
_OVERHEAD = 2048  # bytes that a request costs beside its messages
_MODEL = ("assistant", "model")
_MADE = ("function_call", "reasoning", "custom_tool_call", "local_shell_call", "web_search_call")
_CALLS = ("tool_calls", "function_call")
_WORDS, _ID = 40, 16  # characters from which an answer, or the id of a call, is nobody else's
_REFUSED = 400
_WAITING = 64  # conversations of one prompt that may still be continued by it


@dataclass(slots=True)
class _Open:
    """A conversation that may be continued."""

    number: int
    first: bytes
    model: str
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
        self._ends: dict[bytes, list[int]] = {}  # by the messages of its last request

    def add(self, body: Body, source: str) -> Iterator[Recording]:
        """Take one more request; what had to be given out to make room."""
        messages = _messages(body)
        known = dialects.get(body.dialect)
        read = [known.identity(one) for one in messages] if known else messages
        links = _links([_digest(one) for one in read], f"{body.dialect}\0{body.platform}")
        first = next((_digest(one) for one in read if not _opening(one)), b"")
        answers = [found for one in messages if (found := answer_key(one))]
        model = str(body.json.get("model") or body.model)
        thread = self._by_answer(answers, first, body) or self._by_prompt(links, model)
        if thread is None:
            thread = self._begun(body, first, model)
        self._extended(thread, body, source)
        self._turned(thread, links, answer_key(body.answer) or (answers[-1] if answers else ()))
        yield from self._room(thread)

    def rest(self) -> Iterator[Recording]:
        """All that are still held, in the order of their beginnings."""
        for thread in sorted(self._open.values(), key=lambda one: one.number):
            yield self._closed(thread)

    def _by_answer(self, answers: list[tuple[str, ...]], first: bytes, body: Body) -> _Open | None:
        for answer in reversed(answers):
            thread = self._open.get(self._tips.get((body.dialect, body.platform, *answer), -1))
            if thread is not None and (thread.first == first or _telling(answer)):
                return thread
        return None

    def _by_prompt(self, links: list[bytes], model: str) -> _Open | None:
        for link in reversed(links):
            found = [self._open[number] for number in self._ends.get(link, ())]
            if link == links[-1]:  # the same once more
                found = [one for one in found if (one.asked[-1].status or 0) >= _REFUSED]
            if found:
                return next((one for one in reversed(found) if one.model == model), found[-1])
        return None

    def _begun(self, body: Body, first: bytes, model: str) -> _Open:
        self._count += 1
        thread = _Open(self._count, first, model, body.dialect, body.platform, body.feature)
        self._open[thread.number] = thread
        return thread

    def _extended(self, thread: _Open, body: Body, source: str) -> None:
        """Add the request, every message of it as the object that is held already."""
        key, json_ = messages_key(body.dialect), body.json
        if isinstance(said := json_.get(key), list):
            json_ = {**json_, key: [self._held_of(thread, _digest(message), message) for message in said]}
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
            self._tips[thread.dialect, thread.platform, *tip] = thread.number
        for link in thread.links:
            waiting = self._ends.setdefault(link, [])
            waiting.append(thread.number)
            del waiting[:-_WAITING]
        self._open.move_to_end(thread.number)

    def _forgotten(self, thread: _Open) -> None:
        known = (thread.dialect, thread.platform, *thread.tip)
        if self._tips.get(known) == thread.number:
            del self._tips[known]
        for link in thread.links:
            waiting = self._ends.get(link, [])
            if thread.number in waiting:
                waiting.remove(thread.number)
                if not waiting:
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


def _messages(body: Body) -> list[Json]:
    said = body.json.get(messages_key(body.dialect))
    if isinstance(said, str):
        return [{"role": "user", "content": said}]
    return said if isinstance(said, list) else []


def _opening(message: Json) -> bool:
    return isinstance(message, dict) and message.get("role") in ("system", "developer")


def answer_key(message: Json) -> tuple[str, ...]:
    """What tells a model's message from others, wherever it stands: ids of its calls, else ``"said"`` and its words."""
    if not isinstance(message, dict):
        return answer_key(message[-1]) if isinstance(message, list) and message else ()
    if message.get("role") not in _MODEL and message.get("type") not in _MADE:
        return ()
    blocks = [one for name in ("content", "parts", *_CALLS) for one in _listed(message.get(name))]
    if ids := [found for one in (message, *blocks) if (found := _call_id(one))]:
        return tuple(ids)
    content = message.get("content")
    words = (content if isinstance(content, str) else "".join(filter(None, map(_words, blocks)))).strip()
    return ("said", words) if words else ()


def _telling(answer: tuple[str, ...]) -> bool:
    """It is nobody else's."""
    return len(answer[-1]) >= (_WORDS if answer[0] == "said" else _ID)


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
