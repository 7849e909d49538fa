from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.masking import mask_payload


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (b"Proxy-Authorization: Basic am9lOnB3\r\n", b"Proxy-Authorization: Basic ********\r\n"),
        (b"a: b\nauthorization:am9lOnB3\n\nx", b"a: b\nauthorization:********\n\nx"),
        (b"Cookie: a=b; c=d\r\nHost: x", b"Cookie: ********\r\nHost: x"),
        (b"X-Api-Key:\tk\r\n folded\r\nHost: x", b"X-Api-Key:\t" + b"*" * 10 + b"\r\nHost: x"),
        (b"GET http://joe:pw@a/ HTTP/1.1", b"GET http://******@a/ HTTP/1.1"),
        (b"CONNECT joe:pw@a:443 HTTP/1.1", b"CONNECT ******@a:443 HTTP/1.1"),
        (b"GET /?token=abc&x=1 HTTP/1.1", b"GET /?token=***&x=1 HTTP/1.1"),
        (b"user=joe&password=abc", b"user=joe&password=***"),
        (b"user=joe&amp;pwd=abc</a>", b"user=joe&amp;pwd=***</a>"),
        (b"x: eyJhbGciOiJIUzI1NiJ9.ab.cd", b"x: " + b"*" * 26),
        (b"PASS abc\r\nUSER joe\r\n", b"PASS ***\r\nUSER joe\r\n"),
        (b"AUTH PLAIN abc\r\n", b"AUTH PLAIN ***\r\n"),
        (b"\x01\x03joe\x02pw", b"\x01\x03***\x02**"),
        (b"\x01\x03joe\x02pwmore", b"\x01\x03joe\x02pwmore"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
         b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (b"Proxy-Authenticate: Basic realm=x\r\n", b"Proxy-Authenticate: Basic realm=x\r\n"),
        (b"\x16\x03\x01\x02", b"\x16\x03\x01\x02"),
        (b"", b""),
    ],
)  # fmt: skip
def test_mask_payload(data: bytes, masked: bytes) -> None:
    assert mask_payload(data) == masked


@given(st.binary(max_size=300))
def test_length_is_kept(data: bytes) -> None:
    for start in (b"", b"Cookie: ", b"GET http://a:", b"x?token=", b"\x01"):
        assert len(mask_payload(start + data)) == len(start + data)


@given(st.from_regex(rb"[A-Za-z0-9+/]{12,40}={0,2}", fullmatch=True), st.integers(0, 30))
def test_a_secret_is_gone_wherever_the_piece_is_cut(secret: bytes, cut: int) -> None:
    head = b"CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: Basic " + secret + b"\r\n\r\n"
    end = head.index(secret) + min(cut, len(secret))
    shown = mask_payload(head[:end])
    assert shown == head[: head.index(secret)] + b"*" * min(cut, len(secret))
