"""Arrays of alike objects as tables: shorter, and the same value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.hygiene.compact import Compact
from ctxkit.hygiene.tables import PHRASE, tabled, untable
from ctxkit.hygiene.whitespace import tight
from tests.hygiene.arriving import Talk, sent, tidied

KEYS = st.sampled_from(["id", "name", "a.b", "all", "rows", "at", "x", "\\u0041", ""])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


def alike(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Arrays and objects of objects that have the same keys."""
    rows = st.lists(KEYS, max_size=4, unique=True).flatmap(
        lambda keys: st.lists(st.fixed_dictionaries(dict.fromkeys(keys, cells)), max_size=6)
    )
    named = rows.map(lambda rows: {f"row {number}": row for number, row in enumerate(rows)})
    return rows | named | st.lists(rows, max_size=3)


VALUES = st.recursive(LEAVES, alike, max_leaves=60)


def small(value: Any) -> str:
    """JSON without white space."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def flight(number: int) -> dict[str, Any]:
    """As a search for flights gives it."""
    return {
        "flight": f"HAT{number:03}",
        "status": "available",
        "seats": {"economy": number, "business": 3},
        "stops": [],
    }


def compacted(text: str, **given_: Any) -> str:
    """What becomes of a result."""
    talk = Talk().call("search").result(text, **given_)
    return sent(talk.messages, tidied([Compact()], talk.messages))[2][0].text


def test_keys_and_what_is_the_same_are_said_once() -> None:
    assert tabled(small([flight(number) for number in range(3)])) == (
        '{"all":{"status":"available","seats.business":3,"stops":[]},'
        '"columns":["flight","seats.economy"],"rows":[["HAT000",0],["HAT001",1],["HAT002",2]]}'
    )


def test_groups_and_rows_with_keys() -> None:
    groups = [[flight(number), flight(number + 1)] for number in range(4)]
    assert '"groups":[[["HAT000",0],["HAT001",1]],[["HAT001",1],' in str(tabled(small(groups)))
    named = {f"way {number}": flight(number) for number in range(4)}
    assert '"rows":{"way 0":["HAT000",0],' in str(tabled(small(named)))


@pytest.mark.parametrize(
    "value",
    [
        [],
        [flight(1)],
        [{"a": 1}, {"b": 1}] * 20,
        [{"columns": 1, "rows": 2}] * 20,
        [{"a.b": 1, "c": 2}] * 20,
        [{}] * 20,
        [1, 2, 3] * 40,
    ],
)
def test_what_is_not_alike_or_would_not_come_back_stays(value: Any) -> None:
    assert tabled(small(value)) is None


def test_keys_that_come_twice_stay() -> None:
    assert tabled('[{"a":1,"a":2,"b":3},{"a":1,"a":2,"b":3}]') is None


@given(VALUES)
def test_a_table_stands_for_the_same_value(value: Any) -> None:
    text = small(value)
    table = tabled(text)
    if table is not None:
        assert len(table) < len(text)
        assert untable(PHRASE + table) == value
        assert tabled(table) is None


def test_strings_and_numbers_stay_as_written() -> None:
    rows = [{"number": "x", "size": 1, "text": f"caf\\u00e9 {row}"} for row in range(6)]
    text = small(rows).replace('"x"', "1.50e400").replace("\\\\", "\\")
    table = str(tabled(text))
    assert table.count("1.50e400") == 1
    assert table.count("caf\\u00e9") == 6


@pytest.mark.parametrize("before", ["", "Found these:\n"])
def test_results_are_told_what_they_are(before: str) -> None:
    value = [flight(number) for number in range(5)]
    made = compacted(before + json.dumps(value))
    assert made.startswith(before + PHRASE)
    assert untable(made) == value
    assert compacted(made) == made


def test_where_the_wire_holds_a_value_only_a_table_is_worth_it() -> None:
    value = [flight(number) for number in range(5)]
    assert untable(compacted(json.dumps(value), structured=True)) == value
    text = json.dumps({"numbers": list(range(100))})
    assert compacted(text, structured=True) == text


def test_a_result_that_begins_with_our_phrase_is_left_alone() -> None:
    text = PHRASE + json.dumps([{"columns": [1], "rows": [flight(number)]} for number in range(5)])
    assert compacted(text) == PHRASE + tight(text[len(PHRASE) :])


def test_reading_back_what_is_no_table() -> None:
    with pytest.raises(ValueError, match="alike objects"):
        untable("[1]")


@pytest.mark.parametrize(
    "text", ['[{"a":' * 40 + "1" + "}]" * 40, '[{"a":1,"b":2},{"a":1,"b":2},' * 30 + "1" + "]" * 30]
)
def test_deep_values_take_no_longer(text: str) -> None:
    tabled(text)
