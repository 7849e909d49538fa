"""Cuts a line of a packet list into columns.

tshark's lines (``1 0.000000 10.0.0.1 → 10.0.0.2 TCP 74 …``, with ``->`` before 2.0), the
window's rows copied or exported as text, and the same as CSV. Number, times and length may
be missing, and there may be columns of the user's own in front of the source, and of ports
behind the hosts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from capture.sources.text.lines import unquote
from capture.sources.text.packet_line import Stamp, read_stamp
from capture.sources.text.wireshark.info import (
    ARROW,
    Head,
    Icmp,
    Opaque,
    Records,
    Said,
    Segment,
    read_info,
)

_TIME: Final = (
    r"(?:\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?|\d{1,2}:\d\d:\d\d[.,]\d{1,9}"
    r"|\d{1,10}[.,]\d{1,9})"
)
_HIDDEN: Final = r"<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\]|\([^()\s]{1,40}\)"
_ADDRESS: Final = rf"(?:{_HIDDEN}|[\w.:%*×•…█-])+"
_ROW: Final = re.compile(
    rf"[\s>*]*(?P<times>(?:{_TIME}\s+){{0,3}})"
    rf"(?P<src>{_ADDRESS})\s+(?:(?P<sport>\d{{1,5}})\s+)?(?P<arrow>{ARROW}\s*)?"
    rf"(?P<dst>{_ADDRESS})\s+(?:(?P<one>\d{{1,5}})\s+)?(?:(?P<two>\d{{1,5}})\s+)?"
    r"(?P<protocol>[A-Za-z][\w./+-]{0,30})\s+"
    r"(?:(?P<length>\d{1,6})\s+)?(?P<info>\S.*)$"
)
_NUMBER: Final = re.compile(r"(\d{1,9})\D*$")
_NAMES: Final = ("no.", "time", "source", "destination", "protocol", "length", "info")
_PORTS: Final = re.compile(r"(?:(s)ou?rce|(s)rc|dest(?:ination)?|dst|(s)|d)[ _.]?port")


@dataclass(slots=True)
class Row:
    """A line of the packet list."""

    number: int | None
    """As the list numbers it; None where it does not."""
    stamp: Stamp | None
    src: str
    dst: str
    protocol: str
    length: int | None
    """Bytes of the frame; None where the column is missing."""
    said: Said
    sport: str = ""
    """From a column of its own; empty where there is none."""
    dport: str = ""
    arrow: bool = False
    """tshark's arrow stands between the hosts."""
    order: int = 0
    """Among all rows."""
    dump: bytes = b""
    """The frame, where its bytes are printed, too."""

    @property
    def sure(self) -> bool:
        """Nothing but a packet list has such a line."""
        whole = self.stamp is not None and self.length is not None
        whole = whole and (self.arrow or self.number is not None)
        return isinstance(self.said, Segment) or (whole and isinstance(self.said, (Head, Records)))


class Columns:
    """Reads rows; remembers what a CSV's header says of its columns."""

    def __init__(self) -> None:
        self._order = dict(zip(_NAMES, range(len(_NAMES)), strict=True))

    def read(self, line: str) -> Row | None:
        """The row that a line is; None for every other line."""
        prefix, rest = unquote(line)
        if rest.startswith('"'):
            return self._cells(rest)
        match = _ROW.match(rest)
        if not match:
            return None
        length, info = match["length"], match["info"]
        said = read_info(match["protocol"], info)
        if length and isinstance(said, Opaque):
            # Without a column for the length its place is the first port's.
            whole = read_info(match["protocol"], f"{length} {info}")
            if isinstance(whole, Segment):
                said, length = whole, None
        if isinstance(said, (Opaque, Icmp)) and not (match["times"] and (match["arrow"] or length)):
            return None  # prose can look like that
        times = re.findall(_TIME, match["times"])
        number = _NUMBER.search(prefix)
        return Row(
            int(number[1]) if number else None,
            _stamp(times[0]) if times else None,
            match["src"],
            match["dst"],
            match["protocol"],
            int(length) if length else None,
            said,
            *_ports(match),
            match["arrow"] is not None,
        )

    def _cells(self, line: str) -> Row | None:
        import csv

        try:
            cells = next(csv.reader([line]), [])
        except csv.Error:
            return None
        names = [cell.strip().lower() for cell in cells]
        if "source" in names and "info" in names:
            self._order = {_known(name): index for index, name in enumerate(names) if name}
            return None
        cell = {
            name: cells[index].strip() if index < len(cells) else ""
            for name, index in self._order.items()
        }
        src, dst, protocol = (cell.get(name, "") for name in ("source", "destination", "protocol"))
        if not (src and dst and protocol and len(cells) >= 5):
            return None
        number, length = cell.get("no.", ""), cell.get("length", "")
        sport, dport = cell.get("sport", ""), cell.get("dport", "")
        return Row(
            int(number) if number.isdecimal() and len(number) < 10 else None,
            _stamp(cell.get("time", "")),
            src,
            dst,
            protocol,
            int(length) if length.isdecimal() and len(length) < 7 else None,
            read_info(protocol, cell.get("info", "")),
            sport if sport.isdecimal() else "",
            dport if dport.isdecimal() else "",
        )


def _stamp(text: str) -> Stamp | None:
    return read_stamp(text.replace(",", "."))


def _known(name: str) -> str:
    """A column's name here: people call those of ports as they like."""
    port = _PORTS.fullmatch(name)
    return name if not port else "sport" if any(port.groups()) else "dport"


def _ports(match: re.Match[str]) -> tuple[str, str]:
    """Ports that stand behind their hosts, or both behind the second."""
    first, one, two = match["sport"], match["one"], match["two"]
    if first and one and not two:
        return first, one
    return (one, two) if one and two and not first else ("", "")
