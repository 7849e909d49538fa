"""A conversation as lines: heads decoded, text as text, the encrypted rest as records.

Lines are made page by page, as far as somebody looks: a download of a gigabyte costs what
its first screenful costs. Whatever is not text is folded to how much it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from capture.facts import SENDERS
from capture.packets import PacketView
from capture.protocols.text import printable
from capture.protocols.tls_hello import (
    parse_certificates,
    parse_client_hello,
    parse_server_hello,
)
from capture.protocols.tls_names import alert_name
from capture.stream.handshakes import RECORD_NAMES, Handshakes, Message
from capture.stream.items import APPLICATION_DATA, Item, ItemKind, Requests, SideParser
from capture.stream.reading import StreamReader
from capture.telling import client_hello_text, server_hello_text
from capture.units import octets, plural, relative_seconds, size

__all__ = ["LineKind", "StreamLine", "StreamText"]

PAGE: Final = 1 << 18
"""Bytes of a stream that are read at a time."""
SHORT: Final = 1 << 10
"""What a turn counts at least: reading many short ones takes as long as reading much."""
MAX_LINES: Final = 100_000
"""Lines that are kept; hex view and file have no such bound."""
MAX_BODY_LINES: Final = 5_000
"""Lines of text shown of one turn."""
MAX_TEXT: Final = 4_000
"""Characters of a line."""
SAMPLE: Final = 1_024
"""Bytes by which text is told from the rest."""

_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\x1b")) + b"\x7f"
_ALERT: Final = 21
_CHANGE_CIPHER_SPEC: Final = 20
_HANDSHAKE: Final = 22


class LineKind(StrEnum):
    """What a line of a stream stands for."""

    TURN = "turn"
    FIRST = "first"
    """A request line or status line."""
    FIELD = "field"
    TEXT = "text"
    BINARY = "binary"
    RECORD = "record"
    GAP = "gap"
    NOTE = "note"


class StreamLine(NamedTuple):
    """One line of a conversation."""

    side: int
    kind: LineKind
    text: str
    """Safe to print."""
    start: int
    """Range of the side's stream that it stands for."""
    end: int
    row: int = -1
    """Of a turn: row of the packet that began it."""


class StreamText:
    """Makes the lines of a conversation, in order, when asked for more."""

    def __init__(self, reader: StreamReader, view: PacketView) -> None:
        """Prepare; nothing is read yet."""
        self._reader = reader
        self._view = view
        self._turns = reader.assembly.turns
        requests = Requests()
        self._parsers = tuple(SideParser(side, requests) for side in (0, 1))
        self._wording = _Wording(reader), _Wording(reader)
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
        self._say(side, found)
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
        self._say(1 - side, list(self._parsers[1 - side].finish()))
        return self._parsers[side].finish()

    def _say(self, side: int, items: list[Item]) -> None:
        for line in self._wording[side].lines(side, items):
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


class _Wording:
    """Items of one side as lines."""

    def __init__(self, reader: StreamReader) -> None:
        self._reader = reader
        self._handshakes = Handshakes()

    def lines(self, side: int, items: list[Item]) -> Iterator[StreamLine]:
        """Lines of some items; runs of application data and of binary bytes are folded."""
        at = 0
        while at < len(items):
            item = items[at]
            fold = _foldable(item)
            last = at + 1
            while fold and last < len(items) and _foldable(items[last]) == fold:
                last += 1
            if fold:
                yield _folded(side, fold, items[at:last])
            elif item.kind is ItemKind.HEAD:
                yield from _head_lines(side, self._shown(side, item))
            elif item.kind is ItemKind.BODY:
                yield from _text_lines(side, self._shown(side, item))
            elif item.kind is ItemKind.RECORD:
                yield from self._record(side, item)
            else:
                self._handshakes.lost()
                text = f"[{octets(item.end - item.start)} not captured]"
                yield StreamLine(side, LineKind.GAP, text, item.start, item.end)
            at = last

    def _shown(self, side: int, item: Item) -> Item:
        """An item as it may be shown. Only these are masked: by far the most bytes of most
        streams are ciphertext, of which nothing is shown."""
        chunks = self._reader.read(side, item.start, item.end)
        return item._replace(data=b"".join(chunk.data for chunk in chunks))

    def _record(self, side: int, item: Item) -> Iterator[StreamLine]:
        length = item.end - item.start
        name = RECORD_NAMES.get(item.type, "record")
        if not item.whole:
            if item.type == 0:
                text = f"the rest of a record, {octets(length)}"
            else:
                text = f"{name}, {octets(max(0, length - 5))} of it"
            yield StreamLine(side, LineKind.RECORD, text, item.start, item.end)
            return
        detail = ""
        if item.type == _HANDSHAKE:
            messages = self._handshakes.feed(item.data, item.start + 5)
            detail = ", ".join(map(_message_text, messages)) or "encrypted"
            if messages:
                name = ""
        elif item.type == _ALERT:
            detail = _alert_text(item.data)
        elif item.type == _CHANGE_CIPHER_SPEC:
            self._handshakes.encrypted = True
        said = " ".join(filter(None, (name, detail)))
        text = f"{said}, {octets(length - 5)}"
        yield StreamLine(side, LineKind.RECORD, text, item.start, item.end)


def _foldable(item: Item) -> str:
    if item.kind is ItemKind.RECORD and item.type == APPLICATION_DATA and item.whole:
        return "record"
    if item.kind is ItemKind.BODY and not _is_text(item.data):
        return "binary"
    return ""


def _folded(side: int, fold: str, items: list[Item]) -> StreamLine:
    start, end = items[0].start, items[-1].end
    if fold == "binary":
        text = f"{octets(end - start)} that are no text"
        return StreamLine(side, LineKind.BINARY, text, start, end)
    lengths = [item.end - item.start - 5 for item in items]
    if len(lengths) == 1:
        text = f"ApplicationData, {octets(lengths[0])}"
    else:
        text = f"ApplicationData, {plural(len(lengths), 'record')}, {_sizes(lengths)}"
    return StreamLine(side, LineKind.RECORD, text, start, end)


def _sizes(lengths: list[int]) -> str:
    """``3 records``' sizes one by one, of many the sum and the largest."""
    if len(lengths) <= 6:
        return " + ".join(f"{length:,}" for length in lengths) + " bytes"
    return f"{size(sum(lengths))}, the largest {octets(max(lengths))}"


def _is_text(data: bytes) -> bool:
    """Whether bytes read as text: hardly any control character, and UTF-8."""
    sample = data[:SAMPLE]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls * 20 > len(sample):
        return False
    text = sample.decode("utf-8", "replace")
    return text.count("\ufffd") * 10 <= len(text)


def _head_lines(side: int, item: Item) -> Iterator[StreamLine]:
    at = item.start
    first = True
    for line in item.data.splitlines(keepends=True):
        end = at + len(line)
        text = printable(line.rstrip(b"\r\n"), MAX_TEXT)
        if text:
            yield StreamLine(side, LineKind.FIRST if first else LineKind.FIELD, text, at, end)
            first = False
        at = end
    if not item.whole:
        yield StreamLine(side, LineKind.NOTE, "the head goes on, or was cut", item.end, item.end)


def _text_lines(side: int, item: Item) -> Iterator[StreamLine]:
    at = item.start
    for line in item.data.splitlines(keepends=True):
        text = printable(line.rstrip(b"\r\n"), MAX_TEXT)
        yield StreamLine(side, LineKind.TEXT, text, at, at + len(line))
        at += len(line)


def _message_text(message: Message) -> str:
    if not message.data:
        return f"{message.name} (goes on)"
    text = ""
    if message.type == 1 and (hello := parse_client_hello(message.data)):
        text = client_hello_text(hello)
    elif message.type == 2 and (answer := parse_server_hello(message.data)):
        text = server_hello_text(answer)
    elif message.type == 11 and (chain := parse_certificates(message.data)):
        text = f"Certificate {chain[0].subject}"
        if len(chain) > 1:
            text += f" and {plural(len(chain) - 1, 'issuer')}"
    return text or message.name


def _alert_text(body: bytes) -> str:
    if len(body) != 2:
        return "encrypted"
    level = {1: "warning", 2: "fatal"}.get(body[0], str(body[0]))
    return f"{alert_name(body[1])} ({level})"
