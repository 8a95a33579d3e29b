"""Which part of the application asks: features and labels over context variables.

``@feature("search", team="web")`` decorates functions, coroutines, generators and async generators; the same object
works as ``with feature("search"):``. Features nest into a path (``"search/rerank"``), inner labels win.

The attribution is a context variable, so tasks inherit it. Threads do not inherit context variables before Python
3.14; so the first feature that is used teaches ``threading.Thread.start`` and ``ThreadPoolExecutor.submit`` to take
this one variable along (nothing else of the context). ``CTXKIT_THREADS=0`` leaves both alone. A process pool starts
with no attribution: label the function that runs there.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, Self, TypeVar, cast

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

__all__ = ["LONGEST_LABEL", "Attribution", "as_text", "current", "feature"]

P = ParamSpec("P")
R = TypeVar("R")

LONGEST_LABEL = 200
"""Characters of a label, or of the name of a feature; what is longer is cut."""
_DEEPEST = 10  # names in a path


class Attribution(NamedTuple):
    """Who asks: the path of features, all labels, and the attribution outside of it."""

    path: str
    labels: Mapping[str, str]
    outer: Attribution | None


def as_text(labels: Mapping[str, object]) -> dict[str, str]:
    """Labels as the ledger keeps them: text, and not too much of it.

    Raises:
        ConfigurationError: they are no mapping.
    """
    if not isinstance(labels, Mapping):
        raise ConfigurationError(f"labels are a mapping of names to values, not {type(labels).__name__}")
    return {str(name)[:LONGEST_LABEL]: str(value)[:LONGEST_LABEL] for name, value in labels.items()}


_current: ContextVar[Attribution | None] = ContextVar("ctxkit_attribution", default=None)


def current() -> Attribution | None:
    """The attribution of the code that is running, or ``None`` outside any feature."""
    return _current.get()


class feature:  # noqa: N801 - reads as a verb: @feature("search")
    """Attributes every model call made inside to a feature of the application.

    Args:
        name: what the report shows; inside another feature it extends its path (``"chat/summary"``).
        labels: further columns for the report (``team="web"``); values become text.

    Raises:
        ConfigurationError: the name is empty, too long or no text.

    Example:
        >>> @feature("support-chat", team="care")
        ... def answer(question: str) -> str:
        ...     with feature("retrieval"):
        ...         return current().path
        >>> answer("where is my parcel?")
        'support-chat/retrieval'
    """

    def __init__(self, name: str, **labels: object) -> None:
        given: object = name
        if not isinstance(given, str) or not name.strip("/ ") or len(name) > LONGEST_LABEL:
            raise ConfigurationError(
                f"feature() wants a name of 1 to {LONGEST_LABEL} characters, got {name!r:.60}: @feature('search')"
            )
        self.name = name.strip("/ ")
        self.labels = as_text(labels)
        _carry_into_threads()

    def __enter__(self) -> Self:
        _current.set(self._inside())
        return self

    def __exit__(self, *_exc: object) -> None:
        inside = _current.get()
        _current.set(inside.outer if inside else None)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, coroutine function, generator or async generator function."""
        if inspect.isasyncgenfunction(function):
            return cast("Callable[P, R]", self._async_generator(function))
        if inspect.isgeneratorfunction(function):
            return cast("Callable[P, R]", self._generator(function))
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", self._coroutine(function))

        @functools.wraps(function)
        def labelled(*args: P.args, **kwargs: P.kwargs) -> R:
            with _active(self._inside()):
                return function(*args, **kwargs)

        return labelled

    def _inside(self) -> Attribution:
        outer = _current.get()
        if outer is None:
            return Attribution(self.name, self.labels, None)
        path = f"{outer.path}/{self.name}"
        if path.count("/") >= _DEEPEST:
            path = outer.path  # an agent that calls itself is not to make a new feature with every turn
        return Attribution(path, {**outer.labels, **self.labels}, outer)

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def labelled(*args: Any, **kwargs: Any) -> Any:
            with _active(self._inside()):
                return await function(*args, **kwargs)

        return labelled

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def labelled(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            inside = self._inside()
            steps = function(*args, **kwargs)
            step, value = steps.send, None
            while True:
                with _active(inside):
                    try:
                        item = step(value)
                    except StopIteration as stop:
                        return stop.value
                try:
                    value, step = (yield item), steps.send
                except GeneratorExit:
                    with _active(inside):
                        steps.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the caller: goes to the generator
                    value, step = error, steps.throw

        return labelled

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def labelled(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            inside = self._inside()
            steps = function(*args, **kwargs)
            step, value = steps.asend, None
            while True:
                with _active(inside):
                    try:
                        item = await step(value)
                    except StopAsyncIteration:
                        return
                try:
                    value, step = (yield item), steps.asend
                except GeneratorExit:
                    with _active(inside):
                        await steps.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the caller: goes to the generator
                    value, step = error, steps.athrow

        return labelled


@contextmanager
def _active(attribution: Attribution | None) -> Iterator[None]:
    """Set for one step only, so that nothing leaks into the caller while a generator rests."""
    outer = _current.get()
    _current.set(attribution)
    try:
        yield
    finally:
        _current.set(outer)


_carried: bool = False
_carry_lock = threading.Lock()


def _carry_into_threads() -> None:
    """Let threads and thread pools take the attribution of whoever starts or feeds them."""
    global _carried  # noqa: PLW0603 - once per process
    if _carried:
        return
    with _carry_lock:
        if _carried:  # another thread was here first
            return
        if os.environ.get("CTXKIT_THREADS", "1") != "0":
            from concurrent.futures import ThreadPoolExecutor

            _wrap_start(threading.Thread)
            _wrap_submit(ThreadPoolExecutor)
        _carried = True


def _wrap_start(kind: type[threading.Thread]) -> None:
    start = kind.start

    @functools.wraps(start)
    def start_with_attribution(self: threading.Thread) -> None:
        attribution = _current.get()
        if attribution is not None:
            run = self.run

            def run_attributed() -> None:
                # The wrapper stands on the instance and points back at it: removed first, so that no cycle stays.
                self.__dict__.pop("run", None)
                _current.set(attribution)
                run()

            self.run = run_attributed  # type: ignore[method-assign]
        start(self)

    kind.start = start_with_attribution  # type: ignore[method-assign]


def _wrap_submit(kind: Any) -> None:
    submit = kind.submit

    @functools.wraps(submit)
    def submit_with_attribution(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        attribution = _current.get()
        if attribution is None:
            return submit(self, fn, *args, **kwargs)
        with _active(None):  # a worker thread that this starts serves others later: it belongs to nobody
            return submit(self, _run_attributed, attribution, fn, *args, **kwargs)

    kind.submit = submit_with_attribution


def _run_attributed(attribution: Attribution, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with _active(attribution):
        return fn(*args, **kwargs)
