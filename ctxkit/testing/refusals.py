"""Errors in the shape in which each provider sends them.

Sources, read 2026-11-20: OpenAI error codes guide; Anthropic errors page; Google AI troubleshooting page and
``google.rpc.Status``; Bedrock API reference, common errors.
"""

from __future__ import annotations

from typing import Any

from ctxkit.testing.framing import whole
from ctxkit.testing.values import Reply

__all__ = ["refuse"]

_OPENAI = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "service_unavailable"),
    529: ("server_error", "overloaded"),
}
_ANTHROPIC = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_GEMINI = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
_BEDROCK = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    413: "RequestEntityTooLargeException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def refuse(family: str, status: int, message: str, retry_after: float | None = None) -> Reply:
    """A refusal of ``family`` (``"openai"``, ``"anthropic"``, ``"gemini"``, ``"bedrock"``)."""
    body, headers = _SHAPES[family](status, message)
    if retry_after is not None and family == "gemini":
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after:g}s"}
        body["error"]["details"] = [retry]
    elif retry_after is not None:
        headers["retry-after"] = f"{retry_after:g}"
    reply = whole(body, headers)
    return Reply(reply.body, status, reply.content_type, reply.headers)


def _openai(status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
    kind, code = _OPENAI.get(status, ("invalid_request_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}, {"x-request-id": "req_fake"}


def _anthropic(status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
    kind = _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}
    return error, {"request-id": "req_fake"}


def _gemini(status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
    return {"error": {"code": status, "message": message, "status": _GEMINI.get(status, "UNKNOWN")}}, {}


def _bedrock(status: int, message: str) -> tuple[dict[str, Any], dict[str, str]]:
    kind = _BEDROCK.get(status, "InternalServerException" if status >= 500 else "ValidationException")
    return {"message": message}, {"x-amzn-ErrorType": f"{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/"}


_SHAPES = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini, "bedrock": _bedrock}
