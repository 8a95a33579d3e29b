"""Sessions of Codex: usage beside the items, compaction, forks, the form without envelopes."""

import json

import pytest

from ctxkit.replay.readers import read_recordings


def line(kind, second, **payload):
    return {"timestamp": f"2026-10-01T10:00:{second:02}.000Z", "type": kind, "payload": payload}


def said(second, role, text):
    kind = "output_text" if role == "assistant" else "input_text"
    return line("response_item", second, type="message", role=role, content=[{"type": kind, "text": text}])


def called(second, name):
    return line("response_item", second, type="function_call", name="shell", arguments="{}", call_id=name)


def returned(second, name, output):
    return line("response_item", second, type="function_call_output", call_id=name, output=output)


def figures(given, cached, output):
    return {
        "input_tokens": given,
        "cached_input_tokens": cached,
        "output_tokens": output,
        "reasoning_output_tokens": 5,
        "total_tokens": given + output,
    }


def counted(second, total, last=None):
    info = {"total_token_usage": total, "model_context_window": 272_000}
    info |= {"last_token_usage": last} if last else {}
    return line("event_msg", second, type="token_count", info=info, rate_limits={"primary": {"used_percent": 1.0}})


REASONING = line("response_item", 2, type="reasoning", summary=[], encrypted_content="gAAAA")
LINES = [
    line(
        "session_meta",
        0,
        id="0199-a",
        cwd="/app",
        cli_version="0.50.0",
        instructions="Be brief.",
        model_provider="openai",
    ),
    said(0, "user", "<environment_context><cwd>/app</cwd></environment_context>"),
    said(1, "user", "Where is it?"),
    line("event_msg", 1, type="user_message", message="Where is it?"),
    line("turn_context", 1, cwd="/app", model="gpt-5-codex", effort="medium"),
    line("event_msg", 1, type="token_count", info=None, rate_limits={}),
    REASONING,
    called(3, "c1"),
    counted(3, figures(5000, 4096, 60), figures(5000, 4096, 60)),
    returned(4, "c1", "a.py"),
    said(6, "assistant", "In a.py."),
    counted(6, figures(10_200, 9088, 80), figures(5200, 4992, 20)),
    counted(7, figures(10_200, 9088, 80), figures(5200, 4992, 20)),
]


@pytest.fixture
def write(tmp_path):
    def written(*lines, name="rollout-2026-10-01T10-00-00-0199-a.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        return path

    return written


def kinds(body):
    return [one.get("role") or one["type"] for one in body["input"]]


def test_items_up_to_an_answer_are_its_prompt_and_counts_are_its_usage(write):
    [session] = read_recordings(write(*LINES))
    assert (session.name, session.dialect, session.platform) == ("0199-a", "openai.responses", "openai")
    assert (session.format, session.partial) == ("codex", True)
    first, second = session.requests
    assert kinds(first.body) == ["user", "user"]
    assert kinds(second.body) == ["user", "user", "reasoning", "function_call", "function_call_output"]
    assert (first.body["model"], first.body["instructions"]) == ("gpt-5-codex", "Be brief.")
    assert (first.usage.fresh, first.usage.read, first.usage.output, first.usage.reasoning) == (904, 4096, 60, 5)
    assert (second.usage.fresh, second.usage.read, second.usage.output) == (208, 4992, 20)
    assert [one["type"] for one in first.answer] == ["reasoning", "function_call"]
    assert second.at - first.at == 3


def test_totals_alone_are_taken_apart(write):
    lines = [{**one, "payload": {**one["payload"]}} for one in LINES]
    for one in lines:
        if one["payload"].get("info"):
            one["payload"]["info"] = {"total_token_usage": one["payload"]["info"]["total_token_usage"]}
    [session] = read_recordings(write(*lines))
    assert [one.usage.input_total for one in session.requests] == [5000, 5200]


def test_calls_whose_results_come_in_between_are_one_answer(write):
    lines = [*LINES, said(10, "user", "More"), called(11, "c2"), returned(12, "c2", "x"), called(12, "c3")]
    [session] = read_recordings(
        write(*lines, returned(13, "c3", "y"), counted(13, figures(16_000, 14_000, 90), figures(5800, 4992, 10)))
    )
    assert len(session.requests) == 3
    assert session.requests[2].usage.output == 10


def test_compaction_begins_the_history_anew(write):
    kept = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "So far: ..."}]}]
    told = line("compacted", 10, message="So far", replacement_history=kept)
    [session] = read_recordings(write(*LINES, told, said(11, "user", "Go on"), said(12, "assistant", "On.")))
    assert session.requests[2].body["input"][0] == kept[0]
    assert len(session.requests[2].body["input"]) == 2
    [older] = read_recordings(
        write(*LINES, line("compacted", 10, message="So far"), said(11, "user", "Go on"), said(12, "assistant", "On."))
    )
    assert older.requests[2].body["input"][0]["content"][0]["text"] == "So far"


def test_turns_that_are_taken_back_are_not_sent_again(write):
    back = line("event_msg", 10, type="thread_rolled_back", num_turns=1)
    [session] = read_recordings(write(*LINES, back, said(11, "user", "What is it?"), said(12, "assistant", "A file.")))
    assert [one["content"][0]["text"] for one in session.requests[2].body["input"][1:]] == ["What is it?"]


def test_a_fork_repeats_its_parent_and_is_read_once(write):
    seen = set()
    first, fork = (
        write(*LINES),
        write(*LINES, said(20, "user", "And b?"), said(21, "assistant", "No."), name="rollout-b.jsonl"),
    )
    assert [len(one.requests) for path in (first, fork) for one in read_recordings(path, seen=seen)] == [2, 1]


def test_sessions_without_envelopes(write):
    head = {"id": "old", "timestamp": "2025-06-01T10:00:00Z", "instructions": "Be brief.", "git": {}}
    items = [one["payload"] for one in LINES if one["type"] == "response_item"]
    [session] = read_recordings(write(head, *items, {"record_type": "state"}), model="codex-mini-latest")
    assert [len(one.body["input"]) for one in session.requests] == [2, 5]
    assert session.requests[0].usage is None
    assert session.requests[0].body["model"] == "codex-mini-latest"


def test_odd_lines_are_passed_over_or_named(write):
    odd = [
        7,
        line("event_msg", 1, type="token_count", info={"total_token_usage": {"input_tokens": "x"}}),
        line("event_msg", 1, type="token_count", info=[1]),
        line("event_msg", 1, type="thread_rolled_back", num_turns=10**9),
        line("compacted", 1, replacement_history=[3, None]),
        line("response_item", 1, type=["x"], role={}),
        {"type": "response_item", "payload": 3},
        {"type": 3, "payload": {}},
    ]
    complaints = []
    [session] = read_recordings(write(*LINES, *odd), complain=complaints.append)
    assert len(session.requests) == 2
    assert len(complaints) == 1
