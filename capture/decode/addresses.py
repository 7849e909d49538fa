"""Address numbers: every IP address as one integer that numpy can compare.

An IPv4 address is its 32-bit value. An IPv6 address gets ``IPV6_BASE + i`` in the order of
appearance; the book remembers which is which. No number is ever given again, so that a live
capture may forget addresses that nothing refers to any more.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import IPV6_BASE
from capture.frames import Ints

_ADDRESS = np.dtype([("high", ">u8"), ("low", ">u8")])

Words = NDArray[np.uint64]


class AddressBook:
    """Numbers of addresses, and their text.

    IPv6 addresses met before are found by binary search of a 64-bit mix of both halves,
    verified against the halves; only a new address (or one whose mix collides with
    another's) reaches a Python dict.
    """

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._packed: dict[int, bytes] = {}
        self._next = IPV6_BASE
        self._forget_ranks()

    def __len__(self) -> int:
        """IPv6 addresses known."""
        return len(self._packed)

    def text(self, number: int) -> str:
        """The address in its usual notation (RFC 5952 for IPv6).

        Raises:
            IndexError: The number is no address of this book.
        """
        if number < IPV6_BASE:
            return f"{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        from socket import AF_INET6, inet_ntop

        packed = self._packed.get(number)
        if packed is None:
            raise IndexError(f"there is no address {number}")
        return inet_ntop(AF_INET6, packed)

    def keep(self, numbers: Iterable[int]) -> None:
        """Forget all IPv6 addresses but these."""
        stay = [number for number in numbers if number in self._packed]
        self._packed = {number: self._packed[number] for number in stay}
        self._numbers = {packed: number for number, packed in self._packed.items()}
        self._forget_ranks()
        if self._packed:
            self._rank()

    def number(self, text: str) -> int:
        """The number of an address in text; a new IPv6 address is added.

        Raises:
            ValueError: The text is no IP address.
        """
        from ipaddress import IPv4Address, ip_address

        address = ip_address(text.strip().strip("[]").partition("%")[0])
        if isinstance(address, IPv4Address):
            return int(address)
        return self._add(address.packed)

    def number_of(self, packed: bytes) -> int:
        """The number of an address as on the wire, 4 or 16 bytes.

        Raises:
            ValueError: Any other length.
        """
        if len(packed) == 4:
            return int.from_bytes(packed, "big")
        if len(packed) != 16:
            raise ValueError(f"an address has 4 or 16 bytes, not {len(packed)}")
        return self._add(bytes(packed))

    def ipv6(self, wire: NDArray[np.void]) -> Ints:
        """Numbers of many IPv6 addresses.

        Args:
            wire: Items of 16 bytes, shape ``(n,)``.

        Returns:
            Their numbers, shape ``(n,)``.
        """
        halves = np.ascontiguousarray(wire).view(_ADDRESS)
        high, low = halves["high"].astype(np.uint64), halves["low"].astype(np.uint64)
        out = np.full(len(high), -1, np.int64)
        self._find(high, low, out)
        unknown = np.flatnonzero(out < 0)
        if len(unknown):
            # One address of each mix is learnt; who shares a mix with another is left over.
            _, firsts = np.unique(_mix(high[unknown], low[unknown]), return_index=True)
            for address in halves[unknown[firsts]]:
                self._add(address.tobytes())
            self._rank()
            self._find(high, low, out)
            for i in np.flatnonzero(out < 0).tolist():
                out[i] = self._add(halves[i].tobytes())
        return out

    def _add(self, packed: bytes) -> int:
        number = self._numbers.get(packed)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._numbers[packed] = number
            self._packed[number] = packed
        return number

    def _forget_ranks(self) -> None:
        self._mixes: Words = np.zeros(0, np.uint64)
        self._high: Words = np.zeros(0, np.uint64)
        self._low: Words = np.zeros(0, np.uint64)
        self._ranked: Ints = np.zeros(0, np.int64)

    def _rank(self) -> None:
        """Sort the known addresses by their mix, for ``_find``."""
        halves = np.frombuffer(b"".join(self._packed.values()), _ADDRESS)
        high, low = halves["high"].astype(np.uint64), halves["low"].astype(np.uint64)
        mixes = _mix(high, low)
        order = np.argsort(mixes, kind="stable")
        self._mixes, self._high, self._low = mixes[order], high[order], low[order]
        self._ranked = np.fromiter(self._packed, np.int64, len(self._packed))[order]

    def _find(self, high: Words, low: Words, out: Ints) -> None:
        if not len(self._ranked):
            return
        place = np.searchsorted(self._mixes, _mix(high, low))
        np.minimum(place, len(self._mixes) - 1, out=place)
        hit = (self._high[place] == high) & (self._low[place] == low)
        out[hit] = self._ranked[place[hit]]


def _mix(high: Words, low: Words) -> Words:
    # Odd constants of the golden ratio and of xxhash; array arithmetic wraps silently.
    mixed: Words = high * np.uint64(0x9E3779B97F4A7C15) ^ low * np.uint64(0xC2B2AE3D27D4EB4F)
    return mixed
