"""Frozen values, changed."""

from dataclasses import replace

import pytest

from ctxkit.model import Estimate, Plan, Usage
from ctxkit.revise import revised


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (Plan(body={"a": 1}), {"model": "m", "number": 2}),
        (Estimate(10, 9, 11), {"usage": Usage(fresh=3)}),
        (Usage(1, 2, {"5m": 3}, 4), {}),
    ],
)
def test_as_dataclasses_do(value, changes):
    assert revised(value, **changes) == replace(value, **changes)
    assert revised(value) is not value


def test_unknown_fields_are_refused():
    with pytest.raises(AttributeError):
        revised(Usage(), nonsense=1)
