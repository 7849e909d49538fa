from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.events import Challenge, Credentials
from capture.protocols.http1 import (
    CACHED_LENGTH,
    MAX_FIELDS,
    head_end,
    parse_request,
    parse_response,
)
from capture.protocols.masking import mask_payload

CONNECT = (
    b"CONNECT tools.cisco.com:443 HTTP/1.1\r\n"
    b"Host: tools.cisco.com:443\r\n"
    b"User-Agent: curl/8.5.0\r\n"
    b"Proxy-Connection: Keep-Alive\r\n\r\n"
)


def test_connect() -> None:
    request = parse_request(CONNECT)
    assert request is not None
    assert (request.method, request.target, request.form) == (
        "CONNECT", "tools.cisco.com:443", "authority",
    )  # fmt: skip
    assert request.authority == "tools.cisco.com:443"
    assert request.version == "HTTP/1.1"
    assert request.header("user-agent") == "curl/8.5.0"
    assert request.credentials is None
    assert request.length == len(CONNECT)
    assert request.complete
    assert request.malformed == ()


@pytest.mark.parametrize(
    ("line", "form", "authority"),
    [
        (b"GET http://a.example/x HTTP/1.1", "absolute", "a.example:80"),
        (b"GET https://a.example/ HTTP/1.1", "absolute", "a.example:443"),
        (b"GET HTTP://a.example HTTP/1.1", "absolute", "a.example:80"),
        (b"GET http://a.example:8080?q HTTP/1.1", "absolute", "a.example:8080"),
        (b"GET http://a.example:/ HTTP/1.1", "absolute", "a.example:80"),
        (b"GET http://[2001:db8::1]/ HTTP/1.1", "absolute", "[2001:db8::1]:80"),
        (b"GET http://[2001:db8::1]:8080/ HTTP/1.1", "absolute", "[2001:db8::1]:8080"),
        (b"GET ftp://a.example/x HTTP/1.0", "absolute", "a.example:21"),
        (b"GET http://joe:pw@a.example/x HTTP/1.1", "absolute", "a.example:80"),
        (b"GET /x HTTP/1.1", "origin", ""),
        (b"OPTIONS * HTTP/1.1", "asterisk", ""),
    ],
)
def test_forms(line: bytes, form: str, authority: str) -> None:
    request = parse_request(line + b"\r\n\r\n")
    assert request is not None
    assert (request.form, request.authority) == (form, authority)


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"CONNECT a.example HTTP/1.1\r\nHost: a.example", "no port"),
        (b"CONNECT a.example: HTTP/1.1\r\nHost: a.example", "no port"),
        (b"CONNECT :443 HTTP/1.1\r\nHost: :443", "no host"),
        (b"CONNECT a.example:99999 HTTP/1.1\r\nHost: a.example", "bad port"),
        (b"CONNECT a.example:https HTTP/1.1\r\nHost: a.example:https", "bad authority"),
        (b"CONNECT https://a.example:443 HTTP/1.1\r\nHost: a.example", "scheme in authority"),
        (b"CONNECT a.example:443/ HTTP/1.1\r\nHost: a.example", "path in authority"),
        (b"CONNECT 2001:db8::1:443 HTTP/1.1\r\nHost: 2001:db8::1:443", "unbracketed IPv6"),
        (b"CONNECT joe:pw@a.example:443 HTTP/1.1\r\nHost: a.example", "userinfo in authority"),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443", "host header differs"),
        (b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:80", "host header differs"),
        (b"GET http://a.example/ HTTP/1.1\r\nHost: b.example", "host header differs"),
        (b"CONNECT a.example:443 HTTP/1.1\r\nX: 1", "no host header"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", "several host headers"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2", "folded header"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nnonsense", "header without colon"),
        (b"GET / HTTP/1.1\r\nHost : a", "bad header name"),
        (b"GET / HTTP/1.1\r\nHost: a\nX: 1", "bare LF"),
        (b"GET  / HTTP/1.1\r\nHost: a", "stray blank in request line"),
        (b"GET /a b HTTP/1.1\r\nHost: a", "stray blank in request line"),
        (b"connect a:443 HTTP/1.1\r\nHost: a", "lower-case method"),
        (b"GET / http/1.1\r\nHost: a", "lower-case version"),
        (b"CONNECT a:443\r\nHost: a", "no version"),
        (b"CONNECT a:443 HTTP/2.0\r\nHost: a", "unknown version"),
    ],
)
def test_oddities_are_named_and_read_all_the_same(head: bytes, word: str) -> None:
    request = parse_request(head + b"\r\n\r\n")
    assert request is not None
    assert request.malformed == (word,)


@pytest.mark.parametrize(
    "host", [b"a.example:443", b"a.example", b"A.EXAMPLE:443", b"a.example.:443", b"a.example:"]
)
def test_a_host_header_that_agrees(host: bytes) -> None:
    head = b"CONNECT a.example:443 HTTP/1.1\r\nHost: %s\r\n\r\n" % host
    request = parse_request(head)
    assert request is not None
    assert request.malformed == ()


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"GET \r\n\r\n", b"GET / FTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", b"DESCRIBE rtsp://h/ RTSP/1.0\r\n\r\n",
        b"NICK joe\r\n\r\n", b"CONNECT irc.example.net 6667\r\n\r\n", b"EHLO mail\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1",
    ],
)  # fmt: skip
def test_no_request(head: bytes) -> None:
    assert parse_request(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"", b"\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n", b"SIP/2.0 407 Proxy\r\n\r\n", b"RTSP/1.0 200 OK\r\n\r\n",
        b"220 mail ESMTP\r\n\r\n", b"\x05\xff", b"HTTP/1.1 200 OK",
    ],
)  # fmt: skip
def test_no_response(head: bytes) -> None:
    assert parse_response(head) is None


@pytest.mark.parametrize(
    ("head", "status", "reason", "version"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", 200, "Connection established", "HTTP/1.1"),
        (b"HTTP/1.0 200\r\n\r\n", 200, "", "HTTP/1.0"),
        (b"HTTP/1.1 407 \r\n\r\n", 407, "", "HTTP/1.1"),
        (b"\r\nHTTP/1.1 503 A  B\n\n", 503, "A  B", "HTTP/1.1"),
        (b"http/1.1 200 ok\r\n\r\n", 200, "ok", "HTTP/1.1"),
        (b"HTTP/2 403 No\r\n\r\n", 403, "No", "HTTP/2"),
        (b"ICY 200 OK\r\n\r\n", 200, "OK", "ICY"),
        (b"HTTP/1.1 403 \x1b[31mNo\xc2\x85\r\n\r\n", 403, "·[31mNo·", "HTTP/1.1"),
        (b"HTTP/1.1 403 f\xc3\xbcr Sie\r\n\r\n", 403, "für Sie", "HTTP/1.1"),
    ],
)  # fmt: skip
def test_status_lines(head: bytes, status: int, reason: str, version: str) -> None:
    response = parse_response(head)
    assert response is not None
    assert (response.status, response.reason, response.version) == (status, reason, version)
    assert response.complete
    assert not response.reason_cut
    assert response.length == len(head)


def test_cut_request_names_its_target_once_the_blank_behind_it_is_there() -> None:
    for end in range(len(CONNECT)):
        request = parse_request(CONNECT[:end], complete=False)
        if end < len(b"CONNECT "):
            assert request is None
            continue
        assert request is not None
        assert not request.complete
        assert request.length == end
        whole = end > len(b"CONNECT tools.cisco.com:443")
        assert request.target == ("tools.cisco.com:443" if whole else "")
        assert "host header differs" not in request.malformed
        assert request.header("user-agent") in (None, "curl/8.5.0")


def test_cut_absolute_target_shows_that_it_is_cut() -> None:
    request = parse_request(b"GET http://joe:pw@a.example/pa", complete=False)
    assert request is not None
    assert request.target == "http://***@a.example/pa…"
    assert request.authority == "a.example:80"
    cut_host = parse_request(b"GET http://a.exam", complete=False)
    assert cut_host is not None
    assert cut_host.authority == ""


def test_cut_request_must_be_http() -> None:
    assert parse_request(b"NICK joe ", complete=False) is None
    assert parse_request(b"CONNECT irc.example.net 6667", complete=False) is None
    assert parse_request(b"GET / HTTP/1.", complete=False) is not None


def test_cut_response_knows_its_status() -> None:
    head = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3082\r\n\r\n"
    for end in range(len(head)):
        response = parse_response(head[:end], complete=False)
        if end < len(b"HTTP/1.1 407"):
            assert response is None
            continue
        assert response is not None
        assert response.status == 407
        assert response.reason_cut == (b"\n" not in head[:end])
        assert head[13:end].startswith(response.reason.encode()[: max(0, end - 13)])
        assert response.header("content-length") in (None, "3082")


def test_secrets_never_leave_the_parser() -> None:
    head = (
        b"GET http://joe:hunter2@a.example/x?password=hunter2 HTTP/1.1\r\n"
        b"Host: joe:hunter2@a.example\r\n"
        b"Proxy-Authorization: Basic am9lOmh1bnRlcjI=\r\n"
        b"Authorization: am9lOmh1bnRlcjI=\r\n"
        b"Cookie: sid=am9lOmh1bnRlcjI=\r\n"
        b"X-Api-Key: hunter2\r\n"
        b"X-Custom-Token : hunter2\r\n"
        b"Referer: http://joe:hunter2@b.example/?sig=hunter2\r\n"
        b"Folded-Secret: a\r\n hunter2\r\n\r\n"
    )
    request = parse_request(head)
    text = repr(request)
    assert request is not None
    assert request.credentials == Credentials("basic")
    assert request.header("proxy-authorization") == "basic ***"
    assert request.header("authorization") == "unknown ***"
    assert request.target == "http://***@a.example/x?password=***"
    assert request.header("host") == "***@a.example"
    assert "hunter2" not in text
    assert "am9l" not in text


def test_secrets_of_a_connect() -> None:
    request = parse_request(b"CONNECT joe:hunter2@a.example:443 HTTP/1.0\r\n\r\n")
    assert request is not None
    assert request.target == request.authority == "***@a.example:443"
    assert "hunter2" not in repr(request)
    cut = parse_request(b"CONNECT joe:hunter2@a.example:443 HT", complete=False)
    assert "hunter2" not in repr(cut)


def test_challenges_come_from_the_field_of_the_status() -> None:
    fields = b'Proxy-Authenticate: Basic realm="p"\r\nWWW-Authenticate: Digest realm="o"\r\n\r\n'
    proxy = parse_response(b"HTTP/1.1 407 x\r\n" + fields)
    origin = parse_response(b"HTTP/1.1 401 x\r\n" + fields)
    other = parse_response(b"HTTP/1.1 403 x\r\n" + fields)
    assert proxy is not None
    assert proxy.challenges == (Challenge("basic", "p"),)
    assert origin is not None
    assert origin.challenges == (Challenge("digest", "o"),)
    assert other is not None
    assert other.challenges == ()


def test_many_and_long_fields_are_bounded() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"y" * 5000) * 300 + b"\r\n"
    assert len(head) > CACHED_LENGTH
    request = parse_request(head)
    assert request is not None
    assert len(request.headers) == MAX_FIELDS
    assert max(len(value) for _, value in request.headers) == 1000
    assert "too many headers" in request.malformed


def test_bytes_behind_the_head_are_left_alone() -> None:
    assert parse_request(CONNECT + b"\x16\x03\x01") == parse_request(CONNECT)


@pytest.mark.parametrize(
    ("data", "end"),
    [(b"a\r\n\r\nb", 5), (b"a\n\nb", 3), (b"a\n\r\nb", 4), (b"a\r\n", -1), (b"", -1),
     (b"a\r\nb\n\nc\r\n\r\n", 6)],
)  # fmt: skip
def test_head_end(data: bytes, end: int) -> None:
    assert head_end(data) == end
    assert head_end(bytearray(data)) == end


@given(st.binary(max_size=300), st.booleans())
def test_garbage_never_raises(data: bytes, complete: bool) -> None:
    for start in (b"", b"CONNECT ", b"GET http://", b"HTTP/1.1 407 ", b"HTTP/1.1 407 x\r\n"):
        for value in (
            parse_request(start + data, complete),
            parse_response(start + data, complete),
        ):
            if value is not None:
                assert all(n.isprintable() and v.isprintable() for n, v in value.headers)


@pytest.mark.parametrize(
    "unit",
    [b" ", b"a ", b"eyJ", b"eyJabcdefgh.", b"http://", b"@", b"&token=", b'"', b",", b"\r\n "],
)
def test_long_repetition_is_read_in_one_pass(unit: bytes) -> None:
    # Patterns that look back over all they have seen would not come to an end here.
    body = unit * (120_000 // len(unit))
    for head in (b"GET " + body, b"GET / HTTP/1.1\r\nX: " + body, b"GET " + body + b" HTTP/1.1"):
        request = parse_request(head + b"\r\n\r\n")
        assert request is None or len(repr(request)) < 300_000
    response = parse_response(b"HTTP/1.1 407 x\r\nProxy-Authenticate: " + body + b"\r\n\r\n")
    assert response is not None
    assert len(mask_payload(b"http://" + body)) == 7 + len(body)


_NAME = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)


@given(
    st.sampled_from(["GET", "POST", "CONNECT", "PATCH"]),
    st.from_regex(r"[a-z0-9.-]{1,20}:[1-9][0-9]{0,3}", fullmatch=True),
    st.lists(st.tuples(st.sampled_from(["x-a", "via", "accept"]), _NAME), max_size=5),
)
def test_round_trip(method: str, target: str, fields: list[tuple[str, str]]) -> None:
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields) + "\r\n"
    request = parse_request(head.encode())
    assert request is not None
    assert (request.method, request.target) == (method, target)
    assert request.headers == tuple(fields)
