"""Draw ``screenshots/``: the demo's main screen, a failing and a healthy tunnel selected.

``python -m tools.screenshots [DIRECTORY]``. SVG by textual, PNG from it by rsvg-convert (skipped
with a word where that is not installed).
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SIZE: Final = (132, 40)
PNG_WIDTH: Final = 1600
WAIT_S: Final = 30.0
SHOTS: Final = {"failing": "mtu_blackhole", "healthy": "ok"}
"""File name, and the verdict of the tunnel that is selected in it."""


async def draw(directory: Path) -> list[Path]:
    """Run the screen without a terminal on the default demo and save what it shows.

    Raises:
        TimeoutError: The capture was not read within ``WAIT_S``.
    """
    os.environ.update(TEXTUAL_ANIMATIONS="none", COLORTERM="truecolor")
    from capture.demo import find_demo
    from capture.engine import Engine
    from capture.options import AnalysisOptions
    from capture.sources import open_source
    from tui.application import TunnelscopeApp
    from tui.engine_bridge import EngineBridge
    from widgets.tunnel_list import TunnelList

    demo = find_demo()
    source = open_source(str(demo.path), spool=True)
    engine = Engine(source, AnalysisOptions(keep_packets=True), period_s=0.05)
    bridge = EngineBridge(lambda: engine)
    app = TunnelscopeApp(bridge, title=demo.path.name, period_s=0.05)
    drawn = []
    try:
        async with app.run_test(size=SIZE) as pilot:
            async with asyncio.timeout(WAIT_S):
                while not ((snapshot := engine.latest()) and snapshot.finished):
                    await pilot.pause(0.05)
            await pilot.pause(0.3)
            tunnels = app.screen.query_one(TunnelList)
            for name, verdict in SHOTS.items():
                flow = next(f for f in snapshot.report.flows if f.verdict == verdict)
                tunnels.select(flow.uid)
                await pilot.pause(0.5)
                path = directory / f"{name}.svg"
                path.write_text(_self_contained(app.export_screenshot(title="tunnelscope")))
                drawn.append(path)
    finally:
        bridge.stop()
        source.close()
    return drawn


def _self_contained(svg: str) -> str:
    """Without the web fonts that textual names: a picture must not fetch anything."""
    svg = re.sub(r"\s*@font-face\s*\{[^}]*\}", "", svg)
    # librsvg drops the blanks at both ends of a text unless it is told to keep them.
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    return svg.replace("Fira Code", "DejaVu Sans Mono")


def main(arguments: list[str]) -> int:
    """Command line."""
    directory = Path(arguments[0]) if arguments else ROOT / "screenshots"
    directory.mkdir(parents=True, exist_ok=True)
    for svg in asyncio.run(draw(directory)):
        png = svg.with_suffix(".png")
        if shutil.which("rsvg-convert"):
            command = ["rsvg-convert", "--width", str(PNG_WIDTH), "--output", str(png), str(svg)]
            subprocess.run(command, check=True)
            print(f"{svg} {png}")
        else:
            print(f"{svg} (no PNG: rsvg-convert is not installed)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
