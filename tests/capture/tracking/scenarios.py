"""Segment lists with the classes that the sequence analysis must find in them.

The classes are Wireshark's; a test asks tshark where it is installed. Where ours differ on
purpose, ``tshark`` holds what it says instead, and ``why`` the reason.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.capture.tracking.building import HANDSHAKE


class Scenario(NamedTuple):
    """One conversation."""

    name: str
    text: str
    tshark: dict[int, str] = {}  # noqa: RUF012 (never written to)
    """Frame number: what tshark says where it differs from us."""
    why: str = ""


def _after_handshake(name: str, text: str, **differs: object) -> Scenario:
    return Scenario(name, HANDSHAKE + text, **differs)  # type: ignore[arg-type]


SCENARIOS: Final = (
    _after_handshake("healthy exchange", """
        21   c PA 1+100   1
        41   p A  1       101
        42   p PA 1+39    101
        42.1 c A  101     40
        43   c FA 101     40
        63   p FA 40      102
        63.1 c A  102     41
    """),
    _after_handshake("retransmission after a time-out", """
        21   c PA 1+100   1
        260  c PA 1+100   1     : retransmission
        700  c PA 1+100   1     : retransmission
        720  p A  1       101
    """),
    Scenario("SYN sent again", """
        0     c S  0 0 mss=1460 ws=7
        1000  c S  0 0 mss=1460 ws=7  : retransmission
        3000  c S  0 0 mss=1460 ws=7  : retransmission
        3020  p SA 0 1 mss=1460 ws=7
        3020.1 c A 1 1
    """),
    Scenario("SYN-ACK sent again", """
        0    c S  0 0 mss=1460 ws=7
        20   p SA 0 1 mss=1460 ws=7
        1020 p SA 0 1 mss=1460 ws=7   : retransmission
        1021 c A  1 1
    """),
    _after_handshake("fast retransmission after duplicate ACKs", """
        21   p A  1+1000   1
        21.1 p A  2001+1000 1         : lost
        21.2 c A  1        1001
        21.3 p A  3001+1000 1
        21.4 c A  1        1001       : duplicate ACK
        21.5 p A  4001+1000 1
        21.6 c A  1        1001       : duplicate ACK
        30   p A  1001+1000 1         : fast retransmission
        30.1 c A  1        5001
    """),
    _after_handshake("a window update among the duplicate ACKs", """
        21   p A  1+1000   1
        21.1 p A  2001+1000 1         : lost
        21.2 c A  1        1001
        21.3 p A  3001+1000 1
        21.4 c A  1        1001       : duplicate ACK
        21.5 c A  1        1001       : duplicate ACK
        21.6 p A  4001+1000 1
        21.7 c A  1        1001 w=900 : window update
        21.8 p A  5001+1000 1
        30   p A  1001+1000 1         : fast retransmission
        30.1 c A  1        6001 w=900
    """),
    _after_handshake("too late for a fast retransmission", """
        21   p A  1+1000   1
        21.1 p A  2001+1000 1         : lost
        21.2 c A  1        1001
        21.3 p A  3001+1000 1
        21.4 c A  1        1001       : duplicate ACK
        21.5 p A  4001+1000 1
        21.6 c A  1        1001       : duplicate ACK
        90   p A  1001+1000 1         : retransmission
        90.1 c A  1        5001
    """),
    _after_handshake("out of order", """
        21   p A  1+1000   1
        21.5 p A  2001+1000 1         : lost
        22   p A  1001+1000 1         : out of order
        22.1 c A  1        3001
    """),
    _after_handshake("out of order within the round-trip time", """
        21   p A  1+1000   1
        21.5 p A  2001+1000 1         : lost
        35   p A  1001+1000 1         : out of order
        35.1 c A  1        3001
    """),
    _after_handshake("spurious retransmission", """
        21   p A  1+1000   1
        21.1 c A  1        1001
        230  p A  1+1000   1          : spurious retransmission
        230.1 c A 1        1001       : duplicate ACK
    """),
    _after_handshake("retransmission in other sizes", """
        21   c A  1+1440   1
        21.1 c A  1441+1440 1
        300  c A  1+500    1          : retransmission, window full
        320  p A  1        501
        320.1 c A 501+500  1          : retransmission
        340  p A  1        1001
        341  c A  1001+1880 1         : retransmission
        360  p A  1        2881
    """),
    _after_handshake("old and new bytes in one segment", """
        21   c A  1+1000   1
        300  c A  501+1000 1          : retransmission
        320  p A  1        1501
    """,
        tshark={6: "unseen"},
        why="the bytes are there, in a segment that Wireshark does not count on",
    ),
    _after_handshake("keep-alives", """
        21    c PA 1+10 1
        41    p A  1    11
        10000 c A  10   1             : keep-alive
        10020 p A  1    11            : keep-alive ACK
        20000 c A  10+1 1             : keep-alive
        20020 p A  1    11            : keep-alive ACK
    """),
    _after_handshake("duplicate ACKs and a window update", """
        21   c PA 1+10 1
        41   p A  1    11
        42   p A  1    11             : duplicate ACK
        43   p A  1    11             : duplicate ACK
        44   p A  1    11 w=600       : window update
    """),
    _after_handshake("zero window, probes, and its reopening", """
        21   c PA 1+1000 1
        41   p A  1      1001 w=0     : zero window
        300  c A  1001+1 1            : zero window probe
        320  p A  1      1001 w=0     : zero window, zero window probe ACK
        700  c A  1001+1 1            : zero window probe
        720  p A  1      1001 w=0     : zero window, zero window probe ACK
        900  p A  1      1001 w=500   : window update
        901  c A  1001+500 1
        921  p A  1      1501
    """),
    Scenario("window full", """
        0    c S  0 0 mss=1460
        20   p SA 0 1 mss=1460 w=2000
        20.1 c A  1 1
        21   c A  1+1000    1
        21.1 c A  1001+1000 1         : window full
        41   p A  1 2001 w=0          : zero window
        60   p A  1 2001 w=1500       : window update
        61   c A  2001+1500 1         : window full
    """),
    Scenario("window full with window scale", """
        0    c S  0 0 mss=1460 ws=2
        20   p SA 0 1 mss=1460 ws=3
        20.1 c A  1 1
        20.2 p A  1 1 w=250           : window update
        21   c A  1+1000    1
        21.1 c A  1001+1000 1         : window full
    """),
    _after_handshake("ACKed unseen segment", """
        21   p A  1+1000    1
        22   c A  1         3001      : unseen
        23   p A  3001+1000 1         : lost
        24   c A  1         4001      : unseen
    """),
    _after_handshake("hole acknowledged later", """
        21   p A  1+1000    1
        23   p A  3001+1000 1         : lost
        24   c A  1         4001      : unseen
    """),
    _after_handshake("lost FIN", """
        21   c PA 1+10 1
        41   p A  1    11
        42   p FA 101  11             : lost
        43   c A  11   1               : duplicate ACK
    """),
    _after_handshake("FIN sent again", """
        21   c FA 1 1
        300  c FA 1 1                 : retransmission
        320  p A  1 2
        321  p FA 1 2
        322  c A  2 2
    """),
    _after_handshake("reset beyond and inside", """
        21   c PA 1+10 1
        41   p R  1    0
        42   c RA 500  1
    """),
    Scenario("mid-stream from the first byte seen", """
        0    c PA 1+100   1
        20   p A  1       101
        21   p A  1+1000  101
        22   p A  1+1000  101         : retransmission
        40   c A  101     1001
    """),
    _after_handshake("copies of one packet", """
        21    c PA 1+100 1
        21.1  c PA 1+100 1 copy       : duplicate
        41    p A  1     101
        41.05 p A  1     101 copy     : duplicate
        42    p PA 1+39  101
        42.05 p PA 1+39  101 copy     : duplicate
        42.1  c A  101   40
    """,
        tshark={5: "retransmission", 7: "duplicate ACK", 9: "retransmission"},
        why="copies are of the capture, not of the network: they must not look like loss",
    ),
    _after_handshake("interleaved copies", """
        21    c A  1+100   1
        21.01 c A  101+100 1
        21.02 c A  1+100   1 id=104   : duplicate
        21.03 c A  101+100 1 id=105   : duplicate
    """,
        tshark={6: "out of order", 7: "retransmission"},
        why="copies are of the capture, not of the network: they must not look like loss",
    ),
    _after_handshake("the same bytes in another packet are no copy", """
        21    c PA 1+100 1
        21.1  c PA 1+100 1            : retransmission
    """),
    _after_handshake("a copy that comes too late is none", """
        21    c PA 1+100 1
        60    c PA 1+100 1 copy       : retransmission
    """),
)  # fmt: skip
