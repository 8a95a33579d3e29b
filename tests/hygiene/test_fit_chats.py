"""Chats of many short turns are made to fit: what is asked stays with what stands around it, on every wire a valid thread."""

from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxkit import Kit, Policy, dialects
from ctxkit.editable import Fold
from ctxkit.hygiene.bearing import bearing
from ctxkit.hygiene.fit import fit
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.stretches import stretches
from ctxkit.hygiene.stubs import is_gap, said
from tests.hygiene.structure import worse
from tests.hygiene.test_fit import saved
from tests.hygiene.threads import Thread, flights
from tests.hygiene.wires import body_of

SUBJECTS = [
    "the colour of the case",
    "the price of batteries",
    "voice recognition",
    "the next exhibition",
    "rubber buttons",
]
FILLER = ["Mm, I see what is meant there.", "Right, let us carry on then.", "Yeah, somebody wrote that down already."]


def meeting(subjects=SUBJECTS, each=12, roles=("user", "assistant")):
    """Some subjects, one after another, the subject named here and there."""
    turns = []
    for number, subject in enumerate(subjects):
        for turn in range(each):
            about = f"So {subject} is what worries us." if turn % 4 == 0 else FILLER[(turn + number) % 3]
            turns.append(f"Speaker {turn % 3}: {about} " + "And so on it goes, as it did before. " * 5)
    return [{"role": roles[at % len(roles)], "content": text} for at, text in enumerate(turns)]


def asked(messages, question="What was said about voice recognition?"):
    return [*messages, {"role": "user", "content": question}]


def sent(messages, share, *, dialect="openai.chat", platform="openai", **tidy):
    """The body that is sent where only a share of the tokens may be, and the plan."""
    body = body_of(dialect, messages)
    more = {"dialect": dialect, "platform": platform, "now": 1.8e9}
    with closing(Kit(Policy(mode="observe", shadow=False), store=None, ledger=None, strict=True)) as kit:
        limit = round(share * kit.plan(body, **more).estimate.input_tokens)
    policy = Policy(mode="prune", shadow=False, tidy={"max_input_tokens": limit, "relevance": "lexical", **tidy})
    with closing(Kit(policy, store=None, ledger=None, strict=True)) as kit:
        return body, kit.plan(body, **more), limit


@pytest.mark.parametrize("roles", [("user", "assistant"), ("user",), ("user", "user", "assistant")])
def test_what_is_asked_stays_with_what_stands_around_it(roles):
    messages = asked(meeting(roles=roles))
    _, plan, limit = sent(messages, 0.5)
    kept = [one["content"] for one in plan.body["messages"]]
    inside = [one["content"] for one in messages[2 * 12 + 1 : 3 * 12 - 1]]
    assert sum(text in kept for text in inside) == len(inside)
    assert plan.estimate.input_tokens <= limit
    assert any("messages left out" in text for text in kept)
    assert kept[-1] == messages[-1]["content"]


@pytest.mark.parametrize("name", dialects.EDITABLE)
def test_every_wire_gets_a_valid_thread(name):
    platform = {"gemini.generate": "google", "bedrock.converse": "bedrock", "anthropic.messages": "anthropic"}
    body, plan, _ = sent(asked(meeting()), 0.4, dialect=name, platform=platform.get(name, "openai"))
    assert plan.edits
    assert worse(body, plan.body, name) == []


@settings(max_examples=5)
@given(st.lists(st.sampled_from(["user", "assistant"]), min_size=8, max_size=60), st.sampled_from([0.3, 0.5, 0.8]))
def test_any_order_of_speakers_stays_as_valid_as_it_was(order, share):
    said = [one["content"] for one in meeting()]
    messages = [{"role": "user", "content": "Hello."}]
    messages += [{"role": role, "content": text} for role, text in zip(order, said, strict=False)]
    body, plan, _ = sent(asked(messages), share)
    assert worse(body, plan.body, "openai.chat") == []
    roles, before = ([one["role"] for one in some["messages"]] for some in (plan.body, body))
    twice = [sum(one == two for one, two in pairwise(some)) for some in (roles, before)]
    assert twice[0] <= twice[1], "where roles alternated they do"
    assert plan.body["messages"][-1]["content"] == body["messages"][-1]["content"]
    _, again, _ = sent(asked(messages), share)
    assert again.body["messages"] == plan.body["messages"], "the same each time"


def test_pins_stay_where_everything_around_goes():
    messages = meeting()
    messages[20]["content"] = "Speaker 1: the code is X-4711, never forget it."
    _, plan, limit = sent(asked(messages), 0.4, pins=("X-4711",))
    assert messages[20] in plan.body["messages"]
    assert plan.estimate.input_tokens <= limit


def test_what_was_folded_stays_folded_when_more_has_to_go():
    thread = Thread().user("Hello.").says("Hello!")
    for number in range(30):
        thread.user(f"Tell me of thing {number}, please. " * 3).says(f"Thing {number} is a fine one. " * 3)
    history, guards = thread.user("What was thing 20?").history, Guards(keep_last=2)

    def fitted(over, held=()):
        return fit(history, lambda one: saved(history, one), over, allowed=guards.allowed, free=guards.free, held=held)

    first = [one.action for one in fitted(2_000)]
    more = [one.action for one in fitted(3_000, held=first)]
    assert first
    assert more
    for fold in more:
        assert all(
            fold.start <= old.start and old.end <= fold.end
            for old in first
            if old.start < fold.end > fold.start and fold.start < old.end
        )
    assert not set(first) & set(more)


def test_a_question_and_the_calls_that_answer_it_are_not_parted():
    thread = Thread().user("Hello.").says("Hello!")
    for number in range(8):
        thread.user(f"Find flights on day {number}. " + "Please. " * 30).calls("search", flights(number)).says("Here.")
    history, guards = thread.user("Thanks.").steps(4).history, Guards(keep_last=2)
    for over in (500, 3_000, 8_000, 20_000):
        found = fit(history, lambda one: saved(history, one), over, allowed=guards.allowed, free=guards.free)
        for one in found:
            if isinstance(one.action, Fold):
                assert history.by_message[one.action.end][0].kind == "text"


def test_a_gap_says_how_much_it_was_and_how_it_began():
    thread = Thread().user("Hello.").says("Hi.").user("Sandra: the launch is on 2026-12-24. " * 4)
    thread.says("I see. " * 20).user("Ken: fine with me. " * 9).says("Good.").user("When is it?")
    history = thread.history
    assert is_gap(history, Fold(2, 5))
    (rewrite,), drops = said(history, Fold(2, 5))
    assert rewrite.place == (2, 0)
    assert drops == (3, 4)
    assert rewrite.text == '[ctxkit: 3 messages left out; began: "Sandra: the launch is on 2026-12-24."]'
    assert not is_gap(history, Fold(2, 4)), "the model had the last word"
    assert Guards(keep_last=1).allowed(history, []) == []


def test_a_chat_of_users_alone_has_latest_messages_too():
    thread = Thread()
    for number in range(12):
        thread.user(f"Words number {number}. " * 10)
    guards = Guards(keep_last=3)
    assert guards.bounds(thread.history) == (1, 8)
    assert guards.free(thread.history) == set(range(1, 8))


def test_stretches_begin_with_a_users_words_and_hold_what_is_folded_as_a_whole():
    thread = Thread().user("a").says("b").user("c").says("d").user("e").says("f").user("g").says("h")
    history = thread.history
    going = [False, True, True, True, True, True, False, False]
    assert list(stretches(history, going)) == [[Fold(2, 5), Fold(2, 6)]]
    assert list(stretches(history, going, [Fold(2, 5)])) == [[Fold(2, 6)]]
    assert list(stretches(history, [False] * 8, [Fold(2, 5)])) == []


def test_what_bears_on_the_question_scores_most_and_common_words_nothing():
    thread = Thread()
    for one in asked(meeting()):
        thread.user(one["content"])
    scores = bearing(thread.history)[:-1]
    best = max(range(len(scores)), key=scores.__getitem__)
    assert 24 <= best < 36
    assert min(scores[26:34]) > 1.5 * max(scores[:15])
    assert bearing(Thread().user("What did they say about that?").history) == [0.0]
    assert bearing(Thread().history) == []


def test_what_is_meant_counts_where_something_tells_it():
    class Meant:
        name = "meant"

        def __call__(self, texts, *queries):
            return [1.0 if any("price of batteries" in part for part in parts) else 0.0 for parts in texts]

    thread = Thread()
    for one in asked(meeting(), "How dear is the power supply?"):
        thread.user(one["content"])
    scores = bearing(thread.history, Meant())
    assert 12 <= max(range(len(scores)), key=scores.__getitem__) < 24
    assert max(bearing(thread.history)[12:24]) < 0.1
