"""What the sizes and times of TLS records say about an encrypted conversation.

Contents are hidden, but not that a request waits for its answer, that a record was cut in
its middle, or that the last record of a download was a full one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from capture.facts import CLIENT, PROXY, Mark, Record
from capture.judging.scene import (
    ALERT_13,
    DATA_RECORD,
    FINISHED_13,
    HANDSHAKE_RECORD,
    Scene,
)

SMALL_TALK: Final = 41
"""Records up to this length may be HTTP/2's SETTINGS ACK, WINDOW_UPDATE or PING (9 to 17
bytes and at most 24 of TLS): no request that waits for an answer."""

FULL_RECORD: Final = 16_384
"""Payload of a full TLS record (RFC 8446 section 5.1): whoever fills one has more to say."""

BULK: Final = 131_072
"""A download: more than most pages, scripts and API answers. Smaller answers end too often in
silence or in a FIN without close_notify (mitmproxy, Java's and Python's servers, measured)
for that alone to mean anything."""

FEW_REQUESTS: Final = 3
"""HTTP/2 clients send their settings and one request in up to three records."""

GOAWAY: Final = frozenset({34, 41, 33})
"""Length of a record with HTTP/2's GOAWAY alone, which has 17 bytes (RFC 9113 section 6.8): in
TLS 1.3, TLS 1.2 with AES-GCM, and with ChaCha20. nginx sends no close_notify after it."""

LAST_WORD: Final = 128
"""A GOAWAY that says why, a WebSocket's close frame, QUIT: longer ones are answers."""

LAST_WORD_S: Final = 1.0
"""Silence before it: what ends an idle connection is no part of a transfer."""

KEPT_RECORDS: Final = 16
"""``TlsDirection.records`` holds the first ones up to this number."""


def client_finished(scene: Scene) -> bool:
    """The client completed its half of the handshake."""
    side = scene.tls_side(CLIENT)
    if side.first_app is not None:
        data = [record for record in side.records if record.type == DATA_RECORD]
        return not (scene.modern and data and data[0].length in ALERT_13)
    return sum(record.type == HANDSHAKE_RECORD for record in side.records) > 1


def requests(scene: Scene) -> tuple[Record, ...]:
    """The client's records that may hold requests, among those that were kept."""
    data = [r for r in scene.tls_side(CLIENT).records if r.type == DATA_RECORD]
    if scene.modern and data and data[0].length in FINISHED_13:
        data = data[1:]
    bye = scene.goodbye(CLIENT)
    return tuple(r for r in data if r.length > SMALL_TALK and r.mark != bye)


def last_request(scene: Scene) -> Mark | None:
    """The client's last message that may await an answer; None when it cannot be told."""
    side = scene.tls_side(CLIENT)
    if side.count <= KEPT_RECORDS:
        found = requests(scene)
        return found[-1].mark if found else None
    last = side.last
    if last is None or last.length <= SMALL_TALK or scene.goodbye(CLIENT) is not None:
        return None
    return last.mark


def few_requests(scene: Scene) -> bool:
    """The client asked once: the connection was not kept for more."""
    return 1 <= request_count(scene) <= FEW_REQUESTS


def request_count(scene: Scene) -> int:
    """Records that may hold requests; many where only the first records were kept."""
    if scene.tls_side(CLIENT).count > KEPT_RECORDS:
        return KEPT_RECORDS
    return len(requests(scene))


def only_tickets(scene: Scene) -> bool:
    """After the client's Finished the server sent nothing but what looks like session tickets:
    nothing at all, or two records of the same length (OpenSSL and BoringSSL send two)."""
    side = scene.tls_side(PROXY)
    if not scene.modern:
        return side.first_app is None
    if side.count > KEPT_RECORDS or len(side.records) < side.count:
        return False
    mine = [r for r in scene.tls_side(CLIENT).records if r.type == DATA_RECORD]
    if not mine:
        return False
    after = [
        r.length
        for r in side.records
        if r.type == DATA_RECORD
        and r.mark.number > mine[0].mark.number
        and r.length not in ALERT_13
    ]
    return not after or (len(after) == 2 and after[0] == after[1])


def spoke(scene: Scene, finished: Record, said: Sequence[Record]) -> bool:
    """Whether what the client sealed after its Finished was more than a goodbye (TLS 1.3).

    A short message (``GET / HTTP/1.0`` alone, a mail client's command) is as long as an alert
    of some stack. But all alerts of one stack have one length, and none is answered.
    """
    if len({record.length for record in said}) > 1:
        return True
    if not said or said[0].length not in ALERT_13:
        return bool(said)
    if scene.stream_gap(PROXY):
        return True  # the answer may be what is missing
    heard = [r for r in scene.tls_side(PROXY).records
             if r.type == DATA_RECORD and r.length > SMALL_TALK]  # fmt: skip
    before = [r for r in heard if finished.mark.number < r.mark.number <= said[0].mark.number]
    answers = [r for r in heard if r.mark.number > said[0].mark.number]
    # Tickets may come late; what comes behind them, or differs in length, is an answer.
    return bool(answers) and (bool(before) or len({record.length for record in answers}) > 1)


def unanswered(scene: Scene) -> Mark | None:
    """A request to which no byte came back, as far as sizes and order can tell."""
    if scene.stream_gap(CLIENT) or scene.stream_gap(PROXY):
        return None
    asked = last_request(scene)
    answered = scene.proxy.last_payload
    if asked is None:
        return None
    if answered is None or answered.number < asked.number:
        return asked
    return asked if only_tickets(scene) else None


def last_word(scene: Scene) -> bool:
    """Whether the proxy's side ended by a short message of its own instead of close_notify:
    HTTP/2's GOAWAY, or another one after a while of silence."""
    last, wait = scene.tls_side(PROXY).last, scene.flow.longest_wait
    if last is None or last.type != DATA_RECORD:
        return False
    if last.length in GOAWAY:
        return True
    if last.length > LAST_WORD or wait is None or wait.seconds < LAST_WORD_S:
        return False
    return wait.end == last.mark


def missing(scene: Scene) -> int:
    """Bytes that the proxy's open TLS record still lacks; 0 at a border or where unknown."""
    if scene.stream_gap(PROXY):
        return 0
    return scene.tls_side(PROXY).missing or 0


def bulk(scene: Scene) -> bool:
    """The proxy's side had sent more than small answers."""
    return scene.tls_side(PROXY).app_bytes > BULK


def full_last_record(scene: Scene) -> bool:
    """The proxy's last record was a full one."""
    last = scene.tls_side(PROXY).last
    return last is not None and last.type == DATA_RECORD and last.length >= FULL_RECORD
