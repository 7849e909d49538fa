from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import config
from tui.config import Config, ConfigError, load, printed

EVERYTHING = """
theme = "light"
ascii = true
mouse = false
slow-link = true
proxies = ["10.10.10.1:80"]
rules = ["mine", "/srv/rules"]
columns = ["client", "target"]
sort = "-bytes"
[keys]
"main.find" = ["slash", "ctrl+f"]
"app.help" = "?"
[thresholds]
tls-silent-s = 8
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_USER", raising=False)
    (tmp_path / "tunnelscope").mkdir()
    return tmp_path / "tunnelscope"


def test_without_a_file_everything_is_default(home: Path) -> None:
    assert load() == Config()


def test_every_setting_is_read(home: Path) -> None:
    file = home / "config.toml"
    file.write_text(EVERYTHING)
    assert load() == Config(
        theme="light",
        ascii=True,
        mouse=False,
        slow_link=True,
        proxies=("10.10.10.1:80",),
        rules=(str(home / "mine"), "/srv/rules"),
        columns=("client", "target"),
        sort="-bytes",
        keys={"main.find": "slash,ctrl+f", "app.help": "?"},
        thresholds={"tls-silent-s": 8.0},
        path=str(file),
    )
    assert load(str(file)) == load()


def test_rules_beside_the_file_are_found_without_being_named(home: Path) -> None:
    (home / "rules").mkdir()
    assert load().rules == (str(home / "rules"),)
    (home / "config.toml").write_text('rules = ["more"]')
    assert load().rules == (str(home / "more"), str(home / "rules"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("thema = 'x'", "no setting 'thema': did you mean theme"),
        ("theme = 3", "theme must be a string"),
        ("mouse = 'no'", "mouse must be true or false"),
        ("proxies = '10.0.0.1'", "proxies must be a list of strings"),
        ("proxies = [1]", "proxies must be a string"),
        ("keys = 'x'", "keys must be a table"),
        ("[keys]\n'main.find' = ''", "'main.find' has no key"),
        ("[keys]\n'main.find' = 3", "main.find must be a string"),
        ("[thresholds]\ntls-silent = 8", "no threshold 'tls-silent': did you mean tls-silent-s"),
        ("[thresholds]\ntls-silent-s = 0.1", "tls-silent-s must be at least 1"),
        ("[thresholds]\ntls-silent-s = nan", "tls-silent-s must be at least 1"),
        ("[thresholds]\ntls-silent-s = '8'", "tls-silent-s must be a number"),
        ("[thresholds]\ntls-silent-s = true", "tls-silent-s must be a number"),
        ("thresholds = []", "thresholds must be a table"),
        ("theme = ", "Invalid value"),
    ],
)
def test_what_is_not_understood_is_one_line(home: Path, text: str, said: str) -> None:
    (home / "config.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load()
    message = str(caught.value)
    assert said in message
    assert message.startswith(str(home / "config.toml"))
    assert message.isprintable()


def test_bytes_that_are_no_text(home: Path) -> None:
    (home / "config.toml").write_bytes(b"theme = '\xff'")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        load()


@given(st.text(max_size=200))
def test_any_text_is_understood_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("config") / "c.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    said = ""
    try:
        load(str(file))
    except ConfigError as error:
        said = str(error)
    assert said.isprintable()


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigError, match=r"(?i)directory"):
        load(str(tmp_path))


def test_under_sudo_it_is_the_callers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Entry:
        pw_dir = str(tmp_path)

    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/root/.config")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("pwd.getpwnam", lambda name: Entry if name == "anna" else None)
    assert config.config_directory() == tmp_path / ".config" / "tunnelscope"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert config.config_directory() == Path("/root/.config/tunnelscope")


def test_a_relative_configuration_home_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.config_directory() == tmp_path / ".config" / "tunnelscope"


ACTIONS = [("main.find", "/", "Find"), ("app.help", "?, F1", 'Help "\x1b')]


def test_what_is_printed_is_a_file_that_says_the_same(home: Path, tmp_path: Path) -> None:
    (home / "config.toml").write_text(EVERYTHING)
    config = load()
    text = "".join(printed(config, iter([("main.find", "slash,ctrl+f", "Find"), *ACTIONS[1:]])))
    assert "\x1b" not in text
    again = tmp_path / "again.toml"
    again.write_text(text)
    read = load(str(again))
    assert read.keys == {"main.find": "slash,ctrl+f", "app.help": "?, F1"}
    for name in ("theme", "ascii", "mouse", "slow_link", "proxies", "columns", "sort"):
        assert getattr(read, name) == getattr(config, name)
    assert read.thresholds == config.thresholds


def test_the_defaults_are_printed_as_remarks(home: Path) -> None:
    text = "".join(printed(load(), iter(ACTIONS)))
    assert tomllib.loads(text) == {"thresholds": {}, "keys": {}}
    uncommented = "\n".join(line.removeprefix("# ") for line in text.splitlines()[3:])
    assert set(tomllib.loads(uncommented)) == set(config._READERS)
