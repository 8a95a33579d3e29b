"""The requests of a conversation that is recorded as one list of messages: bodies are made when they are asked for.

Every request sends the history again, so all bodies of a long conversation together are far larger than itself, even
where they share their messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from ctxkit.replay.recording import Asked

if TYPE_CHECKING:
    from ctxkit.model import Json, Usage

__all__ = ["Growing", "Moment"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One request: where its prompt begins and ends in the messages, and what else is known of it.

    Attributes:
        end: index behind its last message.
        source: see :class:`~ctxkit.replay.recording.Asked`, as for all that follows.
        start: index of its first message.
        rest: the body but for its messages.
    """

    end: int
    source: str
    start: int = 0
    rest: dict[str, Json] = field(default_factory=dict)
    at: float | None = None
    usage: Usage | None = None
    model: str = ""
    answer: Json | None = None
    status: int | None = None
    key: str = ""


class Growing(Sequence[Asked]):
    """Requests whose prompts are pieces of one list of messages.

    Args:
        messages: all of them.
        moments: the requests.
        key: under which a body holds its messages.
    """

    __slots__ = ("_key", "_messages", "_moments")

    def __init__(self, messages: Sequence[Json], moments: Sequence[Moment], key: str = "messages") -> None:
        self._messages = list(messages)
        self._moments = tuple(moments)
        self._key = key

    def __len__(self) -> int:
        return len(self._moments)

    @overload
    def __getitem__(self, index: int) -> Asked: ...

    @overload
    def __getitem__(self, index: slice) -> Growing: ...

    def __getitem__(self, index: int | slice) -> Asked | Growing:
        if isinstance(index, slice):
            return Growing(self._messages, self._moments[index], self._key)
        one = self._moments[index]
        body = {**one.rest, self._key: self._messages[one.start : one.end]}
        return Asked(body, one.source, one.at, one.usage, one.model, one.answer, one.status, one.key)
