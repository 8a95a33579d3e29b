"""A report as a page: what it says is true, whatever is or is not known."""

from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from ctxkit.metering.prices.coming import Change
from ctxkit.metering.report import report
from ctxkit.metering.report.beside import Foregone, Shadow, Tidied
from ctxkit.model import Timing, Usage
from ctxkit.page.values import Page

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC
NOW = NOON + 86_400
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e"


def ask(ledger, by="feature", **options):
    return report(ledger, by, timezone="UTC", now=NOW, **options)


def sections(page):
    return {section.title: section for section in page.sections}


def said(page):
    return [page.lead, *(text for section in page.sections for text in section.text)]


def figures(page):
    return {figure.name: figure for section in page.sections for figure in section.figures}


def table(page, title):
    return next(one for section in page.sections for one in section.tables if one.title == title)


@pytest.fixture
def kept(ledger, record):
    """Two features: one spends three quarters, saves, misses, and reads from the cache half of the time."""
    usage = Usage(fresh=500, read=500, written={}, output=50)
    by = {"cache": Decimal("0.25"), "spent": Decimal("-0.05")}
    ledger.append(
        record(1, cost=Decimal("0.5"), usage=usage, savings=Decimal("0.2"), savings_by=by, thread="t1", feature="chat")
    )
    cold = replace(usage, fresh=1000, read=0)
    miss = {"miss_reason": "ttl_expired", "miss_tokens": 400, "miss_cost": Decimal("0.1")}
    ledger.append(record(2, cost=Decimal("0.25"), usage=cold, thread="t1", timing=Timing(0.0, 1.0, 1.0, 3.0), **miss))
    ledger.append(record(3, cost=Decimal("0.25"), usage=usage, feature="search", thread="t2", at=NOON + 86_000))
    return ledger


def test_the_lead_says_the_most_important_things(kept):
    page = ask(kept).page()
    assert page.lead == "3 requests cost $1.00. Of that, feature chat spends 75 %. $0.20 was saved by what was changed."
    assert page.made.startswith("From the beginning to now (UTC); made 2025-11-21 12:00")
    glance = figures(page)
    assert (glance["Spent"].value, glance["Saved"].value, glance["Cost of misses"].value) == (
        1,
        Decimal("0.2"),
        Decimal("0.1"),
    )
    assert glance["Read from the cache"].value == pytest.approx(1000 / 3000)


def test_sections_are_told_in_order(kept):
    assert [section.title for section in ask(kept).page().sections] == [
        "At a glance",
        "Cost over time",
        "Where the money went",
        "By feature",
        "What was saved, and what could be",
        "The provider's cache",
        "How fast answers came",
        "Estimates against what was reported",
        "Conversations",
        "How far to trust it",
        "What the figures mean",
    ]


def test_sentences_are_computed(kept):
    told = said(ask(kept).page())
    for sentence in (
        "Feature chat spends 75 % of the money.",
        "The dearest hour was 2025-11-20 12:00: $0.75, 75 % of the whole.",
        "Against the same requests as they were written, $0.20 was saved, 17 % of what they would have cost.",
        "33 % of the input was read from the provider's cache.",
        "1 answer read less than it might have, which cost $0.10 more than reading would have.",
        "2 conversations in this period; ten of each kind are shown at most.",
    ):
        assert sentence in told
    assert any("began 50 % sooner than" in text and "(500 ms against 1.0 s)" in text for text in told)


def test_charts_have_the_figures(kept):
    page = ask(kept).page()
    (chart,) = sections(page)["Cost over time"].charts
    assert len(chart.labels) == 24
    assert {one.name: sum(one.values) for one in chart.series} == {"chat": Decimal("0.75"), "search": Decimal("0.25")}
    (saved,) = sections(page)["What was saved, and what could be"].charts
    assert dict(zip(saved.labels, saved.series[0].values, strict=True)) == {
        "cache": Decimal("0.25"),
        "spent": Decimal("-0.05"),
    }


def test_parts_shares_and_rows(kept):
    page = ask(kept).page()
    parts = table(page, "Parts of the cost")
    assert parts.total[2] == sum(row[2] for row in parts.rows) == 1
    rows = table(page, "Requests, tokens and cost").rows
    assert [(row[0], row[1], row[6], row[7]) for row in rows] == [
        ("chat", 2, Decimal("0.75"), 0.75),
        ("search", 1, Decimal("0.25"), 0.25),
    ]


def test_an_unknown_price_is_a_lower_bound_and_no_zero(kept, record):
    kept.append(record(4, cost=None, cost_source=None, model="gpt-99", feature="new"))
    page = ask(kept).page()
    assert "at least $1.00" in page.lead
    assert "a lower bound" in figures(page)["Spent"].note
    new = next(row for row in table(page, "Requests, tokens and cost").rows if row[0] == "new")
    assert (new[6], new[7], new[8]) == (None, None, 1)


def test_nothing_has_a_price(ledger, record):
    ledger.append(record(1, cost=None, cost_source=None, model="gpt-99"))
    page = ask(ledger).page()
    assert page.lead == "1 request cost an unknown sum."
    assert figures(page)["Spent"].value is None
    assert "Where the money went" not in sections(page)


def test_an_empty_ledger(ledger):
    page = ask(ledger).page()
    assert page.lead == "No requests in this period."
    assert [section.title for section in page.sections if section.tables or section.charts] == ["What the figures mean"]
    assert "No requests in this period." in ask(ledger).to_html()


def test_losses_are_told_as_losses(ledger, record):
    ledger.append(record(1, cost=Decimal(1), savings=Decimal("-0.5"), savings_by={"spent": Decimal("-0.5")}))
    page = ask(ledger).page()
    assert "$0.50 was lost by what was changed." in page.lead
    assert "Against the same requests as they were written, $0.50 was lost." in said(page)


def test_the_next_mode_and_tidying(kept):
    features = (
        Foregone("chat", 2, 10, 2_000_000_000_000, {"cache": 1_500_000_000_000, "prune": 1_000_000_000_000}),
        Foregone("", 1, 5, 1_000_000_000_000, {"cache": 1_100_000_000_000, "prune": 1_400_000_000_000}),
    )
    tidied = (Tidied("chat", "edit", 30, 20, 5 * 10**11, 6 * 10**11, 10**12, 0, None, {"removed": 10, "missed": 1}),)
    found = replace(
        ask(kept, currency="EUR", rate=Decimal(2)), shadow=Shadow("observe", 30, 15, features), tidied=tidied
    )
    page = found.page()
    assert figures(page)["Could be saved next"].value == Decimal("1.2")
    assert (
        "Mode prune would have saved €1.20 (20 %) on the 15 requests planned in the shadow, 50 % of those in mode "
        "observe, by simulation."
    ) in said(page)
    assert page.currency == "EUR"
    shadow = table(page, "What stronger modes would have saved")
    assert shadow.rows[0][3:6] == (4, 1, 0.25)
    standing = table(page, "How tidying stands").rows[0]
    assert standing[:7] == ("chat", "tidied", 30, 20, 1, Decimal("1.2"), 2)
    worse = (replace(features[1], costs={"cache": 2 * 10**12, "prune": 3 * 10**12}),)
    page = replace(found, shadow=Shadow("observe", 30, 15, worse)).page()
    assert any(text.startswith("No stronger mode would have saved anything on the 15 requests") for text in said(page))


def test_prices_that_will_change(kept):
    one = Change("openai", "gpt-4o", "standard", NOW + 86_400, "fresh", 2_000_000, 4_000_000, 0, 10**12)
    two = Change("openai", "gpt-4o", "priority", NOW + 86_400, "call.web_search", 10**10, None, 0, None)
    page = replace(ask(kept, currency="EUR", rate=Decimal(2)), coming=(one,)).page()
    assert table(page, "Known changes within thirty days").rows == (
        ("gpt-4o", "openai", NOW + 86_400, "input", 4, 8, 2),
    )
    assert "What was used in the last 30 days would have cost €2.00 more." in said(page)
    page = replace(ask(kept), coming=(one, two)).page()
    row = table(page, "Known changes within thirty days").rows[1]
    assert row == ("gpt-4o, priority", "openai", NOW + 86_400, "tool web search", 10, None, None)


class Seen(HTMLParser):
    """Tags and texts of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def test_hostile_names_are_names(ledger, record):
    usage = Usage(fresh=10, read=0, written={}, output=1)
    ledger.append(
        record(
            1, usage=usage, feature=HOSTILE, model=HOSTILE, thread=HOSTILE, labels={"x": HOSTILE}, miss_reason=HOSTILE
        )
    )
    html = ask(ledger, f"feature,model,label:x,label:{HOSTILE}").to_html()
    seen = Seen()
    seen.feed(html)
    assert "img" not in {tag for tag, _ in seen.tags}
    assert not any(name.startswith("on") for _, attrs in seen.tags for name in attrs)
    assert any("<img src=x onerror=alert(1)>" in text for text in seen.texts)
    assert "\u202e" not in html


def test_a_report_without_a_ledger_has_its_rows(kept):
    page = replace(ask(kept), details=None).page()
    assert isinstance(page, Page)
    assert {"At a glance", "By feature"} <= set(sections(page))
    assert "Where the money went" not in sections(page)


@pytest.mark.parametrize("by", ["day", "hour", "miss_reason", "label:team", "feature,model,status"])
def test_any_grouping(kept, by):
    html = ask(kept, by).to_html()
    assert html.startswith("<!DOCTYPE html>")
    assert len(html) < 2_000_000
