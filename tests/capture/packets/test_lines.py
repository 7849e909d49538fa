from __future__ import annotations

from dataclasses import replace

import numpy as np

from capture.decode.columns import IPV6_BASE, IcmpError
from capture.facts import CLIENT, PROXY, Alert, Record, TlsDirection, TlsFacts
from capture.packets.index import (
    FAST_RETRANSMISSION,
    PACKET_DTYPE,
    RETRANSMISSION,
    ZERO_WINDOW,
    PacketView,
)
from capture.packets.lines import Describer, analysis_names, describe, flag_names
from capture.protocols.events import Challenge, Credentials
from capture.report.model import Severity
from capture.timeline.telling import NETWORK, icmp_text, tellings
from tests.widgets import build


def texts(view: PacketView, facts: object) -> list[str]:
    describer = Describer(view, {1: facts})  # type: ignore[dict-item]
    return [f"{text.proto} {text.info}" for text in map(describer, range(len(view)))]


def test_a_denied_tunnel_packet_by_packet() -> None:
    assert texts(build.denied_packets(), build.denied_facts()) == [
        "TCP SYN  mss 1460  ws 128  seq=0 len=0 win=64000",
        "TCP SYN-ACK  mss 1300  ws 64  seq=0 ack=1 len=0 win=64000",
        "TCP ACK  seq=1 ack=1 len=0 win=64000",
        "HTTP CONNECT tools.cisco.com:443 HTTP/1.1",
        "HTTP 403 Forbidden",
        "TCP ACK  seq=123 ack=351 len=0 win=64000",
        "TCP FIN, ACK  seq=351 ack=123 len=0 win=64000",
        "TCP FIN, ACK  seq=123 ack=352 len=0 win=64000",
        "TCP ACK  seq=352 ack=124 len=0 win=64000",
    ]


def test_a_tls_tunnel() -> None:
    lines = texts(build.tunnel_packets(1), build.tunnel_facts())
    assert lines[6] == "TLS ClientHello SNI=tools.cisco.com"
    assert lines[7] == "TLS ServerHello TLSv1.3 TLS_AES_128_GCM_SHA256"
    assert lines[8] == "TLS ACK  seq=1340 ack=640 len=1300 win=64000"


def test_without_facts_the_columns_speak() -> None:
    view = build.denied_packets()
    assert describe(view, 3).info == "PSH, ACK  seq=1 ack=1 len=122 win=64000"
    assert describe(view, 0).info == "SYN  seq=0 len=0 win=64000"
    assert describe(view, 3, build.denied_facts()).proto == "HTTP"


def test_an_icmp_error_is_described_by_the_flow_it_is_about() -> None:
    rows = np.concatenate([build.denied_packets().rows, np.zeros(2, PACKET_DTYPE)])
    error = IcmpError(10, 0, 0x0A000001, 2, 4, 3, 4, 1400, 1, 2, 3, 4, 5, 6)
    facts = build.denied_facts(1, icmp=(error,))
    describer = Describer(PacketView(rows), {1: facts})
    text = describer(9)
    assert (text.proto, text.info) == (
        "ICMP", "ICMP fragmentation needed, MTU 1400, from 10.0.0.1",
    )  # fmt: skip
    assert describer(10).info == "not TCP"
    describer.update(PacketView(rows), {1: replace(facts, icmp=())})
    assert describer(9).info == "not TCP"


def test_a_frame_that_is_no_tcp() -> None:
    rows = build.denied_packets().rows.copy()
    rows["flow"][0] = 0
    assert describe(PacketView(rows), 0, None).info == "not TCP"


def test_analysis_is_worded_as_wireshark_does() -> None:
    rows = build.tunnel_packets().rows.copy()
    rows["analysis"][9] = RETRANSMISSION | FAST_RETRANSMISSION
    rows["analysis"][5] = ZERO_WINDOW
    view = PacketView(rows)
    text = describe(view, 9, build.tunnel_facts())
    assert text.info.endswith("  [retransmission]  [fast retransmission]")
    assert text.severity is Severity.WARNING
    assert describe(view, 5, build.tunnel_facts()).info.endswith("[zero window]")
    assert describe(view, 10, build.tunnel_facts()).severity is None
    assert analysis_names(0) == ()
    assert flag_names(0) == "no flags"


def test_severity_of_answers() -> None:
    view = build.denied_packets()
    assert describe(view, 4, build.denied_facts()).severity is Severity.PROBLEM
    exchange = build.denied_facts().exchanges[0]
    assert exchange.response is not None
    for status, severity in (
        (200, None), (302, Severity.PROBLEM), (407, Severity.WARNING), (502, Severity.PROBLEM),
    ):  # fmt: skip
        answered = replace(exchange, response=exchange.response._replace(status=status))
        facts = build.denied_facts(exchanges=(answered,))
        assert describe(view, 4, facts).severity is severity


def test_credentials_are_named_by_scheme_only() -> None:
    exchange = build.denied_facts().exchanges[0]
    challenges = (Challenge("ntlm"), Challenge("basic", "proxy"), Challenge("basic"))
    asked = replace(
        exchange,
        request=build.request(credentials=Credentials("basic"), version=""),
        response=build.response(407, "Denied")._replace(challenges=challenges, reason_cut=True),
    )
    said = [item.text for item in tellings(build.denied_facts(exchanges=(asked,)))]
    assert "CONNECT tools.cisco.com:443  (basic credentials)  (cut off)" in said
    assert "407 Denied  (offers ntlm, basic)  (cut off)" in said


def test_alerts_records_and_resets() -> None:
    base = build.tunnel_facts()
    assert base.tls is not None
    tls: TlsFacts = replace(
        base.tls,
        alerts=(Alert(build.mark(12), CLIENT, 2, 48),),
        sides=(
            TlsDirection(
                records=(Record(build.mark(7), 22, 512), Record(build.mark(11), 20, 1),
                         Record(build.mark(11), 22, 40)),
                last=Record(build.mark(60), 21, 26),
            ),
            TlsDirection(records=(Record(build.mark(8), 22, 100), Record(build.mark(9), 22, 900))),
        ),
    )  # fmt: skip
    sides = (base.sides[0], replace(base.sides[1], rst=build.mark(70)))
    facts = replace(base, tls=tls, sides=sides, closes=(("proxy_rst", build.mark(70)),))
    said = {(item.number, item.sender, item.text) for item in tellings(facts)}
    assert said >= {
        (11, CLIENT, "ChangeCipherSpec"),
        (11, CLIENT, "Handshake, encrypted"),
        (9, PROXY, "Handshake"),
        (12, CLIENT, "Alert unknown_ca (fatal)"),
        (60, CLIENT, "Alert, encrypted"),
        (70, PROXY, "RST"),
    }
    assert (7, CLIENT, "Handshake") not in said, "the ClientHello is told once"


def icmp(**changes: object) -> IcmpError:
    base = IcmpError(6, 0, (10 << 24) | 1, (10 << 24) | 2, 4, 3, 4, 1400, 0, 0, 40000, 80, 1, 1500)
    return base._replace(**changes)  # type: ignore[arg-type]


def test_icmp_errors() -> None:
    assert icmp_text(icmp()) == "ICMP fragmentation needed, MTU 1400, from 10.0.0.1"
    assert icmp_text(icmp(code=77, mtu=0)) == "ICMP type 3 code 77, from 10.0.0.1"
    six = icmp(version=6, type=2, code=0, sender=IPV6_BASE + 3)
    assert icmp_text(six) == "ICMPv6 packet too big, MTU 1400"
    facts = build.denied_facts(icmp=(icmp(),))
    item = next(item for item in tellings(facts) if item.sender == NETWORK)
    assert item.number == 6
    rows = build.denied_packets().rows.copy()
    rows["flow"][5] = 0
    told = describe(PacketView(rows), 5, facts)
    assert told.proto == "ICMP"


def test_describer_follows_new_facts_and_keeps_known_ones() -> None:
    view = build.denied_packets()
    describer = Describer(view, {})
    assert describer(3).proto == "TCP"
    facts = build.denied_facts()
    describer.update(view, {1: facts})
    assert describer(3).proto == "HTTP"
    describer.update(view, {1: replace(facts, exchanges=())})
    assert describer(3).proto == "TCP"


def test_every_row_of_random_columns_can_be_described() -> None:
    random = np.random.default_rng(7)
    rows = np.zeros(500, PACKET_DTYPE)
    for name in rows.dtype.names or ():
        high = min(np.iinfo(rows.dtype[name]).max, 2**31)
        rows[name] = random.integers(0, high, 500)
    rows["flow"] = random.integers(0, 2, 500)
    describer = Describer(PacketView(rows), {1: build.tunnel_facts()})
    assert all(describer(row).info for row in range(500))
