"""Headers on their way through: what belongs to one hop stays behind, all else passes in its order, doubles included.

What belongs to one hop: RFC 9110, section 7.6.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FEATURE", "Headers", "answered", "asked", "value"]

Headers: TypeAlias = list[tuple[bytes, bytes]]

FEATURE = b"x-ctxkit-feature"
"""Says which feature of the program asks; not forwarded."""

_OF_A_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def asked(headers: Iterable[tuple[bytes, bytes]], host: bytes, *, upgrade: bool = False) -> Headers:
    """The headers of a request as the upstream is to get them.

    Args:
        headers: as they came.
        host: takes the place of ours.
        upgrade: the connection is to become another protocol's; what asks for that goes along.
    """
    passing = [(name, host if name.lower() == b"host" else text) for name, text in _end_to_end(headers)]
    if upgrade:
        passing += [(name, text) for name, text in headers if name.lower() in (b"connection", b"upgrade")]
    return [(name, text) for name, text in passing if name.lower() != FEATURE]


def answered(headers: Iterable[tuple[bytes, bytes]], origin: str, here: str) -> Headers:
    """The headers of an answer as the program is to get them.

    Args:
        headers: as they came.
        origin: of the upstream; a redirect that stays there is to come by us again.
        here: what stands before the path of a URL that comes by us.
    """
    return [
        (name, _relocated(text, origin.encode(), here.encode()) if name.lower() == b"location" else text)
        for name, text in _end_to_end(headers)
    ]


def value(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """The first value of a header, ``b""`` where there is none."""
    return next((text for known, text in headers if known.lower() == name), b"")


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    found = list(headers)
    named = {
        token.strip().lower() for name, text in found if name.lower() == b"connection" for token in text.split(b",")
    }
    return [(name, text) for name, text in found if name.lower() not in _OF_A_HOP | named]


def _relocated(location: bytes, origin: bytes, here: bytes) -> bytes:
    """A redirect to the same host would take the program past us, or to a path that is none of ours."""
    if location.startswith(b"/") and not location.startswith(b"//"):
        return here + location
    rest = location.removeprefix(origin)
    return here + rest if rest != location and rest[:1] in (b"", b"/", b"?") else location
