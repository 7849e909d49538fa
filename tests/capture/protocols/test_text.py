from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.protocols.text import MASK, SECRET_NAME, mask_target, mask_urls, printable


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Connection established", "Connection established"),
        ("Größe 大きい кэш עברית", "Größe 大きい кэш עברית"),
        (b"f\xc3\xbcr", "für"),
        (b"f\xfcr", r"f\xfcr"),
        ("\x1b[2J\x1b]0;owned\x07", "·[2J·]0;owned·"),
        (b"\xc2\x9b31m", "·31m"),
        ("a\tb\u00a0c", "a b c"),
        ("a\r\nb", "a··b"),
        ("user\u202egnp.exe", "user·gnp.exe"),
        ("pay\u200bpal\ufeff", "pay·pal·"),
        ("\u2066x\u2069", "·x·"),
        ("a\u2028b", "a·b"),
        ("\ud800", "·"),
        ("\x7f", "·"),
        ("a\ufe0f\u115f\u3164", "a···"),
        ("[red]not markup[/]", "[red]not markup[/]"),
        ("e\u0301", "e\u0301"),
        ("\u0301", "·"),
        ("e" + "\u0301" * 5, "e" + "\u0301" * 3 + "··"),
        (b"", ""),
    ],
)
def test_printable(value: str | bytes, shown: str) -> None:
    assert printable(value) == shown


def test_printable_cuts_with_an_ellipsis() -> None:
    assert printable("a" * 10, 10) == "a" * 10
    assert printable("a" * 11, 10) == "a" * 9 + "…"
    assert printable("€".encode() * 11, 10) == "€" * 9 + "…"
    assert printable("abc", 1) == "…"


@given(st.one_of(st.text(), st.binary()), st.integers(1, 60))
def test_printable_is_one_harmless_line(value: str | bytes, limit: int) -> None:
    shown = printable(value, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown, limit) == shown


@pytest.mark.parametrize(
    ("target", "masked"),
    [
        ("tools.cisco.com:443", "tools.cisco.com:443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("joe:hunter2@tools.cisco.com:443", "***@tools.cisco.com:443"),
        ("http://joe:hunter2@host/path", "http://***@host/path"),
        ("http://joe:hun@ter2@host/path", "http://***@host/path"),
        ("http://joe:hun/ter2@host/path", "http://***@host/path"),
        ("http://joe:hun?t#er2@host/path", "http://***@host/path"),
        ("https:\\\\joe:hunter2@host", "https:\\\\***@host"),
        ("http://host:8080/~joe@home", "http://host:8080/~joe@home"),
        ("http://host/~joe@home", "http://host/~joe@home"),
        ("/~joe@home", "/~joe@home"),
        ("*", "*"),
        ("", ""),
        ("/l?user=joe&password=hunter2&x=1", "/l?user=joe&password=***&x=1"),
        ("/l?access_token=a#id_token=b", "/l?access_token=***#id_token=***"),
        ("/l?api_key=a;API-KEY=b", "/l?api_key=***;API-KEY=***"),
        ("/?X-Amz-Signature=abc&author=me", "/?X-Amz-Signature=***&author=me"),
        ("/cb?code=4/0AX4XfWh-long", "/cb?code=***"),
        ("/e?code=403", "/e?code=403"),
        ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-1", "/t/***"),
    ],
)
def test_mask_target(target: str, masked: str) -> None:
    assert mask_target(target) == masked
    assert mask_target(masked) == masked


def test_mask_urls_finds_uris_in_text() -> None:
    text = "see http://a:b@h/ or ftp://c:d@i/x?token=5, mail me@home"
    assert mask_urls(text) == f"see http://{MASK}@h/ or ftp://{MASK}@i/x?token={MASK} mail me@home"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "Proxy-Authorization", "X-Auth-Token", "Cookie", "Set-Cookie", "X-Api-Key",
     "X-API-KEY", "apikey", "X-CSRF-Token", "X-Amz-Security-Token", "client-secret", "sid",
     "Password", "pwd", "PHPSESSION", "X-Session-Id", "ticket"],
)  # fmt: skip
def test_secret_names(name: str) -> None:
    assert SECRET_NAME.search(name)


@pytest.mark.parametrize(
    "name",
    ["Host", "User-Agent", "Proxy-Authenticate", "WWW-Authenticate", "Author", "Authority", "Via",
     "X-Squid-Error", "Proxy-Status", "Content-Length", "X-Cache", "Proxy-Authentication-Info"],
)  # fmt: skip
def test_harmless_names(name: str) -> None:
    assert not SECRET_NAME.search(name)
