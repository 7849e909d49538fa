"""A conversation as lines: heads decoded, text as text, the encrypted rest as records.

Lines are made page by page, as far as somebody looks: a download of a gigabyte costs what
its first screenful costs. Whatever is not text is folded to how much it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from capture.facts import SENDERS
from capture.packets.index import PacketView
from capture.stream.items import Item, Requests, SideParser
from capture.stream.reading import StreamReader
from capture.stream.wording import LineKind, StreamLine, Wording
from capture.units import octets, relative_seconds

if TYPE_CHECKING:
    from capture.decrypt.keylog import KeyLog

__all__ = ["LineKind", "StreamLine", "StreamText"]

PAGE: Final = 1 << 18
"""Bytes of a stream that are read at a time."""
SHORT: Final = 1 << 10
"""What a turn counts at least: reading many short ones takes as long as reading much."""
MAX_LINES: Final = 100_000
"""Lines that are kept; hex view and file have no such bound."""
MAX_BODY_LINES: Final = 5_000
"""Lines of text shown of one turn."""


class StreamText:
    """Makes the lines of a conversation, in order, when asked for more."""

    def __init__(self, reader: StreamReader, view: PacketView, keys: KeyLog | None = None) -> None:
        """Prepare; nothing is read yet.

        Args:
            reader: Reads the streams, and says whether secrets are covered.
            view: The packet index.
            keys: Opens TLS records; None: none are opened.
        """
        self._reader = reader
        self._view = view
        self._turns = reader.assembly.turns
        requests = Requests()
        inside = None
        if keys is not None:
            from capture.stream.inside import Inside  # needs a package that may not be there

            inside = Inside(keys, masked=reader.masked)
        self._parsers = tuple(
            SideParser(side, requests, sealed=inside is not None) for side in (0, 1)
        )
        self._wording = tuple(Wording(side, partial(self._shown, side), inside) for side in (0, 1))
        self._turn = 0
        self._at = 0
        self._in_turn = False
        self._body_lines = 0
        self.lines: list[StreamLine] = []
        """The lines made so far; only ever appended to."""
        self.done = not len(self._turns)
        """Whether everything has been turned into lines."""

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes read so far, and in total."""
        total = sum(self._reader.total(side) for side in (0, 1))
        if self.done:
            return total, total
        turns = self._turns
        read = int((turns.end[: self._turn] - turns.start[: self._turn]).sum())
        if self._in_turn:
            read += self._at - int(turns.start[self._turn])
        return read, total

    def more(self) -> int:
        """Read one page on.

        Returns:
            How many lines it added.
        """
        before = len(self.lines)
        room = PAGE
        while room > 0 and not self.done:
            room -= max(SHORT, self._page(room))
        return len(self.lines) - before

    def _page(self, room: int) -> int:
        """Go on in the turn at hand; returns how many bytes were read."""
        turns = self._turns
        side, end = int(turns.side[self._turn]), int(turns.end[self._turn])
        if not self._in_turn:
            self._begin(side)
        start = self._at
        upto = min(end, start + room)
        found: list[Item] = []
        parser = self._parsers[side]
        for chunk in self._reader.raw(side, start, upto):
            if chunk.missing:
                found.extend(parser.gap(chunk.missing, chunk.start))
            else:
                found.extend(parser.feed(chunk.data, chunk.start))
        self._at = upto
        if upto == end:
            found.extend(self._end_turn(side))
        self._say(side, found, turned=upto == end)
        return upto - start

    def _begin(self, side: int) -> None:
        turns = self._turns
        start, end = int(turns.start[self._turn]), int(turns.end[self._turn])
        row = int(turns.row[self._turn])
        since = int(self._view.rows["time_ns"][row]) - self._reader.assembly.first_ns
        number, at = self._view.number(row), relative_seconds(since)
        text = f"{SENDERS[side]}, {octets(end - start)}, #{number} at {at} s"
        self._add(StreamLine(side, LineKind.TURN, text, start, end, row))
        self._at, self._in_turn, self._body_lines = start, True, 0

    def _end_turn(self, side: int) -> Iterable[Item]:
        self._turn += 1
        self._in_turn = False
        if self._turn < len(self._turns):
            return self._parsers[side].turned()
        self.done = True
        # The other side may hold something yet: a record that never became whole.
        self._say(1 - side, list(self._parsers[1 - side].finish()), turned=True)
        return self._parsers[side].finish()

    def _shown(self, side: int, item: Item) -> bytes:
        return b"".join(chunk.data for chunk in self._reader.read(side, item.start, item.end))

    def _say(self, side: int, items: list[Item], *, turned: bool) -> None:
        wording = self._wording[side]
        after = (wording.finish() if self.done else wording.turned()) if turned else ()
        for line in chain(wording.lines(items), after):
            if line.kind is LineKind.TEXT:
                self._body_lines += 1
                if self._body_lines > MAX_BODY_LINES:
                    if self._body_lines == MAX_BODY_LINES + 1:
                        self._add(
                            line._replace(kind=LineKind.NOTE, text="further lines are left out")
                        )
                    continue
            self._add(line)

    def _add(self, line: StreamLine) -> None:
        if len(self.lines) < MAX_LINES:
            self.lines.append(line)
        elif not self.done:
            self.done = True
            note = "the rest is left out here: the hex view and a file have it all"
            self.lines.append(line._replace(kind=LineKind.NOTE, text=note))
