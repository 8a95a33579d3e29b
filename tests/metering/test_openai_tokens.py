"""Counting requests to OpenAI models: figures that OpenAI published or reported, and what must hold for any request.

Figures marked "cookbook" are those that OpenAI's cookbook prints beside what its API counted ("How to count tokens with
tiktoken"); the others follow from the framing, spelled out by hand.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit import dialects
from ctxkit.metering.openai_framing import framing_of, hosted_tokens
from ctxkit.metering.openai_schema import answer_schema, function_type, plain_function_type
from ctxkit.metering.openai_tokens import frame_tokens, message_weight, reader_of
from ctxkit.metering.tokens import text_tokens

JARGON = [
    ("system", None, "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."),
    ("system", "example_user", "New synergies will help drive top-line growth."),
    ("system", "example_assistant", "Things working well together will increase revenue."),
    ("system", "example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage."),
    ("system", "example_assistant", "Let's talk later when we're less busy about how to do better."),
    ("user", None, "This late pivot means we don't have time to boil the ocean for the client deliverable."),
]  # fmt: skip
WEATHER = {
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
}
ASK = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]


def weigh(body, model="gpt-4o", dialect="openai.chat"):
    """Everything that was weighed: weights of messages, what the frame adds, slack of the frame."""
    conversation = dialects.get(dialect).view(body)
    reader = reader_of(model)
    weights = [message_weight(conversation.messages, index, reader) for index in range(len(conversation.messages))]
    return weights, *frame_tokens(conversation, reader)


def count(body, model="gpt-4o", dialect="openai.chat"):
    weights, frame, _ = weigh(body, model, dialect)
    current = 0.0
    for weight in reversed(weights):
        if weight.turn:
            break
        current += weight.current
    return round(sum(weight.tokens for weight in weights) + current + frame)


def respond(body, model="gpt-4o"):
    return count(body, model, "openai.responses")


def user(text="hi"):
    return {"role": "user", "content": text}


def tool(**function):
    return {"type": "function", "function": function}


def flat(**function):
    return {"type": "function", **function}


# --- text ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-3.5-turbo", 129), ("gpt-4-0613", 129), ("gpt-4", 129), ("gpt-4o", 124), ("gpt-4o-mini", 124)],
)
def test_cookbook_messages_with_names(model, expected):
    messages = [{"role": role, "content": text} | ({"name": name} if name else {}) for role, name, text in JARGON]
    assert count({"messages": messages}, model) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [("gpt-3.5-turbo", 105), ("gpt-4", 105), ("gpt-4o", 101), ("gpt-4o-mini", 101)],
)
def test_cookbook_tools(model, expected):
    assert count({"messages": ASK, "tools": [tool(**WEATHER)]}, model) == expected


@pytest.mark.parametrize(
    ("model", "once", "again"),
    # 3 around the message, 1 role, 1 text, 3 for the reply; then 3 + 1 + 1 for the assistant and 3 + 1 + 1 for the user
    [
        ("gpt-4o", 8, 18),
        ("gpt-4.1", 8, 18),
        ("o3-mini", 7, 17),
        ("gpt-5", 7, 19),
        ("gpt-5.6-sol", 7, 19),
        ("gpt-6", 7, 19),
    ],
)
def test_what_each_generation_adds_to_text(model, once, again):
    turns = [user(), {"role": "assistant", "content": "hi"}, user()]
    assert count({"messages": turns[:1]}, model) == respond({"input": "hi"}, model) == once
    assert count({"messages": turns}, model) == respond({"input": turns}, model) == again


def test_instructions_are_a_system_message():
    whole = respond({"instructions": "Be brief.", "input": "hi"})
    assert whole == respond({"input": [{"role": "system", "content": "Be brief."}, user()]})


def test_blocks_of_text_are_one_text():
    blocks = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "world!"}]
    assert count({"messages": [user(blocks)]}) == count({"messages": [user("Hello, world!")]})


def test_fields_that_the_model_does_not_read_weigh_nothing():
    plain = {"role": "assistant", "content": "hi"}
    assert count({"messages": [user(), {**plain, "refusal": None, "annotations": []}]}) == count(
        {"messages": [user(), plain]}
    )


def test_search_models_count_text_alone():
    assert count({"messages": ASK}, "gpt-4o-search-preview") == sum(
        text_tokens(m["content"], "o200k_base") for m in ASK
    )


def test_embeddings_and_completions_count_text_and_token_ids():
    body = {"input": ["hello world", "hi"], "model": "text-embedding-3-small"}
    assert count(body, "text-embedding-3-small", "openai.embeddings") == 3
    assert count({"input": [[1, 2, 3], [4]]}, "text-embedding-3-small", "openai.embeddings") == 4
    assert count({"prompt": "hello world"}, "davinci-002", "openai.completions") == 2


def test_other_models_have_no_reader():
    assert reader_of("claude-sonnet-4-5") is None
    assert reader_of("openai/gpt-4o", "openrouter").model == "gpt-4o"


# --- tools -----------------------------------------------------------------------------------------------------------------


def test_how_a_function_reads():
    assert function_type(WEATHER) == (
        "// Get the current weather in a given location\n"
        "type get_current_weather = (_: {\n"
        "// The city and state, e.g. San Francisco, CA\n"
        "location: string,\n"
        "// The unit of temperature to return\n"
        'unit?: "celsius" | "fahrenheit",\n'
        "}) => any"
    )


SHAPES = [
    ({}, "any"),
    ({"type": "integer"}, "number"),
    ({"type": ["string", "null"]}, "string | null"),
    ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "number | null"),
    ({"enum": [1, None, "a"]}, '1 | null | "a"'),
    ({"const": "x"}, '"x"'),
    ({"type": "array"}, "any[]"),
    ({"type": "array", "items": {"type": "boolean"}}, "boolean[]"),
    ({"type": "object"}, "object"),
    ({"type": "object", "properties": {"a": {"type": "null"}}}, "{ a?: null }"),
    ({"properties": {"a": {"type": "null"}}, "required": ["a"]}, "{ a: null }"),
    ({"type": "object", "properties": {"a": {"default": None}}}, "{\na?: any, // default: null\n}"),
    (
        {"type": "array", "items": {"title": "T", "type": "object", "properties": {"a": {"description": "d"}}}},
        "Array<\n// T\n{\n// d\na?: any,\n}\n>",
    ),
    ({"$ref": "#/$defs/Inner"}, "{ n?: number }"),
    ({"$ref": "#/$defs/Loop"}, "any"),
    ({"$ref": "#/nowhere"}, "any"),
    ("nonsense", "any"),
]


@pytest.mark.parametrize(("schema", "expected"), SHAPES)
def test_how_a_type_reads(schema, expected):
    definitions = {
        "Inner": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "Loop": {"$ref": "#/$defs/Loop"},
    }
    parameters = {"type": "object", "properties": {"x": schema}, "required": ["x"], "$defs": definitions}
    written = function_type({"name": "f", "parameters": parameters})
    inline = "{ x: " + expected + " }"
    broken = "{\nx: " + expected + ",\n}"
    assert written in (f"type f = (_: {inline}) => any", f"type f = (_: {broken}) => any")


def test_titles_descriptions_and_open_objects_are_shown():
    parameters = {
        "title": "Args",
        "description": "All of\n\n   them. ",
        "properties": {"a": {"title": "A", "description": "first", "type": "string"}},
        "additionalProperties": True,
    }
    assert function_type({"name": "f", "description": "Does.\n\n  Much.\n", "parameters": parameters}) == (
        "// Does.\n// Much.\ntype f = (_: // Args\n// All of\n// them.\n{\n// A\n// first\na?: string,\n[key: string]: any,\n}) => any"
    )


def test_the_older_way_has_no_titles_and_no_single_lines():
    parameters = {"properties": {"a": {"title": "A", "type": "string"}, "b": {"description": "d"}}, "title": "Args"}
    function = {"name": "f", "description": "Does.", "parameters": parameters}
    assert plain_function_type(function) == "// Does.\ntype f = (_: {\na?: string,\n// d\nb?: any,\n}) => any"


def test_tools_are_joined_as_one_text():
    """The sum over definitions equals the count of the namespace as a whole."""
    tools = [
        tool(name="now", description="The time."),
        tool(name="plain", parameters={"type": "object", "properties": {}}),
        tool(**WEATHER),
    ]
    for order in (tools, tools[::-1], tools[1:]):
        inner = "\n\n".join(function_type(one["function"]) + ";" for one in order)
        text = f"# Tools\n\n## functions\n\nnamespace functions {{\n\n{inner}\n\n}} // namespace functions"
        # a message of its own is 4 tokens; the end of it seems to be one token less than written here
        assert count({"messages": [user()], "tools": order}) == 8 + 4 - 1 + text_tokens(text, "o200k_base")
    system = "Answer in French.\n"
    joined = count({"messages": [{"role": "system", "content": system}, user()], "tools": tools})
    text = f"{system}\n\n# Tools\n\n## functions\n\nnamespace functions {{\n\n" + "\n\n".join(
        function_type(one["function"]) + ";" for one in tools
    )
    assert joined == 8 + 4 - 1 + text_tokens(text + "\n\n} // namespace functions", "o200k_base")


def test_order_of_wire_forms_does_not_matter():
    chat = count({"messages": ASK, "tools": [tool(**WEATHER)]})
    legacy = count({"messages": ASK, "functions": [WEATHER]})
    assert chat == legacy
    # Responses: without the two headings (6 tokens), in a message of their own (4), the seam aside
    assert respond({"input": ASK, "tools": [flat(**WEATHER)]}) == chat - 6 + 4


@pytest.mark.parametrize(
    ("model", "choice", "added"),
    [
        ("gpt-4o", "auto", 0),
        ("gpt-4o", "required", 0),
        ("gpt-4o", "none", 1),
        ("gpt-4o", {"type": "function", "function": {"name": "get_current_weather"}}, 7 + 3),
        ("gpt-4", "required", 3),
        ("gpt-4", {"type": "function", "function": {"name": "get_current_weather"}}, 4 + 3),
        ("gpt-5", "required", 0),
        ("gpt-5", "none", 0),
        ("gpt-5", {"type": "function", "function": {"name": "get_current_weather"}}, 0),
        ("gpt-4o", {"type": "allowed_tools", "tools": []}, 0),
        ("gpt-4o", 17, 0),
    ],
)
def test_what_the_choice_of_tools_adds(model, choice, added):
    body = {"messages": ASK, "tools": [tool(**WEATHER)]}
    assert count({**body, "tool_choice": choice}, model) == count(body, model) + added


def test_parallel_calls_forbidden_cost_gpt_5_in_responses():
    body = {"input": "hi", "tools": [flat(**WEATHER)]}
    assert respond({**body, "parallel_tool_calls": False}, "gpt-5") == respond(body, "gpt-5") + 78
    assert respond({**body, "parallel_tool_calls": False}, "gpt-4o") == respond(body, "gpt-4o")


def test_tools_of_the_provider_bring_slack():
    weights, _, _ = weigh({"input": "hi", "tools": [{"type": "web_search"}]}, "gpt-4.1", "openai.responses")
    assert weights[0].tokens == 294
    assert weights[0].slack > 1000
    assert hosted_tokens("web_search_preview_2025_03_11", framing_of("gpt-5"))[0] == 4430
    assert hosted_tokens("tool_of_tomorrow", framing_of("gpt-5"))[1] > 0


# --- calls and results -------------------------------------------------------------------------------------------------------


def call(number, name="add", arguments='{"a":1,"b":2}'):
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}


def result(number, content="3"):
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": content}


def test_a_call_and_its_result():
    history = [user(), {"role": "assistant", "content": None, "tool_calls": [call(1)]}, result(1)]
    # call: 3 + role 1 + name 1 + arguments 9; result: 3 + role 1 + text 1; functions.add 2; 4 around both
    assert count({"messages": history}) == 8 + 14 + 5 + 2 + 4
    assert count({"messages": history}, "gpt-5") == 7 + 14 + 5 + 2 + 4 + 6


def test_white_space_in_arguments_is_not_read_in_chat():
    spaced = [user(), {"role": "assistant", "tool_calls": [call(1, arguments='{"a": 1,  "b": 2}')]}, result(1)]
    tight = [user(), {"role": "assistant", "tool_calls": [call(1)]}, result(1)]
    assert count({"messages": spaced}) == count({"messages": tight})
    broken = [user(), {"role": "assistant", "tool_calls": [call(1, arguments="not json")]}, result(1)]
    assert count({"messages": broken}) == count({"messages": tight}) - 9 + text_tokens("not json", "o200k_base")


def test_parallel_calls_are_one_message_and_their_results_another():
    calls = [call(1), call(2, arguments='{"a":3,"b":4}')]
    history = [user(), {"role": "assistant", "tool_calls": calls}, result(1, "Paris is 3 °C"), result(2, "fine")]
    uses = (
        '{"tool_uses":[{"recipient_name":"functions.add","parameters":{"a":1,"b":2}},'
        '{"recipient_name":"functions.add","parameters":{"a":3,"b":4}}]}'
    )
    results = json.dumps(["Paris is 3 °C", "fine"])
    assert "\\u00b0" in results
    expected = 8 + 20 + text_tokens(uses, "o200k_base") + text_tokens(results, "o200k_base")
    assert count({"messages": history}) == expected
    assert count({"messages": history}, "gpt-5") == expected - 1 + 6


def test_results_that_are_json_stay_json_among_parallel_results():
    calls = [call(1), call(2)]
    history = [user(), {"role": "assistant", "tool_calls": calls}, result(1, '{"a": [1, 2]}'), result(2, "x")]
    weights, _, _ = weigh({"messages": history})
    assert weights[2].tokens == text_tokens(' {"a": [1, 2]},', "o200k_base")


def test_text_beside_a_call_is_a_message_of_its_own():
    alone = [user(), {"role": "assistant", "content": "", "tool_calls": [call(1)]}, result(1)]
    beside = [user(), {"role": "assistant", "content": "hi", "tool_calls": [call(1)]}, result(1)]
    assert count({"messages": beside}) == count({"messages": alone}) + 5


def test_calls_in_responses_are_never_joined():
    def item(number, **more):
        return {"type": "function_call", "call_id": f"call_{number}", "name": "add", "arguments": '{"a": 1}', **more}

    def output(number):
        return {"type": "function_call_output", "call_id": f"call_{number}", "output": "3"}

    # call: 4 + functions.add 2 + arguments 6; result: 4 + functions.add 2 + text 1; 1 around both
    pair = 4 + 2 + text_tokens('{"a": 1}', "o200k_base") + 4 + 2 + 1 + 1
    assert respond({"input": [user(), item(1), output(1)]}) == 8 + pair
    assert respond({"input": [user(), item(1), item(2), output(1), output(2)]}) == 8 + 2 * pair
    assert respond({"input": [user(), item(1), output(1)]}, "gpt-5") == 7 + pair + 6
    stored = item(1, id="fc_123", status="completed")
    assert respond({"input": [user(), stored, output(1)]}) == 8 + pair + 3
    assert respond({"input": [user(), stored, item(2, id="fc_2"), output(1), output(2)]}) == 8 + 2 * pair


def test_thoughts_count_until_their_turn_is_over():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x" * 1500}
    running = [user(), thought, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]
    without = [running[0], running[2]]
    assert respond({"input": running}, "gpt-5") == respond({"input": without}, "gpt-5") + 100
    done = [*running, {"type": "function_call_output", "call_id": "c", "output": "1"}, user()]
    assert respond({"input": done}, "gpt-5") == respond({"input": [*without, *done[3:]]}, "gpt-5")
    unseen = {"type": "reasoning", "id": "rs_1", "summary": []}
    weights, _, _ = weigh({"input": [user(), unseen]}, "gpt-5", "openai.responses")
    assert weights[1].slack > 0


# --- schema of the answer ------------------------------------------------------------------------------------------------------

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 2}, "age": {"type": "integer", "minimum": 18}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_how_an_answer_schema_reads():
    shown = '{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}}}'
    assert answer_schema(PERSON) == shown
    named = {
        "properties": {"required": {"const": "format"}, "format": {"$ref": "#/$defs/A"}},
        "$defs": {"A": {"maximum": 1}},
    }
    assert (
        answer_schema(named)
        == '{"properties":{"required":{"const":"format"},"format":{"$ref":"#/$defs/A"}},"$defs":{"A":{}}}'
    )


def test_what_an_answer_schema_adds():
    text = f"# Response Formats\n\n## response\n\n{answer_schema(PERSON)}"
    tokens = text_tokens(text, "o200k_base")
    chat = {
        "messages": [user()],
        "response_format": {"type": "json_schema", "json_schema": {"name": "response", "schema": PERSON}},
    }
    answers = {"input": "hi", "text": {"format": {"type": "json_schema", "name": "response", "schema": PERSON}}}
    # a message of its own is 4 tokens; chat adds 2 and writes the name once more, Responses is 3 shorter
    assert count(chat) == 8 + tokens + 4 + 2 + 1
    assert respond(answers) == 8 + tokens + 4 - 3
    assert count(chat, "gpt-5") == 7 + tokens + 4
    assert respond(answers, "gpt-5") == 7 + tokens
    with_tools = {**chat, "tools": [tool(**WEATHER)]}
    assert count(with_tools) == count({"messages": [user()], "tools": [tool(**WEATHER)]}) + tokens + 1
    described = {**answers["text"]["format"], "description": "A person."}
    assert respond({"input": "hi", "text": {"format": described}}) == respond(answers) + text_tokens(
        "// A person.\n", "o200k_base"
    )


@pytest.mark.parametrize("form", [None, 3, {}, {"type": "json_object"}, {"type": "json_schema", "json_schema": 3}])
def test_other_forms_of_an_answer_add_nothing(form):
    assert count({"messages": [user()], "response_format": form}) == 8


# --- media and the rest ----------------------------------------------------------------------------------------------------------


def test_an_image_of_known_size_is_certain():
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00"
    import base64

    url = "data:image/png;base64," + base64.b64encode(head + b"\x00" * 30).decode()
    chat = [user([{"type": "image_url", "image_url": {"url": url}}])]
    low = [user([{"type": "image_url", "image_url": {"url": url, "detail": "low"}}])]
    item = [user([{"type": "input_image", "image_url": url, "detail": "high"}])]
    assert count({"messages": chat}) == 7 + 765
    assert count({"messages": low}) == 7 + 85
    assert respond({"input": item}) == 7 + 765
    assert weigh({"messages": chat})[0][0].slack == 0


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": 3},
        {"type": "input_audio", "input_audio": {"data": "AAAA" * 9000, "format": "wav"}},
        {"type": "input_audio", "input_audio": None},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": None},
    ],
)
def test_what_cannot_be_measured_has_slack(block):
    weights, _, _ = weigh({"messages": [user([{"type": "text", "text": "hi"}, block])]})
    assert weights[0].slack > 0
    assert weights[0].tokens > 5


def test_a_text_file_is_counted():
    import base64

    text = "All happy families are alike. " * 50
    data = "data:text/plain;base64," + base64.b64encode(text.encode()).decode()
    block = {"type": "input_file", "filename": "a.txt", "file_data": data}
    assert respond({"input": [user([block])]}) == 7 + text_tokens(text, "o200k_base")


def test_a_history_at_the_provider_has_slack():
    _, _, slack = weigh({"input": "hi", "previous_response_id": "resp_1"}, "gpt-5", "openai.responses")
    assert slack > 0


def test_pro_mode_and_compaction():
    assert respond({"input": "hi", "reasoning": {"mode": "pro"}}, "gpt-5.6-sol") == 7 + 1520
    assert respond({"input": "hi", "reasoning": {"mode": "pro"}}, "gpt-5.5-pro") == 7
    turns = [user(), {"role": "assistant", "content": "hi"}]
    assert respond({"input": turns}) == 8 + 5 + 93
    sealed = {"type": "compaction", "encrypted_content": "x" * 1500}
    assert respond({"input": [sealed, user()]}) == 8 + 100 + 4


# --- what must hold for any request ------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
keyed = st.dictionaries(
    st.sampled_from(["type", "properties", "items", "anyOf", "enum", "$ref", "$defs", "required", "title", "default"]),
    json_values,
    max_size=5,
)


@given(st.recursive(keyed, lambda inner: st.fixed_dictionaries({"type": st.just("object"), "properties": st.dictionaries(st.text(max_size=4), inner, max_size=3)}) | st.fixed_dictionaries({"type": st.just("array"), "items": inner}), max_leaves=6))  # fmt: skip
def test_any_schema_is_written(schema):
    function = {"name": "f", "description": "d", "parameters": schema}
    assert function_type(function).startswith("// d\ntype f = ")
    assert plain_function_type(function).startswith("// d\ntype f = ")
    assert isinstance(answer_schema(schema), str)


def test_deep_schemas_are_cut_off():
    deep = {"type": "string"}
    for _ in range(5000):
        deep = {"type": "object", "properties": {"a": deep}}
    assert "any" in function_type({"name": "f", "parameters": deep})
    assert len(answer_schema(deep)) < 2000


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text(max_size=30)), max_size=8))
def test_text_is_the_sum_of_its_messages(turns):
    """Additive: a longer conversation costs what it holds more, wherever it is cut."""
    messages = [{"role": role, "content": text} for role, text in turns]
    empty = count({"messages": []})
    whole = count({"messages": messages})
    assert whole == empty + sum(count({"messages": [one]}) - empty for one in messages)


messages_of_any_shape = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool", "function", "developer", "x"])},
        optional={
            "content": st.none() | st.text(max_size=20) | st.lists(json_values, max_size=3),
            "tool_calls": st.lists(json_values, max_size=2) | st.just([call(1), call(2)]) | st.just([call(1)]),
            "tool_call_id": st.sampled_from(["call_1", "call_2", None]),
            "name": st.text(max_size=5),
            "function_call": json_values,
        },
    ),
    max_size=6,
)


@given(messages_of_any_shape, st.lists(json_values, max_size=3), json_values, json_values, st.sampled_from(["gpt-4o", "gpt-5", "gpt-4", "o3"]))  # fmt: skip
def test_any_chat_body_that_can_be_read_can_be_counted(messages, tools, choice, form, model):
    body = {"messages": messages, "tools": tools, "tool_choice": choice, "response_format": form}
    assert count(body, model) >= 0


@given(messages_of_any_shape)
def test_a_message_weighs_the_same_when_the_conversation_grows(messages):
    """What stands before a message may matter, what comes after does not: weights may be remembered."""
    reader = reader_of("gpt-4o")
    grown = dialects.get("openai.chat").view({"messages": [*messages, user("more"), user("and more")]}).messages
    for index in range(len(messages)):
        short = dialects.get("openai.chat").view({"messages": messages[: index + 1]}).messages
        assert message_weight(short, index, reader) == message_weight(grown, index, reader)
