from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.x509 import parse_certificate


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def name(*pairs: tuple[str, bytes], tag: int = 0x0C) -> bytes:
    return der(
        0x30,
        *(
            der(0x31, der(0x30, der(6, bytes.fromhex(oid)), der(tag, value)))
            for oid, value in pairs
        ),
    )


CN, O = "550403", "55040a"  # noqa: E741
ISSUER = name((O, b"Lab"), (CN, b"Lab CA"))
SUBJECT = name((O, b"Acme, Inc."), (CN, b"a.example"))


def certificate(
    subject: bytes = SUBJECT,
    issuer: bytes = ISSUER,
    times: tuple[bytes, bytes] = (der(0x17, b"250314113012Z"), der(0x18, b"20600101000000Z")),
    names: bytes | None = der(0x82, b"a.example") + der(0x87, bytes([10, 0, 0, 1])),
    version: bool = True,
) -> bytes:
    parts = [der(0xA0, der(2, b"\x02"))] if version else []
    parts += [der(2, b"\x01"), der(0x30), issuer, der(0x30, *times), subject, der(0x30)]
    if names is not None:
        other = der(0x30, der(6, bytes.fromhex("551d13")), der(1, b"\xff"), der(4, der(0x30)))
        alt = der(0x30, der(6, bytes.fromhex("551d11")), der(4, der(0x30, names)))
        parts.append(der(0xA3, der(0x30, other, alt)))
    return der(0x30, der(0x30, *parts), der(0x30), der(3, b"\x00"))


def test_fields() -> None:
    found = parse_certificate(certificate())
    assert found.subject == "CN=a.example, O=Acme\\, Inc."
    assert found.issuer == "CN=Lab CA, O=Lab"
    assert found.not_before == datetime(2025, 3, 14, 11, 30, 12, tzinfo=UTC)
    assert found.not_after == datetime(2060, 1, 1, tzinfo=UTC)
    assert found.names == ("a.example", "10.0.0.1")
    assert not found.self_signed


def test_version_1_has_no_version_field_and_no_extensions() -> None:
    found = parse_certificate(certificate(subject=ISSUER, names=None, version=False))
    assert found.subject == found.issuer == "CN=Lab CA, O=Lab"
    assert found.self_signed
    assert found.names == ()


@pytest.mark.parametrize(
    ("element", "time"),
    [
        (der(0x17, b"491231235959Z"), datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (der(0x17, b"500101000000Z"), datetime(1950, 1, 1, tzinfo=UTC)),
        (der(0x18, b"99991231235959Z"), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (der(0x17, b"2501011200Z"), None),
        (der(0x17, b"251301000000Z"), None),
        (der(0x18, b"00000101000000Z"), None),
        (der(0x17, b"\xb2\xb2"), None),
        (der(0x17, b""), None),
        (der(0x0C, b"250314113012Z"), None),
    ],
)
def test_times(element: bytes, time: datetime | None) -> None:
    found = parse_certificate(certificate(times=(element, element)))
    assert (
        found.not_before
        == found.not_after
        == (datetime(2025, 1, 1, 12, tzinfo=UTC) if element == der(0x17, b"2501011200Z") else time)
    )


def test_strings_are_harmless() -> None:
    hostile = name((CN, b"\x1b[2J\xe2\x80\xae"))
    assert parse_certificate(certificate(subject=hostile)).subject == "CN=·[2J·"
    wide = name((CN, "Größe".encode("utf-16-be")), tag=0x1E)
    assert parse_certificate(certificate(subject=wide)).subject == "CN=Größe"
    unknown = name(("2b06010401", b"x"))
    assert parse_certificate(certificate(subject=unknown)).subject == "1.3.6.1.4.1=x"


def test_ipv6_and_odd_names() -> None:
    names = der(0x87, bytes(15) + b"\x01") + der(0x87, b"odd") + der(0x86, b"http://x")
    assert parse_certificate(certificate(names=names)).names == ("::1",)


@pytest.mark.parametrize("end", range(0, len(certificate()), 3))
def test_cut_certificate_is_read_as_far_as_it_goes(end: int) -> None:
    found = parse_certificate(certificate()[:end])
    assert found.subject in ("", "CN=a.example, O=Acme\\, Inc.")


@given(st.binary(max_size=200), st.integers(0, 300))
def test_garbage_never_raises(data: bytes, at: int) -> None:
    good = certificate()
    parse_certificate(data)
    parse_certificate(good[:at] + data)
    parse_certificate(good[:at] + data + good[at + len(data) :])
