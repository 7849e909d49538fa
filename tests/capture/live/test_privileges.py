from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.live import privileges
from capture.live.privileges import (
    NotPermitted,
    User,
    advice,
    can_capture,
    interpreter_path,
    user_to_become,
)
from tests.patience import GIVE_UP_S
from tests.rights import may_become_nobody

pwd = pytest.importorskip("pwd")

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
as_root = pytest.mark.skipif(not may_become_nobody(), reason="needs root that may become nobody")

ALL, NONE, NET_RAW = "000001ffffffffff", "0000000000000000", "0000000000002000"


@pytest.fixture(autouse=True)
def no_sudo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.delenv("SUDO_GID", raising=False)
    monkeypatch.setattr(privileges, "_given_up", None)
    return iter([None])


def status(
    monkeypatch: pytest.MonkeyPatch,
    directory: Path,
    effective: str = NONE,
    bounding: str = ALL,
    locked: int = 0,
) -> None:
    path = directory / "status"
    path.write_text(f"Name:\tx\nCapEff:\t{effective}\nCapBnd:\t{bounding}\nNoNewPrivs:\t{locked}\n")
    monkeypatch.setattr(privileges, "STATUS", path)


def test_capability_decides_not_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for effective, expected in ((ALL, True), (NET_RAW, True), (NONE, False)):
        status(monkeypatch, tmp_path, effective)
        assert can_capture() is expected


def test_without_proc_the_user_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(privileges, "STATUS", tmp_path / "missing")
    monkeypatch.setattr(privileges, "_BPF_DEVICES", (str(tmp_path / "bpf0"),))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not can_capture()
    (tmp_path / "bpf0").touch()
    assert can_capture()
    monkeypatch.setattr(privileges, "_BPF_DEVICES", ())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert can_capture()


@on_linux
def test_advice_has_commands_for_this_interpreter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status(monkeypatch, tmp_path)
    program = tmp_path / "tunnel scope"
    program.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(program), "-i", "eth0", "--proxy", "http://u:secret@p"])
    monkeypatch.setattr(privileges, "_takes_capabilities", lambda path: True)
    line = advice()
    assert "\n" not in line
    assert "secret" not in line
    assert f"`sudo {shlex.quote(str(program))} -i eth0 " in line
    command = f"sudo setcap cap_net_raw,cap_net_admin=eip {shlex.quote(interpreter_path())}"
    assert f"`{command}`" in line
    assert not Path(interpreter_path()).is_symlink()


@on_linux
@pytest.mark.parametrize(
    ("bounding", "locked", "mounted_nosuid", "expected"),
    [
        (NONE, 0, False, "--cap-add=NET_RAW"),
        (ALL, 1, False, "NoNewPrivs"),
        (ALL, 0, True, "mounted nosuid"),
    ],
)
def test_advice_does_not_name_what_cannot_work(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bounding: str,
    locked: int,
    mounted_nosuid: bool,
    expected: str,
) -> None:
    status(monkeypatch, tmp_path, NONE, bounding, locked)
    monkeypatch.setattr(privileges, "_takes_capabilities", lambda path: not mounted_nosuid)
    line = advice()
    assert expected in line
    assert "`sudo setcap" not in line


def test_after_root_was_given_up_the_advice_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "_given_up", User("me", 1000, 1000, "/"))
    assert "root was given up for me" in advice()


@on_linux
def test_advice_for_a_module_that_was_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status(monkeypatch, tmp_path)
    module = tmp_path / "cli.py"
    module.touch()
    monkeypatch.setattr(sys, "argv", [str(module), "-i", "eth0"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "tui.cli", "-i", "eth0"])
    assert f"`sudo {shlex.quote(sys.executable)} -m tui.cli -i eth0`" in advice()


def test_command_that_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(privileges, "_given_up", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "`sudo tunnelscope …`" in advice()


def test_nobody_else_is_become_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_to_become(None) is None
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("SUDO_UID", "1001")  # left over in the environment
    assert user_to_become(None) is None


def test_who_called_sudo_is_become_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    someone = next(entry for entry in pwd.getpwall() if entry.pw_uid)
    monkeypatch.setenv("SUDO_UID", str(someone.pw_uid))
    found = user_to_become(None)
    assert found is not None
    assert (found.uid, found.gid, found.home) == (someone.pw_uid, someone.pw_gid, someone.pw_dir)
    assert user_to_become(someone.pw_name) == found
    assert user_to_become("root") is None
    assert user_to_become("0") is None


def test_a_number_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "54321")
    monkeypatch.setenv("SUDO_GID", "54322")
    assert user_to_become(None) == User("54321", 54321, 54322, "/")


@pytest.mark.parametrize("name", ["nosuchuser", "-1", "", "a\0b", "9" * 30 + "x"])
def test_unknown_users(name: str) -> None:
    with pytest.raises(NotPermitted, match="no such user"):
        user_to_become(name)


def test_only_root_can_become_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NotPermitted, match="only root"):
        user_to_become("root")


GIVE_UP = """
import os, sys, threading
from capture.live.privileges import *
from capture.live import privileges
go, result = threading.Event(), []
def late():
    go.wait()
    try:
        os.setuid(0)
        result.append("regained")
    except PermissionError:
        result.append(os.getresuid())
thread = threading.Thread(target=late)
thread.start()
can_capture()  # Python may lie where nobody can read it: what is needed is loaded before
privileges._hidden_from = lambda user: None
user = user_to_become(sys.argv[1])
give_up_root(user)
go.set()
thread.join()
print(os.getresuid(), os.getresgid(), result)
print(can_capture(), privileges._status().get("CapPrm"), privileges._status().get("CapEff"))
print(os.environ["HOME"], sorted(os.getgroups()))
"""


@as_root
@on_linux
def test_root_is_given_up_for_good_by_all_threads() -> None:
    someone = pwd.getpwnam("nobody")
    command = [sys.executable, "-c", GIVE_UP, "nobody"]
    said = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=GIVE_UP_S,
        cwd=Path(__file__).parents[3],
    ).stdout.splitlines()
    uids, gids = (someone.pw_uid,) * 3, (someone.pw_gid,) * 3
    assert said[0] == f"{uids} {gids} [{uids}]"
    assert said[1] == f"False {NONE} {NONE}"
    groups = sorted({*os.getgrouplist("nobody", someone.pw_gid)})
    assert said[2] == f"{someone.pw_dir} {groups}"


@as_root
@on_linux
def test_a_user_who_cannot_read_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    before = os.getresuid(), os.getresgid(), os.getgroups()
    monkeypatch.setattr(privileges, "_PARTS", ("x",))
    monkeypatch.setattr(privileges, "_file_of", lambda name: str(hidden / "x.py"))
    with pytest.raises(NotPermitted, match=r"may not read .*hidden.*-Z root keeps root"):
        privileges.give_up_root(User("54321", 54321, 54321, "/"))
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@as_root
@on_linux
def test_a_user_that_cannot_be_become(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*ids: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "setgroups", refuse)
    monkeypatch.setattr(privileges, "_PARTS", ())
    with pytest.raises(NotPermitted, match="cannot become 54321: Operation not permitted"):
        privileges.give_up_root(User("54321", 54321, 54321, "/"))


@as_root
@on_linux
def test_root_that_is_not_really_given_up_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *ids: None)
    monkeypatch.setattr(privileges, "_hidden_from", lambda user: None)
    with pytest.raises(NotPermitted, match="root is not given up"):
        privileges.give_up_root(User("54321", 54321, 54321, "/"))
