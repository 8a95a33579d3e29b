"""Exports of OpenTelemetry spans that follow the GenAI conventions.

They are OTLP JSON (whole, or a line per batch, as the collector's file exporter writes it), or spans with a flat object of
``attributes``, as console exporters print them.

A span of a model call is a request; spans of agents and tools, which sum up those below them, are passed over. Bodies are
put together from the contents (:mod:`~ctxkit.replay.readers.gen_ai`): in Anthropic's shape for Claude, else in OpenAI's.
``gen_ai.usage.input_tokens`` counts cached tokens in, as the conventions say, unless the cached ones are more than it.

Where contents were not recorded there is usage alone: such requests have a body of nothing but their model, which tells
what they cost and nothing of what they waste. They stand together by ``gen_ai.conversation.id``, else by trace, in
recordings that are ``partial``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctxkit.dialects.platforms import platform_named
from ctxkit.dialects.usage import figure
from ctxkit.errors import TranscriptError
from ctxkit.replay.readers.bodies import Body
from ctxkit.replay.readers.figures import moment, usage_of
from ctxkit.replay.readers.gen_ai import said
from ctxkit.replay.readers.grouping import Groups
from ctxkit.replay.readers.values import tell
from ctxkit.replay.recording import Asked, Recording
from ctxkit.replay.shapes import anthropic_body, openai_body

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctxkit.model import Json, Usage
    from ctxkit.replay.readers.bodies import Wanted
    from ctxkit.replay.readers.gen_ai import Said
    from ctxkit.replay.readers.values import Value

__all__ = ["looks", "read"]

_CALLS = ("chat", "text_completion", "completion", "generate_content")
_OF_CALLS = ("gen_ai.request.model", "gen_ai.response.model", "gen_ai.input.messages")
_ABOVE = ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow")
_MARKS = ("gen_ai.", "llm.request.")
_NAMED = {
    "aws.bedrock": "bedrock",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "vertex",
    "gcp.gen_ai": "google",
    "mistral_ai": "mistral",
    "x_ai": "xai",
    "moonshot_ai": "moonshot",
}
_FIGURES: dict[str, tuple[str, ...]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.usage.completion_tokens"),
    "read": (
        *("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"),
        "gen_ai.usage.cached_input_tokens",
    ),
    "written": (
        *("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_input_tokens"),
        *("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_write_input_tokens"),
    ),
    "reasoning": (
        *("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_output_tokens"),
        "gen_ai.usage.reasoning_tokens",
    ),
}
_MOST_LOOSE = 100_000  # requests without contents that are held


def looks(value: Json) -> bool:
    """It is a batch of spans, or a span."""
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("resourceSpans"), list):
        return True
    attributes = value.get("attributes")
    named = any(
        key in value for key in ("context", "traceId", "trace_id", "spanId", "span_id", "start_time", "startTime")
    )
    return isinstance(attributes, dict | list) and (
        named or any(key.startswith(_MARKS) for key in _attributes(attributes))
    )


def read(values: Iterator[Value], wanted: Wanted) -> Iterator[Recording]:
    """The conversations of an export."""
    groups = Groups(str(wanted.path), "spans")
    loose: dict[tuple[str, str, str], list[Asked]] = {}
    count = 0
    for source, value in values:
        if not looks(value):
            tell(TranscriptError(f"{source}: no span"), wanted.complain)
            continue
        for span in _spans(value):
            found = _body(span, wanted)
            if found is None:
                continue
            body, thread = found
            if thread is None:
                yield from groups.add(body, source)
            else:
                asked = Asked(body.json, source, body.at, body.usage, body.model, None, body.status)
                loose.setdefault((thread, body.dialect, body.platform), []).append(asked)
                count += 1
            if count >= _MOST_LOOSE:
                yield from _loose(loose, wanted)
                loose, count = {}, 0
    yield from groups.rest()
    yield from _loose(loose, wanted)


def _loose(found: Mapping[tuple[str, str, str], list[Asked]], wanted: Wanted) -> Iterator[Recording]:
    for (name, dialect, platform), asked in found.items():
        listed = tuple(sorted(asked, key=lambda one: one.at or 0.0))
        yield Recording(name, str(wanted.path), "spans", dialect, platform, listed, partial=True)


def _spans(value: dict[str, Json]) -> Iterator[dict[str, Json]]:
    if "resourceSpans" not in value:
        yield value
        return
    for resource in _objects(value["resourceSpans"]):
        for scope in _objects(resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans")):
            yield from _objects(scope.get("spans"))


def _objects(value: Json) -> list[dict[str, Json]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _body(span: dict[str, Json], wanted: Wanted) -> tuple[Body, str | None] | None:
    """The request, and for one without contents what it belongs to; ``None``: it is no call of a model."""
    attributes = _attributes(span.get("attributes"))
    if not _is_call(attributes, span.get("name")):
        return None
    model = (
        _first(attributes, "gen_ai.request.model", "gen_ai.response.model", "llm.request.model") or wanted.model or ""
    )
    platform = wanted.platform or _platform(attributes)
    events = [(str(one.get("name")), _attributes(one.get("attributes"))) for one in _objects(span.get("events"))]
    told = said(attributes, events)
    dialect = "anthropic.messages" if platform == "anthropic" or "claude" in model else "openai.chat"
    body = Body(
        _wire(told, dialect, model),
        dialect,
        platform,
        at=_moment(span),
        usage=_usage(attributes, dialect, platform, model),
        answer=told.answer,
        status=figure(attributes.get("http.response.status_code")),
        wrapped=True,
    )
    return body, None if told.messages else _thread(span, attributes)


def _is_call(attributes: Mapping[str, Json], name: Json) -> bool:
    operation = attributes.get("gen_ai.operation.name") or attributes.get("llm.request.type")
    if operation is not None:
        return operation in _CALLS
    sums_up = "gen_ai.tool.name" in attributes or (isinstance(name, str) and name.startswith(_ABOVE))
    return not sums_up and any(one in attributes for one in _OF_CALLS)


def _first(attributes: Mapping[str, Json], *names: str) -> str:
    return next((found for name in names if isinstance(found := attributes.get(name), str) and found), "")


def _platform(attributes: Mapping[str, Json]) -> str:
    name = _first(attributes, "gen_ai.provider.name", "gen_ai.system").lower().replace(" ", "_")
    return _NAMED.get(name) or platform_named(name or "openai").name


def _wire(told: Said, dialect: str, model: str) -> dict[str, Json]:
    if not told.messages:
        return {"model": model}
    shape = anthropic_body if dialect == "anthropic.messages" else openai_body
    return shape(model, told.messages, told.tools)


def _usage(attributes: Mapping[str, Json], dialect: str, platform: str, model: str) -> Usage | None:
    found = {
        name: next((n for key in keys if (n := figure(_number(attributes.get(key)))) is not None), None)
        for name, keys in _FIGURES.items()
    }
    given, output, read, written = (found[name] for name in ("input", "output", "read", "written"))
    if given is None and output is None:
        return None
    cached = (read or 0) + (written or 0)
    if given is not None and cached > given:
        given += cached
    if dialect == "anthropic.messages":
        parts = {"cache_read_input_tokens": read or 0, "cache_creation_input_tokens": written or 0}
        fresh = None if given is None else given - cached
        return usage_of(dialect, platform, {"input_tokens": fresh, "output_tokens": output, **parts}, model)
    inside = {"cached_tokens": read, "cache_write_tokens": written}
    reported: dict[str, Json] = {"prompt_tokens": given, "completion_tokens": output}
    reported["prompt_tokens_details"] = {name: count for name, count in inside.items() if count is not None}
    reported["completion_tokens_details"] = {"reasoning_tokens": found["reasoning"]}
    return usage_of(dialect, platform, reported, model)


def _number(value: Json) -> Json:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16 else value


def _thread(span: dict[str, Json], attributes: Mapping[str, Json]) -> str:
    context = span.get("context")
    inner = context if isinstance(context, dict) else {}
    ids = (attributes.get("gen_ai.conversation.id"), span.get("traceId"), span.get("trace_id"), inner.get("trace_id"))
    return next((one for one in ids if isinstance(one, str) and one), "spans")


def _moment(span: dict[str, Json]) -> float | None:
    names = ("startTimeUnixNano", "start_time", "startTime", "start_timestamp", "start_time_unix_nano")
    return next((at for name in names if (at := moment(_number(span.get(name)))) is not None), None)


# ---- attributes ----------------------------------------------------------------------------------------------------------


def _attributes(value: Json) -> dict[str, Json]:
    """By name, whether they stand in an object or in OTLP's list of keys and typed values."""
    if isinstance(value, dict):
        return value
    return {one["key"]: _any(one.get("value")) for one in _objects(value) if isinstance(one.get("key"), str)}


def _any(value: Json) -> Any:
    """A typed value of OTLP."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    [(kind, inner)] = value.items()
    if kind == "intValue":
        return _number(inner)
    if kind == "arrayValue" and isinstance(inner, dict):
        listed = inner.get("values")
        return [_any(one) for one in listed] if isinstance(listed, list) else []
    if kind == "kvlistValue" and isinstance(inner, dict):
        return _attributes(inner.get("values"))
    return inner
