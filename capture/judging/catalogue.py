"""Findings in words: the rules' texts, filled with a flow's values, and own known issues.

Texts may hold placeholders such as ``{proxy}``; an unknown one is an error on load, so that a
report never prints one. Placeholders are plain names: a text cannot reach into objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from capture.judging.hit import Hit
from capture.judging.scene import Scene
from capture.judging.signs import Sign
from capture.judging.texts import (
    FLOW_PLACEHOLDERS,
    PLACEHOLDER,
    CatalogueError,
    Issue,
    Tables,
    Texts,
    builtin,
)
from capture.judging.thresholds import DEFAULTS, Thresholds
from capture.report.model import Confidence, Finding

if TYPE_CHECKING:
    from pathlib import Path

    from capture.judging.own import OwnIssue

__all__ = ["Catalogue", "CatalogueError", "Issue", "Tables", "Texts"]

_SAFE: Final = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,253}")
"""What a value may hold to stand in a command that somebody will paste into a shell."""

_STAND_INS: Final = {"target": "HOST:443", "host": "HOST", "bare_host": "HOST", "sni": "HOST",
                     "port": "443", "proxy": "PROXY:PORT", "proxy_host": "PROXY"}  # fmt: skip
"""For commands, where the value is unknown or not fit for a shell."""


class Catalogue:
    """Texts and signs, and the user's own known issues and thresholds.

    Of the built-in file, what is asked for is parsed: a capture without a finding does not
    wait for it.
    """

    def __init__(
        self, custom: tuple[OwnIssue, ...] = (), thresholds: Thresholds = DEFAULTS
    ) -> None:
        self.custom = custom
        self.thresholds = thresholds

    def judging_by(self, thresholds: Thresholds) -> Catalogue:
        """The same catalogue with other thresholds."""
        return Catalogue(self.custom, thresholds)

    @property
    def tables(self) -> Tables:
        """The built-in catalogue."""
        return builtin()

    @property
    def rules(self) -> Mapping[str, Texts]:
        """Texts by rule."""
        return self.tables.rules

    @property
    def issues(self) -> Mapping[str, Issue]:
        """Known issues by name."""
        return self.tables.issues

    @property
    def signs(self) -> tuple[Sign, ...]:
        """Phrases by which an error reply names its cause."""
        return self.tables.signs

    @classmethod
    def load(cls, extra_dirs: Sequence[Path | str] = ()) -> Catalogue:
        """Read the built-in catalogue and the ``*.toml`` files of ``extra_dirs``.

        Directories that do not exist are passed over; files are read in the order of
        their names.

        Raises:
            CatalogueError: A file cannot be read or an entry is not valid.
        """
        if not extra_dirs:
            return cls()
        import tomllib
        from pathlib import Path

        from capture.judging.own import parse_own  # hardly anybody has any

        own: list[OwnIssue] = []
        for directory in extra_dirs:
            for path in sorted(Path(directory).glob("*.toml")):
                try:
                    text = path.read_text(encoding="utf-8")
                    own += parse_own(tomllib.loads(text), FLOW_PLACEHOLDERS)
                except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
                    raise CatalogueError(f"{path}: {error}") from error
        return cls(tuple(own))

    def finding(self, hit: Hit, scene: Scene | None = None) -> Finding:
        """Dress a hit in its texts.

        Args:
            hit: What a rule found.
            scene: The flow it was found on; None for findings about the capture.
        """
        texts = self.rules[hit.rule]
        values = flow_values(scene) | dict(hit.values) if scene else dict(hit.values)
        values["first"] = str(hit.packets[0] if hit.packets else 1)
        steps = texts.steps
        values["feature"] = self.service(scene.host_port[0]) if scene else ""
        if values["feature"]:
            steps = (*steps, *texts.appliance)
        commands = shell_values(values) if steps else values
        return Finding(
            rule=hit.rule,
            severity=hit.severity,
            title=fill(texts.title, values),
            observation=hit.observation,
            cause=fill(cause_for(texts.causes, hit.confidence), values),
            confidence=hit.confidence,
            packets=hit.packets,
            next_steps=tuple([fill_step(step, values, commands) for step in steps]),
            issue=texts.issue,
            issue_name=self.issues[texts.issue].name,
            code=hit.code,
            verdict=hit.verdict,
            raise_by="" if hit.confidence is Confidence.CERTAIN else fill(texts.raise_by, values),
            symptom=fill(texts.symptom, values),
        )

    def own_findings(
        self, scene: Scene, verdict: str, findings: Sequence[Finding]
    ) -> list[Finding]:
        """The user's own known issues that match a flow."""
        values = flow_values(scene)
        rules = {item.rule for item in findings}
        return [
            item.finding(values, scene, fill, fill_step)
            for item in self.custom
            if item.matches(scene, verdict, rules)
        ]

    def service(self, host: str) -> str:
        """What a firewall appliance needs ``host`` for; empty when it is none of its hosts."""
        host = host.lower().rstrip(".")
        for ending, feature in self.tables.services:
            if host == ending or host.endswith(f".{ending}"):
                return feature
        return ""


def cause_for(causes: Mapping[str, str], confidence: Confidence) -> str:
    """The wording for a confidence, or the nearest weaker, else stronger one."""
    order = ("certain", "likely", "possible")
    at = order.index(confidence.value)
    for name in (*order[at:], *reversed(order[:at])):
        if name in causes:
            return causes[name]
    return ""


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into a text; a placeholder without a value becomes its name in capitals."""
    if "{" not in template:
        return template
    return PLACEHOLDER.sub(lambda m: values.get(m[1]) or m[1].upper(), template)


def flow_values(scene: Scene) -> dict[str, str]:
    """A value for each of ``FLOW_PLACEHOLDERS``."""
    flow, (host, port) = scene.flow, scene.host_port
    response, tls = scene.response, scene.tls
    sni = tls.client_hello.sni if tls and tls.client_hello else None
    proxy_host = flow.proxy.host
    return {
        "client": str(flow.client),
        "client_host": flow.client.host,
        "proxy": str(flow.proxy),
        "proxy_host": proxy_host,
        "proxy_port": str(flow.proxy.port),
        "target": scene.target or "the destination",
        "host": host or "the destination",
        "bare_host": host or "the destination",
        "port": port or "443",
        "sni": sni or host or "the destination",
        "status": str(response.status) if response else "",
        "reason": response.reason if response else "",
        "reply": f"{response.status} {response.reason}".rstrip() if response else "",
        "filter": f"host {proxy_host} and port {flow.proxy.port}",
    }


def shell_values(values: Mapping[str, str]) -> dict[str, str]:
    """The same values for commands: whatever a shell could act on gets a stand-in."""
    safe = {}
    for name, value in values.items():
        fit = _SAFE.fullmatch(value) and not value.startswith("-")
        safe[name] = value if fit else _STAND_INS.get(name, name.upper())
    safe["filter"] = f"host {safe.get('proxy_host', 'PROXY')} and port {safe.get('proxy_port')}"
    for name in ("host", "sni"):
        if ":" in safe.get(name, ""):
            safe[name] = f"[{safe[name]}]"
    target = safe.setdefault("target", _STAND_INS["target"])
    if ":" not in target:
        safe["target"] = f"{target}:443"
    return safe


def fill_step(
    template: str, values: Mapping[str, str], commands: Mapping[str, str] | None = None
) -> str:
    """Fill a next step, in which commands stand between backticks.

    Args:
        template: The step.
        values: For its prose.
        commands: For its commands; None: ``shell_values(values)``.
    """
    if "{" not in template:
        return template
    if commands is None:
        commands = shell_values(values)
    first, *rest = template.split("`")
    parts = [fill(first, values).replace("`", "'")]
    for at, part in enumerate(rest):
        parts.append(fill(part, values).replace("`", "'") if at % 2 else fill(part, commands))
    return "`".join(parts)
