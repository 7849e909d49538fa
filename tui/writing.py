"""Writes a file whole or not at all, and never over another one unless told to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["AlreadyThere", "CannotWrite", "write_whole"]


class CannotWrite(Exception):
    """The file was not written. ``str()`` is one line."""


class AlreadyThere(CannotWrite):
    """There is a file of this name."""


def write_whole(
    path: str,
    chunks: Iterable[str | bytes],
    *,
    replace: bool = False,
    spared: Collection[str] = (),
) -> int:
    """Write text or bytes to a file that appears when it is complete.

    Args:
        path: Name; ``~`` is understood.
        chunks: What to write, in pieces; text becomes UTF-8.
        replace: A file of this name may go, ...
        spared: ... but none of these: the capture that is shown is somebody's evidence.

    Returns:
        Bytes written.

    Raises:
        AlreadyThere: There is such a file and it may not go.
        CannotWrite: No room, no permission, no such directory, a device, a file to be spared.
    """
    part = ""
    try:
        target = Path(path).expanduser()
        _may_go(target, replace, spared)
        handle, part = tempfile.mkstemp(prefix=f".{target.name[:80]}.", dir=target.parent)
        with open(handle, "wb") as stream:
            for chunk in chunks:
                stream.write(
                    chunk if isinstance(chunk, bytes) else chunk.encode("utf-8", "replace")
                )
        # mkstemp's own permissions would keep colleagues out of a report.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        size = os.path.getsize(part)
        _appear(part, target, replace)
        part = ""
    except OSError as error:
        raise CannotWrite(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RuntimeError) as error:  # a NUL in the name; no such user's ~
        raise CannotWrite(f"{path!r}: {error}") from None
    finally:
        if part:
            with suppress(OSError):
                os.unlink(part)
    return size


def _may_go(target: Path, replace: bool, spared: Collection[str]) -> None:
    """Raise ``CannotWrite`` where a name stands for something that must stay."""
    if target.is_dir():
        raise CannotWrite(f"{target}: is a directory")
    if not target.exists():
        return
    if not target.is_file():  # root could replace /dev/null
        raise CannotWrite(f"{target}: is no regular file")
    if any(_same(name, target) for name in spared):
        raise CannotWrite(f"{target}: is the capture that is open; choose another name")
    if not replace:
        raise AlreadyThere(f"{target}: there is such a file")


def _same(name: str, target: Path) -> bool:
    """Whether both are the same file, by whatever names."""
    try:
        return os.path.samefile(name, target)
    except (OSError, ValueError):
        return False


def _appear(part: str, target: Path, replace: bool) -> None:
    """Give the complete file its name; without ``replace`` never over one that came since."""
    if replace:
        os.replace(part, target)
        return
    try:
        os.link(part, target)
    except FileExistsError:
        raise AlreadyThere(f"{target}: there is such a file") from None
    except OSError:  # a file system without links
        os.replace(part, target)
    else:
        os.unlink(part)
