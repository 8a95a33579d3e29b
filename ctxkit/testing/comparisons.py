"""What a provider answers that is asked why its cache was missed: the request beside an earlier one.

Only the first divergence is told. Sources: Anthropic, cache diagnostics (2026-08-22) and anthropic 2.11.0; openai
3.52.0 types.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.cacheable import Tier
    from ctxkit.caching.layout import Layout
    from ctxkit.model import Json

__all__ = ["Comparisons", "anthropic", "openai"]

_REMEMBERED = 1_000


class _Divergence(NamedTuple):
    """Where two requests part.

    Attributes:
        what: changed first; ``""``: nothing did, the later request only goes on.
        common: tokens that both begin with.
    """

    what: str
    common: int


class _Changes(NamedTuple):
    """How one provider compares.

    Attributes:
        whole: what has changed of the whole prompt, ``""`` when nothing has.
        aside: something has changed that the provider does not name.
        tiers: its words for a change of blocks.
    """

    whole: Callable[[Layout, Layout], str]
    aside: Callable[[Layout, Layout], bool]
    tiers: Mapping[Tier, str]


class Comparisons:
    """The latest requests by the id of their answer, of each account. Not for more than one thread at a time."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Layout] = OrderedDict()

    def remember(self, answer: str, layout: Layout) -> None:
        """Keep what was asked; the oldest goes first."""
        self._known[layout.space.scope, answer] = layout
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def find(self, answer: str, layout: Layout) -> Layout | None:
        """The request of the same account that was answered so."""
        return self._known.get((layout.space.scope, answer))


def anthropic(earlier: Layout | None, layout: Layout) -> Json:
    """``diagnostics`` of a message that was asked to compare; ``None``: nothing diverged."""
    if earlier is None:
        return {"cache_miss_reason": {"type": "previous_message_not_found"}}
    what, common = _divergence(earlier, layout, _CLAUDE)
    if not what:
        return None
    if what == "unavailable":
        return {"cache_miss_reason": {"type": what}}
    missed = max(round(earlier.total) - common, 0)
    return {"cache_miss_reason": {"type": what, "cache_missed_input_tokens": missed}}


def openai(earlier: Layout | None, layout: Layout, read: int) -> Json:
    """``prompt_cache_diagnostics`` of a response that was asked to compare; ``read``: tokens that the cache gave."""
    if earlier is None:
        return {"type": "comparison_response_not_found"}
    what, common = _divergence(earlier, layout, _GPT)
    if not what:
        return {"type": "cache_hit" if read else "unavailable"}
    missed = round(layout.total) - common
    return {"type": "cache_miss", "reason": what, "cache_missed_tokens": missed, "comparison_reusable_tokens": common}


def _divergence(earlier: Layout, layout: Layout, changes: _Changes) -> _Divergence:
    """The first of: what changes the whole prompt, a tier that differs (also when the later request is no longer one)."""
    whole = changes.whole(earlier, layout)
    if whole:
        return _Divergence(whole, 0)
    pairs = zip(earlier.positions, layout.positions, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0].link == pair[1].link, pairs))
    common = round(layout.positions[same - 1].tokens) if same else 0
    later: list[Tier] = [one.positions[same].tier for one in (earlier, layout) if same < len(one.positions)]
    parted = len(later) == 2 or "messages" not in later
    tier: Tier = min(later, key=TIERS.index) if later else "messages"
    if tier == "messages" and changes.aside(earlier, layout):
        return _Divergence("unavailable", common)
    return _Divergence(changes.tiers[tier] if later and parted else "", common)


def _claude_whole(earlier: Layout, layout: Layout) -> str:
    same = earlier.space.model == layout.space.model and _of(earlier, "speed") == _of(layout, "speed")
    return "" if same else "model_changed"


def _claude_aside(earlier: Layout, layout: Layout) -> bool:
    """A parameter that matters has changed: nothing more is said of it."""
    return earlier.ask.parameters != layout.ask.parameters


def _gpt_whole(earlier: Layout, layout: Layout) -> str:
    if earlier.space.model != layout.space.model:
        return "model_changed"
    if earlier.ask.key != layout.ask.key:
        return "prompt_cache_key_changed"
    changed = (reason for name, reason in _GPT_PARAMETERS.items() if _of(earlier, name) != _of(layout, name))
    return next(changed, "")


_GPT_PARAMETERS = {
    "service_tier": "service_tier_changed",
    "response_format": "text_format_changed",
    "effort": "reasoning_effort_changed",
    "verbosity": "verbosity_changed",
}


def _of(layout: Layout, name: str) -> Json:
    return layout.ask.parameters.get("tools", {}).get(name)


_CLAUDE = _Changes(
    _claude_whole,
    _claude_aside,
    {"tools": "tools_changed", "system": "system_changed", "messages": "messages_changed"},
)
_GPT = _Changes(
    _gpt_whole,
    lambda earlier, layout: False,  # noqa: ARG005 -- nothing else changes a prompt there
    {"tools": "tools_changed", "system": "input_changed", "messages": "input_changed"},
)
