"""All fields of the display filter, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from capture.filtering.fields import AnyField
from capture.filtering.message_fields import MESSAGE_FIELDS
from capture.filtering.packet_fields import PACKET_FIELDS
from capture.filtering.tunnel_fields import TUNNEL_FIELDS

__all__ = ["FIELDS", "find_field"]

FIELDS: Final[Mapping[str, AnyField]] = MappingProxyType(
    {field.name: field for field in (*TUNNEL_FIELDS, *MESSAGE_FIELDS, *PACKET_FIELDS)}
)

_OLD_PREFIX: Final = "ssl"
"""What Wireshark called TLS before 3.0."""


def find_field(name: str) -> AnyField | None:
    """The field of a name, in any case, or None."""
    known = name.lower()
    head, dot, rest = known.partition(".")
    if head == _OLD_PREFIX:
        known = f"tls{dot}{rest}"
    return FIELDS.get(known)
