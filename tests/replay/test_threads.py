"""Recorded threads: readers, chaining, bodies that only grow."""

import json
import lzma
from itertools import pairwise

import pytest

from ctxkit.errors import TranscriptError
from ctxkit.replay.shapes import anthropic_body, marked, openai_body
from ctxkit.replay.threads import Thread, chained, grouped, read_threads, thread_of

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"id": 7}'}}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where is it?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "name": "find", "content": '{"at": "home"}'},
    {"role": "assistant", "content": "At home."},
]


def written(tmp_path, *records, name="a.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(one) for one in records))
    return path


def test_calls_are_where_the_model_answered():
    assert thread_of(CHAT).calls == (2, 4)


def test_an_answer_to_nothing_but_instructions_is_no_call():
    opened = [CHAT[0], {"role": "assistant", "content": "Hello, how can I help?"}, *CHAT[1:]]
    assert thread_of(opened).calls == (3, 5)


def test_openai_records_keep_what_goes_over_the_wire(tmp_path):
    noisy = [{**one, "agent": "main", "thought": "hm"} for one in CHAT]
    [thread] = read_threads(
        written(tmp_path, {"id": "x", "format": "openai", "messages": noisy, "meta": {"reward": 1.0}})
    )
    assert list(thread.messages) == CHAT
    assert (thread.name, thread.label) == ("x", {"reward": 1.0})


def test_compressed_files_are_read(tmp_path):
    path = tmp_path / "a.jsonl.xz"
    path.write_bytes(lzma.compress(json.dumps({"messages": CHAT}).encode()))
    assert [one.name for one in read_threads(path)] == ["a.jsonl.xz:1"]


@pytest.mark.parametrize("form", [repr, list])
def test_results_of_swe_agent_name_their_calls(form):
    recorded = [
        *CHAT[:2],
        {"role": "assistant", "content": "Looking.", "tool_calls": form([CALL])},
        {"role": "tool", "content": "home", "tool_call_ids": form(["c1"])},
    ]
    messages = thread_of(recorded).messages
    assert messages[2]["tool_calls"] == [CALL]
    assert messages[3]["tool_call_id"] == "c1"


def test_a_line_that_is_no_conversation_is_named_and_the_rest_is_read(tmp_path):
    path = written(tmp_path, {"messages": 3}, {"messages": CHAT})
    told = []
    assert len(list(read_threads(path, complain=told.append))) == 1
    assert "a.jsonl:1" in str(told[0])
    with pytest.raises(TranscriptError, match=r"a\.jsonl:1"):
        list(read_threads(path))


def action(number, call, said, arguments):
    function = {"name": "bash", "arguments": arguments}
    answer = {"content": said, "tool_calls": [{"id": f"raw{number}", "index": 1, "function": function}]}
    about = {"tool_call_id": call, "model_response": {"id": f"gen{number}", "choices": [{"message": answer}]}}
    return {"source": "agent", "action": "run", "tool_call_metadata": about}


def seen(call, text):
    return {"source": "agent", "observation": "run", "content": text, "tool_call_metadata": {"tool_call_id": call}}


def test_openhands_actions_become_calls_and_observations_their_results():
    tool = {"type": "function", "function": {"name": "bash"}}
    events = [
        {"action": "system", "args": {"content": "You fix bugs.", "tools": [tool]}},
        {"source": "user", "action": "message", "args": {"content": "Fix it."}},
        {"source": "environment", "observation": "recall", "content": "Added context"},
        action(1, "t1", "I look.", '{"command": "ls"}'),
        seen("t1", "a.py"),
        action(2, "t2", "I stop.", "{}"),
    ]
    thread = thread_of(events)
    assert [one["role"] for one in thread.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert thread.messages[2]["tool_calls"][0]["id"] == "t1"
    assert "tool_calls" not in thread.messages[4]  # its result was never seen
    assert thread.tools == (tool,)


def test_openhands_without_tool_calls_is_text():
    events = [
        {"action": "message", "content": "Fix it."},
        {"action": "run", "command": "ls", "thought": "I look."},
        {"observation": "run", "content": "a.py"},
        {"action": "finish"},
    ]
    told = [(one["role"], one["content"]) for one in thread_of(events).messages]
    assert told[1] == ("assistant", "I look.\n<execute_bash>\nls\n</execute_bash>")
    assert told[2] == ("user", "a.py")


AIDER = """
# aider chat started at 2024-05-21 16:25:44

> Aider v0.35~~
> 341 prompt tokens, 10 completion tokens~~

#### Rename it~~
#### please~~

Here it is.

<<<<<<< SEARCH
a
>>>>>>> REPLACE

> 341 prompt tokens, 101 completion tokens, $0.1 cost~~
> Applied edit to a.py~~

#### Thanks~~

# aider chat started at 2024-05-22 16:25:44

> nothing came of it~~
""".replace("~~", "  ")  # aider ends its lines with two blanks


def test_aider_sessions_are_told_apart_by_who_speaks(tmp_path):
    [thread] = read_threads(written(tmp_path, {"id": "r", "format": "aider-markdown", "text": AIDER}))
    assert [(one["role"], one["content"]) for one in thread.messages] == [
        ("user", "Aider v0.35\n\nRename it\nplease"),
        ("assistant", "Here it is.\n\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE"),
        ("user", "Applied edit to a.py\n\nThanks"),
    ]


def test_chained_threads_have_one_opening_instruction():
    one, two = thread_of(CHAT, "a"), thread_of([{"role": "system", "content": "Other."}, *CHAT[1:]], "b")
    both = chained([one, two])
    assert list(both.messages) == [*CHAT, *CHAT[1:]]
    assert len(both.calls) == 4
    assert [len(found.calls) for found in grouped([one, two, one], 2)] == [4]


def test_anthropic_bodies_hold_calls_results_and_instructions_where_they_belong():
    body = anthropic_body("claude", CHAT, [{"type": "function", "function": {"name": "find", "parameters": {}}}])
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["tools"][0]["name"] == "find"
    assert body["messages"][1]["content"] == [{"type": "tool_use", "id": "c1", "name": "find", "input": {"id": 7}}]
    assert body["messages"][2]["content"][0]["tool_use_id"] == "c1"


def test_results_of_one_answer_are_one_message():
    second = {**CALL, "id": "c2"}
    messages = [
        CHAT[1],
        {"role": "assistant", "content": None, "tool_calls": [CALL, second]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "user", "content": "And?"},
    ]
    said = anthropic_body("claude", messages)["messages"]
    assert [one["role"] for one in said] == ["user", "assistant", "user", "user"]
    assert len(said[2]["content"]) == 2


@pytest.mark.parametrize("shape", [anthropic_body, openai_body])
def test_every_prompt_continues_the_one_before(shape):
    thread = Thread("t", tuple(thread_of([*CHAT, *CHAT[1:]]).messages))
    bodies = [shape("m", thread.messages[:index])["messages"] for index in thread.calls]
    assert all(later[: len(one)] == one for one, later in pairwise(bodies))


def test_markers_stand_behind_the_instruction_and_at_the_tail_and_nothing_else_changes():
    body = anthropic_body("claude", CHAT)
    found = marked(body, "anthropic.messages")
    assert found["system"][-1].pop("cache_control") == {"type": "ephemeral"}
    assert found["messages"][-1]["content"][-1].pop("cache_control") == {"type": "ephemeral"}
    assert found == body == anthropic_body("claude", CHAT)
    assert marked(openai_body("gpt", CHAT), "openai.chat") == openai_body("gpt", CHAT)
