"""The fake provider: a local server that answers like OpenAI, Anthropic, Google and Amazon."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from ctxkit.errors import ConfigurationError
from ctxkit.testing import gemini_caches
from ctxkit.testing.asks import ask_of, family_of, respond
from ctxkit.testing.caches import Pending, SimulatedCaches
from ctxkit.testing.refusals import refuse
from ctxkit.testing.serving import Server
from ctxkit.testing.values import Answered, Behaviour, Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["FakeProvider"]


class FakeProvider:
    """A model provider on a free port of this machine, for tests: five wire formats, no network, no keys.

    It answers OpenAI chat completions, responses, completions and embeddings, Anthropic messages, Gemini
    ``generateContent``, Bedrock ``Converse`` and ``InvokeModel``, each streamed and not, with usage and with errors
    in the provider's own shape. The server runs in threads of its own, so sync and async clients may use it.

    >>> import json, urllib.request
    >>> with FakeProvider(Behaviour(text="Four.")) as provider:
    ...     body = {"model": "gpt-5", "messages": [{"role": "user", "content": "2 + 2?"}]}
    ...     url = provider.openai_url + "/chat/completions"
    ...     with urllib.request.urlopen(url, json.dumps(body).encode()) as response:
    ...         answer = json.load(response)
    >>> answer["choices"][0]["message"]["content"]
    'Four.'
    >>> provider.requests[0].json == body
    True

    Args:
        behaviour: how requests are answered.
        answer: makes the reply itself, or says by a ``Behaviour`` how this one request is answered in its own wire
            format (an agent's turns can be told so); ``None`` from it means: as the behaviour says.
        caches: True, or :class:`SimulatedCaches` with a clock or platform of its own: the provider caches prompts, and
            usage says what was read and written. Off, ``behaviour.tokens`` says it.
        **changes: fields of ``behaviour`` to change, so that ``FakeProvider(text="Hi.")`` is enough.

    Attributes:
        requests: every request that came, in order of arrival.
        caches: the caches, or ``None``.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        answer: Callable[[Request], Reply | Behaviour | None] | None = None,
        caches: SimulatedCaches | bool = False,
        **changes: Any,
    ) -> None:
        self.requests: list[Request] = []
        self.caches = SimulatedCaches() if caches is True else caches or None
        self._behaviour = replace(behaviour or Behaviour(), **changes)
        self._answer = answer
        self._queue: deque[Reply] = deque()
        self._since = 0
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._port = 0

    def start(self) -> FakeProvider:
        """Begin to listen; ``with`` does it."""
        if self._server is None:
            self._server = Server(self._handle)
            self._port = self._server.server_address[1]
            name = f"fake-provider-{self._port}"
            threading.Thread(target=self._server.serve_forever, args=(0.02,), name=name, daemon=True).start()
        return self

    def close(self) -> None:
        """Stop, and break what is still open. What was recorded stays."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()

    @property
    def base_url(self) -> str:
        """Where the server listens: ``http://127.0.0.1:PORT``."""
        if not self._port:
            raise ConfigurationError("the fake provider is not running: use it in a with statement, or call start()")
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """For ``OpenAI(base_url=...)``."""
        return self.base_url + "/v1"

    @property
    def azure_url(self) -> str:
        """For ``AzureOpenAI(azure_endpoint=...)``."""
        return self.base_url

    @property
    def anthropic_url(self) -> str:
        """For ``Anthropic(base_url=...)``."""
        return self.base_url

    @property
    def gemini_url(self) -> str:
        """For ``genai.Client(http_options={"base_url": ...})``."""
        return self.base_url

    @property
    def bedrock_url(self) -> str:
        """For ``boto3.client("bedrock-runtime", endpoint_url=...)``."""
        return self.base_url

    @property
    def proxy_url(self) -> str:
        """For ``httpx.Client(proxy=...)`` and the like: such a client may use any ``http://`` base URL.

        It believes that it talks to that host, so what depends on the host (who the platform is) can be tried:
        ``OpenAI(base_url="http://api.x.ai/v1", http_client=DefaultHttpxClient(proxy=provider.proxy_url))``.
        """
        return self.base_url

    @property
    def behaviour(self) -> Behaviour:
        """How requests are answered now."""
        return self._behaviour

    def behave(self, behaviour: Behaviour | None = None, **changes: Any) -> None:
        """Answer differently from now on; ``failures`` and ``redirects`` count from here.

        Args:
            behaviour: what to begin with; ``None``: as now.
            **changes: fields to change.
        """
        with self._lock:
            self._behaviour = replace(behaviour or self._behaviour, **changes)
            self._since = len(self.requests)

    def reply(
        self,
        body: bytes | Reply,
        *,
        status: int = 200,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Queue an answer to be given verbatim; the queue is served before anything else, first in, first out."""
        reply = body if isinstance(body, Reply) else Reply(body, status, content_type, headers or {})
        with self._lock:
            self._queue.append(reply)

    def clear(self) -> None:
        """Forget the recorded requests and the queue; the behaviour counts anew."""
        with self._lock:
            self.requests.clear()
            self._queue.clear()
            self._since = 0

    def _handle(self, request: Request) -> Answered:
        with self._lock:
            request = replace(request, number=len(self.requests) + 1)
            self.requests.append(request)
            queued = self._queue.popleft() if self._queue else None
            behaviour, turn = self._behaviour, request.number - self._since
        if queued is None and self._answer is not None:
            told = self._answer(request)
            if isinstance(told, Behaviour):
                return self._reply(request, told, turn)
            queued = told
        return Answered(queued, behaviour) if queued is not None else self._reply(request, behaviour, turn)

    def _reply(self, request: Request, behaviour: Behaviour, turn: int) -> Answered:
        failed = _failure(request, behaviour, turn)
        if failed is not None:
            return Answered(failed, behaviour)
        family, caches = family_of(request.path), self.caches
        about = gemini_caches.named(request) if caches is not None else None
        if caches is not None and about is not None:
            return Answered(gemini_caches.answer(caches, request, about, behaviour), behaviour)
        ask = ask_of(request, behaviour)
        if ask is None:
            return Answered(refuse(family, 404, f"Nothing answers at {request.path}."), behaviour)
        if request.method == "POST" and not isinstance(request.json, dict):
            return Answered(refuse(family, 400, "The body is no JSON object."), behaviour)
        pending = caches.serve(ask, family) if caches is not None else Pending(ask)
        if pending.refusal is not None:
            return Answered(refuse(family, pending.refusal.status, pending.refusal.message), behaviour)
        return Answered(respond(pending.ask), behaviour, pending.begins, pending.ends)


def _failure(request: Request, behaviour: Behaviour, turn: int) -> Reply | None:
    """What the behaviour answers to any request at all."""
    if turn <= behaviour.redirects:
        return Reply(b"", 307, headers={"location": f"http://{request.host}{request.path}?{_marked(request.query)}"})
    failing = turn <= behaviour.redirects + behaviour.failures
    status = behaviour.failure_status if failing else behaviour.status
    if failing or status >= 400:
        return refuse(family_of(request.path), status, behaviour.message, behaviour.retry_after)
    return None


def _marked(query: str) -> str:
    return f"{query}&redirected=1" if query else "redirected=1"
