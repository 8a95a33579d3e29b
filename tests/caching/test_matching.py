"""The match of a request with live entries, held against a plain reading of the rules."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctxkit.cacheable import Ask
from ctxkit.caching.simulator import Entry, breakpoints, endings, match, names
from tests.caching.conversations import Piece, Provider, answer, thinking, user

KINDS = st.sampled_from([("user", "text"), ("assistant", "text"), ("assistant", "tool_call"), ("tool", "tool_result")])
STEPS = st.lists(
    st.lists(
        st.builds(
            lambda what, tokens, mark: Piece("x", tokens, what[0], kind=what[1], mark=mark),
            KINDS,
            st.integers(1, 900),
            st.sampled_from([None, None, None, None, "5m"]),
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=14,
)
ALIVE = st.sets(st.integers(0, 83), max_size=6)


def entries(layout, indices):
    """Live entries at these positions."""
    return {
        layout.entry(index): Entry(layout.positions[index].tokens) for index in indices if index < len(layout.positions)
    }


@given(STEPS, ALIVE, st.sampled_from(["block", "group"]), st.integers(1, 25))
def test_markers_look_back_as_the_rule_says(steps, indices, unit, lookback):
    claude = Provider(
        "anthropic", "claude-opus-5", changed={"lookback_unit": unit, "lookback": lookback, "slots": None, "minimum": 0}
    )
    layout = claude.layout(steps)
    alive = entries(layout, indices)
    reachable = set()
    for mark, _ in breakpoints(claude.rule, layout):
        groups, index = 0, mark
        while index >= 0:
            first = index
            if unit == "group":
                kind, message = layout.positions[index].kind, layout.positions[index].message
                while (
                    first > 0
                    and kind in ("tool_call", "tool_result")
                    and layout.positions[first - 1].kind == kind
                    and layout.positions[first - 1].message == message
                ):
                    first -= 1
            groups += 1
            if groups > lookback:
                break
            reachable.update(range(first, index + 1))
            index = first - 1
    expected = max((index for index in reachable if layout.entry(index) in alive), default=-1)
    assert match(claude.rule, layout, alive.get).read == expected


@given(STEPS, st.sets(st.integers(0, 83), max_size=6), st.integers(0, 30), st.sampled_from([None, "explicit"]))
def test_endings_and_markers_are_looked_up_longest_first(steps, indices, earlier, mode):
    steps = [[piece._replace(mark="30m" if piece.mark else None) for piece in step] for step in steps]
    gpt = Provider("openai", "gpt-5.6-sol", changed={"endings": earlier, "minimum": 0})
    layout = gpt.layout(steps, ask=Ask(mode=mode))
    alive = entries(layout, indices)
    marks = [index for index, _ in breakpoints(gpt.rule, layout)]
    candidates = set(marks) | (set() if mode else set(list(endings(layout))[: earlier + 1]))
    expected = max((index for index in candidates if layout.entry(index) in alive), default=-1)
    assert match(gpt.rule, layout, alive.get).read == expected


@given(STEPS, ALIVE, ALIVE)
def test_only_what_is_looked_at_is_found_and_written(steps, indices, among):
    xai = Provider("xai", "grok-3-mini")
    layout = xai.layout(steps)
    alive, chosen = entries(layout, indices), sorted(index for index in among if index < len(layout.positions))
    found = match(xai.rule, layout, alive.get, among=chosen)
    expected = max((index for index in chosen if layout.entry(index) in alive), default=-1)
    assert found.read == (expected if found.tokens else -1)
    assert [write.at for write in found.writes] == [index for index in chosen if index > expected]


@given(STEPS, ALIVE)
def test_an_entry_is_believed_before_the_estimate(steps, indices):
    claude = Provider("anthropic", "claude-opus-5", changed={"slots": None})
    layout = claude.layout(steps)
    reported = {name: entry._replace(tokens=entry.tokens + 7) for name, entry in entries(layout, indices).items()}
    found = match(claude.rule, layout, reported.get)
    if found.read >= 0:
        assert found.tokens == min(round(layout.positions[found.read].tokens) + 7, round(layout.total))
    assert found.tokens + sum(found.written.values()) + found.fresh == round(layout.total)


@given(st.lists(st.sampled_from(["user", "answer", "thinking"]), min_size=1, max_size=30))
def test_a_prefix_is_another_one_without_the_thinking_that_a_turn_has_taken_out(kinds):
    claude = Provider("anthropic", "claude-opus-5", changed={"strips_thinking": True})
    made = {"user": user, "answer": answer, "thinking": thinking}
    layout = claude.layout([made[kind](str(number)) for number, kind in enumerate(kinds)])
    turn = max((at for at, kind in enumerate(kinds) if kind == "user"), default=-1)
    name = names(claude.rule, layout)
    lost = [any(kinds[at] == "thinking" for at in range(min(turn, index + 1))) for index in range(len(kinds))]
    assert [name(index) != layout.entry(index) for index in range(len(kinds))] == lost
    assert len({name(index) for index in range(len(kinds))}) == len(kinds)
