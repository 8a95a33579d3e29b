"""The door of LiteLLM: its functions come back wrapped; nothing inside the module is replaced.

One wrapped call is one attempt: LiteLLM's own retries and fallbacks happen inside. What goes in has OpenAI's shape
whatever the provider is, and so has what comes out, with usage as LiteLLM normalised it: ``litellm_usage`` reads it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ctxkit.dialects.platforms import UNKNOWN, platform_of
from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations import reusing, usage_probe
from ctxkit.integrations.delegating import StandIn
from ctxkit.integrations.exchange import Exchange, guard
from ctxkit.integrations.litellm_answers import Asker, copier, copy, handed_out, patience_of
from ctxkit.integrations.litellm_usage import Chunks, answer_of
from ctxkit.integrations.nesting import is_nested, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.kit import Kit
    from ctxkit.model import Json, Plan
    from ctxkit.reuse import Origin

__all__ = ["wrap"]

_NAMES = frozenset({"completion", "acompletion"})
_PLATFORMS = {
    "vertex_ai": "vertex",
    "vertex_ai_beta": "vertex",
    "gemini": "google",
    "bedrock_converse": "bedrock",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "dashscope": "qwen",
    "azure_ai": "azure",
    "hosted_vllm": "vllm",
    "ollama_chat": "ollama",
    "lm_studio": "lmstudio",
    "nvidia_nim": "nvidia",
    "text-completion-openai": "openai",
    "custom_openai": "openai",
}
"""LiteLLM's names of providers, where ours differ."""

_BY_HOST = frozenset({"openai", "text-completion-openai", "custom_openai"})
"""Providers whose prefix only says which wire is spoken; with an ``api_base`` the host says who serves it."""

_REPORT_ALWAYS = frozenset({"anthropic", "bedrock", "google", "vertex", "cohere"})
"""Platforms whose own streams carry usage; LiteLLM keeps it whether it was asked for or not."""

_WIRE = frozenset(
    {
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
"""Arguments that travel; the others (keys, callbacks, timeouts) are LiteLLM's own."""


def wrap(function: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """``litellm.completion`` or ``litellm.acompletion`` (of a ``Router`` too), metered.

    Raises:
        UnsupportedClientError: another function.
    """
    if getattr(function, "_ctxkit", None) is kit:
        return function
    name = getattr(function, "__name__", "")
    if name not in _NAMES:
        raise UnsupportedClientError(
            f"of LiteLLM, wrap takes completion and acompletion, not {name or function!r}; "
            "for the rest use kit.plan, kit.sent and kit.settle"
        )
    door = _Door(kit, function, platform)
    wrapped = door.awaited(function) if inspect.iscoroutinefunction(function) else door.called(function)
    wrapped._ctxkit = kit  # noqa: SLF001 - ours
    return wrapped


class _Target(NamedTuple):
    """Who will answer, as far as LiteLLM's own rules say."""

    platform: str
    model: str


class _Door:
    """The two wrappers of one function."""

    def __init__(self, kit: Kit, function: Callable[..., Any], platform: str | None) -> None:
        self._kit = kit
        self._platform = platform
        self._names = [name for name in inspect.signature(function).parameters if name != "kwargs"]
        self._router = getattr(function, "__self__", None)
        self._asker = None if kit.policy.answers is None else Asker()

    def called(self, function: Callable[..., Any]) -> Any:
        """The wrapper of a function."""

        @functools.wraps(function)
        def completion(*args: Any, **kwargs: Any) -> Any:
            answer = exchange = None
            with guard(self._kit, "door: request"):
                answer, exchange = self._leaves(args, kwargs)
            if answer is not None:
                return answer
            if exchange is None:
                return function(*args, **kwargs)
            args, kwargs = self._arguments(args, kwargs, exchange)
            try:
                with nested():
                    response = function(*args, **kwargs)
            except BaseException as error:
                exchange.status = _status_of(error)
                exchange.settle(ended=False)
                raise
            return self._taken(response, exchange)

        return completion

    def awaited(self, function: Callable[..., Any]) -> Any:
        """The wrapper of a coroutine function."""

        @functools.wraps(function)
        async def acompletion(*args: Any, **kwargs: Any) -> Any:
            answer = exchange = None
            with guard(self._kit, "door: request"):
                answer, exchange = await self._aleaves(args, kwargs)
            if answer is not None:
                return answer
            if exchange is None:
                return await function(*args, **kwargs)
            args, kwargs = self._arguments(args, kwargs, exchange)
            try:
                with nested():
                    response = await function(*args, **kwargs)
            except BaseException as error:
                exchange.status = _status_of(error)
                await exchange.asettle(ended=False)
                raise
            taken = self._seen(response, exchange)
            if taken is response:
                await exchange.asettle()
            return taken

        return acompletion

    def _leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Exchange | None]:
        """The answer, where it is there already; or the call that leaves now; neither inside an outer door."""
        asked, lead = self._asked(args, kwargs), None
        if asked is None:
            return None, None
        plan = self._kit.plan(asked, **self._options(asked, kwargs))
        if self._asker is not None:
            origin = partial(self._origin, self._asker, plan, args, kwargs)
            answer, lead = reusing.find(self._kit, plan, origin, handed_out, patience_of(kwargs))
            if answer is not None:
                return answer, None
        with reusing.led(lead):
            plan = self._kit.hold(plan)
            exchange = Exchange(self._kit, plan, adds_usage=self._probes(plan), lead=lead)
            exchange.sent()
        return None, exchange

    async def _aleaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Exchange | None]:
        """``_leaves`` for event loops."""
        asked, lead = self._asked(args, kwargs), None
        if asked is None:
            return None, None
        plan = await self._kit.aplan(asked, **self._options(asked, kwargs))
        if self._asker is not None:
            origin = partial(self._origin, self._asker, plan, args, kwargs)
            answer, lead = await reusing.afind(self._kit, plan, origin, handed_out, patience_of(kwargs))
            if answer is not None:
                return answer, None
        with reusing.led(lead):
            plan = await self._kit.ahold(plan)
            exchange = Exchange(self._kit, plan, adds_usage=self._probes(plan), lead=lead)
            await exchange.asent()
        return None, exchange

    def _taken(self, response: Any, exchange: Exchange) -> Any:
        taken = self._seen(response, exchange)
        if taken is response:
            exchange.settle()
        return taken

    def _seen(self, response: Any, exchange: Exchange) -> Any:
        """The answer itself, read; or, for a stream, what stands in for it."""
        exchange.status = 200
        with guard(self._kit, "door: response"):
            if hasattr(response, "choices"):
                exchange.knows(answer_of(response))
                if exchange.leads:
                    copy(exchange, response)
            elif hasattr(response, "__next__") or hasattr(response, "__anext__"):
                copying = copier(exchange) if exchange.leads else None
                return StandIn(response, exchange, Chunks(response, hide_usage=exchange.adds_usage, copy=copying))
        return response

    def _asked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Json:
        """The call as an OpenAI-shaped body, or ``None`` inside an outer door."""
        if is_nested():
            return None
        given = self._given(args, kwargs)
        body = {key: value for key, value in given.items() if key in _WIRE and value is not None}
        messages = body.get("messages")
        if isinstance(messages, list):
            body["messages"] = [_plain(message) for message in messages]
        if not isinstance(body.get("response_format"), dict):  # a pydantic class, which LiteLLM makes a schema of
            body.pop("response_format", None)
        return body

    def _given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        return {**dict(zip(self._names, args, strict=False)), **kwargs}

    def _origin(self, asker: Asker, plan: Plan, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Origin:
        body, given = plan.body if plan.original is None else plan.original, self._given(args, kwargs)
        router: Json = None
        if self._router is not None:
            router = [one.get("litellm_params") for one in _deployments(self._router, str(body.get("model") or ""))]
        return asker.origin(given, body, plan.platform, router)

    def _options(self, body: Mapping[str, Json], kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
        target = self._target(str(body.get("model") or ""), kwargs)
        return {
            "dialect": "openai.chat",
            "platform": self._platform or target.platform,
            "model": target.model,
            "stream": bool(body.get("stream")),
        }

    def _target(self, model: str, kwargs: Mapping[str, Any]) -> _Target:
        provider = kwargs.get("custom_llm_provider")
        base = kwargs.get("api_base") or kwargs.get("base_url")
        found: str
        if self._router is not None:
            deployed = _deployment(self._router, model)
            model, provider = deployed.get("model") or model, deployed.get("custom_llm_provider") or provider
            base = base or deployed.get("api_base")
        try:
            name, found, *_ = sys.modules["litellm"].get_llm_provider(
                model=model, custom_llm_provider=provider, api_base=base
            )
        except Exception:  # noqa: BLE001 - LiteLLM does not know it: the call itself will say so
            return _Target(UNKNOWN.name, model)
        if found in _BY_HOST and base:
            return _Target(platform_of(urlsplit(str(base)).hostname or "").name, name)
        return _Target(_PLATFORMS.get(found, found), name)

    def _probes(self, plan: Any) -> bool:
        return plan.platform not in _REPORT_ALWAYS and usage_probe.wanted(self._kit, plan)

    def _arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], exchange: Exchange
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the plan has them; those of the call itself where nothing changes, or nothing can be."""
        with guard(self._kit, "door: request"):
            return self._planned(args, kwargs, exchange)
        exchange.adds_usage = False
        return args, kwargs

    def _planned(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], exchange: Exchange
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        plan, given = exchange.plan, self._given(args, kwargs)
        touched = _touched(plan)
        new = {name: plan.body[name] for name in touched & _WIRE}
        if beyond := {name: plan.body[name] for name in touched - _WIRE}:  # LiteLLM hands these on as they are
            new["extra_body"] = {**beyond, **(given.get("extra_body") or {})}
        if plan.headers:
            new["extra_headers"] = {**plan.headers, **(given.get("extra_headers") or {})}
        if exchange.adds_usage:
            new["stream_options"] = {**(given.get("stream_options") or {}), "include_usage": True}
        placed = [new.pop(name, value) for name, value in zip(self._names, args, strict=False)]
        return (*placed, *args[len(placed) :]), ({**kwargs, **new} if new else kwargs)


def _touched(plan: Plan) -> set[str]:
    """Top-level fields that the plan changed."""
    return {str(edit.path[0]) for edit in plan.edits if edit.path}


def _plain(message: Any) -> Any:
    """LiteLLM takes its own answers back as messages, which are objects."""
    dump = getattr(message, "model_dump", None)
    return message if dump is None else dump(exclude_none=True)


def _deployment(router: Any, alias: str) -> Mapping[str, Any]:
    """What the first deployment behind a router's alias is called with; ``{}`` when that cannot be seen."""
    found = _deployments(router, alias)
    return found[0].get("litellm_params", {}) if found else {}


def _deployments(router: Any, alias: str) -> Sequence[Mapping[str, Any]]:
    found = router.get_model_list(model_name=alias) if hasattr(router, "get_model_list") else None
    return found or []


def _status_of(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None
