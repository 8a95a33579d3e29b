"""Content encodings, undone as the bytes pass.

A front door sees the bytes of an answer before the HTTP client has decoded them. gzip and deflate are the standard
library's; Brotli and Zstandard come from the packages that the HTTP client itself uses, since a client only offers
``accept-encoding: br, zstd`` when it has them.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Decode", "decoder"]

Decode: TypeAlias = Callable[[bytes], bytes]
"""Takes the next encoded bytes and gives what they decode to; raises whatever the codec raises for broken data."""

_PIECE = 1 << 20  # a small input may inflate to a very large one: take it in pieces of 1 MiB
LARGEST = 1 << 26
"""Bytes (64 MiB) that one chunk may inflate to; beyond that the answer is not read."""


def decoder(encoding: str, *, largest: int | None = LARGEST) -> Decode | None:
    """The decoder of a ``content-encoding`` header; ``None`` when nobody here can undo it.

    Args:
        encoding: the header's value; several encodings are undone from the last to the first.
        largest: bytes that one chunk may inflate to; ``None`` for any number.
    """
    names = [name for part in encoding.lower().split(",") if (name := part.strip()) not in {"", "identity"}]
    steps = [_codec(name, largest) for name in reversed(names)]
    if not steps:
        return bytes
    if len(steps) == 1:
        return steps[0]
    known = [step for step in steps if step is not None]
    return _chain(known) if len(known) == len(steps) else None


def _chain(steps: list[Decode]) -> Decode:
    def decode(data: bytes) -> bytes:
        for step in steps:
            data = step(data)
        return data

    return decode


def _codec(name: str, largest: int | None) -> Decode | None:
    if name in {"gzip", "x-gzip"}:
        return _inflate(zlib.decompressobj(zlib.MAX_WBITS | 16), largest)
    if name == "deflate":
        return _deflate(largest)
    if name == "br":
        return _brotli()
    return _zstd() if name == "zstd" else None


def _inflate(codec: Any, largest: int | None) -> Decode:
    def decode(data: bytes) -> bytes:
        pieces, size = [], 0
        while data:
            piece = codec.decompress(data, _PIECE)
            size += len(piece)
            if largest is not None and size > largest:
                raise ValueError(f"one chunk inflates to more than {largest} bytes")
            pieces.append(piece)
            data = codec.unconsumed_tail
        return b"".join(pieces)

    return decode


def _deflate(largest: int | None) -> Decode:
    # Servers mean two things by "deflate": zlib's format, and the bare one. The first bytes tell them apart.
    chosen: list[Decode] = []

    def decode(data: bytes) -> bytes:
        if not data:
            return b""
        if not chosen:
            zlib_format = data[0] & 0x0F == zlib.DEFLATED
            chosen.append(_inflate(zlib.decompressobj(zlib.MAX_WBITS if zlib_format else -zlib.MAX_WBITS), largest))
        return chosen[0](data)

    return decode


def _brotli() -> Decode | None:
    module = _first("brotli", "brotlicffi")
    if module is None:
        return None
    codec: Any = module.Decompressor()
    decode: Decode = getattr(codec, "decompress", None) or codec.process
    return decode


def _zstd() -> Decode | None:
    module = _first("compression.zstd", "backports.zstd")
    if module is not None:
        codec: Any = module.ZstdDecompressor()
        return lambda data: codec.decompress(data) if data and not codec.eof else b""
    module = _first("zstandard")
    if module is None:
        return None
    decode: Decode = module.ZstdDecompressor().decompressobj().decompress
    return decode


def _first(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
