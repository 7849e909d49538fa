"""Puts a packet line together again that mail, a terminal or a document wrapped."""

from __future__ import annotations

import re
from typing import Final

from capture.sources.text.packet_line import PacketLine

_MOST_PARTS: Final = 8
_SAID: Final = re.compile(r"(?:^|[\s,])length \d+")
_OPEN: Final = re.compile(
    r"(?:[,>(\[<{]|\b(?:options|val|ecr|seq|ack|win|length|cksum|flags|mss|wscale|timestamp))$"
)
"""How a line ends that says more in the next one."""
_GOES_ON: Final = re.compile(
    r"(?:seq|ack|win|length|options|cksum|urg|ttl|id|offset|proto|ecr|val|mss|wscale) ?[\[\d(]"
    r"|(?:nop|sackOK|TS|eol)\b|flags \[|Flags \[|<(?:mss|nop|wscale|sackOK|timestamp|eol)\b"
    r"|\(DF\)|\((?:ttl|len) \d|\[tos |\[tcp sum ok\]|\d+:\d+\(\d+\)"
    r"|[SFRPWEU.]{1,6} (?:\[|\d+:\d+\(|ack )"
)
"""What only the rest of a packet line begins with."""
_CLOSES: Final = re.compile(r"[\w ,.:{}+-]{0,300}[\])>]")


def rejoin(line: PacketLine | None, text: str, under: list[str], width: int) -> tuple[str, int]:
    """The whole text of a packet line, and how many of the lines under it belong to it.

    Args:
        line: What the first of its lines says; None for the ends alone.
        text: That line.
        under: The lines under it.
        width: The longest line of the text so far: a terminal breaks there, within words.
    """
    parts = 0
    for after in under[:_MOST_PARTS]:
        rest = after.strip()
        text = text.rstrip()
        broken = text[-1:] in ("=", "\\")  # quoted-printable, and a shell's
        text = text[:-1].rstrip() if broken else text
        if not rest or not (broken or _unfinished(line if not parts else None, text, rest)):
            break
        cut = text[-1:].isdigit() and rest[0].isdigit() and len(text) >= width
        text = f"{text}{'' if cut else ' '}{rest}"
        parts += 1
    return text, parts


def _unfinished(line: PacketLine | None, text: str, rest: str) -> bool:
    """Whether ``rest`` belongs to a packet line that has come to ``text``."""
    if line is not None and line.begun:
        return True
    ends = text.endswith(":") and line is not None and bool(line.src) and not line.body
    if ends or _GOES_ON.match(rest):
        return ends or not _SAID.search(text.rpartition("]")[2])
    if _SAID.search(text.rpartition("]")[2]):
        return False
    if _OPEN.search(text):
        return True
    opened = text.count("[") > text.count("]") or text.count("(") > text.count(")")
    return opened and _CLOSES.match(rest) is not None
