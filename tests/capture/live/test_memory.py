from __future__ import annotations

import os

import pytest

from capture.live.memory import queue_bytes, suitable_buffer_mib

MIB = 1 << 20


@pytest.mark.parametrize(
    ("memory_mib", "ring_mib", "queue_mib"),
    [(512, 32, 64), (4096, 64, 512), (24_000, 256, 512)],
)
def test_small_machines_have_small_buffers(
    monkeypatch: pytest.MonkeyPatch, memory_mib: int, ring_mib: int, queue_mib: int
) -> None:
    answers = {"SC_PHYS_PAGES": memory_mib * MIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", answers.__getitem__)
    assert suitable_buffer_mib() == ring_mib
    assert queue_bytes() == queue_mib * MIB


def test_machines_that_do_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", refuse)
    assert suitable_buffer_mib() == 32
    assert queue_bytes() == 128 * MIB
