"""Names in a text that later turns are likely to need: ids, paths, files, addresses, dates, amounts, names in code.

What is removed leaves these behind. Words of a language are none. One look at each run of characters, no backtracking:
the time is linear in the text, and of a very long text only both ends are read.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ctxkit.hygiene.memo import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["chosen", "identifiers", "tie", "weight"]

_END = 100_000  # characters read at either end of a text
_MOST = 4_000  # identifiers taken from one text
_LONGEST = 160  # characters; what is longer is data, not a name

_USE = 8.0  # weight of one use: more than any looks

_RUN = re.compile(r"[A-Za-z0-9_@/\\~.][A-Za-z0-9_@./\\:~#%&=?+$-]*+")
_ESCAPE = re.compile(r'\\(?:[\\nrtbf"]|u[0-9a-fA-F]{4})')
_JOINTS = re.compile(r"[:=&?#%+$]+")
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d")
_NUMBER = re.compile(r"\d[\d.-]*")
_MEASURE = re.compile(r"\d+(?:st|nd|rd|th|am|pm|px|ms|s|x|k|kb|mb|gb|min|h|d)", re.IGNORECASE)
_DOTTED = re.compile(r"[A-Za-z_]\w+(?:[.-]\w+)*\.[A-Za-z_]\w*")
_CAMEL = re.compile(r"[A-Za-z]\w*?[a-z][A-Z]\w*")
_CAPITALS = """
AND ANY API ARE ASCII BUT CAN CSS CSV ERROR EST FOR GET HTML HTTP HTTPS INFO ISSUE JSON NOT NOTE NULL OPTIONS PDF POST PUT
SDK SQL STOP THE TODO URL USD UTC UTF WARNING WITH XML YAML YES YOU YOUR
"""
_SHOUTED = frozenset(_CAPITALS.split())


@remembered
def identifiers(text: str) -> tuple[str, ...]:
    """Those of a text, each once, in order of appearance; names of fields in JSON only where they hold digits."""
    if len(text) > 2 * _END:
        text = f"{text[:_END]}\n{text[-_END:]}"
    if "\\" in text and text.lstrip()[:1] in ("{", "[", '"'):
        text = _ESCAPE.sub(lambda match: "\\" if match.group() == "\\\\" else " ", text)
    found: dict[str, None] = {}
    for match in _RUN.finditer(text):
        run = match.group()
        if len(run) < 3 or (run.isalpha() and (run.islower() or run.istitle())):
            continue
        field = text.startswith('":', match.end())
        for name in _names(run):
            if not field or (_digit(name) and name not in found):
                found[name] = None
        if len(found) >= _MOST:
            break
    return tuple(found)


def _digit(text: str) -> bool:
    return not text.isalpha() and any(map(str.isdigit, text))


def _names(run: str) -> Iterator[str]:
    """The names in a run of characters without blanks."""
    if len(run) > 2 * _LONGEST:
        return
    if "://" in run:
        yield run.rstrip(".,:-?#&=")
        return
    if "@" in run[1:-1] and "." in run.rpartition("@")[2]:
        yield run.strip(".:-?/")
        return
    for part in _JOINTS.split(run):
        name = part.lstrip("-@").rstrip("./\\-@~").removeprefix("./")
        if (date := _DATE.match(name)) is not None:
            yield date.group()
        elif weight(name):
            yield name


@lru_cache(maxsize=50_000)
def weight(name: str) -> float:
    """How likely it is that a name is needed again, by its looks; 0: it is no identifier."""
    if not 3 <= len(name) <= 2 * _LONGEST:
        return 0.0
    if "://" in name or "@" in name[1:]:
        return 5.0
    if len(name) > _LONGEST:
        return 0.0
    if "/" in name or "\\" in name:
        return _weight_of_path(name)
    if any(map(str.isdigit, name)):
        return _weight_with_digits(name)
    return _weight_of_word(name)


def _weight_of_path(name: str) -> float:
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if not any(map(str.isalpha, name)) or not parts:
        return 0.0
    placed = name[0] in "/~" or len(parts) > 2 or "." in parts[-1][1:] or _digit(name)
    return 5.0 if placed and len(name) > 4 else 0.0


def _weight_with_digits(name: str) -> float:
    if _DATE.fullmatch(name):
        return 3.0
    if _NUMBER.fullmatch(name):
        digits = sum(map(str.isdigit, name))
        return 3.0 if digits >= 5 else 2.0 if digits >= 4 else 1.0 if "." in name else 0.0
    if not any(map(str.isalpha, name)) or _MEASURE.fullmatch(name):
        return 0.0
    return 5.0 + min(len(name), 20) / 20


def _weight_of_word(name: str) -> float:
    if name.isalpha() and name.isupper():
        return 0.0 if name in _SHOUTED or len(name) > 12 else 4.0 if len(name) > 4 else 3.0
    if "." in name:
        return 3.0 if _DOTTED.fullmatch(name) else 0.0
    if "_" in name.strip("_"):
        return 1.5
    return 1.5 if _CAMEL.fullmatch(name) else 0.0


@lru_cache(maxsize=20_000)
def tie(name: str) -> float:
    """How much a name ties what says it to where it stands: a folder nothing, a date, a code or a symbol little, an id all."""
    if "/" in name and "." not in name.rpartition("/")[2]:
        return 0.0
    heavy = weight(name)
    return heavy if heavy > 4.0 else 1.0


def chosen(names: Iterable[str], uses: Mapping[str, float], room: int, keep: Callable[[str], bool]) -> list[str]:
    """The likeliest to be needed that fit into ``room`` characters, in the order they were given in.

    Args:
        names: in order of appearance.
        uses: how much each was used again; nothing for those that were not.
        room: characters, two for each comma counted.
        keep: whether a name may be among them at all.
    """
    ordered = [name for name in dict.fromkeys(names) if keep(name)]
    ranks = sorted(range(len(ordered)), key=lambda at: (-_worth(ordered[at], uses), at))
    taken: set[int] = set()
    for at in ranks:
        if len(ordered[at]) + 2 <= room:
            taken.add(at)
            room -= len(ordered[at]) + 2
        if room < 5:
            break
    return [ordered[at] for at in sorted(taken)]


def _worth(name: str, uses: Mapping[str, float]) -> float:
    """What a name is worth for the room it takes."""
    return (weight(name) + _USE * uses.get(name, 0.0)) / (4 + len(name))
