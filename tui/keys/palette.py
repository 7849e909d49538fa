"""The command palette: every action that a key starts, by its name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from tui.keys.bindings import BoundAction, actions_of, active_actions
from tui.screens.base import PaneScreen

__all__ = ["ActionProvider", "Palette"]

BY_SUBJECT: Final = 0.01
"""Score of what is found by its subject or explanation alone: behind all that is named so."""

_MOVING = "list."
"""Actions with these ids move a cursor: a palette is no place for them."""


class ActionProvider(Provider):
    """Offers the actions of the screen below, of all its panes, and of the app."""

    def _actions(self) -> Iterator[BoundAction]:
        seen = set()
        for action in self._candidates():
            if action.id.startswith(_MOVING) or action.id in seen or not action.id:
                continue
            seen.add(action.id)
            yield action

    def _candidates(self) -> Iterator[BoundAction]:
        ascii_only = self.app.has_class("-ascii")
        yield from active_actions(self.screen, ascii_only=ascii_only)
        if isinstance(self.screen, PaneScreen):
            for _, pane in self.screen.panes():
                yield from actions_of(pane, self.app, ascii_only=ascii_only)

    async def discover(self) -> Hits:
        for action in self._actions():
            yield DiscoveryHit(_label(action), self._runner(action), help=action.tooltip or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._actions():
            label = _label(action)
            score = matcher.match(label)
            about = f"{action.subject} {action.tooltip}"
            if not score and query.strip().casefold() in about.casefold():
                score = BY_SUBJECT
            if score > 0:
                yield Hit(
                    score,
                    matcher.highlight(label),
                    self._runner(action),
                    help=action.tooltip or None,
                )

    def _runner(self, action: BoundAction) -> partial[None]:
        return partial(_run, self.screen, action)


class Palette(CommandPalette):
    """The palette, also where its list has no line yet (typed ahead) or no room for one."""

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)  # without a line, Textual's raises KeyError


def _label(action: BoundAction) -> str:
    return f"{action.description}  ({', '.join(action.keys)})"


def _run(screen: Screen[object], action: BoundAction) -> None:
    """Run an action once the palette is gone."""
    screen.call_later(screen.app.run_action, action.action, action.node)
