from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.x509_detail import chain_problems, read_certificate, read_chain
from tests.conversations import _der, certificate, named_certificate

RSA = _der(6, bytes.fromhex("2a864886f70d010101"))
EC = _der(6, bytes.fromhex("2a8648ce3d0201"))
P256 = _der(6, bytes.fromhex("2a8648ce3d030107"))
SHA256 = _der(6, bytes.fromhex("2a864886f70d01010b"))


def rsa_key(bits: int) -> bytes:
    number = (1 << (bits - 1)).to_bytes((bits + 8) // 8, "big")
    return _der(0x30, _der(0x30, RSA + _der(5, b"")) +
                _der(3, b"\0" + _der(0x30, _der(2, number) + _der(2, b"\1\0\1"))))  # fmt: skip


def name(text: bytes) -> bytes:
    return _der(0x30, _der(0x31, _der(0x30, _der(6, b"\x55\x04\x03") + _der(0x0C, text))))


def made(
    subject: bytes, issuer: bytes, key: bytes = b"", constraints: bytes | None = None
) -> bytes:
    times = _der(0x30, _der(0x17, b"240101000000Z") + _der(0x17, b"260101000000Z"))
    body = _der(0xA0, _der(2, b"\2")) + _der(2, b"\x12\x34") + _der(0x30, SHA256)
    body += name(issuer) + times + name(subject) + (key or rsa_key(2048))
    if constraints is not None:
        value = _der(4, _der(0x30, constraints))
        one = _der(0x30, _der(6, bytes.fromhex("551d13")) + value)
        body += _der(0xA3, _der(0x30, one))
    return _der(0x30, _der(0x30, body) + _der(0x30, SHA256) + _der(3, bytes(20)))


def test_a_certificate() -> None:
    data = made(b"a", b"ca", constraints=b"")
    found = read_certificate(data)
    assert (found.certificate.subject, found.certificate.issuer) == ("CN=a", "CN=ca")
    assert (found.key, found.key_bits) == ("RSA 2048 bits", 2048)
    assert (found.signature, found.serial, found.authority) == ("SHA-256 with RSA", "1234", False)
    assert found.fingerprint == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (rsa_key(1024), "RSA 1024 bits"),
        (_der(0x30, _der(0x30, EC + P256) + _der(3, bytes(66))), "EC P-256"),
        (_der(0x30, _der(0x30, _der(6, b"\x2b\x65\x70")) + _der(3, bytes(33))), "Ed25519"),
        (_der(0x30, _der(0x30, _der(6, b"\x2a\x03")) + _der(3, bytes(3))), "1.2.3"),
    ],
)
def test_keys(key: bytes, words: str) -> None:
    assert read_certificate(made(b"a", b"b", key)).key == words


@pytest.mark.parametrize(
    ("constraints", "authority"),
    [(None, None), (b"", False), (_der(1, b"\xff"), True), (_der(1, b"\0"), False)],
)
def test_basic_constraints(constraints: bytes | None, authority: bool | None) -> None:
    assert read_certificate(made(b"a", b"b", constraints=constraints)).authority is authority


def test_a_chain_and_its_order() -> None:
    leaf, middle, root = made(b"a", b"m"), made(b"m", b"r"), made(b"r", b"r")
    message = certificate(leaf)[5:]
    assert [item.certificate.subject for item in read_chain(message)] == ["CN=a"]
    chain = tuple(map(read_certificate, (leaf, middle, root)))
    assert chain_problems(chain) == []
    assert chain_problems((chain[0], chain[2], chain[1])) == [
        "certificate 2 is not the issuer of certificate 1",
        "certificate 3 is not the issuer of certificate 2",
    ]
    weak = read_certificate(made(b"m", b"r", constraints=b""))
    assert chain_problems((chain[0], weak)) == ["certificate 2 may not issue others"]


def test_a_chain_that_is_cut_keeps_what_is_whole() -> None:
    data = named_certificate(b"a")
    one = len(data).to_bytes(3, "big") + data
    message = b"\x0b" + bytes(3) + (2 * len(one)).to_bytes(3, "big") + one + one[:-9]
    assert len(read_chain(message)) == 1


@given(st.binary(max_size=60), st.integers(0, 400))
def test_anything_is_read_without_an_error(data: bytes, cut: int) -> None:
    whole = made(b"a", b"b", constraints=b"")
    read_certificate(data)
    read_certificate(whole[:cut] + data)
    read_chain(b"\x0b" + data)
