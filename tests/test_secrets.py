"""No credential leaves the program: not in any format, not in a message, not on the screen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.check import check_file
from capture.comparing.compare import compare
from capture.comparing.subjects import subject_of
from capture.engine import Engine
from capture.options import AnalysisOptions
from capture.packets.lines import Describer
from capture.report.model import Report
from capture.report.render import FORMATS, render
from capture.snapshot import Snapshot
from capture.sources import open_source
from capture.stream.assembly import assemble
from capture.stream.reading import StreamReader
from capture.stream.saving import stream_bytes, stream_lines
from capture.stream.text import StreamText
from capture.timeline.ladder import build_ladder
from tests.capture.saving.loading import loaded
from tests.capture.sources.building import enhanced, interface, option, section
from tests.conversations import (
    CLIENT,
    CONNECT,
    ESTABLISHED,
    FORBIDDEN,
    PROXY,
    Conversation,
    pcap,
)
from tests.tui.user import using
from tui import cli
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.frame.dissect import dissect
from tui.frame.shown_frame import fetch_shown
from tui.screens.packet import PacketScreen
from widgets.cells import safe
from widgets.packet_detail import HexView, LayerField, LayerTree

CAPTURES = Path(__file__).parent / "data" / "captures"
PASSWORD = b"Hunter2xQz9"
BASIC = b64encode(b"alice:" + PASSWORD)
TOKEN = b"mF_9B5f41JqMzzQ8xA"
DIGEST = b"6629fae49393a05397450978507c4ef1"
NTLM = b"TlRMTVNTUAADAAAAGAAYAHIAAAAYABgAigAAABQAFABIAAAADAAMAFwA"
LOGIN = b64encode(b"\0alice\0" + PASSWORD)
SECRETS = (PASSWORD, BASIC, BASIC[8:], TOKEN, DIGEST, NTLM[:30], LOGIN, b64encode(PASSWORD)[:12])

ENTIRELY = ("text", "csv")
"""Formats of which the whole program is run: the others say the same report in other ways."""

Talk = tuple[tuple[int, bytes], ...]


def connect(*fields: bytes, target: bytes = b"tools.cisco.com:443") -> bytes:
    lines = (b"CONNECT " + target + b" HTTP/1.1", b"Host: tools.cisco.com:443", *fields, b"", b"")
    return b"\r\n".join(lines)


def get(target: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: h", *fields, b"", b""))


def page(body: bytes, status: bytes = b"403 Forbidden", *fields: bytes) -> bytes:
    lines = (b"HTTP/1.1 " + status, b"Server: squid/5.7", *fields)
    return b"\r\n".join((*lines, b"Content-Length: %d" % len(body), b"", body))


FIELDS = (
    b"Proxy-Authorization: Basic " + BASIC,
    b"proxy-authorization:basic " + BASIC,
    b"PROXY-AUTHORIZATION :\tBASIC\t" + BASIC,
    b"Proxy-Authorization: Basic\r\n " + BASIC,
    b"Proxy-Authorization:\r\n\tBasic " + BASIC,
    b'Proxy-Authorization: Digest username="alice", uri="a:443", response="' + DIGEST + b'"',
    b"Proxy-Authorization: NTLM " + NTLM,
    b"Proxy-Authorization: Negotiate " + NTLM,
    b"Proxy-Authorization: Bearer " + TOKEN,
    b"Proxy-Authorization: Unheard-Of " + TOKEN,
    b"Proxy-Authorization: " + TOKEN,
    b"Authorization: Basic " + BASIC,
    b"X-Proxy-Authorization: Basic " + BASIC,
    b"Cookie: sid=" + TOKEN,
    b"X-Api-Key: " + TOKEN,
    b"X-Amz-Security-Token: " + TOKEN,
    b"Referer: http://a/?password=" + PASSWORD,
    b"Via: 1.1 http://alice:" + PASSWORD + b"@p",
    b"Host: alice:" + PASSWORD + b"@tools.cisco.com",
    b"User-Agent: Basic " + BASIC,
    b"X: y\nProxy-Authorization: Basic " + BASIC + b"\nZ: a",
    b"User-Agent: updater/2 (curl -x p:80 --proxy-user alice:" + PASSWORD + b" -I)",
    b"X-Note: his password is " + PASSWORD + b", again",
)
URIS = (
    b"http://alice:" + PASSWORD + b"@h/x",
    b"http://alice@corp.example:" + PASSWORD + b"@h/x",
    b"ftp://alice:" + PASSWORD + b"@h/f",
    b"http://h/x?token=" + TOKEN,
    b"http://h/x?a=1&PASSWORD=" + PASSWORD,
    b"http://h/x?a=1;pass%77d=" + PASSWORD,
    b"http://h/?user[password]=" + PASSWORD,
    b"http://h/#access_token=" + TOKEN,
    b"http://h/?u=http%3A%2F%2Falice%3A" + PASSWORD + b"%40x",
)


def talks() -> Iterator[tuple[str, Talk]]:
    asks = page(b"", b"407 x", b'Proxy-Authenticate: Basic realm="x"')
    for number, field in enumerate(FIELDS):
        request = connect(field)
        yield f"field-{number}-denied", ((CLIENT, request), (PROXY, FORBIDDEN))
        yield f"field-{number}-asked", ((CLIENT, request), (PROXY, asks))
        yield f"field-{number}-open", ((CLIENT, request), (PROXY, ESTABLISHED))
    for number, uri in enumerate(URIS):
        link = b'<p>while trying to retrieve <a href="' + uri + b'">' + uri + b"</a></p>"
        moved = page(b"", b"302 Found", b"Location: " + uri)
        yield f"uri-{number}-page", ((CLIENT, get(uri)), (PROXY, page(link)))
        yield f"uri-{number}-moved", ((CLIENT, connect()), (PROXY, moved))
        yield f"uri-{number}-reason", ((CLIENT, connect()), (PROXY, page(b"", b"502 no " + uri)))
    userinfo = b"alice:" + PASSWORD + b"@tools.cisco.com:443"
    yield "target", ((CLIENT, connect(target=userinfo)), (PROXY, FORBIDDEN))
    yield "target-09", ((CLIENT, b"CONNECT " + userinfo + b"\r\n\r\n"), (PROXY, FORBIDDEN))
    yield "target-cut", ((CLIENT, b"CONNECT alice:" + PASSWORD),)
    yield "uri-cut", ((CLIENT, b"GET http://alice:" + PASSWORD), (PROXY, FORBIDDEN))
    yield "field-cut", ((CLIENT, connect(b"Proxy-Authorization: Basic " + BASIC)[:-4]),)
    yield "no-http", ((CLIENT, b"user=alice&password=" + PASSWORD + b"\r\n"), (PROXY, FORBIDDEN))
    form = b"user=alice&password=" + PASSWORD
    length = b"Content-Length: %d" % len(form)
    yield "form", ((CLIENT, get(b"http://h/", length).replace(b"GET", b"POST") + form),
                   (PROXY, FORBIDDEN))  # fmt: skip
    json = b'{"user":"alice","password":"' + PASSWORD + b'","headers":{"Authorization":"Basic '
    yield "json", ((CLIENT, connect()), (PROXY, page(json + BASIC + b'"}}')))
    echo = connect(b"Proxy-Authorization: Basic " + BASIC, b"Cookie: s=" + TOKEN)
    yield "echo", ((CLIENT, connect()), (PROXY, page(b"<pre>" + echo + b"</pre>")))
    yield "trace", ((CLIENT, echo.replace(b"CONNECT tools", b"TRACE http://tools")),
                    (PROXY, page(echo, b"200 OK")))  # fmt: skip
    reason = b"403 for Authorization: Basic " + BASIC
    yield "reason", ((CLIENT, connect()), (PROXY, page(b"", reason)))
    cookie = b"Set-Cookie: s=" + TOKEN
    yield "set-cookie", ((CLIENT, connect()), (PROXY, page(b"", b"403 x", cookie)))
    yield "second", ((CLIENT, connect() + echo), (PROXY, asks + FORBIDDEN))
    yield "inside", (
        (CLIENT, connect(target=b"h:80")), (PROXY, ESTABLISHED),
        (CLIENT, get(b"/?token=" + TOKEN, FIELDS[11])), (PROXY, FORBIDDEN),
    )  # fmt: skip
    socks = b"\1\5alice" + bytes([len(PASSWORD)]) + PASSWORD
    yield "socks", ((CLIENT, b"\5\1\2"), (PROXY, b"\5\2"), (CLIENT, socks), (PROXY, b"\1\0"))
    yield (
        "socks4",
        ((CLIENT, b"\4\1\1\xbb\n\0\0\1" + PASSWORD + b"\0"), (PROXY, b"\0\x5a" + bytes(6))),
    )
    for name, line in (
        ("ftp", b"PASS " + PASSWORD), ("smtp", b"AUTH PLAIN " + LOGIN),
        ("smtp-login", b"AUTH LOGIN\r\nYWxpY2U=\r\n" + b64encode(PASSWORD)),
        ("imap", b"a1 LOGIN alice " + PASSWORD),
    ):  # fmt: skip
        asked = ((CLIENT, connect(target=b"h:25")), (PROXY, ESTABLISHED))
        yield name, (*asked, (CLIENT, line + b"\r\n"))


TALKS = dict(talks())


def written(tmp_path: Path, talk: Talk, size: int) -> str:
    conversation = Conversation()
    for sender, data in talk:
        conversation.says(sender, data, size)
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(conversation.closed().frames))
    return str(path)


def assert_no_secret(text: str, secrets: tuple[bytes, ...] = SECRETS) -> None:
    for secret in secrets:
        assert secret.decode() not in text
        assert secret[:8].hex(" ") not in text


def reports(path: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``check`` says in every format, on both streams."""
    said: list[str] = []
    for format in ENTIRELY:
        assert cli.main(["check", "--all", "--format", format, path]) in (0, 1)
        said.extend(capsys.readouterr())
    report = check_file(path, AnalysisOptions(keep_other=True))
    assert isinstance(report, Report)
    for format in FORMATS:
        if format not in ENTIRELY:
            said.extend(render(format, [report], others=True))
    return "\n".join(said)


def drawn(path: str) -> str:
    """What the screen draws of a capture: lists, ladder, layers and bytes."""
    source = open_source(path, spool=True)
    engine = Engine(source, AnalysisOptions(keep_packets=True))
    bridge = EngineBridge(lambda: engine)
    bridge.start()
    engine.join()
    snapshot = bridge.poll()
    assert snapshot is not None
    assert engine.store is not None
    view = snapshot.packets
    describe = Describer(view, snapshot.facts)
    said: list[str] = []
    for flow in snapshot.report.flows:
        ladder = build_ladder(flow, snapshot.facts[flow.uid], view, view.of_flow(flow.uid))
        said += [safe(line.text) for line in ladder]
    for row in range(len(view)):
        said.append(safe(describe(row).info))
        facts = snapshot.facts.get(int(view.rows["flow"][row]))
        frame = fetch_shown(bridge, view, row + 1, facts)
        said.append(frame.data.decode("latin-1"))
        said += texts(dissect(frame.data, frame.linktype))
    said += closer(snapshot, bridge)
    engine.store.close()
    return "\n".join(said)


def closer(snapshot: Snapshot, bridge: EngineBridge) -> Iterator[str]:
    """What a closer look at each tunnel shows: its stream, and it beside another."""
    view = snapshot.packets

    def fetch(number: int) -> bytes:
        return bridge.frame(view, number)

    for flow in snapshot.report.flows:
        reader = StreamReader(fetch, view, assemble(view, view.of_flow(flow.uid)))
        yield from map(safe, stream_lines(StreamText(reader, view)))
        for side in (CLIENT, PROXY):
            yield b"".join(data for data, _ in stream_bytes(reader, side)).decode("latin-1")
            total = reader.total(side)
            chunks = reader.read(side, total // 3, total)
            yield b"".join(chunk.data for chunk in chunks).decode("latin-1")
        subject = subject_of(snapshot, flow, fetch)
        if subject is not None:
            for row in compare(subject, subject).rows:
                yield safe(f"{row.name} {row.left}")


def texts(fields: tuple[LayerField, ...]) -> Iterator[str]:
    for field in fields:
        yield safe(f"{field.label} {field.value}")
        yield from texts(field.children)


@pytest.mark.parametrize("size", [1448, 17])
@pytest.mark.parametrize("name", TALKS)
def test_secrets_of_a_conversation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, size: int
) -> None:
    path = written(tmp_path, TALKS[name], size)
    if size > 1000:
        content = Path(path).read_bytes()
        assert [secret for secret in SECRETS if secret in content]
    assert_no_secret(reports(path, capsys))
    assert_no_secret(drawn(path))


@pytest.mark.parametrize("kept", range(54, 54 + 150, 11))
def test_a_snaplen_may_cut_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: int
) -> None:
    request = connect(b"Proxy-Authorization: Basic " + BASIC, b"Cookie: s=" + TOKEN)
    frames = Conversation().says(CLIENT, request).says(PROXY, FORBIDDEN).closed().frames
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(frames, snaplen=kept))
    parts = (BASIC[:6], BASIC[6:14], TOKEN[:5])
    assert_no_secret(reports(str(path), capsys) + drawn(str(path)), parts)


@pytest.mark.parametrize("start", range(0, 100, 9))
def test_a_capture_may_begin_inside_a_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], start: int
) -> None:
    request = connect(b"Proxy-Authorization: Basic " + BASIC)[start:]
    frames = Conversation(opened=False).says(CLIENT, request).says(PROXY, FORBIDDEN).frames
    path = tmp_path / "capture.pcap"
    path.write_bytes(pcap(frames))
    parts = (BASIC[-12:-3],)
    assert_no_secret(reports(str(path), capsys) + drawn(str(path)), parts)


LINES = (
    b"Proxy-Authorization: Basic " + BASIC,
    b"proxy-authorization:  basic " + BASIC,
    b"$ curl -u alice:" + PASSWORD + b" --proxy http://10.10.10.1:80 https://tools.cisco.com",
    b"$ curl -x http://alice:" + PASSWORD + b"@10.10.10.1:80 https://tools.cisco.com",
    b"# the password is " + PASSWORD,
    b"CONNECT alice:" + PASSWORD + b"@tools.cisco.com:443 HTTP/1.1",
    b"HTTP/1.1 403 Forbidden for http://alice:" + PASSWORD + b"@h/",
    b"E..4..@....Proxy-Authorization: Basic " + BASIC + b"..Host: a",
    b"Cookie: s=" + TOKEN,
)


@pytest.mark.parametrize("name", ["document_acl.txt", "05a_basic_407_then_ok.txt"])
@pytest.mark.parametrize("line", LINES)
def test_secrets_of_a_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: bytes, name: str
) -> None:
    lines = (CAPTURES / name).read_bytes().split(b"\n")
    for at in (0, 4, 7, len(lines)):
        path = tmp_path / "capture.txt"
        path.write_bytes(b"\n".join([*lines[:at], line, *lines[at:]]))
        assert_no_secret(reports(str(path), capsys) + drawn(str(path)))


def test_secrets_that_the_recorder_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    comment = option(1, b"curl -U alice:" + PASSWORD)
    options = [
        option(2, b"http://alice:" + PASSWORD + b"@eth0"), option(11, b"\0token=" + TOKEN), comment,
    ]  # fmt: skip
    frames = Conversation().says(CLIENT, CONNECT).says(PROXY, FORBIDDEN).closed().frames
    path = tmp_path / "capture.pcapng"
    blocks = [enhanced(frame, at, options=comment) for at, frame in enumerate(frames)]
    path.write_bytes(section(options=comment) + interface(options=options) + b"".join(blocks))
    assert_no_secret(reports(str(path), capsys) + drawn(str(path)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--proxy", "http://alice:Hunter2xQz9@10.0.0.1:99999", "{capture}"],
        ["--proxy", "alice:Hunter2xQz9@10.0.0.1:80", "{capture}"],
        ["--proxy-user=alice:Hunter2xQz9", "{capture}"],
        ["--iprep-proxy-conf", "{conf}", "{capture}"],
        ["http://alice:Hunter2xQz9@10.0.0.1:80"],
    ],
)
def test_secrets_of_the_command_line(tmp_path: Path, arguments: list[str]) -> None:
    conf = tmp_path / "iprep_proxy.conf"
    conf.write_text("iprep_proxy { PROXY_HOST ; PROXY_PASSWD Hunter2xQz9; }")
    names = {"capture": CAPTURES / "02a_squid_acl_deny.pcap", "conf": conf}
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", "check", *[part.format(**names) for part in arguments]],
        env={**os.environ, "http_proxy": "http://alice:Hunter2xQz9@10.0.0.2:port"},
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode in (1, 2, 4)
    assert "Traceback" not in done.stderr
    assert_no_secret(done.stdout + done.stderr)


@pytest.mark.parametrize("mss", [1448, 7])
@pytest.mark.parametrize("name", TALKS)
def test_secrets_in_saved_packets(tmp_path: Path, name: str, mss: int) -> None:
    """Neither whole in a packet nor in the stream that the packets make."""
    saved = tmp_path / "saved.pcapng"
    with loaded(written(tmp_path, TALKS[name], mss), keep_other=True) as capture:
        capture.save(saved)
        before = capture.streams()
    with loaded(saved, keep_other=True) as again:
        after = again.streams()
    assert len(after) == len(before)
    assert_no_secret(saved.read_bytes().decode("latin-1"))
    assert_no_secret(after.decode("latin-1"))


@pytest.mark.parametrize("name", ["second", "reason"])
async def test_secrets_on_the_screen(tmp_path: Path, name: str) -> None:
    """Every packet's layers and bytes, each pane by itself, the help, and a search."""
    source = open_source(written(tmp_path, TALKS[name], 1448), spool=True)
    bridge = EngineBridge(
        lambda: Engine(source, AnalysisOptions(keep_packets=True), period_s=0.02), source.progress
    )
    app = TunnelscopeApp(bridge, title="capture.pcap", period_s=0.02)
    seen = []
    async with using(app, (160, 60)) as user:
        await user.until(lambda: user.screen._snapshot and user.screen._snapshot.finished)
        for keys in (
            ("1",),
            ("2",),
            ("3",),
            ("4",),
            ("4", "slash", *"Basic", "enter"),
            ("escape",),
        ):
            await user.press(*keys)
            seen.append(user.text())
        await user.press("3", "g", "enter")
        screen = app.screen
        assert isinstance(screen, PacketScreen)
        for _ in range(9):
            await user.until(lambda: screen.query_one(LayerTree).row_count() > 1)
            seen.append(user.text())
            screen.query_one(HexView).focus()
            await user.press("G", "right_square_bracket")
            seen.append(user.text())
    bridge.stop()
    everything = re.sub(r" +", " ", "\n".join(seen))
    assert "secrets covered" in everything
    assert_no_secret(everything)
    assert_no_secret(app.clipboard)
