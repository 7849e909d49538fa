from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from rich.segment import Segment
from textual.strip import Strip

from tui.strips import without_circles


@pytest.fixture(autouse=True)
def _changed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Strip, "divide", Strip.divide)  # put back behind the test
    without_circles()
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def line() -> Strip:
    return Strip([Segment("client"), Segment(" proxy")])


@pytest.mark.parametrize("cuts", [[12], [6, 12], [3, 9], [6, 12, 20], [20], []])
def test_a_line_is_cut_as_ever(cuts: list[int]) -> None:
    ends = [cut for cut in cuts if cut <= 12]
    starts = [0, *ends[:-1]]
    pieces = [piece.text for piece in line().divide(cuts)]
    assert pieces == ["client proxy"[start:end] for start, end in zip(starts, ends, strict=False)]


@pytest.mark.parametrize("cuts", [[12], [6, 12], [12, 20]])
def test_a_line_that_was_cut_goes_with_its_last_user(cuts: list[int]) -> None:
    line().divide(cuts)
    assert gc.collect() == 0
