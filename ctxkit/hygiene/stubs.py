"""What is said where something was removed: what stood there, how large it was, and the names that may be needed again.

A pure function of the conversation as the application sends it and of the action, so that only the action need be
remembered. Of what follows only the model's next step is looked at, which is there whenever something is removed. Every
token of a stub is paid with each request: what is not clearly shorter than what it stands for is not said at all.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from ctxkit.editable import Fold, Rewrite
from ctxkit.hygiene.identifiers import chosen, identifiers
from ctxkit.hygiene.passes import MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctxkit.editable import Action, Piece
    from ctxkit.hygiene.history import History

__all__ = ["Sayings", "closing_of", "is_gap", "said"]

Sayings: TypeAlias = "tuple[Sequence[Rewrite], Sequence[int]]"
"""What is said instead, and messages that go."""

_SHORTER = 0.7  # share of the old text that the new one may have at most, and
_SAVED = 120  # characters that must go
_NAMES = 240  # characters of names that a stub of one piece keeps at most, and
_SHARE = 0.15  # share of the piece
_FOLD_NAMES = (60, 450)  # characters of names that a folded stretch keeps at least, and at most; between them
_FOLD_SHARE = 0.006  # of the stretch: of what is over little is needed again, and it is paid with each request
_GAP_NAMES = 300  # characters of names that a stretch without an end of its own keeps at most, and
_GAP_SHARE = 0.018  # of the stretch: it is not over
_TOOLS = 3  # names of tools that are said of a folded stretch
_ASKED = 60  # characters of what a user said
_LAST = 70  # characters of what the model said at last
_VALUE = 200  # characters from which on a value of a call gives way
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"(?P<key>\s*+:)?+', re.DOTALL)
_SENTENCE = re.compile(r"[.!?](?=\s)|[\u3002\uff01\uff1f]|\n")  # the full stops of Chinese and Japanese, too

_NOTHING: Sayings = ((), ())


def said(history: History, action: Action, *, ref: str | None = None) -> Sayings:
    """What is said instead, and indices of messages that go.

    Args:
        history: the conversation as the application sends it.
        action: what gives way.
        ref: by which the model can recall it; ``None``: it has no tool for that.

    Returns:
        Nothing, when that would not be clearly smaller, or the action does not fit the conversation.
    """
    back = None if ref is None else f'; ctxkit_recall("{ref}") shows it'
    if isinstance(action, Fold):
        return _folded(history, action, back)
    piece = history.by_place.get(action.place)
    if piece is None or piece.locked or MARK in piece.text:
        return _NOTHING
    text = _cut_arguments(piece, back) if piece.kind == "arguments" else _stub(history, piece, back)
    if text is None or not _smaller(text, piece.text):
        return _NOTHING
    return (Rewrite(action.place, text, "", "gives way to a line that says what stood there", lossless=False),), ()


def _smaller(new: str, old: str) -> bool:
    return len(new) <= _SHORTER * len(old) and len(new) + _SAVED <= len(old)


def _stub(history: History, piece: Piece, back: str | None) -> str:
    """For a result, or a text."""
    call = history.calls.get(piece.place)
    known = set(identifiers(call.text)) if call is not None else set()
    room = min(_NAMES, int(len(piece.text) * _SHARE))
    names = chosen(
        identifiers(piece.text), _uses(_next_step(history, piece.message)), room, lambda name: name not in known
    )
    name = piece.name or (call.name if call is not None else None)
    again = "call again" if call is not None else "run it again"
    what = f"{'error' if piece.failed else 'result'} of {name}" if name else "text"
    mentions = f"; mentions {', '.join(names)}" if names else ""
    return f"{MARK}: {what}, {len(piece.text):,} characters, left out{mentions}{back or f'; {again} to see it'}]"


def _next_step(history: History, message: int) -> Sequence[Piece]:
    """What the model did next: its first message behind this one."""
    at = bisect_right(history.steps, message)
    return history.by_message[history.steps[at]] if at < len(history.steps) else ()


def _uses(pieces: Iterable[Piece]) -> Mapping[str, float]:
    """How often names were used by the model."""
    found: dict[str, float] = {}
    for piece in pieces:
        if piece.speaker == "assistant":
            for name in identifiers(piece.text):
                found[name] = found.get(name, 0.0) + 1.0
    return found


def _cut_arguments(piece: Piece, back: str | None) -> str | None:
    """The same JSON with long texts in it cut to a line each; everything else stays byte for byte."""
    try:
        json.loads(piece.text)
    except (ValueError, RecursionError):
        return None
    return _STRING.sub(lambda match: _cut_string(match, back or ""), piece.text)


def _cut_string(match: re.Match[str], back: str) -> str:
    token = match.group()
    if match.group("key") or len(token) <= _VALUE:
        return token
    value = json.loads(token)
    cut = _cut_value(value, back)
    return token if cut == value else json.dumps(cut, ensure_ascii=not cut.isprintable())  # half a surrogate is escaped


def _cut_value(value: str, back: str) -> str:
    names = chosen(identifiers(value), {}, min(_NAMES, int(len(value) * _SHARE)), lambda _: True)
    mentions = f"; mentions {', '.join(names)}" if names else ""
    stub = f"{_beginning(value, _ASKED)} {MARK}: {len(value):,} characters, {value.count(chr(10)) + 1:,} lines{mentions}{back}]"
    return stub if _smaller(stub, value) else value


def _beginning(text: str, most: int) -> str:
    """The first words of a text on one line, to the end of a sentence where one is near."""
    start = text.strip()[: most + 1]
    if len(start) <= most and "\n" not in start:
        return start
    ends = [match.end() for match in _SENTENCE.finditer(start, most // 3)]
    if ends:
        return start[: ends[-1]].replace("\n", " ").strip()
    words, _, _ = start.rpartition(" ")
    return f"{(words or start[:most]).strip()}…"


def _folded(history: History, fold: Fold, back: str | None) -> Sayings:
    first = _texts(history, fold.start, "user")
    if first and is_gap(history, fold):
        return _left_out(history, fold, first, back)
    at = closing_of(history, fold)
    last = _texts(history, at, "assistant") if at is not None else []
    if not first or not last:
        return _NOTHING
    inside = [piece for index in range(fold.start, fold.end) for piece in history.by_message.get(index, ())]
    closing = _closing(last)
    opening = _summary(fold, inside, " ".join(text for _, text in closing), back)
    rewrites = [_rewrite(first[0], opening), *(_rewrite(piece, text) for piece, text in closing if text != piece.text)]
    rewrites += [_rewrite(piece, f"{MARK}: left out]") for piece in first[1:] if len(piece.text) > _SAVED]
    after = sum(len(one.text) for one in rewrites)
    if not _smaller(" " * after, " " * sum(len(piece.text) for piece in inside)):
        return _NOTHING
    return tuple(rewrites), tuple(index for index in range(fold.start + 1, fold.end) if index != at)


def _left_out(history: History, fold: Fold, first: Sequence[Piece], back: str | None) -> Sayings:
    """A line in place of all of it: nothing of it is its end."""
    inside = [piece for index in range(fold.start, fold.end) for piece in history.by_message.get(index, ())]
    text = _gap(fold, inside, back)
    rewrites = [_rewrite(first[0], text), *(_rewrite(piece, f"{MARK}: left out]") for piece in first[1:])]
    after = sum(len(one.text) for one in rewrites)
    if not _smaller(" " * after, " " * sum(len(piece.text) for piece in inside)):
        return _NOTHING
    return tuple(rewrites), tuple(range(fold.start + 1, fold.end))


def is_gap(history: History, fold: Fold) -> bool:
    """A user had the last word in it, and what follows may stand behind a user's words: nothing is left of it but a line."""
    if not _texts(history, fold.end - 1, "user"):
        return False
    return not _texts(history, fold.end, "user") or closing_of(history, fold) is None


def closing_of(history: History, fold: Fold) -> int | None:
    """Index of the message that stays at the end of a folded stretch: the last one in which the model only spoke."""
    inside = range(fold.end - 1, fold.start, -1)
    return next((index for index in inside if _texts(history, index, "assistant")), None)


def _texts(history: History, index: int, speaker: str) -> list[Piece]:
    """Texts of a message that is nothing but such texts."""
    pieces = history.by_message.get(index, ())
    fit = all(piece.kind == "text" and piece.speaker == speaker and not piece.locked for piece in pieces)
    return list(pieces) if fit else []


def _rewrite(piece: Piece, text: str) -> Rewrite:
    return Rewrite(piece.place, text, "", "stands in a finished stretch of the conversation", lossless=False)


def _closing(last: Sequence[Piece]) -> list[tuple[Piece, str]]:
    """What the model said at last, shortened."""
    return [(piece, _beginning(piece.text, _LAST) if len(piece.text) > _LAST * 1.3 else piece.text) for piece in last]


def _summary(fold: Fold, inside: Sequence[Piece], closing: str, back: str | None) -> str:
    """What was asked and done, and the names that may be needed again."""
    asked = _beginning(max([piece.text for piece in inside if piece.speaker == "user"][:3], key=len), _ASKED)
    tools = list(dict.fromkeys(piece.name for piece in inside if piece.kind == "arguments" and piece.name))
    said_by_user = _uses_by(inside, "user")
    uses = _uses(inside)
    shown = set(identifiers(asked)) | set(identifiers(closing))
    least, most = _FOLD_NAMES
    room = min(most, max(least, int(sum(len(piece.text) for piece in inside) * _FOLD_SHARE)))
    names = chosen(
        chain.from_iterable(identifiers(piece.text) for piece in inside),
        {name: uses.get(name, 0.0) + said_by_user.get(name, 0.0) for name in {*uses, *said_by_user}},
        room,
        lambda name: name not in shown,
    )
    parts = [f'{MARK}: {fold.end - fold.start - 1} messages left out; asked: "{asked}"']
    if tools:
        parts.append(f"called {', '.join(tools[:_TOOLS])}")
    if names:
        parts.append(f"mentions {', '.join(names)}")
    return "; ".join(parts) + (back or "") + "]"


def _gap(fold: Fold, inside: Sequence[Piece], back: str | None) -> str:
    """How much it was, how it began, and the names that may be needed again."""
    count, begins = fold.end - fold.start, _beginning(inside[0].text, _ASKED)
    shown = set(identifiers(begins))
    room = min(_GAP_NAMES, int(sum(len(piece.text) for piece in inside) * _GAP_SHARE))
    found = chain.from_iterable(identifiers(piece.text) for piece in inside)
    names = chosen(found, _uses(inside), room, lambda name: name not in shown)
    parts = [f'{MARK}: {f"{count} messages" if count > 1 else "a message"} left out; began: "{begins}"']
    if names:
        parts.append(f"mentions {', '.join(names)}")
    return "; ".join(parts) + (back or "") + "]"


def _uses_by(pieces: Iterable[Piece], speaker: str) -> Mapping[str, float]:
    return {name: 1.0 for piece in pieces if piece.speaker == speaker for name in identifiers(piece.text)}
