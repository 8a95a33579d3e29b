"""Who serves a host, and how it counts.

A platform is a row of data. What differs between servers that speak one wire format is named here (``Rule``) and
acted on in the dialect. Sources: the providers' own API references (2026-09) and recorded answers of
each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

__all__ = ["PLATFORMS", "UNKNOWN", "Platform", "Rule", "platform_named", "platform_of"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How the usage of an OpenAI-shaped answer is to be read.

    Attributes:
        writes: time to live of what ``cache_write_tokens`` counts when the answer does not split it; ``None``:
            this server never bills a write, so no figure means none.
        reasoning_outside: ``completion_tokens`` leaves reasoning out (only asked when there is no total to tell).
        hidden_reasoning: what ``total_tokens`` has over prompt and completion is reasoning.
        zero_prompt_unknown: ``prompt_tokens: 0`` means that the server did not count, not that there were none.
        ticks: the answer's ``cost_in_usd_ticks`` is what the user pays.
    """

    writes: str | None = "5m"
    reasoning_outside: bool = False
    hidden_reasoning: bool = False
    zero_prompt_unknown: bool = False
    ticks: bool = False


@dataclass(frozen=True, slots=True)
class Platform:
    """One server or family of servers.

    Attributes:
        name: as used in ledgers, prices and ``Kit.plan(platform=...)``.
        hosts: host names; ``*`` stands for anything, ``{region}`` for the region.
        rule: how its usage is read.
        region: where, when the host says it.
    """

    name: str
    hosts: tuple[str, ...] = ()
    rule: Rule = Rule()
    region: str | None = None


_OPENAI = Rule(writes="30m")
_NO_WRITE = Rule(writes=None)

UNKNOWN = Platform("unknown")
"""Any host that is not in the table: read by the generic rule."""

PLATFORMS = (
    Platform("openai", ("api.openai.com", "{region}.api.openai.com", "chatgpt.com"), _OPENAI),
    Platform(
        "azure",
        (
            "*.openai.azure.com",
            "*.openai.azure.us",
            "*.cognitiveservices.azure.com",
            "*.services.ai.azure.com",
            "*.{region}.models.ai.azure.com",
            "*.inference.ai.azure.com",
            "{region}.api.cognitive.microsoft.com",
        ),
        _OPENAI,
    ),
    Platform("anthropic", ("api.anthropic.com",)),
    Platform("google", ("generativelanguage.googleapis.com",), Rule(writes=None, hidden_reasoning=True)),
    Platform(
        "vertex",
        ("aiplatform.googleapis.com", "{region}-aiplatform.googleapis.com", "aiplatform.{region}.rep.googleapis.com"),
        Rule(hidden_reasoning=True),
    ),
    Platform(
        "bedrock",
        (
            "bedrock-runtime.{region}.amazonaws.com",
            "bedrock-runtime-fips.{region}.amazonaws.com",
            "bedrock-runtime.{region}.amazonaws.com.cn",
            "bedrock-runtime.{region}.api.aws",
            "bedrock-mantle.{region}.api.aws",
            "*.bedrock-runtime.{region}.vpce.amazonaws.com",
        ),
        _OPENAI,
    ),
    Platform("openrouter", ("openrouter.ai", "*.openrouter.ai")),
    Platform("deepseek", ("api.deepseek.com",), _NO_WRITE),
    Platform("xai", ("api.x.ai", "{region}.api.x.ai"), Rule(writes=None, reasoning_outside=True, ticks=True)),
    Platform("groq", ("api.groq.com",), _NO_WRITE),
    Platform("mistral", ("api.mistral.ai", "codestral.mistral.ai"), _NO_WRITE),
    Platform("moonshot", ("api.moonshot.ai", "api.moonshot.cn", "api.kimi.com")),
    Platform("qwen", ("dashscope*.aliyuncs.com", "*.{region}.maas.aliyuncs.com")),
    Platform("zai", ("api.z.ai", "open.bigmodel.cn"), _NO_WRITE),
    Platform("together", ("api.together.xyz", "api.together.ai"), _NO_WRITE),
    Platform("perplexity", ("api.perplexity.ai",), _NO_WRITE),
    Platform("cerebras", ("api.cerebras.ai",), _NO_WRITE),
    Platform("fireworks", ("api.fireworks.ai",), _NO_WRITE),
    Platform("cohere", ("api.cohere.com", "api.cohere.ai"), _NO_WRITE),
    Platform("voyage", ("api.voyageai.com",), _NO_WRITE),
    Platform("minimax", ("api.minimax.io", "api.minimaxi.com")),
    Platform("deepinfra", ("api.deepinfra.com",), _NO_WRITE),
    Platform("nebius", ("api.studio.nebius.com", "api.tokenfactory.nebius.com"), _NO_WRITE),
    Platform("novita", ("api.novita.ai",), _NO_WRITE),
    Platform("sambanova", ("api.sambanova.ai",), _NO_WRITE),
    Platform("nvidia", ("integrate.api.nvidia.com",), _NO_WRITE),
    Platform("huggingface", ("router.huggingface.co", "api-inference.huggingface.co", "*.endpoints.huggingface.cloud")),
    Platform("vercel", ("ai-gateway.vercel.sh",)),
    Platform("cloudflare", ("gateway.ai.cloudflare.com",)),
    Platform("github", ("models.github.ai", "models.inference.ai.azure.com"), _OPENAI),
    Platform("snowflake", ("*.snowflakecomputing.com",)),
    Platform("heroku", ("{region}.inference.heroku.com",)),
    Platform("ollama", ("ollama.com",), Rule(writes=None, zero_prompt_unknown=True)),
    # Servers that people run themselves: no host tells them, so users name them.
    Platform("vllm", (), _NO_WRITE),
    Platform("sglang", (), _NO_WRITE),
    Platform("llamacpp", (), _NO_WRITE),
    Platform("lmstudio", (), _NO_WRITE),
)

_OLLAMA_PORT = ":11434"
_ALIASES = {
    **dict.fromkeys(("google-gla", "gemini", "google_genai", "google-ai"), "google"),
    **dict.fromkeys(("google-vertex", "vertex_ai", "vertexai", "gcp"), "vertex"),
    **dict.fromkeys(("azure-openai", "azure_openai", "azure_ai"), "azure"),
    **dict.fromkeys(("aws", "aws-bedrock", "amazon-bedrock", "bedrock-runtime"), "bedrock"),
    **dict.fromkeys(("x-ai", "x.ai", "grok"), "xai"),
    **dict.fromkeys(("z-ai", "z.ai", "zhipu", "zhipuai"), "zai"),
    **dict.fromkeys(("kimi", "moonshotai"), "moonshot"),
    **dict.fromkeys(("dashscope", "alibaba"), "qwen"),
    **dict.fromkeys(("mistralai", "mistral_ai"), "mistral"),
    **dict.fromkeys(("llama.cpp", "llama-cpp"), "llamacpp"),
}
"""Names that other libraries use for a platform of the table."""
_BY_NAME = {platform.name: platform for platform in (*PLATFORMS, UNKNOWN)}


def _pattern(host: str) -> re.Pattern[str]:
    text = re.escape(host).replace(r"\*", "[^/]*").replace(r"\{region\}", "(?P<region>[a-z0-9-]+)")
    return re.compile(text)


# A host that is named in full, or with its region, before those that end alike.
_PATTERNS = sorted(
    ((_pattern(host), platform) for platform in PLATFORMS for host in platform.hosts),
    key=lambda row: "*" in row[0].pattern,
)


def platform_named(name: str) -> Platform:
    """The platform of this name, or of its name elsewhere; one that is not in the table is read by the generic rule."""
    return _BY_NAME.get(_ALIASES.get(name, name)) or Platform(name)


@lru_cache(maxsize=1024)
def platform_of(host: str) -> Platform:
    """Who serves ``host`` (a port may follow it); :data:`UNKNOWN` when nobody in the table does."""
    name = host.strip().lower().rpartition("@")[2]
    if name.endswith(_OLLAMA_PORT):
        return _BY_NAME["ollama"]
    name = re.sub(r":\d+$", "", name).rstrip(".")
    for pattern, platform in _PATTERNS:
        if match := pattern.fullmatch(name):
            return replace(platform, region=match.groupdict().get("region") or platform.region)
    return UNKNOWN
