from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.dialects.edits import apply
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit

values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=15,
)
bodies = st.dictionaries(st.text(max_size=2), values, min_size=1, max_size=4)


def places(value, path=()):
    """Every path in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def drop(*path):
    return Edit("drop", path, "test")


def put(value, *path):
    return Edit("replace", path, "test", value)


def naive(body, edits):
    """The same by deep copies, from the back of each list."""
    body = copy.deepcopy(body)
    for edit in sorted(edits, key=lambda edit: [(isinstance(k, int), k) for k in edit.path], reverse=True):
        parent = body
        for key in edit.path[:-1]:
            parent = parent[key]
        if edit.kind == "drop":
            del parent[edit.path[-1]]
        else:
            parent[edit.path[-1]] = edit.value
    return body


@given(values)
def test_no_edits_give_the_same_object(body):
    assert apply(body, []) is body
    assert apply(body, ()) is body


@given(st.data(), bodies)
def test_edits_speak_of_the_original_body_whatever_their_order(data, body):
    before = copy.deepcopy(body)
    chosen = []
    for path in data.draw(st.lists(st.sampled_from(list(places(body))), unique=True, max_size=6)):
        if not any(path[: len(other)] == other or other[: len(path)] == path for other in chosen):
            chosen.append(path)
    edits = [drop(*path) if data.draw(st.booleans()) else put("new", *path) for path in chosen]
    assert apply(body, edits) == naive(body, edits)
    assert body == before


def test_several_drops_in_one_list_do_not_move_each_other():
    assert apply({"m": list("abcdef")}, [drop("m", 1), drop("m", 4), put("X", "m", 2)]) == {"m": list("aXdf")}


def test_untouched_parts_are_the_same_objects():
    body = {"messages": [{"content": ["a"]}, {"content": ["b"]}], "tools": [{}]}
    new = apply(body, [put("c", "messages", 1, "content", 0)])
    assert new["messages"][0] is body["messages"][0]
    assert new["tools"] is body["tools"]
    assert new["messages"][1] == {"content": ["c"]}
    assert body["messages"][1] == {"content": ["b"]}


def test_replace_sets_a_new_key_and_tuples_stay_tuples():
    assert apply({"m": ({},)}, [put(1, "m", 0, "new")]) == {"m": ({"new": 1},)}


def test_the_whole_body_can_be_replaced_and_not_dropped():
    assert apply({"a": 1}, [put({"b": 2})]) == {"b": 2}
    with pytest.raises(ProviderShapeError):
        apply({"a": 1}, [drop()])


@pytest.mark.parametrize(
    "edits",
    [
        [drop("x")], [put(1, "x", "y")], [drop("m", 9)], [drop("m", -1)], [put(1, "m", 3)], [drop("m", "0")],
        [drop("m", True)], [drop("m", 0, "k", "deep")], [drop("m"), put(1, "m", 0)], [put(1, "m", 0), drop("m")],
        [drop("m", 0), drop("m", 0)], [put(1), drop("m")], [put(1, 7)],
    ],
)  # fmt: skip
def test_unknown_and_overlapping_places_are_refused(edits):
    with pytest.raises(ProviderShapeError, match="edit"):
        apply({"m": [{"k": 1}, 2, 3]}, edits)
