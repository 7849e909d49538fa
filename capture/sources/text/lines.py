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
    r"(?:[ \t]*(?:[>|]|<(?![\w-]+>)|[*•·+-](?=[ \t])|\+(?=\d\d?[:\d]|IP6? )))*[ \t]*"
    r"(?:(?:\#|//|;|--)[ \t]+(?=\d\d?:\d\d:\d\d|\d{4}-\d\d|IP6? ))?"
    r"(?:[\[(]?\#?\d{1,7}[.):|\]]?[ \t|]+(?=\S))?"
    r"`*"
)
"""What mail, Markdown, a diff, ``cat -n`` and the like put in front of a quoted line: quotes,
bullets, table borders, comments' marks in front of a time, line and list numbers."""
LOGGED: Final = re.compile(
    r"[A-Z][a-z]{2} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)? [\w.-]+ [\w./-]+(?:\[\d+\])?: "
    r"|\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d\d:?\d\d) "
    r"(?:std(?:out|err) [FP] |[\w.-]+ [\w./-]+\[\d+\]: |(?=\d{1,2}:\d\d:\d\d\.))"
    r"|\[pod/[^\]\s]+\] |[\w.-]{1,64} +\| "
)
"""What a log puts in front: syslog and journald, containers (CRI, ``-t``), kubectl, compose."""
_MARKUP: Final = re.compile(
    r"</?(?:span|code|pre|div|p|br|b|i|u|em|strong|font|t[adrh]|table|tbody|li|[ou]l|h\d|a|kbd|tt)\b"
    r"[^<>]*>"
)
_ESCAPED: Final = re.compile(r"\\([\[\]<>_*|`#.()+-])")
"""Markdown's and trackers' backslashes in front of what would be markup."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_BLANKS: Final = {
    **dict.fromkeys((0xA0, 0x2007, 0x202F, 0x3000, *range(0x2000, 0x200B)), " "),
    **dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF)),
}
"""Blanks of word processors and web pages, and characters without width."""


def unquote(line: str) -> tuple[str, str]:
    """What quoting put in front of a line, and the line itself (without the closing mark of
    inline code, and with what HTML and Markdown do to it undone)."""
    marked_up = "</" in line or "<br" in line or "<pre" in line
    if marked_up:
        line = _MARKUP.sub("", line)
    logged = LOGGED.match(line)
    match = _QUOTED.match(line, logged.end() if logged else 0)
    assert match is not None  # every part of the pattern is optional
    prefix, rest = line[: match.end()], line[match.end() :]
    if marked_up:
        prefix = ""
    if "&gt;" in rest or "&lt;" in rest:
        import html

        rest = html.unescape(rest)
    if "\\" in rest:
        rest = _ESCAPED.sub(r"\1", rest)
    return prefix, rest.rstrip("` \t") if rest.endswith("`") else rest


def plain(text: str) -> str:
    """Text without colours, with ordinary blanks only."""
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    return text if text.isascii() else text.translate(_BLANKS)


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
        tail = plain(self._rest + self._decoder.decode(b"", True))
        if tail:
            yield [tail.rstrip("\r")]

    @property
    def whole(self) -> bool:
        """Whether the bytes so far end with a line."""
        return not self._rest

    def _cut(self, data: bytes) -> list[str]:
        text = plain(self._rest + self._decoder.decode(data))
        # A carriage return at the very end may be half a line end.
        held = "\r" if text.endswith("\r") else ""
        lines = _BREAK.split(text[: len(text) - len(held)])
        self._rest = lines.pop()[:MAX_LINE] + held
        return [line[:MAX_LINE] for line in lines]


def _decoder(head: bytes) -> codecs.IncrementalDecoder:
    """By byte order mark; without one it is UTF-8, of which ASCII is a part."""
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return codecs.getincrementaldecoder("utf-16" if wide else "utf-8-sig")("replace")
