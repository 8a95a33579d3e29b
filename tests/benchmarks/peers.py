"""Rivals from PyPI, each by its own documented interface, as functions from messages to messages (the OpenAI shape).

They may want another environment than ctxkit: this file runs by itself in theirs and answers over its pipes, a JSON text a
line. ``CTXKIT_PEERS`` names that Python (``python -m venv peers && peers/bin/pip install ".[bench]"``).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

MOST = 8_000  # tokens where a rival wants a limit: about what these chats have when they have become dear


def trim_messages():
    """https://docs.langchain.com: the form its documentation shows, over an approximate count."""
    from langchain_core.messages import trim_messages
    from langchain_core.messages.utils import convert_to_messages, convert_to_openai_messages

    def edit(messages):
        kept = trim_messages(
            convert_to_messages(messages),
            max_tokens=MOST,
            token_counter="approximate",
            strategy="last",
            start_on="human",
            include_system=True,
        )
        # Where the last turn alone is longer nothing would be left: its users let it end where it must.
        return convert_to_openai_messages(kept) if any(one.type != "system" for one in kept) else messages

    return edit


def _clear_tool_uses(**options):
    from langchain.agents.middleware import ClearToolUsesEdit
    from langchain_core.messages.utils import (
        convert_to_messages,
        convert_to_openai_messages,
        count_tokens_approximately,
    )

    rule = ClearToolUsesEdit(**options)

    def edit(messages):
        found = convert_to_messages(messages)
        rule.apply(found, count_tokens=count_tokens_approximately)
        return convert_to_openai_messages(found)

    return edit


def clear_tool_uses():
    """With its defaults: from 100,000 tokens on."""
    return _clear_tool_uses()


def clear_tool_uses_early():
    """From fewer tokens on."""
    return _clear_tool_uses(trigger=MOST)


def headroom():
    """``compress`` with its defaults; its learned compressor of prose is another download, without which it goes on."""
    from headroom import compress

    def edit(messages):
        return compress(messages, model="claude-sonnet-4-5-20250929").messages

    return edit


def headroom_agent():
    """``densify``: its lossless form for agents."""
    from headroom.compress import densify

    def edit(messages):
        return densify(messages, model="claude-sonnet-4-5-20250929").messages

    return edit


class LlmBuffer:
    """Keeps its own history, to which each turn is appended; begins anew when that is no continuation."""

    def __init__(self):
        self.seen = []

    def __call__(self, messages):
        from llmbuffer import PromptManager

        if not self.seen or messages[: len(self.seen)] != self.seen:
            system = messages[0]["content"] if messages[0]["role"] == "system" else ""
            self.seen = messages[:1] if system else []
            self.manager = PromptManager(system, transition_mode="agent_cycle", max_tokens=MOST)
        self.manager.append_many(messages[len(self.seen) :])
        self.seen = messages
        return _paired(self.manager.build_messages(apply_cache_markers=False))


def _paired(messages):
    """Without results whose calls were cut away: no provider takes those."""
    calls = {call["id"] for one in messages for call in one.get("tool_calls") or ()}
    return [one for one in messages if one["role"] != "tool" or one["tool_call_id"] in calls]


PEERS = {
    "langchain trim_messages": ("langchain_core", trim_messages),
    "langchain ClearToolUsesEdit": ("langchain", clear_tool_uses),
    "langchain ClearToolUsesEdit, early": ("langchain", clear_tool_uses_early),
    "headroom compress": ("headroom", headroom),
    "headroom densify": ("headroom", headroom_agent),
    "llmbuffer": ("llmbuffer", LlmBuffer),
}


class Absent(Exception):  # noqa: N818 - it says what it is
    """A rival is not installed, or does not get through."""


class Piped:
    """A rival in its own process."""

    def __init__(self, name):
        python = os.environ.get("CTXKIT_PEERS", sys.executable)
        package, _ = PEERS[name]
        probe = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False)
        if probe.returncode:
            raise Absent(f"{package} is not installed in {python} (CTXKIT_PEERS names another)")
        quiet = {**os.environ, "HEADROOM_TELEMETRY": "off", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(
            [python, __file__, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet
        )
        self.took = 0.0

    def __call__(self, messages):
        self.process.stdin.write(json.dumps(messages) + "\n")
        self.process.stdin.flush()
        told = self.process.stdout.readline()
        if not told:
            raise Absent("it failed on one of these threads")
        answer = json.loads(told)
        self.took = answer["seconds"]
        return answer["messages"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def main(name):
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a rival prints is no answer
    edit = PEERS[name][1]()
    for line in sys.stdin:
        messages = json.loads(line)
        began = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            edited = edit(messages)
        seconds = time.perf_counter() - began
        out.write(json.dumps({"messages": edited, "seconds": seconds}) + "\n")
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1])
