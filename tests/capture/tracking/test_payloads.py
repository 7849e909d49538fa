"""Payload that was copied and payload that was left in its file are the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from capture.tracking.payloads import Copied, File, Payloads, Spots, joined

DATA = bytes(range(200))
AT = np.array([0, 10, 60, 190], np.int64)
END = np.array([5, 40, 60, 200], np.int64)
EXPECTED = [DATA[i:j] for i, j in zip(AT.tolist(), END.tolist(), strict=True)]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    path = tmp_path / "file"
    path.write_bytes(b"before" + DATA)
    fd = os.open(path, os.O_RDONLY)
    yield File(partial(os.pread, fd))
    os.close(fd)


def all_of(payloads: Payloads) -> list[bytes]:
    return payloads.take(np.arange(len(payloads)))


def spots(file: File) -> Spots:
    return Spots(file, AT + 6, END - AT)


def test_copies_and_spots_agree(file: File) -> None:
    data = np.frombuffer(DATA, np.uint8)
    which, stay = np.array([3, 1]), np.array([True, False, False, True])
    for payloads in (Copied.of(data, AT, END), spots(file)):
        assert all_of(payloads) == EXPECTED
        assert payloads.take(which) == [EXPECTED[3], EXPECTED[1]]
        assert all_of(payloads.some(stay)) == [EXPECTED[0], EXPECTED[3]]


def test_what_is_shown_is_read_from_memory(file: File) -> None:
    shown = np.frombuffer(bytes(255 - value for value in DATA[:50]), np.uint8)
    file.show(6, shown)
    seen = all_of(spots(file))
    assert seen[:2] == [bytes(255 - value for value in part) for part in EXPECTED[:2]]
    assert seen[2:] == EXPECTED[2:]
    file.hide()
    assert all_of(spots(file)) == EXPECTED


def test_what_lies_close_together_is_read_at_once(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    reads: list[tuple[int, int]] = []

    def far(length: int, position: int) -> bytes:
        reads.append((length, position))
        return data[position : position + length]

    close, loose = np.arange(1000, 9000, 100), np.array([1000, 200_000])
    for at in (close, loose):
        found = File(far).read(at, np.full(len(at), 40))
        assert found == [data[i : i + 40] for i in at.tolist()]
    assert reads == [(7940, 1000), (40, 1000), (40, 200_000)]


def test_lots_are_joined(file: File) -> None:
    data = np.frombuffer(DATA, np.uint8)
    copied, left = Copied.of(data, AT, END), spots(file)
    assert isinstance(joined([left, left]), Spots)
    several: list[list[Payloads]] = [[left, left], [copied, left], [copied, copied]]
    for parts in several:
        assert all_of(joined(parts)) == EXPECTED * 2


def test_a_file_that_was_cut_gives_less(file: File) -> None:
    assert Spots(file, np.array([200, 500]), np.array([50, 50])).take(np.array([0, 1])) == [
        DATA[194:], b"",
    ]  # fmt: skip
