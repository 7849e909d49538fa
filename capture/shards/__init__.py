"""Tables of large captures: by several processes, and in memory that does not grow with them.

Every worker maps the same file. In turn they look at its windows and hand each other the headers
of the other's flows (``looks``), and each tracks its share. Three times they stop and show each
other what they found (``part``): what the capture shows as a whole, the cards of the judged flows,
and at last finished rows. So what comes out is what one process would have said.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from capture.collector import put_off

if TYPE_CHECKING:
    from capture.frames import Source
    from capture.judging import Catalogue
    from capture.options import AnalysisOptions
    from capture.report.model import Report
    from capture.shards.ahead import Ahead

LARGE: Final = 48 << 20
"""Bytes from which on a file is divided: then what the workers take over from each other pays
for what all of them do."""


def table_only(options: AnalysisOptions) -> bool:
    """Whether nothing is wanted of the flows but their rows in a table."""
    kept = options.keep_texts or options.keep_other or options.keep_packets
    return not (kept or options.display_filter)


def walk_ahead(source: Source, options: AnalysisOptions, processes: int) -> Ahead | None:
    """Begin to find the records of a file that will be divided, if all looks like it.

    Args:
        source: Nothing was read of it yet.
        options: The user's choices.
        processes: How many may work at once.
    """
    large = (source.progress()[1] or 0) >= LARGE
    if not large or processes < 2 or sys.platform != "linux":
        return None
    from capture.sources.pcap import PcapSource

    wanted = table_only(options) and not options.rules
    if not (wanted and isinstance(source, PcapSource) and source.mappable):
        return None
    from capture.shards.ahead import Ahead

    with suppress(OSError):  # it saves some time, no more
        return Ahead(source)
    return None


def tabulate(
    source: Source,
    options: AnalysisOptions,
    catalogue: Catalogue,
    processes: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
    ahead: Ahead | None = None,
) -> Report:
    """Read a source to its end and report its table, as far as the options want no more.

    Args:
        source: Nothing was read of it yet.
        options: The user's choices.
        catalogue: Texts of the rules.
        processes: How many may work at once.
        progress: Called now and then with (bytes done, bytes in total or None).
        ahead: Found records of the source meanwhile.

    Raises:
        UnreadableInput: Nothing at all of the source could be read.
    """
    from capture.shards.part import Part, alone, for_table, joined

    known = ahead.stop() if ahead is not None else {}
    if not for_table(options, catalogue):
        from capture.engine import analyse

        return analyse(source, options, catalogue=catalogue, progress=progress)
    if processes > 1 and (source.progress()[1] or 0) >= LARGE:
        from capture.shards.divide import divide

        report = divide(source, options, catalogue, processes, progress, known)
        if report is not None:
            return report
    part = Part(source.info, options, catalogue)
    with put_off():
        for block in source.blocks():
            part.take(block)
            del block  # its buffer need not outlive it: the report needs the room
            if progress is not None:
                progress(*source.progress())
        return joined([part.finish(alone)])
