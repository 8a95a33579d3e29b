"""The door of boto3: botocore's documented events on a ``bedrock-runtime`` client.

``provide-client-params`` comes once per call, before validation and signing, with the parameters as the caller gave
them; the retries of botocore happen inside and are one attempt here. ``after-call`` brings the parsed answer, and
``after-call-error`` says that there is none. The attempt travels in botocore's own ``context`` of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxkit import dialects
from ctxkit.dialects import wire
from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations import reusing
from ctxkit.integrations.bedrock_answers import Asker, answered, copy
from ctxkit.integrations.bedrock_bodies import read_events, read_through
from ctxkit.integrations.exchange import Exchange, guard
from ctxkit.integrations.nesting import is_nested

if TYPE_CHECKING:
    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan
    from ctxkit.reuse import Lead

__all__ = ["wrap"]

_CONVERSE = ("Converse", "ConverseStream")
_INVOKE = ("InvokeModel", "InvokeModelWithResponseStream")
_UNREAD = {"StartAsyncInvoke": "async invoke", "InvokeModelWithBidirectionalStream": "bidirectional stream"}


def wrap(client: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """The same ``bedrock-runtime`` client, metered; doing it twice changes nothing.

    Raises:
        UnsupportedClientError: a client of another service.
    """
    service = client.meta.service_model.service_name
    if service != "bedrock-runtime":
        raise UnsupportedClientError(f"a boto3 client for {service!r} calls no model; wrap 'bedrock-runtime'")
    door = _Door(kit, platform or "bedrock", client)
    register = client.meta.events.register
    for operation in (*_CONVERSE, *_INVOKE):
        for event, handler in (
            ("provide-client-params", door.ask),
            ("after-call", door.answered),
            ("after-call-error", door.failed),
        ):
            name = f"{event}.bedrock-runtime.{operation}"
            register(name, handler, unique_id=f"ctxkit-{id(kit):x}-{event}-{operation}")
    for operation in _CONVERSE if kit.policy.answers is not None else ():
        name = f"before-call.bedrock-runtime.{operation}"
        register(name, door.answer, unique_id=f"ctxkit-{id(kit):x}-before-call-{operation}")
    for operation in _UNREAD:
        name = f"provide-client-params.bedrock-runtime.{operation}"
        register(name, door.unread, unique_id=f"ctxkit-{id(kit):x}-unread-{operation}")
    return client


class _Door:
    """The handlers of one client and one kit."""

    __slots__ = ("_asker", "_key", "_kit", "_platform", "_region")

    def __init__(self, kit: Kit, platform: str, client: Any) -> None:
        self._kit = kit
        self._platform = platform
        self._region = client.meta.region_name
        self._asker = Asker(client)
        self._key = f"ctxkit.{id(kit):x}"

    def ask(self, params: Mapping[str, Any], model: Any, context: dict[str, Any], **_: Any) -> Mapping[str, Any] | None:
        """Plan the call; gives new parameters when the plan changed the body, else ``None``."""
        with guard(self._kit, "door: request"):
            if is_nested():
                return None
            read = _converse if model.name in _CONVERSE else _invoke
            dialect, body, put = read(params)
            if dialect is None:
                self._kit.unmetered(self._platform, "bedrock.invoke")
                return None
            plan = self._kit.plan(
                body,
                dialect=dialect,
                platform=self._platform,
                model=params.get("modelId"),
                stream="Stream" in model.name,
                region=self._region,
            )
            answer, lead = self._found(plan, model)
            if answer is not None:
                context[self._key] = answer
                return None
            with reusing.led(lead):
                plan = self._kit.hold(plan)
                exchange = context[self._key] = Exchange(self._kit, plan, lead=lead)
                exchange.sent()
            return None if plan.body is body else put(plan.body)
        return None

    def _found(self, plan: Plan, model: Any) -> tuple[Any, Lead | None]:
        if self._kit.policy.answers is None or model.name not in _CONVERSE:
            return None, None
        origin, made = partial(self._asker.origin, model.name), partial(answered, model=model)
        return reusing.find(self._kit, plan, origin, made, self._asker.patience)

    def answer(self, context: dict[str, Any], **_: Any) -> Any:
        """The answer that was found, in place of sending; botocore goes on as if it had come."""
        return None if isinstance(context.get(self._key), Exchange) else context.pop(self._key, None)

    def answered(self, http_response: Any, parsed: Any, model: Any, context: Mapping[str, Any], **_: Any) -> None:
        """Read the answer, or begin to read its stream."""
        with guard(self._kit, "door: response"):
            exchange = context.get(self._key)
            if not isinstance(exchange, Exchange):
                return
            exchange.status = http_response.status_code
            if http_response.status_code >= 300 or exchange.plan.unmetered:
                exchange.settle()
            else:
                if model.name in _CONVERSE and exchange.leads:
                    copy(exchange, http_response, parsed)
                _READERS[model.name](exchange, parsed)

    def failed(self, context: Mapping[str, Any], **_: Any) -> None:
        """No answer came."""
        with guard(self._kit, "door: response"):
            exchange = context.get(self._key)
            if isinstance(exchange, Exchange):
                exchange.settle(ended=False)

    def unread(self, model: Any, **_: Any) -> None:
        """A model call that is not read."""
        with guard(self._kit, "door: request"):
            self._kit.unmetered(self._platform, _UNREAD[model.name])


_Put = Callable[["Json"], Mapping[str, Any]]


def _converse(params: Mapping[str, Any]) -> tuple[str | None, Json, _Put]:
    return "bedrock.converse", params, lambda body: body


def _invoke(params: Mapping[str, Any]) -> tuple[str | None, Json, _Put]:
    body = params.get("body")
    try:
        found = wire.loads(bytes(body) if isinstance(body, bytearray) else body)  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a file, which only one can read; or no JSON
        return None, None, lambda _: params
    return "bedrock.invoke", found, lambda changed: {**params, "body": wire.dumps(changed)}


def _whole(exchange: Exchange, parsed: Any) -> None:
    exchange.knows(parsed)
    exchange.settle()


def _body(exchange: Exchange, parsed: Any) -> None:
    read_through(parsed, "body", exchange)


def _stream_of(key: str) -> Callable[[Exchange, Any], None]:
    def read(exchange: Exchange, parsed: Any) -> None:
        dialect = dialects.get(exchange.plan.dialect)
        if dialect is not None and key in parsed:
            parsed[key] = read_events(parsed[key], exchange, dialect.stream(exchange.plan.platform))

    return read


_READERS: Mapping[str, Callable[[Exchange, Any], None]] = {
    "Converse": _whole,
    "ConverseStream": _stream_of("stream"),
    "InvokeModel": _body,
    "InvokeModelWithResponseStream": _stream_of("body"),
}
