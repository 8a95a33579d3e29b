"""Tools stand in the order in which they were first sent."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import Kit, Policy

NAMES = ["read", "write", "edit", "search", "run"]


MODELS = {"openai.chat": "gpt-5", "openai.responses": "gpt-5", "bedrock.converse": "anthropic.claude-sonnet-4-5-v1:0"}


def tool(name, **more):
    return {"name": name, "description": f"It does {name}.", "input_schema": {"type": "object"}, **more}


def body(names, **more):
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 100,
        "tools": [tool(name) for name in names],
        "messages": [{"role": "user", "content": "Go."}],
        **more,
    }


def kit(**options):
    return Kit(Policy(mode="cache", freeze_tools=True), strict=True, **options)


def names(plan):
    return [one["name"] for one in plan.body["tools"]]


def plan(made, request, **options):
    planned = made.plan(request, dialect="anthropic.messages", platform="anthropic", **options)
    made.sent(planned)
    return planned


def test_what_was_not_sent_sets_no_order():
    made = kit()
    made.plan(body(NAMES), dialect="anthropic.messages", platform="anthropic")
    assert names(plan(made, body(NAMES[::-1]))) == NAMES[::-1]


@given(st.permutations(NAMES), st.permutations(NAMES))
def test_the_first_order_holds(first, second):
    made = kit()
    assert names(plan(made, body(first))) == first
    later = plan(made, body(second))
    assert names(later) == first
    assert bool(later.edits) == (first != second)
    assert later.prefix == plan(made, body(first)).prefix


def test_nothing_else_changes_and_the_original_stays():
    made = kit()
    plan(made, body(NAMES))
    shuffled = body(NAMES[::-1], metadata={"user_id": "x"})
    planned = plan(made, shuffled)
    assert planned.body == {**shuffled, "tools": shuffled["tools"][::-1]}
    assert [one["name"] for one in shuffled["tools"]] == NAMES[::-1]


def test_other_tools_have_an_order_of_their_own():
    made = kit()
    plan(made, body(NAMES))
    assert names(plan(made, body(["write", "read"]))) == ["write", "read"]
    changed = body(NAMES[::-1])
    changed["tools"][0]["description"] = "Another one."
    assert names(plan(made, changed)) == NAMES[::-1]


def test_scopes_and_models_are_apart():
    made = kit()
    plan(made, body(NAMES), scope="a")
    assert names(plan(made, body(NAMES[::-1]), scope="b")) == NAMES[::-1]
    assert names(plan(made, body(NAMES[::-1], model="claude-opus-4-8"), scope="a")) == NAMES[::-1]


def test_marked_tools_stay_where_they_are():
    made = kit()
    plan(made, body(NAMES))
    marked = body(NAMES[::-1])
    marked["tools"][-1]["cache_control"] = {"type": "ephemeral"}
    assert names(plan(made, marked)) == NAMES[::-1]


@pytest.mark.parametrize(
    "policy", [Policy(freeze_tools=True), Policy(mode="cache")], ids=["in observe", "not asked for"]
)
def test_only_where_the_policy_says_so(policy):
    made = Kit(policy, strict=True)
    plan(made, body(NAMES))
    assert names(plan(made, body(NAMES[::-1]))) == NAMES[::-1]


def test_signed_requests_are_left_alone():
    made = kit()
    plan(made, body(NAMES))
    assert names(plan(made, body(NAMES[::-1]), fixed=True)) == NAMES[::-1]


def test_workers_of_one_store_agree(tmp_path):
    one, other = kit(store=tmp_path / "store"), kit(store=tmp_path / "store")
    assert names(plan(one, body(NAMES))) == NAMES
    assert names(plan(other, body(NAMES[::-1]))) == NAMES
    one.close()
    other.close()


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses", "bedrock.converse"])
def test_in_other_wire_formats(dialect):
    made, rng = kit(), random.Random(1)
    platform = dialect.split(".")[0]
    shuffled = [list(order) for order in itertools.islice(itertools.permutations(NAMES), 1, 6)]
    rng.shuffle(shuffled)
    first = made.plan(request(dialect, NAMES), dialect=dialect, platform=platform, model=MODELS[dialect])
    made.sent(first)
    for order in shuffled:
        later = made.plan(request(dialect, order), dialect=dialect, platform=platform, model=MODELS[dialect])
        assert later.body == first.body


def request(dialect, order):
    function = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in order]
    if dialect == "openai.chat":
        return {"model": "gpt-5", "messages": [{"role": "user", "content": "Go."}], "tools": function}
    if dialect == "openai.responses":
        flat = [{"type": "function", "name": name, "parameters": {}} for name in order]
        return {"model": "gpt-5", "input": "Go.", "tools": flat}
    specs = [{"toolSpec": {"name": name, "inputSchema": {"json": {}}}} for name in order]
    return {"messages": [{"role": "user", "content": [{"text": "Go."}]}], "toolConfig": {"tools": specs}}


def test_twice_the_same_tool():
    made = kit()
    assert names(plan(made, body(["read", "read", "write"]))) == ["read", "read", "write"]
    assert names(plan(made, body(["read", "write", "read"]))) == ["read", "read", "write"]


def test_a_store_that_fails_changes_nothing():
    class Broken:
        def get(self, key):
            raise OSError

        put = add = get

        def flush(self): ...

        close = flush

    made = Kit(Policy(mode="cache", freeze_tools=True), store=Broken())
    assert names(plan(made, body(NAMES))) == NAMES
    assert names(plan(made, body(NAMES[::-1]))) == NAMES, "this process still knows"
