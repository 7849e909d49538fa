"""Run ``tunnelscope check`` beside other tools on the same files and print the ratios.

    python -m bench.run [--rounds N] [--only downloads,short,large,start] [--directory DIR]

The tools take turns on a warm cache; a ratio is the median over the rounds of the pairs of
one round, so that a machine that is busy for a while slows both sides. Peak memory is the
kernel's figure for the largest process; of ours, which divides large files among several, also
that of all together. Nothing here imports numpy: a child
inherits its parent's high-water mark until it execs, and that must be small.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.screen import first_screen

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"downloads": 0.9e9, "short": 0.4e9, "large": 8.5e9}
"""Room a file needs, bytes."""


class Run(NamedTuple):
    """One process, start to end."""

    seconds: float
    peak_mb: float


class Failed(Exception):
    """A measured command did not do what it should."""


def measure(command: list[str], accept: tuple[int, ...] = (0,)) -> Run:
    """Run a command with its output thrown away.

    Raises:
        Failed: Its exit code is not among ``accept``.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in accept:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"{command[0]}: exit {process.returncode}: {' '.join(last)}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, usage.ru_maxrss * unit / 1e6)


def together(command: list[str]) -> float | None:
    """Peak memory of a command and its children at one moment, MB: what they share counts
    once (proc(5), "Pss"). None where the system does not tell.

    Looks 20 times a second, so it is a run of its own and not a timed one.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    peak = 0
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(_share, [process.pid, *_children(process.pid)])))
            time.sleep(0.05)
    return peak * 1024 / 1e6


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _share(pid: int) -> int:
    """A process's share of the memory that it maps, KiB; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def own(path: Path) -> list[str]:
    """Our command on a file; findings make it exit with 1."""
    return [sys.executable, "-m", "tui", "check", "--format", "csv", str(path)]


def others(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The other tools that are installed, named, with their commands."""
    for name, command in (
        ("tshark -n -q -z conv,tcp", ["tshark", "-n", "-q", "-z", "conv,tcp", "-r", str(path)]),
        ("tcpdump -nn", ["tcpdump", "-nn", "-r", str(path)]),
        ("tcptrace", ["tcptrace", "-n", str(path)]),
    ):
        if shutil.which(command[0]):
            yield name, command
        else:
            print(f"  {name}: not installed")


def make_file(name: str, directory: Path) -> Path | None:
    """The bench file, generated when it is not there; None where there is no room."""
    # The generator's source is part of the name: other traffic, other file.
    source = b"".join((ROOT / "bench" / f).read_bytes() for f in ("traffic.py", "generate.py"))
    path = directory / f"{name}-{hashlib.sha256(source).hexdigest()[:8]}.pcap"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob(f"{name}-*"):
            old.unlink()
        if shutil.disk_usage(directory).free < SIZES[name] * 1.1:
            print(f"{name}: no room in {directory} for {SIZES[name] / 1e9:.1f} GB")
            return None
        print(f"writing {path} …", flush=True)
        command = [sys.executable, "-m", "bench.generate", name, str(path)]
        subprocess.run(command, check=True, cwd=ROOT)
    return path


def warm(path: Path) -> None:
    """Read a file once, so that nobody pays for the disk."""
    # Not here: a buffer of ours would be the least that any child is seen to take.
    subprocess.run(["cat", str(path)], stdout=subprocess.DEVNULL, check=True)


def compare(name: str, path: Path, rounds: int) -> None:
    """All tools on one file, in turn; print times, ratios and peaks."""
    print(f"\n{name}: {path.stat().st_size / 1e6:,.0f} MB")
    rivals = list(others(path))
    warm(path)
    ours: list[Run] = []
    theirs: dict[str, list[Run]] = {rival: [] for rival, _ in rivals}
    for _ in range(rounds):
        ours.append(measure(own(path), (0, 1)))
        for rival, command in rivals:
            theirs[rival].append(measure(command))
    mine = median(run.seconds for run in ours)
    peak = max(run.peak_mb for run in ours)
    print(f"  {'tunnelscope check --format csv':32}{mine:8.2f} s {peak:8,.0f} MB{_all(path)}")
    for rival, runs in theirs.items():
        ratio = median(a.seconds / b.seconds for a, b in zip(ours, runs, strict=True))
        high = max(run.peak_mb for run in runs)
        print(
            f"  {rival:32}{median(run.seconds for run in runs):8.2f} s {high:8,.0f} MB"
            f"   we take {ratio:.2f} of its time, {peak / high:.2f} of its memory"
        )


def alone(name: str, path: Path) -> None:
    """Only us, once: how cost grows with a file's size."""
    warm(path)
    run = measure(own(path), (0, 1))
    print(f"\n{name}: {path.stat().st_size / 1e6:,.0f} MB")
    print(
        f"  {'tunnelscope check --format csv':32}{run.seconds:8.2f} s {run.peak_mb:8,.0f} MB"
        f"{_all(path)}"
    )


def _all(path: Path) -> str:
    """What all our processes take, in words."""
    peak = together(own(path))
    return "" if peak is None else f" ({peak:,.0f} MB with all its processes)"


def start_up(rounds: int) -> None:
    """How long it takes to begin, against the imports that nobody can avoid."""
    python = sys.executable
    small = str(ROOT / "capture" / "demos" / "ok-tls13.pcap")
    bare = [python, "-c", "import numpy, humanize"]
    check = [python, "-m", "tui", "check", small]
    screen = [python, "-c", "import textual.app, numpy"]
    print("\nstart")
    rows: list[tuple[float, float, float, float]] = []
    for _ in range(rounds):
        rows.append(
            (
                measure(check, (0, 1)).seconds,
                measure(bare).seconds,
                first_screen([python, "-m", "tui", "demo"], ROOT),
                measure(screen).seconds,
            )
        )
    a, b, c, d = (median(column) for column in zip(*rows, strict=True))
    print(f"  check, small file  {a:6.3f} s   {median(r[0] / r[1] for r in rows):.2f} x "
          f"`import numpy, humanize` ({b:.3f} s)")  # fmt: skip
    print(f"  first screen       {c:6.3f} s   {median(r[2] / r[3] for r in rows):.2f} x "
          f"`import textual.app, numpy` ({d:.3f} s)")  # fmt: skip


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tunnelscope-bench"


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="start,downloads,short,large")
    parser.add_argument("--directory", type=Path, default=_cache(), help="where the files are kept")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",")
    try:
        if "start" in wanted:
            start_up(chosen.rounds * 3)
        for name in SIZES:
            if name in wanted and (path := make_file(name, chosen.directory)):
                if name == "large":
                    alone(name, path)
                else:
                    compare(name, path, chosen.rounds)
    except Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
