from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.readers import (
    CLIENT,
    FOREVER,
    PROXY,
    AlertSeen,
    CertificateRequestSeen,
    CertificatesSeen,
    ClientHelloSeen,
    NotTls,
    RecordHeader,
    ServerHelloSeen,
)
from capture.protocols.tls import MAX_RECORD, TlsReader, looks_like_record
from capture.protocols.tls_hello import (
    parse_certificates,
    parse_client_hello,
    parse_server_hello,
    parse_ssl2_hello,
)
from tests.capture.protocols.build import (
    RANDOM,
    block,
    client_hello,
    extension,
    message,
    numbers,
    record,
    server_hello,
)
from tests.capture.protocols.streams import pieces

HELLO = record(22, client_hello(), 0x0301)
CCS = record(20, b"\x01")
ALPN_H2 = extension(16, block(block(b"h2", 1)))
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
SPLITS = pytest.mark.parametrize("split", [0, 1, 2, 5, 17])


def kinds(events: list[Any]) -> list[str]:
    """Events in short; record headers as ``type:length``."""
    words = []
    for event in events:
        match event:
            case RecordHeader():
                words.append(f"{event.type}:{event.length}")
            case ClientHelloSeen():
                words.append(f"hello {event.hello.sni}")
            case ServerHelloSeen():
                words.append("retry" if event.hello.retry else f"server {event.hello.version:04x}")
            case CertificatesSeen():
                words.append(f"certificates {len(event.certificates)}")
            case CertificateRequestSeen():
                words.append("certificate request")
            case AlertSeen():
                words.append(f"alert {event.code}")
            case NotTls():
                words.append("not tls")
    return words


def feed(reader: TlsReader[int], data: bytes, split: int = 0) -> list[Any]:
    size = split or max(1, len(data))
    events: list[Any] = []
    for mark, at in enumerate(range(0, len(data), size), 1):
        events += reader.feed(data[at : at + size], mark)
    return events


def test_client_hello_fields() -> None:
    hello = parse_client_hello(client_hello(extra=extension(41, b"x") + extension(0xFE0D, b"y")))
    assert hello is not None
    assert hello.sni == "tools.cisco.com"
    assert hello.versions == (0x0304, 0x0303)
    assert hello.ciphers == (0x1301, 0xC02F)
    assert hello.alpn == ("h2", "http/1.1")
    assert hello.groups == (0x11EC, 0x1D)
    assert hello.key_shares == (0x11EC,)
    assert hello.session_id == b"session"
    assert hello.length == len(client_hello()) + 10
    assert hello.complete
    assert hello.psk
    assert hello.ech


def test_grease_is_left_out() -> None:
    hello = parse_client_hello(
        client_hello(
            versions=(0x7A7A, 0x0304),
            ciphers=(0x0A0A, 0x1301),
            alpn=("h2",),
            groups=(0xFAFA, 0x1D),
            shares=(0x2A2A, 0x1D),
            extra=extension(0x1A1A, b""),
        )
    )
    assert hello is not None
    assert (hello.versions, hello.ciphers) == ((0x0304,), (0x1301,))
    assert (hello.groups, hello.key_shares) == ((0x1D,), (0x1D,))


def test_hello_without_extensions_offers_its_legacy_version() -> None:
    body = b"\x03\x01" + RANDOM + b"\x00" + block(numbers(0x2F)) + b"\x01\x00"
    hello = parse_client_hello(message(1, body))
    assert hello is not None
    assert hello.versions == (0x0301,)
    assert hello.sni is None
    assert hello.ciphers == (0x2F,)


def test_hostile_names_are_harmless() -> None:
    hello = parse_client_hello(client_hello(sni="\x1b[2J\u202e", alpn=("\x07",)))
    assert hello is not None
    assert hello.sni == "·[2J·"
    assert hello.alpn == ("·",)


def test_cut_hello_gives_what_was_seen() -> None:
    data = client_hello()
    full = parse_client_hello(data)
    assert full is not None
    for end in range(len(data)):
        hello = parse_client_hello(data[:end], complete=False)
        if end < 6:
            assert hello is None
            continue
        assert hello is not None
        assert not hello.complete
        assert hello.length == full.length
        assert hello.sni in (None, full.sni)
        assert full.ciphers[: len(hello.ciphers)] == hello.ciphers
        assert full.versions[: len(hello.versions)] == hello.versions
        assert full.alpn[: len(hello.alpn)] == hello.alpn
        assert full.key_shares[: len(hello.key_shares)] == hello.key_shares
    assert parse_client_hello(data[:-1], complete=False) is not None


@pytest.mark.parametrize(
    ("data", "version", "alpn", "psk"),
    [
        (server_hello(), 0x0304, None, False),
        (server_hello(0xC02F, None), 0x0303, None, False),
        (server_hello(0xC02F, None, extra=ALPN_H2), 0x0303, "h2", False),
        (server_hello(extra=extension(41, b"\x00\x00")), 0x0304, None, True),
        (server_hello(0x1302)[:50], 0x0304, None, False),
    ],
)  # fmt: skip
def test_server_hello_fields(data: bytes, version: int, alpn: str | None, psk: bool) -> None:
    hello = parse_server_hello(data)
    assert hello is not None
    assert (hello.version, hello.alpn, hello.psk, hello.retry) == (version, alpn, psk, False)


def test_cut_server_hello_needs_its_cipher() -> None:
    data = server_hello()
    cipher_end = 4 + 2 + 32 + 8 + 2
    for end in range(len(data)):
        hello = parse_server_hello(data[:end])
        assert (hello is not None) == (end >= cipher_end)
        if hello is not None:
            assert hello.version == 0x0304


@SPLITS
def test_handshake_of_tls13(split: int) -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    data = record(22, server_hello()) + CCS + record(23, b"x" * 100) + record(23, b"y" * 19)
    words = [f"22:{len(server_hello())}", "server 0304", "20:1", "23:100", "23:19"]
    assert kinds(feed(reader, data, split)) == words
    assert reader.count == 4
    assert reader.last is not None
    assert (reader.last.type, reader.last.length) == (23, 19)
    assert reader.missing == 0
    assert reader.encrypted


@SPLITS
def test_handshake_of_tls12(split: int) -> None:
    chain = message(11, block(block(b"0\x00", 3) + block(b"junk", 3), 3))
    flight = server_hello(0xC02F, None) + chain + message(12, b"k" * 300) + message(13, b"r" * 20)
    body = flight + message(14, b"")
    data = record(22, body[:100]) + record(22, body[100:]) + record(21, b"\x01\x00")
    data += CCS + record(22, bytes(40)) + record(21, b"e" * 26)
    reader: TlsReader[int] = TlsReader(PROXY)
    words = kinds(feed(reader, data, split))
    assert [word for word in words if ":" not in word] == [
        "server 0303", "certificates 2", "certificate request", "alert 0",
    ]  # fmt: skip
    assert words[-2:] == ["22:40", "21:26"]
    assert reader.encrypted
    assert reader.missing == 0


@SPLITS
def test_hello_behind_a_change_cipher_spec_is_read(split: int) -> None:
    client: TlsReader[int] = TlsReader(CLIENT)
    words = kinds(feed(client, HELLO + CCS + HELLO + record(23, b"x" * 53), split))
    assert words.count("hello tools.cisco.com") == 2
    server: TlsReader[int] = TlsReader(PROXY)
    retry = record(22, server_hello(random=RETRY))
    words = kinds(feed(server, retry + CCS + record(22, server_hello()), split))
    assert [word for word in words if ":" not in word] == ["retry", "server 0304"]


@SPLITS
def test_messages_over_many_records_with_their_packets(split: int) -> None:
    data = client_hello(alpn=tuple(f"proto-{n}" for n in range(15)))
    stream = b"".join(record(22, data[at : at + 50]) for at in range(0, len(data), 50))
    reader: TlsReader[int] = TlsReader(CLIENT)
    (seen,) = [e for e in feed(reader, stream, split) if isinstance(e, ClientHelloSeen)]
    assert seen.hello == parse_client_hello(data)
    feeds = -(-len(stream) // split) if split else 1
    assert seen.last == feeds
    assert seen.first == 1 + (5 // split if split else 0)
    assert seen.packets <= feeds


def test_hello_in_two_segments() -> None:
    reader: TlsReader[int] = TlsReader(CLIENT)
    assert kinds(reader.feed(HELLO[:100], 7)) == [f"22:{len(HELLO) - 5}"]
    assert reader.missing == len(HELLO) - 100
    assert reader.partial is not None
    assert not reader.partial.hello.complete
    (seen,) = reader.feed(HELLO[100:], 9)
    assert isinstance(seen, ClientHelloSeen)
    assert (seen.first, seen.last, seen.packets) == (7, 9, 2)
    assert reader.partial is None


def test_clear_alerts_and_encrypted_ones() -> None:
    client: TlsReader[int] = TlsReader(CLIENT)
    assert kinds(feed(client, HELLO + record(21, b"\x02\x30")))[2:] == ["21:2", "alert 48"]
    # OpenSSL: ChangeCipherSpec for compatibility, then the alert in clear (TLS 1.3).
    assert kinds(feed(client, CCS + record(21, b"\x02\x2d"))) == ["20:1", "21:2", "alert 45"]
    assert kinds(feed(client, record(21, b"\x02\x2d" * 13))) == ["21:26"]
    fresh: TlsReader[int] = TlsReader(CLIENT)
    assert kinds(feed(fresh, record(21, b"\x01\x5a\x01\x00"))) == ["21:4", "alert 90", "alert 0"]
    assert kinds(feed(fresh, record(21, b"\x09\x5a"))) == ["21:2"]


def test_bodies_are_skipped() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    head = record(23, b"x" * 16000)[:5]
    assert kinds(reader.feed(head + b"x" * 100, 1)) == ["23:16000"]
    assert (reader.skip, reader.missing) == (15900, 15900)
    assert reader.skipped(15000) == []
    assert reader.missing == 900
    assert reader.skipped(900) == []
    assert reader.missing == reader.skip == 0
    assert kinds(reader.feed(head, 2)) == ["23:16000"]
    assert reader.count == 2


def test_unread_handshake_messages_are_skipped() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    data = record(22, message(12, b"k" * 1000) + server_hello())
    reader.feed(data[:20], 1)
    assert reader.skip == 1000 - 11
    assert reader.skipped(989) == []
    assert reader.skip == 0
    assert kinds(reader.feed(data[1009:], 2)) == ["server 0304"]


@pytest.mark.parametrize("at", range(6, len(HELLO)))
def test_hole_in_a_hello_tells_what_was_seen_and_keeps_step(at: int) -> None:
    reader: TlsReader[int] = TlsReader(CLIENT)
    reader.feed(HELLO[:at], 1)
    events = reader.lost(len(HELLO) - at, 2)
    assert len(events) == (at >= 5 + 6)
    for event in events:
        assert isinstance(event, ClientHelloSeen)
        assert not event.hello.complete
    assert reader.missing == 0
    assert kinds(reader.feed(CCS + record(23, b"x"), 3)) == ["20:1", "23:1"]


def test_hole_inside_a_message_finds_the_next_message() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    body = server_hello() + message(13, b"r" * 20) + message(14, b"")
    data = record(22, body)
    cut = 5 + 52
    reader.feed(data[:cut], 1)
    rest = len(server_hello()) - 52
    events: list[Any] = reader.lost(rest)
    events += reader.feed(data[cut + rest :], 2)
    assert kinds(events) == ["server 0304", "certificate request"]


def test_lost_header_waits_for_a_segment_with_one() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    reader.feed(record(23, b"x" * 100)[:50], 1)
    assert reader.lost(200) == []
    assert reader.missing is None
    assert reader.skip == 0
    assert reader.feed(b"x" * 500, 2) == []
    assert kinds(reader.feed(record(23, b"y" * 30), 3)) == ["23:30"]
    assert reader.missing == 0


def test_garbage_between_records_loses_step() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    assert kinds(feed(reader, record(23, b"x") + b"garbage" + record(23, b"y"))) == ["23:1"]
    assert reader.missing is None
    assert kinds(feed(reader, record(23, b"z" * 9))) == ["23:9"]


def test_start_inside_the_stream() -> None:
    reader: TlsReader[int] = TlsReader(PROXY, synced=False)
    assert reader.feed(b"middle of a record", 1) == []
    assert kinds(reader.feed(record(23, b"z" * 9), 2)) == ["23:9"]


def test_resync_at_a_border_the_driver_found() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    reader.feed(record(23, b"x" * 100)[:50], 1)
    reader.lost(5000)
    reader.resync(4)
    assert reader.missing == 0
    assert kinds(reader.feed(record(23, b"y" * 30), 3)) == ["23:30"]
    assert reader.count == 6


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 400 Bad Request\r\n", b"SSH-2.0-x\r\n", b"\x05\xff", b"\x00", b"\xff\xff",
     b"\x16\x02\x01\x00\x05", b"\x16\x03\x07\x00\x05", b"\x17\x03\x03\xff\xff",
     b"\x80\x2e\x02\x00\x02"],
)  # fmt: skip
@SPLITS
def test_not_tls(data: bytes, split: int) -> None:
    for sender in (CLIENT, PROXY):
        reader: TlsReader[int] = TlsReader(sender)
        events = feed(reader, data, split)
        if sender == CLIENT and data == b"\xff\xff":
            continue  # may yet become the ClientHello of SSL 2
        assert kinds(events) == ["not tls"]
        assert events[0].mark == 1
        assert reader.skip == FOREVER
        assert reader.missing is None


@SPLITS
def test_ssl2_client_hello(split: int) -> None:
    body = b"\x01\x03\x01" + numbers(6, 0, 16) + b"\x00\x00\x2f\x07\x00\xc0" + bytes(16)
    data = bytes([0x80, len(body)]) + body
    reader: TlsReader[int] = TlsReader(CLIENT)
    (seen,) = feed(reader, data + HELLO, split)[:1]
    assert isinstance(seen, ClientHelloSeen)
    assert seen.hello.versions == (0x0301,)
    assert seen.hello.ciphers == (0x2F,)
    assert seen.first == 1
    assert reader.count == 2
    assert parse_ssl2_hello(b"\x02") is None


def test_absurd_messages_do_not_pile_up() -> None:
    reader: TlsReader[int] = TlsReader(CLIENT)
    huge = b"\x01\xff\xff\xff" + b"\x03\x03" * 8000
    assert kinds(feed(reader, record(22, huge[:16000]) * 100)) == ["22:16000"] * 100
    assert reader.partial is None
    assert kinds(feed(reader, HELLO)) == [f"22:{len(HELLO) - 5}", "hello tools.cisco.com"]


def test_close_reports_an_unfinished_hello() -> None:
    reader: TlsReader[int] = TlsReader(CLIENT)
    reader.feed(HELLO[:-1], 1)
    (seen,) = reader.closed(2)
    assert isinstance(seen, ClientHelloSeen)
    assert not seen.hello.complete
    assert reader.closed(3) == []


@pytest.mark.parametrize(
    ("data", "good"),
    [(HELLO, True), (record(23, b"x" * MAX_RECORD), True), (record(23, b""), False),
     (HELLO[:4], False), (b"\x17\x03\x03\xff\xff", False), (b"\x19\x03\x03\x00\x05", False),
     (b"\x17\x03\x05\x00\x05", False), (b"", False)],
)  # fmt: skip
def test_looks_like_record(data: bytes, good: bool) -> None:
    assert looks_like_record(data) == good


REAL = [
    ("01a_success_302_tls13.pcap", ["hello tools.cisco.com"], ["server 0304"]),
    ("01b_success_302_tls12.pcap", ["hello tools.cisco.com"], ["server 0303", "certificates 2"]),
    ("12a_cert_expired_tls13.pcap", ["hello tools.cisco.com", "alert 45"], ["server 0304"]),
    ("12b_untrusted_ca_tls13.pcap", ["hello tools.cisco.com", "alert 48"], ["server 0304"]),
    ("12c2_mitmproxy_untrusted_tls12.pcap", ["hello tools.cisco.com", "alert 48"],
     ["server 0303", "certificates 1"]),
    ("12d_version_server_tls13_only.pcap", ["hello tools.cisco.com"], ["alert 70"]),
    ("08a_tls_stall_server_silent.pcap", ["hello tools.cisco.com"], []),
]  # fmt: skip


def tunnel(name: str, sender: int) -> bytes:
    """What one side sent inside the tunnel of a capture."""
    stream = b"".join(piece.data for piece in pieces(name) if piece.sender == sender)
    return stream[stream.index(b"\r\n\r\n") + 4 :]


@pytest.mark.parametrize(("name", "client", "server"), REAL)
@SPLITS
def test_real_tunnels(name: str, client: list[str], server: list[str], split: int) -> None:
    for sender, words in ((CLIENT, client), (PROXY, server)):
        reader: TlsReader[int] = TlsReader(sender)
        seen = kinds(feed(reader, tunnel(name, sender), split))
        assert [word for word in seen if ":" not in word] == words
        assert reader.missing == 0


def test_upload_that_was_cut_lacks_bytes_of_its_record() -> None:
    reader: TlsReader[int] = TlsReader(CLIENT)
    feed(reader, tunnel("11e_mtu_rst_upload.pcap", CLIENT))
    assert reader.last is not None
    assert reader.last.length == 16401
    assert reader.missing == 1926


def test_certificate_of_a_real_tunnel() -> None:
    reader: TlsReader[int] = TlsReader(PROXY)
    (seen,) = [
        event
        for event in feed(reader, tunnel("12c2_mitmproxy_untrusted_tls12.pcap", PROXY))
        if isinstance(event, CertificatesSeen)
    ]
    (leaf, *_) = seen.certificates
    assert leaf.subject == "O=Cisco Systems Inc., CN=tools.cisco.com"
    assert leaf.issuer == "O=mitmproxy, CN=mitmproxy"
    assert leaf.names == ("tools.cisco.com",)
    assert not leaf.self_signed


@given(st.binary(max_size=400), st.integers(0, 400))
def test_hellos_never_raise(data: bytes, at: int) -> None:
    for good in (client_hello(), server_hello()):
        mixed = good[:at] + data + good[at:]
        parse_client_hello(mixed)
        parse_client_hello(b"\x01\x00\x01\x00\x03\x03" + data, complete=False)
        parse_server_hello(mixed)
        parse_server_hello(b"\x02\x00\x01\x00\x03\x03" + data)
        parse_ssl2_hello(data)
        parse_certificates(data)


_STEPS = ["feed", "lost", "skipped", "closed"]
_PARTS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([HELLO, HELLO[:60], CCS, record(22, server_hello()), record(21, b"\x02\x28"),
                     record(23, b"x" * 50), record(22, message(11, bytes(30))), b"\x16\x03"]),
)  # fmt: skip


@given(
    st.integers(0, 1),
    st.lists(st.tuples(st.sampled_from(_STEPS), _PARTS), max_size=20),
)  # fmt: skip
def test_nothing_that_comes_raises(sender: int, steps: list[tuple[str, bytes]]) -> None:
    reader: TlsReader[int] = TlsReader(sender)
    for mark, (step, data) in enumerate(steps):
        if step == "feed":
            reader.feed(data, mark)
        elif step == "closed":
            reader.closed(mark)
        else:
            count = len(data) if step == "lost" else min(len(data), reader.skip)
            getattr(reader, step)(count, mark)
        assert reader.skip >= 0
        assert reader.missing is None or reader.missing >= 0
        assert reader.partial is None or not reader.partial.hello.complete


@given(st.lists(st.integers(1, 600), max_size=10))
def test_any_split_tells_the_same(cuts: list[int]) -> None:
    data = HELLO + CCS + record(21, b"\x02\x28") + HELLO + record(23, b"x" * 60)
    whole = kinds(feed(TlsReader(CLIENT), data))
    reader: TlsReader[int] = TlsReader(CLIENT)
    events: list[Any] = []
    borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for mark, (start, end) in enumerate(pairwise(borders)):
        events += reader.feed(data[start:end], mark)
    assert kinds(events) == whole
