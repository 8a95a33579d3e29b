"""The annexe of the hall where a request is tidied: what arrives is made smaller, what is over goes when that pays.

The application sends its whole history with every request; what leaves is a view of it. First what holds already: what
was made smaller on arrival (a pure function of what was sent) and what was decided earlier (found by the longest known
prefix). Then, in mode ``prune``, what could go as well (:mod:`ctxkit.removing`). Nothing is remembered before the
request is sent.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from ctxkit import dialects
from ctxkit.caching.survival import Survival
from ctxkit.forks import on_fork
from ctxkit.hygiene.decisions import NOTHING, Decided, Decisions
from ctxkit.hygiene.stubs import said as stubbed
from ctxkit.planning import Before
from ctxkit.removing import Case, best_way
from ctxkit.retelling import Request, opening_of
from ctxkit.revise import revised
from ctxkit.tidypasses import Passes

if TYPE_CHECKING:
    from ctxkit.caching.prefixes import Hasher
    from ctxkit.editable import Action
    from ctxkit.faults import Faults
    from ctxkit.hygiene.editing import Said, Sayings
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Plan
    from ctxkit.planning import Asked
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Decision", "Tidying"]

_OUTPUTS = 5_000  # of our own, which are recognised when they are planned again
_AS_IT_WAS = "Please report it; the request went out as it was."
_CLEARED = ("context_management", "truncation")  # the provider itself removes from such a history


@dataclass(frozen=True, slots=True)
class Decision:
    """What ``sent`` commits.

    Attributes:
        link: keyed hash of the conversation as the application sent it.
        decided: all that holds for it.
        news: some of it was decided for this request.
        requests: that the conversation has had, this one included.
    """

    link: bytes
    decided: tuple[Decided, ...] = NOTHING
    news: bool = False
    requests: int = 1


class Tidying:
    """Tidies requests; one per kit, for all threads."""

    def __init__(self, policy: Policy, store: Store, hasher: Hasher, meter: Meter, faults: Faults) -> None:
        self._prunes = policy.mode == "prune"
        self._hasher = hasher
        self._meter = meter
        self._passes = Passes(policy, faults)
        self._survival = Survival(store)
        self._faults = faults
        self._decisions = Decisions(store)
        self._outputs: OrderedDict[bytes, None] = OrderedDict()
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def tidied(self, asked: Asked) -> Plan:
        """The plan of the request as it should leave; of the original, when something of it fails."""
        try:
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
        return _Opened(asked, request, start, head, chain, cleared)

    def _way(self, opened: _Opened) -> Plan:
        asked, request, chain = opened.asked, opened.request, opened.chain
        prunes = self._prunes and not opened.cleared
        requests = len(request.history.steps) + 1
        case = Case(
            request=request,
            arrived=self._passes.arrived(chain, request, points=not opened.cleared),
            decided=self._decisions.find(chain) if prunes else NOTHING,
            render=lru_cache(maxsize=None)(partial(self._rendered, opened)),
            planned=partial(self._planned, opened),
            rates=self._meter.rates,
            remaining=self._survival.remaining(asked.plan.feature or "", requests),
            affordable=True,
            candidates=self._passes.candidates(request.history) if prunes else (),
        )
        keep = case.way()
        way = best_way(case, keep) if prunes else keep
        self._produced(chain[-1], way.plan.decision)
        return revised(way.plan, decision=Decision(chain[-1], way.decided, bool(way.news), requests))

    def _rendered(self, opened: _Opened, action: Action) -> Sayings:
        return stubbed(opened.request.history, action, ref=None, recallable=False)

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
        if isinstance(decision, Decision):
            self._decisions.commit(decision.link, decision.decided, news=decision.news)


class _Opened(NamedTuple):
    """A request that may be tidied.

    Attributes:
        asked: as it came.
        request: its messages without the opening.
        start: index of the first of them in the conversation.
        head: of their chain.
        chain: keyed hash of each prefix of them.
        cleared: the provider itself removes from such a history.
    """

    asked: Asked
    request: Request
    start: int
    head: str
    chain: list[bytes]
    cleared: bool
