from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.saving import headers
from capture.saving.headers import fix_checksums, layers

ETHERNET = b"\x02" + bytes(5) + b"\x02" + bytes(5)
ADDRESSES = bytes((10, 0, 0, 1, 10, 0, 0, 2))
ADDRESSES6 = bytes(range(32))


def checksum(data: bytes) -> bytes:
    """Internet checksum (RFC 1071), written down plainly."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)


def ip4(protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + ADDRESSES
    return head[:10] + checksum(head) + head[12:] + payload


def ip6(protocol: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ADDRESSES6 + payload


def with_checksum(segment: bytes, at: int, protocol: int, addresses: bytes) -> bytes:
    pseudo = addresses + struct.pack("!II", len(segment), protocol)
    if protocol == 1:
        pseudo = b""
    return segment[:at] + checksum(pseudo + segment) + segment[at + 2 :]


def tcp(payload: bytes, addresses: bytes = ADDRESSES) -> bytes:
    head = struct.pack("!HHIIBBHHH", 1, 80, 2, 3, 0x50, 0x18, 100, 0, 0)
    return with_checksum(head + payload, 16, 6, addresses)


def udp(payload: bytes) -> bytes:
    head = struct.pack("!HHHH", 5, 53, 8 + len(payload), 0)
    return with_checksum(head + payload, 6, 17, ADDRESSES)


def error(quoted: bytes) -> bytes:
    return with_checksum(b"\3\4\0\0" + bytes(4) + quoted, 2, 1, b"")


FRAMES = {
    "ip4": (1, ETHERNET + b"\x08\0" + ip4(6, tcp(b"payload")) + b"pad"),
    "vlan": (1, ETHERNET + b"\x81\0\0\5\x88\xa8\0\6\x08\0" + ip4(6, tcp(b"x"))),
    "ip6": (1, ETHERNET + b"\x86\xdd" + ip6(6, tcp(b"payload", ADDRESSES6))),
    "extension": (
        1,
        ETHERNET + b"\x86\xdd" + ip6(0, b"\6\0" + bytes(6) + tcp(b"payload", ADDRESSES6)),
    ),
    "udp": (1, ETHERNET + b"\x08\0" + ip4(17, udp(b"message"))),
    "icmp": (1, ETHERNET + b"\x08\0" + ip4(1, error(ip4(6, tcp(b"odd"))))),
    "raw": (101, ip4(6, tcp(b"payload"))),
    "null": (0, b"\2\0\0\0" + ip4(6, tcp(b"payload"))),
    "sll": (113, bytes(14) + b"\x08\0" + ip4(6, tcp(b"payload"))),
    "sll2": (276, b"\x08\0" + bytes(18) + ip4(6, tcp(b"payload"))),
    "ipip": (101, ip4(4, ip4(6, tcp(b"payload")))),
    "gre": (101, ip4(47, b"\x20\0\x08\0" + bytes(4) + ip4(6, tcp(b"payload")))),
    "mpls": (1, ETHERNET + b"\x88\x47\0\0\0\1\0\0\1\1" + ip4(6, tcp(b"p"))),
    "pppoe": (1, ETHERNET + b"\x88\x64\x11\0\0\1\0\x40\0\x21" + ip4(6, tcp(b"payload"))),
    "vxlan": (
        101,
        ip4(
            17,
            struct.pack("!HHHH", 9, 4789, 70, 0)
            + bytes(8)
            + ETHERNET
            + b"\x08\0"
            + ip4(6, tcp(b"p")),
        ),
    ),
}


def valid(frame: bytes, linktype: int) -> bool:
    """Whether all checksums of a frame are right, computed anew."""
    found = layers(frame, linktype)
    for layer in found:
        data = frame[layer.start : layer.end]
        if layer.kind == headers.IP4:
            good = checksum(data[:20]) == b"\0\0"
        elif layer.kind in (headers.TCP, headers.UDP):
            carrier = found[layer.ip]
            low, size = (12, 8) if carrier.kind == headers.IP4 else (8, 32)
            addresses = frame[carrier.start + low : carrier.start + low + size]
            protocol = 6 if layer.kind == headers.TCP else 17
            pseudo = addresses + struct.pack("!II", len(data), protocol)
            none = layer.kind == headers.UDP and data[6:8] == b"\0\0"
            good = none or checksum(pseudo + data) == b"\0\0"
        elif layer.kind == headers.ICMP4:
            good = checksum(data) == b"\0\0"
        else:
            continue
        if not good:
            return False
    return True


@pytest.mark.parametrize("name", FRAMES)
def test_layers_are_found(name: str) -> None:
    linktype, frame = FRAMES[name]
    found = layers(frame, linktype)
    kinds = [layer.kind for layer in found]
    assert kinds[-1] in (headers.TCP, headers.DNS)
    assert valid(frame, linktype)
    if kinds[-1] == headers.TCP:
        payload = frame[found[-1].start + 20 : found[-1].end]
        assert payload in (b"payload", b"x", b"p", b"odd")


@pytest.mark.parametrize("name", FRAMES)
@given(change=st.binary(min_size=8, max_size=8), text=st.binary(min_size=3, max_size=3))
def test_right_checksums_stay_right(name: str, change: bytes, text: bytes) -> None:
    linktype, frame = FRAMES[name]
    new = bytearray(frame)
    found = layers(frame, linktype)
    for layer in found:
        if layer.kind == headers.IP4:
            new[layer.start + 12 : layer.start + 20] = change
        elif layer.kind == headers.IP6:
            new[layer.start + 8 : layer.start + 16] = change
        elif layer.kind == headers.TCP:
            room = layer.end - layer.start - 20
            new[layer.start + 20 : layer.end] = text.ljust(room, b"t")[:room]
    fix_checksums(found, frame, new)
    assert len(new) == len(frame)
    assert valid(bytes(new), linktype)


def test_wrong_checksums_stay_wrong() -> None:
    """Those that a network card fills in are wrong in a capture of the sender's."""
    _, frame = FRAMES["ip4"]
    wrong = bytearray(frame)
    wrong[50] ^= 0x55
    new = bytearray(wrong)
    new[26:30] = b"\x0a\1\1\1"
    fix_checksums(layers(wrong, 1), bytes(wrong), new)
    assert not valid(bytes(new), 1)


def test_udp_without_a_checksum_keeps_none() -> None:
    frame = bytearray(FRAMES["udp"][1])
    frame[40:42] = b"\0\0"
    new = bytearray(frame)
    new[26] ^= 1
    fix_checksums(layers(frame, 1), bytes(frame), new)
    assert new[40:42] == b"\0\0"


@given(st.binary(max_size=120), st.sampled_from([0, 1, 12, 101, 108, 113, 276, 147]))
def test_any_bytes(frame: bytes, linktype: int) -> None:
    found = layers(frame, linktype)
    assert len(found) <= 32
    new = bytearray(frame)
    fix_checksums(found, frame, new)
    assert new == frame, "nothing was changed"


@given(st.sampled_from(sorted(FRAMES)), st.data())
def test_damaged_frames(name: str, data: st.DataObject) -> None:
    linktype, frame = FRAMES[name]
    cut = data.draw(st.integers(0, len(frame)))
    at = data.draw(st.integers(0, len(frame) - 1))
    broken = bytearray(frame)
    broken[at] = data.draw(st.integers(0, 255))
    old = bytes(broken[:cut])
    new = bytearray(old)
    fix_checksums(layers(old, linktype), old, new)
    assert len(new) == len(old)
