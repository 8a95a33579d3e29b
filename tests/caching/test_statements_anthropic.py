"""What Anthropic's cache does, statement by statement (platform.claude.com, 2026-08-22), on the simulator.

Reading A18 to A23 off the wire: tests/dialects/test_anthropic_messages.py and the tests below that use a dialect.
"""

from __future__ import annotations

import pytest

from ctxkit import dialects
from ctxkit.cacheable import Ask
from ctxkit.caching.layout import Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import find
from ctxkit.caching.simulator import breakpoints, refusal
from tests.caching.conversations import (
    Piece,
    Provider,
    answer,
    buckets,
    call,
    result,
    system,
    thinking,
    tool,
    user,
)


@pytest.fixture
def claude() -> Provider:
    return Provider("anthropic", "claude-opus-5", dialect="anthropic.messages")


def numbered(count: int, *marked: int, ttl: str = "", size: int = 100) -> list[Piece]:
    """Blocks 1..count, some of them marked."""
    return [user(f"block {number}", size, ttl if number in marked else None) for number in range(1, count + 1)]


def test_a1_without_a_marker_nothing_is_read_or_written(claude):
    for moment in range(3):
        assert buckets(claude.send(numbered(30), moment)) == (0, {}, 3000)
    assert not claude.state.entries


def test_a2_a_marker_further_on_reads_up_to_the_earlier_one(claude):
    assert buckets(claude.send(numbered(10, 10), 0)) == (0, {"5m": 1000}, 0)
    assert buckets(claude.send(numbered(15, 15), 1)) == (1000, {"5m": 500}, 0)


def test_a3_an_entry_21_positions_back_is_not_found(claude):
    claude.send(numbered(10, 10), 0)
    claude.send(numbered(15, 15), 1)
    assert claude.look(numbered(35, 35), 2).read == 0
    assert buckets(claude.look(numbered(35, 15, 35), 2)) == (1500, {"5m": 2000}, 0)


def test_a4_a_marker_on_what_always_changes_writes_every_time_and_reads_never(claude):
    for moment in range(3):
        changing = [*numbered(5, size=200), user(f"it is {moment} o'clock", mark="")]
        assert buckets(claude.send(changing, moment)) == (0, {"5m": 1100}, 0)


@pytest.mark.parametrize(
    ("marked", "automatic", "refused"),
    [
        ((1, 2, 3, 4), None, False),
        ((1, 2, 3, 4, 5), None, True),
        ((1, 2, 3), "", False),
        ((1, 2, 3, 4), "", True),
        ((10,), "1h", True),
        ((10,), "5m", False),
        ((10,), "", False),
    ],
)
def test_a5_five_markers_or_two_lives_for_one_block_are_refused(claude, marked, automatic, refused):
    outcome = claude.look(numbered(10, *marked), ask=Ask(automatic=automatic))
    assert (outcome.error is not None) is refused
    if outcome.error:
        assert (outcome.error.status, outcome.error.kind) == (400, "invalid_request_error")
        assert outcome.total == 0
    else:
        assert outcome.total == 1000


def test_a5_the_same_life_on_the_last_block_adds_no_marker(claude):
    layout = claude.layout(numbered(10, 10), ask=Ask(automatic="5m"))
    assert breakpoints(claude.rule, layout) == [(9, "5m")]


def test_a5_the_top_level_marker_walks_backward_to_a_block_that_may_carry_one(claude):
    layout = claude.layout([*numbered(8), thinking("hm")], ask=Ask(automatic=""))
    assert breakpoints(claude.rule, layout) == [(7, "5m")]
    assert breakpoints(claude.rule, claude.layout([thinking("hm", 1000)], ask=Ask(automatic=""))) == []


def test_a5_on_the_wire():
    body = {
        "model": "claude-opus-5",
        "max_tokens": 10,
        "system": [{"type": "text", "text": f"part {n}", "cache_control": {"type": "ephemeral"}} for n in range(4)],
        "messages": [{"role": "user", "content": "hello"}],
    }
    assert refusal(find("anthropic", "claude-opus-5"), wired(body)) is None
    error = refusal(find("anthropic", "claude-opus-5"), wired({**body, "cache_control": {"type": "ephemeral"}}))
    assert error is not None
    assert error.message == "A maximum of 4 blocks with cache_control may be provided. Found 5."


def wired(body, dialect="anthropic.messages", platform="anthropic", rule=None):
    """A body laid out by its dialect, ten tokens a message."""
    named, caches = dialects.get(dialect), dialects.caches(dialect)
    view = named.view(body)
    weights = [10.0] * len(view.messages)
    return lay_out(
        Hasher(b"k" * 32),
        view.messages,
        weights,
        caches.blocks,
        caches.ask(view),
        Space(platform, body.get("model", "")),
        rule or find(platform, body.get("model", "")),
        total=sum(weights),
    )


def test_a5_the_older_integration_of_bedrock_takes_no_top_level_marker():
    bedrock = Provider("bedrock", "anthropic.claude-opus-4-6-v1")
    error = bedrock.look(numbered(60), ask=Ask(automatic="")).error
    assert error is not None
    assert (error.status, error.kind) == (400, "ValidationException")


def test_a6_an_hour_after_five_minutes_is_refused(claude):
    long_first = [user("a", 600, "1h"), user("b", 600, "5m")]
    short_first = [user("a", 600, "5m"), user("b", 600, "1h")]
    assert claude.look(long_first).error is None
    error = claude.look(short_first).error
    assert error is not None
    assert (error.status, error.kind) == (400, "invalid_request_error")
    assert "must not come after a ttl='5m'" in error.message
    assert claude.look([user("a", 600, "5m"), user("b", 600)], ask=Ask(automatic="1h")).error is not None


def test_a6_a_life_that_does_not_exist_is_refused(claude):
    assert claude.look([user("a", 600, "2h")]).error is not None


@pytest.mark.parametrize(("model", "minimum"), [("claude-opus-5", 512), ("claude-haiku-4-5", 4096)])
def test_a7_a_prefix_below_the_minimum_is_silently_not_cached(model, minimum):
    for tokens, written in ((minimum - 1, {}), (minimum, {"5m": minimum})):
        claude = Provider("anthropic", model)
        outcome = claude.send([user("a", tokens, "")], 0)
        assert (outcome.error, dict(outcome.written)) == (None, written)
        assert claude.send([user("a", tokens, "")], 1).read == sum(written.values())


def test_a8_a_read_begins_the_five_minutes_anew(claude):
    request = [user("a", 600, "")]
    claude.send(request, 0)
    assert claude.look(request, 301).read == 0
    assert claude.send(request, 299).read == 600
    assert claude.send(request, 598).read == 600


def test_a8_after_its_life_an_entry_is_missed_and_a_late_hit_is_said_to_be_possible(claude):
    request = [user("a", 600, "")]
    claude.send(request, 0)
    outcome = claude.look(request, 301)
    assert buckets(outcome) == (0, {"5m": 600}, 0)
    assert outcome.late == 600


def test_a8_the_clock_starts_with_the_request_and_not_with_its_answer(claude):
    request = [user("a", 600, "")]
    claude.send(request, 0, begins=240)
    assert claude.look(request, 299).read == 600
    assert claude.look(request, 301).read == 0


def test_a9_of_two_cold_requests_at_once_both_write(claude):
    request = [user("a", 600, "")]
    one = claude.look(request, 0.0)
    other = claude.look(request, 0.1)
    assert buckets(one) == buckets(other) == (0, {"5m": 600}, 0)
    claude.begin(one, 2.0)
    claude.begin(other, 2.1)
    assert claude.look(request, 1.9).read == 0
    assert claude.look(request, 2.0).read == 600


CHANGES = {
    "tool_choice": Ask(parameters={"messages": {"tool_choice": {"type": "any"}}}),
    "thinking": Ask(parameters={"messages": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}),
    "effort": Ask(parameters={"messages": {"effort": "low"}}),
}


@pytest.mark.parametrize("change", [*CHANGES, "image"])
@pytest.mark.parametrize("marked", [True, False])
def test_a10_a_parameter_of_the_messages_leaves_tools_and_system_where_they_are_marked(change, marked):
    # On which models thinking and effort leave them is not documented; here is one of those.
    claude = Provider("anthropic", "claude-opus-5", changed={"parameters_break_all": False})
    before = [tool(tokens=600), system(tokens=600, mark="" if marked else None), user("a", 600, "")]
    picture = Piece("picture", 50, kind="image", sways=(("messages", "image"),))
    after = [*before[:2], [before[2]._replace(mark=None), picture.marked()]] if change == "image" else before
    claude.send(before, 0)
    outcome = claude.look(after, 1, ask=CHANGES.get(change))
    assert outcome.read == (1200 if marked else 0)


@pytest.mark.parametrize("change", ["thinking", "effort"])
def test_a10_where_it_depends_on_the_model_the_worse_is_taken(claude, change):
    assert claude.rule.parameters_break_all is None
    request = [tool(tokens=600), system(tokens=600, mark=""), user("a", 600, "")]
    claude.send(request, 0)
    assert claude.look(request, 1, ask=CHANGES[change]).read == 0


def test_a11_another_tool_loses_everything(claude):
    request = [tool("t", 600), system("s", 600, ""), user("a", 600, "")]
    claude.send(request, 0)
    for changed in ([tool("u", 600), *request[1:]], [tool("new", 10), *request], request[1:]):
        assert claude.look(changed, 1).read == 0


def test_a11_another_system_text_leaves_a_marked_tool(claude):
    request = [tool("t", 600, ""), system("s", 600, ""), user("a", 600, "")]
    claude.send(request, 0)
    assert claude.look([request[0], system("other", 600, ""), request[2]], 1).read == 600


def test_a12_mixed_lives_are_billed_by_three_positions(claude):
    claude.send([user("a", 1000, "1h")], 0)
    request = [user("a", 1000), user("b", 700, "1h"), user("c", 300, "5m"), user("d", 50)]
    assert buckets(claude.send(request, 1)) == (1000, {"1h": 700, "5m": 300}, 50)


def test_a12_without_a_new_hour_all_is_written_for_five_minutes(claude):
    claude.send([user("a", 1000, "1h")], 0)
    request = [user("a", 1000, "1h"), user("b", 700), user("c", 300, "5m"), user("d", 50)]
    assert buckets(claude.send(request, 1)) == (1000, {"5m": 1000}, 50)


def test_a13_the_buckets_sum_to_the_prompt(claude):
    unmarked, marked = numbered(12), numbered(12, 6, 9)
    assert claude.send(unmarked, 0, total=1217).fresh == 1217
    for moment in (1, 2):
        outcome = claude.send(marked, moment, total=1217)
        assert outcome.read + outcome.fresh + sum(outcome.written.values()) == 1217
        assert outcome.fresh == 317


@pytest.mark.parametrize(
    "other", [{"scope": "another"}, {"model": "claude-opus-5-5"}, {"ask": Ask(parameters={"tools": {"speed": "fast"}})}]
)
def test_a14_another_workspace_model_or_speed_shares_nothing(claude, other):
    request = [user("a", 600, "")]
    claude.send(request, 0, scope="workspace")
    assert claude.look(request, 1, **{"scope": "workspace", **other}).read == 0
    assert claude.look(request, 1, scope="workspace").read == 600


def test_a14_where_the_whole_organisation_shares_the_rule_says_so():
    assert "workspace" in find("anthropic", "claude-opus-5").isolation
    for platform in ("bedrock", "vertex"):
        assert "workspace" not in find(platform, "claude-opus-5").isolation
        assert "organisation" in find(platform, "claude-opus-5").isolation


def test_a15_thinking_cannot_be_marked(claude):
    error = claude.look([user("a", 600), thinking("hm", 100).marked()]).error
    assert error is not None
    assert error.status == 400


TURN = [user("a", 5000), [thinking("hm", 200), call("f()", 100)], result("1", 100)]


def test_a15_where_thinking_is_kept_a_new_turn_reads_over_it():
    claude = Provider("anthropic", "claude-opus-5")
    claude.send([*TURN[:2], TURN[2].marked()], 0)
    assert claude.look([*TURN, answer("one"), user("thanks", 10, "")], 1).read == 5400


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-5-5"])
def test_a15_where_it_is_stripped_a_new_turn_is_cut_at_the_first_stripped_block(model):
    claude = Provider("anthropic", model)
    first = [TURN[0].marked(), TURN[1], TURN[2].marked()]
    claude.send(first, 0)
    assert claude.look([*TURN[:2], TURN[2], answer("one", mark="")], 1).read == 5400  # still the same turn
    asked = [*TURN, answer("one"), user("thanks", 10, "")]
    assert claude.send(asked, 2).read == 5000
    assert (
        claude.look([*asked, answer("you are welcome", mark="")], 3).read == 5510
    )  # the stripped prompt is cached too


def parallel(count: int) -> list[list[Piece]]:
    return [
        [call(f"f({number})") for number in range(count)],
        [result(f"{number}") for number in range(count)],
    ]


def test_a16_parallel_tool_blocks_count_one_by_one_unless_said_otherwise():
    turn = [user("a", 600), *parallel(12)]
    turn[-1][-1] = turn[-1][-1].marked()
    for unit, read in (("block", 0), ("group", 600)):
        claude = Provider("anthropic", "claude-opus-5", changed={"lookback_unit": unit})
        claude.send([user("a", 600, "")], 0)
        assert claude.look(turn, 1).read == read
    claims = find("anthropic", "claude-opus-5").claims["lookback_unit"]
    assert [claim.value for claim in claims] == ["block", "group"]
    assert find("anthropic", "claude-opus-5").lookback_unit == "block"


@pytest.mark.parametrize(("added", "read"), [(19, 1000), (20, 0)])
def test_a17_a_turn_of_20_blocks_loses_the_entry_before_it(claude, added, read):
    claude.send(numbered(10, 10), 0)
    assert claude.look(numbered(10 + added, 10 + added), 1).read == read


def test_a18_prewarming_writes_and_answers_nothing(claude):
    request = [system(tokens=600, mark=""), user("placeholder", 10)]
    outcome = claude.send(request, 0, ask=Ask(prewarm=True))
    assert (outcome.answered, *buckets(outcome)) == (False, 0, {"5m": 600}, 10)
    assert claude.rule.prewarm == "max_tokens"
    assert claude.look([request[0], user("hello", 10)], 1).read == 600


def test_a18_no_tokens_at_all_is_read_as_prewarming():
    body = {"model": "claude-opus-5", "messages": [{"role": "user", "content": "x"}]}
    assert wired({**body, "max_tokens": 0}).ask.prewarm
    assert not wired({**body, "max_tokens": 1}).ask.prewarm


def test_a22_the_published_vector():
    haiku = Provider("anthropic", "claude-haiku-4-5")
    prefix = system("long", 6702, "")
    assert buckets(haiku.send([prefix, user("one", 330)], 0)) == (0, {"5m": 6702}, 330)
    assert buckets(haiku.send([prefix, user("two", 331)], 1)) == (6702, {}, 331)
    below = [system("short", 30, ""), user("long", 7002)]
    assert buckets(haiku.send(below, 2)) == (0, {}, 7032)


@pytest.mark.parametrize(
    ("diagnostics", "state", "missed"),
    [
        ({}, None, None),
        ({"diagnostics": None}, "same", None),
        ({"diagnostics": {"cache_miss_reason": None}}, "pending", None),
        (
            {"diagnostics": {"cache_miss_reason": {"type": "tools_changed", "cache_missed_input_tokens": 9}}},
            "missed",
            9,
        ),
        ({"diagnostics": {"cache_miss_reason": {"type": "previous_message_not_found"}}}, "unknown", None),
    ],
)
def test_a19_a_diagnosis_has_four_states(diagnostics, state, missed):
    answer = {"id": "msg", "type": "message", "usage": {"input_tokens": 1, "output_tokens": 1}, **diagnostics}
    found = dialects.get("anthropic.messages").answer(answer, "anthropic").diagnosis
    assert (found and found.state, found and found.missed) == (state, missed)


def test_a21_server_tools_may_write_for_five_minutes_though_all_markers_say_an_hour():
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 400,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 5,
    }
    found = dialects.get("anthropic.messages").answer({"id": "msg", "type": "message", "usage": usage}, "anthropic")
    assert found.usage is not None
    assert (found.usage.written, found.problems) == ({"5m": 300, "1h": 100}, ())


def test_a23_the_published_vector_of_a_usage():
    usage = {
        "input_tokens": 2048,
        "cache_read_input_tokens": 1800,
        "cache_creation_input_tokens": 248,
        "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 503,
    }
    found = dialects.get("anthropic.messages").answer({"id": "msg", "type": "message", "usage": usage}, "anthropic")
    assert found.usage is not None
    assert (found.usage.written, found.usage.input_total) == ({"5m": 148, "1h": 100}, 4096)
