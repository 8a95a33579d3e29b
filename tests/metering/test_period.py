"""Times as people say them, in their own days."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from ctxkit.errors import ConfigurationError
from ctxkit.metering.report.period import day_of, hour_of, iso, moment, next_day, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC).timestamp()


def at(text):
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("7d", NOW - 7 * 86_400),
        ("24h", NOW - 86_400),
        ("90m", NOW - 5_400),
        ("2w", NOW - 14 * 86_400),
        ("today", at("2026-11-20T00:00+01:00")),
        ("Yesterday", at("2026-11-19T00:00+01:00")),
        ("2026-11-01", at("2026-11-01T00:00+01:00")),
        ("2026-11-01T14:00", at("2026-11-01T14:00+01:00")),
        ("2026-11-01 14:00:30", at("2026-11-01T14:00:30+01:00")),
        ("2026-11-01T14:00Z", at("2026-11-01T14:00+00:00")),
        ("2026-11-01T14:00-05:00", at("2026-11-01T14:00-05:00")),
        (date(2026, 7, 1), at("2026-07-01T00:00+02:00")),
        (datetime.fromisoformat("2026-07-01T12:00"), at("2026-07-01T12:00+02:00")),
        (12.5, 12.5),
        (None, None),
    ],
)
def test_a_time_is_what_was_meant(said, meant):
    assert moment(said, now=NOW, zone=BERLIN) == meant


def test_a_day_at_the_end_of_a_period_is_included():
    assert moment("2026-11-20", now=NOW, zone=BERLIN, end=True) == at("2026-11-21T00:00+01:00")
    assert moment("2026-11-20T10:00", now=NOW, zone=BERLIN, end=True) == at("2026-11-20T10:00+01:00")


@pytest.mark.parametrize("said", ["soon", "7 parsecs", "2026-13-01", "", "9" * 400 + "d"])
def test_what_cannot_be_read_is_told(said):
    with pytest.raises(ConfigurationError, match="2026-11-20T14:00"):
        moment(said, now=NOW, zone=BERLIN)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_zone_that_is_none_is_told(name):
    with pytest.raises(ConfigurationError, match="Europe/Berlin"):
        zone_of(name)


def test_days_have_23_and_25_hours_when_clocks_change():
    spring, autumn = at("2026-03-29T00:00+01:00"), at("2026-10-25T00:00+02:00")
    assert next_day(spring, BERLIN) - spring == 23 * 3600
    assert next_day(autumn, BERLIN) - autumn == 25 * 3600
    assert {day_of(autumn + hour * 3600, BERLIN) for hour in range(25)} == {"2026-10-25"}
    hours = [hour_of(autumn + hour * 3600, BERLIN) for hour in range(25)]
    assert len(set(hours)) == 25
    assert hours[2:4] == ["2026-10-25 02:00", "2026-10-25 02:00 (2nd)"]


def test_local_time_is_that_of_the_machine(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert day_of(at("2026-11-20T03:00+00:00"), None) == "2026-11-19"
        assert iso(at("2026-11-20T03:00+00:00"), None) == "2026-11-19T22:00:00-05:00"
        assert moment("2026-11-20", now=NOW, zone=None) == at("2026-11-20T00:00-05:00")
    finally:
        monkeypatch.undo()
        time.tzset()
