from __future__ import annotations

import pytest

from capture.stream.tls_words import TlsFact, Tone
from tests.widgets.screen import HOSTILE, staged, steers
from widgets.fact_list import FactList

FACTS = (
    TlsFact("Outcome"),
    TlsFact("version", "TLSv1.3", Tone.GOOD, 4),
    TlsFact("ciphers", ", ".join(["TLS_AES_128_GCM_SHA256"] * 5)),
    TlsFact("Alerts"),
    TlsFact("alert", "unknown_ca", Tone.BAD, 7),
)


async def test_labels_and_values_under_headings() -> None:
    async with staged(FactList(), 70, 14) as stage:
        stage.widget.show(FACTS)
        lines = stage.lines()
        assert lines[0] == "Outcome"
        assert lines[1] == "  version             TLSv1.3"
        assert lines[2].startswith("  ciphers             TLS_AES_128_GCM_SHA256, TLS_AES")
        assert lines[3].startswith(" " * 22 + "TLS_AES")
        assert lines[5:7] == ["", "Alerts"]
        assert stage.fits()


@pytest.mark.parametrize("width", [24, 40, 80, 200])
async def test_any_width_and_hostile_values(width: int) -> None:
    async with staged(FactList(), width, 60) as stage:
        stage.widget.show([TlsFact(name[:20], name) for name in HOSTILE])
        assert stage.fits()
        assert not steers(stage.lines())


async def test_a_fact_leads_to_its_packet() -> None:
    async with staged(FactList(), 70, 14) as stage:
        stage.widget.show(FACTS)
        await stage.press("enter")  # a heading
        assert not stage.heard
        await stage.press("down", "enter")
        assert stage.widget.selected is FACTS[1]
        (opened,) = stage.heard
        assert isinstance(opened, FactList.Opened)
        await stage.press("G")
        assert stage.widget.selected is FACTS[4]


async def test_no_facts() -> None:
    async with staged(FactList(), 70, 5) as stage:
        await stage.press("enter", "down")
        assert stage.widget.selected is None
