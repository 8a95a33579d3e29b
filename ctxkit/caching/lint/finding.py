"""What a check is given, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from ctxkit.cacheable import Block
    from ctxkit.caching.layout import Layout
    from ctxkit.caching.rules.rule import Rule
    from ctxkit.model import Path

__all__ = ["Finding", "Seen", "broken", "instructs", "where"]


class Seen(NamedTuple):
    """One request, as the checks see it.

    Attributes:
        layout: the request as its provider's cache reads it.
        blocks: its blocks, one for each position of the layout.
        rule: how the cache works; ``None`` where nobody has described it.
        rates: pico-dollars per token by bucket; ``None`` where no price is known.
        source: where the request stands (``"requests.jsonl:3"``), ``""`` for one that was handed over.
    """

    layout: Layout
    blocks: Sequence[Block]
    rule: Rule | None = None
    rates: Mapping[str, int] | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that costs cache reads.

    Attributes:
        rule: id of the check (``"volatile-prefix"``).
        source: where the request stands.
        path: the part that it is about.
        message: what was found, in one sentence; it may quote a date or an id, never more of a prompt.
        fix: what to do.
        certain: seen to happen from one request to the next; else it is likely from the look of it.
        tokens: of each request that cannot be read from the cache because of it.
        cost: USD per 1,000 requests, ``None`` where prices are unknown.
    """

    rule: str
    source: str
    path: Path
    message: str
    fix: str
    certain: bool = False
    tokens: int = 0
    cost: Decimal | None = None

    @property
    def severity(self) -> Literal["warning", "notice"]:
        """``"warning"`` for what is certain or costs a good part of the prompt."""
        return "warning" if self.certain or self.tokens >= _MUCH else "notice"


_MUCH = 1_000  # tokens


def instructs(block: Block) -> bool:
    """The block is a tool or an instruction, whichever way the wire puts it: what should stay the same."""
    return block.tier != "messages" or block.role in ("system", "developer")


def broken(seen: Seen, index: int) -> int:
    """Tokens from the block at ``index`` to the end: what cannot be read when that block changes."""
    before = seen.layout.positions[index - 1].tokens if index else 0.0
    return max(round(seen.layout.total - before), 0)


def where(path: Path) -> str:
    """A path for people: ``messages[3].content[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the request"
