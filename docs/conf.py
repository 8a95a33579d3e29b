"""How Sphinx makes a site of these pages: ``scripts/docs``. The pages themselves are plain GitHub-flavoured Markdown.

The source folder is the repository, not ``docs/``: so the links of a page to README.md or to an example are the same
here and there, and Sphinx checks them.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent

project = "ctxkit"
author = "the authors of ctxkit"
copyright = f"{author}, Apache-2.0"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "ctxkit", "site", "tests"]
nitpicky = True
suppress_warnings: list[str] = []  # every warning is an error

myst_heading_anchors = 6  # the anchors that GitHub gives
myst_enable_extensions: list[str] = []  # what GitHub does not know has no place in a page

html_theme = "pydata_sphinx_theme"
html_title = "ctxkit"
html_use_index = False
html_show_sourcelink = False
html_show_sphinx = False
html_copy_source = False
html_extra_path = ["_front"]  # index.html of the site: leads to docs/index.html
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/mark.svg"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_theme_options = {
    "header_links_before_dropdown": 4,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}

SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\(([^():#\s]+)\.md\)")


def with_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    """Give an index page its entries in the navigation: what it links, in that order, under its own headings."""
    if posixpath.basename(page) == "index":
        opening, *rest = SECTION.split(source[0])
        sections = zip(["", *rest[::2]], [opening, *rest[1::2]], strict=True)
        source[0] += "".join(navigation(page, title, text) for title, text in sections)


def navigation(page: str, title: str, text: str) -> str:
    """A list of entries that is not shown on the page; what does not stand in this folder comes last, as it is called."""
    folder = posixpath.dirname(page)
    links = {posixpath.normpath(posixpath.join(folder, link)): said for said, link in LINK.findall(text)}
    inside = [f"/{link}" for link in links if is_below(link, folder)]
    outside = [f"{said} </{link}>" for link, said in links.items() if page == root_doc and "/" not in link]
    entries = inside + outside
    options = [":hidden:", f":caption: {title}"] if title else [":hidden:"]
    return "\n".join(["\n```{toctree}", *options, *entries, "```\n"]) if entries else ""


def is_below(link: str, folder: str) -> bool:
    """Whether a page stands in a folder, or is the index of a folder in it."""
    within, name = posixpath.split(link)
    return within == folder or (name == "index" and posixpath.dirname(within) == folder)


def with_language(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Say that a page is Japanese where it is: screen readers, fonts and line breaks go by it."""
    if page.endswith(".ja"):
        context["language"] = "ja"


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("source-read", with_navigation)
    app.connect("html-page-context", with_language)
