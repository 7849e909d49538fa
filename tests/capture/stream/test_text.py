from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.stream import text as module
from capture.stream.text import LineKind, StreamText
from capture.stream.tls_detail import read_tls
from capture.stream.tls_words import tls_facts
from tests.capture.stream.build import fetcher, reader_of, view_of
from tests.conversations import (
    CONNECT,
    ESTABLISHED,
    certificate,
    client_hello,
    named_certificate,
    record,
    server_hello,
)
from tests.widgets.screen import HOSTILE, steers


def told(*said: tuple[Any, ...], **options: Any) -> StreamText:
    reader = reader_of(*said, **options)
    text = StreamText(reader, reader._view)
    while not text.done:
        text.more()
    return text


def texts(*said: tuple[Any, ...], **options: Any) -> list[str]:
    return [line.text for line in told(*said, **options).lines]


def test_a_tunnel_from_request_to_data() -> None:
    chain = certificate(named_certificate(b"tools.cisco.com"))
    ccs, data = record(20, b"\1"), record(23, bytes(300))
    assert texts(
        (CLIENT, CONNECT), (PROXY, ESTABLISHED), (CLIENT, client_hello()),
        (PROXY, server_hello() + chain + ccs + record(22, bytes(range(40)))),
        (PROXY, data * 2), (CLIENT, data + record(21, bytes(26))), (PROXY, record(21, b"\2\60")),
    ) == [
        "client, 67 bytes, #4 at 0.013000 s",
        "CONNECT tools.cisco.com:443 HTTP/1.1",
        "Host: tools.cisco.com:443",
        "proxy, 39 bytes, #5 at 0.014000 s",
        "HTTP/1.1 200 Connection established",
        "client, 76 bytes, #6 at 0.015000 s",
        "ClientHello SNI=tools.cisco.com, 71 bytes",
        *texts_of_server_flight(chain),
        "client, 336 bytes, #9 at 0.018000 s",
        "ApplicationData, 300 bytes",
        "Alert encrypted, 26 bytes",
        "proxy, 7 bytes, #10 at 0.019000 s",
        "Alert unknown_ca (fatal), 2 bytes",
    ]  # fmt: skip


def texts_of_server_flight(chain: bytes) -> list[str]:
    length = len(server_hello()) + len(chain) + 6 + 45 + 610
    return [
        f"proxy, {length:,} bytes, #7 at 0.016000 s",
        "ServerHello TLSv1.2 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 44 bytes",
        f"Certificate CN=tools.cisco.com, {len(chain) - 5} bytes",
        "ChangeCipherSpec, 1 byte",
        "Handshake encrypted, 40 bytes",
        "ApplicationData, 2 records, 300 + 300 bytes",
    ]


def test_a_message_over_several_records() -> None:
    whole = certificate(named_certificate(b"far.example"))[5:]
    lines = texts((PROXY, record(22, whole[:30]) + record(22, whole[30:])))
    assert lines[1:] == [
        "Certificate (goes on), 30 bytes",
        f"Certificate CN=far.example, {len(whole) - 30} bytes",
    ]


def test_what_was_not_captured_is_said() -> None:
    lines = texts((PROXY, b"one\r\n"), (PROXY, b"two\r\n", {"seq": 1 + 5 + 412}))
    assert lines[1:] == ["one", "[412 bytes not captured]", "two"]


def test_many_records_and_binary_bytes_are_folded() -> None:
    lines = texts((PROXY, record(23, bytes(100)) * 9))
    assert lines[1:] == ["ApplicationData, 9 records, 900 B, the largest 100 bytes"]
    assert texts((PROXY, bytes(range(256))))[1:] == ["256 bytes that are no text"]


@pytest.mark.parametrize("size", [7, 1448])
def test_secrets_are_masked_unless_asked_for(size: int) -> None:
    secret = b"dXNlcjpodW50ZXIy"
    head = CONNECT[:-2] + b"Proxy-Authorization: Basic " + secret + b"\r\n\r\n"
    said = [(CLIENT, head[at : at + size]) for at in range(0, len(head), size)]
    assert "Proxy-Authorization: Basic ****************" in texts(*said)
    assert f"Proxy-Authorization: Basic {secret.decode()}" in texts(*said, masked=False)


def test_no_byte_steers_the_terminal() -> None:
    said = [(PROXY, name.encode("utf-8", "surrogatepass") + b"\r\n") for name in HOSTILE]
    heads = [(CLIENT, b"GET /" + name.encode("utf-8", "surrogatepass").replace(b" ", b"")
              + b" HTTP/1.1\r\nX: " + name.encode("utf-8", "surrogatepass") + b"\r\n\r\n")
             for name in HOSTILE]  # fmt: skip
    assert not steers(texts(*said, *heads))


def test_pages_give_the_same_lines_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"\r\n".join([b"a line"] * 40)
    said = ((CLIENT, CONNECT), (PROXY, ESTABLISHED), (CLIENT, client_hello()),
            (PROXY, record(22, bytes(9)) * 30), (CLIENT, lines))  # fmt: skip
    whole = told(*said)
    monkeypatch.setattr(module, "PAGE", 64)
    assert [line for line in told(*said).lines if line.kind is not LineKind.TEXT] == [
        line for line in whole.lines if line.kind is not LineKind.TEXT
    ]
    total = len(CONNECT) + len(ESTABLISHED) + len(client_hello()) + 14 * 30 + 318
    assert whole.progress == (total, total)


def test_lines_are_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1000)
    reader = reader_of(*[(side, b"x" * 700) for side in (CLIENT, PROXY) for _ in range(20)])
    text = StreamText(reader, reader._view)
    assert (len(text.lines), text.progress) == (0, (0, 28_000))
    assert text.more() > 0
    assert text.progress == (1000, 28_000)
    assert not text.done


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 50)
    monkeypatch.setattr(module, "MAX_BODY_LINES", 20)
    lines = told(*[(side, b"a line\r\n" * 40) for side in (CLIENT, PROXY) * 4]).lines
    assert [line.text for line in lines[21:23]] == [
        "further lines are left out", "proxy, 320 bytes, #5 at 0.014000 s",
    ]  # fmt: skip
    assert len(lines) == 51
    assert lines[-1].kind is LineKind.NOTE


def test_nothing_was_said() -> None:
    text = told()
    assert (text.lines, text.progress) == ([], (0, 0))


PAYLOADS = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.sampled_from((CONNECT, ESTABLISHED, client_hello(), server_hello(), record(21, b"\2\x28"))),
    st.builds(record, st.integers(20, 24), st.binary(max_size=50), st.integers(-1, 80)),
)


@given(st.lists(st.tuples(st.sampled_from((CLIENT, PROXY)), PAYLOADS, st.booleans()), max_size=10))
def test_whatever_is_said_becomes_lines(said: list[tuple[int, bytes, bool]]) -> None:
    """Any bytes, some of them cut by a snap length."""
    cut = [(side, data, {"caplen": 54 + len(data) // 2} if short else {})
           for side, data, short in said]  # fmt: skip
    lines = told(*cut).lines
    assert not steers([line.text for line in lines])
    at = [0, 0]
    for line in lines:
        if line.kind not in (LineKind.TURN, LineKind.NOTE):
            # Blank lines of a head are not shown: nothing else may be passed over.
            assert line.end >= line.start >= at[line.side]
            at[line.side] = line.end
    view, frames = view_of(*cut)
    detail = read_tls(view, np.arange(len(view)), fetcher(frames))
    assert not steers([fact.value for fact in tls_facts(detail, 0)])
