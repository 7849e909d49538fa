"""What the judgement of one flow may rest on in another: a few plain values of each.

Rules about several flows look at cards only, and at the facts of the flow that they judge.
So a large capture can be divided among processes, which show each other their cards.
"""

from __future__ import annotations

from sys import intern
from typing import Final, NamedTuple

from capture.facts import CLIENT, PROXY, CaptureFacts, FlowFacts
from capture.judging import talk
from capture.judging.hit import POSSIBLE
from capture.judging.judge import Judgement
from capture.judging.scene import Scene
from capture.report.model import Finding
from capture.units import duration

LEFT: Final = ("tls-left-after-handshake", "tls-left-in-handshake")
"""Rules whose only sign is that the client left."""

GIVEN_UP: Final = "transfer-stall"

_CERTIFICATE: Final = ("tls_untrusted_ca", "tls_cert_expired", "tls_version")
_IDLE: Final = ("idle-timeout", "idle-close")


class Card(NamedTuple):
    """One reported flow as others see it. Plain values only: they cross processes."""

    number: int
    """Packet number of its first packet, by which flows are in order."""
    first_ns: int
    last_ns: int
    client: str
    client_host: str
    proxy: str
    proxy_host: str
    proxy_port: int
    target: str
    """Of the first request; empty without one."""
    asked: tuple[str, ...]
    """Hosts of all requests, in lower case."""
    verdict: str
    """As judged alone."""
    tunnel: int
    """Packet number of the reply that opened the tunnel; 0 without a tunnel."""
    reached: bool
    """The server's SYN-ACK was seen."""
    credentials: bool
    """A request bore some."""
    challenged: bool
    """A reply was 407."""
    answered_ns: int
    """Time of the last reply, without one of the last packet."""
    sni: str
    """The ClientHello's server name; empty without one."""
    unanswered: bool
    """The client sent something in the tunnel, the proxy's side nothing."""
    answered_hello: bool
    issuer: str | None
    """Of the certificate seen; None without one."""
    refused_certificate: bool
    """A finding says that the client did not accept the certificate."""
    only_left: bool
    """That the client left is all that speaks against this flow."""
    used: bool
    """The client sent requests in the tunnel."""
    idle: str
    """How long it was idle before it was closed for that; empty if it was not."""
    left_ns: int
    """When the client closed the connection, being the first to do so; 0 if it did not."""
    gave_up: bool
    """That the client left is all that speaks against this flow's transfer."""
    one_way: bool
    cut: int
    """Data packets that the snapshot length cut."""
    backwards: int
    """Times its clock stepped back."""

    @property
    def pair(self) -> tuple[str, str]:
        """The client's host and the proxy."""
        return self.client_host, self.proxy

    @property
    def key(self) -> tuple[str, str, str]:
        """The client's host, the proxy and the target."""
        return self.client_host, self.proxy, self.target


def card(flow: FlowFacts, judgement: Judgement, capture: CaptureFacts) -> Card:
    """The card of a judged flow."""
    tls, findings = flow.tls, judgement.findings
    hello = tls.client_hello if tls else None
    refused = any(item.verdict in _CERTIFICATE for item in findings)
    left = any(item.rule in LEFT for item in findings)
    used = False
    if tls is not None and not refused and tls.sides[CLIENT].first_app is not None:
        used = bool(talk.requests(Scene(flow, capture)))
    return Card(
        number=flow.first.number,
        first_ns=flow.first.time_ns,
        last_ns=flow.last.time_ns,
        client=str(flow.client),
        client_host=intern(flow.client.host),
        proxy=intern(str(flow.proxy)),
        proxy_host=intern(flow.proxy.host),
        proxy_port=flow.proxy.port,
        target=target(flow),
        asked=tuple([
            item.request.authority.rpartition(":")[0].lower()
            for item in flow.exchanges
            if item.request is not None and item.request.authority
        ]),
        verdict=judgement.verdict,
        tunnel=flow.tunnel.number if flow.tunnel else 0,
        reached=flow.syn_ack is not None,
        credentials=any(item.request and item.request.credentials for item in flow.exchanges),
        challenged=any(item.response and item.response.status == 407 for item in flow.exchanges),
        answered_ns=_answered(flow),
        sni=(hello.sni if hello else None) or "",
        unanswered=bool(flow.tunnel_bytes[CLIENT]) and flow.tunnel_first[PROXY] is None,
        answered_hello=tls is not None and tls.server_hello is not None,
        issuer=tls.certificates[0].issuer if tls and tls.certificates else None,
        refused_certificate=refused,
        only_left=left and not any(i.verdict and i.rule not in LEFT for i in findings),
        used=used,
        idle=_idle(flow, judgement),
        left_ns=_left(flow),
        gave_up=doubt(judgement) is not None,
        one_way=flow.one_way,
        cut=sum([side.cut_by_snaplen for side in flow.sides]),
        backwards=flow.time_backwards,
    )  # fmt: skip


def target(flow: FlowFacts) -> str:
    """What the first request asked for; empty without one."""
    for item in flow.exchanges:
        if item.request is not None:
            return item.request.authority or item.request.target
    return ""


def _answered(flow: FlowFacts) -> int:
    marks = [item.response_mark for item in flow.exchanges if item.response_mark is not None]
    return marks[-1].time_ns if marks else flow.last.time_ns


def doubt(judgement: Judgement) -> Finding | None:
    """The finding that takes a client's leaving for its giving up, if nothing else is grave."""
    grave = [item for item in judgement.findings if item.verdict]
    if len(grave) != 1 or grave[0].rule != GIVEN_UP or grave[0].confidence is not POSSIBLE:
        return None
    return grave[0]


def _left(flow: FlowFacts) -> int:
    if not flow.closes:
        return 0
    name, mark = flow.closes[0]
    return mark.time_ns if name.startswith("client") else 0


def _idle(flow: FlowFacts, judgement: Judgement) -> str:
    silence = flow.longest_silence
    if silence is None or not any(item.rule in _IDLE for item in judgement.findings):
        return ""
    return duration(round(silence.seconds))
