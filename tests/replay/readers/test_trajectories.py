"""Runs of agents, as benchmarks and agents publish them."""

import json

import pytest

from ctxkit.replay.readers import read_recordings
from tests.replay.readers.samples import ABOUT, ASK, CALL, FILES, SAID, TURNS, event

AIDER = """
# aider chat started at 2026-05-21 16:25:44

> Aider v0.35
> 341 prompt tokens, 10 completion tokens

#### Rename it

Done.

# aider chat started at 2026-05-22 16:25:44

#### And that

Done, too.

#### Thanks

Welcome.
"""


@pytest.fixture
def read(tmp_path):
    def recordings(value, name="a.json", **options):
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return list(read_recordings(path, **options))

    return recordings


def test_results_of_tau_bench(read):
    found = read([{"task_id": number, "trial": 1, "reward": 1.0, "traj": TURNS} for number in (0, 1)])
    assert [(one.name, one.format, len(one.requests)) for one in found] == [
        ("a.json#1:0-1", "tau-bench", 2),
        ("a.json#2:1-1", "tau-bench", 2),
    ]
    assert found[0].requests[1].body["messages"] == TURNS[:4]
    assert found[0].requests[1].answer == SAID


def test_simulations_of_its_successor(read):
    [found] = read(FILES["tau2-bench"][0])
    assert (found.format, found.partial) == ("tau2-bench", True)
    assert [len(one.body["messages"]) for one in found.requests] == [2, 4]
    assert [one.usage.fresh for one in found.requests] == [900, 950]
    assert found.requests[1].body["messages"][3] == {"role": "tool", "tool_call_id": "c1", "content": "home"}
    assert found.requests[1].body["model"] == "gpt-4.1"


def test_trajectories_of_swe_agent(read):
    history = [
        {**TURNS[0], "agent": "main"},
        ASK,
        {**TURNS[2], "tool_calls": repr([CALL]), "thought": "hm"},
        {"role": "tool", "content": "home", "tool_call_ids": repr([CALL["id"]])},
        SAID,
    ]
    config = json.dumps({"agent": {"model": {"name": "anthropic/claude-sonnet-4"}}})
    [found] = read(
        {"environment": "x", "trajectory": [], "history": history, "info": {}, "replay_config": config}, "a.traj"
    )
    assert (found.format, found.platform, len(found.requests)) == ("swe-agent", "anthropic", 2)
    assert found.requests[1].body["model"] == "claude-sonnet-4"
    assert found.requests[1].body["messages"] == [TURNS[0], ASK, TURNS[2], TURNS[3]]


def test_lines_of_openhands_with_the_usage_of_their_answers(read):
    [found] = read(json.dumps(FILES["openhands"][0]), "output.jsonl")
    assert (found.name, found.format) == ("i", "openhands")
    assert [len(one.body["messages"]) for one in found.requests] == [2, 4, 5]
    assert found.requests[0].body["tools"]


def test_events_of_openhands_are_one_run(read):
    events = FILES["openhands"][0]["history"][:4]
    for value in (events, [json.dumps(one) for one in events]):
        text = value if value is events else "\n".join(value)
        [found] = read(text, "a.jsonl" if value is not events else "a.json")
        [asked] = found.requests
        assert (asked.body["model"], found.platform) == ("claude-sonnet-4", "anthropic")
        assert (asked.usage.fresh, asked.usage.read, asked.usage.output) == (8, 4, 3)


def test_runs_in_pairs_of_action_and_observation(read):
    events = FILES["openhands"][0]["history"][:4]
    [found] = read({"instance_id": "i", "history": [events[:2], events[2:]]})
    assert len(found.requests) == 1


def test_the_history_of_aider(read):
    found = read(AIDER, ".aider.chat.history.md")
    assert [(one.format, len(one.requests)) for one in found] == [("aider", 1), ("aider", 2)]
    assert found[1].requests[1].body["messages"][0]["content"] == "And that"
    assert len({one.name for one in found}) == 2


def test_a_model_that_is_named_is_used_and_runs_without_answers_are_left_out(read):
    found = read([{"task_id": 0, "traj": TURNS}, {"task_id": 1, "traj": [ASK]}], model="gpt-5", platform="azure")
    assert [(one.platform, one.requests[0].body["model"]) for one in found] == [("azure", "gpt-5")]


def test_an_action_alone_is_no_run(read):
    assert read([event(action="run", tool_call_metadata={**ABOUT, "tool_call_id": "other"})]) == []


@pytest.mark.parametrize("kind", ["threads"])
def test_published_threads_are_read(recorded, kind):
    complaints, counts = [], {}
    for path in sorted((recorded / kind).glob("*.jsonl.xz")):
        found = list(read_recordings(path, complain=complaints.append))
        counts[path.name.partition(".")[0]] = (len(found), sum(len(one.requests) for one in found))
    assert complaints == []
    assert all(threads and requests > threads for threads, requests in counts.values())


@pytest.mark.slow
def test_recorded_requests_are_read_with_their_usage(recorded):
    complaints = []
    found = list(read_recordings(recorded / "exchanges" / "requests.jsonl.xz", complain=complaints.append))
    asked = [one for recording in found for one in recording.requests]
    assert len(asked) > 100 * len(complaints)
    assert sum(one.usage is not None for one in asked) > 0.98 * len(asked)
    assert sum(len(one.requests) > 1 for one in found) > 1000
