from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from textual.strip import Strip

from capture.report.model import FlowReport, Severity
from tests.widgets import build
from tests.widgets.screen import HOSTILE, Stage, staged, steers
from widgets.glyphs import ASCII, UNICODE
from widgets.issue_panel import IssuePanel
from widgets.issue_text import MAX_EVIDENCE, command_of, compact_lines, panel_lines, step_pieces


def text(flow: FlowReport | None, width: int = 46, **options: object) -> list[str]:
    lines = panel_lines(flow, (), width, UNICODE, **options)  # type: ignore[arg-type]
    return ["".join(part for part, _ in line.segments).rstrip() for line in lines]


def test_a_known_issue() -> None:
    described = {8: "CONNECT tools.cisco.com:443 HTTP/1.1", 11: "403 Forbidden"}
    assert text(build.denied(), explain=described.__getitem__) == [
        "✗ Proxy ACL restriction",
        "  403 Forbidden: access denied",
        "Seen",
        " #8 CONNECT tools.cisco.com:443 was answered",
        " by 403 Forbidden in #11 after 3.1 ms.",
        "  #8  CONNECT tools.cisco.com:443 HTTP/1.1",
        "  #11  403 Forbidden",
        "Cause                                  certain",
        " An access rule on the proxy forbids this",
        " destination.",
        "Next",
        " 1 Ask the proxy's owner to allow",
        "   tools.cisco.com:443 for 10.40.40.1.",
        " 2 curl -x http://10.10.10.1:80 -I",
        "   https://tools.cisco.com",
        "",
        "Codes",
        " 400  401 ▸403  404  407  500  502  503  504",
        " 403 Forbidden: access denied",
    ]


def test_the_known_issue_stands_under_a_title_that_says_more() -> None:
    named = replace(build.ACL, title="10.10.10.1:80 forbids it", issue_name="Proxy ACL restriction")
    assert text(build.denied(findings=(named,)))[:3] == [
        "✗ 10.10.10.1:80 forbids it",
        "  Proxy ACL restriction",
        "  403 Forbidden: access denied",
    ]
    known = replace(named, severity=Severity.INFO)
    assert "  Proxy ACL restriction" not in text(build.denied(findings=(known,)))


def test_other_findings_stand_below_with_what_would_make_them_surer() -> None:
    lines = text(build.denied(findings=(build.ACL, build.SLOW)))
    assert lines.index("✗ Proxy ACL restriction") < lines.index("! Slow handshake")
    assert "Cause                                 possible" in lines
    assert " To be surer: a capture on the proxy" in lines


def test_a_healthy_tunnel_shows_its_latencies_to_the_microsecond() -> None:
    lines = text(build.flow(1))
    assert lines[0] == "✓ No problem found"
    assert any(line.split() == ["Request", "to", "reply", "176.633", "ms"] for line in lines)
    assert any(line.split() == ["TCP", "handshake", "19.717", "ms"] for line in lines)
    assert lines[-2:] == ["Could not be seen", " • certificate: encrypted in TLS 1.3"]
    assert "Codes" not in lines


def test_an_information_is_no_issue() -> None:
    note = replace(build.SLOW, severity=Severity.INFO)
    lines = text(build.flow(1, findings=(note,)))
    assert lines[0] == "✓ No problem found"
    assert "i Slow handshake" in lines


def test_a_code_outside_the_table_lights_none() -> None:
    lines = text(build.denied(status=429, findings=(replace(build.ACL, code=429),)))
    assert "Codes" in lines
    assert not any("▸" in line for line in lines)


def test_the_capture_speaks_when_nothing_is_selected() -> None:
    lines = panel_lines(None, (build.SLOW,), 40, UNICODE)
    assert "".join(part for part, _ in lines[0].segments) == "! Slow handshake"
    assert text(None) == ["No tunnel selected"]
    both = panel_lines(build.flow(1), (build.SLOW,), 40, UNICODE)
    joined = ["".join(part for part, _ in line.segments).strip() for line in both]
    assert joined.index("The capture") < joined.index("! Slow handshake")


def test_much_evidence_is_counted() -> None:
    finding = replace(build.ACL, packets=tuple(range(1, 30)))
    lines = text(build.denied(findings=(finding,)))
    assert f"  and {29 - MAX_EVIDENCE} more packets" in lines


@pytest.mark.parametrize(
    ("step", "command"),
    [
        ("curl -x http://p:80 -I https://t", "curl -x http://p:80 -I https://t"),
        ("Test it: openssl s_client -connect h:443", "openssl s_client -connect h:443"),
        ("Run `ping -M do -s 1472 h` on the client.", "ping -M do -s 1472 h"),
        ("Ask the proxy's owner.", None),
        ("Curl is not a command in this sentence", None),
        ("curling is a sport", None),
    ],
)
def test_commands_are_recognised(step: str, command: str | None) -> None:
    assert command_of(step) == command


def test_a_command_inside_a_sentence_stands_alone() -> None:
    finding = replace(build.ACL, next_steps=("Run `ping -M do h` on the client, then wait",))
    lines = panel_lines(build.denied(findings=(finding,)), (), 60, UNICODE)
    shown = ["".join(part for part, _ in line.segments).rstrip() for line in lines]
    at = shown.index(" 1 Run")
    assert shown[at : at + 3] == [" 1 Run", "   ping -M do h", "   on the client, then wait"]
    assert [line.step for line in lines[at : at + 3]] == ["", "ping -M do h", ""]


def test_each_of_two_commands_can_be_copied() -> None:
    step = "Ask both: `dig h A`, and `dig h AAAA`."
    assert step_pieces(step) == [
        ("Ask both:", False), ("dig h A", True), ("and", False), ("dig h AAAA", True),
    ]  # fmt: skip
    lines = panel_lines(
        build.denied(findings=(replace(build.ACL, next_steps=(step,)),)), (), 60, UNICODE
    )
    assert [line.step for line in lines if line.step] == ["dig h A", "dig h AAAA"]


@pytest.mark.parametrize("width", [12, 20, 30, 46, 80])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_lines_fit_and_are_safe(width: int, glyphs: object) -> None:
    nasty = tuple(
        replace(
            build.ACL, title=name, observation=name, cause=name, next_steps=(name,), raise_by=name
        )
        for name in HOSTILE
    )
    flow = build.denied(findings=nasty, notes=HOSTILE)
    for lines in (
        panel_lines(flow, nasty, width, glyphs, lambda number: HOSTILE[number % 9]),  # type: ignore[arg-type]
        compact_lines(flow, (), width, glyphs),  # type: ignore[arg-type]
    ):
        shown = ["".join(part for part, _ in line.segments) for line in lines]
        assert all(cell_len(line) <= width for line in shown)
        assert not steers(shown)
        if glyphs is ASCII:
            assert all(line.isascii() for line in shown)


def compact(flow: FlowReport | None, width: int = 76) -> list[str]:
    lines = compact_lines(flow, (), width, UNICODE)
    return ["".join(part for part, _ in line.segments).rstrip() for line in lines]


def test_folded_to_two_lines() -> None:
    assert compact(build.denied(findings=(build.ACL, build.SLOW))) == [
        "✗ Proxy ACL restriction · 403 Forbidden: access denied · +1 more",
        "  certain: An access rule on the proxy forbids this destination.",
    ]
    assert compact(build.flow(1)) == [
        "✓ No problem found · TCP handshake 19.7 ms · Request to reply 177 ms",
        "  Could not be seen: certificate: encrypted in TLS 1.3",
    ]
    assert compact(build.denied(), 30)[0] == "✗ Proxy ACL restriction · 403…"
    assert compact(None) == ["  No tunnel selected", ""]


# The widget


def heard(stage: Stage[IssuePanel]) -> list[object]:
    return [getattr(message, "number", getattr(message, "text", None)) for message in stage.heard]


CURL = "curl -x http://10.10.10.1:80 -I https://tools.cisco.com"


async def test_cursor_rests_on_evidence_and_steps() -> None:
    async with staged(IssuePanel(), 48, 30) as stage:
        stage.widget.show(build.denied())
        await stage.press("enter", "j", "enter", "j", "y", "j", "y", "j", "y", "k", "k", "enter")
        ask = "Ask the proxy's owner to allow tools.cisco.com:443 for 10.40.40.1."
        assert heard(stage) == [8, 11, ask, CURL, CURL, 11]
        assert sum(line.startswith("▸") for line in stage.lines()) == 1
        assert stage.fits()


async def test_copies_the_first_command_when_no_step_is_chosen() -> None:
    async with staged(IssuePanel(), 48, 30) as stage:
        stage.widget.show(build.denied())
        await stage.press("y")
        assert heard(stage) == [CURL]
        stage.heard.clear()
        stage.widget.show(build.flow(1))
        await stage.press("y", "enter")
        assert heard(stage) == []


async def test_scrolls_where_no_stop_is_near() -> None:
    long = replace(build.ACL, observation="word " * 400, packets=(), next_steps=("ping h",))
    async with staged(IssuePanel(), 40, 10) as stage:
        stage.widget.show(build.denied(findings=(long,)))
        await stage.settle()
        await stage.press("g", "j", "j", "j")
        assert stage.widget.top_row == 3
        await stage.press("pagedown")
        assert stage.widget.top_row == 13
        await stage.press("G")
        assert any("ping h" in line for line in stage.lines())


async def test_wraps_anew_when_resized_and_keeps_the_stop() -> None:
    async with staged(IssuePanel(), 80, 40) as stage:
        stage.widget.show(build.denied())
        await stage.press("j", "j", "j")
        before = stage.widget.command
        await stage.resize(34, 40)
        await stage.settle()
        assert stage.widget.command == before == CURL
        assert stage.fits()
        assert not any("…" in line for line in stage.lines())


async def test_compact_is_two_lines_and_takes_no_focus() -> None:
    async with staged(IssuePanel(), 60, 2) as stage:
        stage.widget.compact = True
        stage.widget.show(build.denied())
        await stage.settle()
        assert stage.widget not in stage.screen.focus_chain
        assert stage.lines()[0].startswith("✗ Proxy ACL restriction")
        assert stage.widget.command == CURL
        stage.widget.compact = False
        await stage.settle()
        assert stage.widget in stage.screen.focus_chain
        assert stage.lines()[0] == " ✗ Proxy ACL restriction"


async def test_the_same_flow_grown_keeps_the_view() -> None:
    async with staged(IssuePanel(), 48, 8) as stage:
        stage.widget.show(build.denied())
        await stage.press("G")
        top = stage.widget.top_row
        assert top > 0
        stage.widget.show(build.denied(packets=99))
        await stage.settle()
        assert stage.widget.top_row == top
        stage.widget.show(build.denied(5))
        await stage.settle()
        assert stage.widget.top_row == 0


async def test_text_wrapped_for_no_room_is_not_painted() -> None:
    panel = IssuePanel()
    panel.styles.display = "none"
    async with staged(panel) as stage:
        panel.show(build.denied())
        assert panel.row_count()
        painted = []
        plain = IssuePanel.render_line

        def watch(pane: IssuePanel, y: int) -> Strip:
            painted.append(plain(pane, y).text.strip())
            return plain(pane, y)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IssuePanel, "render_line", watch)
            panel.styles.display = "block"
            await stage.settle()
        assert "✗ Proxy ACL restriction" in painted
        assert "Proxy" not in painted
        assert "ACL" not in painted
