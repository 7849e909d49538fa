"""The bench's traffic is what it says: whole, in order, the same each time. No timings."""

from __future__ import annotations

import io
import itertools
import struct
from collections import defaultdict

import numpy as np
import pytest

from bench.generate import Preset, write
from bench.traffic import slices

SMALL = Preset(packets=1_000, tunnels=12, seconds=30)
SHORT = Preset(packets=1_000, tunnels=54, seconds=30)


def records(data: bytes) -> list[tuple[float, bytes]]:
    at, found = 24, []
    while at < len(data):
        seconds, micro, caplen, wirelen = struct.unpack_from("<IIII", data, at)
        assert caplen == wirelen
        found.append((seconds + micro / 1e6, data[at + 16 : at + 16 + caplen]))
        at += 16 + caplen
    assert at == len(data)
    return found


@pytest.mark.parametrize("preset", [SMALL, SHORT])
def test_a_file_holds_what_was_asked_in_order(preset: Preset) -> None:
    out = io.BytesIO()
    assert write(out, preset) == preset.packets
    frames = records(out.getvalue())
    assert len(frames) == preset.packets
    times = [time for time, _ in frames]
    assert times == sorted(times)
    flows = {frozenset([f[26:30] + f[34:36], f[30:34] + f[36:38]]) for _, f in frames}
    assert 0.5 * preset.tunnels <= len(flows) <= 2 * preset.tunnels


def test_a_file_is_the_same_each_time_and_another_with_another_seed() -> None:
    first, again, other = io.BytesIO(), io.BytesIO(), io.BytesIO()
    write(first, SMALL)
    write(again, SMALL)
    write(other, SMALL, seed=2)
    assert first.getvalue() == again.getvalue() != other.getvalue()


def test_ip_headers_check_and_lengths_agree() -> None:
    out = io.BytesIO()
    write(out, SHORT)
    for _, frame in records(out.getvalue()):
        words = struct.unpack(">10H", frame[14:34])
        total = sum(words)
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
        assert words[1] == len(frame) - 14


def test_streams_have_no_holes() -> None:
    expected: dict[tuple[int, int], int] = {}
    payloads: dict[tuple[int, int], int] = defaultdict(int)
    for rows in slices(*SMALL, seed=1):
        for flow, sender, flags, seq, length in zip(
            rows.flow.tolist(), rows.sender.tolist(), rows.flags.tolist(),
            rows.seq.tolist(), rows.length.tolist(), strict=True,
        ):  # fmt: skip
            key = (flow, sender)
            step = (seq - expected.get(key, seq)) & 0xFFFFFFFF
            assert step == 0 or step > 1 << 31, "a segment begins beyond the last one's end"
            if step == 0:
                expected[key] = (seq + length + bool(flags & 3)) & 0xFFFFFFFF
            payloads[key] += length
    assert max(payloads.values()) > 10_000


def test_slices_meet_without_going_back_in_time() -> None:
    parts = list(slices(600_000, 3_000, 100.0, seed=3))
    assert len(parts) > 1
    assert sum(len(part.time) for part in parts) == 600_000
    for earlier, later in itertools.pairwise(parts):
        assert earlier.time[-1] <= later.time[0]
    assert all(np.all(np.diff(part.time) >= 0) for part in parts)
