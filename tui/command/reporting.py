"""Writes reports and says how they ended: of files, and of what comes while we look."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from capture.record import record
from tui.command.output import ReaderLeft, narrate, write_chunks

if TYPE_CHECKING:
    from capture.check import Outcome
    from capture.options import AnalysisOptions
    from capture.report.model import Report
    from tui.command.progress import ProgressBar
    from tui.feeds import Feed

__all__ = ["Wanted", "report_coming", "report_files"]

EXIT_OK: Final = 0
EXIT_FINDING: Final = 1
EXIT_UNREADABLE: Final = 4

_STDIN: Final = "-"


@record
class Wanted:
    """How a report is to be written, and what is to be an error."""

    format: str = "text"
    fail_on: str = "problem"
    """Severity from which on a finding makes the exit code 1; ``never``: none does."""
    output: str | None = None
    """File to write to; None: standard output."""
    ascii_only: bool = False

    @property
    def warns(self) -> bool:
        """Whether warnings go to stderr, since the format has no place for them."""
        return self.format in ("csv", "ndjson")


class _Tally:
    """Passes reports on to the renderer and remembers what the exit code needs."""

    def __init__(self, *, warnings_on_stderr: bool) -> None:
        self.unreadable = False
        self.rank = -1
        """Rank of the gravest finding so far."""
        self._warnings_on_stderr = warnings_on_stderr

    def readable(self, outcomes: Iterable[Outcome]) -> Iterator[Report]:
        from capture.check import Unreadable

        for outcome in outcomes:
            if isinstance(outcome, Unreadable):
                self.unreadable = True
                narrate(_about(outcome.path, outcome.message))
                continue
            self._count(outcome)
            yield outcome

    def _count(self, report: Report) -> None:
        self.rank = max(self.rank, report.gravest)
        if self._warnings_on_stderr:
            for warning in report.source.warnings:
                narrate(_about(report.source.path, f"warning: {warning.message}"))

    def exit_code(self, fail_on: str) -> int:
        """The gravest counts: a file that could not be read outweighs any finding."""
        from capture.report.model import Severity

        if self.unreadable:
            return EXIT_UNREADABLE
        if fail_on != "never" and self.rank >= Severity(fail_on).rank:
            return EXIT_FINDING
        return EXIT_OK


def _about(path: str, message: str) -> str:
    """``FILE: message``; without the file where the message begins with it already."""
    name = "standard input" if path == _STDIN else path or "''"
    return message if message.startswith((path + ":", name + ":")) else f"{name}: {message}"


def report_files(
    paths: Sequence[str], options: AnalysisOptions, wanted: Wanted, *, jobs: int | None = None
) -> int:
    """Judge captures and write the report.

    Returns:
        The exit code.

    Raises:
        OutputFailed: It cannot be written.
    """
    from capture.check import check_files
    from capture.report.redact import safe
    from capture.report.render import render
    from tui.command.progress import ProgressBar as Bar

    if len(paths) > 1:
        _end_in_order()
    bar = Bar()
    tally = _Tally(warnings_on_stderr=wanted.warns)
    outcomes = check_files(
        paths,
        options,
        jobs=jobs,
        progress=(lambda part, label: bar(part, safe(label))) if bar.enabled else None,
    )
    reports = _named(tally.readable(_cleared(outcomes, bar)), options, wanted)
    chunks = render(wanted.format, reports, many=len(paths) > 1, others=options.keep_other)
    try:
        write_chunks(chunks, wanted.output, ascii_only=wanted.ascii_only, bar=bar, inputs=paths)
    except ReaderLeft:
        pass  # what was found until then still counts
    finally:
        bar.clear()
    return tally.exit_code(wanted.fail_on)


def report_coming(
    feed: Feed, options: AnalysisOptions, wanted: Wanted, *, told: str | None = None
) -> int:
    """Judge packets as they come and write the report; the first Ctrl+C ends the packets.

    Args:
        feed: Where they come from.
        options: Passed to the analysis.
        wanted: How the report is to be written.
        told: Said on stderr as soon as nothing is missed any more.

    Returns:
        The exit code.

    Raises:
        OutputFailed: It cannot be written.
    """
    from capture.frames import UnreadableInput
    from capture.report.redact import safe
    from capture.report.render import render
    from capture.watching.check import check_live
    from tui.command.progress import ProgressBar as Bar
    from tui.feeds import FeedFailed

    try:
        opened = feed.open()
    except FeedFailed as error:
        narrate(str(error))
        return error.code
    bar = Bar()
    tally = _Tally(warnings_on_stderr=wanted.warns)
    try:
        report = check_live(
            opened.source,
            options,
            progress=(lambda part, label: bar(part, safe(label))) if bar.enabled else None,
            ready=None if told is None else lambda: narrate(told),
        )
    except UnreadableInput as error:
        bar.clear()
        narrate(_about(feed.title, str(error)))
        return EXIT_UNREADABLE
    finally:
        opened.close()
    bar.clear()
    reports = _named(tally.readable([report]), options, wanted)
    chunks = render(wanted.format, reports, many=False, others=options.keep_other)
    with suppress(ReaderLeft):  # what was found still counts
        write_chunks(chunks, wanted.output, ascii_only=wanted.ascii_only, bar=bar)
    return tally.exit_code(wanted.fail_on)


def _named(reports: Iterable[Report], options: AnalysisOptions, wanted: Wanted) -> Iterable[Report]:
    """The reports with the names of hosts, where the user wants them and the format has them."""
    if not options.resolve or wanted.format == "csv":
        return reports
    from tui.names.naming import named_in_time
    from tui.names.resolver import Resolver

    return named_in_time(reports, Resolver())


def _end_in_order() -> None:
    """Let SIGTERM and SIGHUP unwind as Ctrl+C does, so that no worker is left behind."""
    import signal

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        with suppress(ValueError):  # not the main thread: the process is not ours alone
            # Ignored (nohup), it stays ignored.
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, leave)


def _cleared(outcomes: Iterator[Outcome], bar: ProgressBar) -> Iterator[Outcome]:
    """Erase the bar before anything is said about a file."""
    for outcome in outcomes:
        bar.clear()
        yield outcome
