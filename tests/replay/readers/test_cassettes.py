"""Cassettes of vcrpy, Ruby's VCR and go-vcr, and HAR files: whole answers, streams, packed bodies, hostile YAML."""

import base64
import gzip
import json

import pytest
import yaml

from ctxkit.errors import TranscriptError
from ctxkit.replay.readers import files_of, read_recordings

CHAT = "https://api.openai.com/v1/chat/completions"
QUESTION = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "Where is it?"}]}
SAID = {"role": "assistant", "content": "At home."}
USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 4,
    "total_tokens": 1204,
    "prompt_tokens_details": {"cached_tokens": 1024},
}
ANSWER = {"id": "chatcmpl-1", "model": "gpt-5-mini-2026", "choices": [{"index": 0, "message": SAID}], "usage": USAGE}
STREAM = (
    'data: {"choices": [{"delta": {"content": "At"}}]}\n\n'
    'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}\n\ndata: [DONE]\n\n'
)


def exchange(body=QUESTION, answer=ANSWER, url=CHAT, code=200, **headers):
    told = json.dumps(answer) if isinstance(answer, dict) else answer
    asked = {"body": json.dumps(body), "headers": {"accept": ["*/*"]}, "method": "POST", "uri": url}
    headers = {"Date": ["Thu, 01 Oct 2026 10:00:00 GMT"], **headers}
    return {"request": asked, "response": {"body": {"string": told}, "headers": headers, "status": {"code": code}}}


@pytest.fixture
def write(tmp_path):
    def written(*exchanges, name="a.yaml", **more):
        path = tmp_path / name
        held = {"interactions": list(exchanges), "version": 1, **more}
        path.write_text(json.dumps(held) if name.endswith(".json") else yaml.safe_dump(held))
        return path

    return written


def only(path):
    [recording] = read_recordings(path)
    [asked] = recording.requests
    return recording, asked


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_an_exchange_is_a_request_with_its_usage(write, name):
    recording, asked = only(write(exchange(), name=name))
    assert (recording.format, recording.dialect, recording.platform) == ("cassette", "openai.chat", "openai")
    assert asked.body == QUESTION
    assert (asked.usage.fresh, asked.usage.read, asked.usage.output) == (176, 1024, 4)
    assert (asked.answer, asked.status, asked.at) == (SAID, 200, 1790848800.0)
    assert asked.source.endswith(f"{name}#1")


@pytest.mark.parametrize("packed", [gzip.compress(json.dumps(ANSWER).encode(), mtime=0), json.dumps(ANSWER).encode()])
def test_bytes_are_unpacked(write, packed):
    assert only(write(exchange(answer=packed)))[1].usage.read == 1024


@pytest.mark.parametrize("broken", [b"\x1f\x8bnonsense", b"\xff\xfe", "", "<html>"])
def test_an_answer_that_cannot_be_read_has_no_usage(write, broken):
    assert only(write(exchange(answer=broken)))[1].usage is None


def test_streams_are_read(write):
    asked = only(write(exchange(answer=STREAM)))[1]
    assert (asked.usage.fresh, asked.usage.output, asked.answer) == (9, 2, None)


def test_a_turn_continues_the_one_before_and_others_are_passed_over(write):
    later = {**QUESTION, "messages": [*QUESTION["messages"], SAID, {"role": "user", "content": "Sure?"}]}
    models = exchange(body=None, url="https://api.openai.com/v1/models")
    models["request"]["method"] = "GET"
    found = list(read_recordings(write(exchange(), models, exchange(later), exchange({**QUESTION, "messages": []}))))
    assert [[one.source.partition("#")[2] for one in recording.requests] for recording in found] == [["1", "3"], ["4"]]


def test_refused_requests_keep_their_status_and_have_no_usage(write):
    asked = only(write(exchange(code=429)))[1]
    assert (asked.status, asked.usage) == (429, None)


def test_the_path_names_the_model_where_the_body_does_not(write):
    url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent"
    answer = {
        "candidates": [],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9},
    }
    body = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    recording, asked = only(write(exchange(body, answer, url)))
    assert (recording.platform, asked.model, asked.usage.fresh) == ("google", "gemini-2.5-flash", 7)


def test_parsed_bodies(tmp_path):
    path = tmp_path / "a.yml"
    one = exchange()
    one["request"] |= {"body": None, "parsed_body": QUESTION}
    one["response"] |= {"parsed_body": ANSWER, "body": {"string": ""}}
    path.write_text(yaml.safe_dump({"interactions": [one]}))
    assert only(path)[1].usage.read == 1024


def test_cassettes_of_ruby(tmp_path):
    path = tmp_path / "a.yml"
    packed = base64.b64encode(json.dumps(ANSWER).encode()).decode()
    path.write_text(f"""---
http_interactions:
- request:
    method: post
    uri: {CHAT}
    body:
      encoding: UTF-8
      string: '{json.dumps(QUESTION)}'
  response:
    status: {{code: 200, message: OK}}
    headers: !ruby/hash:Net::HTTP::Headers {{}}
    body:
      encoding: ASCII-8BIT
      base64_string: {packed}
  recorded_at: Thu, 01 Oct 2026 10:00:00 GMT
recorded_with: VCR 6.2.0
""")
    asked = only(path)[1]
    assert (asked.usage.read, asked.at) == (1024, 1790848800.0)


def test_cassettes_of_go(tmp_path):
    path = tmp_path / "a.yaml"
    asked = {"body": json.dumps(QUESTION), "url": CHAT, "method": "POST"}
    answered = {"body": json.dumps(ANSWER), "status": "200 OK", "code": 200}
    path.write_text(yaml.safe_dump({"version": 2, "interactions": [{"id": 0, "request": asked, "response": answered}]}))
    assert (only(path)[1].usage.read, only(path)[1].status) == (1024, 200)


def test_har_files(tmp_path):
    path = tmp_path / "a.har"
    asked = {"method": "POST", "url": CHAT, "postData": {"mimeType": "application/json", "text": json.dumps(QUESTION)}}
    content = {"text": base64.b64encode(json.dumps(ANSWER).encode()).decode(), "encoding": "base64"}
    entry = {
        "startedDateTime": "2026-10-01T10:00:00Z",
        "request": asked,
        "response": {"status": 200, "content": content},
    }
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}, indent=1))
    assert (only(path)[1].usage.read, only(path)[1].at) == (1024, 1790848800.0)


BOMB = "interactions:\n- &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)
)
MERGES = "interactions: []\na0: &a0 {k: 1}\n" + "".join(
    f"a{n + 1}: &a{n + 1} {{<<: [{','.join([f'*a{n}'] * 10)}]}}\n" for n in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        MERGES,
        "interactions: &a [*a]",
        "interactions: " + "[" * 100_000,
        "interactions: " + "{a: " * 300 + "1" + "}" * 300,
        "interactions: [\n",
        "interactions: !!python/object/apply:os.system ['x\n",
        "interactions: 2026-99-99\n",
        "interactions:\n- request: {uri: " + "9" * 5000 + "}",
        "interactions: ['\x01']",
        "interactions: []\n? [a]\n: b",
    ],
)
def test_hostile_yaml_is_complained_of(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    complaints = []
    assert list(read_recordings(path, complain=complaints.append)) == []
    assert str(path) in str(complaints[0])
    assert "foreseen" not in str(complaints[0])


def test_tags_run_nothing(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"interactions: []\nb: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")
    assert list(read_recordings(path)) == []
    assert not (tmp_path / "made").exists()


def test_odd_exchanges_are_named_and_the_rest_is_read(write):
    odd = [3, {}, {"request": 4}, {"request": {"uri": "http://[", "method": "POST"}}, exchange(body=[1])]
    complaints = []
    [recording] = read_recordings(write(*odd, exchange()), complain=complaints.append)
    assert [str(one).partition("#")[2][:1] for one in complaints] == ["1", "2", "3", "4", "5"]
    assert recording.requests[0].source.endswith("#6")


def test_folders_are_searched_for_cassettes_and_other_yaml_is_passed_over(write, tmp_path):
    path = write(exchange())
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "README.md").write_text("# Read me\n")
    assert list(files_of([tmp_path])) == [path]
    with pytest.raises(TranscriptError, match="no JSON"):
        list(read_recordings(tmp_path / "compose.yaml"))
