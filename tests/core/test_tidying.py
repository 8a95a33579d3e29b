"""Tidying in the hall: what was decided sticks, on every worker and after a restart; forks part; nothing is half done."""

import copy
import json
from itertools import pairwise

import pytest

from ctxkit import Kit, Policy, Usage
from ctxkit.caching.simulator import State, serve
from ctxkit.dialects import get
from ctxkit.stores.memory import MemoryStore
from ctxkit.tidiness import Tidy

SYSTEM = "You help the customers of a small airline, politely and within its rules. " * 120
NOW = 1_800_000_000.0


def flights(seed, count=12):
    rows = [
        {"flight_number": f"HAT{seed:02d}{row:02d}", "origin": "ATL", "price": 100 + row * seed, "status": "available"}
        for row in range(count)
    ]
    return json.dumps(rows, indent=1)


def episode(seed):
    """Somebody books a trip: a question, two calls with their results, an answer."""
    call = {"type": "function", "function": {"name": "search", "arguments": json.dumps({"trip": f"TRIP{seed:04d}"})}}
    return [
        {"role": "user", "content": f"I am customer cust_{seed:04d} and want trip TRIP{seed:04d}."},
        {"role": "assistant", "content": "", "tool_calls": [{"id": f"a{seed}", **call}]},
        {"role": "tool", "tool_call_id": f"a{seed}", "content": flights(seed)},
        {"role": "assistant", "content": "", "tool_calls": [{"id": f"b{seed}", **call}]},
        {"role": "tool", "tool_call_id": f"b{seed}", "content": flights(seed + 40, 30)},
        {"role": "assistant", "content": f"Trip TRIP{seed:04d} is booked. " + "Have a good flight. " * 10},
        {"role": "user", "content": "Thanks, that was all."},
        {"role": "assistant", "content": "You are welcome."},
    ]


def thread(episodes):
    messages = [{"role": "system", "content": SYSTEM}]
    for seed in range(1, episodes + 1):
        messages += episode(seed)
    return messages


def body(messages, **more):
    return {"model": "anthropic/claude-sonnet-4.5", "messages": messages, **more}


class Session:
    """An application that re-sends its whole history, and a provider whose cache is simulated."""

    def __init__(self, mode="prune", store=None, tidy=None, gap=5.0):
        self.store = store if store is not None else MemoryStore()
        self.policy = Policy(mode=mode, tidy=tidy or Tidy(), shadow=False)
        self.now, self.gap, self.state = NOW, gap, State()
        self.kit = self.opened()

    def opened(self):
        return Kit(self.policy, store=self.store, ledger=None, clock=lambda: self.now, strict=True)

    def plan(self, messages, kit=None, **more):
        return (kit or self.kit).plan(body(messages, **more), dialect="openai.chat", platform="openrouter")

    def ask(self, messages, kit=None, **more):
        kit = kit or self.kit
        self.now += self.gap
        plan = self.plan(messages, kit, **more)
        kit.sent(plan)
        seen = plan.layout
        self.state, outcome = serve(self.state, seen.layout, seen.rule, self.now)
        usage = Usage(fresh=outcome.fresh, read=outcome.read, written=dict(outcome.written), output=20)
        self.record = kit.settle(plan, usage)
        return plan

    def run(self, messages, start=0, kit=None):
        """One request for each answer of the model from ``start`` on."""
        turns = [index for index, one in enumerate(messages) if one["role"] == "assistant" and index >= start]
        return [self.ask(messages[:index], kit) for index in turns]


def plain(value):
    """A body without what is said to the cache."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if key not in {"cache_control", "session_id"}}
    if isinstance(value, list):
        found = [plain(one) for one in value]
        texts = [one for one in found if isinstance(one, dict) and one.keys() == {"type", "text"}]
        return texts[0]["text"] if len(texts) == len(found) == 1 else found
    return value


@pytest.fixture(scope="module")
def pruned():
    session = Session()
    return session, session.run(thread(6))


def test_what_arrives_is_made_smaller_and_what_is_over_goes(pruned):
    _, plans = pruned
    last = plans[-1]
    assert {edit.by for edit in last.edits if edit.by} >= {"compact", "episodes"}
    assert any(plan.tidied.rewritten for plan in plans)
    assert last.estimate.input_tokens < 0.6 * Session("cache").ask(thread(6)[:-1]).estimate.input_tokens
    assert "TRIP0002" in json.dumps(last.body), "identifiers are kept"


def test_the_callers_list_is_never_touched():
    messages = thread(5)
    before = copy.deepcopy(messages)
    Session().run(messages)
    assert messages == before


def test_what_was_sent_is_sent_again_byte_for_byte_until_a_rewrite(pruned):
    _, plans = pruned
    for before, after in pairwise(plans):
        if not after.tidied.rewritten:
            earlier, later = plain(before.body)["messages"], plain(after.body)["messages"]
            assert later[: len(earlier)] == earlier


def test_rewrites_are_few_and_say_why(pruned):
    _, plans = pruned
    rewritten = [plan for plan in plans if plan.tidied.rewritten]
    assert 1 <= len(rewritten) <= 6
    assert all("rewritten now" in plan.tidied.decision for plan in rewritten)


def test_a_restart_and_another_worker_send_the_same(pruned):
    session, plans = pruned
    messages = thread(6) + episode(7)[:1]
    here = session.plan(messages)
    there = session.plan(messages, session.opened())
    assert plain(there.body) == plain(here.body)
    assert plain(there.body)["messages"][: len(plain(plans[-1].body)["messages"])] == plain(plans[-1].body)["messages"]


def test_a_plan_of_its_own_output_changes_nothing(pruned):
    session, plans = pruned
    for plan in (plans[3], plans[-1]):
        again = session.kit.plan(plan.body, dialect="openai.chat", platform="openrouter")
        assert again.body == plan.body
        assert not [edit for edit in again.edits if edit.by]


def test_a_preview_changes_nothing():
    one, other = Session(), Session()
    messages = thread(6)
    for index in range(2, len(messages), 3):
        one.plan(messages[:index])
    assert [plain(plan.body) for plan in one.run(messages)] == [plain(plan.body) for plan in other.run(messages)]


def test_forks_share_what_was_decided_before_them_and_then_part(pruned):
    session, plans = pruned
    trunk = thread(6)
    left, right = trunk + episode(8), trunk + episode(9)
    sent = plain(plans[-1].body)["messages"]
    for branch in (left, right):
        plan = session.ask(branch[: len(trunk) + 1])
        assert plain(plan.body)["messages"][: len(sent)] == sent
    assert session.plan(left).tidied is not None


def test_a_turn_that_is_generated_again_finds_what_was_decided(pruned):
    session, plans = pruned
    messages = thread(6)
    again = session.plan([*messages[:-2], {"role": "user", "content": "Never mind, thanks."}])
    earlier = plain(plans[-2].body)["messages"]
    assert plain(again.body)["messages"][: len(earlier) - 1] == earlier[:-1]


def test_what_the_application_shortened_itself_begins_anew():
    session = Session()
    messages = thread(6)
    session.run(messages)
    shortened = [messages[0], {"role": "user", "content": "Summary: all trips were booked."}, *episode(9)]
    plan = session.ask(shortened[:-1])
    assert plan.tidied.verdict == "edit"
    assert not [edit for edit in plan.edits if edit.by == "episodes"]


def test_threads_that_take_turns_do_not_meet():
    mixed, alone = Session(), Session()
    first, second = thread(5), [{"role": "system", "content": SYSTEM}, *episode(31), *episode(32), *episode(33)]
    ends = [index for index, one in enumerate(second) if one["role"] == "assistant"]
    for index in ends:
        mixed.ask(first[: index + 8])
        assert plain(mixed.ask(second[:index]).body) == plain(alone.ask(second[:index]).body)


@pytest.mark.parametrize(
    "more", [{"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, {"truncation": "auto"}]
)
def test_nothing_points_into_or_goes_from_what_the_provider_itself_removes(more):
    session = Session()
    for index in range(8, 49, 8):
        plan = session.ask(thread(6)[:index], **more)
    assert {edit.by for edit in plan.edits if edit.by} <= {"compact"}


def test_what_the_provider_holds_is_not_edited():
    kit = Kit(Policy(mode="prune"), store=None, ledger=None, strict=True)
    asked = {
        "model": "gpt-5",
        "previous_response_id": "resp_1",
        "input": [{"type": "function_call_output", "call_id": "c", "output": flights(3)}],
    }
    plan = kit.plan(asked, dialect="openai.responses", platform="openai")
    assert plan.body["input"] == asked["input"]
    assert plan.tidied is None


def test_a_signed_request_is_left_alone():
    kit = Kit(Policy(mode="prune"), store=None, ledger=None, strict=True)
    asked = body(thread(6))
    plan = kit.plan(asked, dialect="openai.chat", platform="openrouter", fixed=True)
    assert plan.body is asked


def test_pins_stay_in_whole_stretches():
    session = Session(tidy=Tidy(pins=["TRIP0002"]))
    plans = session.run(thread(6))
    kept = plain(plans[-1].body)["messages"]
    assert episode(2)[0] in kept
    assert [one for one in kept if one.get("tool_call_id") == "b2"]


def test_a_held_out_thread_is_left_as_it_is_from_beginning_to_end():
    sessions = [Session(store=MemoryStore(), tidy=Tidy(holdout=0.5)) for _ in range(8)]
    verdicts = set()
    for session in sessions:
        plans = session.run(thread(4))
        found = {plan.tidied.verdict for plan in plans}
        assert len(found) == 1
        verdicts |= found
        if found == {"holdout"}:
            assert not [edit for plan in plans for edit in plan.edits if edit.by]
    assert verdicts == {"edit", "holdout"}


def test_a_request_that_does_not_fit_is_made_to_fit():
    messages = thread(6)[:-1]
    free = Session("lossless").ask(messages)
    limit = round(free.estimate.input_tokens * 0.8)
    plan = Session(tidy=Tidy(max_input_tokens=limit, episodes=False, spent=False, stale=False)).ask(messages)
    assert plan.estimate.input_tokens <= limit
    assert "do not fit" in plan.tidied.decision
    assert {edit.by for edit in plan.edits} >= {"fit"}
    assert messages[1] in plain(plan.body)["messages"], "the task stays"


def test_a_cold_cache_is_a_free_moment():
    session = Session(tidy=Tidy())
    messages = thread(6)
    plan = session.ask(messages[:-1])
    assert plan.tidied.rewritten, "nothing of it is cached: what is over goes at once"
    assert "cheaper without" in plan.tidied.decision


def test_without_a_price_and_a_known_cache_nothing_that_was_sent_goes():
    kit = Kit(Policy(mode="prune", shadow=False), store=None, ledger=None, strict=True)
    plan = kit.plan({**body(thread(6)), "model": "nobody/knows"}, dialect="openai.chat", platform="somewhere")
    assert not plan.tidied.rewritten


def test_lossless_mode_decides_nothing():
    session = Session("lossless")
    plans = session.run(thread(5))
    assert all(edit.lossless for plan in plans for edit in plan.edits)
    assert not any(plan.tidied.rewritten or plan.tidied.pending for plan in plans)


@pytest.mark.parametrize("mode", ["lossless", "prune"])
def test_pairs_stay_whole_and_roles_alternate_as_before(mode):
    for plan in Session(mode).run(thread(6)):
        calls, open_calls = 0, set()
        for one in plan.body["messages"]:
            if one["role"] == "tool":
                assert one["tool_call_id"] in open_calls
                open_calls.discard(one["tool_call_id"])
            else:
                assert not open_calls, "results stand right behind their calls"
                open_calls = {call["id"] for call in one.get("tool_calls") or ()}
                calls += len(open_calls)
            assert one.get("content") or one.get("tool_calls")
        assert get("openai.chat").view(plan.body).messages


def test_a_store_that_fails_in_mid_thread_changes_nothing_that_was_sent():
    class Failing(MemoryStore):
        broken = False

        def get(self, key):
            if self.broken:
                raise OSError("gone")
            return super().get(key)

        def add(self, key, value):
            if self.broken:
                raise OSError("gone")
            return super().add(key, value)

        put = add

    store = Failing()
    session = Session(store=store)
    session.kit = Kit(session.policy, store=store, ledger=None, clock=lambda: session.now)
    messages = thread(7)
    before = session.run(messages[:-16])
    store.broken = True
    after = session.run(messages, start=len(messages) - 16)
    assert any(plan.tidied.rewritten for plan in before)
    earlier = plain(before[-1].body)["messages"]
    assert plain(after[0].body)["messages"][: len(earlier)] == earlier or after[0].tidied.rewritten
    assert session.kit.faults.counts


def test_records_say_what_was_saved_and_by_what(pruned):
    session, _ = pruned
    assert session.record.savings > 0
    assert set(session.record.savings_by) >= {"cache", "episodes"}
    assert sum(session.record.savings_by.values()) == session.record.savings


def test_a_rewrite_is_no_miss():
    session = Session()
    for index in [index for index, one in enumerate(thread(6)) if one["role"] == "assistant"]:
        plan = session.ask(thread(6)[:index])
        if plan.tidied.rewritten:
            assert session.record.miss_reason != "prefix_changed"


STEP = """
[[price]]
provider = "openrouter"
model = "anthropic/claude-sonnet-4.5"
mode = "replace"
input = "3"
read = "0.1 x input"
write_5m = "1.25 x input"
output = "15"
[[price.beyond]]
above = {above}
input = "12"
read = "0.1 x input"
write_5m = "1.25 x input"
output = "60"
"""


def test_a_price_step_is_avoided_where_a_little_less_halves_the_bill(tmp_path):
    messages = [*thread(6), {"role": "user", "content": "And TRIP0001, TRIP0003, TRIP0005, once more, please?"}]
    rest = Tidy(episodes=False, spent=False, stale=False)
    tokens = Session("lossless").ask(messages).estimate.input_tokens
    prices = tmp_path / "prices.toml"
    prices.write_text(STEP.format(above=round(tokens * 0.9)))
    session = Session(tidy=rest)
    session.policy = Policy(mode="prune", tidy=rest, shadow=False, prices=prices)
    session.kit = session.opened()
    plan = session.ask(messages)
    assert plan.estimate.input_tokens <= tokens * 0.9
    assert plan.tidied.rewritten
    assert {edit.by for edit in plan.edits} >= {"fit"}
