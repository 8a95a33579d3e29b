"""The hall: the only place where rooms meet.

A request comes in at a front door and is *planned*: read by its dialect, identified by its prefix, weighed by the
counter, priced by its card. It is *sent* by the door. The answer is *settled*: read by the dialect, priced, written
to the ledger.

Rules of the hall:

- ``plan`` only reads. ``sent`` commits. ``settle`` implies ``sent``.
- Nothing raises into the user's call but ``BudgetExceeded`` and ``ConfigurationError``. Every other fault is counted,
  logged once, and the original request goes out (``strict=True`` raises, for tests).
- Time comes from ``clock`` (unix seconds) and ``timer`` (monotonic seconds); nothing else reads a clock.
- Rooms do not know one another: what a room needs of a neighbour is handed to it here.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ctxkit import dialects
from ctxkit.aside import aside
from ctxkit.attempts import blank_plan
from ctxkit.errors import BudgetExceeded, ConfigurationError, ProviderShapeError
from ctxkit.faults import Faults, advice_for
from ctxkit.forks import on_fork
from ctxkit.hall import bookkeeping, keeping
from ctxkit.hall.responses import Response, answer_of
from ctxkit.hall.rooms import Rooms
from ctxkit.lazily import lazily
from ctxkit.metering.settling import record_of
from ctxkit.stores import open_store
from ctxkit.stores.guarded import GuardedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from ctxkit.cacheable import Keeper
    from ctxkit.caching.advice import Advice
    from ctxkit.caching.coldstarts import Tally
    from ctxkit.caching.lint import Finding
    from ctxkit.dialects.base import Dialect
    from ctxkit.drift import Drift
    from ctxkit.hall.answering import Answering
    from ctxkit.hall.cache_objects import CacheObjects
    from ctxkit.hall.drifting import Drifting
    from ctxkit.hall.planning import Look
    from ctxkit.hall.shadow import Shadows
    from ctxkit.hall.warming import Warming
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.report import Report
    from ctxkit.model import Json, Plan, Record, Timing
    from ctxkit.policy import Policy
    from ctxkit.stores import Store

__all__ = ["Kit"]

C = TypeVar("C")


class Kit:
    """Plans and settles requests; one per application is enough.

    Args:
        policy: what the user decided; default: observe.
        store: folder that workers and restarts share, ``None`` for this process only, or an own ``Store``.
        ledger: SQLite file, an own ``Ledger`` (``Ledger(path, sync="full")``), or ``None`` for none on disk.
        clock: unix time in seconds.
        timer: monotonic seconds, for latencies.
        strict: raise internal faults; for tests.

    Raises:
        ConfigurationError: an option that cannot work.

    Example:
        >>> kit = Kit(store=None, ledger=None)
        >>> body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello!"}]}
        >>> kit.plan(body, dialect="openai.chat", platform="openai").estimate.input_tokens
        9
    """

    def __init__(
        self,
        policy: Policy | None = None,
        store: str | Path | Store | None = None,
        ledger: str | Path | Ledger | None = None,
        clock: Callable[[], float] = time.time,
        *,
        timer: Callable[[], float] = time.perf_counter,
        strict: bool = False,
    ) -> None:
        from ctxkit.policy import Policy

        if policy is not None and not isinstance(policy, Policy):
            raise ConfigurationError(f"Kit(policy=...) wants a ctxkit.Policy, got {type(policy).__name__}")
        self.policy = policy or Policy()
        self.clock = clock
        self.timer = timer
        self.faults = Faults(strict=strict)
        self.store = GuardedStore(open_store(store), self.faults.note)
        self.listeners: list[Callable[[Record], None]] = []
        opened = (keeping.placed(ledger), keeping.texts_kept(self.policy, store), self.faults)
        self.rooms = Rooms(self.policy, self.store, *opened, clock, timer)
        self._answers_on_disk = keeping.answers_kept(self.policy, store)
        self._warming: Warming | None = None
        self._renew()
        on_fork(self, "_renew", before="_warmed_up")

    def _renew(self) -> None:
        self._making = threading.RLock()  # what one thread opens another does not open again: see lazily

    def _warmed_up(self) -> None:
        """A child must not find modules half imported; and it need not do again what its parent has done."""
        if self._warming is not None:
            self._warming.join()

    # ------------------------------------------------------------------ opened on first use

    @property
    def ledger(self) -> Ledger:
        """Where records are kept."""
        return self.rooms.ledger

    @lazily
    def caches(self) -> CacheObjects:
        """The provider's cache objects (Gemini's ``CachedContent``): list, create, prolong and delete them."""
        from ctxkit.hall.cache_objects import CacheObjects

        return CacheObjects(self, self.rooms.renting)

    @lazily
    def answers(self) -> Answering | None:
        """Answers that were given before to the very same request; ``None``: the policy wants none."""
        if self.policy.answers is None:
            return None
        from ctxkit.hall.answering import Answering

        return Answering(self, self._answers_on_disk)

    @lazily
    def shadow(self) -> Shadows:
        """What stronger modes would have saved: ``kit.shadow.told()``; ``flush()`` plans what waits."""
        from ctxkit.hall.shadow import shadows_of

        return shadows_of(self)

    @lazily
    def drifting(self) -> Drifting:
        """How conversations drift: what is settled is measured; ``kit.drifting.flush()`` measures what waits."""
        from ctxkit.hall.drifting import drifting_of

        return drifting_of(self)

    def _drift_of(self, plan: Plan) -> Drift | None:
        return self.drifting.of(plan) if self.policy.drift else None

    # ------------------------------------------------------------------ plan

    def plan(
        self,
        body: Json,
        *,
        dialect: str | None,
        platform: str = "",
        model: str | None = None,
        stream: bool | None = None,
        feature: str | None = None,
        labels: Mapping[str, str] | None = None,
        thread: str | None = None,
        scope: str | None = None,
        region: str | None = None,
        fixed: bool = False,
        rental: Keeper | None = None,
        now: float | None = None,
    ) -> Plan:
        """What should be sent and what it will cost; changes nothing.

        Args:
            body: the wire JSON of the request.
            dialect: ``"openai.chat"``, ``"openai.responses"``, ``"anthropic.messages"``, ``"gemini.generate"``,
                ``"bedrock.converse"``, or a meter-only one; ``None`` for what nobody understands.
            platform: who serves it (``"openai"``, ``"azure"``, ``"bedrock"``, ``"openrouter"``, ...); prices and the
                meaning of usage go by it.
            model: where the wire does not carry it in the body (Gemini, Bedrock).
            stream: where the wire does not say so in the body.
            feature: overrides the feature of the code that is running.
            labels: added to the labels of the code that is running.
            thread: the conversation; found by its prefix when not given.
            scope: organisation, workspace or tenant whose provider cache this is.
            region: of the platform, where prices differ by it.
            fixed: nothing may be changed any more, whatever the policy: the request is signed already.
            rental: who keeps the provider's cache objects for this request; doors know.
            now: unix time in seconds; default: the kit's clock.

        Raises:
            ConfigurationError: no such dialect.
            BudgetExceeded: a hard budget refuses it.
        """
        blank, named = self._begin(
            body,
            dialect=dialect,
            platform=platform,
            model=model,
            stream=stream,
            feature=feature,
            labels=labels,
            scope=scope,
            region=region,
            fixed=fixed,
            rental=rental,
            now=now,
        )
        return self._plan(blank, named, thread)

    async def aplan(self, body: Json, *, thread: str | None = None, **options: Any) -> Plan:
        """``plan`` for event loops: what takes long is done in a thread. Takes what ``plan`` takes."""
        blank, named = self._begin(body, **options)
        look, long = None, False
        if named is not None:
            with contextlib.suppress(Exception):  # whatever it is, ``_plan`` meets it again and says so
                look = self.rooms.planning.look(body, named)
                long = self.rooms.planning.takes_long(blank, look)
        work = functools.partial(self._plan, blank, named, thread, look)
        return await aside(work) if long else work()

    def _begin(
        self,
        body: Json,
        *,
        dialect: str | None,
        platform: str = "",
        model: str | None = None,
        stream: bool | None = None,
        scope: str | None = None,
        now: float | None = None,
        **known: Any,
    ) -> tuple[Plan, Dialect | None]:
        """A plan that knows who asks and when, and the dialect that will look at the request."""
        named = dialects.get(dialect) if dialect else None
        if dialect and named is None:
            names = ", ".join(dialects.EDITABLE + dialects.METER_ONLY)
            raise ConfigurationError(f"no dialect {dialect!r}; there are: {names}")
        blank = blank_plan(
            body,
            now=self.clock() if now is None else now,
            dialect=dialect or "",
            platform=platform,
            model=model or "",
            stream=bool(stream),
            scope=scope or self.policy.scope,
            gauge=self._drift_of,
            **known,
        )
        return blank, named

    def _plan(self, blank: Plan, named: Dialect | None, thread: str | None, look: Look | None = None) -> Plan:
        if named is None:
            return replace(blank, unmetered="no wire format known for it")
        try:
            return self.rooms.planning.weigh(
                blank, *(look or self.rooms.planning.look(blank.body, named)), thread=thread
            )
        except (BudgetExceeded, ConfigurationError):
            raise
        except ProviderShapeError as error:
            self.faults.warn("plan: malformed request", str(error))
            return replace(blank, dialect="", unmetered=f"malformed request: {error}")
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("plan", error, "Please report it; the request went out as it was.")
            return replace(blank, dialect="", unmetered=f"internal fault: {type(error).__name__}")

    # ------------------------------------------------------------------ cold starts

    def hold(self, plan: Plan) -> Plan:
        """Wait while another request of this process writes the cold prefix that both share, where that pays.

        Call it between ``plan`` and sending, and ``began`` when the answer begins; doors do. Waits no longer than the
        policy's ``cold_start_wait``, and gives the plan, forecast anew when it waited for something.
        """
        return self.rooms.upkeep.waiting.hold(plan)

    async def ahold(self, plan: Plan) -> Plan:
        """``hold`` for event loops: only the task waits."""
        return await self.rooms.upkeep.waiting.ahold(plan)

    @property
    def cold_starts(self) -> Tally:
        """How many cold starts of this process went first, waited or waited in vain, and for how long."""
        return self.rooms.upkeep.cold_starts.tally

    def began(self, plan: Plan) -> None:
        """The answer begins: what the request wrote can be read, and those that wait for it go."""
        self.rooms.upkeep.began(plan)

    def prewarm(
        self, body: Json, *, dialect: str, platform: str = "", model: str | None = None, **options: Any
    ) -> Plan:
        """A plan that fills the provider's cache with what ``body`` shares with later requests, and asks for no answer.

        Send it as any request, through a wrapped client: ``client.messages.create(**plan.body)``; it is metered as
        any is. Nothing is ever sent by itself.

        Args:
            body: a real request; Anthropic wants ``max_tokens: 0`` instead of streaming, a forced tool, thinking or a
                format, which are left out where that changes nothing of what is cached.
            dialect: ``"anthropic.messages"`` or ``"openai.responses"``; no other wire has a form for it.
            platform: who serves it.
            model: where the wire does not carry it in the body.
            options: what ``plan`` takes.

        Raises:
            ConfigurationError: the provider has no form for it, or would cache nothing that real requests read; the
                message says what to do.
        """
        from ctxkit.hall import foresight

        marks = self.policy.mode != "observe"
        warm = foresight.warmer(body, dialect, platform, model, own=self.rooms.upkeep.own_rules, marks=marks)
        return self.plan(warm, dialect=dialect, platform=platform, model=model, **options)

    # ------------------------------------------------------------------ sent

    def sent(self, plan: Plan) -> None:
        """The request left: remember its thread, write the opening entry. Saying it twice changes nothing."""
        if plan.attempt in self.rooms.attempts:
            return
        try:
            bookkeeping.begun(self, plan)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("sent", error, advice_for(error))

    async def asent(self, plan: Plan) -> None:
        """``sent`` for event loops."""
        if self.ledger.sync == "full":
            # The thread has a context of its own: what it noted there is brought back.
            self.rooms.attempts.resume(await aside(functools.partial(self._sent_in_thread, plan)))
        else:
            self.sent(plan)

    def _sent_in_thread(self, plan: Plan) -> Any:
        self.sent(plan)
        return self.rooms.attempts.last()

    # ------------------------------------------------------------------ settle

    def settle(
        self,
        plan: Plan,
        response: Response = None,
        *,
        status: int | None = 200,
        timing: Timing | None = None,
        now: float | None = None,
    ) -> Record:
        """Write down what the request did cost.

        Args:
            plan: what ``plan`` gave.
            response: the wire JSON of the answer; its raw body, streamed or not; a list of stream events; an
                ``Answer`` or ``Usage`` that was read from it; or ``None`` when nothing is known of it.
            status: HTTP status; ``None`` when no answer came at all. 400 and above settle as ``failed``.
            timing: moments of the attempt.
            now: unix time in seconds at which the answer ended; it changes nothing, for an attempt is priced at the moment
                it was sent.
        """
        del now
        self.sent(plan)
        answer = answer_of(plan, response, status, self.faults)
        try:
            record = self.rooms.meter.record(plan, answer, status, timing)
        except Exception as error:  # noqa: BLE001 - the user's call is sacred
            self.faults.note("settle", error, "The record keeps its estimate.")
            record = record_of(plan, None, status, timing, None)
        record = self.rooms.upkeep.settled(plan, record, answer.diagnosis if answer else None)
        if plan.decision is not None:
            record = self.rooms.tidying.settled(plan, record)
        if plan.rental is not None:
            record = self.rooms.renting.settled(plan, record)
        record = bookkeeping.ended(self, plan, record)
        bookkeeping.watched(self, plan, record)
        return record

    async def asettle(
        self,
        plan: Plan,
        response: Response = None,
        **options: Any,
    ) -> Record:
        """``settle`` for event loops: a commit that waits for the disk (``sync="full"``) waits in a thread."""
        if self.ledger.sync == "full":
            return await aside(functools.partial(self.settle, plan, response, **options))
        return self.settle(plan, response, **options)

    def unmetered(self, platform: str, endpoint: str) -> None:
        """Count a model call that passed and nobody can meter."""
        bookkeeping.passed(self, platform, endpoint)

    def refused(self, plan: Plan, status: int | None, again: int | None = None) -> bool:
        """A settled request was refused for what was added: doors send it as it was, and tell what came of it (``again``)."""
        return self.rooms.upkeep.refused(plan, status, again)

    # ------------------------------------------------------------------ doors

    def wrap(self, client: C, *, platform: str | None = None) -> C:
        """Meter a client (or LiteLLM function): the same object, or one of the same class.

        Args:
            client: of the OpenAI, Anthropic or Google SDK, boto3's ``bedrock-runtime``, or a LiteLLM function.
            platform: who serves it, where its host does not say (``"vllm"``, ``"sglang"``, a gateway's owner).

        Raises:
            UnsupportedClientError: no front door fits it, or it would go unmetered; the message says what to do.
        """
        from ctxkit.integrations import wrap

        wrapped = wrap(client, self, platform=platform)
        self.warm()
        return wrapped

    def attach(self, http_client: C, *, platform: str | None = None) -> C:
        """Meter an httpx or httpx2 client, to be passed as ``http_client=`` of an SDK; the same object."""
        from ctxkit.integrations import attach

        attached = attach(http_client, self, platform=platform)
        self.warm()
        return attached

    def google_http_options(self, **options: Any) -> Any:
        """``http_options`` for ``genai.Client`` with both HTTP clients metered, sync and async."""
        from ctxkit.integrations.google_genai import google_http_options

        self.warm()
        return google_http_options(self, **options)

    def warm(self) -> None:
        """Load vocabulary and prices in a thread, so that the first request does not wait for them."""
        from ctxkit.hall.warming import Warming

        if self._warming is None:
            relevance = (lambda: self.rooms.relevance) if self.policy.mode == "prune" else None
            self._warming = Warming(lambda: self.rooms.meter, self.clock(), self.faults, relevance)

    # ------------------------------------------------------------------ what was removed

    def recall(self, ref: str, *, thread: str) -> str:
        """The text that an edit removed from a conversation.

        Args:
            ref: its reference: a stub says it where the request offers ``ctxkit.recall_tool``, and ``plan.tidied.refs``
                has all of them.
            thread: id of the conversation, ``plan.thread``; no other one can read it.

        Raises:
            StoreError: the thread has no such text, or none any more (``tidy.recall_ttl``); whatever a model may have
                made up as a reference ends here, too.
            ConfigurationError: the policy keeps none.
        """
        return self.rooms.recall.recall(ref, thread)

    # ------------------------------------------------------------------ what was metered

    def report(self, by: tuple[str, ...] = ("feature",), since: str | None = None, **options: Any) -> Report:
        """The ledger by feature, model, platform, day, ...; prints itself, ``.to_dict()``, ``.to_csv()``."""
        return keeping.reported(self, by, since, options)

    def advice(self, since: str | None = "7d") -> tuple[Advice, ...]:
        """What pings, another time to live, waiting or prewarming would have saved or cost since then, in hindsight.

        Largest saving first, with its sign; nothing is sent or changed. Looks at 200,000 requests at most.

        Raises:
            StoreError: the ledger cannot be read.
        """
        from ctxkit.hall import foresight

        own = self.rooms.upkeep.own_rules
        return foresight.advice(self.ledger, since, self.clock(), meter=self.rooms.meter, own=own)

    def lint(
        self,
        body: Json | Sequence[Json],
        *,
        dialect: str,
        platform: str = "",
        model: str | None = None,
        ignore: Collection[str] = (),
    ) -> tuple[Finding, ...]:
        """What will break or miss the provider's cache in a request, or in requests that follow one another."""
        from ctxkit.hall.linting import lint

        bodies = list(body) if isinstance(body, list | tuple) else [body]
        plans = (self.plan(one, dialect=dialect, platform=platform, model=model, fixed=True) for one in bodies)
        return lint(
            ((plan, f"request {number}") for number, plan in enumerate(plans, 1)), self.rooms.meter.rates, ignore
        )

    def flush(self) -> None:
        """Write down everything that waits, learned corrections included.

        Raises:
            StoreError: the ledger cannot be written; what waits goes on waiting.
        """
        keeping.flush(self)

    def close(self) -> None:
        """Write what waits and let go of files and threads. A fault is told, as all faults are, and not raised."""
        keeping.close(self, kept=self.rooms.keeps_records)
