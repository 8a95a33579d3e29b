"""What a caller of an SDK is, and what came of a call."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tests.replay.recordings import Exchange

Wrap = Callable[[Any], Any]
"""``kit.wrap``, or nothing at all."""


class Outcome(NamedTuple):
    """What the application got, as plain values; two equal calls have equal outcomes."""

    answer: Any
    chunks: tuple[Any, ...] = ()
    error: str = ""


class Caller(NamedTuple):
    """Ways to send one body, the best first: ``typed`` and ``generic``."""

    ways: Mapping[str, Callable[[Exchange], Any]]
    close: Callable[[], None]


def outcome(call: Callable[[Exchange], Any], exchange: Exchange) -> Outcome:
    """Make the call and take in everything that it gives."""
    chunks: list[Any] = []
    answer = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # models that are retired, enum values the SDK does not know
        try:
            answer = call(exchange)
            if inspect.isgenerator(answer):
                chunks.extend(map(plain, answer))
                answer = None
        except Exception as error:
            return Outcome(None, tuple(chunks), f"{type(error).__module__}.{type(error).__name__}: {error}")
    return Outcome(plain(answer), tuple(chunks))


def plain(value: Any) -> Any:
    """An SDK's object as JSON-like values."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(warnings=False))
    if isinstance(value, Mapping):
        # Request ids, dates and the like differ from call to call, by nature.
        return {name: plain(item) for name, item in value.items() if name != "date"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def parted(method: Any, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that a method names, and the others."""
    names = inspect.signature(method).parameters
    known = {name: value for name, value in body.items() if name in names and name != "extra_body"}
    return known, {name: value for name, value in body.items() if name not in known}


def base_of(exchange: Exchange, ending: str) -> str:
    """The base URL of an SDK whose path ends like that."""
    return re.sub(ending + "$", "", exchange.url)
