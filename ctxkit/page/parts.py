"""Figures, charts and tables as HTML. Without a script all of it can be read; the script only sorts and filters."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from ctxkit.money import EXACT
from ctxkit.page.charts import MEDIUM, MOST_SERIES, NARROW, WIDE, cut, drawn
from ctxkit.page.formats import DASH, amount_of, format_of
from ctxkit.page.sheet import said
from ctxkit.page.values import Column, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctxkit.page.sheet import Sheet
    from ctxkit.page.values import Cell, Chart, Figure, Unit

__all__ = ["charts_html", "figures_html", "notes_html", "table_html"]

_UNKNOWN: Final = f'<span aria-hidden="true">{DASH}</span><span class="vh">unknown</span>'
_NONE: Final = '<p class="none">No figures in this period.</p>'
_LONG: Final = 2_000  # letters of a paragraph


def notes_html(texts: Sequence[str], kind: str = "note") -> str:
    """Paragraphs."""
    return "".join(f'<p class="{kind}">{said(text, _LONG)}</p>' for text in texts if text)


def figures_html(figures: Sequence[Figure], sheet: Sheet) -> str:
    """Numbers that matter, shown large."""
    return f'<dl class="figures">{"".join(_figure(one, sheet) for one in figures)}</dl>' if figures else ""


def _figure(figure: Figure, sheet: Sheet) -> str:
    text = format_of(figure.unit, sheet.currency, (figure.value,))(figure.value)
    shown = _UNKNOWN if text == DASH else said(text, 60)
    note = f'<dd class="note">{said(figure.note, 300)}</dd>' if figure.note else ""
    classes = " ".join(filter(None, (f"w{_width(text)}", _mood(figure.unit, figure.value))))
    return f'<div><dt>{said(figure.name)}</dt><dd class="{classes}">{shown}</dd>{note}</div>'


def _width(text: str) -> int:
    """For how many letters there has to be room in one line; 0: it may have several."""
    return max(7, len(text)) if len(text) <= 16 else 0


def _mood(unit: Unit, value: Cell) -> str:
    """Savings have the colour of their sign."""
    amount = amount_of(value) if unit == "saved" else None
    return "" if not amount else "won" if amount > 0 else "lost"


def charts_html(charts: Sequence[Chart], sheet: Sheet) -> str:
    """Charts: one fills the page, several stand side by side (of an odd number the first one is large)."""
    if not charts:
        return ""
    large = len(charts) % 2
    figures = [_chart(chart, sheet, large=not place and bool(large)) for place, chart in enumerate(charts)]
    return f'<div class="charts">{"".join(figures)}</div>'


def _chart(chart: Chart, sheet: Sheet, *, large: bool) -> str:
    name = sheet.id()
    _, series = cut(chart)
    slots = sheet.slots([one.name for one in series])
    shown = "".join(drawn(chart, size, slots, sheet.currency) or "" for size in (WIDE if large else MEDIUM, NARROW))
    if not sheet.room_for("charts", shown):
        shown = '<p class="none">This page is full: the figures are all there is room for.</p>'
    kind = "large" if large else "half"
    return (
        f'<figure class="{kind}" aria-labelledby="{name}"><figcaption id="{name}">{sheet.heading(chart.title, "Chart")}'
        f"</figcaption>{_legend(chart, slots)}{shown or _NONE}{notes_html((chart.note, _left_out(chart)))}"
        f"{_figures_of(chart, sheet)}</figure>"
    )


def _legend(chart: Chart, slots: Sequence[int]) -> str:
    _, series = cut(chart)
    if len(series) < 2:
        return ""
    mark = '<path class="line" d="M0 7h22"/>' if chart.kind == "lines" else '<rect width="14" height="14" rx="2"/>'
    wide = 22 if chart.kind == "lines" else 14
    keys = "".join(
        f'<li><svg class="key s{slot}" viewBox="0 0 {wide} 14" width="{wide}" height="14" aria-hidden="true">{mark}</svg>'
        f"<bdi>{said(one.name, 60)}</bdi></li>"
        for one, slot in zip(series, slots, strict=True)
    )
    order = "<li>(from the bottom up)</li>" if chart.kind == "stacked" else ""
    return f'<ul class="legend">{keys}{order}</ul>'


def _left_out(chart: Chart) -> str:
    labels, series = cut(chart)
    whole = max((len(chart.labels), *(len(one.values) for one in chart.series[:MOST_SERIES])), default=0)
    told = []
    if len(series) < len(chart.series):
        told.append(f"the first {len(series)} of {len(chart.series)} series")
    if len(labels) < whole:
        told.append(f"the {'first' if chart.kind == 'bars' else 'last'} {len(labels):,} of {whole:,} labels")
    return f"Drawn: {', '.join(told)}; all of them stand in the figures below." if told else ""


def _figures_of(chart: Chart, sheet: Sheet) -> str:
    """The same as a table, for those who cannot see it or want to know it exactly."""
    columns = (Column("Label"), *(Column(one.name or chart.title, chart.unit) for one in chart.series))
    count = max((len(chart.labels), *(len(one.values) for one in chart.series)), default=0)
    labels = (*chart.labels, *[""] * (count - len(chart.labels)))
    values = [(*one.values, *[None] * (count - len(one.values))) for one in chart.series]
    table = Table(chart.title, columns, tuple(zip(labels, *values, strict=True)))
    if not table.rows:
        return ""
    inside = _table(table, sheet, "")
    return f"<details><summary>Figures</summary>{inside}</details>"


def table_html(table: Table, sheet: Sheet) -> str:
    """A table with its caption; the script finds it by its class."""
    name = sheet.id()
    inside = _table(table, sheet, name)
    head = f'<div class="bar" id="{name}">{sheet.heading(table.title, "Table")}</div>'
    return f'<div class="table">{head}{inside}{_meanings(table.columns)}{notes_html((table.note,))}</div>'


def _table(table: Table, sheet: Sheet, name: str) -> str:
    if not table.columns:
        return ""
    forms = [_form(table, place, sheet.currency) for place in range(len(table.columns))]
    heads = "".join(map(_head, table.columns))
    rows, count = _rows(table, forms, sheet)
    total = f"<tfoot>{_row(table.total, table.columns, forms)}</tfoot>" if table.total is not None else ""
    cut_off = f"The first {count:,} of {len(table.rows):,} rows." if count < len(table.rows) else ""
    empty = "" if table.rows else "Nothing in this period."
    caption = f'<caption class="vh">{said(table.title, 200)}</caption>'
    named = f'aria-labelledby="{name}"' if name else f'aria-label="Figures: {said(table.title, 200)}"'
    return (
        f'<div class="scroll" role="group" tabindex="0" {named}><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>{total}'
        f"</table></div>{notes_html((cut_off, empty))}"
    )


def _form(table: Table, place: int, currency: str) -> Callable[[Cell], str]:
    rows = table.rows if table.total is None else (*table.rows, table.total)
    return format_of(table.columns[place].unit, currency, (row[place] for row in rows if place < len(row)))


def _head(column: Column) -> str:
    kind = "" if column.unit == "text" else ' class="n"'
    note = f' title="{said(column.note, 300)}"' if column.note else ""
    title = said(column.title) if column.title.strip() else '<span class="vh">no name</span>'
    return f'<th scope="col"{kind}{note}>{title}</th>'


def _rows(table: Table, forms: Sequence[Callable[[Cell], str]], sheet: Sheet) -> tuple[str, int]:
    """As many rows as there is room for, and how many those are."""
    rows: list[str] = []
    for row in table.rows:
        text = _row(row, table.columns, forms)
        if not sheet.room_for("rows", text):
            break
        rows.append(text)
    return "".join(rows), len(rows)


def _row(row: Sequence[Cell], columns: Sequence[Column], forms: Sequence[Callable[[Cell], str]]) -> str:
    cells = (*row, *[None] * (len(columns) - len(row)))[: len(columns)]
    return f"<tr>{''.join(_cells(cells, columns, forms))}</tr>"


def _cells(row: Sequence[Cell], columns: Sequence[Column], forms: Sequence[Callable[[Cell], str]]) -> Iterator[str]:
    for place, (value, column, form) in enumerate(zip(row, columns, forms, strict=True)):
        text = form(value)
        shown = _UNKNOWN if text == DASH and not isinstance(value, str) else said(text, 600 if place else 120)
        if place == 0 and text.strip():
            yield f'<th scope="row"{_sortable(value, column)}>{shown}</th>'
        else:
            yield f"<td{_sortable(value, column)}>{shown}</td>"


def _sortable(value: Cell, column: Column) -> str:
    """What the script sorts by: numbers stand beside their texts."""
    if column.unit == "text" and isinstance(value, str):
        return ""
    amount = amount_of(value)
    worth = "" if amount is None else f"{EXACT.normalize(amount):f}" if amount.adjusted() > -40 else str(amount)
    mood = _mood(column.unit, value)
    return f' data-value="{escape(worth)}" class="{mood}"' if mood else f' data-value="{escape(worth)}"'


def _meanings(columns: Sequence[Column]) -> str:
    noted = "".join(f"<dt>{said(one.title)}</dt><dd>{said(one.note, 300)}</dd>" for one in columns if one.note)
    return (
        f'<details class="meanings"><summary>What the columns mean</summary><dl>{noted}</dl></details>' if noted else ""
    )
