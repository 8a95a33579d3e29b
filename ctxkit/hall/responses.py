"""From what a door hands over to an answer that can be settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ctxkit import dialects
from ctxkit.dialects.raw import read
from ctxkit.errors import ProviderShapeError
from ctxkit.model import Answer, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.faults import Faults
    from ctxkit.model import Json, Plan

__all__ = ["Response", "answer_of"]

Response: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | bytes | Answer | Usage | None"
"""What may be settled."""


def answer_of(plan: Plan, response: Any, status: int | None, faults: Faults) -> Answer | None:
    """The answer as its dialect reads it; ``None`` where there is none, or none that anybody understands."""
    if response is None or isinstance(response, Answer):
        return response
    if isinstance(response, Usage):
        return Answer(usage=response)
    named = dialects.get(plan.dialect) if plan.dialect else None
    if named is None or (status is not None and status >= 400):
        return None
    try:
        return read(named, plan.platform, response)
    except ProviderShapeError as error:
        faults.warn("settle: malformed answer", str(error))
        return None
    except Exception as error:  # noqa: BLE001 - an answer nobody foresaw: unverified, not lost
        faults.note("answer", error, "The record is priced by its estimate.")
        return None
