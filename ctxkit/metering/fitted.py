"""Tokens of families whose vocabulary is not public, by a calibrated linear sum.

``data/calibration.json`` is written by ``scripts/fit_estimator.py`` from recorded requests and what the providers
reported for them. It says, for each family, how many of its tokens one o200k token of each kind of text makes, and
what messages, tools, schemas and the request itself add. Rows build on one another (all families, tokenizer, family,
family at one platform, model, model at one platform): a row holds only where it differs from the one it builds on.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ctxkit.metering.families import UNKNOWN, family_of, group_of, stem_of, writing_of
from ctxkit.metering.features import Traits, format_traits, traits_of
from ctxkit.metering.frame import frame_of
from ctxkit.metering.media import media_tokens
from ctxkit.metering.textkinds import VOCABULARY, has_vocabulary, kind_of, kinds_of
from ctxkit.metering.tokens import token_bytes, token_ids
from ctxkit.metering.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ctxkit.model import Conversation, Json, Message

__all__ = ["KINDLESS", "Row", "row_for", "row_names", "spread", "table", "width_of"]

_log = logging.getLogger("ctxkit")

Steps = list[list[float]]
"""Measured errors: ``[upper size, low, high]`` per class of size, in units of :func:`spread`."""

_TABLE = Path(__file__).parent / "data" / "calibration.json"

KINDLESS = frozenset({"server.text", "other.text", "id.text", "param.titles", "format.titles", "format.json"})
"""Texts that are weighed by their number of tokens alone: what a family makes of them is not their text."""


class _TokenWeights(dict[int, float]):
    """Weight of each o200k token in one family, filled as tokens are met."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self._weights = weights

    def __missing__(self, token: int) -> float:
        kind = kind_of(token_bytes(token, VOCABULARY))
        weight = self[token] = self._weights.get(f"k.{kind}", 1.0) + self._weights.get("tokens", 0.0)
        return weight


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One family as it is served somewhere, ready to weigh.

    Attributes:
        family: name of the row, shown to users.
        weights: weight of each feature, by name.
        scales: names under which the table keeps the intervals of this row, the best first.
        tokens: weights of single tokens.
        method: ``"fitted"``, or ``"rough"`` for a family that nobody measured and for any without a vocabulary.
    """

    family: str
    weights: Mapping[str, float]
    scales: tuple[str, ...]
    tokens: _TokenWeights
    method: Literal["fitted", "rough"]

    def message(self, messages: Sequence[Message], index: int) -> Weight:
        """Weigh one message (or tool definition, or system block)."""
        return self._weigh(traits_of(messages[index], writing_of(self.family)))

    def frame(self, conversation: Conversation, schema: Callable[[Json], Weight]) -> tuple[float, float, bool]:
        """What the request adds: tokens, slack, and whether its tools are left out (``tool_choice: none``).

        Args:
            conversation: the request.
            schema: weighs the schema of the answer; :meth:`schema`, or what remembers it.
        """
        frame = frame_of(conversation)
        weights = self.weights
        dropped = "tools.none" in frame.flags and not weights.get("keeps.tools", 0.0)
        tokens = sum([weights.get(f"f.{flag}", 0.0) for flag in frame.flags if not dropped or flag != "tools.none"])
        if frame.format is not None:
            tokens += schema(frame.format).tokens
        return tokens, _OPAQUE_SLACK if frame.opaque else 0.0, dropped

    def schema(self, schema: Json) -> Weight:
        """Weigh the schema that an answer must follow."""
        return self._weigh(format_traits(schema, writing_of(self.family)))

    def interval(self, tokens: float, slack: float, *, tools: bool) -> tuple[float, float]:
        """Where the reported count lies in at least 95 of 100 requests that this row expects to have ``tokens``."""
        widen = 1.0 if has_vocabulary() else 3.0
        return width_of(self.scales, tokens, slack, tools=tools, widen=widen)

    def _weigh(self, traits: Traits) -> Weight:
        weights = self.weights
        tokens = sum(weights.get(name, 0.0) * count for name, count in traits.counts.items())
        expected = slack = 0.0
        for name, text in traits.texts:
            if text:
                tokens += self._text(name, text)
                slack += _foreign(text)
        past, now = self._thoughts(traits.reasoning, "reasoning")
        if traits.tagged:
            tagged = self._thoughts(traits.tagged, "tagged")
            past, now = past + tagged[0], now + tagged[1]
        signature = sum(traits.signature)
        past += signature * weights.get("signature.past", 0.0)
        now += signature * weights.get("signature.now", 0.0)
        for part in traits.media:
            one, off = media_tokens(part, self.family)
            expected, slack = expected + one, slack + off
        return Weight(tokens + past + expected, now - past, traits.turn, slack)

    def _text(self, name: str, text: str) -> float:
        extra = self.weights.get(f"t.{name}", 0.0) if name else 0.0
        if not extra and name in KINDLESS:
            return 0.0
        ids = token_ids(text, VOCABULARY)
        if ids is None:
            return self._rough(name, text, extra)
        if name in KINDLESS:
            return extra * len(ids)
        return sum(map(self.tokens.__getitem__, ids)) + extra * len(ids)

    def _rough(self, name: str, text: str, extra: float) -> float:
        kinds = kinds_of(text)
        count = sum(kinds.values())
        if name in KINDLESS:
            return extra * count
        weights, base = self.weights, self.weights.get("tokens", 0.0) + extra
        return sum(weights.get(f"k.{kind}", 1.0) * found for kind, found in kinds.items()) + base * count

    def _thoughts(self, texts: Iterable[str], name: str) -> tuple[float, float]:
        """Weight of thoughts in a turn that is over, and in the one that runs."""
        tokens = sum(sum(kinds_of(text).values()) for text in texts)
        return tokens * self.weights.get(f"{name}.past", 0.0), tokens * self.weights.get(f"{name}.now", 0.0)


def _foreign(text: str) -> float:
    """Slack for text beyond ASCII: hardly any recording holds it, so its weights are not verified.

    A Chinese or Japanese character takes two bytes more than one of ASCII and about 0.7 tokens of o200k, a third of
    which is the slack; a Cyrillic letter one byte and a quarter of a token.
    """
    if text.isascii():
        return 0.0
    return 0.12 * (len(text.encode("utf-8", "surrogatepass")) - len(text))


_OPAQUE_SLACK = 8000.0
"""Tokens that searches, remote tools and stored files have been seen to add before the model begins."""


def spread(tokens: float) -> float:
    """The unit in which errors of an estimate of ``tokens`` are measured: a few tokens, then a share."""
    return 10.0 + 0.05 * tokens


# ------------------------------------------------------------------------------------------------- the table


@cache
def table() -> Mapping[str, Any]:
    """The calibration table as it was written, or a bare one when the file is missing or broken."""
    try:
        found = json.loads(_TABLE.read_text(encoding="utf-8"))
        if isinstance(found.get("rows"), dict) and "*" in found["rows"] and isinstance(found.get("scales"), dict):
            return dict(found)
        reason = "it holds no rows"
    except (OSError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    _log.warning("ctxkit: %s cannot be used (%s); token counts are rough. Reinstall ctxkit.", _TABLE.name, reason)
    return {"rows": {"*": {}}, "scales": {}}


def row_names(platform: str, model: str, family: str) -> tuple[str, ...]:
    """Rows that build on one another for this model, the most general first."""
    stem = stem_of(model)
    names = ["*"]
    if family != UNKNOWN:
        names += [f"~{group_of(family)}", family, f"{family}@{platform}"]
        names += [f"={stem}", f"={stem}@{platform}"]
    return tuple(names)


@lru_cache(maxsize=512)
def row_for(platform: str, model: str) -> Row:
    """The row that counts ``model`` as ``platform`` serves it."""
    family = family_of(model, platform)
    rows = table()["rows"]
    names = row_names(platform, model, family)
    chain = tuple(name for name in names if name in rows)
    if f"={stem_of(model)}" in chain:  # a model's own row was fitted on its family's, over all platforms
        chain = tuple(name for name in chain if not name.startswith(f"{family}@"))
    known = table()["scales"]
    return _row(family, chain, tuple(name for name in reversed(names) if name in known))


@cache
def _row(family: str, chain: tuple[str, ...], scales: tuple[str, ...]) -> Row:
    """One row for all models that share it; there are no more than the table has names."""
    rows = table()["rows"]
    weights: dict[str, float] = {}
    for name in chain:
        weights.update(rows[name])
    known = family in rows and has_vocabulary()
    scales = scales if family in rows else (UNKNOWN,)
    return Row(family, weights, scales, _TokenWeights(weights), "fitted" if known else "rough")


def width_of(
    scales: tuple[str, ...],
    tokens: float,
    slack: float,
    *,
    tools: bool,
    widen: float = 1.0,
    known: Mapping[str, Steps] | None = None,
) -> tuple[float, float]:
    """Low and high around an expected count.

    Args:
        scales: names of rows whose errors were measured; the first one that the table has is used.
        tokens: the expected count.
        slack: what media and the like add to the width.
        tools: there are tools, whose rendering is less certain than text.
        widen: how much wider than measured, for a count that was made with less.
        known: other measured errors than the table's.
    """
    steps = _steps(scales, tools) if known is None else _pick(known, scales, tools=tools)
    _, low, high = steps[0 if tokens < _SMALL else 1 if tokens < _LARGE else 2]
    unit = spread(tokens) * widen
    return max(0.0, tokens + low * unit - min(slack, tokens * 0.9)), tokens + high * unit + slack


_SMALL, _LARGE = 300.0, 1000.0
"""Classes of size in which errors were measured."""


@lru_cache(maxsize=1024)
def _steps(scales: tuple[str, ...], tools: bool) -> Steps:
    return _pick(table()["scales"], scales, tools=tools)


def _pick(known: Mapping[str, Steps], scales: tuple[str, ...], *, tools: bool) -> Steps:
    kind = "+tools" if tools else ""
    names = [f"{name}{kind}" for name in scales] + [f"*{kind}", "*"]
    return next((known[name] for name in names if name in known), _BARE)


_BARE: Steps = [[300.0, -12.0, 12.0], [1000.0, -12.0, 12.0], [1e12, -12.0, 12.0]]
