"""bedrock.invoke: the bodies of every model family, and the usage rules with their traps."""

import base64
import json

import pytest

from ctxkit.dialects.bedrock import invoke as dialect
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Edit

METRICS = "amazon-bedrock-invocationMetrics"
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "system": "be brief"}


def texts(body):
    return [(part.kind, part.text) for part in dialect.view(body).parts]


def answer(**body):
    return dialect.answer(body, "bedrock")


class TestView:
    def test_claude(self):
        body = {**CLAUDE, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}
        seen = dialect.view(body)
        assert seen.dialect == "bedrock.invoke"
        assert texts(body) == [("text", "be brief"), ("text", "hi")]
        assert set(seen.options) == {"anthropic_version", "max_tokens"}

    @pytest.mark.parametrize("more", [{}, {"schemaVersion": "messages-v1"}, {"inferenceConfig": {}}])
    def test_nova(self, more):
        body = {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "system": [{"text": "s"}], **more}
        assert texts(body) == [("text", "s"), ("text", "hi")]

    def test_openai_shaped(self):
        assert texts({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}) == [("text", "hi")]

    @pytest.mark.parametrize(
        "body",
        [
            {"prompt": "hi", "max_gen_len": 5},
            {"inputText": "hi", "textGenerationConfig": {}},
            {"message": "hi", "k": 0},
            {"texts": ["hi"], "input_type": "search_query"},
            {"input": "hi", "modelId": "m"},
        ],
    )
    def test_families_with_one_prompt(self, body):
        assert texts(body) == [("text", "hi")]

    @pytest.mark.parametrize(
        "body",
        [
            {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 7},
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"max_new_tokens": 7}},
            {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "inferenceConfig": {"maxTokens": 7}},
            {"prompt": "hi", "max_gen_len": 7},
            {"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 7}},
        ],
    )
    def test_the_longest_answer_by_every_name_it_has(self, body):
        assert dialect.view(body).max_output == 7

    def test_cohere_reads_its_history_first(self):
        body = {"message": "hi", "chat_history": [{"role": "USER", "message": "before"}], "preamble": "be brief"}
        assert [text for _, text in texts(body)] == ["be brief", "before", "hi"]

    def test_a_body_that_nobody_knows_is_options(self):
        seen = dialect.view({"taskType": "SINGLE_EMBEDDING", "modelId": "amazon.nova"})
        assert (seen.messages, seen.options, seen.model) == ((), {"taskType": "SINGLE_EMBEDDING"}, "amazon.nova")

    @pytest.mark.parametrize("body", [None, [], "hi", {"messages": "hi"}, {"messages": [1]}])
    def test_what_is_no_request(self, body):
        with pytest.raises(ProviderShapeError):
            dialect.view(body)

    def test_markers_of_claude_and_of_nova(self):
        mark = {"cachePoint": {"type": "default"}}
        assert dialect.identity({"content": [{"type": "text", "cache_control": {}}]}) == {"content": [{"type": "text"}]}
        assert dialect.identity({"content": [{"text": "a", **mark}]}) == {"content": [{"text": "a"}]}
        plain = {"content": [{"text": "a"}]}
        assert dialect.identity(plain) is plain

    def test_it_is_never_edited(self):
        body = {"prompt": "hi"}
        assert dialect.apply(body, []) is body
        assert not dialect.editable
        with pytest.raises(ProviderShapeError, match="never edited"):
            dialect.apply(body, [Edit("drop", ("prompt",), "no")])


class TestUsage:
    def test_trap_1_claude_counts_cached_tokens_outside(self):
        found = answer(
            id="msg_bdrk_1",
            model="claude-x",
            stop_reason="end_turn",
            usage={
                "input_tokens": 3,
                "cache_read_input_tokens": 9511,
                "cache_creation_input_tokens": 20,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 20},
                "output_tokens": 1944,
            },
        )
        assert (found.usage.fresh, found.usage.read, found.usage.written) == (3, 9511, {"1h": 20})
        assert (found.id, found.model, found.finish, found.usage.output) == ("msg_bdrk_1", "claude-x", "end_turn", 1944)

    def test_trap_1_nova_counts_cached_tokens_outside(self):
        usage = {"inputTokens": 22, "outputTokens": 13, "totalTokens": 2527, "cacheReadInputTokenCount": 0,
                 "cacheWriteInputTokenCount": 2492}  # fmt: skip
        found = answer(stopReason="end_turn", usage=usage)
        assert (found.usage.fresh, found.usage.read, found.usage.written) == (22, 0, {"5m": 2492})
        assert (found.finish, found.problems) == ("end_turn", ())

    def test_trap_1_openai_shaped_counts_cached_tokens_inside(self):
        usage = {"prompt_tokens": 16, "completion_tokens": 19, "total_tokens": 35,
                 "prompt_tokens_details": {"cached_tokens": 6},
                 "completion_tokens_details": {"reasoning_tokens": 4}}  # fmt: skip
        found = answer(usage=usage, choices=[{"finish_reason": "stop"}])
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (10, 6, 19)
        assert (found.usage.reasoning, found.finish) == (4, "stop")

    def test_llama(self):
        found = answer(prompt_token_count=6, generation_token_count=18, stop_reason="length")
        assert (found.usage.fresh, found.usage.output, found.finish) == (6, 18, "length")

    def test_titan(self):
        found = answer(inputTextTokenCount=6, results=[{"tokenCount": 42, "completionReason": "FINISH"}])
        assert (found.usage.fresh, found.usage.output, found.finish) == (6, 42, "FINISH")

    def test_embeddings_have_no_output(self):
        found = answer(inputTextTokenCount=3, embedding=[0.1])
        assert (found.usage.fresh, found.usage.output) == (3, 0)

    def test_trap_5_billed_units_are_not_tokens(self):
        meta = {
            "billed_units": {"input_tokens": 5, "output_tokens": 17},
            "tokens": {"input_tokens": 71, "output_tokens": 17},
        }
        assert answer(text="x", meta=meta).usage.fresh == 71
        assert answer(text="x", meta={"billed_units": meta["billed_units"]}).usage.fresh == 5

    def test_no_figures(self):
        assert answer(outputs=[{"text": "hi", "stop_reason": "stop"}]).usage is None
        assert answer(outputs=[{"text": "hi", "stop_reason": "stop"}]).finish == "stop"

    def test_figures_in_the_headers(self):
        headers = {"x-amzn-bedrock-input-token-count": "23", "x-amzn-bedrock-output-token-count": "32", "date": "x"}
        body = {"completion": "hi", "stop_reason": "stop_sequence"}
        found = dialect.answer(dialect.metered(body, headers), "bedrock")
        assert (found.usage.fresh, found.usage.output, found.finish) == (23, 32, "stop_sequence")
        assert METRICS not in body
        assert dialect.metered(body, {}) == body

    def test_headers_do_not_replace_what_claude_says(self):
        headers = {"x-amzn-bedrock-input-token-count": "99", "x-amzn-bedrock-output-token-count": "7"}
        body = {"usage": {"input_tokens": 3, "cache_read_input_tokens": 96, "output_tokens": 7}}
        found = dialect.answer(dialect.metered(body, headers), "bedrock")
        assert (found.usage.fresh, found.usage.read) == (3, 96)
        assert found.problems == ()

    @pytest.mark.parametrize("value", ["", "x", "-1", "1.5"])
    def test_odd_headers_are_unknown(self, value):
        assert dialect.metered({}, {"x-amzn-bedrock-input-token-count": value}) == {}


def wired(event):
    """An event as the wire has it: base64 inside JSON, with padding beside it."""
    return json.dumps({"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abc"}).encode()


def under_chunk(event):
    return b'{"chunk":' + wired(event) + b"}"


def bare(event):
    return json.dumps(event).encode()


def fed(*events, form=wired):
    reader = dialect.stream("bedrock")
    for event in events:
        assert reader.feed(form(event)) is False
    return reader


CLAUDE_EVENTS = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_bdrk_1",
            "model": "claude-x",
            "usage": {
                "input_tokens": 12,
                "cache_creation_input_tokens": 40,
                "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 40},
                "output_tokens": 1,
            },
        },
    },
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 88}},
    {"type": "message_stop", METRICS: {"inputTokenCount": 12, "outputTokenCount": 88}},
)


class TestStream:
    @pytest.mark.parametrize("form", [wired, under_chunk, bare])
    def test_trap_4_usage_of_claude_arrives_in_pieces(self, form):
        reader = fed(*CLAUDE_EVENTS[:-1], form=form)
        assert reader.content
        assert not reader.done
        assert not reader.answer().complete
        reader.feed(form(CLAUDE_EVENTS[-1]))
        found = reader.answer()
        assert (found.usage.fresh, found.usage.written, found.usage.output) == (12, {"1h": 40}, 88)
        assert (found.id, found.model, found.finish) == ("msg_bdrk_1", "claude-x", "max_tokens")
        assert (reader.done, found.complete, found.problems) == (True, True, ())

    def test_metrics_that_differ_from_what_claude_says(self):
        metrics = {"type": "message_stop", METRICS: {"inputTokenCount": 12, "outputTokenCount": 72}}
        found = fed(*CLAUDE_EVENTS[:-1], metrics).answer()
        assert found.usage.output == 88
        assert found.problems == ("the model reported 88 output tokens, Bedrock's metrics 72",)

    def test_nova(self):
        reader = fed(
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {
                "metadata": {"usage": {"inputTokens": 12, "outputTokens": 13, "cacheReadInputTokenCount": 5}},
                METRICS: {"inputTokenCount": 12, "outputTokenCount": 13, "cacheReadInputTokenCount": 5},
            },
        )
        found = reader.answer()
        assert reader.content
        assert (found.usage.fresh, found.usage.read, found.usage.output) == (12, 5, 13)
        assert (found.finish, found.complete) == ("end_turn", True)

    def test_nova_with_metrics_alone(self):
        metrics = {"inputTokenCount": 12, "outputTokenCount": 13, "cacheReadInputTokenCount": 5,
                   "cacheWriteInputTokenCount": 0}  # fmt: skip
        usage = fed({METRICS: metrics}).answer().usage
        assert (usage.fresh, usage.read, usage.written, usage.output) == (12, 5, {}, 13)

    def test_llamas_own_count_lacks_the_last_token(self):
        reader = fed(
            {"generation": "", "prompt_token_count": 23, "generation_token_count": 1, "stop_reason": None},
            {"generation": "hi", "prompt_token_count": None, "generation_token_count": 119, "stop_reason": "length",
             METRICS: {"inputTokenCount": 23, "outputTokenCount": 120}},
        )  # fmt: skip
        found = reader.answer()
        assert (found.usage.fresh, found.usage.output, found.finish) == (23, 120, "length")

    def test_titan(self):
        last = {"outputText": "hi", "inputTextTokenCount": 13, "totalOutputTextTokenCount": 100,
                "completionReason": "FINISH", METRICS: {"inputTokenCount": 13, "outputTokenCount": 100}}  # fmt: skip
        found = fed(last).answer()
        assert (found.usage.fresh, found.usage.output, found.finish, found.complete) == (13, 100, "FINISH", True)

    def test_openai_shaped(self):
        reader = fed(
            {"id": "c", "choices": [{"delta": {"content": "hi"}, "finish_reason": None}]},
            {"id": "c", "choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], METRICS: {"inputTokenCount": 70, "outputTokenCount": 43}},
        )
        found = reader.answer()
        assert reader.content
        assert (found.usage.fresh, found.usage.output, found.finish, found.id) == (70, 43, "stop", "c")

    @pytest.mark.parametrize(
        ("event", "counts"),
        [
            ({"outputText": "hi"}, True),
            ({"outputs": [{"text": "hi"}]}, True),
            ({"generations": [{"text": "hi"}]}, True),
            ({"completion": ""}, False),
            ({"contentBlockStart": {"start": {"toolUse": {"name": "t"}}}}, True),
            ({"contentBlockStop": {}}, False),
        ],
    )
    def test_first_content(self, event, counts):
        assert fed(event).content is counts

    def test_an_exception_breaks_the_stream_off(self):
        found = fed(*CLAUDE_EVENTS[:2], {"modelStreamErrorException": {"message": "secret"}}, form=bare).answer()
        assert found.problems == ("the stream broke off: modelStreamErrorException",)
        assert (found.complete, found.usage.fresh) == (False, 12)

    @pytest.mark.parametrize(
        "data", [b"", b"{", b"\xff", b"[1]", b"7", b'{"bytes":', b'{"bytes":"!!!"}', b'{"bytes":"QQ"}']
    )
    def test_broken_events_never_raise(self, data):
        reader = fed(CLAUDE_EVENTS[0])
        assert reader.feed(data) is False
        assert reader.answer().usage.fresh == 12
