"""What to do about what an audit found, what saves most first.

Each piece of advice stands by itself: what it saves is what it would save if nothing else were done. Advice about one
habit of an application often overlaps with a mode of ctxkit that does away with it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctxkit.replay.measuring import Linted, Missed
from ctxkit.replay.resending import MODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctxkit.replay.auditing import Audit
    from ctxkit.replay.measuring import Measured

__all__ = ["Advised", "Rate", "advised", "largest", "missed", "rate_of"]

_WORTH = 0.005  # share of the bill, or of all tokens, that is worth a word
_LONGEST = 50  # characters of a name
_EACH = 3  # subjects of one kind of waste
_MOST = 15
_MONTH = 30 * 86_400.0
_BRIEF = 60.0  # seconds of which no month can be told

_MISSED = {
    "not_marked": "mark the prompt: {share:.0%} of what the cache missed has no breakpoint",
    "ttl_expired": "let cache entries live longer, or ask sooner: they had expired",
    "prefix_changed": "keep the beginning of the prompt as it was: a change broke the prefix",
    "tools_changed": "send the same tools in the same order in all requests of a conversation",
    "model_changed": "stay on one model in a conversation: each has a cache of its own",
    "parameters_changed": "keep the parameters that belong to the prefix as they were",
    "lookback_exceeded": "set a breakpoint in between: the provider did not look back far enough for the last one",
    "raced": "let one request go first: others began before the prefix they share was written",
    "scope_changed": "send a conversation under one key or workspace",
}
"""Reasons that somebody can do something about."""

_LINTS = {
    "not_marked": ("not-marked",),
    "prefix_changed": ("volatile-prefix", "prefix-changed", "image-changed", "personal-before-shared"),
    "tools_changed": ("tool-order", "tool-keys", "tools-changed"),
    "parameters_changed": ("parameters-changed",),
    "lookback_exceeded": ("lookback-exceeded",),
}
"""Checks that say more of a reason; those of no reason that was met speak for themselves."""

_OWN = ("large-tool", "marker-refused", "marker-on-volatile")
_WASTED = {
    "bloat": ("{0} returns filler (white space of JSON, colour codes, equal lines): compact it", "texts hold filler"),
    "repeats": ("{0} is sent again word for word, {1}", "texts are sent again word for word, {1}"),
    "deltas": ("{0} is sent again with few changes, {1}", "texts are sent again with few changes, {1}"),
    "stale": ("{0} is still sent after it was written or read anew", "what was overtaken is still sent"),
    "spent": ("old output of {0} is still sent though nothing refers to it", "old output is still sent"),
    "episodes": ("", "finished stretches of conversations are still sent"),
}


@dataclass(frozen=True, slots=True)
class Advised:
    """One thing to do.

    Attributes:
        kind: ``"mode"``, ``"miss"``, ``"waste"`` or ``"lint"``.
        what: to do, in one sentence.
        requests: that it is about.
        tokens: that it is about.
        pico: that it would have saved on what was recorded, in pico-dollars; ``None``: no price is known.
        per_1000: the same for each 1,000 requests.
        per_month: the same for 30 days at the recorded rate; ``None`` where no times were recorded.
        where: an example.
    """

    kind: str
    what: str
    requests: int
    tokens: int
    pico: int | None
    per_1000: int | None = None
    per_month: int | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests there are.

    Attributes:
        requests: that were recorded.
        per_month: in 30 days at the recorded rate; ``None``: nobody knows.
    """

    requests: int
    per_month: float | None

    def of(self, one: Advised) -> Advised:
        """The advice with what it saves over time."""
        if one.pico is None or not self.requests:
            return one
        each = one.pico / self.requests
        month = None if self.per_month is None else round(each * self.per_month)
        return replace(one, per_1000=round(each * 1000), per_month=month)


def rate_of(threads: Iterable[Measured]) -> Rate:
    """How many requests were recorded, and in what time."""
    held = list(threads)
    timed = [one for one in held if one.first is not None and one.last is not None]
    span = max((one.last or 0 for one in timed), default=0.0) - min((one.first or 0 for one in timed), default=0.0)
    monthly = sum(one.requests for one in timed) * _MONTH / span if span >= _BRIEF else None
    return Rate(sum(one.requests for one in held), monthly)


def advised(audit: Audit) -> tuple[Advised, ...]:
    """What to do, what saves most first; ``()``: nothing is worth a word."""
    rate = rate_of(audit.threads)
    tokens = sum(one.as_sent.tokens for one in audit.threads)
    paid = audit.as_sent or audit.total(MODES[0])
    found = [*_modes(audit), *_misses(audit), *_wastes(audit), *_lints(audit)]
    worth = [one for one in found if _worth(one, paid, tokens)]
    worth.sort(key=lambda one: (-(one.pico or 0), -one.tokens, one.what))
    return tuple(rate.of(one) for one in worth[:_MOST])


def _worth(one: Advised, paid: int | None, tokens: int) -> bool:
    if one.pico is not None and paid:
        return one.pico > _WORTH * paid
    return one.tokens > _WORTH * tokens


def _modes(audit: Audit) -> Iterator[Advised]:
    """The weakest mode that saves nearly as much as any."""
    before, totals = audit.total(MODES[0]), {mode: audit.total(mode) for mode in MODES[1:]}
    known = {mode: total for mode, total in totals.items() if total is not None}
    if before is None or not known:
        return
    least = min(known.values())
    mode = next(mode for mode, total in known.items() if total - least <= _WORTH * before)
    if known[mode] < before:
        sent = sum(one.bills[MODES[0]].tokens - one.bills[mode].tokens for one in audit.replays.values())
        requests = sum(one.requests for one in audit.threads)
        share = 1 - known[mode] / before
        yield Advised(
            "mode", f'turn on mode "{mode}": {share:.0%} off the bill', requests, max(sent, 0), before - known[mode]
        )


def missed(threads: Iterable[Measured]) -> dict[str, Missed]:
    """Misses of all recordings, by reason, dearest first."""
    found: dict[str, Missed] = {}
    for thread in threads:
        for reason, one in thread.missed.items():
            held = found.get(reason, Missed(said=one.said, source=one.source))
            found[reason] = Missed(
                held.requests + one.requests, held.tokens + one.tokens, held.pico + one.pico, held.said, held.source
            )
    return dict(sorted(found.items(), key=lambda item: (-item[1].pico, -item[1].tokens, item[0])))


def _linted(threads: Iterable[Measured]) -> dict[str, Linted]:
    found: dict[str, Linted] = {}
    for thread in threads:
        for rule, one in thread.linted.items():
            held = found.get(rule)
            if held is None:
                found[rule] = one
                continue
            dearer = one if (one.certain, one.tokens) > (held.certain, held.tokens) else held
            found[rule] = Linted(
                held.requests + one.requests,
                held.tokens + one.tokens,
                held.pico + one.pico,
                dearer.message,
                dearer.fix,
                dearer.source,
                dearer.certain,
            )
    return found


def _misses(audit: Audit) -> Iterator[Advised]:
    found, linted = missed(audit.threads), _linted(audit.threads)
    whole = sum(one.tokens for one in found.values()) or 1
    for reason, one in found.items():
        if reason not in _MISSED:
            continue
        said = _MISSED[reason].format(share=one.tokens / whole)
        checks = [linted[rule] for rule in _LINTS.get(reason, ()) if rule in linted and linted[rule].certain]
        detail = max(checks, key=lambda check: check.tokens).message if checks and reason != "not_marked" else one.said
        why = f" ({detail})" if detail and reason != "not_marked" else ""
        pico = min(one.pico, _marking(audit, one.pico)) if reason == "not_marked" else one.pico
        yield Advised(
            "miss", f"{said}{why}; {one.requests:,} requests", one.requests, one.tokens, pico, where=one.source
        )


def _marking(audit: Audit, else_: int) -> int:
    """What markers save, their writes paid: mode ``cache`` says where they pay."""
    before, marked = audit.total(MODES[0]), audit.total("cache")
    return else_ if before is None or marked is None else before - marked


def _lints(audit: Audit) -> Iterator[Advised]:
    linted, found = _linted(audit.threads), missed(audit.threads)
    spoken = {rule for reason, rules in _LINTS.items() if reason in found for rule in rules}
    for rule, one in linted.items():
        if rule in _OWN or (one.certain and rule not in spoken and rule != "not-marked"):
            yield Advised("lint", f"{one.message}; {one.fix}", one.requests, one.tokens, one.pico, where=one.source)


def _wastes(audit: Audit) -> Iterator[Advised]:
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    where: dict[tuple[str, str], tuple[int, str]] = {}
    priced = False
    for thread in audit.threads:
        priced = priced or thread.as_sent.pico is not None
        for kind, name, tokens, pico, times in thread.subjects:
            for at, value in enumerate((tokens, pico, times, 1)):
                sums[kind, name][at] += value
            where[kind, name] = max(where.get((kind, name), (0, "")), (tokens, f"{thread.source}: {thread.name}"))
    for kind, (named, unnamed) in _WASTED.items():
        held = sorted(((values, name) for (one, name), values in sums.items() if one == kind), reverse=True)
        for (tokens, pico, times, _), name in held[:_EACH]:
            said = (named if name else unnamed).format(_brief(name), "once" if times == 1 else f"{times:,} times")
            yield Advised("waste", said, times, tokens, pico if priced else None, where=where[kind, name][1])


def _brief(name: str) -> str:
    """The end of a long path is what tells it from others."""
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def largest(thread: Measured) -> str | None:
    """What cost most in one recording, in few words; ``None``: nothing."""
    found = [
        (one.pico, one.tokens, f"missed cache: {reason.replace('_', ' ')}") for reason, one in thread.missed.items()
    ]
    found += [(thread.waste_pico.get(kind, 0), tokens, f"waste: {kind}") for kind, tokens in thread.waste.items()]
    best = max(found, default=None)
    return best[2] if best is not None and best[1] > 0 else None
