"""How much memory buffers of a live capture may take, by what the machine has."""

from __future__ import annotations

import os
from typing import Final

_RING_PART: Final = 64
_LEAST_RING_MIB: Final = 32
_LARGEST_RING_MIB: Final = 256
"""A second at 2 Gbit/s, while a busy machine lets none of our threads run."""

_QUEUE_PART: Final = 8
_LARGEST_QUEUE: Final = 512 << 20
"""Two seconds at 2 Gbit/s. It is taken in a burst only."""


def machine_memory() -> int:
    """Bytes of memory that the machine has; 1 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 1 << 30


def suitable_buffer_mib() -> int:
    """Size of an interface's kernel buffer in MiB: a 64th of the memory, within limits.

    It is worth more than the queue: the kernel fills it whatever we are busy with, and its
    memory is there from the beginning, where a queue that grows has to get it (measured:
    that takes ten times as long as the copying).
    """
    return min(max(machine_memory() // _RING_PART >> 20, _LEAST_RING_MIB), _LARGEST_RING_MIB)


def queue_bytes() -> int:
    """Bound of all queues together in bytes."""
    return min(machine_memory() // _QUEUE_PART, _LARGEST_QUEUE)
