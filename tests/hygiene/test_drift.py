"""What drift of a conversation is measured in: noise to the part, whether the goal is kept, what stands in the middle."""

import base64
import random
from pathlib import Path

import pytest

from ctxkit.drift import DRIFTING, LOST, Drift
from ctxkit.hygiene.drift import WEIGHTS, curve, level_of, looked, score
from ctxkit.hygiene.drift.parts import cuts
from ctxkit.hygiene.history import History
from tests.hygiene.threads import Thread, flights, source

BLOB = base64.b64encode(random.Random(5).randbytes(3_000)).decode()
TEXT = base64.encodebytes(random.Random(6).randbytes(3_000)).decode()  # in lines, as mails have it
REPORT = (
    "The weather over the northern islands stays wet, with gales from the west and rough seas until the weekend. " * 6
)


def tokens(piece):
    return len(piece.text) / 4


def look(thread, **options):
    return looked(thread.history, tokens_of=tokens, **options)


def noisy(thread, text):
    """Share of the piece that holds a text which is noise."""
    history = thread.history
    piece = next(one for one in history.pieces if text in one.text)
    return look(thread).noise.get(piece.place, 0.0) / tokens(piece)


def booking(report=REPORT):
    """A report that has nothing to do with it, then a booking."""
    thread = (
        Thread().user("What is the weather at sea?").calls("weather", report, region="north").says("Wet and windy.")
    )
    thread.user("Thanks. Now book the train to Vienna for me, order TRN4711 of my account.")
    thread.calls("orders", '{"order": "TRN4711", "seat": "window", "coach": 21}', order="TRN4711")
    thread.says("Order TRN4711 is for the train to Vienna. Shall I book it?").user("Yes, book the train to Vienna.")
    return thread.calls("book", '{"ok": true, "order": "TRN4711"}', order="TRN4711").says("The train is booked.")


def test_nothing_is_calm():
    drift = looked(History([], 0), tokens_of=tokens).drift
    assert drift == Drift(0.0)
    assert drift.noise_share == 0.0
    assert looked(Thread().user("").says("").history, tokens_of=tokens).drift.score == 0.0
    assert curve(History([], 0), tokens_of=tokens)[-1][1].drift == Drift(0.0)


def test_what_has_nothing_to_do_with_the_goal_and_is_not_named_is_noise():
    thread = booking()
    assert noisy(thread, "northern islands") == 1.0
    assert noisy(thread, "window") == 0.0, "named since, and near"
    assert look(thread).drift.noise_share > 0.5


def test_it_is_none_before_the_model_went_on():
    thread = Thread().user("Book the train to Vienna.").calls("weather", REPORT, region="north")
    assert look(thread).drift.noise == 0
    assert look(thread.says("Shall I?").user("Yes.")).drift.noise == 0, "it may still be used"
    assert noisy(thread.calls("book", "booked").says("Done."), "northern islands") == 1.0


def test_what_is_named_by_its_id_counts_however_little_it_is_about_the_goal():
    thread = booking(f"Station K4-77 reports. {REPORT}")
    assert noisy(thread, "northern islands") == 1.0
    assert noisy(thread.user("And what did station K4-77 report?").says("Wet."), "northern islands") == 0.0


def test_what_a_command_printed_refers_to_nothing():
    thread = Thread().user("Mend the parser of amounts.")
    for number in range(12):
        thread.says(f"Next one.\n```\nrun step {number} of the parser of amounts\n```")
        thread.user(f"{REPORT if number < 2 else 'well'} K4-77 {number}")
    assert noisy(thread, "northern islands") == 1.0, "that it was printed again is no use of it"
    assert noisy(thread.says("What is K4-77?\n```\nrun it\n```").user("done"), "northern islands") == 0.0


def test_one_date_is_no_reference_but_some_are():
    dates = [f"2026-03-0{day}" for day in range(1, 6)]
    report = f"{REPORT} Measured {', '.join(dates)}."
    assert noisy(booking(report).user(f"On {dates[0]}, please.").says("Good."), "northern islands") == 1.0
    assert noisy(booking(report).user(f"Any of {', '.join(dates)}.").says("Good."), "northern islands") < 1.0


def test_of_a_long_result_what_is_used_counts_and_the_rest_is_noise():
    found = "\n".join(flights(seed, 6) for seed in range(1, 9))
    thread = Thread().user("Find me something to Oslo.").calls("search", found).says("HAT031 leaves at six.")
    thread.user("That one, HAT031 then.").calls("book", "booked", flight="HAT031").says("It is booked.")
    thread.user("Good. Which seat?").says("Row nine.").user("Fine.").says("Anything else?")
    assert 0.5 < noisy(thread, "HAT031") < 1.0
    spots = look(thread).spots
    place = next(piece.place for piece in thread.history.pieces if piece.kind == "result")
    at = found.index("HAT031") / 4
    assert not any(spot.place == place and spot.start <= at < spot.start + spot.tokens for spot in spots)


@pytest.mark.parametrize("blob", [BLOB, TEXT, f"data:image/png;base64,{BLOB}", BLOB.encode().hex()])
def test_data_that_nobody_refers_to_is_noise_as_soon_as_it_was_answered(blob):
    thread = Thread().user("Show me the chart of the sales.").calls("render", blob)
    assert look(thread).drift.noise == 0
    assert noisy(thread.says("Here it is: sales rise."), blob[:70]) > 0.9


@pytest.mark.parametrize(
    ("about", "other", "wish"),
    [
        (
            "京都の旅館の料金は一泊二万円で、朝食と夕食が付いています。",
            "北の海は風が強く、波も高いでしょう。雨は週末まで続きます。",
            "京都の旅館の料金は一泊いくらですか。朝食は付いていますか。",
        ),
        (
            "去北京的火车票每张五百元,早上八点从南站出发。",
            "北部海域有大风,浪很高,雨会一直下到周末。",
            "去北京的火车票多少钱?早上几点从南站出发?",
        ),
        (
            "def charge(order):\n    total = order.net + order.tax\n    return total\n",
            "SELECT region, wind FROM weather WHERE island AND gale\n",
            "Why does charge(order) return the wrong total of net and tax?",
        ),
    ],
)
def test_other_languages_and_code(about, other, wish):
    thread = Thread().user("...").calls("read", about * 5).says("?").user("...").calls("read", other * 5).says("!")
    thread.steps(3).user(wish).says("...")
    assert noisy(thread, about) == 0.0
    assert noisy(thread, other) == 1.0


def test_what_a_user_said_for_good_and_what_is_pinned_is_none():
    wish = "From now on write the amounts in Swiss francs."
    thread = Thread().user("Hello.").says("Hello.").user(wish).says("I will.").user(REPORT).says(REPORT[:100])
    assert noisy(thread, REPORT) == 0.0, "said lately"
    for number in range(5):
        thread.user(f"Please book me a seat on train number {number} to Vienna, by a window.").calls(
            "book", f"booked {number}"
        ).says("Done.")
    assert noisy(thread, wish) == 0.0
    assert noisy(thread, REPORT) == 1.0
    assert looked(thread.history, tokens_of=tokens, pins=("northern islands",)).noise.get((4, 0), 0.0) == 0.0


def test_spots_say_where_the_noise_stands():
    found = look(booking())
    assert sum(found.noise.values()) == pytest.approx(found.drift.noise, abs=0.5)
    assert sum(spot.tokens for spot in found.spots) == pytest.approx(sum(found.noise.values()))
    pieces = booking().history.by_place
    for place, start, count in found.spots:
        assert 0 <= start < start + count <= tokens(pieces[place]) + 0.001


def test_a_text_is_cut_into_parts_that_make_it_up_again():
    for text in ("", "a", BLOB * 20, source("f", 2_000), flights(1, 400), "\ud800 \r\n" * 3_000, "猫。" * 9_000):
        parts = cuts(text)
        assert "".join(part.text for part in parts) == text
        assert len(parts) <= 66


def test_a_huge_part_is_nothing_special():
    thread = booking("\n".join(f"gale {number} over the islands" for number in range(5_000)))
    assert noisy(thread, "gale 4999") == 1.0


def working(*done):
    thread = Thread().user("Translate the novel into Spanish, chapter by chapter, and keep the names of the villages.")
    for number, text in enumerate(done):
        thread.calls("write", f"saved {number}", text=text)
    return thread


SCENES = ["a storm over the harbour", "the wedding of Inés", "how the mill burnt", "a letter", "two thieves", "winter"]
CHAPTERS = [f"Chapter of the novel in Spanish, {scene}: the villages keep their names." for scene in SCENES]
ASTRAY = [f"Compiling kernel module {number} with new flags." for number in range(4)]


def test_the_goal_is_kept_or_lost():
    assert look(working(*CHAPTERS[:5])).drift.goal is None, "too early to say"
    kept = look(working(*CHAPTERS)).drift
    lost = look(working(*CHAPTERS[:3], *ASTRAY)).drift
    assert kept.goal > 0.8
    assert lost.goal < 0.3
    assert kept.score < lost.score


def test_a_user_who_changes_the_subject_is_no_drift_of_the_model():
    thread = working(*CHAPTERS[:3]).user("Now compile the kernel module with the new flags, please. It is called foo.")
    assert look(thread).drift.goal is None, "too early again"
    for number in range(6):
        thread.calls("run", f"built {number}", text=f"Compiling the kernel module foo with new flags, part {number}.")
    assert look(thread).drift.goal > 0.8


def long_thread(wish_at):
    thread = Thread()
    for number in range(40):
        if number == wish_at:
            thread.user("From now on quote the paragraph of the contract.")
        thread.user(f"Look at page {number}.").calls("read", f"{number} " + "lorem ipsum dolor " * 25)
        thread.says("I have read it.")
    return thread


def position(thread, before=0.0):
    return looked(thread.history, tokens_of=lambda piece: 4 * len(piece.text), before=before).drift.position


def test_what_matters_in_the_middle_of_a_very_long_prompt_is_at_risk():
    assert position(long_thread(20)) > 0.4
    assert position(long_thread(1)) == 0.0
    assert position(long_thread(39)) == 0.0
    assert look(long_thread(20), before=1_000.0).drift.position == 0.0, "short"
    assert position(long_thread(30), before=80_000.0) == 0.0, "tools and instruction stand before it"


def test_the_curve_is_what_each_request_comes_to():
    thread = booking()
    for number in range(6):
        thread.user(f"And order TRN{number}?").calls("orders", flights(number), order=f"TRN{number}").says("Yes.")
    history = thread.history
    found = curve(history, tokens_of=tokens)
    assert [end for end, _ in found] == [step for step in history.steps if step]
    for end, one in found:
        assert one == looked(History([piece for piece in history.pieces if piece.message < end], end), tokens_of=tokens)
    few = curve(history, tokens_of=tokens, most=3)
    assert (len(few), few[0], few[-1]) == (3, found[0], found[-1])
    assert curve(history, tokens_of=tokens, most=1) == found[-1:]


def test_the_page_says_how_it_is_made():
    page = (Path(__file__).parents[2] / "docs/explanation/drift.md").read_text(encoding="utf-8")
    formula = next(line for line in page.splitlines() if line.startswith("`score ="))
    assert all(f"{weight} {name}" in formula for name, weight in WEIGHTS.items() if name != "goal")
    assert f"{WEIGHTS['goal']} (1 - goal)" in formula
    assert f"Below {DRIFTING} a conversation is `calm`" in page
    assert f"from {LOST} on `lost`" in page


def test_one_figure_of_all():
    assert score(Drift(0.0, tokens=100, noise=30)) == pytest.approx(0.15)
    assert level_of(score(Drift(0.0, loop=0.75))) == "lost"
    assert level_of(score(Drift(0.0, tokens=100, noise=90))) == "drifting"
    assert level_of(score(Drift(0.0, tokens=100, noise=60))) == "calm"
    assert [level_of(at) for at in (0.0, DRIFTING, LOST, 1.0)] == ["calm", "drifting", "lost", "lost"]
    assert level_of(0.5, drifting=0.1, lost=0.5) == "lost"
