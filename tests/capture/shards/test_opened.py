"""Openings have the same number when they differ in the host and in what is random only."""

from __future__ import annotations

import random

import pytest

from capture.protocols.tls_hello import HELLO_RETRY
from capture.shards import opened
from capture.shards.numbers import MOST, Numbers
from capture.shards.opened import Opening, Openings

HOSTS = ("one.example.com", "two.example.net")


def u16(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + b"\3\3" + u16(body)


def hello(kind: int, body: bytes) -> bytes:
    return record(22, bytes([kind]) + len(body).to_bytes(3, "big") + body)


def client_hello(name: str, noise: bytes, ciphers: bytes = b"\x13\1\x13\2") -> bytes:
    named = b"\0\0" + u16(u16(b"\0" + u16(name.encode())))
    share = b"\0\x33" + u16(u16(b"\0\x1d" + u16(noise)))
    body = b"\3\3" + noise + b"\x20" + noise + u16(ciphers) + b"\1\0" + u16(named + share)
    return hello(1, body)


def server_hello(noise: bytes, cipher: bytes = b"\x13\1") -> bytes:
    share = b"\0\x33" + u16(b"\0\x1d" + u16(noise))
    return hello(2, b"\3\3" + noise + b"\x20" + noise + cipher + b"\0" + u16(share))


def opening(
    host: str = HOSTS[0],
    *,
    seed: int = 0,
    name: str | None = None,
    agent: str = "curl/8",
    reply: str = "Connection established",
    ciphers: bytes = b"\x13\1\x13\2",
    retry: bool = False,
    alert: bytes = b"\2\x28",
    split: bool = False,
) -> tuple[list[bytes], list[bytes]]:
    """What both sides send: heads, hellos, data, an alert."""
    noise = random.Random(seed).randbytes(32)
    asked = f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: {agent}\r\n\r\n"
    hello = client_hello(host if name is None else name, noise, ciphers)
    answer = server_hello(HELLO_RETRY if retry else noise) + record(23, noise)
    parts = [hello[:40], hello[40:]] if split else [hello]
    return (
        [asked.encode(), *parts, record(23, noise) + record(21, alert)],
        [f"HTTP/1.1 200 {reply}\r\n\r\n".encode(), answer],
    )


def told(openings: Openings, *said: tuple[list[bytes], list[bytes]]) -> list[Opening]:
    found = []
    for client, proxy in said:
        shape = repr([[*map(len, side)] for side in (client, proxy)]).encode()
        found.append(openings.of(shape, client, proxy))
    return found


def test_host_and_what_is_random_make_no_difference() -> None:
    one, two, three = told(
        Openings(Numbers()), opening(), opening(HOSTS[1], seed=1), opening(seed=2)
    )
    assert one.number == two.number == three.number
    assert (one.host, two.host, three.host) == (*HOSTS, HOSTS[0])


OTHERS = [
    opening(agent="curl/9"),
    opening(reply="connection established"),
    opening(ciphers=b"\x13\1\x13\3"),
    opening(alert=b"\2\x2a"),
    opening(retry=True),
    opening(name=HOSTS[1]),
    opening(name=HOSTS[0].upper()),
    opening("192.0.2.100"),
    opening("one.example_com"),
    opening(split=True),
    opening(HOSTS[1], name=HOSTS[0]),
]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("turned", [False, True])
def test_all_else_does(other: tuple[list[bytes], list[bytes]], turned: bool) -> None:
    pair = (other, opening(seed=7)) if turned else (opening(seed=7), other)
    one, two = told(Openings(Numbers()), *pair)
    assert one.number != two.number


@pytest.mark.parametrize("agent", [f"for {HOSTS[0]}", f"for {HOSTS[1]}"])
def test_a_host_said_elsewhere_is_not_left_out(agent: str) -> None:
    """What a reply that names a host means may follow from whose host that is."""
    openings = Openings(Numbers())
    one, two = told(openings, opening(reply=agent), opening(HOSTS[1], seed=1, reply=agent))
    assert one.number != two.number
    assert [bool(item.host) for item in (one, two)] == [
        HOSTS[0] not in agent,
        HOSTS[1] not in agent,
    ]


def test_it_does_not_matter_what_was_seen_before() -> None:
    """Openings known by their layout are told apart as those that are looked at closely."""
    said = [*OTHERS, *[opening(host, seed=seed) for seed in range(4) for host in HOSTS]]
    said += [opening(HOSTS[1], seed=9, agent="curl/9"), opening(seed=9, alert=b"\2\x2a")]
    numbers = Numbers()
    closely = [told(Openings(numbers), item)[0] for item in said]
    order = [*range(len(said))]
    for seed in range(20):
        random.Random(seed).shuffle(order)
        known = told(Openings(numbers), *[said[at] for at in order])
        assert [known[order.index(at)] for at in range(len(said))] == closely


def test_layouts_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MOST", 8)
    openings = Openings(Numbers())
    for seed in range(40):
        told(openings, opening(agent=f"{seed:06}"))
    assert sum(len(item._known) for each in openings._layouts.values() for item in each) <= 8
    assert MOST > 8


def test_nothing_and_cut_streams() -> None:
    client, proxy = opening()
    cuts = [([], []), (client[:1], []), (client[:1], proxy[:1]), (client[:2], proxy[:1])]
    cuts += [([*client[:1], client[1][:at]], proxy) for at in range(1, len(client[1]), 7)]
    found = told(Openings(Numbers()), *cuts, *cuts)
    assert [item.number for item in found[: len(cuts)]] == [
        item.number for item in found[len(cuts) :]
    ]
    assert len({item.number for item in found}) == len(cuts)
