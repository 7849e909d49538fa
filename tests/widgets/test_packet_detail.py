from __future__ import annotations

import pytest

from tests.widgets.screen import HOSTILE, staged, steers
from widgets.glyphs import ASCII, UNICODE
from widgets.packet_detail import HexView, LayerField, LayerTree

LAYERS = (
    LayerField("Frame", "60 bytes", 0, 60, (LayerField("number", "8", -1, -1),)),
    LayerField(
        "Ethernet", "a > b", 0, 14, (LayerField("dst", "b", 0, 6), LayerField("src", "a", 6, 12))
    ),
    LayerField(
        "IP", "1 > 2", 14, 34,
        (LayerField("flags", "DF", 20, 22, (LayerField("df", "1", 20, 21),)),),
    ),
)  # fmt: skip


def labels(stage: object) -> list[str]:
    return [m.field.label for m in stage.heard]  # type: ignore[attr-defined]


async def test_the_last_layer_is_open() -> None:
    async with staged(LayerTree(), 40, 8) as stage:
        stage.widget.show(LAYERS)
        await stage.settle()
        assert stage.lines()[:5] == [
            "▸ Frame  60 bytes",
            "▸ Ethernet  a > b",
            "▾ IP  1 > 2",
            "  ▸ flags  DF",
            "",
        ]
        assert stage.fits()


async def test_folding_and_moving() -> None:
    async with staged(LayerTree(), 40, 10) as stage:
        stage.widget.show(LAYERS)
        await stage.press("j", "l", "l", "j", "h")
        assert labels(stage) == ["Frame", "Ethernet", "dst", "src", "Ethernet"]
        assert stage.lines()[1:4] == ["▾ Ethernet  a > b", "    dst  b", "    src  a"]
        await stage.press("h")
        assert stage.lines()[2] == "▾ IP  1 > 2"
        await stage.press("enter")
        assert stage.lines()[2] == "    dst  b"
        await stage.press("space", "g", "right", "right", "right")
        assert stage.widget.selected == LAYERS[0].children[0]


async def test_open_layers_stay_open_from_packet_to_packet() -> None:
    async with staged(LayerTree(), 40, 10) as stage:
        stage.widget.show(LAYERS)
        await stage.press("l")
        stage.widget.show(LAYERS[:2])
        await stage.settle()
        assert stage.lines()[0] == "▾ Frame  60 bytes"
        assert stage.lines()[2] == "▾ Ethernet  a > b"
        stage.widget.show(())
        await stage.press("l", "h", "space", "j")
        assert stage.widget.selected is None
        assert stage.lines()[0].strip() == "No layers"


async def test_a_byte_finds_its_field() -> None:
    async with staged(LayerTree(), 40, 10) as stage:
        stage.widget.show(LAYERS)
        for offset, label in ((20, "df"), (21, "flags"), (8, "src"), (30, "IP"), (50, "Frame")):
            assert stage.widget.select_at(offset)
            assert stage.widget.selected is not None
            assert stage.widget.selected.label == label
        assert not stage.widget.select_at(600)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [10, 40])
async def test_hostile_fields(width: int, glyphs: object) -> None:
    layers = tuple(
        LayerField(name, name, 0, 1, (LayerField(name, name, 0, 1),)) for name in HOSTILE
    )
    async with staged(LayerTree(glyphs=glyphs), width, 20) as stage:  # type: ignore[arg-type]
        stage.widget.show(layers)
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.full_lines())


BYTES = bytes(range(0x20, 0x20 + 90))


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "0010  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  0123456789:;<=>?"),
        (50, "0010  30 31 32 33 34 35 36 37  01234567"),
        (30, "0010  30 31 32 33  0123"),
    ],
)
async def test_bytes_per_row_follow_the_width(width: int, line: str) -> None:
    async with staged(HexView(), width, 30) as stage:
        stage.widget.show(BYTES)
        await stage.settle()
        assert line in stage.lines()
        assert stage.fits()


async def test_unprintable_bytes_are_dots() -> None:
    async with staged(HexView(glyphs=ASCII), 80, 4) as stage:
        stage.widget.show(b"\x00\x1b[31m\x7f\x80\xff")
        await stage.settle()
        assert stage.lines()[0].endswith("..[31m...")
        assert stage.full_lines()[0].isascii()


def marked(stage: object, y: int) -> str:
    widget = stage.widget  # type: ignore[attr-defined]
    return "".join(s.text for s in widget.render_line(y) if s.style and s.style.reverse)


async def test_marked_bytes() -> None:
    async with staged(HexView(), 80, 6) as stage:
        stage.widget.show(BYTES)
        stage.widget.highlight(14, 18)
        await stage.settle()
        assert marked(stage, 0) == "2e 2f./"
        assert marked(stage, 1) == "30 3101"
        stage.widget.highlight(6, 10)
        await stage.settle()
        assert marked(stage, 0) == "26 2728 29&'()"
        assert marked(stage, 1) == ""
        for nothing in ((-1, -1), (9, 9), (500, 600)):
            stage.widget.highlight(*nothing)
            await stage.settle()
            assert marked(stage, 0) == ""


async def test_marked_bytes_come_on_screen() -> None:
    async with staged(HexView(), 80, 4) as stage:
        stage.widget.show(bytes(2000))
        stage.widget.highlight(1600, 1604)
        await stage.settle()
        assert any(line.startswith("0640") for line in stage.lines())


async def test_a_click_names_the_byte() -> None:
    async with staged(HexView(), 80, 8) as stage:
        stage.widget.show(BYTES)
        await stage.settle()
        row = stage.lines()[1]
        for text, offset in (("30 ", 16), ("37 ", 23), ("38 ", 24), ("3f ", 31)):
            await stage.click(row.index(text, 6), 1)
            await stage.settle()
            assert stage.heard[-1].offset == offset  # type: ignore[attr-defined]
        await stage.click(row.index("=>?") + 2, 1)
        await stage.settle()
        assert stage.heard[-1].offset == 31  # type: ignore[attr-defined]
        count = len(stage.heard)
        await stage.click(2, 1)
        await stage.click(78, 1)
        await stage.settle()
        assert len(stage.heard) == count


async def test_large_frames_have_wide_offsets() -> None:
    async with staged(HexView(), 80, 4) as stage:
        stage.widget.show(bytes(70_000))
        await stage.press("G")
        assert stage.lines()[-1].startswith("11160  ")
        stage.widget.show(b"")
        await stage.settle()
        assert stage.lines()[0].strip() == "No bytes"
