"""bedrock.converse: the view of every block type, markers, and the usage rules with their traps."""

import json

import pytest

from ctxkit.dialects.bedrock import converse as dialect
from ctxkit.errors import ProviderShapeError

POINT = {"cachePoint": {"type": "default"}}


def parts_of(*blocks, role="user"):
    seen = dialect.view({"messages": [{"role": role, "content": list(blocks)}]})
    return [part for message in seen.messages for part in message.parts]


def only(*blocks, role="user"):
    (part,) = parts_of(*blocks, role=role)
    return part


def answer(**usage):
    return dialect.answer({"stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}}, "bedrock")


class TestView:
    def test_cache_order_is_tools_system_messages(self):
        body = {
            "modelId": "us.anthropic.claude-x",
            "messages": [{"role": "user", "content": [{"text": "hi"}, POINT]}],
            "system": [{"text": "be brief"}, POINT],
            "toolConfig": {"tools": [{"toolSpec": {"name": "read"}}, POINT], "toolChoice": {"auto": {}}},
            "inferenceConfig": {"maxTokens": 5},
        }
        seen = dialect.view(body)
        assert [message.path for message in seen.messages] == [
            ("toolConfig", "tools", 0),
            ("toolConfig", "tools", 1),
            ("system", 0),
            ("system", 1),
            ("messages", 0),
        ]
        assert [part.kind for part in seen.parts] == ["tool", "marker", "text", "marker", "text", "marker"]
        assert seen.model == "us.anthropic.claude-x"
        assert seen.options == {"inferenceConfig": {"maxTokens": 5}, "toolConfig": {"toolChoice": {"auto": {}}}}

    def test_the_wire_has_no_model(self):
        assert dialect.view({"messages": []}).model == ""

    def test_a_stored_prompt_needs_no_messages(self):
        seen = dialect.view(
            {"modelId": "arn:aws:bedrock:us-east-1:1:prompt/P", "promptVariables": {"a": {"text": "x"}}}
        )
        assert seen.messages == ()
        assert seen.options == {"promptVariables": {"a": {"text": "x"}}}

    def test_unknown_field_of_a_message_is_a_part(self):
        (_, extra) = dialect.view({"messages": [{"role": "user", "content": [{"text": "hi"}], "mood": 1}]}).parts
        assert (extra.kind, extra.path) == ("other", ("messages", 0, "mood"))

    @pytest.mark.parametrize("body", [None, [], {}, {"messages": "hi"}, {"messages": ["hi"]}, {"inputText": "hi"}])
    def test_what_is_no_request(self, body):
        with pytest.raises(ProviderShapeError, match="bedrock.converse"):
            dialect.view(body)


class TestBlocks:
    def test_text(self):
        part = only({"text": "hi"})
        assert (part.kind, part.text, part.path) == ("text", "hi", ("messages", 0, "content", 0))

    def test_tools(self):
        tools = [
            {"toolSpec": {"name": "read", "inputSchema": {"json": {}}}},
            {"systemTool": {"name": "nova_grounding"}},
        ]
        seen = dialect.view({"messages": [], "toolConfig": {"tools": tools}})
        assert [(part.kind, part.name) for part in seen.parts] == [("tool", "read"), ("tool", "nova_grounding")]
        assert seen.options == {}

    def test_calls_and_results(self):
        call = only({"toolUse": {"toolUseId": "t1", "name": "read", "input": {"a": "ü"}}}, role="assistant")
        assert (call.kind, call.pair, call.name, call.text) == ("tool_call", "t1", "read", '{"a": "ü"}')
        content = [
            {"text": "x"},
            {"json": {"b": 1}},
            {"searchResult": {"title": "T", "source": "S", "content": [{"text": "found"}]}},
        ]
        result = only({"toolResult": {"toolUseId": "t1", "content": content, "status": "success"}})
        assert (result.kind, result.pair, result.text) == ("tool_result", "t1", 'x\n{"b": 1}\nT\nS\nfound')

    def test_media_inside_a_result_are_parts_of_their_own(self):
        image = {"image": {"format": "png", "source": {"bytes": b"\x89"}}}
        result, inner = parts_of({"toolResult": {"toolUseId": "t1", "content": [{"text": "x"}, image]}})
        assert result.text == "x"
        assert (inner.kind, inner.path[-3:]) == ("image", ("toolResult", "content", 1))
        assert inner.value is image

    @pytest.mark.parametrize("kind", ["image", "document", "video", "audio"])
    @pytest.mark.parametrize(
        "source", [{"bytes": b"\x00\xff"}, {"bytes": "AAAA"}, {"s3Location": {"uri": "s3://x"}}, 7]
    )
    def test_media_as_bytes_and_as_base64(self, kind, source):
        part = only({kind: {"format": "x", "source": source}})
        assert (part.kind, part.text) == (kind, "")

    def test_documents_of_text(self):
        assert only({"document": {"name": "d", "context": "C", "source": {"text": "long"}}}).text == "C\nlong"
        assert only({"document": {"name": "d", "source": {"content": [{"text": "a"}, {"text": "b"}]}}}).text == "a\nb"

    def test_reasoning(self):
        signed = only({"reasoningContent": {"reasoningText": {"text": "hm", "signature": "Eo"}}}, role="assistant")
        assert (signed.kind, signed.text, signed.signed) == ("reasoning", "hm", True)
        assert not only({"reasoningContent": {"reasoningText": {"text": "hm"}}}, role="assistant").signed
        assert only({"reasoningContent": {"redactedContent": b"\x01"}}, role="assistant").signed

    def test_cited_text(self):
        part = only({"citationsContent": {"content": [{"text": "a"}], "citations": [{}]}}, role="assistant")
        assert (part.kind, part.text) == ("text", "a")

    def test_guarded_content(self):
        assert only({"guardContent": {"text": {"text": "careful", "qualifiers": []}}}).text == "careful"
        assert only({"guardContent": {"image": {"format": "png"}}}).kind == "image"

    def test_search_result(self):
        part = only({"searchResult": {"title": "T", "source": "S", "content": [{"text": "x"}]}})
        assert (part.kind, part.text) == ("document", "T\nS\nx")

    @pytest.mark.parametrize("block", [{"new": {"a": 1}}, {}, 7, {"new": b"\x00"}])
    def test_anything_else_is_shown_whole(self, block):
        part = only(block)
        assert part.kind == "other"
        assert part.value is block


class TestIdentity:
    def test_without_markers_it_is_the_same_object(self):
        for value in ({"text": "hi"}, {"role": "user", "content": [{"text": "hi"}]}, {"toolSpec": {}}, 7, "x"):
            assert dialect.identity(value) is value

    def test_b1_a_marker_is_its_own_block(self):
        marked = {"role": "user", "content": [{"text": "a"}, POINT, {"text": "b"}, POINT]}
        bare = dialect.identity(marked)
        assert bare == {"role": "user", "content": [{"text": "a"}, {"text": "b"}]}
        assert bare["content"][0] is marked["content"][0]
        assert dialect.identity(bare) is bare
        assert len(marked["content"]) == 4

    def test_a_step_that_is_a_marker_and_nothing_else_is_empty(self):
        assert dialect.identity(POINT) == {}

    def test_a_marker_beside_text_leaves_the_text(self):
        assert dialect.identity({"content": [{"text": "a", **POINT}]}) == {"content": [{"text": "a"}]}
        assert dialect.identity({"text": "a", **POINT}) == {"text": "a"}


class TestUsage:
    @pytest.mark.parametrize("model", ["Claude", "Nova"])
    def test_trap_1_cached_tokens_are_outside_the_input_count(self, model):
        found = answer(inputTokens=3, outputTokens=121, cacheReadInputTokens=1712, cacheReadInputTokenCount=1712,
                       cacheWriteInputTokens=236, cacheWriteInputTokenCount=236, totalTokens=2072)  # fmt: skip
        usage = found.usage
        assert (usage.fresh, usage.read, usage.written, usage.output) == (3, 1712, {"5m": 236}, 121)
        assert usage.input_total == 1951
        assert found.problems == ()
        assert (found.finish, found.complete) == ("end_turn", True)

    def test_an_inclusive_count_is_known_by_its_total(self):
        found = answer(inputTokens=2000, outputTokens=100, cacheReadInputTokens=1500, totalTokens=2100)
        assert (found.usage.fresh, found.usage.read, found.usage.input_total) == (500, 1500, 2000)
        assert found.problems == ()

    def test_b5_writes_by_time_to_live(self):
        details = [{"ttl": "1h", "inputTokens": 100}, {"ttl": "5m", "inputTokens": 48}]
        found = answer(inputTokens=1, outputTokens=1, cacheReadInputTokens=0, cacheWriteInputTokens=148,
                       cacheDetails=details, totalTokens=150)  # fmt: skip
        assert found.usage.written == {"1h": 100, "5m": 48}
        assert found.problems == ()

    def test_details_that_do_not_add_up_are_said(self):
        details = [{"ttl": "1h", "inputTokens": 100}]
        found = answer(inputTokens=1, outputTokens=1, cacheWriteInputTokens=148, cacheDetails=details)
        assert found.usage.written == {"1h": 100, "5m": 48}
        assert "148" in found.problems[0]

    def test_what_is_missing_is_unknown(self):
        usage = answer(inputTokens=5, outputTokens=100, totalTokens=105).usage
        assert (usage.read, usage.written, usage.reasoning) == (None, None, None)

    def test_zero_is_known(self):
        assert (
            answer(inputTokens=5, outputTokens=1, cacheReadInputTokens=0, cacheWriteInputTokens=0).usage.written == {}
        )

    def test_output_alone(self):
        usage = answer(outputTokens=50).usage
        assert (usage.fresh, usage.input_total, usage.output) == (None, None, 50)

    def test_no_figures(self):
        assert answer().usage is None
        assert dialect.answer({"message": "denied"}, "bedrock").usage is None

    def test_a_total_that_does_not_add_up_is_said(self):
        assert "99" in answer(inputTokens=5, outputTokens=1, totalTokens=99).problems[0]

    def test_what_else_an_answer_says(self):
        found = dialect.answer(
            {
                "usage": {"inputTokens": 1, "outputTokens": 1},
                "serviceTier": {"type": "flex"},
                "ResponseMetadata": {"RequestId": "req"},
                "trace": {"promptRouter": {"invokedModelId": "arn:x"}},
            },
            "bedrock",
        )
        assert (found.tier, found.id, found.model) == ("flex", "req", "arn:x")


def fed(*events):
    reader = dialect.stream("bedrock")
    for event in events:
        assert reader.feed(json.dumps(event, separators=(",", ":")).encode()) is False
    return reader


EVENTS = (
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": ""}}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hi"}}},
    {"contentBlockStop": {"contentBlockIndex": 0}},
    {"messageStop": {"stopReason": "end_turn"}},
    {
        "metadata": {
            "usage": {"inputTokens": 9, "outputTokens": 2, "cacheReadInputTokens": 4, "totalTokens": 15},
            "metrics": {"latencyMs": 7},
        }
    },
)


class TestStream:
    def test_trap_4_usage_is_in_the_metadata_which_is_the_end(self):
        reader = fed(*EVENTS[:-1])
        assert not reader.done
        assert reader.answer().usage is None
        assert not reader.answer().complete
        reader.see(EVENTS[-1])
        found = reader.answer()
        assert reader.done
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (9, 4, 2)
        assert (found.finish, found.complete, found.problems) == ("end_turn", True, ())

    @pytest.mark.parametrize(
        ("event", "counts"),
        [
            (EVENTS[1], False),
            (EVENTS[2], True),
            ({"contentBlockStart": {"start": {"toolUse": {"toolUseId": "t", "name": "read"}}}}, True),
            ({"contentBlockStart": {"start": {}}}, False),
            ({"contentBlockDelta": {"delta": {"toolUse": {"input": "{"}}}}, True),
            ({"contentBlockDelta": {"delta": {"toolUse": {"input": ""}}}}, False),
            ({"contentBlockDelta": {"delta": {"reasoningContent": {"text": "hm"}}}}, True),
            ({"contentBlockDelta": {"delta": {"reasoningContent": {"signature": "Eo"}}}}, False),
        ],
    )
    def test_first_content(self, event, counts):
        assert fed(EVENTS[0], event).content is counts

    def test_events_as_botocore_hands_them_out(self):
        reader = dialect.stream("bedrock")
        reader.see({"contentBlockDelta": {"delta": {"reasoningContent": {"redactedContent": b"\x01"}}}})
        assert reader.content

    def test_an_exception_breaks_the_stream_off(self):
        found = fed(*EVENTS[:3], {"throttlingException": {"message": "secret"}}).answer()
        assert found.problems == ("the stream broke off: throttlingException",)
        assert not found.complete

    @pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[1]", b"7", b"null", b'{"metadata":7}'])
    def test_broken_events_never_raise(self, data):
        reader = fed(EVENTS[0])
        assert reader.feed(data) is False
        reader.answer()
