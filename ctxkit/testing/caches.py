"""The caches of the fake provider: the simulator of each provider's cache behind the wire formats."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxkit import dialects
from ctxkit.caching.layout import Layout, Space, lay_out
from ctxkit.caching.prefixes import Hasher
from ctxkit.caching.rules import find
from ctxkit.caching.simulator import Outcome, Refusal, State, commit, look
from ctxkit.caching.simulator.handles import BESIDE, Handles, use
from ctxkit.dialects.platforms import platform_of
from ctxkit.errors import ProviderShapeError
from ctxkit.forks import on_fork
from ctxkit.testing import comparisons
from ctxkit.testing.framing import compact

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctxkit.cacheable import Block
    from ctxkit.caching.rules import Rule
    from ctxkit.dialects.base import Caches
    from ctxkit.model import Conversation, Json, Message
    from ctxkit.testing.values import Ask, Request

__all__ = ["Pending", "SimulatedCaches"]

_HASHER = Hasher(b"the fake provider's own key")
_PLATFORMS = {"anthropic": "anthropic", "openai": "openai", "gemini": "google", "bedrock": "bedrock"}
_PLACE = re.compile(r"/projects/[^/]+/locations/([^/]+)/")
_CREDENTIAL = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/")
_KEYS = ("x-api-key", "api-key", "x-goog-api-key", "authorization", "openai-organization", "openai-project")
_QUERY_KEY = re.compile(r"(?:^|&)key=([^&]*)")


class Pending(NamedTuple):
    """What a request got, and what is still to be done when its answer begins and ends.

    Attributes:
        ask: the request, its usage filled in.
        refusal: the provider refuses it.
        begins: the answer begins.
        ends: the answer ends.
    """

    ask: Ask
    refusal: Refusal | None = None
    begins: Callable[[], None] = lambda: None
    ends: Callable[[], None] = lambda: None


class SimulatedCaches:
    """The prompt caches of a fake provider: what they hold between requests, by the rules of each provider.

    Usage in answers then says what was read and written, by time to live; requests that the provider would refuse for
    what they say to its cache are refused; Gemini's ``cachedContents`` exist. Each block of a request is counted by the
    behaviour's ``count`` (four characters are a token), and the prompt is their sum. A hit that a provider promises to
    nobody always happens here; :meth:`evict` takes it away. Requests under another API key share nothing.

    >>> now = [0.0]
    >>> caches = SimulatedCaches(clock=lambda: now[0])
    >>> caches.outcomes
    []

    Args:
        clock: unix time in seconds; entries live by it.
        platform: whose rules hold (``"openrouter"``, ``"vllm"``, ...); ``None``: by the host that the client believes it
            talks to, else by the wire format.
        capacity: tokens that the memory of an engine holds; ``None``: without limit.
        quota: Gemini handles that may be created within a minute; more are refused with 429.
        **changes: fields of :class:`ctxkit.caching.rules.Rule` that are different here (``granularity=832``).
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        platform: str | None = None,
        capacity: int | None = None,
        quota: int | None = None,
        **changes: Any,
    ) -> None:
        self.clock = clock
        self.handles = Handles(quota=quota)
        self._platform = platform
        self._changes = changes
        self._state = State(capacity=capacity)
        self._outcomes: deque[Outcome] = deque(maxlen=10_000)
        self._compared = comparisons.Comparisons()
        self._fresh_lock()
        on_fork(self, "_fresh_lock")

    def _fresh_lock(self) -> None:
        """A forked child must not wait for a thread of its parent."""
        self.lock = threading.RLock()

    @property
    def outcomes(self) -> list[Outcome]:
        """What each request got, in order of arrival; the latest 10,000."""
        with self.lock:
            return list(self._outcomes)

    @property
    def state(self) -> State:
        """All entries now."""
        return self._state

    def evict(self) -> None:
        """Lose every entry, as a provider may that promises no hits. Handles stay: they are promised."""
        with self.lock:
            self._state = State(capacity=self._state.capacity)

    def rule(self, platform: str, model: str, dialect: str, mode: str | None) -> Rule | None:
        """How this model is cached, changes made; ``None`` for a model that nobody has described."""
        rule = find(platform, model, dialect=dialect, mode=mode)
        return replace(rule, **self._changes) if rule is not None and self._changes else rule

    def space(self, request: Request, family: str, model: str) -> Space:
        """Whose entries a request can meet: by its keys, and by the place in its path or signature."""
        signed = _CREDENTIAL.search(request.headers.get("authorization", ""))
        place = _PLACE.search(request.path)
        known = place[0] if place else signed[1] if signed else _keys_of(request)  # Vertex: tokens come and go
        scope = hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        region = place[1] if place else signed[2] if signed else ""
        return Space(self._served_by(request, family), model, scope, region)

    def _served_by(self, request: Request, family: str) -> str:
        if self._platform is not None:
            return self._platform
        named = platform_of(request.host).name
        if named != "unknown":
            return named
        if _PLACE.search(request.path):
            return "vertex"
        return "google" if "/openai/" in request.path else _PLATFORMS[family]

    def serve(self, ask: Ask, family: str) -> Pending:
        """Let the caches look at a request: its usage, or why it is refused."""
        dialect = _dialect_of(ask, family)
        reader = dialects.caches(dialect) if dialect else None
        if dialect is None or reader is None:
            return Pending(ask)
        conversation = _view(dialect, ask.body)
        if conversation is None:
            return Pending(ask)
        space = self.space(ask.request, family, ask.model)
        layout, rule = self._laid_out(conversation, reader, space, ask)
        if ask.format == "count":
            return Pending(_told(ask, Outcome(fresh=round(layout.total))))
        refused = _unserved(ask, layout)
        if refused is not None:
            return Pending(ask, refused)
        if layout.ask.handle is not None and space.platform in ("google", "vertex"):
            return self._from_handle(ask, layout)
        return self._look(ask, layout, rule)

    def _laid_out(
        self, conversation: Conversation, reader: Caches, space: Space, ask: Ask
    ) -> tuple[Layout, Rule | None]:
        """A request in cache order, every block weighed by the behaviour's own counting, and the rule for it."""

        def blocks(message: Message) -> tuple[Block, ...]:
            return tuple(block._replace(size=_weight(ask.says.count, block)) for block in reader.blocks(message))

        wishes, messages = reader.ask(conversation), conversation.messages
        weights = [float(sum(block.size for block in blocks(message))) for message in messages]
        marked = wishes.automatic is not None or any(
            block.mark is not None for message in messages for block in reader.blocks(message)
        )
        rule = self.rule(space.platform, ask.model, conversation.dialect, wishes.mode)
        if marked and wishes.mode is None and (rule is None or rule.marker is None):
            rule = self.rule(space.platform, ask.model, conversation.dialect, "explicit") or rule
        return lay_out(_HASHER, messages, weights, blocks, wishes, space, rule, total=sum(weights)), rule

    def _look(self, ask: Ask, layout: Layout, rule: Rule | None) -> Pending:
        with self.lock:
            outcome = look(self._state, layout, rule, self.clock())
            self._outcomes.append(outcome)
            if outcome.error is not None:
                return Pending(ask, outcome.error)
            told = self._compare(ask, layout, rule, outcome)
            at = [self.clock()]
            if rule is not None and rule.visible == "starts":
                self._commit(outcome, rule, at)
        answered = _told(ask._replace(told=told), outcome)
        if rule is None or not at:
            return Pending(answered)

        def begins() -> None:
            at[0] = self.clock()
            if rule.visible == "begins":
                self._commit(outcome, rule, at)

        def ends() -> None:
            self._commit(outcome, rule, at)

        return Pending(answered, None, begins, ends)

    def _commit(self, outcome: Outcome, rule: Rule, at: list[float]) -> None:
        """Take what was written and read into the state, once for each answer."""
        with self.lock:
            if at:
                self._state = commit(self._state, outcome, rule, begins=at.pop(), ends=self.clock())

    def _compare(self, ask: Ask, layout: Layout, rule: Rule | None, outcome: Outcome) -> dict[str, Json]:
        """What the answer says of the cache beside its usage."""
        asked = layout.ask.compared
        earlier = self._compared.find(asked, layout) if asked is not None else None
        if ask.format == "anthropic.messages":
            self._compared.remember(f"msg_{ask.id}", layout)
            if not isinstance(ask.body.get("diagnostics"), dict):
                return {}
            return {"diagnostics": None if asked is None else comparisons.anthropic(earlier, layout)}
        if ask.format != "openai.responses" or rule is None or rule.marker != "prompt_cache_breakpoint":
            return {}
        self._compared.remember(f"resp_{ask.id}", layout)
        options: dict[str, Json] = {"mode": layout.ask.mode or "implicit", "ttl": layout.ask.ttl or rule.ttl}
        told: dict[str, Json] = {"prompt_cache_options": options, "prompt_cache_key": layout.ask.key}
        if asked is not None:
            options["comparison_response_id"] = asked
            told["prompt_cache_diagnostics"] = comparisons.openai(earlier, layout, outcome.read)
        return told

    def _from_handle(self, ask: Ask, layout: Layout) -> Pending:
        body, name = ask.body, str(layout.ask.handle)
        beside = [field for field in BESIDE if body.get(field) or body.get(_camel(field))]
        owner = owner_of(layout.space)
        with self.lock:
            outcome = use(self.handles, name, ask.model, owner, self.clock(), tokens=round(layout.total), beside=beside)
            self._outcomes.append(outcome)
            if outcome.error is not None:
                return Pending(ask, outcome.error)
            calling = self.handles.held[name].tool_config
        answered = _told(ask, outcome)
        silenced = isinstance(calling, dict) and _mode(calling) == "NONE"
        return Pending(answered._replace(says=replace(ask.says, calls=())) if silenced else answered)


def _keys_of(request: Request) -> str:
    """Whatever authenticates a request, in whichever place it stands."""
    asked = _QUERY_KEY.search(request.query)
    told = [request.headers.get(name, "").removeprefix("Bearer ") for name in _KEYS]
    return "\n".join(filter(None, [asked[1] if asked else "", *told]))


def owner_of(space: Space) -> str:
    """Whose handles a request may use: those of a project, on Vertex in one location."""
    return f"{space.scope}/{space.region}"


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _mode(calling: dict[str, Json]) -> Json:
    inner = calling.get("functionCallingConfig") or calling.get("function_calling_config")
    return inner.get("mode") if isinstance(inner, dict) else None


def _dialect_of(ask: Ask, family: str) -> str | None:
    if ask.format == "bedrock.invoke" and "anthropic" in ask.model:
        return "anthropic.messages"
    if ask.format != "count":
        return ask.format
    counted = {"anthropic": "anthropic.messages", "gemini": "gemini.generate", "openai": "openai.responses"}
    return counted.get(family)


def _view(dialect: str, body: Any) -> Conversation | None:
    """The request as its dialect reads it; ``None`` for one that has no shape: it is answered, and caches nothing."""
    found = dialects.get(dialect)
    try:
        return found.view(body) if found is not None else None
    except ProviderShapeError:
        return None


def weigh(count: Callable[[str], int], body: Json) -> int | None:
    """Tokens of a body in Gemini's form; ``None`` when it has no shape."""
    conversation, reader = _view("gemini.generate", body), dialects.caches("gemini.generate")
    if conversation is None or reader is None:
        return None
    return sum(_weight(count, block) for message in conversation.messages for block in reader.blocks(message))


def _weight(count: Callable[[str], int], block: Block) -> int:
    """Tokens of one block; a marker that is a block of its own has none."""
    if block.kind == "marker":
        return 0
    value = block.value
    return count(value if isinstance(value, str) else compact(value).decode("utf-8", "surrogatepass"))


def _told(ask: Ask, outcome: Outcome) -> Ask:
    """The request with what it got for its usage, unless the behaviour says what that is."""
    silent = not outcome.answered
    says = replace(ask.says, text="", calls=(), reasoning="") if silent else ask.says
    if ask.tokens is None or ask.says.tokens is not None:
        return ask._replace(says=says, silent=silent)
    lives = {ttl or "5m": number for ttl, number in outcome.written.items()}
    tokens = replace(
        ask.tokens,
        input=outcome.total,
        read=outcome.read,
        written=sum(lives.values()),
        lives=lives,
        output=0 if silent else ask.tokens.output,
        reasoning=0 if silent else ask.tokens.reasoning,
    )
    return ask._replace(says=says, silent=silent, tokens=tokens)


def _unserved(ask: Ask, layout: Layout) -> Refusal | None:
    """What a request may not ask for when it only fills the cache."""
    if not layout.ask.prewarm:
        return None
    wrong = _beside_prewarm(ask) if ask.format == "anthropic.messages" else ""
    if ask.format == "openai.chat":
        wrong = "Unknown parameter: 'prompt_cache_options.prewarm'."
    return Refusal(400, "invalid_request_error", wrong) if wrong else None


def _beside_prewarm(ask: Ask) -> str:
    """``max_tokens: 0`` is refused with any of these (platform.claude.com, 2026-08-22; the texts are ours)."""
    body = ask.body
    thinking, output, choice = (body.get(field) for field in ("thinking", "output_config", "tool_choice"))
    if ask.stream:
        return "max_tokens: 0 is not supported with stream"
    if isinstance(thinking, dict) and thinking.get("type") != "disabled":
        return "max_tokens: 0 is not supported with thinking"
    if isinstance(output, dict) and output.get("format") is not None:
        return "max_tokens: 0 is not supported with output_config.format"
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        return "max_tokens: 0 is not supported with tool_choice any or tool"
    return ""
