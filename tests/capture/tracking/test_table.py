"""The flow table: which flow a segment belongs to, and who is the client."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.tracking import table
from tests.capture.tracking.building import HANDSHAKE, every, story, track

REUSED = """
0     c S  0 0
20    p SA 0 1
20.1  c A  1 1
21    c FA 1 1
41    p FA 1 2
41.1  c A  2 2
5000  c S  0 0 isn=777000
5020  p SA 0 1 isn=888000
5020.1 c A 1 1
5021  c PA 1+10 1
"""


def flows_of(text: str, cuts: object = ()) -> list[int]:
    built = story(text)
    seen = track(built.frames, list(cuts))  # type: ignore[call-overload]
    return [seen.flows[number] for number in range(1, len(built.frames) + 1)]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_new_sequence_number_is_a_new_flow(size: int) -> None:
    built = story(REUSED)
    seen = track(built.frames, every(size, built.frames))
    assert [seen.flows[n] for n in range(1, 11)] == [0] * 6 + [1] * 4
    first, second = seen.all_facts()
    assert (first.reused_port, second.reused_port) == (False, True)
    assert (first.id, second.id) == (1, 2)
    assert (first.packets, second.packets) == (6, 4)
    assert (first.syn_count, second.syn_count) == (1, 1)
    assert second.syn is not None
    assert second.syn.number == 7
    assert second.sides[0].stream_bytes == 10
    assert first.closes[0][0] == "client_fin"
    assert second.closes == ()
    assert (first.client, first.proxy) == (second.client, second.proxy)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_port_used_three_times_in_a_block(size: int) -> None:
    text = "".join(f"{at} c S 0 0 isn={1000 + at}\n{at + 1} p RA 0 1\n" for at in (0, 1000, 2000))
    built = story(text)
    seen = track(built.frames, every(size, built.frames))
    assert [seen.flows[n] for n in range(1, 7)] == [0, 0, 1, 1, 2, 2]
    assert [flow.reused_port for flow in seen.all_facts()] == [False, True, True]
    assert [flow.sides[1].rst is not None for flow in seen.all_facts()] == [True] * 3


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_syn_sent_again_is_the_same_flow(size: int) -> None:
    built = story("0 c S 0 0\n1000 c S 0 0\n3000 c S 0 0\n3020 p SA 0 1\n3021 c A 1 1\n")
    seen = track(built.frames, every(size, built.frames))
    (flow,) = seen.all_facts()
    assert (flow.syn_count, flow.syn_ack_count) == (3, 1)
    assert [mark.number for mark in flow.syn_marks] == [1, 2, 3]
    assert flow.syn is not None
    assert flow.syn.number == 1
    assert not flow.reused_port
    assert flow.rtt_ns == 3_021_000_000


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_syn_behind_its_answer(size: int) -> None:
    """Mirror ports swap packets that are microseconds apart."""
    built = story("0 p SA 0 1\n0.01 c S 0 0\n0.1 c A 1 1\n1 c PA 1+10 1\n")
    seen = track(built.frames, every(size, built.frames))
    (flow,) = seen.all_facts()
    assert flow.roles_certain
    assert str(flow.client) == "10.40.40.1:40716"
    assert flow.syn is not None
    assert flow.syn_ack is not None
    assert (flow.syn.number, flow.syn_ack.number) == (2, 1)
    assert (flow.mid_stream, flow.reused_port) == (False, False)
    assert flow.sides[0].stream_bytes == 10


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize(("ack", "flows"), [(1, 1), (77, 2)])
def test_a_syn_behind_its_refusal(ack: int, flows: int, size: int) -> None:
    built = story(f"0 p RA 0 {ack}\n0.01 c S 0 0\n")
    seen = track(built.frames, every(size, built.frames))
    found = seen.all_facts()
    assert len(found) == flows
    assert found[-1].syn is not None
    assert (found[-1].sides[1].rst is not None) == (flows == 1)


@pytest.mark.parametrize("size", [1, 100])
def test_a_syn_in_the_middle_begins_anew(size: int) -> None:
    """A flow of which no SYN was captured ends where the client begins another."""
    built = story("0 c PA 1+10 1\n20 p A 1 11\n900 c S 0 0 isn=77\n920 p SA 0 1 isn=99\n")
    seen = track(built.frames, every(size, built.frames))
    assert [seen.flows[n] for n in range(1, 5)] == [0, 0, 1, 1]
    first, second = seen.all_facts()
    assert (first.mid_stream, second.mid_stream) == (True, False)
    assert (first.reused_port, second.reused_port) == (False, True)


LATE = """
0     c S  0 0
20    p SA 0 1
20.1  c A  1 1
21    c PA 1+10 1
41    p PA 1+100 11
41.1  c R  11 0
41.2  c S  0 0 isn=777000
41.3  p PA 101+50 -775989    # of the old reply: its ACK is 1011
41.4  p FA 151 -775989
41.5  c R  -775989 0
61    p SA 0 1 isn=888000
61.1  c A  1 1
62    c PA 1+10 1
82    p PA 1+39 11
"""


@pytest.mark.parametrize("cuts", [(), (6,), (5,)])
def test_what_comes_late_of_the_old_connection_is_left_to_it(cuts: tuple[int, ...]) -> None:
    built = story(LATE)
    seen = track(built.frames, cuts)
    assert [seen.flows[n] for n in range(1, 15)] == [0] * 6 + [1] + [0] * 3 + [1] * 4
    first, second = seen.all_facts()
    assert [name for name, _ in first.closes] == ["client_rst", "proxy_fin"]
    assert (second.closes, second.packets, second.reused_port) == ((), 5, True)
    assert second.sides[1].stream_bytes == 39


def test_late_segments_stay_where_the_next_handshake_was_not_seen() -> None:
    built = story("".join(LATE.splitlines(keepends=True)[:11]))
    seen = track(built.frames)
    assert [seen.flows[n] for n in range(1, 11)] == [0] * 6 + [1] * 4


def test_flows_are_numbered_by_their_first_packet() -> None:
    text = """
    0 c S 0 0 port=50003
    1 c S 0 0 port=50001
    2 c S 0 0 port=50002
    3 p SA 0 1 port=50001
    4 p SA 0 1 port=50003
    """
    for size in (1, 2, 5):
        assert flows_of(text, every(size, story(text).frames)) == [0, 1, 2, 1, 0]


@pytest.mark.parametrize(
    ("first", "port", "client", "certain"),
    [
        ("c S 0 0", 40716, "10.40.40.1", True),
        ("p S 0 0", 40716, "10.10.10.1", True),  # whatever the ports say
        ("p SA 0 1", 40716, "10.40.40.1", True),
        ("c PA 1+10 1", 40716, "10.40.40.1", False),
        ("p PA 1+10 1", 40716, "10.40.40.1", False),
        ("c PA 1+10 1", 8080, "10.40.40.1", False),  # both known: the lower one, 3128, serves
        ("p PA 1+10 1", 8080, "10.40.40.1", False),
        ("c PA 1+10 1", 80, "10.10.10.1", False),
        ("p PA 1+10 1", 2000, "10.40.40.1", False),  # 3128 is known, 2000 is lower
    ],
)
def test_roles(first: str, port: int, client: str, certain: bool) -> None:
    (flow,) = track(story(f"0 {first} port={port}").frames).all_facts()
    assert (flow.client.host, flow.roles_certain) == (client, certain)


def test_a_reset_alone_and_an_answer_alone() -> None:
    refused, answered = track(
        story("0 p RA 0 1 port=50001\n1 p SA 0 1 port=50002\n").frames
    ).all_facts()
    assert refused.client.port == 50001
    assert not refused.roles_certain
    assert answered.roles_certain
    assert answered.syn_ack is not None
    assert not answered.mid_stream


def test_colliding_hashes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(
        f"{at} {who} A {at} {at} port={50_000 + (at * 7) % 5}"
        for at, who in enumerate("cpcpcppccpcpcpcccppcpc" * 3)
    )
    expected = flows_of(text)
    for mix in ((0, 1), (1, 0), (0, 0)):
        monkeypatch.setattr(table, "_MIX", (np.uint64(mix[0]), np.uint64(mix[1])))
        assert flows_of(text) == expected
        assert flows_of(text, every(10, story(text).frames)) == expected


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("cp"), st.sampled_from("SA"), st.integers(0, 3), st.integers(0, 2)
        ),
        min_size=1,
        max_size=40,
    ),
    st.lists(st.integers(1, 39)),
)
def test_flows_are_those_of_a_simple_model(
    packets: list[tuple[str, str, int, int]], cuts: list[int]
) -> None:
    """One dictionary, one packet after the other: what the sorted columns must equal."""
    current: dict[int, tuple[int, object]] = {}
    expected, count, lines = [], 0, []
    for at, (sender, flags, port, isn) in enumerate(packets):
        lines.append(f"{at} {sender} {flags} {isn} 0 port={50_000 + port}")
        own = (sender, isn) if flags == "S" else None
        known = current.get(port)
        if known is None or (own is not None and own != known[1]):
            current[port] = (count, own)
            count += 1
        expected.append(current[port][0])
    assert flows_of("\n".join(lines), cuts) == expected


def test_find_knows_the_newest_flow_that_had_begun() -> None:
    seen = track(story(REUSED).frames)
    flows = seen.tracker.table.flows
    left, right = int(flows.client[1]), int(flows.proxy[1])
    find, begun = seen.tracker.table.find, int(flows.first_no[1])
    assert find(left, right, begun) == find(right, left, begun) == 1
    assert find(left, right, begun - 1) == 0
    assert find(left, right, 0) is None
    assert find(1, 2, begun) is None
    seen.tracker.table.keep(np.array([1]))
    assert find(left, right, begun) == 0
    assert find(left, right, begun - 1) is None


def test_a_block_without_tcp() -> None:
    built = story(HANDSHAKE, udp_between=True)
    seen = track(built.frames, every(1, built.frames))
    assert len(seen.tracker) == 1
    assert seen.facts().packets == 3
