from __future__ import annotations

import pytest

from capture.sources.text.wireshark.info import Head, Icmp, Opaque, Records, Segment, read_info


def test_a_segment() -> None:
    said = read_info(
        "TCP",
        "[TCP Retransmission] 51000 → 3128 [PSH, ACK] Seq=7 Ack=8 Win=64256 Len=9 TSval=1"
        " TSecr=2 SLE=10 SRE=20 SLE=30 SRE=40 [TCP PDU reassembled in 12]",
    )
    assert said == Segment(
        "[tcp retransmission] ", True, "51000", "3128", 24, 7, 8, 64256, 9, stamps=(1, 2),
        sack=((10, 20), (30, 40)),
    )  # fmt: skip
    assert said.again


@pytest.mark.parametrize(
    ("info", "shift"), [("WS=1", 0), ("WS=128", 7), ("WS=16384", 14), ("WS=99999", 14), ("", None)]
)
def test_window_scales(info: str, shift: int | None) -> None:
    said = read_info("TCP", f"1 → 2 [SYN] Seq=0 Win=1 Len=0 {info}")
    assert isinstance(said, Segment)
    assert said.scale == shift


@pytest.mark.parametrize(
    ("info", "line"),
    [
        ("CONNECT a.example:443 HTTP/1.1 ", "CONNECT a.example:443 HTTP/1.1"),
        ("CONNECT a.example:443 HTTP/1.1 , NTLMSSP_NEGOTIATE", "CONNECT a.example:443 HTTP/1.1"),
        ("HTTP/1.1 200 Connection established ", "HTTP/1.1 200 Connection established"),
        ("HTTP/1.1 403 Forbidden  (text/html)", "HTTP/1.1 403 Forbidden"),
        ("HTTP/1.1 403 Forbidden (by policy) ", "HTTP/1.1 403 Forbidden (by policy)"),
        ("HTTP/1.1 407 Authentication Required , NTLMSSP_CHALLENGE (text/html)",
         "HTTP/1.1 407 Authentication Required"),
        ("HTTP/1.1 200 OK  (JPEG JFIF image)", "HTTP/1.1 200 OK  (JPEG JFIF image)"),
        ("HTTP/1.1 502 Bad Gateway[Packet size limited during capture]",
         "HTTP/1.1 502 Bad Gateway"),
        ("[TCP Retransmission] HTTP/1.0 200 OK ", "HTTP/1.0 200 OK"),
    ],
)  # fmt: skip
def test_heads(info: str, line: str) -> None:
    said = read_info("HTTP", info)
    assert isinstance(said, Head)
    assert said.line == line
    assert said.request == line.startswith("CONNECT")


@pytest.mark.parametrize(
    ("info", "messages", "by_client"),
    [
        ("Client Hello (SNI=a.example)", ("Client Hello (SNI=a.example)",), True),
        ("Server Hello, Change Cipher Spec", ("Server Hello", "Change Cipher Spec"), False),
        ("Alert (Level: Fatal, Description: Unknown CA)",
         ("Alert (Level: Fatal, Description: Unknown CA)",), None),
        ("[TCP Spurious Retransmission] , Application Data", ("Application Data",), None),
    ],
)  # fmt: skip
def test_tls(info: str, messages: tuple[str, ...], by_client: bool | None) -> None:
    said = read_info("TLSv1.2", info)
    assert isinstance(said, Records)
    assert (said.messages, said.version, said.by_client) == (messages, 0x0303, by_client)


@pytest.mark.parametrize(
    ("protocol", "info"),
    [("TLSv1.2", "Ignored Unknown Record"), ("SSL", "Continuation Data"), ("TLS", "1.3 (0x0304)"),
     ("DNS", "Standard query 0x1 A proxy.example"), ("HTTP", "Continuation"), ("TCP", "")],
)  # fmt: skip
def test_everything_else(protocol: str, info: str) -> None:
    assert type(read_info(protocol, info)) is Opaque


@pytest.mark.parametrize(
    ("protocol", "info", "error"),
    [
        ("ICMP", "Destination unreachable (Host administratively prohibited)", (3, 10)),
        ("ICMPv6", "Destination Unreachable (Administratively prohibited)", (1, 1)),
        ("ICMPv6", "Packet Too Big", (2, 0)),
        ("ICMPv6", "Time Exceeded (hop limit exceeded in transit)", (3, 0)),
        ("ICMP", "Echo (ping) request  id=0x0001, seq=1/256, ttl=64", None),
    ],
)
def test_icmp(protocol: str, info: str, error: tuple[int, int] | None) -> None:
    said = read_info(protocol, info)
    assert isinstance(said, Icmp)
    assert (said.error and (said.error.type, said.error.code)) == error
