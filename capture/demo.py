"""The captures that come with the package: a healthy tunnel and each known issue.

``demos/index.toml`` describes them. ``tools/make_demos.py`` in the repository made them, with
real proxies and clients.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

_DIRECTORY = Path(__file__).resolve().parent / "demos"

DEFAULT = "tour"
"""The demo that is shown when none is named."""


class Demo(NamedTuple):
    """One embedded capture."""

    name: str
    title: str
    """One line: what happened there."""
    verdict: str
    """The verdict of its tunnel, as the report words it; of the tour: ``mixed``."""
    packets: int
    path: Path


class UnknownDemo(LookupError):
    """There is no demo of that name. ``str()`` is one line that names near matches."""


@cache
def list_demos() -> tuple[Demo, ...]:
    """All demos, the default first, then the healthy ones, then the issues."""
    with (_DIRECTORY / "index.toml").open("rb") as handle:
        entries = tomllib.load(handle)["demo"]
    return tuple(
        Demo(
            name=entry["name"],
            title=entry["title"],
            verdict=entry["verdict"],
            packets=entry["packets"],
            path=_DIRECTORY / entry.get("file", entry["name"] + ".pcap"),
        )
        for entry in entries
    )


def find_demo(name: str = DEFAULT) -> Demo:
    """The demo called ``name``; ``_``, spaces and case do not matter.

    A verdict names the first demo that shows it, so ``acl_denied`` and ``mtu rst`` work too.

    Raises:
        UnknownDemo: No demo has that name.
    """
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    for demo in list_demos():
        if demo.name == wanted:
            return demo
    for demo in list_demos():
        if demo.verdict.replace("_", "-") == wanted:
            return demo
    raise UnknownDemo(_no_such_demo(name, wanted))


def demo_path(name: str = DEFAULT) -> Path:
    """Where the capture of the demo called ``name`` lies (see ``find_demo``).

    Raises:
        UnknownDemo: No demo has that name.
    """
    return find_demo(name).path


def _no_such_demo(name: str, wanted: str) -> str:
    from difflib import get_close_matches

    names = [demo.name for demo in list_demos()]
    near = [known for known in names if wanted and wanted in known]
    near += [known for known in get_close_matches(wanted, names, 3, 0.5) if known not in near]
    hint = f"near: {', '.join(near[:5])}" if near else "`tunnelscope demo --list` shows all"
    return f"no demo {name!r}; {hint}"
