"""The reported flows as a sequence that makes the reports of settled tunnels when asked.

Of a capture with 50,000 tunnels most are healthy and settled. Their reports are made from
the columns in batches while an output goes through them, and are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, overload

import numpy as np

from capture.facts import CaptureFacts, FlowFacts
from capture.frames import Ints
from capture.judging import Judgement
from capture.judging.baseline import notes as baseline_notes
from capture.protocols.tls_names import version_name
from capture.report.build import flow_report
from capture.report.model import FlowReport
from capture.report.table import TableRow, table_row
from capture.tracking.tracker import Tracker

BATCH: Final = 2048
FIRST_CLOSE: Final = "client_fin"
"""Who ended a settled flow."""


class FlowReports(Sequence[FlowReport]):
    """Reports in order of first packet.

    Args:
        entries: Reports, or the numbers of settled flows.
        tracker: Knows the settled flows.
        capture: The capture they were seen in.
        steps: Whether reports hold the steps of healthy flows, too.
    """

    def __init__(
        self,
        entries: list[FlowReport | int],
        tracker: Tracker,
        capture: CaptureFacts,
        steps: bool,
    ) -> None:
        self._entries = entries
        self._tracker = tracker
        self._capture = capture
        self._steps = steps

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[FlowReport]:
        for start in range(0, len(self._entries), BATCH):
            yield from self._make(range(start, min(start + BATCH, len(self._entries))))

    @overload
    def __getitem__(self, index: int) -> FlowReport: ...

    @overload
    def __getitem__(self, index: slice) -> list[FlowReport]: ...

    def __getitem__(self, index: int | slice) -> FlowReport | list[FlowReport]:
        places = range(len(self._entries))[index]
        if isinstance(places, int):
            return self._make(range(places, places + 1))[0]
        return self._make(places)

    def made(self) -> list[FlowReport]:
        """The reports that exist: of all flows that are not settled."""
        return [entry for entry in self._entries if isinstance(entry, FlowReport)]

    def rows(self) -> Iterator[TableRow]:
        """Table rows in order; those of settled flows are made without a report."""
        for start in range(0, len(self._entries), BATCH):
            entries = self._entries[start : start + BATCH]
            flows = np.array([entry for entry in entries if isinstance(entry, int)], np.int64)
            settled = settled_rows(self._tracker, flows)
            for number, entry in enumerate(entries, start + 1):
                if isinstance(entry, int):
                    yield next(settled)._replace(id=number)
                else:
                    yield table_row(entry)

    def _make(self, places: range) -> list[FlowReport]:
        entries = [self._entries[place] for place in places]
        settled = [entry for entry in entries if isinstance(entry, int)]
        facts = iter(self._tracker.facts_of(settled))
        return [
            self._settled(place + 1, next(facts)) if isinstance(entry, int) else entry
            for place, entry in zip(places, entries, strict=True)
        ]

    def _settled(self, number: int, facts: FlowFacts) -> FlowReport:
        judgement = Judgement("ok", (), baseline_notes(facts))
        return flow_report(facts, judgement, self._capture, number, steps=self._steps)


def settled_rows(tracker: Tracker, flows: Ints) -> Iterator[TableRow]:
    """Table rows of settled flows from their columns; none has its number."""
    table, text = tracker.table, tracker.endpoint_text
    own, up, down = table.flows, 2 * flows, 2 * flows + 1
    sides = table.sides
    for flow, client, proxy, first, last, rtt, packets, sent, received, delay in zip(
        flows.tolist(),
        own.client[flows].tolist(),
        own.proxy[flows].tolist(),
        own.first_ns[flows].tolist(),
        own.last_ns[flows].tolist(),
        (own.ack_ns[flows] - own.syn_ns[flows]).tolist(),
        (sides.packets[up] + sides.packets[down]).tolist(),
        sides.bytes[up].tolist(),
        sides.bytes[down].tolist(),
        (sides.first_payload_ns[down] - sides.first_payload_ns[up]).tolist(),
        strict=True,
    ):
        summary = tracker.summary(flow)
        assert summary is not None
        said = summary.said
        yield TableRow(
            0, text(client), text(proxy), said.target, "tunnel",
            said.response.status, said.response.reason, said.hello.sni,
            version_name(said.server_hello.version), "ok", "", FIRST_CLOSE, first,
            max(0, last - first) / 1e9, packets, sent, received, 0, rtt / 1e6, delay / 1e6,
        )  # fmt: skip
