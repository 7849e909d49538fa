from __future__ import annotations

from dataclasses import replace

import pytest

from capture.report.model import Report
from tests.widgets.build import flow, report
from tui.names import naming
from tui.names.naming import Naming, named_in_time
from tui.names.resolver import Resolver

PATIENCE_S = 20.0


class Directory:
    """Knows every address, and who asked for which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, host: str) -> str:
        self.asked.append(host)
        return f"h{host.rpartition('.')[2]}.lab"


def of(*ends: tuple[str, str], names: dict[str, str] | None = None) -> Report:
    flows = (flow(uid, client=client, proxy=proxy) for uid, (client, proxy) in enumerate(ends, 1))
    return replace(report(*flows), names=names or {})


def test_names_come_with_a_later_report_and_each_host_is_asked_about_once() -> None:
    directory = Directory()
    resolver = Resolver(directory)
    one = Naming(resolver)
    shown = one.named(of(("10.0.0.7:1", "10.0.0.1:80"), ("10.0.0.7:2", "10.0.0.1:80")))
    assert resolver.wait(PATIENCE_S)
    later = one.renamed(shown) or shown
    assert later.names == {"10.0.0.7": "h7.lab", "10.0.0.1": "h1.lab"}
    assert one.renamed(later) is None
    assert one.named(replace(shown, other_flows=3)).names == later.names
    assert sorted(directory.asked) == ["10.0.0.1", "10.0.0.7"]


def test_what_the_capture_tells_is_not_asked_and_not_forgotten() -> None:
    directory = Directory()
    resolver = Resolver(directory)
    one = Naming(resolver)
    told = of(("10.0.0.7:1", "10.0.0.1:80"), names={"10.0.0.1": "proxy.example"})
    one.named(told)
    assert resolver.wait(PATIENCE_S)
    assert directory.asked == ["10.0.0.7"]
    # The capture has let go of the answer by now.
    assert one.named(replace(told, names={})).names == {
        "10.0.0.1": "proxy.example", "10.0.0.7": "h7.lab",
    }  # fmt: skip


def test_a_report_waits_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "WAIT_S", PATIENCE_S)
    reports = [of(("10.0.0.7:1", "10.0.0.1:80")), of(("10.0.0.8:1", "named.lab:80"))]
    named = list(named_in_time(reports, Resolver(Directory())))
    assert named[0].names == {"10.0.0.7": "h7.lab", "10.0.0.1": "h1.lab"}
    assert named[1].names["10.0.0.8"] == "h8.lab"


def test_a_report_goes_without_names_that_do_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    monkeypatch.setattr(naming, "WAIT_S", 0.01)
    go_on = Event()

    def hang(host: str) -> str:
        go_on.wait(PATIENCE_S)
        return "late.lab"

    resolver = Resolver(hang)
    told = of(("10.0.0.7:1", "10.0.0.1:80"), names={"10.0.0.1": "proxy.example"})
    (named,) = named_in_time([told], resolver)
    assert named.names == {"10.0.0.1": "proxy.example"}
    go_on.set()
    assert resolver.wait(PATIENCE_S)
