"""Why requests missed: one reason each, told of real wire requests without a word of their text."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import Kit
from ctxkit.cacheable import Diagnosis
from ctxkit.model import Answer, Usage

NOW = 1_900_000_000.0
SECRET = "xyzzy-secret"
LONG = f"You are helpful, {SECRET}. " * 1_000
MARK = {"type": "ephemeral"}
OPUS, SONNET = "claude-opus-4-5", "claude-sonnet-4-5"


@pytest.fixture
def kit():
    made = Kit(store=None, ledger=None, clock=lambda: NOW, strict=True)
    yield made
    made.close()


def system(text=LONG, mark=MARK):
    return [{"type": "text", "text": text, **({"cache_control": mark} if mark else {})}]


def text(words, mark=None):
    return {"type": "text", "text": words, **({"cache_control": mark} if mark else {})}


def user(words="Hello", mark=None):
    return {"role": "user", "content": [text(words, mark)]}


def said(words="Hi"):
    return {"role": "assistant", "content": [{"type": "text", "text": words}]}


def tool(name, **schema):
    return {"name": name, "description": LONG[:400], "input_schema": {"type": "object", **schema}}


def claude(kit, messages, *, now=NOW, model=SONNET, scope=None, feature=None, thread=None, **body):
    body = {"model": model, "max_tokens": 10, "messages": messages, **body}
    return kit.plan(
        body,
        dialect="anthropic.messages",
        platform="anthropic",
        now=now,
        scope=scope,
        feature=feature,
        thread=thread,
    )


def chat(kit, messages, *, now=NOW, model="gpt-4o", **body):
    return kit.plan({"model": model, "messages": messages, **body}, dialect="openai.chat", platform="openai", now=now)


def spend(kit, plan, read=None, *, said=None):
    """Settle as a cache of the forecast would: ``read`` of it read, the rest of what is marked written."""
    total = plan.estimate.input_tokens
    forecast = plan.forecast
    read = forecast.cached_tokens if read is None else read
    marked = (forecast.cached_tokens or 0) + sum(forecast.written.values())
    write = max(min(marked, total) - read, 0)
    usage = Usage(max(total - read - write, 0), read, {"5m": write} if write else {}, 5)
    return kit.settle(plan, Answer(usage=usage, diagnosis=said))


def turn(*words, mark_last=True):
    """A conversation; its latest message carries the marker."""
    messages = [user(one) if not place % 2 else said(one) for place, one in enumerate(words)]
    if mark_last:
        messages[-1] = user(words[-1], MARK)
    return messages


def begun(kit, messages=None, *, now=NOW, **more):
    """A first request, which wrote what it marked."""
    return spend(kit, claude(kit, messages or turn("one " * 3_000), now=now, **{"system": system(), **more}), 0)


def next_turn(kit, messages=None, read=0, *, now=NOW + 10, **more):
    messages = messages or turn("one " * 3_000, "fine", "two")
    return spend(kit, claude(kit, messages, now=now, **{"system": system(), **more}), read)


def told(record):
    """The reason; and none of the prompt is in anything that is kept."""
    kept = json.dumps([str(record.miss), str(record.forecast), list(record.notes)])
    assert SECRET not in kept
    assert "helpful" not in kept
    return record.miss_reason


# ---- No miss -----------------------------------------------------------------------------------------------------------


def test_a_first_request_and_one_that_reads_what_it_could_missed_nothing(kit):
    assert begun(kit).miss is None
    record = next_turn(kit, read=None)
    assert record.usage.read > 5_000
    assert (record.miss_reason, record.miss_tokens, record.miss_cost, record.miss) == (None, None, None, None)


@pytest.mark.parametrize("usage", [Usage(), Usage(fresh=10, read=None), Usage(5, 50, {}, 1), Usage(-5, 50, {}, 1)])
def test_what_was_not_reported_or_cannot_be_is_no_miss(kit, usage):
    begun(kit)
    plan = claude(kit, turn("one " * 3_000, "fine", "two"), system=system(), now=NOW + 10)
    if usage == Usage(5, 50, {}, 1):
        usage = Usage(-45, 50, {}, 1)
    assert kit.settle(plan, usage).miss is None


# ---- Each reason -------------------------------------------------------------------------------------------------------


def test_ttl_expired(kit):
    begun(kit)
    record = next_turn(kit, now=NOW + 400)
    assert told(record) == "ttl_expired"
    assert record.miss_tokens > 5_000
    assert "5m" in record.miss.detail
    assert "100 s before" in record.miss.detail


def test_an_hour_is_longer_than_five_minutes(kit):
    mark = {"type": "ephemeral", "ttl": "1h"}
    plan = claude(kit, [user()], system=system(mark=mark))
    kit.settle(plan, Usage(10, 0, {"1h": 7_000}, 5))
    record = spend(kit, claude(kit, [user()], system=system(mark=mark), now=NOW + 3_000), 0)
    assert told(record) == "evicted_or_rerouted"
    record = spend(kit, claude(kit, [user()], system=system(mark=mark), now=NOW + 9_000), 0)
    assert told(record) == "ttl_expired"


def test_prefix_changed_in_the_first_message(kit):
    begun(kit, turn("one " * 3_000, "fine", "two"))
    read = 4_000
    record = next_turn(kit, turn("One " * 3_000, "fine", "two", "good", "three"), read=read)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("messages", 0, "content", 0)
    assert "user text, about" in record.miss.detail
    assert "hash" in record.miss.detail


def test_prefix_changed_in_the_middle_counts_what_the_latest_turn_had_cached(kit):
    begun(kit)
    next_turn(kit, turn("one " * 3_000, "fine " * 2_000, "two"), read=None)
    third = turn("one " * 3_000, "well " * 2_000, "two", "good", "three")
    first = claude(kit, turn("one " * 3_000), system=system(), now=NOW + 20).estimate.input_tokens
    record = next_turn(kit, third, read=first, now=NOW + 20)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("messages", 1, "content", 0)
    assert record.miss_tokens > 1_500


def test_a_reminder_that_moves_to_the_next_turn_changes_the_prefix(kit):
    reminder = "Remember the rules. " * 20
    messages = turn("one " * 3_000, "fine", "two")
    messages[2] = {"role": "user", "content": [text("two"), text(reminder, MARK)]}
    begun(kit, messages)
    messages = turn("one " * 3_000, "fine", "two", "good", "three")
    messages[4] = {"role": "user", "content": [text("three"), text(reminder, MARK)]}
    record = next_turn(kit, messages)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("messages", 3, "content", 0)


def test_a_clock_in_the_instructions_changes_the_prefix_of_requests_that_share_nothing_else(kit):
    def ask(number):
        return claude(
            kit, [user(f"question {number}")], system=system(f"{LONG} It is {number} o'clock."), feature="faq"
        )

    assert spend(kit, ask(1), 0).miss is None
    record = spend(kit, ask(2), 0)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("system", 0)


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        (["a", "b", "c", "d"], ["1 added: d", "3 tools before, 4 now"]),
        (["a", "c"], ["1 removed: b"]),
        (["c", "a", "b"], ["reordered"]),
        (["c", "d"], ["1 added: d", "2 removed: a, b"]),
        ([], ["3 removed: a, b, c", "0 now"]),
    ],
)
def test_tools_changed(kit, tools, words):
    begun(kit, tools=[tool(name) for name in "abc"])
    record = next_turn(kit, tools=[tool(name) for name in tools])
    assert told(record) == "tools_changed"
    assert all(word in record.miss.detail for word in words), record.miss.detail
    assert record.miss_tokens > 5_000


def test_tools_re_serialised_or_redefined(kit):
    begun(kit, tools=[tool("a", properties={}, required=[]), tool("b")])
    again = [tool("a", required=[], properties={}), tool("b")]
    record = next_turn(kit, tools=again)
    assert told(record) == "tools_changed"
    assert record.miss.path == ("tools", 0)
    assert "1 re-serialised, keys in another order: a" in record.miss.detail
    record = next_turn(kit, tools=[again[0], tool("b", title="B")], now=NOW + 20)
    assert told(record) == "tools_changed"
    assert "1 defined in another way: b" in record.miss.detail


def test_model_changed(kit):
    begun(kit)
    record = next_turn(kit, model=OPUS)
    assert told(record) == "model_changed"
    assert f"{SONNET}, now {OPUS}" in record.miss.detail


def test_scope_changed(kit):
    begun(kit, scope="one team")
    record = next_turn(kit, scope="another team")
    assert told(record) == "scope_changed"
    assert "team" not in record.miss.detail


def test_parameters_changed_names_them(kit):
    begun(kit)
    record = next_turn(kit, tool_choice={"type": "any"}, thinking={"type": "enabled", "budget_tokens": 2_000})
    assert told(record) == "parameters_changed"
    assert "thinking" in record.miss.detail


def test_an_image_that_appears_is_told_as_what_it_changes(kit):
    begun(kit)
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    messages = turn("one " * 3_000, "fine", "two")
    messages[2]["content"].insert(0, picture)
    record = next_turn(kit, messages, read=4_000)
    assert told(record) == "parameters_changed"
    assert "image" in record.miss.detail


def test_below_minimum(kit):
    small = system("Be brief.")
    begun(kit, turn("one"), system=small)
    record = next_turn(kit, turn("one", "fine", "two"), system=small)
    assert told(record) == "below_minimum"
    assert 0 < record.miss_tokens < 100


def test_not_marked(kit):
    plain = turn("one " * 3_000, mark_last=False)
    begun(kit, plain, system=system(mark=None))
    record = next_turn(kit, [*plain, said(), user()], system=system(mark=None))
    assert told(record) == "not_marked"
    assert record.miss_tokens > 5_000


def test_a_marker_that_was_left_out_once(kit):
    begun(kit)
    messages = turn("one " * 3_000, "fine", "two", mark_last=False)
    record = next_turn(kit, messages, system=system(mark=None))
    assert told(record) == "not_marked"
    assert record.miss.detail == "the request carries no marker"


def test_lookback_exceeded(kit):
    begun(kit)
    many = [text(f"part {number}") for number in range(30)]
    messages = [*turn("one " * 3_000, "fine", mark_last=False), {"role": "user", "content": [*many, text("two", MARK)]}]
    plan = claude(kit, messages, system=system(mark=None), now=NOW + 10)
    assert plan.forecast.cached_tokens == 0
    record = spend(kit, plan, 0)
    assert told(record) == "lookback_exceeded"
    assert "32 blocks before the marker, and 20 are looked at" in record.miss.detail


def test_raced(kit):
    first, second = (claude(kit, [user(words)], system=system()) for words in ("one", "two"))
    kit.sent(first)
    kit.sent(second)
    assert spend(kit, first, 0).miss is None
    record = spend(kit, second, 0)
    assert told(record) == "raced"
    assert record.miss_tokens > 3_000


def test_nothing_races_with_an_answer_that_has_begun(kit):
    first = claude(kit, [user("one")], system=system())
    kit.sent(first)
    kit.began(first)
    second = claude(kit, [user("two")], system=system())
    kit.sent(second)
    spend(kit, first, 0)
    assert spend(kit, second, 0).miss_reason != "raced"


def test_evicted_or_rerouted(kit):
    begun(kit)
    record = next_turn(kit)
    assert told(record) == "evicted_or_rerouted"
    assert "used 10 s before" in record.miss.detail


def test_unknown_where_the_rules_are_doubted():
    kit = Kit(store=None, ledger=None)
    long = [{"role": "system", "content": LONG}, {"role": "user", "content": "Hi"}]
    for number in range(31):
        kit.settle(chat(kit, long, now=NOW + number), Usage(6_020, 0, {}, 5))
    assert kit.settle(chat(kit, long, now=NOW + 40), Usage(6_020, 0, {}, 5)).miss_reason == "unknown"
    kit.close()


# ---- What the provider says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("model_changed", "model_changed"),
        ("system_changed", "prefix_changed"),
        ("tools_changed", "tools_changed"),
        ("messages_changed", "prefix_changed"),
        ("prompt_cache_key_changed", "parameters_changed"),
        ("text_format_changed", "parameters_changed"),
        ("reasoning_effort_changed", "parameters_changed"),
        ("verbosity_changed", "parameters_changed"),
        ("context_compacted", "prefix_changed"),
        ("input_changed", "prefix_changed"),
        ("service_tier_changed", "parameters_changed"),
        ("something_new", "unknown"),
    ],
)
def test_the_provider_wins(kit, word, reason):
    begun(kit)
    record = next_turn_said(kit, Diagnosis("missed", word, 1_234))
    assert (record.miss_reason, record.miss_tokens, record.miss.source) == (reason, 1_234, "provider")


def next_turn_said(kit, diagnosis):
    plan = claude(kit, turn("one " * 3_000, "fine", "two"), system=system(), now=NOW + 400)
    return spend(kit, plan, 0, said=diagnosis)


@pytest.mark.parametrize("state", ["same", "pending", "unknown"])
def test_a_provider_that_does_not_know_leaves_it_to_us(kit, state):
    begun(kit)
    record = next_turn_said(kit, Diagnosis(state))
    assert (record.miss_reason, record.miss.source) == ("ttl_expired", "settled")


def test_what_the_provider_says_on_the_wire_is_read(kit):
    begun(kit)
    plan = claude(kit, turn("one " * 3_000, "fine", "two"), system=system("Other. " * 2_000), now=NOW + 10)
    reason = {"type": "system_changed", "cache_missed_input_tokens": 10**9}
    usage = {"input_tokens": 50, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 4_000, "output_tokens": 1}
    answer = {"id": "msg_1", "type": "message", "usage": usage, "diagnostics": {"cache_miss_reason": reason}}
    record = kit.settle(plan, answer)
    assert (record.miss_reason, record.miss.source) == ("prefix_changed", "provider")
    assert record.miss_tokens == 4_050, "no more than the prompt"
    assert record.miss.path == ("system", 0), "and where, as we know it"


# ---- Other wires -------------------------------------------------------------------------------------------------------


def prompt(*words):
    roles = ["system", *["user", "assistant"] * len(words)]
    return [{"role": role, "content": one} for role, one in zip(roles, words, strict=False)]


def test_an_automatic_cache(kit):
    first = prompt(LONG, "one", "fine", "two")
    spend_auto(kit, chat(kit, first), 0)
    good = [*first, {"role": "assistant", "content": "well"}, {"role": "user", "content": "three"}]
    assert spend_auto(kit, chat(kit, good, now=NOW + 5), None).miss is None
    changed = [{"role": "system", "content": "New. " + LONG}, *good[1:]]
    record = spend_auto(kit, chat(kit, changed, now=NOW + 10), 0)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("messages", 0, "content")


def spend_auto(kit, plan, read):
    total = plan.estimate.input_tokens
    read = plan.forecast.cached_tokens if read is None else read
    return kit.settle(plan, Usage(total - read, read, {}, 5))


def test_an_automatic_cache_with_another_format(kit):
    first = prompt(LONG, "one")
    spend_auto(kit, chat(kit, first, model="gpt-4o"), 0)
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    record = spend_auto(kit, chat(kit, prompt(LONG, "one", "so", "two"), response_format=form, now=NOW + 9), 0)
    assert told(record) == "parameters_changed"
    assert "response_format" in record.miss.detail


@pytest.mark.parametrize("dialect", ["openai.responses", "bedrock.converse", "gemini.generate"])
def test_every_wire(kit, dialect):
    def ask(words, opening, now):
        return kit.plan(wire(dialect, words, opening), dialect=dialect, now=now, **PLACES[dialect])

    plan = ask(["one " * 3_000], LONG, NOW)
    spend(kit, plan, 0)
    plan = ask(["one " * 3_000, "fine", "two"], "Other. " + LONG, NOW + 10)
    record = spend(kit, plan, 0)
    assert told(record) == "prefix_changed"
    assert record.miss.path
    assert record.miss_tokens > 3_000


PLACES = {
    "openai.responses": {"platform": "openai"},
    "bedrock.converse": {"platform": "bedrock", "model": "anthropic.claude-sonnet-4-5-20250929-v1:0"},
    "gemini.generate": {"platform": "gemini", "model": "gemini-2.5-pro"},
}


def wire(dialect, words, opening):
    roles = ["user", "assistant"]
    pairs = [(roles[place % 2], one) for place, one in enumerate(words)]
    if dialect == "openai.responses":
        turns = [{"role": role, "content": one} for role, one in pairs]
        return {"model": "gpt-5", "instructions": opening, "input": turns}
    if dialect == "bedrock.converse":
        point = {"cachePoint": {"type": "default"}}
        turns = [{"role": role, "content": [{"text": one}]} for role, one in pairs]
        turns[-1]["content"].append(point)
        return {"system": [{"text": opening}], "messages": turns}
    turns = [{"role": role.replace("assistant", "model"), "parts": [{"text": one}]} for role, one in pairs]
    return {"systemInstruction": {"parts": [{"text": opening}]}, "contents": turns}


# ---- Branches, workers, long conversations, hostile ones ---------------------------------------------------------------


def test_a_branch_is_no_miss(kit):
    begun(kit)
    next_turn(kit, turn("one " * 3_000, "fine", "two"), read=None)
    record = next_turn(kit, turn("one " * 3_000, "fine", "another two"), read=None, now=NOW + 20)
    assert record.miss is None


def test_two_branches_of_one_thread_do_not_stand_for_each_other(kit):
    begun(kit)
    left, right = turn("one " * 3_000, "a", "left"), turn("one " * 3_000, "a", "right")
    next_turn(kit, left, read=None)
    next_turn(kit, right, read=None, now=NOW + 11)
    for number in range(3):
        left = [*left[:-1], user(left[-1]["content"][0]["text"]), said("ok " * 300), user(f"left {number}", MARK)]
        assert next_turn(kit, left, read=None, now=NOW + 20 + number).miss is None
    right = [*right[:-1], user("right"), said("ok"), user("right again", MARK)]
    assert next_turn(kit, right, read=None, now=NOW + 30).miss is None


def test_another_worker_knows_why(tmp_path):
    first, second = (Kit(store=tmp_path, ledger=None, strict=True) for _ in range(2))
    begun(first, tools=[tool("a"), tool("b")])
    first.store.flush()
    record = next_turn(second, tools=[tool("b"), tool("a")])
    assert told(record) == "tools_changed"
    assert "reordered" in record.miss.detail
    second.store.flush()
    third = Kit(store=tmp_path, ledger=None, strict=True)
    record = next_turn(
        third, turn("One " * 3_000, "fine", "two", "so", "three"), now=NOW + 20, tools=[tool("b"), tool("a")]
    )
    assert told(record) == "prefix_changed"
    for kit in (first, second, third):
        kit.close()


def test_the_store_holds_no_text(tmp_path):
    kit = Kit(store=tmp_path, ledger=None, strict=True)
    begun(kit, tools=[tool("a")])
    next_turn(kit, turn("one " * 3_000, "fine", "two"), tools=[tool("b")])
    kit.close()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes()
            assert b"helpful" not in file.read_bytes()


def test_very_long_conversations(kit, tmp_path):
    words = ["one " * 3_000, *[f"word {number}" for number in range(1_200)]]
    begun(kit, turn(*words))
    words[600] = "changed"
    record = next_turn(kit, turn(*words, "more", "and more"), read=3_000)
    assert told(record) == "prefix_changed"
    assert record.miss.path == ("messages", 600, "content", 0)
    one, two = (Kit(store=tmp_path, ledger=None, strict=True) for _ in range(2))
    words[600] = "word 599"
    begun(one, turn(*words))
    one.store.flush()
    words[600] = "changed"
    record = next_turn(two, turn(*words, "more", "and more"), read=3_000)
    assert told(record) == "prefix_changed"
    assert record.miss.path[0] == "messages"
    assert "here or in a later part" in record.miss.detail
    one.close()
    two.close()


def test_hostile_names_and_shapes(kit):
    names = ["\x1b[2J" + "x" * 10_000, "\n\r\t", "\u202eevil", "", "a", "\ud800"]
    begun(kit, tools=[tool(name) for name in names])
    next_turn(kit, tools=[{"name": 5, "input_schema": None}, tool("b" * 10**6)], model="m\x1b[31m" * 99)
    record = next_turn(kit, tools=[{"name": 5, "input_schema": None}, tool("b" * 10**6)], now=NOW + 12)
    assert told(record) == "tools_changed"
    assert len(record.miss.detail) < 1_500
    assert record.miss.detail.isprintable()


def test_thousands_of_tools(kit):
    begun(kit, tools=[tool(f"tool {number}") for number in range(3_000)])
    record = next_turn(kit, tools=[tool(f"tool {number}") for number in range(2_990)])
    assert told(record) == "tools_changed"
    assert "3,000 tools before, 2,990 now" in record.miss.detail


def test_threads_at_once(kit):
    def one(number):
        begun(kit, turn(f"{number} " * 3_000))
        return next_turn(kit, turn(f"{number} " * 3_000, "fine", "two"), read=None).miss_reason

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(16))) <= {None, "raced"}


WORDS = st.lists(st.sampled_from(["a " * 2_000, "b", "c " * 300]), min_size=1, max_size=5)


@given(st.lists(st.tuples(WORDS, st.booleans(), st.sampled_from(["", "x"]), st.integers(0, 900)), max_size=6))
def test_a_miss_is_never_more_than_the_prompt(requests):
    kit = Kit(store=None, ledger=None, clock=lambda: NOW, strict=True)
    chance, now = random.Random(1), NOW
    for words, marked, name, gap in requests:
        now += gap
        tools = [tool(name)] if name else []
        plan = claude(kit, turn(*words, mark_last=marked), system=system(LONG), now=now, tools=tools)
        read = chance.choice([0, plan.forecast.cached_tokens or 0])
        record = spend(kit, plan, read)
        if record.miss is not None:
            assert 0 <= record.miss_tokens <= record.usage.input_total - record.usage.read
            assert record.miss.detail
    kit.close()


# ---- Money -------------------------------------------------------------------------------------------------------------


def test_what_a_miss_costs(kit):
    mark = {"type": "ephemeral"}
    kit.settle(claude(kit, [user()], system=system(mark=mark)), Usage(10, 0, {"5m": 7_000}, 5))
    plan = claude(kit, [user()], system=system(mark=mark), now=NOW + 400)
    record = kit.settle(plan, Usage(10, 0, {"5m": 7_000}, 5))
    assert (record.miss_reason, record.miss_tokens) == ("ttl_expired", 7_000)
    assert record.miss_cost == 7_000 * (Decimal("3.75") - Decimal("0.30")) / 10**6


def test_an_unknown_price_stays_unknown(kit):
    rule = {"platform": "vllm", "model": "own/model"}
    for now, read in ((NOW, 0), (NOW + 5, 0)):
        body = {"model": "own/model", "messages": prompt(LONG, "one")}
        plan = kit.plan(body, dialect="openai.chat", now=now, **rule)
        record = kit.settle(plan, Usage(6_000 - read, read, {}, 5))
    assert record.miss_reason == "evicted_or_rerouted"
    assert record.miss_cost is None
