"""What the stream readers share: how they are driven, and the events they return.

A reader eats the byte stream of a TCP connection in sequence order, without any I/O:

* ``feed`` gives it bytes, with a *mark*: any object for "the packet these bytes came in".
* ``skip`` is the number of following stream bytes it does not need to see (bodies,
  encrypted records). The driver may tell it ``skipped(n)`` instead of feeding them;
  ``FOREVER`` means it wants nothing more.
* ``lost(n)`` tells it of stream bytes that were not captured (snaplen, capture gap).
* ``closed`` tells it that the sender's stream has ended.

All four return events, in stream order. Readers never raise on input, hold a bounded
amount of it, and report each thing once.
"""

from __future__ import annotations

from typing import Final, Generic, NamedTuple, TypeVar

from capture.protocols.events import (
    Certificate,
    ClientHello,
    Request,
    Response,
    ServerHello,
)

CLIENT: Final = 0
"""Sender of bytes towards the proxy; the same number as ``capture.facts.CLIENT``."""
PROXY: Final = 1

FOREVER: Final = 1 << 62
"""Value of ``skip`` for a reader that wants nothing more."""

M = TypeVar("M")
"""Type of the marks."""


class Chunk(NamedTuple, Generic[M]):
    """Stream bytes that one protocol hands over to the next."""

    data: bytes
    mark: M | None
    """None: missing bytes that no packet is known for."""
    lost: int = 0
    """Bytes that went missing right after ``data``."""


class RequestHead(NamedTuple, Generic[M]):
    """A request head, whole or (``request.complete`` false) as far as it was captured."""

    request: Request
    first: M
    last: M


class ResponseHead(NamedTuple, Generic[M]):
    """A response head. Interim ones (1xx) come too; ``response.status`` tells."""

    response: Response
    first: M
    last: M
    request: Request | None
    """What it answers; None when that was not seen."""


class BodyEnd(NamedTuple, Generic[M]):
    """The body of a message is over."""

    sender: int
    received: int
    """Body bytes that went by, framing of chunks not counted."""
    complete: bool | None
    """None: cannot be told."""
    last: M | None


class TunnelOpen(NamedTuple, Generic[M]):
    """A 2xx to CONNECT, or 101: HTTP ends here for both sides.

    What follows is to be fetched from ``HttpConversation.leftover``.
    """

    request: Request | None
    response: Response
    first: M
    last: M
    exact: bool
    """False: the end of the head was not captured, so the tunnel's first bytes are taken to
    start with the next segment."""
    early: M | None
    """Packet with the client's first tunnel byte, when it came before this reply."""


class Garbage(NamedTuple, Generic[M]):
    """Bytes where a head should begin that are no HTTP."""

    sender: int
    data: bytes
    """The first of them, at most 64."""
    first: M
    reason: str
    """``not http``, ``head too long`` or ``bad chunk``."""


HttpEvent = RequestHead[M] | ResponseHead[M] | BodyEnd[M] | TunnelOpen[M] | Garbage[M]


class RecordHeader(NamedTuple, Generic[M]):
    """A TLS record has begun (its five header bytes are there)."""

    type: int
    """Content type, 20-24 (RFC 8446 section 5.1)."""
    length: int
    """Of the record's body."""
    mark: M
    """Packet of the header's first byte."""


class ClientHelloSeen(NamedTuple, Generic[M]):
    """A ClientHello; with ``hello.complete`` false its rest was not captured."""

    hello: ClientHello
    first: M
    last: M
    packets: int
    """Feeds it came in."""


class ServerHelloSeen(NamedTuple, Generic[M]):
    """A ServerHello or HelloRetryRequest."""

    hello: ServerHello
    first: M
    last: M


class CertificatesSeen(NamedTuple, Generic[M]):
    """A Certificate message in clear (TLS 1.2 and older), leaf first."""

    certificates: tuple[Certificate, ...]
    first: M
    last: M


class CertificateRequestSeen(NamedTuple, Generic[M]):
    """The server asks for a client certificate, in clear."""

    first: M


class AlertSeen(NamedTuple, Generic[M]):
    """An alert in clear (RFC 8446 section 6)."""

    level: int
    code: int
    mark: M


class NotTls(NamedTuple, Generic[M]):
    """The stream does not begin with a TLS record."""

    data: bytes
    """Its first bytes, at most 64."""
    mark: M


TlsEvent = (
    RecordHeader[M]
    | ClientHelloSeen[M]
    | ServerHelloSeen[M]
    | CertificatesSeen[M]
    | CertificateRequestSeen[M]
    | AlertSeen[M]
    | NotTls[M]
)
