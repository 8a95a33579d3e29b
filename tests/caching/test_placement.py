"""Where markers go: within what the provider takes, beside what the user marked, and only where they pay."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.cacheable import Ask
from ctxkit.caching.habits import Choice, Habits, Outlook, Within
from ctxkit.caching.placement import place
from ctxkit.caching.simulator import State, refusal, serve
from tests.caching.conversations import Piece, Provider, answer, call, developer, result, system, thinking, tool, user
from tests.caching.scenarios import SCENARIOS, explicit_rule, play, requests_of

ANTHROPIC = Provider("anthropic", "claude-opus-5", "anthropic.messages")
OPENAI = Provider("openai", "gpt-6-sol", "openai.responses")
CHAT = Provider("openai", "gpt-6-sol", "openai.chat")
BEDROCK = Provider("bedrock", "claude-sonnet-4-5", "bedrock.converse")
QWEN = Provider("qwen", "qwen3.7-max", "openai.chat")
PROVIDERS = {"anthropic": ANTHROPIC, "openai": OPENAI, "openai.chat": CHAT, "bedrock": BEDROCK, "qwen": QWEN}


def within(outlook, layout):
    """An outlook of a request of this length."""
    last = len(layout.positions) - 1
    return outlook._replace(opening=min(outlook.opening, last), known=min(outlook.known, last))


GOING_ON = Outlook(goes_on=0.9, more=9.0, opening=1, begun=False)


def placed(provider, messages, outlook=GOING_ON, ask=None, state=None, now=0.0, **options):
    layout = provider.layout(messages, ask=ask)
    explicit = explicit_rule(provider)
    alive = (state or State()).alive(now)
    return layout, place(layout, provider.rule, alive=alive, outlook=outlook, explicit=explicit, **options)


def sent(layout, placement):
    """The request as it leaves."""
    marks = {**layout.marks, **{point.at: point.ttl for point in placement.points}}
    ask = replace(layout.ask, mode=placement.mode or layout.ask.mode, ttl=placement.ttl or layout.ask.ttl)
    return replace(layout, marks=marks, ask=ask)


PIECES = st.one_of(
    st.builds(lambda n, t: user(f"u{n}", t), st.integers(0, 3), st.integers(1, 4000)),
    st.builds(lambda n, t: answer(f"a{n}", t), st.integers(0, 3), st.integers(1, 900)),
    st.builds(lambda n, t: call(f"c{n}", t), st.integers(0, 3), st.integers(1, 400)),
    st.builds(lambda n, t: result(f"r{n}", t), st.integers(0, 3), st.integers(1, 4000)),
    st.builds(lambda n: thinking(f"t{n}", 200), st.integers(0, 3)),
)
OPENINGS = st.tuples(
    st.lists(st.builds(lambda n: tool(f"t{n}", 300), st.integers(0, 3)), max_size=3),
    st.lists(st.builds(lambda n, t: system(f"s{n}", t), st.integers(0, 3), st.integers(1, 3000)), max_size=2),
).map(lambda pair: [*pair[0], *pair[1]])
REQUESTS = st.tuples(OPENINGS, st.lists(PIECES, min_size=1, max_size=40)).map(lambda pair: [*pair[0], *pair[1]])
MARKS = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["", "5m", "1h"])), max_size=4)
OUTLOOKS = st.builds(
    lambda on, more, gaps, lost, again: Outlook(on, more, 500.0, Within(tuple(gaps)), lost, 3, 1, again, Within(), 1.0),
    st.floats(0, 1),
    st.floats(0, 10),
    st.lists(st.floats(0, 9000), max_size=10),
    st.integers(0, 3),
    st.floats(0, 10),
)


def marked(messages, marks):
    """The same with markers of the user, in the order that the provider takes."""
    places = sorted({at % len(messages): ttl for at, ttl in marks}.items())
    long = [ttl == "1h" for _, ttl in places]
    wanted = {at: ("1h" if any(long[index:]) else ttl) for index, (at, ttl) in enumerate(places)}
    return [
        piece.marked(wanted[index]) if index in wanted and piece.markable else piece
        for index, piece in enumerate(messages)
    ]


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
@given(messages=REQUESTS, marks=MARKS, outlook=OUTLOOKS, automatic=st.sampled_from([None, None, "", "1h"]))
def test_what_leaves_is_what_the_provider_takes(name, messages, marks, outlook, automatic):
    provider, messages = PROVIDERS[name], marked(messages, marks)
    ask = Ask(automatic=automatic if name == "anthropic" else None)
    layout = provider.layout(messages, ask=ask)
    if refusal(provider.rule, layout) is not None:
        return  # the user's own request is refused: nothing to hold
    outlook = within(outlook, layout)
    layout, placement = placed(provider, messages, outlook, ask)
    after = sent(layout, placement)
    assert refusal(provider.rule, after) is None
    assert len(after.marks) + (ask.automatic is not None) <= provider.rule.slots
    assert layout.marks.items() <= after.marks.items(), "what the user marked stays"
    for point in placement.points:
        position = layout.positions[point.at]
        assert position.markable
        assert position.tokens >= provider.rule.minimum
        assert position.tier in provider.rule.tiers
        assert point.reason
    assert after.positions == layout.positions
    assert after.keys == layout.keys
    assert placement.expected[0] <= placement.expected[1]


@pytest.mark.parametrize("name", PROVIDERS)
@given(messages=REQUESTS, outlook=OUTLOOKS)
def test_a_request_that_was_placed_already_is_left_alone(name, messages, outlook):
    provider = PROVIDERS[name]
    layout = provider.layout(messages)
    outlook = within(outlook, layout)
    layout, placement = placed(provider, messages, outlook)
    after = sent(layout, placement)
    explicit = explicit_rule(provider)
    again = place(after, placement.rule, alive=State().alive(0.0), outlook=outlook, explicit=explicit)
    assert (again.points, again.mode, again.ttl) == ((), None, None)


@pytest.mark.parametrize("name", PROVIDERS)
@given(messages=REQUESTS, outlook=OUTLOOKS)
def test_the_same_request_is_placed_alike(name, messages, outlook):
    outlook = within(outlook, PROVIDERS[name].layout(messages))
    assert placed(PROVIDERS[name], messages, outlook)[1] == placed(PROVIDERS[name], messages, outlook)[1]


LONG = [tool("t", 2000), system("s", 2000), user("q", 500)]


def test_a_conversation_is_marked_at_its_end_and_its_opening():
    _, placement = placed(ANTHROPIC, LONG)
    assert [tuple(point)[:2] for point in placement.points] == [(1, ""), (2, "")]
    assert placement.choice == Choice("5m", "5m")


def test_below_the_minimum_nothing_is_marked_and_it_is_said_why():
    _, placement = placed(ANTHROPIC, [user("q", 400)])
    assert placement.points == ()
    assert placement.note == "nothing marked: about 400 tokens of 512 that are cached at least"


ALONE = Outlook(goes_on=0.05, more=0.05)


def test_what_nobody_goes_on_with_is_not_marked():
    _, placement = placed(ANTHROPIC, LONG, ALONE._replace(opening=1))
    assert placement.points == ()
    assert "5% are continued" in placement.note


def test_what_others_open_with_is_marked_and_nothing_else():
    _, placement = placed(ANTHROPIC, LONG, Outlook(opening=1, again=3.0))
    assert [tuple(point)[:2] for point in placement.points] == [(1, "")]


def test_long_gaps_are_bridged_by_the_longer_life():
    slow = GOING_ON._replace(gaps=Within((900.0,) * 20))
    _, placement = placed(ANTHROPIC, LONG, slow)
    assert {point.ttl for point in placement.points} == {"1h"}
    _, forced = placed(ANTHROPIC, LONG, slow, ttl="5m")
    assert {point.ttl for point in forced.points} <= {""}


def test_gaps_that_no_life_bridges_are_not_paid_for():
    _, placement = placed(ANTHROPIC, LONG, GOING_ON._replace(gaps=Within((90_000.0,) * 60)))
    assert placement.points == ()


@pytest.mark.parametrize(("goes_on", "marked"), [(0.05, False), (0.15, False), (0.3, True), (0.9, True)])
def test_the_end_is_marked_when_the_next_request_is_likely_however_many_may_follow_it(goes_on, marked):
    """Writing it now costs a quarter more; whoever waits pays for it once more, but only when there is a next one."""
    messages = [tool("t", 100), user("q", 9000)]
    _, placement = placed(ANTHROPIC, messages, Outlook(goes_on=goes_on, more=goes_on * 10, opening=0))
    assert any(point.at == 1 for point in placement.points) is marked


def test_what_is_volatile_at_the_end_is_left_out():
    messages = [*LONG, user("reminder", 100)]
    _, placement = placed(ANTHROPIC, messages, GOING_ON._replace(lost=1))
    assert max(point.at for point in placement.points) == 2


def test_the_choice_before_holds_until_another_is_clearly_cheaper():
    differ, messages = [], [tool("t", 300), system("s", 300), user("q", 9000)]
    for share in range(60):
        gaps = GOING_ON._replace(gaps=Within((10.0,) * (60 - share) + (900.0,) * share))
        short = placed(ANTHROPIC, messages, gaps._replace(previous=Choice("5m", "5m")))[1].choice
        long = placed(ANTHROPIC, messages, gaps._replace(previous=Choice("1h", "1h")))[1].choice
        differ.append(short != long)
    assert any(differ)
    assert not differ[0]
    assert not differ[-1]


def test_an_entry_out_of_reach_gets_a_marker_of_its_own():
    opening = [tool("t", 600), system("s", 600)]
    state = State()
    first = [*opening, user("q", 300)]
    layout, placement = placed(ANTHROPIC, first)
    state, _ = serve(state, sent(layout, placement), ANTHROPIC.rule, 0.0)
    many = [*first, *[answer(f"a{n}", 50) for n in range(30)]]
    layout, placement = placed(ANTHROPIC, many, GOING_ON._replace(known=2), state=state, now=1.0)
    assert [point.at for point in placement.points] == [1, 2, 32]
    _, outcome = serve(state, sent(layout, placement), ANTHROPIC.rule, 1.0)
    assert outcome.read == 1500


def test_where_nothing_is_known_of_entries_free_slots_look_further_back():
    messages = [tool("t", 600), system("s", 600), *[answer(f"a{n}", 50) for n in range(60)]]
    _, placement = placed(ANTHROPIC, messages, GOING_ON._replace(known=-1))
    assert [point.at for point in placement.points] == [1, 23, 42, 61]


def test_openai_is_asked_to_write_nothing_where_nobody_reads_it():
    messages = [developer("s", 600), user("q", 3000)]
    _, placement = placed(OPENAI, messages, ALONE._replace(opening=0, told=20))
    assert (placement.mode, placement.points) == ("explicit", ())
    _, placement = placed(OPENAI, messages, Outlook(opening=0))
    assert placement.mode is None, "not before it is known"


def test_openai_keeps_the_mode_that_the_user_chose():
    messages = [developer("s", 600), user("q", 3000)]
    for mode in ("implicit", "explicit"):
        _, placement = placed(OPENAI, messages, Outlook(opening=0, told=20), Ask(mode=mode))
        assert placement.mode is None


def test_twelve_hours_are_for_responses_only():
    messages = [developer("s", 6000), user("q", 3000)]
    gaps = GOING_ON._replace(gaps=Within((30_000.0,) * 60), opening=0)
    assert placed(OPENAI, messages, gaps)[1].ttl == "12h"
    _, placement = placed(CHAT, messages, gaps)
    assert placement.ttl is None
    assert all(point.ttl != "12h" for point in placement.points)


def test_a_request_that_says_itself_what_is_to_be_cached_is_left_alone():
    for ask in (Ask(prewarm=True), Ask(handle="cachedContents/1")):
        assert placed(ANTHROPIC, LONG, ask=ask)[1].points == ()


def test_what_takes_no_markers_gets_none():
    for platform, model in (
        ("deepseek", "deepseek-chat"),
        ("vllm", "m"),
        ("openai", "gpt-4o"),
        ("google", "gemini-2.5-pro"),
    ):
        provider = Provider(platform, model, "openai.chat")
        _, placement = placed(provider, LONG)
        assert (placement.points, placement.mode, placement.ttl) == ((), None, None)


def test_an_unknown_price_is_no_reason_to_mark():
    provider = replace(ANTHROPIC, changed={"read": None})
    assert placed(provider, LONG)[1].points == ()
    _, placement = placed(provider, LONG, rates={"fresh": 5, "read": 1, "written.5m": 6, "written.1h": 10})
    assert placement.points


# One that takes markers and one that writes unasked; the others play the same by rules between the two.
PLAYED = [name if name in ("anthropic", "openai") else pytest.param(name, marks=pytest.mark.slow) for name in PROVIDERS]


@pytest.mark.parametrize("name", PLAYED)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_conversations_cost_no_more_than_unmarked_ones(name, scenario):
    """Where nothing can be won, what is learned at the beginning may cost a little."""
    provider = PROVIDERS[name]
    requests = requests_of(scenario, provider.rule, seed=7)
    unmarked, ours = play(provider, requests), play(provider, requests, placed=True)
    assert ours.cost <= unmarked.cost * 1.05


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_conversations_cost_no_more_than_with_the_automatic_marker(scenario):
    requests = requests_of(scenario, ANTHROPIC.rule, seed=7)
    automatic, ours = play(ANTHROPIC, requests, ask=Ask(automatic="")), play(ANTHROPIC, requests, placed=True)
    assert ours.cost <= automatic.cost * 1.01


@pytest.mark.parametrize(
    ("scenario", "most"),
    [
        ("agent", 0.2),
        ("agent, slow tools", 0.25),
        ("agent, reminded", 0.2),
        ("chat, slow", 0.4),
        ("single questions", 0.35),
    ],
)
def test_what_it_brings(scenario, most):
    ours = play(ANTHROPIC, requests_of(scenario, ANTHROPIC.rule, seed=7), placed=True)
    assert ours.cost <= ours.uncached * most


def test_a_conversation_does_not_flip_between_choices():
    for scenario in ("agent", "agent, slow tools", "agent, 20 blocks a turn"):
        choices = [
            placement.choice
            for placement in play(ANTHROPIC, requests_of(scenario, ANTHROPIC.rule), placed=True).placements
        ]
        changes = sum(one != other for one, other in pairwise(choices))
        assert changes <= 3, scenario


def test_habits_know_a_conversation_that_goes_on():
    habits, provider = Habits(), ANTHROPIC
    messages = [tool("t", 600), system("s", 600), user("q", 300)]
    assert habits.outlook("f", provider.layout(messages)).begun
    for turn in range(6):
        layout = provider.layout(messages)
        habits.note("f", layout, turn * 100.0, Choice("5m", "5m"))
        messages = [*messages, answer(f"a{turn}", 10), user(f"u{turn}", 90)]
    outlook = habits.outlook("f", provider.layout(messages))
    assert not outlook.begun
    assert outlook.previous == Choice("5m", "5m")
    assert outlook.goes_on > 0.9
    assert outlook.gaps.gaps == (100.0,) * 5
    assert outlook.grows == 100.0
    assert outlook.opening == 1
    assert outlook.known == len(messages) - 3


def test_habits_find_the_stable_part_of_an_opening_that_changes():
    habits = Habits()
    for number in range(8):
        messages = [tool("t", 600), system("rules", 600), system(f"time {number}", 10), user(f"q{number}", 50)]
        habits.note("f", ANTHROPIC.layout(messages), number * 30.0, Choice())
    messages = [tool("t", 600), system("rules", 600), system("time 9", 10), user("q", 50)]
    outlook = habits.outlook("f", ANTHROPIC.layout(messages))
    assert outlook.opening == 1
    assert outlook.again > 1
    assert outlook.arrivals.share(300) > 0.9


def test_habits_find_what_is_volatile_at_the_end():
    habits = Habits()
    messages = [system("s", 600), user("q", 300)]
    for turn in range(6):
        habits.note("f", ANTHROPIC.layout([*messages, user(f"reminder {turn}", 10)]), turn * 10.0, Choice())
        messages = [*messages, answer(f"a{turn}", 10), user(f"u{turn}", 90)]
    assert habits.outlook("f", ANTHROPIC.layout([*messages, user("reminder", 10)])).lost == 1


def test_habits_are_bounded():
    habits = Habits(links=100, features=10)
    for number in range(400):
        messages = [tool(f"t{number}", 10), system("s", 10), user(f"q{number}", 10)]
        habits.note(f"f{number}", ANTHROPIC.layout(messages), float(number), Choice())
    assert len(habits._seen) <= 100
    assert len(habits._features) <= 10
    assert len(habits._openings) <= 10


def test_what_was_learned_of_a_feature_outlives_the_process():
    habits, messages = Habits(), [system("s", 600), user("q", 300)]
    for turn in range(6):
        habits.note("f", ANTHROPIC.layout(messages), turn * 100.0, Choice("5m", "5m"))
        messages = [*messages, answer(f"a{turn}", 10), user(f"u{turn}", 90)]
    stored, after = habits.dump(), Habits()
    after.load(stored)
    kept = after.outlook("f", ANTHROPIC.layout([user("new", 10)]))
    assert kept.gaps.gaps == (100.0,) * 5
    assert kept.told == 1
    assert kept.goes_on > 0.3
    for broken in (
        None,
        b"",
        b"[]",
        b"{",
        b'{"f": {"gaps": 3}}',
        b'{"f": {"gaps": ["x"], "grown": [], "lost": [], "told": []}}',
        b'{"f": {"gaps": [], "grown": [], "lost": [Infinity], "told": []}}',
        b"[" * 100_000,
    ):
        after.load(broken)
    assert after.outlook("f", ANTHROPIC.layout([user("new", 10)])) == kept


def test_habits_of_a_clock_that_goes_backwards():
    habits = Habits()
    messages = [system("s", 600), user("q", 300)]
    habits.note("f", ANTHROPIC.layout(messages), 100.0, Choice())
    habits.note("f", ANTHROPIC.layout([*messages, answer("a", 5), user("u", 5)]), 50.0, Choice())
    assert habits.outlook("f", ANTHROPIC.layout(messages)).gaps.gaps == (0.0,)


def test_pieces_without_any_block_are_nothing_to_place():
    layout = ANTHROPIC.layout([[Piece("x")]])
    empty = replace(layout, positions=[], total=0.0)
    assert Habits().outlook("f", empty) == Outlook()
    assert place(empty, ANTHROPIC.rule, alive=State().alive(0), outlook=Outlook()).points == ()
