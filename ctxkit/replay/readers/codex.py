"""Sessions of Codex: the rollouts under ``~/.codex/sessions`` (JSONL), in OpenAI's responses format.

A line is ``{"timestamp": ..., "type": ..., "payload": {...}}``:

- ``session_meta``: id, instructions, provider; ``turn_context``: the model of the requests that follow.
- ``response_item``: an item of the conversation, as it is sent. Those the model made, up to the next that it did not, are an
  answer.
- ``event_msg`` of type ``token_count``: usage of the last answer (``last_token_usage``; where only totals are given, what they
  grew by). It is told again whenever limits change: only totals that moved count.
- ``compacted``: the history begins anew, with ``replacement_history`` where it is given, else with the summary.
- ``thread_rolled_back``: the last turns of the user are taken back.

Sessions from before the envelopes have a first line with ``id`` and ``instructions``, then bare items, and no usage. A fork
repeats the lines of its parent: an answer is known again by all that was said up to it. Tool definitions are not
recorded: the recordings are partial. Sources: openai/codex (``codex-rs/protocol``), ryoppippi/ccusage; 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from ctxkit.dialects.platforms import platform_named
from ctxkit.dialects.usage import at as inside
from ctxkit.dialects.usage import figure
from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.figures import moment, usage_of
from ctxkit.replay.readers.grouping import bytes_of
from ctxkit.replay.readers.growing import Growing, Moment
from ctxkit.replay.readers.requests import made
from ctxkit.replay.readers.values import tell
from ctxkit.replay.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Wanted
    from ctxkit.replay.readers.values import Value

__all__ = ["looks", "read"]

_DIALECT = "openai.responses"
_ENVELOPES = frozenset({"session_meta", "turn_context", "response_item", "event_msg", "compacted"})
_LINES = frozenset({"type", "payload", "record_type", "instructions"})
_FIGURES = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
_COUNTED = (*_FIGURES, "reasoning_output_tokens", "total_tokens")
_UNSENT = ("ghost_snapshot", "other")
_INJECTED = ("<", "# AGENTS.md")
"""How texts begin that the program says in the user's name."""


def looks(value: Json) -> bool:
    """It is a line of a rollout."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("payload"), dict):
        return isinstance(kind := value.get("type"), str) and kind in _ENVELOPES
    return (
        "instructions" in value
        and "timestamp" in value
        and "id" in value
        and "type" not in value
        and "input" not in value
    )


@dataclass(slots=True)
class _Call:
    """One answer, as far as it was seen."""

    source: str
    start: int
    index: int
    model: str
    instructions: str
    at: float | None
    counted: Json = None
    key: bytes = b""


@dataclass(slots=True)
class _Session:
    """What was read so far."""

    name: str
    platform: str = "openai"
    model: str = ""
    instructions: str = ""
    items: list[Json] = field(default_factory=list)
    start: int = 0
    calls: list[_Call] = field(default_factory=list)
    open: _Call | None = None  # the answer that is being written, or that may still get its usage
    counts: bool = False  # usage is recorded
    totals: Json = None
    digest: bytes = b""
    at: float | None = None


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversation of a rollout."""
    session = _Session(wanted.path.stem)
    for source, line in values:
        if isinstance(line, dict) and not _LINES.isdisjoint(line):
            _take(session, line, source)
        else:
            tell(TranscriptError(f"{source}: no line of a session"), wanted.complain)
    if found := _recording(session, wanted):
        yield found


def _take(session: _Session, line: dict[str, Json], source: str) -> None:
    payload, kind = line.get("payload"), line.get("type")
    at = moment(line.get("timestamp"))
    if not isinstance(payload, dict):
        if "instructions" in line:
            _met(session, line)
        elif isinstance(kind, str) and kind not in _ENVELOPES:
            _said(session, line, source, at)
    elif kind == "session_meta":
        _met(session, payload)
    elif kind == "turn_context":
        session.model = _text(payload.get("model")) or session.model
    elif kind == "response_item":
        _said(session, payload, source, at)
    elif kind == "compacted":
        _compacted(session, payload)
    elif kind == "event_msg" and payload.get("type") == "token_count":
        _counted(session, payload.get("info"))
    elif kind == "event_msg" and payload.get("type") == "thread_rolled_back":
        _rolled_back(session, figure(payload, "num_turns") or 0)


def _met(session: _Session, about: dict[str, Json]) -> None:
    """The head of a session; the first counts, a fork repeats that of its parent."""
    if session.items:
        return
    session.name = _text(about.get("id")) or session.name
    said = about.get("base_instructions") or about.get("instructions")
    session.instructions = _text(said["text"] if isinstance(said, dict) and "text" in said else said)
    if provider := _text(about.get("model_provider")):
        session.platform = platform_named(provider).name


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _said(session: _Session, item: dict[str, Json], source: str, at: float | None) -> None:
    if not isinstance(item.get("type"), str) or item["type"] in _UNSENT:
        return
    session.digest = blake2b(session.digest + bytes_of(item), digest_size=16).digest()
    if not made(item):
        session.at = at
        if item.get("role") == "user" or not session.counts:
            session.open = None
    elif session.open is None:
        sent = session.at if session.at is not None else at
        call = _Call(source, session.start, len(session.items), session.model, session.instructions, sent)
        session.open = call
        session.calls.append(call)
    session.items.append(item)
    if session.open is not None:
        session.open.key = session.digest


def _counted(session: _Session, info: Json) -> None:
    totals, last = inside(info, "total_token_usage"), inside(info, "last_token_usage")
    if not isinstance(info, dict) or (isinstance(totals, dict) and totals == session.totals):
        return
    session.counts = True
    if not any(figure(last, name) for name in _COUNTED):
        last = {name: max(0, (figure(totals, name) or 0) - (figure(session.totals, name) or 0)) for name in _COUNTED}
    session.totals = totals
    if session.calls and session.calls[-1].counted is None and any(last.values()):
        session.calls[-1].counted = last
        session.open = None


def _compacted(session: _Session, payload: dict[str, Json]) -> None:
    history = payload.get("replacement_history")
    if not isinstance(history, list):
        summary = {"type": "input_text", "text": _text(payload.get("message"))}
        history = [{"type": "message", "role": "user", "content": [summary]}]
    _anew(session, [one for one in history if isinstance(one, dict)])


def _anew(session: _Session, items: list[Json]) -> None:
    session.start, session.open = len(session.items), None
    session.items += items


def _rolled_back(session: _Session, turns: int) -> None:
    now = session.items[session.start :]
    asked = [at for at, one in enumerate(now) if one.get("role") == "user" and not _injected(one)]
    if turns and asked:
        _anew(session, now[: asked[-min(turns, len(asked))]])


def _injected(item: dict[str, Json]) -> bool:
    content = item.get("content")
    first = content[0] if isinstance(content, list) and content else content
    text = first.get("text") if isinstance(first, dict) else first
    return isinstance(text, str) and text.lstrip().startswith(_INJECTED)


def _recording(session: _Session, wanted: Wanted) -> Recording | None:
    platform = wanted.platform or session.platform
    moments = [_moment(session, call, platform, wanted) for call in session.calls if not wanted.again(call.key.hex())]
    if not moments:
        return None
    requests = Growing(session.items, moments, "input")
    return Recording(session.name, str(wanted.path), "codex", _DIALECT, platform, requests, "codex", partial=True)


def _moment(session: _Session, call: _Call, platform: str, wanted: Wanted) -> Moment:
    model = call.model or wanted.model or ""
    rest: dict[str, Json] = {"model": model} if model else {}
    if call.instructions:
        rest["instructions"] = call.instructions
    answer = []
    for one in session.items[call.index :]:
        if not made(one):
            break
        answer.append(one)
    usage = usage_of(_DIALECT, platform, _wire(call.counted), model)
    return Moment(
        end=call.index,
        source=call.source,
        start=call.start,
        rest=rest,
        at=call.at,
        usage=usage,
        answer=answer,
        key=call.key.hex(),
    )


def _wire(counted: Json) -> Json:
    """The figures under the names of the wire."""
    if not isinstance(counted, dict):
        return None
    given, cached, written, output = (figure(counted, name) for name in _FIGURES)
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    return {
        "input_tokens": given,
        "input_tokens_details": {name: value for name, value in details.items() if value is not None},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": figure(counted, "reasoning_output_tokens") or 0},
    }
