"""Real connections of openssl, each with another way to seal its records."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from capture.decrypt.keylog import KeyLogFile
from capture.decrypt.session import TlsSession
from capture.facts import CLIENT, PROXY
from capture.stream.items import APPLICATION_DATA, ItemKind
from capture.stream.tls_detail import read_tls
from capture.stream.tls_words import tls_facts
from capture.stream.turns import items_in_turn
from tests.capture.decrypt.build import CAPTURE, KEYS, NAMES, READABLE, capture, keys, lines_of
from tests.capture.decrypt.build import reader_of as reader

REQUEST = (
    b"GET /answer HTTP/1.1\r\nHost: tools.example.com\r\n"
    b"Authorization: Basic dXNlcjpodW50ZXIy\r\nUser-Agent: openssl\r\n\r\n"
)


def clear_of(name: str, log: KeyLogFile) -> tuple[bytes, bytes]:
    """Application data of both sides."""
    session, found = TlsSession(log), (bytearray(), bytearray())
    for side, item in items_in_turn(reader(name), sealed=True):
        if item.kind is ItemKind.RECORD:
            clear = session.take(side, item.type, item.data)
            if clear is not None and clear.type == APPLICATION_DATA:
                found[side].extend(clear.data)
    return bytes(found[CLIENT]), bytes(found[PROXY])


@pytest.mark.parametrize("name", READABLE)
def test_every_cipher_opens(name: str) -> None:
    client, proxy = clear_of(name, keys())
    assert client == REQUEST
    assert proxy.startswith(b"HTTP/1.1 302 Found\r\nLocation: https://tools.example.com/next\r\n")
    assert proxy.endswith(b"\r\n\r\nover there\r\n")


@pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark")
@pytest.mark.parametrize("name", READABLE)
def test_tshark_reads_the_same(name: str) -> None:
    command = ["tshark", "-r", str(CAPTURE), "-o", f"tls.keylog_file:{KEYS}", "-q"]
    command += ["-z", f"follow,tls,raw,{NAMES.index(name)}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    theirs = bytearray(), bytearray()
    for line in run.stdout.splitlines():
        side = PROXY if line.startswith("\t") else CLIENT
        if line.strip() and set(line.strip()) <= set("0123456789abcdef"):
            theirs[side].extend(bytes.fromhex(line.strip()))
    # Of TLS 1.3 it takes the server for the first to speak, and changes the sides.
    assert sorted(map(bytes, theirs)) == sorted(clear_of(name, keys()))


@pytest.mark.parametrize("name", READABLE)
def test_the_stream_shows_what_is_inside_without_its_secrets(name: str) -> None:
    lines = lines_of(reader(name), keys())
    for line in ("GET /answer HTTP/1.1", "HTTP/1.1 302 Found", "over there"):
        assert line in lines
    assert "Authorization: Basic ****************" in lines
    assert not [line for line in lines if "hunter" in line or "dXNl" in line]
    assert any(line.startswith("Finished") and line.endswith("decrypted") for line in lines)


def test_secrets_are_kept_for_who_wants_them() -> None:
    lines = lines_of(reader("13-chacha", masked=False), keys())
    assert "Authorization: Basic dXNlcjpodW50ZXIy" in lines
    assert "Set-Cookie: session=hunter3" in lines


@pytest.mark.parametrize("name", NAMES)
def test_without_keys_nothing_is_opened(name: str) -> None:
    lines = lines_of(reader(name), KeyLogFile(""))
    assert not [line for line in lines if line.endswith("decrypted") or "302 Found" in line]
    plain = lines_of(reader(name), None)
    assert [line for line in lines if not line.startswith("not decrypted")] == plain


def test_why_nothing_opens_is_said_once() -> None:
    lines = lines_of(reader("12-chacha"), KeyLogFile(""))
    told = [line for line in lines if line.startswith("not decrypted")]
    assert told == ["not decrypted: the key log has no secrets of this session"]


@pytest.mark.parametrize("name", ["13-aes128-gcm", "13-key-update", "12-chacha", "12-cbc-sha"])
def test_behind_a_hole_it_goes_on(name: str) -> None:
    count = len(capture()[0].of_flow(capture()[2][name]))
    whole, seen = lines_of(reader(name), keys()), 0
    hello = whole.index(next(line for line in whole if line.startswith("ServerHello")))
    assert hello > 0
    for missing in range(11, count):
        lines = lines_of(reader(name, without=lambda at, gone=missing: at == gone), keys())  # type: ignore[misc]
        if any("not captured" in line for line in lines):
            seen += 1
            assert [line for line in lines if line in ("GET /answer HTTP/1.1", "over there")]
    assert seen > 2


@pytest.mark.parametrize("name", READABLE)
def test_lines_lie_where_their_records_lie(name: str) -> None:
    from capture.stream.text import StreamText

    streams = reader(name)
    text = StreamText(streams, capture()[0], keys())
    while not text.done:
        text.more()
    for side in (CLIENT, PROXY):
        starts = [line.start for line in text.lines if line.side == side]
        assert starts == sorted(starts)
        ends = [line.end for line in text.lines if line.side == side]
        assert max(ends) <= streams.total(side)


def test_the_handshake_of_tls_1_3_in_full() -> None:
    view, fetch, uids = capture()
    rows = view.of_flow(uids["13-aes256-gcm"])
    detail = read_tls(view, rows, fetch, keys())
    assert [item.certificate.subject for item in detail.chain] == ["CN=tools.example.com"]
    assert (detail.alpn, detail.resumed) == ("", False)
    assert [(a.sender, a.code, a.decrypted) for a in detail.alerts] == [
        (PROXY, 0, True), (CLIENT, 0, True),
    ]  # fmt: skip
    facts = tls_facts(detail, 0)
    assert next(fact.value for fact in facts if fact.label == "ALPN") == "none (decrypted)"
    assert "Not to be seen" not in [fact.label for fact in facts]
    sealed = read_tls(view, rows, fetch)
    assert (sealed.chain, sealed.alpn, sealed.alerts, sealed.decrypted) == ((), None, (), 0)


def test_why_a_handshake_stays_sealed_is_said() -> None:
    view, fetch, uids = capture()
    detail = read_tls(view, view.of_flow(uids["13-chacha"]), fetch, KeyLogFile(""))
    told = [fact.value for fact in tls_facts(detail, 0)]
    assert "not decrypted: the key log has no secrets of this session" in told
