"""A page as one file of HTML that opens offline, and parts of one for notebooks.

Nothing is loaded from anywhere: the policy in its head forbids it, and allows the one stylesheet and the one script that
stand in the file by their digests alone.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ctxkit.page.parts import charts_html, figures_html, notes_html, table_html
from ctxkit.page.sheet import Sheet, said
from ctxkit.page.values import Chart, Figure, Section, Table

if TYPE_CHECKING:
    from ctxkit.page.values import Page

__all__ = ["fragment", "render"]

_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect x='1' y='8' width='3.6' height='7' rx='1' fill='%230072B2'/%3E"
    "%3Crect x='6.2' y='4' width='3.6' height='11' rx='1' fill='%23009E73'/%3E"
    "%3Crect x='11.4' y='1' width='3.6' height='14' rx='1' fill='%23D55E00'/%3E%3C/svg%3E"
)


def render(page: Page) -> str:
    """The page as one self-contained HTML file."""
    sheet = Sheet(page.currency)
    sections = [section for section in page.sections if _filled(section)]
    style = f"{_file('light.css')}{_when_dark(_file('dark.css'))}{_file('parts.css')}{_file('page.css')}"
    script = _file("page.js")
    names = [f"section-{place}" for place in range(1, len(sections) + 1)]
    body = "".join(_section(section, name, sheet) for section, name in zip(sections, names, strict=True))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_policy(style, script)}\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="ctxkit">\n<title>{said(page.title, 200)}</title>\n'
        f'<link rel="icon" href="{_ICON}">\n<style>{style}</style>\n</head>\n<body class="ctxkit">\n'
        f'<a class="skip" href="#main">Skip to the figures</a>\n{_header(page)}\n{_contents(sections, names)}\n'
        f'<main id="main" tabindex="-1">\n{body or _NOTHING}</main>\n{_FOOTER}\n<script>{script}</script>\n'
        f"</body>\n</html>\n"
    )


def fragment(*parts: Section | Figure | Chart | Table, currency: str = "USD") -> str:
    """Parts of a page for a notebook's cell: no script, and a style that reaches nothing outside of it."""
    section = Section(
        "",
        figures=tuple(part for part in parts if isinstance(part, Figure)),
        charts=tuple(part for part in parts if isinstance(part, Chart)),
        tables=tuple(part for part in parts if isinstance(part, Table)),
    )
    key = hashlib.sha256(repr((currency, parts)).encode(errors="replace")).hexdigest()[:10]
    sheet = Sheet(currency, f"ctxkit-{key}-", level=4)
    sections = [part for part in parts if isinstance(part, Section)] + ([section] if _filled(section) else [])
    inside = "".join(f"{_title(one, 3)}{_inside(one, sheet)}" for one in sections)
    style = f"{_file('light.css')}{_in_notebooks(_file('dark.css'))}{_file('parts.css')}{_file('fragment.css')}"
    return f'<div class="ctxkit ctxkit-part"><style>{style}</style>{inside}</div>'


_NOTHING: Final = '<p class="none">Nothing to show yet.</p>'
_FOOTER: Final = "<footer>Made by ctxkit. All of it stands in this file; nothing was loaded from elsewhere.</footer>"


_DARK_HOSTS: Final = (
    '[data-jp-theme-light="false"]',  # JupyterLab, Notebook
    ".vscode-dark",
    ".vscode-high-contrast:not(.vscode-high-contrast-light)",
    '[theme="dark"]',  # Colab
    '[data-theme="dark"]',  # Sphinx
)
_HOSTS: Final = "[data-jp-theme-light], .vscode-light, .vscode-dark, .vscode-high-contrast, [theme], [data-theme]"


def _when_dark(dark: str) -> str:
    return f"@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _in_notebooks(dark: str) -> str:
    """A notebook may be dark on a desk that is light: what it says of itself goes first."""
    ours = ", ".join(f"{host} .ctxkit" for host in _DARK_HOSTS)
    others = f"html:not({_HOSTS}) > body:not({_HOSTS}) .ctxkit"
    return f"{dark.replace('.ctxkit', ours, 1)}{_when_dark(dark.replace('.ctxkit', others, 1))}"


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    rules = (
        "default-src 'none'",
        "img-src data:",
        f"style-src '{_digest(style)}'",
        f"script-src '{_digest(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _filled(section: Section) -> bool:
    return bool(section.text or section.figures or section.charts or section.tables)


def _header(page: Page) -> str:
    made = f'<p class="made">{said(page.made, 300)}</p>' if page.made else ""
    return f'<header class="top"><h1>{said(page.title, 200)}</h1>{notes_html((page.lead,), "lead")}{made}</header>'


def _contents(sections: list[Section], names: list[str]) -> str:
    if len(sections) < 3:
        return ""
    pairs = zip(sections, names, strict=True)
    links = "".join(f'<li><a href="#{name}">{said(one.title or "More", 60)}</a></li>' for one, name in pairs)
    return f'<nav aria-label="Sections"><ul>{links}</ul></nav>'


def _section(section: Section, name: str, sheet: Sheet) -> str:
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{said(section.title or "More", 200)}'
        f"</h2>{_inside(section, sheet)}</section>\n"
    )


def _title(section: Section, level: int) -> str:
    return f"<h{level}>{said(section.title, 200)}</h{level}>" if section.title else ""


def _inside(section: Section, sheet: Sheet) -> str:
    tables = "".join(table_html(table, sheet) for table in section.tables)
    text = notes_html(section.text, "text")
    return f"{text}{figures_html(section.figures, sheet)}{charts_html(section.charts, sheet)}{tables}"
