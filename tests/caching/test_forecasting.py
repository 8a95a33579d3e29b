"""What is believed of caches, and rules as they were seen to hold: each by itself, and bounded."""

from __future__ import annotations

from dataclasses import replace

from ctxkit.caching.believed import Believed
from ctxkit.caching.forecasting import Forecasting
from ctxkit.caching.rules import find
from ctxkit.caching.simulator import Entry


class Shared:
    """A store that is there for other workers, too."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.held.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.held[key] = value


def test_models_of_one_row_keep_what_is_their_own_below_the_least_that_was_seen():
    forecasting = Forecasting(Shared(), lambda alive: alive, lambda _: None)
    for model in ("gpt-oss-120b", "gpt-oss-safeguard-20b", "gpt-oss-120b"):
        rule = find("groq", model)
        assert rule is not None
        assert rule.floor is not None
        lowered = forecasting._as_seen(rule, model)
        assert lowered == replace(rule, minimum=rule.floor)
        assert forecasting._as_seen(rule, model) is lowered


def test_entries_that_others_wrote_are_bounded_here_too():
    store = Shared()
    entries = {bytes([number]): Entry(1_000.0, "5m", 0.0, 300.0) for number in range(50)}
    Believed(store).keep(entries, entries)
    believed = Believed(store, size=10)
    for name in entries:
        assert believed.alive(0.0, shared=True)(name) is not None
    assert len(believed._known) == 10
