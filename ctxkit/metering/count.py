"""Tokens of a request before it is sent, each message counted once.

A growing conversation is sent again and again; of what was counted before, only the hash of each message is looked
up. What a message weighs depends on the family of the model alone, never on its neighbours (what does, such as
thoughts that are dropped when a turn is over, is kept apart and added by position).
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from math import ceil, floor
from typing import TYPE_CHECKING, Literal, Protocol
from zlib import crc32

from ctxkit.forks import on_fork
from ctxkit.metering.exact import exact_for
from ctxkit.metering.features import compact
from ctxkit.metering.fitted import row_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.metering.weight import Weight
    from ctxkit.model import Conversation, Json, Message

__all__ = ["Count", "Counter", "Scale"]


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a request, by one family's measure.

    Attributes:
        tokens: the expected prompt, cached part included.
        low: with ``high`` the interval that holds the reported count in at least 95 of 100 requests.
        high: see ``low``.
        method: ``"exact"``, ``"fitted"`` or ``"rough"``, as in :class:`ctxkit.model.Estimate`.
        family: name of the row that was used.
        shape: equal for requests with the same tools and the same kinds of options: what a family adds for them, and
            what the estimate misses of it, is the same each time.
    """

    tokens: int
    low: int
    high: int
    method: Literal["exact", "fitted", "rough"]
    family: str
    shape: int = 0


class Scale(Protocol):
    """What weighs the messages of one family; :class:`ctxkit.metering.fitted.Row` is one."""

    @property
    def family(self) -> str:
        """Name of the family."""
        ...

    @property
    def method(self) -> Literal["exact", "fitted", "rough"]:
        """How the weights came to be."""
        ...

    def message(self, messages: Sequence[Message], index: int) -> Weight:
        """Weigh one message of a conversation; only those neighbours matter that its own ids name."""
        ...

    def schema(self, schema: Json) -> Weight:
        """Weigh the schema that an answer must follow."""
        ...

    def frame(self, conversation: Conversation, schema: Callable[[Json], Weight]) -> tuple[float, float, bool]:
        """Tokens and slack that the request adds, and whether its tools are left out; ``schema`` remembers."""
        ...

    def interval(self, tokens: float, slack: float, *, tools: bool) -> tuple[float, float]:
        """Low and high for an expected count."""
        ...


class _Memory:
    """Weights of one family by message hash, in two generations: what is not asked for in a generation is forgotten."""

    __slots__ = ("old", "young")

    def __init__(self) -> None:
        self.young: dict[bytes, Weight] = {}
        self.old: dict[bytes, Weight] = {}

    def get(self, digest: bytes) -> Weight | None:
        weight = self.young.get(digest)
        if weight is None and (weight := self.old.get(digest)) is not None:
            self.young[digest] = weight
        return weight

    def age(self) -> None:
        self.old, self.young = self.young, {}


class Counter:
    """Counts requests and remembers what messages weigh; one per kit, for all threads.

    Args:
        memory: how many messages are remembered, over all families.
    """

    def __init__(self, memory: int = 65536) -> None:
        self._generation = max(1, memory // 4)  # the young one holds as many again that were asked for, the old both
        self._fill = 0
        self._memories: dict[Scale, _Memory] = {}
        self._scales: dict[tuple[str, str], Scale] = {}
        self._met: dict[str, Scale] = {}
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        self._lock = threading.Lock()

    def warm(self, platform: str, model: str) -> None:
        """Load what counting this model needs; blocks (about 0.2 s, once), so it is called from a thread."""
        if len(self._scales) > _MODELS:
            self._scales, self._met = {}, {}
        self._scales[platform, model] = self._met[model] = scale_for(platform, model)

    def uncounted(self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str) -> int:
        """Characters of this request that were not counted yet: an upper bound that is cheap to get.

        ``sys.maxsize`` for a model that this counter has not met (on any platform), because what counting needs may
        not be loaded.
        """
        scale = self._scales.get((platform, model)) or self._met.get(model)
        if scale is None:
            return sys.maxsize
        memory = self._memory(scale)
        known = memory.young
        return sum(
            _size(message.value)
            for message, digest in zip(conversation.messages, digests, strict=True)
            if digest not in known and memory.get(digest) is None
        )

    def count(self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str) -> Count:
        """Count a request; blocks while a vocabulary is loaded for the first time (:meth:`warm`).

        Args:
            conversation: the request, read by its dialect.
            digests: one keyed hash per item of ``conversation.messages``, in that order.
            platform: who serves it.
            model: the model that is asked for.
        """
        scale = self._scales.get((platform, model))
        if scale is None:
            self.warm(platform, model)
            scale = scale_for(platform, model)
        memory = self._memory(scale)
        young = memory.young
        try:
            weights = [young[digest] for digest in digests]
        except KeyError:
            weights = self._weigh(scale, memory, conversation, digests)
        tokens = sum([weight[0] for weight in weights]) + _current(weights)
        slack = sum([weight[3] for weight in weights])
        added, off, dropped = scale.frame(conversation, partial(self._schema, scale, memory))
        if dropped:
            tokens -= sum([weight[0] for weight in weights[: _declared(conversation)]])
        tools = _declared(conversation)
        shape = crc32(b"".join(digests[:tools]) + " ".join(conversation.options).encode("utf-8", "surrogatepass"))
        low, high = scale.interval(tokens + added, slack + off, tools=bool(tools) and not dropped)
        expected = max(1, round(tokens + added))
        interval = min(expected, max(0, floor(low))), max(expected, ceil(high))
        return Count(expected, *interval, scale.method, scale.family, shape)

    def weights(
        self, conversation: Conversation, digests: Sequence[bytes], *, platform: str, model: str
    ) -> tuple[list[float], str]:
        """Tokens of each message by itself, and the family whose measure that is; see :meth:`count`."""
        scale = self._scales.get((platform, model)) or scale_for(platform, model)
        memory = self._memory(scale)
        young = memory.young
        try:
            return [young[digest][0] for digest in digests], scale.family
        except KeyError:
            return [weight[0] for weight in self._weigh(scale, memory, conversation, digests)], scale.family

    def _weigh(
        self, scale: Scale, memory: _Memory, conversation: Conversation, digests: Sequence[bytes]
    ) -> list[Weight]:
        weights = []
        messages = conversation.messages
        for index, digest in enumerate(digests):
            weight = memory.get(digest)
            if weight is None:
                weight = scale.message(messages, index)
                self._remember(memory, digest, weight)
            weights.append(weight)
        return weights

    def _schema(self, scale: Scale, memory: _Memory, schema: Json) -> Weight:
        """Weight of the schema of the answer, remembered by a hash of its text."""
        key = blake2b(compact(schema).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        weight = memory.get(key)
        if weight is None:
            weight = scale.schema(schema)
            self._remember(memory, key, weight)
        return weight

    def _memory(self, scale: Scale) -> _Memory:
        memory = self._memories.get(scale)
        if memory is None:
            if len(self._memories) >= _MODELS:
                self._memories = {}
            memory = self._memories.setdefault(scale, _Memory())
        return memory

    def _remember(self, memory: _Memory, digest: bytes, weight: Weight) -> None:
        memory.young[digest] = weight
        with self._lock:
            self._fill += 1
            if self._fill >= self._generation:
                self._fill = 0
                for one in list(self._memories.values()):
                    one.age()


_MODELS = 512
"""How many pairs of platform and model are kept at hand, and how many scales, of which each name of an OpenAI model has its
own; more (deployment names, hostile input) start anew."""


def scale_for(platform: str, model: str) -> Scale:
    """What weighs the messages of ``model`` as ``platform`` serves it."""
    return exact_for(platform, model) or row_for(platform, model)


def _current(weights: Sequence[Weight]) -> float:
    """What the messages since the last turn of the user weigh more, because that turn still runs."""
    total = 0.0
    for weight in reversed(weights):
        if weight[2]:
            break
        total += weight[1]
    return total


def _declared(conversation: Conversation) -> int:
    """How many of the messages are tool definitions, which stand first."""
    for index, message in enumerate(conversation.messages):
        if message.role != "tools":
            return index
    return len(conversation.messages)


def _size(value: Json) -> int:
    """Characters of all texts in ``value``. Iterative: it may be as deep as it likes."""
    total = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str | bytes):
            total += len(node)
        elif isinstance(node, dict):
            stack.extend(node)
            stack.extend(node.values())
        elif isinstance(node, list | tuple):
            stack.extend(node)
        else:
            total += 4
    return total
