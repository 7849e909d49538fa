"""The display filter: one expression for tunnels and packets alike.

The language is Wireshark's for the fields that exist here, and has own fields for what the
judge says of a tunnel. What an expression means for a tunnel, and what for a packet, is
written down in ``capture.filtering.selecting``.
"""

from __future__ import annotations

from capture.filtering.compiler import DisplayFilter, compile_filter
from capture.filtering.errors import FilterError
from capture.filtering.selecting import Material, Selection

__all__ = ["DisplayFilter", "FilterError", "Material", "Selection", "compile_filter"]
