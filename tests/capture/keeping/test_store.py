from __future__ import annotations

import os
from pathlib import Path

import pytest

from capture.keeping.store import FileSpool, FrameGone, PacketStore
from capture.sources import open_source
from tests.capture.sources.building import pcap_header, pcap_record

FRAMES = [b"a" * 50, b"b" * 60, b"c" * 70]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file.pcap"
    path.write_bytes(pcap_header() + b"".join(map(pcap_record, FRAMES)))
    return path


@pytest.fixture
def opened(path: Path) -> tuple[PacketStore, list[tuple[int, int]]]:
    source = open_source(str(path), spool=True)
    block = next(iter(source.blocks()))
    source.close()
    assert source.store is not None
    return source.store, list(zip(block.position.tolist(), block.caplen.tolist(), strict=True))


Opened = tuple[PacketStore, list[tuple[int, int]]]


def test_frames(opened: Opened) -> None:
    store, places = opened
    assert [store.frame(*place) for place in places] == FRAMES
    assert store.frame(places[0][0], 0) == b""
    store.close()
    store.close()
    with pytest.raises(FrameGone, match="closed"):
        store.frame(*places[0])


def test_file_was_cut(opened: Opened, path: Path) -> None:
    store, places = opened
    os.truncate(path, 24 + 16 + 50 + 16 + 30)
    assert store.frame(*places[0]) == FRAMES[0]
    with pytest.raises(FrameGone, match="cut"):
        store.frame(*places[1])


def test_file_was_overwritten(opened: Opened, path: Path) -> None:
    store, places = opened
    path.write_bytes(pcap_header() + pcap_record(b"x" * 400))
    with pytest.raises(FrameGone, match="changed"):
        store.frame(*places[0])


def test_file_grew(opened: Opened, path: Path) -> None:
    store, places = opened
    with open(path, "ab") as file:
        file.write(pcap_record(b"more"))
    assert [store.frame(*place) for place in places] == FRAMES


def test_file_was_replaced_or_removed(opened: Opened, path: Path) -> None:
    """The old file lives on as long as the store."""
    store, places = opened
    path.unlink()
    path.write_bytes(b"another file")
    assert [store.frame(*place) for place in places] == FRAMES


@pytest.mark.parametrize(("position", "caplen"), [(-1, 5), (0, -1), (0, 1 << 40), (1 << 62, 5)])
def test_places_that_make_no_sense(opened: Opened, position: int, caplen: int) -> None:
    with pytest.raises(FrameGone):
        opened[0].frame(position, caplen)


def test_spool_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spool = FileSpool()
    store = spool.store()
    assert [spool.write(data) for data in (b"one", b"", b"three")] == [0, 3, 3]
    assert store.frame(3, 5) == b"three"
    spool.close()
    assert store.frame(0, 3) == b"one"
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_spool_stops_for_good_when_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = FileSpool()
    store = spool.store()
    assert spool.write(b"one") == 0

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        assert spool.write(b"two") == -1
    assert spool.failed
    assert spool.write(b"three") == -1
    assert store.frame(0, 3) == b"one"
    spool.close()
    store.close()
