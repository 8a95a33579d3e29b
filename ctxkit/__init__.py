"""ctxkit: context-cache and prompt-hygiene middleware for model clients.

``ctxkit.wrap(OpenAI())`` meters a client and gives the same object back; ``@feature("search")`` says which part of
the application asks; ``ctxkit report`` shows what it cost. Everything else hangs on a :class:`Kit`.

Names are loaded when they are first used, so that importing ctxkit costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ctxkit.errors import (
    BudgetExceeded,
    ConfigurationError,
    CtxkitError,
    ProviderShapeError,
    StoreError,
    TranscriptError,
    UnsupportedClientError,
)

if TYPE_CHECKING:
    from ctxkit.answers import Answers
    from ctxkit.defaults import default_kit
    from ctxkit.drift import Drift, DriftEvent
    from ctxkit.hall.recall import recall_tool
    from ctxkit.kit import Kit
    from ctxkit.labels import feature
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report import Report
    from ctxkit.model import (
        Answer,
        Conversation,
        CostRange,
        Edit,
        Estimate,
        Message,
        Part,
        Plan,
        Record,
        Timing,
        Usage,
    )
    from ctxkit.policy import Policy
    from ctxkit.tidiness import Tidy

__all__ = [
    "Answer",
    "Answers",
    "BudgetExceeded",
    "ConfigurationError",
    "Conversation",
    "CostRange",
    "CtxkitError",
    "Drift",
    "DriftEvent",
    "Edit",
    "Estimate",
    "Kit",
    "Ledger",
    "Message",
    "Part",
    "Plan",
    "Policy",
    "ProviderShapeError",
    "Record",
    "Report",
    "StoreError",
    "Tidy",
    "Timing",
    "TranscriptError",
    "UnsupportedClientError",
    "Usage",
    "__version__",
    "default_kit",
    "feature",
    "recall_tool",
    "wrap",
]

__version__: str  # read from the installed distribution when it is asked for

_HOMES = {
    "Answers": "answers",
    "Kit": "kit",
    "Drift": "drift",
    "DriftEvent": "drift",
    "default_kit": "defaults",
    "feature": "labels",
    "Ledger": "metering.ledger",
    "Report": "metering.report",
    "Policy": "policy",
    "Tidy": "tidiness",
    "recall_tool": "hall.recall",
    **dict.fromkeys(
        (
            "Answer",
            "Conversation",
            "CostRange",
            "Edit",
            "Estimate",
            "Message",
            "Part",
            "Plan",
            "Record",
            "Timing",
            "Usage",
        ),
        "model",
    ),
}

C = TypeVar("C")


def wrap(client: C, *, platform: str | None = None) -> C:
    """Meter ``client`` with the default kit: the same object, or one of the same class.

    Args:
        client: ``OpenAI()``, ``Anthropic()``, ``genai.Client()``, a boto3 ``bedrock-runtime`` client (and the async
            and Azure variants), or ``litellm.completion`` / ``litellm.acompletion``.
        platform: who serves it, where its host does not say (``"vllm"``, ``"sglang"``, a gateway's owner).

    Raises:
        UnsupportedClientError: no front door fits it; the message says what to do.
    """
    from ctxkit.defaults import default_kit

    return default_kit().wrap(client, platform=platform)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ctxkit")
    if name in _HOMES:
        return getattr(import_module(f"ctxkit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ctxkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "__version__"])
