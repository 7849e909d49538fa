from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
from textual import constants, events
from textual.message import Message

from tests.rest import GIVE_UP_S
from tui.link import typed
from tui.link.typed import LONE_ESCAPE_S, InputParser, TypedReader


@pytest.fixture(autouse=True)
def _no_delay_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCDELAY", "")
    monkeypatch.delenv("ESCDELAY")


def told(messages: list[Message]) -> list[str]:
    """What the messages say, in short."""
    return [
        f"paste {message.text!r}"
        if isinstance(message, events.Paste)
        else message.key
        if isinstance(message, events.Key)
        else type(message).__name__
        for message in messages
    ]


# How long is waited for what follows


def test_nothing_is_waited_for_before_a_key_and_after_it() -> None:
    parser = InputParser()
    assert parser.waits_s is None
    assert told(list(parser.feed("j"))) == ["j"]
    assert parser.waits_s is None
    assert told(list(parser.feed("\x1b[A"))) == ["up"]
    assert parser.waits_s is None


def test_a_lone_escape_waits_less_than_a_sequence_that_has_begun() -> None:
    parser = InputParser()
    assert list(parser.feed("\x1b")) == []
    assert parser.waits_s == LONE_ESCAPE_S
    assert list(parser.feed("[")) == []
    assert parser.waits_s == constants.ESCAPE_DELAY > LONE_ESCAPE_S
    assert told(list(parser.feed("1;5"))) == []
    assert told(list(parser.feed("A"))) == ["ctrl+up"]


def test_each_escape_is_a_lone_one_again() -> None:
    parser = InputParser()
    for _ in range(2):
        list(parser.feed("\x1b[Bj\x1b"))
        assert parser.waits_s == LONE_ESCAPE_S
        list(parser.feed("[B"))


def test_who_sets_a_delay_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCDELAY", "500")
    monkeypatch.setattr(constants, "ESCAPE_DELAY", 0.5)  # as Textual reads it at import
    parser = InputParser()
    list(parser.feed("\x1b"))
    assert parser.waits_s == 0.5


# Reading


class Terminal:
    """A pipe that stands for a terminal, and a reader at its end."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        self._changed = threading.Condition()
        self.ended = threading.Event()
        self._messages: list[Message] = []
        self.there: bool | None = None
        self.begun = 0
        reader = TypedReader(self._reading, self._take, self._begun, debug=False)
        self._thread = threading.Thread(target=self._read, args=(reader,))
        self._thread.start()

    def _read(self, reader: TypedReader) -> None:
        self.there = reader.read_until(self.ended)

    def _begun(self) -> None:
        self.begun += 1

    def _take(self, message: Message) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def write(self, data: bytes) -> None:
        os.write(self._writing, data)

    def told(self, count: int) -> list[str]:
        """The first so many messages, when they are there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._messages) >= count, GIVE_UP_S), told(
                self._messages
            )
            return told(self._messages)

    def hang_up(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    def wait(self) -> None:
        self._thread.join(GIVE_UP_S)
        assert not self._thread.is_alive()

    def end(self) -> None:
        self.ended.set()
        self.wait()
        self.hang_up()
        os.close(self._reading)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.end()


def test_a_lone_escape_is_a_key_by_itself(terminal: Terminal) -> None:
    terminal.write(b"\x1b")
    assert terminal.told(1) == ["escape"]
    assert terminal.begun == 1
    terminal.write(b"j")
    assert terminal.told(2) == ["escape", "j"]
    assert terminal.begun == 1


SAID = {
    "keys": (b"jk", ["j", "k"]),
    "a cursor key": (b"\x1b[A", ["up"]),
    "with a modifier": (b"\x1b[1;5A", ["ctrl+up"]),
    "a function key": (b"\x1bOP", ["f1"]),
    "a letter of two bytes": ("ü".encode(), ["ü"]),
    "a letter of four bytes": ("𝄞".encode(), ["musical_symbol_g_clef"]),
    "a paste": (b"\x1b[200~a b\x1b[201~", ["paste 'a b'"]),
    "the mouse": (b"\x1b[<0;3;4M", ["MouseDown"]),
    "the kitty protocol's Escape": (b"\x1b[27u", ["escape"]),
}


@pytest.mark.parametrize(("data", "messages"), SAID.values(), ids=SAID)
def test_what_is_typed_arrives_whole(terminal: Terminal, data: bytes, messages: list[str]) -> None:
    terminal.write(data + b".")
    assert terminal.told(len(messages) + 1) == [*messages, "full_stop"]


@pytest.mark.parametrize(("data", "messages"), SAID.values(), ids=SAID)
def test_what_is_typed_arrives_byte_by_byte(
    terminal: Terminal, data: bytes, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is: here it is the order that counts.
    monkeypatch.setattr(typed, "LONE_ESCAPE_S", GIVE_UP_S)
    monkeypatch.setattr(constants, "ESCAPE_DELAY", GIVE_UP_S)
    monkeypatch.setattr(typed, "_READ_BYTES", 1)
    terminal.write(data + b".")
    assert terminal.told(len(messages) + 1) == [*messages, "full_stop"]


def test_alt_and_a_letter_are_a_key_when_nothing_follows(terminal: Terminal) -> None:
    terminal.write(b"\x1bd")
    assert terminal.told(1) == ["alt+d"]


def test_a_byte_that_is_no_utf8_is_no_end(terminal: Terminal) -> None:
    terminal.write(b"\xe9\xffj")
    assert terminal.told(3)[-1] == "j"


def test_told_to_end_the_terminal_is_still_there(terminal: Terminal) -> None:
    terminal.write(b"j\x1b[")
    terminal.told(1)
    terminal.ended.set()
    terminal.wait()
    assert terminal.there is True


def test_a_terminal_that_is_gone_is_told(terminal: Terminal) -> None:
    terminal.write(b"j")
    terminal.told(1)
    terminal.hang_up()
    terminal.wait()
    assert terminal.there is False
