"""What was worked out of texts is remembered, for a while and within bounds."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from ctxkit.editable import Stub
from ctxkit.hygiene.decisions import Decided, Decisions
from ctxkit.hygiene.memo import Memo, length
from ctxkit.hygiene.rendered import Rendered
from ctxkit.hygiene.vectors import Vectors
from tests.hygiene.threads import Thread, flights

if TYPE_CHECKING:
    import pytest


def test_the_least_recently_used_goes_first() -> None:
    made: list[str] = []
    memo: Memo[str, int] = Memo(900, length)

    def make(text: str) -> int:
        made.append(text)
        return len(text)

    for text in ("a" * 300, "b" * 300, "a" * 300, "c" * 300, "d" * 300, "a" * 300, "b" * 300):
        assert memo.get(text, make) == 300
    assert [text[0] for text in made] == ["a", "b", "c", "d", "b"]


def test_what_is_larger_than_all_of_it_pushes_nothing_out() -> None:
    memo: Memo[str, int] = Memo(900, length)
    memo.get("a" * 300, len)
    assert memo.get("b" * 1_000, len) == 1_000
    assert memo.get("a" * 300, lambda _: 0) == 300


def test_what_actions_come_to_is_remembered_by_its_length() -> None:
    thread = Thread().user("Go.")
    for number in range(12):
        thread.calls("search", flights(number))
    history, render = thread.says("Found.").history, Rendered(size=1_000)
    chain = [bytes([index]) for index in range(history.count)]
    for piece in history.pieces:
        if piece.kind == "result":
            rewrites, _ = render(history, chain, Stub(piece.place), None)
            assert rewrites
            assert render(history, chain, Stub(piece.place), None)[0] is rewrites
    assert 0 < render._known._held <= 1_000


class _Forgetful(OrderedDict[bytes, tuple[Decided, ...]]):
    """Another thread makes room just when somebody has looked."""

    def __contains__(self, key: object) -> bool:
        return super().pop(key, None) is not None  # type: ignore[call-overload, no-any-return]


class _Nowhere:
    def get(self, _: bytes) -> None:
        return None

    def add(self, _: bytes, value: bytes) -> bytes:
        return value


def test_a_decision_that_is_forgotten_meanwhile() -> None:
    decisions, one = Decisions(_Nowhere()), (Decided(Stub((1, 0)), "stale"),)
    decisions._known = _Forgetful({b"link": one})
    assert decisions.commit(b"link", one, news=True) == one


def test_a_batch_that_is_done_while_somebody_asks_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Vectors(None)  # type: ignore[arg-type]  # nothing is embedded
    vectors._begun = 0.0

    def done() -> float:
        vectors._begun = None
        return 1e9

    monkeypatch.setattr(time, "monotonic", done)
    vectors._look_for_delays()
    assert vectors.troubles.known.keys() == {"slow"}
