from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.other import LANGUAGES, language, proxy_protocol_length
from capture.protocols.readers import CLIENT, PROXY
from tests.capture.protocols.build import client_hello, record, server_hello
from tests.capture.protocols.streams import pieces

CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
HELLO = record(22, client_hello())
SSL2 = b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"

CLIENTS = [
    (CONNECT, "http"),
    (b"\r\n" + CONNECT, "http"),
    (b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + CONNECT, "http"),
    (b"GET /" + b"x" * 59, "http"),  # a full window of a long request line
    (b"connect a:443 HTTP/1.0\r\n", "http"),
    (b"CONNECT a:443\r\n\r\n", "http"),
    (b"CONNECT a:443 HTTP/2.0\r\n", "http"),
    (CONNECT[:25], "http-part"),
    (b"CONNECT a.exam", "http-part"),
    (b"GET http://a/b", "http-part"),
    (HELLO, "tls"),
    (HELLO[:5], "tls"),
    (record(23, b"x" * 20), "tls"),
    (SSL2, "tls"),
    (b"\x05\x02\x00\x02", "socks5"),
    (b"\x05\x01\x00\x05\x01\x00\x03", "socks5"),
    (b"\x04\x01\x01\xbb\x0a\x00\x00\x01\x00", "socks4"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", "ssh"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2"),
    (b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c", "other"),
    (b"NICK joe\r\nUSER joe\r\n", "other"),
    (b"CONNECT irc.example.net 6667\r\n", "other"),
    (b"OPTIONS sip:a@b SIP/2.0\r\n", "other"),
    (b"OPTIONS sip:a", "other"),
    (b"DESCRIBE rtsp://a/ RTSP/1.0\r\n", "other"),
    (b"EHLO mail.example\r\n", "other"),
    (b"\x00\x00\x00\x00", "other"),
    (b"\x16\x02\x00\x00\x05", "other"),
    (b"\x17\x03\x03\xff\xff", "other"),
    (b"\x80\x2e\x05\x03\x01", "other"),
    (b"\x05\x00", "other"),
    (b"\x04\x09\x01\xbb\x0a\x00\x00\x01\x00", "other"),
]
SERVERS = [
    (b"HTTP/1.1 200 Connection established\r\n\r\n", "http"),
    (b"HTTP/1.0 403 No", "http"),
    (b"ICY 200 OK\r\n", "http"),
    (b"HTTP/1.1 ", "http-part"),
    (b"HTTP/1.1 20", "http-part"),
    (b"HTT", "http-part"),
    (record(22, server_hello()), "tls"),
    (b"\x15\x03\x01\x00\x02\x02\x28", "tls"),
    (b"\x05\xff", "socks5"),
    (b"\x05\x00", "socks5"),
    (b"\x00\x5b\x00\x00\x00\x00\x00\x00", "socks4"),
    (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", "http2"),
    (b"SSH-2.0-x\r\n", "ssh"),
    (b"SIP/2.0 407 Proxy Authentication Required\r\n", "other"),
    (b"RTSP/1.0 200 OK\r\n", "other"),
    (b"220 mail.example ESMTP\r\n", "other"),
    (b"+OK ready\r\n", "other"),
    (b"\x20\x02\x00\x00", "other"),
    (b"HTTP nonsense", "other"),
]


@pytest.mark.parametrize(
    ("sender", "data", "name"),
    [(CLIENT, *case) for case in CLIENTS] + [(PROXY, *case) for case in SERVERS],
)
def test_language(sender: int, data: bytes, name: str) -> None:
    assert language(data, sender) == name
    # More bytes may still decide only what is undecided.
    undecided = name in ("http-part", "other")
    assert language(data, sender, more=True) in ({name, ""} if undecided else {name})


@pytest.mark.parametrize(
    ("sender", "data", "name"),
    [(CLIENT, *case) for case in CLIENTS] + [(PROXY, *case) for case in SERVERS],
)
def test_language_never_changes_its_mind(sender: int, data: bytes, name: str) -> None:
    if name == "http-part":
        return  # the end of the bytes is what makes it so
    named = {language(data[:end], sender, more=True) for end in range(len(data) + 1)}
    assert named <= {"", name}


def test_nothing_was_said() -> None:
    assert language(b"", CLIENT) == language(b"", PROXY, more=True) == ""


@pytest.mark.parametrize(
    ("name", "client", "proxy"),
    [
        ("13a_tls_to_plain_proxy.pcap", "tls", "http"),
        ("13d_socks5_to_http_proxy.pcap", "socks5", ""),
        ("01a_success_302_tls13.pcap", "http", "http"),
        ("01o_success_302_s96.pcap", "http-part", "http"),
    ],
)
def test_real_streams(name: str, client: str, proxy: str) -> None:
    found = pieces(name)
    for sender, expected in ((CLIENT, client), (PROXY, proxy)):
        data = next((piece.data for piece in found if piece.sender == sender), b"")
        assert language(data[:64], sender) == expected


@pytest.mark.parametrize(
    ("data", "length"),
    [(b"PROXY TCP6 ::1 ::2 1 2\r\nGET", 24), (b"PROXY UNKNOWN\r\nGET", 15),
     (b"PROXY http://x/ HTTP/1.1\r\n", 0), (b"PROXY TCP4 10.", 0), (b"", 0),
     (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04abcdGET", 20), (b"\r\n\r\n\x00\r\nQUIT\n", 0)],
)  # fmt: skip
def test_proxy_protocol_length(data: bytes, length: int) -> None:
    assert proxy_protocol_length(data) == length


@given(st.binary(max_size=80), st.integers(0, 1), st.booleans())
def test_any_bytes_have_a_name(data: bytes, sender: int, more: bool) -> None:
    name = language(data, sender, more)
    assert name in LANGUAGES
    assert name or more or not data or proxy_protocol_length(data)
