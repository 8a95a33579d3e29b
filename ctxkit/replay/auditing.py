"""What recorded conversations waste, cost, and would have cost: :func:`audit`.

To send one recording once more and see the bill, use :func:`ctxkit.replay.resending.replayed`::

    replayed(recording, Assumed(model="claude-haiku-4-5", tier="batch"), mode="prune", bench=bench) -> Bill

``Assumed`` (platform, model, ttl, tier, priced_at: each ``None`` for as recorded) stands in :mod:`ctxkit.replay.posing`,
``Bill`` (requests, tokens, fresh, read, written, output, input_pico, output_pico, pico, unpriced, ...) and ``Bench`` (what
replays of one process share: make one, hand it to each) in :mod:`ctxkit.replay.resending`. Modes: ``"raw"`` (well marked),
``"observe"``, ``"cache"``, ``"lossless"``, ``"prune"``.

All recordings are measured as they were sent; then they, or a sample of them, are replayed in every mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ctxkit.errors import ConfigurationError
from ctxkit.policy import Policy
from ctxkit.replay.asking import questions
from ctxkit.replay.crew import Failed, Order, Replayed, processors, worked
from ctxkit.replay.drifting import MANY, thinned, together
from ctxkit.replay.measuring import Measured
from ctxkit.replay.posing import Assumed
from ctxkit.replay.resending import MODES, OPTIMUM, RAW
from ctxkit.replay.sampling import Drawn, drawn, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ctxkit.errors import TranscriptError
    from ctxkit.hygiene.questions import Again
    from ctxkit.page import Page
    from ctxkit.replay.advising import Advised
    from ctxkit.replay.drifting import Together
    from ctxkit.replay.recording import Recording
    from ctxkit.replay.sampling import Judged

__all__ = ["Audit", "Files", "audit"]


class Files:
    """The recordings of files and folders, read anew each time they are gone through.

    Args:
        paths: files and folders.
        dialect: wire format of requests; by their looks when not given.

    Attributes:
        complaints: what could not be read, each once.
        total: bytes of all files, known once they are gone through.
        read: bytes of those that were gone through.
    """

    def __init__(self, paths: Iterable[Path | str], *, dialect: str | None = None) -> None:
        self._paths = list(paths)
        self._dialect = dialect
        self.complaints: dict[str, None] = {}
        self.total = 0
        self.read = 0

    def __iter__(self) -> Iterator[Recording]:
        from ctxkit.replay.readers import files_of, read_recordings

        seen: set[str] = set()
        files = [(path, _size(path)) for path in files_of(self._paths, self._complain)]
        self.total, self.read = sum(size for _, size in files), 0
        for path, size in files:
            yield from read_recordings(path, dialect=self._dialect, complain=self._complain, seen=seen)
            self.read += size

    def _complain(self, error: TranscriptError) -> None:
        self.complaints[str(error)] = None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; figures only, no word of a prompt but names of tools and files.

    Attributes:
        threads: every recording as it was sent.
        replays: what those that were replayed would have come to, by number.
        sample: which those are.
        totals: of all recordings, in pico-dollars, by mode (``"raw"``, the modes, ``"optimum"``).
        mode: that counts as ``ctxkit``.
        assumed: how they were replayed.
        unread: files, lines and requests that could not be read.
        policy: its thresholds say what drifts.
        questions: how often recordings begin with the same question; ``None``: too few begin with one.
    """

    threads: Sequence[Measured]
    replays: Mapping[int, Replayed]
    sample: Drawn
    totals: Mapping[str, Judged]
    mode: str = "prune"
    assumed: Assumed = field(default_factory=Assumed)
    unread: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy, repr=False)
    questions: Again | None = None
    _advised: list[tuple[Advised, ...]] = field(default_factory=list, repr=False, compare=False)

    @property
    def todo(self) -> tuple[Advised, ...]:
        """What to do, what saves most first."""
        if not self._advised:
            from ctxkit.replay.advising import advised

            self._advised.append(advised(self))
        return self._advised[0]

    @property
    def drift(self) -> Together | None:
        """How they drifted; ``None``: nothing of it was measured."""
        return together([one.drift for one in self.threads if one.drift is not None], self.policy)

    @property
    def as_sent(self) -> int | None:
        """What was paid, in pico-dollars, where prices are known; ``None``: nowhere."""
        known = [one.as_sent.pico for one in self.threads if one.as_sent.pico is not None]
        return sum(known) if known else None

    def total(self, mode: str) -> int | None:
        """What all would have come to, in pico-dollars; ``None``: not known."""
        found = self.totals.get(mode)
        return None if found is None else found.total

    def to_dict(self) -> dict[str, Any]:
        """The object that ``ctxkit audit --json`` prints."""
        from ctxkit.replay.telling import told

        return told(self)

    def page(self) -> Page:
        """The same for people to look at."""
        from ctxkit.replay.showing import shown

        return shown(self)


def audit(
    recordings: Iterable[Recording],
    *,
    policy: Policy | None = None,
    mode: str | None = None,
    assumed: Assumed | None = None,
    everything: bool = False,
    processes: int | None = None,
    told: Callable[[str, int], None] | None = None,
    unread: Callable[[], Iterable[str]] | None = None,
) -> Audit:
    """Audit recordings.

    Args:
        recordings: gone through twice, and their begin once more: what reads files reads them again, so that only what is
            worked on is held.
        policy: whose prices, rules, passes and mode are used.
        mode: that counts as ``ctxkit``; default: the policy's, or ``prune`` where that changes nothing.
        assumed: other model, platform, life of entries for all but what was sent.
        everything: replay all, however long it takes.
        processes: at most; default: as many as there are processors, one for little.
        told: what was done (``"measured"``, ``"replayed"``) with how many more requests, as it is done; in between, how many
            are ``"to replay"``.
        unread: what could not be read so far; asked at the end.

    Raises:
        ConfigurationError: no such mode.
    """
    policy, assumed = (policy or Policy()).model_copy(update={"on_drift": None}), assumed or Assumed()
    mode = mode or (policy.mode if policy.mode != MODES[0] else "prune")
    if mode not in MODES:
        raise ConfigurationError(f"no mode {mode!r}; there are: {', '.join(MODES)}")
    if iter(recordings) is recordings:  # it can be gone through only once
        recordings = list(recordings)
    count = processes or processors()
    order = Order(policy, assumed, each=1 if everything else thinned(_counted(recordings)))
    threads, failed = _measured(recordings, order, count, told)
    measured = [one for one in threads if isinstance(one, Measured)]
    sizes = _sizes(measured)
    sample = drawn(
        [f"{one.source}\0{one.name}" for one in measured], sizes, [one.work for one in measured], everything=everything
    )
    if told is not None:
        told("to replay", sum(measured[at].requests for at in sample.times))
    replays = _replays(recordings, threads, sample, Order(policy, assumed, replays=True), count, told)
    totals = _totals(measured, replays, sample, sizes)
    said = [*(unread() if unread is not None else ()), *failed, *(one for each in measured for one in _lost(each))]
    again = questions([one.opening for one in measured], policy)
    measured = [replace(one, opening="") if one.opening else one for one in measured]
    return Audit(measured, replays, sample, totals, mode, assumed, tuple(said), policy, again)


def _counted(recordings: Iterable[Recording]) -> int:
    """How many requests there are, where they are not many; no more are read to know it."""
    seen = 0
    for one in recordings:
        seen += len(one.requests)
        if seen > MANY:
            break
    return seen


def _measured(
    recordings: Iterable[Recording], order: Order, processes: int, told: Callable[[str, int], None] | None
) -> tuple[list[Measured | None], list[str]]:
    """Each recording as it was sent, by its number; ``None`` for those that failed, and why."""
    found: list[Measured | None] = []
    failed: list[str] = []
    note = None if told is None else lambda count: told("measured", count)
    for one in worked(recordings, order, processes, note):
        found.append(one if isinstance(one, Measured) and one.requests else None)
        if isinstance(one, Failed):
            failed.append(f"{one.source}: {one.why}")
        elif isinstance(one, Measured) and not one.requests:
            failed += _lost(one) or [f"{one.source}: {one.name}: no request in it was answered"]
    return found, failed


def _lost(one: Measured) -> list[str]:
    return [f"{source}: no request that anybody understands" for source in one.unread]


def _sizes(threads: Sequence[Measured]) -> list[int]:
    """What each recording is drawn by: its price, or its tokens where not all have one."""
    priced = [one.as_sent.pico for one in threads]
    return [one or 0 for one in priced] if any(priced) else [one.as_sent.tokens for one in threads]


def _replays(
    recordings: Iterable[Recording],
    threads: Sequence[Measured | None],
    sample: Drawn,
    order: Order,
    processes: int,
    told: Callable[[str, int], None] | None,
) -> dict[int, Replayed]:
    """What was drawn, replayed; by its number among those that were measured."""
    numbers: list[int] = []

    def chosen() -> Iterator[Recording]:
        number = -1
        for one, known in zip(recordings, threads, strict=False):
            number += known is not None
            if known is not None and number in sample.times:
                numbers.append(number)
                yield one

    note = None if told is None else lambda count: told("replayed", count)
    found = list(worked(chosen(), order, processes, note))
    return {number: one for number, one in zip(numbers, found, strict=True) if isinstance(one, Replayed)}


def _totals(
    threads: Sequence[Measured], replays: Mapping[int, Replayed], sample: Drawn, sizes: Sequence[int]
) -> dict[str, Judged]:
    """Of all recordings, by mode; over those whose price as sent is known, where any is.

    A recording that cannot be priced in some mode counts in all of them as it was sent.
    """
    priced = any(one.as_sent.pico is not None for one in threads)
    counted = [at for at in sample.times if not priced or threads[at].as_sent.pico is not None]
    found = {}
    if not any(map(_replayed, replays.values())):  # no text, as in a ledger, or no price: of modes nothing is known
        again = {at: one.bills[RAW].pico for at, one in replays.items() if one.bills[RAW].pico is not None}
        costs = {at: cost for at in counted if (cost := again.get(at, threads[at].as_sent.pico)) is not None}
        total = judged(sample, sizes, costs) if again else None
        return {RAW: total} if total is not None and len(costs) == len(counted) else {}
    for mode in (RAW, *MODES, OPTIMUM):
        costs = {at: cost for at in counted if (cost := _cost(threads[at], replays.get(at), mode)) is not None}
        total = judged(sample, sizes, costs)
        if total is not None and len(costs) == len(counted):
            found[mode] = total
    return found


def _replayed(again: Replayed) -> bool:
    """Its cost is known in every mode."""
    return all(one.pico is not None for one in again.bills.values())


def _cost(thread: Measured, again: Replayed | None, mode: str) -> int | None:
    if again is None or not _replayed(again):
        return thread.as_sent.pico
    return again.optimum if mode == OPTIMUM else again.bills[mode].pico
