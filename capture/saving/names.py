"""Replaces addresses and names by made-up ones, the same for the same, and as long.

Everything keeps its length, so that offsets, length fields and sequence numbers hold: an
octet becomes one with as many digits, a label of a name one with as many letters. Addresses
of one network stay together (each octet or hex digit is mapped under the ones before it),
private ones stay private, and special ones (loopback, multicast, …) are left alone. What is
said here of whom is gone; how long names are and which addresses belong together is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import random
import re
from collections.abc import Collection, Iterable
from typing import Final

from capture.names import is_address

_KEPT_SUFFIXES: Final = frozenset(
    (
        *("com", "net", "org", "edu", "gov", "mil", "int", "io", "info", "biz", "arpa", "www"),
        *("local", "lan", "corp", "home", "internal", "localhost", "example", "test", "invalid"),
    )
)
"""Labels that say nothing of anybody; two letters are a country's."""
_FIXED_OCTETS: Final = frozenset((0, 10, 127, 169, 172, 192, *range(224, 256)))
"""First octets that are left alone: networks of a special meaning begin with them."""
_PRIVATE: Final = {169: frozenset((254,)), 172: frozenset(range(16, 32)), 192: frozenset((168,))}
"""Second octets of link-local and private networks (RFC 3927, RFC 1918), by the first."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"

_IPV4: Final = re.compile(rb"(?<![\w.])(?<![A-Za-z]/)(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_IPV6: Final = re.compile(rb"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?![\w:.])")
_NAME: Final = re.compile(
    rb"(?<![\w.-])(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})\.)+[A-Za-z][A-Za-z0-9-]{1,62}(?![\w-])"
)
_MAC: Final = re.compile(
    rb"(?<![\w:-])[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])"
)
_GENERAL_NAME: Final = re.compile(rb"\x82([\x04-\x7f])", re.DOTALL)
"""dNSName of a certificate (RFC 5280 section 4.2.1.6), and its length."""
_ATTRIBUTE: Final = re.compile(rb"\x06\x03\x55\x04[\x03-\x0c\x11]([\x0c\x13\x14\x16])([\x01-\x7f])")
"""A part of a distinguished name (X.520): type, kind of string, length."""
_HOST: Final = re.compile(rb"[\w*.-]+\.[\w-]+")
_SHORTEST: Final = 3
"""Shorter names are parts of other words more often than not."""


class Anonymizer:
    """One consistent set of made-up addresses and names.

    Args:
        key: Decides on them; None: a new one, so that nobody can find the way back.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = os.urandom(32) if key is None else key
        self._addresses: dict[bytes, bytes] = {}
        self._permutations: dict[tuple[int, ...], list[int]] = {}
        self._labels: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()
        self._known: dict[bytes, bytes] = {}
        self._pattern: re.Pattern[bytes] | None = None

    def learn(self, names: Iterable[str]) -> None:
        """Names that occur, and are to be replaced wherever they do."""
        for name in names:
            text = name.strip(".").lower()
            if len(text) < _SHORTEST or text in _KEPT_SUFFIXES or not text.isascii():
                continue
            if is_address(text):
                continue
            while text:
                self._known[text.encode()] = self.name(text).encode()
                # The domains that it is in, too, but no bare suffix.
                text = text.partition(".")[2] if text.count(".") > 1 else ""
        words = sorted(self._known, key=len, reverse=True)
        if words:
            either = b"|".join(map(re.escape, words))
            self._pattern = re.compile(rb"(?i)(?<![A-Za-z0-9-])(?:%b)(?![A-Za-z0-9-])" % either)

    # -- addresses --------------------------------------------------------------------

    def address(self, address: bytes) -> bytes:
        """An address of 4 or 16 bytes (IP), or of 6 (a network card's)."""
        known = self._addresses.get(address)
        if known is None:
            make = {4: self._ip4, 16: self._ip6, 6: self._mac}[len(address)]
            known = self._addresses[address] = make(address)
        return known

    def _ip4(self, address: bytes) -> bytes:
        first, second = address[0], address[1]
        if first in (0, 127) or first >= 224:
            return address
        keep = 0
        if first in _FIXED_OCTETS:
            keep = 1
        if second in _PRIVATE.get(first, ()):
            keep = 2
        made = list(address[:keep])
        for index in range(keep, 4):
            special = {0: _FIXED_OCTETS, 1: _PRIVATE.get(first, frozenset())}.get(index, ())
            made.append(self._octet(address[:index], address[index], special))
        return bytes(made)

    def _octet(self, before: bytes, octet: int, special: Collection[int]) -> int:
        """An octet with as many digits, under those before it, and none with a meaning."""
        low, high = (0, 9) if octet < 10 else (10, 99) if octet < 100 else (100, 255)
        choices = [n for n in range(low, high + 1) if n not in special]
        return self._permuted((4, low, *before), choices, octet)

    def _ip6(self, address: bytes) -> bytes:
        if address[:12] == b"\0" * 10 + b"\xff\xff" or address[:12] == b"\0\x64\xff\x9b" + bytes(8):
            return address[:12] + self.address(address[12:])
        if address[0] == 0xFF or not any(address[:15]):
            return address  # multicast, loopback, unspecified
        # RFC 4291 section 2.4, RFC 4193: link-local (fe80::/10) and unique local (fc00::/7).
        keep = 4 if address[0] == 0xFE else 2 if address[0] >> 1 == 0x7E else 1
        nibbles = [nibble for byte in address for nibble in (byte >> 4, byte & 15)]
        made = nibbles[:keep]
        for index in range(keep, 32):
            nibble = nibbles[index]
            # Zeros stay: the text of an address is as long as they let it be.
            # No other address becomes one of those, nor a multicast one.
            choices = list(range(1, 0xC if index == 1 and nibbles[0] == 0xF else 16))
            given = (6, *nibbles[:index])
            made.append(self._permuted(given, choices, nibble) if nibble else 0)
        return bytes(high << 4 | low for high, low in zip(made[::2], made[1::2], strict=True))

    def _mac(self, address: bytes) -> bytes:
        if address[0] & 1 or not any(address):
            return address  # multicast, or none
        made = bytearray(self._digest(b"mac", address)[:6])
        made[0] = made[0] & 0xFC | address[0] & 3
        return bytes(made)

    def _permuted(self, given: tuple[int, ...], choices: list[int], value: int) -> int:
        if value not in choices:
            return value
        order = self._permutations.get(given)
        if order is None:
            seed = self._digest(b"order", repr(given).encode())
            order = choices.copy()
            random.Random(seed).shuffle(order)
            self._permutations[given] = order
        return order[choices.index(value)]

    def _digest(self, what: bytes, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, person=what).digest()

    # -- names and text ---------------------------------------------------------------

    def name(self, name: str) -> str:
        """A host's name, each label under those behind it."""
        made: list[str] = []
        suffix = ""
        for label in reversed(name.lower().split(".")):
            last = not made
            kept = label in _KEPT_SUFFIXES or (last and len(label) == 2) or label in ("", "*")
            made.append(label if kept else self._label(label, suffix))
            suffix = f"{label}.{suffix}"
        return ".".join(reversed(made))

    def _label(self, label: str, suffix: str) -> str:
        known = self._labels.get((label, suffix))
        if known is not None:
            return known
        text = label
        for attempt in range(64):
            digest = self._digest(b"label", f"{attempt} {label}.{suffix}".encode())
            digest *= 1 + len(label) // len(digest)
            text = "".join(_LETTERS[byte % 26] for byte in digest[: len(label)])
            if (text, suffix) not in self._taken:
                break
        self._taken.add((text, suffix))
        self._labels[label, suffix] = text
        return text

    def text(self, data: bytes) -> bytes:
        """Text with all that looks like an address or a host's name replaced."""
        data = _NAME.sub(lambda m: self.name(m[0].decode("ascii")).encode(), data)
        data = _IPV6.sub(lambda m: self._ip6_text(m[0]), data)
        data = _IPV4.sub(lambda m: self._ip4_text(m[0]), data)
        data = _MAC.sub(lambda m: self._mac_text(m[0]), data)
        single = {word: made for word, made in self._known.items() if b"." not in word}
        return self._replace_known(data) if single else data

    def handshake(self, data: bytes) -> bytes:
        """A TLS handshake: names that are known, and what certificates say of whom."""
        made = bytearray(self._replace_known(data))
        for match in _GENERAL_NAME.finditer(data):
            start, end = match.end(), match.end() + match[1][0]
            value = data[start:end]
            if len(value) == match[1][0] and _HOST.fullmatch(value):
                made[start:end] = self.name(value.decode("ascii")).encode()
        for match in _ATTRIBUTE.finditer(data):
            start, end = match.end(), match.end() + match[2][0]
            value = data[start:end]
            made[start:end] = self._words(value)
        return bytes(made[: len(data)])

    def _words(self, value: bytes) -> bytes:
        """A part of a distinguished name: a host's, or somebody's."""
        if _HOST.fullmatch(value):
            return self.name(value.decode("ascii")).encode()
        digest = self._digest(b"words", value)
        letters = (digest * (1 + len(value) // len(digest)))[: len(value)]
        return bytes(
            97 + byte % 26 if chr(old).isalnum() or old > 127 else old
            for old, byte in zip(value, letters, strict=True)
        )

    def _replace_known(self, data: bytes) -> bytes:
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda m: self._known[m[0].lower()], data)

    def _ip4_text(self, text: bytes) -> bytes:
        parts = [int(part) for part in text.split(b".")]
        if max(parts) > 255 or b".".join(b"%d" % part for part in parts) != text:
            return text
        return b".".join(b"%d" % part for part in self.address(bytes(parts)))

    def _ip6_text(self, text: bytes) -> bytes:
        try:
            address = ipaddress.IPv6Address(text.decode("ascii"))
        except ValueError:
            return text
        made = self.address(address.packed)
        head, _, tail = text.partition(b"::")
        front = head.split(b":") if head else []
        back = tail.split(b":") if tail else []
        hextets = [int.from_bytes(made[at : at + 2]) for at in range(0, 16, 2)]
        words = [b"%0*x" % (len(old), new) for old, new in zip(front, hextets, strict=False)]
        ends = hextets[8 - len(back) :] if back else []
        others = [b"%0*x" % (len(old), new) for old, new in zip(back, ends, strict=True)]
        double = b"::" if b"::" in text else b""
        return b":".join(words) + double + b":".join(others)

    def _mac_text(self, text: bytes) -> bytes:
        sign = text[2:3]
        made = self.address(bytes.fromhex(text.replace(sign, b"").decode("ascii")))
        return sign.join(b"%02x" % byte for byte in made)

    def dns(self, data: bytes) -> bytes:
        """A DNS message: its names, and the addresses in its answers."""
        made = bytearray(data)
        with contextlib.suppress(IndexError):  # cut off
            self._dns(data, made)
        return bytes(made[: len(data)])

    def _dns(self, data: bytes, made: bytearray) -> None:
        counts = [int.from_bytes(data[at : at + 2]) for at in (4, 6, 8, 10)]
        at = 12
        for _ in range(min(counts[0], 16)):
            at = self._dns_name(data, made, at) + 4
        for _ in range(min(sum(counts[1:]), 256)):
            at = self._dns_name(data, made, at)
            kind = data[at] << 8 | data[at + 1]
            size = data[at + 8] << 8 | data[at + 9]
            start = at + 10
            value = data[start : start + size]
            if kind in (1, 28) and len(value) in (4, 16):
                made[start : start + size] = self.address(value)
            elif kind in (2, 5, 12):  # NS, CNAME, PTR
                self._dns_name(data, made, start)
            at = start + size

    def _dns_name(self, data: bytes, made: bytearray, at: int) -> int:
        """Replace the labels of a name that stand here; returns what is behind it."""
        places: list[tuple[int, int]] = []
        end = -1
        for _ in range(128):
            size = data[at]
            if size >= 0xC0:
                end = at + 2 if end < 0 else end
                at = (size & 0x3F) << 8 | data[at + 1]
                continue
            if not size:
                break
            places.append((at + 1, size))
            at += 1 + size
        end = at + 1 if end < 0 else end
        labels = [data[start : start + size].decode("latin-1") for start, size in places]
        names = self.name(".".join(labels)).split(".") if labels else []
        if len(names) == len(labels):
            for (start, size), label in zip(places, names, strict=True):
                if len(label) == size:
                    made[start : start + size] = label.encode("latin-1")
        return end
