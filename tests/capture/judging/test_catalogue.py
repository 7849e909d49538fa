"""The catalogue: complete, well formed, safe to fill, and extendable."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.judging import Catalogue, CatalogueError, judge
from capture.judging.catalogue import fill, fill_step, flow_values, shell_values
from capture.judging.scene import Scene
from capture.judging.texts import FLOW_PLACEHOLDERS, PLACEHOLDERS, texts_of
from capture.report.model import Confidence, Severity
from tests.capture.judging.build import Story, capture
from tests.capture.judging.stories import denied

CATALOGUE = Catalogue.load()
SOURCE = files("capture.judging").joinpath("catalogue.toml").read_text(encoding="utf-8")


def test_every_issue_has_a_rule() -> None:
    used = {texts.issue for texts in CATALOGUE.rules.values()}
    assert used == set(CATALOGUE.issues)
    assert {"proxy-acl", "download-timeout", "mtu", "http-codes"} <= set(CATALOGUE.issues)


def test_shared_steps_are_used_and_commands_are_closed() -> None:
    data = tomllib.loads(SOURCE)
    for name in data["step"]:
        assert f'"@{name}"' in SOURCE, name
    for name, texts in CATALOGUE.rules.items():
        for text in texts_of(texts):
            assert text.count("`") % 2 == 0, name
            assert text == text.strip(), name
            assert text.isprintable(), name
        assert len(texts.steps) + len(texts.appliance) <= 5, name


def test_signs_compile_and_name_rules() -> None:
    for sign in CATALOGUE.signs:
        re.compile(sign.pattern)
        assert sign.means in CATALOGUE.rules
        assert sign.header == sign.header.lower()


def test_fill_takes_names_only() -> None:
    assert fill("{proxy} and {sni}", {"proxy": "p:80"}) == "p:80 and SNI"
    assert fill("{proxy.__class__} {}", {"proxy": "p"}) == "PROXY.__CLASS__ "


HOSTILE = ("$(reboot)", "`id`", "a;b", "x' -o y", "-oProxyCommand=x", "a\nb", "|sh", "")


@pytest.mark.parametrize("value", HOSTILE)
def test_commands_hold_nothing_that_a_shell_acts_on(value: str) -> None:
    values = dict.fromkeys(PLACEHOLDERS, value)
    for texts in CATALOGUE.rules.values():
        for step in (*texts.steps, *texts.appliance):
            filled = fill_step(step, values)
            commands = filled.split("`")[1::2]
            assert len(commands) == len(step.split("`")[1::2])
            assert not value or not any(value in command for command in commands)


@given(st.text(max_size=40))
def test_shell_values_are_plain(value: str) -> None:
    safe = shell_values({"host": value, "proxy_host": value, "proxy_port": "80"})
    assert all(re.fullmatch(r"[A-Za-z0-9.:_\[\]-]+", safe[name]) for name in ("host", "target"))


def test_ipv6_literals_are_bracketed_in_commands() -> None:
    values = shell_values({"host": "fd00::1", "bare_host": "fd00::1"})
    assert (values["host"], values["bare_host"]) == ("[fd00::1]", "fd00::1")


def test_every_flow_has_its_placeholders() -> None:
    flow = denied().facts()
    assert flow_values(Scene(flow, capture(flow))).keys() == FLOW_PLACEHOLDERS


def test_a_reply_without_a_reason_phrase_is_its_status() -> None:
    flow = denied(500, "").facts()
    [found] = judge(flow, capture(flow), CATALOGUE).findings
    assert found.title == "10.10.10.1:80 answers 500"
    assert (found.issue, found.issue_name) == ("http-codes", "HTTP error code")


def test_what_is_certain_needs_no_raising() -> None:
    [likely], [certain] = [
        judge(flow, capture(flow), CATALOGUE).findings
        for flow in (
            denied().facts(),
            denied(headers=(("x-squid-error", "ERR_ACCESS_DENIED 0"),)).facts(),
        )
    ]
    assert (likely.confidence, certain.confidence) == (Confidence.LIKELY, Confidence.CERTAIN)
    assert likely.rule == certain.rule
    assert likely.raise_by
    assert not certain.raise_by


OWN = """
[[known_issue]]
id = "guest-network"
title = "{client_host} sits in the guest network"
severity = "problem"
cause = "It may reach {proxy} for updates only."
confidence = "certain"
steps = ["Move the host.", "`ping {proxy_host}`"]
[known_issue.match]
verdict = ["acl_denied"]
status = [403]
client = "10.40.*"
target = "*.cisco.com:443"
rule = ["acl-deny"]
header = { Server = "*sg*" }
"""


def load(tmp_path: Path, text: str) -> Catalogue:
    (tmp_path / "own.toml").write_text(text, encoding="utf-8")
    return Catalogue.load([tmp_path])


def own_rules(catalogue: Catalogue, story: Story) -> list[str]:
    flow = story.facts()
    return [item.rule for item in judge(flow, capture(flow), catalogue).findings]


def test_own_known_issue_matches(tmp_path: Path) -> None:
    catalogue = load(tmp_path, OWN)
    flow = denied(headers=(("server", "ProxySG"),)).facts()
    judgement = judge(flow, capture(flow), catalogue)
    mine = judgement.findings[0]
    assert mine.rule == mine.issue == "guest-network"
    assert (mine.severity, mine.confidence) == (Severity.PROBLEM, Confidence.CERTAIN)
    assert mine.title == "10.40.40.1 sits in the guest network"
    assert mine.next_steps[1] == "`ping 10.10.10.1`"
    assert judgement.verdict == "acl_denied"


@pytest.mark.parametrize(
    "story",
    [
        denied(headers=(("server", "squid"),)),
        denied(),
        denied(407, "Auth", headers=(("server", "ProxySG"),)),
        denied(target="www.example.com:443", headers=(("server", "ProxySG"),)),
    ],
)
def test_own_known_issue_wants_all_its_conditions(tmp_path: Path, story: Story) -> None:
    assert "guest-network" not in own_rules(load(tmp_path, OWN), story)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "unknown table"),
        ("[[known_issue]]\nid = 'A b'", "kebab"),
        ("[[known_issue]]\nid = 'a'\ntitle = 't'", "match"),
        ("[[known_issue]]\nid = 'a'\n[known_issue.match]\nstatus = [403]", "title"),
        ("[[known_issue]]\nid='a'\ntitle='{x}'\n[known_issue.match]\nstatus=[403]", "placeholder"),
        ("[[known_issue]]\nid='a'\ntitle='{gap}'\n[known_issue.match]\nstatus=[403]", "{gap}"),
        ("[[known_issue]]\nid='a'\ntitle='t'\n[known_issue.match]\nstatus=['403']", "list of int"),
        ("[[known_issue]]\nid='a'\ntitle='t'\n[known_issue.match]\nverdict=['bad']", "verdict"),
        ("[[known_issue]]\nid='a'\ntitle='t'\nx=1\n[known_issue.match]\nstatus=[1]", "field"),
        ("[[known_issue]]\nid='a'\ntitle='t'\n[known_issue.match]\nfoo=[1]", "condition"),
        ("[[known_issue]]\nid='a'\ntitle='t'\nseverity='bad'\n[known_issue.match]\nstatus=1",
         "severity"),
        ("[[known_issue]\n", "own.toml"),
    ],
)  # fmt: skip
def test_own_files_are_checked(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        load(tmp_path, text)


def test_a_directory_that_does_not_exist_is_passed_over(tmp_path: Path) -> None:
    assert Catalogue.load([tmp_path / "none"]).custom == ()
