"""Whether the model is stuck: it does the same again, and nothing new comes of it.

A conversation is read as steps: what the model did (its calls, the command that its words end with, or its words) and
what came of it (results, the output of the command). A step that was done before, with what came of it before, adds to
the evidence; a step that brings something new takes most of it away; a user who says something new ends it. So a poll
whose answer changes, a retry that succeeds, pages of results, and tests that are run again after each change are none.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ctxkit.hygiene.outputs import command_in, outputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["STUCK", "stuck"]

STUCK: Final = 0.75
"""From here on it is a loop: something was done three times, and nothing came of it but what had come the first time."""

_BACK: Final = 24  # steps that a thing done is remembered for, and
_RESULTS: Final = 4  # what came of it, the latest
_NEAR: Final = 6  # latest things done that a new one may be like
_LIKE: Final = 0.8  # share of words, of both together, that make two texts alike
_WORDS: Final = 400  # words of a text that are compared
_FEW: Final = 4  # words are too few to be alike
_LONG: Final = 20_000  # characters; in longer texts numbers are compared like all else
_SHORT: Final = 120  # characters of a result in which a number that counts on is nothing new
_MOST: Final = 10.0  # evidence; a longer loop is no surer
_LEFT: Final = 0.4  # of the evidence behind a step that brought something new

_SAME, _ALIKE, _AGAIN_BUT_NUMBERS, _WAITING, _COUNTING = 1.0, 0.7, 0.35, 0.25, 0.1

_BLANK = re.compile(r"\s+")
_NUMBER = re.compile(r"\b\w*\d\w*\b")
_WORD = re.compile(r"\w+")
_WAIT = re.compile(r"(?:^|[^a-z])(?:wait|sleep|poll|status|progress|heartbeat)(?:[^a-z]|$)", re.IGNORECASE)
_PROGRESS = re.compile(r"progress|percent|%|pending|running|queued|remaining|elapsed|eta\b|status", re.IGNORECASE)
_ACTION = re.compile(r"(?:^|\n)Action: *([^\n]*)\n+Action Input: *")


class _Done(NamedTuple):
    """Something that the model did.

    Attributes:
        what: with white space made one.
        got: what came of it; ``""``: nothing, or nobody knows yet.
        called: it is a call or a command, not words.
        inside: the model's message holds what came of it, and more that the program said behind it.
    """

    what: str
    got: str
    called: bool
    inside: bool = False


def stuck(history: History) -> float:
    """How sure it is that the model is stuck at the end of a conversation, from 0 to 1; from :data:`STUCK` on it is."""
    evidence = 0.0
    seen = _Seen()
    for step in _steps(history):
        if not step:
            evidence = 0.0
            continue
        found = [seen.again(done) for done in step]
        new = found.count(0.0) / len(found)
        evidence = min(evidence * (1 - (1 - _LEFT) * new) + sum(found) / len(found), _MOST)
    return 1.0 - 1.0 / 2.0**evidence


class _Seen:
    """What was done lately, and what came of it."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, deque[str]] = OrderedDict()
        self._masked: OrderedDict[str, deque[str]] = OrderedDict()
        self._near: deque[tuple[frozenset[str], str]] = deque(maxlen=_NEAR)

    def again(self, done: _Done) -> float:
        """How much of this was there before: 1 if it was done with the same result, 0 if anything of it is new."""
        words = frozenset(islice((match.group() for match in _WORD.finditer(done.what.lower())), _WORDS))
        weight = self._weight(done, words)
        _put(self._results, done.what, done.got)
        _put(self._masked, _counted(done.what), _counted(done.got))
        self._near.append((words, done.got))
        return weight

    def _weight(self, done: _Done, words: frozenset[str]) -> float:
        before = self._results.get(done.what, ())
        if done.got in before or (done.inside and any(_begins(done.got, one) for one in before)):
            return _WAITING if _WAIT.search(done.what[:200]) and done.called else _SAME
        if any(done.got == got and _alike(words, other) for other, got in self._near):
            return _ALIKE
        if not done.got or _PROGRESS.search(done.got[:2000]):
            return 0.0
        counted = _counted(done.got)
        if counted not in self._masked.get(_counted(done.what), ()):
            return 0.0
        return _AGAIN_BUT_NUMBERS if before else _COUNTING if len(counted) <= _SHORT else 0.0


def _put(where: OrderedDict[str, deque[str]], key: str, value: str) -> None:
    where.setdefault(key, deque(maxlen=_RESULTS)).append(value)
    where.move_to_end(key)
    if len(where) > _BACK:
        where.popitem(last=False)


def _begins(one: str, other: str) -> bool:
    return bool(one and other) and (one.startswith(other) or other.startswith(one))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    both = len(one & other)
    return both >= _FEW and both >= _LIKE * (len(one) + len(other) - both)


def _steps(history: History) -> Iterator[list[_Done]]:
    """What the model did in each message; nothing where a user says what was not said before."""
    printed = outputs(history)
    said: set[str] = set()
    for index, pieces in history.by_message.items():
        if any(piece.speaker == "assistant" for piece in pieces):
            if done := list(_done(history, index, pieces, printed)):
                yield done
        elif index not in printed and _new(pieces, said):
            yield []


def _new(pieces: list[Piece], said: set[str]) -> bool:
    """A user says something that the program has not said for them before."""
    texts = [_counted(_one(piece.text)) for piece in pieces if piece.speaker == "user" and piece.kind == "text"]
    new = [text for text in texts if text not in said]
    said.update(new)
    return bool(new)


def _done(history: History, index: int, pieces: list[Piece], printed: Mapping[int, Piece]) -> Iterator[_Done]:
    calls = [piece for piece in pieces if piece.kind == "arguments"]
    for call in calls:
        result = history.results.get(call.place)
        yield _Done(f"{call.name or ''} {_one(call.text)}", "" if result is None else _one(result.text), called=True)
    if not calls:
        text = "\n".join(piece.text for piece in pieces if piece.speaker == "assistant")
        if text.strip():
            yield _said(text, _after(history, index, printed))


def _after(history: History, index: int, printed: Mapping[int, Piece]) -> str:
    """What a command printed, or what the program said of it."""
    behind = history.by_message.get(index + 1, ())
    told = [piece.text for piece in behind if index + 1 in printed or piece.speaker == "system"]
    return _one("\n".join(told))


def _said(text: str, after: str) -> _Done:
    """What the model did by words: an action with what came of it, a command in JSON or at the end, or just words."""
    if (action := _ACTION.search(text)) is not None:
        given, _, came = text[action.end() :].partition("\nObservation:")
        came = _one(came)
        return _Done(f"{_one(action[1])} {_one(given)}", came or after, called=True, inside=bool(came))
    command = _command(text) or command_in(text)
    return _Done(_one(command or text), after, called=bool(command))


def _command(text: str) -> str:
    """The command in what is one JSON object, beside the model's thoughts; ``""`` if there is none."""
    if not text.lstrip().startswith("{") or '"command"' not in text or len(text) > 2 * _LONG:
        return ""
    try:
        found = json.loads(text).get("command")
    except (ValueError, RecursionError):
        return ""
    return json.dumps(found, sort_keys=True) if found else ""


def _counted(text: str) -> str:
    """Whatever holds a digit as one sign."""
    return _NUMBER.sub("#", text) if len(text) <= _LONG else text


def _one(text: str) -> str:
    """White space as one blank."""
    return _BLANK.sub(" ", text).strip()
