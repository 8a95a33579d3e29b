"""Conversations for tests of what arrives: pieces written by hand, and passes run over them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ctxkit.editable import Piece
from ctxkit.hygiene.arrival import Arrivals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctxkit.editable import Place, Rewrite
    from ctxkit.hygiene.passes import ArrivalPass

Messages = list[tuple[Piece, ...]]


class Talk:
    """A conversation that grows; each call adds a message."""

    def __init__(self, first: str = "Please help.") -> None:
        self.messages: Messages = []
        self.user(first)

    def _one(self, kind: Any, speaker: Any, text: str, **given: Any) -> Talk:
        index = len(self.messages)
        self.messages.append((Piece(index, 0, kind, speaker, ("messages", index, "content"), text, **given),))
        return self

    def user(self, text: str) -> Talk:
        return self._one("text", "user", text)

    def assistant(self, text: str) -> Talk:
        return self._one("text", "assistant", text)

    def call(self, name: str, **arguments: Any) -> Talk:
        return self._one("arguments", "assistant", json.dumps(arguments), name=name, pair=f"c{len(self.messages)}")

    def result(self, text: str, **given: Any) -> Talk:
        return self._one("result", "tool", text, pair=f"c{len(self.messages) - 1}", **given)


def chain(messages: Messages) -> list[bytes]:
    """A name for each prefix."""
    names, state = [], b""
    for message in messages:
        said = repr([(piece.kind, piece.speaker, piece.text, piece.pair, piece.name) for piece in message])
        state = hashlib.sha256(state + said.encode("utf-8", "surrogatepass")).digest()
        names.append(state)
    return names


def tidied(passes: Iterable[ArrivalPass], messages: Messages, **given: Any) -> Mapping[Place, Rewrite]:
    """From scratch."""
    return again(Arrivals(passes), messages, **given)


def again(arrivals: Arrivals, messages: Messages, **given: Any) -> Mapping[Place, Rewrite]:
    """With what is remembered."""
    return arrivals.tidied(chain(messages), messages.__getitem__, **given)


def sent(messages: Messages, rewrites: Mapping[Place, Rewrite]) -> Messages:
    """The conversation as it leaves."""
    return [
        tuple(
            piece._replace(text=rewrites[piece.place].text) if piece.place in rewrites else piece for piece in message
        )
        for message in messages
    ]


def texts(messages: Sequence[Sequence[Piece]]) -> list[str]:
    """All texts in order."""
    return [piece.text for message in messages for piece in message]
