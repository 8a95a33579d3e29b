"""What each provider refuses of a conversation's structure: unpaired calls, wrong roles, nothing where words must be.

``problems`` says what is wrong with a body, without places, so that two bodies can be compared; ``altered`` says what
stands in an edited body that its provider would not know again. The rules are those that the providers' pages and their
answers to bad requests state (2026-10):

* OpenAI chat: an assistant message with ``tool_calls`` must be followed by tool messages for each of their ids, and a tool
  message must follow such a message.
* OpenAI Responses: every ``function_call`` has its output and the other way round, in that order; a reasoning item stands
  directly before what it led to.
* Anthropic: each ``tool_use`` has its ``tool_result`` at the beginning of the next message and the other way round (messages
  of one role in a row are one), ids are unique, text is more than white space, the first message is the user's.
* Gemini: a turn with function calls comes after a user's turn or one with responses, and the turn behind it has as many
  responses; no content without parts. The names of the responses are not compared.
* Converse: roles alternate, the user begins; results of all calls stand in the next message and nowhere else; no text is
  blank, no content empty.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from ctxkit import dialects

__all__ = ["altered", "problems", "worse"]


def problems(body, dialect):
    """What the provider would refuse, one line each."""
    return list(_CHECKS[dialect](body))


def worse(original, edited, dialect):
    """What the provider would refuse of an edited body and not of the original, and what it would not know again."""
    more = Counter(problems(edited, dialect)) - Counter(problems(original, dialect))
    return [*more.elements(), *altered(original, edited, dialect)]


def listed(value):
    return value if isinstance(value, list | tuple) else [] if value is None else [value]


def blank(text):
    return not isinstance(text, str) or not text.strip()


def more_than_once(ids):
    return (f"id {one} comes more than once" for one, count in Counter(filter(None, ids)).items() if count > 1)


def unpaired(calls, results):
    """Calls without a result, results without a call, in one turn."""
    for one in (Counter(calls) - Counter(results)).elements():
        yield f"call {one} has no result behind it"
    for one in (Counter(results) - Counter(calls)).elements():
        yield f"result {one} has no call before it"


# ---------------------------------------------------------------------------------------------------------- OpenAI


def chat(body):
    messages = body["messages"]
    if not messages:
        yield "no messages"
    if all(one.get("role") in ("system", "developer") for one in messages):
        yield "nothing but instructions"
    open_calls = []
    for one in [*messages, {"role": "end"}]:
        if one.get("role") == "tool":
            pair = one.get("tool_call_id")
            if pair in open_calls:
                open_calls.remove(pair)
            else:
                yield f"result {pair} has no call before it"
        else:
            yield from (f"call {pair} has no result behind it" for pair in open_calls)
            calls = listed(one.get("tool_calls"))
            open_calls = [call.get("id") for call in calls if isinstance(call, dict)]
            yield from more_than_once(open_calls)
        yield from chat_words(one)


def chat_words(one):
    role, content = one.get("role"), one.get("content")
    others = ("tool_calls", "function_call", "refusal", "audio", "reasoning_content", "reasoning", "images")
    if role != "end" and content in (None, "", []) and not (role == "assistant" and any(map(one.get, others))):
        yield f"empty {role} message"
    for block in listed(content):
        if isinstance(block, dict) and block.get("type") == "text" and not block.get("text"):
            yield "empty text"
    for call in listed(one.get("tool_calls")):
        inner = call.get("function") if isinstance(call, dict) else None
        if isinstance(inner, dict) and not readable(inner.get("arguments")):
            yield "arguments are no JSON object"


def readable(arguments):
    try:
        return isinstance(arguments if isinstance(arguments, dict) else json.loads(arguments or "{}"), dict)
    except (ValueError, TypeError):
        return False


def responses(body):
    items = body.get("input")
    if items is None or isinstance(items, str):
        if items is not None and not items:
            yield "empty input"
        return
    if not items:
        yield "empty input"
    called, answered = [], []
    for one in items:
        kind, pair = str(one.get("type", "")), one.get("call_id")
        if kind.endswith(("_call", "program")) and pair:
            called.append(pair)
        elif kind.endswith("_output") and pair:
            if pair not in called:
                yield f"result {pair} has no call before it"
            answered.append(pair)
        yield from response_words(one, kind)
    if not (body.get("previous_response_id") or body.get("conversation")):
        yield from (f"call {pair} has no result behind it" for pair in called if pair not in answered)
    yield from more_than_once(called)
    yield from more_than_once(answered)
    yield from more_than_once(one.get("id") for one in items)
    for one, behind in pairwise([*items, {}]):
        if one.get("type") == "reasoning" and (not behind or behind.get("role") in ("user", "system", "developer")):
            yield "reasoning without what it led to"


def response_words(one, kind):
    if kind in ("message", "") and "content" in one and not one["content"]:
        yield "empty message"
    for block in listed(one.get("content")) if kind in ("message", "") else ():
        if isinstance(block, dict) and block.get("type") in ("input_text", "output_text") and not block.get("text"):
            yield "empty text"
    if kind == "function_call" and not readable(one.get("arguments")):
        yield "arguments are no JSON object"
    if kind.endswith("_call_output") and one.get("output") in (None, []):
        yield "result without an output"


# ------------------------------------------------------------------------------------------------------- Anthropic


def messages_api(body):
    turns = merged(body["messages"])
    if not turns or turns[0][0] != "user":
        yield "the first message is not the user's"
    yield from empty_messages(body["messages"])
    pending = []
    for role, blocks in [*turns, ("user", [])]:
        results = [one.get("tool_use_id") for one in blocks if one.get("type") == "tool_result"]
        yield from unpaired(pending, results) if role == "user" else unpaired([], results)
        yield from more_than_once(results)
        kinds = [one.get("type") == "tool_result" for one in blocks]
        if pending and kinds != sorted(kinds, reverse=True):
            yield "something stands before a result"
        pending = [one.get("id") for one in blocks if one.get("type") == "tool_use"] if role == "assistant" else []
        yield from (line for block in blocks for line in block_words(block))
        yield from own_tools(blocks)
    yield from more_than_once(
        block.get("id") for _, blocks in turns for block in blocks if str(block.get("type")).endswith("tool_use")
    )
    if json.dumps(body).count('"cache_control": {') > 4:
        yield "more than four markers"


def merged(messages):
    """(role, blocks) of each turn: messages of one role in a row are one."""
    turns = []
    for one in messages:
        content = one.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(listed(content))
        if turns and turns[-1][0] == one.get("role"):
            turns[-1][1].extend(blocks)
        else:
            turns.append((one.get("role"), blocks))
    return turns


def empty_messages(messages):
    for index, one in enumerate(messages):
        if not one.get("content") and not (index == len(messages) - 1 and one.get("role") == "assistant"):
            yield "empty message"


def block_words(block):
    if block.get("type") == "text" and blank(block.get("text")):
        yield "blank text"
    if block.get("type") == "tool_use" and not isinstance(block.get("input"), dict):
        yield "input is no object"
    for inner in listed(block.get("content")) if block.get("type") == "tool_result" else ():
        if isinstance(inner, dict) and inner.get("type") == "text" and not inner.get("text"):
            yield "empty text in a result"


def own_tools(blocks):
    """A tool of the provider's own stands with its result in one turn."""
    called = [one.get("id") for one in blocks if one.get("type") == "server_tool_use"]
    for one in blocks:
        kind = str(one.get("type"))
        if kind.endswith("_tool_result") and not kind.startswith("mcp") and one.get("tool_use_id") not in called:
            yield f"result {one.get('tool_use_id')} has no call before it"


# ---------------------------------------------------------------------------------------------------------- Gemini


def generate(body):
    contents = [one for one in listed(body.get("contents")) if isinstance(one, dict)]
    turns = []
    for one in contents:
        parts = [part for part in listed(one.get("parts")) if isinstance(part, dict)]
        if not parts:
            yield "content without parts"
        yield from (line for part in parts for line in part_words(part))
        turns.append((one.get("role", "user"), held(parts, "functionCall"), held(parts, "functionResponse")))
    if turns and turns[0][0] == "model":
        yield "the model begins"
    for before, here in pairwise([("model", [], []), *turns, ("user", [], [])]):
        if here[1] and before[0] == "model":
            yield "a call does not follow a user's turn"
        if len(before[1]) != len(here[2]):
            yield f"{len(before[1])} calls and {len(here[2])} responses"


def held(parts, field):
    snake = "".join("_" + char.lower() if char.isupper() else char for char in field)
    return [part.get(field) or part.get(snake) for part in parts if part.get(field) or part.get(snake)]


def part_words(part):
    if "text" in part and not part["text"] and not part.get("thoughtSignature"):
        yield "empty text"
    for call in held([part], "functionCall"):
        if not isinstance(call.get("args") or {}, dict):
            yield "arguments are no object"
    for result in held([part], "functionResponse"):
        if not isinstance(result.get("response"), dict):
            yield "response is no object"


# -------------------------------------------------------------------------------------------------------- Converse


def converse(body):
    turns = [(one.get("role"), listed(one.get("content"))) for one in body.get("messages", ())]
    if turns and turns[0][0] != "user":
        yield "the first message is not the user's"
    if any(one[0] == two[0] for one, two in pairwise(turns)):
        yield "roles do not alternate"
    pending = []
    for role, blocks in [*turns, ("user", [])]:
        results = [one["toolResult"] for one in blocks if "toolResult" in one]
        yield from unpaired(pending, [one.get("toolUseId") for one in results])
        pending = [one["toolUse"].get("toolUseId") for one in blocks if "toolUse" in one]
        yield from more_than_once(pending)
        if pending and role != "assistant":
            yield "a call that is not the assistant's"
        yield from (line for block in blocks for line in converse_words(block))
    if any(not blocks for _, blocks in turns):
        yield "empty message"


def converse_words(block):
    if "text" in block and blank(block["text"]):
        yield "blank text"
    if "toolUse" in block and not isinstance(block["toolUse"].get("input"), dict):
        yield "input is no object"
    if "toolResult" in block:
        content = listed(block["toolResult"].get("content"))
        if not content:
            yield "result without content"
        for inner in content:
            if "text" in inner and not inner["text"]:
                yield "empty text in a result"
            if "json" in inner and not isinstance(inner["json"], dict):
                yield "JSON of a result is no object"


_CHECKS = {
    "openai.chat": chat,
    "openai.responses": responses,
    "anthropic.messages": messages_api,
    "gemini.generate": generate,
    "bedrock.converse": converse,
}


# ------------------------------------------------------------------------------------------- against the original


def altered(original, edited, dialect):
    """What is signed must come back as it was, media and definitions, too; reasoning stands where it stood."""
    named = dialects.get(dialect)
    old, new = (frozen(named, body) for body in (original, edited))
    found = [f"{kind} that was not there: {value[:80]}" for kind, value in (new - old).elements()]
    if dialect == "openai.responses":
        found += torn(original.get("input"), edited.get("input"))
    if opening(named, original) != opening(named, edited):
        found.append("the opening changed")
    return found


def frozen(named, body):
    """Parts that nobody may change, without what is said to caches."""
    kinds = ("reasoning", "image", "audio", "video", "document", "other")
    return Counter(
        (part.kind, spelled(named, part.value))
        for part in named.view(body).parts
        if part.kind in kinds or (part.signed and part.kind != "tool_result")
    )


def opening(named, body):
    """Tools, which may stand in another order, then system text; without what is said to caches."""
    messages = named.view(body).messages
    said = [bare(named, one.value) for one in messages if one.role in ("system", "developer")]
    tools = [named.identity(one.value) for one in messages if one.role == "tools"]
    return sorted(spelled(named, one) for one in tools if one), [*filter(None, said)]


def bare(named, value):
    """As the model reads it: a text and a list of one text are the same."""
    value = named.identity(value)
    if isinstance(value, dict) and isinstance(content := value.get("content"), list) and len(content) == 1:
        only = content[0]
        if isinstance(only, dict) and only.keys() == {"type", "text"}:
            value = {**value, "content": only["text"]}
    if isinstance(value, dict) and value.keys() == {"type", "text"}:
        value = value["text"]
    return None if value == {} else spelled(named, value)


def spelled(named, value):
    return json.dumps(named.identity(value), sort_keys=True, default=repr)


def torn(original, edited):
    """Items that stood behind reasoning of theirs and do not any more, and reasoning that leads to something else."""
    led = {key(one): key(behind) for one, behind in neighbours(original)}
    for one, behind in neighbours(edited):
        if led.get(key(one)) != key(behind):
            yield "reasoning stands before something else"
    kept = {key(one) for one in edited} if isinstance(edited, list) else set()
    for one, behind in led.items():
        if behind in kept and one not in kept:
            yield "reasoning is missing before what it led to"


def neighbours(items):
    """Reasoning with what stands behind it."""
    pairs = pairwise(items) if isinstance(items, list) else ()
    return [(one, behind) for one, behind in pairs if one.get("type") == "reasoning"]


def key(item):
    names = ("id", "call_id", "encrypted_content")
    return item.get("type"), *(item[name] for name in names if isinstance(item.get(name), str))
