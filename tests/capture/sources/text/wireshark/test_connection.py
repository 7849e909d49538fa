"""Packet lists without ports: whose a line is, and what a connection carries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capture.sources.text.test_documents import ACK, FIN, PSH, pasted, summary
from tests.capture.sources.text.wireshark.lists import HEAD, OK, SHAKE, rows


def test_a_request_in_two_segments(tmp_path: Path) -> None:
    """What it says is printed with the last: it belongs to the first."""
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> TCP 94 51000 → 3128 [PSH, ACK] Seq=1 Ack=1 Win=64256 Len=40"
            " [TCP segment of a reassembled PDU]",
            "> HTTP 56 CONNECT a.example:443 HTTP/1.1 ",
        ),
    )
    assert summary(got.facts)[3:] == [(51000, PSH | ACK, 1, 1, 40), (51000, PSH | ACK, 41, 1, 2)]
    assert got.payloads[3:] == [HEAD, b""]


@pytest.mark.parametrize(
    "mark", ["[TCP segment of a reassembled PDU]", "[TCP PDU reassembled in 7]"]
)
def test_an_answer_in_three_segments(tmp_path: Path, mark: str) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            f"< TCP 1514 3128 → 51000 [ACK] Seq=1 Ack=101 Win=65536 Len=1460 {mark}",
            f"< TCP 1514 3128 → 51000 [ACK] Seq=1461 Ack=101 Win=65536 Len=1460 {mark}",
            "< HTTP 154 HTTP/1.1 403 Forbidden  (text/html)",
            "> TCP 54 51000 → 3128 [ACK] Seq=101 Ack=3022 Win=64256 Len=0",
        ),
    )
    assert got.payloads[4:] == [b"HTTP/1.1 403 Forbidden\r\n", b"", b"", b""]
    # The last acknowledgement shows that a FIN came with the last segment.
    assert summary(got.facts)[6] == (3128, FIN | PSH | ACK, 2921, 101, 100)


def test_a_line_that_only_a_fin_ended(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            "< TCP 154 HTTP/1.1 403 Forbidden  [TCP segment of a reassembled PDU]",
            "< HTTP 54 HTTP/1.1 403 Forbidden  (text/html)",
            "> TCP 54 51000 → 3128 [RST, ACK] Seq=101 Ack=102 Win=0 Len=0",
        ),
    )
    assert summary(got.facts)[4:6] == [
        (3128, PSH | ACK, 1, 101, 100),
        (3128, FIN | PSH | ACK, 101, 101, 0),
    ]
    assert got.payloads[4:6] == [b"HTTP/1.1 403 Forbidden\r\n", b""]


def test_what_was_sent_again_and_what_is_missing(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            "> HTTP 154 [TCP Retransmission] CONNECT a.example:443 HTTP/1.1 ",
            "< HTTP 73 HTTP/1.1 200 OK ",
            "> TLSv1 154 Client Hello",
            "< SSL 1254 [TCP Previous segment not captured] , Continuation Data",
            "> TCP 78 [TCP Dup ACK 7#1] 51000 → 3128 [ACK] Seq=201 Ack=20 Win=64256 Len=0"
            " SLE=2916 SRE=4116",
            "< TLSv1.2 1254 [TCP Spurious Retransmission] , Application Data",
            "< TCP 1514 [TCP Out-Of-Order] 3128 → 51000 [ACK] Seq=20 Ack=201 Win=65536 Len=1460",
        ),
    )
    assert summary(got.facts)[4] == (51000, PSH | ACK, 1, 1, 100)
    assert summary(got.facts)[7] == (3128, PSH | ACK, 2916, 201, 1200)
    assert summary(got.facts)[9] == (3128, PSH | ACK, 2916, 201, 1200)
    assert got.payloads[4] == got.payloads[7] == got.payloads[9] == b""


def test_connections_side_by_side(tmp_path: Path) -> None:
    """What is acknowledged tells whose lines without ports are."""
    second = [line.replace("51000", "52000") for line in SHAKE]
    text = rows(
        *SHAKE,
        *second,
        "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
        "> HTTP 156 CONNECT bb.example:443 HTTP/1.1 ",
        "< TCP 60 3128 → 52000 [ACK] Seq=1 Ack=103 Win=65536 Len=0",
        "< TCP 60 3128 → 51000 [ACK] Seq=1 Ack=101 Win=65536 Len=0",
        "< HTTP 73 HTTP/1.1 200 OK ",
        "< HTTP 154 HTTP/1.1 403 Forbidden ",
        "> TCP 60 51000 → 3128 [ACK] Seq=101 Ack=101 Win=65536 Len=0",
        "> TCP 60 52000 → 3128 [ACK] Seq=103 Ack=20 Win=65536 Len=0",
    )
    got = pasted(tmp_path, text)
    said = [(fact.ports, data[:19]) for fact, data in zip(got.facts, got.payloads, strict=True)]
    assert [item for item in said if item[1]] == [
        ((51000, 3128), HEAD[:19]),
        ((52000, 3128), b"CONNECT bb.example:"),
        ((3128, 52000), OK),
        ((3128, 51000), b"HTTP/1.1 403 Forbid"),
    ]
    assert not any("could belong" in line for line in got.info.assumed)


def test_lines_that_nothing_tells_apart_are_owned_up_to(tmp_path: Path) -> None:
    second = [line.replace("51000", "52000") for line in SHAKE]
    got = pasted(tmp_path, rows(*SHAKE, *second, "> HTTP 154 CONNECT a.example:443 HTTP/1.1 "))
    assert any(line.startswith("1 lines without ports could belong") for line in got.info.assumed)


def test_a_connection_that_was_refused_carries_nothing(tmp_path: Path) -> None:
    refused = (
        "> TCP 66 50000 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
        "< TCP 54 3128 → 50000 [RST, ACK] Seq=1 Ack=1 Win=0 Len=0",
        "> TCP 66 50001 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
    )
    got = pasted(tmp_path, rows(*refused, *SHAKE, "> HTTP 154 CONNECT a.example:443 HTTP/1.1 "))
    assert got.facts[-1].ports == (51000, 3128)


def test_two_connections_on_the_same_ports(tmp_path: Path) -> None:
    again = [line.replace("51000 → 3128 [SYN]", "[TCP Port numbers reused] 51000 → 3128 [SYN]")
             for line in SHAKE]  # fmt: skip
    got = pasted(tmp_path, rows(*SHAKE, "< HTTP 73 HTTP/1.1 200 OK ", *again))
    first, second = got.facts[0], got.facts[4]
    assert first.seq != second.seq
    assert got.facts[6].ack == (got.facts[5].seq + 1)


@pytest.mark.parametrize(
    ("info", "error"),
    [
        ("ICMP 94 Destination unreachable (Communication administratively filtered)", (3, 13)),
        ("ICMP 94 Destination unreachable (Host unreachable)", (3, 1)),
        ("ICMP 94 Destination unreachable (Port unreachable)", (3, 3)),
        ("ICMP 94 Destination unreachable (Fragmentation needed)", (3, 4)),
        ("ICMP 94 Time-to-live exceeded (Time to live exceeded in transit)", (11, 0)),
    ],
)
def test_icmp_errors(tmp_path: Path, info: str, error: tuple[int, int]) -> None:
    got = pasted(tmp_path, rows(SHAKE[0], f"< {info}"))
    assert got.icmp == [(2, *error, 0, 51000, 0)]


def test_a_head_that_comes_byte_by_byte(tmp_path: Path) -> None:
    """Every segment has its part of what the last one's line tells."""
    mark = "[TCP segment of a reassembled PDU]"
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            f"> TCP 62 51000 → 3128 [PSH, ACK] Seq=1 Ack=1 Win=64256 Len=8 {mark}",
            f"> TCP 63 51000 → 3128 [PSH, ACK] Seq=9 Ack=1 Win=64256 Len=9 {mark}",
            "> HTTP 71 CONNECT a.example:443 HTTP/1.1 ",
        ),
    )
    assert got.payloads[3:] == [b"CONNECT ", b"a.example", b":443 HTTP/1.1\r\n\r\n"]


def test_two_replies_in_one_segment(tmp_path: Path) -> None:
    got = pasted(tmp_path, rows(*SHAKE, "< HTTP 98 HTTP/1.1 100 Continue HTTP/1.1 200 OK "))
    assert got.payloads[3] == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


def test_what_a_line_without_numbers_acknowledges(tmp_path: Path) -> None:
    """No more than its sender says later, and nothing that is sent again."""
    data = "> TCP 1514 51000 → 3128 [ACK] Seq={} Ack=1 Win=64256 Len=1460"
    answer = "< TLSv1.3 154 Application Data"
    lost = pasted(
        tmp_path,
        rows(*SHAKE, data.format(1), data.format(1461), answer,
             data.format(1461).replace("51000 →", "[TCP Retransmission] 51000 →")),
    )  # fmt: skip
    assert lost.facts[5].ack == 1461
    late = pasted(
        tmp_path,
        rows(*SHAKE, data.format(1), answer,
             "< TCP 60 3128 → 51000 [ACK] Seq=101 Ack=1 Win=65535 Len=0"),
    )  # fmt: skip
    assert late.facts[4].ack == 1


def test_what_was_under_way_when_the_client_reset(tmp_path: Path) -> None:
    second = [line.replace("51000", "52000") for line in SHAKE]
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            *second,
            "> TCP 54 51000 → 3128 [RST, ACK] Seq=1 Ack=1 Win=0 Len=0",
            "< HTTP 154 HTTP/1.1 403 Forbidden ",
            "< TCP 60 3128 → 51000 [FIN, ACK] Seq=101 Ack=1 Win=65535 Len=0",
            "> TCP 60 52000 → 3128 [FIN, ACK] Seq=1 Ack=1 Win=64256 Len=0",
        ),
    )
    assert got.facts[7].ports == (3128, 51000)


def test_records_share_what_nobody_knows(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "< TLSv1.3 1064 Server Hello, Change Cipher Spec, Application Data",
            "< TLSv1.3 576 Application Data, Application Data",
            "> TLSv1.2 147 Client Key Exchange, Change Cipher Spec, Encrypted Handshake Message",
            "> TLSv1.2 85 Encrypted Alert",
            "< TLSv1.2 1054 Continuation Data",
        ),
    )
    hello, tickets, keys, alert, unknown = got.payloads[3:]
    assert hello[:3] == b"\x16\x03\x03"
    at = 5 + int.from_bytes(hello[3:5], "big")
    assert hello[at : at + 6] == b"\x14\x03\x03\x00\x01\x01"
    rest = len(hello) - 5 + int.from_bytes(hello[-2:], "big") + 5
    assert (hello[-5:-2], rest) == (b"\x17\x03\x03", 1010)
    assert tickets[:5] == b"\x17\x03\x03\x01\x00"
    assert tickets[261:] == b"\x17\x03\x03\x01\x00"
    assert keys[:3] == b"\x16\x03\x03"
    assert b"\x14\x03\x03\x00\x01\x01\x16\x03\x03" in keys
    assert alert == b"\x15\x03\x03\x00\x1a"
    assert unknown == b""


def test_the_end_of_a_tunnel_alone(tmp_path: Path) -> None:
    """What neither side is sure to have said gives nobody a role."""
    row = "7 0.1 10.0.0.1 → 10.0.0.2 TLSv1.2 154 Application Data\n"
    assert pasted(tmp_path, row).facts == []
    answer = "8 0.2 10.0.0.2 → 10.0.0.1 TLSv1.2 154 Server Hello\n"
    assert [fact.ports for fact in pasted(tmp_path, row + answer + row).facts] == [(0, 1), (1, 0)]


def test_columns_of_ports_tell_whose_a_line_is(tmp_path: Path) -> None:
    line = "{} 0.{} 10.0.0.1 {} 10.0.0.2 3128 HTTP 154 CONNECT a.example:443 HTTP/1.1\n"
    got = pasted(tmp_path, line.format(1, 1, 52000) + line.format(2, 2, 51000))
    assert [fact.ports for fact in got.facts] == [(52000, 3128), (51000, 3128)]
    assert not any("ports:" in text or "could belong" in text for text in got.info.assumed)
    table = (
        '"No.","Time","Source","Src Port","Destination","Destination Port","Protocol","Info"\n'
        '"1","0.1","10.0.0.1","52000","10.0.0.2","3128","TCP","52000 → 3128 [SYN] Seq=0 Len=0"\n'
        '"2","0.2","10.0.0.1","51000","10.0.0.2","3128","HTTP","CONNECT a.example:443 HTTP/1.1"\n'
    )
    assert [fact.ports[0] for fact in pasted(tmp_path, table).facts] == [52000, 51000]


def test_icmp_errors_in_the_middle_of_a_connection_are_nobodys(tmp_path: Path) -> None:
    """A list does not say whose packet they quote."""
    error = "< ICMP 590 Destination unreachable ({})"
    data = "> TCP 1514 51000 → 3128 [ACK] Seq=1 Ack=1 Win=64256 Len=1460"
    got = pasted(tmp_path, rows(*SHAKE, data, error.format("Network unreachable")))
    assert (got.icmp, got.frames) == ([], 5)
    large = pasted(tmp_path, rows(*SHAKE, data, error.format("Fragmentation needed")))
    assert large.icmp[0][4] == 51000
