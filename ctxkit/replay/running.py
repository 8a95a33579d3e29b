"""A recorded thread sent once more, turn by turn, through a policy or a rival, to a provider that is simulated.

What is driven is the kit itself: planned, sent, answered by the provider's simulated cache, settled with the usage that
it gave. A rival is a function from messages to messages, called at every turn with the whole history, as its users do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ctxkit.kit import Kit
from ctxkit.metering.count import Counter
from ctxkit.metering.prices import Prices
from ctxkit.replay.billing import SECONDS, Account, Ideal
from ctxkit.replay.shapes import marked, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.model import Json, Plan, Usage
    from ctxkit.policy import Policy
    from ctxkit.replay.billing import Billed, Setting
    from ctxkit.replay.threads import Messages, Thread

__all__ = ["Call", "KitSender", "Peer", "Run", "Sender", "Turn", "replay"]

START = 1_793_000_000.0  # 2026-10-26: of all replays, so that prices are those of one day
_LIFE = 300.0  # seconds of an entry, where nobody knows
_BETWEEN = 86_400.0  # seconds between two threads: nothing of one is alive in the next


class Turn(NamedTuple):
    """What a model was given and what it said to it.

    Attributes:
        at: index of the message that answers.
        raw: the prompt as the application has it.
        sent: as it was sent; both on the wire.
        answer: message of the model.
        edited: by which the prompt was changed (edits of the plan), for kits.
    """

    at: int
    raw: Json
    sent: Json
    answer: Json
    edited: Sequence[object] = ()


class Call(NamedTuple):
    """One request of a replay.

    Attributes:
        tokens: of its prompt.
        usage: buckets.
        pico: price of the prompt by the provider's rules.
        ideal: the same at the very least.
        rewritten: it did not continue the prompt before it.
        seconds: that deciding took.
        refused: why the provider would have refused it.
    """

    tokens: int
    usage: Usage
    pico: int
    ideal: int
    rewritten: bool
    seconds: float
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A whole thread, replayed.

    Attributes:
        thread: its name.
        calls: its requests.
    """

    thread: str
    calls: tuple[Call, ...]

    @property
    def tokens(self) -> int:
        """Of all prompts."""
        return sum(one.tokens for one in self.calls)

    @property
    def pico(self) -> int:
        """Price of all prompts, in pico-dollars."""
        return sum(one.pico for one in self.calls)

    @property
    def ideal(self) -> int:
        """The same at the very least."""
        return sum(one.ideal for one in self.calls)

    @property
    def rewrites(self) -> int:
        """Requests that did not continue the one before them."""
        return sum(one.rewritten for one in self.calls)

    @property
    def seconds(self) -> float:
        """That deciding took, for all."""
        return sum(one.seconds for one in self.calls)


class Sender(Protocol):
    """Decides what is sent."""

    @property
    def took(self) -> float:
        """Seconds that the last decision took, where that is not the time of ``send``; else 0."""
        ...

    def opened(self, thread: Thread, setting: Setting, start: float) -> float:
        """A new thread begins, at this moment or later; when it does."""
        ...

    def send(self, messages: Messages, body: Json, now: float) -> tuple[Json, Sequence[object]]:
        """The body to send instead of this one, and what was changed, where that is known."""
        ...

    def settle(self, usage: Usage, now: float) -> None:
        """The answer came to this."""
        ...


class Peer:
    """A function from messages to messages, given the whole history each time. Its bodies are marked as raw ones are."""

    def __init__(self, edit: Callable[[Messages], Sequence[Json]] | None = None) -> None:
        self._edit = edit
        self._setting: Setting | None = None
        self._tools: Messages = ()

    @property
    def took(self) -> float:
        """See :class:`Sender`: of a rival in another process."""
        return float(getattr(self._edit, "took", 0.0))

    def opened(self, thread: Thread, setting: Setting, start: float) -> float:
        """See :class:`Sender`."""
        self._setting, self._tools = setting, thread.tools
        reset = getattr(self._edit, "reset", None)
        if reset is not None:
            reset()
        return start

    def send(self, messages: Messages, body: Json, now: float) -> tuple[Json, Sequence[object]]:  # noqa: ARG002 - a joint
        """See :class:`Sender`."""
        assert self._setting is not None
        if self._edit is not None:
            edited = self._edit(messages)
            body = shape_of(self._setting.dialect)(self._setting.model, edited, self._tools)
        return marked(body, self._setting.dialect), ()

    def settle(self, usage: Usage, now: float) -> None:
        """See :class:`Sender`."""

    def close(self) -> None:
        """Let go of the rival, where it wants to be."""
        close = getattr(self._edit, "close", None)
        if close is not None:
            close()


class KitSender:
    """The real kit, one for all threads or a fresh one for each.

    Args:
        policy: what it may do.
        fresh: nothing is learned from one thread for the next.
        as_raw: bodies carry the markers that raw ones carry before the kit sees them.
    """

    took = 0.0

    def __init__(self, policy: Policy, *, fresh: bool = False, as_raw: bool = False) -> None:
        self._policy = policy
        self._fresh = fresh
        self._as_raw = as_raw
        self._now = START
        self.kit: Kit | None = None
        self._plan: Plan | None = None
        self._setting: Setting | None = None
        self._feature = "replay"

    def opened(self, thread: Thread, setting: Setting, start: float) -> float:  # noqa: ARG002 - a joint
        """See :class:`Sender`."""
        self._setting = setting
        if self.kit is None or self._fresh:
            self.close()
            self.kit = Kit(self._policy, store=None, ledger=None, clock=lambda: self._now, strict=True)
            return start
        return max(start, self._now + _BETWEEN)

    def send(self, messages: Messages, body: Json, now: float) -> tuple[Json, Sequence[object]]:  # noqa: ARG002 - a joint
        """See :class:`Sender`."""
        assert self.kit is not None
        assert self._setting is not None
        self._now = now
        body = marked(body, self._setting.dialect) if self._as_raw else body
        plan = self.kit.plan(
            body, dialect=self._setting.dialect, platform=self._setting.platform, feature=self._feature
        )
        self.kit.sent(plan)
        self._plan = plan
        return plan.body, [edit for edit in plan.edits if edit.by]

    def close(self) -> None:
        """Let go of the kit."""
        if self.kit is not None:
            self.kit.close()

    def settle(self, usage: Usage, now: float) -> None:
        """See :class:`Sender`."""
        assert self.kit is not None
        assert self._plan is not None
        self._now = now
        self.kit.settle(self._plan, usage)


def replay(
    thread: Thread,
    sender: Sender,
    setting: Setting,
    *,
    watch: Sequence[Callable[[Turn], None]] = (),
    counter: Counter | None = None,
    prices: Prices | None = None,
) -> Run:
    """Send a thread once more.

    Args:
        thread: what was said.
        sender: decides what is sent.
        setting: where and when.
        watch: told of every request as it is sent.
        counter: of tokens, to be used for several replays.
        prices: likewise.
    """
    account = Account(setting, counter or Counter(), prices or Prices())
    rule = account.rule()
    ideal = Ideal((rule.seconds(None) if rule else None) or _LIFE)
    begun = sender.opened(thread, setting, START)
    moments = setting.moments(len(thread.calls), begun)
    served = [
        _served(thread, index, sender, account, ideal, now, watch)
        for index, now in zip(thread.calls, moments, strict=True)
    ]
    calls = [
        Call(round(one.layout.total), one.usage, one.pico, least, one.rewritten, seconds, one.refused)
        for (one, seconds), least in zip(served, ideal.settled(), strict=True)
    ]
    return Run(thread.name, tuple(calls))


def _served(
    thread: Thread,
    index: int,
    sender: Sender,
    account: Account,
    ideal: Ideal,
    now: float,
    watch: Sequence[Callable[[Turn], None]],
) -> tuple[Billed, float]:
    """One request, and the seconds that it took to decide what to send."""
    model, shape = account.setting.model, shape_of(account.setting.dialect)
    messages, answer = thread.messages[:index], thread.messages[index]
    raw = shape(model, messages, thread.tools)
    started = time.perf_counter()
    body, edited = sender.send(messages, raw, now)
    seconds = sender.took or time.perf_counter() - started
    billed = account.serve(body, now, account.tokens(shape(model, [answer])))
    ideal.serve(billed.layout, now, account.rates(now, round(billed.layout.total)))
    for one in watch:
        one(Turn(index, raw, body, answer, edited))
    sender.settle(billed.usage, now + SECONDS)
    return billed, seconds
