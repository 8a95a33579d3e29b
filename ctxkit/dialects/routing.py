"""Which path is which wire format.

Matches are exact at the end of the path and say nothing of what stands before it (versions, gateways, proxies). What
is not matched is no model call, or one that is not understood: :func:`unmetered_kind` tells the two apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from ctxkit.dialects.platforms import UNKNOWN, platform_of

__all__ = ["Route", "route", "unmetered_kind"]


@dataclass(frozen=True, slots=True)
class Route:
    """What the address of a request says of it.

    Attributes:
        dialect: name of the wire format.
        platform: who serves it.
        model: model named in the path, where the format keeps it there (an Azure deployment's name is one).
        stream: the answer will be streamed; ``None`` where the body says it.
        region: where, when host or path say it.
    """

    dialect: str
    platform: str
    model: str | None = None
    stream: bool | None = None
    region: str | None = None


_PLACE = r"(?:.*/)?"
# Azure keeps the deployment in the path, very old OpenAI clients the engine.
_AZURE = r"(?:(?:.*/)?(?:deployments|engines)/(?P<model>[^/]+)/|.*/)?"
_MODELS = r"(?:.*/locations/(?P<region>[^/]+)/)?(?:.*/)?"

# (end of the path, dialect, streams); the first match wins.
_ROUTES = tuple(
    (re.compile(pattern), dialect, stream)
    for pattern, dialect, stream in (
        (_AZURE + r"chat/completions", "openai.chat", None),
        (_PLACE + r"responses(?:/compact)?", "openai.responses", None),
        (_PLACE + r"v\d+\w*/messages", "anthropic.messages", None),
        (_MODELS + r"publishers/anthropic/models/(?P<model>(?!count-tokens)[^/:]+):rawPredict", "anthropic.messages", None),
        (_MODELS + r"publishers/anthropic/models/(?P<model>(?!count-tokens)[^/:]+):streamRawPredict", "anthropic.messages", True),
        (_MODELS + r"(?:models|tunedModels|endpoints)/(?P<model>[^/:]+):generateContent", "gemini.generate", False),
        (_MODELS + r"(?:models|tunedModels|endpoints)/(?P<model>[^/:]+):streamGenerateContent", "gemini.generate", True),
        (r"(?:.*?/)?model/(?P<model>.+)/converse", "bedrock.converse", False),
        (r"(?:.*?/)?model/(?P<model>.+)/converse-stream", "bedrock.converse", True),
        (r"(?:.*?/)?model/(?P<model>.+)/invoke", "bedrock.invoke", False),
        (r"(?:.*?/)?model/(?P<model>.+)/invoke-with-response-stream", "bedrock.invoke", True),
        (r"(?!(?:.*/)?api/embeddings$)" + _AZURE + r"embeddings", "openai.embeddings", None),  # not Ollama's own
        # not the prompt templates and agents that gateways serve under the same last word
        (r"(?!(?:.*/)?(?:prompts/[^/]+|agents)/completions$)" + _AZURE + r"completions", "openai.completions", None),
    )
)  # fmt: skip

_OWN_PATHS = (
    (re.compile(r"/model/.+/(?:converse|invoke)[a-z-]*$"), "bedrock"),
    (re.compile(r"/openai/deployments/"), "azure"),
    (re.compile(r"/projects/[^/]+/locations/"), "vertex"),
)
_ARN_REGION = re.compile(r"arn:aws[\w-]*:bedrock:([a-z0-9-]+):")

# (end of the path, name in the coverage): model calls that cost something and are not read.
_UNMETERED = tuple(
    (re.compile(f"{_PLACE}(?:{pattern})"), kind)
    for pattern, kind in (
        (r"images/(?:generations|edits|variations)", "images"),
        (r"audio/(?:speech|transcriptions|translations)", "audio"),
        (r"videos(?:/[^/]+/remix)?", "videos"),
        (r"v\d+\w*/(?:rerank|reranking)|rerank", "rerank"),
        (r"(?:messages/)?batches|[^/]+:batchGenerateContent|model-invocation-job", "batches"),
        (r"interactions", "interactions"),
        (r"threads/(?:[^/]+/)?runs", "assistants"),
        (r"v\d+/chat", "cohere chat"),
        (r"v\d+/generate", "generate"),
        (r"v\d+/complete", "complete"),
        (r"api/chat", "ollama chat"),
        (r"api/generate", "ollama generate"),
        (r"api/embed|api/embeddings|v\d+/embed|[^/]+:(?:embedContent|batchEmbedContents)", "embeddings"),
        (r"(?!count-tokens:)[^/]+:(?:predict|predictLongRunning|rawPredict|streamRawPredict)", "predict"),
        (r"(?:prompts/[^/]+|agents)/completions", "gateway completions"),
        (r"agents/[^/]+/agentAliases/.+|retrieveAndGenerate(?:Stream)?|flows/.+/aliases/.+", "agents"),
        (r"async-invoke", "async invoke"),
        (r"realtime(?:/(?:sessions|calls|client_secrets))?", "realtime"),
        (r"fine_tuning/jobs", "fine-tuning"),
        (r"ocr", "ocr"),
    )
)


def route(path: str, host: str = "", method: str = "POST") -> Route | None:
    """What a request to ``path`` at ``host`` is; ``None`` when it is no model call or not understood.

    ``path`` may carry a query; percent-encoded model names come back decoded.
    """
    if method.upper() != "POST":
        return None
    bare = _bare(path)
    for pattern, dialect, stream in _ROUTES:
        if match := pattern.fullmatch(bare):
            return _route(dialect, stream, match, host)
    return None


def unmetered_kind(path: str, host: str = "") -> str | None:
    """What kind of model call is posted to ``path`` and goes unread (``"images"``, ``"rerank"``, ...), for the coverage.

    ``None`` for what :func:`route` understands and for housekeeping: lists of models, files, token counts.
    """
    if route(path, host) is not None:
        return None
    bare = _bare(path)
    return next((kind for pattern, kind in _UNMETERED if pattern.fullmatch(bare)), None)


def _bare(path: str) -> str:
    return path.partition("?")[0].partition("#")[0].rstrip("/")


def _route(dialect: str, stream: bool | None, match: re.Match[str], host: str) -> Route:
    platform = platform_of(host)
    name = platform.name
    if platform is UNKNOWN:  # a proxy or gateway: some paths are nobody else's
        name = next((name for mark, name in _OWN_PATHS if mark.search(match.string)), name)
    found = match.groupdict()
    model = unquote(found["model"]) if found.get("model") else None
    region = platform.region or found.get("region")
    if region is None and model and (arn := _ARN_REGION.match(model)):
        region = arn[1]
    return Route(dialect, name, model, stream, region)
