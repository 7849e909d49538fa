from __future__ import annotations

import pytest

from capture.facts import CLIENT, PROXY
from capture.stream.layout import blocks_of
from capture.stream.reading import StreamReader
from capture.stream.text import LineKind, StreamLine
from tests.capture.stream.build import reader_of
from tests.widgets.screen import HOSTILE, Stage, staged, steers
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.stream_bytes import StreamBlocks, StreamHexView, StreamSizesView
from widgets.stream_text import StreamTextView

LINES = [
    StreamLine(CLIENT, LineKind.TURN, "client, 20 bytes, #4 at 0.1 s", 0, 20, 3),
    StreamLine(CLIENT, LineKind.FIRST, "GET / HTTP/1.1", 0, 16),
    StreamLine(CLIENT, LineKind.FIELD, "Host: " + "x" * 100, 16, 18),
    StreamLine(PROXY, LineKind.TURN, "proxy, 9 bytes, #5 at 0.2 s", 0, 9, 4),
    StreamLine(PROXY, LineKind.GAP, "[9 bytes not captured]", 0, 9),
]


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
async def test_lines_are_broken_and_keep_their_side(glyphs: Glyphs) -> None:
    async with staged(StreamTextView(glyphs=glyphs), 61, 12) as stage:
        stage.widget.show(LINES, complete=True)
        lines = stage.lines()
        assert lines[0] == f"{glyphs.right} client, 20 bytes, #4 at 0.1 s"
        assert lines[1:5] == ["  GET / HTTP/1.1", "  Host:", "  " + "x" * 58, "  " + "x" * 42]
        assert lines[5:7] == [
            f"{glyphs.left} proxy, 9 bytes, #5 at 0.2 s",
            "  [9 bytes not captured]",
        ]
        assert stage.fits()
        stage.widget.show(LINES, complete=True, side=PROXY)
        assert stage.lines()[0].startswith(glyphs.left)
        assert stage.widget.row_count() == 2


async def test_more_lines_are_asked_for_in_time() -> None:
    lines = [StreamLine(CLIENT, LineKind.TEXT, f"line {n}", n, n + 1) for n in range(60)]
    async with staged(StreamTextView(), 60, 12) as stage:
        stage.widget.show(lines, complete=False)
        await stage.press("down")
        assert not stage.heard
        await stage.press(*["pagedown"] * 3)
        assert {type(item) for item in stage.heard} == {StreamTextView.MoreWanted}
        await stage.press("G")
        last = stage.heard[-1]
        assert isinstance(last, StreamTextView.MoreWanted)
        assert last.all_of_it
        lines.append(StreamLine(CLIENT, LineKind.TEXT, "the last", 60, 61))
        cursor = stage.widget.cursor
        stage.widget.show(lines, complete=True)
        assert (stage.widget.cursor, stage.widget.row_count()) == (cursor, 61)


async def test_finding_and_turns() -> None:
    async with staged(StreamTextView(), 60, 12) as stage:
        view = stage.widget
        view.show(LINES, complete=True)
        assert view.find("not CAPTURED", 1)
        assert view.place == (PROXY, 0)
        assert not view.find("not captured", 1)
        assert view.find("host", -1)
        assert view.place == (CLIENT, 16)
        assert view.go_to_turn(1)
        assert not view.go_to_turn(1)
        assert view.selected is LINES[3]
        assert view.go_to_turn(-1)
        view.go_to_offset(CLIENT, 17)
        assert view.selected is LINES[2]


async def test_hostile_lines_do_not_steer() -> None:
    lines = [StreamLine(CLIENT, LineKind.TEXT, name, 0, 1) for name in HOSTILE]
    async with staged(StreamTextView(), 40, 30) as stage:
        stage.widget.show(lines, complete=True)
        assert not steers(stage.lines())
        assert stage.fits()


TALK = (
    (CLIENT, b"abcdefghijklmnopqrst"),
    (PROXY, b"\x1b[31m" + bytes(12)),
    (PROXY, b"zz", {"seq": 1 + 40}),
    (CLIENT, b"uv", {"caplen": 54 + 1}),
)


def shown(stage: Stage[StreamHexView] | Stage[StreamSizesView], reader: StreamReader) -> None:
    hexes = isinstance(stage.widget, StreamHexView)
    blocks = blocks_of(reader.assembly, merged=hexes)
    stage.widget.show(blocks, reader._view, reader.assembly.first_ns)


async def test_hex_of_any_part() -> None:
    reader = reader_of(*TALK)
    async with staged(StreamHexView(reader.read), 80, 14) as stage:
        shown(stage, reader)
        lines = stage.lines()
        assert lines[0] == "→ client, 20 bytes, #4 at 0.013000 s"
        assert lines[1] == (
            "00000000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop"
        )
        assert lines[2].startswith("00000010  71 72 73 74 ")
        assert lines[2].endswith(" qrst")
        assert "1b 5b 33 31 6d 00" in lines[4]
        assert lines[6] == "  [23 bytes not captured]"
        assert lines[7].startswith("00000028  7a 7a ")
        assert lines[9].startswith("00000014  75 -- ")
        assert stage.fits()
        assert not steers(lines)


@pytest.mark.parametrize("width", [30, 50, 80, 200])
async def test_hex_fits_any_width(width: int) -> None:
    reader = reader_of(*TALK)
    async with staged(StreamHexView(reader.read, glyphs=ASCII), width, 20) as stage:
        shown(stage, reader)
        assert stage.fits()
        assert "".join(stage.lines()).isascii()


async def test_a_marked_range_and_jumps() -> None:
    reader = reader_of(*TALK)
    async with staged(StreamHexView(reader.read), 80, 5) as stage:
        shown(stage, reader)
        view = stage.widget
        view.mark(PROXY, 40, 42)
        assert view.place == (PROXY, 40)
        await stage.press("enter")
        (opened,) = [item for item in stage.heard if isinstance(item, StreamBlocks.Opened)]
        assert (opened.side, opened.offset) == (PROXY, 40)
        assert view.go_to_turn(1)
        assert view.place == (CLIENT, 20)
        assert not view.go_to_turn(1)
        assert view.go_to_turn(-1)
        view.go_to_offset(PROXY, 20)
        assert stage.lines()[view.cursor - view.top_row] == "  [23 bytes not captured]"


async def test_sizes_packet_by_packet() -> None:
    reader = reader_of(*TALK)
    async with staged(StreamSizesView(), 80, 12) as stage:
        shown(stage, reader)
        lines = [line.split() for line in stage.lines()]
        assert lines[0] == ["packet", "seconds", "offset", "bytes"]
        assert lines[2] == ["→", "#4", "0.013000", "0", "20"]
        assert lines[4] == ["←", "#5", "0.014000", "0", "17"]
        assert lines[5] == ["←", "17", "23", "not", "captured"]
        assert lines[6] == ["←", "#6", "0.015000", "40", "2"]
        assert stage.fits()


async def test_a_million_packets_are_laid_out_and_only_those_on_screen_read() -> None:
    import numpy as np

    from capture.packets.index import PACKET_DTYPE, PacketView
    from capture.stream.assembly import assemble

    rows = np.zeros(1_000_000, PACKET_DTYPE)
    rows["flow"], rows["length"], rows["sender"] = 1, 1000, PROXY
    rows["seq"] = 1 + 1000 * np.arange(len(rows))
    view = PacketView(rows)
    reads: list[int] = []

    def fetch(number: int) -> bytes:
        reads.append(number)
        raise LookupError("none")

    reader = StreamReader(fetch, view, assemble(view, np.arange(len(view))))
    async with staged(StreamHexView(reader.read), 80, 20) as stage:
        shown(stage, reader)
        assert stage.widget.row_count() == 1 + 1_000_000_000 // 16
        await stage.press("G")
        assert stage.widget.place == (PROXY, 999_999_984)
        assert len(set(reads)) < 100
