"""Recorded conversations and agent runs as they grew: what stood in the prompt at each call of the model.

A :class:`Thread` is a list of messages in the OpenAI shape and the places where a model was called; the prompt of a call
is everything before the message that answered it. Readers know the formats in which such recordings are published:
OpenAI messages (with tool calls, or text only), OpenHands events, aider's markdown.
"""

from __future__ import annotations

import ast
import json
import lzma
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ctxkit.errors import TranscriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ctxkit.model import Json

__all__ = ["Messages", "Thread", "aider_threads", "chained", "grouped", "read_threads", "thread_of", "threads_of"]

Messages: TypeAlias = "tuple[dict[str, Json], ...]"
"""In the shape of OpenAI's chat completions."""

_KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")
_OPENING = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Thread:
    """One conversation, from its first message to its last.

    Attributes:
        name: where it comes from.
        messages: all of it.
        tools: definitions that every request carries.
        label: what was noted of it beside the conversation (``{"reward": 1.0}``).
    """

    name: str
    messages: Messages
    tools: Messages = ()
    label: Json = None

    @property
    def calls(self) -> tuple[int, ...]:
        """Indices of the messages that a model answered with: before each there was a request."""
        found = [index for index, one in enumerate(self.messages) if one["role"] == "assistant" and index]
        return tuple(index for index in found if self.messages[index - 1]["role"] not in _OPENING)


def read_threads(path: Path, *, complain: Callable[[TranscriptError], None] | None = None) -> Iterator[Thread]:
    """The threads of a file with one record a line (``.jsonl``, ``.jsonl.xz``), in its order.

    Args:
        path: the file.
        complain: told of what cannot be read, after which the rest is read; without it the first one is raised.

    Raises:
        TranscriptError: naming file and line.
    """
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield from threads_of(json.loads(line), f"{path.name}:{number}")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                told = TranscriptError(f"{path}:{number}: no conversation: {type(error).__name__}")
                if complain is None:
                    raise told from None
                complain(told)


def threads_of(record: Json, source: str) -> Iterator[Thread]:
    """The threads of one published record, named after it or, where it has no name, after where it stands.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is none.
    """
    name = str(record.get("id", source))
    if record.get("format") == "aider-markdown":
        yield from aider_threads(record["text"], name)
        return
    yield replace(thread_of(record["messages"], name), label=record.get("meta"))


def aider_threads(text: str, name: str) -> Iterator[Thread]:
    """The sessions of aider's markdown history."""
    for number, messages in enumerate(_aider(text), 1):
        yield Thread(f"{name}#{number}", messages)


def thread_of(messages: Sequence[Json], name: str = "", *, tools: Sequence[Json] = ()) -> Thread:
    """A thread of OpenAI messages or OpenHands events, by their looks.

    >>> thread_of([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]).calls
    (1,)
    """
    if any("action" in one and "role" not in one for one in messages):
        return _openhands(messages, name)
    return Thread(name, tuple(_message(one) for one in messages), tuple(tools))


def chained(threads: Sequence[Thread], name: str = "") -> Thread:
    """Conversations one after another in one thread, under the opening instruction of the first."""
    first = threads[0]
    messages = [*first.messages]
    for one in threads[1:]:
        start = next((at for at, message in enumerate(one.messages) if message["role"] not in _OPENING), 0)
        messages += one.messages[start:]
    return Thread(name or f"{first.name} and {len(threads) - 1} more", tuple(messages), first.tools)


def grouped(threads: Sequence[Thread], size: int) -> list[Thread]:
    """All threads, so many chained into one; what is left over at the end is left out."""
    whole = len(threads) - len(threads) % size
    return [chained(threads[at : at + size]) if size > 1 else threads[at] for at in range(0, whole, size)]


# ---- OpenAI messages ---------------------------------------------------------------------------------------------------


def _message(recorded: Json) -> dict[str, Json]:
    """A message as it went over the wire, without what the recording adds to it."""
    message = {key: recorded[key] for key in _KEPT if key in recorded}
    if "tool_calls" in message:
        message["tool_calls"] = _parsed(message["tool_calls"])
    ids = _parsed(recorded.get("tool_call_ids"))  # SWE-agent
    if ids:
        message["tool_call_id"] = ids[0]
    if not isinstance(message["role"], str):
        raise TypeError("role")
    if message["role"] == "assistant":
        message.setdefault("content", None)
    return message


def _parsed(value: Json) -> Json:
    """Some recordings hold Python's text of it."""
    return ast.literal_eval(value) if isinstance(value, str) else value


# ---- OpenHands ---------------------------------------------------------------------------------------------------------


def _openhands(events: Sequence[Json], name: str) -> Thread:
    """Events: the model's actions, by the answer that they came with, and what was observed."""
    messages: list[dict[str, Json]] = []
    tools: Sequence[Json] = ()
    answered = ""
    for event in events:
        if event.get("action") == "system":
            tools = event["args"].get("tools") or ()
            messages.append({"role": "system", "content": event["args"]["content"]})
        elif event.get("tool_call_metadata"):
            answered = _called(messages, event, answered)
        elif message := _said_or_seen(event):
            messages.append(message)
    return Thread(name, tuple(_joined(messages)), tuple(tools))


def _called(messages: list[dict[str, Json]], event: Json, answered: str) -> str:
    """Add an action with its call (once for each answer of the model) or the result of one; the id of that answer."""
    about = event["tool_call_metadata"]
    if "observation" in event:
        messages.append({"role": "tool", "tool_call_id": about["tool_call_id"], "content": event.get("content") or ""})
        return answered
    answer = about["model_response"]
    if answer["id"] != answered:
        said = answer["choices"][0]["message"]
        calls = [
            {"id": one["id"], "type": "function", "function": _picked(one["function"])} for one in said["tool_calls"]
        ]
        calls = [{**calls[0], "id": about["tool_call_id"]}] if len(calls) == 1 else calls
        messages.append({"role": "assistant", "content": said.get("content") or None, "tool_calls": calls})
    return str(answer["id"])


def _picked(function: Json) -> Json:
    return {"name": function["name"], "arguments": function["arguments"]}


def _said_or_seen(event: Json) -> dict[str, Json] | None:
    """Events of agents that call no tools: what was done stands in the model's words, what was seen in the user's."""
    args: Any = event.get("args") or event
    action = event.get("action")
    if "observation" in event:
        told = event.get("content")
        return {"role": "user", "content": told} if told and event["observation"] != "recall" else None
    if action == "message":
        own = event.get("source") == "agent"
        return {"role": "assistant" if own else "user", "content": args["content"]}
    if action in ("run", "run_ipython"):
        tag = "execute_bash" if action == "run" else "execute_ipython"
        done = f"<{tag}>\n{args.get('command') or args.get('code')}\n</{tag}>"
        return {"role": "assistant", "content": "\n".join(filter(None, [args.get("thought"), done]))}
    if action == "finish":
        return {"role": "assistant", "content": args.get("thought") or args.get("final_thought") or "Done."}
    return None


def _joined(messages: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Every call with its result: one without (the run ended, the program failed) is left out with what it said."""
    results = {one["tool_call_id"] for one in messages if one["role"] == "tool"}
    found = []
    for one in messages:
        calls = one.get("tool_calls")
        if calls and not all(call["id"] in results for call in calls):
            if one["content"]:
                found.append({"role": "assistant", "content": one["content"]})
            continue
        found.append(one)
    return found


# ---- aider -------------------------------------------------------------------------------------------------------------

_STARTED = re.compile(r"^# aider chat started at .*$", re.MULTILINE)
_SENT = re.compile(r"^[\d,.k]+ prompt tokens, |^Tokens: .* sent")


def _aider(text: str) -> Iterator[Messages]:
    """Sessions of a markdown history: ``####`` is the user, ``>`` the program (which the user sends on), the rest the model."""
    for session in _STARTED.split(text)[1:]:
        messages = tuple(_turns(session.splitlines()))
        if any(one["role"] == "assistant" for one in messages):
            yield messages


def _turns(lines: Sequence[str]) -> Iterator[dict[str, Json]]:
    role, held = "user", list[str]()
    for line in lines:
        program = line.startswith("> ")  # a conflict marker of the model is none
        own = program or line.startswith("####")
        speaker = "user" if own else "assistant"
        said = line[1:].removeprefix(" ").rstrip() if program else line.removeprefix("####").removeprefix(" ").rstrip()
        if (program and _SENT.match(said)) or (not said and not held):
            continue
        if said and speaker != role:
            yield from _turn(role, held)
            role, held = speaker, []
        held.append(said if own else line)
    yield from _turn(role, held)


def _turn(role: str, lines: Sequence[str]) -> Iterator[dict[str, Json]]:
    text = "\n".join(lines).strip()
    if text:
        yield {"role": role, "content": text}
