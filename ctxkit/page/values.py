"""What stands on a page: headline figures, charts and tables in sections. No markup: every text is shown as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = ["Cell", "Chart", "Column", "Figure", "Page", "Section", "Series", "Table", "Unit"]

Unit: TypeAlias = Literal["text", "count", "usd", "saved", "share", "score", "seconds", "time"]
"""How a value is shown: ``usd`` is money spent, ``saved`` money with its sign (negative: it cost), ``share`` 0 to 1
as percent, ``score`` 0 to 1 as it is, ``time`` unix seconds."""

Cell: TypeAlias = "str | int | float | Decimal | None"
"""``None`` is not known: shown as a dash, never as 0."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: its head.
        unit: of its values; all but ``text`` stand to the right.
        note: what it means, for those who point at the head.
    """

    title: str
    unit: Unit = "text"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be sorted by each column and filtered by words.

    Attributes:
        title: its caption.
        columns: their heads and units.
        rows: in the order in which they are shown at first.
        total: a last row that stays last, or none.
        note: a sentence below it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one thing, by the labels of its chart; ``None`` is a gap."""

    name: str
    values: tuple[float | Decimal | int | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart; its figures stand beside it as a table for those who cannot see it.

    Attributes:
        title: what it shows.
        kind: ``lines`` over the labels; ``columns`` side by side; ``stacked`` columns; ``bars`` from left to right.
        labels: of the values, in order (days, features, buckets).
        series: at least one.
        unit: of the values.
        note: a sentence below it: what to see in it.
    """

    title: str
    kind: Literal["lines", "columns", "stacked", "bars"]
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: Unit = "usd"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that matters.

    Attributes:
        name: of what.
        value: ``None``: not known.
        unit: of it.
        note: what it is measured against, or how sure it is.
    """

    name: str
    value: Cell
    unit: Unit = "count"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        text: paragraphs.
        figures: shown large, side by side.
        charts: of it.
        tables: of it.
    """

    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """All of it.

    Attributes:
        title: what it is about.
        lead: a sentence or two that say the most important thing.
        sections: in reading order; one without anything in it is left out.
        made: when, as people write it.
        currency: of all money on it, as it is shown (``"USD"`` is shown as ``$``).
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    made: str = ""
    currency: str = "USD"
