"""Pipes and growing files: packets as they come, silence told, waiting for the first byte."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.frames import FrameBlock, UnreadableInput
from capture.sources import open_source, opening
from capture.sources.follow import open_growing
from tests.capture.sources.building import (
    enhanced,
    frames_in,
    interface,
    pcap_header,
    pcap_record,
    section,
)
from tests.patience import GIVE_UP_S

LINE = "10:00:00.00000{} IP 10.0.0.1.1 > 10.0.0.2.80: Flags [.], ack 1, win 1, length 0\n"


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO, and a descriptor that writes to it."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    out = os.open(path, os.O_RDWR)
    yield path, out
    with contextlib.suppress(OSError):
        os.close(out)


def patiently(blocks: Iterator[FrameBlock]) -> FrameBlock:
    """The next block that is not empty; silence is bounded, so that a failure ends."""
    for _ in range(200):
        if len(block := next(blocks)):
            return block
    raise AssertionError("no packet came")


def test_silence_is_told(fifo: tuple[Path, int]) -> None:
    path, out = fifo
    os.write(out, pcap_header() + pcap_record(b"one"))
    source = open_source(str(path))
    blocks = source.blocks()
    assert [frame.data for frame in frames_in(next(blocks))] == [b"one"]
    empty = next(blocks)
    assert (len(empty), empty.first_number) == (0, 2)
    record = pcap_record(b"second")
    os.write(out, record[:9])
    assert len(next(blocks)) == 0
    os.write(out, record[9:])
    second = patiently(blocks)
    assert [frame.data for frame in frames_in(second)] == [b"second"]
    assert second.first_number == 2
    assert source.info.clock_ns is None, "it was captured in 2023"
    source.close()
    assert not any(map(len, blocks))
    assert not source.info.warnings


def test_silence_of_text_is_told(fifo: tuple[Path, int]) -> None:
    path, out = fifo
    os.write(out, (LINE.format(1) + LINE.format(2)).encode())
    source = open_source(str(path))
    blocks = source.blocks()
    numbers = [patiently(blocks).first_number]
    while numbers[-1] < 2:
        numbers.append(patiently(blocks).first_number)
    assert len(next(blocks)) == 0
    os.write(out, LINE.format(3).encode())
    assert patiently(blocks).first_number == 3
    source.close()
    assert not any(map(len, blocks))


def test_a_pipe_that_says_nothing_yet(
    fifo: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_FIRST_SECONDS", 0)
    path, out = fifo
    source = open_source(str(path), spool=True)
    assert not source.store
    blocks = source.blocks()
    assert len(next(blocks)) == 0
    os.write(out, pcap_header() + pcap_record(b"one"))
    block = patiently(blocks)
    assert source.info.format == "pcap"
    assert source.store is not None
    assert source.store.frame(int(block.position[0]), 3) == b"one"
    assert source.progress() == (43, None)
    source.close()
    source.close()
    assert not any(map(len, blocks))
    source.store.close()


def test_a_fifo_without_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_FIRST_SECONDS", 0)
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = open_source(str(path), spool=True)
    blocks = source.blocks()
    assert len(next(blocks)) == 0
    with path.open("wb") as out:
        out.write(pcap_header() + pcap_record(b"one"))
    assert sum(map(len, blocks)) == 1
    source.close()
    if source.store is not None:
        source.store.close()


def test_a_pipe_that_ends_without_a_word(
    fifo: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_FIRST_SECONDS", 0)
    path, out = fifo
    source = open_source(str(path), spool=True)
    blocks = source.blocks()
    next(blocks)
    os.close(out)
    with pytest.raises(UnreadableInput, match="is empty"):
        list(blocks)
    source.close()


def test_closed_while_waiting(fifo: tuple[Path, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_FIRST_SECONDS", 0)
    source = open_source(str(fifo[0]), spool=True)
    blocks = source.blocks()
    next(blocks)
    reader = threading.Thread(target=lambda: list(blocks))
    reader.start()
    source.close()
    reader.join(GIVE_UP_S)
    assert not reader.is_alive()


# -- growing files --------------------------------------------------------------------


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


Grower = tuple[bytes, Callable[[bytes], bytes]]
FORMATS: dict[str, Grower] = {
    "pcap": (pcap_header(), pcap_record),
    "pcapng": (section() + interface(), enhanced),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_growing_file(tmp_path: Path, kind: str) -> None:
    head, record = FORMATS[kind]
    path = tmp_path / "growing"
    path.write_bytes(head + record(b"one"))
    source = open_growing(str(path))
    blocks = source.blocks()
    first = patiently(blocks)
    assert [frame.data for frame in frames_in(first)] == [b"one"]
    assert len(next(blocks)) == 0
    piece = record(b"the second one")
    append(path, piece[:11])
    assert len(next(blocks)) == 0, "half a record is waited for"
    append(path, piece[11:] + record(b"third"))
    got = [frame.data for frame in frames_in(patiently(blocks))]
    assert got == [b"the second one", b"third"]
    assert source.store is not None
    assert source.store.frame(int(first.position[0]), 3) == b"one"
    assert source.progress() == (path.stat().st_size, None)
    source.close()
    assert not any(map(len, blocks))
    assert not source.info.warnings
    source.store.close()


def test_growing_file_that_is_empty_at_first(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.touch()
    source = open_growing(str(path))
    blocks = source.blocks()
    assert len(next(blocks)) == 0
    append(path, pcap_header()[:10])
    waiting = threading.Thread(target=append, args=(path, pcap_header()[10:] + pcap_record(b"1")))
    waiting.start()
    assert len(patiently(blocks)) == 1
    waiting.join()
    source.close()


def test_growing_text(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_text(LINE.format(1))
    source = open_growing(str(path))
    blocks = source.blocks()
    assert patiently(blocks).first_number == 1
    append(path, LINE.format(2).encode())
    assert patiently(blocks).first_number == 2
    source.close()


def test_growing_file_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(pcap_header() + pcap_record(b"one"))
    source = open_growing(str(path))
    blocks = source.blocks()
    patiently(blocks)
    path.write_bytes(pcap_header())
    assert not any(map(len, blocks))
    assert [item.code for item in source.info.warnings] == ["follow-ended"]
    assert "cut short" in source.info.warnings[0].message
    source.close()


def test_growing_file_that_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.sources.follow._CHANGED_SECONDS", 0.2)
    path = tmp_path / "growing"
    path.write_bytes(pcap_header() + pcap_record(b"one"))
    source = open_growing(str(path))
    blocks = source.blocks()
    patiently(blocks)
    path.rename(tmp_path / "rotated")
    for _ in range(4):
        assert len(next(blocks)) == 0, "its writer may still have it open"
    append(tmp_path / "rotated", pcap_record(b"two"))
    assert len(patiently(blocks)) == 1
    path.write_bytes(pcap_header())
    assert not any(map(len, blocks))
    assert "replaced" in source.info.warnings[0].message
    source.close()


def test_only_files_can_be_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, why in ((tmp_path / "fifo", "cannot be followed"), (tmp_path / "none", "no such")):
        with pytest.raises(UnreadableInput, match=why):
            open_growing(str(path))
