from __future__ import annotations

import pytest

from capture.protocols.framing import MAX_HEAD, MAX_HELD, MAX_RESYNC
from capture.protocols.readers import (
    CLIENT,
    FOREVER,
    PROXY,
    RequestHead,
    ResponseHead,
    TunnelOpen,
)
from tests.capture.protocols.talk import AUTH, CONNECT, GET, OK, Talk, kinds


def test_snaplen_cut_heads_still_open_the_tunnel() -> None:
    talk = Talk()
    assert talk.client(CONNECT[:35]) == []
    (request,) = talk.http.lost(CLIENT, len(CONNECT) - 35, 1)
    assert isinstance(request, RequestHead)
    assert request.request.target == "a.example:443"
    assert not request.request.complete
    assert talk.proxy(OK[:30]) == []
    response, opened = talk.http.lost(PROXY, len(OK) - 30, 2)
    assert isinstance(response, ResponseHead)
    assert response.response.reason == "Connection establ"
    assert response.response.reason_cut
    assert isinstance(opened, TunnelOpen)
    assert not opened.exact
    assert talk.http.leftover(CLIENT) == []


def test_rest_of_a_cut_connect_is_not_taken_for_the_tunnel() -> None:
    talk = Talk()
    talk.client(CONNECT[:35])
    talk.http.lost(CLIENT, 5, 1)
    talk.client(b"ost: a.example\r\n\r\n")
    talk.client(b"\x16\x03\x01early")
    talk.proxy(OK)
    assert [chunk.data for chunk in talk.http.leftover(CLIENT)] == [b"\x16\x03\x01early"]


def test_cut_heads_of_a_retry() -> None:
    talk = Talk()
    talk.client(CONNECT[:35])
    talk.http.lost(CLIENT, 20, 1)
    talk.proxy(AUTH[:40])
    assert kinds(talk.http.lost(PROXY, 60, 2)) == ["407"]
    talk.client(CONNECT[:35])
    assert kinds(talk.http.lost(CLIENT, 40, 3)) == ["CONNECT"]
    talk.proxy(OK[:20])
    assert kinds(talk.http.lost(PROXY, 19, 4)) == ["200", "tunnel"]
    assert len(talk.http.exchanges) == 2


def test_loss_inside_a_body_keeps_step() -> None:
    talk = Talk()
    talk.client(GET)
    talk.proxy(b"HTTP/1.1 502 x\r\nContent-Length: 10\r\n\r\nab")
    talk.http.lost(PROXY, 5)
    talk.client(GET)
    assert talk.proxy(b"xyzHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == ["body 10 True", "200"]
    first, second = talk.http.exchanges
    assert first.body_start == b"ab"
    assert second.body_complete is True


def test_loss_of_a_chunk_border_waits_for_the_next_head() -> None:
    talk = Talk()
    talk.client(GET)
    talk.proxy(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    assert talk.http.skip(PROXY) == 2
    talk.http.lost(PROXY, 6)
    assert talk.proxy(b"more chunk data") == []
    talk.client(GET)
    assert talk.proxy(b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n") == ["404"]
    assert talk.http.exchanges[0].body_complete is None


def test_mid_stream_garbage_is_told_once_and_given_up_in_the_end() -> None:
    talk = Talk()
    assert talk.client(b"\x17\x03\x03 ciphertext") == ["not http"]
    for _ in range(MAX_RESYNC - 1):
        assert talk.client(b"more") == []
        assert talk.http.skip(CLIENT) == 0
    assert talk.client(b"more") == []
    assert talk.http.skip(CLIENT) == FOREVER
    other = Talk()
    other.client(b"rest of something\r\nelse")
    assert other.client(CONNECT) == ["CONNECT"]


@pytest.mark.parametrize("data", [b"\x05\xff", b"\x00[", b"SSH-2.0-x\r\n", b"\x15\x03\x01\x00\x02"])
def test_reply_in_another_language(data: bytes) -> None:
    talk = Talk()
    talk.client(CONNECT)
    assert talk.proxy(data) == ["not http"]
    assert talk.events[-1].data == data


def test_garbage_shows_no_secret() -> None:
    talk = Talk()
    talk.client(b"PASS hunter2\r\nUSER joe\r\n\r\n")
    assert b"hunter2" not in talk.events[-1].data


@pytest.mark.parametrize("sender", [CLIENT, PROXY])
def test_endless_head_is_given_up(sender: int) -> None:
    talk = Talk(1400)
    start = CONNECT[:-2] if sender == CLIENT else AUTH[: AUTH.index(b"\r\n\r\n") + 2]
    words = talk.feed(sender, start + b"X: " + b"y" * MAX_HEAD)
    assert words == [("CONNECT" if sender == CLIENT else "407"), "head too long"]
    assert talk.http.exchanges[0].request is None or not talk.http.exchanges[0].request.complete


def test_held_bytes_are_bounded() -> None:
    talk = Talk()
    talk.client(CONNECT)
    for _ in range(3):
        talk.client(b"\x16" * (MAX_HELD // 2 + 1))
    held = talk.http.held(CLIENT)
    assert sum(len(chunk.data) for chunk in held) == MAX_HELD
    assert sum(len(chunk.data) + chunk.lost for chunk in held) == 3 * (MAX_HELD // 2 + 1)


def test_endless_chunk_line_and_trailer_are_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for rest in (b"5;" + b"x" * 5000, b"0\r\n" + b"T: x\r\n" * 4000):
        talk = Talk(1000)
        talk.client(GET)
        assert talk.proxy(head + rest) == ["200", "bad chunk"]
