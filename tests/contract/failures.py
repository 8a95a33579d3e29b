"""All that can go wrong between a program and its provider: it must look the same behind ``ctxkit run``."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from ctxkit.testing import FakeProvider
from tests.contract.raw import reset, upstream
from tests.contract.running import alone, metered, surroundings
from tests.contract.shared import TOKENS

SAME = {
    "ConnectError": "RemoteProtocolError",  # refused there; here the connection closes without an answer
    "ReadError": "RemoteProtocolError",  # reset there, closed here
}
"""What google-genai raises is its HTTP client's own error, which tells these apart; a failed connection they all are."""


@contextmanager
def failing() -> Iterator[tuple[dict[str, str], Mapping[str, FakeProvider]]]:
    """Upstreams by name, each of which fails in its own way."""
    with ExitStack() as stack:
        refused = {f"STATUS_{status}_UPSTREAM": status for status in (400, 401, 429, 500, 529)}
        fakes = {
            name: stack.enter_context(FakeProvider(status=status, retry_after=0.01)) for name, status in refused.items()
        }
        fakes["CUT_UPSTREAM"] = stack.enter_context(FakeProvider(fault="cut", tokens=TOKENS))
        fakes["SLOW_UPSTREAM"] = stack.enter_context(FakeProvider(delay=20))
        closed = stack.enter_context(upstream(lambda connection, _request: connection.close()))
        broken = stack.enter_context(upstream(lambda connection, _request: reset(connection)))
        urls = {name: fake.base_url for name, fake in fakes.items()}
        urls |= {"CLOSED_UPSTREAM": closed.url, "RESET_UPSTREAM": broken.url, "NOBODY_UPSTREAM": _nobody()}
        yield urls, fakes


def _nobody() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


def fail_alike(words: Sequence[str], **environment: str) -> None:
    """Run a program that meets every failure, with and without: errors and numbers of retries are the same."""
    with failing() as (urls, fakes):
        before = alone(words, surroundings(**urls, **environment))
        asked = {name: len(fake.requests) for name, fake in fakes.items()}
        for fake in fakes.values():
            fake.clear()
        options = [word for name, url in urls.items() for word in ("--upstream", f"{name}={url}")]
        after = metered(words, surroundings(**environment), "--quiet", *options)
        asked_through = {name: len(fake.requests) for name, fake in fakes.items()}
    assert (before.code, after.code) == (0, 0), before.err + after.err
    for name, told in before.told.items():
        expected = {call: SAME.get(error, error) for call, error in told.items()}
        found = {call: SAME.get(error, error) for call, error in after.told[name].items()}
        assert found == expected, f"{name}: {found} is not {expected}"
        assert "answered" not in told.values(), name
    for name in asked.keys() - {"SLOW_UPSTREAM"}:  # how many came before they were given up is a matter of chance
        assert asked_through[name] == asked[name], f"{name}: {asked_through[name]} requests, {asked[name]} without"
