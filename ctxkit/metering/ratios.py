"""How many tokens of one model another one makes of the same text, where only counts are known and no text.

Both families weigh the same sample: instructions, prose, JSON, code and a log, in about equal shares. That is a mean: by
what is written, single texts are off by a tenth or so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ctxkit.metering.count import scale_for
from ctxkit.metering.families import UNKNOWN
from ctxkit.model import Message, Part

if TYPE_CHECKING:
    from ctxkit.metering.count import Scale

__all__ = ["ratio"]

_SAMPLE: Final = '''\
You are the assistant of a library. Answer politely and in few words, and look things up before you promise them.
Members may keep a book for four weeks; whoever returns it late pays ten cents a day, but never more than five euros.
If a question is not about books, opening hours or fees, say that you cannot help with it, and whom to ask instead.

Hello! I borrowed two novels about the sea on 3 September and I'm afraid I've lost one of them. What do I have to pay,
and until when could I keep the other? My number is 4471-982-06, and I shall be away from the 14th to the 29th.

{"member": "4471-982-06", "loans": [{"id": "b-20391", "title": "The Long Swell", "due": "2026-10-01T18:00:00Z",
"renewed": 1, "fee": 0.0}, {"id": "b-11873", "title": "Salt and Iron", "due": "2026-10-01T18:00:00Z", "renewed": 0,
"fee": 1.4}], "address": {"street": "Harbour Lane 12", "zip": "24103"}, "blocked": false, "limit": null}

def overdue(loans, today):
    """Loans whose day has passed, the oldest first."""
    late = [one for one in loans if one.due < today]
    for loan in sorted(late, key=lambda one: one.due):
        days = (today - loan.due).days
        yield loan.id, min(days * 0.10, 5.00)

src/library/fees.py:41: error: Incompatible types in assignment (expression has type "float", variable has type "int")
Found 1 error in 1 file (checked 17 source files)
2026-10-02 07:15:33,201 WARNING fees 0x7f3a retrying in 2.5 s (3/5): connection reset by peer 10.0.14.7:5432
'''

_CREDIBLE = (0.8, 1.7)
"""Tokens for one of o200k. Where few recordings were fitted, figures outside of it make up for something else."""


@lru_cache(maxsize=1024)
def ratio(platform: str, model: str, other_platform: str, other: str) -> float | None:
    """Tokens of ``other`` per token of ``model``; exactly 1 in one family.

    ``None`` where one of them was never measured, or never well. The first call loads what counting takes (0.2 s).
    """
    mine, theirs = scale_for(platform, model), scale_for(other_platform, other)
    if model == other or mine.family == theirs.family != UNKNOWN:
        return 1.0
    before, after = _counted(mine), _counted(theirs)
    return None if before is None or after is None else after / before


def _counted(scale: Scale) -> float | None:
    """Tokens of the sample; ``None``: nobody measured this family, or what was fitted cannot be its vocabulary alone."""
    if scale.method == "rough":
        return None
    message = Message("user", ("messages", 0), {"role": "user", "content": _SAMPLE}, _parts)
    tokens = scale.message([message], 0).tokens
    least, most = _CREDIBLE
    return tokens if least <= tokens / _plain() <= most else None


@lru_cache(maxsize=1)
def _plain() -> float:
    """Tokens of the sample in the largest public vocabulary."""
    message = Message("user", ("messages", 0), {"role": "user", "content": _SAMPLE}, _parts)
    return scale_for("openai", "gpt-5").message([message], 0).tokens


def _parts(message: Message) -> tuple[Part, ...]:
    return (Part("text", message.role, (*message.path, "content"), message.value["content"], _SAMPLE),)
