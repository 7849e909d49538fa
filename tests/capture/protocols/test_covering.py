from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.covering import mask_payload

SECRET = b"dXNlcjpodW50ZXIy"
HEAD = (
    b"CONNECT tools.cisco.com:443 HTTP/1.1\r\n"
    b"Host: tools.cisco.com:443\r\n"
    b"Proxy-Authorization: Basic " + SECRET + b"\r\n"
    b"User-Agent: curl/8\r\n\r\n"
)


def test_head_keeps_everything_but_the_secret() -> None:
    assert mask_payload(HEAD) == HEAD.replace(SECRET, b"*" * len(SECRET))


@pytest.mark.parametrize("cut", range(1, len(HEAD)))
def test_secret_split_between_two_segments_is_covered_in_both(cut: int) -> None:
    first, second = HEAD[:cut], HEAD[cut:]
    shown = mask_payload(first) + mask_payload(second, first)
    assert len(shown) == len(HEAD)
    at = HEAD.index(SECRET)
    assert shown[at : at + len(SECRET)] == b"*" * len(SECRET)


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"Cookie: a=1; b=2\r\n", b"Cookie: ********\r\n"),
        (b"x-api-key:abc\r\n", b"x-api-key:***\r\n"),
        (b"Authorization: Bearer abc.def\r\n", b"Authorization: Bearer *******\r\n"),
        (b"AUTHORIZATION:Digest username=\"u\"\r\n", b"AUTHORIZATION:Digest ************\r\n"),
        (b"Cookie: a=1\r\n  b=2\r\nHost: x", b"Cookie: **********\r\nHost: x"),
        (b"GET http://u:pw@host/x HTTP/1.1\r\n", b"GET http://****@host/x HTTP/1.1\r\n"),
        (b"CONNECT u:pw@host:443 HTTP/1.1\r\n", b"CONNECT ****@host:443 HTTP/1.1\r\n"),
        (b"GET /x?token=abc&q=1 HTTP/1.1", b"GET /x?token=***&q=1 HTTP/1.1"),
        (b'{"password": "a\\"b", "n": 1}', b'{"password": "****", "n": 1}'),
        (b"USER joe\r\nPASS hunter2\r\n", b"USER joe\r\nPASS *******\r\n"),
        (b"orization: Basic QQ==\r\n", b"orization: Basic ****\r\n"),
        (b"X: the password is abc, so", b"X: the password is ***, so"),
        (b"X: had passwd: 'abc'", b"X: had passwd: '***'"),
        (b"User-Agent: a --proxy-user joe:pw b", b"User-Agent: a --proxy-user ****** b"),
    ],
)  # fmt: skip
def test_kinds_of_secrets(payload: bytes, shown: bytes) -> None:
    assert mask_payload(payload) == shown


@pytest.mark.parametrize(
    "payload",
    [
        b"HTTP/1.1 407 x\r\nProxy-Authenticate: Basic realm=\"squid\"\r\nVia: 1.1 p\r\n\r\n",
        b"Host: tools.cisco.com:443\r\nUser-Agent: curl\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(payload: bytes) -> None:
    assert mask_payload(payload) == payload


def test_socks_login_is_covered_only_where_socks_is_spoken() -> None:
    login = b"\x01\x03joe\x07hunter2"
    assert mask_payload(login, socks=True) == b"\x01\x03***\x07*******"
    assert mask_payload(login) == login
    assert mask_payload(login + b"x", socks=True) == login + b"x"
    assert mask_payload(b"\x04\x01\0\x50\n\0\0\1joe\0", socks=True) == (
        b"\x04\x01\0\x50\n\0\0\1***\0"
    )


@pytest.mark.parametrize("cut", range(1, 17))
def test_socks_login_behind_its_greeting_may_be_split(cut: int) -> None:
    said = b"\x05\x01\x02\x01\x03joe\x07hunter2"
    shown = mask_payload(said[:cut], socks=True) + mask_payload(said[cut:], said[:cut], socks=True)
    assert shown == b"\x05\x01\x02\x01\x03***\x07*******"


@pytest.mark.parametrize("cut", range(5, 30))
def test_userinfo_is_known_by_what_follows(cut: int) -> None:
    line = b"GET http://joe:hunter2@host/x HTTP/1.1\r\n"
    shown = mask_payload(line[:cut], b"", line[cut:]) + mask_payload(line[cut:], line[:cut])
    assert shown == b"GET http://***********@host/x HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"GET http://joe:hunt", b"GET http://joe:****"),
        (b"CONNECT joe:hunt", b"CONNECT joe:****"),
        (b"GET http://host:8080", b"GET http://host:8080"),
        (b"CONNECT host:44", b"CONNECT host:44"),
        (b"IyeTI=\r\nHost: a\r\n", b"******\r\nHost: a\r\n"),
        (b"HTTP/1.1 200 OK\r\nVia: a\r\n", b"HTTP/1.1 200 OK\r\nVia: a\r\n"),
    ],
)
def test_secrets_that_the_capture_cut(payload: bytes, shown: bytes) -> None:
    assert mask_payload(payload) == shown


@given(st.binary(max_size=400), st.binary(max_size=400), st.binary(max_size=90), st.booleans())
def test_length_never_changes(payload: bytes, before: bytes, after: bytes, socks: bool) -> None:
    assert len(mask_payload(payload, before, after, socks=socks)) == len(payload)


@pytest.mark.parametrize("piece", [b"://a:", b"a ", b"CONNECT a:b\n", b"a\r"])
def test_repetition_takes_one_pass(piece: bytes) -> None:
    data = piece * (400_000 // len(piece)) + b"\n"
    assert len(mask_payload(data)) == len(data)
