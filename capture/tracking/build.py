"""Facts of one flow from the tracker's columns and objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from capture.decode.columns import ACK, OPT_TIMESTAMPS, RST, SYN, IcmpError
from capture.facts import (
    CLIENT,
    PROXY,
    Alert,
    Direction,
    Endpoint,
    Exchange,
    FlowFacts,
    Hole,
    Mark,
    Record,
    RetransmitRun,
    Silence,
    TlsDirection,
    TlsFacts,
)
from capture.protocols.conversation import HttpExchange
from capture.protocols.masking import mask_payload
from capture.protocols.readers import RecordHeader
from capture.tracking.events import Oddities, ZeroWindow
from capture.tracking.records import RECORDS, RecordWalker
from capture.tracking.settle import Summary, direction
from capture.tracking.streams import Conversation, TlsSeen
from capture.tracking.table import FlowTable

MIN_RUN: Final = 3
"""Sent this often, a range counts as sent again and again."""
MAX_HOLES: Final = 4
LATE_NS: Final = 1_000_000_000
"""Where each direction has an interface of its own, a capture holds one's packets up to so much
later than the other's of the same time (tcpdump's buffer time-out): what closed first, the times
tell. A clock that was set steps back farther."""


class FlowRows(NamedTuple):
    """A flow's columns as Python numbers: its own row, and its two sides'."""

    flow: Any
    sides: tuple[Any, Any]


def take_rows(table: FlowTable, flows: Sequence[int]) -> list[FlowRows]:
    """Columns of several flows (0-based numbers)."""
    numbers = np.array(flows, np.int64)
    own = table.flows.take(numbers)
    client, proxy = table.sides.take(2 * numbers), table.sides.take(2 * numbers + 1)
    return [FlowRows(f, (c, p)) for f, c, p in zip(own, client, proxy, strict=True)]


def flow_facts(
    rows: FlowRows,
    odd: Oddities,
    flow: int,
    said: Conversation | Summary | None,
    walker: RecordWalker,
    icmp: tuple[IcmpError, ...],
    address_text: Callable[[int], str],
) -> FlowFacts:
    """Gather everything known of a flow (0-based number)."""
    own, (client, proxy) = rows
    sides = (
        _direction(client, proxy, odd, 2 * flow, own.last_ns),
        _direction(proxy, client, odd, 2 * flow + 1, own.last_ns),
    )
    begun, answered = sides[CLIENT].first, sides[PROXY].first
    ended, closed = sides[CLIENT].last, sides[PROXY].last
    syn = _mark(own.syn_no, own.syn_ns, begun) if own.syn_no else None
    ack = Mark(own.ack_no, own.ack_ns) if own.ack_no else None
    last = _mark(own.last_no, own.last_ns, closed, ended)
    syns = odd.syns.get(flow)
    values: dict[str, Any] = {}
    if isinstance(said, Summary):
        values = _settled(said, rows, sides)
    elif said is not None:
        values = _talk(said, sides)
        values["tls"] = _tls(said, rows, sides, walker, flow)
    first_payload = sides[CLIENT].first_payload
    return FlowFacts(
        id=own.uid,
        client=_endpoint(own.client, address_text),
        proxy=_endpoint(own.proxy, address_text),
        first=_mark(own.first_no, own.first_ns, begun, answered),
        last=last,
        packets=client.packets + proxy.packets,
        sides=sides,
        roles_certain=own.certain,
        syn=syn,
        syn_count=own.syn_count,
        syn_marks=tuple(syns) if syns else (syn,) if syn else (),
        syn_ack=_mark(own.syn_ack_no, own.syn_ack_ns, answered) if own.syn_ack_no else None,
        syn_ack_count=own.syn_ack_count,
        ack=ack,
        challenge_ack=syn is not None and proxy.first_flags & (SYN | ACK | RST) == ACK,
        rtt_ns=ack.time_ns - syn.time_ns if syn and ack else None,
        closes=_closes(sides),
        longest_silence=longest_silence(own),
        icmp=icmp,
        mid_stream=syn is None and own.syn_ack_no == 0,
        one_way=_one_way(client, proxy, syn is not None),
        time_backwards=own.backwards,
        reused_port=own.reused,
        tcp_fast_open=bool(syn and first_payload and first_payload.number == syn.number),
        longest_wait=longest_wait(own, sides, values.get("tunnel"), last),
        **values,
    )


def _mark(number: int, time_ns: int, *known: Mark | None) -> Mark:
    """The mark of a packet: one that is there already, where there is one."""
    for mark in known:
        if mark is not None and mark.number == number:
            return mark
    return Mark(number, time_ns)


def _endpoint(value: int, address_text: Callable[[int], str]) -> Endpoint:
    return Endpoint(address_text(value >> 16), value & 0xFFFF)


def _one_way(client: Any, proxy: Any, syn: bool) -> bool:
    """Only one side was captured, though what it acknowledges proves the other spoke."""
    if client.packets and not proxy.packets:
        return bool(client.max_ack > 1 or (syn and client.max_ack >= 1))
    if proxy.packets and not client.packets:
        return bool(proxy.max_ack > 1 or proxy.packets > 1)
    return False


def longest_silence(own: Any) -> Silence | None:
    """The longest stretch without a packet of a flow."""
    if not own.silence_to_no:
        return None
    start = Mark(own.silence_from_no, own.silence_from_ns)
    return Silence(start, Mark(own.silence_to_no, own.silence_from_ns + own.silence_ns))


def longest_wait(
    own: Any, sides: tuple[Direction, Direction], tunnel: Mark | None, last: Mark
) -> Silence | None:
    """The longest wait for the proxy's next payload inside the tunnel."""
    if tunnel is None:
        return None
    wait = Silence(sides[PROXY].last_payload or tunnel, last)
    if own.wait_to_no and own.wait_from_ns >= tunnel.time_ns:
        start = Mark(own.wait_from_no, own.wait_from_ns)
        inner = Silence(start, Mark(own.wait_to_no, own.wait_from_ns + own.wait_ns))
        if inner.seconds >= wait.seconds:
            wait = inner
    return wait


def _closes(sides: tuple[Direction, Direction]) -> tuple[tuple[str, Mark], ...]:
    client, proxy = sides
    found = [
        (name, mark)
        for name, mark in (
            ("client_fin", client.fin), ("client_rst", client.rst),
            ("proxy_fin", proxy.fin), ("proxy_rst", proxy.rst),
        )
        if mark is not None
    ]  # fmt: skip
    if len(found) > 1:
        found.sort(key=_number_of)
        back_ns = max(before[1].time_ns - after[1].time_ns for before, after in pairwise(found))
        if 0 < back_ns < LATE_NS:
            found.sort(key=_time_of)
    return tuple(found)


def _number_of(item: tuple[str, Mark]) -> int:
    return item[1].number


def _time_of(item: tuple[str, Mark]) -> int:
    return item[1].time_ns


def _direction(c: Any, other: Any, odd: Oddities, row: int, last_ns: int) -> Direction:
    next_seq, acked = c.next_seq, max(other.max_ack, 1)
    fin = Mark(c.fin_no, c.fin_ns) if c.fin_no else None
    stream_end = next_seq - (1 if fin is not None and next_seq == c.fin_end else 0)
    largest, unacked = c.largest, max(0, stream_end - acked)
    found = Direction(
        packets=c.packets,
        bytes=c.bytes,
        stream_bytes=max(0, stream_end - 1),
        data_packets=c.data_packets,
        mss=c.mss,
        wscale=max(c.wscale, -1),
        ttl=c.ttl,
        timestamps=bool(c.options & OPT_TIMESTAMPS),
        first=Mark(c.began_no, c.began_ns) if c.began_no else None,
        last=Mark(c.seen_no, c.seen_ns) if c.seen_no else None,
        first_payload=(
            Mark(c.first_payload_no, c.first_payload_ns) if c.first_payload_no else None
        ),
        last_payload=Mark(c.last_payload_no, c.last_payload_ns) if c.last_payload_no else None,
        largest=largest,
        largest_acked=largest if largest and c.largest_end <= acked else c.largest_acked,
        retransmissions=c.retransmissions,
        fast_retransmissions=c.fast,
        spurious_retransmissions=c.spurious,
        out_of_order=c.out_of_order,
        duplicates=c.duplicates,
        keep_alives=c.keep_alives,
        dup_acks=c.dup_acks,
        zero_windows=c.zero_windows,
        window_probes=c.probes,
        window_full=c.window_full,
        lost_segments=c.lost,
        acked_unseen=c.acked_unseen,
        acked_beyond=max(0, acked - max(next_seq, 1)) if c.acked_unseen else 0,
        unacked=unacked,
        unacked_since=Mark(c.last_sent_no, c.last_sent_ns) if unacked else None,
        run=_run(odd, row, other.max_ack) if row in odd.ranges else None,
        holes=_holes(odd, row, other.max_ack) if row in odd.gaps else (),
        sacked_beyond_hole=other.sack_right > other.max_ack >= 0,
        fin=fin,
        fin_acked=fin is not None and other.max_ack >= c.fin_end,
        fin_sent=c.fin_sent,
        rst=Mark(c.rst_no, c.rst_ns) if c.rst_no else None,
        cut_by_snaplen=c.cut,
        oversized=c.oversized,
        fragments=c.fragments,
    )
    if row in odd.windows or row in odd.resets:
        # Nobody has seen it yet; a changed copy of so many fields takes ten times as long.
        for name, value in _rare(odd, row, last_ns).items():
            setattr(found, name, value)
    return found


def _rare(odd: Oddities, row: int, last_ns: int) -> dict[str, Any]:
    """Fields that only a direction with a zero window or a RST has."""
    values: dict[str, Any] = {}
    window = odd.windows.get(row)
    if window is not None:
        values.update(zero_window(window, last_ns))
    reset = odd.resets.get(row)
    if reset is not None:
        values.update(
            rst_ttl=reset.ttl,
            rst_window=reset.window,
            rst_options=reset.options,
            rst_seq_offset=reset.offset,
        )
    return values


def zero_window(window: ZeroWindow, last_ns: int) -> dict[str, Any]:
    """Fields of a direction whose receive window was shut."""
    open_ns = last_ns - window.since.time_ns if window.since else 0
    return {
        "zero_window_ns": max(window.longest_ns, open_ns),
        "zero_window_mark": window.longest if window.longest_ns > open_ns else window.since,
        "zero_window_open": window.since is not None,
    }


def _run(odd: Oddities, row: int, max_ack: int) -> RetransmitRun | None:
    """The range sent most often; of equals the longest, then the first."""
    ranges = odd.ranges[row]
    seq, found = max(ranges.items(), key=lambda item: (item[1].sent, item[1].length, -item[0]))
    if found.sent < MIN_RUN:
        return None
    return RetransmitRun(
        seq, found.length, found.ip_length, found.sent, tuple(found.marks), max_ack > seq,
        found.smaller,
    )  # fmt: skip


def _holes(odd: Oddities, row: int, max_ack: int) -> tuple[Hole, ...]:
    return tuple([
        Hole(gap.left, gap.right, gap.mark, max_ack > gap.left, gap.beyond)
        for gap in odd.gaps[row][:MAX_HOLES]
    ])  # fmt: skip


# -- what was said --------------------------------------------------------------------


def _settled(said: Summary, rows: FlowRows, sides: tuple[Direction, Direction]) -> dict[str, Any]:
    """The fields of a settled tunnel."""
    asked, answered = sides[CLIENT].first_payload, sides[PROXY].first_payload
    assert asked is not None
    assert answered is not None
    ends = [side.stream_bytes + 1 for side in sides]
    heads = (said.said.request.length, said.said.response.length)
    tls = said.tls(
        (direction(rows.sides[CLIENT], ends[CLIENT]), direction(rows.sides[PROXY], ends[PROXY]))
    )
    return {
        "exchanges": (said.exchange(asked, answered),),
        "first_language": ("http", "http"),
        "tunnel": answered,
        "tunnel_first": (tls.client_hello_mark, tls.server_hello_mark),
        "tunnel_bytes": tuple(end - 1 - head for end, head in zip(ends, heads, strict=True)),
        "tunnel_protocol": "tls",
        "tunnel_language": ("tls", "tls"),
        "tls": tls,
    }


def _talk(conversation: Conversation, sides: tuple[Direction, Direction]) -> dict[str, Any]:
    """The fields of FlowFacts that come from payload."""
    opening = conversation.tunnel
    values: dict[str, Any] = {
        "exchanges": _exchanges(conversation),
        "first_bytes": tuple([_masked(data) for data in conversation.first_bytes]),
        "first_language": tuple(conversation.languages),
    }
    if opening is None:
        return values
    lengths = [
        max(0, side.stream_bytes + 1 - start) if start is not None else 0
        for side, start in zip(sides, conversation.tunnel_from, strict=True)
    ]
    inner = conversation.inner_language
    values.update(
        tunnel=opening.first,
        tunnel_first=tuple(conversation.tunnel_first),
        tunnel_bytes=tuple(lengths),
        tunnel_protocol=next((name for name in inner if name), "other" if any(lengths) else ""),
        tunnel_language=tuple(inner),
        tunnel_start=tuple([_masked(data) for data in conversation.inner_bytes]),
        early_data=conversation.early is not None,
    )
    return values


def _masked(data: bytes) -> bytes:
    """First bytes without credentials; binary ones and plain heads have none."""
    if data[:1] < b" " or not (b"@" in data or b"uthorization" in data or b"?" in data):
        return data
    return mask_payload(data)


def _exchanges(conversation: Conversation) -> tuple[Exchange, ...]:
    found = [_exchange(item) for item in conversation.exchanges]
    partial = conversation.http.partial(PROXY) if conversation.http is not None else None
    if partial is not None and found and found[-1].response is None:
        found[-1] = _with_partial(found[-1], partial)
    begun = conversation.http.begun() if conversation.http is not None else None
    if begun is not None:
        found.append(Exchange(request=begun[0], request_mark=begun[1]))
    return tuple(found)


def _with_partial(exchange: Exchange, partial: Any) -> Exchange:
    return Exchange(
        request=exchange.request, request_mark=exchange.request_mark, response=partial,
        response_mark=None,
    )  # fmt: skip


def _exchange(item: HttpExchange[Mark]) -> Exchange:
    return Exchange(
        request=item.request,
        request_mark=item.request_first,
        response=item.response,
        response_mark=item.response_first,
        body_expected=item.body_expected,
        body_received=item.body_received,
        body_complete=item.body_complete,
        body_start=item.body_start,
    )


def _tls(
    conversation: Conversation,
    rows: FlowRows,
    sides: tuple[Direction, Direction],
    walker: RecordWalker,
    flow: int,
) -> TlsFacts | None:
    seen = conversation.tls
    if seen is None:
        return None
    alerts = [Alert(a.mark, side, a.level, a.code) for side, a in seen.alerts]
    for side in (CLIENT, PROXY):
        for mark, level, code in walker.alerts.get(2 * flow + side, ()):
            alert = Alert(mark, side, level, code)
            if alert not in alerts:  # the walker goes over a kept opening, too
                alerts.append(alert)
    reader = conversation.reader(CLIENT)
    hello = seen.hello or (reader.partial if reader else None)
    server, certificates = seen.server, seen.certificates
    return TlsFacts(
        client_hello=hello.hello if hello else None,
        client_hello_mark=hello.first if hello else None,
        client_hello_end=hello.last if hello and hello.hello.complete else None,
        client_hello_packets=hello.packets if hello else 0,
        server_hello=server.hello if server else None,
        server_hello_mark=server.first if server else None,
        certificates=certificates.certificates if certificates else (),
        certificate_mark=certificates.first if certificates else None,
        certificate_request=seen.certificate_request,
        alerts=tuple(alerts),
        sides=(
            _records(conversation, seen, CLIENT, rows, sides, walker, flow),
            _records(conversation, seen, PROXY, rows, sides, walker, flow),
        ),
    )


def _record(header: RecordHeader[Mark]) -> Record:
    return Record(header.mark, header.type, header.length)


def _records(
    conversation: Conversation,
    seen: TlsSeen,
    side: int,
    rows: FlowRows,
    sides: tuple[Direction, Direction],
    walker: RecordWalker,
    flow: int,
) -> TlsDirection:
    reader = conversation.reader(side)
    if reader is None:
        return TlsDirection()
    header, first_app, start = seen.last[side], seen.first_app[side], seen.app_from[side]
    last = _record(header) if header else None
    count, missing, end = reader.count, reader.missing, sides[side].stream_bytes + 1
    c = rows.sides[side]
    if c.mode >= RECORDS:
        missing = walker.missing(2 * flow + side, c, end)
        count = max(count, c.rec_count)
        if c.rec_count and (last is None or c.rec_no >= last.mark.number):
            last = Record(Mark(c.rec_no, c.rec_ns), c.rec_type, c.rec_length)
        if first_app is None and c.data_no:
            first_app, start = Mark(c.data_no, c.data_ns), c.data_at
    return TlsDirection(
        records=tuple([_record(header) for header in seen.records[side]]),
        last=last,
        count=count,
        missing=missing,
        app_bytes=max(0, end - start) if start else 0,
        first_app=first_app,
    )
