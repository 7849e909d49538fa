"""The kinds of values that fields hold, and the literals that each is compared with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final, NamedTuple

from capture.filtering.errors import FilterError, did_you_mean
from capture.filtering.tokens import Token
from capture.protocols.text import printable


class Kind(Enum):
    """What a field holds; decides which comparisons make sense."""

    NUMBER = "a number"
    BOOLEAN = "true or false"
    PRESENCE = "there or not"
    TEXT = "text"
    ADDRESS = "an address"
    ENDPOINT = "an address and port"
    ORDERED = "one of a few words"
    TIME = "a time"


OPERATORS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.NUMBER: frozenset({"==", "!=", "===", "~=", "<", ">", "<=", ">=", "in", "not in"}),
    Kind.BOOLEAN: frozenset({"==", "!=", "===", "~="}),
    Kind.PRESENCE: frozenset(),
    Kind.TEXT: frozenset({"==", "!=", "===", "~=", "<", ">", "<=", ">=", "in", "not in",
                          "contains", "matches"}),
    Kind.ADDRESS: frozenset({"==", "!=", "===", "~=", "in", "not in"}),
    Kind.ENDPOINT: frozenset({"==", "!=", "===", "~=", "in", "not in", "contains", "matches"}),
    Kind.ORDERED: frozenset({"==", "!=", "===", "~=", "<", ">", "<=", ">=", "in", "not in"}),
    Kind.TIME: frozenset({"==", "!=", "===", "~=", "<", ">", "<=", ">="}),
}  # fmt: skip
"""The comparisons that each kind knows."""


class Unit(Enum):
    """What a number counts; which suffixes it may be written with."""

    NONE = ""
    BYTES = "bytes"
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


_NS_OF: Final = {
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "min": 60 * 10**9,
    "h": 3_600 * 10**9,
}  # fmt: skip
_BYTES_OF: Final = {
    "b": 1, "kb": 1_000, "mb": 10**6, "gb": 10**9, "k": 1_000, "m": 10**6, "g": 10**9,
    "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30,
}  # fmt: skip
_BARE_NS: Final = {Unit.SECONDS: 10**9, Unit.MILLISECONDS: 10**6}
_NUMBER: Final = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([a-zµ]*)", re.IGNORECASE)
_HEX: Final = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_TRUTH: Final = {"1": True, "true": True, "0": False, "false": False}


def number(token: Token, unit: Unit, names: Mapping[str, int]) -> int | float:
    """The number that a literal stands for: of times in ns, of sizes in bytes.

    Args:
        token: As written.
        unit: Of the field.
        names: Words that stand for numbers (``unknown_ca``).

    Raises:
        FilterError: It is no number, or has a unit that the field has not.
    """
    text = token.text.strip()
    if text.lower() in names:
        return names[text.lower()]
    if _HEX.fullmatch(text):
        return int(text, 16)
    found = _NUMBER.fullmatch(text)
    if not found:
        near = did_you_mean(text, list(names)) if names else ""
        raise FilterError(f"{printable(text, 40)!r} is not a number{near}", token.start, token.end)
    suffix = found[2].lower()
    factor = 1
    if unit in _BARE_NS:
        factor = _NS_OF.get(suffix, 0) if suffix else _BARE_NS[unit]
    elif unit is Unit.BYTES:
        factor = _BYTES_OF.get(suffix, 0) if suffix else 1
    elif suffix:
        factor = 0
    if not factor:
        known = _NS_OF if unit in _BARE_NS else _BYTES_OF if unit is Unit.BYTES else {}
        hint = f": write one of {', '.join(known)}" if known else ""
        raise FilterError(f"{suffix!r} is no unit here{hint}", token.start, token.end)
    return _exact(found[1], factor, token)


def _exact(digits: str, factor: int, token: Token) -> int | float:
    """A decimal times a factor, without rounding where it is whole."""
    if len(digits) > 40:
        raise FilterError("a number of too many digits", token.start, token.end)
    try:
        value = Decimal(digits) * factor
    except InvalidOperation:
        raise FilterError("not a number", token.start, token.end) from None
    if value == value.to_integral_value():
        # Columns are of 64 bits: beyond them every number is just larger or smaller.
        return max(-(2**63), min(int(value), 2**63 - 1))
    return float(value)


def truth(token: Token) -> bool:
    """True or false, as words or digits."""
    try:
        return _TRUTH[token.text.lower()]
    except KeyError:
        raise FilterError("compare with 1 or 0", token.start, token.end) from None


def instant(token: Token) -> int:
    """A moment in ns since the epoch, from ``2025-03-14 11:30:12.5`` (UTC without a zone).

    Raises:
        FilterError: It is none.
    """
    text = token.text.strip()
    whole, dot, fraction = text.partition(".")
    digits = re.match(r"\d{0,9}", fraction)
    count = digits.end() if digits else 0
    zone = fraction[count:] if dot else ""
    try:
        moment = datetime.fromisoformat(whole + zone)
    except ValueError:
        raise FilterError(
            f'{printable(text, 40)!r} is no time: write "2025-03-14 11:30:12"',
            token.start,
            token.end,
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    nanoseconds = int(fraction[:count].ljust(9, "0")) if count else 0
    return int(moment.timestamp()) * 10**9 + nanoseconds


class Net(NamedTuple):
    """A range of addresses; of a single one, ``first`` and ``last`` are equal."""

    version: int
    first: int
    last: int

    def holds(self, address: tuple[int, int] | None) -> bool:
        """Whether an address, as ``host_number`` gives it, lies in the range."""
        return (
            address is not None
            and address[0] == self.version
            and self.first <= address[1] <= self.last
        )


@lru_cache(maxsize=1 << 16)
def host_number(host: str) -> tuple[int, int] | None:
    """Version and number of an address in text; None for a name."""
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return address.version, int(address)


def net(token: Token) -> Net:
    """An address, or a network in CIDR notation (bits behind the prefix are ignored).

    Raises:
        FilterError: It is neither.
    """
    text = token.text.strip()
    try:
        bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        found = ip_network(bare, strict=False)
    except ValueError:
        shown = printable(text, 60)
        raise FilterError(f"{shown!r} is not an address", token.start, token.end) from None
    return Net(found.version, int(found.network_address), int(found.broadcast_address))


@dataclass(frozen=True, slots=True)
class EndpointTest:
    """Compares ``10.10.10.1:80`` with what people write for it.

    An address or network means the host, with a port both; anything else is the text of
    the host, or of the whole.
    """

    text: str
    net: Net | None
    port: int | None

    @classmethod
    def of(cls, token: Token) -> EndpointTest:
        """What a literal means."""
        text = token.text.strip()
        try:
            return cls(text, net(token), None)
        except FilterError:
            host, port = split_endpoint(text)
        address = host_number(host)
        if address is None or port is None:
            return cls(text, None, None)
        return cls(text, Net(address[0], address[1], address[1]), port)

    def __call__(self, endpoint: str) -> bool:
        host, port = split_endpoint(endpoint)
        if self.net is None:
            return self.text in (endpoint, host)
        return self.port in (None, port) and self.net.holds(host_number(host))


def split_endpoint(text: str) -> tuple[str, int | None]:
    """Host and port of ``10.10.10.1:80`` and ``[fd00::1]:80``; a bare host has no port."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or len(port) > 5 or (":" in host and host[0] != "["):
        return text.strip("[]"), None
    return host.strip("[]"), int(port)


class Remembered:
    """A test of texts that remembers its answers: hosts come again and again."""

    LIMIT: Final = 1 << 17

    def __init__(self, test: Callable[[str], bool]) -> None:
        self._test = test
        self._known: dict[str, bool] = {}

    def __call__(self, text: str) -> bool:
        known = self._known
        answer = known.get(text)
        if answer is None:
            if len(known) >= self.LIMIT:
                known.clear()
            answer = known[text] = self._test(text)
        return answer
