"""Why a request read less from the provider's cache than it might have: one reason for each that did.

What might have been read is asked of the cache's own rules, each time with one obstacle away: had no entry ended, had a
marker looked back without limit, had there been a marker. What is left is compared with an earlier request of the same
conversation. Of several reasons the one that cost most tokens is told; what the provider itself says comes first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.cacheable import Miss
from ctxkit.caching.changes import change_of
from ctxkit.caching.footprints import first_difference
from ctxkit.caching.forecast import EXACT, telling
from ctxkit.caching.simulator.breakpoints import breakpoints, names
from ctxkit.caching.simulator.matching import match

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.cacheable import Diagnosis, MissReason
    from ctxkit.caching.changes import Change
    from ctxkit.caching.footprints import Footprint
    from ctxkit.caching.forecast import Foreseen
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.caching.simulator.entries import Entry, Matched
    from ctxkit.model import Path, Usage

__all__ = ["Earlier", "Settled", "diagnose"]

_SLACK = {True: 0.03, False: 0.1}  # share of a read, exact or best-effort, that is no miss
_LEAST_SLACK = 16  # tokens
_STEPS = 2  # steps by which a best-effort cache is usually behind
_EVERYTHING = 1 << 40

_SAID: dict[str, tuple[MissReason, Path, str]] = {
    "model_changed": ("model_changed", (), "the model, or its speed"),
    "system_changed": ("prefix_changed", ("system",), "the instructions"),
    "tools_changed": ("tools_changed", ("tools",), "the tools"),
    "messages_changed": ("prefix_changed", ("messages",), "the messages"),
    "input_changed": ("prefix_changed", ("input",), "the input"),
    "context_compacted": ("prefix_changed", ("input",), "the context was compacted"),
    "prompt_cache_key_changed": ("parameters_changed", ("prompt_cache_key",), "prompt_cache_key"),
    "text_format_changed": ("parameters_changed", ("text", "format"), "the format of the text"),
    "reasoning_effort_changed": ("parameters_changed", ("reasoning", "effort"), "the reasoning effort"),
    "verbosity_changed": ("parameters_changed", ("text", "verbosity"), "the verbosity"),
    "service_tier_changed": ("parameters_changed", ("service_tier",), "the service tier"),
}
"""What providers say: Anthropic (2026-08-22; anthropic 2.11.0), OpenAI (openai 3.52.0)."""


class Earlier(NamedTuple):
    """An earlier request to compare with.

    Attributes:
        footprint: of it.
        shares: ``"conversation"``, or only the ``"opening"``: then what stands before the conversation is compared.
    """

    footprint: Footprint
    shares: str = "conversation"


class Settled(NamedTuple):
    """A settled request and what is known around it.

    Attributes:
        foreseen: what was forecast.
        usage: what the provider reported.
        footprint: of this request.
        earlier: requests to compare with.
        raced: tokens that it might have read of requests that were under way when it left.
        held: the entry believed under a name, ended or not, as it was before this request was settled.
        said: the provider's own diagnosis.
    """

    foreseen: Foreseen
    usage: Usage
    footprint: Footprint
    earlier: Sequence[Earlier] = ()
    raced: int = 0
    held: Callable[[bytes], Entry | None] = lambda _: None
    said: Diagnosis | None = None

    @property
    def read(self) -> int:
        """Tokens read, as reported."""
        return self.usage.read or 0

    def slack(self, tokens: int) -> float:
        """What may be missing of a read of so many tokens without being called a miss."""
        rule = self.foreseen.rule
        exact = rule.match in EXACT
        steps = 0 if exact else _STEPS * (rule.interval or rule.granularity)
        return max(_LEAST_SLACK, steps, _SLACK[exact] * tokens)


class _Cause(NamedTuple):
    reason: MissReason
    tokens: int
    detail: str
    path: Path = ()


def diagnose(settled: Settled) -> Miss | None:
    """Why it read less than it might have; ``None`` where it did not, or where nobody told what it read."""
    total, read = settled.usage.input_total, settled.usage.read
    if total is None or read is None or not 0 <= read <= total or settled.foreseen.rule.match == "handle":
        return None
    causes = [cause for cause in _causes(settled) if cause.tokens > 0]
    dearest = max(causes, key=lambda cause: cause.tokens, default=None)  # of equals, the first
    told = _told(settled, dearest)
    if told is not None:
        return told
    if dearest is None:
        return None
    return Miss(dearest.reason, min(dearest.tokens, total - read), dearest.path, dearest.detail, "settled")


def _told(settled: Settled, dearest: _Cause | None) -> Miss | None:
    """What the provider says, with what we know of the same."""
    said = settled.said
    if said is None or said.state != "missed":
        return None
    reason, path, detail = _SAID.get(said.type, ("unknown", (), f"the provider says {said.type[:64]!r}"))
    tokens = said.missed if said.missed is not None else dearest.tokens if dearest is not None else 0
    if dearest is not None and dearest.reason == reason:
        path, detail = dearest.path or path, dearest.detail
    whole = settled.usage.input_total or 0
    return Miss(reason, max(min(tokens, whole - settled.read), 0), path, detail, "provider")


def _causes(settled: Settled) -> Iterator[_Cause]:
    yield from _unread(settled)
    if settled.raced - settled.read > settled.slack(settled.raced):
        yield _Cause("raced", settled.raced - settled.read, "a request with the same prefix was still writing it")
    if not any(_left_more(settled, earlier) for earlier in settled.earlier):
        return
    best = settled.foreseen.matched.tokens
    for hindrance in (_ended, _too_far, _unmarked):
        cause = hindrance(settled, max(best, settled.read))
        if cause is not None:
            yield cause
    for earlier in settled.earlier:
        yield from _compared(settled, earlier)


def _left_more(settled: Settled, earlier: Earlier) -> bool:
    """The earlier request left more than was read, or nothing at all."""
    cached = min(earlier.footprint.cached, settled.footprint.total)
    return not cached or cached - settled.read > settled.slack(cached)


def _unread(settled: Settled) -> Iterator[_Cause]:
    """An entry was believed alive, and was not read."""
    foreseen, read = settled.foreseen, settled.read
    matched, told = foreseen.matched, foreseen.forecast.cached_tokens
    if matched.entry is None:
        return
    expected = min(matched.least, matched.tokens) if told is not None else matched.least
    if expected - read <= settled.slack(expected):
        return
    idle = settled.footprint.at - matched.entry.used
    if told is None:
        detail = "the rules promise a read that has not come for long: they do not hold here"
        yield _Cause("unknown", expected - read, detail)
    elif other := next((one for one in settled.earlier if _rerouted(settled, one.footprint)), None):
        detail = f"the key that routes is another than in the request {_ago(settled, other.footprint)} before"
        yield _Cause("evicted_or_rerouted", expected - read, detail)
    else:
        detail = f"{expected:,} tokens were to be read of an entry used {_span(idle)} before"
        yield _Cause("evicted_or_rerouted", expected - read, detail)


def _rerouted(settled: Settled, before: Footprint) -> bool:
    return before.route != settled.footprint.route


# ---- With one obstacle away --------------------------------------------------------------------------------------------


def _ended(settled: Settled, best: int) -> _Cause | None:
    """An entry that had ended."""
    matched = _matched(settled)
    if matched.entry is None or matched.tokens - best <= settled.slack(matched.tokens):
        return None
    now, entry = settled.footprint.at, matched.entry
    if entry.expires >= now:  # settled meanwhile, so nobody could have read it for certain
        return None
    life = settled.foreseen.rule.seconds(entry.ttl)
    lived = f" of {entry.ttl or _span(life)}" if life is not None else ""
    detail = (
        f"its life{lived} had ended {_span(now - entry.expires)} before; last used {_span(now - entry.used)} before"
    )
    return _Cause("ttl_expired", matched.tokens - settled.read, detail)


def _too_far(settled: Settled, best: int) -> _Cause | None:
    """An entry that stands further back than markers, or endings, are looked up."""
    rule = settled.foreseen.rule
    if rule.match not in ("marks", "endings") or (rule.lookback is None and not rule.endings):
        return None
    far = replace(rule, lookback=None, endings=_EVERYTHING if rule.endings else 0)
    matched = _matched(settled, far)
    if matched.entry is None or matched.tokens - best <= settled.slack(matched.tokens):
        return None
    marks = breakpoints(rule, settled.foreseen.layout)
    behind = next((mark.at for mark in marks if mark.at >= matched.read), matched.read)
    limit = rule.lookback or rule.endings
    detail = f"its end stands {behind - matched.read:,} blocks before the marker, and {limit} are looked at"
    return _Cause("lookback_exceeded", matched.tokens - settled.read, detail)


def _unmarked(settled: Settled, best: int) -> _Cause | None:
    """An entry at or behind whose end no marker stands."""
    foreseen = settled.foreseen
    if foreseen.rule.match not in EXACT:
        return None
    layout, name = foreseen.layout, names(foreseen.rule, foreseen.layout)
    marks = breakpoints(foreseen.rule, layout)
    last = marks[-1].at if marks else -1
    for index in reversed(range(last + 1, len(layout.positions))):
        entry = settled.held(name(index))
        if entry is not None and entry.expires >= settled.footprint.at:
            if entry.tokens - best <= settled.slack(round(entry.tokens)):
                return None
            detail = "no marker stands behind it" if marks else "the request carries no marker"
            return _Cause("not_marked", round(entry.tokens) - settled.read, detail)
    return None


def _matched(settled: Settled, rule: Rule | None = None) -> Matched:
    """What the cache would have read, had no entry ended."""
    foreseen = settled.foreseen
    among = telling(len(foreseen.layout.positions))
    return match(rule or foreseen.rule, foreseen.layout, settled.held, among=among)


# ---- Compared with an earlier request ----------------------------------------------------------------------------------


def _compared(settled: Settled, earlier: Earlier) -> Iterator[_Cause]:
    before, now = earlier.footprint, settled.footprint
    index, _ = first_difference(settled.foreseen.layout, before)
    if earlier.shares == "opening":
        cached, reach = _opening_of(before)
    else:
        cached, reach = before.cached, before.reach
    if cached <= 0:
        yield from _never_cached(settled, before, index)
        return
    tokens = min(cached, now.total) - settled.read
    if tokens <= settled.slack(min(cached, now.total)):
        return
    change = change_of(settled.foreseen.layout, now, before, reach)
    if change is None:
        yield from _unchanged(settled, before, tokens)
    elif now.at > before.expires:
        ended = f"its life had ended {_span(now.at - before.expires)} before; changed as well: {change.detail}"
        yield _Cause("ttl_expired", tokens, ended)
    else:
        yield _changed(settled, change, before, tokens)


def _changed(settled: Settled, change: Change, before: Footprint, tokens: int) -> _Cause:
    said = settled.said
    if said is not None and said.state == "same" and said.type:
        return _Cause("unknown", tokens, f"{change.detail}; the provider sees the same prefix")
    detail = f"{change.detail}; compared with the request {_ago(settled, before)} before"
    return _Cause(change.reason, tokens, detail, change.path)


def _opening_of(before: Footprint) -> tuple[int, int]:
    """What the earlier request left of all that stands before its conversation: tokens, and the last position."""
    tokens = before.tokens(before.opening) or 0
    whole = before.tokens(before.length - 1) or 0
    scale = before.total / whole if whole else 1.0
    if not before.cached or before.reach < before.opening or before.opening < 0:
        return 0, -1
    return min(round(tokens * scale), before.cached), before.opening


def _unchanged(settled: Settled, before: Footprint, tokens: int) -> Iterator[_Cause]:
    """Nothing differs up to where the earlier request had cached."""
    now = settled.footprint
    if now.at > before.expires:
        detail = f"its life had ended {_span(now.at - before.expires)} before"
        yield _Cause("ttl_expired", tokens, detail)
    elif _wants_marks(settled) and not breakpoints(settled.foreseen.rule, settled.foreseen.layout):
        yield _Cause("not_marked", tokens, "the request carries no marker")
    elif settled.foreseen.matched.entry is None:
        yield _Cause("unknown", tokens, f"nothing differs from the request {_ago(settled, before)} before")


def _never_cached(settled: Settled, before: Footprint, index: int) -> Iterator[_Cause]:
    """The earlier request left nothing: it was too short, or carried no marker."""
    rule, now = settled.foreseen.rule, settled.footprint
    same = before.space == now.space and before.parameters == now.parameters
    if before.cached or not same or index == 0:
        return
    whole = before.tokens(before.length - 1) or 0
    common = round((before.tokens(index - 1) or 0) * (before.total / whole if whole else 1.0))
    tokens = min(common, now.total) - settled.read
    if rule.minimum is not None and max(common, before.total if index >= before.length else 0) < rule.minimum:
        if index >= before.length or index > before.opening + 1:
            detail = f"{common:,} tokens in common with the request before, {rule.minimum:,} are the least"
            yield _Cause("below_minimum", tokens, detail)
    elif _wants_marks(settled) and not before.marked and tokens > settled.slack(common):
        yield _Cause("not_marked", tokens, "the request before carried no marker, so nothing was kept")


def _wants_marks(settled: Settled) -> bool:
    """Without a marker nothing is kept."""
    rule = settled.foreseen.rule
    return rule.match in EXACT and (not rule.automatic or settled.foreseen.layout.ask.mode == "explicit")


def _ago(settled: Settled, before: Footprint) -> str:
    return _span(settled.footprint.at - before.at)


def _span(seconds: float | None) -> str:
    """A time as people say it."""
    if seconds is None:
        return "an unknown time"
    for size, unit in ((172_800, "d"), (7_200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'d': 86_400, 'h': 3_600, 'min': 60}[unit]:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
