"""What is said where something was removed: short, the same every time, and the names that count still stand in it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.editable import Fold, Stub
from ctxkit.hygiene.history import History
from ctxkit.hygiene.passes import MARK
from ctxkit.hygiene.stubs import said
from tests.hygiene.threads import Thread, flights, source


def searched():
    return (
        Thread()
        .user("I want to fly from Boston to Seattle.")
        .calls("search_flights", flights(7), origin="BOS", destination="SEA")
        .says("There is HAT073 in the morning and HAT0711 in the afternoon.")
        .user("Take HAT073, please.")
    )


def test_a_result_says_what_it_was_and_keeps_what_was_used():
    (rewrite,), drops = said(searched().history, Stub((2, 0)))
    assert drops == ()
    assert rewrite.place == (2, 0)
    assert rewrite.text.startswith(MARK)
    assert "search_flights" in rewrite.text
    assert f"{len(flights(7)):,} characters" in rewrite.text
    assert "HAT073" in rewrite.text
    assert "HAT0711" in rewrite.text
    assert not rewrite.lossless
    assert len(rewrite.text) < 0.7 * len(flights(7))


def test_recall_is_named_only_where_the_model_can_call_it():
    history = searched().history
    (plain,), _ = said(history, Stub((2, 0)))
    (named,), _ = said(history, Stub((2, 0)), ref="r_abc")
    assert "r_abc" not in plain.text
    assert "call again to see it" in plain.text
    assert 'ctxkit_recall("r_abc")' in named.text
    assert "call again" not in named.text


def test_what_follows_the_next_step_changes_nothing():
    thread = searched()
    before = said(thread.history, Stub((2, 0)))
    thread.says("HAT079 it is.").user("No, HAT075.").steps(5)
    assert said(thread.history, Stub((2, 0))) == before


def test_what_the_call_says_is_not_said_again():
    thread = Thread().user("?").calls("read", source("part") + "\nBOSTON1234", path="BOSTON1234").says("Fine.")
    (rewrite,), _ = said(thread.history, Stub((2, 0)))
    assert "BOSTON1234" not in rewrite.text


def test_an_error_is_called_one():
    thread = Thread().user("?").calls("run", "Traceback\n" + source("part"), failed=True, command="x").says("Oh.")
    (rewrite,), _ = said(thread.history, Stub((2, 0)))
    assert "error of run" in rewrite.text


def test_printed_output_in_the_words_of_a_user_gives_way_too():
    thread = Thread().user("Fix it.").says("```\nls\n```").user(source("part")).says("```\ncat a.py\n```").user("x")
    (rewrite,), _ = said(thread.history, Stub((2, 0)))
    assert "run it again to see it" in rewrite.text


@pytest.mark.parametrize("text", ["short", "x" * 150, f"{MARK}: 3 messages left out] " + "word " * 400])
def test_nothing_is_said_where_nothing_is_won_or_was_said_already(text):
    thread = Thread().user("?").calls("read", text).says("Fine.")
    assert said(thread.history, Stub((2, 0))) == ((), ())


def test_what_is_not_there_or_locked_gives_nothing():
    thread = Thread().user("x " * 900, locked=True).says("Fine.")
    assert said(thread.history, Stub((0, 0))) == ((), ())
    assert said(thread.history, Stub((7, 0))) == ((), ())
    assert said(thread.history, Fold(0, 9)) == ((), ())


def test_arguments_stay_json_with_the_same_keys_and_numbers_to_the_byte():
    text = '{"path": "src/a.py", "big": 12345678901234567890123, "rate": 1.10e5, "content": %s, "more": [{"old": %s}]}'
    text %= (json.dumps(source("part")), json.dumps("B" + source("other")))
    thread = Thread().user("?")
    piece = thread.asks("write_file").pieces[-1]._replace(text=text)
    thread.pieces[-1] = piece
    (rewrite,), _ = said(thread.answers("write_file", "done").says("Fine.").history, Stub((1, 0)))
    assert '"big": 12345678901234567890123, "rate": 1.10e5, ' in rewrite.text
    found = json.loads(rewrite.text)
    assert list(found) == ["path", "big", "rate", "content", "more"]
    assert found["path"] == "src/a.py"
    assert MARK in found["content"]
    assert MARK in found["more"][0]["old"]
    assert len(rewrite.text) < 0.7 * len(text)


@pytest.mark.parametrize("text", ["{not json " + "x" * 900, "[" * 100_000, '"' * 999, json.dumps({"k" * 900: 1})])
def test_arguments_that_cannot_be_cut_stay(text):
    thread = Thread().user("?").asks("write_file")
    thread.pieces[-1] = thread.pieces[-1]._replace(text=text)
    assert said(thread.answers("write_file", "done").says("Fine.").history, Stub((1, 0))) == ((), ())


def test_half_a_surrogate_stays_an_escape():
    thread = Thread().user("?").asks("write", content="\ud83d\ud83d " + "word " * 300).answers("write", "ok").says("!")
    (rewrite,), _ = said(thread.history, Stub((1, 0)))
    rewrite.text.encode()
    assert json.loads(rewrite.text)["content"].startswith("\ud83d\ud83d word")


def booked():
    return (
        Thread()
        .user("Hello.")
        .says("Hello!")
        .user("I am sam_smith_1177 and want to cancel my flight to Seattle. It is urgent.")
        .calls("get_user", json.dumps({"reservations": ["M05KNL", "UHDAHF"], "notes": "n " * 300}), id="sam_smith_1177")
        .says("Is it M05KNL?")
        .user("Yes.")
        .calls("cancel", "done", reservation="M05KNL")
        .says("M05KNL is cancelled. You get your money back within 7 days. " + "Have a nice day. " * 30)
        .user("Thanks. Now something else.")
    )


def test_a_stretch_becomes_its_first_message_and_its_last():
    thread = booked()
    rewrites, drops = said(thread.history, Fold(2, 10))
    texts = {one.place: one.text for one in rewrites}
    assert drops == (3, 4, 5, 6, 7, 8)
    assert set(texts) == {(2, 0), (9, 0)}
    opening, closing = texts[2, 0], texts[9, 0]
    assert opening.startswith(f"{MARK}: ")
    assert "sam_smith_1177" in opening
    assert "get_user, cancel" in opening
    assert "M05KNL" in opening + closing
    assert closing.startswith("M05KNL is cancelled. You get your money back within 7 days.")
    assert len(opening) + len(closing) < 400


def test_a_stretch_that_ends_with_a_result_ends_with_what_was_said_last():
    thread = booked()
    thread.pieces.pop()
    thread.count = 10
    thread.calls("transfer", "done").user("Hi, I am somebody else.")
    rewrites, drops = said(thread.history, Fold(2, 12))
    assert 9 not in drops
    assert drops[-2:] == (10, 11)
    assert {one.place[0] for one in rewrites} <= {2, 9}


def test_several_texts_of_the_first_message_do_not_stay_whole():
    thread = (
        Thread().user("Hello.").says("Hello!").user("Look at this.", "word " * 400).says("Seen. " * 90).user("Next.")
    )
    rewrites, drops = said(thread.history, Fold(2, 4))
    assert drops == ()
    assert sum(len(one.text) for one in rewrites) < 600
    assert all(one.text for one in rewrites)


def test_a_stretch_in_japanese_is_cut_at_a_full_stop():
    long = "予約を取り消しました。" + "返金は七日以内に行われます。" * 30
    thread = (
        Thread().user("こんにちは").says("はい。").user("予約を取り消してください。" * 20).says(long).user("次です。")
    )
    rewrites, _ = said(thread.history, Fold(2, 4))
    assert rewrites[-1].text.endswith("。")
    assert len(rewrites[-1].text) < 150


@pytest.mark.parametrize(("start", "end"), [(2, 4), (1, 4), (2, 3), (3, 3), (5, 2)])
def test_a_stretch_that_is_small_or_no_stretch_gives_nothing(start, end):
    thread = Thread().user("Hello.").says("Hello!").user("And?").says("Well.").user("Next.")
    assert said(thread.history, Fold(start, end)) == ((), ())


texts = st.text(st.characters(codec="utf-16", exclude_categories=()), max_size=40).map(lambda text: text * 30)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4))
def test_always_smaller_deterministic_and_never_empty(turns):
    thread = Thread().user("Hello.").says("Hello!")
    for asked, result, answer in turns:
        thread.user(asked or "?").calls("read", result, path=asked).says(answer or "!")
    thread.user("Next.")
    history, again = thread.history, History(list(thread.pieces), thread.count)
    actions = [Fold(2, thread.count - 1), *(Stub(piece.place) for piece in history.pieces if piece.kind != "text")]
    for action in actions:
        rewrites, drops = said(history, action)
        assert said(again, action) == (rewrites, drops)
        old = [piece for piece in history.pieces if piece.message in drops]
        old += [history.by_place[one.place] for one in rewrites]
        assert all(one.text.strip() for one in rewrites)
        if rewrites or drops:
            assert sum(len(one.text) for one in rewrites) < sum(len(piece.text) for piece in old)
        for one in rewrites:
            if history.by_place[one.place].kind == "arguments":
                assert list(json.loads(one.text)) == list(json.loads(history.by_place[one.place].text))
