"""Remembers segments that an ICMP error may be about: texts seldom print what it quotes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from capture.frames import SourceInfo
from capture.sources.text.frames import Ip, Tcp

_MOST_PAIRS: Final = 4096
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

    def remember(self, sent: Sent) -> None:
        """A segment was made."""
        pair = sent.ip.src, sent.ip.dst
        kept = self._sent.get(pair)
        if kept is None:
            if len(self._sent) >= _MOST_PAIRS:
                del self._sent[next(iter(self._sent))]
            kept = self._sent[pair] = deque(maxlen=64)
        kept.append(sent)

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
        if _NOTE not in self._info.assumed:
            self._info.assumed.append(_NOTE)
        return found
