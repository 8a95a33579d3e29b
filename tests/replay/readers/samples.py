"""One small file of every format, as records of JSON."""

import json

ASK = {"role": "user", "content": "Where is it?"}
SAID = {"role": "assistant", "content": "At home."}
CALL = {"id": "call_0123456789abcdef", "type": "function", "function": {"name": "find", "arguments": "{}"}}
TURNS = [
    {"role": "system", "content": "Be brief."},
    ASK,
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "home"},
    SAID,
]
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
CHAT = {"model": "gpt-5", "messages": [ASK], "max_tokens": 9}


def session_line(kind, uuid, parent, **more):
    about = {"sessionId": "s1", "timestamp": "2026-10-01T10:00:00Z", "isSidechain": False}
    return {"type": kind, "uuid": uuid, "parentUuid": parent, **about, **more}


def of_claude(name, block):
    usage = {"input_tokens": 4, "output_tokens": 9, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0}
    return {"id": name, "role": "assistant", "model": "claude-sonnet-4-5", "content": [block], "usage": usage}


def of_codex(kind, **payload):
    return {"timestamp": "2026-10-01T10:00:00Z", "type": kind, "payload": payload}


def event(**more):
    return {"source": "agent", "timestamp": "2025-04-30T16:32:54", **more}


ABOUT = {
    "tool_call_id": "c1",
    "model_response": {
        "id": "g1",
        "model": "anthropic/claude-sonnet-4",
        "choices": [{"message": {"content": "I look.", "tool_calls": [{"id": "c1", "function": CALL["function"]}]}}],
        "usage": USAGE,
    },
}

FILES = {
    "requests": [
        {"request": CHAT, "usage": USAGE, "url": "https://api.openai.com/v1/chat/completions", "created": 1790848800},
        {
            "request": {**CHAT, "messages": [ASK, SAID, ASK]},
            "response": {"choices": [{"message": SAID}], "usage": USAGE},
        },
        {"model": "gpt-5", "input": [ASK, {"type": "reasoning", "summary": []}, ASK], "instructions": "Be brief."},
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"temperature": 0}},
    ],
    "transcripts": [{"messages": TURNS, "tools": []}, {"system": "x", "messages": [ASK, SAID]}],
    "claude": [
        {"type": "summary", "summary": "x", "leafUuid": "a1"},
        session_line("user", "u1", None, message={"role": "user", "content": "Hi"}),
        session_line("assistant", "a1", "u1", message=of_claude("m1", {"type": "text", "text": "x"}), requestId="r1"),
        session_line(
            "assistant", "a2", "a1", message=of_claude("m1", {"type": "tool_use", "id": "t", "name": "n", "input": {}})
        ),
        session_line(
            "user", "u2", "a2", message={"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}
        ),
        session_line("system", "c1", None, subtype="compact_boundary"),
        session_line("user", "u3", "c1", message={"role": "user", "content": "So far"}, isCompactSummary=True),
        session_line("assistant", "a3", "u3", message=of_claude("m2", {"type": "text", "text": "y"}), agentId=None),
        session_line("user", "u4", "u3", message={"role": "user", "content": "Back"}),
    ],
    "codex": [
        of_codex("session_meta", id="x", instructions="Be brief.", model_provider="openai"),
        of_codex("turn_context", model="gpt-5-codex"),
        of_codex("response_item", type="message", role="user", content=[{"type": "input_text", "text": "Hi"}]),
        of_codex("response_item", type="reasoning", summary=[]),
        of_codex("response_item", type="function_call", name="shell", arguments="{}", call_id="c"),
        of_codex(
            "event_msg",
            type="token_count",
            info={
                "total_token_usage": {"input_tokens": 9, "output_tokens": 2},
                "last_token_usage": {"input_tokens": 9},
            },
        ),
        of_codex("response_item", type="function_call_output", call_id="c", output="x"),
        of_codex("compacted", message="x", replacement_history=[{"type": "message", "role": "user", "content": []}]),
        of_codex("response_item", type="message", role="assistant", content=[{"type": "output_text", "text": "Yo"}]),
        of_codex("event_msg", type="thread_rolled_back", num_turns=1),
    ],
    "cassette": [
        {
            "interactions": [
                {
                    "request": {
                        "uri": "https://api.openai.com/v1/chat/completions",
                        "method": "POST",
                        "body": json.dumps(CHAT),
                    },
                    "response": {
                        "body": {"string": json.dumps({"choices": [{"message": SAID}], "usage": USAGE})},
                        "headers": {"Date": ["Thu, 01 Oct 2026 10:00:00 GMT"]},
                        "status": {"code": 200},
                    },
                }
            ]
        }
    ],
    "spans": [
        {
            "name": "chat",
            "context": {"trace_id": "t"},
            "start_time": "2026-10-01T10:00:00Z",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5",
                "gen_ai.usage.input_tokens": 12,
                "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "n"}]}
                ],
                "gen_ai.system_instructions": [{"type": "text", "content": "x"}],
                "gen_ai.tool.definitions": [{"type": "function", "name": "n", "parameters": {}}],
            },
            "events": [{"name": "gen_ai.user.message", "attributes": {"content": "Hi"}}],
        },
        {
            "resourceSpans": [
                {
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "traceId": "t",
                                    "startTimeUnixNano": "1790848800000000000",
                                    "attributes": [
                                        {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5"}},
                                        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "5"}},
                                        {"key": "gen_ai.prompt.0.content", "value": {"stringValue": "Hi"}},
                                        {"key": "gen_ai.prompt.0.tool_calls.0.id", "value": {"stringValue": "c"}},
                                        {
                                            "key": "x",
                                            "value": {"arrayValue": {"values": [{"kvlistValue": {"values": []}}]}},
                                        },
                                    ],
                                    "events": [{"name": "gen_ai.choice", "attributes": []}],
                                }
                            ]
                        }
                    ]
                }
            ]
        },
    ],
    "tau-bench": [{"task_id": 0, "trial": 1, "reward": 1.0, "traj": TURNS}],
    "tau2-bench": [
        {
            "info": {"agent_info": {"llm": "gpt-4.1"}},
            "simulations": [
                {
                    "messages": [
                        {"role": "assistant", "content": "Hi!", "usage": None},
                        {"role": "user", "content": "Where is it?", "tool_calls": None},
                        {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [{"id": "c1", "name": "find", "arguments": {"id": 7}}],
                            "usage": {"prompt_tokens": 900, "completion_tokens": 12},
                        },
                        {"role": "tool", "id": "c1", "content": "home", "requestor": "assistant"},
                        {"role": "tool", "id": "c2", "content": "x", "requestor": "user"},
                        {
                            "role": "assistant",
                            "content": "At home.",
                            "usage": {"prompt_tokens": 950, "completion_tokens": 5},
                        },
                    ]
                }
            ],
        }
    ],
    "swe-agent": [
        {
            "trajectory": [],
            "history": [{**TURNS[2], "tool_calls": repr([CALL])}, ASK, {**SAID, "tool_call_ids": "['c']"}],
            "replay_config": json.dumps({"agent": {"model": {"name": "anthropic/claude-sonnet-4"}}}),
            "info": {},
        }
    ],
    "openhands": [
        {
            "instance_id": "i",
            "history": [
                event(
                    action="system",
                    args={"content": "You fix.", "tools": [{"type": "function", "function": {"name": "find"}}]},
                ),
                event(source="user", action="message", args={"content": "Fix it."}),
                event(action="run", tool_call_metadata=ABOUT),
                event(observation="run", content="a.py", tool_call_metadata={"tool_call_id": "c1"}),
                event(action="run", args={"command": "ls", "thought": "x"}),
                event(action="finish", args={"thought": "Done"}),
            ],
        }
    ],
    "published": [
        {"id": "x", "format": "openai", "messages": TURNS},
        {"format": "aider-markdown", "text": "# aider chat started at x\n#### a\nb"},
    ],
}


def _names(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


NAMES = set(_names(FILES)) | {
    "log",
    "entries",
    "http_interactions",
    "parsed_body",
    "base64_string",
    "body",
    "kwargs",
    "events",
}
