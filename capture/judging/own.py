"""Known issues of the user: files beside the built-in catalogue.

```toml
[[known_issue]]
id = "guest-network"
title = "{client_host} sits in the guest network"
severity = "problem"              # info, warning or problem (default: warning)
cause = "The guest network may reach {proxy} for updates only."
confidence = "certain"            # certain, likely (default) or possible
steps = ["Move the host to VLAN 20."]

[known_issue.match]               # all that are given must match; patterns are globs
verdict = ["acl_denied"]
status = [403]
client = "10.66.*"
proxy = "10.10.10.1:*"
target = "*.example.com:443"
sni = "*.example.com"
rule = ["acl-deny"]
header = { server = "*proxysg*" } # of the reply
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Final, TypeVar

from capture.judging.scene import Scene
from capture.report.model import VERDICTS, Confidence, Finding, Severity

Fill = Callable[[str, Mapping[str, str]], str]

_T = TypeVar("_T", str, int)
_E = TypeVar("_E", Severity, Confidence)

_GLOBS: Final = ("client", "proxy", "target", "sni")
_KEYS: Final = {"id", "title", "severity", "cause", "confidence", "steps", "match", "symptom"}
_MATCH_KEYS: Final = {*_GLOBS, "verdict", "status", "rule", "header"}
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class OwnIssue:
    """One entry of a user's file."""

    id: str
    title: str
    severity: Severity
    cause: str
    confidence: Confidence
    steps: tuple[str, ...]
    symptom: str
    globs: tuple[tuple[str, re.Pattern[str]], ...]
    headers: tuple[tuple[str, re.Pattern[str]], ...]
    verdicts: frozenset[str]
    statuses: frozenset[int]
    rules: frozenset[str]

    def matches(self, scene: Scene, verdict: str, rules: Set[str]) -> bool:
        """Whether all that this entry asks for is true of a flow."""
        response, tls = scene.response, scene.tls
        if self.verdicts and verdict not in self.verdicts:
            return False
        if self.statuses and (response is None or response.status not in self.statuses):
            return False
        if self.rules and not self.rules & rules:
            return False
        hello = tls.client_hello if tls else None
        seen = {
            "client": str(scene.flow.client),
            "proxy": str(scene.flow.proxy),
            "target": scene.target,
            "sni": (hello.sni or "") if hello else "",
        }
        if any(not pattern.match(seen[name]) for name, pattern in self.globs):
            return False
        for name, pattern in self.headers:
            value = response.header(name) if response else None
            if value is None or not pattern.match(value):
                return False
        return True

    def finding(
        self,
        values: Mapping[str, str],
        scene: Scene,
        fill: Fill,
        fill_step: Fill,
    ) -> Finding:
        """The finding for a flow that matched."""
        marks = [mark for mark in (scene.asked, scene.answered) if mark] or [scene.flow.first]
        seen = "; ".join(text for text in (scene.request_text, scene.reply_text) if text)
        return Finding(
            rule=self.id,
            severity=self.severity,
            title=fill(self.title, values),
            observation=f"{seen or f'#{scene.flow.first.number} first packet of the flow'}.",
            cause=fill(self.cause, values),
            confidence=self.confidence,
            packets=tuple(mark.number for mark in marks),
            next_steps=tuple(fill_step(step, values) for step in self.steps),
            issue=self.id,
            code=scene.response.status if scene.response else None,
            symptom=fill(self.symptom, values),
        )


def parse_own(data: Mapping[str, Any], placeholders: Collection[str]) -> list[OwnIssue]:
    """Read the entries of a user's file.

    Raises:
        ValueError: An entry has an unknown or missing field, a wrong type, or a
            placeholder that nothing fills.
    """
    unknown = set(data) - {"known_issue"}
    if unknown:
        raise ValueError(f"unknown table {sorted(unknown)[0]!r}; expected [[known_issue]]")
    entries = data.get("known_issue", [])
    if not isinstance(entries, list):
        raise ValueError("known_issue must be written [[known_issue]]")
    return [_entry(item, placeholders) for item in entries]


def _entry(item: Any, placeholders: Collection[str]) -> OwnIssue:
    if not isinstance(item, dict) or not _ID.fullmatch(str(item.get("id", ""))):
        raise ValueError("known_issue: 'id' must be kebab-case (a-z, 0-9, -)")
    name = item["id"]
    match = item.get("match", {})
    if not isinstance(match, dict) or not match:
        raise ValueError(f"{name}: 'match' must name at least one condition")
    for key in set(item) - _KEYS:
        raise ValueError(f"{name}: unknown field {key!r}")
    for key in set(match) - _MATCH_KEYS:
        raise ValueError(f"{name}: unknown condition {key!r}")
    texts = [_text(name, item, key) for key in ("title", "cause", "symptom")]
    steps = _list(name, item, "steps", str)
    for text in (*texts, *steps):
        for found in re.findall(r"\{([^{}]*)\}", text):
            if found not in placeholders:
                raise ValueError(f"{name}: unknown placeholder {{{found}}}")
    if not texts[0]:
        raise ValueError(f"{name}: 'title' is missing")
    verdicts = _list(name, match, "verdict", str)
    for verdict in set(verdicts) - set(VERDICTS):
        raise ValueError(f"{name}: unknown verdict {verdict!r}")
    headers = match.get("header", {})
    if not isinstance(headers, dict):
        raise ValueError(f"{name}: 'header' must be a table")
    return OwnIssue(
        name,
        texts[0],
        _choice(name, item, "severity", Severity, Severity.WARNING),
        texts[1],
        _choice(name, item, "confidence", Confidence, Confidence.LIKELY),
        tuple(steps),
        texts[2],
        tuple((key, _glob(name, key, match[key])) for key in _GLOBS if key in match),
        tuple((str(key).lower(), _glob(name, key, headers[key])) for key in headers),
        frozenset(verdicts),
        frozenset(_list(name, match, "status", int)),
        frozenset(_list(name, match, "rule", str)),
    )


def _text(name: str, item: Mapping[str, Any], key: str) -> str:
    value = item.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{name}: {key!r} must be a text")
    from capture.protocols.text import printable

    return printable(value) if value else ""


def _list(name: str, item: Mapping[str, Any], key: str, kind: type[_T]) -> list[_T]:
    value = item.get(key, [])
    values = value if isinstance(value, list) else [value]
    if any(type(entry) is not kind for entry in values):
        raise ValueError(f"{name}: {key!r} must be a list of {kind.__name__}")
    return values


def _choice(name: str, item: Mapping[str, Any], key: str, kind: type[_E], default: _E) -> _E:
    value = item.get(key, default.value)
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(member.value for member in kind)
        raise ValueError(f"{name}: {key!r} must be one of {names}") from None


def _glob(name: str, key: str, value: Any) -> re.Pattern[str]:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {key!r} must be a text")
    return re.compile(translate(value), re.IGNORECASE)
