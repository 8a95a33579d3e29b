"""The annexe of the hall where texts that were removed are kept for those that ask for them again.

A text can be asked for by its reference, within its thread only, for a limited time. References cannot be guessed: they
are keyed hashes of the conversation up to the place. Texts are kept in memory, bounded in bytes, unless the policy says
``disk``. Every request of a thread brings its texts back, so that a restart forgets nothing that is still in use.
"""

from __future__ import annotations

import base64
import re
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from ctxkit.dialects.tools import definition, names
from ctxkit.editable import Fold
from ctxkit.errors import ConfigurationError, StoreError
from ctxkit.faults import advice_for
from ctxkit.forks import on_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ctxkit.caching.prefixes import Hasher
    from ctxkit.editable import Action
    from ctxkit.faults import Faults
    from ctxkit.model import Conversation, Json
    from ctxkit.policy import Policy
    from ctxkit.stores.texts import TextStore

__all__ = ["TOOL", "Recall", "recall_tool", "recallable"]

TOOL = "ctxkit_recall"
"""Name of the tool by which a model asks for a text that was removed."""

_DESCRIPTION = (
    "Shows a text that was left out of this conversation to keep it short. Where something was left out, a line that "
    "begins with [ctxkit names its reference. Call this only when the text itself is needed again."
)
_REFERENCE = re.compile(r"r_[a-z2-7]{16}")
_HASHED = 10  # bytes of a hash that a reference spells: 16 letters
_LIMIT = 64 * 2**20  # bytes of text in memory
_ENTRY = 500  # bytes of a name and its place in the map
_NOTED = 50_000  # texts of which is known when they were written to the disk
_REFRESHED = 8  # of its life a text on disk is written anew once such a share has passed


def recall_tool(dialect: str) -> dict[str, Json]:
    """The definition of a tool by which a model can ask for what was removed; offering it is the application's choice.

    Args:
        dialect: ``"openai.chat"``, ``"openai.responses"``, ``"anthropic.messages"``, ``"gemini.generate"`` or
            ``"bedrock.converse"``.

    Returns:
        An element of the request's ``tools`` (Converse: ``toolConfig.tools``). The tool is called ``ctxkit_recall`` and
        has one argument, ``ref``; the answer to a call is ``kit.recall(ref, thread=...)``.

    Raises:
        ConfigurationError: no such dialect, or none with tools.

    Example:
        >>> recall_tool("anthropic.messages")["name"]
        'ctxkit_recall'
    """
    ref = {"type": "string", "description": "the reference, as the line says it: r_ and 16 letters or digits"}
    schema = {"type": "object", "properties": {"ref": ref}, "required": ["ref"], "additionalProperties": False}
    return definition(dialect, TOOL, _DESCRIPTION, schema)


def recallable(conversation: Conversation) -> bool:
    """The model can ask for what was removed: the tool is in the request."""
    return TOOL in names(conversation)


class _Kept(NamedTuple):
    text: str
    until: float
    size: int


class Recall:
    """Texts that were removed, by thread and reference; one per kit, safe for threads and forks.

    Args:
        policy: where texts are kept, and for how long.
        hasher: keyed hashes.
        clock: unix time in seconds.
        faults: hears of a disk that fails; texts are in memory all the same.
        disk: opens the texts on disk, where the policy says so.
        limit: bytes of text in memory; beyond that those go that were used longest ago.
    """

    def __init__(
        self,
        policy: Policy,
        hasher: Hasher,
        clock: Callable[[], float],
        faults: Faults,
        disk: TextStore | None = None,
        *,
        limit: int = _LIMIT,
    ) -> None:
        self._off = policy.tidy.recall == "off"
        self._ttl = policy.tidy.recall_ttl
        self._hasher = hasher
        self._clock = clock
        self._faults = faults
        self._disk = disk
        self._limit = limit
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()  # by last use, so by the end of their lives
        self._written: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._bytes = 0
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self._lock = threading.Lock()

    def ref_of(self, chain: Sequence[bytes], action: Action) -> str:
        """The reference of what an action removes: the same in every process that shares the store.

        Args:
            chain: keyed hash of each prefix of the conversation, as the application sends it.
            action: what gives way.
        """
        last = action.end - 1 if isinstance(action, Fold) else action.place[0]
        place = ("fold", *action) if isinstance(action, Fold) else ("stub", *action.place)
        digest = self._hasher.digest(("recall", chain[last], place))
        return f"r_{base64.b32encode(digest[:_HASHED]).decode().lower()}"

    def keep(self, thread: str | None, ref: str, text: str | Callable[[], str]) -> None:
        """A request of the thread was sent without this text: it can be asked for from now on, for its time to live.

        Args:
            thread: id of the conversation; without one nobody could ask.
            ref: what :meth:`ref_of` said.
            text: what was removed, or what works it out; called only when it is not known yet.
        """
        if self._off or not thread:
            return
        now, name = self._clock(), (thread, ref)
        known = self._kept.get(name)
        words = known.text if known is not None else text if isinstance(text, str) else text()
        with self._lock:
            self._remember(name, words, now)
        if self._disk is not None:
            self._write(self._disk, name, words, now)

    def recall(self, ref: str, thread: str) -> str:
        """The text that an edit removed; that it was asked for lengthens its life.

        Raises:
            StoreError: the thread has no such text, or none any more; or the disk cannot be read.
            ConfigurationError: the policy keeps none.
        """
        if self._off:
            raise ConfigurationError('nothing is kept for recall: the policy says recall="off"')
        if not thread:
            raise StoreError("a removed text can be asked for within its thread only: pass thread=plan.thread")
        found = self.find(ref, thread)
        if found is None:
            raise StoreError(self.missing(ref))
        self.keep(thread, ref, found)
        return found

    def find(self, ref: str, thread: str) -> str | None:
        """The text; ``None``: the thread has no such text, or none any more.

        Raises:
            StoreError: the disk cannot be read, or the text cannot be opened with this key.
        """
        if not _is_reference(ref):
            return None
        now, name = self._clock(), (thread, ref)
        with self._lock:
            self._forget(now)
            known = self._kept.get(name)
        if known is not None and now < known.until:
            return known.text
        return None if self._disk is None else self._disk.get(self._name(name), now)

    def missing(self, ref: str) -> str:
        """Why there is nothing under a reference, for people; what has no such form may be anybody's words, so it is not said."""
        if not _is_reference(ref):
            return "that is no reference of a removed text: they look like r_abcdefgh23456789"
        return (
            f"nothing is kept under {ref} for this thread: it was removed in another one, or more than {self._ttl:,.0f} s "
            "ago; the next request of the thread brings back what it is sent without"
        )

    def flush(self) -> None:
        """Write what waits for the disk, and forget what is over."""
        with self._lock:
            self._forget(self._clock())
        if self._disk is not None:
            self._disk.flush()

    def close(self) -> None:
        """Write what waits and let go of the file."""
        if self._disk is not None:
            self._disk.close()

    def _remember(self, name: tuple[str, str], text: str, now: float) -> None:
        size = _ENTRY + sys.getsizeof(text)
        self._pop(name)
        if size > self._limit:  # it would push out all others; on disk, or with the next request, it is there
            return
        self._kept[name] = _Kept(text, now + self._ttl, size)
        self._bytes += size
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._kept:
            name, oldest = next(iter(self._kept.items()))
            if self._bytes <= self._limit and now < oldest.until:
                return
            self._pop(name)

    def _pop(self, name: tuple[str, str]) -> _Kept | None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._bytes -= found.size
        return found

    def _write(self, disk: TextStore, name: tuple[str, str], text: str, now: float) -> None:
        """Unless it was written lately."""
        with self._lock:
            if now - self._written.get(name, float("-inf")) < self._ttl / _REFRESHED:
                return
            self._written[name] = now
            self._written.move_to_end(name)
            while len(self._written) > _NOTED:
                self._written.popitem(last=False)
        try:
            disk.put(self._name(name), text, now + self._ttl)
        except Exception as error:  # noqa: BLE001 - it is kept in memory
            self._faults.note("recall", error, advice_for(error))

    def _name(self, name: tuple[str, str]) -> bytes:
        return self._hasher.digest(("recall", *name))


def _is_reference(ref: object) -> bool:
    """Whatever a model may have made up."""
    return isinstance(ref, str) and _REFERENCE.fullmatch(ref) is not None
