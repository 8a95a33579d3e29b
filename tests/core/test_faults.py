"""Faults: counted always, logged once, raised when strict."""

import logging

import pytest

from ctxkit.faults import Faults


def test_counted_always_and_logged_once(caplog):
    faults = Faults()
    with caplog.at_level(logging.WARNING, logger="ctxkit"):
        for _ in range(3):
            faults.note("plan", KeyError("x"), "Please report it.")
        faults.note("settle", KeyError("x"))
    assert faults.counts == {"plan: KeyError": 3, "settle: KeyError": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "Please report it." in caplog.text


def test_strict_raises_the_fault_itself():
    with pytest.raises(KeyError):
        Faults(strict=True).note("plan", KeyError("x"))


def test_warnings_are_never_raised():
    faults = Faults(strict=True)
    faults.warn("signed", "a signed request is metered, never rewritten")
    assert faults.counts == {"signed": 1}
