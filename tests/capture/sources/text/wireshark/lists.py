"""Packet lists made by hand."""

from __future__ import annotations

HEAD = b"CONNECT a.example:443 HTTP/1.1\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"

HOSTS = "10.0.0.1", "10.0.0.2"


def ends(way: str) -> tuple[str, str]:
    return HOSTS if way == ">" else HOSTS[::-1]


def rows(*infos: str) -> str:
    """Lines of ``WAY PROTOCOL LENGTH INFO``."""
    made = []
    for i, text in enumerate(infos, 1):
        way, protocol, length, info = text.split(" ", 3)
        src, dst = ends(way)
        made.append(f"{i} {i / 100:.6f} {src} → {dst} {protocol} {length} {info}\n")
    return "".join(made)


SHAKE = (
    "> TCP 66 51000 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
    "< TCP 66 3128 → 51000 [SYN, ACK] Seq=0 Ack=1 Win=65535 Len=0 MSS=1460",
    "> TCP 54 51000 → 3128 [ACK] Seq=1 Ack=1 Win=64256 Len=0",
)
