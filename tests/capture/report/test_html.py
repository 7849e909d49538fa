from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from capture.facts import CLIENT, PROXY
from capture.report.model import Report
from capture.report.render import render
from capture.report.rungs import Rung
from capture.report.to_html import html_chunks
from tests.capture.report.data import SECRET, empty, healthy, hostile, mixed, report

VOID = {"meta"}


class Page(HTMLParser):
    """Checks that tags nest, and collects what a browser would load or run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(*reports: Report) -> tuple[Page, str]:
    source = "".join(render("html", reports, many=len(reports) > 1))
    parsed = Page()
    parsed.feed(source)
    parsed.close()
    assert parsed.open == []
    return parsed, source


@pytest.mark.parametrize(
    "reports", [(mixed(),), (empty(),), (report(hostile()),), (mixed(), empty())]
)
def test_the_page_is_whole_and_loads_nothing(reports: tuple[Report, ...]) -> None:
    parsed, source = page(*reports)
    assert source.startswith("<!DOCTYPE html>")
    assert source.isascii()
    assert not parsed.tags & {"script", "img", "iframe", "link", "object", "a", "form", "use"}
    assert not {name for name in parsed.attributes if name.startswith("on")}
    assert not parsed.attributes & {"href", "src", "style"}
    assert "url(" not in source
    assert "@import" not in source


def test_light_dark_and_phone() -> None:
    _, source = page(mixed())
    assert "prefers-color-scheme:dark" in source
    assert 'name="viewport"' in source
    assert "overflow-x:auto" in source


def test_each_failing_flow_has_its_ladder() -> None:
    parsed, source = page(mixed())
    assert "svg" in parsed.tags
    assert source.count('<div class="ladder"><svg ') == source.count('id="flow-')
    assert 'class="bad"' in source


def test_hostile_text_is_text() -> None:
    parsed, source = page(report(hostile()))
    assert "<script>alert(1)</script>" in parsed.text
    assert SECRET not in source
    assert "\x1b" not in source


def test_the_page_says_what_the_report_says() -> None:
    parsed, _ = page(mixed())
    for part in (
        "Proxy ACL restriction",
        "#35 403 Forbidden after 3.1 ms",
        "403 failed 3.1 ms",
        "An access rule on the proxy forbids",
        "curl -x http://10.10.10.1:80 -I https://blocked.example.com",
        "Flows without a problem (2)",
        "cut inside packet 413",
    ):
        assert part in parsed.text, part


def test_a_healthy_flow_with_a_ladder_is_shown_in_full() -> None:
    """Whoever exports one tunnel wants to see it, not a row of a table."""
    whole = replace(report(healthy()), findings=())
    (flow,) = whole.flows
    rungs = {flow.uid: [Rung("SYN", CLIENT), Rung("302 Found", PROXY)]}
    source = "".join(html_chunks([whole], many=False, ladders=rungs))
    assert '<section class="flow ok"' in source
    assert "<b>OK</b> Tunnel works" in source
    assert "302 Found</text>" in source
    assert "<table" not in source
    assert "<table" in "".join(html_chunks([whole], many=False))
