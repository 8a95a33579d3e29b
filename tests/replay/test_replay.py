"""The main job on real input: recorded exchanges through the real SDKs, with ctxkit and without.

What was recorded takes minutes: ``-m slow`` runs it;
``python -m tests.replay`` prints the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ctxkit.kit import Kit
from ctxkit.model import Record
from tests.replay.recordings import LANES, Exchange, exchanges, refusals, sample
from tests.replay.replaying import Tally, replay

ASYNC = [lane for lane in LANES if not lane.startswith("bedrock")]  # boto3 has no async side
SDKS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google.genai", "bedrock": "boto3"}


@pytest.fixture(scope="session")
def lanes(recorded: Path) -> dict[str, list[Exchange]]:
    return exchanges(recorded)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(store=None, ledger=tmp_path / "ledger.db", strict=True)
    yield made
    made.close()


def check(tally: Tally, listed: list[Exchange]) -> None:
    """Nothing differs; what was not sent, not read or not comparable is little, and not ours."""
    assert not tally.faults, "\n".join(f"{name}: {len(seen)}\n  {seen[0]}" for name, seen in tally.faults.items())
    assert tally.equal + tally.given_up + tally.excused.total() == tally.replayed
    assert tally.replayed + tally.unsent.total() == len(listed)
    few = 1 + 0.1 * len(listed)
    assert tally.unsent.total() <= few, tally.unsent
    assert tally.given_up <= tally.sdk_errors.total() <= few, tally.sdk_errors
    assert tally.excused.total() <= 1 + 0.02 * len(listed), tally.excused


@pytest.mark.slow
@pytest.mark.parametrize("lane", ASYNC)
def test_async_300(lane: str, lanes: dict[str, list[Exchange]], kit: Kit) -> None:
    _importable(lane)
    listed = sample(lanes[lane], 300)
    check(replay(lane, listed, kit, asynchronous=True), listed)


@pytest.mark.slow
@pytest.mark.parametrize("lane", LANES)
def test_everything_recorded(lane: str, lanes: dict[str, list[Exchange]], kit: Kit) -> None:
    _importable(lane)
    check(replay(lane, lanes[lane], kit), lanes[lane])


@pytest.mark.slow
@pytest.mark.parametrize("family", SDKS)
def test_refusals_are_failed_attempts(family: str, recorded: Path, kit: Kit) -> None:
    _importable(family)
    listed = [exchange for exchange in refusals(recorded) if (exchange.dialect or "").startswith(family)]
    tally = replay(family, listed, kit, check=failed)
    assert not tally.faults, "\n".join(f"{name}: {len(seen)}\n  {seen[0]}" for name, seen in tally.faults.items())
    assert tally.equal == tally.replayed > 0.8 * len(listed)


def failed(exchange: Exchange, record: Record) -> str:
    """A refused attempt is a row that says so, and costs nothing as far as is known."""
    seen = (record.status, record.http_status, record.usage, record.cost)
    return "" if seen == ("failed", exchange.status, None, None) else f"row {seen}"


def _importable(lane: str) -> None:
    pytest.importorskip(SDKS[lane.partition(".")[0]])
