"""The rest of an X.509 certificate (RFC 5280) that somebody who looks at one wants to see."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Final

from capture.protocols.events import Certificate
from capture.protocols.x509 import Element, children, dotted, first_body, parse_certificate
from capture.record import record

__all__ = ["CertificateDetail", "chain_problems", "read_chain"]

MAX_CERTIFICATES: Final = 10

_VERSION, _EXTENSIONS = 0xA0, 0xA3
_BOOLEAN, _INTEGER, _BIT_STRING, _OID = 0x01, 0x02, 0x03, 0x06
_BASIC_CONSTRAINTS: Final = bytes.fromhex("551d13")

_ALGORITHMS: Final = {
    "1.2.840.113549.1.1.1": "RSA", "1.2.840.10045.2.1": "EC", "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448", "1.2.840.10040.4.1": "DSA", "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.113549.1.1.4": "MD5 with RSA", "1.2.840.113549.1.1.5": "SHA-1 with RSA",
    "1.2.840.113549.1.1.11": "SHA-256 with RSA", "1.2.840.113549.1.1.12": "SHA-384 with RSA",
    "1.2.840.113549.1.1.13": "SHA-512 with RSA", "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10045.4.3.2": "ECDSA with SHA-256", "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
}  # fmt: skip
_CURVES: Final = {
    "1.2.840.10045.3.1.7": ("P-256", 256), "1.3.132.0.34": ("P-384", 384),
    "1.3.132.0.35": ("P-521", 521), "1.3.132.0.10": ("secp256k1", 256),
}  # fmt: skip


@record
class CertificateDetail:
    """One certificate."""

    certificate: Certificate
    key: str
    """``RSA 2048 bits``, ``EC P-256``; empty where it cannot be read."""
    key_bits: int
    signature: str
    """``SHA-256 with RSA``; an object identifier where it is unknown."""
    serial: str
    """In hex."""
    authority: bool | None
    """Whether it may sign others (basicConstraints); None: it does not say."""
    fingerprint: str
    """SHA-256 of the certificate, in hex."""
    length: int


def read_chain(message: bytes) -> tuple[CertificateDetail, ...]:
    """Read a Certificate message of TLS 1.2 or older (RFC 5246 section 7.4.2), header and
    all; what is cut off at the end is left out."""
    found: list[CertificateDetail] = []
    at = 7
    while at + 3 <= len(message) and len(found) < MAX_CERTIFICATES:
        end = at + 3 + int.from_bytes(message[at : at + 3], "big")
        if end > len(message):
            break
        found.append(read_certificate(message[at + 3 : end]))
        at = end
    return tuple(found)


def read_certificate(data: bytes) -> CertificateDetail:
    """Read a DER certificate; what cannot be read is empty."""
    outer = list(children(first_body(data)))  # TBSCertificate, algorithm, signature
    fields = list(children(outer[0].body)) if outer else []
    if fields and fields[0].tag == _VERSION:
        fields = fields[1:]
    key, bits = _key(fields[5].body) if len(fields) > 5 else ("", 0)
    serial = fields[0].body if fields and fields[0].tag == _INTEGER else b""
    return CertificateDetail(
        certificate=parse_certificate(data),
        key=key,
        key_bits=bits,
        signature=_algorithm(outer[1].body) if len(outer) > 1 else "",
        serial=serial[:32].hex(),
        authority=_authority(fields[6:]),
        fingerprint=hashlib.sha256(data).hexdigest(),
        length=len(data),
    )


def chain_problems(chain: tuple[CertificateDetail, ...]) -> list[str]:
    """What is wrong with a chain by its looks; nothing is verified.

    RFC 5246 section 7.4.2: each certificate certifies the one before it. Clients of today
    find their way in any order (RFC 8446 section 4.4.2), appliances often do not.
    """
    problems: list[str] = []
    for place, (lower, upper) in enumerate(pairwise(chain), 1):
        if lower.certificate.issuer != upper.certificate.subject:
            problems.append(f"certificate {place + 1} is not the issuer of certificate {place}")
        elif upper.authority is False:
            problems.append(f"certificate {place + 1} may not issue others")
    if len(chain) == 1 and not chain[0].certificate.self_signed:
        problems.append("the issuer's certificate is not sent along")
    return problems


def _algorithm(body: bytes) -> str:
    """Name of an AlgorithmIdentifier."""
    oid = next(children(body), Element(0, b""))
    name = dotted(oid.body)
    return _ALGORITHMS.get(name, name)


def _key(body: bytes) -> tuple[str, int]:
    """A SubjectPublicKeyInfo in words, and its size in bits."""
    parts = list(children(body))
    if len(parts) < 2:
        return "", 0
    algorithm = list(children(parts[0].body))
    name = _algorithm(parts[0].body)
    if name == "EC" and len(algorithm) > 1 and algorithm[1].tag == _OID:
        curve, bits = _CURVES.get(dotted(algorithm[1].body), (dotted(algorithm[1].body), 0))
        return f"EC {curve}", bits
    if name in ("RSA", "RSA-PSS") and parts[1].tag == _BIT_STRING:
        modulus = next(children(first_body(parts[1].body[1:])), Element(0, b""))
        bits = int.from_bytes(modulus.body[:4096], "big").bit_length()
        return f"{name} {bits} bits", bits
    return name, 0


def _authority(fields: list[Element]) -> bool | None:
    """The cA flag of basicConstraints (RFC 5280 section 4.2.1.9)."""
    extensions = next((field.body for field in fields if field.tag == _EXTENSIONS), b"")
    for extension in children(first_body(extensions)):
        parts = list(children(extension.body))
        if len(parts) > 1 and parts[0].body == _BASIC_CONSTRAINTS:
            flag = next(children(first_body(parts[-1].body)), None)
            return flag is not None and flag.tag == _BOOLEAN and flag.body != b"\0"
    return None
