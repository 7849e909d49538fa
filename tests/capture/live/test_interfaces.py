from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from capture.live import interfaces
from capture.live.interfaces import (
    ANY,
    Counters,
    NetworkInterface,
    RateMeter,
    describe,
    interface_lines,
    list_interfaces,
    mark_proxied,
    read_counters,
)
from capture.live.proxied import Connection

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo
    lo:    5000      50    0    0    0     0          0         0     5000      50    0    0 0 0 0 0
  eth0: 9000000    9000    0    7    0     0          0         0  1000000    1000    0    0 0 0 0 0
we:ird:       1       1    0    0    0     0          0         0        2       2    0    0 0 0 0 0
broken: 1 2 x
"""

LO = NetworkInterface("lo", ("127.0.0.1/8", "::1/128"), loopback=True)
ETH0 = NetworkInterface("eth0", ("192.0.2.2/24", "fd00::2/64"), default_route=True)
ETH1 = NetworkInterface("eth1", ("10.0.0.1/8",))


def connection(local: str, port: int, remote: str, remote_port: int, state: int = 1) -> Connection:
    return Connection(local, port, remote, remote_port, state)


def test_counters_count_a_loopbacks_packets_once(tmp_path: Path) -> None:
    path = tmp_path / "dev"
    path.write_text(DEV)
    assert read_counters(path) == {
        "lo": Counters(50, 5000, 0),
        "eth0": Counters(10_000, 10_000_000, 7),
        "we:ird": Counters(3, 3, 0),
    }
    assert read_counters(tmp_path / "missing") == {}


def test_rates_are_differences() -> None:
    meter = RateMeter()
    assert meter.sample({"a": Counters(100, 0, 0), "b": Counters(5, 0, 0)}, 10.0) == {}
    rates = meter.sample(
        {"a": Counters(300, 0, 0), "b": Counters(1, 0, 0), "c": Counters(9, 0, 0)}, 12.0
    )
    assert rates.pop(ANY, 100.0) == 100.0
    assert rates == {"a": 100.0}  # b was made anew, c is new
    assert meter.sample({"a": Counters(300, 0, 0)}, 12.0) == {}


def marked(*connections: Connection) -> dict[str, tuple[str, ...]]:
    found = mark_proxied([LO, ETH0, ETH1], connections)
    return {one.name: one.proxies for one in found if one.proxies}


def test_connections_mark_the_interface_of_their_local_address() -> None:
    assert marked(
        connection("10.0.0.1", 40000, "10.9.9.9", 3128),
        connection("10.0.0.1", 40001, "10.9.9.9", 3128),
        connection("fd00::2", 40000, "fd00::9", 8080),
        connection("10.5.5.5", 40000, "10.9.9.9", 3128),  # nobody has this address
    ) == {"eth1": ("10.9.9.9:3128",), "eth0": ("[fd00::9]:8080",)}


def test_what_a_machine_says_to_itself_goes_through_its_loopback() -> None:
    assert marked(connection("192.0.2.2", 40000, "10.0.0.1", 3128)) == {"lo": ("10.0.0.1:3128",)}


def test_a_proxy_that_listens_everywhere() -> None:
    assert marked(connection("::", 3128, "::", 0, 10)) == {
        "lo": ("[::]:3128",),
        "eth0": ("[::]:3128",),
    }


def test_marks_are_bounded() -> None:
    many = [connection("10.0.0.1", 40000, f"10.9.9.{last}", 3128) for last in range(50)]
    assert len(marked(*many)["eth1"]) == 3


def test_lines_have_columns_and_no_control_characters() -> None:
    down = NetworkInterface("evil\x1b[2J", up=False, running=False)
    no_carrier = NetworkInterface("eth2", ("10.2.0.1/16",), running=False)
    proxied = NetworkInterface("eth1", ("10.0.0.1/8",), proxies=("10.9.9.9:3128", "10.9.9.8:80"))
    rates = {"eth0": 12.4, "lo": 0.0, ANY: 12_400.0}
    lines = interface_lines([ETH0, LO, proxied, no_carrier, down, NetworkInterface(ANY)], rates)
    assert lines == [
        "1.  eth0      up              12/s  192.0.2.2/24, fd00::2/64; default route",
        "2.  lo        up               0/s  127.0.0.1/8, ::1/128; loopback",
        "3.  eth1      up                    10.0.0.1/8; proxies 10.9.9.9:3128, 10.9.9.8:80",
        "4.  eth2      no carrier            10.2.0.1/16",
        "5.  evil·[2J  down                  no address",
        "6.  any                   12.4 k/s  all interfaces at once",
    ]
    assert interface_lines([LO]) == ["1.  lo  up  127.0.0.1/8, ::1/128; loopback"]
    assert interface_lines([]) == []


def test_describe_any() -> None:
    assert describe(NetworkInterface(ANY)) == "all interfaces at once"


def test_this_machine_has_a_loopback() -> None:
    found = {one.name: one for one in list_interfaces()}
    loopback = next(one for one in found.values() if one.loopback)
    assert loopback.mac == ""
    assert (ANY in found) is (sys.platform == "linux")
    if loopback.up and loopback.addresses:
        assert loopback.addresses[0] == "127.0.0.1/8"


class Strange:
    """What netifaces might answer on another system, or in another version."""

    @staticmethod
    def interfaces() -> list[str]:
        return ["en0", "en1"]

    @staticmethod
    def ifaddresses(name: str) -> dict[int, list[dict[str, str]]]:
        if name == "en1":
            raise ValueError("it went")
        return {
            int(socket.AF_INET6): [
                {"addr": "fe80::1%en0", "netmask": "ffff:ffff:ffff:ffff::/64"},
                {"addr": "fd00::1", "netmask": "ffff:ffff::"},
            ],
            int(socket.AF_INET): [{"addr": "10.0.0.1", "netmask": "255.255.240.0"}, {"peer": ""}],
        }

    @staticmethod
    def gateways() -> dict[object, object]:
        return {2: [("10.0.0.254", "en0", True)], "default": {2: ("10.0.0.254", "en0")}}


def test_answers_of_other_systems(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "netifaces", Strange)
    monkeypatch.setattr(interfaces, "_flags", lambda name: None)
    monkeypatch.setattr(interfaces, "_in_order", list)
    monkeypatch.setattr(interfaces, "read_counters", dict)
    monkeypatch.setattr(interfaces, "read_connections", list)
    first, second = list_interfaces()[:2]
    assert first.addresses == ("10.0.0.1/20", "fd00::1/32", "fe80::1/64")
    assert first.default_route
    assert first.up
    assert (second.name, second.addresses, second.state) == ("en1", (), "down")
