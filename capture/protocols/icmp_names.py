"""Names of ICMP errors (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1, RFC 4443)."""

from __future__ import annotations

from typing import Final

_NAMES: Final = {
    (4, 3, 0): "network unreachable",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "protocol unreachable",
    (4, 3, 3): "port unreachable",
    (4, 3, 4): "fragmentation needed",
    (4, 3, 9): "network administratively prohibited",
    (4, 3, 10): "host administratively prohibited",
    (4, 3, 13): "communication administratively prohibited",
    (4, 11, 0): "TTL exceeded in transit",
    (4, 11, 1): "reassembly time exceeded",
    (6, 1, 0): "no route to destination",
    (6, 1, 1): "communication administratively prohibited",
    (6, 1, 3): "address unreachable",
    (6, 1, 4): "port unreachable",
    (6, 1, 5): "source address failed policy",
    (6, 2, 0): "packet too big",
    (6, 3, 0): "hop limit exceeded in transit",
}
"""By IP version, type and code."""


def icmp_name(version: int, kind: int, code: int) -> str:
    """``fragmentation needed``; empty when it has no name here.

    Args:
        version: Of IP, 4 or 6.
        kind: The message's type field.
        code: Its code field.
    """
    return _NAMES.get((version, kind, code), "")
