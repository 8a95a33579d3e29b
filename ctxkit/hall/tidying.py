"""The annexe of the hall where a request is tidied: what arrives is made smaller, what is over goes when that pays.

The application sends its whole history with every request; what leaves is a view of it. First what holds already: what
was made smaller on arrival (a pure function of what was sent) and what was decided earlier (found by the longest known
prefix). Then, in mode ``prune``, what could go as well (:mod:`ctxkit.hall.removing`). Nothing is remembered before the
request is sent.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.caching.rewriting import Choice
from ctxkit.editable import Tidied, tallied
from ctxkit.forks import on_fork
from ctxkit.hall.accounts import Accounts
from ctxkit.hall.planning import Before
from ctxkit.hall.recall import recallable
from ctxkit.hall.reminding import restated
from ctxkit.hall.removing import Case, best_way, told
from ctxkit.hall.retelling import Request, opening_of
from ctxkit.hall.tidypasses import Passes
from ctxkit.hygiene.decisions import HELD, NOTHING, Decided, Decisions
from ctxkit.hygiene.editing import Said
from ctxkit.hygiene.reminders import reminds
from ctxkit.hygiene.removed import removed
from ctxkit.hygiene.rendered import Rendered
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.caching.trial import Verdict
    from ctxkit.editable import Action
    from ctxkit.faults import Faults
    from ctxkit.hall.planning import Asked
    from ctxkit.hall.recall import Recall
    from ctxkit.hygiene.history import History
    from ctxkit.hygiene.relevance import Relevance
    from ctxkit.hygiene.stubs import Sayings
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Conversation, Plan, Record
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Decision", "Tidying"]

_OUTPUTS = 5_000  # of our own, which are recognised when they are planned again
_LEFT = {
    "holdout": "left as it is, to compare with",
    "resting": "left as it is: tidying lost on this feature",
}
_AS_IT_WAS = "Please report it; the request went out as it was."
_FREE = 0.02  # share of a limit that is left free, for what the estimate is off
_CLEARED = ("context_management", "truncation")  # the provider itself removes from such a history


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``sent`` commits, and ``settle`` accounts for.

    Attributes:
        link: keyed hash of the conversation as the application sent it.
        decided: all that holds for it.
        verdict: what is done with its thread.
        requests: that the conversation has had, this one included.
        history: as the application sent it.
        said: instead of it.
        choice: what was decided for this request.
        refs: what removed a text, by the reference of the text.
    """

    link: bytes
    decided: tuple[Decided, ...]
    verdict: Verdict
    requests: int
    history: History = field(repr=False)
    said: Said = field(default=Said({}, {}), repr=False)
    choice: Choice = Choice(-1)  # noqa: RUF009 - a constant
    refs: Mapping[str, Action] = field(default_factory=dict)


class Tidying:
    """Tidies requests; one per kit, for all threads.

    Args:
        policy: what the user decided.
        store: what outlives requests.
        hasher: keyed hashes.
        meter: counts and prices.
        recall: keeps texts that were removed.
        faults: told of what goes wrong.
        relevance: what belongs to what is talked about now.

    Attributes:
        accounts: what tidying came to.
    """

    def __init__(
        self,
        policy: Policy,
        store: Store,
        hasher: Hasher,
        meter: Meter,
        recall: Recall,
        faults: Faults,
        relevance: Relevance,
    ) -> None:
        self._prunes = policy.mode == "prune"
        self._tidy = policy.tidy
        self._hasher = hasher
        self._meter = meter
        self._recall = recall
        self._passes = Passes(policy, faults, relevance)
        self.accounts = Accounts(hasher, store, policy.tidy.holdout)
        self._faults = faults
        self._decisions = Decisions(store)
        self._render = Rendered()
        self._outputs: OrderedDict[bytes, None] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def tidied(self, asked: Asked) -> Plan:
        """The plan of the request as it should leave; of the original, when something of it fails."""
        try:
            if _reminds(asked.look[0]):  # our own, and nothing may be said to the cache behind what is its end
                return revised(asked.weighed(revised(asked.plan, fixed=True), asked.look, None), fixed=asked.plan.fixed)
            found = self._opened(asked)
            return asked.weighed(asked.plan, asked.look, None) if found is None else self._way(found)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self._faults.note("tidy", error, _AS_IT_WAS)
            return asked.weighed(asked.plan, asked.look, None)

    def _opened(self, asked: Asked) -> _Opened | None:
        """What of the request may be tidied; ``None``: nothing."""
        plan, (conversation, digests, _) = asked.plan, asked.look
        texts = dialects.texts(plan.dialect)
        if plan.fixed or texts is None or conversation.server_history is not None:
            return None
        start = opening_of(conversation)
        cleared = any(conversation.options.get(name) not in (None, "disabled") for name in _CLEARED)
        head = f"{'cleared' if cleared else 'tidy'}\0{plan.dialect}\0{plan.scope or ''}"
        chain = self._hasher.chain(digests[start:], head)
        if not chain or chain[-1] in self._outputs:
            return None
        model = plan.model or conversation.model
        weights, _ = self._meter.weights(conversation, digests, platform=plan.platform, model=model)
        request = Request(conversation.messages[start:], texts, weights[start:], sum(weights[:start]))
        return _Opened(asked, request, start, head, chain, cleared, self._prunes and recallable(conversation))

    def _way(self, opened: _Opened) -> Plan:
        asked, request, chain = opened.asked, opened.request, opened.chain
        plan, known = asked.plan, self._decisions.find(chain)
        requests = len(request.history.steps) + 1
        verdict = self.accounts.verdict(plan, begins=known is None or requests == 1, held=known == HELD)
        known = None if known == HELD else known
        decision = Decision(chain[-1], known or NOTHING, verdict, requests, request.history)
        if verdict != "edit":
            found = asked.weighed(plan, asked.look, None)
            held = replace(decision, decided=HELD) if verdict == "resting" else decision
            return revised(found, decision=held, tidied=Tidied(verdict), notes=(*found.notes, _LEFT[verdict]))
        case = self._case(opened, known or NOTHING, requests)
        keep = case.way()
        way = best_way(case, keep) if self._may_prune(opened) else keep
        self._produced(chain[-1], way.plan.decision)
        kept = [one.action for one in way.decided if any(case.render(one.action))]
        refs = {self._recall.ref_of(chain, action): action for action in kept}
        decision = replace(decision, decided=way.decided, said=way.said, choice=way.choice, refs=refs)
        found = self._reminded(opened, case, told(case, way))
        return revised(found, decision=decision, tidied=found.tidied and replace(found.tidied, refs=tuple(refs)))

    def _reminded(self, opened: _Opened, case: Case, plan: Plan) -> Plan:
        """The plan with what is to be restated at its end, where that is wanted, has a place and room."""
        request, asked = opened.request, opened.asked
        wanted = self._passes.reminder(request.history, request.reached) if self._may_prune(opened) else None
        found = restated(asked, plan, wanted, self._meter) if wanted is not None else None
        if found is None or not _roomy(case, plan, found[0]):
            return plan
        reminded, look = found
        self._produced(opened.chain[-1], self._hasher.chain(look[1][opened.start :], opened.head)[-1])
        told_of = reminded.tidied and replace(reminded.tidied, passes=tallied(reminded.edits))
        return revised(reminded, tidied=told_of)

    def _may_prune(self, opened: _Opened) -> bool:
        return self._prunes and not opened.cleared

    def _case(self, opened: _Opened, decided: tuple[Decided, ...], requests: int) -> Case:
        """What is to be known to decide; in mode ``lossless`` there is nothing to be decided."""
        plan, request, prunes = opened.asked.plan, opened.request, self._may_prune(opened)
        candidates = self._passes.candidates(request.history) if prunes else []
        limit, cliffs = self._limits(opened) if prunes else (None, ())
        return Case(
            request=request,
            arrived=self._passes.arrived(opened.chain, request, points=not opened.cleared),
            decided=decided if prunes else NOTHING,
            render=lru_cache(maxsize=None)(partial(self._rendered, opened)),
            planned=partial(self._planned, opened),
            rates=self._meter.rates,
            remaining=self.accounts.remaining(plan, requests),
            affordable=partial(self.accounts.may_spend, plan),
            candidates=candidates,
            limit=limit,
            cliffs=cliffs,
            fitting=partial(self._passes.fitting, request.history, candidates, [one.action for one in decided]),
        )

    def _limits(self, opened: _Opened) -> tuple[int | None, Sequence[int]]:
        """Most tokens that the prompt may have, and lengths above which all of it costs more."""
        if not self._tidy.fit:
            return None, ()
        window, cliffs = self._meter.limits(opened.asked.plan)
        room = window - (opened.asked.look[0].max_output or 0) if window else 0
        known = [most for most in (room if room > 0 else window, self._tidy.max_input_tokens) if most]
        return min(known, default=None), cliffs

    def _rendered(self, opened: _Opened, action: Action) -> Sayings:
        ref = self._recall.ref_of(opened.chain, action) if opened.recallable else None
        return self._render(opened.request.history, opened.chain, action, ref)

    def _planned(self, opened: _Opened, said: Said, cut: int) -> Plan:
        """The plan to the end of the request with this said; its ``decision`` names the conversation as it leaves."""
        asked, edits = opened.asked, opened.request.edits(said)
        plan, look = asked.edited(asked.plan, edits) if edits else (asked.plan, asked.look)
        at = opened.start + cut - sum(index < cut for index in said.drops) if cut > 0 else -1
        output = self._hasher.chain(look[1][opened.start :], opened.head)[-1]
        return revised(asked.weighed(plan, look, Before(asked.look, asked.plan.prefix, at)), decision=output)

    def _produced(self, link: bytes, output: object) -> None:
        """Remember what is our own, so that a plan of it changes nothing more."""
        if output == link or not isinstance(output, bytes):
            return
        with self._lock:
            self._outputs[output] = None
            self._outputs.move_to_end(output)
            while len(self._outputs) > _OUTPUTS:
                self._outputs.popitem(last=False)

    def sent(self, plan: Plan) -> None:
        """The request left: what was decided for it holds from now on."""
        decision = plan.decision
        if not isinstance(decision, Decision):
            return
        self._decisions.commit(decision.link, decision.decided, news=decision.choice.index >= 0)
        self.accounts.sent(plan, decision.requests, decision.history, decision.said, decision.choice.price)
        try:
            for ref, action in decision.refs.items():
                self._recall.keep(plan.thread, ref, partial(removed, decision.history, action))
        except Exception as error:  # noqa: BLE001 - what was sent stands
            self._faults.note("recall", error, "A text that was removed cannot be asked for.")

    def settled(self, plan: Plan, record: Record) -> Record:
        """It was answered, and this is what it came to; with what a rewrite in it is expected to save."""
        decision = plan.decision
        if not isinstance(decision, Decision):
            return record
        try:
            predicted = round(decision.choice.gain) if decision.choice.index >= 0 else 0
            later = {one.by for one in decision.decided}
            self.accounts.settled(plan, record, decision.verdict, predicted, later)
            return revised(record, predicted=usd_of(predicted)) if predicted else record
        except Exception as error:  # noqa: BLE001 - the record stands
            self._faults.note("tidy: settle", error, "Please report it; the record is complete.")
            return record

    def recall(self, ledger: Callable[[], Ledger], now: float) -> None:
        """Read in a thread of its own what the ledger knows of earlier threads."""

        def work() -> None:
            try:
                self.accounts.recall(ledger(), now)
            except Exception as error:  # noqa: BLE001 - without it what is usual is assumed
                self._faults.warn("tidy: recall", type(error).__name__)

        with contextlib.suppress(RuntimeError):  # no more threads
            threading.Thread(target=work, name="ctxkit-recall", daemon=True).start()


def _reminds(conversation: Conversation) -> bool:
    """Something was said at its end already."""
    parts = conversation.messages[-1].parts if conversation.messages else ()
    return bool(parts) and reminds(parts[-1].text)


def _roomy(case: Case, plan: Plan, longer: Plan) -> bool:
    """It still fits, and lies below the same price step."""
    before, after = (one.estimate.input_tokens if one.estimate else 0 for one in (plan, longer))
    return after <= (1 - _FREE) * (case.limit or 2 * after) and not any(
        before <= cliff < after for cliff in case.cliffs
    )


class _Opened(NamedTuple):
    """A request that may be tidied.

    Attributes:
        asked: as it came.
        request: its messages without the opening.
        start: index of the first of them in the conversation.
        head: of their chain.
        chain: keyed hash of each prefix of them.
        cleared: the provider itself removes from such a history.
        recallable: the model can ask for what was removed.
    """

    asked: Asked
    request: Request
    start: int
    head: str
    chain: list[bytes]
    cleared: bool
    recallable: bool
