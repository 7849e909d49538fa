"""When an application has come to rest: every message obeyed, everything drawn.

A test that waits by the clock waits too long on a fast machine and not long enough on a slow one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from textual.app import App
from textual.message_pump import MessagePump

GIVE_UP_S = 60.0
"""A guard against hanging, not a measure."""
LOOK_S = 0.005
SOON_S = 0.2
"""What is put off by less than this is waited for: it is a part of what was asked."""


async def at_rest(app: App[Any], also: Callable[[], str] = lambda: "") -> None:
    """Wait until an application has nothing to do.

    Args:
        app: One that runs; if it is about to end, there is nothing to wait for.
        also: Says what else is going on; empty: nothing.
    """
    give_up = time.monotonic() + GIVE_UP_S
    quiet = 0
    while quiet < 2:
        await asyncio.sleep(LOOK_S)
        doing = going_on(app) or also()
        quiet = 0 if doing else quiet + 1
        assert not doing or time.monotonic() < give_up, doing


def going_on(app: App[Any]) -> str:
    """What an application is busy with; empty when it rests, or ends."""
    if app._exit or app._exception is not None:
        return ""
    if not app.is_running or not app.screen_stack:
        return "it starts"
    for pump in _pumps(app):
        if not _waits(pump):
            return f"{pump!r} has messages"
        for timer in pump._timers:
            pending = timer._task is not None and not timer._task.done()
            if pending and timer._repeat == 0 and timer._interval <= SOON_S:
                return f"{timer!r} of {pump!r} is due"
    screen = app.screen
    if (
        app._batch_count
        or screen._callbacks
        or screen._dirty_widgets
        or any(
            (
                screen._layout_required,
                screen._scroll_required,
                screen._repaint_required,
                screen._recompose_required,
            )
        )
    ):
        return f"{screen!r} is to be drawn"
    animator = app.animator
    if animator._animations or animator._scheduled:
        return "something moves"
    for worker in app.workers:
        # Who works in a thread may wait for the test.
        if not worker.is_finished and not worker._thread_worker:
            return f"{worker!r} works"
    return ""


def _pumps(app: App[Any]) -> Iterator[MessagePump]:
    yield app
    for screen in app.screen_stack:
        yield from screen.walk_children(with_self=True)


def _waits(pump: MessagePump) -> bool:
    """Whether a pump waits for its next message, and so has done all it had to."""
    queue: Any = pump._message_queue
    return bool(pump._closed or (pump.is_running and queue.empty() and queue.ready_event._waiters))
