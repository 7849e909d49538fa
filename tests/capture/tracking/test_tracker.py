"""The tracker on real captures, and what it keeps beside the flows."""

from __future__ import annotations

import json

import pytest

from capture.decode import Decoder
from capture.decode.columns import Decoded, IcmpError
from capture.facts import CLIENT, PROXY, FlowFacts, final_exchange
from capture.tracking.tracker import MAX_ICMP, MAX_STRAY_ICMP
from tests.capture.decode.building import block_of
from tests.capture.tracking.building import (
    DATA,
    DEMOS,
    HANDSHAKE,
    Tracked,
    binary,
    frames_in,
    story,
    track,
)

TRUTH = json.loads((DATA.parent / "truth.json").read_text(encoding="utf-8"))


def flow_of(name: str) -> FlowFacts:
    return track(frames_in(DATA / name)).facts()


def test_a_healthy_tunnel() -> None:
    flow = flow_of("01b_success_302_tls12.pcap")
    assert flow.roles_certain
    assert flow.proxy.port == 80
    assert flow.exchanges[0].request is not None
    assert flow.exchanges[0].request.target == "tools.cisco.com:443"
    assert flow.tunnel is not None
    assert flow.tunnel_protocol == "tls"
    assert flow.tls is not None
    assert flow.tls.client_hello is not None
    assert flow.tls.client_hello.sni == "tools.cisco.com"
    assert flow.tls.server_hello is not None
    assert flow.tls.server_hello.version == 0x0303
    assert flow.tls.certificates[0].subject.startswith("CN=tools.cisco.com")
    assert [side.missing for side in flow.tls.sides] == [0, 0]
    assert {name for name, _ in flow.closes} >= {"client_fin", "proxy_fin"}
    assert flow.sides[CLIENT].unacked == flow.sides[PROXY].unacked == 0


def test_a_refusal() -> None:
    flow = flow_of("02a_squid_acl_deny.pcap")
    (exchange,) = flow.exchanges
    assert exchange.response is not None
    assert exchange.response.status == 403
    assert b"<html>" in exchange.body_start.lower()
    assert exchange.body_received > 0
    assert flow.tunnel is None
    assert flow.tls is None


def test_a_challenge_and_a_second_try() -> None:
    flow = flow_of("05a_basic_407_then_ok.pcap")
    assert [e.response.status for e in flow.exchanges if e.response] == [407, 200]
    first, second = (e.request for e in flow.exchanges)
    assert first is not None
    assert second is not None
    assert first.credentials is None
    assert second.credentials is not None
    assert second.credentials.scheme == "basic"
    assert flow.tunnel is not None


def test_a_refused_connection() -> None:
    flow = flow_of("06a_proxy_port_closed.pcap")
    assert [name for name, _ in flow.closes][:1] == ["proxy_rst"]
    assert flow.syn_ack is None
    assert flow.exchanges == ()


def test_a_dropped_syn() -> None:
    flow = flow_of("06b_proxy_syn_dropped.pcap")
    assert flow.syn_count > 1
    assert len(flow.syn_marks) == min(12, flow.syn_count)
    assert flow.sides[PROXY].packets == 0
    assert not flow.one_way


def test_an_icmp_error_of_a_flow() -> None:
    flow = flow_of("06d_proxy_admin_prohibited_icmp.pcap")
    assert flow.icmp
    assert flow.icmp[0].type == 3
    assert flow.icmp[0].code in (9, 10, 13)


def test_an_mtu_hole() -> None:
    flow = flow_of("11a_mtu_hole_upload.pcap")
    client = flow.sides[CLIENT]
    assert client.run is not None
    assert client.run.sent >= 3
    assert not client.run.acked
    assert 0 < client.largest_acked < client.run.length
    assert client.unacked > 0


def test_both_legs_are_two_flows() -> None:
    seen = track(frames_in(DATA / "01z_on_proxy_both_legs.pcap"))
    first, second = seen.all_facts()[:2]
    assert first.tunnel is not None
    assert second.tunnel is None
    assert second.first_language == ("tls", "tls")


@pytest.mark.parametrize("name", sorted(path.name for path in binary(DATA)))
def test_flows_are_what_the_labels_say(name: str) -> None:
    facts = {str(flow.client): flow for flow in track(frames_in(DATA / name)).all_facts()}
    for label in TRUTH[name]["tunnels"]:
        flow = facts[label["client"]]
        assert str(flow.proxy) == label["proxy"]
        final = final_exchange(flow.exchanges)
        target = final.request.target if final and final.request else None
        status = final.response.status if final and final.response else None
        if final and final.request and final.request.form != "authority":
            target = label["target"]  # labelled by its authority
        hello = flow.tls.client_hello if flow.tls else None
        assert target == label["target"]
        assert status == label["status"]
        if not flow.sides[CLIENT].cut_by_snaplen:  # the label knows the uncut capture
            assert (hello.sni if hello else None) == label["sni"]
        closes = [close for close, _ in flow.closes]
        assert (closes[0] if closes else "none") == label["ended"]
        assert closes == label["closes"]


ERROR = IcmpError(9, 0, (10 << 24) | 1, (10 << 24) | 2, 4, 3, 4, 1400,
                  10 << 24 | 40 << 16 | 40 << 8 | 1, 10 << 24 | 10 << 16 | 10 << 8 | 1,
                  40716, 3128, 1001, 1500)  # fmt: skip


def with_errors(*errors: IcmpError) -> Tracked:
    seen = track(story(HANDSHAKE).frames)
    empty = track([]).tracker
    assert len(empty) == 0
    nothing = Decoder().decode(block_of([]))
    assert seen.tracker.add(Decoded(nothing.segments, list(errors))) is None
    return seen


def test_errors_go_to_the_flow_they_quote() -> None:
    turned = ERROR._replace(src=ERROR.dst, dst=ERROR.src, sport=ERROR.dport, dport=ERROR.sport)
    seen = with_errors(ERROR, turned)
    assert seen.facts().icmp == (ERROR, turned)
    assert seen.tracker.stray_icmp == []


def test_errors_without_a_flow_are_kept_apart() -> None:
    other, bare = ERROR._replace(dport=1), ERROR._replace(sport=0, dport=0)
    seen = with_errors(other, bare)
    assert seen.facts().icmp == ()
    assert seen.tracker.stray_icmp == [other, bare]


def test_errors_are_bounded() -> None:
    errors = [ERROR] * (MAX_ICMP + 5) + [ERROR._replace(sport=0)] * (MAX_STRAY_ICMP + 5)
    seen = with_errors(*errors)
    assert len(seen.facts().icmp) == MAX_ICMP
    assert len(seen.tracker.stray_icmp) == MAX_STRAY_ICMP


def test_servers_and_silent_ones() -> None:
    seen = track(story("""
        0 c S  0 0 port=50001
        1 p SA 0 1 port=50001
        2 c A  1 1 port=50001
        3 c S  0 0 port=50002
        4 c S  0 0 port=50002
    """).frames)  # fmt: skip
    assert [str(end) for end in seen.tracker.servers()] == ["10.10.10.1:3128"]
    assert str(seen.tracker.proxy(1)) == "10.10.10.1:3128"
    assert seen.tracker.silent_endpoints() == 1


def test_direct_web_traffic_is_counted() -> None:
    plain = "GET_/_HTTP/1.1~Host:_a~~"
    size = len(plain) + plain.count("~")
    text = f"""
        0 p S  0 0 port=80
        1 c SA 0 1 port=80
        2 p A  1 1 port=80
        3 p PA 1 1 x={plain} port=80
        4 c PA 1 {1 + size} x=HTTP/1.1_200_OK~~ port=80
    """
    assert track(story(text).frames).tracker.direct_web() == 1
    assert track(story(text.replace("GET_/", "GET_http://a/")).frames).tracker.direct_web() == 0


def test_facts_in_a_batch_are_those_of_each() -> None:
    seen = track(frames_in(DEMOS / "tour.pcapng"))
    assert len(seen.tracker) > 5
    assert seen.all_facts() == [seen.facts(flow) for flow in range(len(seen.tracker))]
    assert [flow.id for flow in seen.all_facts()] == list(range(1, len(seen.tracker) + 1))


REFUSED = """
0 c S  0 0 port=50001
1 p SA 0 1 port=50001
2 c A  1 1 port=50001
3 c PA 1 1 x=CONNECT_a:443_HTTP/1.1~~ port=50001
4 p PA 1 27 x=HTTP/1.1_403_Forbidden~Content-Length:_0~~ port=50001
5 c S  0 0 port=50002
6 p RA 0 1 port=50002
"""


def test_flows_that_may_prove_a_proxy() -> None:
    seen = track(story(REFUSED).frames)
    assert seen.tracker.with_requests() == [0]
    origin = REFUSED.replace("CONNECT_a:443", "GET_/")
    assert track(story(origin).frames).tracker.with_requests() == []
    seen = track(frames_in(DATA / "01a_success_302_tls13.pcap"))
    assert [str(end) for end in seen.tracker.tunnel_servers()] == ["10.10.10.1:80"]


def test_strangers_said_nothing_on_no_known_port() -> None:
    tracker = track(story(REFUSED).frames).tracker
    proxy = 10 << 24 | 10 << 16 | 10 << 8 | 1
    assert tracker.strangers(frozenset({80}), None).tolist() == [False, True]
    assert tracker.strangers(frozenset({80, 3128}), None).tolist() == [False, False]
    assert tracker.strangers(frozenset({3128}), {proxy}).tolist() == [False, False]
    assert tracker.strangers(frozenset({3128}), {proxy + 1}).tolist() == [False, True]


def test_endpoints_are_printable() -> None:
    tracker = track(story(REFUSED).frames).tracker
    value = int(tracker.table.flows.client[1])
    assert [tracker.endpoint_text(value) for _ in range(2)] == ["10.40.40.1:50002"] * 2
    seen = track(frames_in(DATA / "01f_success_ipv6_proxy.pcap"))
    value = int(seen.tracker.table.flows.proxy[0])
    assert seen.tracker.endpoint_text(value) == str(seen.facts().proxy)
    assert seen.tracker.endpoint_text(value).startswith("[")


def test_what_was_said_can_be_let_go() -> None:
    seen = track(frames_in(DEMOS / "tour.pcapng"))
    before = seen.all_facts()
    seen.tracker.release(range(len(seen.tracker)))
    assert seen.tracker.payload.conversations == {}
    assert seen.tracker.payload.openings.flows().size == 0
    after = seen.all_facts()
    assert [flow.sides for flow in after] == [flow.sides for flow in before]
    assert all(flow.exchanges == () for flow in after)
