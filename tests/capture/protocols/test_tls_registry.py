from __future__ import annotations

from capture.protocols.tls_registry import extension_name, group_name, signature_name


def test_names() -> None:
    assert (group_name(29), group_name(0x11EC)) == ("x25519", "X25519MLKEM768")
    assert signature_name(0x0804) == "rsa_pss_rsae_sha256"
    assert extension_name(0) == "server_name"


def test_unknown_numbers_are_shown_as_such() -> None:
    assert (group_name(0x7777), signature_name(0x7777)) == ("0x7777", "0x7777")
    assert extension_name(4242) == "extension 4242"
