"""What stands behind the proxy in the lab, and proxies that answer as they are told.

``python -m tools.servers DIRECTORY`` runs all origins at once (certificates in DIRECTORY);
``python -m tools.servers --reply FILE PORT`` is a proxy that answers every CONNECT with the
bytes of FILE; ``python -m tools.servers --dns`` knows no name at all.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

Handler = Callable[[socket.socket], None]

ORIGINS = {
    "tools.cisco.com": "72.163.4.161",
    "www.example.com": "198.51.100.10",
    "expired.example.com": "198.51.100.11",
    "reputation.example.net": "198.51.100.12",
    "modern.example.com": "198.51.100.13",
    "silent.example.com": "198.51.100.14",
    "closing.example.com": "198.51.100.15",
    "dead.example.com": "198.51.100.16",
    "updates.example.com": "198.51.100.17",
    "blocked.example.com": "198.51.100.18",
}


def _read_head(stream: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        data = stream.recv(65536)
        if not data:
            break
        head += data
    return head


def web(stream: socket.socket) -> None:
    """HTTP/1.1, one request a connection: /bytes/N, /pause/N, /die/N, uploads, else 302 or 404."""
    head = _read_head(stream)
    method, path = (*head.split(b" ", 2), b"", b"")[:2]
    if method in (b"POST", b"PUT"):
        length = int(re.search(rb"(?i)content-length: (\d+)", head + b"Content-Length: 0")[1])  # type: ignore[index]
        got = len(head.partition(b"\r\n\r\n")[2])
        while got < length:
            data = stream.recv(65536)
            if not data:
                return
            got += len(data)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif match := re.fullmatch(rb"/(bytes|pause|die)/(\d+)", path):
        size = int(match[2])
        promised = size if match[1] == b"bytes" else 4_000_000
        stream.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % promised
        )
        stream.sendall(bytes(size))
        if match[1] == b"pause":
            time.sleep(120)
        if match[1] == b"die":
            # A FIN with neither close_notify nor the rest of the body.
            raw = socket.socket(fileno=stream.detach())
            time.sleep(0.3)
            raw.close()
    elif path == b"/missing":
        body = b"<html><body><h1>404 Not Found</h1></body></html>\n"
        stream.sendall(
            b"HTTP/1.1 404 Not Found\r\nServer: origin\r\nContent-Type: text/html\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        )
    elif path == b"/hello":
        stream.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
            b"Connection: close\r\n\r\nhello\n"
        )
    else:
        stream.sendall(
            b"HTTP/1.1 302 Found\r\nLocation: https://www.example.com/\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )


def silent(stream: socket.socket) -> None:
    """Take everything, say nothing."""
    while stream.recv(65536):
        pass


def closing(stream: socket.socket) -> None:
    """Hang up at once."""


def tls(certificate: Path, inner: Handler, **limits: ssl.TLSVersion) -> Handler:
    """Wrap a handler in TLS, with ``certificate`` (PEM: key and chain) and version limits."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for name, version in limits.items():
        setattr(context, name, version)

    def handle(stream: socket.socket) -> None:
        with context.wrap_socket(stream, server_side=True) as wrapped:
            inner(wrapped)
            if wrapped.fileno() >= 0:
                with contextlib.suppress(OSError):
                    wrapped.unwrap()

    return handle


def reply(answer: bytes) -> Handler:
    """A proxy that answers any request head with ``answer``."""

    def handle(stream: socket.socket) -> None:
        if _read_head(stream):
            stream.sendall(answer)

    return handle


def serve(address: tuple[str, int], handler: Handler) -> None:
    """Serve for ever in threads of their own."""
    listener = socket.create_server(address, backlog=64)

    def one(stream: socket.socket) -> None:
        with stream, contextlib.suppress(OSError):
            handler(stream)

    def run() -> None:
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def dns() -> None:
    """Answer NXDOMAIN to every query on 127.0.0.1:53."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 53))
        while True:
            query, sender = endpoint.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            header = query[:2] + struct.pack(">HHHHH", 0x8183, 1, 0, 0, 0)
            endpoint.sendto(header + query[12:end], sender)


def main(arguments: list[str]) -> None:
    """Run what the arguments name."""
    if arguments[0] == "--dns":
        dns()
    if arguments[0] == "--reply":
        serve(("0.0.0.0", int(arguments[2])), reply(Path(arguments[1]).read_bytes()))
    else:
        keys = Path(arguments[0])
        old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
        handlers = {
            "tools.cisco.com": tls(keys / "good.pem", web),
            "www.example.com": tls(keys / "large.pem", web, maximum_version=old),
            "updates.example.com": tls(keys / "good.pem", web),
            "expired.example.com": tls(keys / "expired.pem", web),
            "reputation.example.net": tls(keys / "private.pem", web, maximum_version=old),
            "modern.example.com": tls(keys / "good.pem", web, minimum_version=new),
            "silent.example.com": silent,
            "closing.example.com": closing,
        }
        for name, handler in handlers.items():
            serve((ORIGINS[name], 443), handler)
        serve((ORIGINS["www.example.com"], 80), web)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
