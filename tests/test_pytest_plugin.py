"""The pytest plugin: as users' own test runs see it."""

import json

import pytest

from ctxkit import ConfigurationError
from ctxkit.pytest_plugin import assert_cache_stable, assert_within

pytest_plugins = ["pytester"]

LONG = "Follow the rules of the house. " * 200


def chat(*texts, system=LONG, **more):
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    return {"model": "gpt-4o", "messages": [{"role": "system", "content": system}, *messages], **more}


def stable(*bodies):
    assert_cache_stable(list(bodies), dialect="openai.chat", platform="openai")


def test_a_conversation_that_grows_is_stable():
    stable(chat("Hi"), chat("Hi", "Hello", "And?"), chat("Hi", "Hello", "And?", "Well", "So?"))


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (chat("Hi", "Hello", "And?", system=LONG + "It is 08:15."), r"messages\[0\].content differs: 6,200 characters"),
        (chat("Ho", "Hello", "And?"), r"messages\[1\].content differs: .*'Hi' became 'Ho'"),
        (chat(), "it ends after 1 of 2 blocks"),
        ({**chat("Hi", "Hello", "And?"), "model": "gpt-4.1"}, "another model or platform"),
        (chat("Hi", "Hello", "And?", response_format={"type": "json_object"}), "response_format"),
    ],
    ids=["system", "history", "shorter", "model", "parameters"],
)
def test_what_breaks_the_cache_is_named(second, told):
    with pytest.raises(pytest.fail.Exception, match=told):
        stable(chat("Hi"), second)


def test_an_unknown_dialect_is_a_mistake_of_the_test():
    with pytest.raises(ConfigurationError):
        assert_cache_stable([{}], dialect="nonsense")


def test_budgets_of_plans(ctxkit):
    ctxkit.plan(chat("Hi"), dialect="openai.chat", platform="openai")
    ctxkit.assert_within(tokens=2_000, usd="0.01")
    assert_within(ctxkit.plans, tokens=2_000)
    with pytest.raises(pytest.fail.Exception, match="more than the 10 allowed"):
        ctxkit.assert_within(tokens=10)
    with pytest.raises(pytest.fail.Exception, match=r"more than the \$0.000001 allowed"):
        ctxkit.assert_within(usd=0.000001)


def test_an_unknown_price_is_not_zero(ctxkit):
    ctxkit.plan({**chat("Hi"), "model": "nobody-knows"}, dialect="openai.chat", platform="openai")
    with pytest.raises(pytest.fail.Exception, match="cost cannot be known"):
        ctxkit.assert_within(usd=100)


def test_clients_are_metered_and_what_they_sent_is_asserted(ctxkit, provider):
    openai = pytest.importorskip("openai")
    with ctxkit.wrap(openai.OpenAI(base_url=provider.openai_url, api_key="none"), platform="openai") as client:
        client.chat.completions.create(**chat("Hi"))
        client.chat.completions.create(**chat("Hi", "Hello", "And?"))
    assert len(ctxkit.plans) == len(ctxkit.records) == 2
    ctxkit.assert_cache_stable()
    ctxkit.assert_within(tokens=sum(record.usage.input_total for record in ctxkit.records))


PROMPT = """
def test_prompt(ctxkit):
    ctxkit.plan({{"model": "gpt-4o", "messages": [{{"role": "user", "content": "word " * {words}}}]}},
                dialect="openai.chat", platform="openai")
    ctxkit.assert_budget()
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """One run of a user's tests, with only this plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def ran(words, *arguments):
        pytester.makepyfile(test_prompts=PROMPT.format(words=words))
        return pytester.runpytest_inprocess("-p", "ctxkit.pytest_plugin", *arguments)

    return ran


def test_budgets_are_written_kept_and_broken(run, pytester):
    result = run(100)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no budget of test_prompts.py::test_prompt*--ctxkit-update*"])
    run(100, "--ctxkit-update").assert_outcomes(passed=1)
    snapshot = json.loads((pytester.path / "ctxkit_budgets.json").read_text())
    assert list(snapshot) == ["test_prompts.py::test_prompt"]
    run(100).assert_outcomes(passed=1)
    run(50).assert_outcomes(passed=1)
    run(104).assert_outcomes(passed=1)  # five per cent
    result = run(120)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*+1?.?% on the*5 % are tolerated*"])
    run(120, "-o", "ctxkit_tolerance=30").assert_outcomes(passed=1)
    run(120, "--ctxkit-update").assert_outcomes(passed=1)
    run(120).assert_outcomes(passed=1)


def test_a_broken_snapshot_is_told(run, pytester):
    (pytester.path / "ctxkit_budgets.json").write_text("{")
    result = run(10)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*ctxkit_budgets.json cannot be read*"])
    (pytester.path / "ctxkit_budgets.json").write_text('{"a": "b"}')
    result = run(10)
    result.stdout.fnmatch_lines(["*is no object of tests and tokens*"])


@pytest.mark.slow
def test_the_snapshot_is_sorted_and_shared_by_workers(pytester, monkeypatch):
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    tests = "\n".join(
        f"def test_{number}(ctxkit):\n"
        "    ctxkit.plan({'model': 'gpt-4o', 'messages': []}, dialect='openai.chat', platform='openai')\n"
        "    ctxkit.assert_budget()\n    ctxkit.assert_budget('again')"
        for number in range(12)
    )
    pytester.makepyfile(test_many=tests)
    result = pytester.runpytest_subprocess("-p", "xdist", "-p", "ctxkit.pytest_plugin", "-n", "2", "--ctxkit-update")
    result.assert_outcomes(passed=12)
    names = list(json.loads((pytester.path / "ctxkit_budgets.json").read_text()))
    assert names == sorted(names)
    assert len(names) == 24


def test_runs_that_do_not_use_it_pay_nothing(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_nothing():\n    import sys\n    assert 'ctxkit.kit' not in sys.modules")
    pytester.runpytest_subprocess("-p", "ctxkit.pytest_plugin").assert_outcomes(passed=1)
