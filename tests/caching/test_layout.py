"""A request laid out: the same whether it was seen growing or comes whole, and whatever markers stand in it."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.cacheable import Ask
from ctxkit.caching.layout import Layouts, Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import Rule

HASHER = Hasher(b"k" * 32)
SPACE = Space("anthropic", "claude-opus-5")
RULE = Rule("r", "anthropic", "marks")
MARK = {"cache_control": {"type": "ephemeral"}}
LONG = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def laid(body, dialect="anthropic.messages", memory=None, scale="s", rule=RULE, marked=True, weigh=10.0, space=SPACE):
    named, caches = dialects.get(dialect), dialects.caches(dialect)
    conversation = named.view(body)
    digests, _ = HASHER.digests(conversation.messages, named.identity)
    touched = [i for i, m in enumerate(conversation.messages) if named.identity(m.value) is not m.value]
    return lay_out(
        HASHER,
        conversation.messages,
        [weigh * (i + 1) for i in range(len(conversation.messages))],
        caches.blocks,
        caches.ask(conversation),
        space,
        rule,
        total=0.0,
        chain=HASHER.chain(digests),
        marked=touched if marked else None,
        memory=memory,
        scale=scale,
    )


def user(*content):
    return {"role": "user", "content": list(content)}


def text(words, **more):
    return {"type": "text", "text": words, **more}


TEXTS = st.text("ab", max_size=3)
BLOCKS = st.one_of(
    st.builds(text, TEXTS),
    st.builds(lambda t: text(t, **MARK), TEXTS),
    st.builds(lambda t: {"type": "thinking", "thinking": t, "signature": "s"}, TEXTS),
    st.builds(lambda t: {"type": "tool_use", "id": t, "name": "n", "input": {"k": t}, **LONG}, TEXTS),
    st.just({"type": "image", "source": {"type": "base64", "data": "AAAA"}}),
    st.builds(lambda t: {"type": "tool_result", "tool_use_id": "t", "content": [text(t, **MARK)]}, TEXTS),
)
MESSAGES = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["user", "assistant"]),
        st.one_of(TEXTS, st.lists(BLOCKS, max_size=4)),
    ),
    min_size=1,
    max_size=8,
)
SYSTEMS = st.one_of(st.none(), TEXTS, st.lists(BLOCKS.filter(lambda b: b["type"] == "text"), max_size=3))
BODIES = st.builds(
    lambda system, messages: {"messages": messages, **({"system": system} if system is not None else {})},
    SYSTEMS,
    MESSAGES,
)


def unmarked(value):
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key: unmarked(item) for key, item in value.items() if key != "cache_control"}
    return value


def same(one, other):
    """All but the paths, which people read and nothing else."""
    return [p._replace(path=()) for p in one.positions] == [p._replace(path=()) for p in other.positions]


@given(BODIES, st.lists(st.integers(1, 8), max_size=4))
def test_a_growing_request_lies_as_one_that_comes_whole(body, turns):
    memory = Layouts()
    for turn in sorted(turns):
        laid({**body, "messages": body["messages"][:turn]}, memory=memory)
    grown, whole = laid(body, memory=memory), laid(body)
    assert grown.positions == whole.positions
    assert grown.marks == whole.marks
    assert grown.keys == whole.keys
    assert grown.total == whole.total


@given(BODIES)
def test_markers_change_no_link(body):
    memory = Layouts()
    with_markers, without = laid(body, memory=memory), laid(unmarked(copy.deepcopy(body)), memory=memory)
    assert with_markers.positions == without.positions
    assert without.marks == {}
    assert with_markers.keys == without.keys


@given(BODIES)
def test_all_are_looked_at_where_nobody_knows_which_are_marked(body):
    assert laid(body).marks == laid(body, marked=False).marks


@given(BODIES)
def test_tokens_grow_to_the_whole(body):
    found = laid(body)
    tokens = [position.tokens for position in found.positions]
    assert tokens == sorted(tokens)
    assert found.total == (tokens[-1] if tokens else 0.0)
    weights = {}
    for position in found.positions:
        if position.ends:
            weights[position.message] = position.tokens
    for message, reached in weights.items():
        assert reached == pytest.approx(sum(10.0 * (i + 1) for i in range(message + 1)))


CONVERSE = {
    "system": [{"text": "s"}],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}, {"toolSpec": {"name": "g"}}]},
    "messages": [{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}],
}
POINT = {"cachePoint": {"type": "default", "ttl": "1h"}}


def test_a_checkpoint_of_its_own_marks_what_stands_before_it_and_is_nothing_else():
    memory = Layouts()
    plain = laid(CONVERSE, "bedrock.converse", memory)
    body = copy.deepcopy(CONVERSE)
    body["toolConfig"]["tools"].insert(1, POINT)
    body["system"].append({"cachePoint": {"type": "default"}})
    body["messages"][0]["content"].insert(1, POINT)
    for room in (memory, None):
        found = laid(body, "bedrock.converse", room, weigh=0.0 if room is None else 10.0)
        assert [p.link for p in found.positions] == [p.link for p in plain.positions]
        assert found.marks == {0: "1h", 2: "", 3: "1h"}
        assert [found.source(index) for index in range(5)] == [0, 2, 3, 5, 5]


def test_a_checkpoint_where_a_message_begins_marks_the_message_before():
    body = {"messages": [*CONVERSE["messages"], {"role": "assistant", "content": [POINT, {"text": "c"}]}]}
    assert laid(body, "bedrock.converse").marks == {1: "1h"}


def test_a_checkpoint_before_everything_marks_nothing():
    body = {"system": [POINT, {"text": "s"}], "messages": CONVERSE["messages"]}
    assert laid(body, "bedrock.converse").marks == {}


def test_a_text_lies_as_its_block():
    one = {"system": "s", "messages": [{"role": "user", "content": "x"}]}
    other = {"system": [text("s", **MARK)], "messages": [user(text("x", **LONG))]}
    assert same(laid(one), laid(other))
    assert laid(other).marks == {0: "", 1: "1h"}


def test_positions_of_another_scale_are_not_used_again():
    memory = Layouts()
    body = {"messages": [user(text("x")), user(text("y"))]}
    laid(body, memory=memory, scale="a", weigh=10.0)
    again = laid(body, memory=memory, scale="b", weigh=20.0)
    assert [position.tokens for position in again.positions] == [20.0, 60.0]


def test_memory_is_bounded():
    memory = Layouts(size=50)
    for number in range(200):
        laid({"messages": [user(text(str(number))), user(text("b"))]}, memory=memory)
    assert memory._held <= 50
    assert sum(cost for cost, _ in memory._known.values()) == memory._held


def test_a_parameter_counts_for_its_tier_and_those_behind_it():
    body = {"messages": [user(text("x"))]}
    plain, chosen = laid(body), laid({**body, "tool_choice": {"type": "any"}})
    assert plain.keys["tools"] == chosen.keys["tools"]
    assert plain.keys["system"] == chosen.keys["system"]
    assert plain.keys["messages"] != chosen.keys["messages"]


def test_effort_counts_from_the_first_token_where_that_cannot_be_excluded():
    body = {"messages": [user(text("x"))]}
    low = {**body, "output_config": {"effort": "low"}}
    for unsure, differs in ((False, False), (True, True), (None, True)):
        rule = Rule("r", "anthropic", "marks", parameters_break_all=unsure)
        assert (laid(body, rule=rule).keys["tools"] != laid(low, rule=rule).keys["tools"]) is differs
        assert laid(body, rule=rule).keys["messages"] != laid(low, rule=rule).keys["messages"]


def test_an_image_anywhere_is_another_prompt_for_all_messages():
    memory = Layouts()
    body = {"messages": [user(text("x"))]}
    plain = laid(body, memory=memory)
    image = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    shown = {"messages": [*body["messages"], user({"type": "tool_result", "tool_use_id": "t", "content": [image]})]}
    with_image = laid(shown, memory=memory)
    assert plain.keys["messages"] != with_image.keys["messages"]
    assert plain.keys["system"] == with_image.keys["system"]
    later = laid({"messages": [*shown["messages"], user(text("y"))]}, memory=memory)
    assert later.keys == with_image.keys


def test_a_key_separates_only_where_the_rule_says_so():
    body = {"model": "gpt-6", "messages": [{"role": "user", "content": "x"}]}
    apart = Rule("r", "openai", "endings", key_separates=True)
    for rule, differs in ((RULE, False), (apart, True)):
        one = laid(body, "openai.chat", rule=rule)
        other = laid({**body, "prompt_cache_key": "k"}, "openai.chat", rule=rule)
        assert (one.entry(0) != other.entry(0)) is differs


def test_spaces_share_nothing():
    body = {"messages": [user(text("x"))]}
    entries = {laid(body, space=space).entry(0) for space in (SPACE, Space("anthropic", "m"), Space("a", "m", "t"))}
    assert len(entries) == 3


def test_nothing_lies_as_nothing():
    found = lay_out(HASHER, [], [], lambda message: (), Ask(), SPACE, None, total=7.0)
    assert found.positions == []
    assert found.total == 7.0
