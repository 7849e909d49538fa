from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sources import open_source, windows
from capture.sources.recorded import RecordedSource
from capture.sources.streams import FileStream, Rewound, read_exactly
from capture.sources.windows import MappedWindows, Windows
from tests.capture.sources.building import frames_in, read
from tests.capture.tracking.building import captures


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 60_000),
    ahead=st.booleans(),
    headroom=st.sampled_from([64, 2000, 5000]),
    steps=st.lists(st.integers(0, 9000), min_size=1, max_size=30),
)
def test_every_byte_once_and_in_its_place(
    tmp_path_factory: pytest.TempPathFactory,
    size: int,
    ahead: bool,
    headroom: int,
    steps: list[int],
) -> None:
    """A consumer that leaves any number of bytes for the next window loses none."""
    data = bytes(i * 7 % 251 for i in range(size))
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    stream = FileStream(os.open(path, os.O_RDONLY))
    taken = b""
    finals = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "_HEADROOM", headroom)
        patch.setattr(windows, "BLOCK", 4096)
        for turn, window in enumerate(Windows(stream, 100, size, ahead)):
            window.used = min(window.start + steps[turn % len(steps)], window.end)
            if window.final:
                finals += 1
                window.used = window.end
            assert window.position + window.start == 100 + len(taken)
            taken += window.buffer[window.start : window.used]
    stream.close()
    assert taken == data
    assert finals == 1


def test_failure_of_the_reading_thread_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    stream = FileStream(os.open(path, os.O_RDONLY))

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", broken)
    monkeypatch.setattr(windows, "BLOCK", 4096)
    with pytest.raises(OSError, match="Input/output"):
        list(Windows(stream, expected=100_000, ahead=True))
    stream.close()


def test_rewound_gives_its_head_first(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdefgh")
    stream = FileStream(os.open(path, os.O_RDONLY))
    rewound = Rewound(read_exactly(stream, 5), stream)
    assert rewound.consumed() == 0
    assert rewound.ready(0)
    assert read_exactly(rewound, 3) == b"abc"
    assert rewound.consumed() == 3
    assert read_exactly(rewound, 100) == b"defgh"
    assert (rewound.consumed(), rewound.total, rewound.damage) == (8, 8, None)
    rewound.close()
    assert read_exactly(rewound, 1) == b""


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 60_000),
    begin=st.integers(0, 300),
    steps=st.lists(st.integers(0, 9000), min_size=1, max_size=30),
)
def test_a_mapped_file_gives_every_byte_once_and_in_its_place(
    tmp_path_factory: pytest.TempPathFactory, size: int, begin: int, steps: list[int]
) -> None:
    data = bytes(i * 7 % 251 for i in range(size))
    path = tmp_path_factory.getbasetemp() / "mapped"
    path.write_bytes(data)
    stream = FileStream(os.open(path, os.O_RDONLY))
    taken, finals = b"", 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "MAPPED", 1024)
        patch.setattr(windows, "_PAGE", os.sysconf("SC_PAGE_SIZE"))
        for turn, window in enumerate(MappedWindows(stream, begin, lambda: 0)):
            assert not finals
            window.used = min(window.start + steps[turn % len(steps)], window.end)
            finals += window.final
            if window.final:
                window.used = window.end
            assert window.position + window.start == begin + len(taken)
            taken += window.buffer[window.start : window.used]
    assert stream.consumed() == max(0, size - begin)
    stream.close()
    assert taken == data[begin:]
    assert finals == 1


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_a_mapped_capture_has_the_same_frames(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "MAPPED", 700)
    expected, info = read(path)
    source = open_source(str(path))
    assert isinstance(source, RecordedSource)
    assert source.mappable
    source.mapped = True
    frames = [frame for block in source.blocks() for frame in frames_in(block)]
    source.close()
    assert frames == expected
    assert source.info.warnings == info.warnings
    assert source.progress() == (path.stat().st_size, path.stat().st_size)
