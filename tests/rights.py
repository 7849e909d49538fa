"""What this process may do: in a container, root may lack any right (capabilities(7))."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
from pathlib import Path

NET_ADMIN, NET_RAW, SYS_CHROOT, SYS_ADMIN, SYS_NICE = 12, 13, 18, 21, 23
_NAMES = {
    NET_ADMIN: "CAP_NET_ADMIN",
    NET_RAW: "CAP_NET_RAW",
    SYS_CHROOT: "CAP_SYS_CHROOT",
    SYS_ADMIN: "CAP_SYS_ADMIN",
    SYS_NICE: "CAP_SYS_NICE",
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
