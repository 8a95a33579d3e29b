"""A report as a data frame: dtypes, what is missing, exact money; and what is said where a package is missing."""

import sys
from decimal import Decimal

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.metering.report import report
from ctxkit.model import Usage

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC
NOW = NOON + 86_400


def ask(ledger, by="feature", timezone="UTC", **options):
    return report(ledger, by, timezone=timezone, now=NOW, **options)


@pytest.fixture
def kept(ledger, record):
    """One feature of which all is known, and one answer of nobody's, without usage and price."""
    by = {"cache": Decimal(-1), "spent": Decimal(3)}
    ledger.append(record(1, cost=Decimal("0.100000000001"), savings=Decimal(2), savings_by=by))
    ledger.append(record(2, cost=Decimal("0.2")))
    ledger.append(record(3, "unverified", feature=None, usage=None, cost=None, cost_source=None, timing=None))
    return ledger


def test_a_pandas_frame(kept):
    pandas = pytest.importorskip("pandas")
    frame = ask(kept).to_pandas()
    assert list(frame.columns[:3]) == ["feature", "requests", "attempts"]
    assert frame["feature"].tolist() == ["chat", pandas.NA]
    assert frame["fresh_tokens"].dtype == "Int64"
    assert frame["cost"].dtype == frame["cached"].dtype == frame["latency.ttft.p50"].dtype == "Float64"
    for missing in (
        "fresh_tokens",
        "written_tokens.5m",
        "read_tokens",
        "cost",
        "savings",
        "savings_by.spent",
        "cached",
    ):
        assert frame[missing].isna().tolist() == [False, True], missing
    assert frame["unpriced"].tolist() == [0, 1]
    assert frame["statuses.unverified"].tolist() == [0, 1]
    assert frame["savings_by.cache"].sum() == -1
    assert frame["cost"].sum() == pytest.approx(0.3)
    assert frame.attrs["currency"] == "USD"


def test_a_polars_frame(kept):
    polars = pytest.importorskip("polars")
    frame = ask(kept).to_polars()
    assert frame.columns[:3] == ["feature", "requests", "attempts"]
    assert frame["feature"].to_list() == ["chat", None]
    assert (frame["fresh_tokens"].dtype, frame["cost"].dtype) == (polars.Int64, polars.Float64)
    assert frame["cost"].to_list() == [pytest.approx(0.3), None]
    assert frame["written_tokens.5m"].to_list() == [200, None]


def test_money_can_be_exact(kept):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    found = ask(kept, currency="EUR", rate=Decimal("0.9"))
    exact = Decimal("0.2700000000009")
    assert found.to_pandas(money="decimal")["cost"].tolist() == [exact, None]
    assert found.to_polars(money="decimal")["cost"].to_list() == [exact, None]
    many = ask(kept, currency="XXX", rate=Decimal("0." + "123456789" * 6)).to_polars(money="decimal")
    assert many["cost"][0] == pytest.approx(Decimal("0.037037"), abs=Decimal("0.000001"))


@pytest.mark.parametrize("form", ["to_pandas", "to_polars"])
def test_times_are_times(ledger, record, form):
    pytest.importorskip(form.removeprefix("to_"))
    for number, at in enumerate([1_761_436_800.0, 1_761_440_400.0]):  # 2025-10-26, both at two in Berlin
        ledger.append(record(number, at=at))
    hours = getattr(ask(ledger, "hour", "Europe/Berlin"), form)()["hour"].to_list()
    assert [hour.timestamp() for hour in hours] == [1_761_436_800.0, 1_761_440_400.0]
    assert [(hour.hour, hour.utcoffset().seconds) for hour in hours] == [(2, 7200), (2, 3600)]
    days = getattr(ask(ledger, "feature,day", "Europe/Berlin"), form)()["day"].to_list()
    assert [day.isoformat() for day in days] == ["2025-10-26T00:00:00"]
    local = getattr(ask(ledger, "hour", None), form)()["hour"].to_list()
    assert [(hour.timestamp(), hour.utcoffset().seconds) for hour in local] == [
        (1_761_436_800.0, 0),
        (1_761_440_400.0, 0),
    ]


@pytest.mark.parametrize("form", ["to_pandas", "to_polars"])
@pytest.mark.parametrize("by", ["feature", "hour", "day,label:team"])
def test_an_empty_report_is_an_empty_frame(ledger, form, by):
    pytest.importorskip(form.removeprefix("to_"))
    frame = getattr(ask(ledger, by), form)(money="decimal")
    assert len(frame) == 0
    assert "cost" in frame.columns


def test_the_names_are_those_of_the_csv(kept, record):
    pytest.importorskip("pandas")
    found = ask(kept, "feature,status")
    assert sorted(found.to_pandas().columns) == sorted(found.to_csv().splitlines()[0].split(","))


@pytest.mark.parametrize("form", ["to_pandas", "to_polars"])
def test_a_package_that_is_missing_is_named(kept, monkeypatch, form):
    package = form.removeprefix("to_")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"pip install ctxkit\[{package}\]"):
        getattr(ask(kept), form)()


@pytest.mark.parametrize("form", ["to_pandas", "to_polars"])
def test_money_of_another_kind(kept, form):
    with pytest.raises(ConfigurationError, match="float"):
        getattr(ask(kept), form)(money="cents")


def test_unknown_usage_is_not_nothing(ledger, record):
    pytest.importorskip("pandas")
    ledger.append(record(1, usage=Usage(fresh=10, output=5), cost=None, cost_source=None))
    frame = ask(ledger).to_pandas()
    assert frame[["read_tokens", "reasoning_tokens", "cached", "cost"]].isna().all(axis=None)
