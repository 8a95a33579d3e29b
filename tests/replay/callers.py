"""A recorded body through the real SDK: by its typed public method where the body fits, else by its generic entry.

Each caller takes an exchange and gives what the application would have got: an answer, chunks, or an error.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from ctxkit.testing import FakeProvider
from tests.replay import bedrock
from tests.replay.calling import Caller, Wrap, base_of, parted
from tests.replay.driving import Driver, in_a_loop, in_sync
from tests.replay.recordings import Exchange

# ---------------------------------------------------------------------------------------------- OpenAI

_OPENAI_METHODS = {
    "openai.chat": ("/chat/completions", "chat.completions"),
    "openai.responses": ("/responses", "responses"),
    "openai.completions": ("/completions", "completions"),
    "openai.embeddings": ("/embeddings", "embeddings"),
}


def openai_caller(provider: FakeProvider, wrap: Wrap, drive: Driver) -> Caller:
    """OpenAI and everything that speaks like it, Azure by its own class."""
    import openai

    names = ("AsyncOpenAI", "AsyncAzureOpenAI", "AsyncStream", "DefaultAsyncHttpxClient")
    plain_class, azure_class, stream_class, http_class = (
        getattr(openai, name if drive.asynchronous else name.replace("Async", "")) for name in names
    )
    http_client = http_class(proxy=provider.proxy_url, follow_redirects=True)

    @functools.cache
    def client(base: str) -> Any:
        azure = re.fullmatch(r"(http://[^/]*azure\.com)/openai/deployments/([^/]+)", base)
        if azure:
            made: Any = azure_class(
                azure_endpoint=azure[1],
                azure_deployment=azure[2],
                api_key="none",
                api_version="2024-10-21",
                max_retries=0,
                http_client=http_client,
            )
        else:
            made = plain_class(base_url=base, api_key="none", max_retries=0, http_client=http_client)
        return wrap(made)

    def typed(exchange: Exchange) -> Any:
        path, name = _OPENAI_METHODS[exchange.dialect or ""]
        resource = functools.reduce(getattr, name.split("."), client(base_of(exchange, path)))
        known, extra = parted(resource.create, exchange.request)
        answer = resource.create(**known, extra_body=extra or None)
        return drive.many(answer) if exchange.request.get("stream") else drive.one(answer)

    def generic(exchange: Exchange) -> Any:
        path, _ = _OPENAI_METHODS[exchange.dialect or ""]
        stream = exchange.request.get("stream") is True
        made = client(base_of(exchange, path))
        answer = made.post(path, body=exchange.request, cast_to=object, stream=stream, stream_cls=stream_class[object])
        return drive.many(answer) if stream else drive.one(answer)

    return Caller({"typed": typed, "generic": generic}, lambda: drive.close(http_client))


# ---------------------------------------------------------------------------------------------- Anthropic


def anthropic_caller(provider: FakeProvider, wrap: Wrap, drive: Driver) -> Caller:
    """Anthropic, and Claude on Vertex by its own class."""
    import anthropic

    names = ("AsyncAnthropic", "AsyncAnthropicVertex", "DefaultAsyncHttpxClient")
    plain_class, vertex_class, http_class = (
        getattr(anthropic, name if drive.asynchronous else name.replace("Async", "")) for name in names
    )
    http_client = http_class(proxy=provider.proxy_url, follow_redirects=True)
    options: dict[str, Any] = {"max_retries": 0, "http_client": http_client, "timeout": 60}

    @functools.cache
    def client(base: str) -> Any:
        vertex = re.fullmatch(r"(http://([a-z0-9-]+)-aiplatform[^/]+/v1)/projects/([^/]+)/.*", base)
        if vertex:
            url, region, project = vertex.groups()
            vertexed = vertex_class(base_url=url, region=region, project_id=project, access_token="none", **options)
            return wrap(vertexed)
        return wrap(plain_class(base_url=base, api_key="none", **options))

    def body(exchange: Exchange) -> dict[str, Any]:
        vertex = ":" in exchange.path
        return {"model": exchange.model, **exchange.request} if vertex else exchange.request

    def typed(exchange: Exchange) -> Any:
        made = client(base_of(exchange, r"/v1/messages|(?<=/models/)[^/]+"))
        known, extra = parted(made.messages.create, body(exchange))
        method = made.messages.create
        if extra.keys() & inspect.signature(made.beta.messages.create).parameters.keys():
            method = made.beta.messages.create
            known, extra = parted(method, body(exchange))
        if exchange.streamed:
            known["stream"] = True
        answer = method(**known, extra_body=extra or None)
        return drive.many(answer) if known.get("stream") else drive.one(answer)

    return Caller({"typed": typed}, lambda: drive.close(http_client))


# ---------------------------------------------------------------------------------------------- Gemini


def gemini_caller(provider: FakeProvider, wrap: Wrap, drive: Driver) -> Caller:
    """The Developer API and Vertex, by one class."""
    from google import genai
    from google.genai import types
    from google.oauth2.credentials import Credentials

    httpx: Any = importlib.import_module("httpx2" if int(genai.__version__.split(".")[0]) >= 3 else "httpx")
    http_client = httpx.Client(proxy=provider.proxy_url, follow_redirects=True, timeout=60)
    async_client = httpx.AsyncClient(proxy=provider.proxy_url, follow_redirects=True, timeout=60)

    @functools.cache
    def client(base: str, version: str, project: str | None, location: str | None) -> Any:
        options = types.HttpOptions(
            base_url=base, api_version=version, httpx_client=http_client, httpx_async_client=async_client
        )
        if project is None:
            return wrap(genai.Client(api_key="none", http_options=options))
        credentials = Credentials("none")  # type: ignore[no-untyped-call]
        vertexed = genai.Client(
            vertexai=True, project=project, location=location, credentials=credentials, http_options=options
        )
        return wrap(vertexed)

    def made(exchange: Exchange) -> Any:
        parts = re.fullmatch(r"(http://.*?)/(v1[a-z0-9]*)/(?:projects/([^/]+)/locations/([^/]+)/)?.*", exchange.url)
        assert parts is not None
        return client(*parts.groups())

    def send(exchange: Exchange, contents: Any, config: Any) -> Any:
        models = made(exchange).aio.models if drive.asynchronous else made(exchange).models
        if exchange.streamed:
            return drive.many(models.generate_content_stream(model=exchange.model, contents=contents, config=config))
        return drive.one(models.generate_content(model=exchange.model, contents=contents, config=config))

    def typed(exchange: Exchange) -> Any:
        body = dict(exchange.request)
        contents = [types.Content.model_validate(content) for content in body.pop("contents")]
        generation = body.pop("generationConfig", {})
        return send(exchange, contents, types.GenerateContentConfig.model_validate({**generation, **body}))

    def generic(exchange: Exchange) -> Any:
        options = types.HttpOptions(extra_body=exchange.request)
        return send(exchange, "x", types.GenerateContentConfig(http_options=options))

    def close() -> None:
        http_client.close()
        drive.close(async_client if drive.asynchronous else http_client)

    return Caller({"typed": typed, "generic": generic}, close)


CALLERS: Mapping[str, Callable[[FakeProvider, Wrap], Caller]] = {
    "openai": lambda provider, wrap: openai_caller(provider, wrap, in_sync()),
    "openai async": lambda provider, wrap: openai_caller(provider, wrap, in_a_loop()),
    "anthropic": lambda provider, wrap: anthropic_caller(provider, wrap, in_sync()),
    "anthropic async": lambda provider, wrap: anthropic_caller(provider, wrap, in_a_loop()),
    "gemini": lambda provider, wrap: gemini_caller(provider, wrap, in_sync()),
    "gemini async": lambda provider, wrap: gemini_caller(provider, wrap, in_a_loop()),
    "bedrock": bedrock.caller,
}
"""boto3 has no async side."""
