"""The arguments of a call of LiteLLM: as a request in OpenAI's shape, who will answer it, and as a plan has them."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ctxkit.dialects.platforms import UNKNOWN, platform_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.model import Json, Plan

__all__ = ["Arguments"]

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


class _Target(NamedTuple):
    """Who will answer, as far as LiteLLM's own rules say."""

    platform: str
    model: str


class Arguments:
    """How one function takes its arguments.

    Args:
        function: ``completion`` or ``acompletion``, of the module or of a ``Router``.
        platform: who answers, where the user says so.
    """

    def __init__(self, function: Callable[..., Any], platform: str | None) -> None:
        self._platform = platform
        self._names = [name for name in inspect.signature(function).parameters if name != "kwargs"]
        self._router = getattr(function, "__self__", None)

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All of them by name."""
        return {**dict(zip(self._names, args, strict=False)), **kwargs}

    def body(self, given: Mapping[str, Any]) -> dict[str, Json]:
        """The call as a body in OpenAI's shape; ``given`` are its arguments by name."""
        body = {key: value for key, value in given.items() if key in _WIRE and value is not None}
        messages = body.get("messages")
        if isinstance(messages, list):
            body["messages"] = [_plain(message) for message in messages]
        if not isinstance(body.get("response_format"), dict):  # a pydantic class, which LiteLLM makes a schema of
            body.pop("response_format", None)
        return body

    def deployments(self, model: str) -> list[Json] | None:
        """What the deployments that may answer are called with; ``None`` where no router chooses one."""
        if self._router is None:
            return None
        return [one.get("litellm_params") for one in _deployments(self._router, model)]

    def options(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What ``kit.plan`` takes beside the body."""
        target = self._target(str(given.get("model") or ""), given)
        return {
            "dialect": "openai.chat",
            "platform": self._platform or target.platform,
            "model": target.model,
            "stream": bool(given.get("stream")),
        }

    def _target(self, model: str, given: Mapping[str, Any]) -> _Target:
        provider = given.get("custom_llm_provider")
        base = given.get("api_base") or given.get("base_url")
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

    def planned(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], plan: Plan, *, adds_usage: bool
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as ``plan`` has them; the same objects where nothing changes."""
        given = self.named(args, kwargs)
        touched = _touched(plan)
        new = {name: plan.body[name] for name in touched & _WIRE}
        if beyond := {name: plan.body[name] for name in touched - _WIRE}:  # LiteLLM hands these on as they are
            new["extra_body"] = {**beyond, **(given.get("extra_body") or {})}
        if plan.headers:
            new["extra_headers"] = {**plan.headers, **(given.get("extra_headers") or {})}
        if adds_usage:
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
