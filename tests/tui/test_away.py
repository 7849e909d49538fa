from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual import events
from textual.widgets import Input, OptionList, RadioButton

from capture.check import check_file
from capture.demo import find_demo
from capture.options import AnalysisOptions
from capture.report.model import Report
from tests.tui.fakes import loaded_app
from tests.tui.user import SIZES, User, using
from tui.application import TunnelscopeApp
from tui.config import Config
from tui.feeds import FileFeed
from tui.footline import Footline
from tui.screens.copy import CopyScreen
from tui.screens.write_file import Choice, Option, WriteScreen
from tui.sessions import Setup, open_bridge
from tui.writing import AlreadyThere, CannotWrite, write_whole


async def named(user: User, name: str) -> None:
    """Type a name into the dialog and let it write."""
    await user.until(lambda: isinstance(user.app.screen, WriteScreen))
    field = user.app.screen.query_one("#path", Input)
    field.value = name
    await user.press("enter")


def dialog_says(user: User) -> str:
    assert isinstance(user.app.screen, WriteScreen)
    return str(user.app.screen.query_one("#said").render())


# Reports


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.md", "# "),
        ("r.HTML", "<!DOCTYPE html>"),
        ("r.json", "{"),
        ("r.csv", "id,"),
        ("r.mmd", "%% "),
        ("r.txt", "tunnelscope"),
    ],
)
async def test_a_report_of_the_selected_tunnel(tmp_path: Path, name: str, begins: str) -> None:
    async with using(loaded_app()) as user:
        await user.press("e")
        await named(user, str(tmp_path / name))
        await user.until(lambda: "1 tunnel," in user.said())
    text = (tmp_path / name).read_text()
    assert text.startswith(begins)
    assert "10.40.40.1" in text
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("key", "typed", "name"),
    [
        ("e", "r", "r.md"),
        ("e", "r.html", "r.html"),
        ("e", "r.md", "r.md"),
        ("s", "r.pcap", "r.pcap"),
        ("s", "r.pcapng", "r.pcapng"),
        ("s", "v1.2", "v1.2.pcapng"),
    ],
)
async def test_a_name_is_typed_with_its_suffix_or_without(key: str, typed: str, name: str) -> None:
    async with using(loaded_app()) as user:
        await user.press(key)
        await user.until(lambda: isinstance(user.app.screen, WriteScreen))
        field = user.app.screen.query_one("#path", Input)
        await user.until(lambda: field.selection.end)
        await user.press(*("full_stop" if letter == "." else letter for letter in typed))
        assert field.value == name


async def test_html_draws_the_whole_ladder(tmp_path: Path) -> None:
    async with using(loaded_app()) as user:
        await user.press("e")
        await named(user, str(tmp_path / "r.html"))
        await user.until(lambda: "tunnel" in user.said())
    assert "FIN" in (tmp_path / "r.html").read_text().partition("<svg")[2].partition("</svg>")[0]


async def test_a_scope_is_chosen(tmp_path: Path) -> None:
    async with using(loaded_app()) as user:
        await user.press("e")
        await user.until(lambda: isinstance(user.app.screen, WriteScreen))
        buttons = list(user.app.screen.query(RadioButton))
        assert [button.value for button in buttons] == [True, *[False] * (len(buttons) - 1)]
        buttons[-1].value = True
        await named(user, str(tmp_path / "all.json"))
        await user.until(lambda: "tunnel" in user.said())
        flows = json.loads((tmp_path / "all.json").read_text())["flows"]
        assert len(flows) == len(list(user.tunnels().order))
        assert len(flows) > 1


@pytest.mark.parametrize("first", [(), ("ctrl+u",)])
async def test_a_name_typed_ahead_is_the_one_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    async with using(loaded_app()) as user:
        await user.press("e")
        await user.until(lambda: isinstance(user.app.screen, WriteScreen))
        for key in (*first, "x", "1", ".", "t", "x", "t", "enter"):
            character = key if len(key) == 1 else None
            user.app.post_message(events.Key(key, character))  # no waiting in between
        await user.until(lambda: "written x1.txt" in user.said())
    assert [path.name for path in tmp_path.iterdir()] == ["x1.txt"]


async def test_the_scope_under_the_cursor_is_the_one_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with using(loaded_app()) as user:
        await user.press("e", "tab", "down", "enter")
        await user.until(lambda: "2 tunnels" in user.said())
        await user.press("e", "tab", "down", "up", "enter")
        await user.until(lambda: "1 tunnel," in user.said())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["all-tunnels.md", "tunnel-1-acl_denied.md"]


async def test_the_suggested_name_goes_with_what_is_chosen() -> None:
    async with using(loaded_app()) as user:
        for flow in list(user.tunnels().order):
            user.tunnels().mark(flow.uid)
        await user.press("e")
        await user.until(lambda: isinstance(user.app.screen, WriteScreen))
        field = user.app.screen.query_one("#path", Input)
        assert field.value == "2-marked-tunnels.md"
        for button, name in zip(
            list(user.app.screen.query(RadioButton))[1:],
            ("tunnel-1-acl_denied.md", "all-tunnels.md"),
            strict=True,
        ):
            button.value = True
            await user.rest()
            assert field.value == name
        field.value = "mine.html"
        user.app.screen.query(RadioButton).first().value = True
        await user.rest()
        assert field.value == "mine.html"


async def test_nothing_is_overwritten_without_a_second_word(tmp_path: Path) -> None:
    target = tmp_path / "r.md"
    target.write_text("mine")
    async with using(loaded_app()) as user:
        await user.press("e")
        await named(user, str(target))
        await user.until(lambda: "replaces it" in dialog_says(user))
        assert target.read_text() == "mine"
        await user.press("enter")
        await user.until(lambda: "tunnel" in user.said())
    assert target.read_text() != "mine"


async def test_another_name_is_not_replaced_by_the_word_for_the_first(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("mine")
    async with using(loaded_app()) as user:
        await user.press("e")
        await named(user, str(tmp_path / "a.md"))
        await user.until(lambda: "replaces it" in dialog_says(user))
        await named(user, str(tmp_path / "b.md"))
        await user.until(lambda: "replaces it" in dialog_says(user))
    assert (tmp_path / "b.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "said"),
    [("r", "end the name with"), ("no/such/place/r.md", "no such file"), (" ", "a name, please")],
)
async def test_what_cannot_be_written_is_said_in_the_dialog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with using(loaded_app()) as user:
        await user.press("e")
        await named(user, name)
        await user.until(lambda: said in dialog_says(user))
        await user.press("escape")
        await user.until(lambda: not isinstance(user.app.screen, WriteScreen))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", SIZES)
async def test_the_dialog_fits(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        await user.press("e")
        await user.until(lambda: isinstance(user.app.screen, WriteScreen))
        text = user.text()
        for part in ("Export a report", "tunnel-", ".mmd", "Enter writes"):
            assert part in text


async def test_a_long_writing_can_be_given_up() -> None:
    began = Event()

    def endless(choice: Choice, told: object, given_up: Event) -> str:
        began.set()
        assert given_up.wait(20)
        raise CannotWrite("given up")

    async with using(loaded_app()) as user:
        ended: list[str | None] = []
        screen = WriteScreen("Save", path="x.pcap", hint="", writing=endless,
                             options=[Option("o", "an option")])  # fmt: skip
        user.app.push_screen(screen, ended.append)
        await user.press("enter")
        await user.until(began.is_set)
        await user.press("escape")
        await user.until(lambda: ended == [None])


# Captures


@asynccontextmanager
async def demo(name: str, **looks: Any) -> AsyncIterator[User]:
    """The screen on a real capture, a demo or a file, read to its end."""
    feed = FileFeed(name if os.path.isabs(name) else str(find_demo(name).path))
    bridge = open_bridge(feed, Setup(AnalysisOptions(), None, 0.05))
    app = TunnelscopeApp(bridge, title=name, period_s=0.05, looks=Config(**looks))
    try:
        async with using(app) as user:
            await user.until(lambda: user.screen._snapshot and user.screen._snapshot.finished)
            yield user
    finally:
        bridge.stop()


def packets_of(path: Path) -> Report:
    report = check_file(str(path), AnalysisOptions())
    assert isinstance(report, Report)
    return report


@pytest.mark.parametrize("suffix", ["pcapng", "pcap"])
async def test_a_tunnel_is_saved_and_reads_the_same(tmp_path: Path, suffix: str) -> None:
    async with demo("tour") as user:
        flow = user.tunnels().selected
        assert flow is not None
        await user.press("s")
        await named(user, str(tmp_path / f"t.{suffix}"))
        await user.until(lambda: "packets, " in user.said())
    (saved,) = packets_of(tmp_path / f"t.{suffix}").flows
    assert (saved.client, saved.verdict, saved.packets) == (flow.client, flow.verdict, flow.packets)
    assert (b"tunnelscope: " in (tmp_path / f"t.{suffix}").read_bytes()) == (suffix == "pcapng")


async def test_marked_tunnels_are_saved_together(tmp_path: Path) -> None:
    async with demo("tour") as user:
        for flow in list(user.tunnels().order)[1:3]:
            user.tunnels().mark(flow.uid)
        await user.press("s")
        await named(user, str(tmp_path / "two.pcapng"))
        await user.until(lambda: "packets, " in user.said())
    assert len(packets_of(tmp_path / "two.pcapng").flows) == 2


@pytest.mark.parametrize("redact", [True, False])
async def test_credentials_are_covered_unless_told(tmp_path: Path, redact: bool) -> None:
    secret = b64encode(b"demo:not-a-secret")
    async with demo("auth-ok", redact=redact) as user:
        await user.press("s")
        await named(user, str(tmp_path / "a.pcapng"))
        await user.until(lambda: "packets, " in user.said())
    assert (secret in (tmp_path / "a.pcapng").read_bytes()) != redact


async def test_addresses_and_names_are_made_up(tmp_path: Path) -> None:
    async with demo("acl-denied", anonymize=True) as user:
        await user.press("s")
        await named(user, str(tmp_path / "a.pcapng"))
        await user.until(lambda: "packets, " in user.said())
    data = (tmp_path / "a.pcapng").read_bytes()
    assert b"blocked" not in data
    assert b"10.40.40" not in data
    (flow,) = packets_of(tmp_path / "a.pcapng").flows
    assert flow.verdict == "acl_denied"


async def test_a_name_must_tell_the_format(tmp_path: Path) -> None:
    async with demo("acl-denied") as user:
        await user.press("s")
        await named(user, str(tmp_path / "a.cap"))
        await user.until(lambda: "end the name with" in dialog_says(user))
    assert list(tmp_path.iterdir()) == []


# Copying


async def test_every_useful_text_can_be_copied() -> None:
    async with using(loaded_app()) as user:
        await user.press("Y")
        await user.until(lambda: isinstance(user.app.screen, CopyScreen))
        listed = user.app.screen.query_one(OptionList)
        text = user.text()
        for what in ("command", "finding", "display filter", "capture filter", "ladder"):
            assert what in text
        at = [str(option.prompt).split("  ")[0] for option in listed.options]
        listed.highlighted = at.index("display filter")
        await user.press("enter")
        await user.until(lambda: user.app.clipboard.startswith("ip.addr == 10.40.40.1"))
        assert user.said().startswith("copied: ip.addr")


async def test_where_nothing_failed_the_request_can_be_repeated() -> None:
    async with using(loaded_app()) as user:
        await user.press("G", "y")
        await user.until(lambda: "copied" in user.said())
        flow = user.tunnels().selected
        assert flow is not None
        assert not flow.findings
        repeated = f"curl -v -x http://{flow.proxy} -I https://{flow.target}/"
        assert user.app.clipboard == repeated
        await user.press("Y")
        await user.until(lambda: isinstance(user.app.screen, CopyScreen))
        assert repeated[:40] in user.text()


async def test_leaving_the_list_copies_nothing() -> None:
    async with using(loaded_app()) as user:
        await user.press("Y", "j", "k", "escape")
        assert user.app.clipboard == ""


@pytest.mark.parametrize("opens", ["t", "r", "d", "I"])
async def test_a_picture_of_any_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with using(loaded_app()) as user:
        await user.press(opens, "ctrl+s")
        await user.until(lambda: list(tmp_path.glob("*.svg")))
        said = user.app.screen.query_one(Footline).message
        assert said.startswith("screen saved: tunnelscope-")
    (picture,) = tmp_path.iterdir()
    drawn = picture.read_text()
    assert drawn.startswith("<svg")
    assert "@font-face" not in drawn
    assert "url(http" not in drawn


async def test_a_picture_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")
    async with using(loaded_app()) as user:
        await user.press("ctrl+s")
        await user.until(lambda: ".svg: " in user.said())
        assert "saved" not in user.said()


# Writing


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def failing() -> object:
        yield "half"
        raise CannotWrite("no more")

    with pytest.raises(CannotWrite, match="no more"):
        write_whole(str(tmp_path / "r"), failing())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    assert write_whole(str(tmp_path / "r"), ["a", "é"]) == 3
    assert (tmp_path / "r").read_text() == "aé"
    with pytest.raises(AlreadyThere):
        write_whole(str(tmp_path / "r"), ["b"])
    assert write_whole(str(tmp_path / "r"), ["b"], replace=True) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    write_whole(str(tmp_path / "r"), ["x"])
    (tmp_path / "usual").touch()
    assert (tmp_path / "r").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("name", ["", "\0", "none/x"])
def test_impossible_names_are_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotWrite) as caught:
        write_whole(f"{tmp_path}/{name}", ["x"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_what_is_to_be_spared_never_goes_by_whatever_name(tmp_path: Path, link: Any) -> None:
    evidence, other = tmp_path / "evidence.pcap", tmp_path / "other.pcap"
    evidence.write_bytes(b"all of it")
    if link is not None:
        link(other, evidence)
    target = other if link is not None else evidence
    for replace in (False, True):
        with pytest.raises(CannotWrite, match="is the capture that is open"):
            write_whole(str(target), ["x"], replace=replace, spared=("-", str(evidence)))
    assert evidence.read_bytes() == b"all of it"
    write_whole(str(tmp_path / "free.pcap"), ["x"], spared=("-", str(evidence)))


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(CannotWrite, match="is no regular file"):
        write_whole(str(pipe), ["x"], replace=True)
    assert pipe.is_fifo()


@pytest.mark.parametrize("key", ["s", "e", "r"])
async def test_the_open_capture_is_not_written_over(tmp_path: Path, key: str) -> None:
    suffix = {"s": "pcap", "e": "md", "r": "txt"}[key]
    path = tmp_path / f"case.{suffix}"  # whatever it holds is told by its bytes
    path.write_bytes(find_demo("acl-denied").path.read_bytes())
    before = path.read_bytes()
    async with demo(str(path)) as user:
        await user.press(*(("r", "s") if key == "r" else key))
        await named(user, str(path))
        await user.until(lambda: "is the capture that is open" in dialog_says(user))
        await user.press("enter", "escape")
    assert path.read_bytes() == before
