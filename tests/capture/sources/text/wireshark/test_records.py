"""What the made records say to those who read records."""

from __future__ import annotations

import pytest

from capture.facts import CLIENT, PROXY, Mark
from capture.protocols.readers import AlertSeen, ClientHelloSeen, RecordHeader, ServerHelloSeen
from capture.protocols.tls import TlsReader
from capture.sources.text.wireshark.records import least_size, record_bytes

MARK = Mark(1, 1)


def events(
    messages: list[str], total: int, version: int = 0x0304, sender: int = CLIENT
) -> list[object]:
    reader: TlsReader[Mark] = TlsReader(sender)
    made = record_bytes(messages, version, total)
    assert len(made) <= total
    found: list[object] = list(reader.feed(made, MARK))
    return [*found, *reader.lost(total - len(made), MARK)]


def test_a_client_hello_shows_its_name_and_nothing_else() -> None:
    (hello,) = [e for e in events(["Client Hello (SNI=a.example)"], 517)
                if isinstance(e, ClientHelloSeen)]  # fmt: skip
    assert hello.hello.sni == "a.example"
    assert hello.hello.length == 512
    assert not hello.hello.complete
    assert (hello.hello.versions, hello.hello.ciphers, hello.hello.alpn) == ((), (), ())


def test_a_client_hello_without_its_name() -> None:
    (hello,) = [e for e in events(["Client Hello"], 292) if isinstance(e, ClientHelloSeen)]
    assert (hello.hello.sni, hello.hello.complete) == (None, False)


@pytest.mark.parametrize("version", [0x0301, 0x0303, 0x0304])
def test_a_server_hello_shows_the_version(version: int) -> None:
    seen = events(["Server Hello", "Change Cipher Spec", "Application Data"], 1448, version, PROXY)
    (hello,) = [e for e in seen if isinstance(e, ServerHelloSeen)]
    assert (hello.hello.version, hello.hello.cipher) == (version, 0)
    assert [e.type for e in seen if isinstance(e, RecordHeader)] == [22, 20, 23]


def test_of_an_unknown_version_no_server_hello_is_made() -> None:
    seen = events(["Server Hello"], 100, 0, PROXY)
    assert not any(isinstance(e, ServerHelloSeen) for e in seen)


@pytest.mark.parametrize(
    ("level", "name", "said"),
    [("Fatal", "Unknown CA", (2, 48)), ("Warning", "Close Notify", (1, 0)),
     ("Fatal", "Bad Record MAC", (2, 20))],
)  # fmt: skip
def test_alerts_in_clear(level: str, name: str, said: tuple[int, int]) -> None:
    seen = events([f"Alert (Level: {level}, Description: {name})"], 7)
    (alert,) = [event for event in seen if isinstance(event, AlertSeen)]
    assert (alert.level, alert.code) == said


def test_alerts_that_nobody_knows() -> None:
    assert events(["Alert (Level: Fatal, Description: Nonsense)"], 7) == []


def test_sizes_of_single_records_are_exact() -> None:
    for message, total in (("Application Data", 24), ("Encrypted Alert", 31)):
        (record,) = [e for e in events([message], total) if isinstance(e, RecordHeader)]
        assert record.length == total - 5


def test_more_messages_than_there_is_room_for() -> None:
    assert record_bytes(["Application Data"] * 9, 0x0303, 20)[:3] == b"\x17\x03\x03"
    assert record_bytes(["Server Hello"], 0x0303, 10) == b""
    assert record_bytes(["Client Hello (SNI=" + "a" * 255 + ")"], 0x0303, 100) == b""
    assert record_bytes([], 0x0303, 100) == b""


def test_what_messages_take_at_least() -> None:
    assert least_size(["Change Cipher Spec"], 0x0303) == 6
    assert least_size(["Alert (Level: Fatal, Description: Unknown CA)"], 0x0303) == 7
    assert least_size(["Heartbeat"], 0x0303) == 1
