"""Reads captures without a screen: one report a file, in the order given.

One file is read in this process. Several are read by worker processes, since the work is
bound by the processor; a file that fails, or that takes its worker down with it, does not
stop the others.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from capture.frames import FileSource, UnreadableInput
from capture.options import AnalysisOptions
from capture.record import record
from capture.report.model import Report

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing.process import BaseProcess


STDIN: Final = "-"
LARGE: Final = 5000
"""A report of so many flows had better be left alone by the garbage collector."""

Progress = Callable[[float | None, str], None]
"""Called with the part done (0 to 1, None where it cannot be told) and what is read."""


@record
class Unreadable:
    """A file that could not be judged."""

    path: str
    message: str
    """One line."""


Outcome = Report | Unreadable


def check_files(
    paths: Sequence[str],
    options: AnalysisOptions | None = None,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Yield what each file says, in the order of ``paths``, as soon as it is known.

    Args:
        paths: Files; ``-`` is standard input.
        options: Passed to the analysis.
        jobs: Files read at the same time; None: one a processor.
        progress: Told how far the reading is; called from this process only.
    """
    options = options or AnalysisOptions()
    processes = jobs or _processors()
    wanted = min(processes, len(paths))
    # A worker has no standard input of ours.
    if wanted <= 1 or STDIN in paths:
        for index, path in enumerate(paths):
            label = f"{path} ({index + 1} of {len(paths)})" if len(paths) > 1 else path
            outcome = check_file(path, options, progress=progress, label=label, processes=processes)
            large = isinstance(outcome, Report) and _flows(outcome) >= LARGE
            if large:
                gc.freeze()  # the collector would only walk it, again and again
            yield outcome
            if large and index + 1 < len(paths):
                gc.unfreeze()
                # What was frozen counts as old and would wait for long; it is megabytes.
                gc.collect()
    else:
        yield from _in_parallel(paths, options, wanted, progress)


def _flows(report: Report) -> int:
    """How many flows are in a report or its table."""
    return len(report.table.lines if report.table is not None else report.flows)


def check_file(
    path: str,
    options: AnalysisOptions,
    *,
    progress: Progress | None = None,
    label: str | None = None,
    processes: int = 1,
) -> Outcome:
    """Read and judge one file. Whatever goes wrong comes back as ``Unreadable``.

    Args:
        path: The file.
        options: Passed to the analysis.
        progress: Told how far the reading is.
        label: What it is told that is read; None: the path.
        processes: How many may work on the file at once, if it is worth it.
    """
    shown = label or path
    told: Callable[[int, int | None], None] | None = None
    if progress is not None:
        report_progress = progress

        def told(done: int, total: int | None) -> None:
            report_progress(min(1.0, done / total) if total else None, shown)

    try:
        return _analyse(path, options, told, processes)
    except UnreadableInput as error:
        return Unreadable(path, str(error))
    except MemoryError:
        return Unreadable(path, "not enough memory to read it")
    except OSError as error:
        return Unreadable(path, error.strerror or type(error).__name__)
    except Exception as error:
        # A defect of ours, found by somebody's capture: one line, and the other files go on.
        if os.environ.get("TUNNELSCOPE_DEBUG"):
            raise
        kind = type(error).__name__
        return Unreadable(
            path, f"internal error ({kind}: {error}); TUNNELSCOPE_DEBUG=1 shows where"
        )


def _analyse(
    path: str,
    options: AnalysisOptions,
    progress: Callable[[int, int | None], None] | None,
    processes: int,
) -> Report:
    from capture.sources import open_source

    keys = bool(options.tls_keylog) and options.keep_texts
    with ExitStack() as opened:
        source = open_source(path, spool=keys)
        opened.callback(_close, source)
        if not options.keep_texts:
            return _tabulate(source, options, progress, processes, opened)
        from capture.engine import analyse
        from capture.judging import Catalogue

        catalogue = Catalogue.load(options.rules)
        kept = replace(options, keep_packets=True)  # TLS is opened in the packets
        report = analyse(source, kept if keys else options, catalogue=catalogue, progress=progress)
        if keys or not source.info.tls_secrets or path == STDIN:
            return report
        # The capture carries secrets itself, which nobody could know before.
        source = open_source(path, spool=True)
        opened.callback(_close, source)
        return analyse(source, kept, catalogue=catalogue, progress=progress)


def _tabulate(
    source: FileSource,
    options: AnalysisOptions,
    progress: Callable[[int, int | None], None] | None,
    processes: int,
    opened: ExitStack,
) -> Report:
    from capture.shards import tabulate, walk_ahead

    ahead = walk_ahead(source, options, processes)
    if ahead is not None:
        opened.callback(ahead.stop)
    from capture.judging import Catalogue  # with all that it needs; meanwhile records are found

    catalogue = Catalogue.load(options.rules)
    return tabulate(source, options, catalogue, processes, progress, ahead)


def _close(source: FileSource) -> None:
    source.close()
    if source.store is not None:
        source.store.close()


def _processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _in_parallel(
    paths: Sequence[str], options: AnalysisOptions, jobs: int, progress: Progress | None
) -> Iterator[Outcome]:
    """Keep ``jobs`` workers busy, a bounded number of results ahead of the reader."""
    from collections import deque
    from concurrent.futures.process import BrokenProcessPool

    ahead = 2 * jobs
    pool = _pool(jobs)
    waiting: deque[Future[Outcome]] = deque()
    submitted = 0
    try:
        for index in range(len(paths)):
            try:
                while submitted < len(paths) and submitted < index + ahead:
                    waiting.append(pool.submit(check_file, paths[submitted], options))
                    submitted += 1
                outcome = waiting.popleft().result()
            except BrokenProcessPool:
                # Which file it was cannot be told: this one and all that were under way
                # are read again, each by a worker of its own.
                pool.shutdown(wait=True, cancel_futures=True)
                for again in range(index, submitted):
                    yield _alone(paths[again], options)
                    _tell(progress, again + 1, paths)
                yield from _in_parallel_rest(paths, submitted, options, jobs, progress)
                return
            yield outcome
            _tell(progress, index + 1, paths)
    finally:
        _stop(pool)


def _in_parallel_rest(
    paths: Sequence[str],
    start: int,
    options: AnalysisOptions,
    jobs: int,
    progress: Progress | None,
) -> Iterator[Outcome]:
    """The files after a worker died, with a new pool."""
    shifted: Progress | None = None
    if progress is not None:
        told = progress

        def shifted(part: float | None, label: str) -> None:
            done = start + (part or 0.0) * (len(paths) - start)
            told(done / len(paths), label)

    if start < len(paths):
        yield from _in_parallel(paths[start:], options, jobs, shifted)


def _alone(path: str, options: AnalysisOptions) -> Outcome:
    """Read one file in a process of its own that may die."""
    from concurrent.futures.process import BrokenProcessPool

    pool = _pool(1)
    try:
        return pool.submit(check_file, path, options).result()
    except BrokenProcessPool:
        return Unreadable(path, "the reading process died (out of memory?)")
    finally:
        _stop(pool)


def _pool(jobs: int) -> ProcessPoolExecutor:
    """Workers that do not inherit this process's threads and locks."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_all_start_methods, get_context

    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["capture.check"])
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    """Let Ctrl+C end a worker at once and without a word: the parent speaks for all.

    A parent that was killed speaks to nobody, and its workers must not read on.
    """
    import signal
    from multiprocessing import parent_process
    from threading import Thread

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), name="parent-watch", daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _stop(pool: ProcessPoolExecutor) -> None:
    """End a pool; files that nobody wants to know of any more are not read to their end.

    Waits for the pool's own thread: an interpreter that exits beside it may trip over it.
    """
    # Python 3.14 has terminate_workers() for this.
    for worker in list((getattr(pool, "_processes", None) or {}).values()):
        worker.terminate()
    pool.shutdown(wait=True, cancel_futures=True)


def _tell(progress: Progress | None, done: int, paths: Sequence[str]) -> None:
    if progress is not None:
        progress(done / len(paths), f"{done} of {len(paths)} files")
