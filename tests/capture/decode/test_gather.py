from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.decode.gather import groups, records, u8, u16, u32

PAIR = np.dtype([("left", ">u2"), ("right", "u1")])


@given(st.binary(max_size=30), st.lists(st.integers(0, 60), max_size=12))
def test_fields_read_zero_beyond_the_end(data: bytes, positions: list[int]) -> None:
    buffer, at = np.frombuffer(data, np.uint8), np.array(positions, np.int64)
    padded = data + bytes(80)
    for read, size in ((u8, 1), (u16, 2), (u32, 4)):
        values = read(buffer, at)
        assert values.dtype == np.int64
        assert values.tolist() == [int.from_bytes(padded[p : p + size], "big") for p in positions]
    found = records(buffer, at, PAIR)
    assert found["left"].tolist() == u16(buffer, at).tolist()
    assert found["right"].tolist() == [padded[p + 2] for p in positions]


@given(st.lists(st.integers(0, 5), max_size=20))
def test_groups_hold_each_wanted_value(values: list[int]) -> None:
    seen = {}
    for value, which in groups(np.array(values, np.int64), (1, 3, 9)):
        seen[value] = list(range(len(values))) if which is None else which.tolist()
    want = {v: [i for i, x in enumerate(values) if x == v] for v in (1, 3, 9) if v in values}
    assert seen == want
