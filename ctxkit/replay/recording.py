"""Recorded requests of one conversation, in the order they were sent: what every reader of recordings makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json, Usage

__all__ = ["Asked", "Recording", "messages_key"]

_KEYS = {"gemini.generate": "contents", "openai.responses": "input"}


def messages_key(dialect: str) -> str:
    """Under which a body of this wire holds its messages."""
    return _KEYS.get(dialect, "messages")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was sent.

    Bodies of one recording share the messages they have in common (the same objects), so that a long conversation is
    held once.

    Attributes:
        body: the wire JSON as it was sent, as far as it was recorded.
        source: where it stands (``"run.jsonl:12"``, ``"run.json#3"``).
        at: when, in unix seconds, or ``None``.
        usage: what the provider reported, read by the wire's own rules, or ``None``.
        model: that was asked, where the body does not carry it; else ``""``.
        answer: the message that answered, on the wire of the request (an OpenAI message, Anthropic content, ...), for
            weighing output where no usage was reported; ``None`` when not recorded.
        status: how the provider answered (HTTP); ``None``: not recorded.
        key: the same wherever this request is recorded once more (sessions that were resumed or forked); ``""``: it is not.
    """

    body: dict[str, Json]
    source: str
    at: float | None = None
    usage: Usage | None = None
    model: str = ""
    answer: Json | None = None
    status: int | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """A thread as it was sent, request by request.

    Attributes:
        name: of the thread, unique within its file.
        source: the file.
        format: of the file (``"requests"``, ``"claude-code"``, ``"codex"``, ``"openhands"``, ``"cassette"``, ...).
        dialect: wire format of its bodies.
        platform: who served it.
        requests: at least one, in their order; each body may be made when it is asked for, and again when it is asked
            for again.
        feature: what it did for whom, where the recording says so.
        partial: the recording leaves out what stood before the first message (instructions, tools): the usage that was
            reported is more than the bodies hold.
    """

    name: str
    source: str
    format: str
    dialect: str
    platform: str
    requests: Sequence[Asked]
    feature: str = ""
    partial: bool = False
