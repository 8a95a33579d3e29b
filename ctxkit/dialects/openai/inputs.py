"""What the two meter-only formats of OpenAI share: inputs that are texts or token ids, and no edits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.blocks import listed, unknown
from ctxkit.dialects.openai.parts import content_parts
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.model import Edit, Json, Part

__all__ = ["identity", "input_messages", "refuse"]


def input_messages(body: Mapping[str, Json], key: str, dialect: str) -> tuple[Message, ...]:
    """One message for a text or a list of token ids, one each for a list of them.

    Raises:
        ProviderShapeError: there is nothing at ``key``.
    """
    value = body.get(key)
    if value is None:
        raise ProviderShapeError(f"{dialect}: {key} is missing")
    if listed(value) and not all(isinstance(item, int) for item in value):
        return tuple(Message("user", (key, index), item, _read) for index, item in enumerate(value))
    return (Message("user", (key,), value, _read),)


def _read(message: Message) -> tuple[Part, ...]:
    if isinstance(message.value, str | dict):
        return tuple(content_parts(message.value, message.role, message.path))
    return (unknown(message.role, message.path, message.value)._replace(text=""),)  # token ids


def identity(value: Json) -> Json:
    """These formats have no cache markers: the value itself."""
    return value


def refuse(body: Json, edits: Sequence[Edit]) -> Json:
    """``body`` itself: this format is metered and never edited.

    Raises:
        ProviderShapeError: there are edits.
    """
    if edits:
        raise ProviderShapeError("this format is metered and never edited")
    return body
