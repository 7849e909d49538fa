"""Who may capture, what to say to those who may not, and giving root up again.

Source: capabilities(7), proc(5), setuid(2). Root is needed for opening a socket only; all that
is done with hostile bytes afterwards is done as an ordinary user.
"""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capture.frames import UnreadableInput
from capture.protocols.text import printable

_NET_RAW: Final = 1 << 13
"""CAP_NET_RAW: opens packet sockets."""
STATUS: Final = Path("/proc/thread-self/status")
_BPF_DEVICES: Final = ("/dev/bpf", "/dev/bpf0")
_CAPABILITIES: Final = "cap_net_raw,cap_net_admin=eip"


class NotPermitted(UnreadableInput):
    """There is no right to capture, or to become who was asked for. ``str()`` is one line."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody to go on as."""

    name: str
    uid: int
    gid: int
    home: str


_given_up: User | None = None

_PARTS: Final = ("os", "encodings", "numpy", "capture")
"""Modules whose places stand for all: the standard library, packages, this program."""
_BY_EFFECTIVE: Final = os.access in os.supports_effective_ids


# -- may we? --------------------------------------------------------------------------


def can_capture() -> bool:
    """Whether sockets for capturing can be opened, as far as it shows beforehand."""
    capabilities = _status().get("CapEff")
    if capabilities is not None:
        return bool(int(capabilities, 16) & _NET_RAW)
    if getattr(os, "geteuid", lambda: 0)() == 0:
        return True
    return any(os.access(device, os.R_OK) for device in _BPF_DEVICES)


def _status() -> dict[str, str]:
    """Fields of the process' status; empty where the system has none."""
    try:
        lines = STATUS.read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in fields}


def advice() -> str:
    """One line: what gives the right to capture, for this interpreter and this command."""
    if _given_up is not None:
        return (
            f"root was given up for {printable(_given_up.name)} when the first capture began:"
            " start tunnelscope again to capture elsewhere (-Z root keeps root)"
        )
    if sys.platform != "linux":
        return f"no right to capture: use `{_sudo()}`, or give your user access to /dev/bpf*"
    status = _status()
    if not int(status.get("CapBnd", "ffffffff"), 16) & _NET_RAW:
        return (
            "no right to capture, and none to be had here: the container or service lacks"
            " CAP_NET_RAW (docker, podman: --cap-add=NET_RAW)"
        )
    if status.get("NoNewPrivs") == "1":
        return "no right to capture: this session may not gain privileges (NoNewPrivs); use another"
    interpreter = interpreter_path()
    if not _takes_capabilities(interpreter):
        return (
            f"no right to capture: use `{_sudo()}` (the file system of"
            f" {printable(interpreter)} is mounted nosuid, so that setcap is of no use)"
        )
    command = f"sudo setcap {_CAPABILITIES} {shlex.quote(interpreter)}"
    return f"no right to capture: use `{_sudo()}`, or once `{printable(command, 400)}`"


def interpreter_path() -> str:
    """The program that runs this: not the link in a virtual environment, nor a wrapper."""
    with suppress(OSError):
        return os.readlink("/proc/self/exe")
    return os.path.realpath(sys.executable)


def _takes_capabilities(path: str) -> bool:
    """Whether file capabilities count where the program lies."""
    try:
        return not os.statvfs(path).f_flag & os.ST_NOSUID
    except OSError:
        return True


def _sudo() -> str:
    """The command that is running, with sudo; sudo has a search path of its own."""
    from capture.report.redact import safe

    program = os.path.abspath(sys.argv[0]) if sys.argv else ""
    if not os.path.isfile(program):
        return "sudo tunnelscope …"
    command = [program, *sys.argv[1:]]
    if not os.access(program, os.X_OK) or program.endswith(".py"):
        command = [sys.executable, *sys.orig_argv[1:]]
    return safe(printable(shlex.join(["sudo", *command]), 400))


# -- giving root up -------------------------------------------------------------------


def user_to_become(name: str | None) -> User | None:
    """Who to go on as once the sockets are open; None: as we are.

    Args:
        name: ``-Z``: a name or a number; None: who called sudo, where root was got that way.

    Raises:
        NotPermitted: There is no such user, or we cannot become anybody else.
    """
    if not hasattr(os, "geteuid"):
        return None
    if name is None:
        if os.geteuid() != 0 or not (caller := os.environ.get("SUDO_UID", "")).isdigit():
            return None
        name = caller
    user = _look_up(name)
    if user.uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise NotPermitted(f"-Z {printable(name)}: only root can become somebody else")
    return user


def _look_up(name: str) -> User:
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        if not name.isdigit():
            raise NotPermitted(f"-Z {printable(name)}: there is no such user") from None
        uid = int(name)
        try:
            entry = pwd.getpwuid(uid)
        except (KeyError, OverflowError):
            gid = os.environ.get("SUDO_GID", "")
            return User(name, uid, int(gid) if gid.isdigit() else uid, "/")
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def give_up_root(user: User | None) -> None:
    """Become another user for good, with all threads, groups and capabilities.

    Args:
        user: As ``user_to_become`` says; None: nothing is done.

    Raises:
        NotPermitted: It did not work, or did not hold. Nothing must be captured then.
    """
    global _given_up
    if user is None:
        return
    if (hidden := _hidden_from(user)) is not None:
        raise NotPermitted(
            f"cannot go on as {printable(user.name)}, who may not read {printable(hidden)}:"
            " choose another user with -Z (-Z root keeps root)"
        )
    try:
        _set_groups(user)
        if hasattr(os, "setresuid"):
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        else:  # macOS: as root these set all three of each
            os.setgid(user.gid)
            os.setuid(user.uid)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NotPermitted(f"cannot become {printable(user.name)}: {reason}") from None
    if _can_return():
        raise NotPermitted(f"root is not given up by becoming {printable(user.name)}")
    _given_up = user
    os.environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)
    os.environ.pop("XDG_RUNTIME_DIR", None)


def _hidden_from(user: User) -> str | None:
    """A part of this program that a user may not read; None: all can be read.

    Modules are imported when they are needed: where Python lies in root's home, giving root
    up would break the program in the middle.
    """
    places = {os.path.dirname(found) for found in map(_file_of, _PARTS) if found}
    groups, own_user, own_group = os.getgroups(), os.geteuid(), os.getegid()
    try:
        _set_groups(user)
        os.setegid(user.gid)
        os.seteuid(user.uid)
        for place in sorted(places):
            if not os.access(place, os.R_OK | os.X_OK, effective_ids=_BY_EFFECTIVE):
                return place
    except (OSError, OverflowError):
        return None  # what does not work will be told when it is done for good
    finally:
        os.seteuid(own_user)
        os.setegid(own_group)
        with suppress(OSError):  # where they cannot be set they were not changed
            os.setgroups(groups)
    return None


def _file_of(name: str) -> str | None:
    return getattr(sys.modules.get(name), "__file__", None)


def _set_groups(user: User) -> None:
    import pwd

    try:
        pwd.getpwuid(user.uid)
        os.initgroups(user.name, user.gid)
    except KeyError:  # a number without a name has no groups but its own
        os.setgroups([user.gid])


def _can_return() -> bool:
    """Whether anything of root is left."""
    for change in (os.setuid, os.seteuid, os.setgid, os.setegid):
        try:
            change(0)
        except OSError:
            continue
        if change in (os.setuid, os.seteuid) or os.getgid() == 0 or os.getegid() == 0:
            return True
    status = _status()
    return any(int(status.get(name, "0"), 16) for name in ("CapEff", "CapPrm", "CapAmb"))
