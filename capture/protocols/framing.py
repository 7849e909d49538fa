"""Cuts one direction of an HTTP/1.x connection into heads and bodies.

A state machine after RFC 9112:

    HEAD ──blank line──▶ LENGTH (6.2) ──────────────┐
     ▲ │                 CHUNK_SIZE ⇄ CHUNK_DATA    │ section 6.3 chooses
     │ │                     └──▶ TRAILER ──────────┤ (section 7.1)
     │ └── garbage ──▶ LOST      UNTIL_CLOSE        │
     └──────────────────┴───────────────────────────┘

``LOST`` (bytes are missing, or are no HTTP) waits for a segment that begins like a head.
``HOLD`` is the client's state between a CONNECT and its answer: what comes then belongs to
the tunnel when the answer is a 2xx, and is the next request when it is not. ``DONE`` ends
HTTP: the tunnel is open, or nothing was recognised for too long.

What a head means for the framing is decided by the owner, who sees both directions.
"""

from __future__ import annotations

import re
from typing import Final, Generic, Protocol

from capture.protocols.events import Request, Response
from capture.protocols.exchange import KEPT_BODY, HttpExchange
from capture.protocols.http1 import KNOWN_METHODS, head_end, parse_request, parse_response
from capture.protocols.masking import mask_payload
from capture.protocols.other import proxy_protocol_length
from capture.protocols.readers import CLIENT, FOREVER, BodyEnd, Chunk, Garbage, HttpEvent, M

MAX_HEAD: Final = 128 * 1024
MAX_LINE_CHECKED: Final = 4096
"""Bytes of an unfinished head that are looked at for whether it can be one."""
MAX_CHUNK_LINE: Final = 4096
MAX_TRAILER: Final = 16 * 1024
MAX_HELD: Final = 64 * 1024
"""Bytes kept of what the client sends between CONNECT and its answer."""
MAX_RESYNC: Final = 64
"""Segments without a head after which a direction is given up."""

HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_CLOSE = range(7)
LOST, HOLD, DONE = 7, 8, 9

_CHUNK_LINE: Final = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_REQUEST_PREFIX: Final = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}(?: [^\x00-\x08\x0a-\x1f]*)?\r?"
)
_RESPONSE_PREFIX: Final = re.compile(
    rb"H(?:T(?:T(?:P(?:/(?:[0-9][^\x00-\x08\x0a-\x1f]*)?)?)?)?)?\r?|I(?:C(?:Y(?: .*)?)?)?",
    re.IGNORECASE,
)
_RESPONSE_START: Final = re.compile(rb"HTTP/[0-9]|ICY [0-9]", re.IGNORECASE)
_REQUEST_START: Final = re.compile(rb"(?:%s) \S" % "|".join(sorted(KNOWN_METHODS)).encode())


class Owner(Protocol[M]):
    """Who decides what a head means: sets the framer's state, or calls its methods."""

    opening: bool
    """The tunnel opened just now: the rest of the bytes in hand belongs to it."""

    def requested(self, request: Request, first: M, last: M, events: list[HttpEvent[M]]) -> None:
        """A request head was read."""

    def answered(
        self,
        response: Response,
        first: M,
        last: M,
        events: list[HttpEvent[M]],
        ended: bool = False,
    ) -> None:
        """A response head was read; ``ended``: its sender stopped in the middle of it."""


class Framer(Generic[M]):
    """Cuts one direction into heads and bodies; see the module's theory of operation."""

    __slots__ = (
        "buffer",
        "exchange",
        "first",
        "good_line",
        "held",
        "keep",
        "left",
        "owner",
        "received",
        "sender",
        "start",
        "state",
        "tries",
    )

    def __init__(self, owner: Owner[M], sender: int) -> None:
        self.owner = owner
        self.sender = sender
        self.state = HEAD
        self.start = True
        """Nothing was read yet."""
        self.buffer = bytearray()
        """An unfinished head, chunk line or trailer."""
        self.first: M | None = None
        """Mark of the buffer's first byte."""
        self.good_line = False
        """The first line of the head in the buffer is whole and HTTP."""
        self.left = 0
        """Bytes the body or chunk still lacks."""
        self.received = 0
        self.keep = 0
        """Body bytes still to be kept."""
        self.exchange: HttpExchange[M] | None = None
        """Whose reply body this is."""
        self.held: list[Chunk[M]] = []
        self.tries = 0

    @property
    def skip(self) -> int:
        if self.keep:
            return 0
        if self.state in (LENGTH, CHUNK_DATA):
            return self.left
        return FOREVER if self.state in (UNTIL_CLOSE, DONE) else 0

    # -- input -------------------------------------------------------------------------

    def feed(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> None:
        while data:
            data = _STEPS[self.state](self, data, mark, events)

    def skipped(self, count: int, mark: M | None, events: list[HttpEvent[M]]) -> None:
        """Bytes went by unseen: as many as ``skip`` allowed; any beyond count as lost."""
        if self.state in (LENGTH, CHUNK_DATA):
            taken = min(count, self.left)
            self._take(taken, mark, events)
            if count > taken:
                self.lost(count - taken, mark, events)
        elif self.state == UNTIL_CLOSE:
            self._count(count)
        elif self.state != DONE:
            self.lost(count, mark, events)

    def lost(self, count: int, mark: M | None, events: list[HttpEvent[M]]) -> None:
        if count <= 0:
            return
        if self.state in (LENGTH, CHUNK_DATA, UNTIL_CLOSE, DONE):
            self.keep = 0
            self.skipped(count, mark, events)
        elif self.state == HOLD:
            if self.held:
                self.held[-1] = self.held[-1]._replace(lost=self.held[-1].lost + count)
            else:
                self.held.append(Chunk(b"", mark, count))
        else:
            if self.state == HEAD and self.buffer:
                self._cut_head(mark, events)
            if self.state not in (HOLD, DONE):
                self.resync()

    def closed(self, mark: M | None, events: list[HttpEvent[M]]) -> None:
        """The stream is over: what is unfinished stays so."""
        if self.state == HEAD and self.buffer:
            self._cut_head(mark, events, ended=True)
        elif self.state in (LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER):
            self._end_body(False, mark, events)
        elif self.state == UNTIL_CLOSE:
            self._end_body(None, mark, events)
        if self.state not in (HOLD, DONE):
            self.buffer.clear()
            self.state = DONE

    def resync(self) -> None:
        """Wait for a segment that begins like a head."""
        self.buffer.clear()
        if self.exchange is not None:
            self.exchange.body_complete = None
        self.exchange = None
        self.keep = 0
        self.state = LOST

    # -- heads -------------------------------------------------------------------------

    def _step_head(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        if self.start:
            self.start = False
            if self.sender == CLIENT:
                data = data[proxy_protocol_length(data) :]
        if self.buffer:
            searched = max(0, len(self.buffer) - 3)
            self.buffer += data
            end = head_end(self.buffer, searched)
            if end < 0:
                self._check_unfinished(mark, events)
                return b""
            head, data = bytes(self.buffer[:end]), bytes(self.buffer[end:])
            self.buffer.clear()
        else:
            if data[:1] in (b"\r", b"\n"):  # RFC 9112 section 2.2
                data = data.lstrip(b"\r\n")
                if not data:
                    return data
            self.first = mark
            self.good_line = False
            end = head_end(data)
            if end < 0:
                self.buffer += data
                self._check_unfinished(mark, events)
                return b""
            head, data = data[:end], data[end:]
        first = mark if self.first is None else self.first
        if len(head) <= MAX_HEAD and self._head(head, first, mark, events):
            return data
        self._garbage(head, first, "not http" if len(head) <= MAX_HEAD else _TOO_LONG, events)
        return b""

    def _head(self, head: bytes, first: M, last: M, events: list[HttpEvent[M]]) -> bool:
        """Parse a whole head and choose the framing of what follows; False: no HTTP."""
        if self.sender == CLIENT:
            request = parse_request(head)
            if request is None:
                return False
            self.owner.requested(request, first, last, events)
        else:
            response = parse_response(head)
            if response is None:
                return False
            self.owner.answered(response, first, last, events)
        return True

    def _check_unfinished(self, mark: M, events: list[HttpEvent[M]]) -> None:
        """Give a head up as soon as it cannot become one."""
        first = mark if self.first is None else self.first
        good = self.good_line or self._good_so_far(bytes(self.buffer[:MAX_LINE_CHECKED]))
        if not good:
            self._garbage(bytes(self.buffer[:64]), first, "not http", events)
        elif len(self.buffer) > MAX_HEAD:
            start = bytes(self.buffer[:64])
            self._cut_head(mark, events)
            if self.state != DONE:
                self._garbage(start, first, _TOO_LONG, events)

    def _good_so_far(self, start: bytes) -> bool:
        line, newline, _ = start.partition(b"\n")
        prefix = _REQUEST_PREFIX if self.sender == CLIENT else _RESPONSE_PREFIX
        if prefix.fullmatch(line) is None:
            return False
        if newline:
            parse = parse_request if self.sender == CLIENT else parse_response
            self.good_line = parse(line + b"\n\n") is not None
            return self.good_line
        return True

    def _cut_head(self, mark: M | None, events: list[HttpEvent[M]], ended: bool = False) -> None:
        """Report what an unfinished head proves.

        Args:
            mark: Packet of its last byte, or beyond it.
            events: Where to report to.
            ended: The sender stopped here, rather than the capture.
        """
        head, first = bytes(self.buffer), self.first
        self.buffer.clear()
        last = first if mark is None else mark
        assert first is not None
        assert last is not None
        if self.sender == CLIENT:
            request = parse_request(head, False)
            if request is not None:
                self.owner.requested(request, first, last, events)
        else:
            response = parse_response(head, False)
            if response is not None:
                self.owner.answered(response, first, last, events, ended)

    def _garbage(self, data: bytes, first: M, reason: str, events: list[HttpEvent[M]]) -> None:
        events.append(Garbage(self.sender, mask_payload(data[:64]), first, reason))
        self.resync()

    # -- bodies ------------------------------------------------------------------------

    def begin_body(self, framing: int, length: int, exchange: HttpExchange[M] | None) -> None:
        """What follows is a body: incomplete until its end is seen, where it names one."""
        self.state, self.left, self.received = framing, length, 0
        self.exchange = exchange
        if exchange is not None and framing != UNTIL_CLOSE:
            exchange.body_complete = False
        status = exchange.response.status if exchange and exchange.response else 0
        self.keep = KEPT_BODY if status >= 300 else 0

    def _step_body(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        taken = len(data) if self.state == UNTIL_CLOSE else min(len(data), self.left)
        if self.keep and self.exchange:
            kept = data[: min(taken, self.keep)]
            self.exchange.keep(kept)
            self.keep -= len(kept)
        if self.state == UNTIL_CLOSE:
            self._count(taken)
        else:
            self._take(taken, mark, events)
        return data[taken:]

    def _take(self, count: int, mark: M | None, events: list[HttpEvent[M]]) -> None:
        self.left -= count
        self._count(count)
        if self.left:
            return
        if self.state == CHUNK_DATA:
            self.state = CHUNK_END
        else:
            self._end_body(True, mark, events)

    def _count(self, count: int) -> None:
        self.received += count
        if self.exchange is not None:
            self.exchange.body_received = self.received

    def _end_body(self, complete: bool | None, mark: M | None, events: list[HttpEvent[M]]) -> None:
        if self.exchange is not None:
            self.exchange.body_complete = complete
        events.append(BodyEnd(self.sender, self.received, complete, mark))
        self.exchange = None
        self.keep = 0
        self.state = HEAD

    def _step_line(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        """A line of the chunked coding (RFC 9112 section 7.1)."""
        end = data.find(b"\n") + 1
        self.buffer += data[:end] if end else data
        limit = MAX_TRAILER if self.state == TRAILER else MAX_CHUNK_LINE
        if len(self.buffer) > limit:
            self._garbage(bytes(self.buffer[:64]), mark, "bad chunk", events)
            return b""
        if not end:
            return b""
        line = bytes(self.buffer).rstrip(b"\r\n")
        if self.state == TRAILER:
            # The buffer holds all trailer lines: bounded, and the blank line is the end.
            if head_end(b"\n" + self.buffer, max(0, len(self.buffer) - 3)) >= 0:
                self.buffer.clear()
                self._end_body(True, mark, events)
            return data[end:]
        self.buffer.clear()
        if self.state == CHUNK_END:
            if not line:
                self.state = CHUNK_SIZE
                return data[end:]
        elif match := _CHUNK_LINE.fullmatch(line):
            self.left = int(match[1], 16)
            self.state = CHUNK_DATA if self.left else TRAILER
            return data[end:]
        self._garbage(line, mark, "bad chunk", events)
        return b""

    # -- between -----------------------------------------------------------------------

    def _step_lost(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        start = _REQUEST_START if self.sender == CLIENT else _RESPONSE_START
        if start.match(data):
            self.state = HEAD
            self.tries = 0
            return data
        self.tries += 1
        if self.tries >= MAX_RESYNC:
            self.state = DONE
        return b""

    def _step_hold(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        if data.startswith(b"CONNECT ") and parse_request(data[: max(head_end(data), 0)]):
            # Asked again: the answer to the first was not captured.
            self.held.clear()
            self.state = HEAD
            return data
        room = MAX_HELD - sum(len(chunk.data) for chunk in self.held)
        self.held.append(Chunk(data[:room], mark, max(0, len(data) - room)))
        return b""

    def _step_done(self, data: bytes, mark: M, events: list[HttpEvent[M]]) -> bytes:
        if self.owner.opening:
            self.held.append(Chunk(data, mark))
        return b""

    def release(self, events: list[HttpEvent[M]]) -> None:
        """The CONNECT was refused: what the client sent since is HTTP."""
        held, self.held = self.held, []
        self.state = HEAD
        for chunk in held:
            if chunk.mark is not None:
                self.feed(chunk.data, chunk.mark, events)
            self.lost(chunk.lost, chunk.mark, events)


_TOO_LONG: Final = "head too long"
_STEPS: Final = (
    Framer._step_head,
    Framer._step_body,
    Framer._step_line,
    Framer._step_body,
    Framer._step_line,
    Framer._step_line,
    Framer._step_body,
    Framer._step_lost,
    Framer._step_hold,
    Framer._step_done,
)


def framing_of(head: Request | Response, until_close: bool) -> tuple[int, int]:
    """Framing of a message's body and its length (RFC 9112 section 6.3)."""
    codings = [value for name, value in head.headers if name == "transfer-encoding"]
    if codings:
        last = codings[-1].rpartition(",")[2].strip().lower()
        if last == "chunked":
            return CHUNK_SIZE, 0
        return (UNTIL_CLOSE, 0) if until_close else (LOST, 0)
    lengths = {
        part.strip()
        for name, value in head.headers
        if name == "content-length"
        for part in value.split(",")
    }
    if len(lengths) == 1:
        (text,) = lengths
        if text.isascii() and text.isdigit() and len(text) < 18:
            return (LENGTH, int(text)) if int(text) else (HEAD, 0)
    if until_close:
        return UNTIL_CLOSE, 0
    return (LOST, 0) if lengths else (HEAD, 0)
