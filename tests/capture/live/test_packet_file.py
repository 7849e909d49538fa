from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.frames import Interface, SourceInfo, rows_of
from capture.keeping.store import FrameGone
from capture.live.packet_file import PacketFile
from capture.live.rotation import ring_name, spool_limits
from capture.live.settings import CaptureSettings, Ring, StopWhen
from capture.writing.files import UnwritableFile
from tests.capture.sources.building import read
from tests.capture.writing.building import block_of

FRAMES = [bytes([65 + n]) * (60 + n) for n in range(20)]
SIZE = 32 + 60
"""Bytes of the first frame's block."""


def live() -> SourceInfo:
    return SourceInfo("eth0", "live", interfaces=[Interface(1, "eth0", 262_144, "port 80")])


def packet_file(
    path: Path | None, ring: Ring | None = None, stop: StopWhen | None = None
) -> PacketFile:
    wanted = CaptureSettings(
        ("eth0",), write=str(path) if path else None, ring=ring, stop=stop or StopWhen()
    )
    return PacketFile(live(), wanted)


def data_of(path: Path) -> list[bytes]:
    frames, info = read(path)
    assert not info.warnings
    return [frame.data for frame in frames]


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def test_packets_are_there_at_once(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "a.pcapng")
    positions = kept.append(block_of(FRAMES, gap=5))
    assert data_of(tmp_path / "a.pcapng") == FRAMES
    found = [kept.store.frame(p, len(f)) for p, f in zip(positions, FRAMES, strict=True)]
    assert found == FRAMES
    assert kept.bytes == (tmp_path / "a.pcapng").stat().st_size
    assert kept.path == str(tmp_path / "a.pcapng")
    assert stat.S_IMODE((tmp_path / "a.pcapng").stat().st_mode) == 0o600
    kept.close()
    kept.close()
    assert kept.store.frame(int(positions[3]), len(FRAMES[3])) == FRAMES[3]
    assert kept.append(block_of(FRAMES)).tolist() == [-1] * len(FRAMES)


def test_what_interfaces_lost(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "a")
    kept.append(block_of(FRAMES))
    kept.set_losses(0, 30, 6, 4)
    kept.flush()
    assert read(tmp_path / "a")[1].lost_kernel == 10, "told before the end"
    kept.set_losses(0, 40, 7, 4)
    kept.close()
    assert read(tmp_path / "a")[1].lost_kernel == 11


def test_interfaces_that_come_later(tmp_path: Path) -> None:
    info = live()
    kept = PacketFile(info, CaptureSettings((), write=str(tmp_path / "a")))
    kept.append(block_of(FRAMES[:1]))
    info.interfaces.append(Interface(276, "any"))
    kept.append(block_of(FRAMES[:3], interfaces=[1, 0, 1], linktypes=[276, 1, 113]))
    kept.close()
    frames, found = read(tmp_path / "a")
    assert [frame.linktype for frame in frames] == [1, 276, 1, 113]
    names = [found.interfaces[frame.interface].name for frame in frames]
    assert names == ["eth0", "any", "eth0", "any"]


def test_an_older_file_stays_for_its_readers(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"older")
    with path.open("rb") as reader:
        packet_file(path).close()
        assert reader.read() == b"older"
    assert data_of(path) == []


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    kept = packet_file(tmp_path / "link")
    kept.append(block_of(FRAMES))
    assert (tmp_path / "link").is_symlink()
    assert data_of(tmp_path / "real") == FRAMES


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is no regular file"),
        ("none/file", "no such file or directory"),
        ("a\0b", "not a file name"),
        ("x" * 300, "file name too long"),
    ],
)
def test_refused(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(UnwritableFile, match=why):
        packet_file(tmp_path / name)


def test_standard_output_and_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnwritableFile, match="name a file"):
        PacketFile(live(), CaptureSettings((), write="-"))
    (tmp_path / "in").write_bytes(b"in")
    (tmp_path / "same").hardlink_to(tmp_path / "in")
    wanted = CaptureSettings((), write=str(tmp_path / "same"))
    with pytest.raises(UnwritableFile, match="being read"):
        PacketFile(live(), wanted, reading=[str(tmp_path / "in")])
    assert (tmp_path / "in").read_bytes() == b"in"


# -- several files --------------------------------------------------------------------


def test_names_are_those_of_dumpcap(tmp_path: Path) -> None:
    assert re.fullmatch(r"/a\.b/c_00001_20\d{12}", ring_name("/a.b/c", 1))
    assert re.fullmatch(r"c\.tar_99999_\d{14}\.gz", ring_name("c.tar.gz", 99_999))
    assert re.fullmatch(r"c_00000_\d{14}\.pcapng", ring_name("c.pcapng", 100_000))


def test_ring_by_packets(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "r.pcapng", Ring(packets=6, files=2))
    positions = kept.append(block_of(FRAMES))
    kept.close()
    files = files_in(tmp_path)
    assert [file.name[:8] for file in files] == ["r_00003_", "r_00004_"]
    assert [data_of(file) for file in files] == [FRAMES[12:18], FRAMES[18:]]
    assert kept.store.frame(int(positions[12]), len(FRAMES[12])) == FRAMES[12]
    with pytest.raises(FrameGone, match="only the newest"):
        kept.store.frame(int(positions[11]), len(FRAMES[11]))


def test_ring_by_size_cuts_where_dumpcap_does(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "r", Ring(filesize_kb=1))
    kept.append(block_of(FRAMES))
    kept.append(block_of(FRAMES))
    kept.close()
    files = files_in(tmp_path)
    assert [frame for file in files for frame in data_of(file)] == FRAMES + FRAMES
    for file in files[:-1]:
        size = file.stat().st_size
        assert size >= 1000 > size - (size_of_last(file))


def size_of_last(file: Path) -> int:
    return 32 + (len(data_of(file)[-1]) + 3 & ~3)


def test_ring_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    kept = packet_file(tmp_path / "r", Ring(duration_s=10))
    now[0] += 60
    kept.flush()
    assert len(files_in(tmp_path)) == 1, "a file without packets is not changed"
    kept.append(block_of(FRAMES[:2]))
    now[0] += 9
    kept.append(block_of(FRAMES[2:4]))
    now[0] += 1
    kept.flush()
    kept.append(block_of(FRAMES[4:]))
    assert [data_of(file) for file in files_in(tmp_path)] == [FRAMES[:4], FRAMES[4:]]


def test_many_files_are_opened_again(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "r", Ring(packets=1))
    before = len(os.listdir("/dev/fd"))
    positions = kept.append(block_of(FRAMES * 10)).tolist()
    assert len(os.listdir("/dev/fd")) < before + 60
    assert kept.store.frame(positions[0], len(FRAMES[0])) == FRAMES[0]
    first = files_in(tmp_path)[0]
    first.rename(tmp_path / "else")
    with pytest.raises(FrameGone, match="cannot be read"):
        kept.store.frame(positions[0], len(FRAMES[0]))
    first.write_bytes(b"x" * 1000)
    with pytest.raises(FrameGone, match="another file"):
        kept.store.frame(positions[0], len(FRAMES[0]))
    kept.store.close()
    with pytest.raises(FrameGone, match="closed"):
        kept.store.frame(positions[5], len(FRAMES[5]))


@pytest.mark.parametrize(
    ("ring", "stop", "packets"),
    [
        (Ring(packets=4), StopWhen(files=3), 12),
        (Ring(packets=4, files=2), StopWhen(files=3), 12),
    ],
)
def test_stop(tmp_path: Path, ring: Ring | None, stop: StopWhen, packets: int) -> None:
    kept = packet_file(tmp_path / "s", ring, stop)
    positions = kept.append(block_of(FRAMES)).tolist()
    assert kept.full
    assert [position >= 0 for position in positions] == [n < packets for n in range(len(FRAMES))]
    assert kept.append(block_of(FRAMES)).tolist() == [-1] * len(FRAMES)
    assert not kept.unkept


def test_stop_by_size(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "s", None, StopWhen(filesize_kb=1))
    positions = kept.append(block_of(FRAMES)).tolist()
    held = data_of(tmp_path / "s")
    assert kept.full
    assert [position >= 0 for position in positions] == [n < len(held) for n in range(len(FRAMES))]
    size = (tmp_path / "s").stat().st_size
    assert size >= 1000 > size - size_of_last(tmp_path / "s")
    assert kept.append(block_of(FRAMES)).tolist() == [-1] * len(FRAMES)


def test_the_last_file_is_full_at_once(tmp_path: Path) -> None:
    kept = packet_file(tmp_path / "s", Ring(packets=4), StopWhen(files=1))
    kept.append(block_of(FRAMES[:3]))
    assert not kept.full
    kept.append(block_of(FRAMES[3:4]))
    assert kept.full


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.integers(0, 20), max_size=8),
    st.builds(
        Ring,
        packets=st.none() | st.integers(1, 30),
        filesize_kb=st.none() | st.integers(1, 4),
        files=st.none() | st.integers(1, 4),
    ),
)
def test_any_ring_keeps_the_newest(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], ring: Ring
) -> None:
    directory = tmp_path_factory.mktemp("ring")
    kept = packet_file(directory / "r", ring)
    given = [FRAMES[:size] for size in sizes]
    positions = [p for frames in given for p in kept.append(block_of(frames)).tolist()]
    every = [frame for frames in given for frame in frames]
    kept.close()
    held = [frame for file in files_in(directory) for frame in data_of(file)]
    assert held == every[len(every) - len(held) :]
    assert ring.files is None or len(files_in(directory)) <= ring.files
    assert ring.files is not None or len(held) == len(every)
    for index, (position, frame) in enumerate(zip(positions, every, strict=True)):
        if index >= len(every) - len(held):
            assert kept.store.frame(position, len(frame)) == frame
        else:
            with pytest.raises(FrameGone):
                kept.store.frame(position, len(frame))
    kept.store.close()


# -- the temporary spool --------------------------------------------------------------


def test_spool_lets_go_of_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("capture.keeping.spool.LEAST_SPOOL", 0)
    kept = PacketFile(live(), CaptureSettings(()), spool_bytes=64_000)
    frames = [bytes([n]) * 1000 for n in range(100)]
    positions = kept.append(block_of(frames)).tolist()
    assert files_in(tmp_path) == [], "it has no name"
    assert kept.path == ""
    assert 48_000 < kept.bytes <= 64_000 + 1500 * 16
    assert kept.store.frame(positions[99], 1000) == frames[99]
    with pytest.raises(FrameGone, match="only the newest"):
        kept.store.frame(positions[0], 1000)
    assert not kept.trouble


def test_spool_takes_frames_as_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    kept = PacketFile(live(), CaptureSettings(()))
    for gap in (0, 5, 5000):  # the last are too far from each other
        block = block_of(FRAMES, gap=gap)
        for rows in (slice(None), slice(3, 7), slice(None, None, -1)):
            some = rows_of(block, rows)
            before = kept.bytes
            positions = kept.append(some).tolist()
            found = [
                kept.store.frame(p, len(f)) for p, f in zip(positions, FRAMES[rows], strict=True)
            ]
            assert found == FRAMES[rows]
            assert kept.bytes - before <= 2 * sum(map(len, FRAMES[rows])) + 128 * len(found)
    kept.close()
    kept.store.close()


def test_blocks_of_several_sizes_one_after_the_other(tmp_path: Path) -> None:
    """They are made in the same memory."""
    kept = packet_file(tmp_path / "a.pcapng")
    wanted = []
    for size in (1, 3000, 7, 64):
        frames = [bytes([n % 251]) * (size + n) for n in range(30)]
        kept.append(block_of(frames))
        wanted += frames
    kept.close()
    assert data_of(tmp_path / "a.pcapng") == wanted


def test_spool_suits_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(tmp_path)
    full = os.statvfs_result((4096, 4096, 100, 50, 50, *tuple(disk)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    limits = spool_limits(str(tmp_path), None)
    assert limits.bytes is not None
    assert limits.keep is not None
    assert limits.bytes * limits.keep == 16 << 20


# -- a disk that is full --------------------------------------------------------------


class Disk:
    """Makes ``os.pwrite`` fail once so many bytes are written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self._pwrite = os.pwrite
        monkeypatch.setattr(os, "pwrite", self)

    def __call__(self, fd: int, data: memoryview, at: int) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self._pwrite(fd, data[: self.room], at)
        self.room -= count
        return count


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    disk = Disk(monkeypatch)
    path = tmp_path / "full"
    kept = packet_file(path)
    kept.append(block_of(FRAMES[:5]))
    disk.room = SIZE + 7
    assert kept.append(block_of(FRAMES[:5])).tolist() == [-1] * 5
    assert kept.trouble == f"packets are not kept: {path}: no space left on device"
    assert data_of(path) == FRAMES[:5], "half a block was taken back"
    disk.room = 1 << 30
    assert kept.append(block_of(FRAMES[:5])).tolist() == [-1] * 5, "not tried again at once"
    now[0] += 1
    positions = kept.append(block_of(FRAMES[5:]))
    assert kept.trouble == ""
    assert kept.unkept == 10
    assert kept.store.frame(int(positions[0]), len(FRAMES[5])) == FRAMES[5]
    assert data_of(path) == FRAMES
    kept.set_losses(0, 30, 0)
    kept.close()
    assert kept._info.warnings[0].message == f"10 packets could not be written to {path}"
    with pytest.raises(FrameGone, match="not kept"):
        kept.store.frame(-1, 5)


def test_full_disk_when_files_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    disk = Disk(monkeypatch)
    kept = packet_file(tmp_path / "r", Ring(packets=3))
    kept.append(block_of(FRAMES[:3]))
    disk.room = 40
    kept.append(block_of(FRAMES[3:6]))
    assert "no space left" in kept.trouble
    assert [data_of(file) for file in files_in(tmp_path)] == [FRAMES[:3]]
    disk.room = 1 << 30
    now[0] += 1
    kept.append(block_of(FRAMES[6:9]))
    assert kept.trouble == ""
    assert [data_of(file) for file in files_in(tmp_path)] == [FRAMES[:3], FRAMES[6:9]]


def test_a_directory_that_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No further file can be made: packets go on in the one there is."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    home = tmp_path / "home"
    home.mkdir()
    kept = packet_file(home / "r", Ring(packets=3))
    kept.append(block_of(FRAMES[:3]))
    home.rename(tmp_path / "away")
    kept.append(block_of(FRAMES[3:9]))
    assert "no further file can be made" in kept.trouble
    (first,) = files_in(tmp_path / "away")
    assert data_of(first) == FRAMES[:9]
    (tmp_path / "away").rename(home)
    now[0] += 1
    kept.append(block_of(FRAMES[9:10]))
    assert kept.trouble == ""
    assert [data_of(file) for file in files_in(home)] == [FRAMES[:9], FRAMES[9:10]]


def test_full_disk_of_a_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest temporary packets make room for the newest."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("capture.keeping.spool.LEAST_SPOOL", 0)
    disk = Disk(monkeypatch)
    kept = PacketFile(live(), CaptureSettings(()), spool_bytes=16_000)
    kept.append(block_of(FRAMES[:15]))
    closed = os.close

    def close(fd: int) -> None:
        closed(fd)
        disk.room = 1 << 20

    monkeypatch.setattr(os, "close", close)
    disk.room = 50
    positions = kept.append(block_of(FRAMES[15:16]))
    assert kept.store.frame(int(positions[0]), len(FRAMES[15])) == FRAMES[15]
    assert not kept.trouble
