"""Faults: counted always, logged once, raised when strict."""

import logging

import pytest

from ctxkit.errors import StoreError
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


class Evil(logging.Filter):
    def filter(self, record):
        raise RuntimeError("a filter of the application's own")


def test_a_foreign_error_is_told_by_its_place_and_never_by_its_words(caplog):
    """``int("my prompt")`` raises an error that quotes the prompt."""
    faults, prompt = Faults(), "my " + "prompt"
    with caplog.at_level(logging.DEBUG, logger="ctxkit"):
        try:
            int(prompt)
        except ValueError as error:
            faults.note("plan", error, "Please report it.")
    assert "my prompt" not in caplog.text
    assert caplog.messages[0].startswith(f"ctxkit: plan: ValueError: at {__file__}:")
    assert "in test_a_foreign_error" in caplog.messages[1]


def test_our_own_errors_and_those_of_the_system_are_told_in_words(caplog):
    faults = Faults()
    faults.note("ledger", StoreError("the ledger is locked"))
    faults.note("store", PermissionError(13, "Permission denied", "/home/me"))
    assert "the ledger is locked" in caplog.text
    assert "Permission denied" in caplog.text


def test_a_log_filter_that_raises_is_not_the_callers_problem():
    evil = Evil()
    logging.getLogger("ctxkit").addFilter(evil)
    try:
        Faults().warn("plan", "malformed")
    finally:
        logging.getLogger("ctxkit").removeFilter(evil)


def test_strict_raises_the_fault_itself():
    with pytest.raises(KeyError):
        Faults(strict=True).note("plan", KeyError("x"))


def test_warnings_are_never_raised():
    faults = Faults(strict=True)
    faults.warn("signed", "a signed request is metered, never rewritten")
    assert faults.counts == {"signed": 1}
