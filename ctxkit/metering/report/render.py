"""A report as tables: for a terminal by rich, as plain text, as CSV.

One table tells tokens and cost, a second one how fast answers came and how well their size was known. How many columns
they have goes by the width; under 100 columns they are compact. ``-`` is not known, never 0.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ctxkit.metering.report.columns import Column, as_seconds, as_share, columns_of, drifts, money_format, noise_fee
from ctxkit.metering.report.period import stretch
from ctxkit.metering.report.row import NAMELESS
from ctxkit.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from ctxkit.metering.report import Report

__all__ = ["csv_of", "renderables_of", "tables_of", "text_of"]

_COMPACT: Final = 100
_KEY_ROOM: Final = 24  # columns a key may ask for before figures are left out for its sake
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


def tables_of(report: Report, width: int) -> list[Table]:
    """The tables that fit the width: figures left out, keys shortened where they must be."""
    found = columns_of(report, compact=width < _COMPACT)
    return [_table(title, report, columns, width) for title, columns in found]


def _table(title: str, report: Report, columns: list[Column], width: int) -> Table:
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


def _headline(report: Report) -> str:
    return f"ctxkit report by {', '.join(report.by)}: {stretch(report.since, report.until, report.timezone)}"


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


def _drift_note(report: Report) -> Iterator[str]:
    """One line where nothing drifts: it was looked at."""
    total = report.total
    if total.drifts and not drifts(total):
        fee = f", {noise_fee(total, money_format(report))}" if total.noise_fee is not None else ""
        yield (
            f"Drift: none in {total.drifts:,} measured requests; {as_share(total.noise_share)} of their conversations was "
            f"noise{fee}."
        )


def _reuse_note(report: Report) -> Iterator[str]:
    """How many requests were answered without being sent, what that saved, and how fast it was."""
    total = report.total
    if not total.reused:
        return
    money = "an unknown sum" if total.reused_savings is None else money_format(report)(total.reused_savings)
    least = "at least " if total.reused_savings is not None and total.reused_unpriced else ""
    median, slow = total.latency("reuse", 0.5), total.latency("reuse", 0.99)
    speed = "" if median is None else f"; handed over in {as_seconds(median)} (p50), {as_seconds(slow)} (p99)"
    yield f"Reused: {total.reused:,} of {total.requests:,} requests were not sent, saved {least}{money}{speed}."


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
