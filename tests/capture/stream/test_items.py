from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.stream.items import Item, ItemKind, Requests, SideParser
from tests.conversations import CONNECT, ESTABLISHED, client_hello, record

HEAD, BODY, RECORD, GAP = ItemKind.HEAD, ItemKind.BODY, ItemKind.RECORD, ItemKind.GAP
Said = tuple[int, bytes | int]


def items(*said: Said, size: int = 1 << 20) -> list[tuple[int, ItemKind, int, int]]:
    """What both sides' turns are cut into; a number is so many bytes not captured."""
    requests = Requests()
    parsers = SideParser(CLIENT, requests), SideParser(PROXY, requests)
    at = [0, 0]
    found: list[tuple[int, Item]] = []
    for place, (side, data) in enumerate(said):
        parser = parsers[side]
        if isinstance(data, int):
            found += [(side, item) for item in parser.gap(data, at[side])]
            at[side] += data
        else:
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                found += [(side, item) for item in parser.feed(piece, at[side])]
                at[side] += len(piece)
        if place + 1 < len(said) and said[place + 1][0] != side:
            found += [(side, item) for item in parser.turned()]
    for side in (CLIENT, PROXY):
        found += [(side, item) for item in parsers[side].finish()]
    merged: list[tuple[int, ItemKind, int, int]] = []
    for side, item in found:
        last = merged[-1] if merged else None
        if last and item.kind is BODY and last[:2] == (side, BODY) and last[3] == item.start:
            merged[-1] = (side, BODY, last[2], item.end)
        else:
            merged.append((side, item.kind, item.start, item.end))
    return merged


def get(target: bytes = b"/", *fields: bytes) -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: h", *fields, b"", b""))


def reply(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *fields, b"", body))


SIZED = reply(b"hello", b"Content-Length: 5")


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_a_tunnel(size: int) -> None:
    hello, data = client_hello(), record(23, bytes(300))
    assert items((CLIENT, CONNECT), (PROXY, ESTABLISHED), (CLIENT, hello), (PROXY, data + data),
                 size=size) == [
        (CLIENT, HEAD, 0, len(CONNECT)),
        (PROXY, HEAD, 0, len(ESTABLISHED)),
        (CLIENT, RECORD, len(CONNECT), len(CONNECT) + len(hello)),
        (PROXY, RECORD, len(ESTABLISHED), len(ESTABLISHED) + 305),
        (PROXY, RECORD, len(ESTABLISHED) + 305, len(ESTABLISHED) + 610),
    ]  # fmt: skip


def test_pipelined_replies_are_told_apart_by_their_lengths() -> None:
    head = len(SIZED) - 5
    assert items((CLIENT, get() * 2), (PROXY, SIZED * 2)) == [
        (CLIENT, HEAD, 0, len(get())),
        (CLIENT, HEAD, len(get()), 2 * len(get())),
        (PROXY, HEAD, 0, head),
        (PROXY, BODY, head, head + 5),
        (PROXY, HEAD, head + 5, 2 * head + 5),
        (PROXY, BODY, 2 * head + 5, 2 * head + 10),
    ]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (get().replace(b"GET", b"HEAD"), reply(b"", b"Content-Length: 500")),
        (get(), reply(b"", b"Content-Length: 500", status=b"304 Not Modified")),
        (CONNECT, reply(b"", b"Content-Length: 500", status=b"200 x")),
        (get(), reply(b"", status=b"100 Continue") + reply(b"", b"Content-Length: 0")),
    ],
)
def test_replies_without_a_body(asked: bytes, answer: bytes) -> None:
    kinds = {item[1] for item in items((CLIENT, asked), (PROXY, answer), (CLIENT, get()))}
    assert kinds == {HEAD}


def test_a_body_without_a_length_ends_with_the_turn() -> None:
    chunked = reply(b"5\r\nHTTP/\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")
    found = items((CLIENT, get()), (PROXY, chunked), (CLIENT, get()), (PROXY, SIZED))
    assert [item[1] for item in found] == [HEAD, HEAD, BODY, HEAD, HEAD, BODY]


def test_a_hole_in_a_record_leaves_the_borders_known() -> None:
    whole = record(23, bytes(100))
    found = items((CLIENT, whole[:20]), (CLIENT, 30), (CLIENT, whole[50:] + whole))
    assert found == [
        (CLIENT, RECORD, 0, 20), (CLIENT, GAP, 20, 50), (CLIENT, RECORD, 50, 105),
        (CLIENT, RECORD, 105, 210),
    ]  # fmt: skip


def test_a_hole_over_a_border_loses_them_until_a_record_begins() -> None:
    whole = record(23, bytes(100))
    found = items((CLIENT, whole[:20]), (CLIENT, 130), (CLIENT, whole[45:] + b"!"), (PROXY, whole),
                  (CLIENT, whole))  # fmt: skip
    assert found[:2] == [(CLIENT, RECORD, 0, 20), (CLIENT, GAP, 20, 150)]
    assert found[2][1] is RECORD  # the rest of the one that was begun
    assert found[-1] == (CLIENT, RECORD, 211, 316)


def test_an_unfinished_head_and_record_are_told_as_far_as_they_go() -> None:
    assert items((CLIENT, CONNECT[:30])) == [(CLIENT, HEAD, 0, 30)]
    assert items((CLIENT, record(22, bytes(50))[:30])) == [(CLIENT, RECORD, 0, 30)]
    assert items((CLIENT, b"GET"), (PROXY, b"x")) == [(CLIENT, BODY, 0, 3), (PROXY, BODY, 0, 1)]


PIECES = st.one_of(
    st.binary(max_size=40),
    st.integers(1, 300),
    st.sampled_from((CONNECT, ESTABLISHED, SIZED, get(), client_hello(), record(23, bytes(60)),
                     record(22, bytes(9))[:7], CONNECT[:40])),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from((CLIENT, PROXY)), PIECES), max_size=12))
def test_every_byte_is_in_one_item(said: list[Said]) -> None:
    at = [0, 0]
    for side, _, start, end in items(*said):
        assert start == at[side]
        assert end > start
        at[side] = end
    for side in (CLIENT, PROXY):
        told = [data for sender, data in said if sender == side]
        assert at[side] == sum(data if isinstance(data, int) else len(data) for data in told)


def test_behind_a_hole_records_are_found_again() -> None:
    first, second = record(23, bytes(100)), record(23, bytes(range(60, 160)) * 2)
    sent = first * 2 + second * 3
    found = items((CLIENT, sent[:20]), (CLIENT, 130), (CLIENT, sent[150:]))
    begun = len(first) * 2
    assert [item[1:4] for item in found] == [
        (RECORD, 0, 20), (GAP, 20, 150), (RECORD, 150, begun),
        *((RECORD, begun + at * len(second), begun + (at + 1) * len(second)) for at in range(3)),
    ]  # fmt: skip


@pytest.mark.parametrize("size", [1, 3, 4, 5, 50])
def test_they_are_found_however_they_come(size: int) -> None:
    sent = record(23, bytes(200)) + record(23, b"x" * 90) * 3
    parts = [(CLIENT, sent[at : at + size]) for at in range(150, len(sent), size)]
    found = items((CLIENT, sent[:20]), (CLIENT, 130), *parts)
    assert sum(item[3] - item[2] for item in found) == len(sent)
    assert [item[2:4] for item in found if item[3] - item[2] == 95] == [
        (205 + at * 95, 300 + at * 95) for at in range(3)
    ]
