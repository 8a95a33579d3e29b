"""What an Anthropic answer says of itself, whole or streamed.

``input_tokens`` leaves out what was read from and written to the cache, so the three are buckets as they stand. Writes
are split by time to live in ``cache_creation``; without the split they are taken for ``"5m"``, the default.

Three things that are easily missed:

- a stream tells in pieces: ``message_start`` carries the split, ``message_delta`` cumulative figures without it, so
  pieces are merged and a null never replaces a figure;
- loops of server tools write an extra 5-minute segment that is counted but missing from the split;
- ``usage.iterations`` (beta) lists every sampling step. ``compaction`` steps are billed but left out of the top-level
  figures, so where there are iterations the buckets are their sum. ``advisor_message`` steps are billed at another
  model's prices; they cannot stand in these buckets and are named in ``problems``.

Source: platform.claude.com prompt caching (2026-08-22), compaction and advisor types of the anthropic SDK 2.11.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ctxkit.cacheable import Diagnosis
from ctxkit.dialects.blocks import each
from ctxkit.dialects.usage import at, checks, code, figure, merge, text, ttl_split
from ctxkit.dialects.wire import loads
from ctxkit.model import Answer, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["AnthropicStream", "read_answer", "read_usage"]

_TTLS = {"ephemeral_5m_input_tokens": "5m", "ephemeral_1h_input_tokens": "1h"}
_FIGURES = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_TOLD = ("id", "model", "stop_reason", "diagnostics")
_FREE = frozenset({"web_fetch_requests", "tool_search_requests"})
_ELSEWHERE = "advisor_message"


def read_answer(response: Mapping[str, Json]) -> Answer:
    """Read a whole answer."""
    return _answer(response, at(response, "usage"), complete=True)


def _answer(message: Json, wire: Json, *, complete: bool, extra: Iterable[str] = ()) -> Answer:
    usage, problems = read_usage(wire)
    return Answer(
        usage=usage,
        model=text(message, "model"),
        id=text(message, "id"),
        finish=text(message, "stop_reason"),
        tier="fast" if text(wire, "speed") == "fast" else text(wire, "service_tier"),
        region=_region(wire),
        complete=complete,
        problems=(*extra, *problems),
        diagnosis=_diagnosis(message),
    )


def _diagnosis(message: Json) -> Diagnosis | None:
    """``diagnostics``: not there, ``null``, a comparison that is still running, or where the two requests part."""
    if not isinstance(message, dict) or "diagnostics" not in message:
        return None
    found = message["diagnostics"]
    if found is None:
        return Diagnosis("same")
    reason = at(found, "cache_miss_reason")
    if reason is None:
        return Diagnosis("pending") if isinstance(found, dict) and "cache_miss_reason" in found else None
    kind = code(at(reason, "type")) or ""
    state: Literal["missed", "unknown"] = "missed" if kind.endswith("_changed") else "unknown"
    return Diagnosis(state, kind, figure(reason, "cache_missed_input_tokens"))


def _region(wire: Json) -> str | None:
    """Where it was computed, when the request asked for a place (data residency costs more)."""
    place = text(wire, "inference_geo")
    return None if place in {"global", "not_available"} else place


def read_usage(wire: Json) -> tuple[Usage | None, tuple[str, ...]]:
    """Buckets of one ``usage`` object, and what in it does not add up; no usage when it holds no figure at all."""
    if not isinstance(wire, dict):
        return None, ()
    wire, problems = _with_iterations(wire)
    fresh, read, created, output = (figure(wire, name) for name in _FIGURES)
    if fresh is None and output is None:
        return None, ()
    calls = _calls(wire.get("server_tool_use"))
    written = _written(created, wire.get("cache_creation"))
    usage = Usage(
        fresh=fresh,
        read=read,
        written=written,
        output=output,
        reasoning=figure(wire, "output_tokens_details", "thinking_tokens"),
        calls=calls,
    )
    return usage, (*problems, *_split_problems(created, wire), *checks(usage, prompt=None))


def _written(created: int | None, details: Json) -> dict[str, int] | None:
    if not isinstance(details, dict):
        return None if created is None else {"5m": created} if created else {}
    split = ttl_split(details, _TTLS)
    beyond = (created or 0) - sum(split.values())
    if beyond > 0:  # the segment that server tools write, always for 5 minutes
        split["5m"] = split.get("5m", 0) + beyond
    return split


def _split_problems(created: int | None, wire: Mapping[str, Json]) -> Iterable[str]:
    details = wire.get("cache_creation")
    if created is None or not isinstance(details, dict):
        return
    split = sum(ttl_split(details, _TTLS).values())
    if split > created or (split < created and not isinstance(wire.get("server_tool_use"), dict)):
        yield f"cache writes by time to live sum to {split}, the provider reported {created}"


def _calls(used: Json) -> dict[str, int]:
    if not isinstance(used, dict):
        return {}
    counts = {str(name): figure(used, name) for name in used if name not in _FREE}
    return {name.removesuffix("_requests"): count for name, count in counts.items() if count}


def _with_iterations(wire: dict[str, Json]) -> tuple[dict[str, Json], tuple[str, ...]]:
    """``wire`` with the figures of all its billed iterations, where it has any."""
    steps = [step for _, step in each(wire.get("iterations"), ()) if isinstance(step, dict)]
    own = [step for step in steps if step.get("type") != _ELSEWHERE]
    if not own:
        return wire, ()
    totals: dict[str, Json] = {name: _sum(own, name) for name in _FIGURES}
    totals["cache_creation"] = _split_sum(own)
    problems = [_advice(step) for step in steps if step.get("type") == _ELSEWHERE]
    problems += _iteration_problems(wire, [step for step in own if step.get("type") != "compaction"])
    return merge(wire, totals), tuple(problems)


def _sum(steps: Iterable[Json], *path: str) -> int | None:
    found = [count for step in steps if (count := figure(step, *path)) is not None]
    return sum(found) if found else None


def _split_sum(steps: list[Json]) -> dict[str, int] | None:
    split = {name: _sum(steps, "cache_creation", name) for name in _TTLS}
    known = {name: count for name, count in split.items() if count is not None}
    return known or None


def _iteration_problems(wire: Json, counted: list[Json]) -> Iterable[str]:
    # Output alone: in a stream the input side of the first step may have been merged into the top-level figures.
    top, below = figure(wire, "output_tokens"), _sum(counted, "output_tokens")
    if top is not None and below is not None and top != below:
        yield f"output of the iterations sums to {below}, the provider reported {top}"


def _advice(step: Json) -> str:
    spent = sum(figure(step, name) or 0 for name in _FIGURES[:3])
    output = figure(step, "output_tokens") or 0
    return f"{spent} input and {output} output tokens of the advisor {text(step, 'model')} are billed besides"


class AnthropicStream:
    """Reads a streamed answer; ends with ``message_stop``."""

    __slots__ = ("_message", "_problems", "_usage", "content", "done")

    def __init__(self) -> None:
        self._message: dict[str, Json] = {}
        self._usage: Json = None
        self._problems: list[str] = []
        self.done = False
        self.content = False

    def feed(self, data: bytes) -> bool:
        """Look at one event's data; none of them is ever to be hidden."""
        # A quote inside text is escaped, so these names match keys and types only.
        if self.content and b'"usage"' not in data and b'"message_stop"' not in data and b'"error"' not in data:
            return False
        try:
            event = loads(data)
        except ValueError:
            self._problems.append("an event of the stream is not JSON")
            return False
        self.see(event)
        return False

    def see(self, event: Json) -> None:
        """Look at one event that was parsed already."""
        kind = at(event, "type")
        if kind == "message_start":
            self._start(event.get("message"))
        elif kind == "message_delta":
            self._usage = merge(self._usage, event.get("usage"))
            self._message = merge(self._message, {"stop_reason": at(event, "delta", "stop_reason")})
        elif kind == "message_stop":
            self.done = True
        elif kind == "error":
            self._problems.append(f"the stream broke off: {text(event, 'error', 'type') or 'error'}")
        elif not self.content:
            self.content = _has_content(event)

    def _start(self, message: Json) -> None:
        if isinstance(message, dict):
            self._message = {key: message[key] for key in _TOLD if key in message}
            self._usage = merge(self._usage, message.get("usage"))

    def wire(self) -> dict[str, Json]:
        """What was seen so far, in the shape of an answer that was not streamed."""
        return self._message if self._usage is None else {**self._message, "usage": self._usage}

    def end(self) -> None:
        """Nothing to do: the protocol says itself when it is over."""

    def answer(self) -> Answer:
        """What was seen so far; complete after ``message_stop``."""
        return _answer(self._message, self._usage, complete=self.done, extra=self._problems)


def _has_content(event: Json) -> bool:
    """Text, reasoning or a tool call that is not empty; a signature is none of them."""
    piece = at(event, "delta") or at(event, "content_block")
    if text(piece, "type") in {"tool_use", "server_tool_use", "mcp_tool_use", "redacted_thinking"}:
        return True
    return any(text(piece, field) for field in ("text", "thinking", "partial_json"))
