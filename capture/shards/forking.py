"""Processes that do a piece of work for this one and are never anything else."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress


def fork(work: Callable[[], None]) -> int:
    """Do something in a process of its own, which ends with it; returns its number."""
    with warnings.catch_warnings():
        # Python cannot know that numpy's idle threads hold no lock that we will ever want.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    gc.disable()  # many objects, no cycles: the collector would only walk them
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        work()
        code = 0
    except BaseException as error:
        if os.environ.get("TUNNELSCOPE_DEBUG"):
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)  # whatever happened: what called us is the parent's to finish


def end(pid: int) -> None:
    """Make sure that a process we forked is gone."""
    with suppress(OSError):
        if os.waitpid(pid, os.WNOHANG) == (0, 0):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
