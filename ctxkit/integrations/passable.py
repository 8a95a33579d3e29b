"""A refused budget on its way through an SDK."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctxkit.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["passable"]

_ERRORS = {"openai": "OpenAIError", "anthropic": "AnthropicError"}


@contextmanager
def passable() -> Iterator[None]:
    """Inside, a refused budget passes through SDKs that take any strange error of their HTTP client for a lost connection.

    openai 2 and anthropic retry those and raise their own; they let pass what derives from their ``OpenAIError`` and
    ``AnthropicError``.
    """
    try:
        yield
    except BudgetExceeded as error:
        raise _of_sdks(type(error))(*error.args) from error


def _of_sdks(kind: type[BudgetExceeded]) -> type[BudgetExceeded]:
    loaded = (getattr(sys.modules.get(name), error, None) for name, error in _ERRORS.items())
    bases = [base for base in loaded if isinstance(base, type) and not issubclass(kind, base)]
    return type(kind.__name__, (kind, *bases), {}) if bases else kind
