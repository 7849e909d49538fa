"""Choices of the user that reach the analysis."""

from __future__ import annotations

from capture.record import record


@record
class AnalysisOptions:
    """What ``check`` and the screen pass down."""

    proxies: tuple[tuple[str, int | None], ...] = ()
    """Hosts (addresses) told to be proxies, with a port or None for any."""
    keep_other: bool = False
    """Report flows that are not to a proxy, too (``--all``)."""
    keep_packets: bool = False
    """Keep the packet columns (screen); without, memory does not grow with packets."""
    keep_steps: bool = True
    """Build the steps of flows without a finding, too; most formats do not show them."""
    rules: tuple[str, ...] = ()
    """Directories with the user's own known issues (``--rules``)."""
    tls_keylog: str = ""
    """File with TLS secrets (``--tls-keylog``), which may be yet to come; empty: none."""
    keep_texts: bool = True
    """Dress findings in their texts; a table needs none."""
    thresholds: tuple[tuple[str, float], ...] = ()
    """What the user set of ``capture.judging.thresholds.THRESHOLDS``."""
    max_packets: int | None = None
    """Rows of the packet index kept; None: all of a file, ``LIVE_PACKETS`` of a live capture."""
    max_flows: int | None = None
    """Flows kept; None: all of a file, ``LIVE_FLOWS`` of a live capture."""
    resolve: bool = False
    """Tell the names of hosts (``--resolve``): here those that the capture's DNS answers give."""
    display_filter: str = ""
    """Report only flows that it lets through (``capture.filtering``); needs ``keep_packets``."""
