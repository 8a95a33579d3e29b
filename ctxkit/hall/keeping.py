"""What a kit has learned and written down: keeping it, letting go of it, and telling it. A part of the hall."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError
from ctxkit.faults import advice_for
from ctxkit.folders import located

if TYPE_CHECKING:
    from ctxkit.kit import Kit
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report import Report
    from ctxkit.policy import Policy
    from ctxkit.stores.kept import KeptStore
    from ctxkit.stores.sealing import Seal
    from ctxkit.stores.texts import TextStore

__all__ = [
    "LEARNED_KEY",
    "answers_kept",
    "close",
    "flush",
    "keep_learned",
    "placed",
    "reported",
    "texts_kept",
]

LEARNED_KEY = b"learned"


def placed(ledger: str | Path | Ledger | None) -> Path | Ledger | None:
    """Where records are to be kept: a path is meant as it is now, wherever the program goes before the first one."""
    return located(ledger) if isinstance(ledger, str | PathLike) else ledger


def texts_kept(policy: Policy, store: object) -> TextStore | None:
    """Where texts that were removed stand on disk: beside the values of the store; ``None``: the policy keeps none there.

    Args:
        policy: what the user decided.
        store: what ``Kit(store=...)`` was given.

    Raises:
        ConfigurationError: the store is no folder, or the key is of no use.
    """
    if policy.tidy.recall != "disk":
        return None
    from ctxkit.stores.texts import TextStore

    folder = _beside(store, "recall", 'recall="disk" needs a folder to keep texts in')
    return TextStore(folder, policy.tidy.recall_ttl, _seal(policy, "recall_key"))


def answers_kept(policy: Policy, store: object) -> KeptStore | None:
    """Where answers stand on disk, likewise."""
    options = policy.answers
    if options is None or options.where != "disk":
        return None
    from ctxkit.stores.kept import KeptStore

    folder = _beside(store, "answers", 'answers.where="disk" needs a folder to keep answers in')
    option = "answers_key"
    return KeptStore(folder, options.ttl, _seal(policy, option), size=options.max_bytes, option=option)


def _beside(store: object, name: str, wanted: str) -> Path:
    if not isinstance(store, str | Path):
        raise ConfigurationError(f'{wanted}: Kit(store="~/.ctxkit")')
    return located(store) / name


def _seal(policy: Policy, option: str) -> Seal | None:
    """Of the key that an option of the policy holds; ``None``: bytes stand in the file as they are."""
    key = getattr(policy, option)
    if key is None:
        return None
    from ctxkit.stores.sealing import Seal

    return Seal(key.get_secret_value(), option)


def _opened(kit: Kit, name: str) -> Any:
    """A room of the kit, if it was ever opened."""
    return (vars(kit) | vars(kit.rooms)).get(name)


def keep_learned(kit: Kit) -> None:
    """Note in the store what was learned."""
    if (meter := _opened(kit, "meter")) is not None:
        kit.store.put(LEARNED_KEY, meter.dump())
    if (tidying := _opened(kit, "tidying")) is not None:
        tidying.accounts.save()
    if (shadow := _opened(kit, "shadow")) is not None:
        shadow.save()


def flush(kit: Kit) -> None:
    """Write down everything that waits.

    Raises:
        StoreError: the ledger cannot be written; what waits goes on waiting.
    """
    keep_learned(kit)
    if (drifting := _opened(kit, "drifting")) is not None:
        drifting.flush()
    if (renting := _opened(kit, "renting")) is not None:
        renting.tending.flush()
    if (recall := _opened(kit, "recall")) is not None:
        recall.flush()
    if (answers := _opened(kit, "answers")) is not None:
        answers.flush()
    kit.store.flush()
    kit.ledger.flush()


def close(kit: Kit, *, kept: bool) -> None:
    """Write what waits and let go; ``kept``: somebody may read the ledger later."""
    tending = getattr(_opened(kit, "renting"), "tending", None)
    rooms = (_opened(kit, "drifting"), _opened(kit, "shadow"), _opened(kit, "recall"), _opened(kit, "answers"), tending)
    write = (lambda: flush(kit)) if kept else (lambda: keep_learned(kit))
    steps = [room.close for room in rooms if room is not None]
    for step in (*steps, write, kit.ledger.close, kit.store.close):
        try:
            step()
        except Exception as error:  # noqa: BLE001 - who closes has nothing left to do about it
            kit.faults.note("close", error, advice_for(error))


def reported(kit: Kit, by: tuple[str, ...], since: str | None, options: dict[str, Any]) -> Report:
    """The ledger's report, with what stands beside it."""
    from ctxkit.metering.ledger.using import soon
    from ctxkit.metering.report import report

    prices = kit.rooms.meter.prices
    money = {"currency": kit.policy.currency, "rate": kit.policy.usd_rate, "prices": prices}
    found = report(kit.ledger, by=by, since=since, now=kit.clock(), **{**money, **options})
    tidied = kit.rooms.tidying.accounts.told() if kit.policy.tidies else ()
    shadow = kit.shadow.told(found.since) if kit.policy.shadow else None
    coming = soon(kit.ledger, prices, kit.clock())
    return replace(found, tidied=tidied, shadow=shadow, coming=coming)
