"""What the views of block-shaped formats share: checking the outermost shape, text of values, what nobody knew.

A message of Anthropic, Converse or Gemini is an object with a list of blocks. These helpers hold what is the same for
all three; the names of their fields stay in their own modules.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctxkit.errors import ProviderShapeError
from ctxkit.model import Message, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from ctxkit.model import Conversation, Json, Path

__all__ = [
    "MEDIA_SIZE",
    "each",
    "items",
    "joined",
    "leftovers",
    "listed",
    "mapped",
    "request",
    "said",
    "size_of",
    "spell",
    "standing",
    "steps",
    "turns",
    "unknown",
    "whole",
]

MEDIA_SIZE = 4_000
"""Characters that an image stands for, whatever its bytes: about a thousand tokens."""
_DEEPEST = 30  # what lies deeper adds nothing to a size


def request(body: Json, dialect: str) -> dict[str, Json]:
    """``body`` when it is a JSON object.

    Raises:
        ProviderShapeError: it is anything else.
    """
    if not isinstance(body, dict):
        raise ProviderShapeError(f"{dialect}: the body is of type {type(body).__name__}, not an object")
    return body


def turns(items: Json, path: Path, read: Callable[[Message], tuple[Part, ...]], dialect: str) -> list[Message]:
    """The messages of a request, none of them taken apart.

    Raises:
        ProviderShapeError: ``items`` is not a list, or one of them is not an object.
    """
    if not isinstance(items, list | tuple):
        raise ProviderShapeError(f"{dialect}: {path[-1]} is of type {type(items).__name__}, not a list")
    found = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise ProviderShapeError(f"{dialect}: {path[-1]}[{index}] is of type {type(item).__name__}, not an object")
        role = item.get("role")
        found.append(Message(role if isinstance(role, str) else "", (*path, index), item, read))
    return found


def steps(items: Json, role: str, path: Path, read: Callable[[Message], tuple[Part, ...]]) -> list[Message]:
    """One message for each item of a list that stands before the messages (tools, system blocks)."""
    return [Message(role, (*path, index), item, read) for index, item in enumerate(items)]


def listed(value: Json) -> bool:
    """A JSON list, or the tuple that a caller of boto3 may write for one."""
    return isinstance(value, list | tuple)


def items(value: Json) -> Sequence[Json]:
    """The items of a JSON list; nothing for anything that is no list."""
    return value if isinstance(value, list | tuple) else ()


def each(value: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    """Items of a list with their paths; nothing for anything that is no list."""
    for index, item in enumerate(items(value)):
        yield (*path, index), item


def mapped(value: Json) -> dict[str, Json]:
    """``value`` when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def said(value: Json) -> str:
    """``value`` when it is text, else ``""``."""
    return value if isinstance(value, str) else ""


def whole(*values: Json) -> int | None:
    """The first of ``values`` that is a number of tokens or answers; ``None`` when none is."""
    return next((value for value in values if type(value) is int and 0 < value < 2**53), None)


def joined(pieces: Iterable[str]) -> str:
    """What is not empty, one piece to a line."""
    return "\n".join(filter(None, pieces))


def spell(value: Json) -> str:
    """``value`` as JSON text, the way it reads to a model: separators with a space, no escapes beyond need."""
    return json.dumps(value, ensure_ascii=False, skipkeys=True, default=_opaque)


def _opaque(value: object) -> str:
    """Stands for what has no JSON, such as the bytes that boto3 takes for media."""
    return f"<{type(value).__name__}>"


def unknown(role: str, path: Path, value: Json) -> Part:
    """A part that no reader knows: shown whole, so that nothing is invisible."""
    return Part("other", role, path, value, value if isinstance(value, str) else spell(value))


def leftovers(message: Message, known: Collection[str]) -> Iterator[Part]:
    """Parts for the fields of a message that no reader knows; its role, too, when it is no text."""
    for key, value in message.value.items():
        if key not in known or (key == "role" and not isinstance(value, str)):
            yield unknown(message.role, (*message.path, key), value)


def standing(conversation: Conversation, path: Path) -> Json:
    """What stands at ``path`` in one of the messages; ``None`` when nothing does."""
    for message in reversed(conversation.messages):
        if path[: len(message.path)] == message.path:
            value = message.value
            for key in path[len(message.path) :]:
                try:
                    value = value[key]
                except (KeyError, IndexError, TypeError):
                    return None
            return value
    return None


def size_of(value: Json, depth: int = _DEEPEST) -> int:
    """Characters of a wire value, by which the tokens of a message are shared among its blocks; no exact figure."""
    if isinstance(value, str):
        return len(value)
    if depth == 0 or value is None:
        return 0
    if isinstance(value, dict):
        return sum(len(str(key)) + 4 + size_of(item, depth - 1) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(2 + size_of(item, depth - 1) for item in value)
    return 4
