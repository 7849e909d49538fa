"""The start screen: what there is to look at, and how lively the interfaces are."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from capture.demo import list_demos
from capture.protocols.text import printable
from capture.units import count
from tui.feeds import Feed, FeedFailed, FileFeed, LiveFeed
from tui.footline import Footline
from tui.lines.filter_entry import FilterEntry
from tui.recent import recent_captures
from tui.screens.base import PaneScreen
from widgets.choice_list import Choice, ChoiceList, Section
from widgets.glyphs import glyphs

if TYPE_CHECKING:
    from capture.live.interfaces import NetworkInterface
    from capture.live.settings import CaptureSettings
    from tui.engine_bridge import EngineBridge
    from tui.sessions import Opener

__all__ = ["StartScreen"]

RATE_PERIOD_S: Final = 1.0
LIST_PERIOD_S: Final = 5.0
"""How often addresses, states and proxy connections are looked up: they change seldom."""
MOST_RECENT: Final = 8

LIVE: Final = "live"
RECENT: Final = "recent"
DEMO: Final = "demo"


class StartScreen(PaneScreen):
    """Interfaces with their live rates, recent captures, demos: Enter opens one."""

    AUTO_FOCUS = "#choices"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter", "Capture filter", id="start.filter"),
        Binding("r,f5", "look_again", "Look again", show=False, id="start.look-again"),
        Binding("q,escape", "leave", "Quit", id="start.leave"),
    ]

    class Opened(Message):
        """A capture was opened."""

        def __init__(self, bridge: EngineBridge, title: str) -> None:
            super().__init__()
            self.bridge = bridge
            self.title = title

    def __init__(
        self,
        opener: Opener | None,
        settings: CaptureSettings | None,
        *,
        proxies: Sequence[tuple[str, int | None]] = (),
        ascii_only: bool = False,
    ) -> None:
        """Prepare the screen.

        Args:
            opener: Opens what is chosen.
            settings: How captures are made; None: as without any option.
            proxies: Hosts told to be proxies: connections to them are marked.
            ascii_only: Draw with ASCII only.
        """
        super().__init__()
        from capture.live.interfaces import RateMeter
        from capture.live.settings import CaptureSettings

        self._opener = opener
        self._settings = settings or CaptureSettings(())
        self._proxies = tuple(proxies)
        self._choices = ChoiceList(glyphs=glyphs(ascii_only), id="choices")
        self._footline = Footline(ascii_only=ascii_only, id="footline")
        self._meter = RateMeter()
        self._interfaces: list[NetworkInterface] = []
        self._rates: Mapping[str, float] = {}
        self._recent = Section("Recent captures")
        self._advice = ""
        self._opening = False
        self._captures = 0
        """Captures begun here."""
        self._pulses: list[Timer] = []
        self._entry = FilterEntry(id="filter")

    def compose(self) -> ComposeResult:
        yield Static("tunnelscope  why does the tunnel through the proxy fail?", id="title")
        yield self._choices
        with Horizontal(id="capture-filter"):
            yield Static("filter", id="filter-label")
            yield self._entry
        yield self._footline

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Choices", self._choices)]

    def on_mount(self) -> None:
        self._choices.border_title = "What shall we look at?"
        self._choices.empty_text = "Looking …"
        self._pulses = [
            self.set_interval(RATE_PERIOD_S, self._measure),
            self.set_interval(LIST_PERIOD_S, self._look),
        ]

    def on_screen_suspend(self) -> None:
        for timer in self._pulses:
            timer.pause()

    async def on_screen_resume(self) -> None:
        if not self._interfaces:
            # An Input takes a value when its screen is on the stack, no sooner.
            self._entry.value = self._entry.value or self._settings.filter
        for timer in self._pulses:
            timer.resume()
        await self._look()

    # What there is

    async def _look(self) -> None:
        """List the interfaces; a box with many sockets takes a moment."""
        from capture.live.interfaces import list_interfaces

        found = await asyncio.to_thread(list_interfaces, self._proxies)
        self._advice = await asyncio.to_thread(_advice)
        self._recent = await asyncio.to_thread(_recent)
        known = {one.name: one for one in found}
        # Rows stay where they are, whatever becomes likelier meanwhile.
        kept = [known.pop(one.name) for one in self._interfaces if one.name in known]
        self._interfaces = kept + list(known.values())
        self._measure()

    def _measure(self) -> None:
        self._rates = self._meter.sample() or self._rates
        self._show()

    def _show(self) -> None:
        self._choices.show([self._live(), self._recent, _demos()])

    def _live(self) -> Section:
        from capture.live.interfaces import ANY

        choices = []
        for one in self._interfaces:
            rate = self._rates.get(one.name)
            state = "" if one.name == ANY else one.state
            part = "strong" if one.proxies else "dim" if state == "down" else ""
            speed = "" if rate is None else f"{count(round(rate))}/s"
            choices.append(
                Choice(
                    (LIVE, one.name),
                    (
                        (printable(one.name), part),
                        (state, "" if state == "up" else "dim"),
                        (speed, "accent" if rate and rate >= 0.5 else "dim"),
                        (printable(_described(one), 500), part),
                    ),
                )
            )
        remark = self._advice or ("" if choices else "looking …")
        return Section(
            "Watch live", tuple(choices), remark, bool(self._advice), right=frozenset({2})
        )

    # Choosing

    async def on_choice_list_chosen(self, message: ChoiceList.Chosen) -> None:
        message.stop()
        feed = self._feed(message.key)
        if feed is None or self._opener is None or self._opening:
            return
        self._opening = True
        self._footline.tell(f"opening {printable(feed.title)} …", stay=True)
        self.run_worker(self._open(self._opener, feed), exclusive=True)

    async def _open(self, opener: Opener, feed: Feed) -> None:
        try:
            bridge = await asyncio.to_thread(opener, feed)
        except FeedFailed as error:
            self._footline.tell(str(error), error=True, stay=True)
        else:
            self._captures += isinstance(feed, LiveFeed)
            self._footline.clear()
            self.post_message(self.Opened(bridge, feed.title))
        finally:
            self._opening = False

    def _feed(self, key: Hashable) -> Feed | None:
        if not isinstance(key, tuple):
            return None
        kind, name = key
        if kind == LIVE:
            return LiveFeed(
                replace(
                    self._settings,
                    interfaces=(name,),
                    filter=self._entry.value.strip(),
                    write=_another(self._settings.write, self._captures),
                )
            )
        if kind == RECENT:
            return FileFeed(name)
        demo = next((demo for demo in list_demos() if demo.name == name), None)
        return None if demo is None else FileFeed(str(demo.path), f"demo: {demo.name}")

    def on_filter_entry_closed(self, message: FilterEntry.Closed) -> None:
        message.stop()
        self.set_focus(self._choices)

    def action_filter(self) -> None:
        self.set_focus(self._entry)

    async def action_look_again(self) -> None:
        await self._look()

    def action_leave(self) -> None:
        self.app.exit(return_code=0)


def _recent() -> Section:
    """The captures opened last; a file on a slow share may take its time to tell its age."""
    from humanize import naturalsize, naturaltime

    choices = []
    for one in recent_captures(MOST_RECENT):
        directory, name = os.path.split(one.path)
        age = naturaltime(max(0.0, time.time() - one.modified_s))
        choices.append(
            Choice(
                (RECENT, one.path),
                (
                    (printable(name), ""),
                    (naturalsize(one.size), "dim"),
                    (age, "dim"),
                    (printable(_short(directory), 500), "dim"),
                ),
            )
        )
    remark = "" if choices else "none yet: tunnelscope FILE"
    return Section("Recent captures", tuple(choices), remark, right=frozenset({1}))


def _another(path: str | None, before: int) -> str | None:
    """A name for the next capture's file: the first one must not be written over."""
    if path is None or not before:
        return path
    root, extension = os.path.splitext(path)
    return f"{root}-{before + 1}{extension}"


def _demos() -> Section:
    choices = tuple(
        Choice((DEMO, demo.name), ((demo.name, ""), (demo.title, "dim"))) for demo in list_demos()
    )
    return Section("Demos", choices, "a healthy tunnel and each known issue")


def _described(one: NetworkInterface) -> str:
    """What is special about an interface; the proxies first, since they are looked for."""
    from capture.live.interfaces import describe

    rest = describe(replace(one, proxies=()))
    return f"proxy {', '.join(one.proxies)}; {rest}" if one.proxies else rest


def _short(directory: str) -> str:
    """A directory with the home as ``~``."""
    home = os.path.expanduser("~")
    if home != "/" and (directory == home or directory.startswith(home + "/")):
        return "~" + directory[len(home) :]
    return directory


def _advice() -> str:
    """What gives the right to capture; empty where we have it."""
    try:
        from capture.live.privileges import advice, can_capture
    except ImportError:
        return ""
    return "" if can_capture() else printable(advice(), 300)
