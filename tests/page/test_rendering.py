"""A page is one file of HTML: well formed whatever stands on it, closed to the outside, readable without a script."""

import base64
import hashlib
import itertools
import re
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctxkit.page import Chart, Column, Figure, Page, Section, Series, Table, fragment, render
from tests.page import example
from tests.page.reading import read

TEXTS = st.one_of(
    st.text(max_size=30), st.text(st.characters(codec=None), max_size=8), st.sampled_from(example.HOSTILE)
)
UNITS = st.sampled_from(("text", "count", "usd", "saved", "share", "seconds", "time"))
NUMBERS = st.one_of(
    st.none(),
    st.integers(),
    st.integers(-100, 100),
    st.floats(),
    st.floats(0, 1),
    st.decimals(),
    st.decimals("-50", "50", places=4),
)
CELLS = st.one_of(NUMBERS, TEXTS)
FIGURES = st.builds(Figure, TEXTS, CELLS, UNITS, TEXTS)
SERIES = st.builds(Series, TEXTS, st.lists(NUMBERS, max_size=8).map(tuple))
CHARTS = st.builds(
    Chart,
    TEXTS,
    st.sampled_from(("lines", "columns", "stacked", "bars")),
    st.lists(TEXTS, max_size=8).map(tuple),
    st.lists(SERIES, max_size=14).map(tuple),
    UNITS,
    TEXTS,
)
ROWS = st.lists(CELLS, max_size=5).map(tuple)
TABLES = st.builds(
    Table,
    TEXTS,
    st.lists(st.builds(Column, TEXTS, UNITS, TEXTS), max_size=4).map(tuple),
    st.lists(ROWS, max_size=5).map(tuple),
    st.none() | ROWS,
    TEXTS,
)


def few(what):
    return st.lists(what, max_size=2).map(tuple)


SECTIONS = st.builds(Section, TEXTS, few(TEXTS), few(FIGURES), few(CHARTS), few(TABLES))
PAGES = st.builds(Page, TEXTS, TEXTS, few(SECTIONS), TEXTS, st.sampled_from(("USD", "EUR", "CHF", "<b>")))


@given(PAGES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_page_is_well_formed(page):
    html = read(render(page)).one("html")
    assert [one.tag for one in html.inside] == ["head", "body"]
    assert len(list(html.all("style"))) == len(list(html.all("script"))) == 1
    filled = [one for one in page.sections if one.text or one.figures or one.charts or one.tables]
    assert len(list(html.one("main").all("section"))) == len(filled)
    assert len(list(html.all("figure"))) == sum(len(one.charts) for one in filled)


@given(st.lists(st.one_of(FIGURES, CHARTS, TABLES, SECTIONS), max_size=3))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_part_is_well_formed_and_needs_no_script(parts):
    root = read(fragment(*parts))
    assert [one.tag for one in root.inside] == ["div"]
    assert not list(root.all("script"))


@pytest.fixture(scope="module")
def whole():
    return render(example.page())


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_its_policy_allows_its_own_style_and_script_and_nothing_else(whole):
    root = read(whole)
    (policy,) = [m.attributes["content"] for m in root.all("meta") if "http-equiv" in m.attributes]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == digest(root.one("script").text)
    assert rules["style-src"] == digest(root.one("style").text)
    assert set(rules) == {"default-src", "img-src", "style-src", "script-src", "base-uri", "form-action"}
    head = whole[: whole.index("<style>")]
    assert head.index("Content-Security-Policy") < head.index("<link"), "what stands before it is not held to it"


def test_it_names_no_place_outside(whole):
    addresses = re.findall(r"[a-z]+://[^\"'<> )]+", whole)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # the name of SVG in the icon; nothing is fetched for it
    assert "@import" not in whole
    assert set(re.findall(r"url\([^)]*\)", whole)) == set()


def test_its_script_makes_no_code_of_texts(whole):
    script = read(whole).one("script").text
    assert script.startswith('"use strict";')
    for word in (
        "eval",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "Function(",
        "fetch(",
        "http",
    ):
        assert word not in script


def test_it_can_be_found_ones_way_around(whole):
    root = read(whole)
    body = root.one("body")
    assert [one.tag for one in body.inside] == ["a", "header", "nav", "main", "footer", "script"]
    assert body.inside[0].attributes["href"] == "#main"
    levels = [int(one.tag[1]) for one in body.all() if re.fullmatch(r"h\d", one.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= before + 1 for before, later in itertools.pairwise(levels))
    assert root.one("html").attributes["lang"] == "en"
    titles = [one.text for one in body.one("nav").all("a")]
    assert titles == ["At a glance", "Cost over time", "Savings and speed", "Cache", "Threads"]


def test_a_table_says_what_its_cells_are(whole):
    table = next(one for one in read(whole).all("div") if "table" in one.classes).one("table")
    assert table.one("caption").text == "Threads"
    assert {one.attributes["scope"] for one in table.one("thead").all("th")} == {"col"}
    rows = list(table.one("tbody").all("tr"))
    assert len(rows) == 200
    assert all([cell.tag for cell in row.inside] == ["th", *["td"] * 7] for row in rows)
    assert {row.inside[0].attributes["scope"] for row in rows} == {"row"}
    total = table.one("tfoot").one("tr")
    assert [cell.text for cell in total.inside][:4] == ["Total", "99,999", "$31,234.56", "−$61.17"]


def test_numbers_stand_beside_their_texts_for_sorting(whole):
    row = list(next(one for one in read(whole).all("div") if "table" in one.classes).one("tbody").all("tr"))[26]
    values = [(cell.text, cell.attributes.get("data-value")) for cell in row.inside]
    assert values[0] == ("code-review 26", None)
    assert values[1] == ("53", "53")
    assert values[2] == ("–unknown", "")
    assert values[3] == ("+$0.70", "0.7")
    assert values[4] == ("60.0\xa0%", "0.6")
    assert values[7] == ("gemini-3-pro", None)


def test_a_chart_has_a_name_and_its_figures_as_a_table(whole):
    root = read(whole)
    for figure in root.all("figure"):
        (caption,) = figure.all("figcaption")
        assert figure.attributes["aria-labelledby"] == caption.attributes["id"]
        assert caption.text
    first = next(iter(root.all("figure")))
    table = first.one("details").one("table")
    assert [one.text for one in table.one("thead").all("th")] == ["Label", *example.FEATURES]
    assert len(list(table.one("tbody").all("tr"))) == len(example.DAYS)


def test_hostile_texts_are_texts():
    root = read(render(example.hostile()))
    assert len(list(root.all("script"))) == 1
    assert root.one("h1").text == example.HOSTILE[0]
    assert root.one("head").one("title").text == example.HOSTILE[0]
    heads = [one.text for one in root.all("h2")]
    assert heads[6] == "right\\u202eto left"
    assert heads[7] == "nul\\x00bell\\x07escape\\x1b[31m"
    assert heads[8] == "lone \\ud800 surrogate"
    assert len(heads[9]) == 200
    assert heads[13] == example.HOSTILE[13]


def test_a_long_table_stays_below_two_megabytes():
    whole = render(example.page(2_000)).encode()
    assert len(whole) < 2_000_000
    assert whole.count(b"<tr>") > 2_000


def test_a_table_without_end_is_cut_and_says_so():
    table = Table("All", (Column("Name"), Column("Cost", "usd")), tuple((f"{n} {'x' * 100}", n) for n in range(20_000)))
    whole = render(Page("Many", "", (Section("All", tables=(table, table)),)))
    assert len(whole.encode()) < 2_000_000
    assert re.search(r"The first [\d,]+ of 20,000 rows\.", whole)


def test_what_is_empty_is_left_out_or_says_so():
    assert "Nothing to show yet." in render(Page("Empty", "", (Section("Nothing"),)))
    chart = Chart("Costs", "lines", ("a", "b"), (Series("x", (None, None)),))
    root = read(render(Page("No figures", "", (Section("One", charts=(chart,)),))))
    assert "No figures in this period." in root.one("figure").text
    assert not list(root.one("figure").all("svg"))


def test_the_same_page_is_the_same_file():
    assert render(example.page()) == render(example.page())


def test_parts_of_several_cells_have_ids_of_their_own():
    parts = (Chart("One", "lines", ("a",), (Series("x", (1,)),)), Chart("Two", "lines", ("a",), (Series("x", (1,)),)))
    read(f"<div>{fragment(parts[0])}{fragment(parts[1])}</div>")


def test_the_style_of_a_part_reaches_nothing_outside_of_it():
    style = read(fragment(Figure("Cost", Decimal("1.5"), "usd"))).one("style").text
    bare = re.sub(r"@(media|container|supports)[^{]*\{|/\*.*?\*/", "", style, flags=re.DOTALL)
    for rule in re.findall(r"([^{}]+)\{[^{}]*\}", bare):
        for selector in re.split(r",(?![^(]*\))", rule):
            assert re.search(r"\.ctxkit(-part)?\b", selector), selector


def test_currencies_are_shown():
    page = Page("Euro", "", (Section("One", figures=(Figure("Cost", Decimal("1.5"), "usd"),)),), currency="EUR")
    assert "€1.50" in render(page)
