"""A page with everything on it, for tests of how it looks and works."""

from __future__ import annotations

import math
from decimal import Decimal

from ctxkit.page import Chart, Column, Figure, Page, Section, Series, Table

DAYS = tuple(f"2026-11-{day:02}" for day in range(1, 22))
FEATURES = ("support-chat", "search", "code-review", "summarise")
HOSTILE = (
    "<script>document.title = 'taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "</style><style>body{display:none}",
    "</script><script>document.title='taken'</script>",
    '" onmouseover="document.title=1',
    "javascript:alert(1)",
    "right\N{RIGHT-TO-LEFT OVERRIDE}to left",
    "nul\x00bell\x07escape\x1b[31m",
    "lone \ud800 surrogate",
    "x" * 10_000,
    "{{ 7 * 7 }} ${x} %s",
    "&amp; &lt; &#0;",
    "]]> <!-- -->",
    "العربية والعبرية",
    "機能 🤷🏽‍♀️",
    "",
)


def wave(place: int, step: int) -> Decimal:
    """Something that goes up and down."""
    return Decimal(str(round(3 + 2.5 * math.sin(place / 3 + step) + step, 4)))


def series(names: tuple[str, ...], count: int = len(DAYS)) -> tuple[Series, ...]:
    return tuple(Series(name, tuple(wave(day, step) for day in range(count))) for step, name in enumerate(names))


COLUMNS = (
    Column("Thread"),
    Column("Requests", "count", "Requests that were answered"),
    Column("Cost", "usd", "What the provider billed"),
    Column("Saved", "saved"),
    Column("Cached", "share"),
    Column("First token", "seconds"),
    Column("Last", "time"),
    Column("Model"),
)


def thread(place: int) -> tuple[str | int | float | Decimal | None, ...]:
    return (
        f"{FEATURES[place % 4]} {place}",
        place * 37 % 101,
        None if place % 19 == 7 else Decimal(place * 7919 % 3001) / 100,
        Decimal(place * 104729 % 701 - 200) / 100,
        place % 10 / 10,
        place * 13 % 900 / 100,
        1_790_000_000 + place * 3600,
        ("gpt-5.5", "claude-sonnet-5", "gemini-3-pro")[place % 3],
    )


def threads(count: int) -> Table:
    total = ("Total", 99_999, Decimal("31234.56"), Decimal("-61.17"), 0.571, None, None, "")
    return Table("Threads", COLUMNS, tuple(map(thread, range(count))), total, "All threads of the period.")


def page(rows: int = 200) -> Page:
    saved = (Decimal("41.2"), Decimal("12.3"), Decimal("3.2"), Decimal("-2.1"), None)
    latency = (Series("From the cache", (0.34, 0.9, 2.2)), Series("Not cached", (0.8, 1.9, 4.4)))
    share = tuple(None if day % 23 == 0 else 0.5 + 0.3 * math.sin(day / 9) ** 2 for day in range(150))
    dates = tuple(f"2026-{month:02}-{day:02}" for month in range(5, 10) for day in range(1, 31))
    reasons = ("prefix changed after a very long description of its place", "expired", "too short", "model changed")
    figures = (
        Figure("Cost", Decimal("318.4213"), "usd", "14% less than in the three weeks before"),
        Figure("Saved", Decimal("61.17"), "saved", "16.1% of what it would have cost"),
        Figure("Lost on code-review", Decimal("-2.1"), "saved"),
        Figure("Requests", 12_482),
        Figure("Cached share", 0.571, "share", "of input tokens were read from the cache"),
        Figure("First token, median", 0.34, "seconds"),
        Figure("Storage", None, "usd", "nobody says what it costs"),
    )
    dollars = ("Fresh input", "Cache read", "Written, 5 min", "Written, 1 h", "Output", "Storage", "Waste")
    return Page(
        "Where the money goes",
        "In three weeks 12,482 requests cost $318.42. ctxkit saved $61.17 of what they would have cost; "
        "code-review alone lost $2.10.",
        (
            Section("At a glance", figures=figures),
            Section(
                "Cost over time",
                ("What each feature cost, day by day.",),
                charts=(
                    Chart("Cost by feature", "stacked", DAYS, series(FEATURES), note="November began on a Sunday."),
                    Chart("Where each dollar went", "stacked", DAYS, series(dollars)),
                    Chart("Cost by day", "lines", DAYS, series(FEATURES)),
                ),
            ),
            Section(
                "Savings and speed",
                charts=(
                    Chart(
                        "Saved by cause",
                        "bars",
                        ("cache", "repeats", "deltas", "stale", "spent"),
                        (Series("Saved", saved),),
                        "saved",
                    ),
                    Chart("Time to first token", "columns", ("p50", "p90", "p99"), latency, "seconds"),
                ),
            ),
            Section(
                "Cache",
                charts=(
                    Chart("Cached share", "lines", dates, (Series("Cached", share),), "share", "A gap: no requests."),
                    Chart("Misses", "bars", reasons, (Series("Tokens", (1_200_000, 400_000, 33_000, 12)),), "count"),
                    Chart("Nothing yet", "columns", (), (Series("x", ()),)),
                ),
            ),
            Section("Threads", tables=(threads(rows), Table("Small", COLUMNS[:3], (thread(1)[:3], thread(2)[:3])))),
            Section("Empty"),
        ),
        made="21 November 2026, 14:10",
    )


def hostile() -> Page:
    """Every text that a page has is hostile."""
    rows = tuple((name, place, Decimal(place), name) for place, name in enumerate(HOSTILE))
    columns = (Column(HOSTILE[0], note=HOSTILE[4]), Column(HOSTILE[1], "count"), Column(HOSTILE[2], "usd"), Column("x"))
    drawn = tuple(Series(name, (1, 2, None)) for name in HOSTILE)
    charts = tuple(
        Chart(name, kind, HOSTILE, drawn, "usd", name)
        for name, kind in zip(HOSTILE, ("lines", "columns", "stacked", "bars") * 4, strict=True)
    )
    sections = tuple(Section(name, (name,), (Figure(name, name, "count", name),)) for name in HOSTILE)
    more = (
        Section("Charts", charts=charts),
        Section("Table", tables=(Table(HOSTILE[3], columns, rows, note=HOSTILE[0]),)),
    )
    return Page(HOSTILE[0], HOSTILE[1], (*sections, *more), HOSTILE[3], '"><script>')
