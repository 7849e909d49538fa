from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.packets.index import DUPLICATE, KEEP_ALIVE, PacketView
from capture.stream.assembly import Assembly, Pieces, assemble
from tests.widgets.build import ACK, FIN, PSH, RST, SYN, packets

DATA = PSH | ACK


def assembled(view: PacketView) -> Assembly:
    return assemble(view, np.arange(len(view)))


def ranges(pieces: Pieces) -> list[tuple[int, int, int, int]]:
    columns = (pieces.start, pieces.end, pieces.row, pieces.skip)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def segments(*said: tuple[int, int]) -> Pieces:
    """The client's pieces, of segments (sequence number from 1, length) behind a SYN."""
    view = packets((0, CLIENT, SYN, 0), *((1, CLIENT, DATA, 0) for _ in said))
    view.rows["seq"][1:] = [seq & 0xFFFFFFFF for seq, _ in said]
    view.rows["length"][1:] = [length for _, length in said]
    return assembled(view).sides[CLIENT]


def test_segments_in_order() -> None:
    assert ranges(segments((1, 10), (11, 5))) == [(0, 10, 1, 0), (10, 15, 2, 0)]


def test_of_bytes_sent_twice_the_first_count() -> None:
    assert ranges(segments((1, 10), (1, 10), (6, 10))) == [(0, 10, 1, 0), (10, 15, 3, 5)]


def test_a_late_segment_fills_its_hole_and_no_more() -> None:
    pieces = segments((1, 10), (21, 10), (6, 20))
    assert ranges(pieces) == [(0, 10, 1, 0), (10, 20, 3, 5), (20, 30, 2, 0)]
    assert pieces.missing == 0


def test_one_late_segment_over_several_holes() -> None:
    pieces = segments((11, 5), (21, 5), (1, 30))
    assert ranges(pieces) == [
        (0, 10, 3, 0), (10, 15, 1, 0), (15, 20, 3, 15), (20, 25, 2, 0), (25, 30, 3, 25),
    ]  # fmt: skip


def test_a_hole_that_stays_is_missing() -> None:
    pieces = segments((1, 10), (23, 10))
    assert (pieces.total, pieces.missing) == (32, 12)


def test_a_segment_absurdly_far_ahead_is_none_of_the_stream() -> None:
    pieces = segments((1, 10), (1 << 31, 10), (11, 10))
    assert [piece[:2] for piece in ranges(pieces)] == [(0, 10), (10, 20)]


def test_sequence_numbers_go_on_beyond_32_bits() -> None:
    steps = [(1 + (1 << 29) * n, 1 << 29) for n in range(9)]
    pieces = segments(*steps)
    assert pieces.total == 9 << 29
    assert pieces.missing == 0


def test_copies_keep_alives_and_the_payload_of_resets_do_not_count() -> None:
    view = packets(
        (0, CLIENT, SYN, 0),
        (1, CLIENT, DATA, 10),
        (1, CLIENT, DATA, 10, {"seq": 0, "analysis": DUPLICATE}),
        (2, CLIENT, ACK, 1, {"seq": 10, "analysis": KEEP_ALIVE}),
        (3, CLIENT, RST | ACK, 8),
    )
    assert ranges(assembled(view).sides[CLIENT]) == [(0, 10, 1, 0)]


def test_data_in_a_syn() -> None:
    view = packets((0, CLIENT, SYN, 7), (1, CLIENT, DATA, 3))
    assert ranges(assembled(view).sides[CLIENT]) == [(0, 7, 0, 0), (7, 10, 1, 0)]


def test_a_stream_without_its_start_begins_with_what_is_there() -> None:
    view = packets((0, CLIENT, DATA, 5, {"seq": 11}), (0, CLIENT, DATA, 10, {"seq": 1}))
    assert ranges(assembled(view).sides[CLIENT]) == [(0, 10, 1, 0), (10, 15, 0, 0)]


def test_what_was_acknowledged_and_never_captured_is_missing_at_the_end() -> None:
    view = packets(
        (0, CLIENT, SYN, 0),
        (1, PROXY, SYN | ACK, 0),
        (2, CLIENT, DATA, 10),
        (3, PROXY, ACK, 0, {"ack": 111}),
    )
    made = assembled(view)
    assert (made.sides[CLIENT].total, made.sides[CLIENT].missing) == (110, 100)
    assert made.turns.end.tolist() == [110]


def test_the_number_of_a_fin_is_no_byte() -> None:
    view = packets(
        (0, CLIENT, SYN, 0),
        (2, CLIENT, DATA | FIN, 10),
        (3, PROXY, ACK, 0, {"ack": 12}),
    )
    assert assembled(view).sides[CLIENT].total == 10


def test_turns_are_runs_of_one_side_in_the_order_of_delivery() -> None:
    view = packets(
        (0, CLIENT, SYN, 0),
        (1, PROXY, SYN | ACK, 0),
        (2, CLIENT, DATA, 10),
        (3, CLIENT, DATA, 5),
        (4, PROXY, DATA, 20, {"seq": 21}),
        (5, CLIENT, ACK, 0),
        (6, PROXY, DATA, 20, {"seq": 1}),
        (7, CLIENT, DATA, 1),
    )
    turns = assembled(view).turns
    columns = (turns.side, turns.start, turns.end, turns.row)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [
        (CLIENT, 0, 15, 2), (PROXY, 0, 40, 6), (CLIENT, 15, 16, 7),
    ]  # fmt: skip


def test_nothing_said() -> None:
    made = assembled(packets((0, CLIENT, SYN, 0), (1, PROXY, RST | ACK, 0)))
    assert (made.sides[0].total, made.sides[1].total, len(made.turns)) == (0, 0, 0)
    assert len(assemble(packets(), np.zeros(0, np.int64)).turns) == 0


@given(st.lists(st.tuples(st.integers(-5, 60), st.integers(1, 25)), max_size=25))
def test_each_byte_is_that_of_the_first_segment_that_had_it(said: list[tuple[int, int]]) -> None:
    pieces = segments(*((1 + start, length) for start, length in said))
    expected: dict[int, tuple[int, int]] = {}
    for row, (start, length) in enumerate(said, 1):
        for place in range(length):
            if start + place >= 0:
                expected.setdefault(start + place, (row, place))
    found: dict[int, tuple[int, int]] = {}
    for start, end, row, skip in ranges(pieces):
        for place in range(end - start):
            assert start + place not in found
            found[start + place] = (row, skip + place)
    assert found == expected
    assert (np.diff(pieces.start) > 0).all()


@given(st.data())
def test_turns_hold_every_byte_once(data: st.DataObject) -> None:
    said = data.draw(
        st.lists(st.tuples(st.sampled_from((CLIENT, PROXY)), st.integers(0, 30)), max_size=20)
    )
    rows = [(0, CLIENT, SYN, 0), (1, PROXY, SYN | ACK, 0)]
    rows += [(2 + place, side, DATA, length) for place, (side, length) in enumerate(said)]
    order = [0, 1, *data.draw(st.permutations(range(2, len(rows))))]
    view = packets(*rows)
    made = assembled(PacketView(view.rows[order]))
    turns = made.turns
    for side in (CLIENT, PROXY):
        own = turns.side == side
        assert np.concatenate(([0], turns.end[own]))[:-1].tolist() == turns.start[own].tolist()
        assert int((turns.end - turns.start)[own].sum()) == made.sides[side].total
        assert made.sides[side].missing == 0
    assert (np.diff(turns.side) != 0).all()
