"""Rivals that anybody could write in an afternoon: floors for what ctxkit has to beat."""

from __future__ import annotations

import json
import re

_NAME = re.compile(r"[A-Za-z0-9_@~/][\w@./:~#-]*[A-Za-z0-9_]")


def squeezed(message):
    """JSON results without white space."""
    if message["role"] != "tool":
        return message
    try:
        return {**message, "content": json.dumps(json.loads(message["content"]), separators=(",", ":"))}
    except ValueError:
        return message


def white_space(messages):
    return [squeezed(one) for one in messages]


class Toy:
    """JSON white space at arrival; when the history has grown too long its oldest turns go at once, all but identifiers.

    Args:
        most: characters of the history above which turns go.
        least: characters that are left then.
        room: characters of the stub for each turn that went.
    """

    def __init__(self, most=30_000, least=10_000, room=400):
        self.most, self.least, self.room = most, least, room
        self.reset()

    def reset(self):
        self.gone = 0  # messages behind the opening instruction that have gone

    def __call__(self, messages):
        messages = white_space(messages)
        start = next((at for at, one in enumerate(messages) if one["role"] != "system"), 0)
        opening, said = messages[:start], messages[start:]
        if self._length(said[self.gone :]) > self.most:
            turns = [at for at, one in enumerate(said) if one["role"] == "user" and at > self.gone]
            self.gone = next((at for at in turns if self._length(said[at:]) <= self.least), turns[-1] if turns else 0)
        if not self.gone:
            return messages
        stub = "[Earlier conversation left out. It mentioned: " + ", ".join(self._names(said[: self.gone])) + "]"
        return [*opening, {"role": "user", "content": stub}, *said[self.gone :]]

    @staticmethod
    def _length(messages):
        return sum(len(json.dumps(one)) for one in messages)

    def _names(self, messages):
        names, room = {}, 0
        for one in messages:
            room += self.room if one["role"] == "user" else 0
            for name in _NAME.findall(json.dumps(one.get("tool_calls") or "") + (one.get("content") or "")):
                if any(map(str.isdigit, name)) and any(map(str.isalpha, name)) and len(name) < 40 and room > 0:
                    room -= 0 if name in names else len(name) + 2
                    names[name] = None
        return names


def last(count):
    """The opening instruction and the last so many messages, beginning where a result has its call."""

    def edit(messages):
        start = next((at for at, one in enumerate(messages) if one["role"] != "system"), 0)
        at = max(len(messages) - count, start)
        while at < len(messages) - 1 and messages[at]["role"] == "tool":
            at += 1
        return [*messages[:start], *messages[at:]]

    return edit


class Cleared:
    """Old results give way to a line, in batches: the plain form of what several frameworks do.

    Args:
        keep: latest results that stay.
        batch: results that have to be old before they go together.
    """

    def __init__(self, keep=5, batch=10):
        self.keep, self.batch = keep, batch
        self.reset()

    def reset(self):
        self.gone = 0

    def __call__(self, messages):
        results = [at for at, one in enumerate(messages) if one["role"] == "tool"]
        old = len(results) - self.keep
        if old - self.gone >= self.batch:
            self.gone = old
        cleared = set(results[: self.gone])
        return [{**one, "content": "[old result cleared]"} if at in cleared else one for at, one in enumerate(messages)]
