"""Recordings that keep no text, in an audit: what they cost is known, and what well-placed markers would have made of it.

What of them was waste, why a cache missed and what tidying would have brought cannot be known of lengths and times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.replay.alternatives import Alternative
from ctxkit.replay.posing import GAP, Posed
from ctxkit.replay.resending import MODES, RAW, Bill, added, bill_of
from ctxkit.replay.rows import rows_of
from ctxkit.replay.supposing import well_cached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctxkit.replay.posing import Assumed
    from ctxkit.replay.recording import Recording
    from ctxkit.replay.resending import Bench
    from ctxkit.replay.whatif import Priced

__all__ = ["bill_by_growth", "bills_by_growth", "paid"]


def paid(recording: Recording, bench: Bench, begins: float) -> tuple[Bill, dict[str, int], tuple[str, ...]]:
    """What its requests cost by the usage that was reported; requests by platform and model; places without usage."""
    requests = list(_posed(recording, begins))
    known = [one for one in requests if one.usage is not None and one.usage.input_total is not None]
    models: dict[str, int] = {}
    for one in known:
        name = f"{one.platform or '?'} {one.model or '?'}"
        models[name] = models.get(name, 0) + 1
    bills = (bill_of(one, one.answered(one.usage), bench.card(one)) for one in known if one.usage is not None)
    return added(bills), models, tuple(one.source for one in requests if one not in known)


def _posed(recording: Recording, begins: float) -> Iterator[Posed]:
    """Its answered requests, as far as they are known."""
    now = next((one.at for one in recording.requests if one.at is not None), begins) - GAP
    for one in recording.requests:
        now = max(now, one.at) if one.at is not None else now + GAP
        if one.status is not None and one.status >= 400:
            continue
        model, tier = one.model or str(one.body.get("model") or ""), one.body.get("service_tier")
        usage = one.usage
        whole, output = (usage.input_total or 0, usage.output) if usage else (0, None)
        yield Posed(
            one.body, recording.dialect, recording.platform, model, now, one.source, whole, whole, usage, output, now,
            tier if isinstance(tier, str) else None,
        )  # fmt: skip


def bill_by_growth(one: Priced) -> Bill:
    """What was supposed, as a bill: its cost is not parted into prompts and answers."""
    read, written = one.read_tokens or 0, one.written_tokens or 0
    return Bill(
        requests=one.requests or 0,
        tokens=one.input_tokens or 0,
        fresh=(one.input_tokens or 0) - read - written,
        read=read,
        written={"": written},
        output=one.output_tokens or 0,
        input_pico=one.pico,
        unpriced=() if one.pico is not None else one.notes[:1],
    )


def bills_by_growth(recording: Recording, bench: Bench, assumed: Assumed) -> dict[str, Bill]:
    """What it would have come to, well marked; what a mode would have sent is not known."""
    wanted = Alternative(assumed.model, assumed.platform, None, assumed.priced_at, assumed.tier, assumed.ttl)
    raw = bill_by_growth(
        well_cached(rows_of(recording, bench.meter.prices, assumed.begins), wanted, bench.meter.prices)
    )
    open_ = Bill(requests=raw.requests, input_pico=None)
    return {RAW: raw, **dict.fromkeys(MODES, open_)}
