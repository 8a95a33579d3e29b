"""Runs of agents as benchmarks and agents publish them: tau-bench, SWE-agent, OpenHands, aider, and records that name their format.

- tau-bench: results, a list of ``{"task_id": ..., "traj": [messages]}``; of its successor ``{"simulations": [...]}``, where
  instructions are not recorded.
- SWE-agent: ``.traj``, whose ``history`` holds the messages; the model stands in ``replay_config``.
- OpenHands: a list of events, or lines of ``output.jsonl`` with the events in ``history``; usage and model stand with the
  model's answers.
- aider: its markdown history, a thread per session.
- ``{"format": ..., "messages": [...]}`` or ``{"format": "aider-markdown", "text": ...}``.

Each answer of the model was a request; usage is rarely recorded, moments never. Bodies are in the shape of OpenAI's chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.dialects import wire
from ctxkit.dialects.platforms import platform_named
from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.figures import usage_of
from ctxkit.replay.readers.growing import Growing, Moment
from ctxkit.replay.readers.values import tell
from ctxkit.replay.recording import Recording
from ctxkit.replay.threads import Thread, aider_threads, thread_of, threads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ctxkit.model import Json, Usage
    from ctxkit.replay.readers.bodies import Wanted
    from ctxkit.replay.readers.values import Value

__all__ = ["looks", "read", "read_aider"]

_DIALECT = "openai.chat"
_ODD = (ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError, RecursionError, MemoryError)
"""What a record of another shape than its format's raises on its way (some of them hold Python's text of a value)."""
_PUBLISHED = frozenset({"aider-markdown", "openai", "openai-text", "openhands-events"})


def looks(value: Json) -> bool:
    """It is such a record."""
    if isinstance(value, list):
        return any(isinstance(one, dict) and _event(one) for one in value[:20])
    return isinstance(value, dict) and (_kind(value) is not None or _event(value))


def _event(value: dict[str, Json]) -> bool:
    named = isinstance(value.get("action"), str) or isinstance(value.get("observation"), str)
    return named and "role" not in value and ("source" in value or "args" in value)


def _kind(value: dict[str, Json]) -> str | None:
    if isinstance(value.get("traj"), list):
        return "tau-bench"
    if isinstance(value.get("simulations"), list) and isinstance(value.get("info"), dict):
        return "tau2-bench"
    history = value.get("history")
    if isinstance(history, list) and "trajectory" in value:
        return "swe-agent"
    if isinstance(history, list) and "instance_id" in value:
        return "openhands"
    published = value.get("format")
    return published if isinstance(published, str) and published in _PUBLISHED else None


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversations of a file of such records."""
    events: list[Json] = []  # of a list of events, which is one run
    for source, value in values:
        if isinstance(value, dict) and _event(value) and _kind(value) is None:
            events.append(value)
            continue
        try:
            yield from _with_calls([_recording(*found, source, wanted) for found in _threads(value, source)])
        except _ODD as error:
            tell(TranscriptError(f"{source}: no conversation: {type(error).__name__}"), wanted.complain)
    if events:
        yield from _of_events(events, wanted)


def read_aider(text: str, wanted: Wanted) -> Iterator[Recording]:
    """The sessions of aider's markdown history."""
    threads = aider_threads(text, wanted.path.name)
    yield from _with_calls([_recording(one, "aider", "", (), one.name, wanted) for one in threads])


def _of_events(events: list[Json], wanted: Wanted) -> Iterator[Recording]:
    source = f"{wanted.path}#1"
    try:
        thread = thread_of(events, wanted.path.name)
        yield from _with_calls([_recording(thread, "openhands", *_answers(events), source, wanted)])
    except _ODD as error:
        tell(TranscriptError(f"{source}: no conversation: {type(error).__name__}"), wanted.complain)


def _threads(value: Json, source: str) -> Iterator[tuple[Thread, str, str, Sequence[Usage | None]]]:
    """Threads with format, model and usage of their answers."""
    place = source.rpartition("/")[2]
    kind = _kind(value) if isinstance(value, dict) else None
    if isinstance(value, list):
        yield thread_of(value, place), "openhands", *_answers(value)
    elif kind == "tau-bench":
        name = "-".join(str(value[key]) for key in ("task_id", "trial") if value.get(key) is not None)
        yield thread_of(value["traj"], f"{place}:{name}"), kind, "", ()
    elif kind == "tau2-bench":
        for number, one in enumerate(value["simulations"], 1):
            yield _simulated(one, f"{place}:{number}"), kind, *_simulations(value, one)
    elif kind == "swe-agent":
        yield thread_of(value["history"], place), kind, _replayed(value), ()
    elif kind == "openhands":
        history = value["history"]
        events = [one for item in history for one in item] if isinstance(history[0], list) else history
        yield thread_of(events, str(value["instance_id"])), kind, *_answers(events)
    elif kind is not None:
        for thread in threads_of(value, place):
            yield thread, kind.partition("-")[0], "", ()
    else:
        raise ValueError("no record of a run")


def _recording(
    thread: Thread, kind: str, model: str, usages: Sequence[Usage | None], source: str, wanted: Wanted
) -> Recording:
    platform, named = _split(model)
    rest: dict[str, Json] = {"model": wanted.model or named} if wanted.model or named else {}
    if thread.tools:
        rest["tools"] = list(thread.tools)
    answered = [at for at, one in enumerate(thread.messages) if one["role"] == "assistant"]
    reported = dict(zip(answered, usages, strict=True)) if len(usages) == len(answered) else {}
    moments = [Moment(at, source, rest=rest, usage=reported.get(at), answer=thread.messages[at]) for at in thread.calls]
    requests = Growing(thread.messages, moments)
    served = wanted.platform or platform or "openai"
    partial = kind == "tau2-bench"
    return Recording(thread.name, str(wanted.path), kind, _DIALECT, served, requests, partial=partial)


def _with_calls(found: Iterable[Recording]) -> Iterator[Recording]:
    """Without those in which no model says anything."""
    return (one for one in found if one.requests)


def _simulated(simulation: Json, name: str) -> Thread:
    """A run of tau2-bench without what its simulated user did with tools of its own."""
    messages: list[dict[str, Json]] = []
    for one in simulation["messages"]:
        if one["role"] == "tool" and one.get("requestor") != "user":
            messages.append({"role": "tool", "tool_call_id": one.get("id"), "content": one.get("content") or ""})
        elif one["role"] == "assistant" or (one["role"] == "user" and one.get("content")):
            calls = [_called(call) for call in one.get("tool_calls") or ()] if one["role"] == "assistant" else []
            message = {"role": one["role"], "content": one.get("content")}
            messages.append({**message, "tool_calls": calls} if calls else message)
    return Thread(name, tuple(messages))


def _called(call: Json) -> Json:
    arguments = wire.dumps(call.get("arguments") or {}).decode("utf-8", "surrogatepass")
    return {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": arguments}}


def _simulations(value: Json, simulation: Json) -> tuple[str, list[Usage | None]]:
    agent = value["info"].get("agent_info") or {}
    answers = [one for one in simulation["messages"] if one["role"] == "assistant"]
    return str(agent.get("llm") or ""), [usage_of(_DIALECT, "", one.get("usage")) for one in answers]


def _split(model: str) -> tuple[str, str]:
    """Platform and model of a name as LiteLLM writes it (``"anthropic/claude-sonnet-4"``)."""
    before, slash, after = model.partition("/")
    known = platform_named(before)
    return (known.name, after) if slash and known.hosts else ("", model)


def _replayed(value: dict[str, Json]) -> str:
    """The model that SWE-agent was to use."""
    config = value.get("replay_config")
    try:
        found: Any = wire.loads(config) if isinstance(config, str) else config
        model = found["agent"]["model"]["name"]
    except (ValueError, KeyError, TypeError):
        return ""
    return model if isinstance(model, str) else ""


def _answers(events: Sequence[Json]) -> tuple[str, list[Usage | None]]:
    """The model of OpenHands' events, and the usage of each of its answers."""
    found: dict[str, Json] = {}
    for event in events:
        about = event.get("tool_call_metadata") if isinstance(event, dict) else None
        answer = about.get("model_response") if isinstance(about, dict) else None
        if isinstance(answer, dict) and "observation" not in event:
            found.setdefault(str(answer.get("id")), answer)
    model = next((str(one["model"]) for one in found.values() if one.get("model")), "")
    return model, [usage_of(_DIALECT, "", one.get("usage")) for one in found.values()]
