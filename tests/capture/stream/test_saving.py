from __future__ import annotations

import pytest

from capture.facts import CLIENT, PROXY
from capture.stream import turns
from capture.stream.saving import stream_bytes, stream_lines
from capture.stream.text import StreamText
from tests.capture.stream.build import reader_of
from tests.conversations import CONNECT, ESTABLISHED, client_hello, record

SECRET = b"dXNlcjpodW50ZXIy"
HEAD = CONNECT[:-2] + b"Proxy-Authorization: Basic " + SECRET + b"\r\n\r\n"
SEALED = record(23, b"Authorization: Basic " + SECRET)
"""Ciphertext that happens to look like a secret."""
TALK = ((CLIENT, HEAD), (PROXY, ESTABLISHED), (CLIENT, client_hello() + SEALED),
        (PROXY, record(22, bytes(9)) + SEALED[:20]))  # fmt: skip


@pytest.mark.parametrize("window", [3, 50, 1 << 18])
def test_bytes_are_those_sent_with_secrets_covered(
    monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(turns, "WINDOW", window)
    sent = [HEAD + client_hello() + SEALED, ESTABLISHED + record(22, bytes(9)) + SEALED[:20]]
    for side in (CLIENT, PROXY):
        parts = list(stream_bytes(reader_of(*TALK), side))
        covered = (
            sent[side].replace(SECRET, b"*" * len(SECRET), 1) if side == CLIENT else sent[side]
        )
        assert b"".join(data for data, _ in parts) == covered
        assert parts[-1][1] == len(sent[side])
        bare = b"".join(data for data, _ in stream_bytes(reader_of(*TALK, masked=False), side))
        assert bare == sent[side]


def test_what_is_missing_is_left_out() -> None:
    reader = reader_of((CLIENT, b"abc"), (CLIENT, b"xyz", {"seq": 11}))
    assert b"".join(data for data, _ in stream_bytes(reader, CLIENT)) == b"abcxyz"


def test_text_is_that_of_the_view() -> None:
    reader = reader_of((CLIENT, b"ask\r\n"), (PROXY, b"answer\r\n"))
    text = StreamText(reader, reader._view)
    assert list(stream_lines(text)) == [
        "> client, 5 bytes, #4 at 0.013000 s\n", "  ask\n",
        "< proxy, 8 bytes, #5 at 0.014000 s\n", "  answer\n",
    ]  # fmt: skip
    assert list(stream_lines(text, PROXY))[1:] == ["  answer\n"]
