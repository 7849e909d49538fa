"""The catalogue file: known issues, rules and signs.

The file is one TOML document, but it is never parsed whole: a capture needs the texts of a
few rules, and parsing all of them takes longer than judging it. The file is cut at its table
headers, and a table is parsed when somebody asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pkgutil import get_data
from typing import Any, Final, Generic, NamedTuple, TypeVar

from capture.judging.signs import PLACES, Sign
from capture.report.model import Confidence

FLOW_PLACEHOLDERS: Final = frozenset({
    "client", "client_host", "proxy", "proxy_host", "proxy_port", "target", "host", "bare_host",
    "port", "sni", "status", "reason", "reply", "filter",
})  # fmt: skip
"""What every flow has a value for."""

PLACEHOLDERS: Final = FLOW_PLACEHOLDERS | {
    "delay", "gap", "offered", "scheme", "detail", "direction", "size", "mss", "mtu", "ping_size",
    "router", "issuer", "subject", "expiry", "name", "other", "feature", "count", "first",
}  # fmt: skip
"""What a built-in text may hold between braces: the others come with a rule's hit."""

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")

_HEADER: Final = re.compile(r"^\[\[?([a-z]+)(?:\.([a-z0-9-]+))?\]", re.MULTILINE)
"""``[rule.acl-deny]``, ``[step]`` or ``[[sign]]``. Other lines of the file begin with a key, a
``#``, a space or a closing bracket; a test compares the parts with the file parsed whole."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class CatalogueError(ValueError):
    """A catalogue file cannot be used; the message names the file and the entry."""


class Issue(NamedTuple):
    """A known issue, the heading under which rules are gathered."""

    name: str
    summary: str


class Texts(NamedTuple):
    """What the catalogue says for one rule."""

    title: str
    issue: str
    causes: Mapping[str, str]
    """By confidence; at least one."""
    steps: tuple[str, ...]
    appliance: tuple[str, ...] = ()
    """Steps added where the target is one that a firewall appliance reaches."""
    raise_by: str = ""
    symptom: str = ""


class _Made(Mapping[_K, _V], Generic[_K, _V]):
    """A mapping whose values are made when they are first asked for."""

    def __init__(self, sources: Mapping[_K, str], make: Callable[[str, str], _V]) -> None:
        self._sources = sources
        self._make = make
        self._known: dict[_K, _V] = {}

    def __getitem__(self, key: _K) -> _V:
        value = self._known.get(key)
        if value is None:
            value = self._known[key] = self._make(str(key), self._sources[key])
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._sources

    def __iter__(self) -> Iterator[_K]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


class Tables:
    """What a catalogue file holds, each table parsed when it is asked for.

    Asking raises ``CatalogueError`` where an entry lacks a field or names an unknown issue,
    rule, shared step or placeholder, and ``tomllib.TOMLDecodeError`` where it is no TOML.

    Args:
        text: The file.
    """

    def __init__(self, text: str) -> None:
        named, self._plain = split(text)
        self.rules: Mapping[str, Texts] = _Made(named["rule"], self._texts)
        """By name, in the order of the file."""
        self.issues: Mapping[str, Issue] = _Made(named["issue"], _issue)
        """Known issues by name."""

    @cached_property
    def signs(self) -> tuple[Sign, ...]:
        """Phrases by which an error reply names its cause, in the order of the file."""
        return tuple([_sign(item, self.rules) for item in self._parsed("sign")["sign"]])

    @cached_property
    def services(self) -> tuple[tuple[str, str], ...]:
        """Host name endings of an appliance's services, and what it needs them for."""
        items = self._parsed("service")["service"]
        return tuple([(host, item["for"]) for item in items for host in item["hosts"]])

    @cached_property
    def _steps(self) -> Mapping[str, str]:
        return dict(self._parsed("step")["step"])

    def _parsed(self, kind: str) -> dict[str, Any]:
        return _toml(self._plain[kind])

    def _texts(self, name: str, block: str) -> Texts:
        item = _toml(block)["rule"][name]
        try:
            texts = _texts(item, self._steps)
        except KeyError as error:
            raise CatalogueError(f"rule {name}: lacks or does not know {error}") from error
        if texts.issue not in self.issues:
            raise CatalogueError(f"rule {name}: unknown issue {texts.issue}")
        check_placeholders(name, texts_of(texts))
        return texts


def split(text: str) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Cut a catalogue at its table headers.

    Returns:
        The tables with a name of their own (``[rule.NAME]``), by kind and name; and the
        others (``[step]``, ``[[sign]]``), those of one kind together. Each part is TOML.
    """
    named: dict[str, dict[str, str]] = {}
    plain: dict[str, str] = {}
    headers = list(_HEADER.finditer(text))
    ends = [header.start() for header in headers[1:]] + [len(text)]
    for header, end in zip(headers, ends, strict=True):
        kind, name = header.groups()
        block = text[header.start() : end]
        if name is None:
            plain[kind] = plain.get(kind, "") + block
        elif name in named.setdefault(kind, {}):
            raise CatalogueError(f"{kind} {name}: stands there twice")
        else:
            named[kind][name] = block
    return named, plain


@lru_cache(maxsize=1)
def builtin() -> Tables:
    """The catalogue that comes with the program."""
    data = get_data("capture.judging", "catalogue.toml")
    assert data is not None, "the package's loader gives no data"
    return Tables(data.decode())


def _toml(text: str) -> dict[str, Any]:
    import tomllib  # late: a capture without a finding asks for no text

    return tomllib.loads(text)


def _issue(name: str, block: str) -> Issue:
    item = _toml(block)["issue"][name]
    return Issue(item["name"], item["summary"])


def _texts(item: Mapping[str, Any], shared: Mapping[str, str]) -> Texts:
    def steps(key: str) -> tuple[str, ...]:
        return tuple([shared[s[1:]] if s.startswith("@") else s for s in item.get(key, ())])

    causes = {key: item[key] for key in ("certain", "likely", "possible") if key in item}
    if not causes:
        raise KeyError("certain, likely or possible")
    return Texts(
        item["title"], item["issue"], causes, steps("steps"), steps("appliance"),
        item.get("raise_by", ""), item.get("symptom", ""),
    )  # fmt: skip


def _sign(item: Mapping[str, Any], rules: Mapping[str, Texts]) -> Sign:
    place = "header" if "header" in item else item["place"]
    if place not in PLACES or item["means"] not in rules:
        raise CatalogueError(f"sign {item}: unknown place or rule")
    return Sign(
        place,
        item.get("header", ""),
        item["pattern"],
        item["means"],
        Confidence(item.get("sure", "certain")),
        item.get("detail", ""),
    )


def texts_of(texts: Texts) -> list[str]:
    """Every text of a rule that may hold placeholders."""
    return [texts.title, texts.raise_by, texts.symptom, *texts.causes.values(), *texts.steps,
            *texts.appliance]  # fmt: skip


def check_placeholders(name: str, texts: Sequence[str]) -> None:
    """Refuse placeholders that nothing fills.

    Raises:
        CatalogueError: With the name of the entry and of the placeholder.
    """
    for text in texts:
        for found in PLACEHOLDER.findall(text):
            if found not in PLACEHOLDERS:
                raise CatalogueError(f"{name}: unknown placeholder {{{found}}}")
