from __future__ import annotations

import asyncio

from textual import events
from textual.driver import Driver
from textual.message import Message

from tests.rest import GIVE_UP_S, LOOK_S
from tests.tui.terminal_screen import Screen
from tui.link.budget import FIRST_S, LinkBudget
from tui.link.canvas import Canvas
from tui.link.driver import paced


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Plain:
    """As much of a driver as is needed here."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.heard: list[Message] = []

    def write(self, data: str) -> None:
        self.written.append(data)

    def process_message(self, message: Message) -> None:
        self.heard.append(message)

    def text(self) -> str:
        screen = Screen()
        for data in self.written:
            screen.write(data)
        return screen.text()


class Link:
    """A driver on a link of 1000 bytes a second, behind its first seconds."""

    def __init__(self, *, strict: bool) -> None:
        self.clock = Clock()
        self.budget = LinkBudget(1000, self.clock, strict=strict)
        self.canvas = Canvas(self.clock, split=strict)
        kind: type[Driver] = paced(Plain, self.budget, self.canvas)  # type: ignore[arg-type]
        self.driver = kind()  # type: ignore[call-arg]
        assert isinstance(self.driver, Plain)
        self.plain = self.driver
        self.budget.spend(1)
        self.clock.now_s += FIRST_S

    def write(self, data: str) -> None:
        self.driver.write(data)

    def later(self, seconds: float) -> None:
        """Some time has passed, and what waited for it is done."""
        self.clock.now_s += seconds
        self.driver._go_on()  # type: ignore[attr-defined]

    def key(self) -> None:
        self.driver.process_message(events.Key("j", "j"))


LONG = [f"\x1b[{y};1H{y % 10}{'x' * 98}" for y in range(1, 21)]


async def test_what_came_by_itself_is_written_as_the_budget_allows() -> None:
    link = Link(strict=False)
    link.budget.unasked()
    link.write("".join(LONG))
    assert 0 < link.budget.spent < 500
    assert not link.budget.ready()
    for _ in range(20):
        link.later(0.5)
    assert link.plain.text().count("x") == 98 * 20
    assert link.budget.ready()


async def test_what_was_asked_for_is_written_at_once() -> None:
    link = Link(strict=False)
    link.budget.unasked()
    link.write("".join(LONG))
    before = link.budget.spent
    link.key()
    assert isinstance(link.plain.heard[0], events.Key)
    link.write("\x1b[30;1H" + "k" * 3000)
    assert link.plain.text().count("k") == 3000
    assert link.budget.spent < before + 3100  # the rest waits all the same


async def test_on_a_slow_link_all_has_to_wait_but_what_was_asked_for_is_first() -> None:
    link = Link(strict=True)
    link.budget.unasked()
    link.write("".join(LONG))
    assert link.plain.written == []  # for a moment: more may come
    link.later(0.05)
    link.key()
    link.write("\x1b[30;1H" + "k" * 30)
    before = link.budget.spent
    link.later(0.2)
    assert link.plain.text().count("k") == 30
    assert link.budget.spent <= before + 250


async def test_on_a_slow_link_only_the_last_of_several_states_is_sent() -> None:
    link = Link(strict=True)
    for state in ("first", "other", "final"):
        link.write(f"\x1b[1;1H{state}")
    await asyncio.sleep(0)
    link.later(0.1)
    assert link.plain.written == ["\x1b[1;1Hfinal"]


async def test_the_rest_is_written_without_being_asked() -> None:
    link = Link(strict=True)
    link.write("\x1b[1;1Htext")
    async with asyncio.timeout(GIVE_UP_S):
        while not link.plain.written:
            await asyncio.sleep(LOOK_S)
    assert link.plain.text() == "text"


async def test_who_leaves_does_not_wait() -> None:
    link = Link(strict=True)
    link.write("".join(LONG))
    link.write("\x1b[?1049l")
    assert link.plain.written == ["\x1b[?1049l"]
    link.later(10)
    assert link.plain.written == ["\x1b[?1049l"]
