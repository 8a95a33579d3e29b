"""What is done for cache objects off the path of requests: created, prolonged and let go, and their rent charged.

All of it happens in one thread, at the provider's pace; :meth:`Tending.tend` does the same at once, for tests and tidying.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import secrets
import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ctxkit.caching.handles import Boundary, Choice, Demands, Handle, Registry, Rent, choose, life_of, spent, verdict
from ctxkit.dialects.gemini import handles as wire
from ctxkit.errors import CacheObjectError
from ctxkit.forks import on_fork
from ctxkit.metering.settling import charge_record
from ctxkit.model import Plan
from ctxkit.money import usd_of
from ctxkit.revise import revised

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.cacheable import Keeper, Kept
    from ctxkit.faults import Faults
    from ctxkit.metering.ledger import Ledger
    from ctxkit.metering.meter import Meter
    from ctxkit.model import Json, Message
    from ctxkit.stores.guarded import GuardedStore

__all__ = ["PREFIX", "Lease", "Tending"]

V = TypeVar("V")

PREFIX = "ctxkit:"
"""How the display name of a cache object begins that ctxkit made; the keyed hash of what it holds follows."""

_WAITING = 64  # requests that wait to be looked at
_TICK = 10.0  # seconds between two looks at what stands
_MARGIN = 45.0  # seconds before its end in which an object is prolonged
_SPARED = 60.0  # seconds of rent that are worth a call to end it
_CHARGED = 60.0  # seconds between two entries of the same rent
_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0  # seconds of rest after the provider refused to create one; doubled each time
_MOST = 1_000  # things remembered of each kind


class Lease(NamedTuple):
    """What a plan carries of cache objects.

    Attributes:
        keeper: creates them.
        account: keyed hash of whose they are.
        found: where one may end in this request, the shortest first.
        messages: of the request, as it was before it was given one.
        body: of the request, likewise.
        minimum: least tokens of one.
        handle: the one that it reads.
    """

    keeper: Keeper
    account: str
    found: tuple[Boundary, ...]
    messages: tuple[Message, ...]
    body: Json
    minimum: int
    handle: Handle | None = None


class _Seen(NamedTuple):
    """A request that was answered, to be looked at."""

    lease: Lease
    plan: Plan


class Tending:
    """The cache objects of a kit; for all threads.

    Args:
        store: shared memory of workers and restarts.
        meter: knows prices.
        ledger: where rent is written down.
        faults: told of what goes wrong.
        clock: unix time in seconds.
    """

    def __init__(
        self,
        store: GuardedStore,
        meter: Meter,
        ledger: Callable[[], Ledger],
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        self.registry = Registry(store)
        self.keepers: dict[str, Keeper] = {}
        self.clock = clock
        self._meter = meter
        self._ledger = ledger
        self._faults = faults
        self._demands = Demands()
        self._refused: dict[str, None] = {}  # boundaries that the provider did not take
        self._least: dict[str, int] = {}  # tokens, by model, as the provider said when it refused
        self._rests: dict[str, tuple[float, float]] = {}  # until when nothing is created for an account; the pause
        self._charged: dict[str, float] = {}
        self._registered = False  # with ``atexit``, which a forked child inherits
        self._lost: dict[str, float] = {}  # objects that were found to be gone, and when
        self._renew()
        on_fork(self, "_renew")

    def _renew(self) -> None:
        """A forked child has its own thread and locks; what its parent noted, its parent writes."""
        self.owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._waiting: deque[_Seen] = deque(maxlen=_WAITING)
        self._reads: deque[tuple[str, str, float]] = deque(maxlen=100_000)
        self._thread: threading.Thread | None = None
        self._wake, self._over = threading.Event(), threading.Event()
        self._starting, self._working = threading.Lock(), threading.RLock()

    def met(self, account: str, keeper: Keeper) -> None:
        """A client of this account is there, which can create and end objects."""
        if len(self.keepers) < _MOST or account in self.keepers:
            self.keepers[account] = keeper

    def stands(self, key: str, now: float) -> Handle | None:
        """The object of this content, if a request may read it."""
        handle = self.registry.ready(key, now)
        return handle if handle is not None and handle.name not in self._lost else None

    def lost(self, name: str) -> None:
        """An object was found to be gone: nobody here reads it any more, and the others hear of it."""
        _remember(self._lost, name, self.clock())
        self._run()

    def answered(self, lease: Lease, plan: Plan, read: int | None) -> None:
        """A request was answered; ``read``: tokens that the provider's own cache served of it, where that is known."""
        self._demands.note(lease.found, plan.created, read if lease.handle is None else None)
        if lease.handle is not None:
            self._reads.append((lease.handle.name, plan.feature or "", plan.created))
        self._waiting.append(_Seen(lease, revised(plan, layout=None, body=None, prefix=(), rental=None)))
        self._run()

    def _run(self) -> None:
        self._wake.set()
        with self._starting, contextlib.suppress(RuntimeError):  # no more threads: the next request tries again
            if self._thread is None:
                if not self._registered:  # where no thread begins, this is tried with each request
                    atexit.register(self._at_exit)
                    self._registered = True
                thread = threading.Thread(target=self._go_on, name="ctxkit-rent", daemon=True)
                thread.start()
                self._thread = thread

    def _at_exit(self) -> None:
        with contextlib.suppress(Exception):  # the interpreter is half gone
            self.close()

    def _go_on(self) -> None:
        over, wake = self._over, self._wake
        while not over.is_set():
            wake.wait(_TICK)
            wake.clear()
            with contextlib.suppress(Exception):  # a strict kit raises what was told already; the thread goes on
                self.tend()

    def tend(self) -> None:
        """What the thread does: look at the latest requests and at all objects, and create, prolong and end."""
        with self._working:
            now = self.clock()
            try:
                self.tended()
                while self._waiting:
                    self._consider(self._waiting.popleft(), now)
                for handle in list(self.registry.handles(now).values()):
                    self._look_after(handle, now)
            except Exception as error:  # noqa: BLE001 - nobody's call
                self._faults.note("cache objects", error, "Please report it; requests go on without cache objects.")

    def _note_reads(self) -> None:
        counts: dict[str, dict[str, int]] = {}
        times: dict[str, list[float]] = {}
        while self._reads:
            name, feature, moment = self._reads.popleft()
            features = counts.setdefault(name, {})
            features[feature] = features.get(feature, 0) + 1
            times.setdefault(name, []).append(moment)
        self.registry.read(counts, times)

    def _consider(self, seen: _Seen, now: float) -> None:
        lease, plan = seen.lease, seen.plan
        if now < self._rests.get(lease.account, (0.0, 0.0))[0]:
            return
        rent = self._meter.rent(plan, lease.found[-1].tokens if lease.found else 0)
        if rent is None:
            self._faults.warn("cache objects: price", f"no price of storage is known for {plan.model}: none is created")
            return
        found = [one for one in lease.found if one.key not in self._refused]
        already = max((one.tokens for one in found if self.stands(one.key, now)), default=0)
        least = max(lease.minimum, self._least.get(plan.model, 0))
        paces = self._demands.of(one.key for one in found)
        choice = choose(found, paces, Rent(*rent), now, minimum=least, already=already)
        if choice is not None and choice.gain > self._owing(choice.boundary.key, now):
            times = tuple(paces[choice.boundary.key].times)
            self.create(lease, choice, _wanted(lease, plan, choice, Rent(*rent), times), now)

    def _owing(self, key: str, now: float) -> int:
        """Pico-dollars a new one must promise: twice what earlier ones of this content cost more than they saved."""
        past = [one for one in self.registry.handles(now).values() if one.key.partition(".")[0] == key and one.name]
        costs = (spent(one, now) for one in past)
        return 2 * max(sum(creation + rent - saved for creation, rent, saved in costs), 0)

    def create(self, lease: Lease, choice: Choice, wanted: Handle, now: float, *, told: bool = False) -> Handle | None:
        """Create an object, unless somebody does; ``None`` when there is none of it.

        Raises:
            CacheObjectError: the provider refuses, and the caller wants to be ``told``.
        """
        content = wire.content(lease.body, lease.messages[choice.boundary.message])
        if content is None:
            return None
        claim = self.registry.claim(wanted, self.owner, now)
        if not claim.mine:
            return None
        try:
            adopted = _orphan(lease.keeper, wanted) if claim.abandoned else None
            kept = adopted or lease.keeper.create(wanted.model, content, choice.seconds, PREFIX + wanted.key)
        except CacheObjectError as error:
            self._denied(wanted, error, now)
            if told:
                raise
            return None
        handle = replace(
            wanted,
            name=kept.name,
            tokens=kept.tokens or choice.boundary.tokens,
            created=kept.created if adopted is not None else now,  # by our own clock, whatever the provider's says
            expires=kept.expires if adopted is not None else now + max(kept.expires - kept.created, 0.0),
            owner=self.owner,
        )
        self.registry.keep(handle)
        self._rests.pop(lease.account, None)
        self._charge(handle, now)
        return handle

    def _denied(self, wanted: Handle, error: CacheObjectError, now: float) -> None:
        """What the provider said decides what is tried again, and when; nobody's call hears of it."""
        if error.status is not None and error.status < 500:
            self.registry.drop(wanted.key)  # else it may stand all the same: the claim's heir looks for it
        if error.status in (400, 404):
            _remember(self._refused, wanted.key, None)
            if least := re.search(r"min_total_token_count=(\d+)", str(error)):
                _remember(self._least, wanted.model, int(least[1]))
        else:
            pause = min(self._rests.get(wanted.account, (0.0, _PAUSE / 2))[1] * 2, _LONGEST_PAUSE)
            _remember(self._rests, wanted.account, (now + pause, pause))
        self._faults.warn("cache objects: refused", f"{wanted.model}: none was created ({error.status or 'no answer'})")

    def _look_after(self, handle: Handle, now: float) -> None:
        if not handle.name or handle.ended is not None:
            return
        if now - self._charged.get(handle.name, 0.0) >= _CHARGED and handle.owner == self.owner:
            self._charge(handle, now)
        keeper = self.keepers.get(handle.account)
        if keeper is None or handle.pinned:
            return
        left, says = handle.expires - now, verdict(handle, now)
        with contextlib.suppress(CacheObjectError):  # gone, or not to be reached: it ends by itself
            if says == "keep" and left < _MARGIN:
                self.prolong(keeper, handle, life_of(handle.pace, now), now)
            elif says == "let go" and left > _SPARED:
                keeper.delete(handle.name)
                self._ended(handle, now)

    def prolong(self, keeper: Keeper, handle: Handle, seconds: float, now: float) -> None:
        """Have an object end so many seconds from now."""
        try:
            keeper.prolong(handle.name, seconds)
        except CacheObjectError as error:
            if error.status in (403, 404):
                self._ended(handle, now)
            raise
        self.registry.prolong(handle.name, now + seconds)

    def _ended(self, handle: Handle, at: float) -> None:
        ended = self.registry.end(handle.name, at)
        if ended is not None:
            self._charge(ended, at)

    def end(self, name: str, now: float) -> None:
        """An object was deleted: it costs nothing from now on."""
        handle = self.registry.named(name, now)
        if handle is not None:
            self._ended(handle, now)

    # ------------------------------------------------------------------ money

    def _charge(self, handle: Handle, now: float) -> None:
        """Write down what an object cost so far, to those who read it; again under the same names as it grows."""
        if not handle.storage and not handle.base:
            return  # no price is known: never 0
        creation, rent, _ = spent(handle, now)
        reads = {"": 0, **handle.reads} if handle.count else {"": 1}
        whole, left = sum(reads.values()), creation + rent
        for number, (feature, count) in enumerate(sorted(reads.items(), key=lambda item: item[0]), 1):
            share = (creation + rent) * count // whole if number < len(reads) else left
            left -= share
            record = charge_record(
                f"{handle.name}/{handle.created:.0f}/{feature}",
                at=handle.created,
                dialect="gemini.caches",
                platform=handle.platform,
                model=handle.model,
                cost=usd_of(share),
                feature=feature or None,
                note=f"{count if handle.count else 0} of {handle.count} reads of {handle.name}, "
                f"{handle.tokens:,} tokens for {handle.held(now):,.0f} s",
            )
            saved = usd_of(-share)
            self._ledger().append(revised(record, savings=saved, savings_by={"cache": saved}))
        _remember(self._charged, handle.name, now)

    def tended(self) -> None:
        """Take note of what was read and what ended, asking nobody."""
        with self._working:
            self._note_reads()
            now = self.clock()
            for handle in list(self.registry.handles(now).values()):
                if not handle.name or handle.ended is not None:
                    continue
                if handle.name in self._lost:
                    self._ended(handle, self._lost[handle.name])
                elif now >= handle.expires:
                    self._ended(handle, handle.expires)

    def rent(self, platform: str, model: str, tokens: int) -> Rent | None:
        """What an object of so many tokens costs; ``None`` where a price is unknown."""
        rates = self._meter.rent(Plan(None, platform=platform, model=model, created=self.clock()), tokens)
        return None if rates is None else Rent(*rates)

    def flush(self) -> None:
        """Write down what was read and what it cost until now."""
        with self._working:
            now = self.clock()
            self._note_reads()
            for handle in list(self.registry.handles(now).values()):
                if handle.owner == self.owner and handle.name and handle.ended is None:
                    self._charge(handle, now)

    def close(self) -> None:
        """Write what waits and let the thread end; objects that stand end by themselves, or serve other processes."""
        atexit.unregister(self._at_exit)
        self._registered = False
        self._over.set()
        self._wake.set()
        self.flush()


def _wanted(lease: Lease, plan: Plan, choice: Choice, rent: Rent, times: tuple[float, ...]) -> Handle:
    return Handle(
        choice.boundary.key,
        lease.account,
        plan.platform,
        plan.model,
        times=times,
        hit_rate=choice.hit_rate,
        **rent._asdict(),
    )


def _orphan(keeper: Keeper, wanted: Handle) -> Kept | None:
    """What a creator made that was killed before it could say so."""
    name = PREFIX + wanted.key
    return next((one for one in keeper.list() if one.display_name == name and one.model == wanted.model), None)


def _remember(memory: dict[str, V], key: str, value: V) -> None:
    if len(memory) >= _MOST:
        memory.pop(next(iter(memory)), None)
    memory[key] = value
