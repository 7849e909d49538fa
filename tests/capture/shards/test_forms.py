"""Flows of one form differ in what a form leaves out, and in nothing else."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

import numpy as np
import pytest

from capture.decode.columns import OPT_MSS
from capture.shards.forms import _IGNORED, SIZES, Forms
from capture.shards.numbers import Numbers
from capture.shards.said import Reader
from capture.shards.skeleton import Places, Skeletons
from tests.capture.tracking.building import HANDSHAKE, captures, frames_in, story, track

STATUS = "HTTP/1.1_403_Forbidden"


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_ignored_columns_tell_nothing(path: Path) -> None:
    tracked = track(frames_in(path))
    before = tracked.all_facts()
    table = tracked.tracker.table
    for columns in (table.flows, table.sides):
        for name in _IGNORED.difference({"uid", "client"}).intersection(columns.names):
            column = getattr(columns, name)
            column[:] = 1 if column.dtype == np.bool_ else OPT_MSS
    assert tracked.all_facts() == before


def test_names_of_columns() -> None:
    table = track(story(HANDSHAKE).frames).tracker.table
    assert set(SIZES) <= set(table.sides.names)
    assert set(table.flows.names) | set(table.sides.names) >= _IGNORED
    assert not _IGNORED.intersection(SIZES)


def refused(host: str, *, delay_ms: int = 90, status: str = STATUS, field: str = "x: y") -> str:
    """A CONNECT that the proxy refuses."""
    asked = f"CONNECT_{host}:443_HTTP/1.1~Host:_{host}~{field.replace(' ', '_')}~~"
    told = f"{status}~Content-Length:_0~~"
    sizes = [len(text) + text.count("~") for text in (asked, told)]
    return f"""{HANDSHAKE}
    30 c PA 1+{sizes[0]} 1 x={asked}
    {30 + delay_ms} p PA 1+{sizes[1]} {1 + sizes[0]} x={told}
    {40 + delay_ms} c FA {1 + sizes[0]} {1 + sizes[1]}
    """


def keys(*texts: str) -> list[Hashable]:
    """Keys of some conversations, one after the other."""
    frames, now = [], 0
    for number, text in enumerate(texts):
        for frame in story(text, port=40_000 + number).frames:
            frame.time_ns += now
            frames.append(frame)
        now += 10**10
    tracked = track(frames).tracker
    assert len(tracked) == len(texts)
    return Forms(tracked, np.arange(len(texts)), Reader()).keys


def test_alike() -> None:
    first, *others = keys(
        refused("one.example.com"), refused("two.example.net"),
        refused("one.example.com", delay_ms=7000),
        refused("one.example.com", delay_ms=1),  # something else took the longest
    )  # fmt: skip
    assert first is not None
    assert [*others] == [first] * 3


def test_a_flow_whose_ends_were_captured_in_another_order_is_looked_at_alone() -> None:
    text = refused("one.example.com")
    end = text.rindex("c FA")
    seq, ack = map(int, text[end:].split()[2:4])
    for ms, known in ((131, True), (129, False)):
        (key,) = keys(text + f"{ms} p FA {ack} {seq + 1}\n")
        assert (key is not None) is known


def test_a_reply_that_names_a_host_is_alike_only_for_who_asked_for_the_same() -> None:
    moved = "HTTP/1.1_302_Found~Location:_https://one.example.com/"
    itself, other, again = keys(
        refused("one.example.com", status=moved),
        refused("two.example.net", status=moved),
        refused("one.example.com", status=moved),
    )
    assert itself == again != other


PLAIN = refused("one.example.com").rstrip()
RESET = PLAIN.replace("c FA", "c RA")


def shut(*, opened_ms: int = 0) -> str:
    """The client's window is shut at last, and may open again."""
    end = PLAIN.rpartition("c FA ")[2]
    again = f"\n{opened_ms} c A {end} w=500" if opened_ms else ""
    return PLAIN.replace("c FA", "c A") + f"\n200 c A {end} w=0{again}"


def test_shut_windows_are_alike() -> None:
    first, second, never, plain = keys(
        shut(opened_ms=900), shut(opened_ms=1700), shut(), PLAIN.replace("c FA", "c A")
    )
    assert first is not None
    assert first == second
    assert len({first, never, plain}) == 3


def test_resets_differ() -> None:
    found = keys(RESET, RESET + " ttl=200", RESET + " w=0", PLAIN)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    "other",
    [
        refused("one.example.com", status="HTTP/1.1_404_Forbidden"),
        refused("one.example.com", field="x: z"),
        refused("192.0.2.1"),
        refused("longer.example.com"),
        refused("one.example.com").replace("c FA", "c RA"),
        refused("one.example.com").replace("mss=1460", "mss=1400"),
        "\n".join(refused("one.example.com").splitlines()[:-2]),
    ],
)
def test_not_alike(other: str) -> None:
    first, second = keys(refused("one.example.com"), other)
    assert first != second


def test_skeletons_leave_out_what_is_encrypted() -> None:
    skeletons = Skeletons(Numbers())
    data = bytes.fromhex("1703030004")
    alert = bytes.fromhex("1503030002")

    def of(stream: bytes) -> Hashable:
        return skeletons.of(stream, "", 0, Places([], [], []))

    assert of(data + b"1234") == of(data + b"5678")
    assert of(data + b"1234") != of(data + b"123")
    assert of(data + b"1234") != of(bytes.fromhex("1703030005") + b"12345")
    assert of(data + b"1234" + alert + b"\2\50") != of(data + b"1234" + alert + b"\2\60")
    assert of(b"\x16\3\1\0\4\1\0\0\0") == of(b"\x16\3\1\0\4\1\0\0\0")
    assert of(b"\x16\3\1\0\6\1\0\0\0xy") != of(b"\x16\3\1\0\6\1\0\0\0xz")
    assert of(b"\x17\3") != of(b"\x17\3\3")
