"""A page of figures for people to look at: values that say what is on it, and their rendering as one file of HTML."""

from __future__ import annotations

from ctxkit.page.rendering import fragment, render
from ctxkit.page.saving import save
from ctxkit.page.values import Chart, Column, Figure, Page, Section, Series, Table, Unit

__all__ = ["Chart", "Column", "Figure", "Page", "Section", "Series", "Table", "Unit", "fragment", "render", "save"]
