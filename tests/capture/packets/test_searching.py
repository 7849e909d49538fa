from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo import demo_path
from capture.packets.index import EMPTY, PacketView
from capture.packets.lines import Describer
from capture.packets.searching import TextIndex, plain_hits, told_hits
from capture.snapshot import Snapshot
from tests.capture.filtering.build import read
from tests.widgets import build

TOUR = demo_path()


@pytest.fixture(scope="module")
def tour() -> Snapshot:
    return read(TOUR)


def hits(snapshot: Snapshot, needle: str) -> set[int]:
    """Packets found, by number: plain lines that are shown, and what packets say."""
    index = TextIndex()
    plain = plain_hits(snapshot.packets, None, needle, snapshot.facts)
    found = {int(row) + 1 for row in np.flatnonzero(plain)}
    for facts in snapshot.facts.values():
        told = index.told(facts)
        found -= set(told.numbers)
        found |= set(told_hits(told, needle))
    return found


def lines(snapshot: Snapshot) -> list[str]:
    describer = Describer(snapshot.packets, snapshot.facts)
    texts = map(describer, range(len(snapshot.packets)))
    return [f"{text.proto} {text.info}".casefold() for text in texts]


@pytest.mark.parametrize(
    "needle",
    ["fin", "rst", "syn-ack", "tls", "tls ack", "403", "connect", "clienthello", "tools.cisco",
     "unknown_ca", "retransmission", "not tcp", "seq=", "len=0 win", "http", "psh", "ws 1024",
     "zebra", "tcp", "silent.example.com", "servererror", "] ", "alert", "win="],
)  # fmt: skip
def test_finds_what_the_lines_say(needle: str, tour: Snapshot) -> None:
    shown = {row for row, line in enumerate(lines(tour), 1) if needle in line}
    found = hits(tour, needle)
    # Header fields are found, too, though the line has no room for them.
    assert shown - found <= icmp(tour)
    described = lines(tour)
    assert all("http" in described[number - 1] for number in found - shown)


def icmp(snapshot: Snapshot) -> set[int]:
    return {error.number for facts in snapshot.facts.values() for error in facts.icmp}


@given(st.sampled_from(["seq", "ack", "len", "win"]), st.integers(0, 120_000))
def test_named_numbers_are_found_by_their_beginning(name: str, number: int) -> None:
    view = build.tunnel_packets()
    needle = f"{name}={number}"
    found = np.flatnonzero(plain_hits(view, None, needle, {}))
    describer = Describer(view, {})
    shown = [row for row in range(len(view)) if needle in describer(row).info]
    assert found.tolist() == shown


def test_header_fields_are_found_at_their_packet() -> None:
    told = TextIndex().told(build.denied_facts())
    assert told_hits(told, "host: tools.cisco.com:443") == [4]
    assert told_hits(told, "server: squid") == [5]
    assert told_hits(told, "403 forbidden") == [5]
    assert told_hits(told, "zebra") == []
    assert {4, 5} <= set(told.numbers)


def test_a_tunnel_is_known_by_all_that_is_said_of_it() -> None:
    text = TextIndex().tunnel(build.denied(1), build.denied_facts())
    for word in ("10.40.40.1:40001", "10.10.10.1:80", "tools.cisco.com", "acl_denied",
                 "proxy acl restriction", "acl-deny", "server: squid"):  # fmt: skip
        assert word in text, word


def test_a_tunnel_is_found_by_the_names_of_its_ends() -> None:
    index, flow = TextIndex(), build.flow(1)
    assert "proxy.lab" not in index.tunnel(flow, None)
    index.names = {"10.10.10.1": "Proxy.lab"}
    assert "proxy.lab:80" in index.tunnel(flow, None)
    assert "10.10.10.1:80" in index.tunnel(flow, None)


def test_texts_are_made_once_while_a_flow_stays_the_same() -> None:
    index = TextIndex()
    flow, facts = build.flow(1), build.denied_facts(1)
    assert index.tunnel(flow, facts) is index.tunnel(flow, facts)
    assert index.told(facts) is index.told(facts)
    changed = replace(flow, verdict="mtu_rst")
    assert "mtu_rst" in index.tunnel(changed, facts)
    assert index.told(replace(facts, packets=10)) is not index.told(facts)
    index.keep([])
    assert not index._tunnels
    assert not index._told


def test_some_rows_and_none() -> None:
    view = build.denied_packets()
    rows = np.array([0, 1, 6])
    assert plain_hits(view, rows, "fin", {}).tolist() == [False, False, True]
    assert plain_hits(EMPTY, None, "fin", {}).tolist() == []
    other = PacketView(view.rows[:0])
    assert plain_hits(other, None, "len=0", {}).tolist() == []
