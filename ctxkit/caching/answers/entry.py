"""An answer as bytes, for a file: what it says in a head of JSON, its body as it came, and a seal over both.

The seal is a keyed hash over the name of the answer and all of its bytes. An answer that was damaged, changed or put under
another name is none. Whoever can read the secret of the store can make one that holds; who must be kept from that
gives a key of his own, by which the store encrypts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from typing import TYPE_CHECKING, Any

from ctxkit.money import pico_of, usd_of
from ctxkit.reuse import Reused

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DamagedError", "packed", "unpacked"]

_MAGIC = b"ctxkit answer 1\n"
_LENGTH = struct.Struct(">I")
_SEAL = 32


class DamagedError(ValueError):
    """Bytes that are no answer, or none under this name."""


def packed(secret: bytes, name: bytes, answer: Reused) -> bytes:
    """The answer as bytes that :func:`unpacked` reads under the same name."""
    head = json.dumps(_head(answer), separators=(",", ":")).encode()
    content = b"".join((_MAGIC, _LENGTH.pack(len(head)), head, *answer.events))
    return content + _seal(secret, name, content)


def unpacked(secret: bytes, name: bytes, value: bytes) -> Reused:
    """The answer that was kept under this name.

    Raises:
        DamagedError: it is none.
    """
    content, seal = value[:-_SEAL], value[-_SEAL:]
    if not content.startswith(_MAGIC) or not hmac.compare_digest(seal, _seal(secret, name, content)):
        raise DamagedError("not what was kept under this name")
    try:
        return _read(content)
    except (KeyError, TypeError, ValueError, AttributeError, struct.error):
        raise DamagedError("not of the form in which answers are kept") from None


def _seal(secret: bytes, name: bytes, content: bytes) -> bytes:
    return hmac.digest(secret, _LENGTH.pack(len(name)) + name + content, hashlib.sha256)


def _head(answer: Reused) -> dict[str, Any]:
    return {
        "status": answer.status,
        "headers": dict(answer.headers),
        "cuts": [len(event) for event in answer.events],
        "stored": answer.stored,
        "cost": None if answer.cost is None else pico_of(answer.cost),
        "said": dict(answer.said),
    }


def _read(content: bytes) -> Reused:
    start = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack_from(content, len(_MAGIC))
    head = json.loads(content[start : start + length])
    body = content[start + length :]
    if sum(head["cuts"]) != len(body):
        raise DamagedError("shorter or longer than it was")
    return Reused(
        status=int(head["status"]),
        headers=dict(head["headers"]),
        events=tuple(_cut(body, head["cuts"])),
        stored=float(head["stored"]),
        cost=usd_of(head["cost"]),
        said=dict(head["said"]),
    )


def _cut(body: bytes, lengths: Iterable[int]) -> Iterable[bytes]:
    at = 0
    for length in lengths:
        yield body[at : at + length]
        at += length
