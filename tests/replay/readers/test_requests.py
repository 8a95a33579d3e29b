"""Request bodies and transcripts: how they are told apart, what stands around them, how they become conversations."""

import gzip
import json
import lzma

import pytest

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers import files_of, read_recordings
from ctxkit.replay.readers.bodies import Body
from ctxkit.replay.readers.grouping import Groups

HELLO = {"role": "user", "content": "Where is it?"}
CALL = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "find", "arguments": "{}"}}
TURNS = [
    {"role": "system", "content": "Be brief."},
    HELLO,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "home"},
    {"role": "assistant", "content": "At home."},
    {"role": "user", "content": "Sure?"},
]


def body(*messages, **more):
    return {"model": "gpt-5", "messages": list(messages), **more}


@pytest.fixture
def read(tmp_path):
    def recordings(*values, name="a.jsonl", complain=None, **options):
        path = tmp_path / name
        text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in values)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return list(read_recordings(path, complain=complain, **options))

    return recordings


def shape(found):
    return [[len(one.body["messages"]) for one in recording.requests] for recording in found]


def test_requests_that_continue_one_another_are_a_conversation(read):
    found = read(body(*TURNS[:2]), body({"role": "user", "content": "Other"}), body(*TURNS[:4]), body(*TURNS))
    assert shape(found) == [[2, 4, 6], [1]]
    assert [one.source.rpartition(":")[2] for one in found[0].requests] == ["1", "3", "4"]
    assert found[0].name == "a.jsonl:1"
    assert (found[0].format, found[0].dialect, found[0].platform) == ("requests", "openai.chat", "openai")


def test_equal_messages_are_held_once(read):
    [found] = read(body(*TURNS[:2]), body(*TURNS[:4]), body(*TURNS))
    first, *_, last = found.requests
    assert all(one is two for one, two in zip(first.body["messages"], last.body["messages"], strict=False))


def test_the_same_prompt_once_more_is_another_conversation_unless_it_was_refused(read):
    assert shape(read(body(HELLO), body(HELLO))) == [[1], [1]]
    assert shape(read({"request": body(HELLO), "status": 429}, {"request": body(HELLO), "status": 200})) == [[1, 1]]


def test_a_prompt_that_drifts_is_still_its_conversation(read):
    drifted = [{"role": "system", "content": "Be brief. It is 10:01."}, *TURNS[1:]]
    assert shape(read(body(*TURNS[:4]), body(*drifted))) == [[4, 6]]


def test_a_window_that_slides_is_still_its_conversation(read):
    assert shape(read(body(*TURNS[:4]), body(TURNS[0], *TURNS[2:]))) == [[4, 5]]


def test_short_answers_alone_make_no_conversation(read):
    yes = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
    ]
    other = [{"role": "user", "content": "Three?"}, *yes[1:]]
    assert shape(read(body(*yes), body(*other))) == [[3], [3]]


def test_the_answer_that_is_recorded_tells_what_continues_it(read):
    def answered(words):
        return {"choices": [{"message": {"role": "assistant", "content": words}}]}

    pair = [{"request": body(HELLO), "response": answered(words)} for words in ("Here.", "There.")]
    more = [body(HELLO, {"role": "assistant", "content": words}, HELLO) for words in ("Here.", "There.")]
    found = read(*pair, *more)
    assert [[one.source[-1] for one in recording.requests] for recording in found] == [["1", "3"], ["2", "4"]]


def test_cache_markers_that_move_change_nothing(read):
    def claude(*texts, marked):
        mark = {"cache_control": {"type": "ephemeral"}}
        blocks = [{"type": "text", "text": one, **(mark if at == marked else {})} for at, one in enumerate(texts)]
        messages = [{"role": "user" if not at % 2 else "assistant", "content": [one]} for at, one in enumerate(blocks)]
        return {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages}

    [found] = read(claude("Hi", marked=0), claude("Hi", "Yo", "Well?", marked=2))
    assert found.dialect == "anthropic.messages"
    assert "cache_control" in found.requests[0].body["messages"][0]["content"][0]
    assert "cache_control" not in found.requests[1].body["messages"][0]["content"][0]


def test_what_stands_around_a_body_is_taken(read):
    usage = {
        "prompt_tokens": 1200,
        "completion_tokens": 9,
        "total_tokens": 1209,
        "prompt_tokens_details": {"cached_tokens": 1024},
    }
    around = {
        "created": "2026-10-01T10:00:00Z",
        "usage": usage,
        "platform": "azure",
        "status": 200,
        "feature": "chat/title",
    }
    [found] = read({"request": {"messages": [HELLO]}, "model": "gpt-5-mini", **around})
    [asked] = found.requests
    assert (found.platform, found.feature, asked.model, asked.status) == ("azure", "chat/title", "gpt-5-mini", 200)
    assert (asked.at, asked.usage.fresh, asked.usage.read, asked.usage.output) == (1790848800.0, 176, 1024, 9)


@pytest.mark.parametrize(
    "written", ["2026-10-01T10:00:00Z", 1790848800, 1790848800_000, "1790848800.0", 1790848800 * 10**9]
)
def test_moments_are_read_however_they_are_written(read, written):
    assert read({"body": body(HELLO), "timestamp": written})[0].requests[0].at == 1790848800.0


@pytest.mark.parametrize("odd", [True, "yesterday", -5, float("nan"), float("inf"), 10**400, {}, "9" * 400])
def test_odd_moments_are_unknown(read, odd):
    assert read({"body": body(HELLO), "timestamp": odd})[0].requests[0].at is None


WIRES = {
    "openai.responses": {"model": "gpt-5", "input": [HELLO]},
    "anthropic.messages": {"model": "claude-opus-4-5", "max_tokens": 9, "messages": [HELLO]},
    "gemini.generate": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "bedrock.converse": {
        "modelId": "amazon.nova-pro-v1:0",
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
    },
}
USAGES = {
    "openai.responses": {"usage": {"input_tokens": 9, "output_tokens": 2, "total_tokens": 11}},
    "anthropic.messages": {"usage": {"input_tokens": 9, "output_tokens": 2}},
    "gemini.generate": {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}},
    "bedrock.converse": {"usage": {"inputTokens": 9, "outputTokens": 2, "totalTokens": 11}},
}


@pytest.mark.parametrize("dialect", WIRES)
def test_every_wire_with_its_answer(read, dialect):
    [found] = read({"request": WIRES[dialect], "response": USAGES[dialect]}, platform="here")
    assert (found.dialect, found.platform) == (dialect, "here")
    assert (found.requests[0].usage.fresh, found.requests[0].usage.output) == (9, 2)
    [bare] = read({"request": WIRES[dialect], "usage": next(iter(USAGES[dialect].values()))})
    assert bare.requests[0].usage == found.requests[0].usage


def test_addresses_tell_wire_platform_and_model(read):
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5/converse"
    [found] = read({"request": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "url": url})
    assert (found.dialect, found.platform, found.requests[0].model) == (
        "bedrock.converse",
        "bedrock",
        "us.anthropic.claude-sonnet-4-5",
    )
    assert read({"request": body(HELLO), "url": "https://api.anthropic.com/v1/messages/count_tokens"}) == []


def test_bodies_that_bedrock_hands_on_are_written_as_their_models_take_them(read):
    url = "https://bedrock-runtime.us-east-1.amazonaws.com/model/{}/invoke"
    claude = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [HELLO]}
    nova = {"schemaVersion": "messages-v1", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    titan = {"inputText": "Hi"}
    named = {"anthropic.claude-v9": claude, "amazon.nova-pro-v1:0": nova, "amazon.titan": titan}
    usage = {"input_tokens": 7, "output_tokens": 2, "cache_read_input_tokens": 100}
    found = read(*({"request": one, "url": url.format(name), "usage": usage} for name, one in named.items()))
    assert [one.dialect for one in found] == ["anthropic.messages", "bedrock.converse", "bedrock.invoke"]
    assert {one.platform for one in found} == {"bedrock"}
    assert [one.requests[0].model for one in found] == list(named)
    assert (found[0].requests[0].usage.fresh, found[0].requests[0].usage.read) == (7, 100)


def test_a_conversation_that_ends_with_the_model_is_a_transcript(read):
    [found] = read({"messages": TURNS[:5], "model": "gpt-5"})
    assert (found.format, shape([found])) == ("transcript", [[2, 4]])
    assert [one.body["model"] for one in found.requests] == ["gpt-5", "gpt-5"]
    assert found.requests[0].answer == TURNS[2]
    assert found.requests[1].body["messages"] == TURNS[:4]


def test_a_bare_list_of_messages(read):
    assert shape(read(TURNS[:5], name="a.json")) == [[2, 4]]
    assert shape(read(TURNS, name="a.json")) == [[6]]


@pytest.mark.parametrize("more", [{"max_tokens": 5}, {"stream": True}, {"temperature": 0}])
def test_a_body_with_what_only_requests_carry_is_one_even_if_the_model_spoke_last(read, more):
    assert shape(read(body(*TURNS[:5], **more))) == [[5]]
    assert shape(read({"request": body(*TURNS[:5])})) == [[5]]


def test_items_of_responses(read):
    call = {"type": "function_call", "call_id": "c1", "name": "find", "arguments": "{}"}
    items = [
        HELLO,
        {"type": "reasoning", "summary": []},
        call,
        {"type": "function_call_output", "call_id": "c1", "output": ""},
    ]
    [found] = read({"input": [*items, {"role": "assistant", "content": "Home."}]})
    assert [len(one.body["input"]) for one in found.requests] == [1, 4]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bytes])
@pytest.mark.parametrize("text", ["{0}\n{0}\n", "[{0},\n {0}]", "{0}\r\n\r\n{0}", "\ufeff{0}\n{0}", "[\n{0}\n,{0}\n]"])
def test_files_are_told_by_their_looks(tmp_path, pack, text):
    path = tmp_path / "recorded"
    path.write_bytes(pack(text.replace("{0}", json.dumps(body(HELLO))).encode()))
    assert shape(read_recordings(path)) == [[1], [1]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"\x00\x01\x02", "no text"),
        (b"\x7fELF" + b"\x00" * 50, "no text"),
        (gzip.compress(b"{}", mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8b\x08nonsense", "cannot be read"),
        (b"\xfd7zXZ\x00nonsense", "cannot be read"),
        (b"nonsense", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", "no JSON"),
        (b'{"messages": ' + b"[" * 300 + b"]" * 300 + b"}", "no JSON"),
        (b"3", "an object"),
        (b'"x"', "an object"),
        (b"null", "an object"),
        (b"{}", "no wire format"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, told):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    complaints = []
    assert list(read_recordings(path, complain=complaints.append)) == []
    assert str(path) in str(complaints[0])
    assert told in str(complaints[0])
    with pytest.raises(TranscriptError, match=told):
        list(read_recordings(path))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_long_list_is_read_item_by_item(tmp_path, monkeypatch, indent):
    from ctxkit.replay.readers import values

    monkeypatch.setattr(values, "_CHUNK", 7)
    path = tmp_path / "a.json"
    listed = [body({"role": "user", "content": f"Où est-il, {number}?"}) for number in range(30)]
    path.write_text("\n" + json.dumps(listed, indent=indent, ensure_ascii=False) + "\n")
    found = list(read_recordings(path))
    assert [one.requests[0].body for one in found] == listed
    assert found[29].requests[0].source.endswith("#30")


@pytest.mark.parametrize(
    ("text", "read", "where"),
    [
        ('[\n{0},\n{0},\n{"a\n]', 2, ":4:"),
        ("[\n{0},\n{0}\n]\n{0}", 2, ":4:"),
        ("[{0},\n{0}", 2, ":2:"),
        ("[{0}]\n[{0}]", 2, ""),
        ('{"a": \n{0}\n{0}', 2, ":1:"),
        ('{"a":\n1}\n{0}x\n', 1, ":3:"),
    ],
)
def test_documents_that_are_broken_are_read_as_far_as_they_go(tmp_path, text, read, where):
    path = tmp_path / "a.json"
    path.write_text(text.replace("{0}", json.dumps(body(HELLO))))
    complaints = []
    found = list(read_recordings(path, complain=complaints.append))
    assert sum(len(one.requests) for one in found) == read
    assert any(f"a.json{where}" in str(one) for one in complaints) or not where


def test_the_rest_is_read(read):
    complaints = []
    found = read(body(HELLO), "{nonsense", "[1]", "", body(HELLO, model="x"), complain=complaints.append)
    assert shape(found) == [[1], [1]]
    assert [str(one).rpartition("jsonl:")[2][0] for one in complaints] == ["2", "3"]


def test_lines_that_are_too_long_and_files_that_unpack_to_too_much(tmp_path, monkeypatch):
    from ctxkit.replay.readers import values

    monkeypatch.setattr(values, "_LONGEST", 2000)
    path, long = tmp_path / "a.jsonl", body({"role": "user", "content": "x" * 3000})
    path.write_text("\n".join(json.dumps(one) for one in (long, body(HELLO), long, body(HELLO))))
    complaints = []
    assert shape(read_recordings(path, complain=complaints.append)) == [[1], [1]]
    assert [str(one).partition("jsonl:")[2][:2] for one in complaints] == ["1:", "3:"]
    monkeypatch.setattr(values, "_UNPACKED", 10_000)
    monkeypatch.setattr(values, "_RATIO", 1)
    bomb = tmp_path / "b.jsonl.gz"
    bomb.write_bytes(gzip.compress(json.dumps(body(HELLO)).encode() + b"\n" + b" " * 1_000_000))
    complaints.clear()
    assert sum(len(one.requests) for one in read_recordings(bomb, complain=complaints.append)) <= 1
    assert "unpacks to more" in str(complaints[-1])


def test_conversations_are_given_out_before_they_fill_the_memory():
    groups = Groups("f", "requests", held=100_000)

    def asked(number, turn):
        text = f"{number}" * 3000
        return Body(body(*[{"role": "user", "content": f"{turn} {text}"}]), "openai.chat", "openai")

    early = [one for number in range(100) for one in groups.add(asked(number, 0), f"f:{number}")]
    late = list(groups.rest())
    assert len(early) + len(late) == 100
    assert len(late) < 30
    assert groups._messages == {}
    assert groups._held == 0


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TranscriptError, match="cannot be read"):
        list(read_recordings(tmp_path / "none.json"))
    with pytest.raises(TranscriptError, match="no such file"):
        list(files_of([tmp_path / "none.json"]))
    complaints = []
    assert list(files_of([tmp_path / ("x" * 5000), tmp_path / "a\0b"], complaints.append)) == []
    assert len(complaints) == 2


def test_folders_are_walked(tmp_path):
    for name in (
        "b.jsonl",
        "a.json.gz",
        "c.txt",
        ".hidden.json",
        "sub/d.traj",
        "node_modules/e.json",
        ".git/f.json",
        "g.json.xz",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(body(HELLO)))
    (tmp_path / "empty.json").touch()
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    found = [
        one.relative_to(tmp_path).as_posix() for one in files_of([tmp_path, tmp_path / "b.jsonl", tmp_path / "c.txt"])
    ]
    (tmp_path / "broken.json").write_text('{"name": "x')
    assert "broken.json" in [one.name for one in files_of([tmp_path])]  # who reads it names it
    assert found == ["a.json.gz", "b.jsonl", "g.json.xz", "sub/d.traj", "c.txt"]


def test_reading_stops_when_nobody_reads_on(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"messages": TURNS[:5]}) + "\n{broken\n")
    complaints = []
    found = read_recordings(path, complain=complaints.append)
    assert len(next(found).requests) == 2
    found.close()
    assert complaints == []


def test_a_file_is_what_its_first_known_record_is(read):
    complaints = []
    session = {"type": "user", "uuid": "u", "sessionId": "s", "message": {"role": "user", "content": "Hi"}}
    assert read({"type": "summary", "summary": "x"}, session, body(HELLO), complain=complaints.append) == []
    assert ["jsonl:3" in str(one) for one in complaints] == [True]
    complaints.clear()
    assert shape(read({"note": 1}, body(HELLO), session, complain=complaints.append)) == [[1]]
    assert ["jsonl:1" in str(complaints[0]), "jsonl:3" in str(complaints[1])] == [True, True]
