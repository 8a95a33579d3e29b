"""Asking for an answer that is there already, before a request leaves (policy ``answers``)."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from ctxkit.integrations.exchange import guard
from ctxkit.model import Timing
from ctxkit.reuse import Reused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ctxkit.kit import Kit
    from ctxkit.model import Plan
    from ctxkit.reuse import Lead, Origin

__all__ = ["afind", "find", "led"]

T = TypeVar("T")


def find(
    kit: Kit, plan: Plan, origin: Callable[[], Origin], made: Callable[[Reused], T], patience: float | None = None
) -> tuple[T | None, Lead | None]:
    """The answer that may be handed out, settled; or the one who goes first, or neither.

    Args:
        kit: whose answers.
        plan: of the request.
        origin: what decides on the answer beside its body; asked for only where answers are reused.
        made: makes of an answer what the caller is to get; where it fails, the request goes out.
        patience: seconds to wait at most for the same request under way, where the caller has a time-out of its own.
    """
    answer = lead = None
    with guard(kit, "door: answers"):
        answers = kit.answers
        if answers is not None:
            began = kit.timer()
            found = answers.find(plan, origin(), patience)
            if not isinstance(found, Reused):
                lead = found
            else:
                answer = made(found)
                answers.served(plan, found, Timing(sent=began, last=kit.timer()))
    return answer, lead


async def afind(
    kit: Kit, plan: Plan, origin: Callable[[], Origin], made: Callable[[Reused], T], patience: float | None = None
) -> tuple[T | None, Lead | None]:
    """``find`` for event loops."""
    answer = lead = None
    with guard(kit, "door: answers"):
        answers = kit.answers
        if answers is not None:
            began = kit.timer()
            found = await answers.afind(plan, origin(), patience)
            if not isinstance(found, Reused):
                lead = found
            else:
                answer = made(found)
                await answers.aserved(plan, found, Timing(sent=began, last=kit.timer()))
    return answer, lead


@contextmanager
def led(lead: Lead | None) -> Iterator[None]:
    """Inside, a request that goes first gets ready; if it comes to nothing, those who wait for it go on."""
    try:
        yield
    except BaseException:
        if lead is not None:
            lead.abandon()
        raise
