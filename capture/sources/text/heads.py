"""Finds the HTTP heads (and error bodies) that a text prints around its packet lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from capture.sources.text.grammar import is_field, request_line, status_line, without_remark

_IN_DUMP: Final = re.compile(
    r"(?:CONNECT|GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) \S+ HTTP/\d\.\d$"
    r"|HTTP/\d\.\d [1-5]\d\d(?: [^\n]*)?$",
    re.MULTILINE,
)
_HEADERS_AT_MOST: Final = 140
"""IP and TCP headers with all options: a head that begins further on is part of a body."""
_HEADERS_AT_LEAST: Final = 30


@dataclass(slots=True)
class Head:
    """An HTTP head as printed, line by line."""

    lines: list[str]
    request: bool
    whole: bool = False
    """Its final blank line was printed too."""
    body: list[str] = field(default_factory=list)

    @property
    def shortest(self) -> int:
        """Bytes of the first line: no segment that shows it has fewer."""
        return len(self.lines[0].encode("utf-8", "replace"))

    @property
    def printed(self) -> int:
        """Bytes of all that is printed of it."""
        lines = sum(len(line.encode("utf-8", "replace")) + 2 for line in self.lines)
        return lines + 2 * self.whole

    def payload(self, length: int | None) -> bytes:
        """The bytes on the wire, as far as they are known.

        Args:
            length: Payload bytes of its packet; None when the text has no packet for it:
                the head is all that there was then.
        """
        made = "\r\n".join(self.lines).encode("utf-8", "replace") + b"\r\n"
        if length is None or self.whole or length == len(made) + 2:
            made += b"\r\n"
        if length is None:
            return made
        if self.whole and self.body:
            made += "\n".join(self.body).encode("utf-8", "replace")
        return made[:length]


def from_first_line(line: str) -> Head | None:
    """The head of which tcpdump printed the first line behind the segment's length."""
    request = request_line(line)
    if request is not None:
        return Head([request], True)
    return Head([line], False) if status_line(line) is not None else None


def from_dump(text: str) -> Head | None:
    """The head in what ``-A`` printed: a packet's bytes from its IP header on.

    Every byte that cannot be printed is a dot there, so nothing but text is taken from it.
    CR LF is printed as a line end.
    """
    match = _IN_DUMP.search(text, _HEADERS_AT_LEAST, 4096)
    if not match or match.start() > _HEADERS_AT_MOST:
        return None
    head, blank, body = text[match.start() :].partition("\n\n")
    lines = head.split("\n")
    found = Head(lines, not lines[0].startswith("HTTP/"), bool(blank))
    if not found.request:
        found.body = body.split("\n")
    return found


def looks_like_dump(lines: list[str]) -> bool:
    """Whether lines behind a packet line are what ``-A`` prints: they begin with the first
    byte of an IP header, 0x45-0x4f or 0x6n."""
    first = lines[0] if lines else ""
    if _begin(first) is not None:
        return False  # HTTP/1.1 403 begins with such a letter, too
    return len(first) > 1 and ((first[0] in "EFGHIJKLMNO" and "." in first[:24]) or first[0] == "`")


def from_lines(lines: list[str], verbatim: bool) -> list[Head]:
    """All heads in lines that stand between two packets.

    Args:
        lines: Without quoting marks.
        verbatim: tcpdump printed them (``-v``), so that a body follows a head; else an
            author did, and there may be remarks.
    """
    heads: list[Head] = []
    current: Head | None = None
    for line in lines:
        text = line.strip() if not verbatim else line
        if current is not None and not current.whole:
            if not text.strip():
                current.whole = True
                continue
            begins = None if verbatim else _begin(text)
            if begins is None and is_field(text):
                current.lines.append(text if verbatim else without_remark(text))
                continue
            current = begins
            if begins is not None:
                heads.append(begins)
        elif current is not None and verbatim:
            current.body.append(text)
        else:
            current = _begin(text)
            if current is not None:
                heads.append(current)
    return heads


def _begin(text: str) -> Head | None:
    request = request_line(text)
    if request is not None:
        return Head([request], True)
    status = status_line(text)
    return Head([status], False) if status is not None else None
