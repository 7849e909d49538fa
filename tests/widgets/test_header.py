from __future__ import annotations

from dataclasses import replace

import pytest

from capture.report.model import Report, Warning
from capture.snapshot import Snapshot
from tests.widgets import build
from tests.widgets.screen import HOSTILE, staged, steers
from widgets.empty import empty_text
from widgets.glyphs import ASCII
from widgets.header import CaptureHeader


def snapshot(report: Report | None = None, **changes: object) -> Snapshot:
    base = Snapshot(1, report or build.report(build.flow(1), build.denied(2)), {}, finished=True)
    return replace(base, **changes)  # type: ignore[arg-type]


def source(**changes: object) -> Report:
    report = build.report(build.flow(1), build.denied(2))
    return replace(report, source=replace(report.source, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "left", "right"),
    [
        (120, "tunnelscope  fmc.pcapng", "2 tunnels  1 ok  1 failing  12.5 k packets  0 lost"),
        (80, "tunnelscope  fmc.pcapng", "2 tunnels  1 ok  1 failing  12.5 k packets  0 lost"),
        (60, "tunnelscope  fmc.pcapng", "2 tunnels  1 ok  1 failing"),
        (40, "fmc.pcapng", "2 tunnels  1 failing"),
        (22, "fmc.pcap…", "1 failing"),
    ],
)
async def test_what_matters_stays(width: int, left: str, right: str) -> None:
    async with staged(CaptureHeader(), width, 1) as stage:
        stage.widget.show(snapshot())
        await stage.settle()
        line = stage.full_lines()[0]
        assert line.split("  ")[0].strip() == left.split("  ")[0]
        assert line.strip().startswith(left)
        assert line.strip().endswith(right)
        assert stage.fits()


async def test_losses_are_an_alarm_that_narrow_screens_keep() -> None:
    async with staged(CaptureHeader(), 44, 1) as stage:
        stage.widget.show(snapshot(source(lost_kernel=10, lost_queue=2)))
        await stage.settle()
        strip = stage.widget.render_line(0)
        lost = next(segment for segment in strip if "lost" in segment.text)
        assert lost.text == "12 lost"
        assert lost.style is not None
        assert lost.style.reverse


async def test_unknown_losses_are_not_called_none() -> None:
    async with staged(CaptureHeader(), 120, 1) as stage:
        stage.widget.show(snapshot(source(lost_kernel=None)))
        await stage.settle()
        assert "lost" not in stage.lines()[0]


async def test_progress_while_reading() -> None:
    async with staged(CaptureHeader(glyphs=ASCII), 120, 1) as stage:
        stage.widget.show(snapshot(bytes_done=50, bytes_total=100, finished=False))
        await stage.settle()
        assert "======------  50%" in stage.lines()[0]
        stage.widget.show(snapshot(bytes_done=12_500_000, finished=False))
        await stage.settle()
        assert "reading 12.5 MB" in stage.lines()[0]
        stage.widget.show(snapshot(bytes_done=300, bytes_total=100, finished=False))
        await stage.settle()
        assert "judging" in stage.lines()[0]  # all is read, and not yet all is there
        assert "%" not in stage.lines()[0]


async def test_warnings_and_errors() -> None:
    async with staged(CaptureHeader(), 120, 1) as stage:
        stage.widget.show(snapshot(source(warnings=(Warning("a", "b"), Warning("c", "d")))))
        await stage.settle()
        assert "! 2 warnings" in stage.lines()[0]
        stage.widget.show(snapshot(error="cannot be read"))
        await stage.settle()
        assert stage.lines()[0].endswith("cannot be read")


async def test_counts_follow_changes() -> None:
    async with staged(CaptureHeader(), 120, 1) as stage:
        flows = [build.flow(n) for n in range(1, 5)]
        for states in ([0, 0, 0], [1, 0, 1], [1, 1, 1, 0], [0, 1], [0, 1, 0, 1]):
            flows = [
                flow if flow.failing == bool(bad) else (build.denied(n) if bad else build.flow(n))
                for n, (bad, flow) in enumerate(zip(states, flows * 4, strict=False), 1)
            ]
            stage.widget.show(snapshot(build.report(*flows)))
            await stage.settle()
            failing = sum(states)
            assert f"{len(states) - failing} ok  {failing} failing" in stage.lines()[0]


async def test_an_unchanged_line_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(CaptureHeader(), 120, 1) as stage:
        stage.widget.show(snapshot())
        await stage.settle()
        drawn: list[object] = []
        monkeypatch.setattr(stage.widget, "refresh", lambda *args, **_: drawn.append(args))
        stage.widget.show(snapshot(rev=2))
        assert drawn == []
        stage.widget.show(snapshot(source(packets=7)))
        assert len(drawn) == 1


@pytest.mark.parametrize("width", [30, 120])
async def test_hostile_file_names(width: int) -> None:
    async with staged(CaptureHeader(), width, 1) as stage:
        for name in HOSTILE:
            stage.widget.show(snapshot(source(path=f"/tmp/{name}")))
            await stage.settle()
            assert stage.fits()
            assert not steers(stage.full_lines())


async def test_titles() -> None:
    async with staged(CaptureHeader(title="demo: acl"), 80, 1) as stage:
        assert "demo: acl" in stage.lines()[0]
        stage.widget.title = ""
        stage.widget.show(snapshot(source(path="-")))
        await stage.settle()
        assert "standard input" in stage.lines()[0]


# Why there is nothing to see


def test_empty_capture_explains_itself() -> None:
    none = build.report()
    odd = replace(
        none,
        source=replace(none.source, packets=412, warnings=(Warning("cut", "cut in packet 7"),)),
        not_understood=(("outer GRE 0x88be", 400), ("ARP", 12)),
        other_flows=3,
    )
    assert empty_text(snapshot(odd)).split("\n") == [
        "412 packets, no tunnel through a proxy",
        "3 TCP flows to no proxy",
        "400 not TCP or not understood: outer GRE 0x88be",
        "12 not TCP or not understood: ARP",
        "cut in packet 7",
    ]
    nothing = replace(none, source=replace(none.source, packets=0))
    assert empty_text(snapshot(nothing)) == "0 packets: the capture is empty"
    assert empty_text(None).startswith("Opening")
    assert empty_text(snapshot(none, error="no such file")) == "no such file"
    assert "no tunnel yet" in empty_text(snapshot(none, finished=False, bytes_done=12_000_000))


def test_many_reasons_are_counted() -> None:
    none = build.report()
    odd = replace(none, not_understood=tuple((f"reason {n}", 1) for n in range(20)))
    assert "and 14 further reasons" in empty_text(snapshot(odd))
