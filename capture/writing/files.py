"""Creates files for captures: nobody who reads an older one is disturbed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from typing import Final

_MODE: Final = 0o600
"""A capture holds what people said: it is for its owner, as dumpcap has it."""


class UnwritableFile(Exception):
    """A file cannot be made or written. ``str()`` is one line."""


def create(path: str, owner: tuple[int, int] | None = None) -> int:
    """Make a new, empty file, in the place of an older one of the name.

    The older one is not cut but let go of, so that whoever reads it reads on.

    Args:
        path: Its name; a symbolic link is followed.
        owner: User and group id it is given to; None: as the system has it.

    Returns:
        A descriptor open for reading and writing.

    Raises:
        UnwritableFile: There is no such directory, no permission, or something else of the
            name (a directory, a device).
    """
    try:
        real = os.path.realpath(path)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(real).st_mode):
                raise UnwritableFile(f"{path} is no regular file")
            os.unlink(real)
        fd = os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise UnwritableFile(f"{path}: {reason(error)}") from None
    except ValueError:  # a NUL in the name
        raise UnwritableFile(f"{path!r} is not a file name") from None
    if owner is not None:
        with contextlib.suppress(OSError):  # some file systems know no owners
            os.fchown(fd, *owner)
    return fd


def same_file(path: str, others: Sequence[str]) -> bool:
    """Whether ``path`` is one of ``others``, by whatever name."""
    for other in others:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samefile(path, other):
                return True
    return False


def invoking_user() -> tuple[int, int] | None:
    """User and group id of who called sudo; None where nobody did, or is root as well."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    try:
        user, group = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return None
    return (user, group) if user > 0 else None


def reason(error: OSError) -> str:
    """Why, in lower case and without the path."""
    return (error.strerror or str(error)).lower()
