"""The door of OpenAI's SDK: the hooks of its HTTP client.

The public way is ``OpenAI(http_client=kit.attach(DefaultHttpxClient()))``. ``kit.wrap(OpenAI())`` reads the one
private attribute ``client._client`` (there since 1.0, and others rely on it: BerriAI/litellm#10784). Copies made by
``with_options`` share the HTTP client, so they are metered too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.errors import UnsupportedClientError
from ctxkit.integrations.httpx_hooks import attach

if TYPE_CHECKING:
    from ctxkit.kit import Kit

__all__ = ["wrap"]


def wrap(client: Any, kit: Kit, *, platform: str | None = None) -> Any:
    """The same client, metered.

    Raises:
        UnsupportedClientError: it holds no HTTP client we know.
    """
    http_client = getattr(client, "_client", None)
    if http_client is None:
        raise UnsupportedClientError(
            f"{type(client).__name__} holds no HTTP client; pass "
            "http_client=kit.attach(openai.DefaultHttpxClient()) when it is made"
        )
    attach(http_client, kit, platform=platform)
    return client
