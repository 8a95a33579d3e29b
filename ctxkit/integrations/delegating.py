"""Standing in for what an SDK hands out, without being noticed.

What is asked of a stand-in goes to the original, and for a stream of objects ``isinstance`` sees the original's class,
so code that calls further methods of a stream or checks its type goes on working.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ctxkit.integrations.exchange import Exchange, Seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Delegate", "ItemReader", "StandIn"]


class ItemReader(Seen, Protocol):
    """Looks at the items of a stream as they pass."""

    def see(self, item: Any) -> bool:
        """Look at one item; True when the caller is not to get it, because only ctxkit asked for it."""
        ...


class Delegate:
    """Has the original do what it does not do itself."""

    def __init__(self, original: Any, exchange: Exchange) -> None:
        self._ctxkit_original = original
        self._ctxkit_exchange = exchange

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_ctxkit_"):  # not there yet: a copy or an unpickled object asks before it is made
            raise AttributeError(name)
        return getattr(self._ctxkit_original, name)


class StandIn(Delegate):
    """A stream of objects (sync, async or both, as the original is) that is read as it passes."""

    def __init__(self, original: Any, exchange: Exchange, reader: ItemReader) -> None:
        super().__init__(original, exchange)
        exchange.reader = reader
        self._ctxkit_see = reader.see

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The original's, for ``isinstance``."""
        return type(self._ctxkit_original)

    def __iter__(self) -> Iterator[Any]:
        exchange = self._ctxkit_exchange
        try:
            for item in self._ctxkit_original:
                hidden = exchange.item(item, self._ctxkit_see)
                if exchange.over:
                    exchange.settle()
                if not hidden:
                    yield item
        except Exception:
            exchange.settle(ended=False)
            raise
        exchange.settle()

    def __next__(self) -> Any:
        exchange = self._ctxkit_exchange
        while True:
            try:
                item = next(self._ctxkit_original)
            except BaseException as error:
                exchange.settle(ended=isinstance(error, StopIteration))
                raise
            hidden = exchange.item(item, self._ctxkit_see)
            if exchange.over:
                exchange.settle()
            if not hidden:
                return item

    async def __aiter__(self) -> AsyncIterator[Any]:
        exchange = self._ctxkit_exchange
        try:
            async for item in self._ctxkit_original:
                hidden = exchange.item(item, self._ctxkit_see)
                if exchange.over:
                    await exchange.asettle()
                if not hidden:
                    yield item
        except Exception:
            await exchange.asettle(ended=False)
            raise
        await exchange.asettle()

    async def __anext__(self) -> Any:
        exchange = self._ctxkit_exchange
        while True:
            try:
                item = await anext(self._ctxkit_original)
            except BaseException as error:
                await exchange.asettle(ended=isinstance(error, StopAsyncIteration))
                raise
            hidden = exchange.item(item, self._ctxkit_see)
            if exchange.over:
                await exchange.asettle()
            if not hidden:
                return item

    def close(self) -> None:
        """Close the original and settle."""
        try:
            self._ctxkit_original.close()
        finally:
            self._ctxkit_exchange.settle(ended=False)

    async def aclose(self) -> None:
        """Close the original and settle."""
        try:
            await self._ctxkit_original.aclose()
        finally:
            await self._ctxkit_exchange.asettle(ended=False)
