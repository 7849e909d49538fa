from __future__ import annotations

import pytest

from tests.tui.fakes import loaded_app
from tests.tui.user import SIZES, using
from tui.lines.find_line import FindLine


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_found_is_told_while_it_is_typed(size: tuple[int, int]) -> None:
    """The line stands above the last one, and moves nothing."""
    async with using(loaded_app(), size) as user:
        panes = [pane.region for _, pane in user.screen.panes()]
        await user.press("slash", *"cisco")
        await user.until(lambda: "cisco: tunnel 1 of" in user.text().splitlines()[-1])
        line = user.app.screen.query_one(FindLine)
        assert line.region.y == size[1] - 2
        assert user.text().splitlines()[-2].strip().startswith("cisco")
        assert [pane.region for _, pane in user.screen.panes()] == panes
        await user.press("enter")
        assert not line.visible
        assert user.app.screen.get_widget_at(5, size[1] - 2)[0] is not line
        assert "cisco: tunnel 1 of" in user.text().splitlines()[-1]
