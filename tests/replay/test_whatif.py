"""What requests would have come to under other circumstances: exact money, and the same again where nothing changes."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.errors import ConfigurationError
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.prices import Prices
from ctxkit.metering.report.beside import Foregone, Shadow
from ctxkit.model import Record, Usage
from ctxkit.policy import Policy
from ctxkit.replay.alternatives import Alternative, alternatives
from ctxkit.replay.otherwise import otherwise
from ctxkit.replay.posing import Assumed, place_of
from ctxkit.replay.recording import Asked, Recording
from ctxkit.replay.rows import Row
from ctxkit.replay.supposing import suppose, well_cached

NOW = 1_795_262_400.0  # 2026-11-21 12:00 UTC
HAIKU, SONNET = "claude-haiku-4-5", "claude-sonnet-4-5"  # one family: a token of one is a token of the other
PRICES = Prices()
LENGTHS = (10_000, 12_000, 15_000)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def prices():
    return Prices()


def record(number, usage, /, *, at=NOW, cost="0.01", **values):
    whole = {"dialect": "anthropic.messages", "platform": "anthropic", "model": HAIKU, "thread": "t"} | values
    cost = None if cost is None else Decimal(cost)
    return Record(
        f"a{number:05d}", f"a{number:05d}", 1, "settled", 200, at, usage=usage, cost=cost, cost_source="card", **whole
    )


@pytest.fixture
def thread(ledger):
    """Three requests of a growing conversation, a minute apart, none of them cached."""
    for number, tokens in enumerate(LENGTHS):
        ledger.append(record(number, Usage(tokens, 0, {}, 100), at=NOW + 60 * number))
    return ledger


def only(found):
    (one,) = found.alternatives
    return one


def test_ten_thousand_tokens_at_three_dollars_a_million_are_three_cents(ledger, prices):
    ledger.append(record(1, Usage(10_000, 0, {}, 0), thread=None))
    found = suppose(ledger, [Alternative(model=SONNET)], prices)
    assert only(found).cost == Decimal("0.03")
    assert only(found).less(found.present) == Decimal("0.02")
    assert only(found).per_thousand == Decimal(30)


def test_a_thread_reads_what_the_request_before_wrote(thread, prices):
    found = only(suppose(thread, [Alternative(model=SONNET)], prices))
    assert (found.input_tokens, found.read_tokens, found.written_tokens) == (37_000, 10_000 + 12_000, 12_000)
    # Written 10,000 and 2,000 at 3.75, read 22,000 at 0.30, the last 3,000 nobody reads at 3, 300 out at 15 dollars a million.
    assert found.cost == Decimal("0.045") + Decimal("0.0066") + Decimal("0.009") + Decimal("0.0045")
    assert "only grow" in found.notes[0]


@pytest.mark.parametrize(
    ("gap", "ttl", "read"), [(299, None, 22_000), (300, None, 0), (300, "1h", 22_000), (3600, "1h", 0)]
)
def test_an_entry_is_read_while_it_lives(ledger, prices, gap, ttl, read):
    for number, tokens in enumerate(LENGTHS):
        ledger.append(record(number, Usage(tokens, 0, {}, 100), at=NOW + gap * number))
    assert only(suppose(ledger, [Alternative(model=SONNET, ttl=ttl)], prices)).read_tokens == read


def test_a_longer_life_costs_its_write(thread, prices):
    found = only(suppose(thread, [Alternative(ttl="1h")], prices))
    # The recorded model: 12,000 written at 2, 22,000 read at 0.10, 3,000 at 1, 300 out at 5 dollars a million.
    assert found.cost == Decimal("0.024") + Decimal("0.0022") + Decimal("0.003") + Decimal("0.0015")


@pytest.mark.parametrize(
    ("model", "lengths", "read"),
    [
        (SONNET, (1_023, 2_000), 0),
        (SONNET, (1_024, 2_000), 1_024),
        (SONNET, (5_000, 4_000), 0),
        (SONNET, (5_000, 5_000), 5_000),
        ("gpt-5.5", (3_500, 5_000), None),
    ],
    ids=["too short", "just long enough", "shorter than before", "the same again", "in steps"],
)
def test_what_the_rule_allows(ledger, prices, model, lengths, read):
    from ctxkit.caching.rules import find
    from ctxkit.metering.ratios import ratio

    for number, tokens in enumerate(lengths):
        ledger.append(record(number, Usage(tokens, 0, {}, 1), at=NOW + number))
    found = only(suppose(ledger, [Alternative(model=model)], prices))
    if read is None:
        rule = find("openai", model)
        whole = round(lengths[0] * ratio("anthropic", HAIKU, "openai", model))
        read = whole - whole % rule.interval
        assert (rule.interval % 128, read > 0) == (0, True)
        assert found.written_tokens == 0
    assert found.read_tokens == read


@pytest.mark.parametrize("thread", ["t", None])
def test_a_provider_that_writes_unasked_bills_every_write(ledger, prices, thread):
    from ctxkit.metering.ratios import ratio

    ledger.append(record(1, Usage(10_000, 0, {}, 0), thread=thread))
    found = only(suppose(ledger, [Alternative(model="gpt-6.1-terra")], prices))
    assert found.written_tokens == round(10_000 * ratio("anthropic", HAIKU, "openai", "gpt-6.1-terra"))


def test_where_nothing_changes_the_recorded_cost_stands(thread, prices):
    thread.append(record(9, Usage(500, 100, {"5m": 7}, 3), cost="0.123456789", thread=None, at=NOW + 500))
    found = suppose(
        thread, [Alternative(model=HAIKU), Alternative(platform="anthropic"), Alternative(tier="standard")], prices
    )
    assert found.present.cost == Decimal("0.153456789")
    for one in found.alternatives:
        assert (one.cost, one.less(found.present), one.notes) == (found.present.cost, 0, ())
        assert (one.input_tokens, one.read_tokens, one.written_tokens) == (37_607, 100, 7)
    assert found.simulated is None


def test_a_tier_or_a_day_prices_what_was_recorded(thread, prices):
    thread.append(record(9, Usage(0, 1_000_000, {}, 0), at=NOW + 500))
    batch, day = suppose(thread, [Alternative(tier="batch"), Alternative(date="d", at=NOW)], prices).alternatives
    # 37,000 at 1, a million read at 0.10, 300 out at 5 dollars a million: half of it in a batch.
    assert day.cost == Decimal("0.037") + Decimal("0.1") + Decimal("0.0015")
    assert batch.cost == day.cost / 2


def test_a_price_to_come(ledger, prices):
    from datetime import UTC, datetime

    usage = Usage(1_000_000, 0, {}, 100_000)
    ledger.append(record(1, usage, platform="google", model="gemini-4-argon", dialect="gemini.generate", cost="3"))
    days = [("now", NOW), ("2026-12-01", datetime(2026, 12, 1, tzinfo=UTC).timestamp())]
    now, then = suppose(ledger, alternatives(dates=days), prices).alternatives
    assert (now.cost, then.cost) == (Decimal(3), Decimal(6))


def test_prices_of_the_day_of_each_request(ledger, prices):
    """Without a day, a request costs what it cost on its own day."""
    from datetime import UTC, datetime

    for number, day in enumerate((datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))):
        ledger.append(record(number, Usage(1_000_000, 0, {}, 0), at=day.timestamp(), thread=None, cost="1"))
    found = only(suppose(ledger, [Alternative(model="gemini-4-argon", platform="google")], prices))
    from ctxkit.metering.ratios import ratio

    tokens = round(1_000_000 * ratio("anthropic", HAIKU, "google", "gemini-4-argon"))
    assert found.cost == Decimal(tokens) * (2 + 4) / 1_000_000


def test_long_prompts_have_their_own_price(ledger, tmp_path):
    (tmp_path / "prices.toml").write_text(
        'source = "x"\n[[price]]\nprovider = "acme"\nmodel = "a-1"\ninput = "1"\noutput = "1"\n'
        '[[price.beyond]]\nabove = 10000\ninput = "2"\n'
    )
    for number, tokens in enumerate((10_000, 10_001)):
        ledger.append(record(number, Usage(tokens, 0, {}, 0), thread=None, platform="unknown", model="x"))
    found = only(suppose(ledger, [Alternative(model="a-1", platform="acme")], Prices(tmp_path / "prices.toml")))
    assert found.cost == Decimal("0.01") + Decimal("0.020002")
    assert any("nobody measured well" in note for note in found.notes)
    assert any("nobody has described" in note for note in found.notes)


def test_what_has_no_price_is_open_and_says_why(thread, prices):
    unknown, priced = suppose(
        thread, [Alternative(model="no-such-model"), Alternative(model=SONNET)], prices
    ).alternatives
    assert (unknown.cost, unknown.less(priced)) == (None, None)
    assert "no price is known for no-such-model on anthropic (3 requests)" in unknown.notes
    assert priced.cost is not None


def test_what_is_known_of_a_part_is_told(thread, prices):
    thread.append(record(9, Usage(1_000, 0, {}, 0), platform="unknown", model="x", at=NOW + 500, cost="0.5"))
    one = only(suppose(thread, [Alternative(tier="batch")], prices))
    assert one.cost is None
    assert "no price is known for x on unknown in tier batch (1 requests)" in one.notes
    # 37,000 at 0.50 and 300 out at 2.50 dollars a million, of three requests at a cent each.
    assert "known for 3 requests alone: $0.0192, where $0.0300 was paid" in one.notes


@pytest.mark.parametrize(
    ("platform", "model", "wanted", "asked"),
    [
        ("anthropic", "claude-haiku-4-5-20251001", Alternative(platform="openrouter"), "anthropic/claude-haiku-4.5"),
        ("anthropic", "gpt-5", Alternative(model=SONNET, platform="openrouter"), "anthropic/claude-sonnet-4.5"),
        ("openrouter", "anthropic/claude-haiku-4.5", Alternative(platform="anthropic"), HAIKU),
        ("openrouter", "openai/gpt-4.1", Alternative(platform="azure"), "gpt-4.1"),
        ("together", "openai/gpt-oss-120b", Alternative(platform="groq"), "openai/gpt-oss-120b"),
        ("anthropic", "claude-sonnet-4-6", Alternative(platform="bedrock"), "anthropic.claude-sonnet-4-6"),
    ],
)
def test_platforms_have_names_of_their_own(platform, model, wanted, asked):
    assumed = Assumed(platform=wanted.platform, model=wanted.model)
    assert place_of(assumed, platform, "openai.chat", model)[2] == asked
    assert PRICES.card(wanted.platform, asked, at=NOW) is not None


def test_a_model_is_looked_up_by_the_name_that_answered(ledger, prices):
    dated = "claude-haiku-4-5-20251001"
    ledger.append(record(1, Usage(1_000_000, 0, {}, 0), thread=None, response_model=dated))
    same, bedrock = suppose(ledger, alternatives(platforms=("anthropic", "bedrock")), prices).alternatives
    assert same.cost == Decimal("0.01")
    assert bedrock.cost == Decimal(
        "1.1"
    )  # in a region of its own a tenth dearer than the dollar that it costs elsewhere


def test_modes_of_a_ledger_are_known_by_what_was_planned_in_the_shadow(thread, prices):
    cent = 10**10
    features = (Foregone("a", 1, 2, 2 * cent, {"prune": cent}), Foregone("b", 1, 1, cent, {"prune": 3 * cent}))
    shadow = Shadow("lossless", 4, 3, features)
    wanted = (*alternatives(modes=("prune", "lossless", "cache")), Alternative(mode="prune", tier="batch"))
    prune, same, weaker, elsewhere = suppose(thread, wanted, prices, shadow=shadow).alternatives
    # Of three cents a third more, for three of the four requests.
    assert (prune.cost, prune.input_tokens) == (Decimal("0.0375"), None)
    assert "3 of 4 requests, of whose cost prune takes off -33.3%" in prune.notes[0]
    assert (same.cost, same.input_tokens) == (Decimal("0.03"), 37_000)
    assert (weaker.cost, elsewhere.cost) == (None, None)


@pytest.mark.parametrize("shadow", [None, Shadow("observe", 5, 0)])
def test_modes_that_nobody_planned_are_open(thread, prices, shadow):
    one = only(suppose(thread, [Alternative(mode="prune")], prices, shadow=shadow))
    assert (one.cost, one.input_tokens, one.per_thousand) == (None, None, None)
    assert "shadow" in one.notes[0]


def test_what_is_not_known_is_left_out_of_both_sides(thread, prices):
    thread.append(record(7, Usage(1_000, 0, {}, 10), cost=None))
    thread.append(record(8, None))
    found = suppose(thread, [Alternative(tier="batch")], prices)
    assert (found.present.requests, found.present.cost) == (3, Decimal("0.03"))
    assert set(found.notes) == {
        "left out, because they have no known cost: 1 request",
        "left out, because they report no usage: 1 request",
    }


def test_the_present_by_the_same_simulation(thread, prices):
    found = suppose(thread, [Alternative(model=SONNET)], prices)
    # The recorded model, well marked: 12,000 written at 1.25, 22,000 read at 0.10, 3,000 at 1, 300 out at 5.
    assert found.simulated.cost == Decimal("0.015") + Decimal("0.0022") + Decimal("0.003") + Decimal("0.0015")
    assert found.to_dict()["present_simulated"]["read_tokens"] == 22_000


def test_the_product_of_what_was_given():
    found = alternatives(models=("a", "b", "a"), tiers=("batch", "flex"), dates=[("2026-12-01", 1.0)])
    assert [(one.model, one.tier, one.date) for one in found] == [
        ("a", "batch", "2026-12-01"),
        ("a", "flex", "2026-12-01"),
        ("b", "batch", "2026-12-01"),
        ("b", "flex", "2026-12-01"),
    ]
    with pytest.raises(ConfigurationError, match="72 alternatives are too many"):
        alternatives(models=map(str, range(9)), tiers=map(str, range(8)))
    with pytest.raises(ConfigurationError, match="--model"):
        alternatives()


def test_names_for_json(thread, prices):
    found = suppose(thread, [Alternative(model=SONNET, tier="batch")], prices).to_dict()
    assert set(found) == {"requests", "present", "present_simulated", "alternatives", "notes"}
    (one,) = found["alternatives"]
    assert {"model", "platform", "date", "tier", "ttl", "mode", "input_tokens", "read_tokens", "written_tokens"} < set(
        one
    )
    assert {"output_tokens", "cost", "difference", "notes"} < set(one)
    assert (one["cost"], one["difference"]) == ("0.03255", "0.00255")
    assert (found["requests"], found["present"]["cost"]) == (3, "0.03")


# ---- transcripts ---------------------------------------------------------------------------------------------------------


def chat(turns=3, *, usage=None, model="gpt-5", words=300):
    """A conversation as it was sent, request by request."""
    messages = [{"role": "system", "content": "You are the assistant of a library. " * words}]
    asked = []
    for turn in range(turns):
        messages.append({"role": "user", "content": f"Do you have book {turn}? " * words})
        body = {"model": model, "messages": list(messages)}
        answer = {"role": "assistant", "content": "Yes, I do."}
        asked.append(Asked(body, f"chat#{turn}", NOW + 60 * turn, usage, model, answer, 200))
        messages.append(answer)
    return Recording("chat", "chat.jsonl", "requests", "openai.chat", "openai", tuple(asked))


def sent_again(recordings, *wanted):
    found, failed = otherwise(recordings, wanted, Policy(), now=NOW, processes=1)
    assert failed == ()
    return found


def test_a_transcript_priced_as_it_was_reported():
    found = sent_again(
        [chat(2, usage=Usage(10_000, 90_000, {}, 1_000))], Alternative(tier="standard"), Alternative(tier="batch")
    )
    # Each: 10,000 at 1.25, 90,000 read at 0.125, 1,000 out at 10 dollars a million.
    assert found.present.cost == 2 * (Decimal("0.0125") + Decimal("0.01125") + Decimal("0.01"))
    same, batch = found.alternatives
    assert (same.cost, same.less(found.present)) == (found.present.cost, 0)
    assert (batch.cost, batch.read_tokens) == (found.present.cost / 2, 180_000)
    assert found.simulated is None


def test_where_nothing_changes_the_simulated_cost_of_a_transcript_stands_too():
    found = sent_again([chat()], Alternative(model="gpt-5"), Alternative(platform="openai"))
    assert {one.cost for one in found.alternatives} == {found.present.cost}
    assert found.present.read_tokens > 0


def test_a_transcript_on_another_model_is_counted_and_cached_as_there():
    found = sent_again([chat()], Alternative(model=SONNET), Alternative(model="gpt-5-mini"))
    sonnet, mini = found.alternatives
    assert sonnet.input_tokens != found.present.input_tokens  # another tokenizer
    assert mini.input_tokens == found.present.input_tokens
    assert sonnet.written_tokens > 0 == mini.written_tokens
    fresh = sonnet.input_tokens - sonnet.read_tokens - sonnet.written_tokens
    rates = Prices().card("anthropic", SONNET, at=NOW).tiers[0].rates
    assert sonnet.pico == (
        fresh * rates["fresh"] + sonnet.read_tokens * rates["read"] + sonnet.written_tokens * rates["written.5m"]
        + sonnet.output_tokens * rates["output"]
    )  # fmt: skip
    assert mini.cost == found.present.cost / 5  # at each bucket a fifth of the price


def test_modes_of_a_transcript():
    found = sent_again([chat(5)], *alternatives(models=(SONNET,), modes=("observe", "cache")))
    observed, cached = found.alternatives
    assert observed.read_tokens == 0 < cached.read_tokens  # it carries no markers
    assert cached.cost < observed.cost


def test_a_recording_without_text_goes_by_lengths_and_times():
    asked = [
        Asked({"model": HAIKU}, f"x#{number}", NOW + 60 * number, Usage(tokens, 0, {}, 100), HAIKU, status=200)
        for number, tokens in enumerate(LENGTHS)
    ]
    recording = Recording("t", "x", "spans", "anthropic.messages", "anthropic", tuple(asked), partial=True)
    found = sent_again([recording], Alternative(model=SONNET), Alternative(tier="batch"), Alternative(mode="prune"))
    elsewhere, batch, mode = found.alternatives
    assert found.present.cost == Decimal("0.037") + Decimal("0.0015")
    assert (elsewhere.cost, elsewhere.read_tokens) == (Decimal("0.0651"), 22_000)
    assert batch.cost == found.present.cost / 2
    assert (mode.cost, "keeps no text" in mode.notes[0] or "shadow" in mode.notes[0]) == (None, True)


def test_one_recording_that_fails_keeps_none_from_being_worked_on(monkeypatch):
    bad = Recording("bad", "bad.jsonl", "requests", "no.such.wire", "openai", (Asked({"messages": 7}, "bad#1"),))
    found, failed = otherwise([bad, chat(1)], [Alternative(tier="batch")], Policy(), now=NOW, processes=1)
    assert found.present.requests == 1
    assert all("bad" in line for line in failed)


# ---- what holds for any ledger -------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(1, 20_000), st.floats(0.0, 900.0), st.integers(0, 500)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([None, "5m"]),
)
def test_no_token_is_lost_and_well_placed_markers_never_cost_more_than_none(asked, ttl):
    rows, now = [], NOW
    for thread, tokens, gap, output in asked:
        now += gap
        figures = (tokens, 0, {}, output, 0, {}, {}, 1, tokens)
        rows.append(Row(now, f"t{thread}", "anthropic", HAIKU, None, None, "anthropic.messages", *figures))
    found = well_cached(rows, Alternative(model=SONNET, ttl=ttl), PRICES)
    whole = sum(one[1] for one in asked)
    assert (found.requests, found.input_tokens, found.output_tokens) == (
        len(asked),
        whole,
        sum(one[3] for one in asked),
    )
    assert 0 <= found.read_tokens <= whole - found.written_tokens
    uncached = whole * 3 + found.output_tokens * 15
    assert found.pico <= uncached * 10**6
    assert well_cached(rows, Alternative(model=SONNET, ttl=ttl), PRICES) == found


def test_very_many_threads_are_followed_within_bounds(ledger, prices, monkeypatch):
    monkeypatch.setattr("ctxkit.replay.growth._THREADS", 10)
    for number in range(40):
        ledger.append(record(number, Usage(5_000, 0, {}, 0), thread=f"t{number % 20}", at=NOW + number))
    found = only(suppose(ledger, [Alternative(model=SONNET)], prices))
    assert (found.input_tokens, found.read_tokens) == (200_000, 0)  # each was let go of before it came again
    monkeypatch.setattr("ctxkit.replay.growth._THREADS", 20)
    assert only(suppose(ledger, [Alternative(model=SONNET)], prices)).read_tokens == 20 * 5_000
