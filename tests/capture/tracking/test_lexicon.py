"""What segments say is found by columns as if each was parsed by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.tls_hello import parse_client_hello, parse_server_hello
from capture.tracking import lexicon
from capture.tracking.lexicon import ODD, PARTED, Lexicon, Meaning
from tests.capture.protocols.test_tls_hello_memo import client_hello, server_hello

ASKED = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
TOLD = b"HTTP/1.1 200 Connection established\r\n\r\n"
SECRET = ASKED[:-2] + b"Proxy-Authorization: Basic YTpi\r\n\r\n"

Segment = tuple[int, int, bytes]
"""Who sent it, how many segments its sender sent before, payload."""


def record(message: bytes) -> bytes:
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def numbers(words: Lexicon, segments: list[Segment]) -> list[int]:
    """What some segments of a block say; bytes of other packets lie between them."""
    data, at = b"", []
    for _, _, payload in segments:
        data += b"\x16\x03\x01\x00\xff"
        at.append(len(data))
        data += payload
    side, rank, size = (
        np.array(column, np.int64)
        for column in (
            [side for side, _, _ in segments],
            [rank for _, rank, _ in segments],
            [len(payload) for _, _, payload in segments],
        )
    )
    block = np.frombuffer(data + b"\0", np.uint8)
    found: list[int] = words.numbers(block, np.array(at), size, side, rank).tolist()
    return found


def meaning(side: int, rank: int, payload: bytes) -> Meaning | None:
    """What a segment says, told without a lexicon."""
    if rank == 0 and side == CLIENT:
        asked = parse_request(payload)
        plain = asked and not asked.credentials and not asked.malformed
        return asked if plain and asked and asked.length == len(payload) else None
    if rank == 0:
        told = parse_response(payload)
        return told if told and told.length == len(payload) else None
    message = payload[5 : 5 + int.from_bytes(payload[3:5], "big")] if len(payload) > 5 else b""
    if rank > 1 or 5 + int.from_bytes(payload[3:5], "big") > len(payload):
        return None
    if side == CLIENT:
        hello = parse_client_hello(message, session=False)
        return hello if hello and hello.length == len(message) else None
    answer = parse_server_hello(message, session=False)
    return answer if answer and not answer.retry and answer.version >= 0x0304 else None


SEGMENTS: list[Segment] = [
    *[(CLIENT, 0, head) for head in (ASKED, ASKED.replace(b"a.ex", b"b.ex"), SECRET, ASKED[:-4])],
    *[(PROXY, 0, head) for head in (TOLD, TOLD + b"x", TOLD.replace(b"200", b"2x0"))],
    *[(CLIENT, 1, record(client_hello(seed))) for seed in range(3)],
    *[(CLIENT, 1, record(client_hello(seed, groups=(29, 23)))) for seed in range(2)],
    (CLIENT, 1, record(client_hello(1, b"example.org")) + b"more"),
    (CLIENT, 1, record(client_hello(1))[:100]),
    (CLIENT, 1, record(b"")),
    (CLIENT, 1, b"\x16\x03\x01"),
    (CLIENT, 2, record(client_hello(1))),
    *[(PROXY, 1, record(server_hello(seed)) + b"\x14\x03\x03\0\1\1") for seed in range(3)],
    (PROXY, 1, record(server_hello(1, retry=True))),
    (PROXY, 1, record(server_hello(1, 0xC02F))),
    (PROXY, 1, record(server_hello(1))[:40]),
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(SEGMENTS),
                st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), max_size=2),
            ),
            min_size=1,
            max_size=12,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_segment_says_what_its_parser_says(
    blocks: list[list[tuple[Segment, list[tuple[int, int]]]]],
) -> None:
    """Plain segments and those with a byte or two changed anywhere, in blocks of any size."""
    words = Lexicon()
    for block in blocks:
        segments = []
        for (side, rank, payload), edits in block:
            changed = bytearray(payload)
            for at, value in edits:
                changed[at % len(changed)] = value
            segments.append((side, rank, bytes(changed)))
        for segment, number in zip(segments, numbers(words, segments), strict=True):
            expected = meaning(*segment)
            assert (words.meanings[number] if number >= 0 else None) == expected
            side, rank, payload = segment
            goes_on = len(payload) > 5 and int.from_bytes(payload[3:5], "big") > len(payload) - 5
            assert (number == PARTED) == (side == CLIENT and rank == 1 and goes_on)


def test_equal_ones_have_one_number() -> None:
    words = Lexicon()
    first = numbers(words, SEGMENTS)
    assert numbers(words, SEGMENTS) == first
    hellos = [(CLIENT, 1, record(client_hello(seed))) for seed in range(100, 120)]
    heads = [(PROXY, 0, TOLD)] * 5
    assert set(numbers(words, hellos + heads)) == {first[7], first[4]}
    assert len(words.meanings) == len({number for number in first if number >= 0})


def test_two_segments_are_put_together() -> None:
    words = Lexicon()
    whole = record(client_hello(1))
    (number,) = numbers(words, [(CLIENT, 1, whole)])
    found = words.parted([whole, record(client_hello(2)) + b"more", whole[:-1], whole[:5], b""])
    assert found.tolist() == [number, number, ODD, ODD, ODD]


def test_clients_with_hellos_laid_out_anew_each_time() -> None:
    words = Lexicon()
    for turn in range(6):
        groups = ((29, 23), (23, 29))[turn % 2]
        block = [(CLIENT, 1, record(client_hello(turn + at, groups=groups))) for at in range(3)]
        found = numbers(words, block)
        expected = parse_client_hello(block[0][2][5:], session=False)
        assert [words.meanings[number] for number in found] == [expected] * 3


def test_what_is_not_used_is_forgotten() -> None:
    words = Lexicon()
    before = numbers(words, SEGMENTS)
    means = list(words.meanings)
    stays = np.array([before[7], before[0], ODD, PARTED])
    new = words.forget(stays)
    assert [words.meanings[new[old]] for old in stays[:2]] == [means[old] for old in stays[:2]]
    assert len(words.meanings) == 2
    assert (new >= 0).sum() == 2
    again = numbers(words, SEGMENTS)
    assert [words.meanings[number] for number in again if number >= 0] == [
        means[number] for number in before if number >= 0
    ]


@pytest.mark.parametrize("most", [1, 2])
def test_memory_has_bounds(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon, "MOST", most)
    monkeypatch.setattr(lexicon, "SHAPES", 1)
    words = Lexicon()
    for _ in range(2):
        for name in (b"a.example", b"b.example", b"c.example", b"dd.example", b"e.example"):
            asked = ASKED.replace(b"a.example", name)
            (head, hello) = numbers(
                words, [(CLIENT, 0, asked), (CLIENT, 1, record(client_hello(1, name)))]
            )
            assert words.meanings[head] == parse_request(asked)
            assert words.meanings[hello] == parse_client_hello(client_hello(1, name), session=False)
    for kind in (words._request, words._client):
        assert len(kind._known) <= most
    assert [len(layout.known) for layout in words._client._layouts.values()] <= [most]
