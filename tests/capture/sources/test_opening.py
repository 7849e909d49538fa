from __future__ import annotations

import gzip
import lzma
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Sized
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import UnreadableInput
from capture.sources import open_source
from tests.capture.sources.building import (
    CAPTURES,
    enhanced,
    frames_in,
    interface,
    pcap_header,
    pcap_record,
    read,
    section,
)
from tests.patience import GIVE_UP_S

PCAP = pcap_header() + b"".join(pcap_record(bytes([i]) * i) for i in range(200))
PCAPNG = section() + interface() + b"".join(enhanced(bytes([i]) * i) for i in range(200))
TEXT = (CAPTURES / "02a_squid_acl_deny.txt").read_bytes()


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd as library

        return library.compress(data)
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "zstd": zstd,
}


@pytest.mark.parametrize("compression", PACKERS)
@pytest.mark.parametrize("plain", [PCAP, PCAPNG, TEXT], ids=["pcap", "pcapng", "text"])
def test_packed_files_read_like_plain_ones(tmp_path: Path, compression: str, plain: bytes) -> None:
    path = tmp_path / "plain"
    path.write_bytes(plain)
    expected, _ = read(path)
    packed = tmp_path / "capture.without.a.telling.name"
    pack = PACKERS[compression]
    packed.write_bytes(pack(plain))
    got, info = read(packed)
    assert [frame.data for frame in got] == [frame.data for frame in expected]
    assert (info.compression, info.warnings) == (compression, [])
    # Several members or frames are one stream (RFC 1952 2.2, RFC 8878 3).
    packed.write_bytes(pack(plain[:1000]) + pack(b"") + pack(plain[1000:]))
    got, info = read(packed)
    assert [frame.data for frame in got] == [frame.data for frame in expected]
    assert info.warnings == []


@pytest.mark.parametrize("compression", PACKERS)
def test_cut_and_damaged_packed_files(tmp_path: Path, compression: str) -> None:
    rng = random.Random(1)
    plain = pcap_header() + b"".join(pcap_record(rng.randbytes(1000)) for _ in range(500))
    packed = PACKERS[compression](plain)
    path = tmp_path / "file"
    path.write_bytes(packed[: len(packed) // 2])
    got, info = read(path)
    assert 0 < len(got) < 500
    assert [warning.code for warning in info.warnings] == ["truncated-file"]
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + rng.randbytes(3000) + packed[middle + 3000 :])
    source = open_source(str(path))
    assert sum(len(block) for block in source.blocks()) <= 500
    source.close()


def test_zero_padding_after_a_member(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(PCAP) + bytes(512))
    assert read(path)[1].warnings == []


def test_packed_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (
        gzip.compress(b""),
        gzip.compress(os.urandom(100)),
        b"\x1f\x8b" + bytes(40),
        b"\xfd7zXZ\0" + bytes(40),
        b"\x28\xb5\x2f\xfd" + b"\xff" * 40,
    ):
        path.write_bytes(data)
        with pytest.raises(UnreadableInput):
            read(path)


def test_decompression_bomb_is_read_in_bounded_memory(tmp_path: Path) -> None:
    """A gigabyte of one record's zeros: the length limit ends it, not the machine's memory."""
    huge = pcap_record(b"")[:8] + (1 << 30).to_bytes(4, "little") * 2
    path = tmp_path / "file"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(pcap_header() + pcap_record(b"x") + huge)
        for _ in range(20):
            packed.write(bytes(1 << 20))
    got, info = read(path)
    assert len(got) == 1
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x7fELF" + bytes(60), "ELF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "PNG"),
        (b"PK\x03\x04" + bytes(60), "zip"),
        (b'{"flows": []}\n', "JSON"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b"Nov 22 10:20:58 host squid[1]: started\n" * 50, "without a packet line"),
        (b"10:20:58 ERROR something happened\n" * 50, "without a packet line"),
        (b"\n\n\n", "without a packet line"),
        (bytes(5000), "no capture"),
        (b"\xd4\xc3\xb2\xa1", "cut inside the file header"),
        (b"\n\r\r\n", "pcapng"),
        (b"x", "without a packet line"),
    ],
)
def test_foreign_files_are_named_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UnreadableInput, match=message) as error:
        read(path)
    assert "\n" not in str(error.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, message in (
        (str(tmp_path / "missing"), "no such file"),
        (str(tmp_path), "is a directory"),
        ("a\0b", "not a file name"),
        ("", "no such file"),
        ("x" * 5000, "too long"),
    ):
        with pytest.raises(UnreadableInput, match=message):
            open_source(path)
    with pytest.raises(UnreadableInput):
        open_source("/dev/null")


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for seed in range(50):
        path.write_bytes(random.Random(seed).randbytes(3000))
        with pytest.raises(UnreadableInput):
            read(path)


@pytest.mark.parametrize("plain", [PCAP, PCAPNG, TEXT], ids=["pcap", "pcapng", "text"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_fifo_in_pieces_of_any_size(tmp_path: Path, plain: bytes, size: int) -> None:
    plain = plain[:4000]
    path = tmp_path / "plain"
    path.write_bytes(plain)
    expected, expected_info = read(path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pieces = [plain[at : at + size] for at in range(0, len(plain), size)]

    def feed() -> None:
        with open(fifo, "wb", buffering=0) as out:
            for piece in pieces:
                out.write(piece)

    thread = threading.Thread(target=feed)
    thread.start()
    got, info = read(fifo)
    thread.join()
    assert [frame.data for frame in got] == [frame.data for frame in expected]
    assert [item.code for item in info.warnings] == [item.code for item in expected_info.warnings]


def test_pipe_shows_packets_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    go_on = threading.Event()

    def feed() -> None:
        with open(fifo, "wb", buffering=0) as out:
            out.write(pcap_header() + pcap_record(b"one"))
            go_on.wait(GIVE_UP_S)
            out.write(pcap_record(b"two"))

    thread = threading.Thread(target=feed)
    thread.start()
    source = open_source(str(fifo))
    blocks = filter(len, source.blocks())
    assert [frame.data for frame in frames_in(next(blocks))] == [b"one"]
    go_on.set()
    second = next(blocks)
    assert [frame.data for frame in frames_in(second)] == [b"two"]
    assert second.first_number == 2
    assert list(blocks) == []
    thread.join()
    assert source.progress()[1] is None
    source.close()


def test_silent_pipe_can_be_closed_from_another_thread(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)
    os.write(keep, pcap_header() + pcap_record(b"one"))
    source = open_source(str(fifo))
    blocks = source.blocks()
    next(blocks)
    rest: list[Sized] = []
    reader = threading.Thread(target=lambda: rest.extend(blocks))
    reader.start()
    source.close()
    reader.join(GIVE_UP_S)
    assert not reader.is_alive()
    os.close(keep)
    assert not any(rest)


def test_standard_input() -> None:
    program = (
        "from capture.sources import open_source\n"
        "s = open_source('-', spool=True)\n"
        "b = next(s.blocks())\n"
        "print(len(b), s.info.path, len(s.store.frame(int(b.position[9]), int(b.caplen[9]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=PCAP, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"200", b"-", b"9"]
    # A regular file as standard input is read where it lies.
    with open(CAPTURES / "06a_proxy_port_closed.pcap", "rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", program.replace("[9]", "[2]")],
            stdin=file,
            capture_output=True,
            check=True,
        )
    assert done.stdout.split()[1] == b"-"


@pytest.mark.parametrize("name", ["plain", "packed", "text"])
def test_every_frame_can_be_fetched_again(tmp_path: Path, name: str) -> None:
    data = {"plain": PCAPNG, "packed": gzip.compress(PCAP), "text": TEXT}[name]
    path = tmp_path / "file"
    path.write_bytes(data)
    source = open_source(str(path), spool=True)
    frames = [frame for block in source.blocks() for frame in frames_in(block)]
    source.close()
    assert source.store is not None
    for frame in frames:
        assert source.store.frame(frame.position, len(frame.data)) == frame.data
    source.store.close()


def test_no_store_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(PCAP)
    source = open_source(str(path))
    assert source.store is None
    source.close()


def test_full_disk_costs_the_details_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    for data in (gzip.compress(PCAP), TEXT):
        path.write_bytes(data)
        source = open_source(str(path), spool=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            frames = [frame for block in source.blocks() for frame in frames_in(block)]
        assert len(frames) > 10
        assert {frame.position for frame in frames} == {-1}
        assert [warning.code for warning in source.info.warnings] == ["spool-full"]
        source.close()


def test_nowhere_to_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> object:
        raise FileNotFoundError(2, "No usable temporary directory found")

    path = tmp_path / "file"
    path.write_bytes(gzip.compress(PCAP))
    monkeypatch.setattr("tempfile.TemporaryFile", nowhere)
    source = open_source(str(path), spool=True)
    assert source.store is None
    assert [warning.code for warning in source.info.warnings] == ["spool-full"]
    assert sum(len(block) for block in source.blocks()) == 200
    source.close()


def test_read_error_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(PCAP)
    source = open_source(str(path))

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", broken)
    assert list(source.blocks()) == []
    assert [warning.code for warning in source.info.warnings] == ["read-error"]
    source.close()


@settings(max_examples=100, deadline=None)
@given(
    head=st.sampled_from([PCAP[:4], PCAPNG[:12], b"10:20:58.987654 IP ", b"\x1f\x8b\x08"]),
    rest=st.binary(max_size=400),
)
def test_nothing_but_unreadable_input_is_raised(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    path.write_bytes(head + rest)
    said = reason(path)
    assert said is None or (said and said.isprintable())


def reason(path: Path) -> str | None:
    """Why a file cannot be read; None when it can."""
    try:
        read(path)
    except UnreadableInput as error:
        return str(error)
    return None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(PCAP)
    path.chmod(0)
    with pytest.raises(UnreadableInput, match="permission denied"):
        open_source(str(path))
