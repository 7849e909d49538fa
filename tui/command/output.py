"""Writes the report where it belongs, whatever the stream can carry and however it ends."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, TextIO

from capture.protocols.text import printable
from tui.command.progress import ProgressBar

ERRORS: Final = "tunnelscope.plain"
_PLAIN: Final = {
    "…": "...", "·": ".", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "µ": "u",
    "μ": "u", "→": "->", "←": "<-", "×": "x", "≥": ">=", "≤": "<=", "≈": "~", "✓": "ok", "✗": "x",
    "\u00a0": " ",
}  # fmt: skip


class OutputFailed(Exception):
    """The report cannot be written. ``str()`` is one line."""


class ReaderLeft(Exception):
    """Whoever read our output has closed it (``| head``): no reason to say a word."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Codec error handler: a stand-in in ASCII for what a stream cannot carry."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char, "?") for char in part), error.end


codecs.register_error(ERRORS, _plain)


def prepare(stream: TextIO | None, *, ascii_only: bool = False) -> None:
    """Make ``stream`` take any text without an error."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        return
    if ascii_only:
        reconfigure(encoding="ascii", errors=ERRORS)
    else:
        reconfigure(errors=ERRORS)


def narrate(message: str) -> None:
    """One line on stderr, for people."""
    from capture.report.redact import safe  # a file name or an option may hold a password

    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"tunnelscope: {printable(safe(message))}\n")
        sys.stderr.flush()


def write_chunks(
    chunks: Iterable[str],
    path: str | None,
    *,
    ascii_only: bool = False,
    bar: ProgressBar | None = None,
    inputs: Sequence[str] = (),
) -> None:
    """Write text to a file, or to stdout when ``path`` is None.

    Raises:
        OutputFailed: It cannot be written (full disk, no permission, an input of ours).
        ReaderLeft: The reading end of the pipe is closed.
    """
    if path is None:
        _write_stdout(chunks, ascii_only, bar)
        return
    for name in inputs:
        with suppress(OSError):
            if os.path.samefile(name, path):
                raise OutputFailed(f"{path}: is one of the captures; it would be overwritten")
    encoding = "ascii" if ascii_only else "utf-8"
    try:
        stream = open(path, "w", encoding=encoding, errors=ERRORS)  # noqa: SIM115 (two closes)
    except (OSError, ValueError) as error:
        raise OutputFailed(f"{path}: {_reason(error)}") from None
    failed: OSError | None = None
    try:
        failed = _copy(chunks, stream, bar)
    finally:
        try:
            stream.close()
        except OSError as error:
            failed = failed or error
    if failed is not None:
        raise OutputFailed(f"{path}: {_reason(failed)}")


def _write_stdout(chunks: Iterable[str], ascii_only: bool, bar: ProgressBar | None) -> None:
    stream = sys.stdout
    if stream is None:
        raise OutputFailed("standard output is closed")
    prepare(stream, ascii_only=ascii_only)
    failed = _copy(chunks, stream, bar)
    if failed is None:
        return
    _abandon(stream)
    if isinstance(failed, BrokenPipeError):
        raise ReaderLeft
    raise OutputFailed(f"standard output: {_reason(failed)}")


def _copy(chunks: Iterable[str], stream: TextIO, bar: ProgressBar | None) -> OSError | None:
    """Write all chunks; return the error of *writing*, let those of making them pass."""
    for chunk in chunks:
        if bar is not None:
            bar.clear()
        try:
            stream.write(chunk)
        except OSError as error:
            return error
    try:
        stream.flush()
    except OSError as error:
        return error
    return None


def _abandon(stream: TextIO) -> None:
    """Send what is still buffered to nowhere, so that the exit does not fail on it again."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
