"""One recording measured: what it cost, what its caches missed and why, what of it need not have been sent.

Its requests are planned as they were recorded, at their own times, by a kit that changes nothing, and settled with the
usage that was reported, or with what the provider's simulated cache says where none was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ctxkit.hall.imagined import Line
from ctxkit.hall.linting import lint
from ctxkit.metering.paid import Paid
from ctxkit.metering.prices.card import charge
from ctxkit.model import Answer
from ctxkit.money import pico_of
from ctxkit.replay.asking import opening
from ctxkit.replay.billing import SECONDS
from ctxkit.replay.drifting import Following, looks_at
from ctxkit.replay.leasts import least_of
from ctxkit.replay.posing import Assumed, named, posed, usual
from ctxkit.replay.recording import messages_key
from ctxkit.replay.resending import RAW, Bill, added, bill_of, billed, billed_in_all, served, share_of
from ctxkit.replay.rows import textless
from ctxkit.replay.unspoken import bills_by_growth, paid
from ctxkit.replay.waste import Wasting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctxkit.caching.lint import Finding
    from ctxkit.model import Plan, Record, Usage
    from ctxkit.replay.drifting import Drifted, Looks
    from ctxkit.replay.posing import Posed
    from ctxkit.replay.recording import Recording
    from ctxkit.replay.resending import Bench

__all__ = ["Compared", "Linted", "Measured", "Missed", "measured", "replayed_too"]

_LINTED = 8  # requests of one recording that are looked at for what breaks caches: it shows in the first ones


@dataclass(frozen=True, slots=True)
class Missed:
    """Misses for one reason.

    Attributes:
        requests: that read less than they might have for it.
        tokens: that were not read.
        pico: what they cost more; of requests with a price.
        said: what differed, of the dearest one.
        source: where that one stands.
    """

    requests: int = 0
    tokens: int = 0
    pico: int = 0
    said: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Linted:
    """What one check of ``ctxkit lint`` found.

    Attributes:
        requests: in how many.
        tokens: that cannot be read from the cache because of it, of all of them.
        pico: what those cost more; of requests with a price.
        message: of the dearest one; it may quote a date or an id, never more of a prompt.
        fix: what to do.
        source: where that one stands.
        certain: seen to happen from one request to the next.
    """

    requests: int
    tokens: int
    pico: int
    message: str
    fix: str
    source: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """Reported usage beside what was counted and simulated, over the requests that carry it.

    Attributes:
        requests: how many.
        reported: tokens of their prompts as reported.
        counted: as counted.
        errors: of each, counted over reported less one.
        read: tokens read from the cache as reported.
        simulated_read: as the simulated cache has it.
        pico: price of the prompts as reported.
        simulated_pico: as simulated, over as many tokens.
    """

    requests: int = 0
    reported: int = 0
    counted: int = 0
    errors: tuple[float, ...] = ()
    read: int = 0
    simulated_read: int = 0
    pico: int = 0
    simulated_pico: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """A recording in figures; plain values, to be sent between processes.

    Attributes:
        name: of the thread.
        source: its file.
        format: of the file.
        feature: what it did, where that was recorded.
        requests: that were answered and understood.
        failed: that the provider refused.
        unread: places of requests that nobody understands.
        as_sent: what they cost.
        models: requests by ``platform model``.
        hidden: tokens of instructions and tools that the recording leaves out, of each request.
        first: moment of the first request with a time, ``None``: none has one.
        last: of the last one.
        waste: tokens by kind.
        waste_pico: their price by kind.
        subjects: kind, what it was about, tokens, pico-dollars, how often.
        missed: by reason.
        linted: what the checks of ``ctxkit lint`` found, by their ids.
        drift: how it drifted; ``None``: it was not measured.
        compared: reported usage beside what was counted.
        work: how much a replay takes, in requests and their length.
        bare: nothing is known of its requests but figures: what was waste in them cannot be told, nor what modes save.
        supposed: model that is taken to have been asked, where neither the recording nor the user names one.
        opening: the question it begins with, until they are compared; an audit keeps no word of it.
    """

    name: str
    source: str
    format: str
    feature: str
    requests: int
    failed: int
    unread: tuple[str, ...]
    as_sent: Bill
    models: Mapping[str, int] = field(default_factory=dict)
    hidden: int = 0
    first: float | None = None
    last: float | None = None
    waste: Mapping[str, int] = field(default_factory=dict)
    waste_pico: Mapping[str, int] = field(default_factory=dict)
    subjects: tuple[tuple[str, str, int, int, int], ...] = ()
    missed: Mapping[str, Missed] = field(default_factory=dict)
    linted: Mapping[str, Linted] = field(default_factory=dict)
    drift: Drifted | None = None
    compared: Compared = Compared()
    work: int = 0
    bare: bool = False
    supposed: str = ""
    opening: str = field(default="", repr=False)


def measured(recording: Recording, bench: Bench, assumed: Assumed, *, each: int = 1) -> Measured:
    """A recording in figures, as it was sent; on the model and platform that are assumed where none was recorded.

    Args:
        recording: what was sent.
        bench: what recordings share.
        assumed: where nothing was recorded.
        each: requests for each whose drift is measured, so that of short recordings only some are; 1: closely.
    """
    if named(recording):
        assumed = Assumed(begins=assumed.begins)
    if textless(recording):
        return _of_usage(recording, bench, assumed)
    supposed, assumed = assumed.model is None, usual(recording, assumed)
    requests = posed(recording, replace(assumed, ttl=None, tier=None, priced_at=None), bench.meter.counter)
    looks = looks_at(f"{recording.source}\0{recording.name}", len(requests), each=each)
    seeing = _Seeing(bench, looks)
    for number, one in enumerate(requests):
        after = requests[number + 1].now if number + 1 < len(requests) else one.now + SECONDS
        seeing.request(one, min(one.now + SECONDS, max(after, one.now)))
    found = seeing.told(recording, requests)
    return replace(found, supposed=assumed.model or "") if supposed else found


def _of_usage(recording: Recording, bench: Bench, assumed: Assumed) -> Measured:
    """Of a recording that keeps no text: what it cost, and nothing of what it holds."""
    bill, models, unread = paid(recording, bench, assumed.begins)
    times = [one.at for one in recording.requests if one.at is not None]
    return Measured(
        recording.name,
        recording.source,
        recording.format,
        recording.feature,
        requests=bill.requests,
        failed=sum(one.status is not None and one.status >= 400 for one in recording.requests),
        unread=unread,
        as_sent=bill,
        models=models,
        first=min(times, default=None),
        last=max(times, default=None),
        bare=True,
    )


class _Seeing:
    """Follows the requests of one recording."""

    def __init__(self, bench: Bench, looks: Looks) -> None:
        self._bench = bench
        self._line = Line(bench.kit("observe"))
        self._drifting = Following(bench.policy, looks)
        drifts = self._drifting.run if looks.most and bench.policy.drift else None
        self._wasting = Wasting(bench.policy, bench.meter.counter, drifts)
        self._bills: list[Bill] = []
        self._missed: dict[str, Missed] = {}
        self._plans: list[tuple[Plan, str]] = []
        self._compared = Compared()
        self._errors: list[float] = []
        self._models: dict[str, int] = {}
        self._unread: list[str] = []

    def request(self, one: Posed, ends: float) -> None:
        """The next one."""
        kit = self._line.kit
        plan = kit.plan(one.body, dialect=one.dialect, platform=one.platform, model=one.model, now=one.now)
        if plan.unmetered or plan.estimate is None:
            self._unread.append(one.source)
            return
        simulated, _ = served(plan, one, self._line, ends)
        known = one.usage is not None and one.usage.input_total is not None
        usage = one.answered(one.usage) if known and one.usage is not None else simulated
        card = self._bench.card(one)
        self._bills.append(bill_of(one, usage, card))
        record = kit.settle(plan, Answer(usage=replace(usage, output=usage.output or 0)))
        self._note_miss(one, record)
        rates = card.rates(usage.input_total or 0) if card else None
        self._wasting.seen(one, Paid.of(usage, rates))
        if known:
            self._compare(one, usage, simulated)
        name = f"{one.platform or '?'} {one.model or '?'}"
        self._models[name] = self._models.get(name, 0) + 1
        if len(self._plans) < _LINTED:
            self._plans.append((plan, one.source))

    def _note_miss(self, one: Posed, record: Record) -> None:
        if record.miss_reason is None:
            return
        held, tokens = self._missed.get(record.miss_reason, Missed()), record.miss_tokens or 0
        dearer = tokens > 0 and held.said == ""
        said = record.miss.detail if dearer and record.miss else held.said
        self._missed[record.miss_reason] = Missed(
            held.requests + 1,
            held.tokens + tokens,
            held.pico + (pico_of(record.miss_cost) or 0),
            said,
            one.source if dearer else held.source,
        )

    def _compare(self, one: Posed, usage: Usage, simulated: Usage) -> None:
        held, card, reported = self._compared, self._bench.card(one), usage.input_total or 0
        paid = charge(card, _prompt(usage)) if card else None
        guessed = charge(card, _prompt(simulated)) if card else None
        share = reported / max(simulated.input_total or 0, 1)
        if reported:
            self._errors.append(one.counted / reported - 1)
        priced = paid is not None and guessed is not None
        self._compared = replace(
            held,
            requests=held.requests + 1,
            reported=held.reported + reported,
            counted=held.counted + one.counted,
            read=held.read + (usage.read or 0),
            simulated_read=held.simulated_read + round((simulated.read or 0) * share),
            pico=held.pico + (paid or 0 if priced else 0),
            simulated_pico=held.simulated_pico + (round((guessed or 0) * share) if priced else 0),
        )

    def told(self, recording: Recording, requests: Sequence[Posed]) -> Measured:
        """All of it."""
        self._wasting.ended()
        wasted, kit = self._wasting.wasted, self._line.kit
        findings = lint(self._plans, self._bench.meter.rates) if self._plans else ()
        kit.close()
        times = [one.at for one in recording.requests if one.at is not None]
        failed = sum(one.status is not None and one.status >= 400 for one in recording.requests)
        return Measured(
            recording.name,
            recording.source,
            recording.format,
            recording.feature,
            requests=len(self._bills),
            failed=failed,
            unread=(*self._unread, *_lost(recording, requests)),
            as_sent=added(self._bills),
            models=self._models,
            hidden=requests[0].hidden if requests else 0,
            first=min(times, default=None),
            last=max(times, default=None),
            waste={kind: round(tokens) for kind, tokens in wasted.tokens.items()},
            waste_pico={kind: round(pico) for kind, pico in wasted.pico.items()},
            subjects=tuple(
                (kind, name, round(tokens), round(pico), round(times_))
                for (kind, name), (tokens, pico, times_) in sorted(wasted.subjects.items())
            ),
            missed=self._missed,
            linted=_linted(findings),
            drift=self._drifting.told(),
            opening=opening(requests[0]) if requests else "",
            compared=replace(self._compared, errors=tuple(self._errors)),
            work=sum(1 + len(one.body.get(messages_key(one.dialect)) or ()) // 40 for one in requests),
        )


def _prompt(usage: Usage) -> Usage:
    return replace(usage, output=0, reasoning=None, calls={}, media={})


def _linted(findings: Sequence[Finding]) -> dict[str, Linted]:
    by_rule: dict[str, list[Finding]] = {}
    for one in findings:
        by_rule.setdefault(one.rule, []).append(one)
    return {rule: _together(found) for rule, found in by_rule.items()}


def _together(found: Sequence[Finding]) -> Linted:
    dearest = max(found, key=lambda one: (one.certain, one.tokens))
    return Linted(
        len({one.source for one in found}),
        sum(one.tokens for one in found),
        sum((pico_of(one.cost) or 0) // 1000 for one in found),
        dearest.message,
        dearest.fix,
        dearest.source,
        dearest.certain,
    )


def _lost(recording: Recording, requests: Sequence[Posed]) -> list[str]:
    held = {one.source for one in requests}
    return [
        one.source for one in recording.requests if one.source not in held and (one.status is None or one.status < 400)
    ]


def replayed_too(recording: Recording, bench: Bench, assumed: Assumed) -> tuple[dict[str, Bill], int | None]:
    """What a recording would have come to in each mode, and at the least, answers included."""
    if textless(recording):
        return bills_by_growth(recording, bench, assumed), None
    requests = posed(recording, usual(recording, assumed), bench.meter.counter)
    bills = billed_in_all(requests, bench)
    answers, paid = bills[RAW].output_pico, [one.input_pico for one in bills.values() if one.input_pico is not None]
    least = least_of(requests, bench) if answers is not None and paid else None
    if least is None or answers is None:
        return bills, None
    # What was found by a mode can be had: the optimum knows the future, but looks at each stretch by itself.
    return bills, min([round(least * share_of(requests)) - _there(requests, bench), *paid]) + answers


def _there(requests: Sequence[Posed], bench: Bench) -> int:
    """What it saves that entries were there before the first request."""
    first = requests[:1]
    if not first or not first[0].warm:
        return 0
    cold, warm = (billed([one], RAW, bench).input_pico for one in (first[0]._replace(warm=0), first[0]))
    return max((cold or 0) - (warm or 0), 0)
