"""gemini.generate: the view in both spellings, every kind of part, and the usage rules with their traps."""

import json

import pytest

from ctxkit.dialects.gemini import generate as dialect
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit


def parts_of(*parts, role="user"):
    seen = dialect.view({"contents": [{"role": role, "parts": list(parts)}]})
    return [part for message in seen.messages for part in message.parts]


def only(*parts, role="user"):
    (part,) = parts_of(*parts, role=role)
    return part


def answer(model="gemini-2.5-flash", candidates=({"finishReason": "STOP"},), **usage):
    wire = {"candidates": list(candidates), "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}
    return dialect.answer(wire, "gemini")


class TestView:
    @pytest.mark.parametrize("key", ["systemInstruction", "system_instruction"])
    def test_cache_order_is_tools_system_contents(self, key):
        body = {
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yes"}]}],
            key: {"parts": [{"text": "be brief"}]},
            "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}, {"googleSearch": {}}],
            "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
            "generationConfig": {"temperature": 0},
        }
        seen = dialect.view(body)
        assert [message.path for message in seen.messages] == [
            ("tools", 0),
            ("tools", 1),
            (key,),
            ("contents", 0),
            ("contents", 1),
        ]
        assert [message.role for message in seen.messages] == ["tools", "tools", "system", "user", "model"]
        assert [part.name for part in seen.parts][:3] == ["a", "b", "googleSearch"]
        assert next(seen.parts).path == ("tools", 0, "functionDeclarations", 0)
        assert (seen.model, seen.server_history) == ("", None)
        assert set(seen.options) == {"toolConfig", "generationConfig"}

    def test_tools_may_be_one_object(self):
        seen = dialect.view({"contents": "hi", "tools": {"function_declarations": [{"name": "a"}]}})
        assert next(seen.parts).path == ("tools", "function_declarations", 0)

    @pytest.mark.parametrize(
        ("contents", "path"),
        [
            ("hi", ("contents",)),
            (["hi"], ("contents", 0)),
            ({"parts": [{"text": "hi"}]}, ("contents", "parts", 0)),
            ({"parts": {"text": "hi"}}, ("contents", "parts")),
            ([{"role": "user", "parts": {"text": "hi"}}], ("contents", 0, "parts")),
            ([{"role": "user", "parts": ["hi"]}], ("contents", 0, "parts", 0)),
            (["hello", {"role": "user", "parts": [{"text": "hi"}]}], ("contents", 1, "parts", 0)),
        ],
    )
    def test_contents_in_every_form(self, contents, path):
        *_, part = dialect.view({"contents": contents}).parts
        assert (part.kind, part.text, part.path) == ("text", "hi", path)

    @pytest.mark.parametrize("key", ["cachedContent", "cached_content"])
    def test_a_handle_is_a_history_the_provider_holds(self, key):
        assert dialect.view({"contents": "hi", key: "cachedContents/1"}).server_history == "cachedContents/1"

    def test_unknown_field_of_a_content_is_a_part(self):
        (_, extra) = dialect.view({"contents": [{"role": "user", "parts": [{"text": "hi"}], "mood": 1}]}).parts
        assert (extra.kind, extra.path) == ("other", ("contents", 0, "mood"))

    @pytest.mark.parametrize("body", [None, [], {}, {"contents": 7}, {"prompt": "hi"}])
    def test_what_is_no_request(self, body):
        with pytest.raises(ProviderShapeError, match="gemini.generate"):
            dialect.view(body)

    def test_a_request_that_reads_a_handle_is_never_edited(self):
        body = {"contents": "hi", "cachedContent": "cachedContents/1"}
        assert dialect.apply(body, []) is body
        with pytest.raises(ProviderShapeError, match="cachedContent"):
            dialect.apply(body, [Edit("drop", ("contents",), "no")])
        assert dialect.apply({"contents": "hi"}, [Edit("replace", ("contents",), "x", "ho")]) == {"contents": "ho"}

    def test_there_are_no_markers(self):
        value = {"role": "user", "parts": [{"text": "hi", "cache_control": {}}]}
        assert dialect.identity(value) is value


class TestParts:
    def test_text(self):
        part = only({"text": "hi"})
        assert (part.kind, part.text, part.signed) == ("text", "hi", False)

    def test_thought(self):
        part = only({"text": "hm", "thought": True}, role="model")
        assert (part.kind, part.text, part.signed) == ("reasoning", "hm", False)

    @pytest.mark.parametrize("key", ["thoughtSignature", "thought_signature"])
    def test_signatures(self, key):
        assert only({"text": "hi", key: "Eo8B"}, role="model").signed
        lone = only({key: "Eo8B"}, role="model")
        assert (lone.kind, lone.signed) == ("reasoning", True)
        call = only({"functionCall": {"name": "f", "args": {}}, key: "Eo8B"}, role="model")
        assert (call.kind, call.signed) == ("tool_call", True)

    @pytest.mark.parametrize(
        ("call", "result"), [("functionCall", "functionResponse"), ("function_call", "function_response")]
    )
    def test_calls_pair_by_name_when_there_is_no_id(self, call, result):
        called = only({call: {"name": "f", "args": {"city": "Zürich"}}}, role="model")
        given = only({result: {"name": "f", "response": {"output": "warm"}}})
        assert (called.kind, called.pair, called.name, called.text) == ("tool_call", "f", "f", '{"city": "Zürich"}')
        assert (given.kind, given.pair, given.name, given.text) == ("tool_result", "f", "f", "warm")

    def test_calls_pair_by_id(self):
        assert only({"functionCall": {"id": "7", "name": "f"}}, role="model").pair == "7"
        assert only({"functionResponse": {"id": "7", "name": "f"}}).pair == "7"

    def test_a_response_of_several_fields_is_json(self):
        part = only({"functionResponse": {"name": "f", "response": {"a": 1, "b": "x"}}})
        assert part.text == '{"a": 1, "b": "x"}'

    def test_media_inside_a_response_are_parts_of_their_own(self):
        image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
        _, inner = parts_of({"functionResponse": {"name": "f", "response": {}, "parts": [image]}})
        assert (inner.kind, inner.path) == ("image", ("contents", 0, "parts", 0, "functionResponse", "parts", 0))

    @pytest.mark.parametrize(
        ("mime", "kind"),
        [("image/png", "image"), ("audio/wav", "audio"), ("video/mp4", "video"), ("application/pdf", "document")],
    )
    def test_media(self, mime, kind):
        assert only({"inlineData": {"mimeType": mime, "data": "AAAA"}}).kind == kind
        assert only({"inline_data": {"mime_type": mime, "data": "AAAA"}}).kind == kind
        assert only({"fileData": {"mimeType": mime, "fileUri": "gs://x"}, "videoMetadata": {"fps": 1}}).kind == kind

    def test_code_that_the_provider_runs(self):
        code = only({"executableCode": {"language": "PYTHON", "code": "1+1", "id": "c"}}, role="model")
        result = only({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2", "id": "c"}}, role="model")
        assert (code.kind, code.text, code.pair) == ("tool_call", "1+1", "c")
        assert (result.kind, result.text, result.pair) == ("tool_result", "2", "c")

    def test_tools_that_the_provider_calls(self):
        call = only({"toolCall": {"id": "t", "toolType": "FILE_SEARCH", "args": {}}}, role="model")
        result = only({"toolResponse": {"id": "t", "toolType": "FILE_SEARCH", "response": {"a": "x"}}}, role="model")
        assert (call.kind, call.pair, call.name) == ("tool_call", "t", "FILE_SEARCH")
        assert (result.kind, result.pair, result.text) == ("tool_result", "t", "x")

    def test_nulls_beside_the_field_that_counts(self):
        part = only({"text": None, "functionCall": None, "inlineData": {"mimeType": "image/png"}})
        assert part.kind == "image"

    @pytest.mark.parametrize("value", [{"videoMetadata": {"fps": 1}}, {}, {"new": [1]}])
    def test_anything_else_is_shown_whole(self, value):
        part = only(value)
        assert (part.kind, part.text) == ("other", json.dumps(value))
        assert part.value is value


class TestUsage:
    def test_trap_1_cached_tokens_are_inside_the_prompt(self):
        found = answer(promptTokenCount=3797, cachedContentTokenCount=3055, candidatesTokenCount=656,
                       thoughtsTokenCount=1549, totalTokenCount=6002)  # fmt: skip
        usage = found.usage
        assert (usage.fresh, usage.read, usage.written) == (742, 3055, {})
        assert (usage.output, usage.reasoning, usage.input_total) == (2205, 1549, 3797)
        assert (found.id, found.model, found.finish) == ("r1", "gemini-2.5-flash", "STOP")
        assert found.complete
        assert found.problems == ()

    def test_e13_a_handle(self):
        usage = answer(promptTokenCount=7036, cachedContentTokenCount=7021, totalTokenCount=7036).usage
        assert (usage.fresh, usage.read, usage.output) == (15, 7021, 0)

    def test_trap_8_implicit_hits_are_read_however_small(self):
        assert answer(promptTokenCount=100, cachedContentTokenCount=92, candidatesTokenCount=1).usage.read == 92

    def test_what_is_missing_is_unknown_but_a_read_beside_a_prompt_is_none(self):
        usage = answer(promptTokenCount=13, candidatesTokenCount=14).usage
        assert (usage.read, usage.reasoning) == (0, None), "JSON of protocol buffers drops a 0"
        assert answer(candidatesTokenCount=14, totalTokenCount=27).usage.read is None
        assert answer(promptTokenCount=13, cachedContentTokenCount="odd").usage.read is None

    def test_prompt_of_the_providers_own_tools_comes_on_top(self):
        found = answer(promptTokenCount=75, toolUsePromptTokenCount=573, candidatesTokenCount=414,
                       thoughtsTokenCount=117, totalTokenCount=1179)  # fmt: skip
        assert (found.usage.fresh, found.usage.output) == (648, 531)
        assert found.problems == ()

    def test_thoughts_inside_the_candidates(self):
        usage = answer(promptTokenCount=8, candidatesTokenCount=79, thoughtsTokenCount=71, totalTokenCount=87).usage
        assert (usage.output, usage.reasoning) == (79, 71)

    def test_a_zero_that_the_wire_dropped_is_known_by_the_total(self):
        assert answer(promptTokenCount=663, totalTokenCount=663).usage.output == 0
        assert answer(promptTokenCount=663).usage.output is None
        assert answer(promptTokenCount=30, thoughtsTokenCount=1626, totalTokenCount=1656).usage.output == 1626

    def test_prompt_unknown(self):
        usage = answer(candidatesTokenCount=18, thoughtsTokenCount=58).usage
        assert (usage.fresh, usage.input_total, usage.output) == (None, None, 76)

    @pytest.mark.parametrize("wire", [{}, {"trafficType": "ON_DEMAND"}])
    def test_no_figures(self, wire):
        assert answer(**wire).usage is None

    def test_modalities(self):
        usage = answer(
            promptTokenCount=900,
            cachedContentTokenCount=300,
            candidatesTokenCount=1295,
            totalTokenCount=2195,
            promptTokensDetails=[
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "IMAGE", "tokenCount": 600},
                {"modality": "AUDIO", "tokenCount": 200},
            ],
            cacheTokensDetails=[{"modality": "IMAGE", "tokenCount": 258}, {"modality": "TEXT", "tokenCount": 42}],
            candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 1290}],
        ).usage
        assert usage.media == {"image.fresh": 342, "audio.fresh": 200, "image.read": 258, "image.output": 1290}

    def test_modalities_as_numbers(self):
        details = [{"modality": 1, "tokenCount": 3}, {"modality": 2, "tokenCount": 4}, {"modality": 5, "tokenCount": 2}]
        usage = answer(promptTokenCount=9, candidatesTokenCount=1, promptTokensDetails=details).usage
        assert usage.media == {"image.fresh": 4, "document.fresh": 2}

    @pytest.mark.parametrize(
        ("fields", "tier"),
        [
            ({"serviceTier": "flex", "trafficType": "ON_DEMAND"}, "flex"),
            ({"trafficType": "ON_DEMAND_PRIORITY"}, "ON_DEMAND_PRIORITY"),
            ({"trafficType": 2}, "PROVISIONED_THROUGHPUT"),
            ({}, None),
        ],
    )
    def test_tier(self, fields, tier):
        assert answer(promptTokenCount=1, candidatesTokenCount=1, **fields).tier == tier

    @pytest.mark.parametrize(
        ("model", "calls"),
        [
            ("gemini-2.5-flash", {"web_search": 1}),
            ("gemini-3-flash-preview", {"web_search": 2}),
            ("x", {"web_search": 2}),
        ],
    )
    def test_searches_are_billed_by_query_from_generation_three_on(self, model, calls):
        grounded = {"groundingMetadata": {"webSearchQueries": ["a", "", "b", "a"]}}
        assert answer(model, [grounded], promptTokenCount=1, candidatesTokenCount=1).usage.calls == calls

    def test_figures_that_do_not_add_up_are_said(self):
        found = answer(promptTokenCount=87, candidatesTokenCount=21, thoughtsTokenCount=78, totalTokenCount=165)
        assert "165" in found.problems[0]
        assert found.usage.output == 99

    def test_a_refused_prompt(self):
        wire = {
            "promptFeedback": {"blockReason": "SAFETY"},
            "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
        }
        found = dialect.answer(wire, "gemini")
        assert (found.finish, found.usage.output) == ("SAFETY", 0)

    def test_a_stream_without_events_is_a_list_of_chunks(self):
        chunks = [chunk("a", promptTokenCount=3), chunk("b", finish="STOP", promptTokenCount=3, candidatesTokenCount=2)]
        found = dialect.answer(chunks, "gemini")
        assert (found.usage.fresh, found.usage.output, found.finish, found.complete) == (3, 2, "STOP", True)


def chunk(text=None, finish=None, **usage):
    candidate = {"content": {"role": "model", "parts": [{"text": text}] if text is not None else []}}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def fed(*events):
    reader = dialect.stream("gemini")
    for event in events:
        assert reader.feed(json.dumps(event).encode()) is False
    return reader


class TestStream:
    def test_the_last_usage_counts_and_keeps_what_only_earlier_ones_had(self):
        found = fed(
            chunk("a", promptTokenCount=9, cachedContentTokenCount=4, thoughtsTokenCount=35),
            chunk("b", promptTokenCount=9, candidatesTokenCount=7, totalTokenCount=51, thoughtsTokenCount=35),
            chunk("", "STOP", promptTokenCount=9, candidatesTokenCount=21, totalTokenCount=65, thoughtsTokenCount=35),
        ).answer()
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (5, 4, 56)

    def test_a_finish_reason_is_no_end(self):
        reader = fed(chunk("a", "STOP", promptTokenCount=17, totalTokenCount=17))
        assert not reader.done
        reader.feed(json.dumps(chunk(promptTokenCount=17, candidatesTokenCount=40, totalTokenCount=57)).encode())
        reader.end()
        found = reader.answer()
        assert reader.done
        assert (found.complete, found.usage.output, found.finish) == (True, 40, "STOP")

    def test_bytes_that_end_without_a_finish_reason_were_cut(self):
        reader = fed(chunk("a", promptTokenCount=17))
        reader.end()
        assert not reader.done
        assert not reader.answer().complete

    def test_without_end_it_is_not_complete(self):
        assert not fed(chunk("a", "STOP", promptTokenCount=17)).answer().complete

    def test_an_error_breaks_the_stream_off(self):
        reader = fed(chunk("a", "STOP"), {"error": {"code": 503, "status": "UNAVAILABLE", "message": "secret"}})
        reader.end()
        assert reader.answer().problems == ("the stream broke off: UNAVAILABLE",)
        assert not reader.answer().complete

    @pytest.mark.parametrize(
        ("event", "counts"),
        [
            (chunk(""), False),
            (chunk("a"), True),
            ({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}, True),
            ({"candidates": [{"content": {}}]}, False),
            ({"usageMetadata": {}}, False),
        ],
    )
    def test_first_content(self, event, counts):
        assert fed(event).content is counts

    def test_searches_of_all_chunks(self):
        grounded = {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a"]}}], "modelVersion": "gemini-3-pro"}
        again = {"candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b"]}}]}
        usage = fed(chunk("x", promptTokenCount=1, candidatesTokenCount=1), grounded, again).answer().usage
        assert usage.calls == {"web_search": 2}

    @pytest.mark.parametrize("data", [b"", b"{", b"[DONE]", b"\xff", b"[1]", b"7", b"null"])
    def test_broken_events_never_raise(self, data):
        reader = fed(chunk(promptTokenCount=1, candidatesTokenCount=1))
        assert reader.feed(data) is False
        assert reader.answer().usage.fresh == 1
