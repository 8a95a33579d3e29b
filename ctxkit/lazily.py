"""What is made when it is first asked for, once, whichever thread asks.

``functools.cached_property`` had a lock up to Python 3.11, one for all objects of a class. A process that forks while
a thread makes something would leave that lock taken in the child, where nobody ever gives it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["lazily"]

T = TypeVar("T")


class lazily(Generic[T]):  # noqa: N801 - reads as an adverb: @lazily
    """A property that is made once and then stands in the object's ``__dict__``.

    The object brings the lock, ``_making`` (an ``RLock``, because one thing may need another), and renews it in a
    forked child.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: Any, kind: type) -> Self | T:
        if owner is None:
            return self
        with owner._making:  # noqa: SLF001 - see above
            if self._name not in owner.__dict__:
                owner.__dict__[self._name] = self._make(owner)
            found: T = owner.__dict__[self._name]
            return found
