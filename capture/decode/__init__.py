"""From frames to columns: the decoder, and the types it hands on.

``Decoder`` is imported from here. Import ``capture.decode.columns`` for the types alone;
they bring in no decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capture.decode.decoder import Decoder

__all__ = ["Decoder"]


def __getattr__(name: str) -> Any:
    # Late, because capture.facts imports the types from this package.
    if name == "Decoder":
        from capture.decode.decoder import Decoder

        return Decoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
