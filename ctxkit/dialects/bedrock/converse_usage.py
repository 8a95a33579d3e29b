"""What a Converse answer says of itself, whole or streamed.

``inputTokens`` leaves out what was read from and written to the cache: in every recorded answer ``totalTokens`` is
the sum of the four figures, for Claude and Nova alike. Should a model report the opposite (``totalTokens`` equal to
``inputTokens + outputTokens`` although tokens were cached, the way OpenAI's own wire counts), the total is believed and
the cached tokens are taken out. Writes are split by time to live in ``cacheDetails``; without it they are taken for 5m.

Source: botocore 1.44.5 (TokenUsage), AWS prompt caching (2026-09), recorded answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxkit.dialects.usage import at, checks, figure, less, merge, text
from ctxkit.dialects.wire import loads
from ctxkit.model import Answer, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctxkit.model import Json

__all__ = ["ConverseStream", "read_answer", "read_usage"]


def read_answer(response: Mapping[str, Json]) -> Answer:
    """Read a whole answer, or what a stream gathered under the same names."""
    return _answer(response, complete=True)


def _answer(response: Json, *, complete: bool, extra: Iterable[str] = ()) -> Answer:
    usage, problems = read_usage(at(response, "usage"))
    return Answer(
        usage=usage,
        model=text(response, "trace", "promptRouter", "invokedModelId"),
        id=text(response, "ResponseMetadata", "RequestId"),
        finish=text(response, "stopReason"),
        tier=text(response, "serviceTier", "type"),
        complete=complete,
        problems=(*extra, *problems),
    )


def read_usage(wire: Json) -> tuple[Usage | None, tuple[str, ...]]:
    """Buckets of one ``usage`` object, and what in it does not add up; no usage when it has no figure."""
    given, output, total = (figure(wire, name) for name in ("inputTokens", "outputTokens", "totalTokens"))
    if given is None and output is None:
        return None, ()
    read, wrote = _cached(wire, "Read"), _cached(wire, "Write")
    inside = given is not None and (read or wrote) and given + (output or 0) == total
    usage = Usage(
        fresh=less(given, read, wrote) if inside else given,
        read=read,
        written=_written(wrote, at(wire, "cacheDetails")),
        output=output,
    )
    return usage, (*_split_problems(wrote, at(wire, "cacheDetails")), *checks(usage, prompt=None, total=total))


def _cached(wire: Json, way: str) -> int | None:
    """Both spellings are on the wire; Nova's own format has only the longer one."""
    count = figure(wire, f"cache{way}InputTokens")
    return figure(wire, f"cache{way}InputTokenCount") if count is None else count


def _split(details: Json) -> dict[str, int]:
    split: dict[str, int] = {}
    for detail in details if isinstance(details, list | tuple) else ():
        ttl, count = text(detail, "ttl"), figure(detail, "inputTokens")
        if ttl and count:
            split[ttl] = split.get(ttl, 0) + count
    return split


def _written(wrote: int | None, details: Json) -> dict[str, int] | None:
    split = _split(details)
    if wrote is None and not split:
        return None
    beyond = (wrote or 0) - sum(split.values())
    if beyond > 0:
        split["5m"] = split.get("5m", 0) + beyond
    return split


def _split_problems(wrote: int | None, details: Json) -> Iterable[str]:
    split = sum(_split(details).values())
    if wrote is not None and split and split != wrote:
        yield f"cache writes by time to live sum to {split}, the provider reported {wrote}"


class ConverseStream:
    """Reads a streamed answer; ends with the ``metadata`` event, which follows ``messageStop``."""

    __slots__ = ("_problems", "_seen", "content", "done")

    def __init__(self) -> None:
        self._seen: dict[str, Json] = {}
        self._problems: list[str] = []
        self.done = False
        self.content = False

    def feed(self, data: bytes) -> bool:
        """Look at the JSON of one ``{event_type: payload}``; none of them is ever to be hidden."""
        if self.content and data.startswith((b'{"contentBlockDelta"', b'{"contentBlockSt')):
            return False
        try:
            self.see(loads(data))
        except ValueError:
            self._problems.append("an event of the stream is not JSON")
        return False

    def see(self, event: Json) -> None:
        """Look at one ``{event_type: payload}`` that was parsed already."""
        if not isinstance(event, dict):
            return
        for kind, payload in event.items():
            if kind in {"contentBlockDelta", "contentBlockStart"}:
                self.content = self.content or _has_content(payload)
            elif kind == "messageStop":
                self._seen["stopReason"] = at(payload, "stopReason")
            elif kind == "metadata":
                self._seen = merge(self._seen, payload)
                self.done = True
            elif kind.endswith("Exception"):
                self._problems.append(f"the stream broke off: {kind}")

    def end(self) -> None:
        """Nothing to do: the protocol says itself when it is over."""

    def answer(self) -> Answer:
        """What was seen so far; complete after ``metadata``."""
        return _answer(self._seen, complete=self.done, extra=self._problems)


def _has_content(payload: Json) -> bool:
    """Text, reasoning or a tool call that is not empty."""
    piece = at(payload, "delta") or at(payload, "start")
    if at(piece, "toolUse") is not None and (at(payload, "start") is not None or text(piece, "toolUse", "input")):
        return True
    reasoning = at(piece, "reasoningContent")
    return bool(text(piece, "text") or text(reasoning, "text") or at(reasoning, "redactedContent"))
