from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from capture.analysis import Analysis
from capture.decode.columns import DnsMessage
from capture.facts import CaptureFacts
from capture.frames import SourceInfo
from capture.judging import Catalogue
from capture.names import by_name, host_name, hosts_of, names_in, with_name
from capture.options import AnalysisOptions
from tests.capture.decode.building import Frame, block_of

PROXY = 10 << 24 | 1
"""10.0.0.1"""


def answer(name: str, *answers: int, response: bool = True) -> DnsMessage:
    return DnsMessage(1, 0, 0, 0, 1, name, 1, response, 0, answers)


@pytest.mark.parametrize("name", ["proxy", "proxy.lab", "a-b_c.x1.example", "_dmarc.lab", "3com.x"])
def test_host_names(name: str) -> None:
    assert host_name(name) == name
    assert host_name(f"{name}.") == name


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "a..b", "-a.lab", "a-.lab", "10.10.10.1", "10.1", "1", "x.0x7f", "::1",
        "good.lab (10.0.0.9)", "a b", "a\nb", "a\x1b[31mb", "a:80", "münchen.de", "x" * 64,
        ".".join(["x" * 60] * 5), "a.\u202eb", "a.lab\n",
    ],
)  # fmt: skip
def test_what_cannot_be_a_host_s_name_is_none(text: str) -> None:
    assert host_name(text) == ""


@given(st.text())
def test_a_name_has_nothing_that_steers_or_pretends(text: str) -> None:
    name = host_name(text)
    assert name in ("", text, text[:-1])
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_names_of_the_capture_s_answers() -> None:
    capture = CaptureFacts(
        dns=(
            answer("asked.lab", response=False),
            answer("evil\x1b.lab", PROXY),
            answer("proxy.lab", PROXY, PROXY + 1),
            answer("other.lab", PROXY),
            answer("six.lab", 1 << 40),
        ),
        names={1 << 40: "fd10::1"},
    )
    assert names_in(capture) == {
        "10.0.0.1": "proxy.lab", "10.0.0.2": "proxy.lab", "fd10::1": "six.lab",
    }  # fmt: skip


def test_endpoints_with_names() -> None:
    names = {"10.0.0.1": "proxy.lab", "fd10::1": "six.lab"}
    assert by_name("10.0.0.1:3128", names) == "proxy.lab:3128"
    assert by_name("[fd10::1]:80", names) == "six.lab:80"
    assert with_name("[fd10::1]:80", names) == "six.lab ([fd10::1]:80)"
    for unnamed in ("10.0.0.2:3128", "named.lab:80"):
        assert by_name(unnamed, names) == with_name(unnamed, names) == unnamed
    assert with_name("10.0.0.1:3128", None) == by_name("10.0.0.1:3128", {}) == "10.0.0.1:3128"


def test_only_addresses_are_asked_about_and_each_once() -> None:
    ends = ["10.0.0.1:1", "named.lab:80", "[fd10::1]:2", "10.0.0.1:3", "", "x"]
    assert list(hosts_of(ends)) == ["10.0.0.1", "fd10::1"]


@pytest.mark.parametrize("wanted", [True, False])
def test_a_report_has_the_capture_s_names_when_they_are_wanted(wanted: bool) -> None:
    told = DNS(qr=1, qd=DNSQR(qname="proxy.lab"), an=DNSRR(rrname="proxy.lab", rdata="10.0.0.1"))
    packet = Ether() / IP(src="10.0.0.53", dst="10.0.0.7") / UDP(sport=53, dport=5353) / told
    options = AnalysisOptions(resolve=wanted)
    analysis = Analysis(SourceInfo("x", "pcap"), options, Catalogue.load())
    analysis.take(block_of([Frame(bytes(packet))]))
    assert analysis.report().names == ({"10.0.0.1": "proxy.lab"} if wanted else {})
