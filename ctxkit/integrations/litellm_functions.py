"""The door of LiteLLM: its functions come back wrapped; nothing inside the module is replaced.

One wrapped call is one attempt: LiteLLM's own retries and fallbacks happen inside. What goes in has OpenAI's shape
whatever the provider is, and so has what comes out, with usage as LiteLLM normalised it: ``litellm_usage`` reads it.
"""

from __future__ import annotations

import functools
import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations import reusing, usage_probe
from ctxkit.integrations.delegating import StandIn
from ctxkit.integrations.exchange import Exchange, guard
from ctxkit.integrations.litellm_answers import Asker, copier, copy, handed_out, patience_of
from ctxkit.integrations.litellm_arguments import Arguments
from ctxkit.integrations.litellm_usage import Chunks, answer_of
from ctxkit.integrations.nesting import is_nested, nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctxkit.kit import Kit
    from ctxkit.model import Plan
    from ctxkit.reuse import Origin

__all__ = ["wrap"]

_NAMES = frozenset({"completion", "acompletion"})
_REPORT_ALWAYS = frozenset({"anthropic", "bedrock", "google", "vertex", "cohere"})
"""Platforms whose own streams carry usage; LiteLLM keeps it whether it was asked for or not."""


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


class _Door:
    """The two wrappers of one function."""

    def __init__(self, kit: Kit, function: Callable[..., Any], platform: str | None) -> None:
        self._kit = kit
        self._arguments = Arguments(function, platform)
        self._asker = None if kit.policy.answers is None else Asker()
        self._refusals = usage_probe.Refusals(kit)

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
            placed, named = self._planned(args, kwargs, exchange)
            try:
                with nested():
                    response = function(*placed, **named)
            except BaseException as error:
                exchange.status = _status_of(error)
                exchange.settle(ended=False)
                if not self._refuses_probe(error, exchange):
                    raise
            else:
                taken = self._seen(response, exchange)
                if taken is response:
                    exchange.settle()
                return taken
            return completion(*args, **kwargs)  # as it was: the option that was refused is not asked for again

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
            placed, named = self._planned(args, kwargs, exchange)
            try:
                with nested():
                    response = await function(*placed, **named)
            except BaseException as error:
                exchange.status = _status_of(error)
                await exchange.asettle(ended=False)
                if not self._refuses_probe(error, exchange):
                    raise
            else:
                taken = self._seen(response, exchange)
                if taken is response:
                    await exchange.asettle()
                return taken
            return await acompletion(*args, **kwargs)  # as it was: the option that was refused is not asked for again

        return acompletion

    def _leaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Exchange | None]:
        """The answer, where it is there already; or the call that leaves now; neither inside an outer door."""
        if is_nested():
            return None, None
        given, lead = self._arguments.named(args, kwargs), None
        plan = self._kit.plan(self._arguments.body(given), **self._arguments.options(given))
        if self._asker is not None:
            origin = partial(self._origin, self._asker, plan, given)
            answer, lead = reusing.find(self._kit, plan, origin, handed_out, patience_of(given))
            if answer is not None:
                return answer, None
        with reusing.led(lead):
            plan = self._kit.hold(plan)
            exchange = Exchange(self._kit, plan, adds_usage=self._probes(plan), lead=lead)
            exchange.sent()
        return None, exchange

    async def _aleaves(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, Exchange | None]:
        """``_leaves`` for event loops."""
        if is_nested():
            return None, None
        given, lead = self._arguments.named(args, kwargs), None
        plan = await self._kit.aplan(self._arguments.body(given), **self._arguments.options(given))
        if self._asker is not None:
            origin = partial(self._origin, self._asker, plan, given)
            answer, lead = await reusing.afind(self._kit, plan, origin, handed_out, patience_of(given))
            if answer is not None:
                return answer, None
        with reusing.led(lead):
            plan = await self._kit.ahold(plan)
            exchange = Exchange(self._kit, plan, adds_usage=self._probes(plan), lead=lead)
            await exchange.asent()
        return None, exchange

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

    def _probes(self, plan: Plan) -> bool:
        asked = plan.platform not in _REPORT_ALWAYS and _server(plan) not in self._refusals
        return asked and usage_probe.wanted(self._kit, plan)

    def _refuses_probe(self, error: BaseException, exchange: Exchange) -> bool:
        with guard(self._kit, "door: again"):
            return self._refusals.may_be(exchange) and self._refusals.learn(_server(exchange.plan), str(error))
        return False

    def _origin(self, asker: Asker, plan: Plan, given: Mapping[str, Any]) -> Origin:
        body = plan.body if plan.original is None else plan.original
        deployments = self._arguments.deployments(str(body.get("model") or ""))
        return asker.origin(given, body, plan.platform, deployments)

    def _planned(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], exchange: Exchange
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the plan has them; as they were given, where a fault is in the way."""
        with guard(self._kit, "door: request"):
            return self._arguments.planned(args, kwargs, exchange.plan, adds_usage=exchange.adds_usage)
        exchange.adds_usage = False
        return args, kwargs


def _server(plan: Plan) -> str:
    """Who refuses, as far as it can be seen from outside of LiteLLM."""
    return f"{plan.platform} {plan.model}"


def _status_of(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None
