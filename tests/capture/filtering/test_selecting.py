from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decode.columns import IcmpError
from capture.filtering import Material, compile_filter
from capture.filtering.registry import FIELDS
from capture.flow_ends import FlowEnds
from capture.packets.index import EMPTY, PacketView
from capture.report.model import Attempt
from tests.capture.filtering.build import found, material, packets, tunnels
from tests.widgets import build

REFUSED, HEALTHY = list(range(1, 10)), list(range(10, 81))
STRANGER = list(range(81, 90))


@pytest.mark.parametrize(
    ("text", "uids"),
    [
        ('verdict == "acl_denied"', [1]), ("verdict != acl_denied", [2]),
        ("severity >= warning", [1]), ("severity < warning", []), ("not severity", [2]),
        ("severity == problem", [1]), ("rule == acl-deny", [1]), ("issue == proxy-acl", [1]),
        ('finding contains "ACL"', [1]), ("status in {400..499}", [1]), ("status == 200", [2]),
        ("target == tools.cisco.com", [1, 2]), ('target == "tools.cisco.com:443"', [1, 2]),
        ("target != tools.cisco.com", []), ("client == 10.40.40.1", [1, 2]),
        ("client == 10.40.40.1:40002", [2]), ("client != 10.40.40.1:40002", [1]),
        ('client contains ":40001"', [1]), ("proxy in {10.10.10.0/24}", [1, 2]),
        ("sni", [2]), ('sni matches "^TOOLS\\."', [2]), ("tls_version >= TLSv1.2", [2]),
        ("duration > 1s", [1, 2]), ("rtt > 19.7ms and rtt < 19.8", [1, 2]), ("rtt > 20ms", []),
        ("bytes > 13kB", [1, 2]), ("bytes == 13960", [1, 2]), ("retransmissions == 1", [1, 2]),
        ("ended == client_fin", [1, 2]), ("id == 2", [2]), ("alpn == h2", [2]),
        ('start >= "2025-03-14 11:30:12"', [1, 2]), ('start > "2025-03-14 11:30:13"', []),
        ("kind == tunnel", [1, 2]), ("reason contains 'orbid'", [1]),
    ],
)  # fmt: skip
def test_own_fields(text: str, uids: list[int]) -> None:
    assert tunnels(text) == uids


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("frame.number <= 2", [1, 2]),
        ("tcp.flags.syn == 1", [1, 2, 10, 11, 81, 82]),
        ("tcp.flags.syn == 1 and tcp.flags.ack == 0", [1, 10, 81]),
        ("tcp.flags == 0x012", [2, 11, 82]),
        ("tcp.flags & 0x02 and tcp.flags & 0x10 == 0x10", [2, 11, 82]),
        ("tcp.analysis.retransmission", [21]),
        ("tcp.analysis.flags", [21]),
        ("http.request.method == CONNECT", [4, 13]),
        ("http.response.code == 403", [5]),
        ("http.response.code != 403", [14]),
        ("http.host contains cisco", [4, 13]),
        ('http.request.line == "host: tools.cisco.com:443"', [4, 13]),
        ("http.response_for.uri", [5, 14]),
        ("http.server == squid", [5, 14]),
        ("http.time > 100ms", [14]),
        ("tls.handshake.type == 1", [16]),
        ("tls.handshake.type == server_hello", [17]),
        ("tls.handshake.extensions_server_name == tools.cisco.com", [16]),
        ("tls.handshake.version == 0x0303", [16, 17]),
        ("tls.handshake.extensions.supported_version == TLSv1.3", [16, 17]),
        ("tls.handshake.ciphersuite == 0x1301", [16, 17]),
        ("tls.handshake.extensions_alpn_str == h2", [16]),
        ("tcp.options.mss_val == 1300", [2, 11]),
        ("tcp.stream == 0", REFUSED),
        ("ip.addr == 10.0.0.0/8", REFUSED + HEALTHY),
        ("ip.src == 10.10.10.1 and tcp.len > 0 and tcp.stream == 0", [5]),
        ("tcp.dstport == 80 and tcp.len > 0", [4, 13, 16]),
        ("tcp.port == 40001", REFUSED),
        ("tcp.port != 80", []),
        ("tcp.port ~= 80 and frame.number < 3", [1, 2]),
        ("frame.number in {1..2, 90}", [1, 2, 90]),
        ("frame.time_relative > 0.0001 and frame.number < 10", [2, 3, 4, 5, 6, 7, 8, 9]),
        ("frame.time_relative >= 19.717ms and frame.number == 2", [2]),
        ("frame.time_delta > 19ms and frame.number < 10", [2]),
        ("not tcp", [90]),
        ("http and frame.number < 20", [4, 5, 13, 14]),
        ("tls and frame.number < 19", [16, 17, 18]),
        ("http.proxy_connect_port == 443 and frame.number < 19", [4, 5, 13, 14, 16, 17, 18]),
        ("verdict == acl_denied", REFUSED),
        ("ipv6.addr == ::/0", []),
        ("http.response.code == 403 or tcp.analysis.retransmission", [5, 21]),
    ],
)  # fmt: skip
def test_packets_are_judged_each_by_itself(text: str, numbers: list[int]) -> None:
    assert packets(text) == numbers


@pytest.mark.parametrize(
    ("text", "uids", "numbers"),
    [
        # Two packets of one tunnel fulfil it together: all of it is shown.
        ("http.host contains cisco and http.response.code == 403", [1], REFUSED),
        # One packet has to be both: no SYN carries data.
        ("tcp.flags.syn == 1 and tcp.len > 0", [], []),
        # Inverted, a condition speaks of the whole tunnel, and of each stranger's packet.
        ("not http.response.code == 403", [2], [*HEALTHY, *STRANGER, 90]),
        ("not tls", [1], [*REFUSED, *STRANGER, 90]),
        ("not tcp.analysis.retransmission", [1], [*REFUSED, *STRANGER, 90]),
        ("not tls and not tcp.analysis.retransmission", [1], [*REFUSED, *STRANGER, 90]),
        ("tcp and not tls and frame.number < 5", [1], [1, 2, 3, 4]),
        ("verdict == ok and http.response.code == 403", [], []),
        ("verdict == ok or http.response.code == 403", [1, 2], [5, *HEALTHY]),
        ("status == 200 and tcp.analysis.retransmission", [2], [21]),
        ("not verdict", [], [*STRANGER, 90]),
    ],
)
def test_a_tunnel_is_judged_by_all_that_it_said(
    text: str, uids: list[int], numbers: list[int]
) -> None:
    assert found(text) == (uids, numbers)


def test_icmp_belongs_to_the_tunnel_it_is_about() -> None:
    asked = material()
    error = IcmpError(90, 0, 1, 2, 4, 3, 4, 1400, 1, 2, 3, 4, 5, 6)
    asked.facts = {**asked.facts, 1: replace(asked.facts[1], icmp=(error,))}
    assert tunnels("icmp.mtu < 1500 and icmp.code == 4", asked) == [1]
    assert found("icmp.type == 3", asked) == ([1], [90])
    assert found("icmp and tls", asked) == ([], [])
    assert found("icmp and http", asked) == ([1], REFUSED)
    assert tunnels("icmpv6", asked) == []


def test_several_requests_are_several_values() -> None:
    asked = material()
    attempts = (
        Attempt("CONNECT", "a.example:443", 407, "", 1, 2, 5.0),
        Attempt("CONNECT", "b.example:443", 200, "", 3, 4, 50.0),
    )
    asked.flows = (replace(asked.flows[0], attempts=attempts, target="b.example:443"),)
    asked.changed = [0]
    assert tunnels("target == a.example", asked) == [1]
    assert tunnels("delay > 40ms", asked) == [1]
    assert tunnels("delay === 5ms", asked) == []
    assert tunnels("delay all_ne 5ms", asked) == []


STRANGERS = FlowEnds(
    np.array([1, 2, 3, 9]),
    np.array([1, 1, 0x0A000007 << 16 | 5060, 1]),
    np.array([1, 1, (1 << 32) << 16 | 443, 1]),
    lambda number: "fd00::1" if number >> 32 else f"10.0.0.{number & 255}",
)
"""The third flow is spoken between 10.0.0.7:5060 and [fd00::1]:443 (so that both are seen)."""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("ip.addr == 10.0.0.7", STRANGER), ("ipv6.addr == fd00::/16", STRANGER),
        ("tcp.port == 443", STRANGER), ("tcp.port != 443 and tcp.port in {5000..6000}", []),
        ("tcp.port === 5060", []), ("tcp.srcport == 5060", [81, 83, 84, 86, 88]),
        ("tcp.dstport == 5060", [82, 85, 87, 89]), ("ipv6.src", [82, 85, 87, 89]),
        ("ip.addr == 10.0.0.8", []), ("not ip.addr == 10.0.0.0/8", [90]),
    ],
)  # fmt: skip
def test_ends_of_flows_that_are_no_tunnels(text: str, numbers: list[int]) -> None:
    whole = material()
    asked = Material(whole.flows, whole.facts, whole.packets, ends=STRANGERS)
    assert packets(text, asked) == numbers


def test_packets_that_were_let_go_are_not_missed() -> None:
    whole = material()
    kept = np.flatnonzero(whole.numbers > 4)
    asked = Material(whole.flows, whole.facts, PacketView(whole.packets.rows[kept], kept + 1))
    found_rows = packets("http or frame.number == 7 or tls.handshake", asked)
    assert [int(kept[row - 1]) + 1 for row in found_rows] == [5, 7, 13, 14, 16, 17]
    assert tunnels("http.request", asked) == [1, 2]
    assert tunnels("tcp.len > 0 and frame.number < 6", asked) == [1]


def test_nothing_to_judge() -> None:
    empty = Material((), {}, EMPTY)
    for text in FIELDS:
        selection = compile_filter(f"not {text} or {text}").select(empty)
        assert selection.tunnels.shape == selection.packets.shape == (0,)


def test_without_packets_tunnels_are_judged_by_their_facts() -> None:
    whole = material()
    bare = Material(whole.flows, whole.facts)
    assert tunnels("http.response.code == 403 and ip.addr == 10.10.10.1", bare) == [1]
    assert tunnels("tcp.port == 40002", bare) == [2]
    unknown = Material(whole.flows, {})
    assert tunnels("tcp.srcport == 40002 or ip.dst == 1.1.1.1", unknown) == [2]
    assert tunnels("http.request or tls.handshake", unknown) == []


CHANGES: list[dict[str, Any]] = [{"verdict": "ok"}, {"status": 403}, {"target": "x:1"}, {}]


@given(st.lists(st.sampled_from(CHANGES), max_size=6), st.integers(0, 4), st.booleans())
def test_what_is_remembered_is_what_would_be_found(
    changes: list[dict[str, Any]], kept: int, forget: bool
) -> None:
    """A snapshot after another gives what it gives alone."""
    text = "verdict == ok and not status == 403 and (http.host or tcp.port == 40003)"
    compiled = compile_filter(text)
    first = [build.flow(uid) for uid in range(1, 4)]
    facts = {uid: build.denied_facts(uid) for uid in range(1, 12)}
    before = Material(tuple(first), facts)
    compiled.select(before)
    later = [*first[:kept], *(build.flow(4 + place, **c) for place, c in enumerate(changes))]
    if forget:
        later = later[1:]
    alone = compile_filter(text).select(Material(tuple(later), facts))
    after = compiled.select(Material(tuple(later), facts, before=before))
    assert np.array_equal(alone.tunnels, after.tunnels)


def test_only_flows_that_changed_are_looked_at_again() -> None:
    first = material()
    compiled = compile_filter("verdict == ok or http.host")
    compiled.select(first)
    again = Material(first.flows, first.facts, first.packets, before=first)
    assert again.changed == []
    assert compiled.select(again).tunnels.tolist() == [True, True]
    third = Material((first.flows[0], build.flow(2)), first.facts, before=again)
    assert third.changed == [1]
