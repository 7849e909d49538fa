"""Payload: openings in columns and conversations say the same, in blocks of any size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from capture.facts import CLIENT, PROXY, FlowFacts, TlsDirection
from capture.tracking import payload
from capture.tracking.openings import KEPT_SEGMENTS, Sorted
from tests.capture.tracking.building import (
    HANDSHAKE,
    captures,
    every,
    frames_in,
    story,
    track,
)

CONNECT = "CONNECT_example.com:443_HTTP/1.1~Host:_example.com:443~~"
REPLY = "HTTP/1.1_200_Connection_established~~"
ASKED, TOLD = len(CONNECT) + CONNECT.count("~"), len(REPLY) + REPLY.count("~")

TUNNEL = (
    HANDSHAKE
    + f"""
21 c PA 1 1 x={CONNECT}
60 p A  1 {1 + ASKED}
70 p PA 1 {1 + ASKED} x={REPLY}
71 c A  {1 + ASKED} {1 + TOLD}
"""
)


def comparable(flow: FlowFacts) -> FlowFacts:
    """Facts without how many of the first records are listed and how many are counted at
    least: an opening keeps the first segments, a conversation the first records."""
    if flow.tls is None:
        return flow
    client, proxy = (_few(side) for side in flow.tls.sides)
    return replace(flow, tls=replace(flow.tls, sides=(client, proxy)))


def _few(side: TlsDirection) -> TlsDirection:
    return replace(side, records=side.records[:4], count=0)


def all_odd(*given: object) -> Sorted:
    """Nothing opens as tunnels do: every flow gets a conversation."""
    analysed, positions = given[2], given[4]
    none = np.zeros(0, np.int64)
    rows = analysed.row[positions]  # type: ignore[attr-defined]
    return Sorted(none, none, none, np.unique(rows >> 1))


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_openings_say_what_conversations_say(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = frames_in(path)
    quick = track(frames, settle=False)
    monkeypatch.setattr(payload, "sort_out", all_odd)
    slow = track(frames, settle=False)
    assert not slow.tracker.payload.openings.flows().size
    assert list(map(comparable, quick.all_facts())) == list(map(comparable, slow.all_facts()))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_blocks_change_no_fact(path: Path, size: int) -> None:
    frames = frames_in(path)
    whole = track(frames, settle=False).all_facts()
    parts = track(frames, every(size, frames), settle=False).all_facts()
    assert list(map(comparable, parts)) == list(map(comparable, whole))


def test_a_plain_opening_needs_no_conversation() -> None:
    seen = track(story(TUNNEL).frames)
    assert seen.tracker.payload.conversations == {}
    assert seen.tracker.payload.openings.flows().tolist() == [0]
    flow = seen.facts()
    assert flow.tunnel is not None
    assert flow.tunnel.number == 6
    assert flow.exchanges[0].request is not None
    assert flow.exchanges[0].request.target == "example.com:443"
    assert flow.exchanges[0].response is not None
    assert flow.exchanges[0].response.status == 200


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(
    "text",
    [
        TUNNEL.replace("200_Connection", "403_Forbidden"),
        TUNNEL.replace("CONNECT_example.com:443", "GET_http://example.com/"),
        TUNNEL + f"80 c PA {1 + ASKED} {1 + TOLD} x=SSH-2.0-OpenSSH_9.0~",
        TUNNEL.replace(CONNECT, CONNECT + "early"),
        TUNNEL + f"80 c PA {1 + ASKED} {1 + TOLD} b=1603",
        TUNNEL + f"80 c PA {1 + ASKED} {1 + TOLD} b=160301020001",
    ],
)
def test_everything_else_does(text: str, size: int) -> None:
    built = story(text)
    seen = track(built.frames, every(size, built.frames))
    assert list(seen.tracker.payload.conversations) == [0]
    assert seen.facts().exchanges[0].response is not None


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("CONNECT_~~~~~~~~~~", REPLY),
        ("CONNECT_a_b_c_d_e_f_HTTP/1.1~~", REPLY),
        ("CONNECT_:_HTTP/1.1~Host:_~~", REPLY),
        (CONNECT, "HTTP/1.1_2~~~~~~~~~~"),
        (CONNECT, "HTTP/1.1_2x0_OK~Foo~~"),
        (CONNECT, "HTTP/1.1_204_No_Content~Content-Length:_99~~"),
        (CONNECT, "HTTP/1.1_299_~Transfer-Encoding:_chunked~~"),
        ("CONNECT_a:1_HTTP/1.1~~CONNECT_b:2_HTTP/1.1~~", REPLY),
        (CONNECT, REPLY + "HTTP/1.1_200_OK~~"),
    ],
)
def test_heads_of_any_kind(asked: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that only looks plain is read as carefully as any."""
    ends = [1 + len(text) + text.count("~") for text in (asked, told)]
    built = story(HANDSHAKE + f"""
        21 c PA 1 1 x={asked}
        70 p PA 1 {ends[0]} x={told}
        71 c PA {ends[0]} {ends[1]} b=160301000401000000
        90 p PA {ends[1]} {ends[0] + 9} b=160303000402000000
    """)  # fmt: skip
    quick = track(built.frames, settle=False).facts()
    monkeypatch.setattr(payload, "sort_out", all_odd)
    slow = track(built.frames, settle=False).facts()
    assert comparable(quick) == comparable(slow)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("who", ["c", "p"])
def test_guessed_roles_are_turned_by_what_is_said(who: str, size: int) -> None:
    """No SYN, and the client's port is the one that looks like a server's."""
    text = f"0 c PA 1 1 x={CONNECT} port=80\n40 p PA 1 {1 + ASKED} x={REPLY} port=80\n"
    if who == "p":
        text = text.splitlines()[1]
    built = story(text)
    seen = track(built.frames, every(size, built.frames))
    flow = seen.facts()
    assert flow.client.port == 80
    assert flow.roles_certain
    assert flow.first_language[CLIENT if who == "c" else PROXY] == "http"
    assert flow.sides[PROXY].bytes == TOLD


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_second_request_after_a_challenge(size: int) -> None:
    denied = "HTTP/1.1_407_Auth~Content-Length:_0~Proxy-Authenticate:_Basic~~"
    refused = len(denied) + denied.count("~")
    built = story(HANDSHAKE + f"""
        21 c PA 1 1 x={CONNECT}
        60 p PA 1 {1 + ASKED} x={denied}
        61 c PA {1 + ASKED} {1 + refused} x={CONNECT}
        90 p PA {1 + refused} {1 + 2 * ASKED} x={REPLY}
        91 c PA {1 + 2 * ASKED} {1 + refused + TOLD} x=hello
        95 p PA {1 + refused + TOLD} {1 + 2 * ASKED} x=hello
    """)  # fmt: skip
    flow = track(built.frames, every(size, built.frames)).facts()
    assert [e.response.status for e in flow.exchanges if e.response] == [407, 200]
    assert flow.tunnel is not None
    assert flow.tunnel.number == 7
    assert flow.tunnel_bytes == (5, 5)
    assert flow.tunnel_first[CLIENT] is not None
    assert flow.tunnel_first[CLIENT].number == 8


@pytest.mark.parametrize("size", [1, 3, 100])
def test_kept_segments_as_columns(size: int) -> None:
    """They are the same as one by one, whatever blocks they came in."""
    frames = [
        frame
        for lines in zip(*[story(TUNNEL, port=40_000 + at).frames for at in range(3)], strict=True)
        for frame in lines
    ]
    openings = track(frames, every(size, frames)).tracker.payload.openings
    for flows in ([0, 1, 2], [0, 2], [1], []):
        numbers = np.array(flows, np.int64)
        lot = openings.lot(numbers)
        sides = [[*enumerate(lot.rank[lot.row == row])] for row in lot.row.tolist()]
        assert all(at == rank for side in sides for at, rank in side)
        found = zip(lot.row.tolist(), lot.seq.tolist(), lot.payload, lot.number.tolist(),
                    lot.time_ns.tolist(), strict=True)  # fmt: skip
        kept = [item for items in openings.of_flows(numbers).values() for item in items]
        assert [*found] == sorted(kept, key=lambda item: (item.row, item.number))
        assert bool(kept) == bool(flows)


def test_openings_are_bounded() -> None:
    """Of a long transfer only the first segments are kept."""
    lines, seq = [TUNNEL], 1 + TOLD
    lines.append(f"80 c PA {1 + ASKED}+100 {1 + TOLD}")
    for at in range(40):
        lines.append(f"{100 + at} p A {seq}+1000 {1 + ASKED}")
        seq += 1000
    built = story("\n".join(lines))
    seen = track(built.frames)
    kept = seen.tracker.payload.kept([0]).get(0, [])
    assert len(kept) <= 2 * KEPT_SEGMENTS


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_request_behind_a_lost_one_is_read_before_its_reply(size: int) -> None:
    """The capture missed the first CONNECT; the second one opened the tunnel."""
    denied = "HTTP/1.1_407_Auth~Content-Length:_0~Proxy-Authenticate:_Basic~~"
    refused = len(denied) + denied.count("~")
    built = story(HANDSHAKE + f"""
        60 p PA 1 {1 + ASKED} x={denied}
        61 c PA {1 + ASKED} {1 + refused} x={CONNECT}
        90 p PA {1 + refused} {1 + 2 * ASKED} x={REPLY}
        91 c PA {1 + 2 * ASKED} {1 + refused + TOLD} x=hello
    """)  # fmt: skip
    flow = track(built.frames, every(size, built.frames)).facts()
    assert flow.tunnel is not None
    assert flow.tunnel.number == 6
    last = flow.exchanges[-1]
    assert last.request is not None
    assert last.request.target == "example.com:443"
    assert last.response is not None
    assert last.response.status == 200


ERROR = "HTTP/1.1_503_Service_Unavailable~X-Squid-Error:_ERR_CONNECT_FAIL_111~~"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_reply_that_was_captured_after_its_own_end_is_read(size: int) -> None:
    """Two queues: the FIN, and even the acknowledgement, were captured before the reply."""
    told = len(ERROR) + ERROR.count("~")
    built = story(HANDSHAKE + f"""
        21    c PA 1 1 x={CONNECT}
        60    c A  {1 + ASKED} {1 + told}
        60.01 p FA {1 + told} {1 + ASKED}
        60.02 p PA 1 {1 + ASKED} x={ERROR}
    """)  # fmt: skip
    response = track(built.frames, every(size, built.frames)).facts().exchanges[-1].response
    assert response is not None
    assert response.status == 503


@pytest.mark.parametrize("size", [2, 100])
def test_records_that_were_captured_after_the_end_count(size: int) -> None:
    hello, bye = "160303000500000000ff", "1503030002" + "0100"
    built = story(TUNNEL + f"""
        80    c PA {1 + ASKED} {1 + TOLD} b={hello}
        81    c FA {1 + ASKED + 17} {1 + TOLD}
        81.01 c PA {1 + ASKED + 10} {1 + TOLD} b={bye}
    """)  # fmt: skip
    tls = track(built.frames, every(size, built.frames)).facts().tls
    assert tls is not None
    assert [(alert.sender, alert.code) for alert in tls.alerts] == [(CLIENT, 0)]
