"""The reported flows as a sequence that makes the reports of settled tunnels when asked.

Of a capture with 50,000 tunnels most are healthy and settled. Their reports are made from
the columns in batches while an output goes through them, and are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from capture.facts import CaptureFacts
from capture.judging import Judgement
from capture.judging.baseline import notes as baseline_notes
from capture.protocols.tls_names import cipher_name, version_name
from capture.report.build import ALWAYS_STEPS, flow_report
from capture.report.model import Attempt, FlowReport, TlsReport
from capture.tracking.build import take_rows
from capture.tracking.settle import Summary
from capture.tracking.tracker import Tracker

BATCH: Final = 2048
_CLOSES: Final = ("client_fin", "proxy_fin")


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
        """The reports that exist: all that have something to say."""
        return [entry for entry in self._entries if isinstance(entry, FlowReport)]

    def _make(self, places: range) -> list[FlowReport]:
        settled = [entry for entry in self._entries_at(places) if isinstance(entry, int)]
        rows = dict(zip(settled, take_rows(self._tracker.table, settled), strict=True))
        made: list[FlowReport] = []
        for place in places:
            entry = self._entries[place]
            if isinstance(entry, int):
                entry = self._settled(place + 1, entry, rows[entry])
            made.append(entry)
        return made

    def _entries_at(self, places: range) -> list[FlowReport | int]:
        return [self._entries[place] for place in places]

    def _settled(self, number: int, flow: int, rows: Any) -> FlowReport:
        summary = self._tracker.summary(flow)
        assert summary is not None
        if self._steps or number <= ALWAYS_STEPS:
            facts = self._tracker.facts(flow)
            judgement = Judgement("ok", (), baseline_notes(facts))
            return flow_report(facts, judgement, self._capture, number, steps=self._steps)
        return _short(number, flow, rows, summary, self._tracker)


def _short(number: int, flow: int, rows: Any, summary: Summary, tracker: Tracker) -> FlowReport:
    """What ``flow_report`` says of a settled flow, but for steps and notes."""
    own, (client, proxy) = rows
    request, response, hello, server = (
        summary.request, summary.response, summary.hello, summary.server,
    )  # fmt: skip
    asked = client.first_payload_no, client.first_payload_ns
    answered = proxy.first_payload_no, proxy.first_payload_ns
    return FlowReport(
        id=number,
        uid=flow + 1,
        client=tracker.endpoint_text(own.client),
        proxy=tracker.endpoint_text(own.proxy),
        kind="tunnel",
        target=request.authority or request.target,
        status=response.status,
        reason=response.reason,
        attempts=(
            Attempt(
                request.method, request.target, response.status, response.reason,
                asked[0], answered[0], (answered[1] - asked[1]) / 1e6,
            ),
        ),
        tls=TlsReport(
            hello.sni, version_name(server.version), cipher_name(server.cipher), hello.alpn, True
        ),
        steps=(),
        packets=client.packets + proxy.packets,
        bytes_to_proxy=client.bytes,
        bytes_to_client=proxy.bytes,
        retransmissions_to_proxy=0,
        retransmissions_to_client=0,
        rtt_ms=(own.ack_ns - own.syn_ns) / 1e6,
        start_ns=own.first_ns,
        duration_s=max(0, own.last_ns - own.first_ns) / 1e9,
        ended=_CLOSES[0],
        closes=_CLOSES,
        verdict="ok",
        findings=(),
    )  # fmt: skip
