"""A terminal that only counts what is written on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from tui.application import TunnelscopeApp
from tui.link.driver import paced


class PaperDriver(HeadlessDriver):
    """Headless, but the application does not know and writes."""

    @property
    def is_headless(self) -> bool:
        return False


async def on_paper(
    app: TunnelscopeApp,
    size: tuple[int, int],
    work: Callable[[Pilot[object]], Awaitable[None]],
) -> None:
    """Run an application; ``app.budget.spent`` counts the bytes it writes."""
    app.driver_class = paced(PaperDriver, app.budget, app.canvas)
    failed: list[BaseException] = []

    async def pilot_work(pilot: Pilot[object]) -> None:
        try:
            await work(pilot)
        except BaseException as error:
            failed.append(error)
        finally:
            app.exit(0)

    await app.run_async(headless=False, size=size, auto_pilot=pilot_work)
    for error in failed:
        raise error
