"""Hellos in full. Fingerprints were compared with tshark's JA3 for 52 hellos of curl,
OpenSSL, GnuTLS and BoringSSL; the JA4 case is the example of its specification."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.tls_offer import ClientOffer, read_client, read_server
from tests.conversations import client_hello, extension, server_hello

GREASE = b"\x2a\x2a"


def numbers(*values: int) -> bytes:
    return b"".join(struct.pack("!H", value) for value in values)


def hello(extensions: bytes, ciphers: bytes = b"\x13\x01", session: bytes = b"") -> bytes:
    body = b"\3\3" + bytes(32) + bytes([len(session)]) + session
    body += struct.pack("!H", len(ciphers)) + ciphers + b"\1\0"
    body += struct.pack("!H", len(extensions)) + extensions
    return b"\1" + len(body).to_bytes(3, "big") + body


def sni(name: bytes = b"a.example") -> bytes:
    entry = b"\0" + struct.pack("!H", len(name)) + name
    return extension(0, struct.pack("!H", len(entry)) + entry)


def listed(kind: int, values: bytes) -> bytes:
    return extension(kind, struct.pack("!H", len(values)) + values)


def alpn(*names: bytes) -> bytes:
    return listed(16, b"".join(bytes([len(name)]) + name for name in names))


def read(data: bytes) -> ClientOffer:
    offer = read_client(data)
    assert offer is not None
    return offer


SIGNATURES = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
CIPHERS = (
    0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014,
    0x009C, 0x009D, 0x002F, 0x0035,
)  # fmt: skip
KINDS = (0x1B, 0, 0x33, 0x10, 0x4469, 0x17, 0x2D, 0x0D, 0x05, 0x23, 0x12, 0x2B, 0xFF01, 0x0B,
         0x0A, 0x15)  # fmt: skip


def test_ja4_of_the_specification() -> None:
    special = {
        0: sni(), 0x10: alpn(b"h2", b"http/1.1"), 0x0D: listed(13, numbers(*SIGNATURES)),
        0x2B: extension(43, b"\6" + GREASE + numbers(0x0304, 0x0303)),
    }  # fmt: skip
    extensions = extension(0x2A2A, b"") + b"".join(
        special.get(kind, extension(kind, b"")) for kind in KINDS
    )
    offer = read(hello(extensions, GREASE + numbers(*CIPHERS)))
    assert offer.ja4 == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert offer.grease
    assert offer.signatures == SIGNATURES
    assert offer.extensions == KINDS


def test_ja3_is_of_the_values_in_order_without_grease() -> None:
    extensions = sni() + listed(10, GREASE + numbers(29, 23)) + extension(11, b"\1\0")
    text = b"771,4865-49199,0-10-11,29-23,0"
    offer = read(hello(extensions, GREASE + numbers(0x1301, 0xC02F)))
    assert offer.ja3 == hashlib.md5(text, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("protocols", "expected"),
    [((b"h2", b"http/1.1"), "h2"), ((b"http/1.1",), "h1"), ((), "00"), ((b"x",), "xx"),
     ((b"\xab\xcd",), "ad"), ((b"\x30\xab",), "3b")],
)  # fmt: skip
def test_protocol_of_ja4(protocols: tuple[bytes, ...], expected: str) -> None:
    offer = read(hello(sni() + (alpn(*protocols) if protocols else b"")))
    assert offer.ja4.startswith(f"t12d010{2 if protocols else 1}{expected}_")


def test_a_hello_without_anything() -> None:
    offer = read(hello(b"", b""))
    assert offer.ja4 == "t12i000000_000000000000_000000000000"
    assert (offer.ticket, offer.early_data, offer.psk_modes) == (None, False, ())


def test_hints_of_earlier_sessions() -> None:
    asks = read(hello(sni() + extension(35, b"")))
    resumes = read(hello(extension(35, b"ticket") + extension(42, b"") + extension(45, b"\1\1")))
    assert (asks.ticket, resumes.ticket) == (False, True)
    assert (asks.early_data, resumes.early_data) == (False, True)
    assert resumes.psk_modes == (1,)


def test_a_cut_hello_has_no_fingerprint() -> None:
    whole = client_hello()[5:]
    assert read(whole).ja4
    cut = read(whole[:-5])
    assert (cut.ja3, cut.ja4, cut.hello.complete) == ("", "", False)


def test_server() -> None:
    choice = read_server(server_hello()[5:])
    assert choice is not None
    assert (choice.version, choice.group, choice.ticket, choice.retry) == (
        0x0303,
        None,
        False,
        False,
    )
    body = b"\3\3" + bytes(32) + b"\0" + b"\x13\x01" + b"\0"
    extensions = extension(43, b"\3\4") + extension(51, numbers(29, 2) + b"ab") + extension(35, b"")
    body += struct.pack("!H", len(extensions)) + extensions
    choice = read_server(b"\2" + len(body).to_bytes(3, "big") + body)
    assert choice is not None
    assert (choice.version, choice.group, choice.ticket) == (0x0304, 29, True)
    assert choice.extensions == (43, 51, 35)


@given(st.binary(max_size=120))
def test_anything_is_read_without_an_error(data: bytes) -> None:
    whole = client_hello()[5:]
    read_client(b"\1" + data)
    read_server(b"\2" + data)
    for cut in range(0, len(whole), 7):
        read_client(whole[:cut] + data)
