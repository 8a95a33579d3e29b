"""What tidying came to, in the hall: how long threads live, whether a feature wins, what was asked for again.

One place that knows what was sent and what it cost, so that the rooms that count need not know one another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.caching.survival import IDLE, Lived, Survival
from ctxkit.caching.trial import Settled, Trials
from ctxkit.hygiene.regret import Regret
from ctxkit.metering.report.beside import Tidied
from ctxkit.money import pico_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from decimal import Decimal

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.trial import Account, Verdict
    from ctxkit.hygiene.editing import Said
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.regret import Refetched
    from ctxkit.metering.ledger import Ledger
    from ctxkit.model import Plan, Record
    from ctxkit.stores import Store

__all__ = ["Accounts", "told"]

_RECALLED = 50_000  # latest attempts of the ledger that lengths of threads are read from
_BOUGHT = frozenset({"cache", "reminders"})  # no tidying, and what is restated is to cost something


class Accounts:
    """Keeps the accounts of one kit; for all threads."""

    def __init__(self, hasher: Hasher, store: Store, holdout: float) -> None:
        self.survival = Survival(store)
        self.trials = Trials(hasher.digest, store, holdout)
        self.regret = Regret(hasher.digest, store)

    def verdict(self, plan: Plan, *, begins: bool, held: bool) -> Verdict:
        """What may be done with a thread: what was done from its beginning on, else its cached prefix would change.

        Args:
            plan: of its next request.
            begins: this is its first one.
            held: a thread that sent this prefix was left as it is: this one, or one that began alike.
        """
        feature, thread = plan.feature or "", plan.thread or ""
        allowed = self.trials.allowed(feature, thread)
        if begins or allowed == "holdout":
            return allowed
        return self.trials.known(feature, thread) or ("resting" if held else "edit")

    def remaining(self, plan: Plan, requests: int) -> float:
        """Requests that the thread will still have, at the lower quartile."""
        return self.survival.remaining(plan.feature or "", requests)

    def may_spend(self, plan: Plan, pico: float) -> bool:
        """A rewrite that costs so much more now may be bought."""
        return self.trials.may_spend(plan.feature or "", round(pico))

    def sent(self, plan: Plan, requests: int, history: History, said: Said, price: float) -> None:
        """A request left; ``price``: what a rewrite in it costs more now, in pico-dollars."""
        feature, thread = plan.feature or "", plan.thread or ""
        if plan.number == 1:
            self.survival.continued(feature, thread, requests, plan.created)
            self.regret.sent(feature, thread, history, said)
        if price > 0:
            self.trials.spends(feature, thread, round(price))

    def settled(self, plan: Plan, record: Record, verdict: Verdict, predicted: float, later: Collection[str]) -> None:
        """A request was answered.

        Args:
            plan: it was sent by.
            record: of what it came to.
            verdict: what is done with its thread.
            predicted: what a rewrite in it is expected to save, in pico-dollars.
            later: passes that removed what was sent before; the others made smaller what arrived.
        """
        edited = any(edit.by for edit in plan.edits)
        if record.cost is None or (edited and record.savings is None):
            return  # what is not known is not judged
        tidy = {name: saved for name, saved in record.savings_by.items() if name not in _BOUGHT}
        rewrites = {name: saved for name, saved in tidy.items() if name in later}
        settled = Settled(pico_of(record.cost) or 0, _sum(tidy), _sum(rewrites), round(predicted))
        self.trials.noted(plan.feature or "", plan.thread or "", verdict, settled, plan.created)

    def shadowed(self, plan: Plan, settled: Settled) -> None:
        """A request of a feature that rests was planned in the shadow, and this it would have come to."""
        self.trials.shadowed(plan.feature or "", plan.thread or "", settled, plan.created)

    def told(self) -> tuple[Tidied, ...]:
        """How tidying stands for each feature of which anything is known, for a report."""
        return _all_told(self.trials, self.regret)

    def recall(self, ledger: Ledger, now: float) -> None:
        """How long threads lived, as far as the ledger tells, where the store knew nothing. Takes a while."""
        threads = ledger.threads(_RECALLED)
        self.survival.recall((feature, Lived(1, count, now - last >= IDLE)) for feature, count, last in threads)

    def save(self) -> None:
        """Keep what was learned in the store."""
        self.survival.save()
        self.trials.save()
        self.regret.save()


def _sum(values: Mapping[str, Decimal]) -> int:
    return sum(pico_of(value) or 0 for value in values.values())


def told(store: Store) -> tuple[Tidied, ...]:
    """How tidying stands as the store has it, for those who only read."""
    return _all_told(Trials(_unkeyed, store), Regret(_unkeyed, store))


def _unkeyed(value: object) -> bytes:
    """Nothing is counted there."""
    raise NotImplementedError(value)


def _all_told(trials: Trials, regret: Regret) -> tuple[Tidied, ...]:
    return tuple(_told(name, account, regret.refetched(name)) for name, account in trials.accounts().items())


def _told(feature: str, account: Account, refetched: Refetched) -> Tidied:
    measured = account.measured._asdict() if account.measured is not None else None
    return Tidied(feature, *account[:-1], measured=measured, refetched=refetched._asdict())
