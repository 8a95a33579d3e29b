"""Pages that the commands write, as they are: from a ledger and from recorded conversations with hostile names."""

import json
from decimal import Decimal

import pytest

from ctxkit.cli import main
from ctxkit.metering.ledger import Ledger
from ctxkit.model import Timing, Usage
from tests.metering.conftest import NOON, record
from tests.page.example import HOSTILE

pytestmark = pytest.mark.slow


def attempt(number):
    """The features take turns; every fourth answer reads nothing from the cache."""
    hit = number % 4
    usage = Usage(fresh=300 + 7 * number, read=900 * hit, written={"5m": 200, "1h": 50}, output=40 + number % 50)
    begun = 0.3 if hit else 0.8
    missed = {} if hit else {"miss_reason": "ttl_expired", "miss_tokens": 900, "miss_cost": Decimal("0.003")}
    saved = Decimal(number % 23 - 5) / 1000
    return record(
        number,
        at=NOON + number * 3_600,
        usage=usage,
        cost=Decimal(number % 37 + 1) / 100,
        feature=("chat", "search", "", HOSTILE[number % 8])[number % 4],
        model=("gpt-4o", "claude-sonnet-4-5")[number % 2],
        thread=f"thread {number % 40}",
        savings=saved,
        savings_by={"cache": saved * 2, "stale": -saved},
        timing=Timing(0.0, begun, begun, begun + 2),
        **missed,
    )


def clean(opened, axe, file, artifacts, name):
    html = file.read_text(encoding="utf-8")
    assert len(html.encode()) < 2_000_000
    for width, scheme in ((1280, "light"), (390, "dark"), (360, "light")):
        page = opened(html, width, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=artifacts / f"{name}-{width}-{scheme}.png", full_page=True)
        assert axe(page) == []
    return page


def test_a_report(opened, axe, artifacts, tmp_path, capsys):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for number in range(400):
            ledger.append(attempt(number))
    file = tmp_path / "report.html"
    assert main(["report", "--ledger", str(tmp_path / "ledger.db"), "--timezone", "UTC", "--html", str(file)]) == 0
    page = clean(opened, axe, file, artifacts, "report")
    assert page.locator("figure > svg:visible").count() >= 5
    assert page.get_by_text(HOSTILE[3], exact=True).count() > 0
    head = page.locator(".table thead th:has(button)").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") in {"ascending", "descending"}


def test_an_audit(opened, axe, artifacts, tmp_path, capsys):
    text = "The quick brown fox jumps over the lazy dog, as it does each day before noon. " * 60
    messages = [{"role": "system", "content": "You help."}]
    with (tmp_path / "run.jsonl").open("w") as run:
        for turn in range(8):
            messages.append({"role": "user", "content": f"{HOSTILE[turn % 7]} {turn}: {text}"})
            run.write(json.dumps({"model": "gpt-4o", "messages": messages}) + "\n")
            messages.append({"role": "assistant", "content": f"Yes, {turn}."})
    file = tmp_path / "audit.html"
    assert main(["audit", str(tmp_path / "run.jsonl"), "--html", str(file), "--json"]) in {0, 1}
    clean(opened, axe, file, artifacts, "audit")
