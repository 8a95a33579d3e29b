"""HTML read strictly: every element is closed where it should be, every reference leads somewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}
TAGS = VOID | {"html", "head", "title", "style", "script", "body", "a", "header", "nav", "main", "section", "footer"}
TAGS |= {"h1", "h2", "h3", "h4", "p", "div", "span", "ul", "li", "dl", "dt", "dd", "bdi", "figure", "figcaption"}
TAGS |= {"svg", "g", "path", "rect", "circle", "text", "details", "summary"}
TAGS |= {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    above: Element | None
    inside: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def all(self, tag=None, **wanted):
        for one in self.inside:
            if tag in {None, one.tag} and all(one.attributes.get(name) == value for name, value in wanted.items()):
                yield one
            yield from one.all(tag, **wanted)

    def one(self, tag, **wanted):
        (found,) = self.all(tag, **wanted)
        return found

    @property
    def text(self):
        return "".join((*self.texts, *(one.text for one in self.inside)))

    @property
    def classes(self):
        return self.attributes.get("class", "").split()


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.open = Element("", {}, None)

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS, tag
        assert len({name for name, _ in attributes}) == len(attributes), "an attribute stands twice"
        assert not [name for name, _ in attributes if name.startswith("on") or name == "style"], attributes
        element = Element(tag, {name: value or "" for name, value in attributes}, self.open)
        self.open.inside.append(element)
        if tag not in VOID:
            self.open = element

    def handle_startendtag(self, tag, attributes):
        assert tag in {"path", "rect", "circle"}, "only elements of SVG close themselves"
        self.handle_starttag(tag, attributes)
        self.open = self.open.above

    def handle_endtag(self, tag):
        assert self.open.tag == tag, f"</{tag}> in <{self.open.tag}>"
        self.open = self.open.above

    def handle_data(self, text):
        self.open.texts.append(text)

    def handle_comment(self, text):
        raise AssertionError(f"a comment: {text}")

    def handle_pi(self, text):
        raise AssertionError(f"an instruction: {text}")

    def unknown_decl(self, text):
        raise AssertionError(f"a declaration: {text}")


def read(html: str) -> Element:
    """The tree of a page, or of a part of one."""
    html.encode()  # no lone surrogate
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", html), "a character that hides"
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open is reader.root, f"<{reader.open.tag}> stays open"
    _check_references(reader.root)
    return reader.root


def _check_references(root: Element) -> None:
    ids = [one.attributes["id"] for one in root.all() if "id" in one.attributes]
    assert len(set(ids)) == len(ids)
    for one in root.all():
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(one.attributes.get(name, "").split()) <= set(ids)
        if one.tag == "a":
            assert one.attributes["href"].removeprefix("#") in ids
        assert "src" not in one.attributes
