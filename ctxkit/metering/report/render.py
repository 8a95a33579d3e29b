"""A report as tables: for a terminal by rich, as plain text, as CSV.

One table tells tokens and cost, a second one how fast answers came and how well their size was known. How many columns
they have goes by the width; under 100 columns they are compact. ``-`` is not known, never 0.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ctxkit.metering.report.period import zone_of
from ctxkit.metering.report.row import LEVELS
from ctxkit.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from ctxkit.metering.report import Report, Row

__all__ = ["NAMELESS", "csv_of", "drifts", "renderables_of", "tables_of", "text_of"]

_COMPACT: Final = 100
_KEY_ROOM: Final = 24  # columns a key may ask for before figures are left out for its sake
_UNKNOWN: Final = "-"
_NOISY: Final = 0.1
"""Share of noise from which on it is worth a table although nothing drifts."""
NAMELESS: Final = {
    "feature": "(unattributed)",
    "model": "(no model)",
    "dialect": "(unmetered)",
    "miss_reason": "(no miss)",
}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_GAP: Final = 3  # a border and two spaces


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, ready to be drawn: heads have two lines each, the last of ``lines`` is the total."""

    title: str
    heads: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, ...], ...]
    keys: int

    @property
    def widths(self) -> list[int]:
        """Width of each column."""
        columns = zip(*self.lines, strict=True)
        return [max(map(len, (*head, *cells))) for head, cells in zip(self.heads, columns, strict=True)]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of figures. Those of the highest ``rank`` are the first to go when a table is too wide."""

    rank: int
    head: tuple[str, str]
    tell: Callable[[Row], str]


def tables_of(report: Report, width: int) -> list[Table]:
    """The tables that fit the width: figures left out, keys shortened where they must be."""
    compact = width < _COMPACT
    drawn = [_table("Tokens and cost", report, _cost_columns(report, compact=compact), width)]
    if "miss_reason" in report.by or report.total.misses:
        drawn.append(_table("Cache misses", report, _miss_columns(report, compact=compact), width))
    causes = set(report.total.savings_by)
    if len(causes) > 1 or causes - {"cache", "answers"}:  # of these alone the column above says enough
        drawn.append(_table("Saved by cause", report, _saved_columns(report), width))
    if drifts(report.total):
        drawn.append(_table("Drift", report, _drift_columns(report), width))
    if any(merger.used for name, merger in report.total.group.sketches.items() if name != "reuse"):
        drawn.append(_table("Speed and accuracy", report, _speed_columns(compact=compact), width))
    return drawn


def _cost_columns(report: Report, *, compact: bool) -> list[_Column]:
    money = _money_format(report)
    count = _short_count if compact else _count
    retried = report.total.attempts != report.total.requests
    columns = [
        _Column(1, ("", "Requests"), lambda row: _count(row.requests)),
        _Column(3 if retried else 10, ("", "Attempts"), lambda row: _count(row.attempts)),
        _Column(3, ("", "Errors"), lambda row: _count(row.errors)),
        _Column(0, ("", "Input"), lambda row: count(row.input_total)),
        _Column(7, ("", "Fresh"), lambda row: count(row.fresh)),
        _Column(4, ("Cache", "read"), lambda row: count(row.read)),
        _Column(5, ("Cache", "write"), lambda row: count(sum(row.written.values()) if row.written else None)),
        _Column(2, ("Cached", "share"), lambda row: _share(row.cached)),
        _Column(1, ("", "Output"), lambda row: count(row.output)),
        _Column(8, ("", "Reasoning"), lambda row: count(row.reasoning)),
        _Column(0, ("Cost", f"({report.currency})"), lambda row: _cost(row, money)),
        _Column(9, ("of it", "estimated"), lambda row: money(row.estimated) if row.estimated else _UNKNOWN),
    ]
    if report.total.reused:
        columns.insert(2, _Column(2, ("", "Reused"), lambda row: _count(row.reused)))
    if report.total.savings is not None:  # nobody saves anything who only observes
        columns.append(_Column(1, ("Saved", f"({report.currency})"), lambda row: _signed(row.savings, money)))
    return [column for column in columns if column.rank <= 2] if compact else columns


def _signed(amount: Decimal | None, money: Callable[[Decimal], str]) -> str:
    return _UNKNOWN if amount is None else ("-" if amount < 0 else "") + money(amount.copy_abs())


def _saved_columns(report: Report) -> list[_Column]:
    money = _money_format(report)
    causes = sorted(report.total.savings_by, key=lambda cause: report.total.savings_by[cause].copy_abs(), reverse=True)
    return [
        _Column(rank, (cause, f"({report.currency})"), partial(_saved_by, cause=cause, money=money))
        for rank, cause in enumerate(causes)
    ]


def _saved_by(row: Row, *, cause: str, money: Callable[[Decimal], str]) -> str:
    return _signed(row.savings_by.get(cause), money)


def _miss_columns(report: Report, *, compact: bool) -> list[_Column]:
    money = _money_format(report)
    count = _short_count if compact else _count
    return [
        _Column(1, ("Requests", "that missed"), lambda row: _count(row.misses or None)),
        _Column(0, ("Tokens", "missed"), lambda row: count(row.missed if row.misses else None)),
        _Column(0, ("Cost of", f"misses ({report.currency})"), lambda row: _miss_cost(row, money)),
        _Column(2, ("Forecasts", "right"), lambda row: _share(row.forecasts_right)),
    ]


def _miss_cost(row: Row, money: Callable[[Decimal], str]) -> str:
    if not row.misses:
        return _UNKNOWN
    if row.miss_cost is None:
        return "unknown"
    return f"≥ {money(row.miss_cost)}" if row.misses_unpriced else money(row.miss_cost)


def drifts(row: Row) -> bool:
    """Its drift is worth a look."""
    return any(map(row.drifted, LEVELS)) or (row.noise_share or 0.0) >= _NOISY


def _drift_columns(report: Report) -> list[_Column]:
    money = _money_format(report)
    return [
        _Column(2, ("Requests", "measured"), lambda row: _count(row.drifts or None)),
        _Column(0, ("Drift", "score"), lambda row: _UNKNOWN if row.drift is None else f"{row.drift:.2f}"),
        _Column(0, ("Noise", "share"), lambda row: _share(row.noise_share)),
        _Column(0, ("Cost of", f"noise ({report.currency})"), lambda row: _noise_fee(row, money)),
        _Column(1, ("Requests", "drifting"), lambda row: _count(row.drifted("drifting") if row.drifts else None)),
        _Column(1, ("", "lost"), lambda row: _count(row.drifted("lost") if row.drifts else None)),
        _Column(1, ("", "stuck"), lambda row: _count(row.drifted("stuck") if row.drifts else None)),
    ]


def _noise_fee(row: Row, money: Callable[[Decimal], str]) -> str:
    if row.noise_fee is None:
        return "unknown" if row.drifts else _UNKNOWN
    return f"≥ {money(row.noise_fee)}" if row.noise_unpriced else money(row.noise_fee)


def _drift_note(report: Report) -> Iterator[str]:
    """One line where nothing drifts: it was looked at."""
    total = report.total
    if total.drifts and not drifts(total):
        fee = f", {_noise_fee(total, _money_format(report))}" if total.noise_fee is not None else ""
        yield (
            f"Drift: none in {total.drifts:,} measured requests; {_share(total.noise_share)} of their conversations was "
            f"noise{fee}."
        )


def _reuse_note(report: Report) -> Iterator[str]:
    """How many requests were answered without being sent, what that saved, and how fast it was."""
    total = report.total
    if not total.reused:
        return
    money = "an unknown sum" if total.reused_savings is None else _money_format(report)(total.reused_savings)
    least = "at least " if total.reused_savings is not None and total.reused_unpriced else ""
    median, slow = total.latency("reuse", 0.5), total.latency("reuse", 0.99)
    speed = "" if median is None else f"; handed over in {_seconds(median)} (p50), {_seconds(slow)} (p99)"
    yield f"Reused: {total.reused:,} of {total.requests:,} requests were not sent, saved {least}{money}{speed}."


def _speed_columns(*, compact: bool) -> list[_Column]:
    columns = [
        _Column(0, ("TTFT", "p50"), lambda row: _seconds(row.latency("ttft", 0.5))),
        _Column(6, ("TTFT", "p90"), lambda row: _seconds(row.latency("ttft", 0.9))),
        _Column(2, ("TTFT", "p99"), lambda row: _seconds(row.latency("ttft", 0.99))),
        _Column(3, ("TPOT", "p50"), lambda row: _seconds(row.latency("tpot", 0.5))),
        _Column(7, ("TPOT", "p90"), lambda row: _seconds(row.latency("tpot", 0.9))),
        _Column(7, ("TPOT", "p99"), lambda row: _seconds(row.latency("tpot", 0.99))),
        _Column(1, ("E2E", "p50"), lambda row: _seconds(row.latency("e2e", 0.5))),
        _Column(6, ("E2E", "p90"), lambda row: _seconds(row.latency("e2e", 0.9))),
        _Column(2, ("E2E", "p99"), lambda row: _seconds(row.latency("e2e", 0.99))),
        _Column(0, ("Est. error", "p50"), lambda row: _percent(row.error(0.5))),
        _Column(5, ("Est. error", "p90"), lambda row: _percent(row.error(0.9))),
        _Column(4, ("Est.", "bias"), lambda row: _percent(row.bias, signed=True)),
    ]
    return [column for column in columns if column.rank <= 3] if compact else columns


def _table(title: str, report: Report, columns: list[_Column], width: int) -> Table:
    names = [tuple(map(_headed, report.by)), *(tuple(map(_named, report.by, row.key)) for row in report.rows)]
    names.append(("Total", *[""] * (len(report.by) - 1)))
    wanted = sum(min(max(map(len, column)), _KEY_ROOM) + _GAP for column in zip(*names, strict=True)) + 1
    cells = {column: [column.tell(row) for row in (*report.rows, report.total)] for column in columns}
    taken = {column: max(map(len, (*column.head, *texts))) + _GAP for column, texts in cells.items()}
    while wanted + sum(taken.values()) > width and (last := max(taken, key=lambda column: column.rank)).rank:
        del taken[last]
    labels = _fitted(names, max(width - sum(taken.values()) - 1 - _GAP, 9 * len(report.by)))
    lines = zip(*(cells[column] for column in taken), strict=True)
    return Table(
        title,
        (*(("", name) for name in labels[0]), *(column.head for column in taken)),
        tuple((*name, *line) for name, line in zip(labels[1:], lines, strict=True)),
        len(report.by),
    )


def _fitted(labels: list[tuple[str, ...]], room: int) -> list[tuple[str, ...]]:
    """Shorten the widest columns until all fit."""
    widths = [max(map(len, column)) for column in zip(*labels, strict=True)]
    while sum(widths) + _GAP * (len(widths) - 1) > room and max(widths) > 9:
        widths[widths.index(max(widths))] -= 1
    return [tuple(_short(text, size) for text, size in zip(line, widths, strict=True)) for line in labels]


def _short(text: str, size: int) -> str:
    # The end of a path or a model's name tells more than its middle.
    return text if len(text) <= size else f"{text[: size - 1 - size // 2]}…{text[-(size // 2) :]}"


def _headed(name: str) -> str:
    return printable(name.removeprefix("label:").replace("_", " ").capitalize())


def _named(name: str, value: str) -> str:
    return printable(value) or NAMELESS.get(name, "(none)")


def _count(figure: int | None) -> str:
    return _UNKNOWN if figure is None else f"{figure:,}"


def _short_count(figure: int | None) -> str:
    if figure is None or figure < 100_000:
        return _count(figure)
    unit, size = next((unit, size) for unit, size in (("G", 10**9), ("M", 10**6), ("k", 1000)) if figure >= size)
    return f"{figure / size:,.1f}{unit}"


def _share(share: float | None) -> str:
    return _UNKNOWN if share is None else f"{share:.1%}"


def _percent(share: float | None, *, signed: bool = False) -> str:
    if share is None:
        return _UNKNOWN
    return f"{share:+.2%}" if signed and round(share, 4) else f"{abs(share):.2%}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def _money_format(report: Report) -> Callable[[Decimal], str]:
    """Cents where the total has dollars, more places where it has not."""
    total = report.total.cost or Decimal(0)
    places = 2 if total >= 1 else 4 if total >= Decimal("0.01") else 6
    least = Decimal(1).scaleb(-places)
    sign = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}.get(report.currency, "")

    def money(amount: Decimal) -> str:
        return f"<{sign}{least}" if 0 < amount < least / 2 else f"{sign}{amount:,.{places}f}"

    return money


def _cost(row: Row, money: Callable[[Decimal], str]) -> str:
    if row.cost is None:
        return "unknown" if row.unpriced else _UNKNOWN
    return f"≥ {money(row.cost)}" if row.unpriced else money(row.cost)


def _headline(report: Report) -> str:
    from datetime import datetime

    zone = zone_of(report.timezone)

    def told(at: float | None, otherwise: str) -> str:
        return otherwise if at is None else f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"

    period = f"{told(report.since, 'the beginning')} to {told(report.until, 'now')}"
    return f"ctxkit report by {', '.join(report.by)}: {period} ({report.timezone or 'local time'})"


def _notes(report: Report) -> list[str]:
    """What stands under the tables."""
    notes = []
    if report.attributed is not None and report.metered is not None:
        notes.append(
            f"Coverage: {report.attributed:.1%} of requests belong to a feature, "
            f"{report.metered:.1%} of attempts are metered."
        )
    notes += [f"Note: {printable(line)}." for line in report.quality]
    notes += [f"Note: {printable(line)}." for line in _soon(report)]
    notes += _drift_note(report)
    notes += _reuse_note(report)
    if report.shadow is not None:
        notes += report.shadow.lines(_feature)
    notes += [f"Tidying: {one.line(_feature)}." for one in report.tidied]
    return notes


def _soon(report: Report) -> Iterator[str]:
    if report.coming:
        from ctxkit.metering.prices.coming import told

        yield from told(report.coming)


def _feature(name: str) -> str:
    return printable(name) or NAMELESS["feature"]


_LEGEND: Final = (
    "TTFT: first content after sending. TPOT: time per visible output token after the first. E2E: whole answer. "
    "Est. error: size of estimated / reported prompt - 1, median; bias: the same of the sums, signed."
)


def text_of(report: Report, width: int) -> str:
    """The report as plain text."""
    import textwrap

    if not report.rows:
        return "\n".join((_headline(report), *_notes(report), _NOTHING))
    blocks = [_headline(report)]
    tables = tables_of(report, width)
    blocks += [_drawn(table) for table in tables]
    notes = [*_notes(report), *([_LEGEND] if len(tables) > 1 else [])]
    blocks.append("\n".join(textwrap.fill(note, width, subsequent_indent="  ") for note in notes))
    return "\n\n".join(blocks)


_NOTHING: Final = "No attempts in this period. Give an earlier --since, or send a request through a wrapped client."


def _drawn(table: Table) -> str:
    widths = table.widths
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(cells: Sequence[str]) -> str:
        figures = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        keys = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join((*keys[: table.keys], *figures[table.keys :])).rstrip()

    upper, lower = zip(*table.heads, strict=True)
    *rows, total = map(line, table.lines)
    return "\n".join((table.title, line(upper), line(lower), rule, *rows, rule, total))


def renderables_of(report: Report, width: int) -> Iterator[RenderableType]:
    """The report for a rich console."""
    from rich.text import Text

    yield Text(_headline(report), style="bold")
    if not report.rows:
        yield Text("\n".join((*_notes(report), _NOTHING)))
        return
    tables = tables_of(report, width)
    for table in tables:
        yield Text()
        yield _rich(table)
    yield Text()
    for note in _notes(report):
        yield Text(note, style="yellow" if note.startswith("Note:") else "")
    if len(tables) > 1:
        yield Text(_LEGEND, style="dim")


def _rich(table: Table) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text  # not markup: a name in brackets is a name in brackets

    drawn = RichTable(box=box.ROUNDED, title=table.title, title_justify="left", title_style="bold cyan", padding=(0, 1))
    for place, head in enumerate(table.heads):
        key = place < table.keys
        style = "cyan" if key else "green" if head[0] == "Cost" else None
        text = Text("\n".join(head))
        drawn.add_column(text, justify="left" if key else "right", style=style, no_wrap=True, header_style="bold")
    *rows, total = table.lines
    for row in rows:
        drawn.add_row(*map(Text, row))
    drawn.add_section()
    drawn.add_row(*map(Text, total), style="bold yellow")
    return drawn


def csv_of(report: Report) -> str:
    """The rows as CSV, nested names joined by a dot; what is unknown is empty.

    A name that a spreadsheet would take for a formula gets an apostrophe in front (owasp.org, CSV Injection, 2026-11).
    """
    rows = [_inert(dict(_flat(row.to_dict(report.by))), report.by) for row in report.rows]
    names = list(dict.fromkeys(name for row in (rows or [dict(_flat(report.total.to_dict(())))]) for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _inert(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    formulas = {name: f"'{row[name]}" for name in names if str(row.get(name) or "").startswith(_FORMULA)}
    return {**row, **formulas}


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
