"""Follows one direction of a TLS connection (RFC 8446, RFC 5246): records and hellos.

The record layer is followed to the end, by its headers alone; of the bodies only the clear
ones are read: hellos, certificates, alerts. States of the record layer:

    HEADER ──5 bytes──▶ BODY (wanted: read; else ``skip``) ──▶ HEADER …
       └─ bytes lost, or no header ──▶ out of sync, until a segment begins like a record

What is clear: handshake records until this side's ChangeCipherSpec (a hello may follow it
even then: RFC 8446 appendix D.4), and alerts of length 2, which no cipher leaves so short.
"""

from __future__ import annotations

import struct
from typing import Final, Generic

from capture.protocols.events import ClientHello
from capture.protocols.readers import (
    CLIENT,
    FOREVER,
    AlertSeen,
    CertificateRequestSeen,
    CertificatesSeen,
    ClientHelloSeen,
    M,
    NotTls,
    RecordHeader,
    ServerHelloSeen,
    TlsEvent,
)
from capture.protocols.tls_hello import (
    parse_certificates,
    parse_client_hello,
    parse_server_hello,
    parse_ssl2_hello,
)

__all__ = ["MAX_RECORD", "TlsReader", "looks_like_record"]

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = range(20, 25)
_SSL2: Final = 128
"""Stands for the record of an SSL 2 ClientHello, which has no content type."""

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST = 1, 2, 11, 13
_READ: Final = frozenset((CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST))
_MESSAGES: Final = frozenset((0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 25))
"""Handshake types that exist (IANA); anything else is ciphertext or out of step."""

MAX_RECORD: Final = 16384 + 2048
"""Longest body of a record (RFC 5246 section 6.2.3)."""
MAX_MESSAGE: Final = 64 * 1024
"""Longest handshake message that is put together."""
MAX_SKIPPED: Final = 1 << 20
"""A longer message is none: the bytes are ciphertext or out of step."""
MAX_ALERTS: Final = 4
"""Alerts read from one record."""

_HEADER: Final = struct.Struct(">BHH")
_NO, _BODY_ALERT, _BODY_HANDSHAKE, _BODY_AFTER_CCS, _BODY_SSL2 = range(5)
"""What is done with a record's body: skipped, or read as this."""


def looks_like_record(data: bytes, at: int = 0) -> bool:
    """Whether ``data[at:]`` begins like a TLS record of version SSL 3.0 to TLS 1.3."""
    return (
        len(data) >= at + 5
        and 20 <= data[at] <= 24
        and data[at + 1] == 3
        and data[at + 2] <= 4
        and 0 < (data[at + 3] << 8 | data[at + 4]) <= MAX_RECORD
    )


class TlsReader(Generic[M]):
    """One direction of a TLS connection, driven as ``capture.protocols.readers`` tells."""

    __slots__ = (
        "_alert",
        "_body",
        "_ccs",
        "_done",
        "_header",
        "_header_mark",
        "_left",
        "_lost",
        "_message",
        "_message_first",
        "_message_last",
        "_message_packets",
        "_message_skip",
        "count",
        "encrypted",
        "last",
        "sender",
    )

    def __init__(self, sender: int, synced: bool = True) -> None:
        """Start at the stream's first byte; ``synced`` False: somewhere inside of it."""
        self.sender = sender
        self.count = 0
        """Records whose header was seen (or told by ``resync``)."""
        self.last: RecordHeader[M] | None = None
        self.encrypted = False
        """Only encrypted records follow, a clear alert excepted."""
        self._header = b""
        self._header_mark: M | None = None
        self._left = 0
        """Bytes the open record's body still lacks."""
        self._body = _NO
        self._alert = b""
        self._message = bytearray()
        """A handshake message whose end is yet to come."""
        self._message_first: M | None = None
        self._message_last: M | None = None
        self._message_packets = 0
        self._message_skip = 0
        """Bytes to the end of a handshake message that is not read."""
        self._ccs = False
        self._lost = not synced
        self._done = False

    # -- state -------------------------------------------------------------------------

    @property
    def skip(self) -> int:
        """Following bytes that need not be seen."""
        if self._done:
            return FOREVER
        if self._body == _NO:
            return self._left
        if self._body == _BODY_HANDSHAKE:
            return min(self._left, self._message_skip)
        return 0

    @property
    def missing(self) -> int | None:
        """Bytes the open record still lacks (at least; 0 at a border); None out of sync."""
        if self._lost or self._done:
            return None
        return self._left or (5 - len(self._header) if self._header else 0)

    @property
    def partial(self) -> ClientHelloSeen[M] | None:
        """The ClientHello whose end is yet to come, as far as it was seen."""
        if self._message[:1] != b"\x01" or self._message_first is None:
            return None
        hello = parse_client_hello(bytes(self._message), False)
        last = self._message_last if self._message_last is not None else self._message_first
        if hello is None:
            return None
        return ClientHelloSeen(hello, self._message_first, last, self._message_packets)

    # -- input -------------------------------------------------------------------------

    def feed(self, data: bytes, mark: M) -> list[TlsEvent[M]]:
        """The stream's next bytes, from one packet."""
        events: list[TlsEvent[M]] = []
        if self._lost:
            if not looks_like_record(data):
                return events
            self._lost = False
        at, size = 0, len(data)
        while at < size and not self._done and not self._lost:
            if self._left:
                taken = min(self._left, size - at)
                self._left -= taken
                if self._body != _NO:
                    self._read(data[at : at + taken], mark, events)
                at += taken
            elif data[at] == APPLICATION_DATA and not self._header and looks_like_record(data, at):
                at = self._run(data, at, mark, events)
            else:
                at = self._open(data, at, mark, events)
        return events

    def _run(self, data: bytes, at: int, mark: M, events: list[TlsEvent[M]]) -> int:
        """Pass the application data records at ``data[at:]``: most of all bytes, so quickly."""
        size = len(data)
        last = self.last
        while at < size and data[at] == APPLICATION_DATA and looks_like_record(data, at):
            length = data[at + 3] << 8 | data[at + 4]
            last = RecordHeader(APPLICATION_DATA, length, mark)
            events.append(last)
            self.count += 1
            at += 5 + length
        self.last = last
        self.encrypted = True
        self._body = _NO
        self._left = max(0, at - size)
        return min(at, size)

    def skipped(self, count: int, mark: M | None = None) -> list[TlsEvent[M]]:
        """Bytes went by unseen, at most as many as ``skip`` said (others count as lost)."""
        if self._done or self._lost:
            return []
        taken = min(count, self._left)
        if self._body == _NO:
            self._left -= taken
        elif self._body == _BODY_HANDSHAKE and taken <= self._message_skip:
            self._left -= taken
            self._message_skip -= taken
        else:
            return self.lost(count, mark)
        return self.lost(count - taken, mark)

    def lost(self, count: int, mark: M | None = None) -> list[TlsEvent[M]]:
        """The next ``count`` bytes were not captured."""
        events: list[TlsEvent[M]] = []
        if count <= 0 or self._done or self._lost:
            return events
        taken = min(count, self._left)
        self._left -= taken
        if taken and self._body != _NO:
            self._hole(taken, events)
        if count > taken:
            self._give_up_message(events)
            self._left = 0
            self._header = b""
            self._lost = True
        return events

    def closed(self, mark: M | None = None) -> list[TlsEvent[M]]:
        """The stream is over: a hello that began is reported as far as it goes."""
        events: list[TlsEvent[M]] = []
        self._give_up_message(events)
        return events

    def resync(self, records: int = 0) -> None:
        """Go on at a record border that the driver found; ``records`` went by before it."""
        self.count += records
        self._left = self._message_skip = 0
        self._header = self._alert = b""
        self._message.clear()
        self._lost = False

    # -- records -----------------------------------------------------------------------

    def _open(self, data: bytes, at: int, mark: M, events: list[TlsEvent[M]]) -> int:
        """Read a record's header from ``data[at:]``; returns where its body begins."""
        if not self._header:
            self._header_mark = mark
            header = data[at : at + 5]
            end = at + 5
        else:
            end = at + 5 - len(self._header)
            header = self._header + data[at:end]
        if len(header) == 5:
            self._header = b""
            self._begin(header, mark, events)
            return end
        self._header = header
        if not 20 <= header[0] <= 24 and not (header[0] & 0x80 and self._may_be_ssl2()):
            self._refuse(header, mark, events)
        return len(data)

    def _begin(self, header: bytes, mark: M, events: list[TlsEvent[M]]) -> None:
        """A record's five header bytes are there, the last in ``mark``."""
        kind, version, length = _HEADER.unpack(header)
        if not (20 <= kind <= 24 and 0x0300 <= version <= 0x0304 and length <= MAX_RECORD):
            if kind & 0x80 and header[2] == CLIENT_HELLO and self._may_be_ssl2():
                self._begin_ssl2(header, mark)
            else:
                self._refuse(header, mark, events)
            return
        first = mark if self._header_mark is None else self._header_mark
        self.count += 1
        self.last = RecordHeader(kind, length, first)
        events.append(self.last)
        self._left = length
        self._body = _NO
        if kind == APPLICATION_DATA:
            self.encrypted = True
        elif kind == HANDSHAKE and not self.encrypted:
            self._body = _BODY_AFTER_CCS if self._ccs else _BODY_HANDSHAKE
        elif kind == ALERT:
            clear = not (self.encrypted or self._ccs)
            if length == 2 or (clear and length % 2 == 0 and length <= 2 * MAX_ALERTS):
                self._body = _BODY_ALERT
                self._alert = b""
        elif kind == CHANGE_CIPHER_SPEC:
            self._ccs = True

    def _may_be_ssl2(self) -> bool:
        return self.sender == CLIENT and not self.count

    def _begin_ssl2(self, header: bytes, mark: M) -> None:
        """A ClientHello in SSL 2's format: two bytes of length, then the message."""
        length = (header[0] & 0x7F) << 8 | header[1]
        self.count += 1
        self._body = _BODY_SSL2
        self._left = max(0, length - 3)
        self._message_first = mark if self._header_mark is None else self._header_mark
        self._message_last, self._message_packets = mark, 1
        self._message += header[2:]

    def _refuse(self, header: bytes, mark: M, events: list[TlsEvent[M]]) -> None:
        """No record header: not TLS at all, or the borders are lost."""
        self._header = b""
        if self.count:
            self._give_up_message(events)
            self._lost = True
            return
        self._done = True
        events.append(NotTls(header, mark if self._header_mark is None else self._header_mark))

    # -- bodies ------------------------------------------------------------------------

    def _read(self, data: bytes, mark: M, events: list[TlsEvent[M]]) -> None:
        """Bytes of a clear record's body."""
        if self._body == _BODY_ALERT:
            self._alert += data
            if not self._left:
                self._tell_alerts(mark, events)
        elif self._body == _BODY_SSL2:
            self._add(data, mark)
            if not self._left:
                hello = parse_ssl2_hello(bytes(self._message))
                if hello is not None:
                    self._tell_hello(hello, mark, events)
                self._message.clear()
        elif self._body == _BODY_AFTER_CCS and not self._hello_follows(data, mark):
            return
        else:
            self._handshake(data, mark, events)

    def _tell_alerts(self, mark: M, events: list[TlsEvent[M]]) -> None:
        for at in range(0, len(self._alert) - 1, 2):
            level, code = self._alert[at], self._alert[at + 1]
            if level in (1, 2):
                events.append(AlertSeen(level, code, mark))
        self._alert = b""

    def _hello_follows(self, data: bytes, mark: M) -> bool:
        """Whether a handshake record behind this side's ChangeCipherSpec is in clear.

        So it is around a HelloRetryRequest only, and then it is a hello. The bytes seen so
        far gather in the message; it goes on as a handshake record once it is a hello.
        """
        seen = bytes(self._message) + data
        if len(seen) < 6 and self._left:
            self._add(data, mark)
            return False
        length = int.from_bytes(seen[1:4], "big")
        if len(seen) >= 6 and seen[0] in (1, 2) and seen[4] == 3 and 38 <= length <= MAX_MESSAGE:
            self._body = _BODY_HANDSHAKE
            return True
        self.encrypted = True
        self._message.clear()
        self._body = _NO
        return False

    def _handshake(self, data: bytes, mark: M, events: list[TlsEvent[M]]) -> None:
        """Cut handshake messages out of record bodies (RFC 8446 section 5.1)."""
        while data and self._body == _BODY_HANDSHAKE:
            if self._message_skip:
                skipped = min(self._message_skip, len(data))
                self._message_skip -= skipped
                data = data[skipped:]
            elif not self._message and len(data) > 4 and data[0] in _READ:
                size = 4 + int.from_bytes(data[1:4], "big")
                if size <= len(data):  # nearly always
                    self._message_first = self._message_last = mark
                    self._message_packets = 1
                    self._tell_message(data[:size], mark, events)
                    data = data[size:]
                else:
                    data = self._gather(data, mark, events)
            else:
                data = self._gather(data, mark, events)

    def _gather(self, data: bytes, mark: M, events: list[TlsEvent[M]]) -> bytes:
        """Add to the message in hand, first its header; returns what lies behind."""
        missing = self._message_size() - len(self._message)
        self._add(data[:missing], mark)
        if len(self._message) == 4:
            self._choose()
        if len(self._message) >= 4 and len(self._message) == self._message_size():
            message = bytes(self._message)
            self._message.clear()
            self._tell_message(message, mark, events)
        return data[missing:]

    def _message_size(self) -> int:
        """Size of the message in hand, once its header is there; else of the header."""
        message = self._message
        return 4 + int.from_bytes(message[1:4], "big") if len(message) >= 4 else 4

    def _choose(self) -> None:
        """The header of a handshake message is there: is it read, or skipped?"""
        kind, size = self._message[0], self._message_size()
        if kind in _READ and size <= MAX_MESSAGE:
            return
        if kind in _MESSAGES and size <= MAX_SKIPPED:
            self._message_skip = size - 4
        else:  # ciphertext, or out of step: leave this record alone
            self._body = _NO
        self._message.clear()

    def _add(self, data: bytes, mark: M) -> None:
        if not self._message:
            self._message_first, self._message_packets = mark, 1
        elif mark != self._message_last:
            self._message_packets += 1
        self._message_last = mark
        self._message += data

    def _tell_message(self, message: bytes, mark: M, events: list[TlsEvent[M]]) -> None:
        kind = message[0]
        first = mark if self._message_first is None else self._message_first
        if kind == CLIENT_HELLO:
            hello = parse_client_hello(message)
            if hello is not None:
                self._tell_hello(hello, mark, events)
        elif kind == SERVER_HELLO:
            answer = parse_server_hello(message)
            if answer is not None:
                events.append(ServerHelloSeen(answer, first, mark))
        elif kind == CERTIFICATE:
            events.append(CertificatesSeen(parse_certificates(message), first, mark))
        elif kind == CERTIFICATE_REQUEST:
            events.append(CertificateRequestSeen(first))

    def _tell_hello(self, hello: ClientHello, mark: M, events: list[TlsEvent[M]]) -> None:
        first = mark if self._message_first is None else self._message_first
        events.append(ClientHelloSeen(hello, first, mark, self._message_packets))

    # -- holes -------------------------------------------------------------------------

    def _hole(self, count: int, events: list[TlsEvent[M]]) -> None:
        """Bytes of a clear body are missing; the record's own border is known."""
        if self._body == _BODY_HANDSHAKE:
            self._give_up_message(events)
            if count <= self._message_skip:
                self._message_skip -= count
                return
        self._message.clear()
        self._message_skip = 0
        self._alert = b""
        self._body = _NO

    def _give_up_message(self, events: list[TlsEvent[M]]) -> None:
        """Report a hello whose rest is missing; then its rest is skipped."""
        message = bytes(self._message)
        if not message:
            return
        last = self._message_last
        if message[0] == CLIENT_HELLO and (seen := self.partial) is not None:
            events.append(seen)
        elif message[0] == SERVER_HELLO and last is not None:
            answer = parse_server_hello(message)
            if answer is not None:
                first = last if self._message_first is None else self._message_first
                events.append(ServerHelloSeen(answer, first, last))
        self._message_skip = self._message_size() - len(message) if len(message) >= 4 else 0
        self._message.clear()
