"""What a page does in a browser: it is seen, sorted, filtered, printed, read by machines, and asks nobody for anything."""

import re
from decimal import Decimal

import pytest

from ctxkit.page import Chart, Figure, Page, Section, Series, fragment, render
from tests.page import example

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole():
    return render(example.page())


def column(page, place, table=0):
    rows = f".table >> nth={table} >> tbody tr:not([hidden]):not(.later) > :nth-child({place})"
    return [text.strip() for text in page.locator(rows).all_text_contents()]


def head(page, name):
    return page.locator(".table").first.get_by_role("columnheader", name=name)


def luminance(color):
    red, green, blue = (int(number) / 255 for number in re.findall(r"\d+", color)[:3])
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("phone", 390), ("desktop", 1280)])
def test_it_is_seen(opened, whole, artifacts, device, width, scheme):
    page = opened(whole, width, scheme=scheme, device_scale_factor=2 if device == "phone" else 1)
    page.screenshot(path=artifacts / f"page-{device}-{scheme}.png", full_page=True)
    charts = page.locator("figure > svg:visible")
    assert charts.count() == 7  # the eighth has nothing to draw
    for place in range(charts.count()):
        box = charts.nth(place).bounding_box()
        assert box["width"] > 250
        assert box["height"] > 120
        assert charts.nth(place).locator("rect, .line:not(.guide)").count() > 1


@pytest.mark.parametrize("width", [360, 768, 1280, 2560])
@pytest.mark.parametrize("make", [example.page, example.hostile])
def test_the_page_itself_never_scrolls_sideways(opened, make, width):
    page = opened(render(make()), width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 900, 1280])
def test_large_figures_stay_in_their_boxes(opened, width):
    values = (5_297_913, 10**15, Decimal("-1234567.89"), "claude-sonnet-4-5-20250929 on bedrock", None, 1e-5)
    figures = tuple(
        Figure(f"{unit} {value}", value, unit) for value in values for unit in ("usd", "saved", "count", "time")
    )
    page = opened(
        render(Page("Figures", "", (Section("One", figures=figures), Section("Two", figures=figures)))), width
    )
    wide = "[...document.querySelectorAll('.figures dd')].filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.innerText)"
    assert page.evaluate(wide) == []


@pytest.mark.parametrize("width", [360, 640, 1280])
def test_letters_of_charts_can_be_read_and_do_not_touch(opened, whole, width):
    page = opened(whole, width)
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('figure > svg')].filter(svg => svg.getBoundingClientRect().width)
            .map(svg => 13 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""
    )
    assert min(sizes) > 7.5
    touching = page.evaluate(
        """() => [...document.querySelectorAll('figure > svg .x, figure > svg .y')].flatMap(axis => {
            const boxes = [...axis.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
            return boxes.flatMap(([one, a], i) => boxes.slice(i + 1).filter(([, b]) => a.width && b.width
              && a.left < b.right && b.left < a.right && a.top + 1 < b.bottom - 1 && b.top + 1 < a.bottom - 1)
              .map(([other]) => `${one} | ${other}`));
        })"""
    )
    assert touching == []


def test_rows_are_sorted_by_click(opened, whole):
    page = opened(whole)
    cost = head(page, "Cost")
    assert cost.get_attribute("aria-sort") is None
    cost.get_by_role("button").click()
    assert cost.get_attribute("aria-sort") == "descending"
    found = column(page, 3)
    amounts = [float(text.strip("$").replace(",", "")) for text in found]
    assert amounts == sorted(amounts, reverse=True)
    assert len(amounts) == 50
    assert page.locator(".table").first.locator("tfoot tr").inner_text().startswith("Total")
    cost.get_by_role("button").click()
    assert cost.get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Show all 200").click()
    found = column(page, 3)
    known = [text for text in found if "unknown" not in text]
    assert found[: len(known)] == known, "what is unknown comes last"
    assert [float(text.strip("$")) for text in known] == sorted(float(text.strip("$")) for text in known)
    assert len(found) == 200


def test_signs_times_and_texts_are_sorted_by_their_worth(opened, whole):
    page = opened(whole)
    saved = head(page, "Saved").get_by_role("button")
    saved.click()
    saved.click()
    amounts = [float(text.replace("−", "-").replace("$", "").replace("+", "")) for text in column(page, 4)]
    assert amounts == sorted(amounts)
    assert amounts[0] < 0
    head(page, "First token").get_by_role("button").click()
    speeds = column(page, 6)
    assert speeds[0].endswith(" s")
    assert head(page, "Saved").get_attribute("aria-sort") is None
    head(page, "Thread").get_by_role("button").click()
    names = column(page, 1)
    assert names[:3] == ["code-review 2", "code-review 6", "code-review 10"], "10 comes after 6"


def test_rows_are_sorted_by_keyboard(opened, whole):
    page = opened(whole)
    head(page, "Requests").get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head(page, "Requests").get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.textContent") == "Requests"
    page.keyboard.press("Space")
    assert head(page, "Requests").get_attribute("aria-sort") == "ascending"
    counts = [int(text) for text in column(page, 2)]
    assert counts == sorted(counts)


def test_rows_are_filtered_by_words(opened, whole):
    page = opened(whole)
    status = page.locator(".table").first.get_by_role("status")
    assert status.inner_text() == "200 rows, the first 50 shown"
    field = page.get_by_role("searchbox", name="Filter").first
    field.fill("SEARCH gemini")
    found = column(page, 1)
    assert found
    assert all(name.startswith("search") for name in found)
    assert set(column(page, 8)) == {"gemini-3-pro"}
    assert status.inner_text() == f"{len(found)} of 200 rows; the total is of all rows"
    field.fill("s")  # fits more than are shown
    assert re.fullmatch(r"\d+ of 200 rows, the first 50 shown; the total is of all rows", status.inner_text())
    field.fill("nothing is called like this")
    assert column(page, 1) == []
    assert status.inner_text().startswith("0 of 200 rows")
    field.fill("")
    assert len(column(page, 1)) == 50


def test_all_of_a_long_table_is_one_click_away(opened):
    page = opened(render(example.page(2_000)))
    assert len(column(page, 1)) == 50
    head(page, "Cost").get_by_role("button").click()
    more = page.get_by_role("button", name="Show all 2,000")
    more.click()
    assert len(column(page, 1)) == 2_000
    assert not more.is_visible()
    assert page.locator(".table").first.get_by_role("status").inner_text() == "2,000 rows"


def test_without_a_script_everything_is_there(opened, whole):
    page = opened(whole, script=False)
    assert page.locator(".table >> nth=0 >> tbody tr:visible").count() == 200
    assert page.locator("figure > svg:visible").count() == 7
    page.locator("summary").first.click()
    assert page.locator("figure").first.locator("table").is_visible()


def test_hostile_names_are_shown_and_do_nothing(opened, artifacts):
    page = opened(render(example.hostile()))
    page.wait_for_timeout(200)
    assert page.title() == example.HOSTILE[0]
    assert page.locator("h1").inner_text() == example.HOSTILE[0]
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert page.locator("h2").nth(6).inner_text() == "right\\u202eto left"
    for button in page.locator("thead button").all():
        button.click()
    page.get_by_role("searchbox").fill("<img onerror")
    assert column(page, 1) == [example.HOSTILE[1]]
    page.screenshot(path=artifacts / "hostile.png", full_page=True)


def test_the_policy_holds_even_for_what_got_in(opened, chromium, tmp_path):
    file = tmp_path / "spoilt.html"
    spoilt = (
        "<script>document.title = 'taken'</script><p style='color: red' id='bad'>x</p><img src='https://example.com/x'>"
    )
    file.write_text(render(example.page(3)).replace("</main>", f"{spoilt}</main>"), encoding="utf-8")
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.title() == "Where the money goes"
    assert page.evaluate("getComputedStyle(document.getElementById('bad')).color") != "rgb(255, 0, 0)"
    assert page.evaluate("document.querySelector('img').naturalWidth") == 0
    context.close()


TEXTS = """() => [...document.querySelectorAll('body *')].filter(one => one.checkVisibility()
    && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()) && !one.matches('script, style, .vh'))
  .map(one => { let at = one, ground = 'rgba(0, 0, 0, 0)';
    while (at && ground === 'rgba(0, 0, 0, 0)') { ground = getComputedStyle(at).backgroundColor; at = at.parentElement; }
    const style = getComputedStyle(one);
    return [one instanceof SVGElement ? style.fill : style.color, ground, one.tagName + ' ' + one.textContent.slice(0, 30)]; })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_marks_stand_out_from_their_ground(opened, whole, scheme):
    page = opened(whole, scheme=scheme)
    weak = [text for color, ground, text in page.evaluate(TEXTS) if contrast(color, ground) < 4.5]
    assert weak == []
    card = page.evaluate("getComputedStyle(document.querySelector('figure')).backgroundColor")
    marks = page.evaluate(
        "[...document.querySelectorAll('figure > svg rect, .dot')].map(x => getComputedStyle(x).fill)"
    )
    assert min(contrast(color, card) for color in set(marks)) >= 3


def test_dark_is_another_scheme_from_the_first_moment(opened, whole):
    colors = {}
    for scheme in ("light", "dark"):
        page = opened(whole, scheme=scheme, script=False)
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        colors[scheme] = [page.evaluate(ground), page.evaluate("getComputedStyle(document.body).color")]
    assert luminance(colors["light"][0]) > 0.8 > 0.1 > luminance(colors["dark"][0])
    assert luminance(colors["light"][1]) < 0.1 < 0.6 < luminance(colors["dark"][1])


def test_it_prints(opened, whole, artifacts):
    page = opened(whole, scheme="dark")
    pdf = page.pdf(path=artifacts / "page.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 12
    page.emulate_media(media="print")
    for gone in ("nav", ".skip", ".bar input", "summary"):
        assert not page.locator(gone).first.is_visible()
    assert page.locator("h1").is_visible()
    assert page.locator(".table >> nth=0 >> tbody tr:visible").count() == 200, "a table is printed whole"
    head = "getComputedStyle(document.querySelector('thead button')).display"
    assert page.evaluate(head) == "contents", "or Chromium does not repeat the head on the next sheet"
    ground, color = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert contrast(ground, "rgb(255, 255, 255)") == 1
    assert contrast(ground, color) > 7
    assert page.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"


def test_the_keyboard_reaches_everything_in_order(opened, whole):
    page = opened(whole)
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("one => one === document.activeElement")
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_machines_that_read_aloud_find_their_way(opened, whole):
    page = opened(whole)
    for role in ("banner", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.get_by_role("navigation", name="Sections").count() == 1
    assert page.get_by_role("region", name="Savings and speed").count() == 1
    assert page.get_by_role("figure", name="Cost by feature", exact=True).count() == 1
    assert page.get_by_role("table", name="Threads").count() == 1
    assert page.get_by_role("rowheader", name="support-chat 0").count() >= 1
    assert page.get_by_role("heading", level=1).count() == 1
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, a, summary')]
            .filter(one => !(one.textContent.trim() || (one.labels && one.labels.length))).map(one => one.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_rule_of_axe_is_broken(opened, whole, axe, width, scheme):
    page = opened(whole, width, scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_role("searchbox").first.fill("search")
    head(page, "Cost").get_by_role("button").click()
    assert axe(page) == []


def test_hostile_names_break_no_rule_of_axe(opened, axe):
    assert axe(opened(render(example.hostile()))) == []


def test_it_moves_only_for_those_who_like_it(opened, whole):
    page = opened(whole, reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    still = "[...document.querySelectorAll('*')].every(x => getComputedStyle(x).transitionDuration === '0s')"
    assert page.evaluate(still)


NOTEBOOK = """<!DOCTYPE html><meta charset="utf-8"><title>A notebook</title><body {attributes}
style="background: {ground}; margin: 20px; font-family: sans-serif; color: {color}"><h2>Outside</h2>{part}<p>After</p>"""


@pytest.mark.parametrize(
    ("host", "attributes", "scheme", "dark"),
    [
        ("jupyter-light", 'data-jp-theme-light="true"', "dark", False),
        ("jupyter-dark", 'data-jp-theme-light="false"', "light", True),
        ("code-light", 'class="vscode-light"', "dark", False),
        ("code-dark", 'class="vscode-dark"', "light", True),
        ("plain-dark", "", "dark", True),
    ],
)
def test_a_part_in_a_notebook_takes_the_colors_of_its_host(opened, artifacts, host, attributes, scheme, dark):
    chart = Chart("Cost by feature", "stacked", example.DAYS, example.series(example.FEATURES))
    part = fragment(Figure("Cost", 318.42, "usd"), Figure("Saved", 61.17, "saved"), chart, example.threads(5))
    ground, color = ("#111", "#ddd") if dark else ("#fff", "#222")
    page = opened(NOTEBOOK.format(attributes=attributes, part=part, ground=ground, color=color), 900, scheme=scheme)
    page.screenshot(path=artifacts / f"part-{host}.png", full_page=True)
    card = page.evaluate("getComputedStyle(document.querySelector('figure')).backgroundColor")
    text = page.evaluate("getComputedStyle(document.querySelector('.ctxkit')).color")
    assert (luminance(card) < 0.1) is dark
    assert contrast(card, text) > 7
    assert page.evaluate("getComputedStyle(document.querySelector('h2')).fontFamily") == "sans-serif"
    assert page.locator("figure > svg:visible").count() == 1


def test_one_label_and_twelve_series(opened, artifacts):
    names = tuple(f"feature number {n}" for n in range(12))
    charts = tuple(
        Chart(f"{kind}, {len(labels)} labels", kind, labels, example.series(names[:count], len(labels)))
        for kind in ("lines", "columns", "stacked", "bars")
        for labels in (("2026-11-01",), example.DAYS[:4])
        for count in (1, 12)
    )
    page = opened(render(Page("Many kinds", "", (Section("Charts", charts=charts),))))
    page.screenshot(path=artifacts / "kinds.png", full_page=True)
    assert page.locator("figure > svg:visible").count() == len(charts)


def test_signs_and_nothings(opened, artifacts):
    rows = {"mixed": (4, -3, 2, -1), "losses": (-4, -3, -2, -1), "zeros": (0, 0, 0, 0), "gaps": (None, 2, None, 1)}
    charts = tuple(
        Chart(f"{kind}: {name}", kind, ("a", "b", "c", "d"), (Series("Saved", row),), "saved")
        for kind in ("lines", "columns", "stacked", "bars")
        for name, row in rows.items()
    )
    page = opened(render(Page("Signs", "", (Section("Charts", charts=charts),))))
    page.screenshot(path=artifacts / "signs.png", full_page=True)
    assert page.locator("figure > svg:visible").count() == len(charts)
