from __future__ import annotations

from typing import Any

import pytest

from capture.filtering.errors import FilterError
from capture.filtering.kinds import (
    EndpointTest,
    Remembered,
    Unit,
    host_number,
    instant,
    net,
    number,
    split_endpoint,
)
from capture.filtering.tokens import Token, TokenKind


def word(text: str) -> Token:
    return Token(TokenKind.WORD, text, 0, len(text))


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("443", Unit.NONE, 443), ("0x1BB", Unit.NONE, 443), ("-5", Unit.NONE, -5),
        ("1.5", Unit.NONE, 1.5), (".5", Unit.SECONDS, 500_000_000),
        ("1.000000001", Unit.SECONDS, 1_000_000_001), ("20", Unit.MILLISECONDS, 20_000_000),
        ("20ms", Unit.SECONDS, 20_000_000), ("2s", Unit.MILLISECONDS, 2 * 10**9),
        ("3min", Unit.SECONDS, 180 * 10**9), ("1h", Unit.SECONDS, 3600 * 10**9),
        ("5us", Unit.SECONDS, 5000), ("5µs", Unit.SECONDS, 5000), ("7ns", Unit.SECONDS, 7),
        ("1kB", Unit.BYTES, 1000), ("1.5MB", Unit.BYTES, 1_500_000), ("2KiB", Unit.BYTES, 2048),
        ("583", Unit.BYTES, 583), ("1741951812.517129001", Unit.SECONDS, 1741951812517129001),
        ("1" + "0" * 30, Unit.NONE, 2**63 - 1),
    ],
)  # fmt: skip
def test_numbers_are_exact(text: str, unit: Unit, value: float) -> None:
    assert number(word(text), unit, {}) == value


def test_words_for_numbers() -> None:
    assert number(word("Unknown_CA"), Unit.NONE, {"unknown_ca": 48}) == 48


@pytest.mark.parametrize("text", ["", "x", "1..2", "1e5", "0x", "٣", "1_000", "--1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(FilterError):
        number(word(text), Unit.NONE, {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2025-03-14 11:30:12", 1_741_951_812 * 10**9),
        ("2025-03-14T11:30:12.517129001", 1_741_951_812_517_129_001),
        ("2025-03-14 11:30:12.5Z", 1_741_951_812_500_000_000),
        ("2025-03-14 12:30:12.5+01:00", 1_741_951_812_500_000_000),
        ("2025-03-14", 1_741_910_400 * 10**9),
    ],
)
def test_instants_are_utc_and_exact(text: str, value: int) -> None:
    assert instant(word(text)) == value


@pytest.mark.parametrize("text", ["", "noon", "2025-13-01", "2025-03-14 25:00", "11:30"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(FilterError):
        instant(word(text))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.255.1.1", "11.0.0.1"), ("10.1.2.3/8", "10.9.9.9", "9.255.255.255"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"), ("fd00::/16", "fd00:1::1", "fd01::"),
        ("::1", "0:0::1", "::2"), ("0.0.0.0/0", "255.255.255.255", "::1"),
    ],
)  # fmt: skip
def test_networks(text: str, inside: str, outside: str) -> None:
    assert net(word(text)).holds(host_number(inside))
    assert not net(word(text)).holds(host_number(outside))
    assert not net(word(text)).holds(host_number("a.name"))


@pytest.mark.parametrize(
    ("written", "endpoint", "same"),
    [
        ("10.1.1.1", "10.1.1.1:80", True), ("10.1.1.1:80", "10.1.1.1:80", True),
        ("10.1.1.1:81", "10.1.1.1:80", False), ("10.1.0.0/16", "10.1.1.1:80", True),
        ("10.2.0.0/16", "10.1.1.1:80", False), ("fd00::1", "[fd00::1]:80", True),
        ("[fd00::1]:80", "[fd00:0::1]:80", True), ("[fd00::1]:8", "[fd00::1]:80", False),
        ("proxy.lan", "proxy.lan:3128", True), ("proxy.lan:3128", "proxy.lan:3128", True),
        ("proxy", "proxy.lan:3128", False), ("10.1.1.1", "proxy.lan:3128", False),
    ],
)  # fmt: skip
def test_endpoints(written: str, endpoint: str, same: bool) -> None:
    assert EndpointTest.of(word(written))(endpoint) is same


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.1:80", ("10.0.0.1", 80)), ("[fd00::1]:80", ("fd00::1", 80)),
        ("fd00::1", ("fd00::1", None)), ("host", ("host", None)), ("host:", ("host:", None)),
        ("[fd00::1]", ("fd00::1", None)), ("h:999999", ("h:999999", None)), ("", ("", None)),
    ],
)  # fmt: skip
def test_split_endpoint(text: str, parts: Any) -> None:
    assert split_endpoint(text) == parts


def test_answers_are_remembered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Remembered, "LIMIT", 2)

    def is_a(text: str) -> bool:
        asked.append(text)
        return text == "a"

    test = Remembered(is_a)
    assert [test(text) for text in "aabbca"] == [True, True, False, False, False, True]
    assert asked == ["a", "b", "c", "a"]
