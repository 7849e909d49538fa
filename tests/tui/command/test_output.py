from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.command import output
from tui.command.output import OutputFailed, prepare, write_chunks
from tui.command.progress import ProgressBar


def stream(encoding: str) -> tuple[io.BytesIO, io.TextIOWrapper]:
    raw = io.BytesIO()
    return raw, io.TextIOWrapper(raw, encoding=encoding, write_through=True)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp437"])
def test_any_encoding_takes_any_text(encoding: str) -> None:
    raw, text = stream(encoding)
    prepare(text)
    text.write("a → b … “x” 例 \ud800 µ")
    assert raw.getvalue().startswith(b"a ")


def test_ascii_has_readable_stand_ins() -> None:
    raw, text = stream("utf-8")
    prepare(text, ascii_only=True)
    text.write("83 µs → ✓ … – 例")
    assert raw.getvalue() == b"83 us -> ok ... - ?"


def test_a_file_is_written(tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    write_chunks(["a µ\n", "b\n"], str(target))
    assert target.read_text(encoding="utf-8") == "a µ\nb\n"
    write_chunks(["a µ\n"], str(target), ascii_only=True)
    assert target.read_bytes() == b"a u\n"


def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(b"packets")
    link = tmp_path / "link"
    link.symlink_to(capture)
    with pytest.raises(OutputFailed, match="overwritten"):
        write_chunks(["x"], str(link), inputs=["-", str(capture)])
    assert capture.read_bytes() == b"packets"


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputFailed, match="No such file"):
        write_chunks(["x"], str(tmp_path / "no" / "such"))
    with pytest.raises(OutputFailed, match="directory"):
        write_chunks(["x"], str(tmp_path))


def test_errors_of_the_report_are_not_errors_of_the_output(tmp_path: Path) -> None:
    def chunks() -> Iterator[str]:
        yield "a"
        raise BrokenPipeError("of a source")

    with pytest.raises(BrokenPipeError):
        write_chunks(chunks(), str(tmp_path / "x"))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_is_silent_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", iter(range(1000)).__next__)
    silent = io.StringIO()
    bar = ProgressBar(silent)
    bar(0.5, "x")
    bar.clear()
    assert silent.getvalue() == ""
    assert not bar.enabled


def test_the_bar_waits_then_draws_and_erases_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    terminal = Terminal()
    bar = ProgressBar(terminal)
    bar(0.1, "x.pcap")
    bar.clear()
    assert terminal.getvalue() == ""
    clock[0] = 0.35
    bar(0.5, "x.pcap")
    assert terminal.getvalue() == "\r[############............]  50 %  x.pcap\x1b[K"
    bar(0.6, "x.pcap")  # too soon
    clock[0] = 0.5
    bar(None, "y" * 200)
    last = terminal.getvalue().split("\r")[-1]
    assert len(last.removesuffix("\x1b[K")) == 79
    bar.clear()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_closed_stderr_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = Terminal()
    closed.close()
    bar = ProgressBar(closed)
    bar(0.5, "x")
    bar.clear()
    monkeypatch.setattr("sys.stderr", None)
    output.narrate("nobody hears")
