"""Workers that look at the windows of a file in turn see together what one sees."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from capture.decode.columns import Decoded, Segments
from capture.decode.decoder import Decoder
from capture.decode.share import Share
from capture.frames import SourceInfo
from capture.shards import exchange, shown
from capture.shards.channel import Lost
from capture.shards.exchange import Exchange, Peers
from capture.shards.looks import looks
from capture.sources import open_source, windows
from capture.sources.recorded import RecordedSource
from tests.capture.shards.building import agree, everything, everything_as_pcap
from tests.capture.sources.building import enhanced, interface, ng_block, option, section

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="divided on Linux only")

WINDOW = 20_000
NANOSECONDS = option(9, b"\x09")
COMMENT = option(1, b"look here")
Frames = list[tuple[int, bytes, int]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in small windows."""
    monkeypatch.setattr(windows, "MAPPED", WINDOW)
    monkeypatch.setattr(windows, "RECORDS", 1)


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Offsets in the file at which somebody began to look for records."""
    at: list[int] = []
    look = RecordedSource.look

    def noted(source: RecordedSource) -> object:
        at.append(source.spot.position)
        return look(source)

    monkeypatch.setattr(RecordedSource, "look", noted)
    return at


def mapped(path: Path) -> RecordedSource:
    source = open_source(str(path))
    assert isinstance(source, RecordedSource)
    source.mapped = True
    return source


def alone(path: Path) -> tuple[list[Decoded], SourceInfo]:
    """What one process sees."""
    source, decoder = mapped(path), Decoder()
    decoded = [decoder.decode(block) for block in source.blocks()]
    source.close()
    return decoded, source.info


def together(path: Path, count: int) -> list[tuple[list[Decoded], SourceInfo]]:
    """What each of several workers sees; here they are threads."""
    means = Exchange(count)

    def work(index: int) -> tuple[list[Decoded], SourceInfo]:
        source, share = mapped(path), Share(index, count)
        decoder = Decoder(share)
        peers = Together(index, means._channels[index], means._memory)
        try:
            decoded = [decoder.decode_look(look) for look in looks(source, share, peers)]
        except BaseException:
            for channel in means._channels[index].values():
                channel.close()  # or the others would wait
            raise
        finally:
            source.close()
        return decoded, source.info

    with ThreadPoolExecutor(count) as pool:
        done = list(pool.map(work, range(count)))
    means.close()
    return done


class Together(Peers):
    """Threads share the memory, which none may give up for the others."""

    def part(self) -> None:
        pass


def columns(decoded: Sequence[Decoded], chosen: Share | None = None) -> dict[str, list[int]]:
    """All segments, or those of a share, with what they carry instead of where it lies."""
    parts = [item.segments for item in decoded]
    if chosen is not None:
        parts = [chosen.of(part) for part in parts]
    if not parts:
        return {}
    names = [item.name for item in fields(Segments) if item.name not in ("data", "payload_at")]
    found = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    payload = [
        bytes(part.data[at : at + size])
        for part in parts
        for at, size in zip(part.payload_at.tolist(), part.payload_captured.tolist(), strict=True)
    ]
    return {name: values.tolist() for name, values in found.items()} | {"payload": payload}


def same(path: Path, count: int) -> None:
    """All workers together see what one sees."""
    expected, info = alone(path)
    for index, (decoded, own) in enumerate(together(path, count)):
        assert columns(decoded) == columns(expected, Share(index, count))
        assert [item for part in decoded for item in part.dns] == [
            item for part in expected for item in part.dns
        ]
        assert own.warnings == info.warnings
        assert own.interfaces == info.interfaces
        assert own.comments == info.comments


def pcapng(frames: Frames, between: Callable[[int], bytes] = lambda number: b"") -> bytes:
    """A pcapng file; ``between``: what comes in front of a packet."""
    head = section() + interface(options=[NANOSECONDS])
    return head + b"".join(
        between(number) + enhanced(data, at, wirelen=wirelen)
        for number, (at, data, wirelen) in enumerate(frames, 1)
    )


@pytest.fixture(scope="module")
def frames() -> Frames:
    return list(everything(1))


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.pcap"
    path.write_bytes(everything_as_pcap())
    return path


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_frame_is_seen_as_by_one(capture: Path, count: int) -> None:
    same(capture, count)


@pytest.mark.parametrize("count", [2, 3])
def test_a_window_is_looked_at_by_one(capture: Path, count: int, looked: list[int]) -> None:
    together(capture, count)
    begun = sorted(looked)
    # All look at the first window. Of the others none is looked at twice, up to the last.
    assert begun[:count] == [begun[0]] * count
    rest = begun[count:]
    assert len(rest) > 50
    assert len(set(rest)) == len(rest)
    assert all(0 < after - before <= WINDOW for before, after in pairwise(rest))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-7], id="cut in a frame"),
        pytest.param(lambda data: data + b"\1\2\3", id="cut in a header"),
        pytest.param(lambda data: data[: WINDOW * 3], id="a few windows"),
        pytest.param(lambda data: data + b"\xff" * 100 + data[24:], id="corrupt"),
        pytest.param(lambda data: data[:24], id="no packet"),
        pytest.param(lambda data: data[:400], id="one window"),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_damage_is_told_by_all(capture: Path, damage: Callable[[bytes], bytes], count: int) -> None:
    capture.write_bytes(damage(capture.read_bytes()))
    same(capture, count)


def test_a_record_longer_than_a_window_is_read_by_all(capture: Path) -> None:
    whole, size = capture.read_bytes(), 3 * WINDOW
    time, records = whole[24:32], whole[24:]
    capture.write_bytes(whole + time + struct.pack("<II", size, size) + bytes(size) + records)
    same(capture, 2)


def test_a_pcapng_file_is_looked_at_in_turn(
    tmp_path: Path, frames: Frames, looked: list[int]
) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(pcapng(frames))
    same(path, 2)
    rest = sorted(looked)[2:]
    assert len(rest) > 20
    assert len(set(rest)) == len(rest)


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(interface(options=[NANOSECONDS, COMMENT]), id="interface"),
        pytest.param(section() + interface(linktype=101), id="section"),
        pytest.param(section() + interface(options=[NANOSECONDS]), id="like section"),
        pytest.param(ng_block(0x80000001, bytes(100)), id="unknown block"),
        pytest.param(enhanced(bytes(60), number=7), id="unknown interface"),
        pytest.param(enhanced(bytes(60), options=COMMENT), id="comment"),
        pytest.param(b"\xff" * 40, id="corrupt"),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_what_a_pcapng_file_says_between_packets_is_heard_by_all(
    tmp_path: Path, frames: Frames, block: bytes, count: int
) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(pcapng(frames, lambda number: block if number in (500, 501, 1500) else b""))
    same(path, count)


def test_link_types_in_one_window(tmp_path: Path, frames: Frames) -> None:
    path = tmp_path / "capture.pcapng"
    data = section() + interface(options=[NANOSECONDS]) + interface(linktype=113)
    for number, (at, frame, wirelen) in enumerate(frames):
        data += enhanced(frame, at, number=number > 900 and number % 2, wirelen=wirelen)
    path.write_bytes(data)
    same(path, 2)


def test_a_window_without_room_is_read_by_all(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (exchange, shown):
        monkeypatch.setattr(module, "ROOM", 8192)
    same(capture, 2)


def test_who_waits_for_a_worker_that_is_gone_is_told(capture: Path) -> None:
    means, source = Exchange(2), mapped(capture)
    worker = looks(source, Share(1, 2), means.of(1))
    next(worker)
    with pytest.raises(Lost):
        next(worker)
    means.close()
    source.close()


@pytest.mark.parametrize("count", [2, 3])
def test_a_pcapng_file_makes_the_same_table(tmp_path: Path, frames: Frames, count: int) -> None:
    path = tmp_path / "capture.pcapng"
    path.write_bytes(pcapng(frames))
    agree(path, count)
