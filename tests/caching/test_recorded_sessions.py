"""Forecasts on recorded sessions of real providers: as good as documentation says they are."""

import pytest

pytest.importorskip("scripts.score_forecast")
from scripts.score_forecast import accuracy, error, exact, scored

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(recorded):
    return [row for row in scored(recorded) if row.seen]


def test_caches_that_match_at_markers(rows):
    marked = [row for row in rows if exact(row)]
    assert len(marked) >= 10, "too few to say anything"
    assert accuracy(marked) >= 0.95
    assert error(marked) <= 0.03


def test_automatic_caches(rows):
    automatic = [row for row in rows if not exact(row)]
    assert len(automatic) >= 100, "too few to say anything"
    assert accuracy(automatic) >= 0.85
    assert error(automatic) <= 0.03


def test_few_reads_are_expected_beyond_the_prompt(rows):
    """Some servers report sums over several passes, or drop what they had put in before: those cannot be known."""
    beyond = [row for row in rows if row.expected > row.total * 1.05]
    assert len(beyond) <= 0.03 * len(rows)
