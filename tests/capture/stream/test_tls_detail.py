from __future__ import annotations

from typing import Any

import numpy as np

from capture.facts import CLIENT, PROXY
from capture.stream.tls_detail import TlsDetail, read_tls
from capture.stream.tls_words import TlsFact, Tone, tls_facts
from tests.capture.stream.build import fetcher, view_of
from tests.conversations import (
    CONNECT,
    ESTABLISHED,
    certificate,
    client_hello,
    extension,
    named_certificate,
    record,
    server_hello,
)

OPEN = ((CLIENT, CONNECT), (PROXY, ESTABLISHED))
CCS = record(20, b"\1")
JUNE_2025 = 1_750_000_000 * 10**9
"""Between the certificates' first and last day."""


def detail_of(*said: tuple[Any, ...]) -> TlsDetail:
    view, frames = view_of(*said)
    return read_tls(view, np.arange(len(view)), fetcher(frames))


def facts_of(*said: tuple[Any, ...], at: int = JUNE_2025) -> dict[str, TlsFact]:
    return {fact.label: fact for fact in tls_facts(detail_of(*said), at) if fact.value}


FLIGHT = server_hello() + certificate(named_certificate(b"tools.cisco.com"))


def test_a_handshake_of_tls_1_2() -> None:
    detail = detail_of(*OPEN, (CLIENT, client_hello()), (PROXY, FLIGHT))
    assert detail.client is not None
    assert detail.server is not None
    assert (detail.client.hello.sni, detail.client_row) == ("tools.cisco.com", 5)
    assert (detail.server.version, detail.server_row) == (0x0303, 6)
    assert [item.certificate.subject for item in detail.chain] == ["CN=tools.cisco.com"]
    assert detail.resumed is False


def test_words_of_it() -> None:
    alert = record(21, b"\2\60")
    facts = facts_of(*OPEN, (CLIENT, client_hello()), (PROXY, FLIGHT), (CLIENT, alert))
    assert facts["SNI"].value == "tools.cisco.com"
    assert facts["version"].value == "TLSv1.2"
    assert facts["issuer"].tone is Tone.WARNING  # self-signed
    assert facts["alert"][1:3] == (
        "unknown_ca (fatal) of the client: the issuer of the certificate is not trusted", Tone.BAD,
    )  # fmt: skip
    assert facts["valid"][1:3] == ("2024-01-01 00:00 to 2026-01-01 00:00", Tone.PLAIN)
    late = facts_of(*OPEN, (CLIENT, client_hello()), (PROXY, FLIGHT), at=JUNE_2025 + 10**17)
    assert late["valid"].tone is Tone.BAD
    assert late["valid"].value.endswith("it had expired")


def test_a_hello_alone() -> None:
    facts = facts_of(*OPEN, (CLIENT, client_hello()))
    assert facts["agreed on"].tone is Tone.BAD
    assert facts["cipher suites"].value == "TLS_AES_128_GCM_SHA256"


def test_no_tls() -> None:
    (fact,) = tls_facts(detail_of(*OPEN, (CLIENT, b"SSH-2.0-x\r\n")), JUNE_2025)
    assert fact.label == "No TLS handshake was seen in this tunnel."


def test_a_hello_over_two_records_and_packets() -> None:
    whole = client_hello()[5:]
    said = [(CLIENT, record(22, whole[:20])), (CLIENT, record(22, whole[20:]))]
    detail = detail_of(*OPEN, *said)
    assert detail.client is not None
    assert detail.client.hello.complete


def test_a_hello_whose_end_is_missing() -> None:
    detail = detail_of(*OPEN, (CLIENT, record(22, client_hello()[5:40])))
    assert detail.client is not None
    assert not detail.client.hello.complete
    labels = [fact.value for fact in tls_facts(detail, 0) if fact.label == "size"]
    assert labels == ["71 bytes, of which the end is missing"]


def test_early_data_comes_before_the_servers_hello() -> None:
    early = client_hello() + CCS + record(23, bytes(40))
    detail = detail_of(*OPEN, (CLIENT, early), (PROXY, server_hello()), (CLIENT, record(23, b"x")))
    assert detail.early_records == 1
    late = (CLIENT, record(23, bytes(40)))
    detail = detail_of(*OPEN, (CLIENT, client_hello()), (PROXY, server_hello()), late)
    assert detail.early_records == 0
    hidden = detail_of(*OPEN, (CLIENT, early), (PROXY, server_hello() + record(23, bytes(9))))
    assert hidden.early_records == 1


def test_what_was_not_captured_is_said() -> None:
    cut = (PROXY, FLIGHT, {"caplen": 54 + 60})
    said = (*OPEN, (CLIENT, client_hello(more=extension(0xFE0D, b"x"))), cut)
    unseen = [fact.value for fact in tls_facts(detail_of(*said), 0) if fact.tone is Tone.UNSEEN]
    assert f"{len(FLIGHT) - 60} bytes of the streams' starts are not in the capture" in unseen
    assert "no certificate was seen behind the ServerHello" in unseen
    assert "the encrypted ClientHello" in unseen


def test_a_body_without_a_length_before_the_tunnel_hides_nothing() -> None:
    refusal = b"HTTP/1.1 407 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
    said = ((CLIENT, CONNECT), (PROXY, refusal), *OPEN, (CLIENT, client_hello()), (PROXY, FLIGHT))
    detail = detail_of(*said)
    assert detail.server is not None
    assert len(detail.chain) == 1
