"""The replay can fail: what it is there to notice, it notices. On hand-written exchanges."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctxkit.kit import Kit
from tests.replay.recordings import Exchange
from tests.replay.replaying import replay

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def told(usage: dict[str, Any]) -> str:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    said = {**head, "choices": [{"index": 0, "delta": {"content": "Hi\u2028!"}, "finish_reason": "stop"}]}
    return (
        f"data: {json.dumps(said)}\n\ndata: {json.dumps({**head, 'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"
    )


EXCHANGE = Exchange("1", "openai", "http://api.openai.com/v1/chat/completions", True, REQUEST, told(USAGE), USAGE)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    pytest.importorskip("openai")
    made = Kit(store=None, ledger=tmp_path / "ledger.db", strict=True)
    yield made
    made.close()


def test_a_row_that_equals_is_equal(kit: Kit) -> None:
    tally = replay("openai.chat stream", [EXCHANGE] * 3, kit)
    assert (tally.replayed, tally.equal, tally.faults, tally.ways) == (3, 3, {}, {"typed": 3})


@pytest.mark.parametrize(
    "figures", [{"prompt_tokens": 13}, {"completion_tokens": 4}, {"prompt_tokens_details": {"cached_tokens": 5}}]
)
def test_a_row_that_differs_is_seen(kit: Kit, figures: dict[str, Any]) -> None:
    # The figures stand in the body as well, so that nothing excuses the row.
    wrong = dataclasses.replace(EXCHANGE, usage={**USAGE, **figures}, body=": 4 5 13\n\n" + told(USAGE))
    tally = replay("openai.chat stream", [wrong], kit)
    assert list(tally.faults) == ["the row differs"]


def test_a_client_that_goes_unmetered_is_seen(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Kit, "wrap", lambda self, client: client)
    assert list(replay("openai.chat stream", [EXCHANGE], kit).faults) == ["not one row"]


def test_a_request_that_changes_is_seen(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    metered = Kit.wrap

    def wrap(self: Kit, client: Any) -> Any:
        return metered(self, client).with_options(default_headers={"x-added": "yes"})

    monkeypatch.setattr(Kit, "wrap", wrap)
    faults = replay("openai.chat stream", [EXCHANGE], kit).faults
    assert list(faults) == ["the request changed"]
    assert "x-added None -> 'yes'" in faults["the request changed"][0]


def test_an_answer_that_changes_is_seen(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    metered = Kit.wrap

    def wrap(self: Kit, client: Any) -> Any:
        create = client.chat.completions.create
        made = metered(self, client)
        monkeypatch.setattr(made.chat.completions, "create", _shortened(create))
        return made

    monkeypatch.setattr(Kit, "wrap", wrap)
    assert "the caller got something else" in replay("openai.chat stream", [EXCHANGE], kit).faults


def _shortened(create: Any) -> Any:
    """Swallows the first chunk."""

    @functools.wraps(create)
    def shorter(**parameters: Any) -> Any:
        stream = create(**parameters)
        next(stream)
        return stream

    return shorter
