"""What OpenAI's cache does, statement by statement (developers.openai.com, 2026-10-02), on the simulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.cacheable import Ask
from ctxkit.caching.layout import Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import find
from ctxkit.caching.simulator import bill, breakpoints, endings, refusal
from tests.caching.conversations import Provider, answer, buckets, call, developer, result, system, tool, user

EXPLICIT = Ask(mode="explicit")


@pytest.fixture
def gpt() -> Provider:
    return Provider("openai", "gpt-5.6-sol", dialect="openai.responses")


@pytest.fixture
def older() -> Provider:
    return Provider("openai", "gpt-5.5")


def test_o1_what_only_grows_is_read_to_its_last_message(gpt):
    first = [developer(tokens=1000), user("a", 500)]
    assert buckets(gpt.send(first, 0)) == (0, {"30m": 1500}, 0)
    second = [*first, answer("b", 300), user("c", 200)]
    assert buckets(gpt.send(second, 1)) == (1500, {"30m": 500}, 0)


def test_o1_another_conversation_reads_the_opening():
    # Recorded from the live API: 5,392 tokens of instructions are read under another question, 10 are written.
    gpt = Provider("openai", "gpt-5.6-luna", dialect="openai.responses")
    instructions = system("instructions", 5392)
    assert buckets(gpt.send([instructions, user("a haiku", 10)], 0, total=5405)) == (0, {"30m": 5402}, 3)
    assert buckets(gpt.send([instructions, user("a sonnet", 10)], 1, total=5405)) == (5392, {"30m": 10}, 3)


def test_o2_explicit_requests_read_implicit_entries_only_at_a_marker(gpt):
    gpt.send([user("a", 1500)], 0)
    grown = [user("a", 1500), answer("b", 100), user("c", 100)]
    assert buckets(gpt.look(grown, 1, ask=EXPLICIT)) == (0, {}, 1700)
    marked = [user("a", 1500, ""), *grown[1:]]
    assert buckets(gpt.look(marked, 1, ask=EXPLICIT)) == (1500, {}, 200)


def test_o2_the_row_of_explicit_mode_says_the_same():
    explicit = Provider("openai", "gpt-5.6-sol", mode="explicit")
    assert buckets(explicit.send([user("a", 1500)], 0)) == (0, {}, 1500)
    assert not explicit.state.entries


def test_o3_more_text_in_the_same_message_loses_its_ending(gpt):
    gpt.send([user("a", 1500)], 0)
    assert gpt.look([[user("a", 1500), user("b", 100)]], 1).read == 0
    gpt.send([developer(tokens=1100), [user("a", 500)]], 0)
    assert gpt.look([developer(tokens=1100), [user("a", 500), user("b", 100)]], 1).read == 1100  # the opening alone
    both = Provider("openai", "gpt-5.6-sol")
    both.send([developer(tokens=1100), [user("a", 500, "")]], 0)
    assert both.look([developer(tokens=1100), [user("a", 500, ""), user("b", 100)]], 1).read == 1600


def test_o4_four_slots_hold_the_implicit_ending_and_the_latest_three_markers(gpt):
    request = [user(f"{number}", 1100, "" if number < 4 else None) for number in range(5)]
    outcome = gpt.look(request, 0)
    assert [write.at for write in outcome.matched.writes] == [1, 2, 3, 4]
    assert outcome.written == {"30m": 5500}
    explicit = [user(f"{number}", 1100, "") for number in range(5)]
    assert [write.at for write in gpt.look(explicit, 0, ask=EXPLICIT).matched.writes] == [1, 2, 3, 4]


def test_o5_a_later_developer_message_is_no_boundary(gpt):
    first = [user("a", 1100), answer("b", 100), user("c", 100), developer("now: noon", 50), user("d", 100)]
    gpt.send(first[:1], 0)
    gpt.send(first, 1)
    changed = [*first[:3], developer("now: one", 50), user("d", 100)]
    # What stands right before the changed message was never an ending of a request: the ending before it is read.
    assert gpt.look(changed, 2).read == 1100
    assert first[3].role == "developer"
    assert 3 not in list(endings(gpt.layout(first)))


def test_o6_fewer_than_1024_visible_tokens_are_not_cached(gpt):
    assert buckets(gpt.send([user("a", 1023)], 0)) == (0, {}, 1023)
    assert buckets(gpt.send([user("a", 1023)], 1)) == (0, {}, 1023)
    assert buckets(gpt.send([user("a", 1024)], 2)) == (0, {"30m": 1024}, 0)


PIECES = st.lists(
    st.builds(
        lambda role, tokens, mark: role(f"{role.__name__}{tokens}", tokens, mark),
        st.sampled_from([user, answer, developer]),
        st.integers(1, 3000),
        st.sampled_from([None, None, "", "30m", "12h"]),
    ),
    min_size=1,
    max_size=12,
)


@given(st.lists(st.tuples(PIECES, st.sampled_from([None, "explicit"])), min_size=1, max_size=4), st.integers(0, 500))
def test_o7_every_token_is_in_exactly_one_bucket(requests, extra):
    gpt = Provider("openai", "gpt-5.6-sol", dialect="openai.responses")
    for moment, (pieces, mode) in enumerate(requests):
        total = sum(piece.tokens for piece in pieces) + extra
        outcome = gpt.send(pieces, moment, total=total, ask=Ask(mode=mode))
        assert outcome.error is None
        assert min(outcome.read, outcome.fresh, *outcome.written.values(), 0) == 0
        assert outcome.read + outcome.fresh + sum(outcome.written.values()) == total


def test_o8_different_keys_share_nothing(gpt):
    gpt.send([user("a", 1500)], 0, ask=Ask(key="one"))
    assert gpt.look([user("a", 1500)], 1, ask=Ask(key="other")).read == 0
    assert gpt.look([user("a", 1500)], 1).read == 0
    assert gpt.look([user("a", 1500)], 1, ask=Ask(key="one")).read == 1500


def test_o8_before_5_6_a_key_only_routes(older):
    older.send([user("a", 5000)], 0, ask=Ask(key="one"))
    assert older.look([user("a", 5000)], 1, ask=Ask(key="other")).read > 0


def test_o9_half_an_hour_after_its_last_use_it_is_maybe(gpt):
    request = [user("a", 1500)]
    gpt.send(request, 0)
    assert gpt.send(request, 1799).read == 1500
    assert gpt.look(request, 1799 + 1799).read == 1500
    after = gpt.look(request, 1799 + 1801)
    assert (after.read, after.late) == (0, 1500)
    assert gpt.rule.life == "minimum"


def test_o9_twelve_hours_are_of_the_responses_api(gpt):
    request = [user("a", 1500, "12h")]
    assert buckets(gpt.send(request, 0, ask=Ask(mode="explicit"))) == (0, {"12h": 1500}, 0)
    assert gpt.look(request, 12 * 3600 - 1).read == 1500
    chat = Provider("openai", "gpt-5.6-sol", dialect="openai.chat")
    assert chat.look(request, 0).error is not None


@pytest.mark.parametrize(("limit", "read"), [(50, 0), (80, 1120)])
def test_o10_how_many_markers_are_looked_up_is_a_parameter(limit, read):
    gpt = Provider("openai", "gpt-5.6-sol", mode="explicit", changed={"candidates": limit})
    first = [user("first", 1100), user("second", 10), user("third", 10)]
    gpt.send([first[0], first[1], first[2]._replace(mark="")], 0)
    later = [user(f"{number}", 1, "") for number in range(60)]
    grown = [first[0].marked(), first[1].marked(), first[2].marked(), *later]
    assert gpt.look(grown, 1).read == read


def test_o10_the_pessimistic_limit_holds_and_the_others_are_told():
    rule = find("openai", "gpt-5.6-sol")
    assert (rule.candidates, rule.first_candidates, rule.endings) == (50, 2, 20)
    assert sorted(claim.value for claim in rule.claims["candidates"]) == [50, 50, 80]


def test_o10_the_first_two_markers_are_looked_up_whatever_follows():
    gpt = Provider("openai", "gpt-5.6-sol", mode="explicit")
    gpt.send([user("first", 1100), user("second", 10, "")], 0)
    grown = [user("first", 1100, ""), user("second", 10, ""), *(user(f"{number}", 1, "") for number in range(60))]
    assert gpt.look(grown, 1).read == 1110


@given(st.integers(1, 20_000), st.integers(0, 300))
def test_o11_before_5_6_what_is_reported_is_a_range(tokens, hidden):
    older = Provider("openai", "gpt-5.5", changed={"hidden": (0, 300), "minimum": 0})
    older.send([user("a", tokens)], 0)
    outcome = older.look([user("a", tokens)], 1)
    boundary = (tokens + hidden) // 2048 * 2048
    reported = max(boundary - hidden, 0) // 128 * 128
    assert outcome.least <= reported <= outcome.most
    assert 0 <= outcome.least <= outcome.read <= outcome.most <= tokens
    assert all(figure % 128 == 0 for figure in (outcome.least, outcome.read, outcome.most))


@given(st.integers(0, 5000), st.integers(0, 200), st.integers(0, 200), st.sampled_from([128, 512, 2048]))
def test_o11_the_range_is_exactly_what_hidden_tokens_can_make_of_it(tokens, least, more, interval):
    changed = {"hidden": (least, least + more), "minimum": 0, "interval": interval}
    older = Provider("openai", "gpt-5.5", changed=changed)
    older.send([user("a", tokens)], 0)
    outcome = older.look([user("a", tokens)], 1)
    figures = [
        max((tokens + hidden) // interval * interval - hidden, 0) // 128 * 128
        for hidden in range(least, least + more + 1)
    ]
    assert (outcome.least, outcome.most) == (min(figures), max(figures))


def test_o12_the_published_vector(gpt):
    first = [developer(tokens=2000), user("a", 10_000)]
    assert buckets(gpt.send(first, 0)) == (0, {"30m": 12_000}, 0)
    assert buckets(gpt.send([*first, answer("b", 1000), user("c", 2000)], 1)) == (12_000, {"30m": 3000}, 0)


def test_o13_in_explicit_mode_what_follows_the_last_marker_is_ordinary(gpt):
    request = [user("a", 1500, ""), user("b", 400)]
    assert buckets(gpt.send(request, 0, ask=EXPLICIT)) == (0, {"30m": 1500}, 400)
    assert buckets(gpt.send(request, 1, ask=EXPLICIT)) == (1500, {}, 400)


@pytest.mark.parametrize(("reads", "percent"), [(1, 135), (9, 215)])
def test_o14_a_write_and_reads_cost_so_much_of_one_pass(gpt, reads, percent):
    rates = {"fresh": 4_000_000, "read": 400_000, "written.30m": 5_000_000, "output": 0}
    outcomes = [gpt.send([user("a", 10_000)], moment) for moment in range(reads + 1)]
    bills = [bill(outcome, rates) for outcome in outcomes]
    assert None not in bills
    assert sum(filter(None, bills)) * 100 == 10_000 * rates["fresh"] * percent


def test_o15_a_prefix_that_is_too_short_may_be_filled_up():
    rates = {"fresh": 20, "read": 2, "written.30m": 25}

    def spent(tokens: int, requests: int) -> int:
        gpt = Provider("openai", "gpt-5.6-sol", dialect="openai.responses")
        first, again = (bill(gpt.send([user("a", tokens)], moment), rates) for moment in range(2))
        assert first is not None
        assert again is not None
        return first + (requests - 1) * again

    assert spent(1024, 10) < spent(221, 10)
    assert spent(1024, 10) > spent(220, 10)
    assert spent(1024, 1963) < spent(103, 1963)
    assert spent(1024, 1962) > spent(103, 1962)
    assert spent(1024, 10**9) > spent(102, 10**9)


def test_o16_prewarming_writes_and_answers_nothing(gpt):
    outcome = gpt.send([user("a", 1500)], 0, ask=Ask(prewarm=True))
    assert (outcome.answered, dict(outcome.written)) == (False, {"30m": 1500})
    rates = {"fresh": 2, "read": 1, "written.30m": 3, "output": 1000}
    assert bill(outcome, rates, output=7) == 4500
    assert gpt.rule.prewarm == "prewarm"


def test_o17_a_markers_life_wins_over_the_requests(gpt):
    request = [user("a", 1500, "12h"), user("b", 400, "30m"), user("c", 100)]
    outcome = gpt.send(request, 0, ask=Ask(ttl="12h", mode="implicit"))
    assert outcome.written == {"12h": 1600, "30m": 400}
    assert sum(outcome.written.values()) == 2000


def test_o17_the_split_of_the_usage_is_read_by_its_life():
    usage = {
        "input_tokens": 2000,
        "output_tokens": 1,
        "total_tokens": 2001,
        "input_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 2000,
            "cache_write_tokens_details": {"ttl_30m_tokens": 400, "ttl_12h_tokens": 1600},
        },
    }
    found = dialects.get("openai.responses").answer({"id": "r", "status": "completed", "usage": usage}, "openai")
    assert found.usage is not None
    assert found.usage.written == {"30m": 400, "12h": 1600}


@pytest.mark.parametrize(
    ("item", "accepted"),
    [
        ({"role": "user", "content": [{"type": "input_text", "text": "a"}]}, True),
        ({"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}, False),
        ({"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]}, True),
    ],
)
def test_o18_a_marker_on_a_block_that_takes_none_is_refused(item, accepted):
    field = "content" if "content" in item else "output"
    item[field][0]["prompt_cache_breakpoint"] = {"mode": "explicit"}
    error = refusal(find("openai", "gpt-5.6"), wired({"model": "gpt-5.6", "input": [item]}))
    assert (error is None) is accepted
    if error:
        assert (error.status, error.kind) == (400, "invalid_request_error")


def wired(body, dialect="openai.responses", model="gpt-5.6"):
    named, caches = dialects.get(dialect), dialects.caches(dialect)
    view = named.view(body)
    weights = [10.0] * len(view.messages)
    rule, space = find("openai", model), Space("openai", model)
    return lay_out(
        Hasher(b"k" * 32),
        view.messages,
        weights,
        caches.blocks,
        caches.ask(view),
        space,
        rule,
        total=sum(weights),
    )


def test_o19_which_endings_are_eligible(gpt):
    request = [
        tool("t", 10),
        developer("one", 10),
        developer("two", 10),
        user("a", 10),
        [answer("b", 10), call("f()", 10), call("g()", 10)],
        result("1", 10),
        result("2", 10),
        answer("c", 10),
        developer("three", 10),
        user("d", 10),
    ]
    layout = gpt.layout(request)
    texts = [piece.text for step in request for piece in ([step] if hasattr(step, "text") else step)]
    assert [texts[index] for index in endings(layout)] == ["d", "2", "a", "two"]


def test_o19_on_the_wire_of_both_apis():
    responses = {
        "instructions": "be kind",
        "input": [
            {"role": "user", "content": "a"},
            {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": "x"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
    }
    assert list(endings(wired(responses))) == [5, 3, 1, 0]
    chat = {
        "model": "gpt-5.6",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "x"},
            {"role": "tool", "tool_call_id": "2", "content": "y"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
    }
    assert list(endings(wired(chat, "openai.chat"))) == [6, 4, 1, 0]


def test_o19_twenty_earlier_endings_are_looked_up(gpt):
    def turns(count):
        return [step for number in range(count) for step in (user(f"u{number}", 100), answer(f"a{number}", 100))]

    gpt.send([*turns(8), user("ask", 100)], 0)  # its ending holds 1,700 tokens
    for later, read in ((20, 1700), (21, 0)):
        grown = [*turns(8), user("ask", 100), *turns(later)[: 2 * later]]
        assert gpt.look(grown, 1).read == read


def test_o20_gpt_5_5_has_a_boundary_every_2048_tokens(older):
    assert (older.rule.interval, older.rule.granularity) == (2048, 128)
    provider = Provider("openai", "gpt-5.5", changed={"hidden": (0, 0)})
    provider.send([system(tokens=2100), user("a", 2100)], 0)
    assert provider.look([system(tokens=2100), user("b", 100)], 1).read == 2048
    assert provider.look([system(tokens=2100), user("a", 2100), user("b", 9)], 1).read == 4096
    hidden = Provider("openai", "gpt-5.5", changed={"hidden": (100, 100)})
    hidden.send([user("a", 4000)], 0)
    assert hidden.look([user("a", 4000)], 1).read == (4096 - 100) // 128 * 128


def test_breakpoints_of_a_request_are_told_with_their_lives(gpt):
    assert breakpoints(gpt.rule, gpt.layout([user("a", 10, ""), user("b", 10, "12h")])) == [(0, "30m"), (1, "12h")]
