"""What later turns refer to: whether it still stood in the prompt that was sent when a model needed it.

A *reference* is an identifier in an answer of the recorded model (a value it passed to a tool; an id, amount, date, path or
name in its words) that stands in the conversation that the application had at that call, outside the opening
instruction. It is *present* if it stands in the prompt that was sent instead, and *recoverable* if it does not but stood
in the result of a tool that the request offers (or, where a recording carries no definitions, that was called in it), or if
the recall tool is offered and a stub names what was removed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.model import Json
    from ctxkit.replay.running import Turn

__all__ = ["References", "names_in", "referred", "stands"]

_WORD = re.compile(r"[A-Za-z0-9_@~/][\w@./:~#-]*[A-Za-z0-9_]")
_TELLING = re.compile(r"\d.*\d|[A-Za-z]\d|\d[A-Za-z]|\w[_/@]\w|[a-z][A-Z]|\w\.[A-Za-z]\w")
_OPENING = frozenset({"system", "developer"})
_LONGEST = 80  # characters of a value that is one reference; longer ones are texts, of which the names count
_STUB = "[ctxkit"
_RECALL = "ctxkit_recall"


def names_in(text: str) -> Iterator[str]:
    """Identifiers in words: with digits, joined by ``_ / @ .``, in camel case, or in capitals.

    >>> list(names_in("Flight HAT227 from JFK, see utils/dates.py: $1,204.50 in all"))
    ['HAT227', 'JFK', 'utils/dates.py', '204.50']
    """
    for found in _WORD.finditer(text):
        name = found.group().rstrip(".:/-#")
        if len(name) >= 3 and (_TELLING.search(name) or (name.isupper() and name.isalpha() and len(name) <= 8)):
            yield name


def referred(answer: Json) -> set[str]:
    """What an answer (a message in the OpenAI shape) may refer to."""
    found = set(names_in(answer.get("content") or ""))
    for call in answer.get("tool_calls") or ():
        try:
            values = json.loads(call["function"]["arguments"] or "{}")
        except ValueError:
            values = call["function"]["arguments"]
        for text in _values(values):
            if 3 <= len(text) <= _LONGEST and "\n" not in text:
                found.add(text)
            else:
                found.update(names_in(text))
    return found


def _values(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _values(one)
    elif isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def stands(name: str, text: str) -> bool:
    """``name`` stands in the text as a word of its own.

    >>> stands("JFK", "from JFK."), stands("JFK", "JFKX")
    (True, False)
    """
    at = text.find(name)
    while at >= 0:
        end = at + len(name)
        if not (_joins(text[at - 1 : at], name[0]) or _joins(name[-1], text[end : end + 1])):
            return True
        at = text.find(name, at + 1)
    return False


def _joins(left: str, right: str) -> bool:
    return bool(left and right) and (left.isalnum() or left == "_") and (right.isalnum() or right == "_")


@dataclass(slots=True)
class References:
    """Watches a replay and counts; see :func:`~ctxkit.replay.running.replay`.

    Attributes:
        found: references in answers.
        present: how many stood in what was sent.
        recoverable: how many did not, and can be had again by a tool that the request offers.
        missing: name and index of the answer, of those that are neither (the first hundred).
    """

    found: int = 0
    present: int = 0
    recoverable: int = 0
    missing: list[tuple[int, str]] = field(default_factory=list)

    def __call__(self, turn: Turn) -> None:
        """Count one answer."""
        names = referred(turn.answer)
        if not names:
            return
        own, sent = _conversation(turn.raw), ""
        opening = _joined(turn.raw.get("system")) + _joined(turn.raw.get("tools"))
        opening += _joined([one for one in turn.raw["messages"] if one["role"] in _OPENING])
        same = turn.sent is turn.raw or not _changed(turn)
        for name in sorted(names):
            if not stands(name, own) or stands(name, opening):
                continue
            self.found += 1
            sent = sent or (own if same else _conversation(turn.sent))
            if same or stands(name, sent):
                self.present += 1
            elif _recoverable(name, turn, sent):
                self.recoverable += 1
            elif len(self.missing) < 100:
                self.missing.append((turn.at, name))


def _changed(turn: Turn) -> bool:
    return bool(turn.raw["messages"] != turn.sent["messages"])


def _conversation(body: Json) -> str:
    return _joined([one for one in body["messages"] if one["role"] not in _OPENING])


def _joined(value: Json) -> str:
    return "\n".join(_texts(value))


def _texts(value: Json) -> Iterator[str]:
    """All strings and numbers, as they stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield json.dumps(value)


def _recoverable(name: str, turn: Turn, sent: str) -> bool:
    """A tool of the request gives it again."""
    offered = {_named(tool) for tool in turn.raw.get("tools") or ()}
    if _RECALL in offered and _STUB in sent:
        return True
    called = dict(_calls(turn.raw["messages"]))
    return any(
        stands(name, text)
        for pair, text in _results(turn.raw["messages"])
        if pair in called and (not offered or called[pair] in offered)
    )


def _named(tool: Mapping[str, Json]) -> str:
    return str(tool.get("name") or (tool.get("function") or {}).get("name", ""))


def _calls(messages: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Id and tool of each call, in either shape."""
    for one in messages:
        for call in one.get("tool_calls") or ():
            yield call["id"], call["function"]["name"]
        for block in _blocks(one):
            if block.get("type") == "tool_use":
                yield block["id"], block["name"]


def _results(messages: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """Id and text of each result, in either shape."""
    for one in messages:
        if one["role"] == "tool":
            yield one["tool_call_id"], _joined(one["content"])
        for block in _blocks(one):
            if block.get("type") == "tool_result":
                yield block["tool_use_id"], _joined(block.get("content"))


def _blocks(message: Json) -> Sequence[Json]:
    return message["content"] if isinstance(message.get("content"), list) else ()
