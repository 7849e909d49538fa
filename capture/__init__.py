"""Reads captures, tracks tunnels through HTTP proxies and names the known issue.

This package is the whole tool without a screen. It imports neither textual nor rich.
"""

from __future__ import annotations

__version__ = "0.1.0"
