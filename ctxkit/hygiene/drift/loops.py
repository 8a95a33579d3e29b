"""Whether the model is stuck: it does the same again, and nothing new comes of it.

A conversation is read as steps: what the model did (its calls, the command that its words end with, or its words) and
what came of it (results, the output of the command). A step that was done before, with what came of it before, adds to
the evidence; a step that brings something new takes most of it away; a user who says something new ends it. So a poll
whose answer changes, a retry that succeeds, pages of results, and tests that are run again after each change are none.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, OrderedDict, deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ctxkit.drift import STUCK
from ctxkit.hygiene.memo import remembered
from ctxkit.hygiene.outputs import command_in, outputs
from ctxkit.hygiene.touches import touches_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History

__all__ = ["STUCK", "stuck", "stuck_at"]

_BACK: Final = 24  # steps that a thing done is remembered for, and
_RESULTS: Final = 4  # what came of it, the latest
_NEAR: Final = 6  # latest things done that a new one may be like
_LIKE: Final = 0.8  # share of words, of both together, that make two texts alike
_WORDS: Final = 400  # words of a text that are compared
_FEW: Final = 4  # words are too few to be alike
_LONG: Final = 20_000  # characters; in longer texts numbers are compared like all else
_SHORT: Final = 120  # characters of a result in which a number that counts on is nothing new
_MOST: Final = 10.0  # evidence; a longer loop is no surer
_PROGRAM: Final = 200  # characters of what is no question that is asked again
_LEFT: Final = 0.2  # of the evidence behind a step that brought something new

_SECOND, _THIRD = 0.5, 1.5  # evidence of a thing done the second time, and each time after that: thrice is a loop
_FIRST_ROUND: Final = 1.5  # evidence that second times come to: a program may be gone through twice
# How much like before it is: the same; in other words; with other numbers in the result, or none that can be seen; the
# same result, otherwise asked for; waiting; a number that counts.
_SAME, _ALIKE, _RENUMBERED, _OTHERWISE, _WAITING, _COUNTING = 1.0, 0.7, 0.35, 0.35, 0.25, 0.1

_BLANK = re.compile(r"\s+")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"\w+")
_WAIT = re.compile(r"(?:^|[^a-z])(?:wait|sleep|poll|status|progress|heartbeat)(?:[^a-z]|$)", re.IGNORECASE)
_FAILED = re.compile(
    r"\berror\b|\bfail(?:ed|ure)\b|exception|traceback|same input|invalid|not found|limit", re.IGNORECASE
)
_PROGRESS = re.compile(r"progress|percent|%|pending|running|queued|remaining|elapsed|eta\b|status", re.IGNORECASE)
_ACTION = re.compile(r"(?:^|\n)Action: *+([^\n]*+)\n++Action Input: *+")


class _Done(NamedTuple):
    """Something that the model did.

    Attributes:
        what: with white space made one.
        got: what came of it; ``""``: nothing, or nobody knows.
        name: of the tool that was called; ``""``: these are words.
        inside: the model's message holds what came of it, and more that the program said behind it.
        looks: it changes nothing that is known to be changed.
    """

    what: str
    got: str
    name: str = ""
    inside: bool = False
    looks: bool = True


def stuck(history: History) -> float:
    """How sure it is that the model is stuck at the end of a conversation, from 0 to 1.

    From :data:`STUCK` on it is: something was done three times, and nothing came of it but what had come the first time.
    """
    found = stuck_at(history)
    return found[-1][1] if found else 0.0


def stuck_at(history: History) -> list[tuple[int, float]]:
    """The same after each step, with what came of it, and after what a user said anew: by index of the message."""
    found: list[tuple[int, float]] = []
    evidence = 0.0
    called, spoken = _Seen(), _Seen()
    for index, step in _steps(history):
        if step:
            evidence = _weighed(evidence, [(called if done.name else spoken).again(done) for done in step])
        else:  # a user may ask for the same call again, but not for the same words
            evidence, called = 0.0, _Seen()
        found.append((index, 1.0 - math.exp2(-evidence)))
    return found


def _weighed(evidence: float, step: list[_Again]) -> float:
    """The evidence with one step more; what its parts tell counts by their share."""
    new = sum(one.like == 0.0 for one in step) / len(step)
    second = sum(_SECOND * one.like for one in step if one.times == 1) / len(step)
    third = sum(_THIRD * one.like for one in step if one.times > 1) / len(step)
    left = evidence * (1 - (1 - _LEFT) * new)
    return min(max(left, min(left + second, _FIRST_ROUND)) + third, _MOST)


class _Again(NamedTuple):
    """How much a thing done is like one before, from 0 (something of it is new) to 1, and how often that was done."""

    like: float
    times: int


class _Near(NamedTuple):
    """One of the latest things done."""

    what: str
    got: str
    name: str
    words: frozenset[str]
    number: int


class _Seen:
    """What was done lately, and what came of it; what is alike has one number."""

    def __init__(self) -> None:
        self._times: Counter[int] = Counter()
        self._results: OrderedDict[str, deque[tuple[str, int]]] = OrderedDict()
        self._counted: OrderedDict[str, deque[tuple[str, int]]] = OrderedDict()
        self._near: deque[_Near] = deque(maxlen=_NEAR)

    def again(self, done: _Done) -> _Again:
        """Whether this was there before."""
        words = _words(done.what)
        like, number = self._like(done, words)
        times = self._times[number]
        self._times[number] += 1
        _put(self._results, done.what, (done.got, number))
        _put(self._counted, _counted(done.what), (_counted(done.got), number))
        self._near.append(_Near(done.what, done.got, done.name, words, number))
        return _Again(like, times)

    def _like(self, done: _Done, words: frozenset[str]) -> tuple[float, int]:
        """How much it is like one before, and the number of that; of what is new, a new one."""
        before = self._results.get(done.what, ())
        for got, number in before:
            if _same(done, got):
                return _repeated(done), number
        if before and self._near[-1].what == done.what and _hopeless(done):
            return _SAME, before[-1][1]
        for one in reversed(self._near) if done.looks else ():
            if done.got == one.got and _alike(words, one.words):
                return _ALIKE, one.number
            if done.got and done.name and done.name == one.name and _same(done, one.got):
                return _OTHERWISE, one.number
        return self._renumbered(done, bool(before))

    def _renumbered(self, done: _Done, before: bool) -> tuple[float, int]:
        """The same but for numbers that count on, of nothing that progresses."""
        counted = _counted(done.got)
        if counted and not _PROGRESS.search(done.got[:2000]) and (before or (done.looks and len(counted) <= _SHORT)):
            for got, number in self._counted.get(_counted(done.what), ()):
                if counted == got:
                    return (_RENUMBERED if before else _COUNTING), number
        return 0.0, len(self._times)


def _hopeless(done: _Done) -> bool:
    """Done once more just behind the last time, it is refused or fails, or it is too long for something that is polled."""
    came = done.got[:_SHORT]
    return _FAILED.search(came) is not None or (len(done.what) > _PROGRAM and not _PROGRESS.search(came))


def _repeated(done: _Done) -> float:
    if not done.name:
        return _SAME
    return _WAITING if _WAIT.search(done.what[:200]) else _SAME if done.got else _RENUMBERED


def _put(where: OrderedDict[str, deque[tuple[str, int]]], key: str, value: tuple[str, int]) -> None:
    where.setdefault(key, deque(maxlen=_RESULTS)).append(value)
    where.move_to_end(key)
    if len(where) > _BACK:
        where.popitem(last=False)


def _same(done: _Done, got: str) -> bool:
    """The same came of it before; what the program said behind it left out."""
    if done.got == got:
        return True
    return done.inside and bool(got) and (done.got.startswith(got) or got.startswith(done.got))


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    both = len(one & other)
    return both >= _FEW and both >= _LIKE * (len(one) + len(other) - both)


def _steps(history: History) -> Iterator[tuple[int, list[_Done]]]:
    """What the model did in each message; nothing where a user says what was not said before.

    What is said behind a result, before the model said anything of it, is the program's.
    """
    printed = outputs(history)
    said: set[str] = set()
    results = False
    for index, pieces in history.by_message.items():
        if any(piece.speaker == "assistant" for piece in pieces):
            results = False
            if done := list(_done(history, index, pieces, printed)):
                yield index, done
        elif index not in printed and _new(pieces, said) and not results:
            yield index, []
        results = results or any(piece.kind == "result" for piece in pieces)


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
        came = _stray(history, index) if result is None else result.text
        looks = all(touch.kind == "read" for touch in touches_of(call.name or "", call.text))
        if result is not None and looks and not came.strip():
            continue  # a thought that is given to a tool, or a wait: nothing is done, and nothing comes of it
        yield _Done(f"{call.name or ''} {_one(call.text)}", _one(came), call.name or "?", looks=looks)
    if not calls:
        text = "\n".join(piece.text for piece in pieces if piece.speaker == "assistant")
        if text.strip():
            yield _said(text, _after(history, index, printed))


def _stray(history: History, index: int) -> str:
    """Results behind a message that answer no call by its id."""
    behind = history.by_message.get(index + 1, ())
    return "\n".join(piece.text for piece in behind if piece.kind == "result" and piece.place not in history.calls)


def _after(history: History, index: int, printed: Mapping[int, Piece]) -> str:
    """What a command printed, or what the program said of it."""
    behind = history.by_message.get(index + 1, ())
    told = [piece.text for piece in behind if index + 1 in printed or piece.speaker == "system"]
    return _one("\n".join(told))


def _said(text: str, after: str) -> _Done:
    """What the model did by words: an action with what came of it, a command in JSON or at the end, or just words."""
    if (action := _ACTION.search(text)) is not None:
        given, _, came = text[action.end() :].partition("\nObservation:")
        came, name = _one(came), _one(action[1])
        return _Done(f"{name} {_one(given)}", came or after, name or "?", inside=bool(came))
    command = _command(text) or command_in(text)
    return _Done(_one(command or text), after, _one(command)[:20], looks=not command)


def _command(text: str) -> str:
    """The command in what is one JSON object, beside the model's thoughts; ``""`` if there is none."""
    if not text.lstrip().startswith("{") or '"command"' not in text or len(text) > 2 * _LONG:
        return ""
    try:
        found = json.loads(text).get("command")
    except (ValueError, RecursionError):
        return ""
    return json.dumps(found, sort_keys=True) if found else ""


@remembered
def _words(text: str) -> frozenset[str]:
    return frozenset(islice((match.group() for match in _WORD.finditer(text.lower())), _WORDS))


@remembered
def _counted(text: str) -> str:
    """Whatever holds a digit as one sign."""
    return _NUMBER.sub("#", text) if len(text) <= _LONG else text


@remembered
def _one(text: str) -> str:
    """White space as one blank."""
    return _BLANK.sub(" ", text).strip()
