"""Facts of one flow from the tracker's columns and objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

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
from capture.tracking.events import Oddities
from capture.tracking.records import RECORDS, RecordWalker
from capture.tracking.settle import Summary, direction
from capture.tracking.streams import Conversation, TlsSeen
from capture.tracking.table import FlowTable

MIN_RUN: Final = 3
"""Sent this often, a range counts as sent again and again."""
MAX_HOLES: Final = 4


def flow_facts(
    table: FlowTable,
    odd: Oddities,
    flow: int,
    said: Conversation | Summary | None,
    walker: RecordWalker,
    icmp: tuple[IcmpError, ...],
    address_text: Callable[[int], str],
) -> FlowFacts:
    """Gather everything known of a flow (0-based number)."""
    columns = table.flows
    sides = (_direction(table, odd, 2 * flow), _direction(table, odd, 2 * flow + 1))
    syn = _mark(columns, "syn", flow)
    ack = _mark(columns, "ack", flow)
    first = Mark(int(columns.first_no[flow]), int(columns.first_ns[flow]))
    last = Mark(int(columns.last_no[flow]), int(columns.last_ns[flow]))
    syns = odd.syns.get(flow)
    client_acks = int(table.sides.max_ack[2 * flow])
    reply_flags = int(table.sides.first_flags[2 * flow + 1])
    values: dict[str, Any] = {}
    if isinstance(said, Summary):
        values = _settled(said, table, sides, flow)
    elif said is not None:
        values = _talk(said, sides)
        values["tls"] = _tls(said, sides, table, walker, flow)
    return FlowFacts(
        id=flow + 1,
        client=_endpoint(int(columns.client[flow]), address_text),
        proxy=_endpoint(int(columns.proxy[flow]), address_text),
        first=first,
        last=last,
        packets=sides[0].packets + sides[1].packets,
        sides=sides,
        roles_certain=bool(columns.certain[flow]),
        syn=syn,
        syn_count=int(columns.syn_count[flow]),
        syn_marks=tuple(syns) if syns else (syn,) if syn else (),
        syn_ack=_mark(columns, "syn_ack", flow),
        syn_ack_count=int(columns.syn_ack_count[flow]),
        ack=ack,
        challenge_ack=syn is not None and reply_flags & (SYN | ACK | RST) == ACK,
        rtt_ns=ack.time_ns - syn.time_ns if syn and ack else None,
        closes=_closes(sides),
        longest_silence=_silence(columns, flow),
        icmp=icmp,
        mid_stream=syn is None and columns.syn_ack_no[flow] == 0,
        one_way=_one_way(sides, client_acks, syn is not None, int(table.sides.max_ack[2 * flow + 1])),
        time_backwards=int(columns.backwards[flow]),
        reused_port=bool(columns.reused[flow]),
        tcp_fast_open=bool(
            syn and sides[0].first_payload and sides[0].first_payload.number == syn.number
        ),
        **_waits(columns, flow, sides, values, last),
    )


def _endpoint(value: int, address_text: Callable[[int], str]) -> Endpoint:
    return Endpoint(address_text(value >> 16), value & 0xFFFF)


def _mark(columns: Any, name: str, row: int) -> Mark | None:
    """A mark kept as the columns ``<name>_no`` and ``<name>_ns``."""
    number = int(getattr(columns, name + "_no")[row])
    return Mark(number, int(getattr(columns, name + "_ns")[row])) if number else None


def _one_way(
    sides: tuple[Direction, Direction], client_ack: int, syn: bool, proxy_ack: int
) -> bool:
    """Only one side was captured, though what it acknowledges proves the other spoke."""
    if sides[CLIENT].packets and not sides[PROXY].packets:
        return client_ack > 1 or (syn and client_ack >= 1)
    if sides[PROXY].packets and not sides[CLIENT].packets:
        return proxy_ack > 1 or sides[PROXY].packets > 1
    return False


def _silence(columns: Any, flow: int) -> Silence | None:
    if not columns.silence_to_no[flow]:
        return None
    start_ns = int(columns.silence_from_ns[flow])
    return Silence(
        Mark(int(columns.silence_from_no[flow]), start_ns),
        Mark(int(columns.silence_to_no[flow]), start_ns + int(columns.silence_ns[flow])),
    )


def _waits(
    columns: Any,
    flow: int,
    sides: tuple[Direction, Direction],
    values: dict[str, Any],
    last: Mark,
) -> dict[str, Any]:
    """Add the longest wait for the proxy's next payload inside the tunnel."""
    tunnel: Mark | None = values.get("tunnel")
    if tunnel is None:
        return values
    waits: list[Silence] = []
    if columns.wait_to_no[flow] and columns.wait_from_ns[flow] >= tunnel.time_ns:
        start_ns = int(columns.wait_from_ns[flow])
        waits.append(
            Silence(
                Mark(int(columns.wait_from_no[flow]), start_ns),
                Mark(int(columns.wait_to_no[flow]), start_ns + int(columns.wait_ns[flow])),
            )
        )
    since = sides[PROXY].last_payload or tunnel
    waits.append(Silence(since, last))
    values["longest_wait"] = max(waits, key=lambda wait: wait.seconds)
    return values


def _closes(sides: tuple[Direction, Direction]) -> tuple[tuple[str, Mark], ...]:
    found = [
        (f"{name}_{how}", mark)
        for name, side in (("client", sides[0]), ("proxy", sides[1]))
        for how, mark in (("fin", side.fin), ("rst", side.rst))
        if mark is not None
    ]
    return tuple(sorted(found, key=lambda item: item[1].number))


def _direction(table: FlowTable, odd: Oddities, row: int) -> Direction:
    c = table.sides
    other = row ^ 1
    next_seq, acked = int(c.next_seq[row]), max(int(c.max_ack[other]), 1)
    fin = _mark(c, "fin", row)
    stream_end = next_seq - (1 if fin is not None and next_seq == c.fin_end[row] else 0)
    largest = int(c.largest[row])
    unacked = max(0, stream_end - acked)
    values: dict[str, Any] = {}
    if row in odd.windows:
        window = odd.windows[row]
        seen = int(c.seen_ns[row])
        open_ns = seen - window.since.time_ns if window.since else 0
        values.update(
            zero_window_ns=max(window.longest_ns, open_ns),
            zero_window_mark=window.longest if window.longest_ns > open_ns else window.since,
            zero_window_open=window.since is not None,
        )
    if row in odd.resets:
        reset = odd.resets[row]
        values.update(
            rst_ttl=reset.ttl, rst_window=reset.window, rst_options=reset.options,
            rst_seq_offset=reset.offset,
        )  # fmt: skip
    return Direction(
        packets=int(c.packets[row]),
        bytes=int(c.bytes[row]),
        stream_bytes=max(0, stream_end - 1),
        data_packets=int(c.data_packets[row]),
        mss=int(c.mss[row]),
        wscale=max(int(c.wscale[row]), -1),
        ttl=int(c.ttl[row]),
        timestamps=bool(int(c.options[row]) & OPT_TIMESTAMPS),
        first=_mark(c, "began", row),
        last=_mark(c, "seen", row),
        first_payload=_mark(c, "first_payload", row),
        last_payload=_mark(c, "last_payload", row),
        largest=largest,
        largest_acked=largest if largest and c.largest_end[row] <= acked else int(c.largest_acked[row]),
        retransmissions=int(c.retransmissions[row]),
        fast_retransmissions=int(c.fast[row]),
        spurious_retransmissions=int(c.spurious[row]),
        out_of_order=int(c.out_of_order[row]),
        duplicates=int(c.duplicates[row]),
        keep_alives=int(c.keep_alives[row]),
        dup_acks=int(c.dup_acks[row]),
        zero_windows=int(c.zero_windows[row]),
        window_probes=int(c.probes[row]),
        window_full=int(c.window_full[row]),
        lost_segments=int(c.lost[row]),
        acked_unseen=int(c.acked_unseen[row]),
        unacked=unacked,
        unacked_since=_mark(c, "last_sent", row) if unacked else None,
        run=_run(table, odd, row),
        holes=_holes(odd, row),
        sacked_beyond_hole=bool(c.sack_right[other] > c.max_ack[other] >= 0),
        fin=fin,
        fin_acked=fin is not None and bool(c.max_ack[other] >= c.fin_end[row]),
        fin_sent=int(c.fin_sent[row]),
        rst=_mark(c, "rst", row),
        cut_by_snaplen=int(c.cut[row]),
        oversized=int(c.oversized[row]),
        fragments=int(c.fragments[row]),
        **values,
    )


def _run(table: FlowTable, odd: Oddities, row: int) -> RetransmitRun | None:
    """The range sent most often; of equals the longest, then the first."""
    ranges = odd.ranges.get(row)
    if not ranges:
        return None
    seq, found = max(ranges.items(), key=lambda item: (item[1].sent, item[1].length, -item[0]))
    if found.sent < MIN_RUN:
        return None
    acked = int(table.sides.max_ack[row ^ 1]) > seq
    return RetransmitRun(
        seq, found.length, found.ip_length, found.sent, tuple(found.marks), acked, found.smaller
    )


def _holes(odd: Oddities, row: int) -> tuple[Hole, ...]:
    gaps = odd.gaps.get(row)
    if not gaps:
        return ()
    return tuple(Hole(g.left, g.right, g.mark, False, g.beyond) for g in gaps[:MAX_HOLES])


# -- what was said --------------------------------------------------------------------


def _settled(
    said: Summary, table: FlowTable, sides: tuple[Direction, Direction], flow: int
) -> dict[str, Any]:
    """The fields of a settled tunnel."""
    asked, answered = sides[CLIENT].first_payload, sides[PROXY].first_payload
    assert asked is not None and answered is not None
    ends = [side.stream_bytes + 1 for side in sides]
    heads = (said.request.length, said.response.length)
    tls = said.tls(
        (direction(table, 2 * flow, ends[CLIENT]), direction(table, 2 * flow + 1, ends[PROXY]))
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
        "first_bytes": tuple(mask_payload(data) for data in conversation.first_bytes),
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
        tunnel_start=tuple(mask_payload(data) for data in conversation.inner_bytes),
        early_data=conversation.early is not None,
    )
    return values


def _exchanges(conversation: Conversation) -> tuple[Exchange, ...]:
    http = conversation.http
    if http is None:
        return ()
    found = [_exchange(item) for item in http.exchanges]
    partial = http.partial(PROXY)
    if partial is not None and found and found[-1].response is None:
        found[-1] = _with_partial(found[-1], partial)
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
    sides: tuple[Direction, Direction],
    table: FlowTable,
    walker: RecordWalker,
    flow: int,
) -> TlsFacts | None:
    seen = conversation.tls
    if seen is None:
        return None
    alerts = [Alert(a.mark, side, a.level, a.code) for side, a in seen.alerts]
    for side in (CLIENT, PROXY):
        later = walker.alerts.get(2 * flow + side, ())
        alerts += [Alert(mark, side, level, code) for mark, level, code in later]
    hello, server, certificates = seen.hello, seen.server, seen.certificates
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
            _records(conversation, seen, CLIENT, sides, table, walker, flow),
            _records(conversation, seen, PROXY, sides, table, walker, flow),
        ),
    )


def _record(header: RecordHeader[Mark]) -> Record:
    return Record(header.mark, header.type, header.length)


def _records(
    conversation: Conversation,
    seen: TlsSeen,
    side: int,
    sides: tuple[Direction, Direction],
    table: FlowTable,
    walker: RecordWalker,
    flow: int,
) -> TlsDirection:
    reader = conversation.reader(side)
    if reader is None:
        return TlsDirection()
    header, first_app, start = seen.last[side], seen.first_app[side], seen.app_from[side]
    last = _record(header) if header else None
    count, missing = reader.count, reader.missing
    row, end = 2 * flow + side, sides[side].stream_bytes + 1
    columns = table.sides
    if columns.mode[row] >= RECORDS:
        missing = walker.missing(row, end)
        count = max(count, int(columns.rec_count[row]))
        if columns.rec_count[row] and (last is None or columns.rec_no[row] >= last.mark.number):
            at = Mark(int(columns.rec_no[row]), int(columns.rec_ns[row]))
            last = Record(at, int(columns.rec_type[row]), int(columns.rec_length[row]))
        if first_app is None and columns.data_no[row]:
            first_app = _mark(columns, "data", row)
            start = int(columns.data_at[row])
    return TlsDirection(
        records=tuple(_record(header) for header in seen.records[side]),
        last=last,
        count=count,
        missing=missing,
        app_bytes=max(0, end - start) if start else 0,
        first_app=first_app,
    )
