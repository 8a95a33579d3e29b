"""Sessions of Claude Code: answers over several lines, sub-agents, compaction, what is repeated elsewhere."""

import json

import pytest

from ctxkit.replay.readers import read_recordings

SESSION = "5f1c2f0e-0000-4000-8000-000000000001"


def line(kind, uuid, parent, second, message=None, **more):
    beside = {"parentUuid": parent, "isSidechain": False, "userType": "external", "cwd": "/app", "version": "2.1.39"}
    told = {"sessionId": SESSION, "type": kind, "uuid": uuid, "timestamp": f"2026-10-01T10:00:{second:02}.000Z"}
    return {**beside, **told, **({"message": message} if message else {}), **more}


def asked(uuid, parent, second, content, **more):
    return line("user", uuid, parent, second, {"role": "user", "content": content}, **more)


def answered(uuid, parent, second, answer, block, output, **more):
    usage = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 300,
        "cache_read_input_tokens": 12_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300},
        "output_tokens": output,
        "service_tier": "standard",
    }
    message = {"id": answer, "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929"}
    said = {**message, "content": [block], "usage": usage, "stop_reason": None}
    return line("assistant", uuid, parent, second, said, requestId=f"req_{answer}", **more)


def text(said):
    return {"type": "text", "text": said}


def use(name, path):
    return {"type": "tool_use", "id": name, "name": "Read", "input": {"file_path": path}}


def result(name, said):
    return [{"type": "tool_result", "tool_use_id": name, "content": said}]


LINES = [
    {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}, "isSnapshotUpdate": False},
    asked("u1", None, 0, "Where is it?"),
    line("attachment", "x1", "u1", 0, attachment={"type": "todo", "content": []}),
    answered("a1", "x1", 4, "msg_01", text("I look."), 3),
    answered("a2", "a1", 5, "msg_01", use("t1", "/app/a.py"), 3),
    asked("u2", "a2", 6, result("t1", "a = 1")),
    answered("a3", "a2", 6, "msg_01", use("t2", "/app/b.py"), 90),
    asked("u3", "a3", 7, result("t2", "b = 2"), toolUseResult={"file": {"content": "b = 2"}}),
    answered("a4", "u3", 12, "msg_02", text("In b.py."), 20),
]


@pytest.fixture
def write(tmp_path):
    def written(*lines, name=f"{SESSION}.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        return path

    return written


def told(body):
    return [(one["role"], [block["type"] for block in listed(one["content"])]) for one in body["messages"]]


def listed(content):
    return [text(content)] if isinstance(content, str) else content


def test_an_answer_over_several_lines_is_one_and_its_usage_counts_once(write):
    [session] = read_recordings(write(*LINES))
    assert (session.name, session.format, session.platform) == (SESSION, "claude-code", "anthropic")
    assert (session.feature, session.partial, session.dialect) == ("claude-code", True, "anthropic.messages")
    first, _ = session.requests
    assert told(first.body) == [("user", ["text"])]
    assert first.body["model"] == "claude-sonnet-4-5-20250929"
    assert first.usage.output == 90
    assert (first.usage.fresh, first.usage.read, first.usage.written) == (4, 12_000, {"1h": 300})
    assert [block["type"] for block in first.answer["content"]] == ["text", "tool_use", "tool_use"]
    assert first.source.endswith(".jsonl:4")


def test_results_that_stand_inside_the_answer_follow_it_in_one_message(write):
    [session] = read_recordings(write(*LINES))
    assert told(session.requests[1].body) == [
        ("user", ["text"]),
        ("assistant", ["text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result"]),
    ]


def test_a_request_was_sent_when_the_last_message_of_its_prompt_was_written(write):
    [session] = read_recordings(write(*LINES))
    first, second = session.requests
    assert second.at - first.at == 7


def test_messages_are_shared_between_bodies(write):
    [session] = read_recordings(write(*LINES))
    first, second = session.requests
    assert first.body["messages"][0] is second.body["messages"][0]
    assert session.requests[1:][0].body == second.body


def test_what_a_resumed_session_repeats_is_read_once(write):
    first = write(*LINES)
    more = [asked("u4", "a4", 30, "Thanks"), answered("a5", "u4", 31, "msg_03", text("Welcome."), 5)]
    copied = [{**one, "sessionId": "other"} for one in LINES]
    second = write(*copied, *more, name="other.jsonl")
    seen = set()
    counts = [len(one.requests) for path in (first, second) for one in read_recordings(path, seen=seen)]
    assert counts == [2, 1]
    [resumed] = read_recordings(second)
    assert len(resumed.requests) == 3
    assert len(resumed.requests[2].body["messages"]) == 5
    assert len({one.key for one in resumed.requests}) == 3


def test_agents_are_conversations_of_their_own(write):
    side = {"isSidechain": True}
    inside = [
        asked("s1", None, 1, "Explore.", **side),
        answered("s2", "s1", 2, "msg_11", text("Found."), 7, **side),
        asked("z1", None, 1, "Plan.", **side, agentId="a7f"),
        answered("z2", "z1", 2, "msg_12", text("Planned."), 7, **side, agentId="a7f"),
        asked("s3", "s2", 3, "More.", **side),
        answered("s4", "s3", 4, "msg_13", text("Done."), 7, **side),
    ]
    found = list(read_recordings(write(*LINES[:4], *inside, *LINES[4:])))
    assert [(one.name.partition("/")[2], len(one.requests)) for one in found] == [("", 2), ("s1", 2), ("a7f", 1)]
    assert [one.feature for one in found] == ["claude-code", "claude-code/agent", "claude-code/agent"]
    assert len(found[1].requests[1].body["messages"]) == 3


def test_compaction_begins_the_history_anew(write):
    compacted = [
        line("system", "c1", None, 20, subtype="compact_boundary", compactMetadata={"trigger": "auto"}),
        asked("c2", "c1", 20, "The session so far: ...", isCompactSummary=True, isVisibleInTranscriptOnly=True),
        asked("c3", "c2", 21, "Go on."),
        answered("a9", "c3", 22, "msg_09", text("On."), 5),
    ]
    [session] = read_recordings(write(*LINES, *compacted))
    assert told(session.requests[2].body) == [("user", ["text", "text"])]


def test_an_answer_from_before_the_compaction_was_asked_with_the_whole_history(write):
    compacted = [
        line("system", "c1", None, 20, subtype="compact_boundary"),
        asked("c2", "c1", 20, "The session so far: ...", isCompactSummary=True),
        answered("a8", "c2", 15, "msg_08", text("Kept."), 5),
        asked("c3", "a8", 21, "Go on."),
        answered("a9", "c3", 22, "msg_09", text("On."), 5),
    ]
    [session] = read_recordings(write(*LINES, *compacted))
    assert [len(one.body["messages"]) for one in session.requests] == [1, 3, 4, 3]


def test_a_prompt_whose_parent_is_older_goes_back_to_there(write):
    again = [asked("r1", "a4", 30, "And c?"), answered("r2", "r1", 31, "msg_21", text("No c."), 5)]
    instead = [asked("r3", "a4", 40, "And d?"), answered("r4", "r3", 41, "msg_22", text("No d."), 5)]
    [session] = read_recordings(write(*LINES, *again, *instead))
    bodies = [one.body["messages"] for one in session.requests]
    assert [len(one) for one in bodies] == [1, 3, 5, 5]
    assert bodies[3][:4] == bodies[2][:4]
    assert bodies[3][4]["content"] == "And d?"


def test_failures_of_the_api_were_never_sent(write):
    message = {"id": "m", "model": "<synthetic>", "role": "assistant", "content": [text("API Error: 529")]}
    failed = line("assistant", "f1", "a4", 20, message, isApiErrorMessage=True)
    [session] = read_recordings(write(*LINES, failed, asked("u9", "f1", 30, "Again")))
    assert len(session.requests) == 2


def test_the_id_of_an_answer_tells_who_served_it(write):
    [session] = read_recordings(write(LINES[1], answered("a1", "u1", 4, "msg_bdrk_01", text("Here."), 3)))
    assert session.platform == "bedrock"


def test_odd_lines_are_named_and_the_rest_is_read(write):
    odd = [
        [1],
        line("user", "o1", None, 1, {"role": "user"}),
        line("assistant", "o2", None, 1, {"role": "assistant", "content": 5}),
        line("user", ["o3"], {"a": 1}, 1, {"role": 7, "content": [3, None]}),
        {"type": "user", "message": "x", "uuid": "o4"},
    ]
    complaints = []
    [session] = read_recordings(write(*LINES, *odd), complain=complaints.append)
    assert len(session.requests) == 2
    assert [str(one).rpartition("jsonl:")[2].partition(":")[0] for one in complaints] == ["10", "11", "12", "14"]
