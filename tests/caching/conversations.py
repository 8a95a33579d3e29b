"""Requests made of pieces of known length, laid out as a cache reads them, and a provider that serves them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ctxkit.cacheable import Ask, Block, Tier
from ctxkit.caching.layout import Layout, Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import Rule, find
from ctxkit.caching.simulator import Outcome, State, commit, look, serve
from ctxkit.model import Message, PartKind

HASHER = Hasher(b"k" * 32)


class Piece(NamedTuple):
    """A block of so many tokens."""

    text: str
    tokens: int = 100
    role: str = "user"
    tier: Tier = "messages"
    kind: PartKind = "text"
    mark: str | None = None
    markable: bool = True
    sways: tuple[tuple[Tier, str], ...] = ()

    def marked(self, ttl: str = "") -> Piece:
        return self._replace(mark=ttl)


def tool(text: str = "tool", tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "tools", "tools", "tool", mark)


def system(text: str = "system", tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "system", "system", "text", mark)


def developer(text: str = "developer", tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "developer", "messages", "text", mark)


def user(text: str, tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "user", mark=mark)


def answer(text: str, tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "assistant", mark=mark)


def thinking(text: str, tokens: int = 100) -> Piece:
    return Piece(text, tokens, "assistant", kind="reasoning", markable=False)


def call(text: str, tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "assistant", kind="tool_call", mark=mark)


def result(text: str, tokens: int = 100, mark: str | None = None) -> Piece:
    return Piece(text, tokens, "tool", kind="tool_result", mark=mark)


def blocks(message: Message) -> tuple[Block, ...]:
    return tuple(
        Block(
            piece.tier,
            piece.role,
            piece.kind,
            (*message.path, index),
            piece.text,
            piece.markable,
            piece.mark,
            piece.tokens,
            piece.sways,
        )
        for index, piece in enumerate(message.value)
    )


def laid(rule: Rule | None, messages: Any, ask: Ask, space: Space, total: float = 0.0) -> Layout:
    """A request; each message is a piece or a list of them."""
    steps = [[step] if isinstance(step, Piece) else list(step) for step in messages]
    views = [Message(step[0].role, ("messages", index), step, list) for index, step in enumerate(steps)]
    weights = [float(sum(piece.tokens for piece in step)) for step in steps]
    whole = total or sum(weights)
    return lay_out(HASHER, views, weights, blocks, ask, space, rule, total=whole)


@dataclass
class Provider:
    """One provider's cache over time; tests set the moment of every request."""

    platform: str
    model: str
    dialect: str = ""
    mode: str | None = None
    state: State = field(default_factory=State)
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        rule = find(self.platform, self.model, dialect=self.dialect, mode=self.mode)
        assert rule is not None
        return replace(rule, **self.changed)

    def layout(self, messages: Any, *, total: float = 0.0, ask: Ask | None = None, **space: str) -> Layout:
        where = Space(space.pop("platform", self.platform), space.pop("model", self.model), **space)
        return laid(self.rule, messages, ask or Ask(), where, total)

    def look(self, messages: Any, now: float = 0.0, **how: Any) -> Outcome:
        """What a request gets whose answer has not begun."""
        return look(self.state, self.layout(messages, **how), self.rule, now)

    def begin(self, outcome: Outcome, at: float) -> None:
        self.state = commit(self.state, outcome, self.rule, begins=at, ends=at)

    def send(self, messages: Any, now: float = 0.0, *, begins: float | None = None, **how: Any) -> Outcome:
        """What a request gets whose answer begins at once, or at ``begins``."""
        self.state, outcome = serve(self.state, self.layout(messages, **how), self.rule, now, begins=begins)
        return outcome


def buckets(outcome: Outcome) -> tuple[int, dict[str, int], int]:
    """(read, written, fresh)"""
    return outcome.read, dict(outcome.written), outcome.fresh
