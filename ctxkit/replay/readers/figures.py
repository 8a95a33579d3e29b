"""Usage, answers and moments as recordings hold them, read by the wire's own rules."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.dialects import raw
from ctxkit.errors import CtxkitError

if TYPE_CHECKING:
    from ctxkit.model import Answer, Json, Usage

__all__ = ["answer_of", "message_of", "moment", "usage_of"]

_LATEST = 4_102_444_800.0  # the year 2100: a larger figure counts milli-, micro- or nanoseconds
_GEMINI = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
_SHAPES = ("openai.chat", "anthropic.messages", "bedrock.converse")


def answer_of(dialect: str, platform: str, response: Json) -> Answer | None:
    """What an answer says of itself: its JSON, its text, or the events of its stream; ``None``: it is no answer."""
    wire = dialects.get(dialect)
    if wire is None or not response:
        return None
    try:
        return raw.read(wire, platform, response)
    except (CtxkitError, ValueError, TypeError, RecursionError):
        return None


def usage_of(dialect: str, platform: str, reported: Json, model: str = "") -> Usage | None:
    """Buckets of a usage object that stands by itself; of another wire's shape (gateways), by that wire's rules."""
    if not isinstance(reported, dict) or not reported:
        return None
    body: dict[str, Json] = {"usage": reported, "model": model} if model else {"usage": reported}
    if any(name in reported for name in _GEMINI):
        dialect, body = "gemini.generate", {"usageMetadata": reported}
    for name in (dialect, *_SHAPES):
        found = answer_of(name, platform, body)
        if found is not None and found.usage is not None and found.usage.input_total is not None:
            return found.usage
    return None


def message_of(dialect: str, response: Json) -> Json | None:
    """The message that an answer holds, on its wire; ``None`` where there is none (or a stream of events)."""
    if not isinstance(response, dict):
        return None
    if dialect == "openai.chat":
        return _inside(_first(response.get("choices")), "message")
    if dialect == "openai.responses":
        return response.get("output") if isinstance(response.get("output"), list) else None
    if dialect == "anthropic.messages":
        content = response.get("content")
        return {"role": "assistant", "content": content} if isinstance(content, list) else None
    if dialect == "gemini.generate":
        return _inside(_first(response.get("candidates")), "content")
    return _inside(_inside(response, "output"), "message") if dialect == "bedrock.converse" else None


def _first(value: Json) -> Json:
    return value[0] if isinstance(value, list) and value else None


def _inside(value: Json, key: str) -> Json | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else None


def moment(value: Json) -> float | None:
    """Unix seconds of a moment, however it is written: seconds, their thousandths and so on, or ISO 8601."""
    if isinstance(value, str):
        return _written(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e20:
        return None
    found = float(value)
    while found > _LATEST:
        found /= 1000
    return found


def _written(value: str) -> float | None:
    if len(value) < 24 and value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdecimal():
        return moment(float(value))
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
