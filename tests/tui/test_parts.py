from __future__ import annotations

from itertools import combinations

from tui.screens.main import MainScreen
from tui.screens.parts.base import MainPart

PARTS = [part for part in MainScreen.__mro__ if MainPart in part.__bases__]


class Empty(MainPart):
    """What textual gives every class."""


def private(part: type) -> set[str]:
    """What a part defines for itself alone."""
    names = {*vars(part), *getattr(part, "__annotations__", ())} - set(vars(Empty))
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


def test_parts_do_not_share_a_private_name() -> None:
    """They are one object: the same name in two of them would be the same thing."""
    assert len(PARTS) >= 5
    assert all(private(part) for part in PARTS)
    for one, other in combinations(PARTS, 2):
        assert not private(one) & private(other), (one, other)
