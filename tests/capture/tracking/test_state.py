"""The flow columns and the facts that come straight from them."""

from __future__ import annotations

import pytest

from capture.facts import CLIENT, PROXY, FlowFacts
from tests.capture.tracking.building import HANDSHAKE, START_NS, every, story, track

SIZES = (1, 2, 3, 100)


def facts(text: str, size: int = 100) -> FlowFacts:
    built = story(text)
    return track(built.frames, every(size, built.frames)).facts()


@pytest.mark.parametrize("size", SIZES)
def test_the_handshake(size: int) -> None:
    flow = facts("""
        0    c S  0 0 mss=1460 ws=7 ttl=60
        25.5 p SA 0 1 mss=1300 ws=6 ttl=55
        25.6 c A  1 1 ttl=64
        26   c PA 1+122 1
    """, size)  # fmt: skip
    client, proxy = flow.sides
    assert (client.mss, client.wscale, client.ttl) == (1460, 7, 60)
    assert (proxy.mss, proxy.wscale, proxy.ttl) == (1300, 6, 55)
    assert (client.timestamps, proxy.timestamps) == (False, False)
    assert (flow.syn, flow.syn_ack, flow.ack) == (
        (1, START_NS), (2, START_NS + 25_500_000), (3, START_NS + 25_600_000),
    )  # fmt: skip
    assert flow.rtt_ns == 25_600_000
    assert flow.roles_certain
    assert not flow.challenge_ack
    assert not flow.tcp_fast_open


def test_no_window_scale_is_told_from_an_unknown_one() -> None:
    flow = facts("0 c S 0 0 mss=1460\n20 p SA 0 1 mss=1460\n")
    assert (flow.sides[CLIENT].wscale, flow.sides[PROXY].wscale) == (-1, -1)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_and_marks(size: int) -> None:
    flow = facts(HANDSHAKE + """
        21   c PA 1+100    1
        41   p A  1        101
        42   p A  1+1000   101
        43   p PA 1001+500 101
        43.1 c A  101      1501
        44   p PA 1001+500 101
        45   c A  101      1501
        50   c FA 101      1501
        70   p FA 1501     102
        71   c A  102      1502
    """, size)  # fmt: skip
    client, proxy = flow.sides
    assert flow.packets == client.packets + proxy.packets == 13
    assert (client.packets, client.data_packets, client.bytes) == (7, 1, 100)
    assert (proxy.packets, proxy.data_packets, proxy.bytes) == (6, 3, 2000)
    assert (client.stream_bytes, proxy.stream_bytes) == (100, 1500)
    assert (client.largest, client.largest_acked) == (100, 100)
    assert (proxy.largest, proxy.largest_acked) == (1000, 1000)
    assert [mark.number if mark else 0 for mark in (
        client.first, client.last, client.first_payload, client.last_payload,
        proxy.first, proxy.last, proxy.first_payload, proxy.last_payload,
    )] == [1, 13, 4, 4, 2, 12, 6, 7]  # fmt: skip
    assert (client.unacked, proxy.unacked) == (0, 0)
    assert (client.fin_sent, proxy.fin_sent) == (1, 1)
    assert (client.fin_acked, proxy.fin_acked) == (True, True)
    assert [(name, mark.number) for name, mark in flow.closes] == [
        ("client_fin", 11), ("proxy_fin", 12),
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
def test_the_largest_size_that_was_acknowledged(size: int) -> None:
    """Small segments pass, full ones never get through: their sizes name the MTU."""
    client = facts(HANDSHAKE + """
        21   c A  1+500     1
        41   p A  1         501
        42   c A  501+1440  1
        42.1 c A  1941+1440 1
        300  c A  501+1440  1
        900  c A  501+1440  1
    """, size).sides[CLIENT]  # fmt: skip
    assert (client.largest, client.largest_acked) == (1440, 500)
    assert client.unacked == 2880


@pytest.mark.parametrize("size", SIZES)
def test_fin_without_its_acknowledgement(size: int) -> None:
    flow = facts(HANDSHAKE + "21 c FA 1 1\n300 c FA 1 1\n900 p R 1 0\n", size)
    client = flow.sides[CLIENT]
    assert (client.fin_sent, client.fin_acked, client.unacked) == (2, False, 0)
    assert client.fin is not None
    assert client.fin.number == 4
    assert [name for name, _ in flow.closes] == ["client_fin", "proxy_rst"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("late_ms", "first"), [(300, "client_fin"), (299.98, "proxy_fin"), (-5000, "client_fin")]
)
def test_who_closed_first_is_told_by_time(late_ms: float, first: str, size: int) -> None:
    """An interface for each direction; but a clock that was set back tells nothing."""
    flow = facts(HANDSHAKE + f"300 c FA 1 2\n{late_ms} p FA 1 1\n301 c A 2 2\n", size)
    assert flow.closes[0][0] == first


@pytest.mark.parametrize("size", SIZES)
def test_the_longest_silence(size: int) -> None:
    flow = facts(HANDSHAKE + "21 c PA 1+9 1\n5000 c PA 10+9 1\n9000 p A 1 19\n", size)
    silence = flow.longest_silence
    assert silence is not None
    assert (silence.start.number, silence.end.number) == (4, 5)
    assert silence.seconds == 4.979


@pytest.mark.parametrize("size", SIZES)
def test_a_clock_that_steps_back(size: int) -> None:
    flow = facts(HANDSHAKE + "21 c PA 1+9 1\n19.5 p A 1 10\n19.4 p A 1 10\n3 c A 10 1\n", size)
    assert flow.time_backwards == 2
    assert flow.last == (7, START_NS + 3_000_000)


def test_a_challenge_ack() -> None:
    """RFC 5961 section 4: an old connection is still known at the other end."""
    flow = facts("0 c S 0 0\n20 p A 1 77000\n20.1 c R 77000 0\n")
    assert flow.challenge_ack
    assert flow.syn_ack is None


def test_data_in_the_syn() -> None:
    assert facts("0 c S 0+50 0\n20 p SA 0 51\n20.1 c A 51 1\n").tcp_fast_open


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "one_way"),
    [
        ("0 c S 0 0\n1000 c S 0 0\n", False),
        ("0 c S 0 0\n20.1 c A 1 1\n21 c PA 1+10 1\n42 c A 11 40\n", True),
        ("0 p SA 0 1\n42 p PA 1+39 11\n", True),
        ("0 p RA 0 1\n", False),
        ("0 c PA 1+10 1\n1 c PA 11+10 1\n", False),
        (HANDSHAKE, False),
    ],
)
def test_one_side_only(text: str, one_way: bool, size: int) -> None:
    assert facts(text, size).one_way is one_way


@pytest.mark.parametrize("size", SIZES)
def test_capture_quality(size: int) -> None:
    flow = facts(HANDSHAKE + """
        21   c PA 1+100  1 cut=40
        41   p A  1+1460 101
        42   p A  1461+2920 101
    """, size)  # fmt: skip
    client, proxy = flow.sides
    assert (client.cut_by_snaplen, proxy.cut_by_snaplen) == (1, 0)
    assert (client.oversized, proxy.oversized) == (0, 1)


@pytest.mark.parametrize("size", SIZES)
def test_copies_count_apart(size: int) -> None:
    """Every packet of the capture counts; bytes and classes are those of the network."""
    text = HANDSHAKE + "21 c PA 1+100 1\n21.1 c PA 1+100 1 copy\n41 p A 1 101\n"
    built = story(text)
    cuts = [cut for cut in every(size, built.frames) if cut != 4]
    client = track(built.frames, cuts).facts().sides[CLIENT]
    assert (client.packets, client.duplicates, client.data_packets) == (4, 1, 1)
    assert (client.bytes, client.retransmissions) == (100, 0)
