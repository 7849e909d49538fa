from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scapy.supersocket import SuperSocket

from capture.live import sniffer as module
from capture.live.crates import CRATE_BYTES, Crates
from capture.live.ring import Run
from capture.live.settings import CaptureSettings
from capture.live.sniffer import Sniffer
from tests.patience import until


class Pipe(SuperSocket):  # type: ignore[misc]
    """A listener whose blocks are datagrams; an empty one lets it fail."""

    closed: bool = False
    linktype = 1
    index = 0

    def __init__(self) -> None:
        self.ins, self.feed = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.outs = None
        self.ins.setblocking(False)
        self.opened = self
        self.failure: Exception | None = OSError(errno.EIO, "Input/output error")
        self.bound = 0

    def drain(self, crates: Crates) -> bool:
        while True:
            try:
                data = self.ins.recv(65536)
            except BlockingIOError:
                return True
            if not data and self.failure:
                raise self.failure
            if not crates.put(np.frombuffer(data, np.uint8), [Run(0, len(data), 0, 1)]):
                return False

    def statistics(self) -> tuple[int, int]:
        return 7, 2

    def bind(self) -> None:
        self.bound += 1

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.ins.close()
            self.feed.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def sniffer(pipe: Pipe) -> Iterator[Sniffer]:
    made = Sniffer("eth0", pipe, Crates(2 * CRATE_BYTES, threading.Event()))
    yield made
    made.stop()


def test_what_comes_is_in_the_queue(sniffer: Sniffer, pipe: Pipe) -> None:
    sniffer.start()
    assert sniffer.alive
    assert sniffer.trouble() == ""
    pipe.feed.send(b"block")
    until(lambda: sniffer.crates._filled)
    crate = sniffer.crates.take()
    assert crate is not None
    assert bytes(crate.data[:5]) == b"block"


def test_stopping_takes_the_rest_and_ends_the_thread(sniffer: Sniffer, pipe: Pipe) -> None:
    before = threading.active_count()
    sniffer.start()
    pipe.feed.send(b"last")
    sniffer.stop()
    assert not sniffer.alive
    assert threading.active_count() == before
    assert sniffer.crates.take() is not None
    assert sniffer.trouble() == ""  # it was asked to
    assert pipe.closed
    assert sniffer.statistics() == (7, 2)
    sniffer.stop()


def test_a_sniffer_that_never_began_can_be_stopped(sniffer: Sniffer, pipe: Pipe) -> None:
    sniffer.stop()
    assert pipe.closed


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
        (RuntimeError("odd\x1b[2J"), "RuntimeError: odd·[2J"),
    ],
)
def test_death_is_told(sniffer: Sniffer, pipe: Pipe, failure: Exception, words: str) -> None:
    pipe.failure = failure
    sniffer.start()
    pipe.feed.send(b"")
    until(lambda: not sniffer.alive)
    assert sniffer.trouble() == f"capturing on eth0 ended: {words}"
    sniffer.stop()


def test_death_without_a_word_is_told(sniffer: Sniffer, pipe: Pipe) -> None:
    sniffer.start()
    sniffer._async.stop()  # behind our back
    assert sniffer.trouble() == "capturing on eth0 ended: the sniffer ended by itself"


def test_nothing_of_scapy_reaches_the_terminal(
    sniffer: Sniffer, pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    sniffer.start()
    pipe.feed.send(b"")
    until(lambda: not sniffer.alive)
    logging.getLogger("scapy.runtime").warning("a warning")
    assert capfd.readouterr() == ("", "")


def test_an_interface_that_went_and_came_back(
    sniffer: Sniffer, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe.index = 99
    sniffer.start()
    known = {99}

    def name_of(index: int) -> str:
        if index not in known:
            raise OSError(errno.ENXIO, "No such device or address")
        return "eth0"

    monkeypatch.setattr(socket, "if_indextoname", name_of)
    monkeypatch.setattr(module, "is_up", lambda name: True)
    assert sniffer.trouble() == ""
    monkeypatch.setattr(module, "is_up", lambda name: False)
    assert sniffer.trouble() == "eth0 is down"
    known.clear()
    monkeypatch.setattr(pipe, "bind", _raise(OSError(errno.ENODEV, "No such device")))
    assert sniffer.trouble() == "eth0 is gone"
    other = OSError(errno.ENODEV, "is another kind of interface now")
    monkeypatch.setattr(pipe, "bind", _raise(other))
    assert sniffer.trouble() == "eth0 is another kind of interface now"
    monkeypatch.undo()
    pipe.index = 98
    monkeypatch.setattr(socket, "if_indextoname", name_of)
    assert sniffer.trouble() == ""
    assert pipe.bound == 1


def _raise(error: OSError) -> Callable[[], None]:
    def bind() -> None:
        raise error

    return bind


def test_only_a_missing_ring_falls_back_to_the_plain_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring_socket = pytest.importorskip("capture.live.ring_socket")
    from capture.live import plain_socket

    monkeypatch.setattr(plain_socket, "PlainSocket", lambda *arguments: "plain")
    for number, falls_back in ((errno.ENOPROTOOPT, True), (errno.EPERM, False)):

        def refuse(*arguments: object, number: int = number) -> None:
            raise OSError(number, "refused")

        monkeypatch.setattr(ring_socket, "RingSocket", refuse)
        if falls_back:
            assert str(module.open_listener("lo", CaptureSettings(("lo",)))) == "plain"
        else:
            with pytest.raises(PermissionError):
                module.open_listener("lo", CaptureSettings(("lo",)))
