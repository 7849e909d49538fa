"""The TLS parameters of two tunnels, for ``capture.comparing.compare``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from capture.facts import SENDERS, TlsFacts
from capture.protocols.events import Certificate, ClientHello, ServerHello
from capture.protocols.tls_names import alert_name, cipher_name, version_name
from capture.protocols.tls_registry import group_name

__all__ = ["TlsRow", "tls_rows"]

ABSENT: Final = "-"
SHOWN: Final = 4
"""Members of a list that are named where two lists differ."""


class TlsRow(NamedTuple):
    """One parameter of both handshakes."""

    name: str
    left: str
    right: str
    notable: bool
    """Whether a difference can explain that one of them failed."""


def tls_rows(
    left: TlsFacts | None, right: TlsFacts | None
) -> tuple[tuple[TlsRow, ...], tuple[TlsRow, ...]]:
    """What the clients offered, and what the servers made of it."""
    ours, theirs = left or TlsFacts(), right or TlsFacts()
    offered = _offered(ours, theirs) if ours.client_hello or theirs.client_hello else ()
    return tuple(offered), tuple(_chosen(ours, theirs))


def _offered(left: TlsFacts, right: TlsFacts) -> Iterable[TlsRow]:
    ours, theirs = left.client_hello, right.client_hello

    known = ours is not None and theirs is not None

    def both(name: str, text: Callable[[ClientHello], str], notable: bool = True) -> TlsRow:
        values = [text(hello) if hello else ABSENT for hello in (ours, theirs)]
        # That one of them is not there at all is said by the step's own row.
        return TlsRow(name, values[0], values[1], notable and known)

    yield both("SNI", lambda hello: hello.sni or ABSENT)
    yield both("versions", lambda hello: _names(hello.versions, version_name))
    yield both("ALPN", lambda hello: ", ".join(hello.alpn) or ABSENT, notable=False)
    yield both("groups", lambda hello: _names(hello.groups, group_name), notable=False)
    yield both("key shares", lambda hello: _names(hello.key_shares, group_name), notable=False)
    yield both("ciphers", lambda hello: str(len(hello.ciphers)), notable=False)
    if ours and theirs and set(ours.ciphers) != set(theirs.ciphers):
        only = [
            [cipher for cipher in mine.ciphers if cipher not in other.ciphers]
            for mine, other in ((ours, theirs), (theirs, ours))
        ]
        yield TlsRow(
            "ciphers only here", _names(only[0], cipher_name), _names(only[1], cipher_name), True
        )
    yield both("resumes by PSK", lambda hello: "yes" if hello.psk else "no", notable=False)
    yield both("ECH", lambda hello: "yes" if hello.ech else "no")
    yield both("size", lambda hello: f"{hello.length} bytes", notable=False)
    packets = [str(facts.client_hello_packets or ABSENT) for facts in (left, right)]
    yield TlsRow("packets", packets[0], packets[1], notable=known)


def _chosen(left: TlsFacts, right: TlsFacts) -> Iterable[TlsRow]:
    ours, theirs = left.server_hello, right.server_hello

    known = ours is not None and theirs is not None

    def both(name: str, text: Callable[[ServerHello], str], notable: bool = True) -> TlsRow:
        values = [text(hello) if hello else ABSENT for hello in (ours, theirs)]
        return TlsRow(name, values[0], values[1], notable and known)

    if ours or theirs:
        yield both("version", lambda hello: version_name(hello.version))
        yield both("cipher", lambda hello: cipher_name(hello.cipher), notable=False)
        yield both("chosen ALPN", lambda hello: hello.alpn or ABSENT, notable=False)
    if left.certificates or right.certificates:
        chains = [facts.certificates for facts in (left, right)]
        for name, text in _CERTIFICATE:
            values = [text(chain[0]) if chain else ABSENT for chain in chains]
            yield TlsRow(name, values[0], values[1], notable=all(chains))
        lengths = [str(len(chain)) for chain in chains]
        yield TlsRow("certificates", lengths[0], lengths[1], notable=all(chains))
    requests = ["yes" if facts.certificate_request else "no" for facts in (left, right)]
    if "yes" in requests:
        yield TlsRow("asks for a client certificate", requests[0], requests[1], notable=True)
    alerts = [_alerts(facts) for facts in (left, right)]
    if alerts != [ABSENT, ABSENT]:
        yield TlsRow("alerts", alerts[0], alerts[1], notable=True)


def _alerts(facts: TlsFacts) -> str:
    said = (f"{alert_name(item.code)} of the {SENDERS[item.sender]}" for item in facts.alerts)
    return ", ".join(said) or ABSENT


def _names(numbers: Iterable[int], name: Callable[[int], str]) -> str:
    """The first members of a list by name, and how many more there are."""
    known = [name(number) for number in numbers]
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return ", ".join(known[:SHOWN]) + more or ABSENT


def _date(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else ABSENT


_CERTIFICATE: Final[tuple[tuple[str, Callable[[Certificate], str]], ...]] = (
    ("certificate", lambda item: item.subject or ABSENT),
    ("issuer", lambda item: item.issuer or ABSENT),
    ("valid until", lambda item: _date(item.not_after)),
)
