"""Remembers segments that an ICMP error may be about: texts seldom print what it quotes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from capture.decode.columns import ACK, SYN
from capture.frames import SourceInfo
from capture.sources.text.frames import Ip, Tcp

_MOST_PAIRS: Final = 4096
_SMALL: Final = 576
"""Every IPv4 host takes such a packet (RFC 1122 3.3.2)."""
_NOTE: Final = (
    "ICMP errors are printed without the packet they quote: they were taken to be about"
    " the segments that their receiver sent just before"
)


@dataclass(slots=True)
class Sent:
    """A segment that an ICMP error may be about."""

    tcp: Tcp
    ip: Ip
    length: int
    ip_length: int
    quoted: bool = False


class SentLately:
    """The latest segments between any two hosts.

    Args:
        info: Told in ``assumed`` when an error was given a segment.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._sent: dict[tuple[bytes, bytes], deque[Sent]] = {}
        self._latest: dict[bytes, Sent] = {}

    def remember(self, sent: Sent) -> None:
        """A segment was made."""
        pair = sent.ip.src, sent.ip.dst
        kept = self._sent.get(pair)
        if kept is None:
            if len(self._sent) >= _MOST_PAIRS:
                del self._sent[next(iter(self._sent))]
            kept = self._sent[pair] = deque(maxlen=64)
        kept.append(sent)
        if len(self._latest) >= _MOST_PAIRS and sent.ip.src not in self._latest:
            del self._latest[next(iter(self._latest))]
        self._latest[sent.ip.src] = sent

    def answered(self, receiver: bytes, too_large: bool) -> Sent | None:
        """The segment that an error is surely about which names no host: what its receiver
        sent last, if that was a SYN, or large where its size is the matter.

        In the middle of a connection the error may be about any other one.
        """
        sent = self._latest.get(receiver)
        if sent is None:
            return None
        begins = sent.tcp.flags & (SYN | ACK) == SYN
        if not begins and not (too_large and sent.ip_length > _SMALL):
            return None
        self._note()
        return sent

    def about(self, receiver: bytes, target: bytes | None, port: int, mtu: int) -> Sent | None:
        """The segment an error is about, when it does not quote one: one that its receiver
        sent to the named host, too large for the MTU when that is the matter.

        Args:
            receiver: The error's.
            target: Host that the error names; None where it names none.
            port: Destination port that it names, 0 where it names none.
            mtu: Next-hop MTU, 0 where it has none.
        """
        candidates: list[Sent] = []
        if target is not None:
            candidates.extend(self._sent.get((receiver, target), ()))
        else:
            for (source, _), sent in reversed(self._sent.items()):
                if source == receiver:
                    candidates.extend(sent)
        if port:
            candidates = [sent for sent in candidates if sent.tcp.dport == port]
        if mtu:
            candidates = [sent for sent in candidates if sent.ip_length > mtu] or candidates
        if not candidates:
            return None
        found = next((sent for sent in candidates if mtu and not sent.quoted), candidates[-1])
        found.quoted = True
        self._note()
        return found

    def _note(self) -> None:
        if _NOTE not in self._info.assumed:
            self._info.assumed.append(_NOTE)
