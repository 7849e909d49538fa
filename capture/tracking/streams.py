"""From segments to messages: each side's byte stream in order, fed to the parsers.

A ``Conversation`` takes payload by sequence number, puts it in order, and feeds the
sans-IO readers, which say how many bytes they need not see (``skip``). So the tracker
leaves out, by comparing columns, every segment that ends before ``want``; of a big
download only the segments that hold a record header get here.
"""

from __future__ import annotations

from bisect import insort
from operator import itemgetter
from typing import Final

from capture.facts import CLIENT, PROXY, Mark
from capture.protocols.conversation import HttpConversation, HttpExchange
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.other import language
from capture.protocols.readers import (
    FOREVER,
    AlertSeen,
    CertificateRequestSeen,
    CertificatesSeen,
    Chunk,
    ClientHelloSeen,
    Garbage,
    HttpEvent,
    NotTls,
    RecordHeader,
    ServerHelloSeen,
    TlsEvent,
    TunnelOpen,
)
from capture.protocols.tls import TlsReader

MAX_PENDING: Final = 64
"""Segments held back while one before them is missing."""
MAX_PENDING_BYTES: Final = 256 * 1024
LANGUAGE_BYTES: Final = 2048
"""Bytes after which a stream's language is decided, whole request line or not."""
KEPT_BYTES: Final = 64
KEPT_RECORDS: Final = 16

_NEW, _HTTP, _TLS, _DONE = range(4)

_Segment = tuple[int, int, Mark, bytes]
"""Sequence number, length on the wire, mark, captured bytes."""


class TlsSeen:
    """What the TLS readers reported of one connection."""

    __slots__ = (
        "alerts", "app_from", "certificate_request", "certificates", "first_app", "hello",
        "last", "records", "server",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hello: ClientHelloSeen[Mark] | None = None
        self.server: ServerHelloSeen[Mark] | None = None
        self.certificates: CertificatesSeen[Mark] | None = None
        self.certificate_request = False
        self.alerts: list[tuple[int, AlertSeen[Mark]]] = []
        self.records: tuple[list[RecordHeader[Mark]], list[RecordHeader[Mark]]] = ([], [])
        self.last: list[RecordHeader[Mark] | None] = [None, None]
        self.first_app: list[Mark | None] = [None, None]
        self.app_from = [0, 0]
        """Sequence number of each side's first application-data record."""


class Conversation:
    """Both byte streams of one flow."""

    __slots__ = (
        "_exchanges", "_held", "_mode", "_pending", "_reader", "early", "first_bytes", "http",
        "inner_bytes", "inner_language", "languages", "next", "tls", "tunnel", "tunnel_first",
        "tunnel_from",
    )  # fmt: skip

    def __init__(self) -> None:
        self.next = [1, 1]
        """Sequence number up to which each side's reader has been told everything."""
        self.http: HttpConversation[Mark] | None = None
        self.tls: TlsSeen | None = None
        self.tunnel: TunnelOpen[Mark] | None = None
        self.tunnel_from: list[int | None] = [None, None]
        """Sequence number of each side's first tunnel byte."""
        self.tunnel_first: list[Mark | None] = [None, None]
        self.early: Mark | None = None
        self.languages = ["", ""]
        self.first_bytes = [b"", b""]
        self.inner_language = ["", ""]
        self.inner_bytes = [b"", b""]
        self._mode = [_NEW, _NEW]
        self._reader: list[TlsReader[Mark] | None] = [None, None]
        self._held: list[list[Chunk[Mark]]] = [[], []]
        self._pending: list[list[_Segment] | None] = [None, None]
        self._exchanges: tuple[HttpExchange[Mark], ...] = ()

    @classmethod
    def of_tunnel(cls, asked: bytes, asked_in: Mark, told: bytes, told_in: Mark) -> Conversation:
        """A conversation whose tunnel is open: a CONNECT head and its 2xx head, each whole
        and alone in its segment, at the start of its stream.

        The shape of nearly all tunnels; what ``feed`` would say of it, several times faster.

        Raises:
            ValueError: The heads are not what they were taken for.
        """
        request, response = parse_request(asked), parse_response(told)
        if request is None or response is None or request.method != "CONNECT":
            raise ValueError("no CONNECT with its reply")
        if (request.length, response.length) != (len(asked), len(told)):
            raise ValueError("more than a head in a segment")
        talk = cls()
        exchange: HttpExchange[Mark] = HttpExchange()
        exchange.request, exchange.request_first = request, asked_in
        exchange.response, exchange.response_first = response, told_in
        talk._exchanges = (exchange,)
        talk.tunnel = TunnelOpen(request, response, told_in, told_in, True, None)
        talk.languages = ["http", "http"]
        talk.first_bytes = [asked[:KEPT_BYTES], told[:KEPT_BYTES]]
        talk.next = [1 + len(asked), 1 + len(told)]
        talk.tunnel_from = [1 + len(asked), 1 + len(told)]
        return talk

    @property
    def exchanges(self) -> tuple[HttpExchange[Mark], ...]:
        """Requests with their replies."""
        return self.http.exchanges if self.http is not None else self._exchanges

    # -- in order ---------------------------------------------------------------------

    def feed(self, side: int, seq: int, length: int, data: bytes, mark: Mark) -> None:
        """Take a segment's payload: ``length`` bytes on the wire, ``data`` as captured."""
        want = self.want(side)
        if seq > want:
            self._hold(side, (seq, length, mark, data))
            return
        if seq + length <= want:
            return
        self._take(side, seq, length, data, mark)
        if self._pending[side]:
            self._drain(side)

    def want(self, side: int) -> int:
        """Sequence number of the next byte that the side's reader needs to see."""
        return self.next[side] + self._skip(side)

    @property
    def state(self) -> tuple[object, ...]:
        """What differs after anything was said: how far the sides got, and what they hold back."""
        held = [pending[-1] if pending else None for pending in self._pending]
        return (*self.next, *held, *map(len, (pending or () for pending in self._pending)))

    @property
    def waiting(self) -> bool:
        """Whether segments are held back behind a missing one."""
        return bool(self._pending[0] or self._pending[1])

    def acked(self, side: int, ack: int) -> None:
        """The receiver acknowledged ``side``'s stream up to ``ack``: what is missing below
        was delivered, only not captured, so the reader goes on behind it."""
        while (pending := self._pending[side]) and self.want(side) < ack:
            gap = min(pending[0][0], ack) - self.next[side]
            if gap > 0:
                self._lose(side, gap)
            self._drain(side)
            if self._pending[side] is pending and pending and pending[0][0] >= ack:
                return

    def finish(self, side: int, end: int) -> None:
        """Tell the reader of stream bytes up to ``end`` that it did not need to see."""
        if self._pending[side]:
            return
        told = min(self.want(side), end) - self.next[side]
        if told > 0:
            self._skipped(side, told)

    def _take(self, side: int, seq: int, length: int, data: bytes, mark: Mark) -> None:
        want = self.want(side)
        if want > self.next[side]:
            self._skipped(side, want - self.next[side])
        start = want - seq
        lost = length - max(start, len(data))
        self.next[side] = seq + length
        self._deliver(side, data[start:] if start else data, max(lost, 0), mark)

    def _hold(self, side: int, segment: _Segment) -> None:
        pending = self._pending[side]
        if pending is None:
            pending = self._pending[side] = []
        insort(pending, segment, key=itemgetter(0))
        held = sum(len(item[3]) for item in pending)
        if len(pending) > MAX_PENDING or held > MAX_PENDING_BYTES:
            self._lose(side, max(0, pending[0][0] - self.next[side]))
            self._drain(side)

    def _drain(self, side: int) -> None:
        pending = self._pending[side]
        while pending and pending[0][0] <= (want := self.want(side)):
            seq, length, mark, data = pending.pop(0)
            if seq + length > want:
                self._take(side, seq, length, data, mark)
        if not pending:
            self._pending[side] = None

    # -- handing over -------------------------------------------------------------------

    def border(self, side: int) -> int | None:
        """Place of the side's next record header, once it sends encrypted records only and
        enough of them were looked at; else None."""
        reader = self._reader[side]
        if self._mode[side] != _TLS or reader is None or self._pending[side]:
            return None
        if not reader.encrypted or reader.count < KEPT_RECORDS // 2 or reader.missing is None:
            return None
        return None if 0 < reader.missing < 5 else self.next[side] + reader.missing

    def data_seen(self, side: int) -> bool:
        """Whether the side has sent TLS application data."""
        return self.tls is not None and self.tls.first_app[side] is not None

    def flip(self) -> None:
        """Exchange the two sides (nothing may have been parsed yet)."""
        for pair in (self.next, self.languages, self.first_bytes, self._mode, self._held,
                     self._pending):  # fmt: skip
            pair.reverse()

    def reader(self, side: int) -> TlsReader[Mark] | None:
        """The side's TLS reader, when it speaks TLS."""
        return self._reader[side]

    # -- to the readers ---------------------------------------------------------------

    def _skip(self, side: int) -> int:
        mode = self._mode[side]
        if mode == _TLS:
            reader = self._reader[side]
            return reader.skip if reader else FOREVER
        if mode == _HTTP:
            return self.http.skip(side) if self.http else FOREVER
        return 0 if mode == _NEW else FOREVER

    def _skipped(self, side: int, count: int) -> None:
        self.next[side] += count
        mode, reader = self._mode[side], self._reader[side]
        if mode == _TLS and reader:
            self._tls_events(side, reader.skipped(count))
        elif mode == _HTTP and self.http:
            self._http_events(side, self.http.skipped(side, count))

    def _lose(self, side: int, count: int) -> None:
        self.next[side] += count
        mode, reader = self._mode[side], self._reader[side]
        if mode == _NEW:
            self._decide(side, final=True)
            mode, reader = self._mode[side], self._reader[side]
        if mode == _TLS and reader:
            self._tls_events(side, reader.lost(count))
        elif mode == _HTTP and self.http:
            self._http_events(side, self.http.lost(side, count))

    def _deliver(self, side: int, data: bytes, lost: int, mark: Mark) -> None:
        mode = self._mode[side]
        if mode == _NEW:
            self._held[side].append(Chunk(data, mark, lost))
            self._decide(side, final=lost > 0)
            return
        if mode == _HTTP and self.http:
            self._http_events(side, self.http.feed(side, data, mark))
            if lost:
                if self._mode[side] == _HTTP:
                    self._http_events(side, self.http.lost(side, lost))
                else:
                    self._lose_after(side, lost)
        elif mode == _TLS:
            reader = self._reader[side]
            if reader:
                border = self.next[side] - len(data) - lost + (reader.missing or 0)
                self._tls_events(side, reader.feed(data, mark), border)
                if lost:
                    self._tls_events(side, reader.lost(lost))

    def _lose_after(self, side: int, lost: int) -> None:
        """Bytes lost behind data that switched the protocol."""
        self.next[side] -= lost
        self._lose(side, lost)

    def _decide(self, side: int, final: bool) -> None:
        """Choose the reader by the first bytes of a stream, or of a tunnel."""
        held = self._held[side]
        start = held[0].data if len(held) == 1 else b"".join(chunk.data for chunk in held)
        name = language(start, side, more=not final and len(start) < LANGUAGE_BYTES)
        inner = self.tunnel is not None
        if inner:
            self.inner_language[side], self.inner_bytes[side] = name, start[:KEPT_BYTES]
            if held and self.tunnel_first[side] is None:
                self.tunnel_first[side] = held[0].mark
        else:
            self.languages[side], self.first_bytes[side] = name, start[:KEPT_BYTES]
        if not name and not final:
            return
        self._held[side] = []
        if name == "tls":
            self.tls = self.tls or TlsSeen()
            self._reader[side] = TlsReader(side)
            self._mode[side] = _TLS
        elif name in ("http", "http-part") and not inner:
            self.http = self.http or HttpConversation()
            self._mode[side] = _HTTP
        elif not start and final:
            return  # nothing captured yet: decide with the next bytes
        else:
            self._mode[side] = _DONE
            return
        for chunk in held:
            assert chunk.mark is not None  # made by _deliver
            self._deliver(side, chunk.data, chunk.lost, chunk.mark)

    # -- from the readers -------------------------------------------------------------

    def _http_events(self, side: int, events: list[HttpEvent[Mark]]) -> None:
        for event in events:
            if isinstance(event, TunnelOpen):
                self._open(event)
            elif isinstance(event, Garbage) and not self.languages[event.sender]:
                self.languages[event.sender] = "other"
                self.first_bytes[event.sender] = event.data

    def _open(self, event: TunnelOpen[Mark]) -> None:
        """The tunnel is there: what follows is another protocol's."""
        assert self.http is not None
        self.tunnel, self.early = event, event.early
        self._mode = [_NEW, _NEW]
        for side in (CLIENT, PROXY):
            rest = self.http.leftover(side)
            self.tunnel_from[side] = self.next[side] - sum(len(c.data) + c.lost for c in rest)
            for chunk in rest:
                self._deliver(side, chunk.data, chunk.lost, chunk.mark or event.first)

    def _tls_events(self, side: int, events: list[TlsEvent[Mark]], border: int = 0) -> None:
        """Keep what a TLS reader reports; ``border``: where the first new record began."""
        seen = self.tls
        if seen is None:
            return
        for event in events:
            if isinstance(event, RecordHeader):
                records = seen.records[side]
                if len(records) < KEPT_RECORDS:
                    records.append(event)
                seen.last[side] = event
                if event.type == 23 and seen.first_app[side] is None:
                    seen.first_app[side], seen.app_from[side] = event.mark, border
                border += 5 + event.length
            elif isinstance(event, ClientHelloSeen):
                seen.hello = seen.hello or event
            elif isinstance(event, ServerHelloSeen):
                if seen.server is None or seen.server.hello.retry:
                    seen.server = event
            elif isinstance(event, CertificatesSeen):
                seen.certificates = seen.certificates or event
            elif isinstance(event, CertificateRequestSeen):
                seen.certificate_request = True
            elif isinstance(event, AlertSeen):
                if len(seen.alerts) < KEPT_RECORDS:
                    seen.alerts.append((side, event))
            elif isinstance(event, NotTls):
                self._mode[side] = _DONE
