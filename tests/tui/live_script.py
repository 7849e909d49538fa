"""A busy capture, made beforehand: the snapshots that a live engine would publish."""

from __future__ import annotations

from collections.abc import Iterator

from capture.snapshot import Capturing, Snapshot
from tests.capture.decode.building import Frame
from tests.capture.live_feed import Watch, together
from tests.capture.tracking.building import START_NS

OPENED = """
{0}   c S  0 0 mss=1460 ws=7
{0}.2 p SA 0 1 mss=1460 ws=7
{0}.3 c A  1 1
{1}   c PA 1+0 1 x=CONNECT_{2}:443_HTTP/1.1~Host:_{2}~~
"""
ESTABLISHED = "{0} p PA 1+0 {1} x=HTTP/1.1_200_Connection_established~~\n"
FORBIDDEN = """
{0}   p PA 1+0 {1} x=HTTP/1.1_403_Forbidden~Content-Length:_0~~
{0}.1 p FA 47 {1}
{0}.2 c FA {1} 48
"""
BULK = 8
"""Tunnels that carry data all the time."""
PERIOD_MS = 250


def busy_snapshots(ticks: int, packets_per_s: int = 1000) -> Iterator[Snapshot]:
    """A snapshot each quarter of a second of a capture with so much traffic: a few downloads, a
    new tunnel twice a second, every third of them denied, and one that gets no reply."""
    watch = Watch(_frames(ticks * PERIOD_MS, packets_per_s))
    for tick in range(1, ticks + 1):
        ms = tick * PERIOD_MS
        report = watch.at(ms)
        analysis = watch.analysis
        assert analysis.index is not None
        yield Snapshot(
            rev=tick,
            report=report,
            facts=analysis.facts(),
            packets=analysis.index.view(),
            bytes_done=ms * 1000,
            capturing=Capturing(
                ("eth0",),
                "port 3128",
                clock_ns=START_NS + ms * 10**6,
                packets_per_s=packets_per_s + tick % 7,
                file="out.pcapng",
                file_bytes=ms * 1000,
            ),
        )


def _frames(until_ms: int, packets_per_s: int) -> list[Frame]:
    texts = [_opened(0, "silent.example")]
    texts += [_download(f"bulk{n}.example", until_ms, packets_per_s / BULK) for n in range(BULK)]
    for number, ms in enumerate(range(100, until_ms, 500)):
        host = f"short{number}.example"
        reply = FORBIDDEN if number % 3 == 0 else ESTABLISHED
        texts.append(_opened(ms, host) + reply.format(ms + 9, _after_request(host)))
    return together(*texts)


def _opened(ms: int, host: str) -> str:
    return OPENED.format(ms, ms + 1, host)


def _after_request(host: str) -> int:
    """Relative sequence number behind the request."""
    return 1 + len(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n")


def _download(host: str, until_ms: int, packets_per_s: float) -> str:
    behind = _after_request(host)
    lines = [_opened(0, host), ESTABLISHED.format(5, behind)]
    seq, at = 40, 10.0
    while at < until_ms:
        lines.append(f"{at:.3f} p A {seq}+1448 {behind}\n")
        seq, at = seq + 1448, at + 1000 / packets_per_s
    return "".join(lines)
