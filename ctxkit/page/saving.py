"""A page is written to a file whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ctxkit.errors import ConfigurationError

if TYPE_CHECKING:
    import os

__all__ = ["save"]


def save(html: str, path: str | os.PathLike[str]) -> Path:
    """Write a page, readable for whom the user's umask says: it is made for showing.

    Whoever has the old file open, or reloads it meanwhile, sees the old page or the new one.

    Returns:
        where it stands now.

    Raises:
        ConfigurationError: the path is a folder or cannot be written; the old file, if any, is as it was.
    """
    try:
        place = Path(path).expanduser()
        if place.is_dir():
            raise ConfigurationError(f"{path or place} is a folder: name a file in it")
        content = html.encode(errors="backslashreplace")
        if place.exists() and not place.is_file():  # /dev/stdout, a pipe
            place.write_bytes(content)
            return place
        place = place.resolve()  # a link stays a link
        _replace(place, content)
    except (OSError, ValueError, RuntimeError) as why:
        raise ConfigurationError(f"cannot write {path}: {getattr(why, 'strerror', None) or why}") from why
    return place


def _replace(place: Path, content: bytes) -> None:
    beside = place.with_name(f".{place.name[:100]}.{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
        if place.exists():
            beside.chmod(stat.S_IMODE(place.stat().st_mode))
        beside.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
