"""OpenAI models as a scale for :class:`ctxkit.metering.count.Counter`: the provider's own vocabulary and framing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from ctxkit.metering.openai_models import verified
from ctxkit.metering.openai_request import answer_format, frame_tokens
from ctxkit.metering.openai_schema import answer_schema
from ctxkit.metering.openai_tokens import Reader, Weight, message_weight, reader_of
from ctxkit.metering.tokens import text_tokens, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.model import Conversation, Json, Message

__all__ = ["ExactScale", "exact_scale"]


@dataclass(frozen=True, slots=True, eq=False)
class ExactScale:
    """Weighs requests to one OpenAI model.

    Attributes:
        family: the generation of models that are framed alike, ``"openai/gpt-5"``.
        reader: the model, by what counting needs.
        method: ``"exact"``; ``"fitted"`` where the vocabulary is only taken to be the same (GPT-6), ``"rough"`` where
            the vocabulary could not be loaded.
    """

    family: str
    reader: Reader
    method: Literal["exact", "fitted", "rough"]

    def message(self, message: Message) -> Weight:
        """Weigh a message that stands alone."""
        return message_weight((message,), 0, self.reader)

    def message_at(self, messages: Sequence[Message], index: int) -> Weight:
        """Weigh ``messages[index]``; a result is weighed by the calls above it, which its id names."""
        return message_weight(messages, index, self.reader)

    def schema(self, schema: Json) -> Weight:
        """Weigh the schema that an answer must follow."""
        return Weight(text_tokens(answer_schema(schema), self.reader.encoding))

    def frame(self, conversation: Conversation, schema: Callable[[Json], Weight]) -> tuple[float, float, bool]:
        """What the request adds: tokens, slack, and whether its tools are left out (never: OpenAI shows them always)."""
        answer = answer_format(conversation.options)
        known = None if answer is None else round(schema(answer.get("schema")).tokens)
        tokens, slack = frame_tokens(conversation, self.reader, known)
        return tokens, slack, False

    def interval(self, tokens: float, slack: float) -> tuple[float, float]:
        """Where the reported count lies in at least 95 of 100 requests that are expected to have ``tokens``."""
        below, above = (2 + 0.01 * tokens, 3 + 0.01 * tokens) if self.method == "exact" else (8 + 0.3 * tokens,) * 2
        return max(1.0, tokens - below - min(slack, tokens * 0.9)), tokens + above + slack


@lru_cache(maxsize=512)
def exact_scale(platform: str, model: str) -> ExactScale | None:
    """The scale for an OpenAI model wherever it is hosted; loads its vocabulary.

    Returns:
        ``None`` for every other model, and for gpt-oss: its hosts add system messages of their own.
    """
    reader = reader_of(model, platform)
    if reader is None or reader.encoding == "o200k_harmony":
        return None
    if not warm(reader.encoding):
        return ExactScale(f"openai/{reader.framing.name}", reader, "rough")
    return ExactScale(f"openai/{reader.framing.name}", reader, "exact" if verified(model, platform) else "fitted")
