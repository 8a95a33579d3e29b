"""A recorded body through the real SDK: by its typed public method where the body fits, else by its generic entry.

Each caller takes an exchange and gives what the application would have got: an answer, chunks, or an error.
"""

from __future__ import annotations

import base64
import binascii
import functools
import importlib
import inspect
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ctxkit.testing import FakeProvider
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


def _parted(method: Any, body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that a method names, and the others."""
    names = inspect.signature(method).parameters
    known = {name: value for name, value in body.items() if name in names and name != "extra_body"}
    return known, {name: value for name, value in body.items() if name not in known}


def _base(exchange: Exchange, ending: str) -> str:
    return re.sub(ending + "$", "", exchange.url)


# ---------------------------------------------------------------------------------------------- OpenAI

_OPENAI_METHODS = {
    "openai.chat": ("/chat/completions", "chat.completions"),
    "openai.responses": ("/responses", "responses"),
    "openai.completions": ("/completions", "completions"),
    "openai.embeddings": ("/embeddings", "embeddings"),
}


def openai_caller(provider: FakeProvider, wrap: Wrap) -> Caller:
    """OpenAI and everything that speaks like it, Azure by its own class."""
    import openai

    http_client = openai.DefaultHttpxClient(proxy=provider.proxy_url, follow_redirects=True)

    @functools.cache
    def client(base: str) -> Any:
        azure = re.fullmatch(r"(http://[^/]*azure\.com)/openai/deployments/([^/]+)", base)
        if azure:
            made: Any = openai.AzureOpenAI(
                azure_endpoint=azure[1],
                azure_deployment=azure[2],
                api_key="none",
                api_version="2024-10-21",
                max_retries=0,
                http_client=http_client,
            )
        else:
            made = openai.OpenAI(base_url=base, api_key="none", max_retries=0, http_client=http_client)
        return wrap(made)

    def typed(exchange: Exchange) -> Any:
        path, name = _OPENAI_METHODS[exchange.dialect or ""]
        resource = functools.reduce(getattr, name.split("."), client(_base(exchange, path)))
        known, extra = _parted(resource.create, exchange.request)
        answer = resource.create(**known, extra_body=extra or None)
        return _chunks(answer) if exchange.request.get("stream") else answer

    def generic(exchange: Exchange) -> Any:
        path, _ = _OPENAI_METHODS[exchange.dialect or ""]
        stream = exchange.request.get("stream") is True
        made = client(_base(exchange, path))
        answer = made.post(path, body=exchange.request, cast_to=object, stream=stream, stream_cls=openai.Stream[object])
        return _chunks(answer) if stream else answer

    return Caller({"typed": typed, "generic": generic}, http_client.close)


def _chunks(stream: Any) -> Iterator[Any]:
    with stream:
        yield from stream


# ---------------------------------------------------------------------------------------------- Anthropic


def anthropic_caller(provider: FakeProvider, wrap: Wrap) -> Caller:
    """Anthropic, and Claude on Vertex by its own class."""
    import anthropic

    http_client = anthropic.DefaultHttpxClient(proxy=provider.proxy_url, follow_redirects=True)
    options: dict[str, Any] = {"max_retries": 0, "http_client": http_client, "timeout": 60}

    @functools.cache
    def client(base: str) -> Any:
        vertex = re.fullmatch(r"(http://([a-z0-9-]+)-aiplatform[^/]+/v1)/projects/([^/]+)/.*", base)
        if vertex:
            url, region, project = vertex.groups()
            vertexed = anthropic.AnthropicVertex(
                base_url=url, region=region, project_id=project, access_token="none", **options
            )
            return wrap(vertexed)
        return wrap(anthropic.Anthropic(base_url=base, api_key="none", **options))

    def body(exchange: Exchange) -> dict[str, Any]:
        vertex = ":" in exchange.path
        return {"model": exchange.model, **exchange.request} if vertex else exchange.request

    def typed(exchange: Exchange) -> Any:
        made = client(_base(exchange, r"/v1/messages|(?<=/models/)[^/]+"))
        known, extra = _parted(made.messages.create, body(exchange))
        method = made.messages.create
        if extra.keys() & inspect.signature(made.beta.messages.create).parameters.keys():
            method = made.beta.messages.create
            known, extra = _parted(method, body(exchange))
        if exchange.streamed:
            known["stream"] = True
        answer = method(**known, extra_body=extra or None)
        return _chunks(answer) if known.get("stream") else answer

    return Caller({"typed": typed}, http_client.close)


# ---------------------------------------------------------------------------------------------- Gemini


def gemini_caller(provider: FakeProvider, wrap: Wrap) -> Caller:
    """The Developer API and Vertex, by one class."""
    from google import genai
    from google.genai import types
    from google.oauth2.credentials import Credentials

    httpx: Any = importlib.import_module("httpx2" if int(genai.__version__.split(".")[0]) >= 3 else "httpx")
    http_client = httpx.Client(proxy=provider.proxy_url, follow_redirects=True, timeout=60)
    async_client = httpx.AsyncClient()  # never used; google-genai would make one all the same

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
        models = made(exchange).models
        if exchange.streamed:
            return _each(models.generate_content_stream(model=exchange.model, contents=contents, config=config))
        return models.generate_content(model=exchange.model, contents=contents, config=config)

    def typed(exchange: Exchange) -> Any:
        body = dict(exchange.request)
        contents = [types.Content.model_validate(content) for content in body.pop("contents")]
        generation = body.pop("generationConfig", {})
        return send(exchange, contents, types.GenerateContentConfig.model_validate({**generation, **body}))

    def generic(exchange: Exchange) -> Any:
        options = types.HttpOptions(extra_body=exchange.request)
        return send(exchange, "x", types.GenerateContentConfig(http_options=options))

    return Caller({"typed": typed, "generic": generic}, http_client.close)


def _each(stream: Iterator[Any]) -> Iterator[Any]:
    yield from stream


# ---------------------------------------------------------------------------------------------- Bedrock


def bedrock_caller(provider: FakeProvider, wrap: Wrap) -> Caller:
    """boto3's bedrock-runtime: Converse and InvokeModel."""
    import boto3
    from botocore.config import Config

    made: list[Any] = []
    config = Config(proxies={"http": provider.proxy_url}, retries={"total_max_attempts": 1}, parameter_validation=True)

    @functools.cache
    def client(base: str) -> Any:
        found = re.search(r"bedrock-runtime\.([a-z]+-[a-z]+-\d)", base)
        new: Any = boto3.client(
            "bedrock-runtime",
            endpoint_url=base,
            region_name=found[1] if found else "us-east-1",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=config,
        )
        made.append(new)
        return wrap(new)

    def typed(exchange: Exchange) -> Any:
        runtime = client(_base(exchange, r"/model/[^/]+/[a-z-]+"))
        if exchange.dialect == "bedrock.converse":
            shape = runtime.meta.service_model.operation_model("Converse").input_shape
            parameters = _parameters(shape, exchange.request)
            method = runtime.converse_stream if exchange.streamed else runtime.converse
            return _bedrock(method(modelId=exchange.model, **parameters), "stream")
        method = runtime.invoke_model_with_response_stream if exchange.streamed else runtime.invoke_model
        return _bedrock(method(modelId=exchange.model, body=json.dumps(exchange.request)), "body")

    def close() -> None:
        for one in made:
            one.close()

    return Caller({"typed": typed}, close)


def _bedrock(answer: dict[str, Any], name: str) -> Any:
    answer["ResponseMetadata"].pop("RetryAttempts", None)
    if name not in answer:
        return answer
    if hasattr(answer[name], "read"):
        return {**answer, name: answer[name].read()}
    return _each(answer[name])


def _parameters(shape: Any, value: Any) -> Any:
    """Wire JSON as boto3 takes it: base64 becomes bytes; a placeholder of media stands for itself."""
    if shape.type_name == "structure" and isinstance(value, dict) and not getattr(shape, "is_document_type", False):
        return {
            name: _parameters(shape.members[name], item) if name in shape.members else item
            for name, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_parameters(shape.member, item) for item in value]
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            return value.encode()
    return value


CALLERS: Mapping[str, Callable[[FakeProvider, Wrap], Caller]] = {
    "openai": openai_caller,
    "anthropic": anthropic_caller,
    "gemini": gemini_caller,
    "bedrock": bedrock_caller,
}
