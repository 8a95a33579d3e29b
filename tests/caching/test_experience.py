"""What settlements teach about reads."""

import json

from ctxkit.caching.experience import Experience, Known

RULE, MODEL = "openai.pre_5_5", "gpt-5-mini"


def known(prompt, *, answer=0.0, again=None, step=128, most=100_000):
    return Known(int(prompt // step * step), prompt, answer, again, step, most)


def taught(reads, **more):
    experience = Experience()
    for number, read in enumerate(reads):
        experience.note(RULE, MODEL, known(2_000 + 100 * number, **more), read)
    return experience


def test_nothing_settled_is_the_rule_alone():
    experience = Experience()
    assert experience.tokens(RULE, MODEL, known(2_000)) == 1_920
    assert experience.probability(RULE, MODEL) is None
    assert experience.least(RULE, MODEL) is None


def test_what_is_usually_missing_is_taken_off():
    short = [(2_000 + 100 * number - 300) // 128 * 128 for number in range(12)]
    experience = taught(short)
    assert experience.tokens(RULE, MODEL, known(4_000)) == (4_000 - 300) // 128 * 128


def test_a_figure_that_is_reported_again_is_expected_again():
    experience = taught([1_000] * 8, again=1_000, step=1)
    assert experience.tokens(RULE, MODEL, known(5_000, again=1_000, step=1)) == 1_000


def test_answers_that_are_kept_are_counted():
    reads = [2_000 + 100 * number + 500 for number in range(8)]
    experience = taught(reads, answer=500.0, step=1)
    assert experience.tokens(RULE, MODEL, known(3_000, answer=400.0, step=1)) == 3_400


def test_no_more_than_the_prompt_is_expected():
    reads = [2_000 + 100 * number + 500 for number in range(8)]
    experience = taught(reads, answer=500.0, step=1)
    assert experience.tokens(RULE, MODEL, known(3_000, answer=400.0, step=1, most=3_100)) == 3_100


def test_probability_counts_what_was_expected():
    experience = taught([1_920, 0, 0, 1_920])
    assert experience.probability(RULE, MODEL) == 0.5
    experience.note(RULE, MODEL, None, 0)  # nothing was expected: nothing came true or false
    assert experience.probability(RULE, MODEL) == 0.5


def test_a_rule_whose_reads_never_come_is_doubted():
    assert not taught([0] * 29).doubted(RULE, MODEL)
    assert taught([0] * 30).doubted(RULE, MODEL)
    assert not taught([0] * 26 + [1_920] * 4).doubted(RULE, MODEL)


def test_the_least_read_is_remembered():
    experience = taught([512, 128, 256])
    assert experience.least(RULE, MODEL) == 128


def test_models_are_kept_apart_and_bounded():
    experience = Experience(size=10)
    for number in range(50):
        experience.note(RULE, f"model-{number}", known(2_000), 1_920)
    assert experience.least(RULE, "model-0") is None
    assert experience.least(RULE, "model-49") == 1_920
    assert len(json.loads(experience.dump())) == 10


def test_a_dump_brings_everything_back():
    experience = taught([1_000, 0, 1_000, 1_000], again=1_000, step=1)
    again = Experience(experience.dump())
    assert again.dump() == experience.dump()
    one = known(5_000, again=1_000, step=1)
    assert again.tokens(RULE, MODEL, one) == experience.tokens(RULE, MODEL, one)


INFINITE = b'[["a","b",{"errors":{},"shortfalls":{},"came":[],"least":1,"reads":[Infinity]}]]'


def test_a_broken_dump_is_as_good_as_none():
    for broken in (b"", b"{", b"[1]", b'[["a","b",{}]]', b"\xff", b'{"a":1}', INFINITE, b"[" * 100_000):
        assert Experience(broken).dump() == b"[]"
