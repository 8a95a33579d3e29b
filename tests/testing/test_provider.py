"""The fake provider itself, over bare HTTP: what it records, and how it misbehaves."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.request
import zlib
from typing import Any

import pytest

from ctxkit.dialects.eventstream import Decoder
from ctxkit.errors import ConfigurationError, ProviderShapeError
from ctxkit.testing import Behaviour, FakeProvider, Reply, Tokens

CHAT = "/v1/chat/completions"
STREAM = {"model": "m", "messages": [], "stream": True}


def post(
    provider: FakeProvider, path: str = CHAT, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    sent = json.dumps({"model": "m", "messages": []} if body is None else body)
    connection = http.client.HTTPConnection(provider.base_url.removeprefix("http://"))
    try:
        connection.request("POST", path, sent, {"content-type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_records_what_came(provider: FakeProvider) -> None:
    post(provider, CHAT + "?a=b%20c", {"model": "m", "x": [1]}, {"X-Thing": "yes"})
    request = provider.requests[0]
    assert (request.method, request.path, request.query, request.number) == ("POST", CHAT, "a=b%20c", 1)
    assert request.headers["x-thing"] == "yes"
    assert request.body == b'{"model": "m", "x": [1]}'
    assert request.json == {"model": "m", "x": [1]}
    assert "http://" + request.host == provider.base_url


def test_reads_chunked_requests(provider: FakeProvider) -> None:
    connection = http.client.HTTPConnection(provider.base_url.removeprefix("http://"))
    connection.request("POST", CHAT, iter([b'{"model":', b' "m"}']), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert provider.requests[0].json == {"model": "m"}


def test_keeps_connections_alive(provider: FakeProvider) -> None:
    connection = http.client.HTTPConnection(provider.base_url.removeprefix("http://"))
    for body in ({"model": "m"}, STREAM):
        connection.request("POST", CHAT, json.dumps(body))
        first = connection.sock
        connection.getresponse().read()
        assert connection.sock is first
    connection.close()


def test_queue_comes_first_then_callable_then_behaviour() -> None:
    def answer(request: Any) -> Reply | None:
        return Reply(b"called", content_type="text/plain") if request.query == "call" else None

    with FakeProvider(answer=answer, text="Said.") as provider:
        provider.reply(b"queued", status=418, content_type="text/x", headers={"x-a": "b"})
        response, body = post(provider, CHAT + "?call")
        assert (response.status, body, response.headers["content-type"], response.headers["x-a"]) == (
            418,
            b"queued",
            "text/x",
            "b",
        )
        assert post(provider, CHAT + "?call")[1] == b"called"
        assert b"Said." in post(provider)[1]


def test_the_callable_may_say_how_instead_of_what() -> None:
    def answer(request: Any) -> Behaviour | None:
        return Behaviour(text="Again.", status=503 if request.query == "fail" else 200) if request.query else None

    with FakeProvider(answer=answer, text="Said.") as provider:
        assert json.loads(post(provider, CHAT + "?x")[1])["choices"][0]["message"]["content"] == "Again."
        assert b"Said." in post(provider)[1]
        assert post(provider, CHAT + "?fail")[0].status == 503


def test_verbatim_streams_stay_verbatim(provider: FakeProvider) -> None:
    body = b": ping\r\n\r\ndata: {\xff}\n\ndata: [DONE]\n\n"
    provider.behave(piece=3)
    provider.reply(body, content_type="text/event-stream")
    response, got = post(provider)
    assert got == body
    assert response.headers["transfer-encoding"] == "chunked"


def test_counts_four_characters_a_token(provider: FakeProvider) -> None:
    provider.behave(text="12345")
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 1}
    usage = json.loads(post(provider, body=body)[1])["usage"]
    read = json.dumps({"messages": body["messages"]}, separators=(",", ":"))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (-(-len(read) // 4), 2)


def test_counting_can_be_set(provider: FakeProvider) -> None:
    provider.behave(count=lambda text: 7)
    assert json.loads(post(provider)[1])["usage"]["total_tokens"] == 14
    provider.behave(tokens=Tokens(5, 6))
    assert json.loads(post(provider)[1])["usage"]["total_tokens"] == 11
    provider.behave(usage=False)
    assert "usage" not in json.loads(post(provider)[1])


def test_first_requests_fail_then_it_answers(provider: FakeProvider) -> None:
    provider.behave(failures=2, retry_after=0.5)
    responses = [post(provider)[0] for _ in range(3)]
    assert [response.status for response in responses] == [503, 503, 200]
    assert responses[0].headers["retry-after"] == "0.5"
    provider.behave(failure_status=529)
    assert [post(provider)[0].status for _ in range(3)] == [529, 529, 200]


def test_redirects_to_itself(provider: FakeProvider) -> None:
    provider.behave(redirects=1)
    response, _ = post(provider, CHAT + "?a=b")
    assert (response.status, response.headers["location"]) == (
        307,
        f"{provider.base_url}{CHAT}?a=b&redirected=1",
    )
    assert post(provider)[0].status == 200


@pytest.mark.parametrize("body", [{"model": "m"}, STREAM])
def test_gzip_only_for_those_who_accept_it(provider: FakeProvider, body: Any) -> None:
    plain = post(provider, body=body)[1]
    provider.clear()
    provider.behave(gzip=True)
    response, squeezed = post(provider, body=body, headers={"accept-encoding": "gzip, br"})
    assert response.headers["content-encoding"] == "gzip"
    assert zlib.decompress(squeezed, 31) == plain
    provider.clear()
    response, same = post(provider, body=body, headers={"accept-encoding": "br"})
    assert (response.headers["content-encoding"], same) == (None, plain)


def test_truncated_gzip_has_whole_framing(provider: FakeProvider) -> None:
    provider.behave(fault="truncated_gzip")
    response, body = post(provider)
    assert response.headers["content-encoding"] == "gzip"
    squeeze = zlib.decompressobj(31)
    squeeze.decompress(body)
    assert not squeeze.eof


@pytest.mark.parametrize("body", [{"model": "m"}, STREAM])
def test_cut_answers_break_off(provider: FakeProvider, body: Any) -> None:
    provider.behave(fault="cut")
    with pytest.raises(http.client.IncompleteRead) as caught:
        post(provider, body=body)
    if "stream" not in body:
        assert caught.value.partial.startswith(b'{"id"')


def test_broken_sse_holds_half_an_object(provider: FakeProvider) -> None:
    provider.behave(fault="broken_stream")
    data = [event.removeprefix(b"data: ") for event in post(provider, body=STREAM)[1].split(b"\n\n") if event]
    broken = [event for event in data if not event.endswith((b"}", b"]"))]
    assert len(broken) == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken[0])


def test_broken_event_stream_fails_its_checksum(provider: FakeProvider) -> None:
    path = "/model/m/converse-stream"
    whole = Decoder().feed(post(provider, path)[1])
    provider.behave(fault="broken_stream")
    decoder = Decoder()
    assert 0 < len(decoder.feed(post(provider, path)[1])) < len(whole)
    with pytest.raises(ProviderShapeError, match="checksum"):
        decoder.feed(b"")


def test_content_type_can_be_wrong(provider: FakeProvider) -> None:
    provider.behave(content_type="text/html")
    assert post(provider)[0].headers["content-type"] == "text/html"


def test_pieces_split_events_and_characters(provider: FakeProvider) -> None:
    provider.behave(text="漢字漢字漢字", piece=3)
    whole = post(provider, body=STREAM)[1]
    connection = http.client.HTTPConnection(provider.base_url.removeprefix("http://"))
    connection.request("POST", CHAT, json.dumps(STREAM))
    response = connection.getresponse()
    pieces = list(iter(lambda: response.read1(1 << 16), b""))
    connection.close()
    assert max(map(len, pieces)) == 3
    assert len(b"".join(pieces)) == len(whole)


def test_delays_wait(provider: FakeProvider) -> None:
    provider.behave(delay=0.05, chunk_delay=0.01, text="one two three")
    begun = time.monotonic()
    post(provider, body=STREAM)
    assert time.monotonic() - begun >= 0.09  # a lower bound cannot be missed by a slow machine


def test_gemini_streams_in_crlf_or_as_an_array(provider: FakeProvider) -> None:
    path = "/v1beta/models/gemini:streamGenerateContent"
    response, body = post(provider, path + "?alt=sse", {"contents": []})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert body.startswith(b"data: {")
    assert body.endswith(b"}\r\n\r\n")
    assert len(json.loads(post(provider, path, {"contents": []})[1])) == body.count(b"data: ")


def test_stands_in_for_any_host_as_a_proxy(provider: FakeProvider) -> None:
    provider.behave(redirects=1)
    for _ in range(2):
        response, _ = post(provider, "http://api.example.com/v1/chat/completions?a=b")
    assert (response.status, provider.requests[1].host, provider.requests[1].path) == (200, "api.example.com", CHAT)


def test_unknown_paths_and_bodies_are_refused(provider: FakeProvider) -> None:
    assert post(provider, "/v1/nothing")[0].status == 404
    assert post(provider, body=[1])[0].status == 400
    response, body = post(provider, "/model/m/converse", body=[1])
    assert (response.status, json.loads(body)) == (400, {"message": "The body is no JSON object."})


def test_url_needs_a_running_server() -> None:
    with pytest.raises(ConfigurationError, match="with statement"):
        _ = FakeProvider().base_url


def test_behaviour_and_changes_add_up() -> None:
    provider = FakeProvider(Behaviour(text="a", gzip=True), text="b")
    assert (provider.behaviour.text, provider.behaviour.gzip) == ("b", True)
    provider.behave(Behaviour(delay=1), text="c")
    assert provider.behaviour == Behaviour(delay=1, text="c")


def test_closing_ends_answers_that_wait() -> None:
    failed = threading.Event()

    def ask() -> None:
        try:
            post(provider)
        except (http.client.HTTPException, OSError):
            failed.set()

    with FakeProvider(delay=60) as provider:
        thread = threading.Thread(target=ask)
        thread.start()
        while not provider.requests:
            time.sleep(0.001)
    thread.join(10)
    assert failed.is_set()


def test_many_at_once(provider: FakeProvider) -> None:
    threads = [threading.Thread(target=post, args=(provider,)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(request.number for request in provider.requests) == list(range(1, 41))


@pytest.mark.parametrize("options", [True, 3, "x", [], None, {"include_usage": "yes"}])
def test_odd_stream_options_do_not_break_the_provider(provider, options):
    body = {"model": "gpt-5", "stream": True, "stream_options": options, "messages": [{"role": "user", "content": "x"}]}
    request = urllib.request.Request(provider.openai_url + "/chat/completions", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        assert b"prompt_tokens" not in answer.read()
