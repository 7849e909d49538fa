from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.stream.assembly import assemble
from capture.stream.reading import Chunk, StreamReader
from tests.capture.stream.build import fetcher, reader_of, view_of
from tests.conversations import ethernet, ipv4, tcp

SECRET = b"dXNlcjpodW50ZXIy"
HEAD = b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic " + SECRET + b"\r\n\r\n"


def test_bytes_across_segments() -> None:
    reader = reader_of((CLIENT, b"abcdef"), (PROXY, b"xyz"), (CLIENT, b"ghi"))
    assert reader.read(CLIENT, 0, 99) == [Chunk(0, b"abcdefghi")]
    assert reader.read(CLIENT, 4, 8) == [Chunk(4, b"efgh")]
    assert reader.read(PROXY, 1, 2) == [Chunk(1, b"y")]
    assert reader.read(PROXY, 3, 9) == []


def test_what_is_missing_has_a_chunk_of_its_own() -> None:
    reader = reader_of((CLIENT, b"abc"), (CLIENT, b"xyz", {"seq": 11}))
    assert reader.read(CLIENT, 0, 99) == [Chunk(0, b"abc"), Chunk(3, b"", 7), Chunk(10, b"xyz")]
    assert reader.read(CLIENT, 5, 11) == [Chunk(5, b"", 5), Chunk(10, b"x")]


def test_a_snap_length_leaves_a_hole() -> None:
    reader = reader_of((CLIENT, b"abcdef", {"caplen": 54 + 2}), (CLIENT, b"ghi"))
    assert reader.read(CLIENT, 0, 99) == [Chunk(0, b"ab"), Chunk(2, b"", 4), Chunk(6, b"ghi")]


def test_a_frame_that_is_gone_is_a_hole_with_a_reason() -> None:
    reader = reader_of((CLIENT, b"abc", {"caplen": 0}), (CLIENT, b"def"))
    assert reader.read(CLIENT, 0, 6) == [Chunk(0, b"", 3), Chunk(3, b"def")]
    assert reader.trouble == "the packet was not kept"


def test_holes_side_by_side_are_one() -> None:
    reader = reader_of((CLIENT, b"abc", {"caplen": 0}), (CLIENT, b"x", {"seq": 9}))
    assert reader.read(CLIENT, 0, 99) == [Chunk(0, b"", 8), Chunk(8, b"x")]


@given(st.integers(1, 40), st.data())
def test_secrets_are_covered_in_any_window_of_any_segments(size: int, data: st.DataObject) -> None:
    said = [(CLIENT, HEAD[at : at + size]) for at in range(0, len(HEAD), size)]
    start = data.draw(st.integers(0, len(HEAD)))
    end = data.draw(st.integers(start, len(HEAD)))
    expected = HEAD.replace(SECRET, b"*" * len(SECRET))[start:end]
    assert b"".join(chunk.data for chunk in reader_of(*said).read(CLIENT, start, end)) == expected
    bare = reader_of(*said, masked=False).read(CLIENT, start, end)
    assert b"".join(chunk.data for chunk in bare) == HEAD[start:end]


def test_socks_logins_are_covered_by_their_place() -> None:
    login = b"\x01\x03joe\x07hunter2"
    reader = reader_of((CLIENT, b"\x05\x01\x02" + login[:4]), (PROXY, b"\x05\x02"),
                       (CLIENT, login[4:]))  # fmt: skip
    assert reader.read(CLIENT, 3, 99) == [Chunk(3, b"\x01\x03***\x07*******")]
    assert reader.read(CLIENT, 9, 12) == [Chunk(9, b"***")]
    reader = reader_of((CLIENT, b"\x04\x01\x01\xbb\n\0\0\1joe\0"))
    assert reader.read(CLIENT, 0, 99) == [Chunk(0, b"\x04\x01\x01\xbb\n\0\0\1***\0")]


def test_short_turns_are_fetched_in_batches() -> None:
    calls: list[int] = []
    reader = reader_of(*[(side, b"abc") for _ in range(40) for side in (CLIENT, PROXY)])
    fetch = reader._fetch

    def counted(number: int) -> bytes:
        calls.append(number)
        return fetch(number)

    reader._fetch = counted
    for at in range(40):
        for side in (CLIENT, PROXY):
            assert reader.raw(side, 3 * at, 3 * at + 3) == [Chunk(3 * at, b"abc")]
    assert len(calls) == len(set(calls)) == 80


@pytest.mark.parametrize("lost", [False, True])
def test_a_segment_in_ip_fragments_is_put_together(lost: bool) -> None:
    payload = bytes(range(256)) * 4
    whole = tcp(payload, CLIENT, seq=1, ack=1)
    parts = [whole[:400], whole[400:800], whole[800:]]
    frames = [
        ethernet(ipv4(part, CLIENT, fragment=at * 50 | (0x2000 if at < 2 else 0)))
        for at, part in enumerate(parts)
    ]
    view, stored = view_of((CLIENT, b"x" * 10), (CLIENT, b"y" * 10), (CLIENT, payload))
    rows = view.rows
    rows["flow"][3:5] = 0
    rows["seq"][5] = 1
    stored[3:] = [b"" if lost else frames[0], *frames[1:]]
    reader = StreamReader(fetcher(stored), view, assemble(view, view.of_flow(1)))
    expected = Chunk(0, b"", len(payload)) if lost else Chunk(0, payload)
    assert reader.read(CLIENT, 0, 9999) == [expected]
