"""The hashes by which replays know messages again: one key for all, so that what one part has weighed no other weighs anew.

Nothing of them is kept, and every process comes to the same.
"""

from __future__ import annotations

from typing import Final

from ctxkit.caching.prefixes import Hasher

__all__ = ["HASHER"]

HASHER: Final = Hasher(b"replayed" * 4)
