"""Conversations: the same bytes say the same, however they were cut and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.decode import Decoder
from capture.facts import CLIENT, PROXY, Mark
from capture.tracking.streams import KEPT_BYTES, MAX_PENDING, Conversation
from tests.capture.decode.building import block_of
from tests.capture.tracking.building import DATA, frames_in

NOW = Mark(1, 0)
"""One mark for all: which packet brought a byte depends on how the bytes were cut."""

TALKS = (
    "01b_success_302_tls12.pcap",
    "02a_squid_acl_deny.pcap",
    "05a_basic_407_then_ok.pcap",
    "12b_untrusted_ca_tls13.pcap",
    "12c2_mitmproxy_untrusted_tls12.pcap",
    "13b404_plain_http_404.pcap",
    "13d_socks5_to_http_proxy.pcap",
    "13a_tls_to_plain_proxy.pcap",
)

Turn = tuple[int, bytes]
Segment = tuple[int, int, bytes]
"""Sender, sequence number, payload."""


@cache
def turns(name: str) -> tuple[Turn, ...]:
    """What the sides of a capture's first flow said, one after the other."""
    frames = frames_in(DATA / name)
    segments = Decoder().decode(block_of(frames)).segments
    client = (int(segments.src[0]), int(segments.sport[0]))
    proxy = (int(segments.dst[0]), int(segments.dport[0]))
    found: list[Turn] = []
    for at in range(len(segments)):
        ends = (int(segments.src[at]), int(segments.sport[at]))
        if ends not in (client, proxy) or not segments.length[at]:
            continue
        begin = int(segments.payload_at[at])
        data = segments.data[begin : begin + int(segments.payload_captured[at])].tobytes()
        side = CLIENT if ends == client else PROXY
        if found and found[-1][0] == side:
            found[-1] = (side, found[-1][1] + data)
        else:
            found.append((side, data))
    assert found
    return tuple(found)


def placed(said: tuple[Turn, ...]) -> Iterator[tuple[int, int, bytes]]:
    """Turns with their sequence numbers."""
    at = [1, 1]
    for side, data in said:
        yield side, at[side], data
        at[side] += len(data)


def talk_of(segments: list[Segment]) -> Conversation:
    talk = Conversation()
    for side, seq, data in segments:
        talk.feed(side, seq, len(data), data, NOW)
    for side in (CLIENT, PROXY):
        talk.finish(side, max((seq + len(data) for who, seq, data in segments if who == side),
                              default=1))  # fmt: skip
    return talk


def waits(talk: Conversation) -> bool:
    """Whether segments wait for one before them (a call, so that no checker remembers it)."""
    return talk.waiting


def heard(talk: Conversation) -> dict[str, Any]:
    """All that a conversation found out."""
    tls = talk.tls
    if tls is not None and tls.hello is not None:
        tls.hello = tls.hello._replace(packets=1)
    return {
        "next": [talk.want(side) for side in (CLIENT, PROXY)],
        "languages": (list(talk.languages), list(talk.inner_language)),
        "tunnel": (talk.tunnel, list(talk.tunnel_from), talk.early),
        "exchanges": [
            {name: getattr(item, name, None) for name in (
                "request", "response", "body_expected", "body_received", "body_complete",
                "body_start",
            )}
            for item in (talk.http.exchanges if talk.http else ())
        ],
        "tls": tls and {name: getattr(tls, name) for name in type(tls).__slots__},
    }  # fmt: skip


def check(parts: Conversation, whole: Conversation) -> None:
    left, right = heard(parts), heard(whole)
    if left["tls"] and right["tls"]:
        # Of a record header cut in two, the first bytes may count as the record before.
        places = zip(left["tls"].pop("app_from"), right["tls"].pop("app_from"), strict=True)
        assert all(abs(one - other) <= 5 for one, other in places)
    assert left == right


@pytest.mark.parametrize("name", TALKS)
def test_byte_by_byte(name: str) -> None:
    whole = talk_of(list(placed(turns(name))))
    single = [
        (side, seq + at, data[at : at + 1])
        for side, seq, data in placed(turns(name))
        for at in range(len(data))
    ]
    parts = talk_of(single)
    check(parts, whole)
    assert heard(whole)["languages"][0] != ["", ""]
    for one, all_of_it in zip(parts.first_bytes, whole.first_bytes, strict=True):
        assert all_of_it.startswith(one)
        assert len(all_of_it) <= KEPT_BYTES


@settings(max_examples=60)
@given(st.sampled_from(TALKS), st.data())
def test_any_cut_and_any_order(name: str, data: st.DataObject) -> None:
    """Segments of one turn in any order, some twice, some overlapping their neighbours."""
    segments: list[Segment] = []
    for side, seq, said in placed(turns(name)):
        cuts = data.draw(st.lists(st.integers(1, max(1, len(said) - 1)), max_size=6))
        ends = sorted({*cuts, len(said)})
        pieces: list[Segment] = []
        for left, right in zip([0, *ends], ends, strict=False):
            more = data.draw(st.sampled_from([0, 0, 1, 30]))
            left = max(0, left - more)
            pieces.append((side, seq + left, said[left:right]))
        pieces += data.draw(st.lists(st.sampled_from(pieces), max_size=3))
        segments += data.draw(st.permutations(pieces))
    talk = talk_of(segments)
    check(talk, talk_of(list(placed(turns(name)))))
    assert not waits(talk)


@settings(max_examples=60)
@given(st.sampled_from(TALKS), st.data())
def test_bytes_that_are_missing_never_break_it(name: str, data: st.DataObject) -> None:
    """Segments that were cut by a snaplen, not captured, or came from another stream."""
    talk = Conversation()
    for side, seq, said in placed(turns(name)):
        cut = data.draw(st.integers(0, len(said)))
        fate = data.draw(st.sampled_from(["whole", "cut", "lost", "acked", "junk"]))
        if fate == "junk":
            said = data.draw(st.binary(min_size=len(said), max_size=len(said)))
        if fate in ("whole", "cut", "junk"):
            kept = said[:cut] if fate == "cut" else said
            talk.feed(side, seq, len(said), kept, NOW)
        elif fate == "acked":
            talk.acked(side, seq + len(said))
    for side in (CLIENT, PROXY):
        talk.acked(side, 1 << 40)
        talk.finish(side, 1 << 40)
    assert not waits(talk)
    assert all(len(item) <= KEPT_BYTES for item in (*talk.first_bytes, *talk.inner_bytes))


HEAD = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
REPLY = b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_what_comes_behind_a_hole_waits() -> None:
    talk = Conversation()
    talk.feed(CLIENT, 11, len(HEAD) - 10, HEAD[10:], Mark(2, 0))
    assert waits(talk)
    assert talk.languages == ["", ""]
    talk.feed(CLIENT, 1, 10, HEAD[:10], Mark(3, 0))
    assert not waits(talk)
    assert talk.http is not None
    assert talk.http.exchanges[0].request is not None
    assert talk.http.exchanges[0].request.target == "example.com:443"


def test_a_hole_that_was_acknowledged_is_gone_over() -> None:
    """The capture lost a segment: what follows is read as far as it makes sense."""
    talk = talk_of([(CLIENT, 1, HEAD), (PROXY, 1, REPLY)])
    tail = b"\x17\x03\x03\x00\x20" + bytes(32)
    talk.feed(PROXY, 1 + len(REPLY) + 100, len(tail), tail, Mark(5, 0))
    assert waits(talk)
    talk.acked(PROXY, 1 + len(REPLY) + 50)
    assert waits(talk), "acknowledged only as far as the middle of the hole"
    talk.acked(PROXY, 1 + len(REPLY) + 100 + len(tail))
    assert not waits(talk)
    assert talk.want(PROXY) >= 1 + len(REPLY) + 100 + len(tail)


def test_what_waits_is_bounded() -> None:
    talk = Conversation()
    for at in range(MAX_PENDING + 1):
        talk.feed(CLIENT, 1000 + at * 10, 10, bytes(10), NOW)
    assert not waits(talk), "the hole is given up"
    for at in range(3):
        talk.feed(PROXY, 1000 + at * 200_000, 200_000, bytes(200_000), NOW)
    assert not waits(talk)
    assert talk.want(PROXY) >= 400_000


def test_only_new_bytes_are_delivered() -> None:
    talk = talk_of([(CLIENT, 1, HEAD), (CLIENT, 1, HEAD), (CLIENT, 5, HEAD[4:] + b"early")])
    assert talk.http is not None
    assert len(talk.http.exchanges) == 1
    talk.feed(PROXY, 1, len(REPLY), REPLY, NOW)
    assert talk.tunnel is not None
    assert talk.tunnel_from == [1 + len(HEAD), 1 + len(REPLY)]
    assert talk.inner_bytes[CLIENT] == b"early"
    assert talk.early is not None


def test_flipped_roles() -> None:
    talk = Conversation()
    talk.flip()
    talk.feed(CLIENT, 1, len(HEAD), HEAD, NOW)
    assert talk.languages == ["http", ""]
