"""A placeholder for instructions and tools that a recording leaves out: words of as many tokens as they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.replay.hashing import HASHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.metering.count import Counter
    from ctxkit.model import Json
    from ctxkit.replay.posing import Posed

__all__ = ["hidden_tokens", "instructed", "with_opening"]

_WORDS = "these words stand for instructions and tools that the recording leaves out "
_LEAST = 32  # tokens that are worth a placeholder
_MOST = 2_000_000


def hidden_tokens(requests: Sequence[Posed]) -> int:
    """Tokens that the first reported usage shows beyond the body; 0 where no usage was reported."""
    first = next((one for one in requests if one.reported), None)
    return max((first.reported or 0) - first.counted, 0) if first else 0


def with_opening(requests: Sequence[Posed], counter: Counter) -> list[Posed]:
    """The same requests, each with the placeholder before it."""
    hidden = min(hidden_tokens(requests), _MOST)
    if hidden < _LEAST:
        return list(requests)
    first = requests[0]
    text = _placeholder(hidden, first, counter)
    return [
        one._replace(body=instructed(one.body, one.dialect, text), counted=one.counted + hidden, hidden=hidden)
        for one in requests
    ]


def _placeholder(tokens: int, one: Posed, counter: Counter) -> str:
    """Words of so many tokens, by the measure of the model: counted once, and corrected."""
    text = _WORDS * max(tokens // len(_WORDS.split()), 1)
    weighed = _weight(text, one, counter)
    return (text * 2)[: max(round(len(text) * min(tokens / weighed, 2.0)), 1)] if weighed else text


def _weight(text: str, one: Posed, counter: Counter) -> float:
    named = dialects.get("openai.chat")
    assert named is not None
    view = named.view({"messages": [{"role": "system", "content": text}]})
    digests, _ = HASHER.digests(view.messages, named.identity)
    return sum(counter.weights(view, digests, platform=one.platform, model=one.model)[0])


def instructed(body: dict[str, Json], dialect: str, text: str) -> dict[str, Json]:
    """The body with an instruction before all that it says."""
    match dialect:
        case "anthropic.messages":
            held = body.get("system") or []
            blocks = [{"type": "text", "text": held}] if isinstance(held, str) else list(held)
            return {**body, "system": [{"type": "text", "text": text}, *blocks]}
        case "bedrock.converse":
            return {**body, "system": [{"text": text}, *(body.get("system") or ())]}
        case "gemini.generate":
            held = body.get("systemInstruction") or {}
            parts = held.get("parts") or () if isinstance(held, dict) else ()
            return {**body, "systemInstruction": {"parts": [{"text": text}, *parts]}}
        case "openai.responses":
            held = body.get("instructions")
            return {**body, "instructions": f"{text}\n{held}" if isinstance(held, str) else text}
        case "openai.chat":
            return {**body, "messages": [{"role": "system", "content": text}, *(body.get("messages") or ())]}
    return body
