"""Whether the SDKs' own request types take a body: of openai, anthropic, google-genai and boto3."""

from __future__ import annotations

from functools import cache

import pytest

__all__ = ["refused"]


def refused(body, dialect):
    """Why the SDK of this wire would not take the body as arguments; ``None``: it would."""
    return _CHECKS[dialect](body)


@cache
def adapter(module, name):
    pydantic = pytest.importorskip("pydantic")
    return pydantic.TypeAdapter(getattr(pytest.importorskip(module), name))


def typed(module, name, without=()):
    def check(body):
        given = {key: value for key, value in body.items() if key not in without}
        try:
            walked(adapter(module, name).validate_python(given))
        except ValueError as error:
            return str(error)
        return None

    return check


def walked(value):
    """Iterables are checked only when they are read."""
    if isinstance(value, dict):
        value = value.values()
    if hasattr(value, "__iter__") and not isinstance(value, str | bytes):
        for item in value:
            walked(item)


def gemini(body):
    types = pytest.importorskip("google.genai.types")
    for one in body["contents"] if isinstance(body["contents"], list) else [body["contents"]]:
        try:
            types.Content.model_validate(one)
        except ValueError as error:
            return str(error)
    return None


@cache
def converse_shape():
    session = pytest.importorskip("botocore.session").get_session()
    return session.get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def converse(body):
    validate = pytest.importorskip("botocore.validate")
    report = validate.ParamValidator().validate({"modelId": "m", **body}, converse_shape())
    return report.generate_report() or None


_CHECKS = {
    "openai.chat": typed(
        "openai.types.chat.completion_create_params", "CompletionCreateParamsNonStreaming", ("stream",)
    ),
    "openai.responses": typed(
        "openai.types.responses.response_create_params", "ResponseCreateParamsNonStreaming", ("stream",)
    ),
    "anthropic.messages": typed(
        "anthropic.types.message_create_params", "MessageCreateParamsNonStreaming", ("stream",)
    ),
    "gemini.generate": gemini,
    "bedrock.converse": converse,
}
