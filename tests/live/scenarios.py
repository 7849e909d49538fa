"""What happens in the network, and what the tool must say of it, as data."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tools.lab import PROXY, Lab, run
from tools.make_demos import nft
from tools.wire import drop_all, drop_larger

CISCO = "https://tools.cisco.com/"


@dataclass(frozen=True)
class Scenario:
    """One failure, or none."""

    name: str
    verdicts: tuple[str, ...]
    """Right are any of these."""
    happen: Callable[[Lab, int], None]
    """Makes it happen on the client's port; returns at once or when the client is done."""
    within_s: float
    """The verdict must stand so long after its beginning at the latest."""
    title: str
    """Words of the finding's title; of a healthy tunnel: its status."""


def _healthy(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", CISCO)


def _healthy_tinyproxy(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", CISCO, proxy=8888)


def _denied(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", "https://blocked.example.com/")


def _denied_tinyproxy(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", "https://blocked.example.com/", proxy=8888)


def _password(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", CISCO, proxy=3128)


def _refused(lab: Lab, port: int) -> None:
    lab.curl(port, "-I", CISCO, proxy=8080)


def _unreachable(lab: Lab, port: int) -> None:
    nft(lab, "ip daddr 10.10.10.1 drop")
    lab.curl(port, "--max-time", "9", "-I", CISCO, wait=False)


def _silent(lab: Lab, port: int) -> None:
    assert lab.squid is not None
    lab.squid.send_signal(signal.SIGSTOP)
    lab.curl(port, "--max-time", "26", "-I", CISCO, wait=False)


def _reset(lab: Lab, port: int) -> None:
    lab.curl(port, "https://updates.example.com/pause/24000", wait=False)
    time.sleep(1.5)
    run("ip", "netns", "exec", PROXY, "ss", "-K", "dst", "10.40.40.1", f"dport = {port}")


def _path_cut(lab: Lab, port: int) -> None:
    lab.curl(port, "--max-time", "20", "--limit-rate", "200k",
             "https://updates.example.com/bytes/3000000", wait=False)  # fmt: skip
    time.sleep(2)
    lab.access.fault = drop_all


def _mtu(lab: Lab, port: int) -> None:
    lab.access.fault = drop_larger(1300, from_near=True)
    body = lab.directory / f"body{port}"
    body.write_bytes(bytes(6000))
    lab.curl(port, "--max-time", "12", "-H", "Expect:", "--data-binary", f"@{body}", CISCO,
             wait=False)  # fmt: skip


SCENARIOS = (
    Scenario("healthy", ("ok",), _healthy, 4, "200"),
    Scenario("healthy-tinyproxy", ("ok",), _healthy_tinyproxy, 4, "200"),
    Scenario("denied", ("acl_denied",), _denied, 3, "forbids"),
    Scenario("denied-tinyproxy", ("acl_denied",), _denied_tinyproxy, 3, "forbids"),
    Scenario("password", ("auth_required",), _password, 3, "407"),
    Scenario("refused", ("proxy_refused",), _refused, 3, "refuse"),
    Scenario("unreachable", ("proxy_unreachable",), _unreachable, 7, "does not answer"),
    Scenario("silent", ("connect_no_reply",), _silent, 23, "took the request"),
    Scenario("reset", ("transfer_reset",), _reset, 5, "cut by RST"),
    Scenario("path-cut", ("transfer_stalled",), _path_cut, 16, "stopped"),
    Scenario("mtu", ("mtu_blackhole",), _mtu, 12, "Large packets vanish"),
)
