"""Which connection of a proxy was opened for which tunnel."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decode.columns import DnsMessage
from capture.facts import Endpoint, FlowFacts
from capture.second_leg.pairing import (
    Grounds,
    Outcome,
    SecondLeg,
    Wanted,
    begun_for,
    find_legs,
    wanted,
)
from tests.capture.judging.build import PROXY_END, START_NS, Story, capture, hello
from tests.capture.judging.stories import icmp

LITERAL = "72.163.4.161:443"
SERVER = Endpoint("72.163.4.161", 443)
HELLO = bytes.fromhex("16030102000100 01fc0303") + bytes(range(32)) + b"\x20" * 21
OUTSIDE = Endpoint("198.51.100.2", 40518)


def asked(
    target: str = LITERAL, *, at: float = 0.0, id: int = 1, replied: float = 4.0
) -> FlowFacts:
    """A tunnel that the proxy refuses to open after so many seconds."""
    client = Endpoint("10.40.40.1", 40000 + id)
    story = Story(client=client, at=at, number=100 * id, id=id).connect().ask(target=target)
    return story.answer(503, "Service Unavailable", after=4.0).close("proxy_fin").facts()


def opened(id: int = 1, data: bytes = HELLO, name: str = "tools.cisco.com") -> FlowFacts:
    """A tunnel with a ClientHello in it, opened 0.1 s after it was asked for."""
    story = Story(id=id, number=100 * id).connect().ask(target=f"{name}:443").answer()
    flow = story.client_hello(hello(name)).server_flight().facts()
    return replace(flow, tunnel_start=(data, b""))


def dialled(
    to: Endpoint = SERVER, *, at: float = 0.05, id: int = 50, source: str = PROXY_END.host
) -> Story:
    """A connection from the proxy's host, not begun yet."""
    return Story(client=Endpoint(source, 50_000 + id), proxy=to, at=at, number=1000 * id, id=id)


def unanswered(to: Endpoint = SERVER, **how: float | int | str) -> FlowFacts:
    return dialled(to, **how).syn(3).facts()  # type: ignore[arg-type]


def search(
    tunnels: list[FlowFacts], others: list[FlowFacts], **around: object
) -> dict[int, tuple[SecondLeg, ...]]:
    context = replace(capture(tunnels[-1], 5.0), **around)  # type: ignore[arg-type]
    looked = [item for flow in tunnels if (item := wanted(flow, context)) is not None]
    return find_legs(looked, others, context)


def answer(name: str, *hosts: str, client: str = PROXY_END.host, at: float = 0.03) -> DnsMessage:
    numbers = tuple(int(IPv4Address(host)) for host in hosts)
    return DnsMessage(
        7, START_NS + round(at * 1e9), int(IPv4Address(client)), 1, 1, name, 1, bool(hosts), 0,
        numbers,
    )  # fmt: skip


def test_the_same_hello_is_certain_from_whatever_address() -> None:
    leg = dialled(at=0.06, source=OUTSIDE.host).connect().client_hello().server_flight().facts()
    leg = replace(leg, first_bytes=(HELLO, b""))
    other = replace(leg, id=51, first_bytes=(HELLO[:20] + b"another" + HELLO[27:], b""))
    (found,) = search([opened()], [other, leg])[1]
    assert found.facts is leg
    assert (found.grounds, found.certain, found.outcome) == (Grounds.HELLO, True, Outcome.OPEN)


def test_a_hello_that_two_tunnels_carry_belongs_to_neither_for_sure() -> None:
    leg = dialled(at=0.06).connect().client_hello().facts()
    leg = replace(leg, first_bytes=(HELLO, b""))
    found = search([opened(1), opened(2)], [leg])
    assert not any(item.certain for legs in found.values() for item in legs)


def test_the_address_that_was_asked_for_is_certain() -> None:
    (found,) = search([asked()], [unanswered()])[1]
    assert (found.grounds, found.certain) == (Grounds.ADDRESS, True)
    assert found.outcome is Outcome.SILENT


def test_two_tunnels_to_one_address_share_the_doubt() -> None:
    legs = [unanswered(at=0.05, id=50), unanswered(at=0.15, id=51)]
    found = search([asked(), asked(at=0.1, id=2)], legs)
    assert [leg.facts.id for leg in found[1]] == [50]
    assert [leg.facts.id for leg in found[2]] == [51]
    assert not found[2][0].certain
    assert found[1][0].certain  # the second tunnel was not there yet


def test_another_address_than_that_asked_for_is_another_story() -> None:
    assert search([asked()], [unanswered(Endpoint("72.163.4.162", 443))]) == {}
    assert search([asked()], [unanswered(Endpoint("72.163.4.161", 8443))]) == {}


@pytest.mark.parametrize("at", [-1.0, 4.5])
def test_only_what_began_between_request_and_reply_counts(at: float) -> None:
    assert search([asked()], [unanswered(at=at)]) == {}


def test_every_attempt_is_found() -> None:
    refused = dialled(id=50).syn()
    refused.close("proxy_rst")
    found = search([asked()], [refused.facts(), unanswered(at=1.0, id=51)])[1]
    assert [leg.outcome for leg in found] == [Outcome.REFUSED, Outcome.SILENT]


def test_a_name_needs_its_answer_or_is_the_only_guess() -> None:
    tunnel = asked("tools.cisco.com:443")
    (alone,) = search([tunnel], [unanswered()])[1]
    assert (alone.grounds, alone.certain) == (Grounds.ALONE, False)
    dns = (answer("tools.cisco.com", SERVER.host),)
    (resolved,) = search([tunnel], [unanswered()], dns=dns)[1]
    assert (resolved.grounds, resolved.certain) == (Grounds.RESOLVED, False)
    assert search([tunnel], [unanswered()], dns=(answer("tools.cisco.com", "192.0.2.1"),)) == {}


def test_a_guess_between_two_tunnels_is_not_made() -> None:
    tunnels = [asked("one.example:443"), asked("two.example:443", id=2, at=0.01)]
    assert search(tunnels, [unanswered(at=0.1)]) == {}


def test_another_server_name_refutes_a_guess() -> None:
    tunnel = asked("tools.cisco.com:443")
    other = dialled().connect().client_hello(hello("updates.example")).facts()
    same = dialled().connect().client_hello(hello("tools.cisco.com")).facts()
    assert search([tunnel], [other]) == {}
    assert search([tunnel], [same])[1][0].grounds is Grounds.NAME


def test_what_a_client_opens_itself_is_not_the_proxys() -> None:
    assert search([asked()], [unanswered(source="10.40.40.1")]) == {}
    assert search([asked("tools.cisco.com:443")], [unanswered(source=OUTSIDE.host)]) == {}


def test_a_second_address_of_the_proxy_is_believed_when_it_asks_for_the_name() -> None:
    query = answer("tools.cisco.com", client=OUTSIDE.host)
    tunnel = asked("tools.cisco.com:443")
    (found,) = search([tunnel], [unanswered(source=OUTSIDE.host)], dns=(query,))[1]
    assert (found.grounds, found.certain) == (Grounds.ALONE, False)


def test_a_second_address_that_one_hello_proves_holds_for_other_tunnels() -> None:
    proof = dialled(at=0.06, source=OUTSIDE.host).connect().client_hello().facts()
    proof = replace(proof, first_bytes=(HELLO, b""))
    late = unanswered(at=60.05, id=51, source=OUTSIDE.host)
    found = search([opened(1), asked(at=60, id=2)], [proof, late])
    assert found[2][0].certain


def test_an_unproved_address_is_never_certain() -> None:
    (found,) = search([asked()], [unanswered(source=OUTSIDE.host)])[1]
    assert (found.grounds, found.certain) == (Grounds.ADDRESS, False)


def test_a_proxy_may_ask_another_proxy() -> None:
    parent = Endpoint("192.0.2.8", 3128)
    leg = dialled(parent).connect().ask(target=LITERAL).answer(502, "Bad Gateway").facts()
    other = dialled(parent, id=51).connect().ask(target="other.example:443").facts()
    (found,) = search([asked()], [leg, other])[1]
    assert (found.facts.id, found.grounds, found.certain) == (50, Grounds.REQUEST, False)


def test_what_carried_other_bytes_is_refuted_by_the_same_hello() -> None:
    leg = replace(dialled(at=0.06).connect().client_hello().facts(), first_bytes=(HELLO, b""))
    spare = dialled(at=0.055, id=51).connect().client_hello().facts()
    raced = unanswered(at=0.058, id=52)
    found = search([opened()], [leg, spare, raced])[1]
    assert sorted(item.facts.id for item in found) == [50, 52]


def outcome(flow: FlowFacts) -> Outcome:
    return SecondLeg(flow, Grounds.ALONE, False).outcome


def test_outcomes() -> None:
    assert outcome(dialled().syn().facts()) is Outcome.UNKNOWN
    assert outcome(dialled().syn(2, gap=1.0).facts()) is Outcome.SILENT
    # One SYN, seen on two interfaces.
    assert outcome(dialled().syn(2, gap=0.0001).facts()) is Outcome.UNKNOWN
    assert outcome(dialled().connect().facts()) is Outcome.OPEN
    unreachable = replace(dialled().syn().facts(), icmp=(icmp(3, 1),))
    assert outcome(unreachable) is Outcome.UNREACHABLE
    # One direction was captured: the client's data shows that it was answered.
    one_way = dialled().syn(2).client_hello().facts()
    assert outcome(one_way) is Outcome.OPEN


def test_what_cannot_be_looked_for() -> None:
    plain = Story().connect().ask(method="GET", target="http://example.com/").facts()
    context = capture(plain, 1.0)
    assert wanted(plain, context) is None
    assert wanted(asked("tools.cisco.com"), context) is None
    assert wanted(asked("tools.cisco.com:https"), context) is None
    assert wanted(asked(), replace(context, times_known=False)) is None
    assert wanted(asked("[2001:DB8::1]:443"), context) is not None


def test_a_tunnel_is_not_its_own_second_leg() -> None:
    loop = Story(client=PROXY_END, proxy=PROXY_END).connect().ask(target=LITERAL).facts()
    assert search([loop], [loop]) == {}


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=8)


@given(SPANS, st.lists(st.integers(-5, 90), max_size=12))
def test_columns_and_single_looks_agree(spans: list[tuple[int, int]], begun: list[int]) -> None:
    flow = asked()
    tunnels = [
        Wanted(flow, "", 443, "", False, start, start, start + length, b"", "")
        for start, length in spans
    ]
    expected = [any(start <= at <= start + length for start, length in spans) for at in begun]
    found = begun_for(tunnels, np.array(begun, np.int64))
    assert found.tolist() == expected
