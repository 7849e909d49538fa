from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capture.packets.index import PacketView
from capture.packets.searching import TextIndex
from tests.tui.fakes import shifted, view_of
from tests.widgets import build
from tui.finding import search
from tui.finding.search import PacketSearch, TunnelSearch, next_in

FACTS = {1: build.denied_facts(1), 2: shifted(build.tunnel_facts(2), 9)}


def view() -> PacketView:
    return view_of(build.denied_packets(), build.tunnel_packets())


def run(packet_search: PacketSearch) -> list[int]:
    while not packet_search.finished:
        packet_search.run(0)
    return [int(row) + 1 for row in packet_search.hits]


def searched(needle: str, rows: list[int] | None = None) -> list[int]:
    found = PacketSearch(needle, TextIndex())
    found.extend(view(), None if rows is None else np.array(rows), FACTS)
    return run(found)


@pytest.mark.parametrize("block", [1, 7, 1 << 17])
@pytest.mark.parametrize(
    ("needle", "numbers"),
    [
        ("403", [5]), ("clienthello", [16]), ("syn", [1, 2, 10, 11]), ("fin", [7, 8, 78, 79]),
        ("psh", []), ("len=517", []), ("server: squid", [5, 14]), ("http", [4, 5, 13, 14]),
        ("zebra", []),
    ],
)  # fmt: skip
def test_finds_every_hit_however_it_is_cut(
    needle: str, numbers: list[int], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PSH and lengths are not in the lines of packets that have something to say."""
    monkeypatch.setattr(search, "PLAIN_ROWS", block)
    monkeypatch.setattr(search, "FLOWS", 1)
    assert searched(needle) == numbers


def test_rows_are_places_in_the_list() -> None:
    assert searched("403", list(range(3, 9))) == [2]
    assert searched("clienthello", list(range(9))) == []
    assert searched("fin", list(range(9, 80))) == [69, 70]


def test_later_rows_and_changed_flows_are_searched_too() -> None:
    whole = view()
    found = PacketSearch("403", TextIndex())
    silent = replace(FACTS[1], exchanges=())
    found.extend(PacketView(whole.rows[:4]), None, {1: silent})
    assert run(found) == []
    assert found.progress == 1
    found.extend(PacketView(whole.rows[:9]), None, {1: FACTS[1]})
    assert not found.finished
    assert run(found) == [5]
    found.extend(whole, None, FACTS)
    assert run(found) == [5]
    assert found.count == len(whole)


def test_numbers_are_those_of_the_view() -> None:
    whole = view()
    kept = np.arange(4, len(whole))
    found = PacketSearch("403", TextIndex())
    found.extend(PacketView(whole.rows[kept], kept + 1), None, FACTS)
    assert run(found) == [1]  # the first row that is left is packet 5


def test_nothing_to_search_is_finished() -> None:
    found = PacketSearch("x", TextIndex())
    assert found.finished
    found.run(1)
    assert found.hits.tolist() == []


def test_tunnels_are_looked_at_once_unless_they_change() -> None:
    looked: list[int] = []

    class Counting(TextIndex):
        def tunnel(self, flow, facts):  # type: ignore[no-untyped-def]
            looked.append(flow.uid)
            return super().tunnel(flow, facts)

    flows = [build.flow(uid) for uid in range(1, 40)]
    found = TunnelSearch("40039", Counting())
    found.extend(flows, {})
    while not found.finished:
        found.run(0)
    assert found.hits == {39}
    flows[3] = replace(flows[3], target="40039.example:443")
    flows[38] = replace(flows[38], client="10.0.0.1:1")
    looked.clear()
    found.extend(flows, {})
    found.run(1)
    assert sorted(looked) == [4, 39]
    assert found.hits == {4}


@pytest.mark.parametrize(
    ("place", "step", "expected"),
    [
        (0, 1, (3, False)), (3, 1, (7, False)), (7, 1, (3, True)), (8, 1, (3, True)),
        (8, -1, (7, False)), (7, -1, (3, False)), (3, -1, (7, True)), (0, -1, (7, True)),
        (3, 0, (3, False)), (4, 0, (7, False)), (8, 0, (3, True)),
    ],
)  # fmt: skip
def test_next_hit_goes_round_and_says_so(place: int, step: int, expected: tuple[int, bool]) -> None:
    assert next_in(np.array([3, 7]), place, step) == expected
    assert next_in(np.zeros(0, np.int64), place, step) == (None, False)
