"""Asking streamed chats for their usage, and hiding the chunk that only this asked for.

A streamed chat completion reports no usage unless ``stream_options.include_usage`` is set, and the chunk it causes has
no choices, which breaks code that takes the first one (deepset-ai/haystack#8507). So the policy ``usage_probe``
inserts the option into the bytes that leave, every other byte as it was, and the tee leaves that chunk out again.
Who asks for usage himself gets his chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects import wire

if TYPE_CHECKING:
    from ctxkit.integrations.exchange import Exchange
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan

__all__ = ["Refusals", "ask", "wanted"]

_ALWAYS_REPORT = frozenset({"mistral", "perplexity"})
"""Platforms that report usage in every stream and may refuse an option they do not know."""


def wanted(kit: Kit, plan: Plan) -> bool:
    """The policy says so, the request is a streamed chat, and the user does not ask for usage himself."""
    if not kit.policy.usage_probe or plan.dialect != "openai.chat" or not plan.stream:
        return False
    if plan.platform in _ALWAYS_REPORT or not isinstance(plan.body, dict):
        return False
    options = plan.body.get("stream_options")
    return options is None or (isinstance(options, dict) and not options.get("include_usage"))


class Refusals:
    """Servers that refused the option: they are not asked again, and the refused request goes once more without it.

    Args:
        kit: is told of each.
    """

    __slots__ = ("_kit", "_servers")

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._servers: set[str] = set()

    def __contains__(self, server: str) -> bool:
        return server in self._servers

    @staticmethod
    def may_be(exchange: Exchange) -> bool:
        """Whether a refused request may have been refused for the option that we put in."""
        return exchange.adds_usage and exchange.status in {400, 422}

    def learn(self, server: str, said: str) -> bool:
        """Whether what the server ``said`` of its refusal is about the option."""
        if "stream_options" not in said and "include_usage" not in said:
            return False
        self._servers.add(server)
        self._kit.faults.warn("door: usage probe refused", f"{server} does not know stream_options; not asked again")
        return True


def ask(raw: bytes, body: Json) -> bytes:
    """The bytes of ``body`` with ``include_usage`` among its stream options, and no other byte changed."""
    return wire.insert_key(raw, "stream_options", {**(body.get("stream_options") or {}), "include_usage": True})
