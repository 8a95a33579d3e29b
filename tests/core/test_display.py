"""What notebooks and rich consoles show of plans, records, reports and cache objects."""

import io
import json
import re
from decimal import Decimal

import pytest
from rich.console import Console

from ctxkit import Kit, Policy
from ctxkit.hall.cache_objects import CacheObject
from ctxkit.model import Edit, Plan, Record

SECRET = "the purple heron sleeps at noon"
NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC


def long_body():
    system = [{"type": "text", "text": f"{SECRET}. " * 600}]
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 100,
        "system": system,
        "messages": [{"role": "user", "content": f"{SECRET}?"}],
    }


@pytest.fixture
def kit():
    kit = Kit(Policy(mode="cache"), store=None, ledger=None, clock=lambda: NOON, strict=True)
    yield kit
    kit.close()


@pytest.fixture
def plan(kit):
    return kit.plan(long_body(), dialect="anthropic.messages", platform="anthropic", feature="<b>chat</b>")


@pytest.fixture
def record(kit, plan):
    usage = {"input_tokens": 12, "cache_creation_input_tokens": 4000, "cache_read_input_tokens": 0, "output_tokens": 5}
    answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": SECRET}], "usage": usage}
    return kit.settle(plan, {**answer, "model": "claude-sonnet-4-5", "id": "msg_1", "stop_reason": "end_turn"})


class Paper:
    """Takes the place of IPython's printer."""

    def __init__(self):
        self.written = ""

    def text(self, text):
        self.written += text


def pretty(one):
    paper = Paper()
    one._repr_pretty_(paper, False)
    return paper.written


def by_rich(one):
    out = io.StringIO()
    Console(file=out, width=100).print(one)
    return out.getvalue()


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S))


def cache_object(**values):
    known = {
        "created": NOON,
        "expires": NOON + 3600,
        "age": 60.0,
        "reads": {"chat": 3},
        "creation_paid": Decimal("0.5"),
    }
    more = {"storage_paid": Decimal("0.25"), "saved": Decimal(1), "verdict": "keep", "tokens": 40_000}
    return CacheObject(
        **{"name": "cachedContents/<i>1</i>", "platform": "google", "model": "m", **known, **more, **values}
    )


def test_a_plan_shows_what_it_decided(plan):
    shown = words(plan._repr_html_())
    for said in ("Plan: claude-sonnet-4-5 on anthropic", "Input tokens", "95 %", "Cost, expected", "at least"):
        assert said in shown
    assert "at most" in shown
    assert "Edits" in shown
    assert "cache" in shown
    assert plan.edits[0].reason in shown
    assert pretty(plan) == plan.explain()
    assert plan.edits[0].reason.split()[0] in by_rich(plan)


def test_a_record_shows_what_became_of_it(record):
    shown = words(record._repr_html_())
    for said in (
        "Record: claude-sonnet-4-5 on anthropic, settled, HTTP 200",
        "Cost",
        "by the price list",
        "written, 5m",
    ):
        assert said in shown
    assert record.attempt in pretty(record)
    assert record.attempt in by_rich(record)


def test_no_word_of_a_prompt_is_shown(kit, plan, record):
    shown = [form(one) for one in (plan, record) for form in (pretty, by_rich, lambda one: one._repr_html_())]
    shown.append(kit.report()._repr_html_())
    for text in shown:
        assert "purple" not in text
        assert "heron" not in text
    assert "purple" in json.dumps(plan.body)


def test_names_are_escaped(plan, record, kit):
    for html in (plan._repr_html_(), record._repr_html_(), kit.report()._repr_html_(), cache_object()._repr_html_()):
        assert "<b>chat" not in html
        assert "<i>1" not in html
    assert "&lt;b&gt;chat" in plan._repr_html_()


def test_no_script_and_nothing_from_elsewhere(plan, record, kit):
    for html in (plan._repr_html_(), record._repr_html_(), kit.report()._repr_html_(), cache_object()._repr_html_()):
        assert "<script" not in html
        assert not re.search(r"(src|href)=|@import|url\((?!#)", html)
        assert "dark" in html


def test_a_report_shows_its_headline_and_rows(kit, record):
    found = kit.report()
    shown = words(found._repr_html_())
    for said in ("At a glance", "Spent", "By feature", "<b>chat</b>".replace("<", "&lt;").replace(">", "&gt;")):
        assert said in shown
    assert pretty(found) == found.text()


def test_unmetered_plans_and_failed_records(kit):
    plan = kit.plan({"what": SECRET}, dialect=None, platform="x")
    assert "not metered" in words(plan._repr_html_())
    assert "purple" not in plan._repr_html_()
    failed = Record("a", "a", 1, "failed", None, NOON, "", "", "")
    assert "failed" in words(failed._repr_html_())
    assert "unknown model" in words(Plan({})._repr_html_())


def test_cache_objects(kit):
    shown = words(cache_object()._repr_html_())
    for said in ("40,000", "keep", "$0.50", "+$0.25"):
        assert said in shown
    assert "keep" in by_rich(cache_object())
    assert "&ndash;" in cache_object(saved=None)._repr_html_() or "–" in cache_object(saved=None)._repr_html_()
    assert "Cache objects" in words(kit.caches._repr_html_())


def test_what_cannot_be_drawn_is_told_as_text(plan, record, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no pictures today")

    monkeypatch.setattr("ctxkit.display.fragment", broken)
    assert plan._repr_html_().startswith("<pre>claude-sonnet-4-5 on anthropic")
    assert "&lt;b&gt;chat" in plan._repr_html_()
    assert record._repr_html_().startswith("<pre>")
    monkeypatch.setattr("ctxkit.explain.explain_plan", broken)
    assert plan._repr_html_() == "<pre>cannot be shown: RuntimeError</pre>"
    assert "RuntimeError" in by_rich(plan)


def test_many_edits_are_not_all_shown():
    edits = tuple(Edit("drop", ("messages", place), f"reason {place}", by="spent") for place in range(60))
    shown = words(Plan({}, edits, model="m")._repr_html_())
    assert "reason 49" in shown
    assert "reason 50" not in shown
    assert "And 10 more." in shown


def test_in_ipython(plan, record, kit):
    formatters = pytest.importorskip("IPython.core.formatters")
    for one in (plan, record, kit.report(), cache_object(), kit.caches):
        data, _ = formatters.DisplayFormatter().format(one)
        assert "ctxkit" in data["text/html"]
        assert "purple" not in json.dumps(data)
    listed, _ = formatters.DisplayFormatter().format([plan])
    assert "purple" not in listed["text/plain"]
