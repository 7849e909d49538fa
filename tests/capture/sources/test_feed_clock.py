from __future__ import annotations

import pytest

from capture.frames import SourceInfo
from capture.sources.feed_clock import FeedClock
from tests.capture.writing.building import START_NS, block_of

S = 10**9
FRAME_NS = START_NS
"""Capture time of the frame that ``block_of`` makes."""


class Feed:
    """A clock under test, and ours, which stands ``ahead`` of the packets'."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ahead: int, live: bool = False) -> None:
        self.now = START_NS + ahead
        monkeypatch.setattr("time.time_ns", lambda: self.now)
        self.info = SourceInfo("-", "pcap")
        self.clock = FeedClock(self.info, live)

    def packet(self, at: int) -> None:
        """A packet comes that was captured so long after the first."""
        block = block_of([b"frame"])
        block.time_ns += at
        self.clock.heard(block)

    def shown(self) -> int | None:
        """Clock since the first packet."""
        return None if self.info.clock_ns is None else self.info.clock_ns - START_NS


def test_silence_after_a_packet_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=S // 5)
    feed.clock.idle(whole=True)
    assert feed.shown() is None, "nothing came"
    feed.packet(0)
    assert feed.shown() == 0
    feed.now += 3 * S
    feed.clock.idle(whole=True)
    assert feed.shown() == 3 * S, "what a packet takes to reach us is no silence"


def test_the_least_lag_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=2 * S)
    feed.packet(0)
    feed.packet(S)
    feed.now += 5 * S
    feed.clock.idle(whole=True)
    assert feed.shown() == 6 * S
    feed.packet(2 * S)
    assert feed.shown() == 6 * S, "a clock does not go back"


def test_part_of_a_packet_proves_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=0)
    feed.packet(0)
    feed.now += 9 * S
    feed.clock.idle(whole=False)
    assert feed.shown() == 0


def test_a_recording_has_no_present(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=3600 * S)
    for second in range(10):
        feed.now += S // 100
        feed.packet(second * S)
        feed.clock.idle(whole=True)
    feed.now += 60 * S
    feed.clock.idle(whole=True)
    assert feed.shown() is None


@pytest.mark.parametrize("ahead", [20 * 3600 * S, -7200 * S])
def test_a_clock_that_is_wrong_but_goes(monkeypatch: pytest.MonkeyPatch, ahead: int) -> None:
    feed = Feed(monkeypatch, ahead)
    for second in range(4):
        feed.packet(second * S)
        feed.now += S
    feed.clock.idle(whole=True)
    assert feed.shown() == 4 * S


def test_a_feed_known_to_be_live(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=9000 * S, live=True)
    feed.packet(0)
    feed.now += S
    feed.clock.idle(whole=True)
    assert feed.shown() == S


def test_packets_without_times(monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(monkeypatch, ahead=0)
    feed.info.times_known = False
    feed.packet(0)
    feed.clock.idle(whole=True)
    assert feed.shown() is None
