"""What several flows together say of one: retries, loops, filters that pick their victims.

Runs once over the cards of the judged flows, in one pass and without a quadratic step, and
returns the judgements with those refined that the others explain.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from capture.facts import CaptureFacts, FlowFacts
from capture.judging.cards import LEFT, Card, card, doubt
from capture.judging.catalogue import Catalogue
from capture.judging.hit import CERTAIN, INFO, LIKELY, PROBLEM, WARNING, Hit, sentence
from capture.judging.judge import Judgement, bare
from capture.judging.scene import SECOND, Scene
from capture.judging.select import LITERAL
from capture.lazy import lazy
from capture.report.model import Finding
from capture.units import duration, plural

RETRY_NS = 5 * SECOND
"""A connection that opens this soon after a 407 is the retry with credentials."""

LOOP_NS = 10 * SECOND
LOOP = 3
"""This many refusals of credentials for one client and target within ``LOOP_NS``."""

TOGETHER_NS = 100_000_000
"""A client that ends closes its connections within this time (measured: Chromium 1 ms, on a busy
machine 50)."""

WAITING = frozenset({"transfer_stalled", "tls_stall", "connect_no_reply", "proxy_unreachable"})
"""Verdicts of connections on which a client waits in vain."""

NEAR = 32
"""Connections to the same target before and after one that may have been used beside it."""

AT_ONCE = 512
"""Cards that are looked at between two chances for others to go first: 1 ms."""

Own = Mapping[int, tuple[FlowFacts | None, Judgement]]
"""Facts and judgements of flows, by the place of their card. Without facts the findings that
are added have no texts: enough for a table."""


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
    cards = [card(flow, item, capture) for flow, item in zip(flows, judged, strict=True)]
    own = dict(enumerate(zip(flows, judged, strict=True)))
    return tuple(relate_cards(cards, own, capture, catalogue).values())


def relate_cards(
    cards: Sequence[Card],
    own: Own,
    capture: CaptureFacts,
    catalogue: Catalogue,
    give_way: Callable[[], object] | None = None,
) -> dict[int, Judgement]:
    """``relate`` for a part of the flows, in the light of all.

    Args:
        cards: Of all flows, in order of their first packet.
        own: The flows to be refined, by the place of their card, in that order.
        capture: The capture.
        catalogue: Texts for the findings that are added.
        give_way: Called every `AT_ONCE` cards.

    Returns:
        The judgements of ``own``, in the same order.
    """
    book = _Book(cards, own, capture, catalogue)
    for start in range(0, len(cards), AT_ONCE):
        if give_way is not None:
            give_way()
        book.enter(start, min(start + AT_ONCE, len(cards)))
    result: dict[int, Judgement] = {}
    for at, (_, item) in own.items():
        if give_way is not None and len(result) % AT_ONCE == 0:
            give_way()
        result[at] = book.refined(at, item)
    _same_idle(result, cards, catalogue)
    _same_issuer(result, book, catalogue)
    return result


class _Book:
    """The flows' cards by client, proxy and target."""

    def __init__(
        self, cards: Sequence[Card], own: Own, capture: CaptureFacts, catalogue: Catalogue
    ) -> None:
        self.cards, self.own, self.capture, self.catalogue = cards, own, capture, catalogue
        self.by_key: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        self.denied_by: dict[tuple[str, str], int] = defaultdict(int)
        self.passed_by: dict[tuple[str, str], int] = {}
        self.passed_at: dict[str, int] = {}
        self.answered_at: dict[str, int] = {}
        self.reached: set[tuple[str, str]] = set()
        self.names_at: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)

    def enter(self, start: int, stop: int) -> None:
        """Take in the cards at some places."""
        for at in range(start, stop):
            item = self.cards[at]
            # As ``Card.pair`` and ``Card.key``: there may be ten thousand, many times over.
            host, proxy = item.client_host, item.proxy
            pair = host, proxy
            self.by_key[host, proxy, item.target].append(at)
            if item.verdict == "acl_denied":
                self.denied_by[pair] += 1
            if item.tunnel:
                self.passed_by.setdefault(pair, at)
                self.passed_at.setdefault(proxy, at)
            if item.answered_hello and item.sni:
                names = self.names_at[proxy, item.target]
                if len(names) < 2:  # one of them differs from any name
                    names.setdefault(item.sni, at)
            if item.reached:
                self.answered_at.setdefault(item.proxy_host, at)
                self.reached.add(pair)

    def refined(self, at: int, item: Judgement) -> Judgement:
        """A judgement in the light of the others."""
        if item.verdict == "auth_required":
            return self.retried(at, item)
        if item.verdict == "acl_denied":
            return self.denied(at, item)
        if item.verdict == "proxy_unreachable":
            return self.others_answer(at, item)
        if item.verdict in ("transfer_reset", "tunnel_closed_early", "tls_stall"):
            return self.name_filter(at, item)
        if item.verdict == "tls_untrusted_ca":
            return self.spare(at, item)
        if item.verdict == "transfer_stalled":
            return self.left_together(at, item)
        return item

    def _hit(self, at: int, hit: Hit) -> Finding:
        flow = self.own[at][0]
        if flow is None:
            return bare(hit)
        return self.catalogue.finding(hit, Scene(flow, self.capture))

    # -- 407 and the retry ---------------------------------------------------------------

    def retried(self, at: int, item: Judgement) -> Judgement:
        """A 407 whose request came again on another connection."""
        mine = self.cards[at]
        alike = self.by_key[mine.key]
        place = bisect_right(alike, at)
        later = alike[place] if place < len(alike) else None
        if later is None or not mine.target:
            return item
        again = self.cards[later]
        if again.first_ns - mine.last_ns > RETRY_NS and (
            again.first_ns - mine.answered_ns > RETRY_NS
        ):
            return item
        if not again.credentials:
            return item
        if again.tunnel or again.verdict in ("plain_http", "auth_ok"):
            return self._retry_worked(at, item, again)
        if again.verdict == "auth_required":
            return self._loop(at, item, alike)
        hit = Hit("auth-retry", INFO, CERTAIN,
                  sentence(self._again(again), f"it ended as {again.verdict}"),
                  (again.number,), "auth_required")  # fmt: skip
        return replace(item, findings=(*item.findings, self._hit(at, hit)))

    @staticmethod
    def _again(again: Card) -> str:
        return (
            f"#{again.number} the same request with credentials on another connection, "
            f"from {again.client}"
        )

    def _retry_worked(self, at: int, item: Judgement, again: Card) -> Judgement:
        """The 407 was a step on the way: no problem of this flow."""
        hit = Hit(
            "auth-retried",
            INFO,
            CERTAIN,
            sentence(
                self._first_refusal(self.own[at][0]),
                self._again(again),
                f"#{again.tunnel} it opened the tunnel" if again.tunnel else "it worked",
            ),
            _numbers(self.cards[at].number, again.number, again.tunnel),
            "auth_required",
            code=407,
        )
        kept = [f for f in item.findings if f.verdict != "auth_required"]
        return replace(item, findings=(self._hit(at, hit), *kept))

    @staticmethod
    def _first_refusal(flow: FlowFacts | None) -> str:
        for exchange in flow.exchanges if flow else ():
            if exchange.response is not None and exchange.response_mark is not None:
                status, reason = exchange.response.status, exchange.response.reason
                return f"#{exchange.response_mark.number} {status} {reason}".rstrip()
        return "407"

    def _loop(self, at: int, item: Judgement, alike: list[int]) -> Judgement:
        """Refused again and again, each time with credentials, over several connections."""
        start = self.cards[at].first_ns
        refused = [
            other
            for other in map(self.cards.__getitem__, alike[bisect_right(alike, at) - 1 :][:64])
            if other.verdict == "auth_required"
            and other.credentials
            and other.first_ns - start <= LOOP_NS
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
                f"the first at #{refused[0].number}",
            ),
            _numbers(*[other.number for other in refused[:8]]),
            "auth_required",
            code=407,
        )
        return replace(item, findings=(*item.findings, self._hit(at, hit)))

    # -- who and what is forbidden -------------------------------------------------------

    def denied(self, at: int, item: Judgement) -> Judgement:
        """An address literal where names pass, or a client where others pass."""
        mine = self.cards[at]
        passed = self.passed_by.get(mine.pair)
        if passed is not None and LITERAL.fullmatch(_host(mine.target)):
            name = self.cards[passed].target
            if not LITERAL.fullmatch(_host(name)):
                return self._add(at, item, "acl-address", name, passed)
        other = self.passed_at.get(mine.proxy)
        if passed is None and other is not None and self.denied_by[mine.pair] > 1:
            return self._add(at, item, "acl-source", self.cards[other].client, other)
        return item

    def _add(self, at: int, item: Judgement, rule: str, other: str, where: int) -> Judgement:
        number = self.cards[where].tunnel or self.cards[where].number
        words = {
            "acl-address": f"a name ({other}) passes at this proxy",
            "acl-source": f"another client ({other}) passes at this proxy, this one nowhere",
            "tcp-source-filtered": f"the same host answers {other}",
            "tls-name-filtered": f"another server name ({other}) passes to the same destination",
        }[rule]
        hit = Hit(rule, WARNING, LIKELY, sentence(f"#{number} {words}"),
                  (number,), None, values={"other": other})  # fmt: skip
        finding = self._hit(at, hit)
        return replace(item, findings=_sorted([*item.findings, finding]))

    def others_answer(self, at: int, item: Judgement) -> Judgement:
        """The proxy's host answers others, or on another port."""
        mine = self.cards[at]
        where = self.answered_at.get(mine.proxy_host)
        if where is None or mine.pair in self.reached:
            return item  # it answers this client, too, at times: no access list
        other = self.cards[where]
        whom = other.client if other.proxy == mine.proxy else f"on port {other.proxy_port}"
        return self._add(at, item, "tcp-source-filtered", whom, where)

    def name_filter(self, at: int, item: Judgement) -> Judgement:
        """A ClientHello cut off or unanswered, while another name passes to the same target."""
        mine = self.cards[at]
        if not mine.sni or not mine.unanswered:
            return item
        for other, where in self.names_at.get((mine.proxy, mine.target), {}).items():
            if other != mine.sni:
                return self._add(at, item, "tls-name-filtered", other, where)
        return item

    # -- connections opened in advance ---------------------------------------------------

    def used_beside(self, at: int) -> Card | None:
        """Another tunnel of the same client there, in use at the same time, of a flow against
        which nothing speaks but that the client left.

        Browsers open two connections at once and drop the one they do not need (HTTP/2, or
        the other was quicker). The one in use shows that the client accepts the certificate.
        """
        mine = self.cards[at]
        if not mine.only_left:
            return None
        alike = self.by_key[mine.key]
        place = bisect_right(alike, at)
        for where in alike[max(0, place - NEAR) : place + NEAR]:
            other = self.cards[where]
            if where == at or other.first_ns > mine.last_ns or other.last_ns < mine.first_ns:
                continue
            if other.used and not other.refused_certificate:
                return other
        return None

    def spare(self, at: int, item: Judgement) -> Judgement:
        """Left right after the handshake, while the same client used another tunnel there."""
        used = self.used_beside(at)
        if used is None:
            return item
        mine = self.cards[at]
        left = next(f for f in item.findings if f.rule in LEFT)
        hit = Hit(
            "tls-spare",
            INFO,
            LIKELY,
            sentence(
                left.observation.rstrip("."),
                f"at the same time the client used another tunnel to {mine.target}, from "
                f"{used.client}",
            ),
            _numbers(mine.tunnel, used.tunnel),
        )
        kept = [f for f in item.findings if f.rule not in LEFT]
        verdict = "auth_ok" if mine.challenged else "ok"
        return replace(item, verdict=verdict, findings=(self._hit(at, hit), *kept))

    # -- connections closed together -----------------------------------------------------

    @lazy
    def left_by(self) -> dict[str, list[tuple[int, int]]]:
        """When clients closed connections on which they waited for nothing, ascending, with the
        places of their cards; by client."""
        found: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for at, item in enumerate(self.cards):
            if item.left_ns and (item.verdict not in WAITING or item.gave_up):
                found[item.client_host].append((item.left_ns, at))
        for ends in found.values():
            ends.sort()
        return found

    def left_together(self, at: int, item: Judgement) -> Judgement:
        """Given up, it seems, while data were awaited; but the client closed another connection
        in the same moment, on which it waited for nothing: it ended, and all it had open."""
        mine, given_up = self.cards[at], doubt(item)
        if given_up is None or not mine.left_ns:
            return item
        left = self.left_by.get(mine.client_host, ())
        first = bisect_left(left, (mine.left_ns - TOGETHER_NS, -1))
        behind = bisect_right(left, (mine.left_ns + TOGETHER_NS, len(self.cards)))
        others = [at for _, at in left[first:behind] if self.cards[at].number != mine.number]
        if not others:
            return item
        other = self.cards[min(others)]
        hit = Hit(
            "left-together",
            INFO,
            LIKELY,
            sentence(
                given_up.observation.rstrip("."),
                f"in the same moment the client closed another connection, from {other.client}",
            ),
            _numbers(mine.tunnel, other.tunnel or other.number),
        )
        kept = [f for f in item.findings if f is not given_up]
        verdict = "auth_ok" if mine.challenged else "ok"
        return replace(item, verdict=verdict, findings=(self._hit(at, hit), *kept))


def _numbers(*numbers: int) -> tuple[int, ...]:
    """Packet numbers in order, each once; 0 is none."""
    return tuple(sorted({number for number in numbers if number}))


def _host(authority: str) -> str:
    return authority.rpartition(":")[0].strip("[]")


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: -finding.severity.rank))


def _mark_all(
    result: dict[int, Judgement],
    cards: Sequence[Card],
    found: Mapping[str, list[int]],
    catalogue: Catalogue,
    rule: str,
    words: str,
) -> None:
    """Raise what several flows share: the same observation on each of them."""
    for shared, members in found.items():
        if len(members) < 2:
            continue
        first = _numbers(*[cards[at].number for at in members[:6]])
        for at in members:
            if at not in result:
                continue
            hit = Hit(
                rule,
                INFO,
                LIKELY,
                sentence(words.format(count=plural(len(members), "flow"), shared=shared)),
                first,
                values={"gap": shared, "issuer": shared},
            )
            finding = catalogue.finding(hit)
            result[at] = replace(result[at], findings=_sorted([*result[at].findings, finding]))


def _same_idle(result: dict[int, Judgement], cards: Sequence[Card], catalogue: Catalogue) -> None:
    """The same idle time before the end of several flows is a timer."""
    found: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(cards):
        if item.idle:
            found[item.idle].append(at)
    _mark_all(result, cards, found, catalogue, "idle-repeated",
              "{count} were closed after {shared} without data")  # fmt: skip


def _same_issuer(result: dict[int, Judgement], book: _Book, catalogue: Catalogue) -> None:
    """One unknown issuer for several server names is an inspecting box."""
    rejected: dict[str, list[int]] = defaultdict(list)
    names: dict[str, set[str]] = defaultdict(set)
    for at, item in enumerate(book.cards):
        if item.issuer is None:
            continue
        names[item.issuer].add(item.sni)
        if item.verdict == "tls_untrusted_ca" and book.used_beside(at) is None:
            rejected[item.issuer].append(at)
    shared = {issuer: flows for issuer, flows in rejected.items() if len(names[issuer]) > 1}
    _mark_all(result, book.cards, shared, catalogue, "tls-same-issuer",
              "{count} show certificates of {shared}, for different names")  # fmt: skip
