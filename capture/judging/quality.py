"""What a capture can and cannot prove about a flow; consulted before anything else.

A rule that rests on an absence ("no answer", "never acknowledged") must first ask whether
the capture would have shown the missing packet. Sizes are not wire sizes where an offload
merged segments, and bytes that a snaplen cut away say nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from capture.facts import CLIENT, PROXY, CaptureFacts, Direction, FlowFacts

OFFLOAD_SHARE = 0.02
"""Share of a side's data packets that must exceed the peer's MSS before its sizes are
distrusted: one odd segment (a wrong MSS after port reuse) is no offload."""


class Quality(NamedTuple):
    """What can be trusted about one flow. Pairs are indexed by ``CLIENT`` and ``PROXY``."""

    one_way: bool
    """Only one side was captured, although the other one talked."""
    mid_stream: bool
    """The capture began after something was said on the flow."""
    gaps: tuple[bool, bool]
    """The peer acknowledged bytes of this side that the capture does not hold."""
    cut: tuple[bool, bool]
    """A snaplen cut data of this side."""
    merged: tuple[bool, bool]
    """This side's segments were merged before capture (TSO, GRO): sizes are not wire sizes."""
    timed: bool
    """Times are known and go forward."""
    clocked: bool
    """Times are known. Where they step back, what lies between two packets is the least that
    passed: enough to say that a wait was long, not how long."""
    dropped: bool
    """The capture host dropped packets somewhere in the capture."""
    text: bool
    """Read from text: contents are known only where they were printed."""
    blind: bool = False
    """Read from text that does not even name what the payload is: TLS records are not seen."""

    def absent(self, sender: int) -> bool:
        """Whether the absence of ``sender``'s packets can be told from this capture."""
        return not (self.one_way or self.gaps[sender])

    def sizes(self, sender: int) -> bool:
        """Whether the sizes of ``sender``'s segments are those on the wire."""
        return not self.merged[sender]


def _gap(side: Direction) -> bool:
    sent_again = side.bytes > side.stream_bytes and not side.lost_segments
    missing = sum(hole.right - hole.left for hole in side.holes)
    whole = side.bytes + missing == side.stream_bytes or sent_again
    if side.acked_unseen and whole and not any(hole.acked for hole in side.holes):
        # All came, only after its acknowledgement (two queues, no loss); but a FIN may lack.
        return side.acked_beyond > 1
    return side.acked_unseen > 0 or any(hole.acked for hole in side.holes)


def _begins_with_request(flow: FlowFacts) -> bool:
    """The first thing said in the capture is a request. Only the handshake is missing, or
    requests whose replies were over: from here on everything was seen."""
    first = flow.exchanges[0] if flow.exchanges else None
    if first is None or first.request is None or first.request_mark is None:
        return False
    asked, told = (side.first_payload for side in flow.sides)
    if asked is None or asked.number != first.request_mark.number:
        return False
    return told is None or told.number > asked.number


def _merged(side: Direction) -> bool:
    return side.oversized > 0 and side.oversized >= OFFLOAD_SHARE * side.data_packets


def assess(flow: FlowFacts, capture: CaptureFacts) -> Quality:
    """Say what the capture can prove about ``flow``."""
    client, proxy = flow.sides[CLIENT], flow.sides[PROXY]
    return Quality(
        one_way=flow.one_way,
        mid_stream=flow.mid_stream and not _begins_with_request(flow),
        gaps=(_gap(client), _gap(proxy)),
        # What a packet list does not show of a message is not missing: the message is named.
        cut=(
            client.cut_by_snaplen > 0 and not capture.listed,
            proxy.cut_by_snaplen > 0 and not capture.listed,
        ),
        merged=(_merged(client), _merged(proxy)),
        timed=capture.times_known and flow.time_backwards == 0,
        clocked=capture.times_known,
        dropped=bool(capture.lost_kernel or capture.lost_queue),
        text=capture.text,
        blind=capture.text and not capture.listed,
    )
