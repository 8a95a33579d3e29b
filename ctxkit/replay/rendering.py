"""An audit for a terminal: the bill, the waste, the misses, and what to do."""

from __future__ import annotations

from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.money import usd_of
from ctxkit.page.formats import shortened
from ctxkit.printable import printable
from ctxkit.replay.advising import missed, rate_of
from ctxkit.replay.asking import said
from ctxkit.replay.drifting import worst
from ctxkit.replay.resending import MODES, OPTIMUM, RAW
from ctxkit.replay.telling import compared, supposed
from ctxkit.replay.waste import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from ctxkit.replay.auditing import Audit
    from ctxkit.replay.drifting import Point, Together
    from ctxkit.replay.measuring import Measured

__all__ = ["ABOUT", "REASONS", "Costs", "costs_of", "headline", "money", "notes", "renderables", "sparkline"]

ABOUT = {
    "repeats": "stands earlier already",
    "deltas": "differs little from what stands earlier",
    "bloat": "white space, colour codes, equal lines",
    "stale": "written or read anew since",
    "spent": "output that nothing refers to any more",
    "episodes": "finished stretches",
}
_NAMES = {
    RAW: "raw, well cached",
    OPTIMUM: "least possible",
    "observe": "mode observe",
    "cache": "mode cache",
    "lossless": "mode lossless",
    "prune": "mode prune",
}
REASONS = {
    "ttl_expired": "entry had expired",
    "prefix_changed": "prefix changed",
    "tools_changed": "tools changed",
    "model_changed": "model changed",
    "parameters_changed": "parameters changed",
    "below_minimum": "too short to be cached",
    "not_marked": "no breakpoint",
    "lookback_exceeded": "too far from the last breakpoint",
    "raced": "begun before the entry was written",
    "evicted_or_rerouted": "evicted or rerouted",
    "scope_changed": "another key or workspace",
    "unknown": "unknown",
}
_BARS = "▁▂▃▄▅▆▇█"
_NOISE = "neither bears on the goal nor was named lately"
_WORST = 5  # threads told one by one
_NAME = 36  # characters of their names


class Costs(NamedTuple):
    """One line of the bill: its name, pico-dollars, share of what was paid, and the interval of a sample."""

    name: str
    pico: int | None
    share: float | None
    interval: tuple[int, int] | None = None
    chosen: bool = False


def costs_of(audit: Audit) -> list[Costs]:
    """What was paid, and what would have been."""
    paid = audit.as_sent
    found = [Costs("as sent", paid, None)]
    for mode in (RAW, *MODES, OPTIMUM):
        one = audit.totals.get(mode)
        if one is None:
            found.append(Costs(_NAMES[mode], None, None))
            continue
        interval = None if audit.sample.whole else (one.low, one.high)
        found.append(Costs(_NAMES[mode], one.total, one.total / paid if paid else None, interval, mode == audit.mode))
    return found


def money(pico: int | None) -> str:
    """For people; ``-``: not known."""
    usd = usd_of(pico)
    if usd is None:
        return "-"
    size = usd.copy_abs()
    places = 0 if size >= 10_000 else 2 if size >= Decimal("0.995") else 4 if size >= Decimal("0.01") else 6
    return f"{'-' if usd < 0 else ''}${size:,.{places}f}"


def headline(audit: Audit) -> str:
    """What was audited, in one line."""
    requests = sum(one.requests for one in audit.threads)
    tokens = sum(one.as_sent.tokens for one in audit.threads)
    return f"{_many(len(audit.threads), 'thread')}, {_many(requests, 'request')}, {_many(tokens, 'input token')}"


def _many(count: int, noun: str, more: str = "") -> str:
    return f"{count:,} {noun if count == 1 else more or f'{noun}s'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def renderables(audit: Audit) -> Iterator[RenderableType]:
    """What is printed, one after another."""
    from rich.text import Text

    yield Text(headline(audit), style="bold")
    for table in (_bill(audit), _waste(audit), _drift(audit), _worst(audit), _misses(audit), _todo(audit)):
        if table is not None:
            yield Text()
            yield table
    yield Text() if audit.todo else Text("\nnothing to complain of")
    for note in notes(audit):
        yield Text(note, style="dim")


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[int] = (0,)
) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.ROUNDED, title=title, title_justify="left", title_style="bold cyan", padding=(0, 1))
    for at, head in enumerate(heads):
        drawn.add_column(
            Text(head), justify="left" if at in words else "right", overflow="fold", no_wrap=at not in words
        )
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    return drawn


def _bill(audit: Audit) -> RenderableType:
    costs = costs_of(audit)
    sampled = any(one.interval for one in costs)
    rows = []
    for one in costs:
        name = f"{one.name} *" if one.chosen else one.name
        share = "" if one.share is None else f"{one.share - 1:+.1%}"
        interval = "" if one.interval is None else f"{money(one.interval[0])} to {money(one.interval[1])}"
        rows.append([name, money(one.pico), share, *([interval] if sampled else ())])
    return _table(
        "What it cost, and would have cost", ["", "USD", "to as sent", *(["95 of 100"] if sampled else ())], rows
    )


def _waste(audit: Audit) -> RenderableType | None:
    if not any(one.waste for one in audit.threads):
        return None
    tokens = sum(one.as_sent.tokens for one in audit.threads) or 1
    priced = audit.as_sent is not None
    rows = []
    for kind in KINDS:
        count = sum(one.waste.get(kind, 0) for one in audit.threads)
        if count:
            pico = sum(one.waste_pico.get(kind, 0) for one in audit.threads) if priced else None
            rows.append([kind, f"{count:,}", f"{count / tokens:.1%}", money(pico), ABOUT[kind]])
    return _table("Waste: tokens that need not have been sent", ["", "tokens", "of input", "USD", ""], rows, (0, 4))


def _drift(audit: Audit) -> RenderableType | None:
    found = audit.drift
    if found is None:
        return None
    levels, fee = found.levels, money(None if found.pico is None else round(found.pico))
    counted = (
        ("drifting", levels["drifting"] + levels["lost"], "at their last request, those lost included"),
        ("lost", levels["lost"], "little of it serves the goal"),
        ("stuck", found.stuck, "the same again, and nothing new comes of it"),
    )
    rows = [["noise", _many(round(found.noise), "token"), f"{found.noise_share:.1%}", fee, _NOISE]]
    rows += [[name, _many(count, "thread"), _of(count, found), "", about] for name, count, about in counted if count]
    if found.superseded:
        rows.append(
            ["taken back", _many(found.superseded, "wish", "wishes"), "", "", "of users, which still stood there"]
        )
    title = f"Drift of {_many(found.measured, 'thread')}: {found.score:.2f} of 1 in the mean, {found.level}"
    return _table(title, ["", "", "share", "USD", ""], rows, (0, 4))


def _of(count: int, found: Together) -> str:
    return f"{count / found.measured:.1%}"


def _worst(audit: Audit) -> RenderableType | None:
    """Those that drifted most, with the course of it."""
    rows = []
    for one, drift in worst(audit.threads)[:_WORST]:
        end = drift.end
        fee = money(None if drift.pico is None else round(drift.pico))
        loop = "yes" if drift.stuck else ""
        rows.append(
            [
                shortened(one.name, _NAME),
                sparkline(drift.curve),
                f"{end.score:.2f}",
                end.level or "",
                f"{drift.noise_share:.0%}",
                fee,
                loop,
            ]
        )
    heads = ["", "course", "score", "", "noise", "USD", "stuck"]
    return _table("Threads that drifted most", heads, rows, (0, 1, 3)) if rows else None


def sparkline(curve: Sequence[Point]) -> str:
    """Scores over the requests, as one sign for each."""
    return "".join(_BARS[min(int(point.score * len(_BARS)), len(_BARS) - 1)] for point in curve)


def _misses(audit: Audit) -> RenderableType | None:
    if not missed(audit.threads):
        return None
    priced = audit.as_sent is not None
    rows = [
        [REASONS.get(reason, reason), f"{one.requests:,}", f"{one.tokens:,}", money(one.pico if priced else None)]
        for reason, one in missed(audit.threads).items()
    ]
    return _table("Cache: what was not read and might have been", ["", "requests", "tokens", "USD"], rows)


def _todo(audit: Audit) -> RenderableType | None:
    if not audit.todo:
        return None
    monthly = any(one.per_month is not None for one in audit.todo)
    rows = [
        [str(at), one.what, money(one.per_1000), *([money(one.per_month)] if monthly else ())]
        for at, one in enumerate(audit.todo, 1)
    ]
    heads = ["", "", "per 1,000 requests", *(["per month"] if monthly else ())]
    return _table("What to do, and what each would save by itself", heads, rows, (1,))


def notes(audit: Audit) -> Iterator[str]:
    """What has to be known to read the figures."""
    yield from _left_open(audit.threads)
    yield from _judged(audit)


def _left_open(threads: Sequence[Measured]) -> Iterator[str]:
    """What the recordings do not say, and what stands in its place."""
    unpriced = sorted({name for one in threads for name in one.as_sent.unpriced})
    if unpriced:
        left = sum(one.requests for one in threads if one.as_sent.pico is None)
        yield (
            f"No price is known for {', '.join(unpriced[:5])}{' and others' if len(unpriced) > 5 else ''}: "
            f"{_many(left, 'request')} of such threads {_are(left)} left out of what was paid (--model NAME asks what if)."
        )
    for model, requests in supposed(threads).items():
        yield (
            f"{_many(requests, 'request')}, of which no model was recorded, {_are(requests)} taken to have asked {model} "
            "(--model NAME for another)."
        )
    if told := compared(threads):
        error = told["median_absolute_error"]
        yield (
            f"{_many(told['requests'], 'request')} report usage, which is used; "
            f"counting was off by {error:.1%} in the median."
            if error is not None
            else "Reported usage is used."
        )
    silent = sum(one.as_sent.silent for one in threads)
    if silent:
        yield f"The answers to {_many(silent, 'request')} were not recorded: they cost nothing here, in no line."
    hidden = sum(one.hidden * one.requests for one in threads)
    if hidden:
        yield (
            f"{hidden:,} input tokens are instructions and tools that the recordings leave out: words of as many tokens "
            "stand for them in every replay."
        )
    bare = sum(one.requests for one in threads if one.bare)
    if bare:
        yield (
            f"Of {_many(bare, 'request')} figures alone are known (a ledger keeps no text): "
            "what was waste in them, and what modes would save, cannot be told."
        )


def _judged(audit: Audit) -> Iterator[str]:
    """What was looked at in part, or not at all."""
    threads = audit.threads
    if "prune" in audit.totals and OPTIMUM not in audit.totals and find_spec("numpy") is None:
        yield 'The least possible is computed with numpy: pip install "ctxkit[replay]".'
    if (found := audit.drift) is not None and found.measured < (count := sum(not one.bare for one in threads)):
        yield (
            f"Drift was measured in {found.measured:,} of {_many(count, 'thread')}, the longer ones first, and judged by those; "
            "--all measures all."
        )
    if audit.questions is not None:
        yield said(audit.questions, audit.policy)
    if not audit.sample.whole:
        requests = sum(threads[at].requests for at in audit.replays)
        yield (
            f"Replayed: {_many(len(audit.replays), 'thread')} of {len(threads):,} ({_many(requests, 'request')}), drawn by what "
            "they cost; --all replays everything."
        )
    if rate_of(threads).per_month is None and audit.todo:
        timed = any(one.first is not None for one in threads)
        yield (
            "The recorded times are less than a minute apart: no month can be told."
            if timed
            else "No times were recorded: requests are taken to follow one another by 5 seconds, and no month can be told."
        )
