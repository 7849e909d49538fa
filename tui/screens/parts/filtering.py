"""The display filter, for tunnels and packets alike; columns and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType
from textual.content import Content

from capture.units import count, plural, time_of_day
from tui.keys.bindings import FIND, PANES, active_actions
from tui.screens.parts.base import MainPart
from widgets.cells import cut
from widgets.empty import empty_text

if TYPE_CHECKING:
    from capture.filtering import DisplayFilter, Material, Selection
    from capture.snapshot import Snapshot
    from tui.config import Config
    from tui.lines.filter_line import FilterBar
    from widgets.tunnel_list import TunnelList

SHOWN: Final = 40
"""Characters of the filter in a title."""


class FilterPart(MainPart):
    """The display filter, for tunnels and packets alike; columns and marks."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, and so before any pane: the line has the focus before the next key.
        Binding("f,f7", "filter", "Filter", priority=True, id="main.filter", group=FIND,
                tooltip="Show only tunnels and packets that match an expression"),
        Binding("F", "clear_filter", "Clear the filter", show=False, id="main.clear-filter",
                group=FIND),
        Binding("o", "problems_only", "Problems only", show=False, id="main.problems-only",
                group=FIND, tooltip="Show only tunnels with a problem"),
        Binding("C", "columns", "Columns…", show=False, id="main.columns", group=PANES,
                tooltip="Choose the columns of the tunnels, and what they are sorted by"),
    ]  # fmt: skip

    _filter: DisplayFilter | None = None
    _filter_bar: FilterBar | None = None
    _material: Material | None = None
    """What was asked last; the next question costs only what has changed."""
    _selection: Selection | None = None
    _titles = ("", "")
    _packet_note = ""

    def started(self) -> None:
        super().started()
        self._follow_configuration()
        text = getattr(self.app, "display_filter", "")
        if text:
            self.apply_filter(text)

    def _follow_configuration(self) -> None:
        """Columns and order, as the user's file has them."""
        looks: Config | None = getattr(self.app, "looks", None)
        if looks is None:
            return
        key = looks.sort.removeprefix("-")
        try:
            self._tunnels.choose_columns(looks.columns)
            if key:
                self._tunnels.sort_by(key, reverse=key != looks.sort)
        except ValueError as error:
            self.tell(f"configuration: {error}")

    # Asking

    def taking(self, snapshot: Snapshot) -> None:
        super().taking(snapshot)
        if self._filter is not None:
            self._select(self._filter, snapshot)
        else:
            self._material = self._selection = None
            self._tunnels.allow(None)

    def took(self, snapshot: Snapshot) -> None:
        super().took(snapshot)
        self._title_tunnels()

    def _asked(self, snapshot: Snapshot) -> Material:
        from capture.filtering import Material

        return Material(
            tuple(snapshot.report.flows),
            snapshot.facts,
            snapshot.packets,
            first_ns=snapshot.report.source.first_ns,
            ends=snapshot.ends,
            before=self._material,
        )

    def _select(self, asked: DisplayFilter, snapshot: Snapshot) -> None:
        """Ask the filter about a snapshot, and let the tunnels through that match."""
        material = self._asked(snapshot)
        self._selection = asked.select(material)
        self._material = material
        self._tunnels.allow(frozenset(material.uids[self._selection.tunnels].tolist()))
        if not self._selection.tunnels.any() and len(material.flows):
            self._tunnels.empty_text = (
                f"No tunnel of {count(len(material.flows))} matches the filter\n{asked.text}"
            )

    def narrowed(self, rows: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        selection = self._selection
        if selection is None:
            return super().narrowed(rows)
        if rows is None:
            return np.flatnonzero(selection.packets)
        found = rows[selection.packets[rows]]
        # A tunnel that matches by what is none of its packets (an ICMP error) is shown whole.
        return found if len(found) else rows

    def filled(self) -> None:
        super().filled()
        note = ""
        if self._selection is not None and self._snapshot is not None:  # how many are shown
            packets, flow = self._snapshot.packets, self._shown
            every = self._every_packet or flow is None
            total = len(packets) if every or flow is None else len(packets.of_flow(flow.uid))
            note = f"{count(self._packets.row_count())} of {count(total)}"
        if note != self._packet_note:
            self._packet_note = note
            self._packets.border_subtitle = note

    # Applying

    def apply_filter(self, text: str) -> None:
        """Show only what matches.

        Args:
            text: A filter that compiles; empty: everything.
        """
        from capture.filtering import compile_filter

        self._filter = compile_filter(text) if text.strip() else None
        self._material = self._selection = None
        with self.app.batch_update():
            self._show_again()
        self.refresh_bindings()

    def _show_again(self) -> None:
        """Show what is on the screen through the filter that is in force now."""
        snapshot = self._snapshot
        if snapshot is not None:
            self._tunnels.empty_text = empty_text(snapshot)
            self.taking(snapshot)
            self._finder.tunnels_changed()
            self.fill()
        self._title_tunnels()

    @property
    def filter_text(self) -> str:
        """The filter in force; empty: none."""
        return "" if self._filter is None else self._filter.text

    async def action_filter(self) -> None:
        from tui.lines.filter_line import FilterBar

        if self._filter_bar is None:
            self._filter_bar = FilterBar(
                self._values,
                lambda: self._tunnels.selected,
                glyphs=self._glyphs,
                id="filter-bar",
            )
            await self.mount(self._filter_bar)
        self._filter_bar.open(self.filter_text)

    def _values(self) -> Material | None:
        if self._snapshot is None:
            return None
        return self._material or self._asked(self._snapshot)

    def on_filter_bar_closed(self, message: FilterBar.Closed) -> None:
        message.stop()
        if message.text is not None and message.text != self.filter_text:
            self.apply_filter(message.text)
            if message.text:
                self._tell_way_back()

    def _tell_way_back(self) -> None:
        found = self._tunnels.row_count()
        keys = [
            action.keys[0]
            for action in active_actions(self, ascii_only=self.app.has_class("-ascii"))
            if action.id == "main.clear-filter"
        ]
        back = f"; {keys[0]} shows all again" if keys else ""
        snapshot = self._snapshot
        clock = snapshot.clock if snapshot is not None else None
        by = ""
        if clock and clock.timed and not clock.at_end:
            by = f" by {time_of_day(clock.now_ns)[:8]}"
        elif snapshot is not None and not snapshot.finished:
            by = " so far"
        self.tell(f"{plural(found, 'tunnel') if found else 'no tunnel'} found{by}{back}")

    def action_clear_filter(self) -> None:
        if self._filter is None:
            self.tell("there is no filter to clear")
        else:
            self.apply_filter("")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # In a line that is being typed it is a letter.
        if action == "filter" and self._typing():
            return False
        return super().check_action(action, parameters)

    def _typing(self) -> bool:
        from textual.widgets import Input

        return isinstance(self.focused, Input)

    # The list

    def action_problems_only(self) -> None:
        self._tunnels.problems_only = not self._tunnels.problems_only
        self._title_tunnels()

    def action_columns(self) -> None:
        from tui.screens.columns import ColumnScreen

        self.app.push_screen(ColumnScreen(self._tunnels, glyphs=self._glyphs))

    def on_tunnel_list_arranged(self, message: TunnelList.Arranged) -> None:
        message.stop()
        self._title_tunnels()

    def _title_tunnels(self) -> None:
        """Say what of the tunnels is shown."""
        tunnels = self._tunnels
        title = "Tunnels with a problem" if tunnels.problems_only else "Tunnels"
        total = len(self._snapshot.report.flows) if self._snapshot is not None else 0
        if self._filter is not None:
            title += f"  {count(tunnels.row_count())} of {count(total)}"
        marked = len(tunnels.marked)
        if marked:
            title += f"  {self._glyphs.mark} {count(marked)}"
        subtitle = cut(tunnels.clean(self.filter_text), SHOWN, self._glyphs.ellipsis)
        if (title, subtitle) != self._titles:  # set anew, even the same draws the pane again
            self._titles = (title, subtitle)
            # As content: a bracket in a filter is no markup.
            tunnels.border_title = Content(title)
            tunnels.border_subtitle = Content(subtitle)
