from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decrypt import keylog
from capture.decrypt.keylog import KeyLog, KeyLogError, KeyLogFile

RANDOM, SECRET = bytes(range(32)), bytes(range(100, 148))
LINE = f"CLIENT_RANDOM {RANDOM.hex()} {SECRET.hex()}\n".encode()
OTHER = LINE.replace(b"CLIENT_RANDOM", b"SERVER_TRAFFIC_SECRET_0")


def secret(log: KeyLog, label: str = "CLIENT_RANDOM") -> bytes | None:
    return log.secret(label, RANDOM)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_of_a_log(end: bytes) -> None:
    log = KeyLog()
    log.feed(b"# SSL/TLS secrets log file" + end + LINE.strip().upper() + end + end)
    assert secret(log) == SECRET
    assert (secret(log, "SERVER_TRAFFIC_SECRET_0"), len(log)) == (None, 1)


@given(cuts=st.lists(st.integers(0, len(LINE + OTHER)), max_size=5).map(sorted))
def test_however_it_is_cut(cuts: list[int]) -> None:
    log, whole = KeyLog(), LINE + OTHER
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        log.feed(whole[start:end])
    assert (secret(log), secret(log, "SERVER_TRAFFIC_SECRET_0")) == (SECRET, SECRET)


@pytest.mark.parametrize(
    "line",
    [
        b"CLIENT_RANDOM\n",
        b"CLIENT_RANDOM aa bb\n",
        b"CLIENT_RANDOM " + RANDOM.hex().encode() + b" zz" + SECRET.hex().encode() + b"\n",
        b"CLIENT_RANDOM " + RANDOM.hex().encode() + b" " + (SECRET * 2).hex().encode() + b"\n",
        b"EXPORTER_SECRET" + LINE[13:],
        b"\xff\xfe" + LINE,
        LINE[:-1] + b" more\n",
    ],
)
def test_what_is_no_secret_is_passed_over(line: bytes) -> None:
    log = KeyLog()
    log.feed(line + OTHER)
    assert len(log) == 1


@given(data=st.binary(max_size=4000))
def test_any_bytes(data: bytes) -> None:
    log = KeyLog()
    log.feed(data)
    log.feed(b"\n" + LINE)
    assert secret(log) == SECRET


def test_endless_lines_and_logs_stay_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keylog, "MAX_SECRETS", 3)
    log = KeyLog()
    for _ in range(100):
        log.feed(b"x" * 900)
    assert len(log._rest) <= keylog.MAX_LINE
    log.feed(b"\n")
    for number in range(9):
        log.feed(b"CLIENT_RANDOM " + bytes([number] * 32).hex().encode() + LINE[78:])
    assert len(log) == 3
    assert log.secret("CLIENT_RANDOM", bytes([8] * 32)) == SECRET


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    log = KeyLogFile(str(path))
    with pytest.raises(KeyLogError, match="No such file"):
        log.refresh()
    path.write_bytes(LINE[:50])
    log.refresh()
    assert len(log) == 0
    with path.open("ab") as file:
        file.write(LINE[50:] + OTHER.strip())
    log.refresh()
    assert (secret(log), secret(log, "SERVER_TRAFFIC_SECRET_0")) == (SECRET, SECRET)


def test_another_file_in_its_place_is_read_from_its_start(tmp_path: Path) -> None:
    path, new = tmp_path / "keys", tmp_path / "new"
    path.write_bytes(LINE)
    log = KeyLogFile(str(path))
    log.refresh()
    new.write_bytes(b"# " + b"x" * len(LINE) + b"\n" + OTHER)
    os.replace(new, path)
    log.refresh()
    assert len(log) == 2
    path.write_bytes(LINE.replace(RANDOM.hex().encode(), (b"\1" * 32).hex().encode()))
    log.refresh()
    assert log.secret("CLIENT_RANDOM", b"\1" * 32) == SECRET


@pytest.mark.parametrize("path", ["", "\0", "/dev/null", "/"])
def test_what_is_no_file(path: str) -> None:
    with pytest.raises(KeyLogError) as caught:
        KeyLogFile(path).check()
    assert str(caught.value).isprintable()
    with pytest.raises(KeyLogError):
        KeyLogFile(path).refresh()


def test_nothing_prints_a_secret() -> None:
    log = KeyLog()
    log.feed(LINE)
    assert SECRET.hex() not in repr(log)
    assert repr(SECRET) not in repr(log)
