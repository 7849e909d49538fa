"""Reads key bindings back: for the hint line, the help screen and the command palette.

Nothing here lists a key. Whatever a user remaps is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

__all__ = [
    "AWAY",
    "CLOSER",
    "FIND",
    "LIVE",
    "PANES",
    "REPLAY",
    "SUBJECTS",
    "BoundAction",
    "actions_of",
    "active_actions",
    "key_for",
    "key_names",
    "lost_keys",
]

FIND: Final = Binding.Group("Find")
CLOSER: Final = Binding.Group("Look closer")
AWAY: Final = Binding.Group("Take it away")
REPLAY: Final = Binding.Group("Replay")
LIVE: Final = Binding.Group("Live")
PANES: Final = Binding.Group("Panes")
SUBJECTS: Final = (FIND, CLOSER, AWAY, REPLAY, LIVE, PANES)
"""What a binding of a screen may be about, in the order of the help."""

_NAMES: Final = {
    "enter": "⏎",
    "escape": "Esc",
    "tab": "Tab",
    "shift+tab": "⇧Tab",
    "space": "Space",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "shift+left": "⇧←",
    "shift+right": "⇧→",
    "ctrl+left": "^←",
    "ctrl+right": "^→",
    "ctrl+home": "^Home",
    "ctrl+end": "^End",
    "backspace": "⌫",
}
_ASCII_NAMES: Final = {
    "enter": "Enter",
    "shift+tab": "S-Tab",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "shift+left": "S-Left",
    "shift+right": "S-Right",
    "ctrl+left": "^Left",
    "ctrl+right": "^Right",
    "backspace": "BkSp",
}


@dataclass(frozen=True, slots=True)
class BoundAction:
    """One action with the keys that start it now."""

    id: str
    keys: tuple[str, ...]
    """As shown to people: ``Esc``, ``^P``, ``?``."""
    action: str
    description: str
    tooltip: str
    node: DOMNode
    """Namespace that the action runs in."""
    show: bool
    """Whether it wants a place in the hint line."""
    subject: str = ""
    """One of ``SUBJECTS``, or empty."""


def key_names(app: App[Any], binding: Binding, *, ascii_only: bool = False) -> str:
    """A binding's key as people read it."""
    if not binding.key_display:
        if ascii_only and binding.key in _ASCII_NAMES:
            return _ASCII_NAMES[binding.key]
        if binding.key in _NAMES:
            return _NAMES[binding.key]
        if binding.key[:1] == "f" and binding.key[1:].isdigit():
            return binding.key.upper()
    return app.get_key_display(binding)


def actions_of(node: DOMNode, app: App[Any], *, ascii_only: bool = False) -> list[BoundAction]:
    """Every described action bound on one node, its keys gathered, in order of definition."""
    bindings = node._bindings.copy()
    bindings.apply_keymap(app._keymap)
    return _gather(((node, binding) for _, binding in bindings), app, ascii_only)


def active_actions(screen: Screen[Any], *, ascii_only: bool = False) -> list[BoundAction]:
    """What can be done on a screen right now, the focused widget's actions first."""
    pairs = (
        (active.node, active.binding)
        for active in screen.active_bindings.values()
        if active.enabled
    )
    return _gather(pairs, screen.app, ascii_only)


def key_for(id: str, node: DOMNode, app: App[Any]) -> str:
    """The first key that an action of a node has now, as people read it; else nothing."""
    actions = actions_of(node, app, ascii_only=app.has_class("-ascii"))
    return next((action.keys[0] for action in actions if action.id == id), "")


def lost_keys(app: App[Any], *nodes: DOMNode) -> list[str]:
    """Ids of actions whose every key the user's key map gave to another one of their node."""
    lost = set()
    for node in nodes:
        mapped = node._bindings.copy()
        mapped.apply_keymap(app._keymap)
        kept = {binding.id for _, binding in mapped}
        lost |= {binding.id for _, binding in node._bindings if binding.id} - kept
    return sorted(filter(None, lost))


def _gather(
    pairs: Iterator[tuple[DOMNode, Binding]], app: App[Any], ascii_only: bool
) -> list[BoundAction]:
    found: dict[tuple[int, str], BoundAction] = {}
    for node, binding in pairs:
        if not binding.description:
            continue
        key = key_names(app, binding, ascii_only=ascii_only)
        place = (id(node), binding.action)
        known = found.get(place)
        found[place] = BoundAction(
            id=binding.id or "",
            keys=(*known.keys, key) if known else (key,),
            action=binding.action,
            description=binding.description,
            tooltip=binding.tooltip,
            node=node,
            show=binding.show,
            subject=binding.group.description if binding.group is not None else "",
        )
    return _as_defined(list(found.values()))


def _as_defined(actions: list[BoundAction]) -> list[BoundAction]:
    """In order of definition, node by node: a key map puts what it changes behind the rest."""
    places: dict[tuple[int, str], int] = {}
    for node in dict.fromkeys(action.node for action in actions):
        for _, binding in node._bindings:
            places.setdefault((id(node), binding.action), len(places))
    return sorted(actions, key=lambda found: places.get((id(found.node), found.action), 0))
