"""Healthy tunnels that are over: what a report needs of them, and nothing else.

A capture may hold tens of thousands of tunnels that opened, were used and closed as they
should. The columns tell them from the others, and of what was said on them a number is kept,
which stands for all that say the same (``lexicon``): no object a flow. A settled flow's verdict
is ``ok`` without a finding: the conditions here are stricter than those of every rule, which a
test proves on all captures at hand.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT, Exchange, Mark, Record, TlsDirection, TlsFacts
from capture.frames import Ints
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.tracking.growing import Columns
from capture.tracking.lexicon import MOST, PARTED, Lexicon
from capture.tracking.openings import HELLO, MORE, SERVER, Openings
from capture.tracking.records import LOST, RECORDS
from capture.tracking.table import FlowTable, distinct

AFTER_NS: Final = 2_000_000_000
"""A closed flow is left alone for this long: its last packets may be under way."""

PROMPT_NS: Final = 1_000_000_000
"""No handshake, wait or silence of a plainly healthy tunnel is longer."""

REQUEST_BYTES: Final = 160
"""More than a TLS 1.3 Finished (74) and a close_notify (24) with their headers."""

HELLO_SEGMENTS: Final = 3
"""Segments of a client up to the end of a hello of two."""

_COLUMNS: Final = (
    ("settled", "?", False), ("refused", "?", False), ("said", "i4", 0),
    ("hello_packets", "u1", 0), ("hello_no", "u4", 0), ("hello_ns", "i8", 0),
    ("end_no", "u4", 0), ("end_ns", "i8", 0), ("server_no", "u4", 0), ("server_ns", "i8", 0),
)  # fmt: skip
"""Of each flow: whether it is settled, or only looked so by its columns; the place of what was
said on it; first and last packet of the ClientHello, and that of the ServerHello."""
_NO_ZEROS: Final = ("retransmissions", "lost", "acked_unseen", "zero_windows", "cut",
                    "fragments", "out_of_order", "rst_no", "window_full")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What was said on a settled tunnel; one object wherever the same was said."""

    request: Request
    response: Response
    hello: ClientHello
    server_hello: ServerHello

    @property
    def target(self) -> str:
        """What the client asked for."""
        return self.request.authority or self.request.target

    @property
    def name(self) -> str:
        """The server name it sent; empty without one."""
        return self.hello.sni or ""


_WORDS: Final = len(fields(Said))
"""Numbers of the lexicon that tell what was said on a tunnel."""


class Summary(NamedTuple):
    """What is kept of a settled tunnel beside its columns."""

    said: Said
    hello: Mark
    """First packet of the ClientHello."""
    hello_end: Mark
    hello_packets: int
    server: Mark
    """Packet of the ServerHello."""

    def exchange(self, asked: Mark, answered: Mark) -> Exchange:
        """The one request and its reply."""
        return Exchange(self.said.request, asked, self.said.response, answered)

    def tls(self, sides: tuple[TlsDirection, TlsDirection]) -> TlsFacts:
        """The handshake's facts."""
        return TlsFacts(
            client_hello=self.said.hello,
            client_hello_mark=self.hello,
            client_hello_end=self.hello_end,
            client_hello_packets=self.hello_packets,
            server_hello=self.said.server_hello,
            server_hello_mark=self.server,
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
    ok &= (s.fin_no[client] < s.fin_no[proxy]) & (s.fin_ns[client] <= s.fin_ns[proxy])
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


class _Places(dict[tuple[int, ...], int]):
    """Counts through what it is asked for."""

    def __missing__(self, key: tuple[int, ...]) -> int:
        self[key] = place = len(self)
        return place


class Settler:
    """Turns the openings of healthy, closed tunnels into summaries, by columns.

    Attributes:
        lexicon: What openings say.
        said: What was said on settled tunnels, each once.
    """

    def __init__(self, table: FlowTable, openings: Openings) -> None:
        self.lexicon = Lexicon()
        self.said: list[Said] = []
        self._table = table
        self._openings = openings
        self._kept = Columns(_COLUMNS, 1)
        self._places = _Places()
        """Places in ``said`` by the numbers of what is said there."""

    def settled(self) -> Ints:
        """The settled flows, ascending."""
        return np.flatnonzero(self._kept.settled)

    def places(self, flows: Ints) -> Ints:
        """The place in ``said`` of what was said on settled flows."""
        return self._kept.said[flows]

    def summary(self, flow: int) -> Summary | None:
        """The summary of a flow; None for one that is not settled."""
        if flow >= len(self._kept.settled) or not self._kept.settled[flow]:
            return None
        (row,) = self._kept.take(np.array([flow]))
        return Summary(
            self.said[row.said],
            Mark(row.hello_no, row.hello_ns),
            Mark(row.end_no, row.end_ns),
            row.hello_packets,
            Mark(row.server_no, row.server_ns),
        )

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self._kept.grow(len(number))
        self._kept.keep(np.flatnonzero(number >= 0))
        if max(len(self.said), len(self.lexicon.meanings)) > MOST:
            self._forget()

    def _forget(self) -> None:
        """Forget what nobody says any more."""
        said, settled = self._kept.said, self.settled()
        used = distinct(said[settled])
        said[settled] = np.searchsorted(used, said[settled])
        words = np.array(list(self._places), np.int64).reshape(-1, _WORDS)[used]
        new = self.lexicon.forget(np.concatenate([self._openings.said(), words.ravel()]))
        self._openings.reword(new)
        self.said = [self.said[place] for place in used.tolist()]
        self._places = _Places(zip(map(tuple, new[words].tolist()), range(len(used)), strict=True))

    def settle(self, now_ns: int | None, spared: set[int]) -> None:
        """Settle what can be; ``spared``: flows that something else is known of."""
        kept = self._kept
        kept.grow(self._table.count)
        flows = healthy(self._table, self._openings.flows(), now_ns)
        flows = flows[~kept.refused[flows]]
        if spared:
            flows = flows[~np.isin(flows, list(spared))]
        if not len(flows):
            return
        said, number, time_ns = self._openings.starts(flows)
        parted = said[:, HELLO] == PARTED
        self._put_together(flows, said, parted)
        said = said[:, :_WORDS]
        plain = (said >= 0).all(1)
        kept.refused[flows[~plain]] = True
        done, each = flows[plain], np.arange(len(flows))[plain]
        last = np.where(parted, MORE, HELLO)[plain]
        kept.settled[done] = True
        words = map(tuple, said[plain].tolist())
        kept.said[done] = list(map(self._places.__getitem__, words))
        for numbers in islice(self._places, len(self.said), None):
            self.said.append(Said(*[self.lexicon.meanings[word] for word in numbers]))
        kept.hello_packets[done] = 1 + parted[plain]
        kept.hello_no[done], kept.hello_ns[done] = number[each, HELLO], time_ns[each, HELLO]
        kept.end_no[done], kept.end_ns[done] = number[each, last], time_ns[each, last]
        kept.server_no[done], kept.server_ns[done] = number[each, SERVER], time_ns[each, SERVER]
        self._openings.drop(done)

    def _put_together(self, flows: Ints, said: Ints, parted: NDArray[np.bool_]) -> None:
        """Look up the ClientHellos that fill two segments."""
        which = np.flatnonzero(parted)
        if not len(which):
            return
        kept = self._openings.of_flows(flows[which], HELLO_SEGMENTS)
        streams = [
            b"".join([item.payload for item in items if item.side == CLIENT][1:])
            for items in kept.values()
        ]
        said[which, HELLO] = self.lexicon.parted(streams)
