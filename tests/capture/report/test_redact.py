from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report.redact import redact, safe

BLOB = b64encode(b"admin:hunter2-secret").decode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("http://admin:hunter2@proxy:3128/", "hunter2"),
        ("http://admin:hun/ter2@proxy:3128/", "ter2"),
        ("CONNECT admin:hunter2@host:443 HTTP/1.1", "hunter2"),
        ("curl -x admin:hunter2@10.0.0.1:80 -I https://x", "hunter2"),
        (f"Proxy-Authorization: Basic {BLOB}", BLOB),
        (f"proxy-authorization: basic {BLOB}", BLOB),
        (f"sent Basic {BLOB} and got 407", BLOB),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("token Bearer abcdefgh12345678ijkl", "abcdefgh12345678ijkl"),
        ("Proxy-Authorization: NTLM TlRMTVNTUAADAAAAGAAYAHI", "TlRMTVNTUAADAAAAGAAYAHI"),
        ("Negotiate TlRMTVNTUAADAAAAGAAYAHI=", "AAGAAYAHI"),
        ("Cookie: session=abcdef0123", "abcdef0123"),
        ("GET /x?token=abcdef0123&a=1", "abcdef0123"),
        ("password=hunter2", "hunter2"),
        ("curl -u admin:hunter2 --proxy http://10.0.0.1:80 https://x", "hunter2"),
        ("unrecognized arguments: --proxy-user=admin:hunter2 x", "hunter2"),
        ("http://h/?u=http%3A%2F%2Fadmin%3Ahunter2%40x&b=1", "hunter2"),
        ("http://h/?pass%77ord=hunter2", "hunter2"),
        ('Digest username="a", password="hunter2"', "hunter2"),
    ],
)
def test_credentials_are_masked(text: str, secret: str) -> None:
    assert secret not in safe(text)
    assert "***" in safe(text)


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication is supported",
        "offers Basic realm, Digest and NTLM",
        "http://10.10.10.1:80/path@2x.png",
        "tools.cisco.com:443",
        "[fd10:10::1]:3128",
        "window=0 seq=1440 MSS=1460",
        "#33 CONNECT blocked.example.com:443; #35 403 Forbidden after 3.1 ms",
        "curl -U USER:PASS --proxy http://PROXY:PORT https://HOST",
        "X-Squid-Error: ERR_ACCESS_DENIED 0",
        "the password is wrong or has expired",
        "Proxy Authentication Required",
        "10:20:58.987654 IP a.b > c.d",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert safe(text) == text


@given(st.text(max_size=200))
def test_masking_is_idempotent_and_printable(text: str) -> None:
    once = safe(text)
    assert once.isprintable()
    assert safe(once) == once


@given(st.text(max_size=300))
def test_masking_never_fails(text: str) -> None:
    assert isinstance(redact(text), str)


def test_masking_takes_linear_time_on_hostile_repetition() -> None:
    # Quadratic patterns would not come back from this.
    for piece in ("a:", "@", "://", "=", "basic ", "authorization:", 'x="', ":@"):
        assert redact(piece * 5000)
