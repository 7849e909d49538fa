"""Cuts text into lines: encodings, line ends, and what quoting puts in front of a line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

from capture.sources.streams import Stream, read_exactly
from capture.sources.windows import QUIET_SECONDS

_CHUNK: Final = 256 * 1024
MAX_LINE: Final = 16 * 1024
"""Characters kept of a line; tcpdump's longest is far below."""

_LONGEST_MARK: Final = 3
"""Bytes of UTF-8's byte order mark."""

_BREAK: Final = re.compile(r"\r\n|\n|\r")
_QUOTED: Final = re.compile(
    r"(?:[ \t]*(?:[>|<]|[*•·+-](?=[ \t])))*[ \t]*"  # mail quotes, bullets, table borders
    r"(?:\#?\d{1,7}[.):|\]]?[ \t|]+(?=\S))?"  # line and list numbers
    r"`*"
)
"""What mail, Markdown, ``cat -n`` and the like put in front of a quoted line."""


def unquote(line: str) -> tuple[str, str]:
    """What quoting put in front of a line, and the line itself (without the closing mark of
    inline code, and with HTML's ``&gt;`` undone)."""
    match = _QUOTED.match(line)
    assert match is not None  # every part of the pattern is optional
    prefix, rest = match[0], line[match.end() :]
    if "&gt;" in rest or "&lt;" in rest:
        import html

        rest = html.unescape(rest)
    return prefix, rest.rstrip("` \t") if rest.endswith("`") else rest


class LineReader:
    """The lines of a stream, as they come.

    Bytes that are not of the text's encoding become U+FFFD; nothing is raised for them.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = _decoder(b"")
        self._rest = ""

    def batches(self) -> Iterator[list[str]]:
        """Lists of whole lines, each as soon as it was read; the last line may lack its end.

        Yields:
            At least one line each time, and none when a pipe was silent for a moment.
        """
        mark = read_exactly(self._stream, _LONGEST_MARK)
        self._decoder = _decoder(mark)
        if lines := self._cut(mark):
            yield lines
        buffer = bytearray(_CHUNK)
        view = memoryview(buffer)
        waits = self._stream.total is None
        while True:
            if waits and not self._stream.ready(QUIET_SECONDS):
                yield []
                continue
            count = self._stream.readinto(view)
            if not count:
                break
            if lines := self._cut(bytes(view[:count])):
                yield lines
        tail = self._rest + self._decoder.decode(b"", True)
        if tail:
            yield [tail.rstrip("\r")]

    @property
    def whole(self) -> bool:
        """Whether the bytes so far end with a line."""
        return not self._rest

    def _cut(self, data: bytes) -> list[str]:
        text = self._rest + self._decoder.decode(data)
        # A carriage return at the very end may be half a line end.
        held = "\r" if text.endswith("\r") else ""
        lines = _BREAK.split(text[: len(text) - len(held)])
        self._rest = lines.pop()[:MAX_LINE] + held
        return [line[:MAX_LINE] for line in lines]


def _decoder(head: bytes) -> codecs.IncrementalDecoder:
    """By byte order mark; without one it is UTF-8, of which ASCII is a part."""
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")("replace")
