"""What a field of the display filter is; the fields themselves are in their own modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from capture.filtering.kinds import Kind, Unit

if TYPE_CHECKING:
    from capture.facts import Endpoint, FlowFacts
    from capture.filtering.selecting import Material
    from capture.report.model import FlowReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What every field has."""

    name: str
    kind: Kind
    help: str
    """A few words, for whoever completes the name."""
    unit: Unit = Unit.NONE
    names: Mapping[str, int] = field(default_factory=dict)
    """Words that stand for numbers."""
    words: tuple[str, ...] = ()
    """The values there are, in rising order where they have one."""
    always: bool = False
    """Every packet (of TCP) has it: alone, without a comparison, it tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelField(Field):
    """What the report says of a tunnel; true of all its packets."""

    get: Callable[[FlowReport], Any]
    """The value, None for none; a tuple of values where ``several``."""
    several: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageField(Field):
    """What single packets of a tunnel say in HTTP, TLS or ICMP."""

    get: Callable[[FlowFacts], Sequence[tuple[int, Any]]]
    """(packet number, value) of every occurrence."""
    onward: bool = False
    """The later packets with data have the value, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnField(Field):
    """What the columns of the packet index hold."""

    columns: Callable[[Material], tuple[NDArray[Any], ...]]
    """Shape (packets,) each; a packet has all of the values."""
    there: Callable[[Material], NDArray[Any]] | None = None
    """Packets that have the field; None: all TCP packets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndField(Field):
    """An address or a port: known of a flow's ends, in each packet one sends."""

    of: Callable[[Endpoint], Any]
    """The value of one end; None: it has none (an address of the other family)."""
    ends: tuple[str, ...]
    """``src``, ``dst`` or both: whose value the packet has."""


AnyField = TunnelField | MessageField | ColumnField | EndField
