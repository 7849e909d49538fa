"""What a table needs of settled flows, straight from their columns and summaries.

There are tens of thousands of them: a line takes three microseconds here, where facts, report
and row of a flow take a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat
from sys import intern

import numpy as np

from capture.flow_reports import FIRST_CLOSE
from capture.frames import Ints
from capture.judging.cards import Card
from capture.protocols.tls_names import version_name
from capture.report.times import SECOND_NS, whole_second
from capture.report.to_csv import cell
from capture.tracking.settle import Said
from capture.tracking.table import distinct
from capture.tracking.tracker import Tracker


def settled_lines(tracker: Tracker, flows: Ints, timed: bool) -> list[str]:
    """The lines of a ``Table`` for settled flows: what ``line_of`` makes of their rows.

    Args:
        tracker: Has the flows.
        flows: Their numbers.
        timed: The capture has times.
    """
    own, sides, up, down = tracker.table.flows, tracker.table.sides, 2 * flows, 2 * flows + 1
    first = own.first_ns[flows]
    said, which = tracker.said(flows)
    middles = {place: _middle(said[place]) for place in set(which)}
    return [
        f"{client},{proxy},{middles[place]},{start},{lasted!r},{packets},{sent},{received},0,"
        f"{rtt!r},{delay!r}"  # formatting a float takes longer
        for client, proxy, place, start, lasted, packets, sent, received, rtt, delay in zip(
            _clients(tracker, own.client[flows]),
            _proxies(tracker, own.proxy[flows]),
            which,
            _times(first) if timed else repeat("", len(flows)),
            ((own.last_ns[flows] - first).clip(0) / 1e9).tolist(),
            (sides.packets[up] + sides.packets[down]).tolist(),
            sides.bytes[up].tolist(),
            sides.bytes[down].tolist(),
            ((own.ack_ns[flows] - own.syn_ns[flows]) / 1e6).tolist(),
            ((sides.first_payload_ns[down] - sides.first_payload_ns[up]) / 1e6).tolist(),
            strict=True,
        )
    ]


def settled_cards(tracker: Tracker, flows: list[int]) -> Iterator[Card]:
    """The cards of settled flows."""
    own, sides = tracker.table.flows, tracker.table.sides
    said, which = tracker.said(np.array(flows, np.int64))
    for flow, place in zip(flows, which, strict=True):
        client, proxy, answer = tracker.client(flow), tracker.proxy(flow), 2 * flow + 1
        authority = said[place].request.authority
        yield Card(
            number=int(own.first_no[flow]),
            first_ns=int(own.first_ns[flow]),
            last_ns=int(own.last_ns[flow]),
            client=str(client),
            client_host=intern(client.host),
            proxy=intern(str(proxy)),
            proxy_host=intern(proxy.host),
            proxy_port=proxy.port,
            target=said[place].target,
            asked=(authority.rpartition(":")[0].lower(),) if authority else (),
            verdict="ok",
            tunnel=int(sides.first_payload_no[answer]),
            reached=True,
            credentials=False,
            challenged=False,
            answered_ns=int(sides.first_payload_ns[answer]),
            sni=said[place].name,
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


@lru_cache(maxsize=4096)
def _middle(said: Said) -> str:
    """The cells of a line that only what was said decides."""
    response, version = said.response, version_name(said.server_hello.version)
    return (
        f"{cell(said.target)},tunnel,{response.status},"
        f"{cell(response.reason)},{cell(said.name)},{cell(version)},ok,,{FIRST_CLOSE}"
    )


def _clients(tracker: Tracker, clients: Ints) -> list[str]:
    """Clients as cells: few hosts, with a port of its own each."""
    hosts: dict[int, str] = {}
    for host in distinct(clients >> 16).tolist():
        whole = tracker.endpoint_text(host << 16)
        # Empty where the text needs a closer look.
        hosts[host] = whole[:-1] if cell(whole) == whole else ""
    return [
        f"{text}{end & 0xFFFF}" if (text := hosts[end >> 16]) else cell(tracker.endpoint_text(end))
        for end in clients.tolist()
    ]


def _proxies(tracker: Tracker, proxies: Ints) -> Iterator[str]:
    """Proxies as cells: few."""
    texts = {end: cell(tracker.endpoint_text(end)) for end in distinct(proxies).tolist()}
    return map(texts.__getitem__, proxies.tolist())


def _times(times_ns: Ints) -> list[str]:
    """What ``rfc3339`` says of each."""
    seconds, fractions = np.divmod(times_ns, SECOND_NS)
    days = {second: f"{whole_second(second)}." for second in distinct(seconds).tolist()}
    return [
        f"{days[second]}{fraction:09}Z"
        for second, fraction in zip(seconds.tolist(), fractions.tolist(), strict=True)
    ]
