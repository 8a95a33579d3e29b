"""A histogram whose quantiles are within one per cent, and which adds like a number.

Buckets grow by 2 % (gamma = 1.02), so any value is known to (gamma - 1) / (gamma + 1) = 0.99 % of itself: the idea of
DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12, 2019). What differs is the form. A sketch is *one integer* with 64
bits per bucket. Merging two sketches is adding two integers, which Python does at memory speed; a report merges
hundreds of thousands of them.

At rest a sketch is a header and its counts from the first to the last used bucket, in 1, 2, 4 or 8 bytes each.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["ACCURACY", "Sketch", "bucket_of", "value_of"]

_GAMMA: Final = 1.02
_SCALE: Final = 1 / math.log(_GAMMA)
_FLOOR: Final = 1e-6  # one microsecond, or one millionth of an estimate: below lies bucket 0, which means 0.0
_TOP: Final = 1400  # 1e-6 * 1.02**1400 is more than a million seconds
_BITS: Final = 64
_HEADER: Final = struct.Struct("<BHH")  # bytes per count, first bucket, number of buckets

ACCURACY: Final = (_GAMMA - 1) / (_GAMMA + 1)
"""Largest relative error of a quantile against the value at the same rank."""


def bucket_of(value: float) -> int:
    """The bucket that counts ``value``; negative values and NaN count as 0."""
    if not value > _FLOOR:
        return 0
    return 1 + int(math.log(min(value, 1e9) / _FLOOR) * _SCALE) if value < 1e6 else _TOP


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: at most :data:`ACCURACY` away from all values in it."""
    return 0.0 if bucket == 0 else float(_FLOOR * _GAMMA ** (bucket - 1) * 2 * _GAMMA / (1 + _GAMMA))


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts per bucket, held in one integer (see the head of this module)."""

    packed: int = 0

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Sketch:
        """From counts by bucket."""
        return cls(sum(count << (_BITS * bucket) for bucket, count in counts.items()))

    @classmethod
    def load(cls, blob: bytes | None) -> Sketch:
        """From the form at rest; ``None`` is empty."""
        if not blob:
            return cls()
        width, first, length = _HEADER.unpack_from(blob)
        body = blob[_HEADER.size :]
        wide = bytearray(length * 8)
        for byte in range(width):
            wide[byte::8] = body[byte::width]
        return cls(int.from_bytes(wide, "little") << (_BITS * first))

    def dump(self) -> bytes:
        """The form at rest."""
        counts = self.counts()
        used = [bucket for bucket, count in enumerate(counts) if count]
        if not used:
            return b""
        first, length = used[0], used[-1] - used[0] + 1
        wide = counts[first : first + length].tobytes()
        width = next(w for w in (1, 2, 4, 8) if max(counts) < 1 << (8 * w))
        body = bytearray(length * width)
        for byte in range(width):
            body[byte::width] = wide[byte::8]
        return _HEADER.pack(width, first, length) + bytes(body)

    def __add__(self, other: Sketch) -> Sketch:
        return Sketch(self.packed + other.packed)

    def counts(self) -> memoryview[int]:
        """Counts by bucket, from bucket 0 on."""
        size = -(-self.packed.bit_length() // _BITS) * 8
        return memoryview(self.packed.to_bytes(size, "little")).cast("Q")

    def count(self) -> int:
        """How many values were seen."""
        return sum(self.counts())

    def quantile(self, share: float) -> float | None:
        """The value at rank ``floor(share * (n - 1))`` of the sorted values, or ``None`` when there are none."""
        counts = self.counts()
        total = sum(counts)
        rank = int(share * (total - 1))
        for bucket, count in enumerate(counts):
            rank -= count
            if rank < 0 < count:
                return value_of(bucket)
        return None
