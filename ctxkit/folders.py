"""Folders that only their owner can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["private_folder"]


def private_folder(folder: Path) -> None:
    """Make ``folder`` (0700) where it is missing, and every missing folder above it alike.

    ``Path.mkdir(mode=0o700, parents=True)`` would leave the ones above readable for everybody.

    Raises:
        OSError: it cannot be made, or something else stands there.
    """
    missing = [folder]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
