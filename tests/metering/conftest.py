"""Records written by hand, and ledgers to keep them in."""

import sqlite3
from contextlib import closing, contextmanager
from decimal import Decimal

import pytest

from ctxkit.metering.ledger import Ledger, schema
from ctxkit.metering.report import report
from ctxkit.model import CostRange, Estimate, Record, Timing, Usage

NOON = 1_763_640_000.0  # 2025-11-20 12:00 UTC, a whole hour


def record(number=0, status="settled", /, *, at=NOON, attempt=None, **values):
    """A settled attempt; ``number`` makes its id. Later values win."""
    answered = status not in ("open", "failed", "unmetered")
    whole = {
        "attempt": attempt or f"a{number:08d}",
        "operation": attempt or f"a{number:08d}",
        "number": 1,
        "status": status,
        "http_status": {"open": None, "failed": 500}.get(status, 200),
        "created": at,
        "dialect": "openai.chat",
        "platform": "openai",
        "model": "gpt-4o",
        "feature": "chat",
        "estimate": Estimate(
            1010,
            1000,
            1020,
            Usage(fresh=1010, output=50),
            CostRange(Decimal("0.001"), Decimal("0.002"), Decimal("0.01")),
        ),
        "usage": Usage(fresh=400, read=500, written={"5m": 100}, output=50, reasoning=10) if answered else None,
        "cost": Decimal("0.00123") if answered else None,
        "cost_source": "card" if answered else None,
        "timing": Timing(5.0, 5.25, 5.5, 7.5) if answered else None,
    }
    return Record(**(whole | values))


def asked(ledger, by="feature"):
    """The report of the day on which records are made."""
    return report(ledger, by=by, now=NOON + 86_400, timezone="UTC")


@contextmanager
def of_version(path, version):
    """A new database with the tables of an earlier version, open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for step in schema.MIGRATIONS[:version]:
            step(db)
        db.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        db.execute(f"PRAGMA user_version = {version}")
        yield db


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "ledger.db"


@pytest.fixture
def ledger(path):
    with Ledger(path) as opened:
        yield opened


@pytest.fixture(name="record")
def make_record():
    return record
