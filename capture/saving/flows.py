"""Saves selected tunnels: their packets as a pcapng or pcap file, the findings as comments."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture import __version__
from capture.facts import FlowFacts
from capture.frames import FrameBlock, Interface, Ints
from capture.keeping.store import FrameGone, PacketStore
from capture.packets.index import PacketView
from capture.report.model import FlowReport
from capture.report.redact import safe
from capture.saving.edits import Changes, Edit, differences, flow_edits
from capture.saving.headers import (
    ARP,
    DNS,
    ETHERNET,
    IP4,
    IP6,
    SLL,
    SLL2,
    TCP,
    Layer,
    fix_checksums,
    layers,
)
from capture.saving.names import Anonymizer
from capture.second_leg.pairing import SecondLeg
from capture.stream.payloads import payload_spans
from capture.units import plural
from capture.writing import pcap, pcapng

_NO_LEGS: Final[Mapping[int, Sequence[SecondLeg]]] = MappingProxyType({})
_BATCH_PACKETS: Final = 8192
_BATCH_BYTES: Final = 8 << 20
_LOOSE: Final = 3
"""A stretch of the file is read whole unless it is this many times larger than its frames."""


class Format(StrEnum):
    """File formats."""

    PCAPNG = "pcapng"
    PCAP = "pcap"


class CannotSave(Exception):
    """What is wanted is not possible. ``str()`` is one line."""


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """What a saved file is to be."""

    format: Format = Format.PCAPNG
    redact: bool = True
    """Cover credentials in the packets, byte for byte, and adjust the checksums."""
    anonymize: bool = False
    """Replace addresses and names by made-up ones, too."""
    comments: bool = True
    """Put each finding as a comment on the packets that it rests on (pcapng only)."""


class FlowSaver:
    """Tunnels on their way to a file.

    ``chunks`` makes the file; stop asking for more to give up.

    Args:
        view: The packet index.
        flows: Reports of the tunnels; all packets of theirs are saved, those of the proxy's own
            connections for them, and those that their findings rest on.
        facts: By flow uid.
        store: Fetches the frames.
        legs: By flow uid: the proxies' own connections.
        source: Name of the capture they are from.
        interfaces: Of that capture, as far as known.
        options: What the file is to be.

    Raises:
        CannotSave: There is nothing to save, or the format cannot hold it.
    """

    def __init__(
        self,
        view: PacketView,
        flows: Sequence[FlowReport],
        facts: Mapping[int, FlowFacts],
        store: PacketStore,
        *,
        legs: Mapping[int, Sequence[SecondLeg]] = _NO_LEGS,
        source: str = "",
        interfaces: Sequence[Interface] = (),
        options: SaveOptions | None = None,
    ) -> None:
        self._view = view
        self._flows = flows
        self._connections = {flow.uid: facts.get(flow.uid) for flow in flows if flow.uid}
        for flow in flows:
            self._connections |= {leg.facts.id: leg.facts for leg in legs.get(flow.uid, ())}
        self._store = store
        self._source = source
        self._interfaces = interfaces
        self.options = options or SaveOptions()
        self._anonymizer = Anonymizer() if self.options.anonymize else None
        if self._anonymizer is not None:
            self._anonymizer.learn(_names(flows, self._connections.values()))
        self._changes = Changes(self.options.redact, self._anonymizer)
        self._rows = _rows(view, flows, self._connections)
        if not len(self._rows):
            raise CannotSave("there is no packet to save")
        kinds = np.unique(view.rows["linktype"][self._rows])
        if self.options.format is Format.PCAP and len(kinds) > 1:
            raise CannotSave("the packets are of several link types: save them as pcapng")
        self.packets = 0
        """Packets written."""
        self.changed = 0
        """Packets in which something was covered or replaced."""
        self.gone = 0
        """Packets whose bytes cannot be had any more."""
        self.part = 0.0
        """How much of the work is done, 0 to 1."""

    def chunks(self) -> Generator[bytes, None, None]:
        """The file, piece by piece; to be called once."""
        rows = self._rows
        edits: dict[int, list[Edit]] = {}
        for done, (facts, own) in enumerate(self._by_connection()):
            edits.update(flow_edits(self._view, own, facts, self._fetch, self._changes))
            self.part = 0.5 * (done + 1) / len(self._connections)
            yield b""  # a moment to give up in
        nanoseconds = bool((self._view.rows["time_ns"][rows] % 1000).any())
        numbers = self._numbers()
        yield self._head(numbers, nanoseconds)
        comments = self._comments() if self.options.comments else {}
        for batch in self._batches():
            block, kept = self._block(batch, edits)
            if len(block):
                if self.options.format is Format.PCAP:
                    yield pcap.records(block, nanoseconds=nanoseconds).tobytes()
                else:
                    yield self._enhanced(block, kept, numbers, comments)
            self.packets += len(block)
            self.part = 0.5 + 0.5 * (self.packets + self.gone) / len(rows)

    def _by_connection(self) -> Iterator[tuple[FlowFacts | None, Ints]]:
        """The connections that may need a change, each with its rows in capture order."""
        if not self._changes:
            return
        uids = self._view.rows["flow"][self._rows]
        order = np.argsort(uids, kind="stable")
        rows, uids = self._rows[order], uids[order]
        for uid, facts in self._connections.items():
            low, high = np.searchsorted(uids, (uid, uid + 1)).tolist()
            yield facts, rows[low:high]

    # -- what comes before the packets ------------------------------------------------

    def _numbers(self) -> dict[tuple[int, int], int]:
        """Interface and link type -> number of the interface in the file."""
        table = self._view.rows[self._rows]
        keys = np.unique(table["interface"].astype(np.int64) << 16 | table["linktype"])
        return {(key >> 16, key & 0xFFFF): at for at, key in enumerate(keys.tolist())}

    def _head(self, numbers: Mapping[tuple[int, int], int], nanoseconds: bool) -> bytes:
        if self.options.format is Format.PCAP:
            ((_, linktype),) = {(0, kind) for _, kind in numbers}
            return pcap.header(linktype, nanoseconds=nanoseconds)
        made = [pcapng.section([self._about()], where=self._anonymizer is None)]
        for index, linktype in numbers:
            item = Interface(linktype)
            if index < len(self._interfaces):
                item = self._interfaces[index]
                item = replace(item, name=self._said(item.name), filter=self._said(item.filter))
            made.append(pcapng.interface(item, linktype))
        return b"".join(made)

    def _about(self) -> str:
        said = [f"{plural(len(self._flows), 'tunnel')} saved by tunnelscope {__version__}"]
        if self._source and self._anonymizer is None:
            said[0] += f" from {self._said(self._source)}"
        if self.options.redact:
            said.append("credentials are covered by *")
        if self._anonymizer is not None:
            said.append("addresses and names are made up")
        if self._changes:
            said.append("checksums of changed packets are adjusted")
        return "; ".join(said)

    def _comments(self) -> dict[int, list[str]]:
        """Row of a packet -> what the findings say of it, with the new file's numbers."""
        found: dict[int, list[str]] = {}

        def renumbered(mention: re.Match[str]) -> str:
            row = self._view.row(int(mention[1]))
            at = int(np.searchsorted(self._rows, row)) if row is not None else len(self._rows)
            if at < len(self._rows) and self._rows[at] == row:
                return f"#{at + 1}"
            return f"{mention[0]} of the whole capture"

        for flow in self._flows:
            for finding in flow.findings:
                seen = re.sub(r"#(\d+)", renumbered, finding.observation)
                text = f"tunnelscope: {finding.title}: {seen}"
                for number in finding.packets:
                    row = self._view.row(number)
                    if row is not None:
                        found.setdefault(row, []).append(self._said(text))
        return found

    def _said(self, text: str) -> str:
        """A text of ours without what must not be in the file."""
        text = safe(text)
        if self._anonymizer is not None:
            text = self._anonymizer.text(text.encode()).decode("utf-8", "replace")
        return text

    def _enhanced(
        self,
        block: FrameBlock,
        rows: Ints,
        numbers: Mapping[tuple[int, int], int],
        comments: Mapping[int, list[str]],
    ) -> bytes:
        """Packet blocks of a batch, with the comments on its packets."""
        keys = block.interface.astype(np.int64) << 16 | block.linktype
        kinds = np.unique(keys)
        of_kind = np.array([numbers[key >> 16, key & 0xFFFF] for key in kinds.tolist()], np.int64)
        said = {index: comments[row] for index, row in enumerate(rows.tolist()) if row in comments}
        data, _ = pcapng.packets(block, of_kind[np.searchsorted(kinds, keys)], said)
        return data.tobytes()

    # -- the packets ------------------------------------------------------------------

    def _fetch(self, number: int) -> bytes:
        row = self._view.row(number)
        if row is None:
            raise LookupError(f"packet {number} is no longer kept")
        packet = self._view.rows[row]
        return self._store.frame(int(packet["position"]), int(packet["caplen"]))

    def _batches(self) -> Iterator[Ints]:
        sizes = np.cumsum(self._view.rows["caplen"][self._rows], dtype=np.int64)
        start = 0
        while start < len(self._rows):
            before = int(sizes[start - 1]) if start else 0
            end = int(np.searchsorted(sizes, before + _BATCH_BYTES)) + 1
            end = min(end, start + _BATCH_PACKETS, len(self._rows))
            yield self._rows[start:end]
            start = end

    def _block(self, rows: Ints, edits: Mapping[int, list[Edit]]) -> tuple[FrameBlock, Ints]:
        """The frames of some rows as they are to be written, and the rows that are left."""
        data, offset, rows = self._read(rows)
        table = self._view.rows[rows]
        block = FrameBlock(
            data=np.frombuffer(data, np.uint8),
            offset=offset,
            time_ns=table["time_ns"].astype(np.int64),
            caplen=table["caplen"].astype(np.int64),
            wirelen=table["wirelen"].astype(np.int64),
            linktype=table["linktype"],
            interface=table["interface"].astype(np.int32),
            position=offset,
            first_number=1,
        )
        if self._changes:
            # Packets of other flows, that a finding rests on, are looked at one by one.
            foreign = ~np.isin(table["flow"], list(self._connections))
            touched = np.ones(len(rows), np.bool_)
            if self._anonymizer is None:
                touched = foreign | np.isin(rows, np.fromiter(edits, np.int64, len(edits)))
            self._change(block, data, rows, np.flatnonzero(touched).tolist(), foreign, edits)
        return block, rows

    def _read(self, rows: Ints) -> tuple[bytearray, Ints, Ints]:
        """Frames of rows in one buffer, where each begins in it, and the rows that were had."""
        table = self._view.rows
        position = table["position"][rows]
        caplen = table["caplen"][rows].astype(np.int64)
        first, end = int(position.min()), int((position + caplen).max())
        if first >= 0 and end - first <= _LOOSE * (int(caplen.sum()) + 64 * len(rows)):
            try:
                self._store.frame(int(position[0]), int(caplen[0]))  # tells a changed file
                return bytearray(self._store.span(first, end - first)), position - first, rows
            except FrameGone:
                pass  # some of them may still be there
        frames: list[bytes] = []
        had: list[int] = []
        for row, at, size in zip(rows.tolist(), position.tolist(), caplen.tolist(), strict=True):
            try:
                frames.append(self._store.frame(at, size))
            except FrameGone:
                self.gone += 1
            else:
                had.append(row)
        sizes = np.array([len(frame) for frame in frames], np.int64)
        return bytearray(b"".join(frames)), np.cumsum(sizes) - sizes, np.array(had, np.int64)

    def _change(
        self,
        block: FrameBlock,
        data: bytearray,
        rows: Ints,
        touched: Sequence[int],
        foreign: NDArray[np.bool_],
        edits: Mapping[int, list[Edit]],
    ) -> None:
        """Cover and replace, in place."""
        starts, sizes = block.offset.tolist(), block.caplen.tolist()
        looked = [index for index in touched if foreign[index] or int(rows[index]) in edits]
        frames = [bytes(data[starts[i] : starts[i] + sizes[i]]) for i in looked]
        kinds = block.linktype[looked].tolist()
        payloads = dict(zip(looked, payload_spans(frames, kinds) if frames else [], strict=True))
        for index in touched:
            start, end = starts[index], starts[index] + sizes[index]
            old = bytes(data[start:end])
            new = bytearray(old)
            found = layers(old, int(block.linktype[index]))
            span = payloads.get(index)
            if span is not None:
                changes = edits.get(int(rows[index]), [])
                if foreign[index]:
                    changes = self._alone(old[slice(*span)])
                _apply(changes, new, span)
            elif index in payloads:
                # In pieces, or no segment of its own: an error that quotes one.
                for at, upto in _tcp_payloads(old, found):
                    _apply(self._alone(old[at:upto]), new, (at, upto))
            if self._anonymizer is not None:
                _replace_addresses(old, new, found, self._anonymizer)
            if new != old:
                fix_checksums(found, old, new)
                data[start:end] = new
                self.changed += 1

    def _alone(self, payload: bytes) -> list[Edit]:
        """What is to be changed in a payload that is looked at without its stream."""
        is_tls = payload[:1] in _TLS_TYPES and payload[1:2] == b"\x03"
        made = self._changes.handshake(payload) if is_tls else self._changes.text(payload)
        return differences(payload, made)


_TLS_TYPES: Final = (b"\x14", b"\x15", b"\x16", b"\x17")


def _apply(edits: Sequence[Edit], frame: bytearray, span: tuple[int, int]) -> None:
    """Change the payload that a frame has at ``span``."""
    for edit in edits:
        at = span[0] + edit.start
        upto = min(at + len(edit.data), span[1])
        if at < upto:
            frame[at:upto] = edit.data[: upto - at]


def _tcp_payloads(frame: bytes, found: Sequence[Layer]) -> Iterator[tuple[int, int]]:
    """What follows each TCP header of a frame, as far as it is there."""
    for layer in found:
        if layer.kind == TCP and layer.start + 13 <= len(frame):
            at = layer.start + max(20, (frame[layer.start + 12] >> 4) * 4)
            if at < layer.end:
                yield at, layer.end


def _replace_addresses(
    old: bytes, new: bytearray, found: list[Layer], anonymizer: Anonymizer
) -> None:
    """Replace the addresses in all headers of a frame."""
    for layer in found:
        start = layer.start
        for at, size in _ADDRESSES.get(layer.kind, ()):
            value = old[start + at : start + at + size]
            if len(value) == size:
                new[start + at : start + at + size] = anonymizer.address(value)
        if layer.kind == DNS:
            new[start : layer.end] = anonymizer.dns(old[start : layer.end])


_ADDRESSES: Final = {
    ETHERNET: ((0, 6), (6, 6)),
    SLL: ((6, 6),),
    SLL2: ((12, 6),),
    ARP: ((8, 6), (14, 4), (18, 6), (24, 4)),
    IP4: ((12, 4), (16, 4)),
    IP6: ((8, 16), (24, 16)),
}
"""Where addresses stand in a header, and how long they are."""


def _rows(
    view: PacketView, flows: Sequence[FlowReport], connections: Mapping[int, FlowFacts | None]
) -> NDArray[np.int64]:
    """Rows of the connections' packets and of those that the flows' findings rest on."""
    own = np.flatnonzero(np.isin(view.rows["flow"], list(connections)))
    more = {number for flow in flows for item in flow.findings for number in item.packets}
    for facts in connections.values():
        if facts is not None:
            more.update(error.number for error in facts.icmp)
    extra = [row for number in more if (row := view.row(number)) is not None]
    return np.union1d(own, np.array(extra, np.int64)).astype(np.int64)


_NAMING_FIELDS: Final = ("via", "x-cache", "x-cache-lookup")
"""Fields in which proxies name themselves: ``1.1 name (squid)``, ``MISS from name:3128``."""
_NAMED: Final = re.compile(r"(?:from|\d\.\d) ([\w.-]++)(?! \(\1\b)")
"""The name; but not where it is the product's."""


def _names(flows: Sequence[FlowReport], known: Iterable[FlowFacts | None]) -> set[str]:
    """Hosts' names that the flows and their connections are known to speak of."""
    found = {flow.target for flow in flows if flow.target}
    found.update(end for flow in flows for end in (flow.client, flow.proxy))
    found.update(attempt.target for flow in flows for attempt in flow.attempts)
    for flow in flows:
        if flow.tls is not None and flow.tls.sni:
            found.add(flow.tls.sni)
    for facts in known:
        for exchange in facts.exchanges if facts is not None else ():
            if exchange.request is not None:
                found.update((exchange.request.authority, exchange.request.header("host") or ""))
            if exchange.response is not None:
                for field in _NAMING_FIELDS:
                    value = exchange.response.header(field) or ""
                    found.update(_NAMED.findall(value))
    return {_host(text) for text in found}


def _host(text: str) -> str:
    """The host of ``host:port``, or of a URI."""
    text = text.partition("://")[2] or text
    text = text.partition("/")[0].rpartition("@")[2]
    if text.startswith("["):
        return ""  # an address
    return text.partition(":")[0]
