"""Names on the way to a price: whose list, which model, which service tier.

Platforms, gateways and SDKs write the same model in many ways (``models/gemini-2.5-pro``, ``azure/gpt-5``,
``us.anthropic.claude-...-v1:0``, an ARN). A price is looked up under each sensible spelling, the given one first, and
never under a *different* model: a fine-tuned ``ft:`` name keeps its prefix, because it has prices of its own.
"""

from __future__ import annotations

import re

__all__ = ["ALIASES", "SELF_HOSTED", "model_names", "provider_id", "tier_name", "write_ttl", "writes_unasked"]

_ALIASES: dict[str, tuple[str, ...]] = {
    "anthropic": ("claude",),
    "aws": ("bedrock", "aws-bedrock", "amazon-bedrock", "bedrock-converse", "bedrock-runtime", "bedrock-mantle"),
    "azure": ("azure-openai", "azure-ai", "azure-foundry", "foundry", "azure-text"),
    "fireworks": ("fireworks-ai",),
    "google": (
        *("gemini", "google-gla", "google-ai", "google-genai", "google-vertex", "vertex", "vertexai", "vertex-ai"),
        *("google-gemini", "gcp", "vertex-ai-anthropic-models", "vertex-ai-language-models"),
    ),
    "meta": ("meta-llama-api", "llama-api"),
    "mistral": ("mistralai", "mistral-ai"),
    "moonshotai": ("moonshot", "kimi"),
    "openai": ("chatgpt", "openai-chat", "openai-responses"),
    "qwen": ("dashscope", "alibaba", "aliyun", "qwencloud", "qwen-ai-platform"),
    "together": ("together-ai", "togetherai"),
    "voyageai": ("voyage",),
    "x-ai": ("xai", "grok"),
    "zai": ("z-ai", "z.ai"),
    "zhipuai": ("zhipu", "bigmodel"),
}
ALIASES = {alias: provider for provider, aliases in _ALIASES.items() for alias in aliases}
"""Other names of platforms."""

SELF_HOSTED = frozenset(
    {"vllm", "sglang", "ollama", "llama.cpp", "llamacpp", "llama-cpp", "lmstudio", "lm-studio", "localai", "localhost"}
    | {"tgi", "text-generation-inference", "mlx", "self-hosted", "hosted-vllm", "ollama-chat", "llamafile"}
)
"""Platforms on somebody's own hardware: there is no list price, only what a user's own row says."""

_STANDARD = {"", "auto", "default", "standard", "standard-only", "on-demand", "unspecified", "none"}
# https://console.groq.com/docs/flex-processing (read November 2026): "Pricing matches the on-demand tier."
_LIKE_STANDARD = {("groq", "flex")}


def provider_id(platform: str) -> str:
    """The id under which price rows and the price list know a platform; an unknown platform is its own id."""
    name = platform.strip().lower()
    dashed = name.replace("_", "-")
    return ALIASES.get(dashed) or (dashed if dashed in SELF_HOSTED else name)


def tier_name(tier: str | None, provider: str = "") -> str:
    """One name for a service tier however it was reported: ``"standard"``, ``"batch"``, ``"flex"``, ...

    >>> [tier_name(t) for t in (None, "default", "ON_DEMAND", "batches", "ON_DEMAND_PRIORITY", "fast")]
    ['standard', 'standard', 'standard', 'batch', 'priority', 'fast']
    """
    name = (tier or "").strip().lower().replace("_", "-").removeprefix("service-tier-").removeprefix("traffic-type-")
    if name in _STANDARD or (provider, name) in _LIKE_STANDARD:
        return "standard"
    name = name.removeprefix("on-demand-")
    return "batch" if name == "batches" else name


def model_names(provider: str, model: str) -> tuple[str, ...]:
    """Spellings under which ``model`` may be listed, the given one first, all in lower case.

    >>> model_names("google", "models/gemini-2.5-pro")
    ('models/gemini-2.5-pro', 'gemini-2.5-pro')
    >>> model_names("aws", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1")[0]
    'us.anthropic.claude-opus-4-6-v1'
    >>> model_names("openai", "ft:gpt-4o-mini-2024-07-18:acme::7p4lURel")
    ('ft:gpt-4o-mini-2024-07-18:acme::7p4lurel',)
    """
    name = re.sub(r"\[\d+[km]\]$", "", model.strip().lower())
    if name.startswith("arn:"):
        kind, _, name = name.rpartition("/")
        # The id of an application profile or of provisioned capacity says nothing about the model behind it.
        if not name or not kind.endswith((":inference-profile", ":foundation-model")):
            return ()
    names = [name]
    if "tunedmodels/" in name or ".ft-" in name:
        return (name,)
    if "/" in name:
        names += _shorter(provider, name)
    for known in tuple(names):
        if known.startswith("ft:"):
            continue
        plain = re.sub(r":thinking$", "", known) if provider != "aws" else known
        plain = re.sub(r"-v\d+:\d+$", "", plain) if provider != "aws" else plain
        plain = re.sub(r"(anthropic\.claude-.*\d)-v\d+(:\d+)?$", r"\1", plain)
        names += [plain, plain.replace("@", "-"), plain.partition("@")[0]]
    return tuple(dict.fromkeys(names))


def _shorter(provider: str, name: str) -> list[str]:
    head, _, tail = name.partition("/")
    if provider == "openrouter":
        return [tail] if head == "openrouter" else []
    last = name.rpartition("/")[2]
    return [tail, last] if tail != last else [last]


_OPENAI_MODEL = re.compile(r"(^|[/.:])(gpt-(?!oss)|chatgpt-|codex-|o\d\b)")


def write_ttl(provider: str, model: str) -> str:
    """The time to live of a provider's ordinary cache write: 30 minutes for OpenAI models, else 5.

    Amazon documents 30 minutes for the OpenAI, Kimi and GLM models it serves (notes of genai-prices 0.2.3).
    """
    if _OPENAI_MODEL.search(model):
        return "30m"
    return "30m" if provider == "aws" and not re.search(r"anthropic|claude|amazon|nova", model) else "5m"


def writes_unasked(provider: str, model: str) -> bool:
    """The provider writes to its cache, and bills it, without a marker in the request."""
    return provider == "moonshotai" or _OPENAI_MODEL.search(model) is not None
