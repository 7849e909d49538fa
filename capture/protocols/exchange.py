"""One HTTP request with its reply, as far as the stream has shown them."""

from __future__ import annotations

from typing import Final, Generic

from capture.protocols.events import Request, Response
from capture.protocols.masking import mask_payload
from capture.protocols.readers import M

__all__ = ["KEPT_BODY", "HttpExchange"]

KEPT_BODY: Final = 2048
"""Bytes kept of the body of an error or a redirect: proxies name the cause there."""


class HttpExchange(Generic[M]):
    """One request and its reply, as known so far; grows while the stream goes on."""

    __slots__ = (
        "_body",
        "body_complete",
        "body_expected",
        "body_received",
        "interim",
        "request",
        "request_first",
        "response",
        "response_first",
    )

    def __init__(self) -> None:
        self.request: Request | None = None
        self.request_first: M | None = None
        self.response: Response | None = None
        """The final reply."""
        self.response_first: M | None = None
        self.interim: tuple[int, ...] = ()
        """Statuses of the 1xx replies before it."""
        self.body_expected: int | None = None
        """Content-Length of the reply's body; None for chunked, until-close or unknown."""
        self.body_received = 0
        """Body bytes that went by, captured or not."""
        self.body_complete: bool | None = None
        """False until the announced end is seen; None where that cannot be told (until-close,
        bytes missing)."""
        self._body = bytearray()

    @property
    def body_start(self) -> bytes:
        """First bytes of an error's or redirect's body (at most 2048), content decoded."""
        return _decoded(bytes(self._body), self.response)

    def keep(self, data: bytes) -> None:
        self._body += data


def _decoded(body: bytes, response: Response | None) -> bytes:
    """The start of a body without its content coding, secrets masked."""
    coding = (response.header("content-encoding") or "").lower() if response else ""
    if coding in ("gzip", "x-gzip", "deflate") and body:
        import zlib

        for bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
            try:
                body = zlib.decompressobj(bits).decompress(body, KEPT_BODY)
                break
            except zlib.error:
                continue
    return mask_payload(body[:KEPT_BODY])
