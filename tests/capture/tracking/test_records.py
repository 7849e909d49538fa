"""Record borders: found wherever segments and blocks cut the stream."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY, TlsDirection
from capture.tracking.records import ALERT, DATA, FEW, LOST, MAX_RECORD, RECORDS
from tests.capture.tracking.building import Tracked, every, story, track
from tests.capture.tracking.test_payload import ASKED, TOLD, TUNNEL

HELLO = "1603030004" + "02000000"
"""A handshake record with an empty ServerHello: no more than a first record has to be."""

START = 1 + TOLD


def record(kind: int, size: int) -> bytes:
    return bytes([kind, 3, 3, size >> 8, size & 255]) + bytes(at & 0xFF for at in range(size))


def tunnel(pieces: list[bytes], *, flows: int = 1, lost: frozenset[int] = frozenset()) -> list[str]:
    """A tunnel per client port in which the proxy sends these pieces after its hello."""
    lines = []
    for port in range(50_000, 50_000 + flows):
        opening = TUNNEL.replace("\n", f" port={port}\n").splitlines()
        lines += [line for line in opening if len(line.split()) > 3]
        lines.append(f"75 c PA {1 + ASKED} {START} b={HELLO} port={port}")
        lines.append(f"76 p PA {START} {1 + ASKED + 9} b={HELLO} port={port}")
    seq = START + 9
    for at, piece in enumerate(pieces):
        for port in range(50_000, 50_000 + flows):
            if at not in lost:
                lines.append(f"{80 + at} p A {seq} {1 + ASKED + 9} b={piece.hex()} port={port}")
        seq += len(piece)
    return lines


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % len(stream) for place in places} - {0} | {len(stream)})
    return [stream[left:right] for left, right in zip([0, *ends], ends, strict=False)]


def side_of(seen: Tracked, flow: int = 0) -> TlsDirection:
    tls = seen.facts(flow).tls
    assert tls is not None
    return tls.sides[PROXY]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from([20, 22, DATA, DATA, DATA]), st.integers(1, 300)),
        min_size=1,
        max_size=12,
    ),
    st.lists(st.integers(0, 4000), max_size=12),
    st.sampled_from([1, 2, FEW, FEW + 3]),
    st.integers(1, 40),
    st.booleans(),
)
def test_borders(
    records: list[tuple[int, int]], places: list[int], flows: int, block: int, whole: bool
) -> None:
    """As a plain walk of the stream finds them, one direction or many at a time."""
    stream = b"".join(record(kind, size) for kind, size in records)
    missing = 0
    if not whole:
        missing = min(7, records[-1][1])
        stream = stream[: len(stream) - missing]
    built = story("\n".join(tunnel(cut(stream, places), flows=flows)))
    seen = track(built.frames, every(block, built.frames))
    assert seen.tracker.payload.conversations == {}
    for flow in range(flows):
        side = side_of(seen, flow)
        assert side.count == 1 + len(records)
        assert side.last is not None
        assert (side.last.type, side.last.length) == records[-1]
        assert side.missing == missing
        first = next((at for at, (kind, _) in enumerate(records) if kind == DATA), None)
        before = sum(size + 5 for _, size in records[:first])
        app_bytes = 0 if first is None else len(stream) - before
        # The first record's header counts or not where a segment border cuts it.
        assert side.app_bytes in range(max(0, app_bytes - 5), app_bytes + 1)


@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize("flows", [1, FEW + 1])
def test_borders_are_lost_with_a_segment_and_found_again(flows: int, block: int) -> None:
    opening = [record(DATA, 30)] * 10
    lost = record(DATA, 200) + record(DATA, 50)[:20]
    pieces = [*opening, lost, record(DATA, 50)[20:], record(DATA, 70)]
    built = story("\n".join(tunnel(pieces, flows=flows, lost=frozenset({10}))))
    seen = track(built.frames, every(block, built.frames))
    for flow in range(flows):
        assert seen.tracker.table.sides.mode[2 * flow + 1] in (RECORDS, LOST)
        side = side_of(seen, flow)
        assert side.last is not None
        assert side.last.length in (30, 70)
        assert side.missing in (0, None)
        assert side.count >= 11


@pytest.mark.parametrize("flows", [1, FEW + 1])
@pytest.mark.parametrize("junk", [b"\x99" * 40, b"\x17\x04\x00\x00\x10" + bytes(16),
                                  b"\x17\x03\x03\xff\xff" + bytes(16)])  # fmt: skip
def test_what_is_no_record_ends_the_walk(junk: bytes, flows: int) -> None:
    assert int.from_bytes(b"\xff\xff", "big") > MAX_RECORD
    built = story("\n".join(tunnel([record(DATA, 30), junk], flows=flows)))
    seen = track(built.frames)
    for flow in range(flows):
        side = side_of(seen, flow)
        assert side.missing is None
        assert side.count == 2
        assert side.last is not None
        assert side.last.length == 30


@pytest.mark.parametrize("block", [1, 100])
@pytest.mark.parametrize("flows", [1, FEW + 1])
def test_a_clear_alert_far_inside(flows: int, block: int) -> None:
    """Behind what is kept of the opening."""
    pieces = [record(DATA, 30)] * 12 + [bytes([ALERT, 3, 3, 0, 2, 2, 80])]
    built = story("\n".join(tunnel(pieces, flows=flows)))
    seen = track(built.frames, every(block, built.frames))
    for flow in range(flows):
        tls = seen.facts(flow).tls
        assert tls is not None
        (alert,) = tls.alerts
        assert (alert.level, alert.code, alert.sender) == (2, 80, PROXY)
        assert tls.sides[CLIENT].count == 1


def test_a_direction_with_nothing_but_its_hello() -> None:
    seen = track(story("\n".join(tunnel([record(DATA, 30)]))).frames)
    tls = seen.facts().tls
    assert tls is not None
    assert (tls.sides[CLIENT].count, tls.sides[CLIENT].missing) == (1, 0)
    assert tls.sides[CLIENT].app_bytes == 0
