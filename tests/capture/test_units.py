from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture import units


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"), (583, "583 B"), (999, "999 B"), (1000, "1 kB"), (1460, "1.5 kB"),
        (12_500, "12.5 kB"), (99_950, "100 kB"), (999_500, "1 MB"), (823_000_000, "823 MB"),
        (5 * 10**18, "5 EB"), (10**22, "10000 EB"), (-1500, "-1.5 kB"),
    ],
)  # fmt: skip
def test_size(octets: int, text: str) -> None:
    assert units.size(octets) == text


@pytest.mark.parametrize(
    ("number", "text"), [(412, "412"), (9_999, "9,999"), (12_500, "12.5 k"), (1_000_000, "1 M")]
)
def test_count(number: int, text: str) -> None:
    assert units.count(number) == text


def test_octets() -> None:
    assert units.octets(1) == "1 byte"
    assert units.octets(1448) == "1,448 bytes"
    assert units.octets(12_400) == "12.4 kB"


def test_plural() -> None:
    assert units.plural(1, "packet") == "1 packet"
    assert units.plural(0, "packet") == "0 packets"
    assert units.plural(12_500, "packet") == "12.5 k packets"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (83e-6, "83 µs"), (0.0197, "19.7 ms"), (0.176633, "177 ms"), (0.9997, "1.00 s"),
        (1.25, "1.25 s"), (12.34, "12.3 s"), (99.96, "100 s"), (119.4, "119 s"),
        (120, "2 min 0 s"), (250, "4 min 10 s"), (7500, "2 h 5 min"), (273_600, "3 d 4 h"),
        (-0.0197, "-19.7 ms"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_duration_never_raises_and_never_gets_long(first: float, second: float) -> None:
    assert len(units.duration(first)) <= 13
    assert units.milliseconds(second)


def test_times_are_exact() -> None:
    time_ns = 1_741_951_812_536_989_123
    assert units.time_of_day(time_ns) == "11:30:12.536989"
    assert units.epoch_seconds(time_ns) == "1741951812.536989123"
    assert units.relative_seconds(19_717_999) == "0.019717"
    assert units.relative_seconds(-2_000) == "-0.000002"
    assert units.relative_seconds(86_400 * 10**9) == "86400.000000"
