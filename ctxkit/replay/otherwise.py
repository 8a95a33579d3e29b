"""What recorded conversations would have come to under other circumstances: sent once more, request by request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.hall.imagined import Line
from ctxkit.replay.billing import SECONDS
from ctxkit.replay.crew import Failed, processors, worked
from ctxkit.replay.posing import Assumed, place_of, posed
from ctxkit.replay.resending import MODES, RAW, Bill, added, bill_of, billed, served
from ctxkit.replay.rows import rows_of, textless
from ctxkit.replay.supposing import supposed
from ctxkit.replay.unspoken import bill_by_growth
from ctxkit.replay.whatif import GROWTH, Priced, WhatIf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ctxkit.policy import Policy
    from ctxkit.replay.alternatives import Alternative
    from ctxkit.replay.posing import Posed
    from ctxkit.replay.recording import Recording
    from ctxkit.replay.resending import Bench

__all__ = ["otherwise"]

_TOLD = 3  # of a kind are named
_RESENT = "sent once more: prompts counted anew, the provider's cache simulated at the recorded times, well marked"
_IN_MODE = "modes: sent once more as each would send it, the provider's cache simulated at the recorded times"


class Bills(NamedTuple):
    """What one recording comes to.

    Attributes:
        present: as it was sent.
        simulated: the same, sent once more and well marked.
        others: by alternative.
        resent: which of them were sent once more, and not priced as they were reported.
    """

    present: Bill
    simulated: Bill | None
    others: tuple[Bill, ...]
    resent: tuple[bool, ...]


class Otherwise(NamedTuple):
    """What is to be done with each recording.

    Attributes:
        policy: whose prices, rules and passes are used.
        wanted: what might have been.
        begins: when recordings without times begin.
    """

    policy: Policy
    wanted: tuple[Alternative, ...]
    begins: float

    def __call__(self, recording: Recording, bench: Bench) -> Bills | Failed:
        """Do it; whatever a recording holds, the others are worked on."""
        try:
            return self._bills(recording, bench)
        except Exception as error:  # noqa: BLE001 - recordings come from anywhere
            return Failed(recording.source, f"{recording.name}: cannot be sent once more: {type(error).__name__}")

    def _bills(self, recording: Recording, bench: Bench) -> Bills:
        if textless(recording):
            rows = rows_of(recording, bench.meter.prices, self.begins)
            return _by_growth(supposed(rows, self.wanted, bench.meter.prices))
        as_was = posed(recording, Assumed(begins=self.begins), bench.meter.counter)
        resent = tuple(_differs(one, as_was) for one in self.wanted)
        others = tuple(
            self._bill(recording, bench, one, resent=again) for one, again in zip(self.wanted, resent, strict=True)
        )
        simulated = billed(as_was, RAW, bench) if any(resent) else None
        return Bills(_as_sent(as_was, bench), simulated, others, resent)

    def _bill(self, recording: Recording, bench: Bench, wanted: Alternative, *, resent: bool) -> Bill:
        assumed = Assumed(wanted.platform, wanted.model, wanted.ttl, wanted.tier, wanted.at, self.begins)
        requests = posed(recording, assumed, bench.meter.counter)
        return billed(requests, wanted.mode or RAW, bench) if resent else _as_sent(requests, bench)


def _by_growth(found: WhatIf) -> Bills:
    """Of a recording that keeps no text: by lengths and times."""
    simulated = None if found.simulated is None else bill_by_growth(found.simulated)
    others = tuple(map(bill_by_growth, found.alternatives))
    return Bills(
        bill_by_growth(found.present), simulated, others, tuple(GROWTH in one.notes for one in found.alternatives)
    )


def _differs(wanted: Alternative, requests: Sequence[Posed]) -> bool:
    """Something else would be sent, or cached in another way."""
    if not wanted.cached_alike:
        return True
    assumed = Assumed(platform=wanted.platform, model=wanted.model)
    return any(
        place_of(assumed, one.platform, one.dialect, one.model) != (one.platform, one.dialect, one.model)
        for one in requests
    )


def _as_sent(requests: Sequence[Posed], bench: Bench) -> Bill:
    """By the usage that was reported; by the simulated cache where none was."""
    line = Line(bench.kit(MODES[0]))
    bills = []
    for number, one in enumerate(requests):
        after = requests[number + 1].now if number + 1 < len(requests) else one.now + SECONDS
        if one.usage is not None and one.usage.input_total is not None:
            bills.append(bill_of(one, one.answered(one.usage), bench.card(one)))
            continue
        plan = line.kit.plan(one.body, dialect=one.dialect, platform=one.platform, model=one.model, now=one.now)
        if not plan.unmetered and plan.estimate is not None:
            usage, _ = served(plan, one, line, min(one.now + SECONDS, max(after, one.now)))
            bills.append(bill_of(one, usage, bench.card(one)))
    line.kit.close()
    return added(bills)


def otherwise(
    recordings: Iterable[Recording],
    wanted: Sequence[Alternative],
    policy: Policy,
    *,
    now: float,
    processes: int | None = None,
    told: Callable[[int], None] | None = None,
) -> tuple[WhatIf, tuple[str, ...]]:
    """Recorded conversations as they were and as they might have been; and those that could not be worked on.

    Args:
        recordings: read as they are needed.
        wanted: what else might have been.
        policy: whose prices, rules and passes are used.
        now: when recordings without times begin, in unix seconds.
        processes: at most; default: as many as there are processors.
        told: how many requests were worked on, each time some were.
    """
    order = Otherwise(policy, tuple(wanted), now)
    sums: list[Bill] = [Bill() for _ in range(len(wanted) + 2)]
    resent = [False] * len(wanted)
    failed: list[str] = []
    for one in worked(recordings, order, processes or processors(), told):
        if isinstance(one, Failed):
            failed.append(f"{one.source}: {one.why}")
        elif isinstance(one, Bills):
            each = (one.present, one.simulated or one.present, *one.others)
            sums = [added((held, _level(more))) for held, more in zip(sums, each, strict=True)]
            resent = [before or now_ for before, now_ in zip(resent, one.resent, strict=True)]
    present, simulated, *others = sums
    return WhatIf(
        present=_priced(None, present, None),
        simulated=_priced(None, simulated, RAW) if any(resent) else None,
        alternatives=tuple(
            _priced(one, bill, (one.mode or RAW) if again else None)
            for one, bill, again in zip(wanted, others, resent, strict=True)
        ),
    ), tuple(failed)


def _level(bill: Bill) -> Bill:
    """With buckets that add up to its tokens, which were scaled to those that were reported."""
    counted = bill.fresh + bill.read + sum(bill.written.values())
    if not counted or counted == bill.tokens:
        return bill
    share = bill.tokens / counted
    written = {ttl: round(tokens * share) for ttl, tokens in bill.written.items()}
    read = round(bill.read * share)
    return replace(bill, read=read, written=written, fresh=bill.tokens - read - sum(written.values()))


def _priced(wanted: Alternative | None, bill: Bill, mode: str | None) -> Priced:
    return Priced(
        wanted,
        bill.requests,
        bill.tokens,
        bill.read,
        sum(bill.written.values()),
        bill.output,
        bill.pico,
        tuple(_notes(bill, mode)),
    )


def _notes(bill: Bill, mode: str | None) -> Iterable[str]:
    if bill.unpriced:
        names = [_readable(name) for name in bill.unpriced[:_TOLD]]
        more = f" and {len(bill.unpriced) - _TOLD} more" if len(bill.unpriced) > _TOLD else ""
        yield f"not known for all of it: {', '.join(names)}{more}"
    if mode is not None:
        yield _RESENT if mode == RAW else _IN_MODE
    if bill.refused:
        yield f"would have been refused there: {bill.refused:,} requests"
    if bill.silent:
        yield f"nobody recorded how long they were, and so they cost nothing here: {bill.silent:,} answers"


def _readable(name: str) -> str:
    """What has no price: a platform and a model, or the reason."""
    platform, _, model = name.partition(" ")
    if model == "?":
        return "requests whose recording names no model"
    return f"no price for {model} on {platform}" if " " not in model else name
