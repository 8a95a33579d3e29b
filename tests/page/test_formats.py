"""Values as people read them."""

from decimal import Decimal, localcontext

import pytest

from ctxkit.page.formats import DASH, axis_format, brief, format_of, shortened, visible

NBSP = "\N{NO-BREAK SPACE}"


def shown(unit, value, *others, currency="USD"):
    return format_of(unit, currency, (value, *others))(value)


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("usd", Decimal("0.0139"), "$0.0139"),
        ("usd", Decimal("1234567.891"), "$1,234,567.89"),
        ("usd", Decimal(0), "$0.00"),
        ("usd", Decimal("0.000123"), "$0.000123"),
        ("usd", Decimal("0.0000001"), "<$0.000001"),
        ("usd", Decimal("-2.1"), "−$2.10"),
        ("usd", None, DASH),
        ("usd", float("nan"), DASH),
        ("usd", Decimal("Infinity"), DASH),
        ("usd", "free", "free"),
        ("saved", Decimal("61.17"), "+$61.17"),
        ("saved", Decimal("-61.17"), "−$61.17"),
        ("saved", Decimal(0), "$0.00"),
        ("share", 0.571, f"57.1{NBSP}%"),
        ("share", 0, f"0.0{NBSP}%"),
        ("share", 0.0001, f"<0.1{NBSP}%"),
        ("share", -0.25, f"−25.0{NBSP}%"),
        ("seconds", 0.34, f"340{NBSP}ms"),
        ("seconds", 1.2, f"1.20{NBSP}s"),
        ("seconds", 1234.5, f"1,234{NBSP}s"),
        ("seconds", 0.0001, f"<1{NBSP}ms"),
        ("count", 12_482, "12,482"),
        ("count", 1.25, "1.2"),
        ("count", 123456.7, "123,457"),
        ("count", -3, "−3"),
        ("count", 10**40, DASH),
        ("count", True, "1"),
        ("time", 1_790_000_000, "2026-09-21 14:13 UTC"),
        ("time", 1e20, DASH),
        ("text", 5, "5"),
        ("text", Decimal("5.50"), "5.5"),
        ("text", None, DASH),
    ],
)
def test_a_value_is_written_by_its_unit(unit, value, text):
    assert shown(unit, value) == text


def test_places_are_those_of_the_largest_in_the_column():
    assert shown("usd", Decimal("0.0139"), Decimal(20)) == "$0.01"
    assert shown("usd", Decimal("0.001"), Decimal(20)) == "<$0.01"
    assert shown("usd", Decimal("0.00004"), Decimal("0.5")) == "<$0.0001"
    assert shown("saved", Decimal("-0.001"), Decimal(20)) == "−<$0.01"


def test_other_currencies():
    assert shown("usd", Decimal("1.5"), currency="EUR") == "€1.50"
    assert shown("usd", Decimal("1.5"), currency="CHF") == f"1.50{NBSP}CHF"


def test_the_rounding_of_the_application_does_not_reach_money():
    with localcontext() as context:
        context.prec = 3
        assert shown("usd", Decimal("1234567.891")) == "$1,234,567.89"
        assert shown("share", Decimal("0.123456")) == f"12.3{NBSP}%"


@pytest.mark.parametrize(
    ("unit", "step", "top", "marks"),
    [
        ("usd", 0.5, 1.5, ["$0", "$0.50", "$1.00", "$1.50"]),
        ("usd", 10, 20, ["$0", "$10", "$20"]),
        ("usd", 0.002, 0.004, ["$0", "$0.002", "$0.004"]),
        ("saved", 10, 10, ["−$10", "$0", "$10"]),
        ("share", 0.2, 1, [f"0{NBSP}%", f"20{NBSP}%", f"40{NBSP}%"]),
        ("share", 0.005, 0.01, [f"0{NBSP}%", f"0.5{NBSP}%", f"1.0{NBSP}%"]),
        ("seconds", 0.2, 0.8, [f"0{NBSP}ms", f"200{NBSP}ms"]),
        ("seconds", 1, 4, [f"0{NBSP}s", f"1{NBSP}s"]),
        ("count", 500_000, 1_200_000, ["0", "0.5M", "1.0M"]),
        ("count", 5_000, 20_000, ["0", "5k", "10k"]),
        ("count", 1, 4, ["0", "1", "2"]),
    ],
)
def test_an_axis_has_as_few_places_as_tell_its_marks_apart(unit, step, top, marks):
    axis = axis_format(unit, "USD", step, top)
    first = -1 if marks[0].startswith("−") else 0
    written = [axis(step * place) for place in range(first, first + len(marks))]
    assert written == marks


def test_days_and_hours_below_an_axis_are_brief():
    assert brief(["2026-11-01", "2026-11-21"]) == ["Nov 1", "Nov 21"]
    assert brief(["2025-12-31", "2026-01-01"]) == ["Dec 31 2025", "Jan 1 2026"]
    assert brief(["2026-11-01 13:00", "2026-11-01T14:00"]) == ["13:00", "14:00"]
    assert brief(["2026-11-01 23:00", "2026-11-02 00:00"]) == ["Nov 1 23:00", "Nov 2 00:00"]
    assert brief(["2026-11-01", "search"]) == ["2026-11-01", "search"]
    assert brief([]) == []


def test_nothing_hides_in_a_name():
    assert visible("a\u202eb\x00\x1b[31m\ud800") == "a\\u202eb\\x00\\x1b[31m\\ud800"
    assert visible("two\nlines\tand\u3000more\xa0") == "two lines and more "
    assert visible("👩‍👩‍👧 می‌خواهم") == "👩‍👩‍👧 می‌خواهم"
    assert shortened("abcdefghij", 7) == "abc…hij"
    assert shortened("abcdefg", 7) == "abcdefg"
