"""What several flows together say of one: retries, loops, filters that pick their victims.

Runs once over the judged flows, in one pass and without a quadratic step, and returns the
judgements with those refined that the others explain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from capture.facts import CLIENT, PROXY, CaptureFacts, FlowFacts, Mark
from capture.judging import talk
from capture.judging.catalogue import Catalogue
from capture.judging.hit import (
    CERTAIN,
    INFO,
    LIKELY,
    PROBLEM,
    WARNING,
    Hit,
    packets,
    sentence,
)
from capture.judging.judge import Judgement
from capture.judging.scene import SECOND, Scene
from capture.judging.select import LITERAL
from capture.report.model import Finding
from capture.units import duration, plural

RETRY_NS = 5 * SECOND
"""A connection that opens this soon after a 407 is the retry with credentials."""

LOOP_NS = 10 * SECOND
LOOP = 3
"""This many refusals of credentials for one client and target within ``LOOP_NS``."""

_CERTIFICATE = ("tls_untrusted_ca", "tls_cert_expired", "tls_version")

_LEFT = ("tls-left-after-handshake", "tls-left-in-handshake")
"""Rules whose only sign is that the client left."""

NEAR = 32
"""Connections to the same target before and after one that may have been used beside it."""

_Key = tuple[str, str, str]


def relate(
    flows: Sequence[FlowFacts],
    judged: Sequence[Judgement],
    capture: CaptureFacts,
    catalogue: Catalogue,
) -> tuple[Judgement, ...]:
    """Refine judgements by what the other flows show.

    Args:
        flows: The reported flows, in order of their first packet; of large captures' healthy
            tunnels only some that stand for all.
        judged: Their judgements, in the same order.
        capture: The capture.
        catalogue: Texts for the findings that are added.

    Returns:
        The judgements in the same order; those without a relation are the same objects.
    """
    if all(item.verdict in ("ok", "plain_http") and not item.findings for item in judged):
        return tuple(judged)
    result = list(judged)
    book = _Book(flows, judged, capture, catalogue)
    for at, item in enumerate(judged):
        if item.verdict == "auth_required":
            result[at] = book.retried(at, item)
        elif item.verdict == "acl_denied":
            result[at] = book.denied(at, item)
        elif item.verdict == "proxy_unreachable":
            result[at] = book.others_answer(at, item)
        elif item.verdict in ("transfer_reset", "tunnel_closed_early", "tls_stall"):
            result[at] = book.name_filter(at, item)
        elif item.verdict == "tls_untrusted_ca":
            result[at] = book.spare(at, item)
    _same_idle(result, flows, catalogue)
    _same_issuer(result, flows, catalogue)
    return tuple(result)


class _Book:
    """The flows by client, proxy and target."""

    def __init__(
        self,
        flows: Sequence[FlowFacts],
        judged: Sequence[Judgement],
        capture: CaptureFacts,
        catalogue: Catalogue,
    ) -> None:
        self.flows, self.judged, self.capture, self.catalogue = flows, judged, capture, catalogue
        self.by_key: dict[_Key, list[int]] = defaultdict(list)
        self.denied_by: dict[tuple[str, str], int] = defaultdict(int)
        self.passed_by: dict[tuple[str, str], int] = {}
        self.passed_at: dict[str, int] = {}
        self.answered_at: dict[str, int] = {}
        self.reached: set[tuple[str, str]] = set()
        self.names_at: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for at, flow in enumerate(flows):
            self.by_key[self._key(flow)].append(at)
            pair, proxy = (flow.client.host, str(flow.proxy)), str(flow.proxy)
            if judged[at].verdict == "acl_denied":
                self.denied_by[pair] += 1
            if flow.tunnel is not None:
                self.passed_by.setdefault(pair, at)
                self.passed_at.setdefault(proxy, at)
            hello = flow.tls.client_hello if flow.tls and flow.tls.server_hello else None
            if hello is not None and hello.sni:
                names = self.names_at[proxy, _target(flow)]
                if len(names) < 2:  # one of them differs from any name
                    names.setdefault(hello.sni, at)
            if flow.syn_ack is not None:
                self.answered_at.setdefault(flow.proxy.host, at)
                self.reached.add(pair)

    @staticmethod
    def _key(flow: FlowFacts) -> _Key:
        return flow.client.host, str(flow.proxy), _target(flow)

    def _hit(self, at: int, hit: Hit) -> Finding:
        return self.catalogue.finding(hit, Scene(self.flows[at], self.capture))

    # -- 407 and the retry ---------------------------------------------------------------

    def retried(self, at: int, item: Judgement) -> Judgement:
        """A 407 whose request came again on another connection."""
        flow = self.flows[at]
        mine = self.by_key[self._key(flow)]
        place = bisect_right(mine, at)
        later = mine[place] if place < len(mine) else None
        if later is None or not _target(flow):
            return item
        again = self.flows[later]
        if again.first.time_ns - flow.last.time_ns > RETRY_NS and (
            again.first.time_ns - _answered(flow) > RETRY_NS
        ):
            return item
        given = _carried(again)
        if not given:
            return item
        if again.tunnel is not None or self.judged[later].verdict in ("plain_http", "auth_ok"):
            return self._retry_worked(at, item, again)
        if self.judged[later].verdict == "auth_required":
            return self._loop(at, item, mine)
        hit = Hit("auth-retry", INFO, CERTAIN, self._retry_text(again, self.judged[later].verdict),
                  packets(again.first), "auth_required")  # fmt: skip
        return replace(item, findings=(*item.findings, self._hit(at, hit)))

    def _retry_text(self, again: FlowFacts, outcome: str) -> str:
        return sentence(
            f"#{again.first.number} the same request with credentials on another connection, "
            f"from {again.client}",
            f"it ended as {outcome}",
        )

    def _retry_worked(self, at: int, item: Judgement, again: FlowFacts) -> Judgement:
        """The 407 was a step on the way: no problem of this flow."""
        hit = Hit(
            "auth-retried",
            INFO,
            CERTAIN,
            sentence(
                self._first_refusal(self.flows[at]),
                f"#{again.first.number} the same request with credentials on another "
                f"connection, from {again.client}",
                f"#{again.tunnel.number} it opened the tunnel" if again.tunnel else "it worked",
            ),
            packets(self.flows[at].first, again.first, again.tunnel),
            "auth_required",
            code=407,
        )
        kept = [f for f in item.findings if f.verdict != "auth_required"]
        return replace(item, findings=(self._hit(at, hit), *kept))

    @staticmethod
    def _first_refusal(flow: FlowFacts) -> str:
        for exchange in flow.exchanges:
            if exchange.response is not None and exchange.response_mark is not None:
                status, reason = exchange.response.status, exchange.response.reason
                return f"#{exchange.response_mark.number} {status} {reason}".rstrip()
        return "407"

    def _loop(self, at: int, item: Judgement, mine: list[int]) -> Judgement:
        """Refused again and again, each time with credentials, over several connections."""
        start = self.flows[at].first.time_ns
        refused = [
            other
            for other in mine[bisect_right(mine, at) - 1 :][:64]
            if self.judged[other].verdict == "auth_required"
            and _carried(self.flows[other])
            and self.flows[other].first.time_ns - start <= LOOP_NS
        ]
        if len(refused) < LOOP:
            return item
        hit = Hit(
            "auth-loop",
            PROBLEM,
            CERTAIN,
            sentence(
                f"{len(refused)} connections with credentials were refused within "
                f"{duration(LOOP_NS / SECOND)}",
                f"the first at #{self.flows[refused[0]].first.number}",
            ),
            packets(*[self.flows[other].first for other in refused[:8]]),
            "auth_required",
            code=407,
        )
        return replace(item, findings=(*item.findings, self._hit(at, hit)))

    # -- who and what is forbidden -------------------------------------------------------

    def denied(self, at: int, item: Judgement) -> Judgement:
        """An address literal where names pass, or a client where others pass."""
        flow = self.flows[at]
        pair = (flow.client.host, str(flow.proxy))
        host = _target(flow).rpartition(":")[0].strip("[]")
        passed = self.passed_by.get(pair)
        if passed is not None and LITERAL.fullmatch(host):
            name = _target(self.flows[passed])
            if not LITERAL.fullmatch(name.rpartition(":")[0].strip("[]")):
                return self._add(at, item, "acl-address", name, passed)
        other = self.passed_at.get(str(flow.proxy))
        if passed is None and other is not None and self.denied_by[pair] > 1:
            return self._add(at, item, "acl-source", str(self.flows[other].client), other)
        return item

    def _add(self, at: int, item: Judgement, rule: str, other: str, where: int) -> Judgement:
        mark = self.flows[where].tunnel or self.flows[where].first
        words = {
            "acl-address": f"a name ({other}) passes at this proxy",
            "acl-source": f"another client ({other}) passes at this proxy, this one nowhere",
            "tcp-source-filtered": f"the same host answers {other}",
            "tls-name-filtered": f"another server name ({other}) passes to the same destination",
        }[rule]
        hit = Hit(rule, WARNING, LIKELY, sentence(f"#{mark.number} {words}"),
                  packets(mark), None, values={"other": other})  # fmt: skip
        finding = self._hit(at, hit)
        return replace(item, findings=_sorted([*item.findings, finding]))

    def others_answer(self, at: int, item: Judgement) -> Judgement:
        """The proxy's host answers others, or on another port."""
        flow = self.flows[at]
        where = self.answered_at.get(flow.proxy.host)
        if where is None or (flow.client.host, str(flow.proxy)) in self.reached:
            return item  # it answers this client, too, at times: no access list
        other = self.flows[where]
        whom = str(other.client) if other.proxy == flow.proxy else f"on port {other.proxy.port}"
        return self._add(at, item, "tcp-source-filtered", whom, where)

    def name_filter(self, at: int, item: Judgement) -> Judgement:
        """A ClientHello cut off or unanswered, while another name passes to the same target."""
        flow = self.flows[at]
        tls = flow.tls
        name = tls.client_hello.sni if tls and tls.client_hello else None
        if not name or flow.tunnel_first[PROXY] is not None or not flow.tunnel_bytes[CLIENT]:
            return item
        for other, where in self.names_at.get((str(flow.proxy), _target(flow)), {}).items():
            if other != name:
                return self._add(at, item, "tls-name-filtered", other, where)
        return item

    # -- connections opened in advance ---------------------------------------------------

    def spare(self, at: int, item: Judgement) -> Judgement:
        """Left right after the handshake, while the same client used another tunnel there.

        Browsers open two connections at once and drop the one they do not need (HTTP/2, or
        the other was quicker). The one in use shows that the client accepts the certificate.
        """
        doubts = [f for f in item.findings if f.rule in _LEFT]
        if not doubts or any(f.verdict and f.rule not in _LEFT for f in item.findings):
            return item
        flow = self.flows[at]
        mine = self.by_key[self._key(flow)]
        place = bisect_right(mine, at)
        for other in mine[max(0, place - NEAR) : place + NEAR]:
            used = self.flows[other]
            if (
                used is flow
                or used.first.time_ns > flow.last.time_ns
                or used.last.time_ns < flow.first.time_ns
                or any(f.verdict in _CERTIFICATE for f in self.judged[other].findings)
                or not talk.requests(Scene(used, self.capture))
            ):
                continue
            hit = Hit(
                "tls-spare",
                INFO,
                LIKELY,
                sentence(
                    doubts[0].observation.rstrip("."),
                    f"at the same time the client used another tunnel to {_target(flow)}, from "
                    f"{used.client}",
                ),
                packets(flow.tunnel, used.tunnel),
            )
            kept = [f for f in item.findings if f.rule not in _LEFT]
            verdict = "auth_ok" if _challenged(flow) else "ok"
            return replace(item, verdict=verdict, findings=(self._hit(at, hit), *kept))
        return item


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -finding.severity.rank))


def _target(flow: FlowFacts) -> str:
    for item in flow.exchanges:
        if item.request is not None:
            return item.request.authority or item.request.target
    return ""


def _challenged(flow: FlowFacts) -> bool:
    return any(item.response and item.response.status == 407 for item in flow.exchanges)


def _answered(flow: FlowFacts) -> int:
    marks = [item.response_mark for item in flow.exchanges if item.response_mark is not None]
    return marks[-1].time_ns if marks else flow.last.time_ns


def _carried(flow: FlowFacts) -> bool:
    """A request of the flow bore credentials."""
    return any(item.request and item.request.credentials for item in flow.exchanges)


def _mark_all(
    result: list[Judgement],
    flows: Sequence[FlowFacts],
    found: dict[str, list[int]],
    catalogue: Catalogue,
    rule: str,
    words: str,
) -> None:
    """Raise what several flows share: the same observation on each of them."""
    for shared, members in found.items():
        if len(members) < 2:
            continue
        first: list[Mark] = [flows[at].first for at in members[:6]]
        for at in members:
            hit = Hit(
                rule,
                INFO,
                LIKELY,
                sentence(words.format(count=plural(len(members), "flow"), shared=shared)),
                packets(*first),
                values={"gap": shared, "issuer": shared},
            )
            finding = catalogue.finding(hit)
            result[at] = replace(result[at], findings=_sorted([*result[at].findings, finding]))


def _same_idle(result: list[Judgement], flows: Sequence[FlowFacts], catalogue: Catalogue) -> None:
    """The same idle time before the end of several flows is a timer."""
    found: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(result):
        silence = flows[at].longest_silence
        if silence is None:
            continue
        if any(f.rule in ("idle-timeout", "idle-close") for f in item.findings):
            found[duration(round(silence.seconds))].append(at)
    _mark_all(result, flows, found, catalogue, "idle-repeated",
              "{count} were closed after {shared} without data")  # fmt: skip


def _same_issuer(result: list[Judgement], flows: Sequence[FlowFacts], catalogue: Catalogue) -> None:
    """One unknown issuer for several server names is an inspecting box."""
    rejected: dict[str, list[int]] = defaultdict(list)
    names: dict[str, set[str]] = defaultdict(set)
    for at, item in enumerate(result):
        tls = flows[at].tls
        if tls is None or not tls.certificates:
            continue
        issuer = tls.certificates[0].issuer
        hello = tls.client_hello
        names[issuer].add((hello.sni if hello else None) or "")
        if item.verdict == "tls_untrusted_ca":
            rejected[issuer].append(at)
    shared = {issuer: flows_ for issuer, flows_ in rejected.items() if len(names[issuer]) > 1}
    _mark_all(result, flows, shared, catalogue, "tls-same-issuer",
              "{count} show certificates of {shared}, for different names")  # fmt: skip
