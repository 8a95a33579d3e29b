"""Small recordings written by hand, for tests of audits."""

import json

from ctxkit.model import Usage
from ctxkit.replay.recording import Asked, Recording
from ctxkit.replay.shapes import shape_of
from ctxkit.replay.threads import thread_of

ROWS = json.dumps([{"flight": f"HAT{number}", "price": number * 7, "free": True} for number in range(60)], indent=4)
PROSE = "The quick brown fox jumps over the lazy dog and goes home again. "
FILE = "\n".join(
    f"{number:4d}  value_{number} = compute(value_{number - 1}, {number * 37 % 101})" for number in range(120)
)


def called(number, name, arguments, result):
    """A call of a tool, and what came of it."""
    call = {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
    ]


def agent(name="agent", turns=8):
    """A conversation with all kinds of waste in it: bloat, repeats, an overtaken read, output that is spent."""
    messages = [
        {"role": "system", "content": "You are an agent. " + PROSE * 40},
        {"role": "user", "content": f"Please repair the program of {name}."},
        *called(0, "read_file", {"path": "src/main.py"}, FILE),
        *called(1, "search", {"query": "flights"}, ROWS),
        *called(2, "search", {"query": "flights again"}, ROWS),
        *called(3, "write_file", {"path": "src/main.py", "content": "print('done')\n" * 60}, "ok"),
    ]
    for number in range(turns):
        messages += called(10 + number, "run", {"command": f"step {number}"}, f"result {number}: " + PROSE * 3)
    messages.append({"role": "assistant", "content": "All is done."})
    return thread_of(messages, name)


def recording(thread=None, *, model="claude-sonnet-4-5", platform="anthropic", dialect="anthropic.messages", **options):
    """A recording of it, one request for each answer."""
    thread, usage = thread or agent(), options.pop("usage", None)
    step, begins = options.pop("step", None), options.pop("begins", 1_780_000_000.0)
    shape = shape_of(dialect)
    asked = [
        Asked(
            shape(model, thread.messages[:index], thread.tools),
            f"{thread.name}.jsonl:{number}",
            at=None if step is None else begins + number * step,
            usage=usage(number) if usage else None,
            model=model,
        )
        for number, index in enumerate(thread.calls, 1)
    ]
    return Recording(thread.name, f"{thread.name}.jsonl", "requests", dialect, platform, tuple(asked), **options)


def fresh(tokens, output=50):
    """Usage of a prompt of which nothing was cached."""
    return Usage(tokens, 0, {}, output)
