from __future__ import annotations

import pytest

from capture.facts import CLIENT, PROXY
from capture.packets.index import PacketView
from tests.tui.fakes import CONNECT, SECRET, FakeEngine, FakeStore, started, stored
from tests.widgets.build import ACK, PSH, denied_facts, packets
from tui.frame.shown_frame import fetch_shown

HEADERS = 54


def split_head(*cuts: int) -> tuple[PacketView, FakeStore]:
    """CONNECT in several segments of one client, an ACK of the proxy after each."""
    parts = [CONNECT[a:b] for a, b in zip((0, *cuts), (*cuts, len(CONNECT)), strict=True)]
    rows = []
    for part in parts:
        rows.append((0, CLIENT, PSH | ACK, len(part)))
        rows.append((0, PROXY, ACK, 0))
    return stored(packets(*rows), {2 * at + 1: part for at, part in enumerate(parts)})


def shown(view: PacketView, store: FakeStore, number: int) -> bytes:
    bridge = started(FakeEngine(store=store))
    return fetch_shown(bridge, view, number, None).data[HEADERS:]


@pytest.mark.parametrize("cut", [1, 30, 60, 75, 90, 91, 92, 93, 98, 107, 108, 109, 111])
def test_secret_in_two_segments(cut: int) -> None:
    view, store = split_head(cut)
    both = shown(view, store, 1) + shown(view, store, 3)
    # A cut inside the scheme's word hides that word, too.
    word = CONNECT.index(b"Basic")
    both = both[:word] + b"Basic" + both[word + 5 :]
    assert both == CONNECT.replace(SECRET, b"*" * len(SECRET))


def test_secret_in_many_segments() -> None:
    at = CONNECT.index(SECRET)
    view, store = split_head(10, at - 8, at + 3, at + 5)
    data = b"".join(shown(view, store, number) for number in (1, 3, 5, 7, 9))
    assert data == CONNECT.replace(SECRET, b"*" * len(SECRET))


def test_headers_and_other_payload_stay_to_the_byte() -> None:
    view, store = split_head(30)
    bridge = started(FakeEngine(store=store))
    frame = fetch_shown(bridge, view, 1, None)
    assert frame.data == store.frames[0]
    assert not frame.masked
    assert fetch_shown(bridge, view, 3, None).masked


def test_secrets_outside_tcp_are_covered_too() -> None:
    """A router's ICMP error may quote the head."""
    view, store = split_head()
    rows = view.rows.copy()
    rows["flow"] = 0
    data = bytearray(store.frames[0])
    data[23] = 1  # the IP protocol: ICMP
    frame = fetch_shown(
        started(FakeEngine(store=FakeStore([bytes(data)]))), PacketView(rows), 1, None
    )
    assert SECRET not in frame.data
    assert len(frame.data) == len(data)


def test_socks_login() -> None:
    login = b"\x01\x03joe\x07hunter2"
    view, store = stored(packets((0, CLIENT, PSH | ACK, len(login))), {1: login})
    bridge = started(FakeEngine(store=store))
    facts = denied_facts(first_language=("socks5", "socks5"))
    assert fetch_shown(bridge, view, 1, facts).data[HEADERS:] == b"\x01\x03***\x07*******"


def test_padding_after_the_payload_is_not_part_of_it() -> None:
    view, store = split_head()
    padded = FakeStore([store.frames[0] + bytes(6)])
    rows = view.rows.copy()
    rows["caplen"] += 6
    frame = fetch_shown(started(FakeEngine(store=padded)), PacketView(rows), 1, None)
    assert frame.data.endswith(bytes(6))
    assert SECRET not in frame.data


@pytest.mark.parametrize("number", [0, -1, 99])
def test_no_such_packet(number: int) -> None:
    view, store = split_head()
    with pytest.raises(LookupError, match="no packet"):
        fetch_shown(started(FakeEngine(store=store)), view, number, None)


def test_predecessor_that_is_gone_costs_nothing_but_its_context() -> None:
    view, store = split_head(30)
    rows = view.rows.copy()
    rows["position"][0] = 99
    data = fetch_shown(
        started(FakeEngine(store=store)), PacketView(rows), 3, None
    ).data[HEADERS:]  # fmt: skip
    assert SECRET not in data
