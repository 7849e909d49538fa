"""Conversations written down as lines, built into frames and fed to a tracker.

A line is ``MS SENDER FLAGS SEQ+LENGTH ACK [WORD...] [: CLASS, CLASS]``:

    0    c S  0     0  mss=1460 ws=7
    20   p SA 0     1  mss=1400 ws=7
    20.1 c A  1     1
    21   c PA 1+100 1
    260  c PA 1+100 1  : retransmission

Sequence and acknowledgement numbers are relative to the sides' initial ones, as Wireshark
shows them. Words: ``w=`` window, ``ws=`` window scale and ``mss=`` (in a SYN), ``sack=L-R``,
``id=`` IP identification, ``port=`` the client's port, ``ttl=``, ``cut=`` payload bytes
captured, ``isn=`` another initial sequence number of the sender from here on, ``copy`` (the
same packet again), ``x=TEXT`` the payload (its length counts; ``_`` is a space, ``~`` the end
of a line), ``b=HEX`` the same in hexadecimal.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from capture.decode import Decoder
from capture.facts import FlowFacts
from capture.packets import index as packets
from capture.sources import open_source
from capture.tracking.tracker import Tracker
from tests.capture.decode.building import Frame, block_of

DATA: Final = Path(__file__).parents[2] / "data" / "captures"
DEMOS: Final = Path(__file__).parents[3] / "capture" / "demos"

START_NS: Final = 1_741_951_812_000_000_000
FLAGS: Final = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32, "E": 64, "C": 128}
PORTS: Final = {"c": 40716, "p": 3128}
ADDRESSES: Final = {"c": bytes([10, 40, 40, 1]), "p": bytes([10, 10, 10, 1])}

NAMES: Final = {name: bit for bit, name in packets.ANALYSIS_NAMES.items()} | {
    "duplicate": packets.DUPLICATE,
    "lost": packets.LOST_SEGMENT,
    "unseen": packets.ACKED_UNSEEN,
}

HANDSHAKE: Final = """
0    c S  0 0 mss=1460 ws=7
20   p SA 0 1 mss=1460 ws=7
20.1 c A  1 1
"""


@dataclass(slots=True)
class Story:
    """Frames, and the classes that each is expected to have."""

    frames: list[Frame] = field(default_factory=list)
    expected: list[int] = field(default_factory=list)


def story(
    text: str,
    *,
    isn: tuple[int, int] = (1000, 5000),
    port: int = PORTS["c"],
    udp_between: bool = False,
) -> Story:
    """Build the frames of a story.

    Args:
        text: Lines as the module describes; ``#`` begins a remark.
        isn: Initial sequence numbers of client and proxy.
        port: The client's port.
        udp_between: Put a frame that is no TCP behind every other one.
    """
    result = Story()
    base = {"c": isn[0], "p": isn[1]}
    ident = 100
    last: dict[str, Any] = {}
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        told, _, classes = line.partition(" : ")
        ms, sender, flags, place, ack, *words = told.split()
        given = {"port": str(port)} | dict(word.partition("=")[::2] for word in words)
        seq, _, length = place.partition("+")
        if "isn" in given:
            base[sender] = int(given["isn"])
        ident += 1
        if "copy" not in given:
            last = {"id": ident & 0xFFFF}
        last |= {"id": int(given["id"])} if "id" in given else {}
        frame = _frame(sender, flags, int(seq), int(length or 0), int(ack), base, given, last["id"])
        frame.time_ns = START_NS + round(float(ms) * 1e6)
        result.frames.append(frame)
        bits = 0
        for name in filter(None, (item.strip() for item in classes.split(","))):
            bits |= NAMES[name]
        result.expected.append(bits)
        if udp_between:
            result.frames.append(Frame(b"\2" * 12 + b"\x88\xcc" + bytes(50), 1, frame.time_ns))
            result.expected.append(0)
    return result


def _frame(
    sender: str, flags: str, seq: int, length: int, ack: int,
    base: dict[str, int], given: dict[str, str], ident: int,
) -> Frame:  # fmt: skip
    other = "p" if sender == "c" else "c"
    bits = sum(FLAGS[flag] for flag in flags)
    ports = PORTS | {"c": int(given["port"])}
    options = b""
    if "mss" in given:
        options += struct.pack(">BBH", 2, 4, int(given["mss"]))
    if "ws" in given:
        options += struct.pack(">BBBB", 1, 3, 3, int(given["ws"]))
    if "sack" in given:
        left, right = (int(n) + base[other] & 0xFFFFFFFF for n in given["sack"].split("-"))
        options += struct.pack(">BBBBII", 1, 1, 5, 10, left, right)
    payload = given["x"].replace("_", " ").replace("~", "\r\n").encode() if "x" in given else None
    if "b" in given:
        payload = bytes.fromhex(given["b"])
    if payload is None:
        payload = bytes((seq + at) * 7 & 0x7F | 0x80 for at in range(length))
    tcp = struct.pack(
        ">HHIIBBHHH", ports[sender], ports[other], seq + base[sender] & 0xFFFFFFFF,
        ack + base[other] & 0xFFFFFFFF if bits & 16 else 0, (20 + len(options)) // 4 << 4, bits,
        int(given.get("w", 500)), 0, 0,
    )  # fmt: skip
    size = 20 + len(tcp) + len(options) + len(payload)
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, size, ident, 0x4000, int(given.get("ttl", 64)), 6, 0,
        ADDRESSES[sender], ADDRESSES[other],
    )  # fmt: skip
    data = b"\2" * 12 + b"\x08\x00" + ip + tcp + options
    kept = payload[: int(given["cut"])] if "cut" in given else payload
    return Frame(data + kept, wirelen=len(data) + len(payload))


@dataclass(slots=True)
class Tracked:
    """A tracker that was fed, and the classes of every frame by number."""

    tracker: Tracker
    bits: dict[int, int]
    flows: dict[int, int]
    """Flow (from 0) of every frame with TCP, by frame number."""

    def facts(self, flow: int = 0) -> FlowFacts:
        return self.tracker.facts(flow)

    def all_facts(self) -> list[FlowFacts]:
        return self.tracker.facts_of(list(range(len(self.tracker))))

    def columns(self) -> dict[str, list[Any]]:
        """Every column of the table, as far as it is filled."""
        table, found = self.tracker.table, {}
        for name, part, rows in (("flow", table.flows, 1), ("side", table.sides, 2)):
            for column, _, _ in part._spec:
                found[f"{name}.{column}"] = getattr(part, column)[: rows * table.count].tolist()
        return found


def track(
    frames: Sequence[Frame],
    cuts: Sequence[int] = (),
    *,
    settle: bool = True,
    finish: bool = True,
) -> Tracked:
    """Feed frames to a new tracker, as blocks that end at each of ``cuts``.

    Args:
        frames: The capture.
        cuts: How many frames come before each border.
        settle: As the tracker's.
        finish: Tell the tracker that the capture is at its end.
    """
    decoder = Decoder()
    result = Tracked(Tracker(decoder.addresses.text, settle=settle), {}, {})
    ends = sorted({*cuts, len(frames)} - {0})
    start = 0
    for end in ends:
        if end > len(frames) or end == start:
            continue
        block = block_of(frames[start:end], first_number=start + 1)
        decoded = decoder.decode(block)
        analysed = result.tracker.add(decoded)
        start = end
        if analysed is None:
            continue
        result.flows.update(zip(analysed.number.tolist(), analysed.flow.tolist(), strict=True))
        result.bits.update(zip(analysed.number.tolist(), analysed.analysis.tolist(), strict=True))
        copies = zip(analysed.duplicates.tolist(), analysed.duplicate_row.tolist(), strict=True)
        for index, row in copies:
            number = int(decoded.segments.number[index])
            result.bits[number], result.flows[number] = packets.DUPLICATE, row >> 1
    if finish:
        result.tracker.finish()
    return result


def every(size: int, frames: Sequence[Frame]) -> range:
    """Cuts that make blocks of ``size`` frames."""
    return range(size, len(frames), size)


def frames_in(path: Path) -> list[Frame]:
    """All frames of a capture of any kind."""
    return list(_frames(path))


def _frames(path: Path) -> Iterator[Frame]:
    source = open_source(str(path))
    try:
        for block in source.blocks():
            for i in range(len(block)):
                at, size = int(block.offset[i]), int(block.caplen[i])
                yield Frame(
                    block.data[at : at + size].tobytes(),
                    int(block.linktype[i]),
                    int(block.time_ns[i]),
                    int(block.wirelen[i]),
                )
    finally:
        source.close()


def captures() -> list[Path]:
    """Every small capture at hand."""
    return [*binary(DATA), *binary(DEMOS)]


def binary(directory: Path) -> list[Path]:
    """The captures of a directory that hold frames."""
    return sorted(path for path in directory.iterdir() if path.suffix in (".pcap", ".pcapng"))


def write_pcap(path: Path, frames: Sequence[Frame]) -> None:
    """Write Ethernet frames as a pcap file with nanoseconds."""
    data = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for frame in frames:
        seconds, rest = divmod(frame.time_ns, 10**9)
        wire = len(frame.data) if frame.wirelen is None else frame.wirelen
        data += [struct.pack("<IIII", seconds, rest, len(frame.data), wire), frame.data]
    path.write_bytes(b"".join(data))


def names_of(bits: int) -> str:
    """The classes in words, for a failed assertion."""
    return ", ".join(name for bit, name in packets.ANALYSIS_NAMES.items() if bits & bit)
