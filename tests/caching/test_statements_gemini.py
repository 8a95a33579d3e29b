"""What Gemini's explicit cache objects do, statement by statement (ai.google.dev, 2026-09), on the state machine.

Over HTTP, with the real client: tests/testing/test_caches_gemini.py.
"""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxkit.caching.economics import storage_rent
from ctxkit.caching.moments import NANO, duration, instant, nanoseconds, rfc3339
from ctxkit.caching.rules import find
from ctxkit.caching.simulator.entries import Refusal
from ctxkit.caching.simulator.handles import Handle, Handles, Wanted, create, delete, get, pages, update, use

FLASH = "gemini-2.5-flash"
NOW = 1_790_000_000.0
GONE = "CachedContent not found (or permission denied)"


def wanted(tokens: int = 7_021, **changes: Any) -> Wanted:
    return Wanted(FLASH, "project", tokens)._replace(**changes)


def made(asked: Wanted | None = None, now: float = NOW, state: Handles | None = None, **how: Any) -> Any:
    asked = asked or wanted()
    state, handle = create(state or Handles(), asked, find("google", asked.model, mode="explicit"), now, **how)
    return state, handle


def error_of(outcome: Any) -> tuple[int, str, str]:
    refusal = outcome if isinstance(outcome, Refusal) else outcome.error
    return refusal.status, refusal.kind, refusal.message


def test_e1_below_the_minimum_the_create_is_refused():
    state, refused = made(wanted(16, model="gemini-3.5-flash-lite"))
    text = "Cached content is too small. total_token_count=16, min_total_token_count=1024"
    assert error_of(refused) == (400, "INVALID_ARGUMENT", text)
    assert not state.held
    assert isinstance(made(wanted(1_023))[1], Refusal)
    assert isinstance(made(wanted(1_024))[1], Handle)


@pytest.mark.parametrize("field", ["system_instruction", "tools", "tool_config"])
def test_e2_nothing_of_what_belongs_into_it_stands_beside_a_handle(field):
    state, handle = made()
    outcome = use(state, handle.name, FLASH, "project", NOW, tokens=15, beside=[field])
    status, kind, text = error_of(outcome)
    assert (status, kind, outcome.total) == (400, "INVALID_ARGUMENT", 0)
    assert text == (
        "CachedContent can not be used with GenerateContent request setting system_instruction, tools or tool_config."
        "\n\nProposed fix: move those values to CachedContent from GenerateContent request."
    )


def test_e3_what_is_gone_or_anothers_is_403_for_reads_and_for_look_ups():
    state, handle = made()
    expired, deleted = NOW + 3_600, delete(state, handle.name, "project", NOW)[0]
    for where, name, owner, now in [
        (state, handle.name, "project", expired),
        (deleted, handle.name, "project", NOW),
        (state, handle.name, "another", NOW),
        (state, "cachedContents/never", "project", NOW),
    ]:
        assert error_of(use(where, name, FLASH, owner, now, tokens=1)) == (403, "PERMISSION_DENIED", GONE)
        assert error_of(get(where, name, owner, now)) == (403, "PERMISSION_DENIED", GONE)
        assert error_of(update(where, name, owner, now, ttl=NANO)[1]) == (403, "PERMISSION_DENIED", GONE)
        assert error_of(delete(where, name, owner, now)[1]) == (403, "PERMISSION_DENIED", GONE)
    assert use(state, handle.name, FLASH, "project", expired - 0.001, tokens=1).read == 7_021


def test_e3_a_handle_belongs_to_a_project_and_location():
    asked = wanted(owner="projects/p/locations/europe-west4", parent="projects/p/locations/europe-west4/")
    state, handle = made(asked)
    assert handle.name.startswith("projects/p/locations/europe-west4/cachedContents/")
    assert use(state, handle.name, FLASH, asked.owner, NOW, tokens=1).read == 7_021
    assert error_of(use(state, handle.name, FLASH, "projects/p/locations/us-east5", NOW, tokens=1))[0] == 403


def test_e4_e13_contents_sent_once_more_count_twice():
    state, handle = made()
    outcome = use(state, handle.name, FLASH, "project", NOW, tokens=15)
    assert (outcome.total, outcome.read, outcome.fresh) == (7_036, 7_021, 15)
    again = use(state, handle.name, FLASH, "project", NOW, tokens=6_948 + 15)
    assert (again.total, again.read, again.fresh) == (13_984, 7_021, 6_963)


def test_e5_only_the_end_can_be_moved_and_reads_do_not_move_it():
    state, handle = made()
    for moment in range(10):
        use(state, handle.name, FLASH, "project", NOW + moment, tokens=1)
    assert get(state, handle.name, "project", NOW + 10) == handle
    state, moved = update(state, handle.name, "project", NOW + 60, ttl=7_200 * NANO)
    assert moved.expires == nanoseconds(NOW + 60 + 7_200)
    assert moved.updated == nanoseconds(NOW + 60)
    assert replace(moved, expires=handle.expires, updated=handle.updated) == handle
    state, moved = update(state, handle.name, "project", NOW + 61, expires=nanoseconds(NOW + 100))
    assert moved.expires == nanoseconds(NOW + 100)
    assert isinstance(get(state, handle.name, "project", NOW + 100), Refusal)
    assert error_of(update(state, handle.name, "project", NOW + 62, ttl=0)[1])[0] == 400


def test_e6_storage_is_charged_for_the_time_it_really_stood():
    state, handle = made(wanted(1_000_000, ttl=duration("86400s")))
    dollar = 1_000_000  # pico-dollars per token: one dollar per million tokens and hour
    assert storage_rent(handle.tokens, dollar, handle.held(NOW + 3_600)) == Fraction(10**12)
    state, _ = delete(state, handle.name, "project", NOW + 900)
    ended = state.held[handle.name]
    assert storage_rent(ended.tokens, dollar, ended.held(NOW + 86_400)) == Fraction(10**12, 4)
    assert state.token_hours(NOW + 86_400) == 250_000
    rule = find("google", FLASH, mode="explicit")
    assert rule is not None
    assert rule.write == {"": 1.0}


def test_e6_an_expired_handle_costs_no_more():
    _, handle = made(wanted(ttl=duration("60s")))
    assert handle.held(NOW + 30) == 30
    assert handle.held(NOW + 3_600) == 60
    assert handle.held(NOW - 5) == 0


def test_e7_the_prompt_includes_what_is_cached():
    state, handle = made(wanted(2_000))
    outcome = use(state, handle.name, FLASH, "project", NOW, tokens=100)
    assert outcome.total == outcome.read + outcome.fresh == 2_100
    assert outcome.guaranteed
    assert not outcome.written


def test_e8_a_handle_is_bound_to_its_model():
    state, handle = made()
    status, kind, text = error_of(use(state, handle.name, "gemini-2.5-pro", "project", NOW, tokens=1))
    assert (status, kind) == (400, "INVALID_ARGUMENT")
    assert "models/gemini-2.5-pro" in text
    assert "models/gemini-2.5-flash" in text


def test_e9_without_a_life_it_lives_about_an_hour():
    _, handle = made(now=NOW + 0.123456789, lag=0.415)
    life = (handle.expires - handle.created) / NANO
    assert life != 3_600
    assert life == pytest.approx(3_599.585)
    text = rfc3339(handle.expires)
    assert instant(text) == handle.expires


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-09-21T14:13:20.123456789Z", 1_790_000_000_123_456_789),
        ("2026-09-21T14:13:20.1Z", 1_790_000_000_100_000_000),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000_000_000_000),
        ("1969-12-31T23:59:59.500Z", -500_000_000),
        ("2026-09-21T14:13:20", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-09-21T14:13:20.１Z", None),
        ("soon", None),
    ],
)
def test_e9_moments_have_nanoseconds(text, expected):
    assert instant(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3600s", 3_600 * NANO), ("1.5s", 1_500_000_000), ("-1s", -NANO), ("0.000000001s", 1), ("1h", None), ("s", None)],
)
def test_e9_lives_are_seconds(text, expected):
    assert duration(text) == expected


@given(st.integers(0, 4_000_000_000 * NANO))
def test_e9_moments_come_back_as_they_went(moment):
    text = rfc3339(moment)
    assert instant(text) == moment
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(moment // NANO, UTC).replace(
        microsecond=moment % NANO // 1_000
    )


def test_e10_nothing_is_kept_of_what_was_cached():
    assert {field.name for field in fields(Handle)} == {
        *("name", "model", "owner", "tokens", "created", "updated", "expires", "deleted", "display_name"),
        "tool_config",  # acted on, and told to nobody
    }


def test_e11_how_tools_are_to_be_used_may_stand_in_it():
    never = {"functionCallingConfig": {"mode": "NONE"}}
    _, handle = made(wanted(tool_config=never))
    assert handle.tool_config == never


def test_e12_after_the_last_one_is_deleted_the_list_is_empty():
    state, handle = made()
    assert pages(state, "project", NOW) == ([handle], "")
    assert pages(state, "another", NOW) == ([], "")
    state, refused = delete(state, handle.name, "project", NOW)
    assert refused is None
    assert pages(state, "project", NOW) == ([], "")


def test_e12_the_list_has_pages():
    state = Handles()
    for number in range(2_005):
        state, _ = made(wanted(ttl=(1 if number < 4 else 100) * NANO), state=state)
    seen, token, sizes = [], "", []
    while True:
        page, token = pages(state, "project", NOW + 1, size=5_000, token=token)
        seen += page
        sizes.append(len(page))
        if not token:
            break
    assert sizes == [1_000, 1_000, 1]
    assert len({handle.name for handle in seen}) == 2_001
    assert all(handle.alive(NOW + 1) for handle in seen)


def test_e14_contents_that_end_with_the_model_are_refused():
    _, refused = made(wanted(last="model"))
    assert error_of(refused) == (400, "INVALID_ARGUMENT", "Requests ending with a model turn are not supported")
    assert isinstance(made(wanted(last="user"))[1], Handle)


@pytest.mark.parametrize("platform", ["google", "vertex"])
def test_e15_argon_has_implicit_caching_only(platform):
    rule = find(platform, "gemini-4-argon", mode="explicit")
    assert rule is None
    state, refused = create(Handles(), wanted(model="gemini-4-argon"), rule, NOW)
    assert isinstance(refused, Refusal)
    assert not state.held
    implicit = find(platform, "gemini-4-argon", mode="implicit")
    assert implicit is not None
    assert implicit.match == "prefix"


def test_more_handles_than_the_quota_allows_within_a_minute_are_429():
    state = Handles(quota=2)
    state, _ = made(state=state)
    state, _ = made(state=state, now=NOW + 1)
    same, refused = made(state=state, now=NOW + 2)
    assert error_of(refused)[:2] == (429, "RESOURCE_EXHAUSTED")
    assert same == state
    assert isinstance(made(wanted(owner="another"), state=state, now=NOW + 2)[1], Handle)
    assert isinstance(made(state=state, now=NOW + 60.001)[1], Handle)


def test_what_ended_long_ago_is_forgotten(monkeypatch):
    monkeypatch.setattr("ctxkit.caching.simulator.handles._REMEMBERED", 3)
    state = Handles()
    for moment in range(6):
        state, last = made(wanted(ttl=NANO), now=NOW + 2 * moment, state=state)
    assert len(state.held) == 3
    assert last.name in state.held
