"""Puts the names of clients and proxies into reports: those that the capture holds, and those
that the system knows of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from capture.names import hosts_of

if TYPE_CHECKING:
    from capture.report.model import FlowReport, Report
    from tui.names.resolver import Resolver

__all__ = ["Naming", "named_in_time"]

WAIT_S: Final = 2.0
"""What a report without a screen waits for names, in all."""
LISTED: Final = 1000
"""Flows of such a report whose ends are asked about, beside those with a finding."""


class Naming:
    """Names for the reports of one capture, one after the other. For one thread only."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._flows: Sequence[FlowReport] = ()
        self._seen: dict[str, str] = {}
        """Names from the capture, of the hosts listed: it may let go of the answers."""

    def named(self, report: Report) -> Report:
        """The report with the names known by now; asks for those of hosts not met before."""
        hosts = hosts_of(_ends(_changed(self._flows, report.flows)))
        self._flows = report.flows
        self._seen.update((host, report.names[host]) for host in hosts if host in report.names)
        self._resolver.ask(host for host in hosts if host not in report.names)
        names = {**self._resolver.names, **self._seen, **report.names}
        return replace(report, names=names)

    def renamed(self, report: Report) -> Report | None:
        """The report with what became known since; None where that is nothing."""
        self._resolver.ask()  # after a rest there may be some left
        found = self._resolver.names
        if found.keys() <= report.names.keys():
            return None
        return replace(report, names={**found, **report.names})


def named_in_time(reports: Iterable[Report], resolver: Resolver) -> Iterator[Report]:
    """Yield the reports with the names that are known in time: ``WAIT_S`` for all of them."""
    from time import monotonic

    left = WAIT_S
    for report in reports:
        flows = chain(report.telling, islice(report.flows, LISTED), islice(report.others, LISTED))
        resolver.ask(host for host in hosts_of(_ends(flows)) if host not in report.names)
        start = monotonic()
        resolver.wait(max(0.0, left))
        left -= monotonic() - start
        yield replace(report, names={**resolver.names, **report.names})


def _ends(flows: Iterable[FlowReport]) -> Iterator[str]:
    return chain.from_iterable((flow.client, flow.proxy) for flow in flows)


def _changed(old: Sequence[FlowReport], new: Sequence[FlowReport]) -> Iterator[FlowReport]:
    """Flows that are not the object they were: most of a long list are."""
    shared = min(len(old), len(new))
    yield from (flow for was, flow in zip(old, new, strict=False) if was is not flow)
    yield from new[shared:]
