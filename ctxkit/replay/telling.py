"""An audit as the JSON object that ``ctxkit audit --json`` prints: tokens are integers, money is text in USD."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from ctxkit.money import usd_of
from ctxkit.replay.advising import largest, missed, rate_of
from ctxkit.replay.resending import MODES, OPTIMUM, RAW
from ctxkit.replay.waste import KINDS
from ctxkit.told import drift_dict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.replay.advising import Advised
    from ctxkit.replay.auditing import Audit
    from ctxkit.replay.measuring import Measured

__all__ = ["supposed", "told", "wasted"]


def told(audit: Audit) -> dict[str, Any]:
    """The object; a field that was not computed is ``None``."""
    threads, rate = audit.threads, rate_of(audit.threads)
    priced = audit.as_sent is not None
    return {
        "threads": len(threads),
        "requests": sum(one.requests for one in threads),
        "failed_requests": sum(one.failed for one in threads),
        "input_tokens": sum(one.as_sent.tokens for one in threads),
        "output_tokens": sum(one.as_sent.output for one in threads),
        "answers_unknown": sum(one.as_sent.silent for one in threads),
        "hidden_tokens": sum(one.hidden * one.requests for one in threads),
        "waste": {kind: None if _bare(threads) else sum(one.waste.get(kind, 0) for one in threads) for kind in KINDS},
        "waste_cost": {
            kind: _usd(sum(one.waste_pico.get(kind, 0) for one in threads) if priced and not _bare(threads) else None)
            for kind in KINDS
        },
        "drift": _drift(audit),
        "questions": None if audit.questions is None else audit.questions._asdict(),
        "cost": _costs(audit),
        "modes": {mode: _usd(audit.total(mode)) for mode in MODES},
        "mode": audit.mode,
        "assumed": {name: getattr(audit.assumed, name) for name in ("platform", "model", "ttl")},
        "misses": {
            reason: {"requests": one.requests, "tokens": one.tokens, "cost": _usd(one.pico if priced else None)}
            for reason, one in missed(threads).items()
        },
        "compared": compared(threads),
        "sample": sample(audit),
        "requests_per_month": None if rate.per_month is None else round(rate.per_month),
        "todo": [_advice(one) for one in audit.todo],
        "by_thread": [_thread(audit, number) for number in range(len(threads))],
        "formats": _counted(one.format for one in threads),
        "models": _models(threads),
        "supposed_models": supposed(threads),
        "unpriced": sorted({name for one in threads for name in one.as_sent.unpriced}),
        "unread": list(audit.unread),
        "currency": "USD",
    }


def _bare(threads: Sequence[Measured]) -> bool:
    return bool(threads) and all(one.bare for one in threads)


def _usd(pico: int | None) -> str | None:
    usd = usd_of(pico)
    return None if usd is None else format(usd, "f")


def _costs(audit: Audit) -> dict[str, str | None]:
    return {
        "as_sent": _usd(audit.as_sent),
        "raw_cached": _usd(audit.total(RAW)),
        "ctxkit": _usd(audit.total(audit.mode)),
        "optimum": _usd(audit.total(OPTIMUM)),
    }


def compared(threads: Iterable[Measured]) -> dict[str, Any] | None:
    """Reported usage beside what was counted and simulated; ``None``: no request carries usage."""
    held = [one.compared for one in threads if one.compared.requests]
    if not held:
        return None
    errors = sorted(error for one in held for error in one.errors)
    return {
        "requests": sum(one.requests for one in held),
        "reported_tokens": sum(one.reported for one in held),
        "counted_tokens": sum(one.counted for one in held),
        "median_error": median(errors) if errors else None,
        "median_absolute_error": median(map(abs, errors)) if errors else None,
        "within_10_percent": sum(abs(one) <= 0.1 for one in errors) / len(errors) if errors else None,
        "read_tokens": sum(one.read for one in held),
        "simulated_read_tokens": sum(one.simulated_read for one in held),
        "input_cost": _usd(sum(one.pico for one in held)),
        "simulated_input_cost": _usd(sum(one.simulated_pico for one in held)),
    }


def sample(audit: Audit) -> dict[str, Any] | None:
    """Which recordings were replayed, and how sure that makes the totals; ``None``: all were."""
    if audit.sample.whole:
        return None
    return {
        "threads": len(audit.replays),
        "requests": sum(audit.threads[at].requests for at in audit.replays),
        "of_threads": len(audit.threads),
        "points": sum(audit.sample.times.values()),
        "confidence": 0.95,
        "intervals": {mode: [_usd(one.low), _usd(one.high)] for mode, one in audit.totals.items()},
    }


def _advice(one: Advised) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "what": one.what,
        "requests": one.requests,
        "tokens": one.tokens,
        "usd": _usd(one.pico),
        "usd_per_1000_requests": _usd(one.per_1000),
        "usd_per_month": _usd(one.per_month),
        "where": one.where or None,
    }


def _thread(audit: Audit, number: int) -> dict[str, Any]:
    one, again = audit.threads[number], audit.replays.get(number)
    costs = {mode: _usd(again.bills[mode].pico) if again else None for mode in (RAW, *MODES)}
    return {
        "name": one.name,
        "source": one.source,
        "format": one.format,
        "feature": one.feature or None,
        "requests": one.requests,
        "input_tokens": one.as_sent.tokens,
        "waste": wasted(one),
        "cost": {
            "as_sent": _usd(one.as_sent.pico),
            "raw_cached": costs[RAW],
            "ctxkit": costs[audit.mode],
            "optimum": _usd(again.optimum) if again else None,
        },
        "modes": {mode: costs[mode] for mode in MODES},
        "drift": drifted(one),
        "missed_tokens": sum(missed_.tokens for missed_ in one.missed.values()),
        "finding": largest(one),
    }


def _drift(audit: Audit) -> dict[str, Any] | None:
    """How all recordings drifted; of many, judged by those that were measured."""
    found = audit.drift
    if found is None:
        return None
    return {
        "measured": found.measured,
        "score": round(found.score, 6),
        "level": found.level,
        "noise_tokens": round(found.noise),
        "noise_share": round(found.noise_share, 6),
        "noise_fee": _usd(None if found.pico is None else round(found.pico)),
        "repetition": round(found.repetition, 6),
        "loops": found.stuck,
        "goal": None if found.goal is None else round(found.goal, 6),
        "superseded": found.superseded,
        "position": round(found.position, 6),
        "threads": found.levels,
        "by": found.by,
    }


def drifted(one: Measured) -> dict[str, Any] | None:
    """How one recording drifted; ``None``: it was not measured."""
    found = one.drift
    if found is None:
        return None
    return {
        **(drift_dict(found.end) or {}),
        "tokens": round(found.tokens),
        "noise_tokens": round(found.noise),
        "noise_share": round(found.noise_share, 6),
        "noise_fee": _usd(None if found.pico is None else round(found.pico)),
        "loop": round(found.loop, 6),
        "curve": [
            {"request": at.request, "score": round(at.score, 6), "noise_share": round(at.noise_share, 6)}
            for at in found.curve
        ],
    }


def wasted(one: Measured) -> dict[str, int | None]:
    """Wasted tokens of one recording, by kind; ``None``: its texts are not known."""
    return {kind: None if one.bare else one.waste.get(kind, 0) for kind in KINDS}


def _counted(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def supposed(threads: Iterable[Measured]) -> dict[str, int]:
    """Requests by the model that is taken to have been asked, where nobody said which."""
    found: dict[str, int] = {}
    for one in threads:
        if one.supposed:
            found[one.supposed] = found.get(one.supposed, 0) + one.requests
    return dict(sorted(found.items()))


def _models(threads: Iterable[Measured]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in threads:
        for name, requests in one.models.items():
            found[name] = found.get(name, 0) + requests
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
