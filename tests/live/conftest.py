"""A network of namespaces with real programs in it, for as long as the tests here run."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.scenarios import Network
from tests.rights import NET_ADMIN, NET_RAW, SYS_ADMIN, is_root, lacking, may_become_nobody
from tools.lab import PROXY, Lab

NEEDED = ("ip", "nft", "squid", "tinyproxy", "curl", "openssl", "tmux", "tshark", "ss", "sysctl")
PASSWORDS = Path("/usr/lib/squid/basic_ncsa_auth")
"""squid's helper, where Debian has it."""

_TINYPROXY = """
Port 8888
Listen 10.10.10.1
Timeout 600
MaxClients 20
DisableViaHeader No
FilterURLs No
Filter "{directory}/tinyproxy.filter"
ConnectPort 443
LogFile "{directory}/tinyproxy.log"
"""

_TRY = """
ip link set lo up
ip link add one type veth peer name two
ip tuntap add dev three mode tap
echo 'table ip lab { chain forward { type filter hook forward priority 0; }; }' | nft -f -
sysctl -qw net.ipv4.ip_forward=1
"""
"""What the lab does with a namespace, line by line."""


def why_not() -> str:
    """Why these tests cannot run here; empty where they can."""
    if not sys.platform.startswith("linux") or not is_root():
        return "live tests need root on Linux"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    missing += [] if may_become_nobody() else ["a root that may become others"]
    missing += lacking(NET_ADMIN, NET_RAW, SYS_ADMIN)
    missing += [str(path) for path in (PASSWORDS, Path("/dev/net/tun")) if not path.exists()]
    missing += [] if os.access("/etc", os.W_OK) else ["a writable /etc"]
    if missing:
        return f"live tests need {', '.join(missing)}"
    name = f"{PROXY}x"
    try:
        for command in (f"ip netns add {name}", *_TRY.strip().split("\n")):
            inside = [] if "netns" in command else ["ip", "netns", "exec", name]
            subprocess.run([*inside, "sh", "-c", command], check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        return f"live tests need what `{command}` does: {said}"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
    return ""


@pytest.fixture(scope="session")
def whole_network() -> Iterator[Network]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Lab() as lab:
        (lab.directory / "tinyproxy.filter").write_text("blocked\n")
        (lab.directory / "tinyproxy.conf").write_text(_TINYPROXY.format(directory=lab.directory))
        # tinyproxy asks the resolver, squid its own file.
        hosts = Path("/etc/netns") / PROXY / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(lab.directory / "hosts", hosts)
        try:
            conf = str(lab.directory / "tinyproxy.conf")
            tinyproxy = lab.start(PROXY, "tinyproxy", "-d", "-c", conf)
            lab.await_server(PROXY, 8888)
            yield Network(lab, tinyproxy)
        finally:
            hosts.unlink()
            hosts.parent.rmdir()
            with contextlib.suppress(OSError):  # somebody else's are there
                hosts.parent.parent.rmdir()


@pytest.fixture
def network(whole_network: Network) -> Iterator[Network]:
    """The network, whole and idle before and after."""
    yield whole_network
    whole_network.heal()
