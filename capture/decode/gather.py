"""Read header fields of many frames at once: bytes at given positions as numpy arrays.

All functions take the buffer and an array of positions. A position may lie anywhere from 0
on: what would reach beyond the buffer reads as zero, so a cut frame at the end of a block
needs no special care (its caller has compared lengths before it believes a value).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from capture.frames import Bytes, Ints


def records(data: Bytes, at: Ints, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """One packed record of ``dtype`` a position, copied.

    Args:
        data: The buffer, contiguous.
        at: Positions, shape ``(n,)``, none negative.
        dtype: Packed structured type, big-endian fields as on the wire.

    Returns:
        Array of ``dtype``, shape ``(n,)``.
    """
    width = dtype.itemsize
    last = len(data) - width
    if not len(at) or int(at.max()) <= last:
        return _windows(data, width)[at].view(dtype) if len(at) else np.zeros(0, dtype)
    # The few positions near the end are read from a copy of the tail with zeros behind it.
    base = max(0, last + 1)
    tail = np.zeros(len(data) - base + width, np.uint8)
    tail[: len(data) - base] = data[base:]
    out = np.empty(len(at), f"V{width}")
    near = at >= base
    out[near] = _windows(tail, width)[np.minimum(at[near] - base, len(data) - base)]
    if not near.all():
        out[~near] = _windows(data, width)[at[~near]]
    return out.view(dtype)


def some(found: NDArray[np.void], rows: Ints) -> NDArray[np.void]:
    """Some of the records that ``records`` returned, copied.

    As bytes without fields: numpy copies structured items field by field, which takes twenty
    times as long (measured).
    """
    return found.view(f"V{found.dtype.itemsize}")[rows].view(found.dtype)


def _windows(data: Bytes, width: int) -> NDArray[np.void]:
    """Every run of ``width`` bytes as one item, overlapping, not copied."""
    return np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))


def u8(data: Bytes, at: Ints) -> Ints:
    """The byte at each position."""
    return _field(data, at, 1)


def u16(data: Bytes, at: Ints) -> Ints:
    """The big-endian 16-bit number at each position."""
    return _field(data, at, 2)


def u32(data: Bytes, at: Ints) -> Ints:
    """The big-endian 32-bit number at each position."""
    return _field(data, at, 4)


_FIELDS = {size: np.dtype([("value", f">u{size}")]) for size in (1, 2, 4)}


def _field(data: Bytes, at: Ints, size: int) -> Ints:
    return records(data, at, _FIELDS[size])["value"].astype(np.int64)


def groups(values: Ints, wanted: tuple[int, ...]) -> Iterator[tuple[int, Ints | None]]:
    """The wanted values that occur, with the indices that hold them in rising order.

    Args:
        values: Shape ``(n,)``.
        wanted: A few numbers.

    Yields:
        ``(value, indices)``; the indices are None when all values are this one, which is
        the usual case and spares a copy of everything.
    """
    if len(values) and (values == values[0]).all():
        if int(values[0]) in wanted:
            yield int(values[0]), None
        return
    for value in wanted:
        which = np.flatnonzero(values == value)
        if len(which):
            yield value, which
