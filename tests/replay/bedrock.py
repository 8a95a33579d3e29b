"""boto3's bedrock-runtime: Converse and InvokeModel, streamed and not."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from ctxkit.testing import FakeProvider
from tests.replay.calling import Caller, Wrap, base_of
from tests.replay.recordings import Exchange


def caller(provider: FakeProvider, wrap: Wrap) -> Caller:
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
        runtime = client(base_of(exchange, r"/model/[^/]+/[a-z-]+"))
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
    return _through(answer[name])


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


def _through(stream: Iterator[Any]) -> Iterator[Any]:
    yield from stream
