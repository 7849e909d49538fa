"""What ``check`` must not import, seen in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "tests" / "data" / "captures" / "02a_squid_acl_deny.pcap"

SCREEN = {"textual", "rich", "scapy"}
"""Never for ``check``."""
WORKERS = {"multiprocessing", "concurrent.futures"}
"""Only for several files."""

LIST = """
import json, sys, io
from contextlib import redirect_stdout, redirect_stderr
argv = json.loads(sys.argv[1])
with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
    from tui.cli import main
    main(argv)
print(json.dumps(sorted(sys.modules)))
"""


def imported(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LIST, json.dumps(argv)],
        check=True, capture_output=True, text=True, timeout=120, cwd=ROOT, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    modules = set(json.loads(done.stdout))
    assert "tui.cli" in modules
    return modules


@pytest.mark.parametrize("format", ["text", "csv", "json", "markdown", "html", "mermaid"])
def test_check_imports_no_screen_and_no_worker(format: str) -> None:
    modules = imported("check", "--format", format, str(CAPTURE))
    assert "capture.check" in modules
    assert not modules & (SCREEN | WORKERS | {"widgets", "tui.app", "csv", "email"})


RARE = {
    "capture.filtering", "capture.decode.dns", "capture.decode.fragments", "capture.decode.icmp",
    "capture.judging.own", "capture.snapshot", "capture.sources.pcapng",
    "capture.sources.text", "capture.keeping.store", "humanize", "importlib.resources", "numpy.ma",
}  # fmt: skip
"""What a small pcap file gives no reason to load."""


def test_a_small_capture_loads_what_it_needs() -> None:
    modules = imported("check", str(CAPTURE))
    assert "capture.sources.pcap" in modules
    assert not modules & RARE


def test_a_healthy_capture_needs_no_catalogue() -> None:
    modules = imported("check", str(CAPTURE.with_name("01a_success_302_tls13.pcap")))
    assert "capture.judging.judge" in modules
    assert "tomllib" not in modules


def test_the_report_without_a_terminal_imports_no_screen() -> None:
    assert not imported(str(CAPTURE)) & SCREEN


@pytest.mark.parametrize("argv", [["-V"], ["-h"], ["-i"], ["demo", "--list"]])
def test_what_reads_nothing_imports_no_numpy(argv: list[str]) -> None:
    assert "numpy" not in imported(*argv)


LISTENING = {"plain_socket", "quiet_scapy", "ring_socket", "sniffer", "source"}
"""Modules of ``capture.live`` that scapy's sniffer and sockets are for."""


def test_capture_alone_imports_no_screen() -> None:
    code = (
        "import pkgutil, importlib, sys, json, capture\n"
        "for found in pkgutil.walk_packages(capture.__path__, 'capture.'):\n"
        f"    if found.name not in {{'capture.live.' + name for name in {LISTENING!r}}}:\n"
        "        importlib.import_module(found.name)\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True, capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert not set(json.loads(done.stdout)) & (SCREEN | {"tui", "widgets"})
