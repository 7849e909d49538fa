"""Text that tcpdump printed, or that a document quotes of it, read as a capture."""

from __future__ import annotations

from capture.sources.text.source import TextSource

__all__ = ["TextSource"]
