"""Mode ``cache`` in the hall: what it says, what it leaves alone, and that no fault of it reaches a call."""

import copy
from decimal import Decimal

import pytest

from ctxkit import Kit, Policy
from ctxkit.caching.marking import Marking

WORDS = "You answer questions about the harbour, its ships and its tides. " * 120
TOOLS = [{"name": "tides", "description": "Tides of a day.", "input_schema": {"type": "object", "properties": {}}}]


def body(*turns):
    said = [{"role": ("user", "assistant")[number % 2], "content": turn} for number, turn in enumerate(turns)]
    return {"model": "claude-opus-5", "max_tokens": 50, "system": WORDS, "tools": TOOLS, "messages": said}


@pytest.fixture
def kit():
    made = Kit(Policy(mode="cache"), strict=True)
    yield made
    made.close()


def planned(kit, request, **options):
    return kit.plan(request, **{"dialect": "anthropic.messages", "platform": "anthropic", "feature": "x", **options})


def settled(kit, plan):
    usage = {
        "input_tokens": plan.forecast.fresh,
        "cache_read_input_tokens": plan.forecast.cached_tokens,
        "cache_creation_input_tokens": sum(plan.forecast.written.values()),
        "output_tokens": 5,
    }
    return kit.settle(plan, {"id": "m", "model": "claude-opus-5", "usage": usage})


def test_the_plan_says_what_was_added_and_why(kit):
    plan = planned(kit, body("hello"))
    assert plan.edits
    assert all(edit.reason and edit.lossless for edit in plan.edits)
    assert plan.edits[0].predicted_saving > 0
    assert "caches tools and instructions" in plan.explain()
    assert sum(plan.forecast.written.values()) > 1_000
    assert settled(kit, plan).edits["n"] == len(plan.edits)


def test_planning_changes_nothing_and_is_repeatable(kit):
    request = body("hello")
    before = copy.deepcopy(request)
    one, other = planned(kit, request, now=1.0), planned(kit, request, now=1.0)
    assert request == before
    assert (one.body, one.edits, one.forecast) == (other.body, other.edits, other.forecast)


def test_what_is_planned_again_gets_nothing_new(kit):
    plan = planned(kit, body("hello"))
    again = planned(kit, plan.body)
    assert again.edits == ()
    assert again.body is plan.body
    assert again.forecast.written == plan.forecast.written


def test_the_next_turn_reads_what_this_one_wrote(kit):
    first = planned(kit, body("hello"), now=100.0)
    settled(kit, first)
    second = planned(kit, body("hello", "hi", "and now?"), now=130.0)
    assert second.forecast.cached_tokens == sum(first.forecast.written.values())
    assert second.thread == first.thread


def test_markers_are_part_of_the_dearest_case(kit):
    marked = planned(kit, body("hello"))
    observed = planned(Kit(strict=True), body("hello"))
    assert marked.estimate.cost.max > observed.estimate.cost.max


def test_observing_changes_nothing():
    request = body("hello")
    plan = planned(Kit(strict=True), request)
    assert plan.body is request
    assert (plan.edits, plan.headers, plan.notes) == ((), {}, ())


def test_what_is_fixed_is_not_changed(kit):
    request = body("hello")
    plan = planned(kit, request, fixed=True)
    assert plan.body is request
    assert plan.edits == ()


def test_a_fault_sends_the_original(monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("broken")

    monkeypatch.setattr(Marking, "decide", broken)
    kit, request = Kit(Policy(mode="cache")), body("hello")
    plan = planned(kit, request)
    assert plan.body is request
    assert plan.estimate is not None
    assert plan.forecast is not None
    assert kit.faults.counts["markers: RuntimeError"] == 1
    with pytest.raises(RuntimeError):
        planned(Kit(Policy(mode="cache"), strict=True), request)


def test_the_time_to_live_may_be_said():
    kit = Kit(Policy(mode="cache", cache_ttl="1h"), strict=True)
    plan = planned(kit, body("hello"))
    assert plan.body["system"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert set(plan.forecast.written) == {"1h"}


def test_a_life_that_is_not_sold_is_not_asked_for():
    kit = Kit(Policy(mode="cache", cache_ttl="12h"), strict=True)
    assert planned(kit, body("hello")).body["system"][0]["cache_control"] == {"type": "ephemeral"}


def test_retention_on_disk_is_chosen_by_the_user_alone():
    request = {"model": "gpt-5.1", "messages": [{"role": "system", "content": WORDS}, {"role": "user", "content": "x"}]}
    for ttl, wanted in (("auto", None), ("24h", "24h")):
        kit = Kit(Policy(mode="cache", cache_ttl=ttl), strict=True)
        plan = kit.plan(request, dialect="openai.chat", platform="openai")
        assert plan.body.get("prompt_cache_retention") == wanted


def test_a_platform_that_nobody_described_is_left_alone(kit):
    request = body("hello")
    plan = planned(kit, request, platform="of-tomorrow")
    assert plan.body is request
    assert plan.forecast.unsupported


@pytest.mark.parametrize(
    "dialect", ["anthropic.messages", "openai.chat", "openai.responses", "bedrock.converse", "gemini.generate"]
)
def test_a_history_that_the_provider_holds_is_left_alone(kit, dialect):
    request = {
        "anthropic.messages": {"model": "claude-opus-5", "messages": []},
        "openai.chat": {"model": "gpt-6-sol", "messages": []},
        "openai.responses": {"model": "gpt-6-sol", "input": WORDS, "previous_response_id": "resp_1"},
        "bedrock.converse": {"modelId": "m", "messages": []},
        "gemini.generate": {"contents": WORDS, "cachedContent": "cachedContents/1"},
    }[dialect]
    plan = kit.plan(request, dialect=dialect, platform="openai", model="gpt-6-sol")
    assert plan.body is request


def test_a_marker_of_the_users_own_whose_writes_have_no_price(kit):
    text = {"type": "text", "text": WORDS * 3, "cache_control": {"type": "ephemeral"}}
    talk = [{"role": "system", "content": [text]}, {"role": "user", "content": "hello"}]
    request = {"model": "google/gemini-2.5-flash", "messages": talk}
    plan = planned(kit, request, dialect="openai.chat", platform="openrouter")
    assert [(edit.path, edit.predicted_saving) for edit in plan.edits] == [(("session_id",), None)]


def test_a_longer_life_that_is_asked_for_marks_what_goes_on():
    """What is not marked now could only be marked for as long later: waiting is no way to get the cheaper life."""
    kit = Kit(Policy(mode="cache", cache_ttl="1h"), strict=True)
    turns, written = ["hello"], []
    for number in range(6):
        plan = planned(kit, body(*turns), now=number * 10.0)
        settled(kit, plan)
        written.append(plan.forecast.written.get("1h", 0))
        assert plan.forecast.written.get("5m", 0) == 0
        turns += [f"answer {number} " * 200, f"question {number} " * 100]
    kit.close()
    assert all(tokens > 200 for tokens in written[2:])


@pytest.mark.parametrize(("place", "factor"), [("us", Decimal("1.1")), ("eu", 1)])
def test_where_an_answer_was_served_goes_into_what_was_saved_and_missed(place, factor):
    """Anthropic tells of the place in the answer alone, and asks a tenth more for one of them."""

    def spoken(**told):
        kit, found = Kit(Policy(mode="cache"), store=None, ledger=None, strict=True), []
        for number, read in enumerate((0, 1_500, 0)):
            plan = planned(kit, body(*["hello"] * (2 * number + 1)), now=1_795_000_000.0 + 9 * number)
            usage = {"input_tokens": 20, "cache_read_input_tokens": read, "cache_creation_input_tokens": 1_500 - read}
            answer = {"id": "m", "model": "claude-opus-5", "usage": {**usage, "output_tokens": 5, **told}}
            found.append(kit.settle(plan, answer, now=1_795_000_002.0 + 9 * number))
        kit.close()
        return found

    for plain, there in zip(spoken(), spoken(inference_geo=place), strict=True):
        assert there.cost == plain.cost * factor
        assert there.savings == plain.savings * factor
        assert there.miss_reason == plain.miss_reason
        assert plain.miss_reason is None or there.miss_cost == plain.miss_cost * factor
    assert plain.miss_reason is not None
