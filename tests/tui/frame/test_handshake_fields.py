from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.conversations import certificate, client_hello, named_certificate, server_hello
from tui.frame.handshake_fields import handshake_fields
from widgets.packet_detail import LayerField


def values(message: bytes, start: int = 0) -> dict[str, str]:
    return {field.label: field.value for field in handshake_fields(message, start)}


def test_client_hello() -> None:
    found = values(client_hello()[5:])
    assert found["server name"] == "tools.cisco.com"
    assert found["cipher suites"] == "1 item"
    assert found["JA4"].startswith("t12d0101")


def test_server_hello() -> None:
    found = values(server_hello()[5:])
    assert found["version"] == "TLSv1.2"
    assert found["cipher suite"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"


def test_a_certificate_has_its_bytes() -> None:
    der = named_certificate(b"a.example")
    (field,) = handshake_fields(certificate(der)[5:], 100)
    assert (field.value, field.start, field.end) == ("CN=a.example", 107, 107 + 3 + len(der))
    assert {child.label for child in field.children} >= {"subject", "issuer", "not after"}


def spans(fields: tuple[LayerField, ...]) -> list[tuple[int, int]]:
    return [span for f in fields for span in ((f.start, f.end), *spans(f.children))]


@given(st.binary(max_size=80), st.integers(0, 300))
def test_whatever_there_is_stays_inside_the_message(tail: bytes, cut: int) -> None:
    for whole in (client_hello()[5:], server_hello()[5:], certificate(named_certificate(b"a"))[5:]):
        message = whole[:cut] + tail
        for start, end in spans(handshake_fields(message, 50)):
            assert 50 <= start <= end <= 50 + len(message)
    assert handshake_fields(b"", 0) == handshake_fields(b"\x14abcd", 0) == ()
