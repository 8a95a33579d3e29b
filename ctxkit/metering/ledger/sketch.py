"""A histogram whose quantiles are within one per cent, and which adds like a number.

Buckets grow by 2 % (gamma = 1.02), so any value is known to (gamma - 1) / (gamma + 1) = 0.99 % of itself: the idea of
DDSketch (Masson, Rim, Lee: "DDSketch", PVLDB 12, 2019). What differs is the form. A sketch is *one integer* with 64
bits per bucket: merging two is adding two integers, which Python does at memory speed.

At rest a sketch takes the shorter of two forms, told apart by the first byte. 0: the bucket of each value, two bytes
each, which are merged by joining them; most cells of an hour hold a few values. Else: counts from the first to the last
used bucket, in as many bytes each as the first byte says.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ACCURACY", "Merger", "Sketch", "bucket_of", "value_of"]

_GAMMA: Final = 1.02
_SCALE: Final = 1 / math.log(_GAMMA)
_FLOOR: Final = 1e-6  # one microsecond, or one millionth of an estimate: below lies bucket 0, which means 0.0
_TOP: Final = 1400  # 1e-6 * 1.02**1400 is more than a million seconds
_BITS: Final = 64
_HEADER: Final = struct.Struct("<BHH")  # bytes per count, first bucket, number of buckets
_LISTED: Final = b"\0"

ACCURACY: Final = (_GAMMA - 1) / (_GAMMA + 1)
"""Largest relative error of a quantile against the value at the same rank."""


def bucket_of(value: float) -> int:
    """The bucket that counts ``value``; negative values and NaN count as 0."""
    if not value > _FLOOR:
        return 0
    return 1 + int(math.log(value / _FLOOR) * _SCALE) if value < 1e6 else _TOP


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
        wide = array("Q", bytes(8 * (max(counts, default=-1) + 1)))
        for bucket, count in counts.items():
            wide[bucket] = count
        return cls(int.from_bytes(_bytes(wide), "little"))

    def plus(self, changes: Mapping[int, int]) -> Sketch:
        """With more in some buckets, and less in others."""
        more = Sketch.of({bucket: count for bucket, count in changes.items() if count > 0})
        less = Sketch.of({bucket: -count for bucket, count in changes.items() if count < 0})
        return Sketch(self.packed + more.packed - less.packed)

    @classmethod
    def load(cls, blob: bytes | None) -> Sketch:
        """From a form at rest; ``None`` is empty."""
        merger = Merger()
        if blob:
            merger.add_blob(blob)
        return merger.sketch()

    def dump(self) -> bytes:
        """The shorter form at rest; empty for no values."""
        if not self.packed:
            return b""
        first = ((self.packed & -self.packed).bit_length() - 1) // _BITS
        used = Sketch(self.packed >> (_BITS * first)).counts()
        width = next(w for w in (1, 2, 4, 8) if max(used) < 1 << (8 * w))
        values = sum(used)
        if 1 + 2 * values <= _HEADER.size + width * len(used):
            listed = (first + at for at, count in enumerate(used) if count for _ in range(count))
            return _LISTED + _bytes(array("H", listed))
        wide, body = _bytes(used), bytearray(len(used) * width)
        for byte in range(width):
            body[byte::width] = wide[byte::8]
        return _HEADER.pack(width, first, len(used)) + bytes(body)

    def counts(self) -> array[int]:
        """Counts by bucket, from bucket 0 to the last used one."""
        size = -(-self.packed.bit_length() // _BITS) * 8
        return _array("Q", self.packed.to_bytes(size, "little"))

    def count(self) -> int:
        """How many values were seen."""
        return sum(self.counts())

    def quantile(self, share: float) -> float | None:
        """The value at rank ``floor(share * (n - 1))`` of the sorted values, or ``None`` when there are none."""
        counts = self.counts()
        rank = int(share * (sum(counts) - 1))
        for bucket, count in enumerate(counts):
            rank -= count
            if rank < 0 < count:
                return value_of(bucket)
        return None


class Merger:
    """Adds up sketches, hundreds of thousands of them in a report, and takes out what was added too much."""

    __slots__ = ("_dense", "_listed", "_surplus")

    def __init__(self) -> None:
        self._dense = 0
        self._listed: list[bytes] = []
        self._surplus: list[bytes] = []

    @property
    def used(self) -> bool:
        """Whether there is any value in it."""
        return bool(self.sketch().packed)

    def add(self, sketch: Sketch) -> None:
        """Add one."""
        self._dense += sketch.packed

    def add_blob(self, blob: bytes) -> None:
        """Add one at rest, which must not be empty."""
        if blob[0]:
            self._dense += _unpacked(blob)
        else:
            self._listed.append(blob[1:])

    def drop_blob(self, blob: bytes) -> None:
        """Take one at rest out; all of it must be part of what is added in the end."""
        if blob[0]:
            self._dense -= _unpacked(blob)
        else:
            self._surplus.append(blob[1:])

    def merge(self, other: Merger) -> None:
        """Add what another has added up."""
        self._dense += other.sketch().packed

    def sketch(self) -> Sketch:
        """The sum."""
        self._dense += _counted(self._listed).packed - _counted(self._surplus).packed
        self._listed, self._surplus = [], []
        return Sketch(self._dense)


def _counted(listed: list[bytes]) -> Sketch:
    return Sketch.of(Counter(_array("H", b"".join(listed))))


def _unpacked(blob: bytes) -> int:
    width: int
    first: int
    width, first, length = _HEADER.unpack_from(blob)
    wide = bytearray(length * 8)
    for byte in range(width):
        wide[byte::8] = blob[_HEADER.size + byte :: width]
    return int.from_bytes(wide, "little") << (_BITS * first)


def _array(kind: str, little: bytes) -> array[int]:
    found: array[int] = array(kind)
    found.frombytes(little)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _bytes(numbers: array[int]) -> bytes:
    return _array(numbers.typecode, numbers.tobytes()).tobytes()
