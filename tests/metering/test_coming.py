"""Changes of price that are known to come, and what they mean for the spend of the days before."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ctxkit.kit import Kit
from ctxkit.metering.ledger import Ledger
from ctxkit.metering.ledger.using import in_use
from ctxkit.metering.prices import Prices
from ctxkit.metering.prices.coming import Use, coming, told
from ctxkit.model import Usage
from ctxkit.policy import Policy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
DAY = 86_400
ROWS = """
source = "by hand"

[[price]]
provider = "acme"
model = ["a-1", "b-1"]
valid_to = 2026-12-05
input = "3"
read = "0.3"
write_5m = "3.75"
output = "15"
storage = "1"

[[price]]
provider = "acme"
model = "a-1"
valid_from = 2026-12-05
input = "2"
read = "0.2"
write_5m = "3.75"
output = "20"
storage = "1.5"

[[price]]
provider = "acme"
model = "c-1"
hours = ["01:00-04:00"]
mode = "replace"
input = "2"
output = "2"

[[price]]
provider = "acme"
model = "c-1"
hours = ["04:00-01:00"]
mode = "replace"
input = "1"
output = "1"
"""


@pytest.fixture
def prices(tmp_path):
    (tmp_path / "prices.toml").write_text(ROWS)
    return Prices(tmp_path / "prices.toml")


def at(*moment):
    return datetime(*moment, tzinfo=UTC).timestamp()


def test_a_change_with_its_sign_and_its_money(prices):
    use = Use("acme", "a-1", "", {"fresh": 1_000_000, "read": 2_000_000, "written.5m": 5, "output": 100_000}, 10**12)
    found = coming(prices, [use], NOW)
    assert {(one.bucket, one.before, one.after) for one in found} == {
        ("fresh", 3_000_000, 2_000_000),
        ("read", 300_000, 200_000),
        ("output", 15_000_000, 20_000_000),
        ("storage", 1_000_000, 1_500_000),
    }
    assert {one.at for one in found} == {at(2026, 12, 5)}
    spend = {one.bucket: one.to_dict()["spend"] for one in found}
    # A million tokens a dollar cheaper, two million a tenth of one, a tenth of a million five dearer, rent half as much again.
    assert spend == {"fresh": "-1", "read": "-0.2", "output": "0.5", "storage": "0.5"}
    assert "\n".join(told(found)) == (
        "a-1 on acme changes its price on 2026-12-05: input 3 to 2, cache read 0.3 to 0.2, output 15 to 20, storage per "
        "hour 1 to 1.5 (USD per million tokens); what was used in the last 30 days would have cost $0.2000 less"
    )


def test_a_price_that_ends_is_told_and_what_follows_is_unknown(prices):
    (one,) = coming(prices, [Use("acme", "b-1", "", {"fresh": 10})], NOW)
    assert (one.bucket, one.after, one.spend, one.to_dict()["to"]) == ("fresh", None, None, None)
    assert "unknown" in next(told([one]))


@pytest.mark.parametrize(
    ("now", "within", "count"),
    [(NOW, 30, 1), (NOW, 13, 0), (at(2026, 11, 5), 30, 1), (at(2026, 11, 4), 30, 0), (at(2026, 12, 5), 30, 0)],
)
def test_only_what_comes_within_the_days(prices, now, within, count):
    assert len(coming(prices, [Use("acme", "a-1", "", {"fresh": 1})], now, within)) == count


def test_a_tariff_by_the_hour_is_no_change(prices):
    assert coming(prices, [Use("acme", "c-1", "", {"fresh": 1})], NOW) == ()
    assert coming(prices, [Use("deepseek", "deepseek-v4-pro", "", {"fresh": 1})], NOW) == ()


def test_a_change_of_a_model_with_a_tariff_by_the_hour_is_told_once():
    found = coming(Prices(), [Use("deepseek", "deepseek-v4-flash", "", {"fresh": 1})], at(2026, 8, 25))
    assert [(one.at, one.before, one.after) for one in found] == [(at(2026, 9, 10), 220_000, 150_000)]


def test_an_introductory_price_of_the_list_ends():
    use = Use("google", "gemini-4-argon", "", {"fresh": 1_000_000, "output": 90_000, "reasoning": 10_000})
    found = coming(Prices(), [use], NOW)
    assert [(one.bucket, one.to_dict()["from"], one.to_dict()["to"]) for one in found] == [
        ("fresh", "2", "4"),
        ("output", "10", "20"),
    ]
    assert sum(one.spend for one in found) == 2 * 10**12 + 10**12  # thoughts cost what output does
    assert coming(Prices(), [Use("openai", "no-such-model", "", {"fresh": 1})], NOW) == ()


def test_what_is_in_use_by_the_ledger(ledger, record):
    days = (NOW - 40 * DAY, NOW - 2 * DAY, NOW)
    for number, moment in enumerate(days):
        ledger.append(
            record(number, at=moment, platform="acme", model="a-1", usage=Usage(400, 500, {"5m": 100}, 50, 10))
        )
    ledger.append(record(9, "failed", at=NOW, platform="acme", model="a-1"))
    ledger.append(
        record(10, at=NOW, platform="acme", model="a-1", number=0, usage=None, cost=Decimal("0.5"), dialect="x")
    )
    (use,) = in_use(ledger, NOW - 30 * DAY)
    assert (use.platform, use.model, use.rent) == ("acme", "a-1", 5 * 10**11)
    assert use.tokens == {"fresh": 800, "read": 1000, "written.5m": 200, "output": 80, "reasoning": 20}


def test_the_report_of_a_kit_tells_it(tmp_path, record):
    (tmp_path / "prices.toml").write_text(ROWS)
    policy = Policy(prices=tmp_path / "prices.toml", shadow=False)
    with Ledger(tmp_path / "ledger.db") as ledger:
        kit = Kit(policy, ledger=ledger, store=None, clock=lambda: NOW)
        kit.ledger.append(record(1, at=NOW - DAY, platform="acme", model="a-1", usage=Usage(1_000_000, 0, {}, 0)))
        found = kit.report()
        assert [(one.bucket, one.spend) for one in found.coming] == [("fresh", -(10**12))]
        assert "a-1 on acme changes its price on 2026-12-05: input 3 to 2" in " ".join(found.text().split())
        assert found.to_dict()["coming"][0]["spend"] == "-1"
        kit.close()
