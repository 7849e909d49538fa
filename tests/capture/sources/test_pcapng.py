from __future__ import annotations

import contextlib
import itertools
import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import UnreadableInput
from capture.sources import open_source, windows
from tests.capture.sources.building import (
    CAPTURES,
    enhanced,
    interface,
    ng_block,
    obsolete,
    option,
    pcap_record,
    read,
    section,
    simple,
)

START = 1_700_000_000


def written(tmp_path: Path, *blocks: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"".join(blocks))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_packet_blocks_of_every_kind(tmp_path: Path, order: str) -> None:
    ticks = START * 10**6 + 42
    path = written(
        tmp_path,
        section(order),
        interface(order, 113, 4),
        enhanced(b"abcde", ticks, wirelen=9, order=order),
        ng_block(0x0BAD, b"what is this".ljust(16), order),
        obsolete(b"old", ticks + 1, order=order),
        simple(b"snap", 77, order),
        enhanced(b"", ticks + 2, order=order),
    )
    got, info = read(path)
    assert [(frame.data, frame.wirelen) for frame in got] == [
        (b"abcde", 9),
        (b"old", 3),
        (b"snap", 77),
        (b"", 0),
    ]
    nano = START * 10**9
    assert [frame.time_ns for frame in got] == [nano + 42_000, nano + 43_000, 0, nano + 44_000]
    assert {frame.linktype for frame in got} == {113}
    assert info.warnings == []
    assert info.times_known
    content = path.read_bytes()
    assert all(content[f.position : f.position + len(f.data)] == f.data for f in got)


def test_simple_packets_only_have_no_times(tmp_path: Path) -> None:
    got, info = read(written(tmp_path, section(), interface(snaplen=0), simple(b"abc")))
    assert got[0].data == b"abc"
    assert not info.times_known


def test_no_packets_is_no_error(tmp_path: Path) -> None:
    got, info = read(written(tmp_path, section(), interface()))
    assert got == []
    assert info.times_known
    assert info.warnings == []


@pytest.mark.parametrize(
    ("resolution", "ticks", "expected"),
    [
        (6, START * 10**6, START * 10**9),
        (9, START * 10**9 + 1, START * 10**9 + 1),
        (3, START * 1000 + 7, START * 10**9 + 7_000_000),
        (0, START, START * 10**9),
        (12, (1000 * 10**12) + 1999, 1000 * 10**9 + 1),
        (0x80 | 10, START << 10 | 512, START * 10**9 + 500_000_000),
        (0x80 | 32, START << 32 | 1 << 31, START * 10**9 + 500_000_000),
        (0x80 | 40, 1000 << 40 | 1 << 38, 1000 * 10**9 + 250_000_000),
        (0x80 | 0, START, START * 10**9),
        (0x80 | 127, 5, 0),
        (127, 5, 0),
    ],
)
def test_resolutions(tmp_path: Path, resolution: int, ticks: int, expected: int) -> None:
    options = [option(9, bytes([resolution])), option(0, b"")]
    got, _ = read(written(tmp_path, section(), interface(options=options), enhanced(b"x", ticks)))
    assert got[0].time_ns == expected


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("offset", [3600, -3600])
def test_time_offset(tmp_path: Path, order: str, offset: int) -> None:
    options = [option(14, struct.pack(f"{order}q", offset), order)]
    got, _ = read(
        written(
            tmp_path,
            section(order),
            interface(order, options=options),
            enhanced(b"x", START * 10**6, order=order),
        )
    )
    assert got[0].time_ns == (START + offset) * 10**9


def test_sections_and_interfaces(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        section("<", option(1, b"first\x1b[31m")),
        interface("<", 1, options=[option(2, b"eth0\0"), option(11, b"\0port 80")]),
        enhanced(b"one", START * 10**6),
        interface("<", 101, options=[option(9, b"\x09"), option(2, b"tun0")]),
        enhanced(b"two", START * 10**9, 1),
        enhanced(b"three", START * 10**6, 0),
        section(">"),
        interface(">", 276, options=[option(2, b"any", ">")]),
        enhanced(b"four", START * 10**6, order=">"),
    )
    got, info = read(path)
    assert [(f.data, f.linktype, f.interface, f.time_ns) for f in got] == [
        (b"one", 1, 0, START * 10**9),
        (b"two", 101, 1, START * 10**9),
        (b"three", 1, 0, START * 10**9),
        (b"four", 276, 2, START * 10**9),
    ]
    assert [item.name for item in info.interfaces] == ["eth0", "tun0", "any"]
    assert info.interfaces[0].filter == "port 80"
    assert info.comments == ["first·[31m"]
    assert info.warnings == []


def test_packet_comments_name_their_packet(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        section(),
        interface(),
        enhanced(b"abc", 1),
        enhanced(b"defg", 2, options=option(1, b"look here") + option(0, b"")),
        enhanced(b"h", 3, options=option(2, bytes(4)) + option(0, b"")),
    )
    assert read(path)[1].comments == ["packet 2: look here"]


def statistics(number: int, *drops: tuple[int, int]) -> bytes:
    options = b"".join(option(code, struct.pack("<Q", count)) for code, count in drops)
    return ng_block(5, struct.pack("<III", number, 0, 0) + options + option(0, b""))


def test_drop_counts_are_totals_by_interface(tmp_path: Path) -> None:
    head = [section(), interface(), interface()]
    assert read(written(tmp_path, *head))[1].lost_kernel is None
    assert read(written(tmp_path, *head, statistics(0, (5, 0))))[1].lost_kernel == 0
    path = written(
        tmp_path,
        *head,
        statistics(0, (5, 3)),
        statistics(0, (5, 10), (7, 1)),
        statistics(1, (7, 5)),
        statistics(9, (5, 1000)),
    )
    assert read(path)[1].lost_kernel == 16


def test_packet_of_an_interface_that_is_not_described(tmp_path: Path) -> None:
    got, info = read(written(tmp_path, section(), interface(), enhanced(b"abc", 0, 7)))
    assert got[0].data == b"abc"
    assert got[0].linktype == 0xFFFF
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]


def test_no_interface_at_all(tmp_path: Path) -> None:
    got, info = read(written(tmp_path, section(), enhanced(b"abc"), simple(b"defg")))
    assert [frame.data for frame in got] == [b"abc", b"defg"]
    assert {warning.code for warning in info.warnings} == {"corrupt-record"}


@pytest.mark.parametrize("claimed", [8, 1000, 0xFFFFFFFF])
def test_packet_that_claims_more_than_its_block(tmp_path: Path, claimed: int) -> None:
    body = struct.pack("<IIIII", 0, 0, 0, claimed, claimed) + b"data"
    path = written(
        tmp_path, section(), interface(), enhanced(b"ok"), ng_block(6, body), enhanced(b"after")
    )
    got, info = read(path)
    assert [frame.data for frame in got] == [b"ok", b"data", b"after"]
    assert "packet 2" in info.warnings[0].message


@pytest.mark.parametrize("kind", [2, 3, 6])
def test_packet_block_too_short_for_its_fields(tmp_path: Path, kind: int) -> None:
    for size in (0, 4, 16):
        path = written(tmp_path, section(), interface(), ng_block(kind, bytes(size)))
        got, _ = read(path)
        assert len(got) == 1
        assert len(got[0].data) <= 12


@pytest.mark.parametrize("length", [0, 4, 11, 0x7FFFFFFF])
def test_impossible_block_length(tmp_path: Path, length: int) -> None:
    bad = struct.pack("<II", 6, length) + bytes(40)
    got, info = read(written(tmp_path, section(), interface(), enhanced(b"ok"), bad))
    assert [frame.data for frame in got] == [b"ok"]
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]


def test_lengths_that_contradict(tmp_path: Path) -> None:
    bad = enhanced(b"abc")[:-4] + struct.pack("<I", 99)
    got, info = read(
        written(tmp_path, section(), interface(), enhanced(b"ok"), bad, enhanced(b"z"))
    )
    assert [frame.data for frame in got] == [b"ok"]
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]


@pytest.mark.parametrize("keep", [1, 11, 12, 40])
def test_cut_in_a_block(tmp_path: Path, keep: int) -> None:
    got, info = read(
        written(tmp_path, section(), interface(), enhanced(b"ok"), enhanced(bytes(40))[:keep])
    )
    assert [frame.data for frame in got] == [b"ok"]
    assert [warning.code for warning in info.warnings] == ["truncated-file"]
    assert "packet 2" in info.warnings[0].message


def test_second_section_header_is_damaged(tmp_path: Path) -> None:
    path = written(tmp_path, section(), interface(), enhanced(b"ok"), section()[:8] + bytes(20))
    got, info = read(path)
    assert [frame.data for frame in got] == [b"ok"]
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]


def test_first_section_header_is_damaged(tmp_path: Path) -> None:
    path = written(tmp_path, section()[:8] + bytes(40))
    with pytest.raises(UnreadableInput, match="section header"):
        read(path)


def test_cut_in_the_first_section_header(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput):
        read(written(tmp_path, section()[:20]))


def test_dumpcap_file_like_the_pcap_of_tcpdump() -> None:
    got, info = read(CAPTURES / "01m_success_pcapng.pcapng")
    assert len(got) > 20
    assert info.format == "pcapng"
    assert info.warnings == []
    assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(got))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    order=st.sampled_from("<>"),
    count=st.integers(200, 900),
    kind=st.sampled_from(["enhanced", "simple", "mixed"]),
)
def test_payloads_full_of_blocks(
    tmp_path_factory: pytest.TempPathFactory, seed: int, order: str, count: int, kind: str
) -> None:
    """A capture that carries captures, in several sections: no frame may be made up."""
    rng = random.Random(seed)
    frames = []
    blocks = [section(order), interface(order, snaplen=0)]
    for index in range(count):
        data = rng.choice(
            [
                b"",
                rng.randbytes(rng.randrange(200)),
                enhanced(b"inner", order=order) * 3,
                enhanced(b"inner", order=order)[: rng.randrange(40)],
                pcap_record(b"inner"),
            ]
        )
        frames.append(data)
        if kind == "simple" or (kind == "mixed" and index % 3 == 0):
            blocks.append(simple(data, order=order))
        else:
            blocks.append(enhanced(data, START * 10**6 + index, order=order))
        if kind == "mixed" and rng.random() < 0.01:
            order = rng.choice("<>")
            blocks += [section(order), interface(order, snaplen=0)]
    path = tmp_path_factory.getbasetemp() / f"ng-{seed}-{count}"
    path.write_bytes(b"".join(blocks))
    try:
        got, info = read(path)
    finally:
        path.unlink()
    assert [frame.data for frame in got] == frames
    assert info.warnings == []


def test_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    frames = [rng.randbytes(rng.choice((0, 60, 1514))) for _ in range(1500)]
    blocks = [section(), interface(), *(enhanced(data, START * 10**6) for data in frames)]
    blocks[700:700] = [section(">"), interface(">")]
    blocks[702:] = [enhanced(data, START * 10**6, order=">") for data in frames[698:]]
    path = written(tmp_path, *blocks)
    monkeypatch.setattr(windows, "BLOCK", 65_536)
    got, info = read(path)
    assert [frame.data for frame in got] == frames
    assert len(info.interfaces) == 2


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 30))
def test_damage_anywhere_is_survived(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray((CAPTURES / "01m_success_pcapng.pcapng").read_bytes())
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path = tmp_path_factory.getbasetemp() / f"damaged-{seed}"
    path.write_bytes(data[: rng.randrange(30, len(data))])
    with contextlib.suppress(UnreadableInput), contextlib.closing(open_source(str(path))) as source:
        for block in source.blocks():
            ends = block.offset + block.caplen
            assert (block.offset >= 0).all()
            assert (block.caplen >= 0).all()
            assert (ends <= len(block.data)).all()
            assert (block.wirelen >= block.caplen).all()
            assert (block.interface < len(source.info.interfaces)).all()
    path.unlink()


def test_section_header_is_the_last_block(tmp_path: Path) -> None:
    packets = enhanced(b"abc", START * 10**6)
    got, info = read(written(tmp_path, section(), interface(), packets, section()))
    assert len(got) == 1
    assert info.warnings == []


def test_many_short_sections_come_as_one_block(tmp_path: Path) -> None:
    # The last one is longer than what is looked at once behind short ones.
    short = section() + interface() + enhanced(b"abc", START * 10**6)
    long = section() + interface() + enhanced(bytes(9000), START * 10**6) * 3
    path = written(tmp_path, short * 300, long, short)
    got, info = read(path)
    assert [len(frame.data) for frame in got] == [3] * 300 + [9000] * 3 + [3]
    assert [frame.interface for frame in got] == [*range(301), 300, 300, 301]
    assert info.warnings == []
    source = open_source(str(path))
    assert [len(block) for block in source.blocks()] == [304]
    source.close()
