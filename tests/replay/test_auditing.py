"""Audits: what was wasted and missed, sums that hold, and what to do."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from ctxkit.metering.paid import Paid
from ctxkit.model import Usage
from ctxkit.policy import Policy
from ctxkit.replay import sampling
from ctxkit.replay.auditing import Files, audit
from ctxkit.replay.posing import Assumed
from ctxkit.replay.recording import Asked, Recording
from ctxkit.replay.resending import Bench
from ctxkit.replay.sampling import drawn, judged
from ctxkit.replay.waste import KINDS
from tests.replay.recordings_by_hand import agent, fresh, recording

USD = ("as_sent", "raw_cached", "ctxkit", "optimum")


@pytest.fixture(scope="module")
def found():
    one = [recording(agent(f"agent {number}", turns=8 + 4 * number), step=20.0) for number in range(3)]
    return audit(one, processes=1)


def money(text):
    return None if text is None else Decimal(text)


def test_all_kinds_of_waste_are_seen(found):
    told = found.to_dict()
    assert {kind for kind, tokens in told["waste"].items() if tokens} >= {"bloat", "repeats", "stale", "spent"}
    assert sum(told["waste"].values()) < told["input_tokens"]
    subjects = {(kind, name) for one in found.threads for kind, name, *_ in one.subjects}
    assert ("stale", "src/main.py") in subjects
    assert ("bloat", "search") in subjects


def test_sums_of_threads_are_the_totals(found):
    told = found.to_dict()
    for kind in KINDS:
        assert told["waste"][kind] == sum(one["waste"][kind] for one in told["by_thread"])
    for name in ("requests", "input_tokens"):
        assert told[name] == sum(one[name] for one in told["by_thread"])
    for name in USD:
        assert money(told["cost"][name]) == sum(money(one["cost"][name]) for one in told["by_thread"])
    assert told["threads"] == len(told["by_thread"]) == 3


def test_nothing_is_cheaper_than_the_optimum(found):
    for one in found.to_dict()["by_thread"]:
        costs = [money(cost) for cost in one["modes"].values()]
        assert money(one["cost"]["optimum"]) <= min(costs)
        assert all(sum(one["waste"].values()) <= one["input_tokens"] for one in found.to_dict()["by_thread"])


def test_what_waste_costs_is_part_of_what_was_paid(found):
    told = found.to_dict()
    assert 0 < sum(money(cost) for cost in told["waste_cost"].values()) < money(told["cost"]["as_sent"])


def test_the_object_has_the_fixed_keys(found):
    told = json.loads(json.dumps(found.to_dict()))
    assert {"threads", "requests", "input_tokens", "waste", "drift", "cost", "by_thread"} <= told.keys()
    assert {"repeats", "deltas", "bloat", "stale", "spent"} <= told["waste"].keys()
    assert set(told["cost"]) == set(USD)
    assert {"score", "noise_tokens", "noise_share", "noise_fee", "loops", "threads", "by"} <= told["drift"].keys()
    assert told["sample"] is None
    assert all(isinstance(cost, str) for cost in told["cost"].values())


def test_misses_and_advice(found):
    told = found.to_dict()
    assert told["misses"]["not_marked"]["requests"] > 10
    kinds = [one["kind"] for one in told["todo"]]
    assert {"mode", "miss"} <= set(kinds)
    saved = [money(one["usd"]) for one in told["todo"]]
    assert saved == sorted(saved, reverse=True)
    best = told["todo"][0]
    assert money(best["usd_per_1000_requests"]) == pytest.approx(
        money(best["usd"]) / told["requests"] * 1000, rel=Decimal("1e-9")
    )


def test_a_month_is_told_by_the_recorded_rate():
    timed = audit([recording(step=3600.0)], processes=1)
    told, first = timed.to_dict(), timed.threads[0]
    span = first.last - first.first
    assert told["requests_per_month"] == round(first.requests * 30 * 86_400 / span)
    assert told["todo"][0]["usd_per_month"] is not None
    untimed = audit([recording()], processes=1).to_dict()
    assert untimed["requests_per_month"] is None
    assert all(one["usd_per_month"] is None for one in untimed["todo"])


def test_a_well_cached_conversation_without_waste_gives_nothing_to_do():
    messages = agent().messages[:2]
    short = Recording(
        "short",
        "short.jsonl",
        "requests",
        "openai.chat",
        "openai",
        (Asked({"model": "gpt-5.1", "messages": list(messages)}, "short.jsonl:1", usage=Usage(500, 0, {}, 20)),),
    )
    found = audit([short], processes=1)
    assert found.todo == ()
    assert found.to_dict()["cost"]["as_sent"] is not None


# ---- usage that was reported ---------------------------------------------------------------------------------------------


def test_reported_usage_is_what_was_paid():
    one = recording(usage=lambda _: Usage(1_000, 2_000, {"5m": 300}, 40))
    count = len(one.requests)
    told = audit([one], processes=1).to_dict()
    each = 1_000 * 3_000_000 + 2_000 * 300_000 + 300 * 3_750_000 + 40 * 15_000_000
    assert money(told["cost"]["as_sent"]) == Decimal(each * count).scaleb(-12)
    assert told["input_tokens"] == 3_300 * count
    assert told["compared"]["requests"] == count
    assert told["compared"]["reported_tokens"] == 3_300 * count
    assert told["answers_unknown"] == 0


def test_unknown_prices_are_null_and_named():
    told = audit([recording(model="nobody-knows-it")], processes=1).to_dict()
    assert set(told["cost"].values()) == {None}
    assert told["unpriced"] == ["anthropic nobody-knows-it"]
    assert told["waste"]["bloat"] > 0
    assert told["todo"]
    assert all(one["usd"] is None for one in told["todo"] if one["kind"] == "waste")


def test_marking_saves_no_more_than_mode_cache_does():
    """A miss is told by what a read would have cost; marking pays for writes as well."""
    told = audit([recording(agent("a"))], processes=1).to_dict()
    marking = next(one for one in told["todo"] if one["what"].startswith("mark the prompt"))
    assert money(marking["usd"]) == money(told["modes"]["observe"]) - money(told["modes"]["cache"])
    assert money(marking["usd"]) < money(told["misses"]["not_marked"]["cost"])


def test_threads_without_a_price_are_left_out_of_all_money():
    known, unknown = recording(agent("known")), recording(agent("unknown"), model="nobody-knows-it")
    alone, both = audit([known], processes=1).to_dict(), audit([known, unknown], processes=1).to_dict()
    assert both["cost"] == alone["cost"]
    assert both["input_tokens"] > alone["input_tokens"]
    assert both["unpriced"]


def test_a_model_can_be_assumed_where_none_was_recorded():
    bare = recording(model="")
    told = audit([bare], processes=1, assumed=Assumed(model="claude-sonnet-4-5")).to_dict()
    assert told["cost"] == audit([recording()], processes=1).to_dict()["cost"]
    assert told["supposed_models"] == {}


def test_where_nobody_names_a_model_a_usual_one_is_supposed_and_named():
    told = audit([recording(model="")], processes=1).to_dict()
    assert told["cost"] == audit([recording(model="claude-sonnet-4-6")], processes=1).to_dict()["cost"]
    assert told["supposed_models"] == {"claude-sonnet-4-6": told["requests"]}


def test_another_model_changes_all_but_what_was_sent():
    as_it_was = audit([recording()], processes=1).to_dict()["cost"]
    there = audit([recording()], processes=1, assumed=Assumed(model="claude-haiku-4-5")).to_dict()["cost"]
    assert there["as_sent"] == as_it_was["as_sent"]
    assert all(money(there[name]) < money(as_it_was[name]) for name in USD[1:])


def test_a_hidden_opening_is_told():
    told = audit([recording(usage=lambda number: fresh(9_000 + 300 * number), partial=True)], processes=1).to_dict()
    assert told["hidden_tokens"] > 3_000 * told["requests"]
    assert sum(told["waste"].values()) < told["input_tokens"]


# ---- what goes wrong -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_understood_is_named_and_the_rest_is_done():
    odd = replace(recording(), name="odd", source="odd.jsonl", requests=(Asked({"messages": 7}, "odd.jsonl:1"),))
    found = audit([odd, recording()], processes=1)
    assert len(found.threads) == 1
    assert found.unread == ("odd.jsonl:1: no request that anybody understands",)
    assert found.to_dict()["cost"] == audit([recording()], processes=1).to_dict()["cost"]


def test_a_request_is_left_out_of_its_thread():
    one = recording()
    mixed = replace(one, requests=(*one.requests, Asked({"model": "x", "messages": "?"}, "agent.jsonl:99")))
    found = audit([mixed], processes=1)
    assert found.threads[0].requests == len(one.requests)
    assert found.unread == ("agent.jsonl:99: no request that anybody understands",)


def test_nothing_at_all():
    told = audit([], processes=1).to_dict()
    assert told["threads"] == told["requests"] == 0
    assert set(told["cost"].values()) == {None}


def test_refused_requests_cost_nothing():
    one = recording()
    failed = replace(one, requests=(*one.requests, replace(one.requests[-1], status=529, source="f")))
    told = audit([failed], processes=1).to_dict()
    assert told["failed_requests"] == 1
    assert told["cost"] == audit([one], processes=1).to_dict()["cost"]


# ---- samples and processes -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sample_is_told_with_what_it_may_be_off(monkeypatch):
    many = [recording(agent(f"agent {number}", turns=4 + number % 5)) for number in range(24)]
    whole = audit(many, processes=1)
    monkeypatch.setattr(sampling, "BUDGET", 80)
    part = audit(many, processes=1)
    told, all_of_it = part.to_dict(), whole.to_dict()
    assert told["sample"]["threads"] < 24
    assert told["cost"]["as_sent"] == all_of_it["cost"]["as_sent"]
    assert told["waste"] == all_of_it["waste"]
    for name, mode in (("raw_cached", "raw"), ("ctxkit", "prune")):
        low, high = map(Decimal, told["sample"]["intervals"][mode])
        assert low <= money(told["cost"][name]) <= high
        assert float(told["cost"][name]) == pytest.approx(float(all_of_it["cost"][name]), rel=0.05)
    assert any(one["cost"]["raw_cached"] is None for one in told["by_thread"])
    assert audit(many, processes=1, everything=True).to_dict() == all_of_it


def test_what_is_drawn_hangs_on_names_alone():
    names, sizes, work = (
        [f"n{number}" for number in range(500)],
        [10 + number % 90 for number in range(500)],
        [100] * 500,
    )
    sample = drawn(names, sizes, work)
    assert sample == drawn(names, sizes, work)
    assert not sample.whole
    assert sum(work[at] for at in sample.times) <= sampling.BUDGET
    half = judged(sample, sizes, {at: sizes[at] // 2 for at in sample.times})
    assert half.total == pytest.approx(sum(sizes) / 2, rel=0.03)


@pytest.mark.slow
def test_the_result_does_not_hang_on_how_many_processes_there_are():
    many = [recording(agent(f"agent {number}", turns=6), step=30.0) for number in range(30)]
    assert audit(many, processes=3).to_dict() == audit(many, processes=1).to_dict()


def test_a_policy_says_what_counts_as_ctxkit():
    told = audit([recording()], policy=Policy(mode="lossless"), processes=1).to_dict()
    assert told["mode"] == "lossless"
    assert told["cost"]["ctxkit"] == told["modes"]["lossless"]
    tame = Policy(mode="lossless", tidy={"compact": False, "repeats": False})
    assert money(audit([recording()], policy=tame, processes=1).to_dict()["cost"]["ctxkit"]) > money(
        told["cost"]["ctxkit"]
    )


# ---- money of a token ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "tokens", "price"),
    [(0, 10, 10), (95, 10, 5 + 5 * 12), (100, 20, 240), (115, 10, 5 * 12 + 5 * 10), (500, 10, 100)],
)
def test_a_token_costs_what_its_place_cost(start, tokens, price):
    assert Paid(1000, 100, 20, (1.0, 12.0, 10.0)).price(start, tokens) == price


def test_prices_of_places_add_up_to_the_bill():
    usage, rates = (
        Usage(300, 500, {"5m": 100, "1h": 100}, 0),
        {"fresh": 10, "read": 1, "written.5m": 12, "written.1h": 20},
    )
    paid = Paid.of(usage, rates)
    assert paid.price(0, 1000) == pytest.approx(300 * 10 + 500 + 1200 + 2000)
    assert sum(paid.price(at, 50) for at in range(0, 1000, 50)) == pytest.approx(6700)


def test_files_are_read_anew_each_time(tmp_path):
    body = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello"}]}
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(body) + "\nnot JSON\n")
    files = Files([tmp_path])
    assert [len(list(files)), len(list(files))] == [1, 1]
    assert len(files.complaints) == 1
    assert files.total == files.read == file.stat().st_size


def test_pages_hold_what_was_found(found):
    page = found.page()
    assert [one.title for one in page.sections][:3] == ["The bill", "What to do", "Waste"]
    threads = next(one for one in page.sections if one.title == "Threads").tables[0]
    assert len(threads.rows) == 3


def test_benches_are_not_shared_between_recordings():
    """What is learned of one recording changes nothing in the next."""
    first, second = recording(agent("first")), recording(agent("second", turns=12))
    apart = [audit([one], processes=1).to_dict()["by_thread"][0] for one in (first, second)]
    assert audit([first, second], processes=1).to_dict()["by_thread"] == apart
    assert Bench().kit("prune").policy.shadow is False


# ---- recorded conversations ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_recorded_tool_chats_cost_what_the_benchmarks_say(recorded):
    found = audit(
        Files([recorded / "threads" / "tau_bench_airline.jsonl.xz"]), assumed=Assumed(model="claude-sonnet-4-5")
    )
    raw, whole = (sum(one.bills[mode].input_pico for one in found.replays.values()) for mode in ("raw", "lossless"))
    assert whole / raw == pytest.approx(0.886, abs=0.01)
    wasted = sum(sum(one.waste.values()) for one in found.threads) / sum(one.as_sent.tokens for one in found.threads)
    assert 0.05 < wasted < 0.2


def test_a_ledger_tells_what_was_paid_and_nothing_of_waste():
    asked = tuple(
        Asked(
            {"model": "gpt-5.1"}, f"ledger.db#{number}", 1_780_000_000.0 + number, Usage(1000, 500, {}, 100), "gpt-5.1"
        )
        for number in range(3)
    )
    ledger = Recording("t", "ledger.db", "ledger", "openai.chat", "openai", asked, partial=True)
    told = audit([ledger], processes=1).to_dict()
    assert told["requests"] == 3
    assert told["input_tokens"] == 4_500
    assert money(told["cost"]["as_sent"]) > 0
    assert told["cost"]["raw_cached"] is not None  # lengths and times say what markers bring
    assert told["cost"]["ctxkit"] is told["cost"]["optimum"] is None
    assert set(told["waste"].values()) == {None}
    assert told["unread"] == []
    both = audit([ledger, recording()], processes=1).to_dict()
    assert money(both["cost"]["as_sent"]) > money(told["cost"]["as_sent"])
    assert both["waste"]["bloat"] > 0
    assert both["cost"]["ctxkit"] is not None
