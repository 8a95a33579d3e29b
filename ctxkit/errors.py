"""The errors of ctxkit.

::

    CtxkitError
    ├── ConfigurationError          you: an option, a file or a client that cannot work
    │   └── UnsupportedClientError  you: an object that no front door fits
    ├── BudgetExceeded              asked for: a hard budget refused the request
    ├── CacheObjectError            they: a provider's cache object cannot be made, found or changed
    ├── ProviderShapeError          they: JSON that is not what the provider documents
    ├── StoreError                  the ledger or a store cannot be read or written, or has not what was asked for
    └── TranscriptError             a recorded conversation cannot be read (names file and line)

Only ``ConfigurationError`` (when something is set up) and ``BudgetExceeded`` (a user asked for it) may
reach an application. Every other one is caught by the kit, which then sends the original request,
counts the fault and logs it once; ``Kit(strict=True)`` raises it instead, for tests. Who asks for the ledger itself
(``report``, ``flush``, ``ledger.records``) or for a text that was removed (``recall``) hears of a ``StoreError``.
"""

from __future__ import annotations

__all__ = [
    "BudgetExceeded",
    "CacheObjectError",
    "ConfigurationError",
    "CtxkitError",
    "ProviderShapeError",
    "StoreError",
    "TranscriptError",
    "UnsupportedClientError",
]


class CtxkitError(Exception):
    """The parent of everything ctxkit raises on purpose."""


class ConfigurationError(CtxkitError):
    """An option, a file or a combination of them cannot work; the message says what to change."""


class UnsupportedClientError(ConfigurationError, TypeError):
    """No front door fits the object that was given to ``wrap`` or ``attach``."""


class BudgetExceeded(CtxkitError):  # noqa: N818 - reads as what happened
    """A hard budget refused the request before it was sent."""


class CacheObjectError(CtxkitError):
    """A cache object of the provider cannot be created, found or changed; raised by ``kit.caches`` alone.

    Attributes:
        status: HTTP status of the provider's answer; ``None`` when there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ProviderShapeError(CtxkitError):
    """A request or an answer does not have the shape its wire format documents."""


class StoreError(CtxkitError):
    """The ledger or a store cannot be opened, read or written, or a removed text is not there (any more)."""


class TranscriptError(CtxkitError):
    """A recorded conversation cannot be read; the message names the file and the line."""
