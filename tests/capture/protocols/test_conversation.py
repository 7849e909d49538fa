from __future__ import annotations

import gc
import gzip
import weakref
import zlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.conversation import KEPT_EXCHANGES, HttpConversation
from capture.protocols.readers import (
    CLIENT,
    FOREVER,
    PROXY,
    Chunk,
    RequestHead,
    ResponseHead,
    TunnelOpen,
)
from tests.capture.protocols.streams import pieces
from tests.capture.protocols.talk import AUTH, CHUNKED, CONNECT, GET, OK, Talk, kinds

SPLITS = pytest.mark.parametrize("split", [0, 1, 2, 3, 7])


@SPLITS
def test_tunnel(split: int) -> None:
    talk = Talk(split)
    assert talk.client(CONNECT) == ["CONNECT"]
    assert talk.proxy(OK) == ["200", "tunnel"]
    opened = talk.events[-1]
    assert opened.exact
    assert opened.early is None
    assert talk.http.tunnel
    assert talk.http.skip(CLIENT) == talk.http.skip(PROXY) == FOREVER
    assert talk.http.leftover(CLIENT) == talk.http.leftover(PROXY) == []
    (exchange,) = talk.http.exchanges
    assert exchange.request is opened.request
    assert exchange.response is opened.response


def test_a_request_that_was_begun_is_known_by_its_line() -> None:
    http: HttpConversation[str] = HttpConversation()
    line = CONNECT.index(b"\n")
    for part, mark in ((CONNECT[:line], "first"), (b"\n", "second")):
        assert http.begun() is None
        http.feed(CLIENT, part, mark)
    begun = http.begun()
    assert begun is not None
    assert (begun[0].target, begun[0].complete, begun[1]) == ("a.example:443", False, "first")
    http.feed(CLIENT, CONNECT[line + 1 :], "rest")
    assert http.begun() is None


def test_a_reply_to_a_request_that_was_begun() -> None:
    line = CONNECT[: CONNECT.index(b"\n") + 1]
    http: HttpConversation[str] = HttpConversation()
    http.feed(CLIENT, line, "request")
    request, response, *_ = http.feed(PROXY, b"HTTP/1.1 403 No\r\n\r\n", "reply")
    assert isinstance(request, RequestHead)
    assert isinstance(response, ResponseHead)
    (exchange,) = http.exchanges
    assert exchange.request is not None
    assert (exchange.request.target, exchange.request.complete) == ("a.example:443", False)
    assert exchange.response is response.response
    assert not http.tunnel
    http = HttpConversation()
    http.feed(CLIENT, line, "request")
    http.feed(PROXY, b"HTTP/1.1 200 OK\r\n\r\n", "reply")
    assert http.tunnel


@pytest.mark.parametrize("cut", range(1, len(OK)))
def test_marks_are_of_the_first_and_the_last_byte(cut: int) -> None:
    http: HttpConversation[str] = HttpConversation()
    (request,) = http.feed(CLIENT, CONNECT, "request")
    assert isinstance(request, RequestHead)
    assert (request.first, request.last) == ("request", "request")
    assert http.feed(PROXY, OK[:cut], "one") == []
    partial = http.partial(PROXY)
    assert (partial is not None) == (cut >= len(b"HTTP/1.1 200"))
    response, opened = http.feed(PROXY, OK[cut:] + b"\x16", "two")
    for event in (response, opened):
        assert isinstance(event, ResponseHead | TunnelOpen)
        assert (event.first, event.last) == ("one", "two")
    assert http.leftover(PROXY) == [Chunk(b"\x16", "two")]
    assert http.leftover(PROXY) == []


@SPLITS
def test_authentication_and_retry_on_one_connection(split: int) -> None:
    talk = Talk(split)
    assert talk.client(CONNECT) == ["CONNECT"]
    assert talk.proxy(AUTH) == ["407", "body 5 True"]
    assert talk.client(CONNECT) == ["CONNECT"]
    assert talk.proxy(OK) == ["200", "tunnel"]
    first, second = talk.http.exchanges
    assert first.response is not None
    assert first.response.challenges[0].realm == "p"
    assert (first.body_expected, first.body_received, first.body_complete) == (5, 5, True)
    assert first.body_start == b"hello"
    assert second.response is not None
    assert second.response.status == 200


@SPLITS
def test_early_tunnel_bytes_are_handed_over_with_their_marks(split: int) -> None:
    talk = Talk(split)
    talk.client(CONNECT)
    before = talk.mark
    assert talk.client(b"\x16\x03\x01early") == []
    assert b"".join(chunk.data for chunk in talk.http.held(CLIENT)) == b"\x16\x03\x01early"
    assert talk.proxy(OK) == ["200", "tunnel"]
    assert talk.events[-1].early == before + 1
    left = talk.http.leftover(CLIENT)
    assert b"".join(chunk.data for chunk in left) == b"\x16\x03\x01early"
    assert left[0].mark == before + 1


def test_head_and_early_bytes_in_one_segment() -> None:
    talk = Talk()
    talk.client(CONNECT + b"\x16\x03\x01early")
    talk.proxy(OK + b"\x16\x03\x03x")
    assert talk.http.leftover(CLIENT) == [Chunk(b"\x16\x03\x01early", 1)]
    assert talk.http.leftover(PROXY) == [Chunk(b"\x16\x03\x03x", 2)]


@SPLITS
def test_refused_connect_gives_held_bytes_back_to_http(split: int) -> None:
    talk = Talk(split)
    assert talk.client(CONNECT)[:1] == ["CONNECT"]
    talk.client(GET)
    assert talk.proxy(AUTH) == ["407", "GET", "body 5 True"]
    assert [e.request.method for e in talk.http.exchanges if e.request] == ["CONNECT", "GET"]


@SPLITS
def test_two_xx_to_connect_has_no_body_whatever_it_says(split: int) -> None:
    talk = Talk(split)
    talk.client(CONNECT)
    head = b"HTTP/1.1 204 Fine\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert talk.proxy(head) == ["204", "tunnel"]


@SPLITS
def test_interim_replies_are_told_and_skipped(split: int) -> None:
    talk = Talk(split)
    talk.client(b"POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
    assert talk.proxy(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n") == [
        "100", "103",
    ]  # fmt: skip
    assert talk.client(b"abc") == ["body 3 True"]
    assert talk.proxy(b"HTTP/1.1 204 No Content\r\n\r\n") == ["204"]
    (exchange,) = talk.http.exchanges
    assert exchange.interim == (100, 103)
    assert exchange.body_complete is True


@SPLITS
def test_upgrade_opens_a_tunnel(split: int) -> None:
    talk = Talk(split)
    talk.client(b"GET http://a/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    assert talk.proxy(head) == ["101", "tunnel"]


@SPLITS
def test_pipelined_requests_meet_their_replies_in_order(split: int) -> None:
    talk = Talk(split)
    assert talk.client(GET + GET.replace(b"GET", b"HEAD", 1) + GET) == ["GET", "HEAD", "GET"]
    replies = (
        CHUNKED
        + b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        + b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"
    )
    assert talk.proxy(replies) == ["404", "body 11 True", "200", "304"]
    first, head, last = talk.http.exchanges
    assert first.body_expected is None
    assert first.body_start == b"hello world"
    assert head.request is not None
    assert head.request.method == "HEAD"
    assert (head.body_expected, head.body_received) == (None, 0)
    assert last.response is not None
    assert last.response.status == 304


@SPLITS
def test_body_until_close(split: int) -> None:
    talk = Talk(split)
    talk.client(GET)
    assert talk.proxy(b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 404 still body") == ["200"]
    assert talk.http.skip(PROXY) == FOREVER
    talk.http.skipped(PROXY, 100)
    assert kinds(talk.http.closed(PROXY, 9)) == ["body 123 None"]
    assert talk.http.exchanges[0].body_received == 123
    assert talk.http.exchanges[0].body_complete is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (b"Content-Length: 3", "body 3 True"),
        (b"Content-Length: 3\r\nContent-Length: 3", "body 3 True"),
        (b"Content-Length: 3, 3", "body 3 True"),
        (b"Content-Length: 3\r\nContent-Length: 4", "body 6 None"),
        (b"Content-Length: -3", "body 6 None"),
        (b"Content-Length: 3x", "body 6 None"),
        ("Content-Length: ³".encode(), "body 6 None"),
        (b"Transfer-Encoding: gzip", "body 6 None"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 99", "body 0 False"),
    ],
)
def test_length_of_a_body(fields: bytes, word: str) -> None:
    talk = Talk()
    talk.client(GET)
    words = talk.proxy(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nabcdef")
    words += kinds(talk.http.closed(PROXY))
    assert word in words


def test_bodies_are_skipped_but_the_start_of_an_error_page_is_read() -> None:
    talk = Talk()
    talk.client(GET)
    talk.proxy(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5000\r\n\r\n" + b"a" * 100)
    assert talk.http.skip(PROXY) == 0
    talk.proxy(b"b" * 2900)
    assert talk.http.skip(PROXY) == 2000
    assert kinds(talk.http.skipped(PROXY, 2000, 7)) == ["body 5000 True"]
    assert talk.http.exchanges[0].body_start == b"a" * 100 + b"b" * 1948
    talk.client(GET)
    talk.proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    assert talk.http.skip(PROXY) == 5000
    talk.proxy(b"c" * 4999)
    assert talk.http.skip(PROXY) == 1
    assert talk.http.exchanges[1].body_complete is False  # whether or not a FIN follows
    assert kinds(talk.http.closed(PROXY, 8)) == ["body 4999 False"]
    assert talk.http.exchanges[1].body_complete is False
    assert talk.http.exchanges[1].body_start == b""


def test_skipping_more_than_allowed_counts_as_lost() -> None:
    talk = Talk()
    talk.client(GET)
    talk.proxy(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    assert kinds(talk.http.skipped(PROXY, 15, 2)) == ["body 10 True"]
    assert talk.proxy(b"rest of a head\r\n\r\n") == []
    assert talk.proxy(b"HTTP/1.1 200 OK\r\n\r\n") == ["200"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_error_pages_are_decoded_and_masked(coding: str) -> None:
    page = b"<p>http://joe:hunter2@a.example/ ERR_DNS_FAIL</p>" * 200
    body = gzip.compress(page) if coding == "gzip" else zlib.compress(page)
    talk = Talk()
    talk.client(GET)
    head = f"HTTP/1.1 503 x\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    talk.proxy(head.encode() + body)
    start = talk.http.exchanges[0].body_start
    assert len(start) == 2048
    assert b"ERR_DNS_FAIL" in start
    assert b"hunter2" not in start


def test_reply_without_its_request() -> None:
    talk = Talk()
    assert talk.proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno") == [
        "403", "body 2 True",
    ]  # fmt: skip
    (exchange,) = talk.http.exchanges
    assert exchange.request is None
    tunnel = Talk()
    assert tunnel.proxy(OK) == ["200", "tunnel"]
    assert tunnel.events[-1].request is None
    plain = Talk()
    assert plain.proxy(b"HTTP/1.1 200 OK\r\n\r\n") == ["200"]


def test_half_a_reply_opens_nothing_when_the_proxy_ends() -> None:
    talk = Talk()
    talk.client(CONNECT)
    talk.proxy(OK[:-2])
    assert kinds(talk.http.closed(PROXY, 3)) == ["200"]
    assert not talk.http.tunnel
    (exchange,) = talk.http.exchanges
    assert exchange.response is not None
    assert not exchange.response.complete


def test_asked_again_without_a_captured_answer() -> None:
    talk = Talk()
    assert talk.client(CONNECT) == ["CONNECT"]
    assert talk.client(CONNECT) == ["CONNECT"]
    assert len(talk.http.exchanges) == 2


def test_first_and_last_exchanges_are_kept() -> None:
    talk = Talk()
    for number in range(100):
        talk.client(b"GET http://a/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        talk.proxy(b"HTTP/1.1 204 x\r\n\r\n")
    targets = [int(e.request.target[9:]) for e in talk.http.exchanges if e.request]
    assert targets == [*range(KEPT_EXCHANGES), *range(100 - KEPT_EXCHANGES, 100)]


@pytest.mark.parametrize(
    "header",
    [b"PROXY TCP4 10.0.0.1 10.0.0.2 4711 3128\r\n",
     b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)],
)  # fmt: skip
def test_load_balancers_header_is_left_out(header: bytes) -> None:
    talk = Talk()
    assert talk.client(header + CONNECT) == ["CONNECT"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01a_success_302_tls13.pcap", ["CONNECT", "200", "tunnel"]),
        ("01h_success_tinyproxy.pcap", ["CONNECT", "200", "tunnel"]),
        ("01o_success_302_s96.pcap", ["CONNECT", "200", "tunnel"]),
        ("02a_squid_acl_deny.pcap", ["CONNECT", "403", "body 3075 True"]),
        ("02c_tinyproxy_filter.pcap", ["CONNECT", "403", "body 335 None"]),
        ("05a_basic_407_then_ok.pcap",
         ["CONNECT", "407", "body 3082 True", "CONNECT", "200", "tunnel"]),
        ("13a_tls_to_plain_proxy.pcap", ["not http", "400", "body 3032 True"]),
        ("13b404_plain_http_404.pcap", ["GET", "404", "body 153 True"]),
        ("13d_socks5_to_http_proxy.pcap", ["not http"]),
        ("15a_captive_302_pyproxy.pcap", ["CONNECT", "302"]),
    ],
)  # fmt: skip
def test_real_conversations(name: str, words: list[str]) -> None:
    http: HttpConversation[int] = HttpConversation()
    events: list[Any] = []
    for piece in pieces(name):
        if piece.lost:
            events += http.lost(piece.sender, piece.lost, piece.number)
        if not http.tunnel:
            events += http.feed(piece.sender, piece.data, piece.number)
            if piece.cut and not http.tunnel:
                events += http.lost(piece.sender, piece.cut, piece.number)
    events += http.closed(PROXY)
    assert kinds(events) == words
    for exchange in http.exchanges:
        assert exchange.request is None or exchange.request.authority in (
            "tools.cisco.com:443", "tools.cisco.com:80",
        )  # fmt: skip


_REPLIES = [
    AUTH,
    CHUNKED,
    b"HTTP/1.1 304 x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
]


@given(st.lists(st.sampled_from(_REPLIES), max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_any_split_tells_the_same(replies: list[bytes], cuts: list[int]) -> None:
    data = b"".join(replies)
    whole, parted = Talk(), Talk()
    for talk in (whole, parted):
        talk.client(GET * len(replies))
    whole.proxy(data)
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(borders):
        parted.proxy(data[start:end])
    assert kinds(parted.events) == kinds(whole.events)
    assert [e.body_start for e in parted.http.exchanges] == [
        e.body_start for e in whole.http.exchanges
    ]


_STEPS = ["feed", "lost", "skipped", "closed"]
_BYTES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [CONNECT, OK, GET, AUTH, CHUNKED, CONNECT[:20], OK[:20], CHUNKED[:70], b"\r\n"]
    ),
)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(_STEPS), _BYTES),
        max_size=20,
    )
)  # fmt: skip
def test_nothing_that_comes_raises(steps: list[tuple[int, str, bytes]]) -> None:
    http: HttpConversation[int] = HttpConversation()
    for mark, (sender, step, data) in enumerate(steps):
        if step == "feed":
            http.feed(sender, data, mark)
        elif step == "closed":
            http.closed(sender, mark)
        else:
            count = len(data) if step == "lost" else min(len(data), http.skip(sender))
            getattr(http, step)(sender, count, mark)
        assert http.skip(sender) >= 0
        http.partial(sender)
        http.begun()
        if http.tunnel:
            http.leftover(CLIENT)
            http.leftover(PROXY)


def test_it_goes_with_its_last_user() -> None:
    """While files are read the collector is off."""
    talk = Talk(0)
    talk.client(CONNECT)
    talk.proxy(OK)
    gone = weakref.ref(talk.http)
    gc.disable()
    try:
        del talk
        assert gone() is None
    finally:
        gc.enable()
