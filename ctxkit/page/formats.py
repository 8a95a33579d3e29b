"""Values as people read them: money, shares, times; hostile names made harmless, long ones short."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from ctxkit.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ctxkit.page.values import Cell, Unit

__all__ = ["DASH", "amount_of", "axis_format", "brief", "format_of", "shortened", "visible"]

DASH: Final = "\N{EN DASH}"
"""What is not known."""

_SIGNS: Final = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_MINUS: Final = "\N{MINUS SIGN}"
_JOINERS: Final = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # emoji and Persian are written with them
_LARGEST: Final = 10**30
"""Whatever is larger is no figure of anything that was sent; it would only fill the page with digits."""


def visible(text: str) -> str:
    """Names come from users of users: what could turn a line around or hide itself is shown by its code."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _JOINERS else _told(one) for one in text)


def _told(one: str) -> str:
    return " " if one.isspace() and one not in "\x1c\x1d\x1e\x1f\x0b\x0c\x85" else one.encode("unicode_escape").decode()


def shortened(text: str, size: int) -> str:
    """At most ``size`` characters: the end of a path or of a model's name tells more than its middle."""
    return text if len(text) <= size else f"{text[: size - 1 - size // 2]}…{text[-(size // 2) :]}"


def amount_of(value: Cell) -> Decimal | None:
    """A number, exactly as it was given; ``None`` for texts and for what is no finite amount."""
    if isinstance(value, Decimal):
        found = value
    elif isinstance(value, int):
        found = Decimal(value) if abs(value) < _LARGEST else Decimal("NaN")
    elif isinstance(value, float):
        found = Decimal(repr(value)) if math.isfinite(value) else Decimal("NaN")
    else:
        return None
    return found if found.is_finite() and found.adjusted() < 30 else None


def format_of(unit: Unit, currency: str, values: Iterable[Cell]) -> Callable[[Cell], str]:
    """How the values of a column are written: places after the point are the same in all of it."""
    amounts = [amount for value in values if (amount := amount_of(value)) is not None]
    if unit in {"usd", "saved"}:
        money = _money(currency, _places(max(map(EXACT.abs, amounts), default=Decimal(0))))
        return _written(money if unit == "usd" else lambda amount: ("+" if amount > 0 else "") + money(amount))
    return _written(_FORMATS[unit])


def _written(form: Callable[[Decimal], str]) -> Callable[[Cell], str]:
    def written(value: Cell) -> str:
        if isinstance(value, str):
            return value
        amount = amount_of(value)
        return DASH if amount is None else form(amount)

    return written


def _places(top: Decimal) -> int:
    """Cents where there are dollars, more places where there are not."""
    return 2 if top >= 1 or not top else 4 if top >= Decimal("0.01") else 6


def _money(currency: str, places: int) -> Callable[[Decimal], str]:
    least = EXACT.scaleb(Decimal(1), -places)
    sign, code = (_SIGNS[currency], "") if currency in _SIGNS else ("", f"\N{NO-BREAK SPACE}{currency}")

    def money(amount: Decimal) -> str:
        size, minus = EXACT.abs(amount), _MINUS if amount < 0 else ""
        if 0 < EXACT.add(size, size) < least:
            return f"{minus}<{sign}{least}{code}"
        return f"{minus}{sign}{_fixed(size, places)}{code}"

    return money


def _fixed(amount: Decimal, places: int) -> str:
    return f"{EXACT.quantize(amount, EXACT.scaleb(Decimal(1), -places)):,f}"


def _signed(amount: Decimal, text: str) -> str:
    return f"{_MINUS}{text}" if amount < 0 else text


def _text(amount: Decimal) -> str:
    return f"{EXACT.normalize(amount):f}" if amount else "0"


def _count(amount: Decimal) -> str:
    size = EXACT.abs(amount)
    whole = size >= 100 or size == EXACT.to_integral_value(size)
    return _signed(amount, _fixed(size, 0 if whole else 1))


def _share(amount: Decimal) -> str:
    percent = EXACT.multiply(EXACT.abs(amount), Decimal(100))
    return _signed(
        amount,
        "<0.1\N{NO-BREAK SPACE}%" if 0 < percent < Decimal("0.05") else f"{_fixed(percent, 1)}\N{NO-BREAK SPACE}%",
    )


def _score(amount: Decimal) -> str:
    return _signed(amount, _fixed(EXACT.abs(amount), 2))


def _seconds(amount: Decimal) -> str:
    size = EXACT.abs(amount)
    if size < 1:
        milli = EXACT.multiply(size, Decimal(1000))
        text = "<1 ms" if 0 < milli < Decimal("0.5") else f"{_fixed(milli, 0)} ms"
    else:
        text = f"{_fixed(size, 2 if size < 100 else 0)} s"
    return _signed(amount, text.replace(" ", "\N{NO-BREAK SPACE}"))


def _time(amount: Decimal) -> str:
    from datetime import UTC, datetime

    try:
        return f"{datetime.fromtimestamp(float(amount), UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, OSError, ValueError):
        return DASH


_FORMATS: Final = {"text": _text, "count": _count, "share": _share, "score": _score, "seconds": _seconds, "time": _time}


def axis_format(unit: Unit, currency: str, step: float, top: float) -> Callable[[float], str]:
    """How the marks of an axis are written, ``step`` apart and up to ``top``: as few places as tell them apart."""
    if unit in {"usd", "saved"}:
        places = _apart(step)
        money, zero = _money(currency, 2 if places == 1 else places), _money(currency, 0)
        return lambda mark: (money if mark else zero)(Decimal(repr(mark)))
    size, name = _scale(unit, top)
    places = _apart(step * size)

    def written(mark: float) -> str:
        amount = Decimal(repr(mark * size))
        if not mark:
            return f"0{name}" if unit in {"share", "seconds"} else "0"
        return _signed(amount, f"{_fixed(EXACT.abs(amount), places)}{name}")

    return written


def _apart(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def _scale(unit: Unit, top: float) -> tuple[float, str]:
    if unit == "share":
        return 100, "\N{NO-BREAK SPACE}%"
    if unit == "seconds":
        return (1000, "\N{NO-BREAK SPACE}ms") if top < 1 else (1, "\N{NO-BREAK SPACE}s")
    if top < 1e4:
        return 1, ""
    found = next(((size, name) for size, name in ((1e9, "G"), (1e6, "M")) if top >= size), (1e3, "k"))
    return 1 / found[0], found[1]


_MOMENT: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?:[T ](\d\d(?::\d\d)?))?")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def brief(labels: Sequence[str]) -> list[str]:
    """Labels of an axis; days and hours without what all of them share."""
    found = [match for label in labels if (match := _MOMENT.fullmatch(label))]
    if not found or len(found) < len(labels):
        return list(labels)
    years, days = {match[1] for match in found}, {match.group(1, 2, 3) for match in found}
    return [_moment(match, year=len(years) > 1, day=len(days) > 1 or not match[4]) for match in found]


def _moment(match: re.Match[str], *, year: bool, day: bool) -> str:
    date = f"{_MONTHS[int(match[2]) - 1]} {int(match[3])}" + (f" {match[1]}" if year else "")
    return " ".join((*([date] if day else []), *([match[4]] if match[4] else [])))
