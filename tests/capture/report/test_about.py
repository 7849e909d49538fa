"""What is said of a capture itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capture.frames import Interface
from capture.report.about import MAX_INTERFACES, AboutFact, about
from capture.report.model import Report, Warning
from capture.snapshot import Capturing, Snapshot
from tests.capture.report.data import EVIL, denied, empty, healthy, mixed, report, stalled


def told(report: Report, *interfaces: Interface, **changes: Any) -> tuple[AboutFact, ...]:
    snapshot = Snapshot(rev=1, report=report, facts={}, finished=True)
    return about(replace(snapshot, **changes), interfaces)


def under(facts: tuple[AboutFact, ...], heading: str) -> dict[str, str]:
    """Labels and values below a heading."""
    found: dict[str, str] = {}
    inside = False
    for fact in facts:
        if not fact.value:
            inside = fact.label == heading
        elif inside:
            found[fact.label] = fact.value
    return found


def with_source(report: Report, **changes: Any) -> Report:
    return replace(report, source=replace(report.source, **changes))


def test_warnings_come_first_and_whole() -> None:
    long = "the file ends inside packet 2: " + "30 bytes of it from offset 106 " * 20
    facts = told(with_source(report(healthy()), warnings=(Warning("truncated-file", long),)))
    assert facts[:2] == (
        AboutFact("To be known first"),
        AboutFact("truncated-file", long, "warning"),
    )


def test_a_sound_capture_has_nothing_to_be_known_first() -> None:
    facts = told(with_source(report(healthy()), lost_kernel=0, lost_queue=0, warnings=()))
    assert facts[0] == AboutFact("Capture")
    assert under(facts, "Capture")["lost"] == "none"


def test_losses_and_what_nobody_counted() -> None:
    lost = told(with_source(report(healthy()), lost_kernel=12, lost_queue=0))
    assert "12 dropped by the kernel" in under(lost, "To be known first")["lost"]
    unknown = told(with_source(report(healthy()), lost_kernel=None, lost_queue=None))
    assert under(unknown, "Capture")["lost"] == "the source does not say"


def test_what_fails_the_most_frequent_first() -> None:
    others = [replace(denied(number), verdict="bad_gateway") for number in (2, 3)]
    fine = [healthy(number) for number in (5, 6, 7)]
    facts = told(report(denied(1), *others, stalled(4), *fine))
    start = facts.index(AboutFact("Tunnels through a proxy"))
    assert facts[start + 1 : start + 5] == (
        AboutFact("2", "bad_gateway: Bad gateway", "failed"),
        AboutFact("1", "acl_denied: Denied by the proxy", "failed"),
        AboutFact("1", "with a warning", "warning"),
        AboutFact("3", "without a problem"),
    )


def test_what_was_not_judged() -> None:
    facts = told(replace(empty(), other_flows=3, not_understood=(("ARP", 7), ("GRE 0x88be", 1))))
    assert under(facts, "Not judged") == {
        "TCP flows": "3 that go to no proxy",
        "7 packets": "ARP",
        "1 packet": "GRE 0x88be",
    }
    assert not under(told(report(healthy(), other_flows=0)), "Not judged")


def test_interfaces_that_leave_something_out() -> None:
    facts = told(
        report(healthy()),
        Interface(1, "eth0", 96, "port 80"),
        Interface(1, "eth1", 262_144),
        Interface(1, "", 65_535),
    )
    assert under(facts, "Interfaces") == {
        "eth0": "at most 96 bytes of a packet; filter port 80",
        "eth1": "whole packets, no filter",
    }


def test_a_file_may_declare_any_number_of_interfaces() -> None:
    facts = told(
        report(healthy()), *[Interface(1, f"eth{n}") for n in range(100_000 + MAX_INTERFACES)]
    )
    assert len(facts) < MAX_INTERFACES + 30
    assert under(facts, "Interfaces")["and"] == "100 k more"


def test_a_file_that_is_still_read() -> None:
    assert "so far" in under(told(mixed(), finished=False), "Capture")["read"]
    assert "read" not in under(told(mixed()), "Capture")


def test_a_live_capture() -> None:
    capturing = Capturing(
        ("eth0",), "port 80", file="out.pcapng", file_bytes=1_500, trouble="eth0 is down"
    )
    facts = told(mixed(), capturing=capturing, finished=False)
    assert under(facts, "To be known first")["capture"] == "eth0 is down"
    capture = under(facts, "Capture")
    assert (capture["filter"], capture["kept in"]) == ("port 80", "out.pcapng, 1.5 kB")
    assert "read" not in capture
    dropped = told(mixed(), capturing=replace(capturing, file="", evicted_flows=1_200))
    assert under(dropped, "Capture")["kept in"] == "no file"
    assert "1,200 tunnels" in under(dropped, "Capture")["dropped"]


def test_no_fact_is_taken_for_a_heading() -> None:
    facts = told(with_source(mixed(), path=EVIL, warnings=(Warning("odd", EVIL),)), finished=False)
    headings = [fact.label for fact in facts if not fact.value]
    assert headings[0] == "To be known first"
    assert set(headings) <= {
        *("To be known first", "Capture", "Interfaces"),
        *("Tunnels through a proxy", "Not judged"),
    }
