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
        (b"AUTH LOGIN\r\nam9l\r\ncHc=\r\nx", b"AUTH LOGIN\r\n**********\r\nx"),
        (b"a1 LOGIN joe pw\r\n", b"a1 LOGIN joe **\r\n"),
        (b'{"n": 1, "password":"a\\"b"}', b'{"n": 1, "password":"****"}'),
        (b"Proxy-Authenticate: NTLM TlRMTVNTUAACA==", b"Proxy-Authenticate: NTLM ***************"),
        (b"http://joe@corp:pw@a/x", b"http://***********@a/x"),
        (b"http://a/?mail=joe@corp", b"http://a/?mail=joe@corp"),
        (b"/?u=http%3A%2F%2Fjoe%3Apw%40a", b"/?u=http%3A%2F%2F********%40a"),
        (b"/?pass%77ord=abc", b"/?pass%77ord=***"),
        (b"Via: 1.1 joe:pw@proxy", b"Via: 1.1 ******@proxy"),
        (b"<b>Authorization: Basic abcd</b>", b"<b>Authorization: Basic ********"),
        (b"\x01\x03joe\x02pw", b"\x01\x03***\x02**"),
        (b"\x01\x03joe\x02pwmore", b"\x01\x03joe\x02pwmore"),
        (b"\x04\x01\x01\xbb\x0a\0\0\1joe\0", b"\x04\x01\x01\xbb\x0a\0\0\1***\0"),
        (b"\x04\x02\x01\xbb\0\0\0\1joe", b"\x04\x02\x01\xbb\0\0\0\1***"),
        (b"curl -u joe:pw -x p", b"curl -u ****** -x p"),
        (b"curl --proxy-user 'joe:p w' x", b"curl --proxy-user ********' x"),
        (b"curl --user=joe:pw", b"curl --user=******"),
        (b"date -u 10:30", b"date -u *****"),
        (b"top-u a:b", b"top-u a:b"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
         b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        (b"Proxy-Authenticate: Basic realm=x\r\n", b"Proxy-Authenticate: Basic realm=x\r\n"),
        (b"\x16\x03\x01\x02", b"\x16\x03\x01\x02"),
        (b"", b""),
    ],
)  # fmt: skip
def test_mask_payload(data: bytes, masked: bytes) -> None:
    assert mask_payload(data) == masked


@pytest.mark.parametrize(
    "piece", [b"a://", b"eyJ", b"a:b@", b"a=", b"%3a%2f%2fa", b'"a":"', b"A: b "]
)
def test_repetition_takes_one_pass(piece: bytes) -> None:
    """A pattern that went over it again and again would not come back from this."""
    data = piece * (1_500_000 // len(piece))
    assert len(mask_payload(data)) == len(data)


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
