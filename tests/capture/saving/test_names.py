from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.saving.names import _PRIVATE, Anonymizer

KEY = b"key"
octets4 = st.binary(min_size=4, max_size=4)
octets16 = st.binary(min_size=16, max_size=16)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
names = st.lists(labels, min_size=1, max_size=4).map(lambda parts: ".".join([*parts, "com"]))


def four(text: str) -> bytes:
    return ipaddress.IPv4Address(text).packed


@given(octets4 | octets16)
@example(b"\xf7" + bytes(15))
@example(b"\xfe\x90" + bytes(14))
def test_an_address_written_is_as_long_and_of_its_kind(address: bytes) -> None:
    made = Anonymizer(KEY).address(address)
    old, new = ipaddress.ip_address(address), ipaddress.ip_address(made)
    assert len(str(old)) == len(str(new))
    assert old.is_multicast == new.is_multicast
    assert old.is_loopback == new.is_loopback
    assert old.is_link_local == new.is_link_local


@pytest.mark.parametrize("network", ["172.0.0.0/8", "192.0.0.0/8", "169.0.0.0/8"])
def test_no_other_address_becomes_a_private_one(network: str) -> None:
    anonymizer = Anonymizer(KEY)
    first = ipaddress.IPv4Network(network).network_address.packed[0]
    made = {second: anonymizer.address(bytes((first, second, 1, 1))) for second in range(256)}
    assert sorted(address[1] for address in made.values()) == list(range(256))
    private = {second for second, address in made.items() if address[1] in _PRIVATE[first]}
    assert private == _PRIVATE[first]


@settings(max_examples=30)
@given(st.sets(octets4, max_size=60), st.sets(octets16, max_size=20))
def test_different_addresses_stay_different(some: set[bytes], more: set[bytes]) -> None:
    anonymizer = Anonymizer(KEY)
    assert len({anonymizer.address(item) for item in some | more}) == len(some | more)


@given(octets4, octets4)
def test_networks_stay_together(one: bytes, other: bytes) -> None:
    anonymizer = Anonymizer(KEY)
    same = next((n for n in range(4) if one[n] != other[n]), 4)
    made = anonymizer.address(one), anonymizer.address(other)
    assert made[0][:same] == made[1][:same]


@pytest.mark.parametrize(
    ("address", "network"),
    [("10.1.2.3", "10.0.0.0/8"), ("172.20.1.1", "172.16.0.0/12"), ("192.168.7.9", "192.168.0.0/16"),
     ("169.254.3.4", "169.254.0.0/16")],
)  # fmt: skip
def test_private_addresses_stay_private(address: str, network: str) -> None:
    made = Anonymizer(KEY).address(four(address))
    assert ipaddress.IPv4Address(made) in ipaddress.ip_network(network)


def test_another_key_other_addresses() -> None:
    address = four("11.22.33.44")
    made = {Anonymizer().address(address) for _ in range(8)}
    assert len(made) > 4


def test_addresses_of_network_cards() -> None:
    anonymizer = Anonymizer(KEY)
    assert anonymizer.address(b"\xff" * 6) == b"\xff" * 6
    assert anonymizer.address(b"\x01\0\x5e\0\0\1") == b"\x01\0\x5e\0\0\1"
    made = anonymizer.address(b"\0\x50\x56\xaa\xbb\xcc")
    assert made != b"\0\x50\x56\xaa\xbb\xcc"
    assert made[0] & 3 == 0


def test_an_address_inside_another() -> None:
    anonymizer = Anonymizer(KEY)
    inner = four("11.22.33.44")
    made = anonymizer.address(b"\0" * 10 + b"\xff\xff" + inner)
    assert made == b"\0" * 10 + b"\xff\xff" + anonymizer.address(inner)


@given(names)
def test_names_keep_their_shape(name: str) -> None:
    anonymizer = Anonymizer(KEY)
    made = anonymizer.name(name)
    assert [len(label) for label in made.split(".")] == [len(label) for label in name.split(".")]
    assert anonymizer.name(name.upper()) == made
    assert made.endswith(".com")
    # What is in a domain stays in what becomes of it.
    assert anonymizer.name(f"host.{name}").endswith(f".{made}")


@given(st.binary(max_size=300) | names.map(str.encode))
def test_any_text_keeps_its_length(data: bytes) -> None:
    anonymizer = Anonymizer(KEY)
    anonymizer.learn(["intranet", "tools.cisco.com"])
    for change in (anonymizer.text, anonymizer.handshake, anonymizer.dns):
        assert len(change(data)) == len(data)


def test_text() -> None:
    anonymizer = Anonymizer(KEY)
    anonymizer.learn(["intranet"])
    old = (
        b"CONNECT tools.cisco.com:443 HTTP/1.1\r\nHost: 203.0.113.77:443\r\n"
        b"X-Forwarded-For: 2001:db8::1:20, 10.1.2.3\r\nReferer: http://INTRANET/a\r\n"
        b"User-Agent: curl/7.88.1 Chrome/120.0.0.0\r\nX-Mac: 00:50:56:aa:bb:cc\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nProxy-Connection: Keep-Alive\r\n\r\n"
    )
    new = anonymizer.text(old)
    assert len(new) == len(old)
    for gone in (b"cisco", b"tools", b"203.0.113.77", b"2001:db8::1:20", b"INTRANET", b"56:aa"):
        assert gone not in new
    for kept in (
        b"CONNECT ",
        b".com:443 HTTP/1.1",
        b"curl/7.88.1 Chrome/120.0.0.0",
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nProxy-Connection: Keep-Alive",
    ):
        assert kept in new
    address = ".".join(map(str, anonymizer.address(four("203.0.113.77"))))
    assert f"Host: {address}:443".encode() in new


def test_text_and_headers_agree_on_ipv6() -> None:
    anonymizer = Anonymizer(KEY)
    for text in ("2001:db8::1:20", "2a02::", "2001:0db8:0:0:1:02:3:4", "fd00:1::"):
        address = ipaddress.IPv6Address(text)
        made = anonymizer.text(b"[" + text.encode() + b"]:443")[1:-5]
        assert ipaddress.IPv6Address(made.decode()).packed == anonymizer.address(address.packed)


def test_certificates() -> None:
    anonymizer = Anonymizer(KEY)
    host, organisation = b"secret.customer.com", b"Customer Ltd."
    attribute = b"\x06\x03\x55\x04\x0a\x0c" + bytes([len(organisation)]) + organisation
    san = b"\x82" + bytes([len(host)]) + host + b"\x82\x0f*.other.example"
    made = anonymizer.handshake(b"\x30\x20" + attribute + san)
    assert host not in made
    assert b"Customer" not in made
    assert made[-15:].endswith(b".example")
    assert made[-15:].startswith(b"*.")
    assert anonymizer.name(host.decode()).encode() in made
    # Cut in the middle, nothing moves.
    for size in range(len(attribute + san)):
        assert len(anonymizer.handshake((attribute + san)[:size])) == size


def test_dns() -> None:
    anonymizer = Anonymizer(KEY)
    question = b"\5proxy\6client\3com\0" + struct.pack("!HH", 1, 1)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + four("198.51.100.7")
    message = struct.pack("!6H", 7, 0x8180, 1, 1, 0, 0) + question + answer
    made = anonymizer.dns(message)
    name = anonymizer.name("proxy.client.com").split(".")
    assert made[12:].startswith(b"\5" + name[0].encode() + b"\6" + name[1].encode() + b"\3com\0")
    assert made.endswith(anonymizer.address(four("198.51.100.7")))
    assert made[:12] == message[:12]
    loop = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c"
    assert anonymizer.dns(loop) == loop
