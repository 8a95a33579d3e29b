"""Sessions of Claude Code: the JSONL files under ``~/.claude/projects`` (and those of its sub-agents).

A line is a message with ``uuid``, ``parentUuid``, ``timestamp`` and ``type``. What makes these files more than a list:

- An answer is spread over several lines of one ``message.id``, a content block each; usage is repeated on every line, or
  grows: the largest counts, once. Results of tools may stand between the lines of the answer that called them.
- What follows one another from the user is one message on the wire.
- Sessions that are resumed or forked repeat older lines in a file of their own: an answer is known again by ``message.id`` and
  ``requestId`` and read once, wherever it stands first.
- Sub-agents (``isSidechain``, ``agentId``) are conversations of their own, in the file of their session or in one of theirs.
- Compaction (``compact_boundary``, ``isCompactSummary``) begins the history anew; a prompt whose parent stands before later
  answers goes back to there.
- Failures of the API and other answers that no model gave (``<synthetic>``) were never sent.

Instructions, tool definitions and attachments are not recorded: the recordings are partial. A request was sent when the last message
of its prompt was written. Sources: published parsers of the format (ryoppippi/ccusage, 23min/copilot-lens; 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctxkit.dialects.usage import figure
from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.figures import moment, usage_of
from ctxkit.replay.readers.growing import Growing, Moment
from ctxkit.replay.readers.values import tell
from ctxkit.replay.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.model import Json
    from ctxkit.replay.readers.bodies import Wanted
    from ctxkit.replay.readers.values import Value

__all__ = ["looks", "read"]

_DIALECT = "anthropic.messages"
_SPOKEN = ("user", "assistant")
_MOST_COPIED = 1_000_000  # messages that are held again since their conversation went back
_PLATFORMS = (("msg_bdrk_", "bedrock"), ("msg_vrtx_", "vertex"))


def looks(value: Json) -> bool:
    """It is a line of a session."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    if value["type"] in _SPOKEN:
        return isinstance(value.get("message"), dict) and ("uuid" in value or "sessionId" in value)
    return "sessionId" in value and ("uuid" in value or "leafUuid" in value)


@dataclass(slots=True)
class _Call:
    """One answer, as far as it was seen."""

    source: str
    start: int  # of its prompt
    end: int
    window: int  # where the history begins that it stands in itself
    index: int
    key: str
    at: float | None
    model: str
    usage: Json = None


@dataclass(slots=True)
class _Chain:
    """A conversation: all its messages, and where the one that is being sent now begins."""

    name: str
    feature: str
    messages: list[Json] = field(default_factory=list)
    start: int = 0
    copied: int = 0
    calls: dict[str, _Call] = field(default_factory=dict)  # by the id of the answer
    places: dict[str, int] = field(default_factory=dict)  # of lines: messages of the current history up to there
    known: set[str] = field(default_factory=set)
    sent: float | None = None  # when the last message of the user was written
    before: tuple[float, int, int, float | None] | None = None  # of the last compaction: moment, history, ``sent``

    def restart(self, at: float | None) -> None:
        """The history begins anew."""
        if at is not None:
            self.before = at, self.start, len(self.messages), self.sent
        self.start, self.places = len(self.messages), {}

    def back(self, place: int) -> None:
        """The history ends after so many messages, and goes on from there."""
        kept = self.messages[self.start : self.start + place]
        self.start = len(self.messages)
        self.copied += len(kept)
        self.messages += kept
        self.places = {line: at for line, at in self.places.items() if at <= place}


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversations of a session's file."""
    chains: dict[str, _Chain] = {}
    members: dict[str, str] = {}  # of side chains without a name: their lines
    for source, line in values:
        if not isinstance(line, dict) or not isinstance(line.get("type"), str):
            tell(TranscriptError(f"{source}: no line of a session"), wanted.complain)
            continue
        key = _chain_of(line, members)
        if key not in chains:
            chains[key] = _Chain(_name(line, key, wanted), "claude-code/agent" if key else "claude-code")
        try:
            _take(chains[key], line, source)
        except (ValueError, TypeError) as error:
            tell(TranscriptError(f"{source}: {error}"), wanted.complain)
    for chain in chains.values():
        if found := _recording(chain, wanted):
            yield found


def _chain_of(line: dict[str, Json], members: dict[str, str]) -> str:
    """Which conversation it belongs to: that of an agent, a nameless one by its first line, ``""``: the session's own."""
    if isinstance(agent := line.get("agentId"), str) and agent:
        return agent
    if line.get("isSidechain") is not True:
        return ""
    own, parent = str(line.get("uuid")), str(line.get("parentUuid"))
    return members.setdefault(own, members.get(parent, own))


def _name(line: dict[str, Json], key: str, wanted: Wanted) -> str:
    session = line.get("sessionId")
    name = session if isinstance(session, str) and session else wanted.path.stem
    return f"{name}/{key}" if key else name


def _take(chain: _Chain, line: dict[str, Json], source: str) -> None:
    """Add a line to its conversation.

    Raises:
        ValueError: it is not what such lines are.
    """
    uuid = line.get("uuid")
    own = uuid if isinstance(uuid, str) else ""
    if own and own in chain.known:
        return
    if line.get("type") == "system" and line.get("subtype") == "compact_boundary":
        chain.restart(moment(line.get("timestamp")))
    elif line.get("type") in _SPOKEN:
        message = line.get("message")
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise ValueError("a message has content")
        if line["type"] == "user":
            _heard(chain, line, content)
        else:
            _answered(chain, line, message, content, source)
    if own:
        chain.known.add(own)
        chain.places[own] = len(chain.messages) - chain.start


def _heard(chain: _Chain, line: dict[str, Json], content: Json) -> None:
    """What the user said, or the result of a tool."""
    summary = line.get("isCompactSummary") is True
    if line.get("isVisibleInTranscriptOnly") is True and not summary:
        return
    if summary and len(chain.messages) > chain.start:
        chain.restart(moment(line.get("timestamp")))
    place = chain.places.get(str(line.get("parentUuid")))
    if place is not None and chain.copied < _MOST_COPIED and not _result(content):
        later = chain.messages[chain.start + place :]
        if any(one["role"] == "assistant" for one in later):
            chain.back(place)
    chain.sent = moment(line.get("timestamp"))
    last = chain.messages[-1] if len(chain.messages) > chain.start else None
    if last is not None and last["role"] == "user":
        chain.messages[-1] = {"role": "user", "content": [*_blocks(last["content"]), *_blocks(content)]}
    else:
        chain.messages.append({"role": "user", "content": content})


def _result(content: Json) -> bool:
    return isinstance(content, list) and any(isinstance(one, dict) and "tool_use_id" in one for one in content)


def _blocks(content: Json) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _answered(chain: _Chain, line: dict[str, Json], message: dict[str, Json], content: Json, source: str) -> None:
    """A line of an answer: its first, or one more block of it."""
    model = message.get("model")
    if line.get("isApiErrorMessage") is True or model == "<synthetic>":
        return
    request = line.get("requestId")
    name = next((one for one in (message.get("id"), request, line.get("uuid")) if isinstance(one, str) and one), source)
    call = chain.calls.get(name)
    if call is None:
        call = _call(chain, moment(line.get("timestamp")), source)
        call.key, call.model = f"{name}:{request}", model if isinstance(model, str) else ""
        chain.calls[name] = call
        chain.messages.append({"role": "assistant", "content": _blocks(content)})
    elif call.window == chain.start:
        said = chain.messages[call.index]["content"]
        more = [block for block in _blocks(content) if block not in said]
        chain.messages[call.index] = {"role": "assistant", "content": [*said, *more]}
    usage = message.get("usage")
    if (figure(usage, "output_tokens") or 0) >= (figure(call.usage, "output_tokens") or 0) and isinstance(usage, dict):
        call.usage = usage


def _call(chain: _Chain, at: float | None, source: str) -> _Call:
    """A new answer; one from before the compaction that stands behind it was still asked with the whole history."""
    here = len(chain.messages)
    start, end, sent = chain.start, here, chain.sent
    if chain.before is not None and at is not None and at < chain.before[0]:
        _, start, end, sent = chain.before
    return _Call(source, start, end, chain.start, here, "", at if sent is None else sent, "")


def _recording(chain: _Chain, wanted: Wanted) -> Recording | None:
    answers = chain.calls
    platform = wanted.platform or next(
        (name for start, name in _PLATFORMS for one in answers if one.startswith(start)), ""
    )
    served = platform or "anthropic"
    moments = [_moment(chain, call, served, wanted) for call in answers.values() if not wanted.again(call.key)]
    if not moments:
        return None
    requests = Growing(chain.messages, moments)
    return Recording(
        chain.name, str(wanted.path), "claude-code", _DIALECT, served, requests, chain.feature, partial=True
    )


def _moment(chain: _Chain, call: _Call, platform: str, wanted: Wanted) -> Moment:
    model = call.model or wanted.model or ""
    return Moment(
        end=call.end,
        source=call.source,
        start=call.start,
        rest={"model": model} if model else {},
        at=call.at,
        usage=usage_of(_DIALECT, platform, call.usage, model),
        answer=chain.messages[call.index],
        key=call.key,
    )
