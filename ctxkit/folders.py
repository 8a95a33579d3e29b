"""Where things are kept: paths that stay where they were meant, folders that only their owner can read."""

from __future__ import annotations

from pathlib import Path

__all__ = ["located", "private_folder"]


def located(path: str | Path) -> Path:
    """The path as it is meant now: a program that goes to another folder later keeps its files where they are."""
    return Path(path).expanduser().absolute()


def private_folder(folder: Path) -> None:
    """Make ``folder`` (0700) where it is missing, and every missing folder above it alike; what exists stays.

    ``Path.mkdir(mode=0o700, parents=True)`` would leave the ones above readable for everybody.

    Raises:
        OSError: it cannot be made, or something else stands there.
    """
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
