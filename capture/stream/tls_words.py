"""A TLS handshake in words, part by part; and plainly what nobody on the path can see."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from capture.facts import SENDERS
from capture.protocols.events import Certificate
from capture.protocols.tls_names import (
    alert_name,
    alert_text,
    chosen_cipher,
    cipher_name,
    version_name,
)
from capture.protocols.tls_offer import ClientOffer, ServerChoice
from capture.protocols.tls_registry import extension_name, group_name, signature_name
from capture.protocols.x509_detail import CertificateDetail, chain_problems
from capture.stream.tls_detail import TlsDetail
from capture.units import octets, plural

__all__ = ["TlsFact", "Tone", "tls_facts"]

TLS13: Final = 0x0304
_OLD: Final = 0x0303
"""Versions below TLS 1.2 are deprecated (RFC 8996)."""
WEAK_RSA: Final = 2048
"""Shorter RSA keys are refused by today's clients (CA/Browser Forum, NIST SP 800-131A)."""
_PSK_MODES: Final = {0: "PSK only", 1: "PSK with (EC)DHE"}
_FATAL: Final = 2


class Tone(StrEnum):
    """How a fact is to be taken."""

    PLAIN = ""
    GOOD = "done"
    WARNING = "warning"
    BAD = "failed"
    UNSEEN = "dim"
    """What the packets cannot show."""


class TlsFact(NamedTuple):
    """One line: what it is, and how it is. Without a value it is a heading."""

    label: str
    value: str = ""
    tone: Tone = Tone.PLAIN
    row: int = -1
    """Row of the packet that shows it."""


def tls_facts(detail: TlsDetail, captured_ns: int) -> tuple[TlsFact, ...]:
    """Everything worth knowing of a handshake, what explains a failure first.

    Args:
        detail: As read from the packets.
        captured_ns: When it was captured; certificates are held against it. 0: not known.
    """
    if detail.client is None and detail.server is None and not detail.alerts:
        return (TlsFact("No TLS handshake was seen in this tunnel.", tone=Tone.UNSEEN),)
    return (
        *_outcome(detail),
        *_alerts(detail),
        *_certificates(detail, captured_ns),
        *_client(detail),
        *_server(detail),
        *_unseen(detail),
    )


def _outcome(detail: TlsDetail) -> Iterator[TlsFact]:
    yield TlsFact("Outcome")
    server = detail.server
    if server is None:
        yield TlsFact("agreed on", "nothing: no ServerHello", Tone.BAD)
    else:
        tone = Tone.GOOD if server.version >= _OLD else Tone.WARNING
        yield TlsFact("version", version_name(server.version), tone, detail.server_row)
        chosen = chosen_cipher(server.hello.cipher) or "not shown"
        yield TlsFact("cipher suite", chosen, row=detail.server_row)
        if (group := server.group or detail.exchange_group) is not None:
            yield TlsFact("key exchange", group_name(group), row=detail.server_row)
        if server.version < TLS13:
            yield TlsFact("ALPN", server.hello.alpn or "none", row=detail.server_row)
        elif detail.alpn is not None:
            yield TlsFact("ALPN", f"{detail.alpn or 'none'} (decrypted)", row=detail.server_row)
    resumed = detail.resumed
    if resumed is not None:
        how = "an earlier session goes on" if resumed else "a new session"
        yield TlsFact("session", how)
    if detail.early_records:
        count = plural(detail.early_records, "record")
        yield TlsFact("early data", f"{count} before the ServerHello")


def _client(detail: TlsDetail) -> Iterator[TlsFact]:
    offer = detail.client
    if offer is None:
        yield TlsFact("ClientHello")
        yield TlsFact("ClientHello", "not seen", Tone.UNSEEN)
        return
    hello, row = offer.hello, detail.client_row
    yield TlsFact("ClientHello")
    size = octets(hello.length)
    if not hello.complete:
        yield TlsFact("size", f"{size}, of which the end is missing", Tone.WARNING, row)
    else:
        again = ", sent twice (HelloRetryRequest)" if detail.hellos > 1 else ""
        yield TlsFact("size", size + again, row=row)
    name = hello.sni or "none: the server cannot tell which certificate is wanted"
    yield TlsFact("SNI", name, Tone.PLAIN if hello.sni else Tone.WARNING, row)
    if hello.ech:
        hint = "offered: the name above may be a public one that hides the real one"
        yield TlsFact("encrypted hello", hint, row=row)
    yield TlsFact("versions", _listed(hello.versions, version_name), row=row)
    yield TlsFact("ALPN", ", ".join(hello.alpn) or "none", row=row)
    yield TlsFact("cipher suites", _listed(hello.ciphers, cipher_name), row=row)
    yield TlsFact("groups", _listed(hello.groups, group_name), row=row)
    yield TlsFact("key shares", _listed(hello.key_shares, group_name), row=row)
    yield TlsFact("signatures", _listed(offer.signatures, signature_name), row=row)
    yield TlsFact("resumption", "; ".join(_resumption(offer)) or "not asked for", row=row)
    yield TlsFact("extensions", _listed(offer.extensions, extension_name), row=row)
    grease = "yes, as browsers do" if offer.grease else "no"
    yield TlsFact("reserved values", grease, row=row)
    if offer.ja4:
        yield TlsFact("JA4", offer.ja4, row=row)
        yield TlsFact("JA3", offer.ja3, row=row)


def _resumption(offer: ClientOffer) -> Iterator[str]:
    """What the client says of earlier sessions."""
    if offer.hello.psk:
        modes = ", ".join(_PSK_MODES.get(mode, str(mode)) for mode in offer.psk_modes)
        yield f"by PSK ({modes})" if modes else "by PSK"
    if offer.ticket:
        yield "by session ticket"
    elif offer.ticket is False:
        yield "asks for a session ticket"
    if offer.early_data:
        yield "early data (0-RTT)"
    if offer.session_id and not offer.hello.psk and TLS13 not in offer.hello.versions:
        yield "by session id"


def _server(detail: TlsDetail) -> Iterator[TlsFact]:
    if detail.retry is not None:
        yield TlsFact("HelloRetryRequest")
        yield from _choice(detail.retry, -1)
    if detail.server is not None:
        yield TlsFact("ServerHello")
        yield from _choice(detail.server, detail.server_row)
        if detail.ticket or detail.server.ticket:
            yield TlsFact("session ticket", "given" if detail.ticket else "announced")
        if detail.certificate_request:
            yield TlsFact("client certificate", "asked for", Tone.WARNING)


def _choice(choice: ServerChoice, row: int) -> Iterator[TlsFact]:
    yield TlsFact("version", version_name(choice.version), row=row)
    yield TlsFact("cipher suite", chosen_cipher(choice.hello.cipher) or "not shown", row=row)
    if choice.group is not None:
        label = "asks for a share of" if choice.retry else "key share"
        yield TlsFact(label, group_name(choice.group), row=row)
    yield TlsFact("extensions", _listed(choice.extensions, extension_name), row=row)


def _certificates(detail: TlsDetail, captured_ns: int) -> Iterator[TlsFact]:
    now = datetime.fromtimestamp(captured_ns / 1e9, UTC) if captured_ns > 0 else None
    for place, item in enumerate(detail.chain, 1):
        yield TlsFact(f"Certificate {place} of {len(detail.chain)}")
        yield from _certificate(item, now, detail.chain_row)
    for problem in chain_problems(detail.chain):
        yield TlsFact("chain", problem, Tone.WARNING, detail.chain_row)
    if detail.client_chain:
        yield TlsFact("Certificate of the client")
        yield from _certificate(detail.client_chain[0], now, -1)


def _certificate(item: CertificateDetail, now: datetime | None, row: int) -> Iterator[TlsFact]:
    certificate = item.certificate
    yield TlsFact("subject", certificate.subject or "none", row=row)
    own = ", which is itself: self-signed" if certificate.self_signed else ""
    tone = Tone.WARNING if certificate.self_signed else Tone.PLAIN
    yield TlsFact("issuer", (certificate.issuer or "none") + own, tone, row)
    if certificate.names:
        yield TlsFact("names", ", ".join(certificate.names), row=row)
    yield _validity(certificate, now, row)
    weak = item.key.startswith("RSA") and 0 < item.key_bits < WEAK_RSA
    yield TlsFact("key", item.key or "unknown", Tone.WARNING if weak else Tone.PLAIN, row)
    old = "SHA-1" in item.signature or "MD5" in item.signature
    tone = Tone.WARNING if old and not certificate.self_signed else Tone.PLAIN
    yield TlsFact("signed with", item.signature or "unknown", tone, row)
    if item.authority is not None:
        yield TlsFact("authority", "yes" if item.authority else "no", row=row)
    yield TlsFact("serial number", item.serial or "unknown", row=row)
    yield TlsFact("SHA-256", item.fingerprint, row=row)


def _validity(certificate: Certificate, now: datetime | None, row: int) -> TlsFact:
    first, last = certificate.not_before, certificate.not_after
    text = f"{_date(first)} to {_date(last)}"
    if now is not None and last is not None and now > last:
        return TlsFact("valid", f"{text}: it had expired", Tone.BAD, row)
    if now is not None and first is not None and now < first:
        return TlsFact("valid", f"{text}: it was not valid yet", Tone.BAD, row)
    return TlsFact("valid", text, row=row)


def _date(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else "?"


def _alerts(detail: TlsDetail) -> Iterator[TlsFact]:
    if not detail.alerts:
        return
    yield TlsFact("Alerts")
    for alert in detail.alerts:
        level = "fatal" if alert.level == _FATAL else "warning"
        meaning = alert_text(alert.code)
        text = f"{alert_name(alert.code)} ({level}) of the {SENDERS[alert.sender]}"
        tone = Tone.BAD if alert.level == _FATAL else Tone.PLAIN
        if alert.decrypted:
            text += " (decrypted)"
        yield TlsFact("alert", f"{text}: {meaning}" if meaning else text, tone, alert.row)


def _unseen(detail: TlsDetail) -> Iterator[TlsFact]:
    """What cannot be known from these packets, and why."""
    told: list[str] = []
    if detail.missing:
        told.append(f"{octets(detail.missing)} of the streams' starts are not in the capture")
    told += _opened(detail) if detail.decrypted else _sealed(detail)
    if detail.client is not None and detail.client.hello.ech:
        told.append("the encrypted ClientHello")
    if told:
        yield TlsFact("Not to be seen")
        for text in told:
            yield TlsFact("", text, Tone.UNSEEN)


def _opened(detail: TlsDetail) -> Iterator[str]:
    """What stays unknown where the key log opens records."""
    if not detail.chain and detail.resumed:
        yield "a resumed session sends no certificate"
    if detail.unread:
        yield "alerts further on than the first 256 kB of the streams: the stream shows them"


def _sealed(detail: TlsDetail) -> Iterator[str]:
    """What encryption hides."""
    server = detail.server
    if server is None:
        return
    if server.version >= TLS13:
        yield "TLS 1.3 encrypts the certificate and the chosen ALPN"
        yield "alerts behind the ServerHello are encrypted"
    elif not detail.chain:
        resumed = detail.resumed is True
        yield (
            "a resumed session sends no certificate"
            if resumed
            else "no certificate was seen behind the ServerHello"
        )
    if server.version < TLS13:
        yield "alerts behind ChangeCipherSpec are encrypted"
    if detail.no_keys:
        yield f"not decrypted: {detail.no_keys}"


def _listed(numbers: Iterable[int], name: Callable[[int], str]) -> str:
    return ", ".join(map(name, numbers)) or "none"
