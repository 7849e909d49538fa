from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from capture.facts import CLIENT, PROXY
from capture.report.model import FlowReport, Severity, StepState
from capture.timeline.ladder import LadderLine, LineKind, build_ladder
from capture.timeline.telling import NETWORK
from tests.widgets import build
from tests.widgets.screen import HOSTILE, Stage, staged, steers
from widgets.glyphs import ASCII, UNICODE
from widgets.strip import step_strip
from widgets.timeline import Timeline
from widgets.times import TimeFormat


def show_denied(stage: Stage[Timeline], uid: int = 1) -> FlowReport:
    flow = build.denied(uid)
    view = build.denied_packets()
    stage.widget.show(flow, build_ladder(flow, build.denied_facts(), view, view.of_flow(1)))
    return flow


def strip(flow: FlowReport, width: int, ascii_only: bool = False) -> str:
    return "".join(text for text, _ in step_strip(flow, width, ASCII if ascii_only else UNICODE))


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (200, "SYN ✓ 19.7 ms ━━ CONNECT ✓ ━━ 403 ✗ 3.1 ms ┅┅ TLS · ┅┅ data · ┅┅ FIN ✓"),
        (68, "SYN ✓ 19.7 ms ━ CONNECT ✓ ━ 403 ✗ 3.1 ms ┅ TLS · ┅ data · ┅ FIN ✓"),
        (62, "SYN ✓ ━━ CONNECT ✓ ━━ 403 ✗ 3.1 ms ┅┅ TLS · ┅┅ data · ┅┅ FIN ✓"),
        (58, "SYN ✓ ━ CONNECT ✓ ━ 403 ✗ 3.1 ms ┅ TLS · ┅ data · ┅ FIN ✓"),
        (52, "SYN ✓ ━ CONNECT ✓ ━ 403 ✗ ┅ TLS · ┅ data · ┅ FIN ✓"),
        (40, "SYN✓ CON✓ 403✗ TLS· DAT· FIN✓"),
    ],
)
def test_the_strip_gives_way_in_steps(width: int, text: str) -> None:
    assert strip(build.denied(), width) == text


def test_the_strip_in_ascii() -> None:
    text = strip(build.denied(), 200, ascii_only=True)
    assert text == "SYN + 19.7 ms == CONNECT + == 403 x 3.1 ms .. TLS - .. data - .. FIN +"


def test_a_missing_reply_has_no_code() -> None:
    flow = build.flow(1, status=None, steps=build.steps("response"))
    assert "reply ✗" in strip(flow, 200)
    plain = build.flow(1, kind="plain")
    assert "request ✓" in strip(plain, 200)


def test_short_times_show_only_where_they_tell_something() -> None:
    steps = build.steps(None, {"syn_ack": 0.05, "response": 0.25, "server_hello": 0.5})
    text = strip(build.flow(1, steps=steps), 200)
    assert text.startswith("SYN ✓ ━━ CONNECT ✓ ━━ 200 ✓ 250 µs ━━ TLS ✓ ━━")


def test_waiting_is_not_missing() -> None:
    steps = tuple(
        replace(step, state=StepState.PENDING) if step.name == "response" else step
        for step in build.steps("response")
    )
    assert "200 …" in strip(build.flow(1, steps=steps), 200)


LADDER_80 = [
    " SYN ✓ 19.7 ms ━━ CONNECT ✓ ━━ 403 ✗ 3.1 ms ┅┅ TLS · ┅┅ data · ┅┅ FIN ✓",
    "                      client 10.40.40.1:40001             10.10.10.1:80 proxy",
    "    0.000000          │──── SYN  mss 1460  ws 128 ─────────────────────────▶│",
    "    0.019717 +19.7 ms │◀─── SYN-ACK  mss 1300  ws 64 ───────────────────────│",
    "    0.019784          │──── ACK ───────────────────────────────────────────▶│",
    "    0.019860          │──── CONNECT tools.cisco.com:443 HTTP/1.1 ──────────▶│",
    "▸   0.022960  +3.1 ms │◀─── 403 Forbidden ──────────────────────────────────│ ✗",
    "    0.023100          │◀─── FIN ────────────────────────────────────────────│",
    "    0.023200          │──── FIN ───────────────────────────────────────────▶│",
]


async def test_the_ladder() -> None:
    async with staged(Timeline(), 80, 9) as stage:
        show_denied(stage)
        await stage.settle()
        assert stage.lines() == LADDER_80
        assert stage.fits()


async def test_narrow_ladder_has_signs_instead_of_lanes() -> None:
    async with staged(Timeline(), 40, 9) as stage:
        show_denied(stage)
        await stage.settle()
        assert stage.lines()[1].endswith("…")
        assert stage.lines()[5] == "    0.019860 → CONNECT tools.cisco.com…"
        assert stage.lines()[6] == "▸   0.022960 ← 403 Forbidden ✗"
        assert stage.fits()


KINDS = (
    LadderLine(LineKind.DATA, PROXY, "412 segments, 590 kB", build.START_NS, 1, 9),
    LadderLine(LineKind.SILENCE, NETWORK, "silence 12.3 s", build.START_NS, 9, 10),
    LadderLine(LineKind.MISSING, PROXY, "no reply", failing=True),
    LadderLine(LineKind.NOTE, CLIENT, "zero window", build.START_NS, 12, 12, Severity.WARNING),
    LadderLine(LineKind.MESSAGE, NETWORK, "ICMP port unreachable", build.START_NS + 10**9, 13, 13),
)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
async def test_every_kind_of_line_fits_everywhere(width: int, glyphs: object) -> None:
    async with staged(Timeline(glyphs=glyphs), width, 9) as stage:  # type: ignore[arg-type]
        stage.widget.show(build.flow(1), KINDS)
        for _ in TimeFormat:
            await stage.press("t")
            assert stage.fits()
            if glyphs is ASCII:
                assert all(line.isascii() for line in stage.full_lines())


async def test_kinds_differ_by_shape() -> None:
    async with staged(Timeline(), 80, 9) as stage:
        stage.widget.show(build.flow(1), KINDS)
        await stage.settle()
        data, silence, missing, note, icmp = stage.lines()[2:7]
        assert "◀━━━ 412 segments, 590 kB ━" in data
        assert silence.count("┊") == 2
        assert "0.000" not in silence
        assert "◀╌╌╌ no reply ╌" in missing
        assert missing.endswith("✗")
        assert "╌╌╌╌ zero window ╌" in note
        assert "▶" not in icmp
        assert "◀" not in icmp


@pytest.mark.parametrize("width", [40, 80, 120])
async def test_hostile_text_stays_in_its_cells(width: int) -> None:
    lines = tuple(
        LadderLine(LineKind.MESSAGE, number % 3, text, build.START_NS + number, number, number)
        for number, text in enumerate(HOSTILE, 1)
    )
    async with staged(Timeline(), width, 12) as stage:
        stage.widget.show(build.flow(1, client=HOSTILE[0], proxy=HOSTILE[6]), lines)
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.full_lines())


async def test_enter_names_the_packets() -> None:
    async with staged(Timeline(), 80, 9) as stage:
        show_denied(stage)
        await stage.press("enter", "k", "enter")
        assert [(m.first_number, m.last_number) for m in stage.heard] == [(5, 5), (4, 4)]  # type: ignore[attr-defined]
        stage.heard.clear()
        stage.widget.show(build.flow(9), KINDS)
        await stage.press("g", "enter", "j", "j", "enter")
        assert [(m.first_number, m.last_number) for m in stage.heard] == [(1, 9)]  # type: ignore[attr-defined]


async def test_opens_at_the_failing_line_and_keeps_the_cursor_of_the_same_flow() -> None:
    lines = tuple(
        LadderLine(LineKind.MESSAGE, n % 2, f"line {n}", build.START_NS + n, n, n, failing=n == 90)
        for n in range(1, 121)
    )
    async with staged(Timeline(), 80, 10) as stage:
        stage.widget.show(build.denied(1), lines)
        await stage.settle()
        assert any("line 90" in line and line.endswith("✗") for line in stage.lines())
        await stage.press("G")
        stage.widget.show(build.denied(1, packets=25), (*lines, replace(lines[0], text="more")))
        await stage.settle()
        assert stage.widget.selected_line == lines[-1]
        stage.widget.show(build.flow(2), lines[:50])
        await stage.settle()
        assert stage.widget.selected_line == lines[0]
        assert "line 1 " in stage.full_lines()[2]


async def test_only_changed_lines_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(Timeline(), 80, 10) as stage:
        stage.widget.show(build.flow(1), KINDS)
        await stage.settle()
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        grown = replace(KINDS[0], text="413 segments, 591 kB")
        stage.widget.show(build.flow(1, packets=99), (grown, *KINDS[1:]))
        assert drawn == [0]
        assert "413 segments" in stage.lines()[2]


async def test_nothing_selected() -> None:
    async with staged(Timeline(), 80, 5) as stage:
        await stage.press("enter", "j")
        assert stage.lines()[0].strip() == "No tunnel selected"
        show_denied(stage)
        stage.widget.show(None)
        await stage.settle()
        assert stage.lines()[0].strip() == "No tunnel selected"


async def test_a_strip_is_never_wider_than_its_pane() -> None:
    for width in range(29, 90):
        assert cell_len(strip(build.denied(), width)) <= width


def two_legs() -> tuple[LadderLine, ...]:
    ms = 1_000_000
    return (
        LadderLine(LineKind.MESSAGE, CLIENT, "CONNECT tools.cisco.com:443", ms, 4, 4),
        LadderLine(LineKind.MESSAGE, CLIENT, "SYN to 72.163.4.161:443", 2 * ms, 5, 5, second=True),
        LadderLine(LineKind.MISSING, PROXY, "no answer", second=True, severity=Severity.PROBLEM),
        LadderLine(LineKind.MESSAGE, NETWORK, "ICMP unreachable", 3 * ms, 6, 6, second=True),
        LadderLine(LineKind.MESSAGE, PROXY, "503 Service Unavailable", 4 * ms, 7, 7),
    )


async def test_the_server_has_a_lane_of_its_own_where_there_is_room() -> None:
    async with staged(Timeline(), 110, 12) as stage:
        stage.widget.show(build.flow(1), two_legs())
        await stage.settle()
        head, asked, syn, missing, error, reply = (stage.lines()[row] for row in range(1, 7))
        assert head.rstrip().endswith("server")
        sides = [at for at, cell in enumerate(asked) if cell == UNICODE.lane]
        assert len(sides) == 3
        for line in (syn, missing, error, reply):
            assert all(line[at] == UNICODE.lane for at in sides)
        assert sides[1] < syn.index("SYN to 72.163.4.161:443") < sides[2]
        assert sides[1] < missing.index("no answer") < sides[2]
        assert sides[1] < error.index("ICMP unreachable") < sides[2]
        assert reply.index("503 Service") < sides[1]
        assert stage.fits()


@pytest.mark.parametrize("width", [40, 78])
async def test_without_room_the_server_is_named_in_the_line(width: int) -> None:
    async with staged(Timeline(), width, 12) as stage:
        stage.widget.show(build.flow(1), two_legs())
        await stage.settle()
        lines = stage.lines()[1:7]
        assert "server" not in lines[0]
        assert f"{UNICODE.right} server  SYN to" in lines[2]
        assert f"{UNICODE.left} server  no answer" in lines[3]
        assert "server  ICMP" in lines[4]
        assert "server" not in lines[5]


async def test_lanes_follow_the_tunnel_that_is_shown() -> None:
    async with staged(Timeline(), 110, 12) as stage:
        stage.widget.show(build.flow(1), two_legs())
        await stage.settle()
        show_denied(stage, 2)
        await stage.settle()
        assert stage.lines()[2].count(UNICODE.lane) == 2


async def test_names_stand_at_the_life_lines_where_there_is_room() -> None:
    async with staged(Timeline(), 120, 12) as stage:
        show_denied(stage)
        stage.widget.name_hosts({"10.40.40.1": "client.lab", "10.10.10.1": "proxy.lab"})
        await stage.settle()
        assert "client client.lab:40001" in "\n".join(stage.lines())
        assert "proxy.lab:80 proxy" in "\n".join(stage.lines())
        long = "a-very-long-name." * 5 + "lab"
        stage.widget.name_hosts({"10.40.40.1": long, "10.10.10.1": "proxy.lab"})
        await stage.settle()
        assert "client 10.40.40.1:40001" in "\n".join(stage.lines())
        assert "proxy.lab:80 proxy" in "\n".join(stage.lines())
        stage.widget.name_hosts({"10.10.10.1": long})
        await stage.settle()
        assert "10.10.10.1:80 proxy" in "\n".join(stage.lines())
