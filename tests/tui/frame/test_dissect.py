from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.sources import open_source
from tests.tui.fakes import CONNECT, FORBIDDEN, frame, stored, view_of
from tests.widgets.build import denied_packets
from tui.frame.dissect import dissect
from tui.frame.payload import payload_layers
from widgets.packet_detail import LayerField

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


def field(fields: tuple[LayerField, ...], *path: str) -> LayerField:
    found = next(item for item in fields if item.label == path[0])
    return field(found.children, *path[1:]) if path[1:] else found


def every(fields: tuple[LayerField, ...]) -> list[LayerField]:
    return [item for top in fields for item in (top, *every(top.children))]


def connect_frame() -> bytes:
    view, store = stored(view_of(denied_packets()), {4: CONNECT})
    return store.frame(3, int(view.rows["caplen"][3]))


def test_fields_know_their_bytes() -> None:
    data = connect_frame()
    layers = dissect(data, 1)
    assert [layer.label for layer in layers] == ["Ethernet", "IP", "TCP", "HTTP"]
    assert [(layer.start, layer.end) for layer in layers] == [
        (0, 14), (14, 34), (34, 54), (54, len(data)),
    ]  # fmt: skip
    port = field(layers, "TCP", "dport")
    assert (port.value, port.start, port.end) == ("80", 36, 38)
    assert struct.unpack("!H", data[port.start : port.end]) == (80,)
    # Bit fields: version and header length share a byte.
    assert [field(layers, "IP", name).start for name in ("version", "ihl", "tos")] == [14, 14, 15]
    assert field(layers, "IP", "src").value == "10.40.40.1"
    host = field(layers, "HTTP", "Host")
    assert data[host.start : host.end] == b"Host: tools.cisco.com:443"


def test_ports_are_numbers() -> None:
    layers = dissect(connect_frame(), 1)
    assert "http" not in field(layers, "TCP").value


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap*")), ids=lambda path: path.stem)
def test_real_frames_nest_and_stay_inside(path: Path) -> None:
    source = open_source(str(path), spool=True)
    assert source.store is not None
    for block in source.blocks():
        for at in range(0, len(block), max(1, len(block) // 8)):
            data = source.store.frame(int(block.position[at]), int(block.caplen[at]))
            layers = dissect(data, int(block.linktype[at]))
            assert layers
            for item in every(layers):
                assert 0 <= item.start <= item.end <= len(data), item
                assert item.label.isprintable()
                assert item.value.isprintable()
                for child in item.children:
                    assert item.start <= child.start <= child.end <= item.end, (item, child)
    source.close()
    source.store.close()


@given(st.binary(max_size=200), st.sampled_from([0, 1, 12, 101, 113, 228, 276, 9, 50, 147]))
@settings(max_examples=150)
def test_hostile_frames_are_layers_or_one_line(data: bytes, linktype: int) -> None:
    try:
        layers = dissect(data, linktype)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    for item in every(layers):
        assert item.label.isprintable()
        assert item.value.isprintable()
        assert item.start <= item.end


def test_tunnels_in_tunnels_come_to_an_end() -> None:
    inner = b""
    for _ in range(900):
        inner = (
            struct.pack(
                "!BBHHHBBH4s4s", 0x45, 0, 20 + len(inner), 1, 0, 64, 4, 0, bytes(4), bytes(4)
            )
            + inner
        )
    try:
        assert len(dissect(inner, 101)) <= 33
    except ValueError as error:
        assert "cannot dissect" in str(error)  # noqa: PT017


def test_control_characters_never_get_through() -> None:
    row = denied_packets().rows[3]
    data = frame(row, b"GET /\x1b[2J HTTP/1.1\r\nX\x9b: \x1b]0;a\x07\xe2\x80\xae\r\n\r\n")
    for item in every(dissect(data, 1)):
        assert item.value.isprintable()
        assert item.label.isprintable()


# What is said in the payload


def layers_of(payload: bytes) -> tuple[LayerField, ...]:
    return tuple(payload_layers(payload, 100))


def test_http_head_and_body() -> None:
    head, body = layers_of(b"HTTP/1.1 403 Forbidden\r\nServer: squid\r\n\r\n<html>")
    assert head.value == "HTTP/1.1 403 Forbidden"
    assert [(item.label, item.value) for item in head.children] == [
        ("first line", "HTTP/1.1 403 Forbidden"), ("Server", "squid"),
    ]  # fmt: skip
    assert (head.start, head.end) == (100, 141)
    assert (body.label, body.start, body.end) == ("Data", 141, 147)


def test_half_a_head_says_so() -> None:
    (head,) = layers_of(FORBIDDEN[:-3])
    assert head.value.endswith("(head goes on)")


def test_tls_records() -> None:
    hello = b"\x16\x03\x01\x00\x08\x01\x00\x00\x04abcd"
    alert = b"\x15\x03\x03\x00\x02\x02\x30"
    part = b"\x17\x03\x03\x40\x00" + bytes(10)
    records = layers_of(hello + alert + part)
    assert [record.value for record in records] == [
        "ClientHello", "Alert fatal unknown_ca", "ApplicationData (16374 bytes more to come)",
    ]  # fmt: skip
    assert field(records, "TLS", "ClientHello").value == "4 bytes"
    assert (records[1].start, records[1].end) == (113, 120)


def test_encrypted_handshake_is_not_given_a_name() -> None:
    (record,) = layers_of(b"\x16\x03\x03\x00\x28" + b"\x01\xff\xff\xff" + bytes(36))
    assert record.value == "encrypted handshake"


@given(st.binary(max_size=300))
def test_any_payload_is_covered_from_end_to_end(payload: bytes) -> None:
    at = 100
    for item in layers_of(payload):
        assert item.start == at
        at = item.end
    assert at == 100 + len(payload)
