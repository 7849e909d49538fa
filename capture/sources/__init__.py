"""Where frames come from: files, pipes and text. ``open_source`` finds out which."""

from __future__ import annotations

from capture.frames import FileSource
from capture.sources.opening import open_source

__all__ = ["FileSource", "open_source"]
