"""The kit of those who make none of their own."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctxkit.kit import Kit

__all__ = ["default_kit", "home"]


def home() -> Path:
    """The folder of the default kit: ``$CTXKIT_HOME``, or ``~/.ctxkit``."""
    return Path(os.environ.get("CTXKIT_HOME") or "~/.ctxkit").expanduser()


@functools.cache
def default_kit() -> Kit:
    """The kit of ``ctxkit.wrap``: policy from files and environment, state in ``$CTXKIT_HOME`` or ``~/.ctxkit``."""
    from ctxkit.kit import Kit
    from ctxkit.policy import Policy

    folder = home()
    return Kit(policy=Policy.load(), store=folder / "store", ledger=folder / "ledger.db")
