"""A conversation under test, and messages to feed it."""

from __future__ import annotations

from typing import Any

from capture.protocols.conversation import HttpConversation
from capture.protocols.readers import (
    CLIENT,
    PROXY,
    BodyEnd,
    Garbage,
    RequestHead,
    ResponseHead,
    TunnelOpen,
)

CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
GET = b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"
AUTH = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="p"\r\nContent-Length: 5\r\n\r\nhello'
)
CHUNKED = (
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n6 \r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)


def kinds(events: list[Any]) -> list[str]:
    """Events in short: what happened, with its number."""
    words = []
    for event in events:
        match event:
            case RequestHead():
                words.append(event.request.method)
            case ResponseHead():
                words.append(str(event.response.status))
            case BodyEnd():
                words.append(f"body {event.received} {event.complete}")
            case TunnelOpen():
                words.append("tunnel")
            case Garbage():
                words.append(event.reason)
    return words


class Talk:
    """A conversation fed with bytes; marks count the feeds."""

    def __init__(self, split: int = 0) -> None:
        self.http: HttpConversation[int] = HttpConversation()
        self.events: list[Any] = []
        self.split = split
        self.mark = 0

    def feed(self, sender: int, data: bytes) -> list[str]:
        before = len(self.events)
        size = self.split or max(1, len(data))
        for at in range(0, len(data), size):
            self.mark += 1
            self.events += self.http.feed(sender, data[at : at + size], self.mark)
        return kinds(self.events[before:])

    def client(self, data: bytes) -> list[str]:
        return self.feed(CLIENT, data)

    def proxy(self, data: bytes) -> list[str]:
        return self.feed(PROXY, data)
