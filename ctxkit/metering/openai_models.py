"""Which vocabulary an OpenAI model reads, by its name wherever it is hosted.

Sources: tiktoken 0.14.0 (model map), except where it is wrong or silent: ``ft:gpt-4.1`` is o200k as gpt-4.1 is (tiktoken
takes it for gpt-4), and GPT-6 is not known to it. Azure deployments are named by the user; a known name inside such a
name decides.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["base_model", "encoding_for"]

# The first match wins. GPT-6 and later stand here by analogy: OpenAI has published no vocabulary for them.
_ENCODINGS: tuple[tuple[str, str], ...] = (
    (r"gpt-oss", "o200k_harmony"),
    (r"gpt-(?:4o|4\.1|4\.5|[5-9])", "o200k_base"),
    (r"chatgpt-4o", "o200k_base"),
    (r"o[1-9](?![\w.])", "o200k_base"),
    (
        r"(?:codex-(?:mini|\d)|computer-use-preview|chat-latest|chatgpt-image|gpt-(?:image|audio|realtime))",
        "o200k_base",
    ),
    (r"gpt-(?:4|3\.5|35)", "cl100k_base"),
    (r"text-embedding-(?:3|ada-002)", "cl100k_base"),
    (r"(?:davinci|babbage)-002", "cl100k_base"),
    (r"(?:text-davinci-00[23]|code-(?:davinci|cushman)-00\d)", "p50k_base"),
    (r"(?:text-(?:davinci|curie|babbage|ada)-001|(?:davinci|curie|babbage|ada)$)", "r50k_base"),
)
_KNOWN = re.compile("|".join(f"(?P<m{index}>{pattern})" for index, (pattern, _) in enumerate(_ENCODINGS)))

# Where the name of the vendor may stand before the model's.
_VENDOR = re.compile(r"^(?:[\w.-]+/)*(?=[^/]+$)")
_BEDROCK = re.compile(r"^(?:[a-z]{2,6}\.)?openai\.")
_FOREIGN = re.compile(r"^(?!openai/|azure/|models/|openrouter/|github/)(?:[\w.-]+/)")
# Deployments may not hold a dot, so people write gpt35 and gpt41.
_DEPLOYMENT = re.compile(
    r"(?<![a-z0-9])(?:gpt-?|(?=o[1-9](?![\w.])))(?:4-?o|35|3\.5|4[-.]?1|4[-.]?5|[4-9]|oss|o[1-9])(?!\d)[\w.-]*"
)
_SPELLINGS = (
    (re.compile(r"^gpt-?35"), "gpt-3.5"),
    (re.compile(r"^gpt-?4-?1(?!\d)"), "gpt-4.1"),
    (re.compile(r"^gpt-?4-?5(?!\d)"), "gpt-4.5"),
    (re.compile(r"^gpt-?4-?o"), "gpt-4o"),
    (re.compile(r"^gpt(?=[4-9o])"), "gpt-"),
)


@lru_cache(maxsize=1024)
def base_model(model: str, platform: str = "") -> str:
    """The OpenAI name inside ``model``, lower case, without vendor, ``ft:`` and what follows ``:``; ``""`` for none.

    >>> base_model("ft:gpt-4.1-mini-2025-04-14:acme::Bq1")
    'gpt-4.1-mini-2025-04-14'
    >>> base_model("prod-gpt4o-eastus", "azure")
    'gpt-4o-eastus'
    >>> base_model("anthropic/claude-sonnet-4")
    ''
    """
    name = model.strip().lower().lstrip("~")
    if _FOREIGN.match(name) and "gpt-oss" not in name:
        return ""
    name = _BEDROCK.sub("", _VENDOR.sub("", name)).removeprefix("ft:").partition(":")[0]
    if _KNOWN.match(name):
        return _spelled(name)
    found = _DEPLOYMENT.search(name) if platform == "azure" else None
    return _spelled(found.group()) if found else ""


def _spelled(name: str) -> str:
    for pattern, spelling in _SPELLINGS:
        name = pattern.sub(spelling, name)
    return name


def encoding_for(model: str, platform: str = "") -> str | None:
    """Name of the vocabulary that ``model`` reads; ``None``: not an OpenAI vocabulary (or not known to be one).

    >>> encoding_for("openai/gpt-5-mini"), encoding_for("ft:gpt-4.1:acme::1"), encoding_for("gpt-4-0613")
    ('o200k_base', 'o200k_base', 'cl100k_base')
    """
    known = _KNOWN.match(base_model(model, platform))
    if known is None or known.lastgroup is None:
        return None
    return _ENCODINGS[int(known.lastgroup[1:])][1]
