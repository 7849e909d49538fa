from __future__ import annotations

import socket
import threading

import pytest

from tui.names import resolver
from tui.names.resolver import AT_ONCE, FAILURES, REST_S, Resolver, Unavailable, look_up

PATIENCE_S = 20.0
"""Far more than any of this takes."""


def test_names_become_known_and_are_the_same_object_until_more_are() -> None:
    asked: list[str] = []

    def name(host: str) -> str:
        asked.append(host)
        return "" if host == "10.0.0.3" else f"host-{host[-1]}.lab"

    one = Resolver(name)
    assert not one.names
    one.ask(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.1"])
    assert one.wait(PATIENCE_S)
    known = one.names
    assert known == {"10.0.0.1": "host-1.lab", "10.0.0.2": "host-2.lab"}
    one.ask(["10.0.0.2", "10.0.0.3"])
    assert one.wait(PATIENCE_S)
    assert one.names is known
    assert sorted(asked) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    with pytest.raises(TypeError):
        known["10.0.0.9"] = "x"  # type: ignore[index]


def test_a_name_server_that_hangs_holds_up_nobody() -> None:
    go_on = threading.Event()
    most, now, lock = 0, 0, threading.Lock()

    def hang(host: str) -> str:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        go_on.wait(PATIENCE_S)
        with lock:
            now -= 1
        return "late.lab"

    one = Resolver(hang)
    hosts = [f"10.0.1.{number}" for number in range(100)]
    one.ask(hosts)
    assert not one.wait(0.0)
    assert not one.names
    go_on.set()
    assert one.wait(PATIENCE_S)
    assert set(one.names) == set(hosts)
    assert 1 <= most <= AT_ONCE


def test_when_nobody_answers_there_is_a_rest_and_one_more_try_each() -> None:
    now, asked = 0.0, 0
    up = False

    def fail(host: str) -> str:
        nonlocal asked
        asked += 1
        if up:
            return "back.lab"
        raise Unavailable

    one = Resolver(fail, clock=lambda: now)
    hosts = [f"10.0.2.{number}" for number in range(100)]
    one.ask(hosts)
    assert not one.wait(PATIENCE_S)
    assert FAILURES <= asked <= FAILURES + AT_ONCE
    before = asked
    one.ask(["10.0.3.1"])
    one.wait(PATIENCE_S)
    assert asked == before  # it rests
    now, up = REST_S, True
    one.ask()
    assert one.wait(PATIENCE_S)
    assert set(one.names) == {*hosts, "10.0.3.1"}


def test_who_never_answers_is_asked_about_twice_at_most() -> None:
    asked: list[str] = []

    def fail(host: str) -> str:
        asked.append(host)
        raise Unavailable

    one = Resolver(fail)
    one.ask(["10.0.0.1", "10.0.0.2"])
    assert one.wait(PATIENCE_S)
    assert sorted(asked) == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"]


def test_a_question_that_breaks_its_asker_is_answered_with_no_name() -> None:
    def broken(host: str) -> str:
        raise RuntimeError(host)

    one = Resolver(broken)
    one.ask(["10.0.0.1"])
    assert one.wait(PATIENCE_S)
    assert not one.names


def test_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MOST", 3)
    one = Resolver(lambda host: "x.lab")
    one.ask(f"10.0.0.{number}" for number in range(9))
    assert one.wait(PATIENCE_S)
    assert len(one.names) == 3


def test_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str | Exception] = [
        "proxy.lab",
        "proxy.lab.",
        "10.10.10.1",
        "\x1b]0;owned\x07",
        socket.gaierror(socket.EAI_NONAME, "no name"),
        OSError("odd"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
    ]

    def answer(address: tuple[str, int], flags: int) -> tuple[str, str]:
        assert flags & socket.NI_NAMEREQD
        now = said.pop(0)
        if isinstance(now, Exception):
            raise now
        return now, "0"

    monkeypatch.setattr(socket, "getnameinfo", answer)
    assert [look_up("10.0.0.1") for _ in range(7)] == ["proxy.lab", "proxy.lab", *[""] * 5]
    said.append(socket.gaierror(socket.EAI_AGAIN, "later"))
    with pytest.raises(Unavailable):
        look_up("10.0.0.1")
