"""Text that tcpdump printed, or that a document quotes of it, read as a capture."""

from __future__ import annotations

from capture.frames import UnreadableInput


class TextSource:
    def __init__(self, *args: object) -> None:
        raise UnreadableInput("text is not read yet")
