"""Numbers as people read them: sizes, counts, durations and times of day.

Sizes and counts have SI prefixes (1 kB is 1000 bytes, as on the wire), durations the unit
in which they read best. Everything is ASCII except the micro sign, so that columns line up.
"""

from __future__ import annotations

from typing import Final

_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E")
_DAY_NS: Final = 86_400 * 10**9


def _scaled(value: float) -> tuple[str, str]:
    """Three significant digits at least, and the SI prefix they need."""
    value = float(value)  # what words are chosen is no decision of whoever asks for them
    size = abs(value)
    for prefix in _PREFIXES:
        # 999.5 would be shown as 1000: the next prefix takes it.
        if size < 999.5 or prefix == _PREFIXES[-1]:
            break
        size /= 1000
    whole = prefix == "" or size >= 99.95
    text = f"{size:.0f}" if whole else f"{size:.1f}".removesuffix(".0")
    return ("-" if value < 0 else "") + text, prefix


def size(octets: int) -> str:
    """``583 B``, ``12.5 kB``, ``823 MB``."""
    text, prefix = _scaled(octets)
    return f"{text} {prefix}B"


def count(number: int) -> str:
    """``412``, ``9,999``, ``12.5 k``, ``1 M``: exact up to four digits."""
    if abs(float(number)) < 10_000:
        return f"{number:,}"
    text, prefix = _scaled(number)
    return f"{text} {prefix}"


def octets(number: int) -> str:
    """``1 byte``, ``1,448 bytes``, ``12.4 kB``: in words and exact up to four digits."""
    return plural(number, "byte") if abs(float(number)) < 10_000 else size(number)


def plural(number: int, noun: str) -> str:
    """``1 packet``, ``412 packets``."""
    return f"{count(number)} {noun}" if float(number) == 1 else f"{count(number)} {noun}s"


def duration(seconds: float) -> str:
    """``83 µs``, ``19.7 ms``, ``1.25 s``, ``12.3 s``, ``4 min 10 s``, ``3 d 4 h``."""
    seconds = float(seconds)  # as in ``_scaled``
    sign = "-" if seconds < 0 else ""
    value = abs(seconds)
    if value < 0.999_5e-3:
        text = f"{value * 1e6:.0f} µs" if value else "0 s"
    elif value < 0.999_5:
        milliseconds = value * 1e3
        text = f"{milliseconds:.0f} ms" if milliseconds >= 99.95 else f"{milliseconds:.1f} ms"
    elif value < 9.995:
        text = f"{value:.2f} s"
    elif value < 99.95:
        text = f"{value:.1f} s"
    else:
        text = _long_duration(round(value))
    return sign + text


def _long_duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    for unit, name, part, part_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(seconds, unit)
            return f"{whole} {name} {rest // part} {part_name}"
    raise AssertionError("unreachable: two minutes have a unit")


def milliseconds(value: float) -> str:
    """A duration given in milliseconds, as ``duration``."""
    return duration(value / 1e3)


def time_of_day(time_ns: int) -> str:
    """``11:30:12.536989`` in UTC; the day is not shown."""
    microseconds = time_ns % _DAY_NS // 1000
    whole, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{fraction:06d}"


def relative_seconds(delta_ns: int) -> str:
    """``0.019717``, ``-0.000002``: seconds with microseconds, exact."""
    sign = "-" if delta_ns < 0 else ""
    whole, fraction = divmod(abs(delta_ns) // 1000, 1_000_000)
    return f"{sign}{whole}.{fraction:06d}"


def epoch_seconds(time_ns: int) -> str:
    """``1741951812.536989000``: seconds since the epoch with nanoseconds, exact."""
    sign = "-" if time_ns < 0 else ""
    whole, fraction = divmod(abs(time_ns), 10**9)
    return f"{sign}{whole}.{fraction:09d}"
