"""The name a model has in the rules, whoever spells it.

``us.anthropic.claude-sonnet-4-5-20250929-v1:0`` (Bedrock), ``anthropic/claude-sonnet-4.5`` (OpenRouter),
``claude-sonnet-4-5@20250929`` (Vertex) and ``claude-sonnet-4-5`` are one model with one cache rule. A name that says
nothing about the model behind it (an application inference profile, a deployment) stays what it is and matches no
row: rules are never guessed.
"""

from __future__ import annotations

import re

__all__ = ["model_name", "upstream_of"]

_REGION = re.compile(r"^(?:us|eu|apac|ap|jp|au|ca|sa|me|af|il|mx|us-gov|global)\.(?=[a-z0-9]+\.)")
_VENDOR = re.compile(
    r"^(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|qwen|openai|google|moonshot|moonshotai|zai|minimax|"
    r"nvidia|writer|xai)\.(?=.)"
)
_CONTEXT = re.compile(r"\[\d+[km]\]$")
_RELEASE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest|v\d+(?::\d+)?|0)\Z")
_OLD_CLAUDE = re.compile(r"^claude-(\d(?:-\d)?)-(opus|sonnet|haiku)(?=-|$)")
_TAG = re.compile(r"(?<!-v\d):.*", re.DOTALL)
_LENGTH = 400


def model_name(model: str) -> str:
    """The model's own name, without host, region, vendor, date and version; dots as dashes; ``""`` for none.

    >>> model_name("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), model_name("anthropic/claude-3.5-haiku:beta")
    ('claude-sonnet-4-5', 'claude-haiku-3-5')
    >>> model_name("ft:gpt-4.1-mini-2025-04-14:acme::Bq1"), model_name("models/gemini-2.5-pro")
    ('gpt-4-1-mini', 'gemini-2-5-pro')
    >>> model_name("arn:aws:bedrock:us-east-1:1:application-inference-profile/mi1dadi0g15f")
    ''
    """
    name = model[-_LENGTH:].strip().lower()
    if name.startswith("arn:"):
        kind, _, name = name.rpartition("/")
        if not kind.endswith((":inference-profile", ":foundation-model")):
            return ""
    name = _CONTEXT.sub("", name).rsplit("/", 1)[-1].partition("@")[0].removeprefix("ft:")
    name = _VENDOR.sub("", _REGION.sub("", name))
    name = _TAG.sub("", name).strip().replace(".", "-").replace("_", "-")
    while (shorter := _RELEASE.sub("", name)) not in (name, ""):
        name = shorter
    return _OLD_CLAUDE.sub(r"claude-\2-\1", name)


def upstream_of(model: str) -> str:
    """Whose model a gateway is asked for, as the prefix says: ``"anthropic"`` of ``anthropic/claude-opus-5``.

    >>> upstream_of("~openrouter/anthropic/claude-opus-5"), upstream_of("gpt-5")
    ('anthropic', '')
    """
    parts = model[-_LENGTH:].strip().lower().lstrip("~").split("/")
    return parts[-2] if len(parts) > 1 else ""
