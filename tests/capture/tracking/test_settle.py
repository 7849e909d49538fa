"""Settled tunnels: plainly healthy, judged ``ok``, and known as well as any other flow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from capture.facts import PROXY, CaptureFacts, FlowFacts
from capture.judging import Catalogue, judge
from capture.tracking import tracker
from tests.capture.decode.building import Frame
from tests.capture.tracking.building import START_NS, Tracked, captures, every, frames_in, track

HEALTHY = ("01a_success_302_tls13", "01h_success_tinyproxy", "ok-tls13")


@pytest.fixture(autouse=True)
def _settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "MANY_FLOWS", 0)


def around(frames: list[Frame], facts: list[FlowFacts]) -> CaptureFacts:
    """The capture of some flows, with every proxy that there is."""
    return CaptureFacts(
        first_ns=min(frame.time_ns for frame in frames),
        last_ns=max(frame.time_ns for frame in frames),
        packets=len(frames),
        proxies=frozenset(flow.proxy for flow in facts if flow.tunnel),
    )


def without_records(flow: FlowFacts) -> FlowFacts:
    """What a summary does not keep."""
    assert flow.tls is not None
    client, proxy = (replace(side, records=(), asked=None) for side in flow.tls.sides)
    return replace(
        flow,
        tls=replace(flow.tls, sides=(client, proxy)),
        tunnel_start=(b"", b""),
        first_bytes=(b"", b""),
    )


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_a_settled_flow_is_judged_ok(path: Path, size: int) -> None:
    frames = frames_in(path)
    settled = track(frames, every(size, frames))
    facts = track(frames, settle=False).all_facts()
    capture, catalogue = around(frames, facts), Catalogue.load()
    for flow in settled.tracker.settled_flows().tolist():
        judgement = judge(facts[flow], capture, catalogue)
        assert (judgement.verdict, judgement.findings) == ("ok", ())
        again = judge(settled.facts(flow), capture, catalogue)
        assert (again.verdict, again.findings) == ("ok", ())


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_a_settled_flow_keeps_its_facts(path: Path) -> None:
    frames = frames_in(path)
    settled, full = track(frames), track(frames, settle=False)
    flows = settled.tracker.settled_flows().tolist()
    for flow in flows:
        assert without_session(without_records(settled.facts(flow))) == without_session(
            without_records(full.facts(flow))
        )
    if path.stem in HEALTHY:
        assert flows == [0]


def without_session(flow: FlowFacts) -> FlowFacts:
    """Hellos without their session identifiers, which differ in every tunnel."""
    tls = flow.tls
    assert tls is not None
    assert tls.client_hello is not None
    assert tls.server_hello is not None
    return replace(
        flow,
        tls=replace(
            tls,
            client_hello=tls.client_hello._replace(session_id=b""),
            server_hello=tls.server_hello._replace(session_id=b""),
        ),
    )


def many(count: int, *, step_ns: int = 3_000_000_000) -> list[Frame]:
    """A healthy tunnel again and again, from other addresses."""
    frames = frames_in(next(path for path in captures() if path.stem == "ok-tls13"))
    first = frames[0].time_ns
    found: list[Frame] = []
    for at in range(count):
        for frame in frames:
            data = bytearray(frame.data)
            if len(data) > 34 and data[12:14] == b"\x08\x00":
                for place in (26, 30):
                    if data[place : place + 3] == bytes([10, 40, 40]):
                        data[place + 3] = at + 1
            time_ns = START_NS + frame.time_ns - first + at * step_ns
            found.append(Frame(bytes(data), frame.linktype, time_ns, frame.wirelen))
    return found


def test_nothing_is_kept_of_settled_tunnels_but_a_summary() -> None:
    frames = many(20)
    seen = track(frames, every(25, frames))
    assert len(seen.tracker) == 20
    assert seen.tracker.settled_flows().tolist() == list(range(20))
    assert seen.tracker.payload.openings.flows().size == 0
    assert seen.tracker.payload.conversations == {}
    hellos = [seen.tracker.summary(flow) for flow in range(20)]
    assert all(item is not None and item.server is hellos[0].server for item in hellos if hellos[0])
    facts = seen.all_facts()
    assert {flow.client.host for flow in facts} == {f"10.40.40.{at + 1}" for at in range(20)}
    assert all(flow.tunnel_bytes[PROXY] == facts[0].tunnel_bytes[PROXY] for flow in facts)


def test_a_flow_is_left_alone_until_it_is_over() -> None:
    frames = many(2, step_ns=60_000_000_000)
    half = len(frames) // 2
    early = track_without_end(frames[:half])
    assert early.tracker.settled_flows().size == 0
    later = track_without_end(frames[: half + 4])
    assert later.tracker.settled_flows().tolist() == [0]


def track_without_end(frames: list[Frame]) -> Tracked:
    return track(frames, every(1, frames), finish=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\nUser-Agent: ", b"\r\nContent-Fo: "),  # as plain as before: settled
        (b"CONNECT ", b"CONNECT_"),
        (b"\r\nHost: ", b"\r\nHostX:"),
        (b"200 Connection established", b"403 Connection established"),
        (b"\x16\x03\x03", b"\x15\x03\x03"),
    ],
)
def test_only_what_is_plainly_healthy_is_settled(old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    frames = [replace(f, data=f.data.replace(old, new, 1)) for f in many(1)]
    assert any(new in frame.data for frame in frames)
    seen = track(frames, settle=True)
    facts = track(frames, settle=False).all_facts()
    settled = seen.tracker.settled_flows().tolist()
    assert bool(settled) == (b"Content-Fo" in new)
    catalogue = Catalogue.load()
    for flow in settled:
        assert judge(facts[flow], around(frames, facts), catalogue).verdict == "ok"


def test_witnesses_stand_for_all() -> None:
    frames = many(12)
    seen = track(frames)
    assert seen.tracker.witnesses() == list(range(12)), "each client once"
    twice = frames + [
        Frame(bytes(_other_port(frame.data)), frame.linktype, frame.time_ns + 10**12, frame.wirelen)
        for frame in frames
    ]
    again = track(twice)
    assert len(again.tracker) == 24
    assert again.tracker.witnesses() == list(range(12))


def _other_port(data: bytes) -> bytearray:
    changed = bytearray(data)
    if len(changed) > 38 and changed[12:14] == b"\x08\x00":
        place = 34 if changed[26:29] == bytes([10, 40, 40]) else 36
        changed[place + 1] ^= 0x55
    return changed
