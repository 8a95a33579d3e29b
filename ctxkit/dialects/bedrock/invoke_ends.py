"""When an answer of InvokeModel is whole, and what may be asked again: of Claude and of Nova, whose words are known.

Answers of other families are not known to be whole, and so are not answered with again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.anthropic import ends as claude
from ctxkit.dialects.bedrock import ends as converse
from ctxkit.dialects.bedrock.invoke_usage import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctxkit.model import Json

__all__ = ["repeatable", "streamed", "whole"]


def repeatable(body: dict[str, Json]) -> bool:
    """As the family's own format says."""
    return claude.repeatable(body) if "anthropic_version" in body else converse.repeatable(body)


def whole(response: Json, body: Json) -> bool:
    """As the family's own format says."""
    return claude.whole(response, body) or converse.whole(response, body)


def streamed(events: Sequence[Json], body: Json) -> bool:
    """As the family's own format says; metrics of Bedrock stand inside its last event."""
    if not all(isinstance(event, dict) for event in events):
        return False
    bare = [{key: value for key, value in event.items() if key != METRICS} for event in events]
    said = [event for event in bare if event]
    return bool(said) and (claude.streamed(said, body) if "type" in said[0] else converse.streamed(said, body))
