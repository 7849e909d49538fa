from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tui import recent
from tui.recent import recent_captures, remember


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    return tmp_path / "state" / "tunnelscope" / "recent"


def capture(directory: Path, name: str) -> str:
    path = directory / name
    path.write_bytes(b"12345")
    return str(path)


def test_the_newest_comes_first_and_once(tmp_path: Path) -> None:
    one, two = capture(tmp_path, "one.pcap"), capture(tmp_path, "two.pcap")
    for path in (one, two, one):
        remember(path)
    assert [(item.path, item.size) for item in recent_captures(5)] == [(one, 5), (two, 5)]
    assert [item.path for item in recent_captures(1)] == [one]


def test_what_is_gone_or_no_file_is_left_out(tmp_path: Path) -> None:
    kept = capture(tmp_path, "kept.pcap")
    for path in (kept, str(tmp_path), str(tmp_path / "gone"), "/dev/null"):
        remember(path)
    assert [item.path for item in recent_captures(9)] == [kept]


def test_relative_names_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    capture(tmp_path, "x.pcap")
    remember("x.pcap")
    assert [item.path for item in recent_captures(9)] == [str(tmp_path / "x.pcap")]


def test_only_names_are_kept_for_the_user_alone_and_not_for_ever(
    state: Path, tmp_path: Path
) -> None:
    for number in range(recent.KEPT + 20):
        remember(str(tmp_path / str(number)))
    lines = state.read_text().splitlines()
    assert len(lines) == recent.KEPT
    assert lines[0] == str(tmp_path / str(recent.KEPT + 19))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert os.listdir(state.parent) == ["recent"]


def test_odd_names(state: Path, tmp_path: Path) -> None:
    odd = capture(tmp_path, os.fsdecode(b"caf\xe9 \x1b[2J.pcap"))
    remember(odd)
    remember(str(tmp_path / "two\nlines"))
    assert [item.path for item in recent_captures(9)] == [odd]


def test_a_list_that_is_none(state: Path, tmp_path: Path) -> None:
    state.parent.mkdir(parents=True)
    state.write_bytes(b"\0\xff\nrelative\n" + bytes(100) + b"\n")
    assert recent_captures(9) == []
    remember(kept := capture(tmp_path, "kept.pcap"))
    assert [item.path for item in recent_captures(9)] == [kept]


def test_nothing_breaks_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = capture(tmp_path, "x.pcap")
    monkeypatch.setenv("XDG_STATE_HOME", path)
    remember(path)
    assert recent_captures(9) == []
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    remember(path)
    assert (tmp_path / ".local" / "state" / "tunnelscope" / "recent").exists()


def test_root_leaves_no_file_in_the_home_of_who_called_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    remember(capture(tmp_path, "x.pcap"))
    assert not state.exists()
    assert recent_captures(9) == []
