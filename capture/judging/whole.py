"""Findings about the capture as a whole: its quality, and what lies beside the flows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from capture.decode.columns import DnsMessage
from capture.facts import CaptureFacts, FlowFacts
from capture.judging.cards import Card, card
from capture.judging.catalogue import Catalogue
from capture.judging.hit import CERTAIN, INFO, LIKELY, POSSIBLE, PROBLEM, WARNING, Hit, sentence
from capture.judging.judge import Judgement
from capture.judging.reach import icmp_words
from capture.judging.scene import SECOND, address_text
from capture.report.model import Finding
from capture.units import count, plural

NAME_WAIT_NS: Final = 5 * SECOND
"""A client that found its proxy's name connects within this time."""

_PROXY_NAME: Final = re.compile(r"proxy|squid|wsa|swg|zscaler|bluecoat|websense|gateway", re.I)
"""What the names of proxies usually hold."""

_RCODES: Final = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_MOST: Final = 0.5
"""Share of the flows from which on a flaw is one of the capture."""


def judge_capture(
    flows: Sequence[FlowFacts],
    judged: Sequence[Judgement],
    capture: CaptureFacts,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Judge the capture itself.

    Args:
        flows: The reported flows; ``capture.settled`` more are healthy and left out.
        judged: Their judgements, in the same order.
        capture: What the capture shows beside them.
        catalogue: Texts; None for the built-in ones.

    Returns:
        Findings, gravest first.
    """
    cards = [card(flow, item, capture) for flow, item in zip(flows, judged, strict=True)]
    return judge_cards(cards, capture, catalogue or Catalogue.load())


def judge_cards(
    cards: Sequence[Card], capture: CaptureFacts, catalogue: Catalogue
) -> tuple[Finding, ...]:
    """``judge_capture`` by the flows' cards."""
    hits = [
        *_losses(capture),
        *_one_way(cards, capture),
        *_snaplen(cards, capture),
        *_clock(cards),
        *_fragments(capture),
        *_not_understood(cards, capture),
        *_icmp(capture),
        *_proxy_name(cards, capture),
        *_bypass(cards, capture),
        *_autoconfig(capture),
    ]
    hits.sort(key=lambda hit: -hit.severity.rank)
    return tuple(catalogue.finding(hit) for hit in hits)


def _losses(capture: CaptureFacts) -> list[Hit]:
    kernel, queue = capture.lost_kernel or 0, capture.lost_queue or 0
    if not kernel and not queue:
        return []
    words = [
        f"{plural(kernel, 'packet')} dropped by the capturing host's kernel" if kernel else "",
        f"{plural(queue, 'packet')} dropped by this program's own queue" if queue else "",
        f"{count(capture.packets)} were captured",
    ]
    return [Hit("capture-drops", WARNING, CERTAIN, sentence(*words))]


def _one_way(cards: Sequence[Card], capture: CaptureFacts) -> list[Hit]:
    lame = [item for item in cards if item.one_way]
    total = len(cards) + capture.settled
    if not lame or len(lame) < _MOST * total:
        return []
    words = f"{len(lame)} of {plural(total, 'flow')} show one direction only"
    return [Hit("capture-one-way-all", WARNING, LIKELY, sentence(words),
                tuple(item.number for item in lame[:6]))]  # fmt: skip


def _snaplen(cards: Sequence[Card], capture: CaptureFacts) -> list[Hit]:
    cut = [item.cut for item in cards if item.cut]
    if not cut or capture.text:
        return []
    words = f"{plural(sum(cut), 'data packet')} of {plural(len(cut), 'flow')} were cut"
    limit = f"the snapshot length is {capture.snaplen} bytes" if capture.snaplen else ""
    return [Hit("capture-snaplen", INFO, CERTAIN, sentence(words, limit))]


def _clock(cards: Sequence[Card]) -> list[Hit]:
    steps = sum(item.backwards for item in cards)
    if not steps:
        return []
    return [Hit("capture-clock", INFO, CERTAIN,
                sentence(f"the time went backwards {plural(steps, 'time')}"))]  # fmt: skip


def _fragments(capture: CaptureFacts) -> list[Hit]:
    lost = capture.fragments_dropped
    if not lost:
        return []
    by_filter = "port" in capture.capture_filter.split()
    words = [
        f"{plural(lost, 'first fragment')} without the fragments that follow",
        f"the capture filter was '{capture.capture_filter}'" if capture.capture_filter else "",
    ]
    sure = LIKELY if by_filter else POSSIBLE
    return [Hit("capture-fragments", INFO, sure, sentence(*words))]


def _not_understood(cards: Sequence[Card], capture: CaptureFacts) -> list[Hit]:
    if cards or capture.tcp_flows or not capture.not_understood:
        return []
    words = ", ".join(f"{count(n)} x {why}" for why, n in capture.not_understood[:4])
    return [Hit("capture-not-understood", INFO, CERTAIN, sentence(f"not decoded: {words}"))]


def _icmp(capture: CaptureFacts) -> list[Hit]:
    """Errors whose flow the capture does not hold, about a proxy's address."""
    proxies = {endpoint.host for endpoint in capture.proxies}
    found = [e for e in capture.icmp if address_text(e.dst, capture) in proxies
             or address_text(e.src, capture) in proxies]  # fmt: skip
    if not found:
        return []
    first = found[0]
    kinds = Counter(icmp_words(error) for error in found)
    words = ", ".join(f"{number} x {text}" for text, number in kinds.most_common(3))
    router = address_text(first.sender, capture)
    return [
        Hit(
            "icmp-without-flow",
            WARNING,
            POSSIBLE,
            sentence(f"#{first.number} {words}", f"from {router}",
                     f"about {address_text(first.dst, capture)}"),
            tuple(error.number for error in found[:6]),
            values={"router": router},
        )
    ]  # fmt: skip


def _proxy_name(cards: Sequence[Card], capture: CaptureFacts) -> list[Hit]:
    """The proxy's name does not resolve, and its client connects to no proxy."""
    answers: dict[tuple[int, str], DnsMessage] = {}
    queries: dict[tuple[int, str], DnsMessage] = {}
    for message in capture.dns:
        key = (message.client, message.name)
        if not message.response:
            queries.setdefault(key, message)
        elif message.answers or key not in answers:
            answers[key] = message
    if not queries:
        return []
    connects = sorted((item.client_host, item.first_ns) for item in cards)
    hits = []
    for key, query in queries.items():
        answer = answers.get(key)
        if answer is not None and (answer.answers or answer.rcode not in _RCODES):
            continue
        if answer is None and capture.last_ns - query.time_ns < NAME_WAIT_NS:
            continue
        if not _PROXY_NAME.search(key[1]) or key[1].startswith("wpad"):
            continue
        client = address_text(key[0], capture)
        if any(host == client and 0 <= time - query.time_ns <= NAME_WAIT_NS
               for host, time in connects):  # fmt: skip
            continue
        outcome = f"#{answer.number} {_RCODES[answer.rcode]}" if answer else "no answer"
        numbers = (query.number, answer.number) if answer else (query.number,)
        hits.append(
            Hit(
                "proxy-name-unresolved",
                PROBLEM,
                LIKELY,
                sentence(f"#{query.number} {client} asks for {key[1]}", outcome,
                         "it opens no connection to a proxy"),
                numbers,
                values={"name": key[1], "client_host": client,
                        "router": address_text(query.server, capture)},
            )
        )  # fmt: skip
        if len(hits) == 4:
            break
    return hits


def _bypass(cards: Sequence[Card], capture: CaptureFacts) -> list[Hit]:
    """A client of the proxy resolves names that it also asks the proxy for."""
    if not capture.dns:
        return []
    asked: dict[tuple[str, str], int] = {}
    for item in cards:
        for host in item.asked:
            asked.setdefault((item.client_host, host), item.number)
    for message in capture.dns:
        if message.response:
            continue
        client = address_text(message.client, capture)
        number = asked.get((client, message.name))
        if number is None:
            continue
        return [
            Hit(
                "name-resolved-by-client",
                INFO,
                POSSIBLE,
                sentence(f"#{message.number} {client} asks DNS for {message.name}",
                         f"#{number} it also asks the proxy for it"),
                (message.number, number),
                values={"name": message.name, "client_host": client},
            )
        ]  # fmt: skip
    return []


def _autoconfig(capture: CaptureFacts) -> list[Hit]:
    """The client looks for a proxy by WPAD and finds none."""
    queries: dict[str, DnsMessage] = {}
    found: set[str] = set()
    for message in capture.dns:
        if message.name.split(".")[0] != "wpad":
            continue
        if message.answers:
            found.add(message.name)
        elif not message.response:
            queries.setdefault(message.name, message)
    missed = [message for name, message in queries.items() if name not in found]
    if not missed:
        return []
    first = missed[0]
    return [
        Hit(
            "wpad-unresolved",
            INFO,
            CERTAIN,
            sentence(f"#{first.number} {address_text(first.client, capture)} asks for "
                     f"{first.name}", "the capture holds no address for it"),
            tuple(message.number for message in missed[:4]),
            values={"name": first.name},
        )
    ]  # fmt: skip
