"""Records written by hand, and ledgers to keep them in."""

from decimal import Decimal

import pytest

from ctxkit.metering.ledger import Ledger
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
