"""What a screen may ask of a replay, from its own thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final

from capture.replay.player import Player

_END: Final = "end"

Command = tuple[str, tuple[object, ...]]


class ReplayControls:
    """Commands to a replay. Each returns at once; the engine's thread obeys in order.

    ``ReplayClock.asked`` of a snapshot tells how many commands had been obeyed by then.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self.sent = 0
        """Commands given so far."""
        self.keys_first: Callable[[], bool] = lambda: False
        """Whether the screen answers a key: a state that comes by itself is made later then."""

    def _put(self, name: str, *arguments: object) -> None:
        self.sent += 1
        self._queue.put((name, arguments))

    def toggle(self) -> None:
        """Play (from the start, at the end), or pause."""
        self._put("toggle")

    def play_from(self, number: int) -> None:
        """Play from just behind a packet; 0: from before the first."""
        self._put("play_from", number)

    def faster(self, steps: int) -> None:
        """Play faster, or (negative) slower."""
        self._put("faster", steps)

    def skip_silences(self) -> None:
        """Skip long silences from now on, or show them again."""
        self._put("skip_silences")

    def seek(self, text: str) -> None:
        """Go where a user's text says: ``11:30:18``, ``+5.2``, ``#123``, ``50%``."""
        self._put("seek", text)

    def seek_share(self, share: float) -> None:
        """Go to a part (0 to 1) of the recording."""
        self._put("seek_share", share)

    def seek_by(self, share: float) -> None:
        """Go on, or (negative) back, by a part of the recording."""
        self._put("seek_by", share)

    def seek_packet(self, number: int) -> None:
        """Go just behind a packet; 0: before the first."""
        self._put("seek_packet", number)

    def step_packet(self, direction: int, uid: int | None) -> None:
        """Go on (1) or back (-1) by a packet, of one tunnel or (None) of all."""
        self._put("step_packet", direction, uid)

    def step_message(self, direction: int, uid: int | None) -> None:
        """Go on (1) or back (-1) to a packet that says something."""
        self._put("step_message", direction, uid)

    def step_problem(self, direction: int) -> None:
        """Go on (1) or back (-1) to where a failing tunnel shows it."""
        self._put("step_problem", direction)

    # -- for the engine ---------------------------------------------------------------

    def close(self) -> None:
        """Make the engine's thread stop waiting for commands, for good."""
        self._queue.put(None)

    @property
    def waiting(self) -> bool:
        """Whether a command has come."""
        return not self._queue.empty()

    def screen_is_busy(self) -> bool:
        """Whether the screen answers a key that gives no command."""
        return self.keys_first() and not self.waiting

    def obey(self, player: Player, timeout_s: float | None) -> bool:
        """Wait for a command and do all that have come; False when closed.

        Args:
            player: Is told.
            timeout_s: Wait no longer; None: until there is one.
        """
        wait = timeout_s is None or timeout_s > 0
        while True:
            try:
                command = self._queue.get(wait, timeout_s)
            except queue.Empty:
                return True
            if command is None:
                return False
            player.command(command[0], *command[1])
            wait, timeout_s = False, None
