"""Follows an HTTP/1.x connection of two directions: messages, pairs, the tunnel.

The conversation couples two framers (see ``framing``): a reply is framed by the request it
answers (RFC 9112 section 6.3: HEAD, CONNECT), and a 2xx to CONNECT ends HTTP in both
directions, whatever its header says of a body (RFC 9110 section 9.3.6).
"""

from __future__ import annotations

import re
import weakref
from collections import deque
from typing import Final, Generic

from capture.protocols.events import Request, Response
from capture.protocols.exchange import HttpExchange
from capture.protocols.framing import DONE, HEAD, HOLD, LENGTH, Framer, framing_of
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.readers import (
    CLIENT,
    PROXY,
    Chunk,
    HttpEvent,
    M,
    RequestHead,
    ResponseHead,
    TunnelOpen,
)

__all__ = ["HttpConversation", "HttpExchange"]

MAX_PENDING: Final = 256
"""Requests that wait for a reply; beyond, the oldest are forgotten."""
KEPT_EXCHANGES: Final = 16
"""First exchanges kept of a connection, and as many of the last."""

_TUNNEL_REASON: Final = re.compile(r"connect(ion|ed)|tunnel|established", re.IGNORECASE)
_TUNNELLED: Final = re.compile(rb"[\x14-\x18]\x03[\x00-\x04]|SSH-|PRI \* ")
"""What a tunnel usually begins with."""


class HttpConversation(Generic[M]):
    """An HTTP/1.x connection, fed from both sides in capture order.

    Driven as ``capture.protocols.readers`` tells, with the sender (``CLIENT`` or ``PROXY``)
    as first argument. After ``TunnelOpen`` it wants nothing more: fetch ``leftover`` of
    both senders and give it, and all that follows, to the next protocol.
    """

    __slots__ = ("__weakref__", "_first", "_framers", "_last", "_waiting", "opening", "tunnel")

    def __init__(self) -> None:
        # Not in a circle: it goes with its last user, though the collector works rarely.
        itself = weakref.proxy(self)
        self._framers = (Framer(itself, CLIENT), Framer(itself, PROXY))
        self._first: list[HttpExchange[M]] = []
        self._last: deque[HttpExchange[M]] | None = None
        self._waiting: deque[HttpExchange[M]] = deque(maxlen=MAX_PENDING)
        self.tunnel = False
        """HTTP is over: a tunnel or another protocol has the connection."""
        self.opening = False
        """The tunnel opened in the call that is going on."""

    @property
    def exchanges(self) -> tuple[HttpExchange[M], ...]:
        """Requests with their replies in order: the first 16 and the last 16."""
        return (*self._first, *(self._last or ()))

    def skip(self, sender: int) -> int:
        """Following bytes of a sender that need not be seen."""
        return self._framers[sender].skip

    def feed(self, sender: int, data: bytes, mark: M) -> list[HttpEvent[M]]:
        """The sender's next stream bytes, from one packet."""
        events: list[HttpEvent[M]] = []
        self._framers[sender].feed(data, mark, events)
        self.opening = False
        return events

    def skipped(self, sender: int, count: int, mark: M | None = None) -> list[HttpEvent[M]]:
        """``count`` bytes went by that ``skip`` said need not be seen; last in ``mark``."""
        events: list[HttpEvent[M]] = []
        self._framers[sender].skipped(count, mark, events)
        return events

    def lost(self, sender: int, count: int, mark: M | None = None) -> list[HttpEvent[M]]:
        """The sender's next ``count`` bytes were not captured."""
        events: list[HttpEvent[M]] = []
        self._framers[sender].lost(count, mark, events)
        self.opening = False
        return events

    def closed(self, sender: int, mark: M | None = None) -> list[HttpEvent[M]]:
        """The sender's stream is over (its FIN, or a reset)."""
        events: list[HttpEvent[M]] = []
        self._framers[sender].closed(mark, events)
        return events

    def leftover(self, sender: int) -> list[Chunk[M]]:
        """Bytes that belong to the next protocol; given once."""
        framer = self._framers[sender]
        held, framer.held = framer.held, []
        return held

    def held(self, sender: int) -> list[Chunk[M]]:
        """What came after an unanswered CONNECT, without taking it away.

        In a capture of one direction this is the tunnel, if there is one.
        """
        return list(self._framers[sender].held)

    def partial(self, sender: int) -> Request | Response | None:
        """What the head that is being received shows so far."""
        framer = self._framers[sender]
        if framer.state != HEAD or not framer.buffer:
            return None
        parse = parse_request if sender == CLIENT else parse_response
        return parse(bytes(framer.buffer), False)

    def begun(self) -> tuple[Request, M] | None:
        """A request whose line was received and whose head has not ended, and its packet."""
        framer = self._framers[CLIENT]
        if framer.state != HEAD or not framer.buffer or not framer.good_line:
            return None
        request = parse_request(bytes(framer.buffer), False)
        return (request, framer.first) if request is not None and framer.first else None

    # -- coupling of the framers -------------------------------------------------------

    def requested(self, request: Request, first: M, last: M, events: list[HttpEvent[M]]) -> None:
        """A request head was read."""
        exchange: HttpExchange[M] = HttpExchange()
        exchange.request, exchange.request_first = request, first
        self._add(exchange)
        self._waiting.append(exchange)
        events.append(RequestHead(request, first, last))
        framer = self._framers[CLIENT]
        if request.method == "CONNECT":
            framer.state = HOLD
        elif not request.complete:
            framer.resync()
        else:
            framing, length = framing_of(request, until_close=False)
            if framing == HEAD:
                framer.state = HEAD
            else:
                framer.begin_body(framing, length, None)

    def answered(
        self,
        response: Response,
        first: M,
        last: M,
        events: list[HttpEvent[M]],
        ended: bool = False,
    ) -> None:
        """A response head was read; ``ended``: its sender stopped in the middle of it."""
        final = response.status >= 200 or response.status == 101
        begun = None if self._waiting else self.begun()
        if begun is not None:  # answered before it was whole, or the rest was not captured
            self._framers[CLIENT].buffer.clear()
            self.requested(*begun, begun[1], events)
        exchange = self._exchange(final)
        request = exchange.request
        events.append(ResponseHead(response, first, last, request))
        framer = self._framers[PROXY]
        if not final:
            exchange.interim = (*exchange.interim[:7], response.status)
            if response.complete:
                framer.state = HEAD
            else:
                framer.resync()
            return
        exchange.response, exchange.response_first = response, first
        if ended:
            return
        if self._opens(request, response):
            self._open(request, response, first, last, events)
            return
        bodyless = response.status in (204, 304) or (
            request is not None and request.method == "HEAD"
        )
        framing, length = (HEAD, 0) if bodyless else framing_of(response, until_close=True)
        if framing == LENGTH or (framing == HEAD and not bodyless):
            exchange.body_expected = length
        if not response.complete:
            framer.resync()
        elif framing == HEAD:
            framer.state = HEAD
            exchange.body_complete = True
        else:
            framer.begin_body(framing, length, exchange)
        if request is not None and request.method == "CONNECT":
            self._refused(request, events)

    def _refused(self, request: Request, events: list[HttpEvent[M]]) -> None:
        client = self._framers[CLIENT]
        if client.state == HOLD and not any(
            exchange.request is not None and exchange.request.method == "CONNECT"
            for exchange in self._waiting
        ):
            if not request.complete:
                # The rest of the cut head may be among what is held.
                client.held.insert(0, Chunk(b"", None, 1))
            client.release(events)

    def _opens(self, request: Request | None, response: Response) -> bool:
        if response.status == 101:
            return True
        if not 200 <= response.status < 300:
            return False
        if request is not None:
            return request.method == "CONNECT"
        # No request was captured: a 2xx without a body that says so is a tunnel.
        return (
            not self._first[:-1]
            and response.header("content-length") is None
            and response.header("transfer-encoding") is None
            and _TUNNEL_REASON.search(response.reason) is not None
        )

    def _open(
        self,
        request: Request | None,
        response: Response,
        first: M,
        last: M,
        events: list[HttpEvent[M]],
    ) -> None:
        self.tunnel = self.opening = True
        client = self._framers[CLIENT]
        if request is not None and not request.complete:
            # What came after a cut head may be its rest.
            client.held = [chunk for chunk in client.held if _TUNNELLED.match(chunk.data)]
        early = next((chunk.mark for chunk in client.held if chunk.data or chunk.lost), None)
        for framer in self._framers:
            framer.state = DONE
            framer.buffer.clear()
        events.append(TunnelOpen(request, response, first, last, response.complete, early))

    def _exchange(self, final: bool) -> HttpExchange[M]:
        """The exchange that a reply belongs to."""
        if self._waiting:
            return self._waiting.popleft() if final else self._waiting[0]
        exchange: HttpExchange[M] = HttpExchange()
        self._add(exchange)
        if not final:
            self._waiting.append(exchange)
        return exchange

    def _add(self, exchange: HttpExchange[M]) -> None:
        if len(self._first) < KEPT_EXCHANGES:
            self._first.append(exchange)
            return
        if self._last is None:
            self._last = deque(maxlen=KEPT_EXCHANGES)
        self._last.append(exchange)
