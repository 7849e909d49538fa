"""Items of a stream in words: heads and text as they are, records by name, the rest by size.

Where a key log opens records, what they hold is said in the same words, behind the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from capture.protocols.text import printable
from capture.protocols.tls_hello import (
    parse_certificates,
    parse_client_hello,
    parse_server_hello,
)
from capture.protocols.tls_names import alert_name
from capture.protocols.tls_sealed import chosen_alpn, plain_chain
from capture.stream.handshakes import RECORD_NAMES, Handshakes, Message
from capture.stream.items import APPLICATION_DATA, Item, ItemKind
from capture.timeline.telling import client_hello_text, server_hello_text
from capture.units import octets, plural, size

if TYPE_CHECKING:
    from capture.decrypt.protection import Clear

__all__ = ["LineKind", "Opener", "StreamLine", "Wording"]

MAX_TEXT: Final = 4_000
"""Characters of a line."""
SAMPLE: Final = 1_024
"""Bytes by which text is told from the rest."""

_CONTROLS: Final = bytes(set(range(32)) - set(b"\t\n\r\x1b")) + b"\x7f"
_ALERT: Final = 21
_CHANGE_CIPHER_SPEC: Final = 20
_HANDSHAKE: Final = 22
_SEALED, _CLEAR, _BINARY = "sealed", "clear", "binary"
"""What is folded: records, records whose content follows, bytes that are no text."""


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


class Opener(Protocol):
    """Opens records, and words the stream that they hold (``capture.stream.inside``)."""

    def open(self, side: int, item: Item) -> Clear | None:
        """The content of a sealed record; None for anything else."""

    def why_sealed(self) -> str:
        """Why records cannot be opened, the first time it is asked; else empty."""

    def lines(self, side: int, parts: Sequence[tuple[Item, bytes]]) -> Iterator[StreamLine]:
        """What some opened records of application data hold, in words."""

    def lost(self, side: int) -> Iterator[StreamLine]:
        """Records are missing here."""

    def turned(self, side: int) -> Iterator[StreamLine]:
        """The other side speaks now."""

    def finish(self, side: int) -> Iterator[StreamLine]:
        """The stream is over."""


class Wording:
    """Items of one side as lines."""

    def __init__(
        self, side: int, shown: Callable[[Item], bytes], inside: Opener | None = None
    ) -> None:
        """Prepare.

        Args:
            side: ``CLIENT`` or ``PROXY``.
            shown: Gives an item's bytes as they may be shown. Only heads and text are asked
                for: by far the most bytes of most streams are ciphertext.
            inside: Opens records; shared by both sides.
        """
        self._side = side
        self._shown = shown
        self._inside = inside
        self._handshakes = Handshakes()
        self._sealed_handshakes = Handshakes()

    def lines(self, items: list[Item]) -> Iterator[StreamLine]:
        """Lines of some items; runs of application data and of binary bytes are folded."""
        opened = [(item, self._opened(item)) for item in items]
        for fold, run in groupby(opened, lambda pair: _foldable(*pair)):
            if fold:
                yield from self._run(fold, list(run))
            else:
                for item, clear in run:
                    yield from self._single(item, clear)

    def turned(self) -> Iterator[StreamLine]:
        """The other side speaks now."""
        if self._inside is not None:
            yield from self._inside.turned(self._side)

    def finish(self) -> Iterator[StreamLine]:
        """The stream is over."""
        if self._inside is not None:
            yield from self._inside.finish(self._side)

    def _opened(self, item: Item) -> Clear | None:
        if self._inside is None:
            return None
        return self._inside.open(self._side, item)

    def _run(self, fold: str, run: list[tuple[Item, Clear | None]]) -> Iterator[StreamLine]:
        items = [item for item, _ in run]
        yield _folded(self._side, fold, items)
        if self._inside is None:
            return
        if fold == _CLEAR:
            parts = [(item, clear.data) for item, clear in run if clear is not None]
            yield from self._inside.lines(self._side, parts)
        elif fold == _SEALED and (why := self._inside.why_sealed()):
            text = f"not decrypted: {why}"
            yield StreamLine(self._side, LineKind.NOTE, text, items[-1].start, items[-1].end)

    def _single(self, item: Item, clear: Clear | None) -> Iterator[StreamLine]:
        side = self._side
        if clear is not None:
            yield self._content(item, clear)
        elif item.kind is ItemKind.HEAD:
            yield from _head_lines(side, item._replace(data=self._shown(item)))
        elif item.kind is ItemKind.BODY:
            yield from _text_lines(side, item._replace(data=self._shown(item)))
        elif item.kind is ItemKind.RECORD:
            yield self._record(item)
            if not item.whole and self._inside is not None:
                yield from self._inside.lost(side)
        else:
            self._handshakes.lost()
            self._sealed_handshakes.lost()
            text = f"[{octets(item.end - item.start)} not captured]"
            yield StreamLine(side, LineKind.GAP, text, item.start, item.end)
            if self._inside is not None:
                yield from self._inside.lost(side)

    def _content(self, item: Item, clear: Clear) -> StreamLine:
        """An opened record that holds no application data."""
        length = octets(item.end - item.start - 5)
        name = RECORD_NAMES.get(clear.type, f"content type {clear.type}")
        detail = ""
        if clear.type == _HANDSHAKE:
            messages = self._sealed_handshakes.feed(clear.data, item.start + 5)
            detail = ", ".join(map(_message_text, messages))
        elif clear.type == _ALERT:
            detail = _alert_text(clear.data)
        said = detail if detail and clear.type == _HANDSHAKE else f"{name} {detail}".strip()
        text = f"{said}, {length}, decrypted"
        return StreamLine(self._side, LineKind.RECORD, text, item.start, item.end)

    def _record(self, item: Item) -> StreamLine:
        side, length = self._side, item.end - item.start
        name = RECORD_NAMES.get(item.type, "record")
        if not item.whole:
            if item.type == 0:
                text = f"the rest of a record, {octets(length)}"
            else:
                text = f"{name}, {octets(max(0, length - 5))} of it"
            return StreamLine(side, LineKind.RECORD, text, item.start, item.end)
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
        return StreamLine(
            side, LineKind.RECORD, f"{said}, {octets(length - 5)}", item.start, item.end
        )


def _foldable(item: Item, clear: Clear | None) -> str:
    """What an item can be folded with; empty: it has lines of its own."""
    if clear is not None:
        return _CLEAR if clear.type == APPLICATION_DATA else ""
    if item.kind is ItemKind.RECORD and item.type == APPLICATION_DATA and item.whole:
        return _SEALED
    if item.kind is ItemKind.BODY and not _is_text(item.data):
        return _BINARY
    return ""


def _folded(side: int, fold: str, items: list[Item]) -> StreamLine:
    start, end = items[0].start, items[-1].end
    if fold == _BINARY:
        text = f"{octets(end - start)} that are no text"
        return StreamLine(side, LineKind.BINARY, text, start, end)
    lengths = [item.end - item.start - 5 for item in items]
    if len(lengths) == 1:
        text = f"ApplicationData, {octets(lengths[0])}"
    else:
        text = f"ApplicationData, {plural(len(lengths), 'record')}, {_sizes(lengths)}"
    if fold == _CLEAR:
        text += ", decrypted"
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
    elif message.type == 8 and (alpn := chosen_alpn(message.data)):
        text = f"EncryptedExtensions, ALPN {alpn}"
    elif message.type == 11 and (chain := parse_certificates(plain_chain(message.data))):
        text = f"Certificate {chain[0].subject}"
        if len(chain) > 1:
            text += f" and {plural(len(chain) - 1, 'issuer')}"
    return text or message.name


def _alert_text(body: bytes) -> str:
    if len(body) != 2:
        return "encrypted"
    level = {1: "warning", 2: "fatal"}.get(body[0], str(body[0]))
    return f"{alert_name(body[1])} ({level})"
