"""One conversation on every wire: bodies from messages as OpenAI writes them, and what tidying makes of a body."""

from __future__ import annotations

import json
from itertools import pairwise

from ctxkit import Policy, dialects
from ctxkit.editable import Candidate, Fold, Stub
from ctxkit.faults import Faults
from ctxkit.hall.retelling import Request, opening_of
from ctxkit.hall.tidypasses import Passes
from ctxkit.hygiene.decisions import Decided
from ctxkit.hygiene.editing import combined, standing
from ctxkit.hygiene.guards import Guards
from ctxkit.hygiene.stubs import said as stubbed
from ctxkit.replay.shapes import anthropic_body, openai_body

__all__ = ["body_of", "everything", "joined", "proposed", "requested", "tidied"]


def body_of(dialect, messages, tools=()):
    """The conversation as a request of this wire."""
    messages = list(paired(messages))
    return {
        "openai.chat": lambda: openai_body("gpt-5", messages, tools),
        "openai.responses": lambda: {"model": "gpt-5", "input": [item for one in messages for item in items_of(one)]},
        "anthropic.messages": lambda: anthropic_body("claude-sonnet-4-5", messages, tools),
        "gemini.generate": lambda: {"contents": joined(messages, gemini_parts, "parts", "model")},
        "bedrock.converse": lambda: {
            "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "messages": joined(messages, converse_blocks, "content", "assistant"),
        },
    }[dialect]()


def paired(messages):
    """Results that do not say whose call they answer answer the calls before them in order."""
    waiting = []
    for one in messages:
        calls = [call["id"] for call in one.get("tool_calls") or ()]
        waiting = calls or waiting
        if one["role"] == "tool" and "tool_call_id" not in one and waiting:
            one = {**one, "tool_call_id": waiting.pop(0)}  # noqa: PLW2901
        yield one


def items_of(message):
    if message["role"] == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": text_of(message)}]
    said = [{"role": message["role"], "content": text_of(message)}] if text_of(message) else []
    return [*said, *(item_of(call) for call in message.get("tool_calls") or ())]


def item_of(call):
    return {"type": "function_call", "call_id": call["id"], **call["function"]}


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def joined(messages, blocks_of, key, model):
    """Messages of blocks; those of one side in a row are one. The instruction goes elsewhere on these wires."""
    names = {}
    turns = []
    for one in messages:
        if one["role"] in ("system", "developer"):
            continue
        names |= {call["id"]: call["function"]["name"] for call in one.get("tool_calls") or ()}
        role = model if one["role"] == "assistant" else "user"
        blocks = blocks_of(one, names)
        if turns and turns[-1]["role"] == role:
            turns[-1][key] += blocks
        elif blocks:
            turns.append({"role": role, key: blocks})
    return turns


def gemini_parts(message, names):
    if message["role"] == "tool":
        name = names.get(message["tool_call_id"], "unknown")
        return [{"functionResponse": {"name": name, "response": {"output": text_of(message)}}}]
    said = [{"text": text_of(message)}] if text_of(message) else []
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    return [*said, *({"functionCall": {"name": one["name"], "args": arguments(one)}} for one in calls)]


def converse_blocks(message, _):
    if message["role"] == "tool":
        return [{"toolResult": {"toolUseId": message["tool_call_id"], "content": [{"text": text_of(message)}]}}]
    said = [{"text": text_of(message)}] if text_of(message).strip() else []
    calls = message.get("tool_calls") or ()
    uses = (
        {"toolUseId": call["id"], "name": call["function"]["name"], "input": arguments(call["function"])}
        for call in calls
    )
    return [*said, *({"toolUse": one} for one in uses)]


def arguments(function):
    try:
        value = json.loads(function["arguments"] or "{}")
    except ValueError:
        value = {"input": function["arguments"]}
    return value if isinstance(value, dict) else {"input": value}


# ------------------------------------------------------------------------------------------------- tidied without a kit


def requested(body, dialect):
    """The messages behind the opening, taken apart."""
    conversation = dialects.get(dialect).view(body)
    start = opening_of(conversation)
    messages = conversation.messages[start:]
    return Request(messages, dialects.texts(dialect), [1.0] * len(messages), 0.0)


def proposed(request, guards=Guards(keep_last=1)):  # noqa: B008 - it keeps nothing
    """Every stub and every fold of neighbouring turns that the guards allow."""
    history = request.history
    stubs = [Stub(piece.place) for piece in history.pieces]
    ends = [*history.turns, history.count]
    folds = [Fold(start, end) for start, end in pairwise(ends)] + [
        Fold(start, end) for start, end in zip(ends, ends[3:], strict=False)
    ]
    return [
        one.action for one in guards.allowed(history, [Candidate(action, "t", "", 0) for action in [*stubs, *folds]])
    ]


def tidied(body, dialect, request, actions, *, arrival=True):
    """The body with these actions done, behind what the arrival passes of mode prune make of it."""
    passes = Passes(Policy(mode="prune"), Faults(strict=True))
    arrived = passes.arrived(chain_of(request), request, points=True) if arrival else {}
    decided = standing([Decided(action, "test") for action in actions])
    said = combined(arrived, decided, lambda action: stubbed(request.history, action))
    return dialects.get(dialect).apply(body, request.edits(said))


def everything(body, dialect):
    """The body with everything gone that may go."""
    request = requested(body, dialect)
    return tidied(body, dialect, request, proposed(request))


def chain_of(request):
    """Any bytes will do: each run has a memory of its own."""
    return [str(index).encode() for index in range(len(request.messages))]
