"""Our sequence analysis beside tshark's, frame by frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.packets import index as packets
from tests.capture.decode.building import Frame
from tests.capture.tracking.building import (
    DATA,
    NAMES,
    binary,
    frames_in,
    names_of,
    story,
    track,
    write_pcap,
)
from tests.capture.tracking.scenarios import SCENARIOS
from tests.capture.tracking.wireshark import TSHARK, analysis

pytestmark = pytest.mark.skipif(TSHARK is None, reason="needs tshark to compare with")


@pytest.mark.parametrize("path", binary(DATA), ids=lambda path: path.stem)
def test_captures(path: Path, tmp_path: Path) -> None:
    seen, theirs = track(frames_in(path)).bits, analysis(path, tmp_path)
    wrong = {
        number: (names_of(seen.get(number, 0)), names_of(bits))
        for number, bits in theirs.items()
        # Copies are of the capture, not of the network: tshark calls them retransmissions.
        if seen.get(number, 0) not in (bits, packets.DUPLICATE)
    }
    assert not wrong, "frame number: (ours, tshark's)"


def test_scenarios(tmp_path: Path) -> None:
    """All scenarios in one capture, each from a client port of its own."""
    path = tmp_path / "scenarios.pcap"
    frames: list[Frame] = []
    expected: dict[int, str] = {}
    places: dict[int, str] = {}
    for port, scenario in enumerate(SCENARIOS, 50_000):
        built = story(scenario.text, port=port)
        assert bool(scenario.tshark) == bool(scenario.why), scenario.name
        for number, bits in enumerate(built.expected, 1):
            words = scenario.tshark.get(number)
            theirs = bits if words is None else sum(NAMES[w] for w in words.split(", "))
            expected[len(frames) + number] = names_of(theirs)
            places[len(frames) + number] = f"{scenario.name} #{number}"
        frames += built.frames
    write_pcap(path, frames)
    found = analysis(path, tmp_path)
    wrong = {
        places[number]: (names_of(bits), expected[number])
        for number, bits in found.items()
        if names_of(bits) != expected[number]
    }
    assert not wrong, "(tshark's, expected)"
    assert len(found) == len(frames)
