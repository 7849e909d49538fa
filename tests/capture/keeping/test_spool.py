from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from capture.keeping import spool
from capture.keeping.spool import RollingSpool
from capture.keeping.store import FrameGone


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RollingSpool:
    """A spool of 16 files of 1000 bytes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(spool, "LEAST_SPOOL", 0)
    monkeypatch.setattr(spool, "SPOOL_BYTES", 16_000)
    return RollingSpool()


def test_the_newest_are_kept(small: RollingSpool, tmp_path: Path) -> None:
    store = small.store()
    places = [small.write(bytes([n]) * 300) for n in range(100)]
    assert list(tmp_path.iterdir()) == []
    assert store.frame(places[99], 300) == bytes([99]) * 300
    assert store.span(places[90], 300 * 10) == b"".join(bytes([n]) * 300 for n in range(90, 100))
    with pytest.raises(FrameGone, match="only the newest"):
        store.frame(places[0], 300)
    small.close()
    assert store.frame(places[98], 300) == bytes([98]) * 300
    store.close()
    with pytest.raises(FrameGone, match="closed"):
        store.frame(places[99], 300)


def test_a_full_disk_costs_the_oldest(small: RollingSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(12):
        small.write(bytes([n]) * 300)
    write, room = os.pwrite, [0]

    def pwrite(fd: int, data: memoryview, at: int) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data, at)

    close = os.close

    def closing(fd: int) -> None:
        close(fd)
        room[0] = 1

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(os, "close", closing)
    place = small.write(b"new" * 100)
    assert small.store().frame(place, 300) == b"new" * 100
    monkeypatch.setattr(os, "close", close)
    room[0] = 0
    assert small.write(b"lost" * 100) == -1
    assert small.failed
    room[0] = 1
    assert small.write(b"found" * 100) >= 0
    assert not small.failed


def test_what_suits_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = os.statvfs(tmp_path)
    for free, expected in ((50, 16 << 20), (100_000, 4096 * 100_000 // 4), (1 << 30, 1 << 30)):
        answer = os.statvfs_result((4096, 4096, free, free, free, *tuple(disk)[5:]))
        monkeypatch.setattr(os, "statvfs", lambda path, answer=answer: answer)
        assert spool.spool_bytes(str(tmp_path)) == expected
