"""Whether a snapshot shows anything that the one before did not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture.packets.index import PACKET_DTYPE, PacketView
from capture.report.model import Report, SourceReport
from capture.snapshot import Capturing, Snapshot

REPORT = Report(SourceReport("eth0", "live", (), 3, 180, None, None), (), 0)


def view(*numbers: int) -> PacketView:
    return PacketView(np.zeros(len(numbers), PACKET_DTYPE), np.array(numbers, np.int64))


FIRST = Snapshot(1, REPORT, {}, view(4, 5, 6), capturing=Capturing(("eth0",), clock_ns=10**9))


def test_only_time_has_passed() -> None:
    state = Capturing(("eth0",), clock_ns=2 * 10**9, trouble="eth0 is down")
    assert replace(FIRST, rev=2, packets=view(4, 5, 6), capturing=state).is_merely_later(FIRST)


def test_something_came_or_was_found_or_let_go() -> None:
    for later in (
        replace(FIRST, report=replace(REPORT)),
        replace(FIRST, packets=view(4, 5, 6, 7)),
        replace(FIRST, packets=view(5, 6, 7)),
    ):
        assert not later.is_merely_later(FIRST)


def test_a_file_is_shown_as_it_is_read() -> None:
    file = replace(FIRST, capturing=None)
    assert not file.is_merely_later(file)
    assert not FIRST.is_merely_later(file)
