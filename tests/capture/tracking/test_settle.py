"""Settled tunnels: plainly healthy, judged ``ok``, and known as well as any other flow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capture.facts import PROXY, CaptureFacts, FlowFacts
from capture.judging import Catalogue, judge
from capture.tracking import settle, tracker
from tests.capture.decode.building import Frame
from tests.capture.protocols.test_tls_hello_memo import client_hello, server_hello
from tests.capture.tracking.building import (
    HANDSHAKE,
    START_NS,
    Tracked,
    captures,
    every,
    frames_in,
    story,
    track,
)

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
    said, places = seen.tracker.said(np.arange(20))
    assert (len(said), set(places)) == (1, {0})
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


CONNECT = "CONNECT_example.com:443_HTTP/1.1~Host:_example.com:443~~"
REPLY = "HTTP/1.1_200_Connection_established~~"
CHANGE = bytes.fromhex("140303000101")


def tunnel(
    hello: bytes, cut: int | None = None, server: bytes = b"", connect: str = CONNECT
) -> list[Frame]:
    """A healthy tunnel.

    Args:
        hello: The ClientHello.
        cut: How much of its record the first segment holds; None: all.
        server: The ServerHello.
        connect: The request.
    """
    first = b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello
    server = server or server_hello(1)
    answer = b"\x16\x03\x03" + len(server).to_bytes(2, "big") + server + CHANGE + data(200)
    text, at, ns = HANDSHAKE, {"c": 1, "p": 1}, 20.2
    for side, payload in (
        ("c", connect), ("p", REPLY), ("c", first[:cut]), ("c", first[len(first[:cut]):]),
        ("p", answer), ("c", CHANGE + data(74)), ("c", data(300)), ("p", data(900)),
    ):  # fmt: skip
        if not payload:
            continue
        ns += 5
        what = f"x={payload}" if isinstance(payload, str) else f"b={payload.hex()}"
        text += f"{ns} {side} PA {at[side]} {at['p' if side == 'c' else 'c']} {what}\n"
        at[side] += len(payload) + (payload.count("~") if isinstance(payload, str) else 0)
    c, p = at["c"], at["p"]
    text += f"""
    {ns + 5} c FA {c} {p}
    {ns + 8} p FA {p} {c + 1}
    {ns + 9} c A {c + 1} {p + 1}
    """
    return story(text).frames


def data(size: int) -> bytes:
    """A record of application data."""
    return b"\x17\x03\x03" + size.to_bytes(2, "big") + bytes(size)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("cut", [None, 5, 6, 60, 150])
def test_a_hello_may_fill_two_segments(cut: int | None, size: int) -> None:
    frames = tunnel(client_hello(1), cut)
    settled, full = track(frames, every(size, frames)), track(frames, settle=False)
    plain = cut is None or cut > 30  # in such small pieces it may need more than are kept
    assert settled.tracker.settled_flows().tolist() == [0] * plain
    mine, other = (without_session(without_records(item.facts(0))) for item in (settled, full))
    assert mine == other
    assert mine.tls is not None
    assert mine.tls.client_hello_packets == (2 if cut and cut > 5 else 1)


@pytest.mark.parametrize(
    "frames",
    [
        tunnel(client_hello(1), server=server_hello(1, retry=True)),
        tunnel(client_hello(1)[:-1]),
        tunnel(client_hello(1) + b"\0"),
        tunnel(client_hello(1) + b"\0", 100),
        tunnel(b"\x02" + client_hello(1)[1:]),
        tunnel(client_hello(1), server=b"\x02"),
        tunnel(client_hello(1), connect=CONNECT[:-1] + "Proxy-Authorization:_Basic_YTpi~~"),
        tunnel(client_hello(1), connect="CONNECT_example.com_HTTP/1.1~~"),
    ],
)
def test_what_was_said_decides(frames: list[Frame]) -> None:
    assert track(frames).tracker.settled_flows().size == 0


def test_what_nobody_says_any_more_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "MOST", 0)
    hosts = [f"host{number}.example.com" for number in range(8)]
    frames: list[Frame] = []
    for number, host in enumerate(hosts):
        connect = CONNECT.replace("example.com", host)
        port = (40716 + number).to_bytes(2, "big")
        frames += [
            replace(
                frame,
                data=frame.data.replace((40716).to_bytes(2, "big"), port),
                time_ns=frame.time_ns + number * 10**10,
            )
            for frame in tunnel(client_hello(number, host.encode()), connect=connect)
        ]
    seen = track(frames, every(5, frames), finish=False).tracker
    settled = seen.settled_flows()
    assert len(settled) == len(hosts) - 1, "the last one may still send"
    for stays in (np.array([1, 3, 4, 7]), np.array([0, 2, 3])):
        seen.keep(stays)
        hosts = [hosts[flow] for flow in stays.tolist()]
        flows = seen.settled_flows()
        said = [seen.summary(flow) for flow in flows.tolist()]
        assert [item.said.name for item in said if item] == hosts[:-1]
        assert [item.said.target for item in said if item] == [f"{host}:443" for host in hosts[:-1]]
        assert len(seen.said(flows)[0]) == len(flows)
    seen.finish()
    assert [fact.exchanges[0].request.target for fact in seen.facts_of([0, 1, 2])] == [  # type: ignore[union-attr]
        f"{host}:443" for host in hosts
    ]


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
