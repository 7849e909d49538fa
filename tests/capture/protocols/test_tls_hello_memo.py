"""Hellos parsed once say what the parser says of each."""

from __future__ import annotations

import random
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from capture.protocols.tls_hello import HELLO_RETRY, parse_client_hello, parse_server_hello
from capture.protocols.tls_hello_memo import HelloMemo


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def shares(keys: list[tuple[int, bytes]]) -> bytes:
    entries = b"".join(struct.pack(">HH", group, len(key)) + key for group, key in keys)
    return struct.pack(">H", len(entries)) + entries


def client_hello(seed: int, name: bytes = b"example.com", groups: tuple[int, ...] = (29,)) -> bytes:
    """A ClientHello whose random parts depend on the seed."""
    some = random.Random(seed)
    keys = [(group, some.randbytes(32)) for group in groups]
    body = [
        extension(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name),
        extension(51, shares(keys)),
        extension(16, b"\0\x03\x02h2"),
        extension(43, b"\x04\x03\x04\x03\x03"),
    ]
    head = b"\x03\x03" + some.randbytes(32) + b"\x20" + some.randbytes(32)
    rest = b"".join(body)
    return message(
        1, head + b"\x00\x04\x13\x01\x13\x02\x01\x00" + struct.pack(">H", len(rest)) + rest
    )


def server_hello(seed: int, cipher: int = 0x1301, *, retry: bool = False) -> bytes:
    some = random.Random(seed)
    body = extension(43, b"\x03\x04") + extension(51, b"\0\x1d\0\x20" + some.randbytes(32))
    start = HELLO_RETRY if retry else some.randbytes(32)
    head = b"\x03\x03" + start + b"\x20" + some.randbytes(32)
    return message(2, head + struct.pack(">HBH", cipher, 0, len(body)) + body)


def test_what_differs_in_random_parts_only_is_one_object() -> None:
    memo = HelloMemo()
    first, second = memo.client(client_hello(1)), memo.client(client_hello(2))
    assert first is second
    assert first == parse_client_hello(client_hello(1), session=False)
    several = (29, 23, 0x11EC)
    assert memo.client(client_hello(3, groups=several)) is memo.client(
        client_hello(4, groups=several)
    )
    assert memo.server(server_hello(1)) is memo.server(server_hello(2))


def test_what_differs_elsewhere_is_not() -> None:
    memo = HelloMemo()
    for turn in range(2):
        for data in (
            client_hello(turn),
            client_hello(turn, b"example.org"),
            client_hello(turn, groups=(23,)),
            client_hello(turn, groups=(29, 23)),
            client_hello(turn, groups=(23, 29)),
        ):
            assert memo.client(data) == parse_client_hello(data, session=False)
        for data in (
            server_hello(turn),
            server_hello(turn, 0x1302),
            server_hello(turn, retry=True),
        ):
            assert memo.server(data) == parse_server_hello(data, session=False)


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 3),
    groups=st.sampled_from([(29,), (23,), (29, 23)]),
    edits=st.lists(st.tuples(st.integers(0, 250), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 8),
)
def test_hostile_hellos_are_parsed_the_same(
    seed: int, groups: tuple[int, ...], edits: list[tuple[int, int]], cut: int
) -> None:
    """Any hello of a known shape, changed anywhere, is parsed as if nothing were known."""
    memo = HelloMemo()
    for known in range(3):
        memo.client(client_hello(known, groups=groups))
        memo.server(server_hello(known))
    for build, parse, ask in (
        (client_hello(seed, groups=groups), parse_client_hello, memo.client),
        (server_hello(seed), parse_server_hello, memo.server),
    ):
        data = bytearray(build)
        for at, value in edits:
            data[at % len(data)] = value
        whole = bytes(data[: len(data) - cut])
        expected = parse(whole, session=False)
        for _ in range(2):
            assert ask(whole) == expected
        assert ask(build) == parse(build, session=False)
