"""Answers of LiteLLM that are handed out again, as the objects that it would make of them.

They are kept in the form of OpenAI's wire, which is what LiteLLM's own objects dump: a ``ModelResponse`` as JSON, the
chunks of a stream as server-sent events. Read from litellm 1.106.2, 2026-11-21.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from typing import TYPE_CHECKING, Any, Self

from ctxkit.dialects import wire
from ctxkit.reuse import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ctxkit.integrations.exchange import Exchange
    from ctxkit.model import Json
    from ctxkit.reuse import Reused

__all__ = ["Asker", "copier", "copy", "handed_out", "patience_of"]

_END = b"data: [DONE]\n\n"
_CREDENTIAL = re.compile(
    r"(?:^|_)(?:key|key_id|token|token_file|secret|secrets|credential|credentials|password|api_base|base|base_url|endpoint|url"
    r"|org|org_id|organization|project|project_id|region|region_name|location|profile|role|role_arn|role_name|account"
    r"|account_id|tenant|tenant_id|client_id|api_version)$",
    re.IGNORECASE,
)
"""Names of settings, and of variables of the environment, that may say who asks, and where."""

_MORE = ("drop_params", "modify_params", "model_alias_map", "headers")
"""Settings that decide on what is sent."""

_ANONYMOUS = frozenset(
    {"bedrock", "vertex", "sagemaker", "sagemaker_chat", "watsonx", "oci", "snowflake", "databricks"}
)
"""Platforms whose credentials need no setting, argument or variable: who asks them is told by the process."""

_IDLE = frozenset({"timeout", "request_timeout", "stream_timeout", "num_retries", "max_retries", "litellm_call_id"})
"""Arguments that say how a request travels."""


class Asker:
    """Who asks through LiteLLM: by the arguments of a call, by its settings, and by the environment."""

    __slots__ = ("_alone", "_names")

    def __init__(self) -> None:
        self._alone = uuid.uuid4().hex
        self._names: list[str] = []

    def origin(self, given: Mapping[str, Any], asked: Collection[str], platform: str, router: Json) -> Origin:
        """What decides on an answer beside the body.

        Args:
            given: all arguments of the call, by name.
            asked: names of those that stand in the body.
            platform: who will answer.
            router: the deployments that may, where LiteLLM chooses one.
        """
        more = {name: value for name, value in given.items() if name not in asked and name not in _IDLE}
        who: Json = {
            "arguments": {name: value for name, value in more.items() if value is not None},
            "settings": self._settings(),
            "environment": {name: value for name, value in os.environ.items() if _CREDENTIAL.search(name)},
            "alone": self._alone if platform in _ANONYMOUS else "",
            "router": router,
        }
        return Origin("litellm:completion", extra=who)

    def _settings(self) -> Json:
        module = vars(sys.modules["litellm"])
        if not self._names:
            self._names = [name for name in module if name in _MORE or (_CREDENTIAL.search(name) and name.islower())]
        found = ((name, module.get(name)) for name in self._names)
        return {name: value for name, value in found if value.__class__ in (str, dict, bool)}


def patience_of(given: Mapping[str, Any]) -> float | None:
    """Seconds for which a call says that it waits; ``None``: it says nothing of it."""
    timeout = given.get("timeout")
    return float(timeout) if isinstance(timeout, int | float) else None


def copy(exchange: Exchange, response: Any) -> None:
    """Hand a ``ModelResponse`` over to be kept."""
    exchange.headers = {"content-type": "application/json"}
    exchange.passed(wire.dumps(response.model_dump(mode="json")))


def copier(exchange: Exchange) -> Callable[[Any], None]:
    """Takes the chunks of a stream as they pass, and ``None`` at its end."""
    exchange.headers = {"content-type": "text/event-stream"}

    def copied(chunk: Any) -> None:
        data = _END if chunk is None else b"data: %b\n\n" % wire.dumps(chunk.model_dump(mode="json"))
        exchange.passed(data)

    return copied


def handed_out(found: Reused) -> Any:
    """A ``ModelResponse``, or what stands for a ``CustomStreamWrapper``."""
    litellm = sys.modules["litellm"]
    if found.headers.get("content-type") == "text/event-stream":
        events = [event.removeprefix(b"data: ") for event in found.events if event != _END]
        return _Stream(litellm.CustomStreamWrapper, [_made(litellm.ModelResponseStream, event) for event in events])
    return _made(litellm.ModelResponse, found.body)


def _made(kind: Any, data: bytes) -> Any:
    made = kind(**wire.loads(data))
    made._hidden_params = {"cache_hit": True, "response_cost": 0.0}  # noqa: SLF001 - as LiteLLM says it of its own cache
    return made


class _Stream:
    """Chunks that are there, for loops of both kinds."""

    def __init__(self, kind: type, chunks: list[Any]) -> None:
        self._ctxkit_kind = kind
        self._ctxkit_left = iter(chunks)
        self.chunks = chunks
        self._hidden_params = {"cache_hit": True, "response_cost": 0.0}

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """LiteLLM's, for ``isinstance``."""
        return self._ctxkit_kind

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._ctxkit_left)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for chunk in self._ctxkit_left:
            return chunk
        raise StopAsyncIteration

    def close(self) -> None:
        """Give no more."""
        self._ctxkit_left = iter(())

    async def aclose(self) -> None:
        """Give no more."""
        self.close()
