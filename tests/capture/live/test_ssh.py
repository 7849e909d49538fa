"""Captures of another machine: with a real sshd on loopback, and with stand-ins for its parts."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from capture.frames import UnreadableInput
from capture.live import remote, ssh
from capture.live.settings import CaptureSettings, StopWhen
from capture.live.ssh import SshSource
from tests.capture.live.sshd import needs_sshd, running
from tests.capture.sources.building import pcap_header, pcap_record, read
from tests.patience import GIVE_UP_S, or_else, until

FRAMES = [bytes([65 + n]) * 60 for n in range(5)]


# -- with stand-ins -------------------------------------------------------------------


class Far:
    """The other machine: a directory of programs, and an ssh that leads there.

    Its tcpdump notes its arguments, writes five packets and goes on until it is told to end.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.arguments = directory / "arguments"
        self.ended = directory / "ended"
        (directory / "packets").write_bytes(pcap_header() + b"".join(map(pcap_record, FRAMES)))
        self.connection = "10.1.1.1 50000 ::ffff:10.1.1.2 22"
        self.greeting = ""
        self.put("ssh", 'exec "$0.far"')
        self.put(
            "tcpdump",
            'case "$*" in *" -L") exit 0 ;; -h) echo "tcpdump version 4.99.1"; exit 0 ;; esac',
            f'printf "%s\\n" "$@" > {directory}/arguments.new',
            f"mv {directory}/arguments.new {directory}/arguments",
            f'trap "echo 3 packets dropped by kernel >&2; touch {directory}/ended; exit 0" TERM',
            'trap "echo tcpdump: 5 packets captured, 1 packet dropped by kernel >&2" USR1',
            f"cat {directory}/packets",
            "while :; do sleep 0.05; done",
        )

    def put(self, name: str, *lines: str) -> None:
        """Put a program there."""
        path = self.directory / name
        path.write_text("\n".join(("#!/bin/sh", *lines, "")))
        path.chmod(0o755)

    def open(self, **changes: object) -> SshSource:
        self.put(
            "ssh.far",
            f"PATH={self.directory}:$PATH",
            f"SSH_CONNECTION='{self.connection}'",
            "export SSH_CONNECTION",
            f"echo '{self.greeting}'",
            "exec /bin/sh",
        )
        wanted = CaptureSettings(("eth0",), ssh="me@far", **changes)  # type: ignore[arg-type]
        return SshSource(wanted, program=(str(self.directory / "ssh"),))

    def said(self) -> list[str]:
        """What tcpdump was called with."""
        return self.arguments.read_text().splitlines()


@pytest.fixture
def far(tmp_path: Path) -> Far:
    return Far(tmp_path)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other end may take its time to go: what is tested is that it goes."""
    monkeypatch.setattr(ssh, "_PART_S", GIVE_UP_S)
    monkeypatch.setattr(ssh, "_LEAVE_S", GIVE_UP_S)


def test_packets_come_and_tcpdump_goes(far: Far, tmp_path: Path) -> None:
    far.greeting = "Welcome to far!"
    source = far.open(filter="port 80", write=str(tmp_path / "kept.pcapng"))
    blocks = source.blocks()
    block = next(block for block in blocks if len(block))
    assert (len(block), block.first_number) == (5, 1)
    assert source.store.frame(int(block.position[2]), 60) == FRAMES[2]
    assert (source.info.format, source.info.path) == ("live", "me@far eth0")
    (interface,) = source.info.interfaces
    assert (interface.name, interface.filter) == ("eth0", "port 80")
    assert source.capturing().file == str(tmp_path / "kept.pcapng")
    source.stop()
    assert not any(map(len, blocks))
    assert source.info.lost_kernel == 3
    assert not source.info.warnings
    source.close()
    source.close()
    assert far.ended.exists()
    frames, info = read(tmp_path / "kept.pcapng")
    assert [frame.data for frame in frames] == FRAMES
    assert info.lost_kernel == 3
    source.store.close()


def test_tcpdump_is_told_what_to_do(far: Far) -> None:
    far.open(filter="port 80 or port 81", snaplen=96, promiscuous=False, buffer_mib=4).close()
    assert far.said() == [
        *("-i", "eth0", "-n", "-U", "-w", "-", "-B", "4096", "-s", "96", "-p", "--"),
        "(port 80 or port 81) and not (tcp and host 10.1.1.1 and port 50000"
        " and host 10.1.1.2 and port 22)",
    ]
    far.open().close()
    assert far.said()[-4:-1] == ["-s", "0", "--"]
    assert far.said()[-1].startswith("not (tcp and host 10.1.1.1")


def test_own_connection_over_ipv6_and_unknown(far: Far) -> None:
    far.connection = "fe80::1%eth0 50000 fe80::2%eth0 22"
    far.open().close()
    assert "host fe80::1 and port 50000 and host fe80::2 and" in far.said()[-1]
    far.connection = ""
    source = far.open(filter="udp")
    source.close()
    assert far.said()[-1] == "(udp) and not tcp port 22"
    assert [item.code for item in source.info.warnings] == ["ssh-port-left-out"]


@pytest.mark.parametrize(
    "text",
    [
        "'; touch {0}/pwned; echo '",
        "$(touch {0}/pwned) `touch {0}/pwned`",
        '" ; touch {0}/pwned; "',
        "x\ntouch {0}/pwned\n",
        "@INTERFACE@ \\1 @FILTER@ $1",
        "é \\ ! * ~",
    ],
)
def test_nothing_that_is_typed_is_run(far: Far, text: str) -> None:
    typed = text.format(far.directory)
    far.open(filter=typed).close()
    assert f"({typed}) and not (tcp" in far.arguments.read_text()
    assert not (far.directory / "pwned").exists()
    wanted = CaptureSettings((typed,), ssh="me@far")
    SshSource(wanted, program=(str(far.directory / "ssh"),)).close()
    assert far.arguments.read_text().startswith(f"-i\n{typed}\n-n\n")
    assert not (far.directory / "pwned").exists()


def test_losses_are_asked_for(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.live.ssh._ASK_S", 0.2)
    source = far.open()
    for _ in source.blocks():
        if source.info.lost_kernel:
            break
    assert source.info.lost_kernel == 1
    source.close()


def test_stop_conditions(far: Far) -> None:
    source = far.open(stop=StopWhen(packets=3))
    assert sum(map(len, source.blocks())) == 3
    source.close()
    source = far.open(stop=StopWhen(duration_s=0.3))
    assert sum(map(len, source.blocks())) == 5
    source.close()
    assert not source.info.warnings


def test_capture_that_ends_by_itself(far: Far) -> None:
    program = far.directory / "tcpdump"
    program.write_text(program.read_text().replace("while :;", "echo gone away >&2; while false;"))
    source = far.open()
    assert sum(map(len, source.blocks())) == 5
    assert source.capturing().trouble == "the capture on far has ended: gone away"
    assert [item.code for item in source.info.warnings] == ["capture-ended"]
    source.close()


def test_sudo(far: Far) -> None:
    """tcpdump may be run by sudo only."""
    tcpdump = (far.directory / "tcpdump").read_text()
    refuse = 'test -n "$ROOT" || { echo "eth0: You don\'t have permission" >&2; exit 1; }\n'
    start = "#!/bin/sh\n"
    (far.directory / "tcpdump").write_text(
        tcpdump.replace(start, start + 'test "$1" = -h || ' + refuse)
    )
    far.put("sudo", "shift", "ROOT=yes", "export ROOT", 'exec "$@"')
    source = far.open()
    blocks = source.blocks()
    assert len(next(block for block in blocks if len(block))) == 5
    source.close()
    assert far.ended.exists()
    far.put("sudo", "echo a password is required >&2", "exit 1")
    with pytest.raises(UnreadableInput, match=r"no permission .* far.*setcap .*eip /.*/tcpdump$"):
        far.open()


@pytest.mark.parametrize(
    ("program", "lines", "why"),
    [
        ("ssh", ["echo 'ssh: connect to host far port 22: Connection refused' >&2; exit 255"],
         "far: ssh: connect to host far port 22: Connection refused"),
        ("ssh", ["exit 255"], "far: ssh ended with code 255"),
        ("ssh", ["echo hello; exit 0"], "far: the connection was closed"),
        ("ssh", [f"head -c 100000 /dev/zero; echo '{remote.BEGIN.decode().strip()}'"],
         "far: "),
        ("ssh", ["printf '\\033[31mred \\033]0;title\\007' >&2; exit 1"], "far: .*red"),
        ("tcpdump", ["echo 'tcpdump: eth0: No such device exists' >&2; exit 1"],
         "far: tcpdump: eth0: No such device exists"),
        ("tcpdump",
         ["case $* in *-L) exit 0;; esac", "echo 'tcpdump: syntax error in filter' >&2; exit 1"],
         "far: tcpdump: syntax error in filter"),
        ("tcpdump", ["case $* in *-L) exit 0;; esac", "echo short"], "far: "),
    ],
)  # fmt: skip
def test_failures_in_one_line(far: Far, program: str, lines: list[str], why: str) -> None:
    far.put(program, *lines)
    with pytest.raises(UnreadableInput, match=f"^{why}") as error:
        far.open()
    assert str(error.value).isprintable()


@pytest.mark.skipif(
    any(os.path.exists(f"{place}/tcpdump") for place in ("/usr/sbin", "/sbin", "/usr/local/sbin")),
    reason="tcpdump is where it is always looked for",
)
def test_no_tcpdump(far: Far) -> None:
    far.put("ssh", "PATH=/nowhere exec /bin/sh")
    with pytest.raises(UnreadableInput, match="there is no tcpdump on far: install it there"):
        far.open()


def test_no_ssh(tmp_path: Path) -> None:
    wanted = CaptureSettings(("eth0",), ssh="far")
    with pytest.raises(UnreadableInput, match="cannot be run: no such file"):
        SshSource(wanted, program=(str(tmp_path / "none"),))
    with pytest.raises(UnreadableInput, match="no destination"):
        SshSource(CaptureSettings(("eth0",), ssh="-oProxyCommand=touch x"))


def test_a_file_that_cannot_be_written(far: Far, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="is no regular file"):
        far.open(write=str(tmp_path))
    until(far.ended.exists, "tcpdump ends")


def test_what_is_said_while_waiting_is_shown(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = far.directory / "seen"

    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            seen.touch()
            return super().write(text)

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    wait = f"while ! test -e {seen}; do sleep 0.05; done"
    far.put("ssh", f"echo 'Permission denied, please try again.' >&2; {wait}", 'exec "$0.far"')
    with or_else(seen.touch):
        far.open().close()
    assert shown.getvalue() == "Permission denied, please try again.\n"


# -- with a real server ---------------------------------------------------------------


@needs_sshd
def test_real_server(tmp_path: Path) -> None:
    with running(tmp_path) as server, socket.create_server(("127.0.0.1", 0)) as web:
        port = web.getsockname()[1]
        wanted = CaptureSettings(
            ("lo",), "tcp", ssh=server.destination, write=str(tmp_path / "kept")
        )
        source = SshSource(wanted, program=server.client)
        blocks = source.blocks()
        with socket.create_connection(("127.0.0.1", port)) as client:
            mine = client.getsockname()[1].to_bytes(2)
        found = []
        with or_else(source.stop):
            for block in blocks:
                for start, size in zip(block.offset.tolist(), block.caplen.tolist(), strict=True):
                    frame = bytes(block.data[start : start + size])
                    ports = frame[34:36], frame[36:38]
                    assert server.port.to_bytes(2) not in ports, "its own connection"
                    found += [frame] if mine in ports else []
                if len(found) >= 3:
                    break
        assert source.info.clock_ns is not None
        source.stop()
        for _ in blocks:
            pass
        assert source.info.lost_kernel is not None
        source.close()
        until(lambda: not server.sessions(), "nothing is left on the other side")
        assert len(read(tmp_path / "kept")[0]) >= 3
        source.store.close()


@needs_sshd
@pytest.mark.parametrize("end", ["killed", "dropped"])
def test_nothing_is_left_behind(tmp_path: Path, end: str) -> None:
    """Not even when nothing passes that tcpdump could stumble over."""
    with running(tmp_path) as server:
        wanted = CaptureSettings(("lo",), "udp port 9", ssh=server.destination)
        source = SshSource(wanted, program=server.client)
        assert len(server.sessions()) > 1
        blocks = source.blocks()
        next(blocks)
        if end == "killed":
            source._connection._process.kill()
        else:
            server.drop()
        with or_else(source.stop):
            for _ in blocks:
                pass
        assert source.capturing().trouble.startswith("the capture on 127.0.0.1 has ended")
        source.close()
        until(lambda: not server.sessions(), "the other side has ended")


@needs_sshd
def test_strangers_are_not_let_in(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        (tmp_path / "authorized").write_text("")
        with pytest.raises(UnreadableInput, match=r"127\.0\.0\.1: .*Permission denied"):
            SshSource(CaptureSettings(("lo",), ssh=server.destination), program=server.client)


def test_a_banner_is_shown_before_the_question_that_follows(
    far: Far, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_SHOW_AFTER_S", GIVE_UP_S)
    go_on = far.directory / "asked"
    far.put(
        "ssh",
        "echo 'Authorised use only.' >&2",
        "echo 'ssh: connect to host far: this may be its last word' >&2",
        f"while [ ! -e {go_on} ]; do sleep 0.02; done",
        'exec "$0.far"',
    )
    said = ""

    def answer() -> None:
        def heard() -> bool:
            nonlocal said
            said += capsys.readouterr().err
            return "Authorised" in said

        try:
            until(heard)
        finally:
            go_on.touch()

    asked = threading.Thread(target=answer)
    asked.start()
    far.open().close()
    asked.join()
    assert said == "Authorised use only.\n"
