"""``gemini.generate``: ``generateContent`` and ``streamGenerateContent``, of the Gemini API and of Vertex.

Cache order is tools, system instruction, contents. Field names are read in both spellings that the API takes
(``systemInstruction`` and ``system_instruction``). The model stands in the URL; a request that names
``cachedContent`` reads a history the provider holds. There are no cache markers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects import edits as _edits
from ctxkit.dialects.blocks import listed, mapped, request, turns, whole
from ctxkit.dialects.gemini.parts import read_content, read_text, read_tool
from ctxkit.dialects.gemini.usage import GeminiStream, read_answer
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Conversation, Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.dialects.base import AnswerStream
    from ctxkit.model import Answer, Edit, Json, Path

__all__ = ["answer", "apply", "editable", "identity", "name", "stream", "view"]

name = "gemini.generate"
editable = True

_SYSTEM = ("systemInstruction", "system_instruction")
_HISTORY = ("cachedContent", "cached_content")


def view(body: Json) -> Conversation:
    """A read-only look at ``body`` in cache order: tools, system instruction, contents.

    ``contents`` may be a list, one content or a bare text, a system instruction likewise.

    Raises:
        ProviderShapeError: the body is no object, or ``contents`` is none of these.
    """
    body = request(body, name)
    seen = {"model", "contents"}
    found: list[Message] = []
    if isinstance(body.get("tools"), list | tuple | dict):
        seen.add("tools")
        found += _tools(body["tools"])
    for key in _SYSTEM:
        if isinstance(body.get(key), dict | str):
            seen.add(key)
            found.append(_lone("system", (key,), body[key]))
    found += _contents(body.get("contents"))
    model = body.get("model")
    limits = mapped(body.get("generationConfig")) or mapped(body.get("generation_config"))
    return Conversation(
        dialect=name,
        model=model if isinstance(model, str) else "",
        messages=tuple(found),
        options={key: value for key, value in body.items() if key not in seen},
        server_history=_history(body),
        max_output=whole(limits.get("maxOutputTokens"), limits.get("max_output_tokens")),
        choices=whole(limits.get("candidateCount"), limits.get("candidate_count")) or 1,
    )


def _history(body: dict[str, Json]) -> str | None:
    for key in _HISTORY:
        handle = body.get(key)
        if isinstance(handle, str) and handle:
            return handle
    return None


def _tools(tools: Json) -> list[Message]:
    if isinstance(tools, dict):
        return [Message("tools", ("tools",), tools, read_tool)]
    return [Message("tools", ("tools", index), tool, read_tool) for index, tool in enumerate(tools)]


def _contents(contents: Json) -> list[Message]:
    if isinstance(contents, str | dict):
        return [_lone("user", ("contents",), contents)]
    if listed(contents) and not all(isinstance(content, dict) for content in contents):
        return [_lone("user", ("contents", index), content) for index, content in enumerate(contents)]
    return turns(contents, ("contents",), read_content, name)


def _lone(role: str, path: Path, content: Json) -> Message:
    """A content that may lack a role, or be a bare text."""
    if not isinstance(content, dict):
        return Message(role, path, content, read_text)
    said = content.get("role")
    known = said if isinstance(said, str) and role != "system" else role
    return Message(known, path, content, read_content)


def identity(value: Json) -> Json:
    """``value`` itself: the wire has no cache markers."""
    return value


def apply(body: Json, edits: Sequence[Edit]) -> Json:
    """A new body with ``edits`` made; no edits: ``body`` itself.

    Raises:
        ProviderShapeError: a path does not exist, or the request reads a handle, whose history nobody sees here.
    """
    if edits and _history(body):
        raise ProviderShapeError(f"{name}: a request that reads cachedContent is never edited")
    return _edits.apply(body, edits)


def answer(response: Mapping[str, Json], platform: str) -> Answer:  # noqa: ARG001 -- one rule for all platforms
    """Read a whole answer; see ``gemini.usage`` for the rules.

    A stream that was not asked for as server-sent events is one JSON list of chunks: it may be given as such.
    """
    return read_answer(response)


def stream(platform: str, *, hide_usage: bool = False) -> AnswerStream:  # noqa: ARG001 -- usage is always sent
    """Begin to read a streamed answer; call ``end()`` when its bytes have ended, for the protocol has no terminator."""
    return GeminiStream()
