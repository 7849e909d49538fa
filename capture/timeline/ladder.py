"""The ladder of one flow: one line a message, runs of data folded, silences and gaps shown.

Telling packets (``capture.timeline.telling``), resets and closes get lines of their own; everything
between two of them is folded with array operations, so a flow of a million packets costs
milliseconds and a few hundred lines at most.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, FIN, RST, SYN
from capture.facts import CLIENT, PROXY, FlowFacts
from capture.packets.index import (
    DUPLICATE,
    FAST_RETRANSMISSION,
    KEEP_ALIVE,
    LOST_SEGMENT,
    OUT_OF_ORDER,
    RETRANSMISSION,
    SPURIOUS_RETRANSMISSION,
    ZERO_WINDOW,
    PacketView,
)
from capture.report.model import FlowReport, Severity, Step, StepState
from capture.second_leg.pairing import Outcome, SecondLeg
from capture.timeline.telling import NETWORK, Telling, tellings
from capture.units import duration, plural, size

SILENCE_NS: Final = 1_000_000_000
"""A stretch without packets that gets a line."""
MAX_SILENCES: Final = 64
"""Of more silences than these only the longest get a line."""
MAX_RESENT: Final = 16
"""Lines for retransmissions of telling packets."""
MAX_CONTROL: Final = 16
"""Lines for further SYN, FIN and RST packets; half for the first ones, half for the last."""
MAX_TURNS: Final = 4
"""Changes of direction within one stretch of data before it is folded by direction."""

_RESENT: Final = RETRANSMISSION | FAST_RETRANSMISSION | SPURIOUS_RETRANSMISSION

_CUT: Final = ("transfer_reset", "mtu_rst", "tunnel_closed_early")
"""Verdicts whose last evidence is what ended the tunnel."""

_NEVER_CAME: Final = {
    "syn": (CLIENT, "no SYN"),
    "syn_ack": (PROXY, "no answer"),
    "ack": (CLIENT, "no ACK"),
    "connect": (CLIENT, "no request"),
    "response": (PROXY, "no reply"),
    "client_hello": (CLIENT, "no ClientHello"),
    "server_hello": (PROXY, "no ServerHello"),
    "data": (PROXY, "no more data"),
    "close": (PROXY, "no close"),
}


class LineKind(StrEnum):
    """What a line of the ladder stands for."""

    MESSAGE = "message"
    DATA = "data"
    """A folded run of segments."""
    NOTE = "note"
    """Something of the transport: keep-alives, a window of 0."""
    SILENCE = "silence"
    MISSING = "missing"
    """A message that should have come and never did."""


@dataclass(frozen=True, slots=True)
class LadderLine:
    """One line of the ladder."""

    kind: LineKind
    sender: int
    """``CLIENT``, ``PROXY`` or ``capture.timeline.telling.NETWORK``."""
    text: str
    time_ns: int = 0
    """Of its first packet; 0 for what has no time."""
    first_number: int = 0
    last_number: int = 0
    """Its packets, as numbers; 0 for what has none."""
    severity: Severity | None = None
    failing: bool = False
    """The line at which the tunnel broke."""
    end_ns: int = 0
    """Time of its last packet, where that is another one."""
    second: bool = False
    """Of the second leg: ``CLIENT`` is the proxy there, ``PROXY`` the server."""


def build_ladder(
    flow: FlowReport,
    facts: FlowFacts,
    view: PacketView,
    rows: NDArray[np.int64],
    legs: Sequence[SecondLeg] = (),
    inner: Sequence[Telling] = (),
) -> tuple[LadderLine, ...]:
    """Build the ladder of a flow.

    Args:
        flow: Its report: tells which step failed.
        facts: Its facts: tell the messages.
        view: The packet index.
        rows: Rows of the flow's packets (``view.of_flow``), ascending.
        legs: The proxy's own connections for it.
        inner: What keys opened (``capture.stream.inner``).

    Returns:
        The lines in the order of their packets.
    """
    lines = list(_Folding(facts, view, rows, inner).lines())
    if not facts.closes:
        lines.extend(_silence_at_end(view, rows))
    failed = next((step for step in flow.steps if step.state is StepState.FAILED), None)
    if failed is not None and failed.packet is None:
        _insert_missing(lines, flow, failed, facts)
    elif flow.failing:
        ours = {leg.facts.id for leg in legs}
        _mark_failing(lines, flow, failed, [
            number
            for number in flow.findings[0].packets
            if not ours or (row := view.row(number)) is None or view.rows["flow"][row] not in ours
        ])  # fmt: skip
    if legs:
        beside = [list(_leg_lines(leg, view)) for leg in legs]
        return tuple(_merged([lines, *beside]))
    return tuple(lines)


def _leg_lines(leg: SecondLeg, view: PacketView) -> Iterator[LadderLine]:
    """The second leg's lines, as far as its packets are in view; its silences are the tunnel's."""
    facts = leg.facts
    rows = view.of_flow(facts.id)
    if not len(rows):
        return
    folding = _Folding(facts, view, rows)
    # A replay shows a moment of which the facts know the future.
    last = view.last_number
    folding.outside = [
        item for item in folding.outside if item.sender == NETWORK and item.number <= last
    ]
    doubt = "" if leg.certain else "  (likely)"
    for line in folding.lines():
        if line.kind is LineKind.SILENCE:
            continue
        text = line.text
        if text.startswith("SYN") and not text.startswith("SYN-ACK"):
            again = line.first_number > facts.first.number
            text = f"SYN again to {facts.proxy}" if again else f"SYN to {facts.proxy}{doubt}"
        yield replace(line, text=text, second=True)
    if leg.outcome is Outcome.SILENT and facts.last.number <= last:
        yield LadderLine(
            LineKind.MISSING, PROXY, "no answer", severity=Severity.PROBLEM, second=True
        )


def _merged(ladders: Sequence[Sequence[LadderLine]]) -> Iterator[LadderLine]:
    """Lines of several flows in the order of their packets; each flow's keep their order."""
    keyed = [list(zip(_places(lines), lines, strict=True)) for lines in ladders]
    for _, line in heapq.merge(*keyed, key=lambda item: item[0]):
        yield line


def _places(lines: Sequence[LadderLine]) -> list[float]:
    """Where each line stands, as a packet number that never falls.

    A silence stands before the packet that ended it. What never came stands before what came
    next; on the second leg right after what asked for it.
    """
    places: list[float] = []
    following = math.inf
    for line in reversed(lines):
        if line.kind is LineKind.SILENCE:
            following = line.last_number if line.last_number > line.first_number else math.inf
        elif line.first_number:
            following = line.first_number
        places.append(-1 if line.second and not line.first_number else following)
    return list(accumulate(reversed(places), max))


class _Folding:
    """The columns of one flow, and how they become lines."""

    def __init__(
        self,
        facts: FlowFacts,
        view: PacketView,
        rows: NDArray[np.int64],
        inner: Sequence[Telling] = (),
    ) -> None:
        self.rows = rows
        self.numbers = view.numbers_of(rows)
        self.time = view.rows["time_ns"][rows]
        self.sender = view.rows["sender"][rows]
        self.flags = view.rows["flags"][rows]
        self.length = view.rows["length"][rows]
        self.analysis = view.rows["analysis"][rows]
        self.resent = (self.analysis & _RESENT) != 0
        self.data = (self.length > 0) & ((self.analysis & (KEEP_ALIVE | DUPLICATE)) == 0)
        self.seq = view.rows["seq"]
        self.told: dict[int, list[Telling]] = {}
        self.outside: list[Telling] = []
        """Tellings that are no packet of the flow: ICMP."""
        opened = {item.number for item in inner}
        known = (item for item in tellings(facts) if not (item.sealed and item.number in opened))
        for item in (*known, *inner):
            row = self._row_of(item.number)
            if row is None or item.sender == NETWORK:
                self.outside.append(item)
            else:
                self.told.setdefault(row, []).append(item)
                self._swallow_rest(row, item)
        self.again = self._resent_tellings()

    def _row_of(self, number: int) -> int | None:
        """Index within the flow of a packet number."""
        at = int(np.searchsorted(self.numbers, number))
        return at if at < len(self.numbers) and self.numbers[at] == number else None

    def _swallow_rest(self, row: int, item: Telling) -> None:
        """A message of several packets is one line: its later packets are no data."""
        if item.last_number:
            end = int(np.searchsorted(self.numbers, item.last_number, "right"))
            part = slice(row + 1, end)
            self.data[part] &= self.sender[part] != item.sender

    def _resent_tellings(self) -> dict[int, int]:
        """Retransmissions of telling packets: their index, and that of the original."""
        originals = {
            (int(self.sender[row]), int(self.seq[self.rows[row]])): row
            for row in reversed(self.told)
            if self.length[row]
        }
        if not originals or not self.resent.any():
            return {}
        candidates = np.flatnonzero(self.resent & self.data)
        known = np.array([seq for _, seq in originals], np.int64)
        candidates = candidates[np.isin(self.seq[self.rows[candidates]], known)]
        again = {}
        for row in candidates.tolist():
            key = (int(self.sender[row]), int(self.seq[self.rows[row]]))
            original = originals.get(key)
            if original is not None and original < row and row not in self.told:
                again[row] = original
                if len(again) == MAX_RESENT:
                    break
        return again

    def _own_lines(self) -> list[int]:
        """Indices of the packets that get a line of their own, ascending."""
        control = np.flatnonzero((self.flags & (SYN | FIN | RST)) != 0)
        if len(control) > MAX_CONTROL:
            half = MAX_CONTROL // 2
            control = np.concatenate([control[:half], control[-half:]])
        return sorted({*self.told, *self.again, *control.tolist()})

    def _silences(self) -> dict[int, int]:
        """Length in ns of each silence that gets a line, by the index of its first packet
        after it."""
        steps = np.diff(self.time)
        long = np.flatnonzero(steps >= SILENCE_NS)
        if len(long) > MAX_SILENCES:
            long = long[np.argsort(steps[long])[-MAX_SILENCES:]]
        return {row + 1: int(steps[row]) for row in long.tolist()}

    def lines(self) -> Iterator[LadderLine]:
        """All lines of the flow's packets, and the ICMP errors between them."""
        silences = self._silences()
        own = set(self._own_lines())
        outside = iter(self.outside)
        waiting = next(outside, None)
        start = 0
        for row in sorted({*own, *silences, len(self.rows)}):
            yield from self._fold(start, row)
            number = int(self.numbers[row]) if row < len(self.rows) else None
            while waiting is not None and (number is None or waiting.number < number):
                yield _told_outside(waiting)
                waiting = next(outside, None)
            # A retry after a wait is the wait's own line: its time tells how long it was.
            if row in silences and not self.resent[row]:
                yield self._silence(row, silences[row])
            if row in own:
                yield self._message(row)
                start = row + 1
            else:
                start = row

    def _silence(self, row: int, length_ns: int) -> LadderLine:
        return LadderLine(
            LineKind.SILENCE,
            NETWORK,
            f"silence {duration(length_ns / 1e9)}",
            int(self.time[row - 1]),
            int(self.numbers[row - 1]),
            int(self.numbers[row]),
        )

    def _message(self, row: int) -> LadderLine:
        told = self.told.get(row) or self.told.get(self.again.get(row, -1), [])
        number = int(self.numbers[row])
        text = ", ".join(item.text for item in told) or _control_name(int(self.flags[row]))
        if self.resent[row]:
            text += "  [retransmission]"
        elif self.flags[row] & FIN and self.length[row]:
            text += f"  with {size(int(self.length[row]))}"
        grave = [item.severity for item in told if item.severity]
        severity = max(grave, key=lambda item: item.rank) if grave else None
        if severity is None and self.resent[row]:
            severity = Severity.WARNING
        last = number
        if row in self.told:
            last = max([number, *(item.last_number for item in told)])
        sender = int(self.sender[row])
        time_ns = int(self.time[row])
        return LadderLine(LineKind.MESSAGE, sender, text, time_ns, number, last, severity)

    def _fold(self, start: int, end: int) -> Iterator[LadderLine]:
        """Lines for a stretch without telling packets."""
        if start >= end:
            return
        found = np.flatnonzero(self.data[start:end]) + start
        if len(found):
            turns = np.flatnonzero(np.diff(self.sender[found])) + 1
            if len(turns) <= MAX_TURNS:
                for run in np.split(found, turns):
                    yield self._data(run)
            else:
                by_client = self.sender[found] == CLIENT
                runs = [found[by_client], found[~by_client]]
                for run in sorted(runs, key=lambda rows: int(rows[0])):
                    yield self._data(run)
        yield from self._notes(start, end)

    def _data(self, run: NDArray[np.int64]) -> LadderLine:
        resent = self.resent[run]
        again = int(np.count_nonzero(resent))
        octets = int(self.length[run].sum(dtype=np.int64))
        if again == len(run):
            text = f"{plural(again, 'retransmission')}, {size(octets)}"
        else:
            octets -= int(self.length[run][resent].sum(dtype=np.int64))
            text = f"{plural(len(run), 'segment')}, {size(octets)}"
            text += f", {again} retransmitted" if again else ""
        for bit, words in ((OUT_OF_ORDER, "out of order"), (LOST_SEGMENT, "after a gap")):
            number = int(np.count_nonzero(self.analysis[run] & bit))
            text += f", {number} {words}" if number else ""
        return LadderLine(
            LineKind.DATA,
            int(self.sender[run[0]]),
            text,
            int(self.time[run[0]]),
            int(self.numbers[run[0]]),
            int(self.numbers[run[-1]]),
            Severity.WARNING if again else None,
            end_ns=int(self.time[run[-1]]),
        )

    def _notes(self, start: int, end: int) -> Iterator[LadderLine]:
        """What the transport did in a stretch, beside carrying data."""
        part = self.analysis[start:end]
        for sender in (CLIENT, PROXY):
            own = self.sender[start:end] == sender
            for bits, name, severity in (
                (KEEP_ALIVE, "keep-alive", None),
                (ZERO_WINDOW, "zero window", Severity.WARNING),
            ):
                found = np.flatnonzero(own & ((part & bits) != 0)) + start
                if not len(found):
                    continue
                text = name if len(found) == 1 else f"{plural(len(found), name)}"
                first, last = int(self.numbers[found[0]]), int(self.numbers[found[-1]])
                time_ns = int(self.time[found[0]])
                yield LadderLine(LineKind.NOTE, sender, text, time_ns, first, last, severity)


def _control_name(flags: int) -> str:
    """A SYN, FIN or RST in the words of the ladder: without the flags that say nothing."""
    if flags & SYN:
        return "SYN-ACK" if flags & ACK else "SYN"
    return "RST" if flags & RST else "FIN"


def _told_outside(item: Telling) -> LadderLine:
    number = item.number
    last = max(number, item.last_number)
    return LadderLine(
        LineKind.MESSAGE, item.sender, item.text, item.time_ns, number, last, item.severity
    )


def _silence_at_end(view: PacketView, rows: NDArray[np.int64]) -> Iterator[LadderLine]:
    """The time that the capture went on without a packet of a flow that is still open."""
    if not len(rows):
        return
    last = int(rows[-1])
    rest = int(view.rows["time_ns"][-1]) - int(view.rows["time_ns"][last])
    if rest >= SILENCE_NS:
        text = f"nothing more in {duration(rest / 1e9)} of capture"
        time_ns = int(view.rows["time_ns"][last])
        number = view.number(last)
        yield LadderLine(LineKind.SILENCE, NETWORK, text, time_ns, number, number)


def _insert_missing(
    lines: list[LadderLine], flow: FlowReport, failed: Step, facts: FlowFacts
) -> None:
    """Put the line of what never came after all tries for it, before the flow's close."""
    sender, text = _NEVER_CAME.get(failed.name, (PROXY, "nothing"))
    before = [step.packet for step in flow.steps[: flow.steps.index(failed)] if step.packet]
    after_number = max(before, default=0)
    close = min((mark.number for _, mark in facts.closes), default=None)
    at = len(lines)
    for place, line in enumerate(lines):
        closes = close is not None and line.first_number >= close > after_number
        if closes or (line.kind is LineKind.SILENCE and place == len(lines) - 1):
            at = place
            break
    lines.insert(
        at, LadderLine(LineKind.MISSING, sender, text, severity=Severity.PROBLEM, failing=True)
    )


def _mark_failing(
    lines: list[LadderLine], flow: FlowReport, failed: Step | None, evidence: Sequence[int]
) -> None:
    """Mark the line of the packet at which the tunnel broke.

    ``evidence``: what the gravest finding rests on, of the tunnel's own packets.
    """
    number = evidence[-1] if evidence else None
    if failed is not None and failed.name == "data" and evidence:
        # The step's packet is where data began; the finding knows where it went wrong: at its
        # first packet since, or, where the end came from outside, at that end.
        since = [found for found in evidence if found >= (failed.packet or 0)] or [*evidence]
        number = since[-1 if flow.verdict in _CUT else 0]
    elif failed is not None:
        number = failed.packet
    if number is None:
        return
    for place, line in enumerate(lines):
        held = line.first_number <= number <= line.last_number
        if held and line.kind is not LineKind.SILENCE:
            lines[place] = replace(line, failing=True)
            return
