"""What a small capture must not pay for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.capture.sources.building import CAPTURES

RARE = ("lzma", "bz2", "zstandard", "tempfile", "html", "capture.sources.text", "scapy", "textual")


@pytest.mark.parametrize(
    ("name", "format_module"),
    [("06a_proxy_port_closed.pcap", None), ("01m_success_pcapng.pcapng", "capture.sources.pcapng")],
)
def test_rare_modules_are_imported_late(name: str, format_module: str | None) -> None:
    program = (
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "from capture.sources import open_source\n"
        f"list(open_source({str(CAPTURES / name)!r}).blocks())\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    imported = set(done.stdout.decode().split())
    assert not imported.intersection(RARE)
    assert ("capture.sources.pcapng" in imported) == (format_module is not None)
