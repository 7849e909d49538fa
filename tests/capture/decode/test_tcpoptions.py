from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decode.columns import (
    OPT_MSS,
    OPT_SACK,
    OPT_SACK_PERMITTED,
    OPT_TIMESTAMPS,
    OPT_WSCALE,
    SYN,
)
from tests.capture.decode.building import Frame, decode

ACK = 16
MSS = b"\x02\x04\x05\xb4"
WSCALE = b"\x03\x03\x07"
PERMITTED = b"\x04\x02"
TIMESTAMPS = b"\x08\x0a" + bytes(8)
SACK = b"\x05\x12" + struct.pack(">IIII", 0xFFFFFFF0, 5, 9, 10)
NOP, END = b"\x01", b"\x00"


def frame(options: bytes, flags: int, payload: bytes = b"data", version: int = 4) -> Frame:
    """A frame whose TCP header holds the options, padded with zeros."""
    options += bytes(-len(options) % 4)
    size = 20 + len(options)
    tcp = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, size // 4 << 4, flags, 5, 6, 0) + options
    length = len(tcp) + len(payload)
    if version == 4:
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + length, 0, 0, 64, 6, 0, 7, 8)
        return Frame(bytes(12) + b"\x08\x00" + ip + tcp + payload)
    ip = struct.pack(">IHBB", 0x60000000, length, 6, 64) + bytes(32)
    return Frame(bytes(12) + b"\x86\xdd" + ip + tcp + payload)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("options", "flags", "bits", "mss", "wscale", "sack"),
    [
        (b"", SYN, 0, 0, -1, (-1, -1)),
        (
            MSS + PERMITTED + TIMESTAMPS + NOP + WSCALE,
            SYN,
            OPT_MSS | OPT_SACK_PERMITTED | OPT_TIMESTAMPS | OPT_WSCALE,
            1460,
            7,
            (-1, -1),
        ),
        (NOP * 2 + TIMESTAMPS, ACK, OPT_TIMESTAMPS, 0, -1, (-1, -1)),
        (TIMESTAMPS + NOP * 2, ACK, OPT_TIMESTAMPS, 0, -1, (-1, -1)),
        (NOP * 2 + SACK, ACK, OPT_SACK, 0, -1, (0xFFFFFFF0, 5)),
        (
            NOP * 2 + TIMESTAMPS + NOP * 2 + SACK,
            ACK,
            OPT_TIMESTAMPS | OPT_SACK,
            0,
            -1,
            (0xFFFFFFF0, 5),
        ),
        # Outside of a SYN these two mean nothing.
        (MSS + WSCALE, ACK, 0, 0, -1, (-1, -1)),
        (WSCALE + END + MSS, SYN, OPT_WSCALE, 0, 7, (-1, -1)),
        # Wrong lengths: below two, beyond the header, not the option's.
        (MSS + b"\x03\x00" + PERMITTED, SYN, OPT_MSS, 1460, -1, (-1, -1)),
        (MSS + b"\x05\xff" + PERMITTED, SYN, OPT_MSS, 1460, -1, (-1, -1)),
        (b"\x02\x03\x05" + WSCALE, SYN, OPT_WSCALE, 0, 7, (-1, -1)),
        (b"\x05\x06" + bytes(4), ACK, 0, 0, -1, (-1, -1)),
        (b"\xfe\x05abc" + WSCALE, SYN, OPT_WSCALE, 0, 7, (-1, -1)),
        (NOP * 39 + b"\x02", SYN, 0, 0, -1, (-1, -1)),
        (NOP * 36 + MSS, SYN, OPT_MSS, 1460, -1, (-1, -1)),
    ],
)  # fmt: skip
def test_options(
    version: int,
    options: bytes,
    flags: int,
    bits: int,
    mss: int,
    wscale: int,
    sack: tuple[int, int],
) -> None:
    (segment,) = decode([frame(options, flags, version=version)]).segments
    assert segment["options"] == bits
    assert (segment["mss"], segment["wscale"]) == (mss, wscale)
    assert (segment["sack_left"], segment["sack_right"]) == sack
    assert segment["payload"] == b"data"


@given(st.lists(st.tuples(st.binary(max_size=40), st.sampled_from([SYN, ACK])), max_size=8))
def test_any_options_are_harmless(cases: list[tuple[bytes, int]]) -> None:
    frames = [frame(options, flags) for options, flags in cases]
    result = decode(frames)
    assert len(result.segments) == len(frames)
    assert result.segments == decode(frames, block_size=1).segments


def test_a_cut_inside_the_options_keeps_the_segment() -> None:
    whole = frame(MSS + PERMITTED + TIMESTAMPS + NOP + WSCALE, SYN)
    size = len(whole.data)
    cuts = [Frame(whole.data[:cut], wirelen=size) for cut in range(54, size + 1)]
    segments = decode(cuts).segments
    assert len(segments) == len(cuts)
    for cut, segment in zip(cuts, segments, strict=True):
        captured = len(cut.data) - 54
        assert segment["mss"] == (1460 if captured >= 4 else 0)
        assert segment["wscale"] == (7 if captured >= 20 else -1)
        assert segment["length"] == 4
        assert segment["payload"] == b"data"[: max(0, captured - 20)]


def test_length_zero_of_an_offload_means_the_frame() -> None:
    whole = frame(NOP * 2 + TIMESTAMPS, ACK, bytes(3000))
    zero = whole.data[:16] + b"\0\0" + whole.data[18:]
    for linktype, data in ((1, zero), (101, zero[14:])):
        (segment,) = decode([Frame(data, linktype)]).segments
        assert (segment["length"], segment["ip_length"]) == (3000, 3052)
    jumbo = frame(b"", ACK, bytes(3000), version=6).data
    (segment,) = decode([Frame(jumbo[:18] + b"\0\0" + jumbo[20:])]).segments
    assert (segment["length"], segment["ip_length"]) == (3000, 3060)
    (segment,) = decode([Frame(zero[:100], wirelen=len(zero))]).segments
    assert (segment["length"], segment["payload_captured"]) == (3000, 34)
