"""Files of recorded requests: JSON and JSONL, in the wire formats that ctxkit knows.

A file holds one request body, a list of them, or one per line; a body may be wrapped (``{"request": {...}}`` or
``{"body": {...}}``, with ``dialect``, ``platform``, ``provider`` and ``model`` beside it), and a bare list of messages is
taken for an OpenAI-shaped chat. A line that cannot be read is named, and the rest is read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit.errors import TranscriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Recorded", "dialect_of", "read"]

_WRAPPERS = ("request", "body", "kwargs")
_PLATFORMS = {
    "openai.chat": "openai",
    "openai.responses": "openai",
    "anthropic.messages": "anthropic",
    "gemini.generate": "google",
    "bedrock.converse": "bedrock",
}
_CLAUDE_BLOCKS = frozenset({"tool_use", "tool_result", "thinking", "redacted_thinking", "document"})
_LARGEST = 512 * 1024 * 1024  # bytes of a file that is no JSONL


class Recorded(NamedTuple):
    """One recorded request.

    Attributes:
        source: file and line, or number within the file (``"run.jsonl:12"``, ``"run.json#3"``).
        body: the wire JSON.
        dialect: its wire format.
        platform: who served it.
        model: where the body does not carry it.
    """

    source: str
    body: dict[str, Any]
    dialect: str
    platform: str
    model: str | None = None


def read(
    path: Path,
    *,
    dialect: str | None = None,
    platform: str | None = None,
    model: str | None = None,
    complain: Callable[[TranscriptError], None] | None = None,
) -> Iterator[Recorded]:
    """The requests of a file, in its order.

    Args:
        path: a ``.json`` or ``.jsonl`` file.
        dialect: their wire format; found by their shape when not given.
        platform: who served them; the owner of the wire format when not given.
        model: for bodies that carry none.
        complain: told of what cannot be read, after which the rest is read; without it the first one is raised.

    Raises:
        TranscriptError: naming file and line.
    """
    for source, value in _values(path, complain):
        try:
            yield _recorded(source, value, dialect, platform, model)
        except ValueError as error:
            _tell(TranscriptError(f"{source}: {error}"), complain)


def _tell(error: TranscriptError, complain: Callable[[TranscriptError], None] | None) -> None:
    if complain is None:
        raise error
    complain(error)


def _values(path: Path, complain: Callable[[TranscriptError], None] | None) -> Iterator[tuple[str, Any]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            first = file.readline()
            whole = path.suffix != ".jsonl" and _is_part(first)
            if not whole:
                yield from _lines(path, first, file, complain)
                return
        yield from _documents(path)
    except OSError as error:
        _tell(TranscriptError(f"{path}: cannot be read: {error.strerror or error}"), complain)
    except TranscriptError as error:
        _tell(error, complain)


def _is_part(line: str) -> bool:
    """The line is no JSON by itself: the file is one document over many lines."""
    try:
        return isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return True


def _lines(
    path: Path, first: str, rest: Iterator[str], complain: Callable[[TranscriptError], None] | None
) -> Iterator[tuple[str, Any]]:
    number, line = 1, first
    while line:
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                _tell(TranscriptError(f"{path}:{number}: no JSON: {_short(error)}"), complain)
        number, line = number + 1, next(rest, "")


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    if path.stat().st_size > _LARGEST:
        raise TranscriptError(f"{path}: larger than {_LARGEST >> 20} MB; write one request per line (.jsonl)")
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise TranscriptError(f"{path}:{line}: no JSON: {_short(error)}") from None
    if isinstance(found, list) and not _is_messages(found):
        for number, value in enumerate(found, 1):
            yield f"{path}#{number}", value
    else:
        yield f"{path}#1", found


def _short(error: Exception) -> str:
    """What is wrong, without a piece of what stands there."""
    return getattr(error, "msg", None) or type(error).__name__


def _is_messages(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(item, dict) and "role" in item for item in value)


def _recorded(source: str, value: Any, dialect: str | None, platform: str | None, model: str | None) -> Recorded:
    beside: dict[str, Any] = value if isinstance(value, dict) else {}
    for name in _WRAPPERS:
        if isinstance(beside.get(name), dict | list):
            value = beside[name]
            break
    if isinstance(value, list) and _is_messages(value):
        value = {"messages": value}
    if not isinstance(value, dict):
        raise ValueError(f"a request is an object, this is a {type(value).__name__}")  # noqa: TRY004 - told to people
    named = dialect or _said(beside, "dialect") or dialect_of(value)
    if named is None:
        raise ValueError("no wire format is known that looks like this; name one with --dialect")
    served = platform or _said(beside, "platform") or _PLATFORMS.get(named, "")
    asked = model or _said(beside, "model")
    return Recorded(source, value, named, served, None if value.get("model") else asked)


def _said(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def dialect_of(body: dict[str, Any]) -> str | None:
    """The wire format that a request body has by its looks; ``None`` when nobody writes such bodies."""
    if isinstance(body.get("contents"), list):
        return "gemini.generate"
    messages = body.get("messages")
    if isinstance(messages, list):
        return _of_messages(body, messages)
    return "openai.responses" if "input" in body else None


def _of_messages(body: dict[str, Any], messages: list[Any]) -> str:
    blocks = [block for message in messages if isinstance(message, dict) for block in _blocks(message)]
    if "toolConfig" in body or "inferenceConfig" in body or "modelId" in body:
        return "bedrock.converse"
    if any("type" not in block for block in blocks) and all(
        isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages
    ):
        return "bedrock.converse"
    claude = (
        "system" in body
        or str(body.get("model", "")).startswith("claude")
        or any(isinstance(tool, dict) and "input_schema" in tool for tool in body.get("tools") or ())
        or any(block.get("type") in _CLAUDE_BLOCKS for block in blocks)
    )
    return "anthropic.messages" if claude else "openai.chat"


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
