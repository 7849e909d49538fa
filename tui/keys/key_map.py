"""Every action that a key can be put on, by its id, for the configuration file."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Final

from textual.binding import Binding
from textual.dom import DOMNode

__all__ = ["UnknownKey", "bindable", "check_keys"]

_KEY: Final = re.compile(r"(?:(?:ctrl|alt|shift|super|hyper|meta)\+)*(?:[a-z][a-z0-9_]*|.)", re.I)


class UnknownKey(ValueError):
    """The configuration's keys cannot be used. ``str()`` is one line."""


def bindable(keys: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (id, keys in force, description) of every action, in order of id.

    Args:
        keys: What the user put on keys.
    """
    for name, bindings in sorted(_bindings().items()):
        usual = ",".join(binding.key for binding in bindings)
        yield name, keys.get(name, usual), bindings[0].description


def check_keys(keys: Mapping[str, str]) -> None:
    """Say no to ids that start nothing and to words that are no key.

    Raises:
        UnknownKey: See there.
    """
    known = _bindings()
    for name, listed in keys.items():
        if name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f": did you mean {', '.join(near)}?" if near else ""
            raise UnknownKey(f"keys: nothing is called {name!r}{hint} (--print-config lists all)")
        for key in _split(listed):
            if not _KEY.fullmatch(key):
                raise UnknownKey(f"keys: {name}: {key!r} is no key; write ctrl+f, f7, slash, /")


def _split(listed: str) -> list[str]:
    """Keys with commas between; a comma itself is the key ``comma`` (as textual has it)."""
    return [key.strip() for key in listed.split(",")]


def _bindings() -> dict[str, list[Binding]]:
    """Bindings by id, of every screen and widget of this program."""
    _import_all()
    found: dict[str, list[Binding]] = {}
    # By name: the order of subclasses is that of their imports, which differs.
    for node in sorted(set(_nodes(DOMNode)), key=lambda node: (node.__module__, node.__qualname__)):
        own = vars(node).get("BINDINGS", ())
        for binding in Binding.make_bindings(own):
            if binding.id and binding.description and binding not in found.get(binding.id, ()):
                found.setdefault(binding.id, []).append(binding)
    return found


def _import_all() -> None:
    for package in ("widgets", "tui.screens"):
        module = importlib.import_module(package)
        for part in pkgutil.walk_packages(module.__path__, f"{package}."):
            importlib.import_module(part.name)
    for name in ("tui.application", "tui.lines.find_line"):
        importlib.import_module(name)


def _nodes(base: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for node in base.__subclasses__():
        if node.__module__.partition(".")[0] in ("tui", "widgets"):
            yield node
        yield from _nodes(node)
