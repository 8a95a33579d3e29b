"""Where the calibrated estimator's fit begins, and how far it may stray from there: what is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DOCUMENTED", "TEMPLATES", "WRITES_IDS", "documented", "loose", "start"]

DOCUMENTED: Mapping[str, Mapping[str, float]] = {
    "claude-3": {"f.tools": 264, "f.tools.forced": 340},
    "=claude-3-haiku": {"f.tools": 264, "f.tools.forced": 340},
    "=claude-3-sonnet": {"f.tools": 159, "f.tools.forced": 235},
    "=claude-3-opus": {"f.tools": 530, "f.tools.forced": 281},
    "claude-3.5": {"f.tools": 346, "f.tools.forced": 313},
    "=claude-3-5-haiku": {"f.tools": 264, "f.tools.forced": 340},
    "claude-4": {"f.tools": 313, "f.tools.forced": 315},
    "claude-4.5": {"f.tools": 496, "f.tools.forced": 588},
    "claude-4.7": {"f.tools": 675, "f.tools.forced": 804},
    "claude-4.8": {"f.tools": 290, "f.tools.forced": 410},
    "claude-5": {"f.tools": 286, "f.tools.forced": 406},
    "claude-sonnet-5": {"f.tools": 354, "f.tools.forced": 474},
}
"""Tokens of the system prompt for tool use (platform.claude.com, tool use overview, 2026-08-21; for Claude 3 and the
Sonnets 3.5 and 3.7 the same page in 2025): fits stay close to them."""

TEMPLATES: Mapping[str, Mapping[str, float]] = {
    "~gemini": {"tool": 18.0, "param": 8.0, "t.param.names": 0.5, "call": 4.0, "result": 6.0},
    "=ministral-3b": {"t.id.text": 1.1, "call": 14.0, "result": 12.0},
    "=ministral-8b": {"t.id.text": 1.1, "call": 14.0, "result": 12.0},
    "~qwen": {
        "f.tools": 95.0,
        "f.tools.forced": 95.0,
        "call": 10.0,
        "result": 8.0,
        "tagged.now": 1.0,
        "tagged.past": 0.0,
    },
    "gpt-oss": {"f.request": 66.0, "f.tools": 14.0, "f.tools.forced": 14.0, "reasoning.now": 1.0, "tagged.now": 0.0},
}
"""Where the fit of a family begins whose way of writing tools is known from its published chat template."""


SCRIPTS: Mapping[str, Mapping[str, float]] = {
    "*": {"k.han": 1.25, "k.kana": 1.25, "k.hangul": 1.4},
    "~claude": {"k.han": 1.5, "k.kana": 1.45, "k.hangul": 1.9},
    "~claude-new": {"k.han": 1.5, "k.kana": 1.45, "k.hangul": 1.9},
    "~deepseek": {"k.han": 0.88, "k.kana": 0.95, "k.hangul": 1.26},
    "~gemini": {"k.han": 0.95, "k.kana": 0.95, "k.hangul": 1.1},
    "~qwen": {"k.han": 0.95, "k.kana": 1.1, "k.hangul": 1.2},
}
"""Where the weights of Chinese, Japanese and Korean begin, since hardly any recording holds such text.

DeepSeek's is measured with its own vocabulary and Claude's with that of Claude 2 (both are in the wheel of litellm
1.109.1) on paragraphs of each language; the others are guesses between these. The estimate carries slack for it.
"""


WRITES_IDS = frozenset({"mistral", "kimi"})
"""Families whose published chat template writes the ids of calls into the prompt."""


def documented(name: str) -> dict[str, float]:
    """Where the weights of a row begin, if anything is known of it."""
    figures = dict(DOCUMENTED.get(name, {})) | dict(SCRIPTS.get(name, {})) | dict(TEMPLATES.get(name, {}))
    if "f.tools" in figures:
        figures["f.tools.none"] = figures["f.tools.single"] = figures["f.tools"]
        figures["f.tools.forced.single"] = figures["f.tools.forced"]
    return figures


# How far a weight may stray from its parent's by itself (one standard deviation), by the beginning of its name.
_LOOSE = (
    ("k.digit", 0.3),
    ("k.han", 0.3),
    ("k.kana", 0.3),
    ("k.hangul", 0.3),
    ("k.script", 0.2),
    ("k.bytes", 0.3),
    ("k.symbol", 0.3),
    ("k.blank", 0.3),
    ("k.line", 0.2),
    ("k.", 0.1),
    ("tokens", 0.15),
    ("t.tool", 0.25),
    ("t.param", 0.25),
    ("t.format", 0.25),
    ("t.id", 0.3),
    ("t.server", 0.5),
    ("t.other", 0.5),
    ("t.", 0.05),
    ("reasoning", 0.7),
    ("tagged", 0.7),
    ("signature.past", 0.002),
    ("signature", 0.1),
    ("f.thinking", 15.0),
    ("f.bare", 10.0),
    ("f.json", 15.0),
    ("f.request", 50.0),
    ("f.", 100.0),
    ("cited", 300.0),
    ("tool.described", 2.0),
    ("tool.server", 30.0),
    ("tool", 6.0),
    ("param.title", 0.3),
    ("param.other", 1.0),
    ("param.", 2.0),
    ("param", 4.0),
    ("format.title", 0.3),
    ("format.other", 1.0),
    ("format.", 2.0),
    ("format", 4.0),
    ("", 4.0),
)
_START = {
    "user": 3.0,
    "assistant": 3.0,
    "system": 3.0,
    "toolrole": 3.0,
    "f.request": 3.0,
    "reasoning.now": 0.5,
    "tagged.now": 0.5,
    "t.other.text": 0.5,
    "t.server.text": 0.5,
    "t.tool.examples": 0.2,
    "tool": 4.0,
    "tool.described": 2.0,
    "param": 8.0,
    "param.object": 4.0,
    "param.described": 2.0,
    "param.required": 1.0,
    "param.choice": 2.0,
    "param.nested": 4.0,
    "param.definition": 4.0,
    "call": 12.0,
    "call.argument": 4.0,
    "result": 10.0,
}
"""Where the weights of all families together begin; a schema's by how many tokens its JSON takes."""


def start(name: str) -> float:
    """Where a weight of all families together begins."""
    return 1.08 if name.startswith("k.") else _START.get(name.replace("format", "param"), 0.0)


def loose(name: str) -> float:
    """How far a weight may stray from its parent's by itself: one standard deviation."""
    return next(width for prefix, width in _LOOSE if name.startswith(prefix))
