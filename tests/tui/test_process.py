"""How the process begins and ends: with nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEALTHY = str(ROOT / "tests" / "data" / "captures" / "01a_success_302_tls13.pcap")


def test_numpy_has_no_threads() -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("no /proc here")
    code = (
        "import os, sys; from tui.cli import main; main(sys.argv[1:]);"
        "print(len(os.listdir('/proc/self/task')), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", HEALTHY], capture_output=True, cwd=ROOT, check=True
    )
    assert done.stderr == b"1\n"


def test_nothing_is_walked_at_the_end() -> None:
    code = (
        "import atexit, gc, sys;"
        "atexit.register(lambda: print(len(gc.get_objects()), file=sys.stderr));"
        "from tui.cli import main; main(['-V'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    assert int(done.stderr) < 100
