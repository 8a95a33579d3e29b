"""The front doors: how ctxkit enters each SDK by the door the SDK itself documents.

Nothing is imported before a client of that SDK is given, and nothing is ever patched. Which door fits is told by
the module in which the client's class (or the function) was written.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations.nesting import say_if_run

if TYPE_CHECKING:
    from ctxkit.kit import Kit

__all__ = ["attach", "wrap"]

C = TypeVar("C")

_DOORS = {
    "openai": "openai_clients",
    "anthropic": "anthropic_middleware",
    "google.genai": "google_genai",
    "botocore": "boto3_events",
    "litellm": "litellm_functions",
    "langchain_openai": "framework_models",
    "langchain_anthropic": "framework_models",
    "langchain_google_genai": "framework_models",
    "llama_index.llms": "framework_models",
    "llama_index.embeddings": "framework_models",
}
"""Package of the client: module of the door, which offers ``wrap(client, kit, platform=...)``."""

_ADVICE = (
    "ctxkit knows OpenAI, Anthropic and genai.Client (and their async, Azure, Bedrock and Vertex kin), boto3's "
    "bedrock-runtime client, litellm.completion and acompletion, the models of LangChain and LlamaIndex that hold such "
    "clients, and HTTP clients of httpx and httpx2; "
    "for anything else use kit.plan, kit.sent and kit.settle"
)


def wrap(client: C, kit: Kit, *, platform: str | None = None) -> C:
    """Meter ``client``: the same object comes back, or one of the same class.

    Args:
        client: see the errors for what there is a door for.
        kit: what plans and settles.
        platform: who serves it, where neither host nor class say so (``"vllm"``, ``"sglang"``, a gateway's owner).

    Raises:
        UnsupportedClientError: no door fits, or part of the client would go unmetered; the message says what to do.
    """
    if isinstance(client, type):
        raise UnsupportedClientError(f"wrap wants a client, got the class {client.__name__}: wrap({client.__name__}())")
    modules = _modules(client)
    if any(module.partition(".")[0] in {"httpx", "httpx2"} for module in modules):
        return attach(client, kit, platform=platform)
    for module in modules:
        for package, door in _DOORS.items():
            if module == package or module.startswith(package + "."):
                if package != "botocore":  # its requests are signed, and go past any proxy
                    say_if_run(kit)
                wrapped = import_module(f"ctxkit.integrations.{door}").wrap(client, kit, platform=platform)
                return cast("C", wrapped)
    raise UnsupportedClientError(f"no door fits {_described(client)}; {_ADVICE}")


def attach(http_client: C, kit: Kit, *, platform: str | None = None) -> C:
    """Meter an HTTP client of httpx or httpx2 (an SDK's ``DefaultHttpxClient`` is one); the same object comes back.

    Raises:
        UnsupportedClientError: it is another kind of client.
    """
    from ctxkit.integrations.httpx_hooks import attach as attach_hooks

    say_if_run(kit)
    attach_hooks(http_client, kit, platform=platform)
    return http_client


def _modules(client: object) -> list[str]:
    """Where the client comes from: its own module for a function, those of its class and parents for an object."""
    if inspect.isroutine(client):
        return [str(client.__module__)]
    return [parent.__module__ for parent in type(client).__mro__]


def _described(client: Any) -> str:
    kind = type(client)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else repr(client)[:80]
