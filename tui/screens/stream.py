"""What both ends of a tunnel said: as text, as bytes, as sizes; to search and to keep."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from capture.facts import CLIENT, PROXY, SENDERS
from capture.packets.index import PacketView
from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.stream.assembly import assemble
from capture.stream.finding import BytesFinder, needle_of
from capture.stream.layout import blocks_of
from capture.stream.reading import Chunk, StreamReader
from capture.stream.saving import stream_bytes, stream_lines
from capture.stream.text import StreamText
from capture.units import octets, size
from tui.engine_bridge import EngineBridge
from tui.footline import Footline
from tui.keys.bindings import key_for
from tui.lines.find_line import FindLine
from tui.screens.base import PaneScreen
from widgets.glyphs import Glyphs
from widgets.stream_bytes import StreamBlocks, StreamHexView, StreamSizesView
from widgets.stream_text import StreamTextView

if TYPE_CHECKING:
    from tui.screens.write_file import Choice

__all__ = ["StreamScreen"]

SLICE_S: Final = 0.02
"""How long reading on may hold up the keys."""
PAUSE_S: Final = 0.01
"""Between two slices, for the keys and the screen."""
AHEAD: Final = 400
"""Lines made beyond those that were asked for."""

_VIEWS: Final = ("text", "hex", "sizes")
_SIDES: Final = (None, CLIENT, PROXY)


class StreamScreen(PaneScreen):
    """Follows one tunnel's two streams. Ends with a packet to go to, or None."""

    AUTO_FOCUS = "#stream-text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "view", "Text, hex, sizes", id="stream.view",
                tooltip="The conversation as text, as bytes, or packet by packet"),
        Binding("c", "side", "Client, proxy, both", id="stream.side"),
        Binding("slash", "find", "Find", id="stream.find"),
        Binding("n", "hit(1)", "Next hit", show=False, id="stream.next-hit"),
        Binding("N", "hit(-1)", "Previous hit", show=False, id="stream.previous-hit"),
        Binding("right_square_bracket", "turn(1)", "Next turn", id="stream.next-turn"),
        Binding("left_square_bracket", "turn(-1)", "Previous turn", show=False,
                id="stream.previous-turn"),
        Binding("s", "save", "Save", id="stream.save", tooltip="The bytes or the text to a file"),
        Binding("y", "copy", "Copy line", show=False, id="stream.copy"),
        Binding("f5", "reload", "Read again", show=False, id="stream.reload",
                tooltip="With what was said since"),
        Binding("escape,q,r", "back", "Back", id="stream.back"),
    ]  # fmt: skip

    def __init__(
        self,
        bridge: EngineBridge,
        view: PacketView,
        flow: FlowReport,
        *,
        glyphs: Glyphs,
        open_packet: Callable[[int], None],
        newest: Callable[[], PacketView] | None = None,
    ) -> None:
        """Prepare the screen.

        Args:
            bridge: Fetches frames.
            view: The packet index.
            flow: The tunnel to follow.
            glyphs: Signs to draw with.
            open_packet: Shows a packet (1-based number) in full.
            newest: Gives the packet index as it is by now; None where it does not grow.
        """
        super().__init__()
        self._bridge = bridge
        self._newest = newest
        self._view = view
        self._flow = flow
        self._glyphs = glyphs
        self._open_packet = open_packet
        self._reader = self._read_by(masked=True)
        self._text = StreamText(self._reader, view, bridge.keys())
        self._side: int | None = None
        self._shown = "text"
        self._query = ""
        self._wanted = AHEAD
        self._to_end = False
        self._loading: Timer | None = None
        self._finder: BytesFinder | None = None
        self._finding: Timer | None = None
        ascii_only = glyphs.done.isascii()
        self._title = Static(id="title", markup=False)
        self._text_view = StreamTextView(glyphs=glyphs, id="stream-text")
        self._hex_view = StreamHexView(self._reader.read, glyphs=glyphs, id="stream-hex")
        self._sizes_view = StreamSizesView(glyphs=glyphs, id="stream-sizes")
        self._footline = Footline(ascii_only=ascii_only, id="footline")
        self._find_line = FindLine(placeholder="text, or bytes as 16 03 01", id="find")

    def _read(self, side: int, start: int, end: int) -> list[Chunk]:
        """Bytes for the hex view, by whatever reader there is now."""
        return self._reader.read(side, start, end)

    def _read_by(self, *, masked: bool) -> StreamReader:
        view = self._view

        def fetch(number: int) -> bytes:
            return self._bridge.frame(view, number)

        rows = view.of_flow(self._flow.uid)
        return StreamReader(fetch, view, assemble(view, rows), masked=masked)

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._text_view
        yield self._hex_view
        yield self._sizes_view
        yield self._footline
        yield self._find_line

    def on_mount(self) -> None:
        self._load()
        self._show_view()

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Stream", self._current)]

    @property
    def _current(self) -> StreamTextView | StreamHexView | StreamSizesView:
        if self._shown == "text":
            return self._text_view
        return self._hex_view if self._shown == "hex" else self._sizes_view

    def _show_view(self) -> None:
        for name, widget in zip(
            _VIEWS, (self._text_view, self._hex_view, self._sizes_view), strict=True
        ):
            widget.display = name == self._shown
        self.set_focus(self._current)
        self._entitle()

    def _entitle(self) -> None:
        flow, sign = self._flow, self._glyphs.separator
        sums = [octets(self._reader.total(side)) for side in (CLIENT, PROXY)]
        who = "both sides" if self._side is None else f"the {SENDERS[self._side]} only"
        missing = sum(pieces.missing for pieces in self._reader.assembly.sides)
        parts = [
            f"Stream of {flow.id} as {self._shown}, {who}",
            f"{sums[CLIENT]} {self._glyphs.right} {self._glyphs.left} {sums[PROXY]}",
            flow.target or flow.proxy,
        ]
        if missing:
            parts.insert(1, f"{octets(missing)} not captured")
        self._title.update(f" {sign} ".join(parts))

    # Lines on demand

    def _load(self) -> None:
        """Make lines until there are enough, a slice at a time."""
        self._loading = None
        until = time.monotonic() + SLICE_S
        text = self._text
        while not text.done and (self._to_end or len(text.lines) < self._wanted):
            text.more()
            if time.monotonic() > until:
                break
        self._text_view.show(text.lines, complete=text.done, side=self._side)
        trouble = self._reader.trouble
        if trouble:
            self.tell(trouble, error=True)
        enough = text.done or (not self._to_end and len(text.lines) >= self._wanted)
        if not enough:
            self._loading = self.set_timer(PAUSE_S, self._load)
        if self._to_end:
            self._follow_end(enough)

    @property
    def _stop_key(self) -> str:
        return key_for("stream.back", self, self.app)

    def _follow_end(self, arrived: bool) -> None:
        if arrived:
            self._to_end = False
            self._text_view.action_last()
            self._footline.clear()
        else:
            done, total = self._text.progress
            self.tell(f"reading: {size(done)} of {size(total)}, {self._stop_key} stops", stay=True)

    def on_stream_text_view_more_wanted(self, message: StreamTextView.MoreWanted) -> None:
        message.stop()
        self._to_end = self._to_end or message.all_of_it
        self._wanted = len(self._text.lines) + AHEAD
        if self._loading is None:
            self._load()

    # Views

    def action_view(self) -> None:
        place = self._current.place
        self._shown = _VIEWS[(_VIEWS.index(self._shown) + 1) % len(_VIEWS)]
        self._fill()
        self._show_view()
        if place is not None:
            # Shown for the first time, it does not know its size before it is laid out.
            self.call_after_refresh(self._current.go_to_offset, *place)

    def action_side(self) -> None:
        self._side = _SIDES[(_SIDES.index(self._side) + 1) % len(_SIDES)]
        self._fill(anew=True)
        self._entitle()

    def _fill(self, *, anew: bool = False) -> None:
        """Give the view on screen what it shows."""
        if self._shown == "text":
            self._text_view.show(self._text.lines, complete=self._text.done, side=self._side)
            return
        view = self._current
        assert isinstance(view, StreamBlocks)
        if anew or not view.row_count():
            blocks = blocks_of(self._reader.assembly, self._side, merged=self._shown == "hex")
            view.show(blocks, self._view, self._reader.assembly.first_ns)

    def action_turn(self, direction: int) -> None:
        if not self._current.go_to_turn(direction):
            self.tell("no further turn" if direction > 0 else "this is the first turn")

    # Packets

    def on_stream_text_view_opened(self, message: StreamTextView.Opened) -> None:
        message.stop()
        self._open_at(message.line.side, message.line.start)

    def on_stream_blocks_opened(self, message: StreamBlocks.Opened) -> None:
        message.stop()
        self._open_at(message.side, message.offset)

    def _open_at(self, side: int, offset: int) -> None:
        row = self._reader.row_of(side, offset)
        if row is None:
            self.tell("no packet holds these bytes")
        else:
            self._open_packet(self._view.number(row))

    # Search

    def action_find(self) -> None:
        self._find_line.open()

    def on_find_line_closed(self, message: FindLine.Closed) -> None:
        message.stop()
        if message.query is not None:
            self._query = message.query
            self._finder = None
            self.action_hit(1)

    def action_hit(self, direction: int) -> None:
        if not self._query:
            self.tell("nothing was searched for yet")
        elif self._shown == "text":
            self._find_line_of_text(direction)
        elif direction < 0:
            self.tell("bytes are searched forward only")
        else:
            self._find_bytes()

    def _find_line_of_text(self, direction: int) -> None:
        if self._text_view.find(self._query, direction):
            self._footline.clear()
        elif direction > 0 and not self._text.done:
            self._read_on_to_find()
        else:
            self.tell(f"no further {self._query!r}" if direction > 0 else "no hit before this one")

    def _read_on_to_find(self) -> None:
        """Make more lines and look again, until something is found or Esc is pressed."""
        done, total = self._text.progress
        self.tell(f"searching: {size(done)} of {size(total)}, {self._stop_key} stops", stay=True)
        self._wanted = len(self._text.lines) + AHEAD
        if self._loading is not None:
            self._loading.stop()
        self._load()
        self._finding = self.set_timer(PAUSE_S, self._find_again)

    def _find_again(self) -> None:
        self._finding = None
        self._find_line_of_text(1)

    def _find_bytes(self) -> None:
        if self._finder is None:
            blocks = blocks_of(self._reader.assembly, self._side)
            self._finder = BytesFinder(
                self._reader, blocks, needle_of(self._query), self._current.place
            )
        self._step_finder()

    def _step_finder(self) -> None:
        self._finding = None
        finder = self._finder
        if finder is None:
            return
        until = time.monotonic() + SLICE_S
        while not finder.done:
            hit = finder.step()
            if hit is not None:
                side, start = hit
                self._hex_view.mark(side, start, start + len(needle_of(self._query)))
                self._current.go_to_offset(side, start)
                self._footline.clear()
                return
            if time.monotonic() > until:
                self.tell(f"searching, {self._stop_key} stops", stay=True)
                self._finding = self.set_timer(PAUSE_S, self._step_finder)
                return
        self._finder = None
        self.tell(f"no further {self._query!r}")

    # To a file

    def action_save(self) -> None:
        from tui.screens.write_file import Option, WriteScreen

        scopes = [Option("both", "both sides, a file each (text: in one)", on=self._side is None)]
        scopes += [
            Option(name, f"the {name} only", on=self._side == side)
            for side, name in enumerate(SENDERS)
        ]
        self.app.push_screen(
            WriteScreen(
                f"Save the stream of {self._flow.id}",
                path=f"stream-{self._flow.id}.txt",
                hint=".txt: as the text view shows it; anything else: the bytes",
                writing=self._writing(),
                scopes=scopes,
                options=[
                    Option(
                        "secrets",
                        "with passwords and tokens, of your own captures",
                        on=not getattr(getattr(self.app, "looks", None), "redact", True),
                    )
                ],
                ascii_only=self._glyphs.done.isascii(),
            ),
            self._told,
        )

    def _told(self, said: str | None) -> None:
        if said is not None:
            self.tell(said)

    def _writing(self) -> Callable[..., str]:
        """What writes the files, in a thread."""
        keys = self._bridge.keys()
        spared = self._bridge.files()

        def write(choice: Choice, told: Callable[[float], None], given_up: Event) -> str:
            from tui.writing import CannotWrite, write_whole

            put = partial(write_whole, replace=choice.replace, spared=spared)
            side = {name: side for side, name in enumerate(SENDERS)}.get(choice.scope)
            reader = self._read_by(masked="secrets" not in choice.options)

            def watched(chunks: Iterator[tuple[str | bytes, float]]) -> Iterator[str | bytes]:
                for chunk, part in chunks:
                    if given_up.is_set():
                        raise CannotWrite("given up")
                    told(part)
                    yield chunk

            if choice.path.lower().endswith(".txt"):
                lines = watched(_lines(StreamText(reader, self._view, keys), side))
                count = put(choice.path, lines)
                return f"{choice.path}: {octets(count)}"
            paths = files_for(choice.path, side)
            counts = [put(path, watched(_bytes(reader, which))) for which, path in paths.items()]
            return ", ".join(
                f"{path}: {octets(count)}"
                for path, count in zip(paths.values(), counts, strict=True)
            )

        return write

    # Other actions

    def action_copy(self) -> None:
        line = self._text_view.selected if self._shown == "text" else None
        if line is None:
            self.tell("a line of the text view can be copied")
            return
        self.app.copy_to_clipboard(line.text)
        self.tell(f"copied: {printable(line.text, 200)}")

    def action_reload(self) -> None:
        """Put the streams together anew: an open tunnel goes on while it is looked at."""
        place = self._current.place
        if self._newest is not None:
            self._view = self._newest()
        self._reader = self._read_by(masked=True)
        self._text = StreamText(self._reader, self._view, self._bridge.keys())
        self._finder = None
        self._wanted = max(self._wanted, AHEAD)
        self._load()
        for view, merged in ((self._hex_view, True), (self._sizes_view, False)):
            blocks = blocks_of(self._reader.assembly, self._side, merged=merged)
            view.show(blocks, self._view, self._reader.assembly.first_ns)
        self._entitle()
        if place is not None:
            self.call_after_refresh(self._current.go_to_offset, *place)

    def action_back(self) -> None:
        """Stop what is under way; when nothing is, leave."""
        busy = self._to_end or self._finding is not None
        for timer in (self._loading, self._finding):
            if timer is not None and busy:
                timer.stop()
        if busy:
            self._loading = self._finding = self._finder = None
            self._to_end = False
            self._footline.clear()
            self._text_view.show(self._text.lines, complete=self._text.done, side=self._side)
        else:
            self.dismiss(None)


def files_for(path: str, side: int | None) -> dict[int, str]:
    """The file of each side: ``NAME-client.EXT`` and ``NAME-proxy.EXT``; of one side alone
    the name as it is."""
    if side is not None:
        return {side: path}
    name = Path(path)
    return {which: str(name.with_stem(f"{name.stem}-{who}")) for which, who in enumerate(SENDERS)}


def _lines(text: StreamText, side: int | None) -> Iterator[tuple[str, float]]:
    for line in stream_lines(text, side):
        done, total = text.progress
        yield line, done / max(1, total)


def _bytes(reader: StreamReader, side: int) -> Iterator[tuple[bytes, float]]:
    total = max(1, reader.total(side))
    for data, end in stream_bytes(reader, side):
        yield data, end / total
