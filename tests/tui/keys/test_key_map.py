from __future__ import annotations

import pytest

from tests.tui.fakes import loaded_app
from tests.tui.user import using
from tui.config import Config
from tui.keys.key_map import UnknownKey, bindable, check_keys


def test_every_action_can_be_put_on_keys() -> None:
    listed = list(bindable({"main.find": "ctrl+f"}))
    names = [name for name, _, _ in listed]
    assert names == sorted(set(names))
    found = {name: keys for name, keys, _ in listed}
    assert found["main.find"] == "ctrl+f"
    assert found["app.help"] == "question_mark,f1"
    assert all(description for _, _, description in listed)


@pytest.mark.parametrize(
    "keys", ["ctrl+f", "f7,/", "?", "ctrl+shift+left", "comma", "question_mark", "F", "ä"]
)
def test_keys_as_people_write_them(keys: str) -> None:
    check_keys({"main.find": keys})


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("main.fnd", "f", "did you mean main.find"),
        ("main.find", "ctrl f", "'ctrl f' is no key"),
        ("main.find", "f,,g", "'' is no key"),
        ("main.find", "ctrl+", "'ctrl+' is no key"),
        ("zzz", "f", "nothing is called 'zzz'"),
    ],
)
def test_what_is_no_action_or_no_key(name: str, keys: str, said: str) -> None:
    with pytest.raises(UnknownKey, match=said.replace("+", r"\+")):
        check_keys({name: keys})


async def test_hints_help_and_keys_follow_the_map() -> None:
    looks = Config(keys={"main.export": "f12", "app.help": "h,ctrl+y"})
    async with using(loaded_app(looks=looks), (200, 50)) as user:
        assert "F12 export" in user.text()
        await user.press("e")
        assert len(user.app.screen_stack) == 1
        await user.press("ctrl+y")
        assert len(user.app.screen_stack) == 2
        await user.press("escape", "f12")
        assert "Export a report" in user.text()


async def test_an_action_that_lost_its_key_is_named() -> None:
    async with using(loaded_app(looks=Config(keys={"main.export": "t"}))) as user:
        await user.until(lambda: "without a key: main.time-format" in user.said())
