"""A TLS handshake read again from its packets: what travels in clear, and what keys open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT, PROXY
from capture.packets.index import PacketView
from capture.protocols.tls_offer import ClientOffer, ServerChoice, read_client, read_server
from capture.protocols.tls_sealed import chosen_alpn, plain_chain
from capture.protocols.x509_detail import CertificateDetail, read_chain
from capture.record import record
from capture.stream.assembly import assemble
from capture.stream.handshakes import Handshakes, Message
from capture.stream.items import APPLICATION_DATA, Item, ItemKind
from capture.stream.reading import FetchFrame, StreamReader
from capture.stream.turns import items_in_turn

if TYPE_CHECKING:
    from capture.decrypt.keylog import KeyLog
    from capture.decrypt.session import TlsSession

__all__ = ["ClearAlert", "TlsDetail", "read_tls"]

LIMIT: Final = 1 << 18
"""Bytes of each side that are read: heads of the proxy, and handshakes with long chains."""
LATE: Final = 64
"""Encrypted records of the client after which no ServerHello is waited for any more."""
MAX_HELLOS: Final = 4

_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE = 1, 2, 11
_CERTIFICATE_REQUEST, _SERVER_KEY_EXCHANGE, _TICKET, _ENCRYPTED_EXTENSIONS = 13, 12, 4, 8
_HANDSHAKE, _ALERT, _CHANGE_CIPHER_SPEC = 22, 21, 20
TLS13: Final = 0x0304
_NAMED_CURVE: Final = 3


@record
class ClearAlert:
    """An alert that can be read."""

    sender: int
    level: int
    code: int
    row: int
    """Row of its packet."""
    decrypted: bool = False


@dataclass(slots=True)
class TlsDetail:
    """What a handshake shows to everybody on the path, and to who has its keys. Filled while
    it is read, and not changed afterwards."""

    client: ClientOffer | None = None
    """The (last) ClientHello."""
    client_row: int = -1
    hellos: int = 0
    """ClientHellos sent: two around a HelloRetryRequest."""
    retry: ServerChoice | None = None
    """HelloRetryRequest (RFC 8446 section 4.1.4)."""
    server: ServerChoice | None = None
    server_row: int = -1
    chain: tuple[CertificateDetail, ...] = ()
    """Certificates of the server, as it sent them."""
    chain_row: int = -1
    client_chain: tuple[CertificateDetail, ...] = ()
    certificate_request: bool = False
    exchange_group: int | None = None
    """Named curve of the ServerKeyExchange (RFC 8422 section 5.4), TLS 1.2 and older."""
    ticket: bool = False
    """The server gave a session ticket in clear (TLS 1.2, RFC 5077)."""
    alerts: tuple[ClearAlert, ...] = ()
    early_records: int = 0
    """Encrypted records that the client sent before the server's hello: early data."""
    missing: int = 0
    """Bytes among those that were read which the capture does not hold."""
    alpn: str | None = None
    """Of TLS 1.3's EncryptedExtensions, empty when the server chose none; None: not seen."""
    decrypted: int = 0
    """Records that were opened with a key log."""
    unread: bool = False
    """The stream goes on beyond what was read for this."""
    no_keys: str = ""
    """Why a key log that was given opens nothing here, in words."""

    @property
    def version(self) -> int | None:
        """The version agreed on."""
        return self.server.version if self.server else None

    @property
    def resumed(self) -> bool | None:
        """Whether an earlier session goes on; None where it cannot be told."""
        if self.client is None or self.server is None:
            return None
        if self.server.version >= TLS13:
            return self.server.psk
        if self.chain:
            return False
        same = self.server.session_id and self.server.session_id == self.client.session_id
        return True if same else None


def read_tls(
    view: PacketView,
    rows: NDArray[np.int64],
    fetch: FetchFrame,
    keys: KeyLog | None = None,
) -> TlsDetail:
    """Read the handshake in a flow.

    Args:
        view: The packet index.
        rows: The flow's packets.
        fetch: Fetches frames.
        keys: Opens sealed records; None: none are opened.
    """
    reader = StreamReader(fetch, view, assemble(view, rows))
    session = None
    if keys is not None:
        from capture.decrypt.session import TlsSession  # needs a package that may not be there

        session = TlsSession(keys)
    reading = _Reading(reader, session)
    for side, item in items_in_turn(reader, LIMIT, sealed=session is not None):
        reading.take(side, item)
        if reading.sealed:
            break
    reading.close()
    return reading.detail


class _Reading:
    """Gathers the detail from the records of both sides."""

    def __init__(self, reader: StreamReader, session: TlsSession | None) -> None:
        self._reader = reader
        self._session = session
        self._handshakes = Handshakes(), Handshakes()
        self._sealed_handshakes = Handshakes(), Handshakes()
        self._encrypts = [False, False]
        self._sealed_rows: list[int] = []
        self.detail = TlsDetail()

    @property
    def sealed(self) -> bool:
        """Nothing that can be read is to come from either side."""
        if self._session is not None and self._session.secrets:
            return False
        known = self.detail.server is not None or len(self._sealed_rows) >= LATE
        return known and all(self._encrypts)

    def take(self, side: int, item: Item) -> None:
        """The next item of a side, in the order of the conversation."""
        handshakes = self._handshakes[side]
        if item.kind is ItemKind.GAP:
            self.detail.missing += item.end - item.start
            handshakes.lost()
            self._sealed_handshakes[side].lost()
        if self._opened(side, item) or item.kind is not ItemKind.RECORD:
            return
        if item.type == _HANDSHAKE and item.whole:
            for message in handshakes.feed(item.data, item.start + 5):
                self._message(side, message)
        elif item.type == _ALERT and len(item.data) == 2:
            self._alert(side, item)
        elif item.type == _CHANGE_CIPHER_SPEC:
            handshakes.encrypted = True
            # In TLS 1.3 it says nothing (RFC 8446 appendix D.4): encrypted data follows.
            self._encrypts[side] = self.detail.version not in (None, TLS13)
        elif item.type == APPLICATION_DATA:
            self._encrypts[side] = True
            if side == CLIENT:
                self._sealed_rows.append(self._row(side, item.start))

    def _opened(self, side: int, item: Item) -> bool:
        """Open a sealed record and read what it says; False where that cannot be done."""
        if self._session is None or item.kind not in (ItemKind.RECORD, ItemKind.GAP):
            return False
        if not item.whole or item.kind is ItemKind.GAP:
            self._session.lost(side, item.end - item.start)
            return False
        clear = self._session.take(side, item.type, item.data)
        if clear is None:
            return False
        self.detail.decrypted += 1
        if clear.type == _HANDSHAKE:
            for message in self._sealed_handshakes[side].feed(clear.data, item.start + 5):
                self._message(side, message)
        elif clear.type == _ALERT and len(clear.data) == 2:
            self._alert(side, item._replace(data=clear.data), decrypted=True)
        return True

    def close(self) -> None:
        """Look at what is unfinished, and at what came before the server's hello."""
        self.detail.unread = any(self._reader.total(side) > LIMIT for side in (CLIENT, PROXY))
        if self._session is not None:
            self.detail.no_keys = self._session.reason
        unfinished = self._handshakes[CLIENT].unfinished
        if unfinished[:1] == bytes([_CLIENT_HELLO]) and self.detail.client is None:
            self.detail.client = read_client(unfinished)
        server = self.detail.server_row
        self.detail.early_records = sum(0 <= row < server for row in self._sealed_rows)

    def _row(self, side: int, offset: int) -> int:
        row = self._reader.row_of(side, offset)
        return -1 if row is None else row

    def _message(self, side: int, message: Message) -> None:
        detail, kind = self.detail, message.type
        if not message.data:
            return
        if kind == _CLIENT_HELLO and side == CLIENT and detail.hellos < MAX_HELLOS:
            offer = read_client(message.data)
            if offer is not None:
                detail.client, detail.hellos = offer, detail.hellos + 1
                detail.client_row = self._row(side, message.offset)
        elif kind == _SERVER_HELLO and side == PROXY:
            choice = read_server(message.data)
            if choice is not None and choice.retry:
                detail.retry = choice
            elif choice is not None and detail.server is None:
                detail.server = choice
                detail.server_row = self._row(side, message.offset)
        elif kind == _CERTIFICATE:
            chain = read_chain(plain_chain(message.data))
            if side == CLIENT:
                detail.client_chain = chain
            elif not detail.chain:
                detail.chain, detail.chain_row = chain, self._row(side, message.offset)
        elif kind == _CERTIFICATE_REQUEST:
            detail.certificate_request = True
        elif kind == _SERVER_KEY_EXCHANGE and message.data[4:5] == bytes([_NAMED_CURVE]):
            detail.exchange_group = int.from_bytes(message.data[5:7], "big")
        elif kind == _TICKET:
            detail.ticket = True
        elif kind == _ENCRYPTED_EXTENSIONS and side == PROXY:
            detail.alpn = chosen_alpn(message.data)

    def _alert(self, side: int, item: Item, *, decrypted: bool = False) -> None:
        level, code = item.data
        if level in (1, 2):
            alert = ClearAlert(side, level, code, self._row(side, item.start), decrypted)
            self.detail.alerts = (*self.detail.alerts, alert)[:16]
