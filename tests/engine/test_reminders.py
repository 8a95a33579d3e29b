"""What is restated at the end of a prompt against a real engine (vLLM): it costs its own tokens and no cached prefix. See test_engine.py."""

import os
import random

import pytest

from ctxkit import Kit, Policy
from ctxkit.tidiness import Tidy
from tests.engine.test_engine import ENGINE, model  # noqa: F401 - a fixture
from tests.engine.test_forecast import words
from tests.engine.test_tidied import post

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ENGINE, reason="no engine: set CTXKIT_ENGINE_URL to the URL of a vLLM server"),
]
RULE = "From now on, always give distances in kilometres."
OFF = dict.fromkeys(("compact", "repeats", "deltas", "stale", "spent", "episodes"), False)
BLOCK = 128  # tokens of a block of that engine


def conversation(model, wanted, seed):  # noqa: F811 - the fixture
    """Plans and usages of a conversation that goes on, with what holds for good restated or not."""
    chance, tidy = random.Random(seed), Tidy(reminders=wanted, reminders_from=1_000, **OFF)
    kit = Kit(Policy(mode="prune", tidy=tidy), strict=True)
    messages, found = [{"role": "user", "content": f"{os.urandom(8).hex()} {words(chance, 200)}"}], []
    for number in range(8):
        said = words(chance, 120) if number != 1 else f"{RULE} {words(chance, 20)}"
        messages += [{"role": "assistant", "content": words(chance, 60)}, {"role": "user", "content": said}]
        body = {"model": model, "max_tokens": 4, "messages": messages}
        plan = kit.plan(body, dialect="openai.chat", platform="vllm")
        found.append((plan, kit.settle(plan, post(plan.body, "openai.chat")).usage))
    kit.close()
    return found


def test_the_engine_reads_as_much_as_without(model):  # noqa: F811 - the fixture
    seed = os.urandom(8)
    with_it, without = conversation(model, True, seed), conversation(model, False, seed)
    reminded = [any(edit.by == "reminders" for edit in plan.edits) for plan, _ in with_it]
    assert sum(reminded) >= 3
    for one, (plan, usage), (_, plain) in zip(reminded, with_it, without, strict=True):
        assert abs((usage.read or 0) - (plain.read or 0)) <= BLOCK  # each conversation begins with another word
        assert (usage.input_total > plain.input_total + 10) == one
        assert plan.body["messages"][-1]["content"].count(RULE) <= 1
