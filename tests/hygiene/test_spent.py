"""Old, large results that nothing refers to any more are proposed; what is still used is not."""

import json

import pytest

from ctxkit.editable import Stub
from ctxkit.hygiene.spent import Spent
from tests.hygiene.threads import Thread, flights, source


def proposed(thread, **options):
    return [one.action for one in Spent(**options)(thread.history)]


def test_a_result_is_spent_some_steps_after_its_last_use():
    thread = Thread().user("Find flights.").calls("search", flights(7), "short", to="SEA").says("HAT073 is best.")
    for step in range(4):
        thread.steps(1)
        assert proposed(thread) == [], step
    thread.steps(3)
    assert proposed(thread) == [Stub((2, 0))]
    assert proposed(thread, after=20) == []
    assert proposed(thread, least=100_000) == []
    thread.user("What about HAT074?").says("HAT074 is later.")
    assert proposed(thread) == [], "it was referred to again"
    thread.steps(7)
    assert proposed(thread) == [Stub((2, 0))]


def test_what_is_used_more_is_worth_more_and_the_reason_says_when():
    thread = (
        Thread().user("Go.").calls("search", flights(7)).calls("search", flights(8)).says("HAT073, HAT074, HAT075.")
    )
    rarely, often = Spent()(thread.steps(9).history), None
    found = {one.action: one for one in rarely}
    often, never = found[Stub((2, 0))], found[Stub((4, 0))]
    assert often.worth > never.worth
    assert "last referred to" in often.reason
    assert "nothing in" in never.reason
    assert all(0 <= one.worth < 1 and one.since < thread.count for one in found.values())


def test_a_result_without_a_name_of_its_own_stays_longer():
    thread = Thread().user("Tell me.").calls("search", "plain words and nothing else " * 60).says("Fine.")
    assert proposed(thread.steps(9)) == []
    assert proposed(thread.steps(4)) == [Stub((2, 0))]


def test_both_shapes_of_a_result():
    whole = Thread().user("Go.").calls("search", flights(7)).steps(14)
    blocks = Thread().user("Go.").calls("search", flights(7), flights(8)).steps(14)
    assert proposed(whole) == [Stub((2, 0))]
    assert proposed(blocks) == [Stub((2, 0)), Stub((2, 1))]


def test_what_was_written_goes_when_it_is_twice_as_long():
    thread = Thread().user("Go.").calls("write", "done", path="a.py", content=source("part", 20)).steps(14)
    assert proposed(thread) == []
    thread = Thread().user("Go.").calls("write", "done", path="a.py", content=source("part", 120)).steps(14)
    assert proposed(thread) == [Stub((1, 0))]


def test_printed_output_of_an_agent_without_tools():
    thread = Thread().user("Fix it." * 300)
    for number in range(16):
        thread.says(f"Let me look.\n```\ncat part{number}.py\n```").user(source(f"part{number}"))
    assert proposed(thread)[:2] == [Stub((2, 0)), Stub((4, 0))]


@pytest.mark.parametrize("change", [{"locked": True}, {"text": "[ctxkit: left out] " + "x1 " * 900}])
def test_what_may_not_change_is_not_proposed(change):
    thread = Thread().user("Go.").calls("search", flights(7)).steps(14)
    thread.pieces[2] = thread.pieces[2]._replace(**change)
    assert proposed(thread) == []


def test_nothing_is_proposed_of_nothing_and_always_the_same():
    assert proposed(Thread()) == []
    thread = Thread().user("Go.").calls("search", flights(7)).steps(14)
    assert list(Spent()(thread.history)) == list(Spent()(thread.history))


def test_japanese():
    text = json.dumps({"予約番号": "M05KNL", "内容": "羽田から福岡まで" * 200}, ensure_ascii=False)
    thread = Thread().user("予約を見てください").calls("get", text).says("M05KNLです。")
    for _ in range(8):
        thread.user("はい").says("わかりました。")
    assert proposed(thread) == [Stub((2, 0))]
