"""The fields of a rules row: what each may hold, and which of several claims is the pessimistic one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from ctxkit.cacheable import TIERS
from ctxkit.caching.rules.rule import Claim, Match

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FIELDS", "Source", "Value", "read_field"]

UNKNOWN = "unknown"


class Source(NamedTuple):
    """Where claims without a source of their own come from."""

    name: str
    as_of: str = ""


class Value(NamedTuple):
    """A field as read: what holds, and who says so."""

    value: Any
    claims: Mapping[str, tuple[Claim, ...]]


class _Kind(NamedTuple):
    expects: str
    read: Callable[[Any], Any]
    worst: Callable[[Sequence[Any]], Any] | None = None
    table: bool = False


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _optional_text(value: Any) -> str | None:
    return _text(value) or None


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)


def _tiers(value: Any) -> frozenset[str]:
    found = frozenset(_texts(value))
    if not found <= set(TIERS):
        raise ValueError
    return found


def _range(value: Any) -> tuple[int, int]:
    least, most = (_whole(item) for item in _list(value))
    if least > most:
        raise ValueError
    return least, most


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _one_of(*names: str) -> _Kind:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return _Kind(f"one of {', '.join(map(repr, names))}", read)


def _known(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value == UNKNOWN else read(value)


_COUNT = "a whole number, or 'unknown'"
_MOST = _Kind(_COUNT, _known(_whole), max)
_LEAST = _Kind(_COUNT, _known(_whole), min)
_FLAG = _Kind("true or false", _flag)
_UNSURE = _Kind("true, false, or 'unknown'", _known(_flag))
_TEXT = _Kind("text", _text)
_OPTIONAL = _Kind("text, '' for none", _optional_text)
_TEXTS = _Kind("a list of texts", _texts)

FIELDS: dict[str, _Kind] = {
    "provider": _TEXT,
    "match": _one_of(*get_args(Match)),
    "automatic": _FLAG,
    "marker": _OPTIONAL,
    "tiers": _Kind(f"a list of {', '.join(TIERS)}", _tiers),
    "top_level": _UNSURE,
    "slots": _LEAST,
    "excess": _one_of("refused", "latest"),
    "lookback": _LEAST,
    "lookback_unit": _one_of("block", "group"),
    "endings": _Kind("a whole number", _whole, min),
    "opening": _FLAG,
    "candidates": _Kind("a whole number", _whole, min),
    "first_candidates": _Kind("a whole number", _whole, min),
    "interval": _MOST,
    "minimum": _MOST,
    "floor": _LEAST,
    "granularity": _Kind("a whole number from 1 on", lambda value: _whole(value) or _whole(None), max),
    "hidden": _Kind("a list of two whole numbers", _range),
    "lives": _Kind("a table of seconds by time to live", _number, min, table=True),
    "ttl": _TEXT,
    "life": _one_of("minimum", "typical", "maximum"),
    "longer_first": _FLAG,
    "refresh": _UNSURE,
    "refresh_asked": _FLAG,
    "visible": _one_of("starts", "begins", "ends", "seconds"),
    "appears": _Kind("seconds", _number, max),
    "write": _Kind("a table of multiples of the input price by time to live", _number, max, table=True),
    "read": _Kind("a multiple of the input price, or 'unknown'", _known(_number), max),
    "storage": _FLAG,
    "isolation": _TEXTS,
    "guaranteed": _FLAG,
    "certain": _FLAG,
    "key_field": _OPTIONAL,
    "key_header": _OPTIONAL,
    "key_separates": _FLAG,
    "strips_thinking": _UNSURE,
    "parameters_break_all": _UNSURE,
    "prewarm": _OPTIONAL,
    "usage": _TEXT,
    "as_of": _TEXT,
    "notes": _TEXTS,
}
"""What a row may say, by name. Every one of them is a field of :class:`~ctxkit.caching.rules.rule.Rule`."""


def read_field(name: str, given: Any, source: Source, sources: Mapping[str, Source]) -> Value:
    """A field of a row, its claims weighed.

    Args:
        name: one of :data:`FIELDS`.
        given: as the file has it: a value, or a list of claims ``{value, source, as_of, aside}``.
        source: of the row.
        sources: known sources by short name.

    Raises:
        ValueError: what was expected.
    """
    kind = FIELDS[name]
    try:
        if not kind.table:
            claims = _claims(given, kind, source, sources)
            return Value(_weighed(claims, kind), {name: claims})
        found = {key: _claims(value, kind, source, sources) for key, value in dict(given).items()}
    except (TypeError, ValueError, KeyError, AttributeError):
        raise ValueError(f"expected {kind.expects}, or a list of such claims with their source") from None
    weighed = {key: _weighed(claims, kind) for key, claims in found.items()}
    return Value(weighed, {f"{name}.{key}": claims for key, claims in found.items()})


def _claims(given: Any, kind: _Kind, source: Source, sources: Mapping[str, Source]) -> tuple[Claim, ...]:
    if not (isinstance(given, list) and given and all(isinstance(item, dict) for item in given)):
        return (Claim(kind.read(given), *source),)
    claims = []
    for item in given:
        if not set(item) <= {"value", "source", "as_of", "aside"}:
            raise ValueError
        named = sources.get(item.get("source", ""), Source(item.get("source", source.name)))
        as_of = str(item.get("as_of", named.as_of))
        claims.append(Claim(kind.read(item["value"]), named.name, as_of, str(item.get("aside", ""))))
    return tuple(claims)


def _weighed(claims: Sequence[Claim], kind: _Kind) -> Any:
    """The pessimistic one of those that count; the first where none is worse than another."""
    counting = [claim.value for claim in claims if not claim.aside]
    if not counting:
        raise ValueError
    known = [value for value in counting if value is not None]
    return kind.worst(known) if kind.worst and known else counting[0]
