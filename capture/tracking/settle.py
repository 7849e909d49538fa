"""Healthy tunnels that are over: what a report needs of them, and nothing else.

A capture may hold tens of thousands of tunnels that opened, were used and closed as they
should. The columns tell them from the others; of their first segments only a ``Summary``
is kept then, made of objects that such tunnels share. A settled flow's verdict is ``ok``
without a finding: the conditions here are stricter than those of every rule, which a test
proves on all captures at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import Exchange, Mark, Record, TlsDirection, TlsFacts
from capture.frames import Ints
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.tls_hello_memo import HelloMemo
from capture.tracking.openings import Openings, Start
from capture.tracking.records import HEADER, LOST, RECORDS
from capture.tracking.table import FlowTable, renumbered

AFTER_NS: Final = 2_000_000_000
"""A closed flow is left alone for this long: its last packets may be under way."""

PROMPT_NS: Final = 1_000_000_000
"""No handshake, wait or silence of a plainly healthy tunnel is longer."""

REQUEST_BYTES: Final = 160
"""More than a TLS 1.3 Finished (74) and a close_notify (24) with their headers."""

TLS13: Final = 0x0304

_MARKS: Final = struct.Struct("<7q")
_NO_ZEROS: Final = ("retransmissions", "lost", "acked_unseen", "zero_windows", "cut",
                    "fragments", "out_of_order", "rst_no", "window_full")  # fmt: skip


class Summary:
    """What is kept of a settled tunnel beside its columns."""

    __slots__ = ("_marks", "hello", "request", "response", "server")

    def __init__(
        self,
        request: Request,
        response: Response,
        hello: ClientHello,
        server: ServerHello,
        marks: tuple[int, int, int, int, int, int, int],
    ) -> None:
        self.request = request
        self.response = response
        self.hello = hello
        self.server = server
        self._marks = _MARKS.pack(*marks)

    def exchange(self, asked: Mark, answered: Mark) -> Exchange:
        """The one request and its reply."""
        return Exchange(self.request, asked, self.response, answered)

    def tls(self, sides: tuple[TlsDirection, TlsDirection]) -> TlsFacts:
        """The handshake's facts."""
        first_no, first_ns, last_no, last_ns, packets, server_no, server_ns = _MARKS.unpack(
            self._marks
        )
        return TlsFacts(
            client_hello=self.hello,
            client_hello_mark=Mark(first_no, first_ns),
            client_hello_end=Mark(last_no, last_ns),
            client_hello_packets=packets,
            server_hello=self.server,
            server_hello_mark=Mark(server_no, server_ns),
            sides=sides,
        )


def direction(c: Any, end: int) -> TlsDirection:
    """The records of a settled flow's side, as far as its columns tell."""
    return TlsDirection(
        last=Record(Mark(c.rec_no, c.rec_ns), c.rec_type, c.rec_length),
        count=c.rec_count,
        missing=max(0, c.want - end) if c.mode == RECORDS else None,
        app_bytes=max(0, end - c.data_at),
        first_app=Mark(c.data_no, c.data_ns),
        asked=Mark(c.asked_no, c.asked_ns) if c.asked_no else None,
    )


def healthy(table: FlowTable, flows: Ints, now_ns: int | None) -> Ints:
    """Those of the flows whose columns show a tunnel that was used and closed in order; with
    ``now_ns``, only those that ended ``AFTER_NS`` before."""
    f, s = table.flows, table.sides
    if now_ns is not None:
        flows = flows[f.last_ns[flows] < now_ns - AFTER_NS]
    for which in (1, 0):  # what most of the others lack
        flows = flows[s.fin_no[2 * flows + which] > 0]
    client, proxy = 2 * flows, 2 * flows + 1
    ok: NDArray[np.bool_] = (
        (f.syn_count[flows] == 1) & (f.syn_ack_count[flows] == 1) & (f.ack_no[flows] > 0)
    )
    ok &= (f.ack_ns[flows] - f.syn_ns[flows] < PROMPT_NS) & (f.backwards[flows] == 0)
    ok &= (f.silence_ns[flows] < PROMPT_NS) & (f.wait_ns[flows] < PROMPT_NS)
    ok &= f.last_ns[flows] - s.last_payload_ns[proxy] < PROMPT_NS
    for side, other in ((client, proxy), (proxy, client)):
        for name in _NO_ZEROS:
            ok &= getattr(s, name)[side] == 0
        ok &= (s.mode[side] >= RECORDS) & (s.kept[side] >= 2) & (s.data_no[side] > 0)
        ok &= s.max_ack[other] >= s.fin_end[side]
        # Where the borders are lost nothing is known to be cut; the client left first.
        ok &= (s.mode[side] == LOST) | (s.want[side] == s.fin_end[side] - 1)
    ok &= s.fin_no[client] < s.fin_no[proxy]
    ok &= s.fin_end[client] - 1 - s.data_at[client] > REQUEST_BYTES
    asked = s.asked_no[client]  # the proxy said something after the client's request
    ok &= (asked > 0) & (s.last_payload_no[proxy] > asked)
    return flows[ok]


def choose_witnesses(settled: Iterable[tuple[int, Hashable, Hashable, str, str]]) -> list[int]:
    """Settled flows that stand for all: the first of each client at each proxy, and up to two
    server names of each target.

    Args:
        settled: Number, client's host, proxy, target and server name of flows in order. Of
            flows in parts the witnesses of all parts are enough.

    Returns:
        The numbers of the chosen ones.
    """
    seen: set[tuple[Hashable, Hashable]] = set()
    names: dict[tuple[Hashable, str], set[str]] = {}
    found: list[int] = []
    for number, client, proxy, target, name in settled:
        known = names.setdefault((proxy, target), set())
        if (len(known) < 2 and name not in known) or (client, proxy) not in seen:
            known.add(name)
            seen.add((client, proxy))
            found.append(number)
    return found


class Settler:
    """Turns the openings of healthy, closed tunnels into summaries."""

    def __init__(self, table: FlowTable, openings: Openings) -> None:
        self.summaries: dict[int, Summary] = {}
        self._table = table
        self._openings = openings
        self._hellos = HelloMemo()
        self._refused: set[int] = set()
        """Flows that looked healthy by their columns only."""

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self.summaries = renumbered(self.summaries, number, 1)
        self._refused = {new for flow in self._refused if (new := int(number[flow])) >= 0}
        self._hellos = HelloMemo()  # it also holds what only flows had that are gone

    def settle(self, now_ns: int | None, spared: set[int]) -> None:
        """Settle what can be; ``spared``: flows that something else is known of."""
        flows = healthy(self._table, self._openings.flows(), now_ns)
        skip = spared | self._refused
        if skip:
            flows = flows[~np.isin(flows, list(skip))]
        if not len(flows):
            return
        done: list[int] = []
        for start in self._openings.starts(flows):
            summary = self._summary(start)
            if summary is None:
                self._refused.add(start.flow)
            else:
                self.summaries[start.flow] = summary
                done.append(start.flow)
        self._openings.drop(np.array(done, np.int64))

    def _summary(self, start: Start) -> Summary | None:
        """Parse an opening; None when it is not as plain as it looked."""
        heads = _heads(start.asked, start.told)
        if heads is None:
            return None
        stream, packets = start.hello, 1
        last_no, last_ns = start.hello_no, start.hello_ns
        size = _record_size(stream)
        if len(stream) < size:
            stream, packets = stream + start.more, 2
            last_no, last_ns = start.more_no, start.more_ns
        if not HEADER < size <= len(stream):
            return None
        hello = self._hellos.client(stream[HEADER:size])
        if hello is None or hello.length != size - HEADER:
            return None
        size = _record_size(start.answer)
        if not HEADER < size <= len(start.answer):
            return None
        server = self._hellos.server(start.answer[HEADER:size])
        # Before TLS 1.3 certificates can be seen: such tunnels are looked at in full.
        if server is None or server.retry or server.version < TLS13:
            return None
        return Summary(
            *heads, hello, server,
            (start.hello_no, start.hello_ns, last_no, last_ns, packets,
             start.answer_no, start.answer_ns),
        )  # fmt: skip


@lru_cache(maxsize=4096)
def _heads(asked: bytes, told: bytes) -> tuple[Request, Response] | None:
    """A request and its reply; None where a rule may have to say something of them."""
    request, response = parse_request(asked), parse_response(told)
    if request is None or response is None or request.credentials or request.malformed:
        return None
    if request.length != len(asked) or response.length != len(told):
        return None
    return request, response


def _record_size(stream: bytes) -> int:
    """Length of the TLS record at the start of a segment; 0 where its header is cut."""
    return HEADER + (stream[3] << 8 | stream[4]) if len(stream) > HEADER else 0
