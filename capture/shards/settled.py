"""What a table needs of settled flows, straight from their columns and summaries.

There are tens of thousands of them: a line takes three microseconds here, where facts, report
and row of a flow take a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from sys import intern

from capture.flow_reports import FIRST_CLOSE
from capture.frames import Ints
from capture.judging.cards import Card
from capture.protocols.tls_names import version_name
from capture.report.times import rfc3339
from capture.report.to_csv import cell
from capture.tracking.settle import Summary
from capture.tracking.tracker import Tracker


def settled_lines(tracker: Tracker, flows: Ints, timed: bool) -> Iterator[str]:
    """The lines of a ``Table`` for settled flows: what ``line_of`` makes of their rows.

    Args:
        tracker: Has the flows.
        flows: Their numbers.
        timed: The capture has times.
    """
    table, ends = tracker.table, _Ends(tracker)
    own, sides, up, down = table.flows, table.sides, 2 * flows, 2 * flows + 1
    first = own.first_ns[flows]
    shared: dict[tuple[int, ...], str] = {}
    for flow, client, proxy, start, lasted, rtt, packets, sent, received, delay in zip(
        flows.tolist(),
        own.client[flows].tolist(),
        own.proxy[flows].tolist(),
        first.tolist(),
        ((own.last_ns[flows] - first).clip(0) / 1e9).tolist(),
        ((own.ack_ns[flows] - own.syn_ns[flows]) / 1e6).tolist(),
        (sides.packets[up] + sides.packets[down]).tolist(),
        sides.bytes[up].tolist(),
        sides.bytes[down].tolist(),
        ((sides.first_payload_ns[down] - sides.first_payload_ns[up]) / 1e6).tolist(),
        strict=True,
    ):
        said = _summary(tracker, flow)
        # Parsers give equal heads and hellos as the same objects.
        key = id(said.request), id(said.response), id(said.hello), id(said.server)
        middle = shared.get(key) or shared.setdefault(key, _middle(said))
        yield (
            f"{ends.text(client)},{ends.text(proxy)},{middle},{rfc3339(start) if timed else ''},"
            f"{lasted},{packets},{sent},{received},0,{rtt},{delay}"
        )


def settled_cards(tracker: Tracker, flows: list[int]) -> Iterator[Card]:
    """The cards of settled flows."""
    own, sides = tracker.table.flows, tracker.table.sides
    for flow in flows:
        said, client = _summary(tracker, flow), tracker.client(flow)
        proxy, answer = tracker.proxy(flow), 2 * flow + 1
        authority = said.request.authority
        yield Card(
            number=int(own.first_no[flow]),
            first_ns=int(own.first_ns[flow]),
            last_ns=int(own.last_ns[flow]),
            client=str(client),
            client_host=intern(client.host),
            proxy=intern(str(proxy)),
            proxy_host=intern(proxy.host),
            proxy_port=proxy.port,
            target=authority or said.request.target,
            asked=(authority.rpartition(":")[0].lower(),) if authority else (),
            verdict="ok",
            tunnel=int(sides.first_payload_no[answer]),
            reached=True,
            credentials=False,
            challenged=False,
            answered_ns=int(sides.first_payload_ns[answer]),
            sni=said.hello.sni or "",
            unanswered=False,
            answered_hello=True,
            issuer=None,
            refused_certificate=False,
            only_left=False,
            used=False,
            idle="",
            left_ns=int(sides.fin_ns[2 * flow]),
            gave_up=False,
            one_way=False,
            cut=0,
            backwards=0,
        )  # fmt: skip


def _summary(tracker: Tracker, flow: int) -> Summary:
    summary = tracker.summary(flow)
    assert summary is not None
    return summary


def _middle(said: Summary) -> str:
    """The cells of a line that only what was said decides."""
    request, response = said.request, said.response
    version = version_name(said.server.version)
    return (
        f"{cell(request.authority or request.target)},tunnel,{response.status},"
        f"{cell(response.reason)},{cell(said.hello.sni)},{cell(version)},ok,,{FIRST_CLOSE}"
    )


class _Ends:
    """Endpoints as cells."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._hosts: dict[int, str] = {}
        """By address number; empty where the text needs a closer look."""

    def text(self, value: int) -> str:
        """An endpoint of the columns."""
        host = self._hosts.get(value >> 16)
        if host is None:
            whole = self._tracker.endpoint_text(value >> 16 << 16)
            host = self._hosts[value >> 16] = whole[:-1] if cell(whole) == whole else ""
        return f"{host}{value & 0xFFFF}" if host else cell(self._tracker.endpoint_text(value))
