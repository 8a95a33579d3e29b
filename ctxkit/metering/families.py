"""Which row of the calibration table a model belongs to, whoever hosts it.

A *family* is a tokenizer and a way of framing a request: models of one family count alike. Names are matched by
prefix after the host's decoration is taken off: ``us.anthropic.claude-sonnet-4-5-20250929-v1:0`` (Bedrock),
``anthropic/claude-sonnet-4.5`` (OpenRouter), ``claude-haiku-4-5@20251001`` (Vertex), ``qwen3:latest`` (Ollama) and
``meta-llama/Llama-3.3-70B-Instruct-Turbo`` (Together) all find their family.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["UNKNOWN", "bare_name", "family_of", "group_of", "stem_of", "writing_of"]

UNKNOWN = "unknown"
"""The row for models nobody fitted: a mean over all families, with wide intervals."""

_REGION = re.compile(r"^(?:us|eu|apac|ap|jp|au|ca|sa|me|af|il|mx|us-gov|global)\.(?=[a-z0-9]+\.)")
_VENDOR = re.compile(
    r"^(?:anthropic|amazon|meta|mistral|mistralai|cohere|ai21|deepseek|qwen|openai|google|moonshot|moonshotai|zai|"
    r"minimax|nvidia|writer|stability|luma|twelvelabs|xai|bedrock|databricks|snowflake)\.(?=.)"
)

_FAMILIES: tuple[tuple[str, str], ...] = (
    # Claude, by tokenizer and by what it adds to a request with tools (platform.claude.com, 2026-08-21 and 22).
    (r"claude-(?:instant|v?[12])(?:\D|$)", "claude-2"),
    (r"claude-(?:opus-|sonnet-|haiku-)?3-[57]|claude-3-[57]", "claude-3.5"),
    (r"claude-(?:opus-|sonnet-|haiku-)?3(?:\D|$)", "claude-3"),
    (r"claude-(?:opus-|sonnet-|haiku-)?4-[56](?:\D|$)", "claude-4.5"),
    (r"claude-(?:opus-|sonnet-|haiku-)?4-7(?:\D|$)", "claude-4.7"),
    (r"claude-(?:opus-|sonnet-|haiku-)?4-[89](?:\D|$)", "claude-4.8"),
    (r"claude-(?:opus-|sonnet-|haiku-)?4(?:\D|$)", "claude-4"),
    (r"claude-sonnet-5", "claude-sonnet-5"),
    (r"claude-(?:opus-|haiku-|fable|mythos|\d)|claude-(?:sonnet-)?[5-9]", "claude-5"),
    (r"claude", "claude-5"),
    # Google.
    (r"gemini-(?:pro|1-0|ultra)", "gemini-1"),
    (r"gemini-1-5", "gemini-1.5"),
    (r"gemini-2", "gemini-2"),
    (r"gemini", "gemini-3"),
    (r"gemma", "gemma"),
    # Amazon.
    (r"nova-2", "nova-2"),
    (r"nova", "nova"),
    (r"titan", "titan"),
    # Open weights, each wherever it is hosted. Distilled models count like the base they were distilled into.
    (r"deepseek-r1-distill-llama", "llama-3"),
    (r"deepseek-r1-distill-qwen", "qwen"),
    (r"deepseek", "deepseek"),
    (r"llama-?4", "llama-4"),
    (r"llama-?2", "llama-2"),
    (r"llama-?3|llama$|hermes-[34]|nemotron-(?:70b|super|ultra)", "llama-3"),
    (r"sonar|pplx", "sonar"),
    (r"(?:open-)?mi[sx]tral-(?:7b|8x7b|8x22b|tiny|small-240[29])|mathstral|codestral-(?:22b|mamba)", "mistral-old"),
    (r"(?:open-)?(?:mistral|mixtral|ministral|magistral|pixtral|voxtral|devstral|codestral)", "mistral"),
    (r"qwen-?[3-9]|qwq|qwen-(?:max|plus|turbo|flash|coder|long)", "qwen-3"),
    (r"qwen", "qwen"),
    (r"grok", "grok"),
    (r"kimi|moonshot", "kimi"),
    (r"glm|chatglm", "glm"),
    (r"command-(?:r|a)|c4ai|aya", "cohere"),
    (r"command", "command"),
    (r"gpt-oss", "gpt-oss"),
    (r"compound", "compound"),
    (r"minimax", "minimax"),
    (r"granite", "granite"),
    (r"nemotron", "nemotron"),
    (r"smollm", "smollm"),
    (r"jamba", "jamba"),
    (r"phi-?\d", "phi"),
    (r"palmyra", "palmyra"),
)

_GROUPS: tuple[tuple[str, str], ...] = (
    (r"claude-(?:3|3\.5|4|4\.5)$", "claude"),
    (r"claude-(?:4\.[78]|sonnet-5|5)$", "claude-new"),
    (r"gemini", "gemini"),
    (r"nova", "nova"),
    (r"qwen", "qwen"),
    (r"cohere|command", "cohere"),
    (r"llama-2|mistral-old", "sentencepiece"),
    (r"llama-3|sonar", "llama-3"),
)
_RULES = tuple((re.compile(pattern), family) for pattern, family in _FAMILIES)


def bare_name(model: str) -> str:
    """The model's own name: lower case, without host, region, vendor, tag of the provider and dots.

    >>> bare_name("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    'claude-sonnet-4-5-20250929-v1:0'
    >>> bare_name("anthropic/claude-3.5-haiku")
    'claude-3-5-haiku'
    """
    name = model[-400:].strip().lower().rsplit("/", 1)[-1]
    name = _VENDOR.sub("", _REGION.sub("", name))
    return name.replace(".", "-").replace("_", "-")


# Hosts that serve one vendor: what a model of unknown name there most likely is.
_BY_PLATFORM = {
    "anthropic": "claude-5",
    "google": "gemini-3",
    "vertex": "gemini-3",
    "deepseek": "deepseek",
    "xai": "grok",
    "mistral": "mistral",
    "moonshot": "kimi",
    "zai": "glm",
    "qwen": "qwen-3",
    "cohere": "cohere",
    "perplexity": "sonar",
}


@lru_cache(maxsize=1024)
def family_of(model: str, platform: str = "") -> str:
    """The family of ``model`` as ``platform`` serves it, or :data:`UNKNOWN`.

    A name that starts with a family's prefix wins over one that merely contains it (deployments such as
    ``prod-claude-haiku-4-5``), and a model of unknown name on a host that serves one vendor belongs to that vendor.

    >>> family_of("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), family_of("claude-opus-4-8")
    ('claude-4.5', 'claude-4.8')
    """
    name = bare_name(model)
    for rule, family in _RULES:
        if rule.match(name):
            return family
    for rule, family in _RULES:
        if rule.search(name):
            return family
    return _BY_PLATFORM.get(platform, UNKNOWN)


def group_of(family: str) -> str:
    """Families with one tokenizer, which learn the weights of kinds of text from one another."""
    return next((group for pattern, group in _GROUPS if re.match(pattern, family)), family)


_WRITINGS = {"gpt-oss": "types"} | dict.fromkeys(("gemini-1", "gemini-1.5", "gemini-2", "gemini-3"), "parts")


def writing_of(family: str) -> str:
    """How a family writes tools into its prompt.

    ``"json"``: as the JSON that declares them (chat templates of open weights, Claude, and whoever is not known);
    ``"types"``: as TypeScript; ``"parts"``: names, descriptions and types with signs of its own between them.
    """
    return _WRITINGS.get(family, "json")


_VERSION = re.compile(
    r"(?:-v\d+|-latest|-preview|-exp|-(?:20\d{6}|\d{4,6}|\d\d-\d{2,4})|-instruct|-it|-turbo|-fp8|-versatile)$"
)


@lru_cache(maxsize=1024)
def stem_of(model: str) -> str:
    """The model's own name without tag, date and release words: what its vendor may serve with a prompt of its own.

    >>> stem_of("mistral-large-latest"), stem_of("us.amazon.nova-pro-v1:0"), stem_of("claude-3-5-haiku-20241022")
    ('mistral-large', 'nova-pro', 'claude-3-5-haiku')
    """
    name = bare_name(model).partition(":")[0].partition("@")[0]
    while (shorter := _VERSION.sub("", name)) not in (name, ""):
        name = shorter
    return name
