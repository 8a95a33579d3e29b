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

_LONG, _FAR = 50_000.0, 0.6


@lru_cache(maxsize=1024)
def ratio(platform: str, model: str, other_platform: str, other: str) -> float | None:
    """Tokens of ``other`` per token of ``model``; exactly 1 in one family.

    ``None`` where one of them was never measured, or never well. The first call loads what counting takes (0.2 s).
    """
    mine, theirs = scale_for(platform, model), scale_for(other_platform, other)
    if model == other or mine.family == theirs.family != UNKNOWN:
        return 1.0
    if not (_known(mine) and _known(theirs)):
        return None
    message = Message("user", ("messages", 0), {"role": "user", "content": _SAMPLE}, _parts)
    before, after = (scale.message([message], 0).tokens for scale in (mine, theirs))
    return after / before


def _known(scale: Scale) -> bool:
    """Its counts of a long text were seen to be right to about a half either way."""
    low, high = scale.interval(_LONG, 0.0, tools=False)
    return scale.method != "rough" and low >= _LONG * (1 - _FAR) and high <= _LONG * (1 + _FAR)


def _parts(message: Message) -> tuple[Part, ...]:
    return (Part("text", message.role, (*message.path, "content"), message.value["content"], _SAMPLE),)
