"""Reads where a user wants to go: a time of day, seconds from here, a packet, a share."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from capture.replay.clock import Clock

HELP: Final = "11:30:18, +5.2, -2m, #123 or 50%"

_SECOND: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _SECOND
_MAX: Final = 40
_UNITS: Final = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}

_PACKET: Final = re.compile(r"#\s*([0-9]{1,12})")
_SHARE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]*)?)\s*%")
_RELATIVE: Final = re.compile(r"([+-]?)\s*([0-9]{1,12}(?:\.[0-9]{0,9})?)\s*(ms|s|min|m|h|d|)")
_CLOCK: Final = re.compile(
    r"(?:(\d{4})-(\d\d?)-(\d\d?)[ T])?(\d\d?):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*Z?", re.ASCII
)


class NoSuchMoment(ValueError):
    """A text does not say where to go. ``str()`` is one line."""


def go(clock: Clock, text: str) -> None:
    """Let the clock stand where a text says.

    Args:
        clock: Is moved. Times relative to it begin where it stands, with a sign (``+5.2``,
            ``-2m``); without one they begin with the recording.
        text: As typed. Times of day are UTC, as everywhere on the screen, and of the day at
            which the clock stands, unless it has no such time.

    Raises:
        NoSuchMoment: It is none of these, or lies outside the recording.
    """
    text = text.strip()[:_MAX]
    times = clock.times
    if found := _PACKET.fullmatch(text):
        number = int(found[1])
        if number > len(times):
            raise NoSuchMoment(f"there is no packet {number}: the last is #{len(times)}")
        clock.go_to_packet(number)
    elif (found := _SHARE.fullmatch(text)) and float(found[1]) <= 100:
        clock.go_to_share(float(found[1]) / 100)
    elif not times.known:
        raise NoSuchMoment("this capture has no times: a packet (#123) or a share (50%)")
    elif found := _RELATIVE.fullmatch(text):
        sign, value, unit = found.groups()
        ns = round(float(value) * _UNITS[unit] * _SECOND)
        base = clock.now_ns if sign else times.first_ns
        clock.go_to(base - ns if sign == "-" else base + ns)
    elif found := _CLOCK.fullmatch(text):
        clock.go_to(_time_of(found, clock))
    else:
        raise NoSuchMoment(f"no time: {HELP}")


def _time_of(found: re.Match[str], clock: Clock) -> int:
    year, month, day, hour, minute, second, fraction = found.groups()
    times = clock.times
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=clock.now_ns // _SECOND)
    try:
        moment = now.replace(
            year=int(year or now.year),
            month=int(month or now.month),
            day=int(day or now.day),
            hour=int(hour),
            minute=int(minute),
            second=int(second or 0),
        )
    except ValueError:
        raise NoSuchMoment(f"no time: {HELP}") from None
    ns = int(moment.timestamp()) * _SECOND + int((fraction or "0").ljust(9, "0"))
    # What is shown as 11:30:18 lasts until the next such number.
    lasts = _SECOND // 10 ** len(fraction or "") if second else 60 * _SECOND
    first_day = last_day = 0
    if not year:  # on the day at which the clock stands, or on the nearest one that has it
        first_day = (times.first_ns - lasts - ns) // _DAY_NS + 1
        last_day = (times.last_ns - ns) // _DAY_NS
    ns += max(first_day, min(0, last_day)) * _DAY_NS
    if first_day > last_day or not times.first_ns < ns + lasts or ns > times.last_ns:
        raise NoSuchMoment("that is not within the capture")
    return ns
