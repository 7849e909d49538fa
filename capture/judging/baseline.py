"""What a healthy flow's packets could not show, in words for its panel."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from capture.facts import PROXY, FlowFacts

_TLS13: Final = 0x0304

SECOND_LEG: Final = "second leg: proxy to server was not found in these packets"
SEALED: Final = "certificate: encrypted in TLS 1.3"
RESUMED: Final = "certificate: not sent, the TLS session was resumed"
CUT: Final = "contents: cut off by the capture's snapshot length"
UNPRINTED: Final = "contents: known only where the text prints them"
HIDDEN: Final = "contents of the tunnel: encrypted"
OPEN: Final = "end: still open at the end of the capture"
EARLIER: Final = "request and target: already open when the capture began"
HIDDEN_NAME: Final = "server name: encrypted (ECH)"
OUTER: Final = "requests: inside TLS with the proxy itself"


@lru_cache(maxsize=256)
def _joined(*texts: str) -> tuple[str, ...]:
    """One tuple for all flows with the same notes."""
    return tuple(text for text in texts if text)


def notes(flow: FlowFacts, text: bool = False, live: bool = False) -> tuple[str, ...]:
    """What could not be seen of ``flow``; few and constant, so that thousands share them.

    Args:
        flow: Any flow to a proxy.
        text: The capture was read from text.
        live: The capture goes on.
    """
    tls = flow.tls
    certificate = server_name = contents = ""
    if tls is not None and tls.server_hello is not None:
        contents = HIDDEN
        if not tls.certificates:
            modern = tls.server_hello.version >= _TLS13
            certificate = SEALED if modern else RESUMED if not flow.mid_stream else ""
        if tls.client_hello is not None and tls.client_hello.ech:
            server_name = HIDDEN_NAME
    cut = UNPRINTED if text else ""
    if not text and any(side.cut_by_snaplen for side in flow.sides):
        cut = CUT
    if cut and certificate == RESUMED:
        certificate = ""
    outer = flow.tunnel is None and not flow.exchanges and contents
    leg = SECOND_LEG if flow.sides[PROXY].bytes else ""
    return _joined(
        EARLIER if flow.mid_stream and not flow.exchanges else "",
        OUTER if outer else "",
        server_name,
        certificate,
        contents,
        cut,
        leg,
        OPEN if not (flow.closes or live) and flow.tunnel is not None else "",
    )
