"""Turns rows of a packet list into frames.

Rows of TCP name ports and numbers. Those of what it carries do not; they are given to the
connection between their hosts that they suit, and later rows tell whether that was right: so
rows wait until those that follow are there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from capture.decode.columns import ACK, FIN, PSH, SYN
from capture.frames import SourceInfo
from capture.sources.text import frames
from capture.sources.text.clock import Clock
from capture.sources.text.frames import Frame, Ip, Tcp, TextFrame
from capture.sources.text.heads import Head as HttpHead
from capture.sources.text.hosts import Hosts
from capture.sources.text.sent import Sent, SentLately
from capture.sources.text.wireshark.columns import Columns, Row
from capture.sources.text.wireshark.connection import Connection, Later, Side
from capture.sources.text.wireshark.dump import Dumped, dump_line, segment_in
from capture.sources.text.wireshark.info import Head, Icmp, Opaque, Records, Said, Segment
from capture.sources.text.wireshark.records import least_size, record_bytes

_AHEAD: Final = 2048
"""Rows that wait, to tell what belongs where."""
_MANY: Final = 32
"""Connections between two hosts from which on those that are over are let go of."""
_CANDIDATES: Final = 512
"""Connections that are looked at for one row."""
_MOST_CONNECTIONS: Final = 50_000
_LARGEST: Final = 1 << 18
_ETHERNET: Final = 14
_STAMPS: Final = 12
"""Bytes of the timestamp option and what pads it."""
_WRAPPED: Final = ("Seq=", "Ack=", "Win=", "Len=", "MSS=", "SACK_PERM", "TSval=", "TSecr=", "WS=")


class Reader:
    """Takes lines, gives frames: as ``assembler.Assembler`` does of tcpdump's.

    Args:
        info: ``assumed``, ``names`` and ``times_known`` are filled.
        hosts: Addresses of the names.
        clock: Times.
    """

    def __init__(self, info: SourceInfo, hosts: Hosts, clock: Clock) -> None:
        self._info = info
        self._hosts = hosts
        self._clock = clock
        self._columns = Columns()
        self._line = ""
        self._rows: deque[Row] = deque()
        self._connections: dict[tuple[str, str, str, str], Connection] = {}
        self._between: dict[frozenset[str], list[Connection]] = {}
        self._sent = SentLately(info)
        self._made: list[TextFrame] = []
        self._count = self._lines = self._portless = 0
        self._link: dict[int, int] = {}
        """Bytes in front of TCP by IP version: the least that any row shows."""
        self._renumbered = False
        self._guessed = self._undumped = 0

    def take(self) -> list[TextFrame]:
        """The frames made since the last call."""
        made, self._made = self._made, []
        return made

    def feed(self, raw: str) -> None:
        """Take the next line of the text."""
        text = raw.strip()
        if text.startswith(_WRAPPED):
            self._line = f"{self._line} {text}"
            return
        self._read()
        part = dump_line(text)
        if part is not None and self._rows:
            row, (at, data) = self._rows[-1], part
            if at == len(row.dump) < _LARGEST:
                row.dump += data
            return
        self._line = raw

    def _read(self) -> None:
        line, self._line = self._line, ""
        row = self._columns.read(line) if line.strip() else None
        if row is not None:
            self._lines += 1
            row.order = self._lines
            if isinstance(row.said, Segment):
                self._learn(row, row.said)
                connection, sender = self._connection(row, row.said.sport, row.said.dport)
                connection.ahead.append(Later(row.said, sender, row.order))
            self._rows.append(row)
            if len(self._rows) > _AHEAD:
                self._next()

    def flush(self) -> None:
        """Make the frames of all rows that wait."""
        self._read()
        while self._rows:
            self._next()

    def finish(self) -> None:
        """Flush, and say what had to be assumed of the text as a whole."""
        self.flush()
        say = self._info.assumed.append
        if self._count and not self._info.contents_known:
            say(
                "a packet list shows neither payload nor the ports of what TCP carries: first"
                " lines and TLS messages stand for their packets, the rest counts as not captured"
            )
        if self._guessed:
            say(
                f"{self._guessed} lines without ports could belong to more than one connection"
                " between their hosts: they were given to the one that they suit best"
            )
        if self._portless:
            say("no line shows ports: the proxy's stands as 0, the clients' are counted from 1")
        if self._renumbered:
            say("packets are numbered from 1 in the order of the text, not as its No. column says")
        if self._count and not self._info.times_known:
            say("the text has no times: nothing is known of delays")

    # -- rows --------------------------------------------------------------------------

    def _learn(self, row: Row, said: Segment) -> None:
        """Take from a row of TCP how many bytes its list counts in front of TCP."""
        if row.length and said.length is not None and not said.sack:
            version = _version(row.src)
            link = row.length - said.length - 20 - _padded(_options(said))
            self._link[version] = min(link, self._link.get(version, link))

    def _next(self) -> None:
        row = self._rows.popleft()
        self._count += 1
        self._renumbered |= row.number is not None and row.number != self._count
        self._clock.at(row.stamp)
        said = row.said
        dumped = segment_in(row.dump) if row.dump else None
        frame: Frame | None = None
        if isinstance(said, Segment):
            frame = self._segment(row, said, dumped)
        elif isinstance(said, Icmp):
            frame = self._icmp(row, said)
        else:
            frame = self._carried(row, said, dumped)
        if frame is None:
            frame = frames.foreign_frame(row.protocol.upper() == "ARP")
        self._made.append(TextFrame(frame, self._clock.now, ""))

    def _connection(self, row: Row, sport: str, dport: str) -> tuple[Connection, int]:
        key = row.src, sport, row.dst, dport
        found = self._connections.get(key)
        if found is None:
            while len(self._connections) >= 2 * _MOST_CONNECTIONS:
                del self._connections[next(iter(self._connections))]
            found = Connection((Side(row.src, sport), Side(row.dst, dport)))
            self._connections[key] = found
            self._connections[row.dst, dport, row.src, sport] = found
            self._of(row).append(found)
        return found, 0 if (found.sides[0].host, found.sides[0].port) == key[:2] else 1

    def _of(self, row: Row) -> list[Connection]:
        """The connections between the hosts of a row."""
        hosts = frozenset((row.src, row.dst))
        between = self._between.get(hosts)
        if between is None:
            while len(self._between) >= _MOST_CONNECTIONS:
                del self._between[next(iter(self._between))]
            between = self._between[hosts] = []
        if len(between) > _MANY:
            between[:] = [item for item in between if not item.done][-_MOST_CONNECTIONS:]
        return between

    def _segment(self, row: Row, said: Segment, dumped: Dumped | None) -> Frame | None:
        connection, sender = self._connection(row, said.sport, said.dport)
        if connection.ahead and connection.ahead[0].order == row.order:
            connection.ahead.popleft()
        me = connection.sides[sender]
        if said.flags & SYN:
            connection.opened(said, sender)
        seq = said.seq if said.seq is not None else me.next
        length = said.length
        if length is None:
            data = row.length or said.flags & PSH
            length = self._length(row, me, (connection, sender)) if data else 0
        length = min(length, 65_535)
        payload = b""
        if length and said.goes_on and not said.again:
            if not me.begun:
                me.left = self._beginning(row, connection, sender, length)
                me.begun = True
            payload = me.part(length)
        window = connection.window(said, sender)
        connection.took(said, sender, seq, length)
        ack = said.ack if said.ack is not None else connection.sides[1 - sender].next
        options = _options(said, connection.wire)
        if dumped is not None:
            payload = dumped.payload
        self._seen(dumped, payload, length)
        return self._tcp(
            connection, sender, (seq, ack, said.flags, window), options, payload, length
        )

    def _beginning(self, row: Row, connection: Connection, sender: int, length: int) -> bytes:
        """The first bytes of something whose end, and name, a later row tells."""
        total = length
        mine = {later.order for later in connection.ahead if later.sender == sender}
        for later in self._rows:
            said = later.said
            if later.src != row.src or later.dst != row.dst:
                continue
            if isinstance(said, Segment):
                if later.order in mine and said.goes_on and not said.again:
                    total += said.length or 0
            elif isinstance(said, (Head, Records)) and connection.fits(said, sender) >= 0:
                total += self._length(later, connection.sides[sender], None)
                if not said.goes_on:
                    connection.sides[sender].shown = _first_line(said)
                    return self._bytes(said, connection, total)
        return b""

    # -- what TCP carries --------------------------------------------------------------

    def _carried(self, row: Row, said: Said, dumped: Dumped | None) -> Frame | None:
        """A row that names no ports; None when no connection is known between its hosts."""
        if dumped is not None:
            row.sport, row.dport = str(dumped.sport), str(dumped.dport)
        found = self._whose(row, said)
        if found is None:
            return None
        connection, sender = found
        me = connection.sides[sender]
        ack = connection.acknowledges(sender)
        length = self._length(row, me, (connection, sender))
        seq = connection.place(said, sender, length)
        payload = b""
        goes_on = me.begun and me.shown in ("", _first_line(said))
        if not (said.again or said.behind_a_gap):
            if not goes_on:
                me.left = self._bytes(said, connection, length)
            payload = me.part(length)
        me.begun, me.shown = said.goes_on, _first_line(said) if said.goes_on else ""
        me.took(seq, length)
        flags = ACK | PSH
        if dumped is not None:
            payload, flags = dumped.payload, dumped.flags
        self._seen(dumped, payload, length)
        closed = connection.closes(sender, seq + length)
        if flags & FIN or (closed is not None and not self._more(row, closed)):
            flags |= FIN
            me.next += 1
        options = b"\x01" * _STAMPS if me.stamps else b""
        return self._tcp(connection, sender, (seq, ack, flags, me.window), options, payload, length)

    def _seen(self, dumped: Dumped | None, payload: bytes, length: int) -> None:
        """Note whether all of a segment's payload is there."""
        self._undumped += dumped is None or len(payload) < length
        self._info.contents_known = not self._undumped

    def _whose(self, row: Row, said: Said) -> tuple[Connection, int] | None:
        """The connection that a row without ports suits best, and the side that sent it."""
        if isinstance(said, Opaque) and row.protocol.upper() in _NOT_TCP:
            return None
        if row.sport and row.dport:
            return self._connection(row, row.sport, row.dport)
        best: list[tuple[tuple[bool, int, int], int, Connection]] = []
        for connection in self._of(row)[-_CANDIDATES:]:
            if connection.made_up:
                continue
            for sender in (0, 1):
                me = connection.sides[sender]
                if (me.host, connection.sides[1 - sender].host) == (row.src, row.dst):
                    length = self._length(row, me, None)
                    proof, order = connection.proof(sender, me.next, length)
                    suits = 4 * proof + connection.fits(said, sender)
                    # Of several that are proved alike, the one whose proof comes first.
                    score = (connection.open, suits, -order)
                    best.append((score, sender, connection))
        if not best:
            return self._made_up(row, said)
        score, sender, connection = max(best, key=lambda item: item[0])
        if sum(other[:2] == score[:2] for other, _, _ in best) > 1:
            self._guessed += 1
        return connection, sender

    def _made_up(self, row: Row, said: Said) -> tuple[Connection, int] | None:
        """A connection of which no row shows the ports: a filter left only what it carried."""
        between = self._of(row)
        latest = between[-1] if between else None
        by_client = said.request if isinstance(said, Head) else None
        if isinstance(said, Records):
            by_client = said.by_client
        begins = isinstance(said, Head) and said.request and (latest is None or latest.hello)
        if begins or (latest is None and by_client is not None):
            ends = (row.src, row.dst) if by_client else (row.dst, row.src)
            self._portless += 1
            latest = Connection((Side(ends[0], str(self._portless)), Side(ends[1], "0")), 0)
            latest.made_up = True
            between.append(latest)
        if latest is None:
            return None
        return latest, 0 if row.src == latest.sides[0].host else 1

    def _length(self, row: Row, side: Side, owner: tuple[Connection, int] | None) -> int:
        """Payload bytes of a row that does not print them, by its frame's length or by what
        later rows acknowledge; else as many as are known."""
        if row.length and (dumped := segment_in(row.dump)) is not None:
            return len(dumped.payload)
        if row.length:
            version = _version(row.src)
            link = self._link.get(version, _ETHERNET + (40 if version == 6 else 20))
            return max(0, row.length - link - 20 - (_STAMPS if side.stamps else 0))
        least = 1
        if isinstance(row.said, Head):
            least = len(row.said.line) + 4
        elif isinstance(row.said, Records):
            least = least_size(row.said.messages, row.said.version)
        told = owner[0].told(owner[1]) if owner is not None else None
        if told is None:
            return least
        return min(told[0], least if self._more(row, told[1]) else 65_535)

    def _more(self, row: Row, order: int) -> bool:
        """Whether more rows without ports come the same way before the one of ``order``."""
        for later in self._rows:
            if later.order >= order:
                break
            if (later.src, later.dst) == (row.src, row.dst) and not isinstance(later.said, Segment):
                return True
        return False

    @staticmethod
    def _bytes(said: Said, connection: Connection, length: int) -> bytes:
        """What is known of the payload that a row tells about."""
        if isinstance(said, Head):
            connection.asked += said.request
            connection.answered += not said.request
            before = b"".join(line.encode("utf-8", "replace") + b"\r\n\r\n" for line in said.before)
            head = HttpHead([said.line], said.request)
            return before + head.payload(max(0, length - len(before)))
        if isinstance(said, Records):
            connection.hello |= said.messages[0].startswith("Client Hello")
            return record_bytes(said.messages, said.version, length)
        return b""

    # -- frames ------------------------------------------------------------------------

    def _tcp(
        self,
        connection: Connection,
        sender: int,
        numbers: tuple[int, int, int, int],
        options: bytes,
        payload: bytes,
        length: int,
    ) -> Frame | None:
        """A segment's frame.

        Args:
            connection: Its connection.
            sender: The side that sent it.
            numbers: Sequence and acknowledgement number as printed, flags, window.
            options: Of TCP.
            payload: As much of it as is known.
            length: Bytes that it had.
        """
        me, peer = connection.sides[sender], connection.sides[1 - sender]
        ip = self._ip(me.host, peer.host)
        if ip is None:
            return None
        seq, ack, flags, window = numbers
        tcp = Tcp(
            self._hosts.port(me.port),
            self._hosts.port(peer.port),
            connection.wire(seq),
            connection.wire(ack) if flags & ACK else 0,
            flags,
            window,
            options,
        )
        frame = frames.tcp_frame(ip, tcp, payload, length)
        self._sent.remember(Sent(tcp, ip, length, frame.wirelen))
        return frame

    def _ip(self, source: str, target: str) -> Ip | None:
        version = 6 if 6 in (_version(source), _version(target)) else 4
        src = self._hosts.address(source, version)
        dst = self._hosts.address(target, version)
        return Ip(src, dst) if src is not None and dst is not None else None

    def _icmp(self, row: Row, said: Icmp) -> Frame | None:
        ip = self._ip(row.src, row.dst)
        if ip is None:
            return None
        error = said.error
        if error is None:
            return frames.other_ip_frame(ip, icmp=True)
        too_large = (len(ip.src), error.type, error.code) in ((4, 3, 4), (16, 2, 0))
        sent = self._sent.answered(ip.dst, too_large)
        quote = b""
        if sent is not None:
            quote = frames.tcp_frame(sent.ip, sent.tcp, b"", sent.length).data
        ip.dont_fragment = False
        return frames.icmp_frame(ip, error.type, error.code, error.mtu, quote)


_NOT_TCP: Final = frozenset((
    "ARP", "ICMP", "ICMPV6", "IGMP", "IGMPV2", "IGMPV3", "IPV4", "IPV6", "UDP", "DNS", "MDNS",
    "LLMNR", "NBNS", "BROWSER", "DHCP", "DHCPV6", "BOOTP", "NTP", "SNMP", "SSDP", "QUIC", "GQUIC",
    "STUN", "RTP", "RTCP", "ISAKMP", "ESP", "SYSLOG", "TFTP", "RADIUS", "LLDP", "STP", "CDP",
    "LACP", "LOOP", "EAPOL", "EAP", "WIREGUARD", "DTLS", "SCTP", "OSPF", "VRRP", "HSRP", "GRE",
))  # fmt: skip
"""Protocols that TCP does not carry, or seldom."""


def _first_line(said: Said) -> str:
    return said.line if isinstance(said, Head) else ""


def _version(host: str) -> int:
    return 6 if host.count(":") > 1 else 4


def _options(said: Segment, wire: Callable[[int], int] = lambda number: number) -> bytes:
    """TCP options in wire form (RFC 9293 3.1), padded where Linux pads them."""
    made = b""
    if said.mss is not None:
        made += b"\x02\x04" + (said.mss & 0xFFFF).to_bytes(2, "big")
    if said.sack_permitted:
        made += b"\x04\x02"
    if said.stamps is not None:
        made += b"" if made else b"\x01\x01"
        made += b"\x08\x0a" + b"".join(
            (number & 0xFFFFFFFF).to_bytes(4, "big") for number in said.stamps
        )
    if said.scale is not None:
        made += b"\x01\x03\x03" + bytes((said.scale,))
    if said.sack:
        blocks = said.sack[: 3 if said.stamps else 4]
        made += b"\x01\x01\x05" + bytes((2 + 8 * len(blocks),))
        for left, right in blocks:
            made += wire(left).to_bytes(4, "big") + wire(right).to_bytes(4, "big")
    return made[:40]


def _padded(options: bytes) -> int:
    return len(options) + -len(options) % 4
