"""Draw ``screenshots/``: each main screen, on the demo captures.

``python -m tools.screenshots [DIRECTORY]``. SVG by textual, PNG from it by rsvg-convert (skipped
with a word where that is not installed).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WIDE: Final = (120, 36)
SMALL: Final = (80, 24)
PNG_WIDTH: Final = 1200
WAIT_S: Final = 30.0
REST_S: Final = 0.4
"""After each key the screen comes to rest."""


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    verdict: str
    """Of the tunnel that is selected."""
    keys: Sequence[str] = ()
    """Pressed then, one after the other; ``"text:…"`` is typed."""
    size: tuple[int, int] = WIDE
    theme: str = "dark"
    demo: str = ""
    """Name of the demo; empty: the usual one."""


SHOTS: Final = (
    Shot("failing", "mtu_blackhole"),
    Shot("healthy", "ok"),
    Shot("small", "acl_denied", size=SMALL),
    Shot("light", "acl_denied", theme="light"),
    Shot("replay", "transfer_stalled", ("p", "comma", "comma", "(", "(", "(")),
    Shot("filter", "acl_denied", ("f", "text:http.response.code >= 400 and target contains ")),
    Shot("packet", "acl_denied", ("3", "down", "down", "down", "enter")),
    Shot("stream", "acl_denied", ("r",)),
    Shot("tls", "tls_untrusted_ca", ("i",)),
    Shot("plots", "mtu_blackhole", ("v",)),
    Shot("compare", "mtu_blackhole", ("d",)),
    Shot("export", "acl_denied", ("e",)),
    Shot("help", "ok", ("question_mark",)),
)


async def draw(shot: Shot, directory: Path) -> Path:
    """Run the screen without a terminal and save what it shows.

    Raises:
        TimeoutError: The capture was not read within ``WAIT_S``.
    """
    os.environ.update(TEXTUAL_ANIMATIONS="none", COLORTERM="truecolor")
    from capture.demo import find_demo
    from capture.options import AnalysisOptions
    from tui.application import TunnelscopeApp
    from tui.feeds import FileFeed
    from tui.picture import self_contained
    from tui.sessions import Setup, open_bridge
    from widgets.tunnel_list import TunnelList

    demo = find_demo(shot.demo) if shot.demo else find_demo()
    feed = FileFeed(str(demo.path), demo.path.name)
    bridge = open_bridge(feed, Setup(AnalysisOptions(), None, 0.05))
    app = TunnelscopeApp(bridge, title=demo.path.name, period_s=0.05, theme=shot.theme)
    try:
        async with app.run_test(size=shot.size) as pilot:
            tunnels = app.screen.query_one(TunnelList)
            async with asyncio.timeout(WAIT_S):
                while not (snapshot := bridge.last()) or not snapshot.finished:
                    await pilot.pause(0.05)
            await pilot.pause(REST_S)
            flow = next(f for f in snapshot.report.flows if f.verdict == shot.verdict)
            tunnels.select(flow.uid)
            await pilot.pause(REST_S)
            for key in shot.keys:
                await pilot.press(*(key[5:] if key.startswith("text:") else (key,)))
                await pilot.pause(REST_S)
            path = directory / f"{shot.name}.svg"
            path.write_text(self_contained(app.export_screenshot(title="tunnelscope")))
    finally:
        bridge.stop()
    return path


def main(arguments: list[str]) -> int:
    """Command line."""
    directory = Path(arguments[0]) if arguments else ROOT / "screenshots"
    directory.mkdir(parents=True, exist_ok=True)
    wanted = arguments[1:]
    for shot in SHOTS:
        if wanted and shot.name not in wanted:
            continue
        svg = asyncio.run(draw(shot, directory))
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
