"""OpenAI's models on the counter's scale: their own vocabulary and framing, with the error that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from ctxkit.metering.fitted import width_of
from ctxkit.metering.openai_request import answer_format
from ctxkit.metering.openai_tokens import Reader, frame_tokens, message_weight, reader_of, schema_tokens
from ctxkit.metering.tokens import warm
from ctxkit.metering.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.model import Conversation, Json, Message

__all__ = ["Exact", "exact_for"]

_FITTED = "o200k_harmony"
"""The open-weight models read o200k too, but hosts frame their requests each in its own way: they are fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """An OpenAI model as one reader reads it.

    Attributes:
        reader: vocabulary and framing.
        method: ``"exact"``, or ``"rough"`` when the vocabulary cannot be used.
    """

    reader: Reader
    method: Literal["exact", "fitted", "rough"]

    @property
    def family(self) -> str:
        """Name of the row."""
        return f"openai:{self.reader.framing.name}"

    def message(self, messages: Sequence[Message], index: int) -> Weight:
        """Weigh one message."""
        return message_weight(messages, index, self.reader)

    def schema(self, schema: Json) -> Weight:
        """Weigh the form that an answer must have: name, description and schema, as the request gives them."""
        if not isinstance(schema, Mapping):
            return Weight(0)
        name, description = str(schema.get("name") or ""), str(schema.get("description") or "")
        return Weight(schema_tokens(name, description, schema.get("schema"), self.reader))

    def frame(self, conversation: Conversation, schema: Callable[[Json], Weight]) -> tuple[float, float, bool]:
        """What the request adds; tools that may not be called are read all the same."""
        answer = answer_format(conversation.options)
        known = None if answer is None else round(schema(answer).tokens)
        tokens, slack = frame_tokens(conversation, self.reader, known)
        return tokens, slack, False

    def interval(self, tokens: float, slack: float, *, tools: bool) -> tuple[float, float]:
        """Low and high, from what recorded requests of this generation, or of all OpenAI models, showed."""
        widen = 1.0 if self.method == "exact" else 3.0
        return width_of((self.family, "openai"), tokens, slack, tools=tools, widen=widen)


@lru_cache(maxsize=512)
def exact_for(platform: str, model: str) -> Exact | None:
    """The scale of an OpenAI model; ``None`` for any other."""
    reader = reader_of(model, platform)
    return None if reader is None or reader.encoding == _FITTED else _exact(reader)


@lru_cache(maxsize=512)
def _exact(reader: Reader) -> Exact:
    return Exact(reader, "exact" if warm(reader.encoding) else "rough")
