from __future__ import annotations

import pytest

from capture.protocols.tls_names import (
    alert_name,
    alert_text,
    cipher_name,
    version_name,
)


@pytest.mark.parametrize(
    ("number", "name"),
    [(0x0304, "TLSv1.3"), (0x0303, "TLSv1.2"), (0x0301, "TLSv1"), (0x0300, "SSLv3"),
     (0x0002, "SSLv2"), (0x7F1C, "0x7f1c")],
)  # fmt: skip
def test_versions(number: int, name: str) -> None:
    assert version_name(number) == name


ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}


@pytest.mark.parametrize(("code", "name"), ALERTS.items())
def test_alerts(code: int, name: str) -> None:
    assert alert_name(code) == name
    assert alert_text(code)


def test_unknown_numbers_show_themselves() -> None:
    assert alert_name(200) == "alert 200"
    assert alert_text(200) == ""
    assert cipher_name(0x1234) == "0x1234"


def test_common_ciphers() -> None:
    assert cipher_name(0x1302) == "TLS_AES_256_GCM_SHA384"
    assert cipher_name(0xC02F) == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert cipher_name(0x002F) == "TLS_RSA_WITH_AES_128_CBC_SHA"
