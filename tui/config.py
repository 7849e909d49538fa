"""The user's configuration: one TOML file whose every line has a default.

``$XDG_CONFIG_HOME/tunnelscope/config.toml``; under sudo that of the user who called it. Flags
of the command line win over it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, fields
from os.path import dirname, expanduser, isabs, isdir, join
from typing import TYPE_CHECKING, Any, Final

from capture.protocols.text import printable
from capture.record import record

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Config", "ConfigError", "config_directory", "load"]

NAME: Final = "tunnelscope"
FILE: Final = "config.toml"
RULES: Final = "rules"
"""Directory beside the file with the user's own known issues."""


class ConfigError(Exception):
    """The configuration cannot be used. ``str()`` is one line with the file's name."""


@record
class Config:
    """What the file says; the defaults are those of a missing file."""

    theme: str | None = None
    ascii: bool = False
    mouse: bool = True
    slow_link: bool = False
    redact: bool = True
    """Cover credentials in what is saved from the screen (reports never hold them)."""
    anonymize: bool = False
    """Make up addresses and names in what is saved from the screen."""
    proxies: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    """Columns of the tunnels pane; empty: as fits."""
    sort: str = ""
    """Column that the tunnels are sorted by, ``-`` in front for descending; empty: failing
    first."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the id of what they start, several with commas between."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    path: str = ""
    """The file that was read; empty: none."""


def config_directory() -> Path:
    """Where the user's configuration lies, whether it exists or not."""
    from pathlib import Path  # late: it takes longer to import than a file is looked for

    return Path(_directory())


def _directory() -> str:
    home = _invoking_home()
    if home is not None:
        return join(home, ".config", NAME)
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The base directory specification: a relative path is to be ignored.
    return join(base if isabs(base) else expanduser("~/.config"), NAME)


def _invoking_home() -> str | None:
    """Home of the user who called sudo; None where there is none."""
    name = os.environ.get("SUDO_USER", "")
    if not name or name == "root" or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd

    try:
        return pwd.getpwnam(name).pw_dir
    except KeyError:
        return None


def load(path: str | None = None) -> Config:
    """Read the configuration.

    Args:
        path: A file named by the user; None: the usual one, which may be missing.

    Raises:
        ConfigError: It cannot be read, or says what is not understood.
    """
    named = path is not None
    file = path if path is not None else join(_directory(), FILE)
    try:
        data = _parsed(file)
    except FileNotFoundError:
        if named:
            raise ConfigError(f"{printable(file)}: no such file") from None
        return Config(rules=_rules_beside(file))
    except OSError as error:
        if not named and isinstance(error, (PermissionError, NotADirectoryError)):
            return Config()  # another user's home: nothing was asked of it
        raise ConfigError(f"{printable(file)}: {error.strerror}") from None
    try:
        config = _understood(data)
    except ValueError as error:
        raise ConfigError(printable(f"{file}: {error}", 300)) from None
    merged = {item.name: getattr(config, item.name) for item in fields(config)}
    merged["rules"] = tuple(_absolute(name, file) for name in config.rules) + _rules_beside(file)
    return Config(**{**merged, "path": file})


def _rules_beside(file: str) -> tuple[str, ...]:
    beside = join(dirname(file), RULES)
    return (beside,) if isdir(beside) else ()


def _absolute(name: str, file: str) -> str:
    """A directory as the file names it: beside the file, unless it says otherwise."""
    return join(dirname(file), expanduser(name))


def _parsed(file: str) -> dict[str, Any]:
    with open(file, "rb") as opened:
        import tomllib

        try:
            return tomllib.load(opened)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(printable(f"{file}: {error}", 300)) from None
        except UnicodeDecodeError:
            raise ConfigError(f"{printable(file)}: is no text in UTF-8") from None


# Understanding it


def _understood(data: dict[str, Any]) -> Config:
    """Raises ``ValueError`` with what is wrong."""
    said: dict[str, Any] = {}
    for name, value in data.items():
        reader = _READERS.get(name)
        if reader is None:
            raise ValueError(f"no setting {name!r}{_near(name, _READERS)}")
        said[name.replace("-", "_")] = reader(name, value)
    return Config(**said)


def _near(name: str, known: Mapping[str, object]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=3, cutoff=0.4)
    return f": did you mean {', '.join(near)}?" if near else ""


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    return value


def _word(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{name} must be a string: {name} = "…"')
    return value


def _words(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, list):
        raise ValueError(f'{name} must be a list of strings: {name} = ["…"]')
    return tuple(_word(name, item) for item in value)


def _key_map(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f'{name} must be a table: [{name}] with lines such as "main.find" = "/"')
    found = {}
    for action, keys in value.items():
        listed = _words(action, keys) if isinstance(keys, list) else (_word(action, keys),)
        if not all(part.strip() for part in listed):
            raise ValueError(f"{name}: {action!r} has no key")
        found[str(action)] = ",".join(listed)
    return found


def _threshold_map(name: str, value: object) -> dict[str, float]:
    from capture.judging.thresholds import check

    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table: [{name}] with lines such as tls-silent-s = 8")
    found = {}
    for threshold, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"{name}: {threshold} must be a number")
        check(str(threshold), float(number))
        found[str(threshold)] = float(number)
    return found


_READERS: Final[dict[str, Callable[[str, object], object]]] = {
    "theme": _word,
    "ascii": _flag,
    "mouse": _flag,
    "slow-link": _flag,
    "redact": _flag,
    "anonymize": _flag,
    "proxies": _words,
    "rules": _words,
    "columns": _words,
    "sort": _word,
    "keys": _key_map,
    "thresholds": _threshold_map,
}


# Printing it

_TABLES: Final = ("keys", "thresholds", "path")
"""Fields that are no line of their own."""


def printed(config: Config, actions: Iterator[tuple[str, str, str]]) -> Iterator[str]:
    """The whole configuration as a file that says the same, with every default as a remark.

    Args:
        config: As it is in force.
        actions: What can be bound: (id, keys in force, description).
    """
    where = config.path or str(config_directory() / FILE)
    yield f"# tunnelscope's configuration: {printable(where)}\n"
    if not config.path:
        yield "# (there is no such file; this is what it would say)\n"
    yield "\n"
    defaults = Config()
    for name in (item.name for item in fields(Config) if item.name not in _TABLES):
        value = getattr(config, name)
        shown = "" if value is None else value
        mark = "# " if value == getattr(defaults, name) else ""
        yield f"{mark}{name.replace('_', '-')} = {_toml(shown)}\n"
    yield "\n[thresholds]\n"
    from capture.judging.thresholds import THRESHOLDS

    for name, threshold in THRESHOLDS.items():
        value = config.thresholds.get(name, threshold.default)
        mark = "" if name in config.thresholds else "# "
        yield f"{mark}{name} = {value:g}  # {threshold.meaning}\n"
    yield "\n[keys]\n"
    for action, keys, description in actions:
        mark = "" if action in config.keys else "# "
        yield f"{mark}{_toml(action)} = {_toml(keys)}  # {printable(description)}\n"


def _toml(value: object) -> str:
    """A value as TOML. JSON's strings are TOML's, but for DEL (TOML 1.0, "String")."""
    import json

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
