"""What happens in the network, and what the tool must say of it, as data.

All of it can happen at the same time: every fault is that of one connection, told by the
client's port, and the proxy that is stopped is of no use to the others by then.
"""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.patience import until
from tools.lab import PROXY, Lab, run
from tools.make_demos import nft
from tools.wire import Fault, drop_all, drop_larger

CISCO = "https://tools.cisco.com/"
Client = subprocess.Popen[bytes]


class Network:
    """The lab with another proxy, and with faults that are one connection's.

    Args:
        lab: The lab, up.
        tinyproxy: The other proxy, on port 8888.
    """

    def __init__(self, lab: Lab, tinyproxy: Client) -> None:
        self.lab = lab
        self.tinyproxy = tinyproxy
        self.faults: dict[int, Fault] = {}
        """By the client's port; may be changed at any time."""
        self.octets: Counter[int] = Counter()
        """That came to the wire between client and router, by the client's port."""
        lab.access.fault = self._travel

    def _travel(self, frame: bytes, from_near: bool) -> list[tuple[bytes, bool]] | None:
        at = 34 if from_near else 36
        port = int.from_bytes(frame[at : at + 2], "big") if frame[12:14] == b"\x08\x00" else 0
        self.octets[port] += len(frame)
        fault = self.faults.get(port)
        return fault(frame, from_near) if fault else None

    def heal(self) -> None:
        """Whole and idle again."""
        self.faults.clear()
        nft(self.lab)
        self.tinyproxy.send_signal(signal.SIGCONT)
        self.lab.end_clients()


@dataclass(frozen=True)
class Scenario:
    """One failure, or none."""

    name: str
    verdicts: tuple[str, ...]
    """Right are any of these."""
    happen: Callable[[Network, int], Client]
    """Makes it happen on the client's port."""
    title: str
    """The finding's mark and the beginning of its title; of a healthy tunnel: its status."""
    waits: bool = False
    """Whether the client knows nothing yet when the tool names it."""


def _healthy(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", CISCO)


def _healthy_tinyproxy(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", CISCO, proxy=8888)


def _denied(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", "https://blocked.example.com/")


def _denied_tinyproxy(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", "https://blocked.example.com/", proxy=8888)


def _password(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", CISCO, proxy=3128)


def _refused(network: Network, port: int) -> Client:
    return network.lab.curl(port, "-I", CISCO, proxy=8080)


def _silent(network: Network, port: int) -> Client:
    network.tinyproxy.send_signal(signal.SIGSTOP)
    return network.lab.curl(port, "-I", CISCO, proxy=8888, wait=False)


def _unreachable(network: Network, port: int) -> Client:
    nft(network.lab, f"ip daddr 10.10.10.1 tcp sport {port} drop")
    return network.lab.curl(port, "-I", CISCO, wait=False)


def _reset(network: Network, port: int) -> Client:
    client = network.lab.curl(port, "https://updates.example.com/pause/24000", wait=False)
    until(lambda: network.octets[port] > 24_000, "the client gets its first bytes")
    connection = ("dst", "10.40.40.1", f"dport = {port}")
    run("ip", "netns", "exec", PROXY, "ss", "-K", *connection)
    if run("ip", "netns", "exec", PROXY, "ss", "-Htn", "state", "established", *connection):
        pytest.skip("this kernel cannot close a socket from outside (INET_DIAG_DESTROY)")
    return client


def _path_cut(network: Network, port: int) -> Client:
    url = "https://updates.example.com/bytes/3000000"
    client = network.lab.curl(port, "--limit-rate", "200k", url, wait=False)
    until(lambda: network.octets[port] > 300_000, "the download begins")
    network.faults[port] = drop_all
    return client


def _mtu(network: Network, port: int) -> Client:
    network.faults[port] = drop_larger(1300, from_near=True)
    body = network.lab.directory / f"body{port}"
    body.write_bytes(bytes(6000))
    upload = ("-H", "Expect:", "--data-binary", f"@{body}")
    return network.lab.curl(port, *upload, CISCO, wait=False)


SCENARIOS = (
    Scenario("healthy", ("ok",), _healthy, "200"),
    Scenario("healthy-tinyproxy", ("ok",), _healthy_tinyproxy, "200"),
    Scenario("denied", ("acl_denied",), _denied, "✗ 10.10.10.1:80 forbids"),
    Scenario("denied-tinyproxy", ("acl_denied",), _denied_tinyproxy,
             "✗ 10.10.10.1:8888 forbids"),
    Scenario("password", ("auth_required",), _password, "✗ 10.10.10.1:3128 wants"),
    Scenario("refused", ("proxy_refused",), _refused, "✗ 10.10.10.1:8080 refuses"),
    Scenario("silent", ("connect_no_reply",), _silent, "✗ 10.10.10.1:8888 took the request",
             waits=True),
    Scenario("unreachable", ("proxy_unreachable",), _unreachable, "✗ 10.10.10.1:80 does not answer",
             waits=True),
    Scenario("mtu", ("mtu_blackhole",), _mtu, "✗ Large packets vanish", waits=True),
    Scenario("reset", ("transfer_reset",), _reset, "✗ The tunnel was cut by RST"),
    Scenario("path-cut", ("transfer_stalled",), _path_cut, "✗ The transfer stopped", waits=True),
)  # fmt: skip
