"""Saying something once more at the end of a request that is planned already: the annexe of the hall for reminders.

It is added last of all: markers stand before it, and the forecast is that of the request without it. So nothing that is
shared with later requests holds it, and nobody believes that it does. The next request of the application comes without
it. Where a provider keeps nothing but the ending of the last message, or marks it by itself, there is no such place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit import dialects
from ctxkit.cacheable import Breakpoint, Wish
from ctxkit.caching.forecast import Foreseen
from ctxkit.dialects.markers import lifetimes
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctxkit.editable import Addition
    from ctxkit.hall.planning import Asked, Look
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Edit, Plan

__all__ = ["restated"]

_BROKEN = "units"  # such a cache ends prefixes where earlier requests ended


def restated(asked: Asked, plan: Plan, addition: Addition, meter: Meter) -> tuple[Plan, Look] | None:
    """The plan with this at the end, priced, and a look at it; ``None``: there is no place for it.

    Args:
        asked: what was asked for.
        plan: of the request to the end.
        addition: what is to be said.
        meter: counts and prices.
    """
    dialect, texts = dialects.get(plan.dialect), dialects.texts(plan.dialect)
    if dialect is None or texts is None or plan.estimate is None:
        return None
    conversation = dialect.view(plan.body)
    marks = _closing(plan, conversation)
    if marks is None:
        return None
    if marks:
        plan, (conversation, *_) = asked.edited(plan, marks)
    edit = texts.appended(conversation, addition.text, platform=plan.platform, model=plan.model)
    if edit is None:
        return None
    edited, look = asked.edited(plan, [revised(edit, reason=addition.reason, by=addition.by)])
    return _weighed(edited, look, meter), look


def _closing(plan: Plan, conversation: Conversation) -> tuple[Edit, ...] | None:
    """What has to be marked so that a cache keeps the request without what stands behind; ``None``: it cannot be kept."""
    foreseen, wire = plan.layout, dialects.caches(plan.dialect)
    if not isinstance(foreseen, Foreseen) or wire is None or not conversation.messages:
        return ()  # no cache that is known
    rule, ask = foreseen.rule, wire.ask(conversation)
    if ask.automatic is not None or rule.match == _BROKEN:
        return None
    if rule.match != "endings" or not rule.endings or ask.mode == "explicit":
        return ()
    last = wire.blocks(conversation.messages[-1])[-1:]
    if not last or rule.marker is None or not last[0].markable or len(foreseen.layout.marks) >= (rule.slots or 0) - 1:
        return None
    point = Breakpoint(last[0].path, "", "keeps the prompt without what is restated behind it")
    return () if last[0].mark is not None else wire.mark(conversation, Wish((point,), marker=rule.marker))


def _weighed(plan: Plan, look: Look, meter: Meter) -> Plan:
    """The plan with what was added counted and priced: tokens that are fresh with each request."""
    conversation, digests, marked = look
    before, rates = plan.estimate, meter.rates(plan)
    assert before is not None  # whoever asks has looked
    ttls = lifetimes(conversation.messages[index].value for index in marked)
    count, estimate = meter.estimate(plan, conversation, digests, ttls=ttls)
    estimate = meter.foreseen(plan, estimate, before.usage.read or 0, before.usage.written or {})
    tokens = max(estimate.input_tokens - before.input_tokens, 1)
    saving = None if rates is None else usd_of(-tokens * _rate(plan, rates))
    *edits, added = plan.edits
    return revised(
        plan, edits=(*edits, _priced(added, tokens, saving)), count=count, estimate=estimate
    )  # the forecast is that of the request without it


def _rate(plan: Plan, rates: Mapping[str, int]) -> int:
    """What a token at the end costs: where a cache keeps the ending of a prompt, it is written."""
    foreseen = plan.layout
    if isinstance(foreseen, Foreseen) and foreseen.rule.match == "endings" and foreseen.rule.automatic:
        return rates.get(f"written.{foreseen.rule.ttl}", rates["fresh"])
    return rates["fresh"]


def _priced(edit: Edit, tokens: int, saving: object) -> Edit:
    return revised(edit, tokens_after=tokens, predicted_saving=saving)
