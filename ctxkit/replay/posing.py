"""Recorded requests, ready to be sent once more: when, by which wire, to which model, and what their answers came to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit import dialects
from ctxkit.errors import ConfigurationError
from ctxkit.replay.hashing import HASHER
from ctxkit.replay.markers import living, well_marked
from ctxkit.replay.opening import with_opening
from ctxkit.replay.recording import messages_key
from ctxkit.replay.reshaping import reshaped
from ctxkit.replay.running import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ctxkit.metering.count import Counter
    from ctxkit.model import Json, Usage
    from ctxkit.replay.recording import Asked, Recording

__all__ = ["Assumed", "Posed", "answer_of", "named", "place_of", "posed", "usual"]

GAP = 5.0  # seconds between requests of which nobody noted the time
_OWNERS = (
    ("claude", "anthropic"),
    ("gpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("gemini", "google"),
    ("grok", "xai"),
    ("deepseek", "deepseek"),
)
"""Who serves a model, by the beginning of its name, where nobody says who does."""
_USUAL = {
    "anthropic": "claude-sonnet-4-6",
    "bedrock": "anthropic.claude-sonnet-4-6",
    "google": "gemini-2.5-flash",
    "vertex": "gemini-2.5-flash",
}
"""What is asked most, by who serves; gpt-5 elsewhere."""
_ROUTED = {"xai": "x-ai"}
_MINOR, _DATED = re.compile(r"(\d)-(\d)(?!\d)"), re.compile(r"-20\d{6}$")
"""A version as OpenRouter writes it (``anthropic/claude-sonnet-4.6``), and a date, which it leaves out."""
_WIRES = {"anthropic": "anthropic.messages", "bedrock": "bedrock.converse", "google": "gemini.generate"}
_ON_BEDROCK = re.compile(r"^(?:[a-z]{2,6}\.)?anthropic\.")
_VERSION = re.compile(r"-v\d+(?::\d+)?$")
_CLAUDE_ON = {"vertex": "anthropic.messages", "azure": "anthropic.messages"}


@dataclass(frozen=True, slots=True)
class Assumed:
    """Other circumstances than those that were recorded; what is ``None`` stays as it was.

    Attributes:
        platform: who serves; found by the model's name when only that is given.
        model: that is asked.
        ttl: life of cache entries (``"5m"``, ``"1h"``, ...), where the provider sells it.
        tier: service tier whose prices hold.
        priced_at: day whose prices hold, in unix seconds; caches live by the recorded times all the same.
        begins: when a recording without times begins, in unix seconds.
    """

    platform: str | None = None
    model: str | None = None
    ttl: str | None = None
    tier: str | None = None
    priced_at: float | None = None
    begins: float = START


def named(recording: Recording) -> bool:
    """The recording says which model was asked."""
    return any(one.model or one.body.get("model") or one.body.get("modelId") for one in recording.requests)


def usual(recording: Recording, assumed: Assumed) -> Assumed:
    """The same with a usual model of who serves, where neither the recording nor the caller names one."""
    if assumed.model is not None or named(recording):
        return assumed
    return replace(assumed, model=_USUAL.get(assumed.platform or recording.platform, "gpt-5"))


class Posed(NamedTuple):
    """A request, ready to be sent.

    Attributes:
        body: on the wire.
        dialect: its format.
        platform: who serves it.
        model: that is asked.
        now: when it leaves.
        source: where it was recorded.
        counted: tokens of its prompt.
        reported: tokens of its prompt as the provider reported them, where that was for the same model.
        usage: as reported, for the model that was asked then.
        output: tokens of its answer; ``None``: nobody knows.
        priced_at: day of its prices.
        tier: service tier.
        ttl: life of cache entries that is asked for.
        hidden: tokens of a placeholder for what the recording leaves out.
        said: the answer, until it was weighed.
        life: of cache entries that the reported usage shows, where the markers were not recorded.
        warm: tokens that the first request read of entries which others had written.
    """

    body: dict[str, Json]
    dialect: str
    platform: str
    model: str
    now: float
    source: str
    counted: int
    reported: int | None
    usage: Usage | None
    output: int | None
    priced_at: float
    tier: str | None = None
    ttl: str | None = None
    hidden: int = 0
    said: Json | None = None
    life: str | None = None
    warm: int = 0

    def answered(self, prompt: Usage) -> Usage:
        """The usage of a prompt with what is known of the answer."""
        known = self.usage
        if known is None or known.output is None:
            return replace(prompt, output=self.output)
        return replace(prompt, output=known.output, reasoning=known.reasoning, calls=known.calls)


def posed(recording: Recording, assumed: Assumed, counter: Counter) -> list[Posed]:
    """The requests of a recording that were answered, in their order.

    Requests without a time follow the one before by five seconds. A recording that leaves out what stood before the first
    message gets a placeholder of as many tokens as the first reported usage shows beyond its body.
    """
    asked = [one for one in recording.requests if one.status is None or one.status < 400]
    moments = _moments(asked, assumed)
    held = (
        _as_recorded(one, recording, now, answer_of(asked, number, recording.dialect))
        for number, (one, now) in enumerate(zip(asked, moments, strict=True))
    )
    if not recording.partial:
        return _warmed(_shared(_placed(one, assumed, counter) for one in held))
    # A log of what was said leaves out the opening: what was reported says how long that was for the recorded model. It
    # shows no markers either: such clients set them well.
    opened = with_opening([one for one in (_counted(one, counter) for one in held) if one is not None], counter)
    life = _life(asked)
    marked = (one._replace(body=well_marked(one.body, one.dialect, life), life=life) for one in opened)
    return _warmed(_shared(_placed(one, assumed, counter, again=False) for one in marked))


def _life(asked: Sequence[Asked]) -> str | None:
    """The time to live for which most was written, where that is not the wire's usual one."""
    written: dict[str, int] = {}
    for one in asked:
        for ttl, tokens in ((one.usage.written if one.usage else None) or {}).items():
            written[ttl] = written.get(ttl, 0) + tokens
    most = max(written, key=lambda ttl: written[ttl], default=None)
    return "1h" if most == "1h" else None


def _shared(requests: Iterable[Posed | None]) -> list[Posed]:
    """Those that are understood; a body on another wire is made of new messages: equal ones become one object."""
    found: list[Posed] = []
    for one in requests:
        if one is not None:
            found.append(_sharing(one, found[-1]) if found else one)
    return found


def _sharing(one: Posed, before: Posed) -> Posed:
    """The request with the messages that the one before has, too, as the same objects."""
    key = messages_key(one.dialect)
    mine, theirs = one.body.get(key), before.body.get(key)
    if not isinstance(mine, list) or not isinstance(theirs, list):
        return one
    if all(old is new for old, new in zip(theirs[:1], mine[:1], strict=False)):
        return one
    held = [old if old == new else new for old, new in zip(theirs, mine, strict=False)]
    return one._replace(body={**one.body, key: [*held, *mine[len(held) :]]})


def _warmed(requests: list[Posed]) -> list[Posed]:
    """What the first request read cannot be of this conversation: it was there, and is in every replay."""
    first = requests[0] if requests else None
    if first is None or not first.reported or first.usage is None or not first.usage.read:
        return requests
    return [first._replace(warm=first.usage.read), *requests[1:]]


def _moments(asked: Sequence[Asked], assumed: Assumed) -> list[float]:
    first = next((one.at for one in asked if one.at is not None), assumed.begins)
    found: list[float] = []
    for one in asked:
        before = found[-1] if found else first
        found.append(max(one.at if one.at is not None else before + GAP * bool(found), before))
    return found


def _as_recorded(asked: Asked, recording: Recording, now: float, answer: Json | None) -> Posed:
    """What was sent, not counted yet."""
    model = str(asked.body.get("model") or asked.body.get("modelId") or asked.model or "")
    reported = asked.usage.input_total if asked.usage else None
    tier = asked.body.get("service_tier")
    return Posed(
        asked.body,
        recording.dialect,
        recording.platform,
        model,
        now,
        asked.source,
        0,
        reported,
        asked.usage,
        asked.usage.output if asked.usage else None,
        now,
        tier if isinstance(tier, str) else None,
        said=answer,
    )


def _counted(one: Posed, counter: Counter) -> Posed | None:
    """The same with its tokens, and those of its answer where they were not reported; ``None``: nobody understands it."""
    try:
        counted = _count(one.body, one, counter)
    except Exception:  # noqa: BLE001 - whatever a recorded body is, the others are replayed
        return None
    output = one.output
    if output is None and one.said is not None:
        output = _weighed(one, counter)
    return one._replace(counted=counted, output=output, said=None)


def _count(body: Json, one: Posed, counter: Counter) -> int:
    named = dialects.get(one.dialect)
    if named is None:
        raise ConfigurationError(f"no dialect {one.dialect!r}")
    view = named.view(body)
    digests, _ = HASHER.digests(view.messages, named.identity)
    return counter.count(view, digests, platform=one.platform, model=one.model or view.model).tokens


def _weighed(one: Posed, counter: Counter) -> int | None:
    """Tokens of an answer, as it would weigh in a prompt."""
    named = dialects.get(one.dialect)
    try:
        assert named is not None
        view = named.view(_holding(one.said, one.dialect))
        digests, _ = HASHER.digests(view.messages, named.identity)
        return round(sum(counter.weights(view, digests, platform=one.platform, model=one.model)[0]))
    except Exception:  # noqa: BLE001 - an answer of a shape that nobody knows weighs nobody knows what
        return None


_SPEAKER = {"gemini.generate": "model"}


def _holding(answer: Json, dialect: str) -> dict[str, Any]:
    """A body with nothing in it but the answer."""
    speaker = _SPEAKER.get(dialect, "assistant")
    message = answer
    if isinstance(answer, dict) and "role" not in answer and dialect != "openai.responses":
        message = {"role": speaker, **answer}
    elif isinstance(answer, str) or (isinstance(answer, list) and dialect != "openai.responses"):
        message = {"role": speaker, "parts" if speaker == "model" else "content": answer}
    messages = message if isinstance(message, list) else [message]
    return {messages_key(dialect): messages}


def answer_of(asked: Sequence[Asked], number: int, dialect: str) -> Json | None:
    """What answered a request: as it was recorded, or as the next request repeats it."""
    one = asked[number]
    if one.answer is not None or number + 1 == len(asked):
        return one.answer
    key = messages_key(dialect)
    mine, theirs = one.body.get(key), asked[number + 1].body.get(key)
    if not isinstance(mine, list) or not isinstance(theirs, list) or len(theirs) <= len(mine):
        return None
    said = theirs[len(mine)]
    spoken = isinstance(said, dict) and said.get("role") in ("assistant", "model")
    return said if spoken and theirs[len(mine) - 1 : len(mine)] == mine[-1:] else None


# ---- what if -------------------------------------------------------------------------------------------------------------


def place_of(assumed: Assumed, platform: str, dialect: str, model: str) -> tuple[str, str, str]:
    """Platform, wire format and model that are asked instead of the recorded ones."""
    wanted = assumed.model or model
    served = assumed.platform
    if served is None:
        served = platform
        if assumed.model:
            owner = _owner(assumed.model)
            served = platform if owner is None or owner == _owner(model) else owner
    if served != platform and (not assumed.model or served == "openrouter"):
        wanted = _renamed(wanted, served)
    return served, _wire(served, wanted, dialect), wanted


def _renamed(model: str, platform: str) -> str:
    """Bedrock and OpenRouter have names of their own for what others serve, too."""
    owner, _, plain = model.rpartition("/")
    name = _ON_BEDROCK.sub("", _VERSION.sub("", model)) if _ON_BEDROCK.match(model) else model
    if _owner(plain) and "oss" not in plain and owner in ("anthropic", "openai", "google", "deepseek", "x-ai"):
        name = plain.replace(".", "-") if owner == "anthropic" else plain
    if platform == "bedrock":
        return f"anthropic.{name}" if name.startswith("claude") else name
    maker = _owner(name) if platform == "openrouter" else None
    if maker == "anthropic":
        name = _MINOR.sub(r"\1.\2", _DATED.sub("", name))
    return f"{_ROUTED.get(maker, maker)}/{name}" if maker else name


def _owner(model: str) -> str | None:
    name = model.lower()
    return next((owner for start, owner in _OWNERS if name.startswith(start)), None)


def _wire(platform: str, model: str, dialect: str) -> str:
    """The wire that the platform speaks; the recorded one where it does."""
    if platform in _CLAUDE_ON and "claude" in model:
        return _CLAUDE_ON[platform]
    if platform == "vertex":
        return "gemini.generate"
    if platform in _WIRES:
        return _WIRES[platform]
    return dialect if dialect.startswith("openai.") else "openai.chat"


def _placed(one: Posed, assumed: Assumed, counter: Counter, *, again: bool = True) -> Posed | None:
    """The request as it would be sent under these circumstances, counted; ``again=False``: it was, for the recorded place."""
    platform, dialect, model = place_of(assumed, one.platform, one.dialect, one.model)
    if (platform, dialect, model) == (one.platform, one.dialect, one.model):
        found = _counted(one, counter) if again else one
    else:
        try:
            body, said = reshaped(one.body, one.dialect, dialect, model), _said_there(one, dialect, model)
        except Exception:  # noqa: BLE001 - whatever a recorded body is, the others are replayed
            return None
        there = one._replace(body=body, dialect=dialect, platform=platform, model=model, reported=None, said=said)
        found = _counted(there, counter)
    if found is None:
        return None
    if assumed.ttl:
        found = found._replace(body=living(found.body, dialect, assumed.ttl), ttl=assumed.ttl)
    return found._replace(priced_at=assumed.priced_at or one.now, tier=assumed.tier or one.tier)


def _said_there(one: Posed, dialect: str, model: str) -> Json | None:
    """The answer on another wire."""
    if one.said is None or dialect == one.dialect:
        return one.said
    held = reshaped(_holding(one.said, one.dialect), one.dialect, dialect, model)
    messages = held.get(messages_key(dialect)) or [None]
    return messages if dialect == "openai.responses" else messages[0]
