"""The embedded captures are there, small, described rightly and free of secrets."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from capture.demo import DEFAULT, UnknownDemo, demo_path, find_demo, list_demos
from capture.engine import analyse
from capture.options import AnalysisOptions
from capture.sources import open_source

LIMIT = 60_000
NAMES = [demo.name for demo in list_demos()]


def count_packets(data: bytes) -> int:
    """Records of a little-endian pcap, Enhanced Packet Blocks of a little-endian pcapng."""
    count = 0
    if data[:4] == b"\xd4\xc3\xb2\xa1" or data[:4] == b"\x4d\x3c\xb2\xa1":
        at = 24
        while at < len(data):
            at += 16 + struct.unpack_from("<I", data, at + 8)[0]
            count += 1
    else:
        at = 0
        while at < len(data):
            kind, length = struct.unpack_from("<II", data, at)
            count += kind == 6
            at += length
    assert at == len(data), "the last record is cut"
    return count


@pytest.mark.parametrize("name", NAMES)
def test_is_described_rightly_and_small(name: str) -> None:
    demo = find_demo(name)
    data = demo.path.read_bytes()
    assert len(data) < LIMIT
    assert count_packets(data) == demo.packets > 0
    assert 10 < len(demo.title) <= 75


@pytest.mark.parametrize("name", [name for name in NAMES if name != DEFAULT])
def test_shows_the_verdict_it_promises(name: str) -> None:
    demo = find_demo(name)
    report = analyse(open_source(str(demo.path)), AnalysisOptions())
    assert [flow.verdict for flow in report.flows] == [demo.verdict]
    assert report.source.packets == demo.packets
    assert not report.source.warnings


def test_the_tour_shows_healthy_and_failing_tunnels() -> None:
    report = analyse(open_source(str(demo_path())), AnalysisOptions())
    assert [(flow.target, flow.verdict) for flow in report.flows] == [
        ("tools.cisco.com:443", "ok"),
        ("updates.example.com:443", "transfer_stalled"),
        ("blocked.example.com:443", "acl_denied"),
        ("tools.cisco.com:443", "mtu_blackhole"),
        ("reputation.example.net:443", "tls_untrusted_ca"),
        ("dead.example.com:443", "service_unavailable"),
        (None, "proxy_refused"),
        ("tools.cisco.com:443", "auth_ok"),
        ("silent.example.com:443", "tls_stall"),
        ("modern.example.com:443", "ok"),
    ]
    assert report.source.lost_kernel == 0


def test_names_are_unique_and_no_capture_is_unlisted() -> None:
    assert len(set(NAMES)) == len(NAMES)
    directory = demo_path().parent
    listed = {demo.path for demo in list_demos()} | {directory / "index.toml"}
    assert {path for path in directory.iterdir() if path.is_file()} == listed


def test_every_known_issue_has_a_demo() -> None:
    assert {demo.verdict for demo in list_demos()} == {
        "mixed", "ok", "auth_ok", "plain_http", "acl_denied", "auth_required", "bad_request",
        "not_found", "server_error", "bad_gateway", "service_unavailable", "gateway_timeout",
        "captive_redirect", "proxy_refused", "proxy_unreachable", "connect_no_reply",
        "tunnel_closed_early", "tls_stall", "tls_untrusted_ca", "tls_cert_expired", "tls_version",
        "tls_to_plain_proxy", "transfer_stalled", "transfer_reset", "mtu_blackhole", "mtu_rst",
    }  # fmt: skip


def test_the_only_credentials_are_made_up() -> None:
    known = {b"ZGVtbzpub3QtYS1zZWNyZXQ=", b"ZGVtbzp3cm9uZy1wYXNzd29yZA=="}
    found: set[bytes] = set()
    for demo in list_demos():
        found.update(re.findall(rb"(?i)authorization: basic (\S+)", demo.path.read_bytes()))
    assert found == known


def test_a_name_is_found_in_any_spelling() -> None:
    assert find_demo().name == DEFAULT == list_demos()[0].name
    assert find_demo(" Mtu_RST ").name == "mtu-rst"
    assert find_demo("auth_required").name == "auth-required"
    assert find_demo("transfer_stalled").verdict == "transfer_stalled"
    assert demo_path("mtu-rst").name == "mtu-rst.pcap"


def test_a_verdict_names_its_first_demo() -> None:
    assert find_demo("mixed").name == "tour"
    assert find_demo("ok").name == "ok-tls13"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("acl-deny", "acl-denied"), ("mtu", "mtu-blackhole"), ("gatway-timeout", "gateway-timeout")],
)
def test_an_unknown_name_says_what_is_near(name: str, hint: str) -> None:
    with pytest.raises(UnknownDemo, match=hint) as caught:
        demo_path(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "zzzzzz", "../index.toml", "\x1b[31m"])
def test_nonsense_is_refused_in_one_printable_line(name: str) -> None:
    with pytest.raises(UnknownDemo, match="--list") as caught:
        demo_path(name)
    assert str(caught.value).isprintable()


def test_the_index_lies_beside_the_captures() -> None:
    assert isinstance(demo_path(), Path)
    assert (demo_path().parent / "index.toml").is_file()
