"""What this process may do: in a container, root may lack any right (capabilities(7))."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import threading
from pathlib import Path

NET_ADMIN, NET_RAW, SYS_CHROOT, SYS_ADMIN = 12, 13, 18, 21
_NAMES = {
    NET_ADMIN: "CAP_NET_ADMIN",
    NET_RAW: "CAP_NET_RAW",
    SYS_CHROOT: "CAP_SYS_CHROOT",
    SYS_ADMIN: "CAP_SYS_ADMIN",
}


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def lacking(*capabilities: int) -> list[str]:
    """Which of these rights are missing, by name; none where the system knows none."""
    held = -1
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
            if line.startswith("CapEff:"):
                held = int(line.split()[1], 16)
    return [_NAMES[one] for one in capabilities if not held >> one & 1]


@functools.cache
def may_become_nobody() -> bool:
    """Whether root can become another user; a container may know no other."""
    if not is_root():
        return False
    try:
        subprocess.run(["true"], user="nobody", extra_groups=[], check=False)
    except (LookupError, OSError, subprocess.SubprocessError):
        return False
    return True


@functools.cache
def may_go_first() -> bool:
    """Whether a thread may be put before others. No capability tells: a container's does not."""
    done = []

    def try_it() -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
            done.append(True)

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return bool(done)
