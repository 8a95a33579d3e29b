"""Keys that route a request to where its prefix is cached, or keep entries apart: keyed hashes, never a user's text.

Who hashes a prompt's first tokens and a key (OpenAI before 5.6) finds the entries of one opening on one machine, as
long as not too many requests a minute come with one key: so the key is that of the opening, and from some rate on that
of a share of its conversations. Who routes by conversation (xAI, OpenRouter, SGLang, Dynamo) gets one per conversation.
A key that separates entries is set only where the user wants scopes apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ctxkit.caching.habits import Outlook
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.rules.rule import Rule

__all__ = ["Key", "key_of"]

_FIELDS = frozenset({"prompt_cache_key", "session_id", "cache_salt", "nvext.session_control.session_id"})
_PER_MINUTE = 12.0  # requests with one key, a little under the 15 a minute that one machine takes (OpenAI, 2026-10-02)
_MOST_SHARES = 1024


class Key(NamedTuple):
    """A key, and where it goes.

    Attributes:
        value: 32 hexadecimal digits.
        field: wire field, ``None``: a header.
        header: HTTP header, ``None``: a field.
        reason: why, for people.
    """

    value: str
    field: str | None
    header: str | None
    reason: str


def key_of(
    rule: Rule,
    layout: Layout,
    outlook: Outlook,
    hasher: Hasher,
    *,
    thread: str,
    scope: str = "",
    isolate: bool = False,
    options: bool = True,
) -> Key | None:
    """The key that a request should bear; ``None``: none, or the user gave one.

    Args:
        rule: how the cache works.
        layout: the request.
        outlook: what is to be expected of it.
        hasher: keyed hashes.
        thread: id of the conversation.
        scope: tenant whose entries these are.
        isolate: keep scopes apart where a key does so.
        options: the wire has a field for it; else it goes into a header, where there is one.
    """
    field = rule.key_field if options and rule.key_field in _FIELDS else None
    header = None if field else rule.key_header
    if (field is None and header is None) or layout.ask.key or layout.total < (rule.minimum or 0):
        return None
    if rule.key_separates:
        if not (isolate and scope):
            return None
        return Key(hasher.digest(("scope", scope)).hex(), field, header, "keeps the entries of this scope apart")
    if rule.match == "intervals" and outlook.opening >= 0 and _long(rule, layout, outlook.opening):
        opening = hasher.digest(("opening", layout.positions[outlook.opening].link, _share(hasher, outlook, thread)))
        return Key(opening.hex(), field, header, "routes requests with the same opening to one machine")
    if not thread:
        return None
    return Key(hasher.digest(("thread", thread)).hex(), field, header, "routes this conversation to one machine")


def _long(rule: Rule, layout: Layout, opening: int) -> bool:
    """The opening by itself is long enough to be cached."""
    return layout.positions[opening].tokens >= (rule.minimum or 0)


def _share(hasher: Hasher, outlook: Outlook, thread: str) -> int:
    """Which of some shares of its conversations this one belongs to; their number doubles with the rate."""
    shares = 1
    while shares * _PER_MINUTE < outlook.per_minute and shares < _MOST_SHARES:
        shares *= 2
    return int.from_bytes(hasher.digest(("share", thread))[:4], "big") % shares
