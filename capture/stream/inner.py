"""What single packets say inside of TLS, where a key log opens it: requests, replies, alerts."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decrypt.keylog import KeyLog
from capture.decrypt.protection import Clear
from capture.decrypt.session import TlsSession
from capture.facts import CLIENT
from capture.packets.index import PacketView
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.tls_hello import parse_certificates
from capture.protocols.tls_names import alert_name
from capture.protocols.tls_sealed import plain_chain
from capture.report.model import Severity
from capture.stream.assembly import assemble
from capture.stream.handshakes import Handshakes
from capture.stream.items import APPLICATION_DATA, Item, ItemKind, Requests, SideParser
from capture.stream.reading import FetchFrame, StreamReader
from capture.stream.turns import items_in_turn
from capture.timeline.telling import Telling, request_line, status_line

__all__ = ["inner_tellings"]

LIMIT: Final = 1 << 17
"""Bytes of each side that are read: the work of most tunnels, or how it began."""
MAX_TELLINGS: Final = 200
PATIENCE: Final = 16
"""Sealed records after which no keys are waited for any more."""
DECRYPTED: Final = "  (decrypted)"

_ALERT, _HANDSHAKE, _CERTIFICATE = 21, 22, 11
_FATAL: Final = 2
_BAD_STATUS: Final = 400


def inner_tellings(
    view: PacketView, rows: NDArray[np.int64], fetch: FetchFrame, keys: KeyLog
) -> tuple[Telling, ...]:
    """Everything that is said inside of a tunnel's TLS and tells something, in capture order.

    Args:
        view: The packet index.
        rows: The tunnel's packets.
        fetch: Fetches frames.
        keys: Opens sealed records.

    Returns:
        Texts without secrets, each on the packet in which it begins.
    """
    reader = StreamReader(fetch, view, assemble(view, rows))
    told: list[Telling] = []
    for telling in _Listener(reader, view, keys).listen():
        told.append(telling)
        if len(told) == MAX_TELLINGS:
            break
    return tuple(sorted(told, key=lambda item: item.number))


class _Listener:
    """Opens one tunnel and hears what is said."""

    def __init__(self, reader: StreamReader, view: PacketView, keys: KeyLog) -> None:
        self._reader = reader
        self._view = view
        self._session = TlsSession(keys)
        requests = Requests()
        self._parsers = tuple(SideParser(side, requests) for side in (0, 1))
        self._handshakes = Handshakes(), Handshakes()
        self._offsets = [0, 0]
        self._starts: tuple[list[int], list[int]] = ([], [])
        """Offsets inside at which records begin, and (the other) where these lie outside."""
        self._records: tuple[list[int], list[int]] = ([], [])
        self._last = -1

    def listen(self) -> Iterator[Telling]:
        """Tellings in the order of their ends."""
        sealed = 0
        for side, item in items_in_turn(self._reader, LIMIT, sealed=True):
            if item.kind is ItemKind.RECORD and item.whole:
                clear = self._session.take(side, item.type, item.data)
                if clear is not None:
                    yield from self._said(side, item, clear)
                    continue
                sealed += item.type == APPLICATION_DATA
                if sealed > PATIENCE and not self._session.secrets:
                    return
            elif item.kind in (ItemKind.RECORD, ItemKind.GAP):
                self._session.lost(side, item.end - item.start)
                self._handshakes[side].lost()
                list(self._parsers[side].lost())

    def _said(self, side: int, item: Item, clear: Clear) -> Iterator[Telling]:
        if clear.type == APPLICATION_DATA:
            yield from self._data(side, item, clear.data)
        elif clear.type == _HANDSHAKE:
            for message in self._handshakes[side].feed(clear.data, item.start):
                if message.type == _CERTIFICATE and side != CLIENT:
                    chain = parse_certificates(plain_chain(message.data))
                    if chain:
                        text = f"Certificate {chain[0].subject}"
                        yield from self._telling(side, message.offset, "TLS", text)
        elif clear.type == _ALERT and len(clear.data) == 2:
            fatal = clear.data[0] == _FATAL
            text = f"Alert {alert_name(clear.data[1])} ({'fatal' if fatal else 'warning'})"
            grave = Severity.PROBLEM if fatal else None
            yield from self._telling(side, item.start, "TLS", text, grave)

    def _data(self, side: int, item: Item, data: bytes) -> Iterator[Telling]:
        parser, offset = self._parsers[side], self._offsets[side]
        if self._last not in (-1, side):
            list(self._parsers[1 - side].turned())
        self._last = side
        self._starts[side].append(offset)
        self._records[side].append(item.start)
        self._offsets[side] += len(data)
        for inner in parser.feed(data, offset):
            if inner.kind is ItemKind.HEAD and inner.whole:
                yield from self._head(side, inner)

    def _head(self, side: int, head: Item) -> Iterator[Telling]:
        text, grave = "", None
        if side == CLIENT:
            request = parse_request(head.data)
            text = request_line(request) if request is not None else ""
        else:
            response = parse_response(head.data)
            if response is not None:
                text = status_line(response)
                grave = Severity.WARNING if response.status >= _BAD_STATUS else None
        place = bisect_right(self._starts[side], head.start) - 1
        if text and place >= 0:
            yield from self._telling(side, self._records[side][place], "HTTP", text, grave)

    def _telling(
        self, side: int, offset: int, proto: str, text: str, grave: Severity | None = None
    ) -> Iterator[Telling]:
        row = self._reader.row_of(side, offset)
        if row is not None:
            time_ns = int(self._view.rows["time_ns"][row])
            number = self._view.number(row)
            yield Telling(number, time_ns, side, proto, text + DECRYPTED, grave)
