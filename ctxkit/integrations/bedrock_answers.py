"""Answers of Bedrock that are handed out again: read by botocore's own parser, as if they had just come.

Source: botocore 1.44.5, ``endpoint.convert_to_response_dict`` and ``Endpoint._get_response``, read 2026-11-21.
"""

from __future__ import annotations

import importlib
import uuid
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from ctxkit.integrations.delegating import Delegate
from ctxkit.reuse import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.integrations.exchange import Exchange
    from ctxkit.model import Json
    from ctxkit.reuse import Reused

__all__ = ["Asker", "answered", "copy"]


class Asker:
    """Who asks through one client.

    Credentials that are renewed say another name each time; they, and those that cannot be seen, are told apart by the
    client that has them.

    Args:
        client: held weakly.
    """

    __slots__ = ("_alone", "_client")

    def __init__(self, client: Any) -> None:
        self._client = weakref.ref(client)
        self._alone = uuid.uuid4().hex

    def origin(self, operation: str) -> Origin:
        """What decides on an answer beside the parameters of the call."""
        client = self._client()
        if client is None:
            return Origin(operation, extra=object())
        who: Json = {"region": client.meta.region_name, "credentials": self._credentials(client)}
        return Origin(f"{client.meta.endpoint_url}/{operation}", extra=who)

    @property
    def patience(self) -> float | None:
        """Seconds for which the client waits for an answer."""
        return getattr(getattr(getattr(self._client(), "meta", None), "config", None), "read_timeout", None)

    def _credentials(self, client: Any) -> Json:
        signer = getattr(client, "_request_signer", None)
        found: Any = getattr(signer, "_credentials", None)
        fixed = type(found).__name__ == "Credentials"  # and none of its kin, which are renewed
        if not fixed or getattr(signer, "_auth_token", None) is not None:
            return self._alone
        return [found.access_key, found.secret_key, found.token]


def answered(found: Reused, model: Any) -> tuple[Any, dict[str, Any]]:
    """A response and what is read from it, as a handler of ``before-call`` may give them.

    Args:
        found: the answer.
        model: botocore's of the operation.
    """
    awsrequest, parsers = importlib.import_module("botocore.awsrequest"), importlib.import_module("botocore.parsers")
    raw = _Raw(found.events)
    http = awsrequest.AWSResponse("", found.status, awsrequest.HeadersDict(found.headers), raw)
    service = model.service_model
    parser = parsers.create_parser(getattr(service, "resolved_protocol", None) or service.metadata["protocol"])
    told = {
        "headers": http.headers,
        "status_code": http.status_code,
        "context": {"operation_name": model.name},
        "body": raw if model.has_event_stream_output else http.content,
    }
    parsed: dict[str, Any] = parser.parse(told, model.output_shape)
    parsed["ResponseMetadata"]["RetryAttempts"] = 0
    return http, parsed


class _Raw:
    """Bytes that are there, read as urllib3's response is."""

    def __init__(self, events: tuple[bytes, ...]) -> None:
        self._left = deque(events)

    def stream(self, *_amount: Any, **_options: Any) -> Iterator[bytes]:
        while self._left:
            yield self._left.popleft()

    def close(self) -> None:
        self._left.clear()


def copy(exchange: Exchange, http_response: Any, parsed: Mapping[str, Any]) -> None:
    """Have the bytes of an answer copied, now or as they pass.

    An ``EventStream`` stays the same object; the raw one that it keeps stands in a private attribute (since 2018).
    Without it the answer is not kept.
    """
    exchange.headers = http_response.headers
    events: Any = parsed.get("stream")
    if hasattr(events, "_raw_stream"):
        events._raw_stream = _Copied(events._raw_stream, exchange)  # noqa: SLF001 - see above
    elif events is None and getattr(http_response, "raw", None) is not None:
        exchange.passed(http_response.content)
    else:  # put in by somebody else, botocore's Stubber for one
        exchange.let_go()


class _Copied(Delegate):
    """Stands before the raw stream of an ``EventStream``, and copies what passes."""

    def stream(self, *amount: Any, **options: Any) -> Iterator[bytes]:
        for chunk in self._ctxkit_original.stream(*amount, **options):
            self._ctxkit_exchange.passed(chunk)
            yield chunk
