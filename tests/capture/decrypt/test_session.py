from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.decrypt.schedule import traffic_keys
from capture.decrypt.session import GIVE_UP, TlsSession
from capture.decrypt.suites import Mode, suite_of
from capture.facts import CLIENT, PROXY
from capture.protocols.tls_sealed import chosen_alpn, plain_chain
from capture.protocols.x509_detail import read_chain
from capture.stream.items import ItemKind
from capture.stream.turns import items_in_turn
from tests.capture.decrypt.build import keys, reader_of


def test_keys_of_rfc_8448() -> None:
    """RFC 8448 section 3: the server's handshake keys."""
    suite = suite_of(0x1301)
    assert suite is not None
    secret = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
    found = traffic_keys(suite, bytes.fromhex(secret))
    assert found.key.hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert found.iv.hex() == "5d313eb2671276ee13000b30"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0x1302, (Mode.GCM, 32, "sha384", "", 16)),
        (0x1305, (Mode.CCM, 16, "sha256", "", 8)),
        (0xCCA9, (Mode.CHACHA, 32, "sha256", "", 16)),
        (0x002F, (Mode.CBC, 16, "sha256", "sha1", 16)),
        (0xC024, (Mode.CBC, 32, "sha384", "sha384", 16)),
        (0xC09D, (Mode.CCM, 32, "sha256", "", 16)),
    ],
)
def test_parameters_of_suites(number: int, expected: tuple[object, ...]) -> None:
    suite = suite_of(number)
    assert suite is not None
    assert (suite.mode, suite.key, suite.hash, suite.mac, suite.tag) == expected


@pytest.mark.parametrize("number", [0x0005, 0x000A, 0x0084, 0xFFFF])
def test_suites_that_cannot_be_opened(number: int) -> None:
    assert suite_of(number) is None


def records(name: str) -> list[tuple[int, int, bytes]]:
    found = items_in_turn(reader_of(name), sealed=True)
    return [(side, item.type, item.data) for side, item in found if item.kind is ItemKind.RECORD]


RECORDS = {name: records(name) for name in ("13-key-update", "12-cbc-sha", "12-renegotiated")}


@given(
    name=st.sampled_from(sorted(RECORDS)),
    changes=st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=80)), max_size=6),
)
def test_records_of_any_kind(name: str, changes: list[tuple[int, bytes]]) -> None:
    """Forged records open nothing, and raise nothing."""
    session, said = TlsSession(keys()), list(RECORDS[name])
    genuine = {bytes(data) for _, _, data in said}
    for at, data in changes:
        side, kind, _ = said[at % len(said)]
        said.insert(at, (side, kind, data))
    for side, kind, data in said:
        clear = session.take(side, kind, data)
        assert clear is None or data in genuine


def test_a_side_that_never_opens_is_given_up_and_a_hole_gives_it_another_chance() -> None:
    session = TlsSession(keys())
    said = RECORDS["13-key-update"]
    last = max(at for at, (side, _, _) in enumerate(said) if side == PROXY)
    for record in said[:last]:
        session.take(*record)
    for _ in range(GIVE_UP):
        assert session.take(PROXY, 23, bytes(40)) is None
    assert session.take(*said[last]) is None
    session.lost(PROXY, 100)
    assert session.take(*said[last]) is not None
    assert session.take(CLIENT, 23, b"") is None


@given(data=st.binary(max_size=200))
def test_sealed_messages_of_any_bytes(data: bytes) -> None:
    assert chosen_alpn(b"\x08" + data).isprintable()
    read_chain(plain_chain(b"\x0b" + data))


def test_a_chain_of_tls_1_3_is_that_of_tls_1_2() -> None:
    one, two = b"\0\0\3abc", b"\0\0\2de"
    old = b"\x0b\0\0\x0e\0\0\x0b" + one + two
    entries = one + b"\0\0" + two + b"\0\4\0\5\0\0"
    new = b"\x0b" + (4 + len(entries)).to_bytes(3, "big") + b"\0" + b"\0\0\x13" + entries
    assert plain_chain(new) == old
    assert plain_chain(old) == old
