"""A network of namespaces with real programs in it, for as long as the tests here run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.lab import PROXY, Lab, run
from tools.make_demos import nft

NEEDED = ("ip", "nft", "squid", "tinyproxy", "curl", "openssl", "tmux", "tshark", "ss", "sysctl")

_TINYPROXY = """
Port 8888
Listen 10.10.10.1
Timeout 60
MaxClients 20
DisableViaHeader No
FilterURLs No
Filter "{directory}/tinyproxy.filter"
ConnectPort 443
LogFile "{directory}/tinyproxy.log"
"""


def why_not() -> str:
    """Why these tests cannot run here; empty where they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "live tests need root on Linux"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        return f"live tests need {', '.join(missing)}"
    if not Path("/dev/net/tun").exists():
        return "live tests need /dev/net/tun"
    try:
        run("ip", "netns", "add", f"ts{os.getpid()}x")
        run("ip", "netns", "del", f"ts{os.getpid()}x")
    except Exception:
        return "live tests need network namespaces"
    return ""


@pytest.fixture(scope="session")
def whole_lab() -> Iterator[Lab]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Lab() as lab:
        (lab.directory / "tinyproxy.filter").write_text("blocked\n")
        (lab.directory / "tinyproxy.conf").write_text(_TINYPROXY.format(directory=lab.directory))
        # tinyproxy asks the resolver, squid its own file.
        hosts = Path("/etc/netns") / PROXY / "hosts"
        hosts.parent.mkdir(parents=True, exist_ok=True)
        hosts.write_text((lab.directory / "hosts").read_text())
        try:
            lab.start(PROXY, "tinyproxy", "-d", "-c", str(lab.directory / "tinyproxy.conf"))
            for _ in range(100):
                if run("ip", "netns", "exec", PROXY, "ss", "-Hltn", "sport = :8888"):
                    break
                time.sleep(0.05)
            yield lab
        finally:
            hosts.unlink()
            hosts.parent.rmdir()


@pytest.fixture
def lab(whole_lab: Lab) -> Iterator[Lab]:
    """The network, whole and idle before and after."""
    yield whole_lab
    whole_lab.access.fault = whole_lab.internet.fault = None
    nft(whole_lab)
    if whole_lab.squid is not None:
        whole_lab.squid.send_signal(signal.SIGCONT)
    whole_lab.end_clients()
