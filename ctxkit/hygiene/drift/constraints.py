"""What a user wants to hold for good, and what of it no longer does: taken back, changed, or said the other way round.

Both are found by how it is said, in several languages, and cautiously: something counts as taken back only where a later
message of the user says so *and* it is clear what it means. Both name the same kind of thing (a day, a unit, a language, a
format) with different values, or the later one names the words of the earlier one that it takes back.
"""

from __future__ import annotations

import re
from collections import deque
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ctxkit.drift import Superseded
from ctxkit.hygiene.drift.slots import LASTING, named
from ctxkit.hygiene.memo import remembered
from ctxkit.hygiene.outputs import outputs
from ctxkit.hygiene.pins import Pins
from ctxkit.hygiene.relevance import terms
from ctxkit.hygiene.standing import is_standing, sentences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctxkit.editable import Piece
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.pins import Pin

__all__ = ["standing", "superseded"]

_BACK: Final = 100  # messages of a user that a later one may take back
_FEW: Final = 2  # values of one kind that a message decided on; with more of them nobody knows which is meant
_RULES: Final = 16  # of one text, the first; what says more of them was pasted
_SHARE: Final = 0.6  # of the words of two rules that make them rules about the same
# Somebody says something else than before. Each needs a value that differs, too: "actually" alone changes nothing.
_CHANGES = re.compile(
    r"^\W*(?:(?:oh|hmm|um|ah|ok|okay|well|hey|so|and|but|sorry|please)\W+)*"
    r"(?:actually|no|nope|(?:no,? )?wait|on second thoughts?|scratch that|correction|change of plans?|never ?mind|instead"
    r"|rather|i meant|make (?:it|that|them)|change|switch|let'?s (?:rather|change|switch|make))\b"
    r"|\b(?:instead|i(?:'d| would) rather|(?:i(?:'ve| have)? )?changed my mind|no longer|any ?more(?! \w)|not \w+ but)\b"
    r"|\b(?:doch lieber|lieber|stattdessen|anstatt|eigentlich|anders überlegt|nicht mehr|ändere)\b|^\W*(?:nein|doch)\b"
    r"|\b(?:en fait|finalement|plutôt|à la place|au lieu de|changé d'avis|ne plus)\b|^\W*non\b"
    r"|\b(?:en realidad|mejor|en vez de|en lugar de|cambiado de (?:idea|opinión)|ya no)\b"
    r"|\b(?:in realtà|anzi|invece|cambiato idea|na verdade|em vez de|mudei de ideia)\b"
    r"|\b(?:на самом деле|вместо|лучше|передумал[аи]?)\b"
    r"|やっぱり|やはり|ではなく|じゃなく|代わりに|変更して|訂正|^\W*いや|其实|改成|改为|换成|算了|而是|不对|대신|바꿔|말고",
    re.IGNORECASE,
)
# Somebody takes something back; what it was stands behind, or before.
_TAKES_BACK = re.compile(
    r"\b(?:forget|ignore|disregard|never ?mind|scratch|drop) "
    r"(?:(?:about )?(?:what|everything|all) i (?:said|told you|wrote|asked)(?: \w+)?(?: about| on| regarding)?"
    r"|(?:my|the|that) (?:(?:earlier|previous|last|first|old|whole) )?(?:\w+ )?(?:rule|request|instruction|constraint|requirement|"
    r"restriction|limit|condition|message|one)s?(?: about| on| that| to)?)(?P<en>[^.!?\n]*)"
    r"|(?<!if )\byou (?:no longer (?:need|have) to|(?:don'?t|do not) (?:need|have) to) (?P<need>[^.!?\n]+?) any ?more\b(?! \w)"
    r"|\bvergiss,? was ich (?:dir )?(?:über|zu|von|wegen|zum|zur) (?P<de>[^.!?\n]*?) gesagt"
    r"|\boublie[zr]? ce que j'ai dit (?:sur|de|à propos d[eu]|au sujet d[eu]) (?P<fr>[^.!?\n]*)"
    r"|\bolvida lo que (?:te )?dije (?:sobre|de|acerca de) (?P<es>[^.!?\n]*)"
    r"|(?P<ja>[^。\uff01\uff1f\n]{1,30}?)(?:について|に関して|の件|の話|と言ったの|って言ったの)[^。\n]{0,12}忘れて"
    r"|忘(?:掉|了|记)(?:我)?(?:之前|刚才|前面)?(?:说的|提到的)?(?:关于)?(?P<zh>[^。\uff01\uff1f\n]*)",
    re.IGNORECASE,
)
_COMMON = re.compile(r"\b(?:a|an|the|of|to|on|in|and|or|it|that|this|those|my|any|anything|about|was|is|be|before|earlier|"
                     r"please|just|now|with|for|use|using|only|der|die|das|den|dem|le|la|les|el|los|las)\b", re.IGNORECASE)  # fmt: skip
_WISH = re.compile(r"^\W*(?:\w+\W+){0,3}(?:can|could|would|will) (?:you|we|i)\b|\bplease\b", re.IGNORECASE)
_POLAR = re.compile(
    r"^(?:always|never|must|don|not|do|you|from|should|immer|nie|niemals|toujours|jamais|siempre|nunca)$"
)
_FORBIDS = re.compile(r"\b(?:never|don'?t|do not|nie|niemals|jamais|nunca)\b|しない|禁止|不要", re.IGNORECASE)
_ORDERS = re.compile(r"\b(?:always|must|immer|toujours|siempre)\b|必ず|いつも|总是", re.IGNORECASE)


class _Rule(NamedTuple):
    """A sentence that is to hold for good."""

    values: Mapping[str, frozenset[str]]
    about: frozenset[str]
    forbids: bool
    orders: bool


class _Heard(NamedTuple):
    """What a text of a user says, without what was pasted into it.

    Attributes:
        values: that it names, by their kind.
        words: of it.
        rules: in it.
        changes: values that are named where something else is said than before.
        taken: words of what is taken back; none: what was said before.
    """

    values: Mapping[str, frozenset[str]]
    words: frozenset[str]
    rules: tuple[_Rule, ...]
    changes: tuple[Mapping[str, frozenset[str]], ...]
    taken: tuple[frozenset[str], ...]


class _Said(NamedTuple):
    """What a user said in one message."""

    message: int
    heard: _Heard


def standing(history: History, pins: Pins | Sequence[Pin] = (), *, wholly: bool = False) -> list[Piece]:
    """What holds for good, in order: what is pinned, and what a user said for good and has not taken back.

    Args:
        history: of a request.
        pins: what is pinned, as for tidying.
        wholly: what anything was taken back of, or was contradicted, is left out, pinned or not.
    """
    pinned = pins if isinstance(pins, Pins) else Pins(pins)
    printed = outputs(history)
    held = [
        (piece, pin)
        for piece in history.pieces
        if (pin := pinned(piece))
        or (
            piece.speaker == "user"
            and piece.kind == "text"
            and piece.message not in printed
            and is_standing(piece.text)
        )
    ]
    gone = {one.message for one in superseded(history) if wholly or one.kind == "superseded"} if held else set()
    return [
        piece
        for piece, pin in held
        if piece.message not in gone or (not wholly and (pin or len(_heard(piece.text).rules) > 1))
    ]


def superseded(history: History) -> tuple[Superseded, ...]:
    """What a user asked for and took back, or contradicted, later, in order; each pair of messages once."""
    found: dict[tuple[int, int], Superseded] = {}
    earlier: deque[_Said] = deque(maxlen=_BACK)
    for said in _all_said(history):
        for message, kind in _undone(said, earlier):
            found.setdefault((message, said.message), Superseded(message, said.message, kind))
        earlier.append(said)
    return tuple(found.values())


def _all_said(history: History) -> Iterator[_Said]:
    printed = outputs(history)
    for index in history.turns:
        if index not in printed:
            pieces = history.by_message[index]
            texts = [one.text for one in pieces if one.speaker == "user" and one.kind == "text"]
            yield _Said(index, _heard("\n".join(texts)))


@remembered
def _heard(text: str) -> _Heard:
    found = sentences(text)
    said = "\n".join(found)
    changes = [
        named(f"{one}\n{following}")
        for one, following in pairwise((*found, ""))
        if _CHANGES.search(one) and not _asks(one)
    ]
    taken = [_words(next(filter(None, match.groups()), "")) for one in found for match in _TAKES_BACK.finditer(one)]
    rules = map(_rule, islice(filter(is_standing, found), _RULES))
    return _Heard(named(said), _words(said), tuple(rules), tuple(filter(None, changes)), tuple(taken))


def _rule(sentence: str) -> _Rule:
    about = frozenset(_POLAR.sub("", word) for word in _words(sentence)) - {""}
    return _Rule(named(sentence), about, _FORBIDS.search(sentence) is not None, _ORDERS.search(sentence) is not None)


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(_COMMON.sub(" ", text)))


def _undone(said: _Said, earlier: Sequence[_Said]) -> Iterator[tuple[int, Literal["superseded", "contradicted"]]]:
    """Earlier messages of which a message takes something back, and how."""
    for values in said.heard.changes:
        for message in _changed(values, earlier):
            yield message, "superseded"
    for words in said.heard.taken:
        for message in _taken_back(words, earlier):
            yield message, "superseded"
    for rule in said.heard.rules:
        for one in earlier:
            if any(_clash(rule, old) for old in one.heard.rules):
                yield one.message, "contradicted"


def _asks(sentence: str) -> bool:
    """It is a question, not a wish said as one."""
    return sentence.endswith(("?", "\uff1f")) and _WISH.search(sentence) is None


def _changed(values: Mapping[str, frozenset[str]], earlier: Sequence[_Said]) -> Iterator[int]:
    """The latest message that named each kind of thing, where it named no such value."""
    for kind, new in values.items():
        for one in reversed(earlier):
            if (old := one.heard.values.get(kind)) is not None:
                if new - old and len(old) <= _FEW:
                    yield one.message
                break


def _taken_back(words: frozenset[str], earlier: Sequence[_Said]) -> Iterator[int]:
    """The latest message that says most of the words; without any, the one before."""
    for one in reversed(earlier):
        if len(words & one.heard.words) >= _SHARE * len(words):
            yield one.message
            return


def _clash(rule: _Rule, old: _Rule) -> bool:
    """They cannot hold together."""
    if any(rule.values[kind].isdisjoint(old.values[kind]) for kind in LASTING & rule.values.keys() & old.values.keys()):
        return True
    if rule.forbids == old.forbids or rule.orders == old.orders:
        return False
    return len(rule.about & old.about) >= max(_SHARE * len(rule.about | old.about), 2)
