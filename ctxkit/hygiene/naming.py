"""How a pointer names what it points to: so that a model finds it, and with few words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.editable import Piece

__all__ = ["begins", "call_name", "ends", "strings"]

_WORDS: Final = 28  # characters that are quoted
_VALUE: Final = 60  # characters of an argument
_PARSED: Final = 2_000_000
_MAIN: Final = (
    "path", "file_path", "filename", "file", "command", "cmd", "query", "url", "pattern", "code", "name", "id",
)  # fmt: skip


def call_name(call: Piece | None, name: str | None) -> str:
    """A call by its tool and the argument that matters most; ``"a tool"`` when nothing is known of it."""
    name = name or (call.name if call is not None else None)
    if call is None:
        return name or "a tool"
    given = _arguments(call)
    values = [(key, value) for key, value in given.items() if isinstance(value, str | int) and value != ""]
    main = next(((key, value) for wanted in _MAIN for key, value in values if key == wanted), None)
    shown = [main] if main is not None else values[:3]
    said = ", ".join(f"{key}={_short(value)}" for key, value in shown)
    return f"{name or 'a tool'}({said}{', …' if len(shown) < len(given) else ''})"


def strings(call: Piece, least: int) -> list[tuple[str, str]]:
    """Long texts that a tool was called with, decoded, behind the names of their arguments."""
    return list(_long(_arguments(call), least)) if len(call.text) >= least else []


def _long(given: dict[str, object], least: int) -> Iterator[tuple[str, str]]:
    left = [(str(key), value) for key, value in reversed(given.items())]
    while left:
        key, value = left.pop()
        if isinstance(value, str):
            if len(value) >= least:
                yield key, value
        elif isinstance(value, dict):
            left += [(str(inner), one) for inner, one in reversed(value.items())]
        elif isinstance(value, list):
            left += [(key, one) for one in reversed(value)]


def _arguments(call: Piece) -> dict[str, object]:
    try:
        found = json.loads(call.text) if len(call.text) <= _PARSED else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _short(value: str | int) -> str:
    text = str(value)[: _VALUE * 2] if isinstance(value, str) else repr(value)
    said = " ".join(text.split())
    said = said if len(said) <= _VALUE else f"{said[: _VALUE - 1]}…"
    return f'"{said}"' if isinstance(value, str) else said


def begins(text: str) -> str:
    """The first words of a text, on one line."""
    return " ".join(text.lstrip()[: _WORDS * 2].split())[:_WORDS].strip()


def ends(text: str) -> str:
    """Its last words."""
    return " ".join(text.rstrip()[-_WORDS * 2 :].split())[-_WORDS:].strip()
