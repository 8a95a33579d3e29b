"""anthropic.messages: the view of every block type, identities, and the usage rules with their traps."""

import json

import pytest

from ctxkit.dialects.anthropic import messages as dialect
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit

MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def request(*content, role="user", **fields):
    return {"model": "claude-x", "max_tokens": 9, "messages": [{"role": role, "content": list(content)}], **fields}


def parts_of(*content, role="user"):
    return [part for message in dialect.view(request(*content, role=role)).messages for part in message.parts]


def only(*content, role="user"):
    (part,) = parts_of(*content, role=role)
    return part


def answer(**usage):
    return dialect.answer({"id": "msg_1", "model": "claude-x", "stop_reason": "end_turn", "usage": usage}, "anthropic")


class TestView:
    def test_cache_order_is_tools_system_messages(self):
        body = {
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [{"type": "text"}]}],
            "system": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "and kind"}],
            "tools": [{"name": "read", "input_schema": {}}],
            "model": "claude-x",
            "max_tokens": 5,
            "thinking": {"type": "adaptive"},
        }
        seen = dialect.view(body)
        assert [message.path for message in seen.messages] == [
            ("tools", 0),
            ("system", 0),
            ("system", 1),
            ("messages", 0),
            ("messages", 1),
        ]
        assert [message.role for message in seen.messages] == ["tools", "system", "system", "user", "assistant"]
        assert seen.model == "claude-x"
        assert seen.options == {"max_tokens": 5, "thinking": {"type": "adaptive"}}
        assert seen.server_history is None

    def test_system_as_text(self):
        body = request({"type": "text", "text": "hi"}, system="be brief")
        system = dialect.view(body).messages[0]
        (part,) = system.parts
        assert (part.kind, part.role, part.path, part.text) == ("text", "system", ("system",), "be brief")
        assert part.value is body["system"]

    def test_content_as_text(self):
        (part,) = dialect.view({"messages": [{"role": "user", "content": "hi"}]}).parts
        assert (part.kind, part.path, part.text) == ("text", ("messages", 0, "content"), "hi")

    def test_tool_definition_text_has_no_marker(self):
        (part, _) = dialect.view(request({"type": "text", "text": "x"}, tools=[{"name": "read", **MARK}])).parts
        assert (part.kind, part.name, part.text) == ("tool", "read", '{"name": "read"}')

    def test_unknown_field_of_a_message_is_a_part(self):
        body = {"messages": [{"role": "user", "content": "hi", "mood": {"a": 1}}]}
        (_, extra) = dialect.view(body).parts
        assert (extra.kind, extra.path, extra.text) == ("other", ("messages", 0, "mood"), '{"a": 1}')

    def test_role_that_is_no_text_is_a_part(self):
        assert [part.path for part in dialect.view({"messages": [{"role": 7, "content": "hi"}]}).parts] == [
            ("messages", 0, "content"),
            ("messages", 0, "role"),
        ]

    def test_tools_of_a_wrong_type_are_options(self):
        assert dialect.view(request(tools="none")).options["tools"] == "none"

    @pytest.mark.parametrize(
        ("body", "where"),
        [
            (None, "body"),
            ([], "body"),
            ({}, "messages"),
            ({"messages": {}}, "messages"),
            ({"messages": [{"role": "user", "content": "a"}, "b"]}, r"messages\[1\]"),
        ],
    )
    def test_what_is_no_request(self, body, where):
        with pytest.raises(ProviderShapeError, match=where):
            dialect.view(body)


class TestBlocks:
    def test_text(self):
        part = only({"type": "text", "text": "hi"})
        assert (part.kind, part.text, part.signed) == ("text", "hi", False)
        assert part.path == ("messages", 0, "content", 0)

    def test_text_with_citations_of_web_search_is_signed(self):
        cited = {"type": "web_search_result_location", "encrypted_index": "Eo8B"}
        assert only({"type": "text", "text": "hi", "citations": [cited]}).signed
        assert not only({"type": "text", "text": "hi", "citations": [{"type": "char_location"}]}).signed

    def test_image(self):
        part = only({"type": "image", "source": {"type": "base64", "data": "AAAA"}})
        assert (part.kind, part.text) == ("image", "")

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            ({"type": "text", "data": "long"}, "T\nC\nlong"),
            (
                {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                "T\nC\na\nb",
            ),
            ({"type": "content", "content": "plain"}, "T\nC\nplain"),
            ({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, "T\nC"),
            (None, "T\nC"),
        ],
    )
    def test_document(self, source, text):
        part = only({"type": "document", "source": source, "title": "T", "context": "C"})
        assert (part.kind, part.text) == ("document", text)

    def test_image_inside_a_document_is_a_part_of_its_own(self):
        image = {"type": "image", "source": {}}
        (_, inner) = parts_of({"type": "document", "source": {"type": "content", "content": [image]}})
        assert (inner.kind, inner.path[-3:]) == ("image", ("source", "content", 0))

    def test_search_result(self):
        part = only({"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "x"}]})
        assert (part.kind, part.text) == ("document", "T\nS\nx")

    def test_thinking_is_signed_when_it_carries_a_signature(self):
        signed = only({"type": "thinking", "thinking": "hm", "signature": "Eo8B"}, role="assistant")
        assert (signed.kind, signed.text, signed.signed) == ("reasoning", "hm", True)
        assert not only({"type": "thinking", "thinking": "hm", "signature": ""}, role="assistant").signed

    def test_redacted_thinking(self):
        part = only({"type": "redacted_thinking", "data": "Eo8B"}, role="assistant")
        assert (part.kind, part.signed) == ("reasoning", True)

    @pytest.mark.parametrize("kind", ["tool_use", "server_tool_use", "mcp_tool_use", "tomorrows_tool_use"])
    def test_tool_calls(self, kind):
        part = only({"type": kind, "id": "t1", "name": "read", "input": {"path": "é", "n": [1]}}, role="assistant")
        assert (part.kind, part.pair, part.name) == ("tool_call", "t1", "read")
        assert part.text == '{"path": "é", "n": [1]}'

    def test_tool_result_as_text(self):
        part = only({"type": "tool_result", "tool_use_id": "t1", "content": "done"})
        assert (part.kind, part.pair, part.text) == ("tool_result", "t1", "done")

    def test_tool_result_without_content(self):
        assert only({"type": "tool_result", "tool_use_id": "t1"}).text == ""

    def test_media_inside_a_tool_result_are_parts_of_their_own(self):
        content = [
            {"type": "text", "text": "a"},
            {"type": "image", "source": {}},
            {"type": "document", "source": {"type": "text", "data": "inner"}},
            {"type": "tool_reference", "tool_name": "later"},
        ]
        result, image, document = parts_of({"type": "tool_result", "tool_use_id": "t1", "content": content})
        assert result.text == "a\nlater"
        assert (image.kind, image.path) == ("image", ("messages", 0, "content", 0, "content", 1))
        assert (document.kind, document.text) == ("document", "inner")

    @pytest.mark.parametrize(
        ("kind", "content", "text"),
        [
            ("code_execution_tool_result", {"type": "code_execution_result", "stdout": "4", "stderr": "w"}, "4\nw"),
            ("bash_code_execution_tool_result", {"type": "bash_code_execution_result", "stdout": "ls"}, "ls"),
            ("mcp_tool_result", [{"type": "text", "text": "x", "citations": None}], "x"),
            ("advisor_tool_result", {"type": "advisor_result", "text": "go on"}, "go on"),
            (
                "tool_search_tool_result",
                {
                    "type": "tool_search_tool_search_result",
                    "tool_references": [{"type": "tool_reference", "tool_name": "fx"}],
                },
                "fx",
            ),
            ("web_fetch_tool_result", {"type": "web_fetch_tool_result_error", "error_code": "e"},
             '{"type": "web_fetch_tool_result_error", "error_code": "e"}'),
        ],
    )  # fmt: skip
    def test_results_of_server_tools(self, kind, content, text):
        part = only({"type": kind, "tool_use_id": "s1", "content": content}, role="assistant")
        assert (part.kind, part.pair, part.text, part.signed) == ("tool_result", "s1", text, False)

    def test_web_search_results_are_signed_and_their_ciphertext_is_no_text(self):
        found = {"type": "web_search_result", "title": "T", "url": "U", "encrypted_content": "Eo8B"}
        part = only({"type": "web_search_tool_result", "tool_use_id": "s1", "content": [found]}, role="assistant")
        assert (part.text, part.signed) == ("T\nU", True)

    @pytest.mark.parametrize("kind", ["tool_addition", "tool_removal"])
    def test_tools_that_come_and_go(self, kind):
        part = only({"type": kind, "tool": {"type": "tool_reference", "name": "fx"}}, role="system")
        assert (part.kind, part.name) == ("tool", "fx")

    def test_compaction_must_come_back_as_it_was(self):
        part = only({"type": "compaction", "content": "so far"}, role="assistant")
        assert (part.kind, part.text, part.signed) == ("other", "so far", True)

    @pytest.mark.parametrize("block", [{"type": "container_upload", "file_id": "f"}, {"type": [1]}, {}, 7, "bare"])
    def test_anything_else_is_shown_whole(self, block):
        part = only(block)
        assert part.kind == "other"
        assert part.value is block
        assert part.text == (block if isinstance(block, str) else json.dumps(block))


class TestIdentity:
    def test_without_markers_it_is_the_same_object(self):
        for value in ("text", {"role": "user", "content": "hi"}, {"role": "user", "content": [{"type": "text"}]}, 7):
            assert dialect.identity(value) is value

    def test_markers_on_blocks_tools_and_inside_results_are_left_out(self):
        inner = {"type": "text", "text": "x"}
        source = {"type": "content", "content": [inner | MARK]}
        marked = {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [inner | MARK], **MARK},
                {"type": "document", "source": source},
                {"type": "text", "text": "y"},
            ],
        }
        bare = dialect.identity(marked)
        assert "cache_control" not in json.dumps(bare)
        assert bare["content"][0] == {"type": "tool_result", "tool_use_id": "t", "content": [inner]}
        assert bare["content"][2] is marked["content"][2]
        assert dialect.identity(bare) is bare
        assert dialect.identity({"name": "read", **MARK}) == {"name": "read"}
        assert "cache_control" in marked["content"][0], "the caller's own must not change"

    def test_a_field_of_that_name_in_a_tools_input_is_the_applications_own(self):
        called = {"role": "assistant", "content": [{"type": "tool_use", "input": {"cache_control": 1}}]}
        assert dialect.identity(called) is called
        declared = {"name": "t", "input_schema": {"properties": {"cache_control": {}}}}
        assert dialect.identity(declared) is declared


class TestUsage:
    def test_trap_1_cached_tokens_are_outside_the_input_count(self):
        found = answer(
            input_tokens=2048,
            cache_read_input_tokens=1800,
            cache_creation_input_tokens=248,
            cache_creation={"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            output_tokens=503,
            output_tokens_details={"thinking_tokens": 200},
            service_tier="standard",
        )
        usage = found.usage
        assert (usage.fresh, usage.read, usage.written) == (2048, 1800, {"5m": 148, "1h": 100})
        assert (usage.output, usage.reasoning, usage.input_total) == (503, 200, 4096)
        assert (found.tier, found.model, found.id, found.finish) == ("standard", "claude-x", "msg_1", "end_turn")
        assert found.complete
        assert found.problems == ()

    def test_trap_8_what_is_written_is_read_again_to_the_token(self):
        first = answer(input_tokens=330, cache_creation_input_tokens=6702, cache_read_input_tokens=0, output_tokens=1)
        again = answer(input_tokens=331, cache_creation_input_tokens=0, cache_read_input_tokens=6702, output_tokens=1)
        assert (first.usage.fresh, first.usage.read, first.usage.written) == (330, 0, {"5m": 6702})
        assert (again.usage.fresh, again.usage.read, again.usage.written) == (331, 6702, {})

    def test_trap_7_a_prefix_below_the_minimum_is_silently_not_cached(self):
        found = answer(input_tokens=7032, cache_creation_input_tokens=0, cache_read_input_tokens=0, output_tokens=1)
        assert (found.usage.input_total, found.usage.read, found.usage.written) == (7032, 0, {})
        assert found.problems == ()

    def test_what_is_missing_is_unknown(self):
        usage = answer(input_tokens=5, output_tokens=3).usage
        assert (usage.read, usage.written, usage.reasoning, usage.calls) == (None, None, None, {})

    def test_a_reported_zero_is_known(self):
        usage = answer(input_tokens=5, cache_read_input_tokens=0, cache_creation_input_tokens=0, output_tokens=3).usage
        assert (usage.read, usage.written) == (0, {})

    def test_no_usage(self):
        assert dialect.answer({"type": "error", "error": {}}, "anthropic").usage is None
        assert answer().usage is None

    def test_writes_without_a_split_are_taken_for_five_minutes(self):
        found = answer(input_tokens=5, cache_creation_input_tokens=70, output_tokens=3)
        assert found.usage.written == {"5m": 70}
        assert found.problems == ()

    def test_server_tools_write_five_minutes_beyond_the_split(self):
        found = answer(
            input_tokens=10,
            cache_creation_input_tokens=12174,
            cache_read_input_tokens=39695,
            cache_creation={"ephemeral_5m_input_tokens": 291, "ephemeral_1h_input_tokens": 100},
            output_tokens=437,
            server_tool_use={"web_search_requests": 1, "web_fetch_requests": 2},
        )
        assert found.usage.written == {"5m": 12074, "1h": 100}
        assert found.usage.calls == {"web_search": 1}, "fetches are free"
        assert found.problems == ()

    @pytest.mark.parametrize("split", [10, 90])
    def test_a_split_that_does_not_add_up_is_said(self, split):
        details = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": split}
        found = answer(input_tokens=1, cache_creation_input_tokens=50, cache_creation=details, output_tokens=1)
        assert found.usage.written["1h"] == split
        assert any("50" in problem for problem in found.problems)

    def test_fast_mode_is_a_tier(self):
        assert answer(input_tokens=1, output_tokens=1, service_tier="standard", speed="fast").tier == "fast"

    def test_more_reasoning_than_output_is_said(self):
        found = answer(input_tokens=1, output_tokens=1, output_tokens_details={"thinking_tokens": 2})
        assert "reasoning" in found.problems[0]

    @pytest.mark.parametrize("odd", [-1, "7", 1.5, True, [], {}, None])
    def test_odd_figures_are_unknown(self, odd):
        assert answer(input_tokens=odd, output_tokens=3).usage.fresh is None


def step(kind, given, output, *, read=0, created=0, **more):
    return {
        "type": kind,
        "input_tokens": given,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": created,
        "cache_creation": {"ephemeral_5m_input_tokens": created, "ephemeral_1h_input_tokens": 0},
        **more,
    }


class TestIterations:
    def test_trap_3_compaction_is_billed_but_not_in_the_top_level_figures(self):
        steps = [step("compaction", 55196, 125), step("message", 220, 8)]
        found = answer(input_tokens=220, cache_read_input_tokens=0, output_tokens=8, iterations=steps)
        assert found.usage.input_total == 55416
        assert found.usage.output == 133
        assert found.problems == ()

    def test_what_compaction_wrote_to_the_cache(self):
        steps = [step("compaction", 100, 82, created=55096), step("message", 180, 8)]
        found = answer(input_tokens=180, cache_creation_input_tokens=0, output_tokens=8, iterations=steps)
        assert (found.usage.fresh, found.usage.written) == (280, {"5m": 55096})

    def test_steps_of_a_tool_loop_are_the_top_level_figures(self):
        steps = [step("message", 1128, 110, read=5), step("fallback_message", 1262, 11, model="b")]
        found = answer(input_tokens=2390, cache_read_input_tokens=5, output_tokens=121, iterations=steps)
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (2390, 5, 121)
        assert found.problems == ()

    def test_an_advisor_is_billed_at_another_models_price(self):
        steps = [step("message", 10, 3), step("advisor_message", 2518, 22, model="claude-y"), step("message", 4, 1)]
        found = answer(input_tokens=14, output_tokens=4, iterations=steps)
        assert (found.usage.fresh, found.usage.output) == (14, 4)
        assert found.problems == ("2518 input and 22 output tokens of the advisor claude-y are billed besides",)

    def test_steps_that_do_not_add_up_are_said(self):
        found = answer(input_tokens=14, output_tokens=9, iterations=[step("message", 14, 4)])
        assert "iterations" in found.problems[0]

    @pytest.mark.parametrize("odd", [7, "x", [], [None], [{}], {"a": 1}])
    def test_odd_iterations_never_raise(self, odd):
        assert answer(input_tokens=14, output_tokens=9, iterations=odd).usage is not None


def fed(*events, raw=()):
    reader = dialect.stream("anthropic")
    for event in events:
        assert reader.feed(json.dumps(event).encode()) is False
    for data in raw:
        assert reader.feed(data) is False
    return reader


START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude-x",
        "usage": {
            "input_tokens": 30,
            "cache_creation_input_tokens": 30,
            "cache_read_input_tokens": 5,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 30},
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 40}}
STOP = {"type": "message_stop"}


def piece(**delta):
    return {"type": "content_block_delta", "index": 0, "delta": delta}


class TestStream:
    def test_trap_4_usage_arrives_in_pieces(self):
        reader = fed(START, {"type": "ping"}, piece(type="text_delta", text="hi"), DELTA, STOP)
        found = reader.answer()
        assert reader.done
        assert found.complete
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (30, 5, 40)
        assert (found.id, found.model, found.finish, found.tier) == ("msg_1", "claude-x", "end_turn", "standard")

    def test_a20_the_split_of_message_start_survives(self):
        cumulative = {"output_tokens": 40, "cache_creation_input_tokens": 30, "cache_creation": None}
        found = fed(START, {**DELTA, "usage": cumulative}, STOP).answer()
        assert found.usage.written == {"1h": 30}
        assert found.problems == ()

    def test_null_replaces_nothing(self):
        nulls = {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 2}
        assert fed(START, {**DELTA, "usage": nulls}, STOP).answer().usage.read == 5

    def test_cumulative_figures_of_server_tools_replace_the_first(self):
        later = {"output_tokens": 40, "input_tokens": 2411, "cache_creation_input_tokens": 530,
                 "server_tool_use": {"web_search_requests": 2}}  # fmt: skip
        usage = fed(START, {**DELTA, "usage": later}, STOP).answer().usage
        assert (usage.fresh, usage.written, usage.calls) == (2411, {"1h": 30, "5m": 500}, {"web_search": 2})

    def test_compaction_in_a_stream(self):
        first = {"input_tokens": 100, "cache_creation_input_tokens": 55096, "output_tokens": 5,
                 "cache_creation": {"ephemeral_5m_input_tokens": 55096, "ephemeral_1h_input_tokens": 0}}  # fmt: skip
        steps = [step("compaction", 100, 71, created=55096), step("message", 172, 5)]
        last = {"input_tokens": 172, "cache_creation_input_tokens": 0, "output_tokens": 5, "iterations": steps}
        start = {"type": "message_start", "message": {"usage": first}}
        found = fed(start, {**DELTA, "usage": last}, STOP).answer()
        assert (found.usage.fresh, found.usage.written, found.usage.output) == (272, {"5m": 55096}, 76)
        assert found.problems == ()

    def test_a_cut_stream_is_not_complete_and_keeps_what_was_seen(self):
        reader = fed(START, piece(type="text_delta", text="hi"))
        found = reader.answer()
        assert not reader.done
        assert not found.complete
        assert found.usage.fresh == 30

    def test_a_stream_that_never_began(self):
        found = fed().answer()
        assert (found.usage, found.complete) == (None, False)

    @pytest.mark.parametrize(
        ("event", "counts"),
        [
            (piece(type="text_delta", text=""), False),
            (piece(type="text_delta", text="x"), True),
            (piece(type="thinking_delta", thinking="x"), True),
            (piece(type="signature_delta", signature="x"), False),
            (piece(type="input_json_delta", partial_json=""), False),
            (piece(type="input_json_delta", partial_json="{"), True),
            ({"type": "content_block_start", "content_block": {"type": "text", "text": ""}}, False),
            ({"type": "content_block_start", "content_block": {"type": "tool_use", "name": "t"}}, True),
            ({"type": "content_block_stop", "index": 0}, False),
        ],
    )
    def test_first_content(self, event, counts):
        assert fed(START, event).content is counts

    def test_text_that_looks_like_events_changes_nothing(self):
        reader = fed(START, piece(type="text_delta", text="a"))
        reader.feed(json.dumps(piece(type="text_delta", text='{"type":"message_stop","usage":{}}')).encode())
        assert not reader.done

    def test_an_error_breaks_the_stream_off(self):
        found = fed(START, {"type": "error", "error": {"type": "overloaded_error", "message": "secret"}}).answer()
        assert not found.complete
        assert found.problems == ("the stream broke off: overloaded_error",)

    @pytest.mark.parametrize("data", [b"", b"{", b"[DONE]", b"\xff", b"[1]", b"7", b"null"])
    def test_broken_events_never_raise(self, data):
        reader = fed(START, raw=[data])
        fed(raw=[data])
        assert reader.answer().usage.fresh == 30


def test_apply_is_shared():
    body = request({"type": "text", "text": "long"})
    assert dialect.apply(body, []) is body
    edited = dialect.apply(body, [Edit("replace", ("messages", 0, "content", 0, "text"), "shorter", "s")])
    assert edited["messages"][0]["content"][0] == {"type": "text", "text": "s"}
    assert body["messages"][0]["content"][0]["text"] == "long"
