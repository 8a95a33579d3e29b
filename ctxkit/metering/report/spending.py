"""Where each dollar went: sums of tokens by bucket, priced by the cards that priced the attempts.

Cost is linear in the buckets while the rates are the same. So the attempts are added up by card (and by price step,
where prompts on both sides of one are among them), and the parts are kept if they come to the very sum that the
ledger has for them, to the pico-dollar; else, and where the sum is the provider's own or an estimate, it is not split.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from ctxkit.metering.prices.card import region_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping

    from ctxkit.metering.prices.card import Card

__all__ = ["PARTS", "Cards", "Split", "split"]

_TTLS: Final = ("12h", "1h", "30m", "5m")
PARTS: Final = (
    *("fresh", "read", *(f"written.{ttl}" for ttl in reversed(_TTLS)), "output", "reasoning"),
    *("calls", "storage", "waste", "unsplit"),
)
"""All parts, in the order in which they are told."""

_MEDIA: Final = tuple(
    f"{kind}.{bucket}" for kind in ("text", "audio", "image", "video") for bucket in ("fresh", "read", "output")
)
_CALLS: Final = ("web_search", "file_search", "code_execution", "x_search")
_WHOLE: Final = 10**12
_MOST_CARDS: Final = 500  # in one statement


class Cards(Protocol):
    """Finds rate cards, as :meth:`ctxkit.metering.prices.Prices.card` does."""

    def __call__(
        self, platform: str, model: str, *, at: float, tier: str | None = None, region: str | None = None
    ) -> Card | None:
        """The card; ``None``: no price is known."""
        ...


@dataclass(slots=True)
class Split:
    """Parts in pico-dollars, and the tokens that they paid for."""

    pico: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tokens: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, other: Split) -> None:
        """Add another one to this one."""
        for name, pico in other.pico.items():
            self.pico[name] += pico
        for name, tokens in other.tokens.items():
            self.tokens[name] += tokens


def _of_json(column: str, name: str) -> str:
    return (
        f"CASE WHEN {column} IS NULL OR {column} = '{{}}' THEN 0 "
        f"ELSE coalesce(json_extract({column}, '$.\"{name}\"'), 0) END"
    )


def _again() -> Iterator[tuple[str, str]]:
    """Missed tokens that were written again: the longest lives first, which are the dearest; the rest was fresh."""
    left = "missed"
    for ttl in _TTLS:
        yield f"again_{ttl}", f"min({left}, w_{ttl})"
        left = f"max({left} - w_{ttl}, 0)"
    yield "again_fresh", f"min({left}, fresh)"


_KEYS: Final = ("platform", "model", "response_model", "tier", "card")
_INNER: Final = ", ".join(
    (
        *_KEYS,
        "cost_pico, created, fresh, coalesce(read, 0) AS read, output, coalesce(reasoning, 0) AS reasoning",
        "CASE WHEN miss_reason IS NULL THEN 0 ELSE max(coalesce(miss_tokens, 0), 0) END AS missed",
        *(f"{_of_json('written', ttl)} AS w_{ttl}" for ttl in _TTLS),
        *(f'{_of_json("media", name)} AS "{name}"' for name in _MEDIA),
        *(f'{_of_json("calls", name)} AS "call.{name}"' for name in _CALLS),
    )
)
_PROMPT: Final = f"fresh + read + {' + '.join(f'w_{ttl}' for ttl in _TTLS)}"
_SUMS: Final = {
    "count": "count(*)",
    "at": "min(created)",
    "shortest": f"min({_PROMPT})",
    "longest": f"max({_PROMPT})",
    "whole": f"sum(cost_pico / {_WHOLE})",
    "rest": f"sum(cost_pico % {_WHOLE})",
    **{name: f"sum({name})" for name in ("fresh", "read", "output", "reasoning")},
    **{f"w_{ttl}": f"sum(w_{ttl})" for ttl in _TTLS},
    **{name: f'sum("{name}")' for name in (*_MEDIA, *(f"call.{name}" for name in _CALLS))},
    **{name: f"sum(CASE WHEN missed = 0 THEN 0 ELSE {again} END)" for name, again in _again()},
}


def split(db: sqlite3.Connection, since: float, until: float, cards: Cards) -> Split:
    """What can be split of what the attempts of a period cost.

    Args:
        db: of the ledger.
        since: unix time.
        until: the same, exclusive.
        cards: finds the rates of then.
    """
    found = Split()
    torn: dict[str, Card] = {}
    for row in _rows(db, since, until):
        card = _card(row, cards)
        if card is None:
            continue
        if card.rates(row["shortest"]) is not card.rates(row["longest"]):
            torn[row["card"]] = card
        elif (priced := _priced(row, card)) is not None:
            found.add(priced)
    for row in _rows(db, since, until, torn) if torn else ():
        if (priced := _priced(row, torn[row["card"]])) is not None:
            found.add(priced)
    return found


def _rows(
    db: sqlite3.Connection, since: float, until: float, cards: Mapping[str, Card] | None = None
) -> Iterator[dict[str, Any]]:
    """Sums by card; with ``cards`` only theirs, and by price step."""
    wanted, band = "", ""
    values: list[object] = [since, until]
    if cards:
        named = list(cards)[:_MOST_CARDS]
        wanted = f"AND card IN ({','.join('?' * len(named))})"
        values += named
        band = "".join(f", {_PROMPT} > {above}" for above in _steps(cards.values()))
    inner = (
        f"SELECT {_INNER} FROM attempts WHERE created >= ? AND created < ? "  # noqa: S608
        f"AND card IS NOT NULL AND cost_pico = card_cost_pico AND coalesce(number, 1) > 0 {wanted}"
    )
    # Whichever row of a card stands for its names: each of them leads to it.
    query = f"SELECT {', '.join((*_KEYS, *_SUMS.values()))} FROM ({inner}) GROUP BY card{band}"  # noqa: S608
    names = (*_KEYS, *_SUMS)
    for figures in db.execute(query, values):
        yield dict(zip(names, figures, strict=True))


def _steps(cards: Iterable[Card]) -> list[int]:
    return sorted({tier.above for card in cards for tier in card.tiers[1:]})


def _card(row: Mapping[str, Any], cards: Cards) -> Card | None:
    """The card of an attempt, found as it was found then: by the model that answered, or the one that was asked.

    One of another name will do where a newer price list says the same under it: the sum decides.
    """
    found = None
    for model in (row["response_model"], row["model"]):
        for region in (None, region_of(row["card"])):
            card = model and cards(row["platform"] or "", model, at=row["at"], tier=row["tier"], region=region)
            if card and card.id == row["card"]:
                return card
            found = found or card or None
    return found


def _priced(row: Mapping[str, Any], card: Card) -> Split | None:
    """The parts of a sum; ``None`` when they do not come to it."""
    rates = card.rates(row["shortest"])
    try:
        found = _parts(row, rates)
    except KeyError:
        return None
    if sum(found.pico.values()) != row["whole"] * _WHOLE + row["rest"]:
        return None
    _waste(found, row, rates)
    return found


def _parts(row: Mapping[str, Any], rates: Mapping[str, int]) -> Split:
    """By the rules of :func:`ctxkit.metering.prices.card.charge`; KeyError for tokens without a rate."""
    found = Split()
    tokens = {"fresh": row["fresh"], "read": row["read"], "output": row["output"] - row["reasoning"]}
    tokens |= {f"written.{ttl}": row[f"w_{ttl}"] for ttl in _TTLS}
    for name, count in tokens.items():
        if count:
            found.pico[name], found.tokens[name] = count * _rate(rates, name), count
    if thoughts := row["reasoning"]:
        found.pico["reasoning"], found.tokens["reasoning"] = (
            thoughts * rates.get("reasoning", rates["output"]),
            thoughts,
        )
    for name in _MEDIA:
        if row[name] and name in rates:
            bucket = name.partition(".")[2]
            found.pico[bucket] += row[name] * (rates[name] - rates[bucket])
    calls = sum(row[f"call.{name}"] * rates[f"call.{name}"] for name in _CALLS if row[f"call.{name}"])
    if fees := calls + row["count"] * rates.get("request", 0):
        found.pico["calls"] = fees
    return found


def _rate(rates: Mapping[str, int], name: str) -> int:
    if name in ("written.5m", "written.30m") and name not in rates:
        return rates["written"]
    return rates[name]


def _waste(found: Split, row: Mapping[str, Any], rates: Mapping[str, int]) -> None:
    """Take what missed tokens cost more than a read out of what they were billed as."""
    if "read" not in rates:
        return
    for name in ("fresh", *(f"written.{ttl}" for ttl in _TTLS)):
        again = row[f"again_{name.removeprefix('written.')}"]
        if again and (more := again * (_rate(rates, name) - rates["read"])) > 0:
            found.pico[name] -= more
            found.pico["waste"] += more
            found.tokens["waste"] += again
