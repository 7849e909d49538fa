"""Link types that wrap another one, or a radio: PKTAP, PPI, NFLOG, radiotap and 802.11.

Formats: the link-layer header pages of the tcpdump group; IEEE 802.11 section 9.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.gather import records, u16
from capture.decode.link import start
from capture.decode.peel import Peel, Rows, layer

_PKTAP = np.dtype([("length", "<u4"), ("next", "<u4"), ("linktype", "<u4")])
_PPI = np.dtype([("version", "u1"), ("flags", "u1"), ("length", "<u2"), ("linktype", "<u4")])
_RADIOTAP = np.dtype([("version", "u1"), ("pad", "u1"), ("length", "<u2"), ("present", "<u4")])
_TLV = np.dtype([("length", "<u2"), ("type", "<u2")])
_NFLOG_PAYLOAD: Final = 9
_NFLOG_TLVS: Final = 24
"""The kernel has written 19 kinds of attributes so far, each once."""


@layer("pktap")
def pktap(peel: Peel, rows: Rows) -> None:
    """Apple's packet tap: a header, then a frame of the link type it names."""
    rows = peel.need(rows, 12, "PKTAP header")
    _wrapped(peel, rows, records(peel.data, rows.at, _PKTAP), "PKTAP header", 12)


@layer("ppi")
def ppi(peel: Peel, rows: Rows) -> None:
    """Per-Packet Information: a header, then a frame of the link type it names."""
    rows = peel.need(rows, 8, "PPI header")
    _wrapped(peel, rows, records(peel.data, rows.at, _PPI), "PPI header", 8)


def _wrapped(peel: Peel, rows: Rows, head: NDArray[np.void], what: str, least: int) -> None:
    size = head["length"].astype(np.int64)
    linktype = head["linktype"].astype(np.int64)
    good = (size >= least) & (rows.at + size <= rows.end)
    rows = peel.keep(rows, good, f"bad {what} length")
    start(peel, rows.moved(size[good]), linktype[good])


@layer("nflog")
def nflog(peel: Peel, rows: Rows) -> None:
    """Linux netfilter log: attributes, one of which is the IP packet."""
    rows = peel.need(rows, 4, "NFLOG header").moved(4)
    for _ in range(_NFLOG_TLVS):
        inside = rows.at + 4 <= rows.end
        peel.refuse("NFLOG without a packet", int(np.count_nonzero(~inside)))
        rows = rows.take(inside)
        if not len(rows):
            return
        head = records(peel.data, rows.at, _TLV)
        size = head["length"].astype(np.int64)
        payload = head["type"] & 0x7FFF == _NFLOG_PAYLOAD
        found = rows.take(payload)
        found.wire = found.at + size[payload]
        found.end = np.minimum(found.end, found.wire)
        peel.give("raw ip", found.moved(4))
        more = ~payload & (size >= 4)
        peel.refuse("bad NFLOG attribute length", int(np.count_nonzero(~payload & (size < 4))))
        rows = rows.take(more).moved(size[more] + 3 & ~3)
    peel.refuse("NFLOG without a packet", len(rows))


@layer("radiotap")
def radiotap(peel: Peel, rows: Rows) -> None:
    """A radiotap header of any length before an 802.11 frame."""
    rows = peel.need(rows, 8, "radiotap header")
    size = records(peel.data, rows.at, _RADIOTAP)["length"].astype(np.int64)
    good = (size >= 8) & (rows.at + size <= rows.end)
    rows = peel.keep(rows, good, "bad radiotap header length")
    peel.give("802.11", rows.moved(size[good]))


@layer("802.11")
def wifi(peel: Peel, rows: Rows) -> None:
    """802.11 data frames in clear; everything else has no IP to show."""
    rows = peel.need(rows, 24, "802.11 header")
    control = u16(peel.data, rows.at)
    data = control & 0x0C00 == 0x0800
    rows, control = peel.keep(rows, data, "802.11 management and control frames"), control[data]
    clear = control & 0x0040 == 0
    rows, control = peel.keep(rows, clear, "802.11 data (encrypted)"), control[clear]
    filled = control & 0x4000 == 0
    rows, control = peel.keep(rows, filled, "802.11 null data"), control[filled]
    size = 24 + 6 * (control & 3 == 3)
    qos = control & 0x8000 != 0
    # The order bit of a QoS frame announces four bytes of HT control.
    size += 2 * qos + 4 * (qos & (control & 0x0080 != 0))
    peel.give("llc", rows.moved(size))
