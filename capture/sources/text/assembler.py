"""Puts lines together to packets: a packet line, what tcpdump prints under it, and the
heads that an author wrote between two of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from capture.decode.columns import SYN
from capture.frames import SourceInfo
from capture.sources.text import frames, grammar, heads, packet_line, wrapped
from capture.sources.text.clock import Clock
from capture.sources.text.conversation import Conversation, Segment, Side
from capture.sources.text.frames import Frame, Ip, Tcp, TextFrame
from capture.sources.text.grammar import IcmpLine, TcpLine
from capture.sources.text.hosts import Hosts, packed, split_port
from capture.sources.text.lines import LOGGED, unquote
from capture.sources.text.packet_line import PacketLine
from capture.sources.text.sent import Sent, SentLately
from capture.sources.text.wireshark.info import Records, read_info
from capture.sources.text.wireshark.records import record_bytes

_MOST_UNDER: Final = 4096
"""Lines kept under a packet line; 64 KiB in hex are as many."""
_MOST_CONVERSATIONS: Final = 50_000
_MOST_UNTIMED: Final = 100_000
_TCP_IN_DETAIL: Final = re.compile(r"^(?:tcp|ip-proto-6)\b")
_ICMP_HINT: Final = re.compile(r"\bICMP6?\b")
_CARRIES: Final = re.compile(r"^(?:VXLAN|Geneve|OTV)\b| ip \d{1,5}:\s*$")
"""What the line of a tunnel's packet begins with, and that of ``-e`` before 3.9 ends with."""
_NESTED: Final = re.compile(r"(?:IP6? )?\((?:tos|class|flowlabel|hlim) ")


@dataclass(slots=True)
class _Pending:
    """A packet line, and the lines under it so far."""

    line: PacketLine
    text: str
    """The packet line without what quoting put around it."""
    prefix: str
    """What quoting put in front of it."""
    under: list[str] = field(default_factory=list)
    """As they are, without ``prefix``."""


class Assembler:
    """Takes lines, gives frames.

    Args:
        info: ``assumed``, ``names`` and ``times_known`` are filled.
        hosts: Addresses of the names.
        clock: Times.
    """

    def __init__(self, info: SourceInfo, hosts: Hosts, clock: Clock) -> None:
        self._info = info
        self._hosts = hosts
        self._clock = clock
        self._pending: _Pending | None = None
        self._conversations: dict[tuple[bytes, int, bytes, int], tuple[Conversation, int]] = {}
        self._latest: Conversation | None = None
        self._latest_version = 4
        self._sent = SentLately(info)
        self._made: list[TextFrame] = []
        self._count = 0
        self._quick = False
        self._stretched = False
        self._dumped = self._undumped = 0
        self._width = 0

    def take(self) -> list[TextFrame]:
        """The frames made since the last call."""
        made, self._made = self._made, []
        return made

    def feed(self, raw: str) -> None:
        """Take the next line of the text."""
        pending = self._pending
        if pending is not None and raw.startswith(("\t", "  ")) and self._belongs(pending, raw):
            self._under(pending, raw)
            return
        self._width = max(self._width, len(raw))
        prefix, line = unquote(raw)
        packet = packet_line.parse_packet_line(line)
        if packet is None or (pending is not None and self._is_part(pending, packet)):
            if pending is not None:
                self._under(pending, raw)
        elif pending is not None and self._carries(pending, packet):
            packet.stamp, packet.interface = pending.line.stamp, pending.line.interface
            self._pending = _Pending(packet, line, prefix)
        else:
            self.flush()
            # A single blank is what -ttt prints itself; a tab is an author's.
            quoted = prefix.strip() or len(prefix) > 1 or prefix == "\t"
            self._pending = _Pending(packet, line, prefix if quoted else "")

    @staticmethod
    def _belongs(pending: _Pending, raw: str) -> bool:
        """Whether an indented line is tcpdump's own continuation, whatever it says."""
        if pending.prefix:
            return False
        line = pending.line
        if raw.startswith("\t"):
            return bool(line.stamp or line.body or not line.src)
        return not line.src and line.version == 4 and not line.begun

    @staticmethod
    def _is_part(pending: _Pending, packet: PacketLine) -> bool:
        """Whether a packet line without a time is what ``-v`` prints under another one: its
        ends, or the packet that an ICMP error is about."""
        line = pending.line
        if packet.stamp is not None or packet.interface or not line.version:
            return False
        return not line.src or (line.stamp is not None and bool(_ICMP_HINT.search(line.body[:80])))

    @staticmethod
    def _carries(pending: _Pending, packet: PacketLine) -> bool:
        """Whether a packet line without a time is the rest of what the one before began: what
        a tunnel carries, or IP behind a link layer that has a line of its own."""
        line = pending.line
        carried = line.body if line.version else pending.text
        return packet.stamp is None and _CARRIES.search(carried) is not None

    @staticmethod
    def _under(pending: _Pending, raw: str) -> None:
        if len(pending.under) >= _MOST_UNDER:
            return
        if pending.prefix and not raw.startswith(pending.prefix):
            logged = LOGGED.match(raw)  # each line has its own time in front
            raw = raw[logged.end() :] if logged else raw
        pending.under.append(raw.removeprefix(pending.prefix))

    def flush(self) -> None:
        """Make the frames of the packet line that is pending, if any."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self._rejoin(pending)
        line = pending.line
        self._clock.at(line.stamp)
        if line.version and not line.src:
            self._find_addresses(pending)
        dumped = self._from_hex(pending)
        if dumped is not None:
            self._dumped += 1
            self._emit(dumped, line.interface)
            return
        if not line.version or not line.src:
            self._emit(frames.foreign_frame(line.arp), line.interface)
        elif not self._tcp(pending):
            self._emit(self._not_tcp(pending), line.interface)
            self._heads(pending)

    def finish(self) -> None:
        """Flush, and say what had to be assumed of the text as a whole."""
        self.flush()
        said = sorted(self._info.untimed)
        if said:
            numbers = ", ".join(f"#{number}" for number in said[:6])
            more = ", …" if len(said) > 6 else ""
            self._info.assumed.append(
                "HTTP heads without a packet line were taken as packets of the side that says"
                f" such things, sent at the time of the line before: {numbers}{more}"
            )
        if self._quick:
            self._info.assumed.append(
                "flags and sequence numbers are not printed (tcpdump -q): bytes were counted"
            )
        if self._stretched:
            self._info.assumed.append(
                "some lengths are smaller than the heads printed under them: the heads count"
            )
        if self._count and not self._info.times_known:
            self._info.assumed.append("the text has no times: nothing is known of delays")

    def _emit(self, frame: Frame, interface: str) -> None:
        self._count += 1
        self._info.contents_known = self._dumped > 0 and not self._undumped
        self._made.append(TextFrame(frame, self._clock.now, interface))

    def _rejoin(self, pending: _Pending) -> None:
        """Undo the wrapping of the packet line, if it was wrapped."""
        under = pending.under
        if under and pending.line.version:
            text, parts = wrapped.rejoin(pending.line, pending.text, under, self._width)
            whole = packet_line.parse_packet_line(text) if parts else None
            if whole is not None:
                pending.line = whole
                del under[:parts]

    def _find_addresses(self, pending: _Pending) -> None:
        """With ``-v`` the addresses of an IPv4 packet come on the second line."""
        for index, first in enumerate(pending.under[:2]):
            rest = pending.under[index + 1 :]
            text, parts = wrapped.rejoin(None, first.strip(), rest, self._width)
            if packet_line.parse_pair(pending.line, text):
                del pending.under[: index + parts + 1]
                if _NESTED.match(pending.line.body):  # a packet in it, with a line of its own
                    self._find_addresses(pending)
                return

    # -- TCP ---------------------------------------------------------------------------

    def _tcp(self, pending: _Pending) -> bool:
        """Make the frames of a TCP segment; False when the line is something else."""
        line = pending.line
        said = grammar.parse_tcp(line.body)
        if said is None:
            return False
        found = self._conversation(line)
        if found is None:
            return False
        conversation, sender = found
        segment = conversation.segment(said, sender)
        self._quick = self._quick or said.flags is None
        self._latest, self._latest_version = conversation, line.version
        head, later = self._head_of(pending, said, segment, conversation, sender)
        payload = head.payload(segment.length) if head is not None else b""
        if not payload and segment.length and said.tls[0]:
            records = read_info(*said.tls)
            if isinstance(records, Records):
                payload = record_bytes(records.messages, records.version, segment.length)
        self._segment(line, conversation, sender, segment, payload, said.checksum)
        for other in later:
            self._say(other, conversation)
        return True

    def _head_of(
        self,
        pending: _Pending,
        said: TcpLine,
        segment: Segment,
        conversation: Conversation,
        sender: int,
    ) -> tuple[heads.Head | None, list[heads.Head]]:
        """The head in the segment, and those that follow it without a packet line."""
        first = heads.from_first_line(said.first_line) if said.first_line else None
        under = pending.under
        while under and not under[0].strip():
            under = under[1:]
        if not under:
            return first, []
        if heads.looks_like_dump(under):
            dumped = heads.from_dump("\n".join(under)) if segment.length else None
            return dumped or first, []
        verbatim = under[0].startswith("\t")
        if verbatim:
            under = [text.removeprefix("\t") for text in under]
        else:
            under = [unquote(text)[1] for text in under]
        found = heads.from_lines(under, verbatim)
        if verbatim:
            return (found[0] if found and segment.length else first), []
        if found and segment.length:
            expected = sender == conversation.client_index()
            same = first is not None and first.lines[0] == found[0].lines[0]
            if same or (first is None and found[0].request == expected):
                self._stretch(segment, found[0], conversation.sides[sender])
                return found[0], found[1:]
        return first, found

    def _stretch(self, segment: Segment, head: heads.Head, sender: Side) -> None:
        """Believe the head that an author shows, not a length in which it has no room."""
        if segment.length < head.shortest:
            segment.length = head.printed
            sender.reached(segment.seq + segment.length)
            self._stretched = True

    def _heads(self, pending: _Pending) -> None:
        """Heads under a line that is no TCP segment belong to the latest connection."""
        if self._latest is None or not pending.under:
            return
        under = [unquote(text)[1] for text in pending.under]
        for head in heads.from_lines(under, verbatim=False):
            self._say(head, self._latest)

    def _say(self, head: heads.Head, conversation: Conversation) -> None:
        """Make a segment of a head that has no packet line."""
        if conversation.client is None and head.request and conversation.sides[0].next is None:
            conversation.client = 0
        client = conversation.client_index()
        sender = client if head.request else 1 - client
        payload = head.payload(None)
        segment = conversation.said(sender, len(payload))
        line = PacketLine(version=self._latest_version)
        self._segment(line, conversation, sender, segment, payload, None)
        if len(self._info.untimed) < _MOST_UNTIMED:
            self._info.untimed.add(self._count)

    def _segment(
        self,
        line: PacketLine,
        conversation: Conversation,
        sender: int,
        segment: Segment,
        payload: bytes,
        checksum: int | None,
    ) -> None:
        me, peer = conversation.sides[sender], conversation.sides[1 - sender]
        ip = self._ip(line, me.address, peer.address)
        options = segment.options
        if line.detail.length is not None:
            options = _padded(options, line.detail.length, segment.length, len(me.address))
        tcp = Tcp(
            me.port,
            peer.port,
            segment.seq,
            segment.ack,
            segment.flags,
            segment.window,
            options,
            checksum or 0,
        )
        self._undumped += 1
        frame = frames.tcp_frame(ip, tcp, payload, segment.length)
        self._sent.remember(Sent(tcp, ip, segment.length, frame.wirelen))
        self._emit(frame, line.interface)

    def _conversation(self, line: PacketLine) -> tuple[Conversation, int] | None:
        """The connection of a line and the side that sent it."""
        src, sport = split_port(line.src)
        dst, dport = split_port(line.dst)
        if not (src and sport and dst and dport):
            return None
        source = self._hosts.address(src, line.version)
        target = self._hosts.address(dst, line.version)
        if source is None or target is None:
            return None
        from_port, to_port = self._hosts.port(sport), self._hosts.port(dport)
        key = source, from_port, target, to_port
        found = self._conversations.get(key)
        if found is None:
            while len(self._conversations) >= 2 * _MOST_CONVERSATIONS:
                del self._conversations[next(iter(self._conversations))]
            sides = Side(source, from_port), Side(target, to_port)
            conversation = Conversation(sides)
            found = self._conversations[key] = conversation, 0
            self._conversations.setdefault((target, to_port, source, from_port), (conversation, 1))
        return found

    def _ip(self, line: PacketLine, source: bytes, target: bytes) -> Ip:
        detail = line.detail
        fragment = detail.dont_fragment
        return Ip(
            source,
            target,
            detail.ttl,
            detail.ident,
            True if fragment is None else fragment,
            detail.more_fragments,
            detail.fragment_offset,
        )

    # -- what is not TCP ---------------------------------------------------------------

    def _not_tcp(self, pending: _Pending) -> Frame:
        line = pending.line
        with_ports = grammar.parse_udp(line.body)
        if with_ports is not None:
            src, sport = split_port(line.src)
            dst, dport = split_port(line.dst)
        else:
            src, sport, dst, dport = line.src, "", line.dst, ""
        source = self._hosts.address(src, line.version)
        target = self._hosts.address(dst, line.version)
        if source is None or target is None:
            return frames.foreign_frame(False)
        ip = self._ip(line, source, target)
        if with_ports is not None and sport and dport:
            return frames.udp_frame(
                ip, self._hosts.port(sport), self._hosts.port(dport), with_ports
            )
        error = grammar.parse_icmp(line.body, line.version)
        if error is not None:
            return self._icmp(pending, ip, error)
        if _TCP_IN_DETAIL.match(line.body):
            ip.fragment_offset = ip.fragment_offset or 1480
            return frames.fragment_frame(ip, max(0, (line.detail.length or 20) - 20))
        return frames.other_ip_frame(ip, bool(_ICMP_HINT.search(line.body[:80])))

    def _icmp(self, pending: _Pending, ip: Ip, error: IcmpLine) -> Frame:
        """An ICMP error, with the packet that it quotes (``-v``) or is most likely about."""
        sent = self._quoted(pending) or self._likely(ip, error, pending.line.version)
        quote = b""
        if sent is not None:
            original = frames.tcp_frame(sent.ip, sent.tcp, b"", sent.length)
            quote = original.data
        ip.dont_fragment = False
        return frames.icmp_frame(ip, error.type, error.code, error.mtu, quote, error.length)

    def _likely(self, ip: Ip, error: IcmpLine, version: int) -> Sent | None:
        target = self._hosts.address(error.target, version) if error.target else None
        port = self._hosts.port(error.port) if error.port else 0
        return self._sent.about(ip.dst, target, port, error.mtu)

    def _quoted(self, pending: _Pending) -> Sent | None:
        for index, text in enumerate(pending.under):
            line = packet_line.parse_packet_line(text.lstrip())
            if line is None:
                continue
            if not line.src and not any(
                packet_line.parse_pair(line, following)
                for following in pending.under[index + 1 : index + 2]
            ):
                return None
            said = grammar.parse_tcp(line.body)
            found = self._conversation(line) if said is not None else None
            if said is None or found is None:
                return None
            conversation, sender = found
            me, peer = conversation.sides[sender], conversation.sides[1 - sender]
            flags = said.flags or 0
            seq = said.seq if said.seq is not None else 0
            tcp = Tcp(
                me.port,
                peer.port,
                seq if flags & SYN else me.number(seq),
                peer.number(said.ack or 0),
                flags,
                said.window or 0,
                said.options,
            )
            ip = self._ip(line, me.address, peer.address)
            return Sent(tcp, ip, min(said.length or 0, 65_535), 0)
        return None

    # -- hex dumps ---------------------------------------------------------------------

    def _from_hex(self, pending: _Pending) -> Frame | None:
        """The frame that ``-x``, ``-X``, ``-xx`` or ``-XX`` dumped; None without a dump."""
        data = bytearray()
        for text in pending.under:
            part = grammar.hex_bytes(text)
            if part is not None:
                data += part
            elif data:
                break
        if len(data) < 20:
            return None
        line = pending.line
        if not line.version:
            return frames.foreign_frame(line.arp)
        for start in (0, 14, 16, 20, 18, 22, 4):
            frame = self._ip_at(bytes(data[start:]), line)
            if frame is not None:
                headers = 40 if line.version == 4 else 60
                # A dump that was cut before the ports says less than its line.
                return frame if len(frame.data) >= min(headers, frame.wirelen) else None
        return None

    def _ip_at(self, data: bytes, line: PacketLine) -> Frame | None:
        """``data`` as an IP packet, when it is the one that the line is about."""
        if line.version == 4:
            if len(data) < 20 or data[0] >> 4 != 4:
                return None
            addresses = data[12:16], data[16:20]
            length = int.from_bytes(data[2:4], "big")
        else:
            if len(data) < 40 or data[0] >> 4 != 6:
                return None
            addresses = data[8:24], data[24:40]
            length = 40 + int.from_bytes(data[4:6], "big")
        for word, address in zip((line.src, line.dst), addresses, strict=True):
            host = word if packed(word, line.version) else split_port(word)[0]
            known = packed(host, line.version)
            if known is not None and known != address:
                return None
            if known is None and host:
                self._hosts.learn(host, address)
        if line.version == 4 and 20 <= length < len(data):
            data = data[:length]  # what follows is the frame's padding
        return Frame(data, max(length, len(data)))


def _padded(options: bytes, ip_length: int, payload: int, address: int) -> bytes:
    """Options as long as they were, when some of them are not known here."""
    header = ip_length - payload - (40 if address == 4 else 20)
    size = len(options) + -len(options) % 4
    if size < header <= 40 and header % 4 == 0:
        return options + b"\x01" * (header - len(options))
    return options
