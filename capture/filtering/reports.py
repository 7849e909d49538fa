"""A report of those flows alone that a display filter lets through (``check -Y``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from capture.facts import FlowFacts
from capture.filtering.compiler import compile_filter
from capture.filtering.selecting import Material
from capture.packets.index import EMPTY, PacketView
from capture.report.model import FlowReport, Report

__all__ = ["narrowed"]


def narrowed(
    report: Report, facts: Mapping[int, FlowFacts], packets: PacketView | None, text: str
) -> Report:
    """Leave out the flows that do not match, and with them what they were found to have.

    Findings about the capture as a whole stay: they are about no flow. Flows that are not to
    a proxy (``--all``) were not looked at closely: only own fields know them.

    Args:
        report: Of all flows.
        facts: By uid, of the flows to a proxy.
        packets: The packet index; None where packets were not kept.
        text: The filter.

    Raises:
        FilterError: It cannot be understood.
    """
    compiled = compile_filter(text)

    def chosen(flows: tuple[FlowReport, ...], known: Mapping[int, FlowFacts],
               view: PacketView) -> tuple[FlowReport, ...]:  # fmt: skip
        selection = compiled.select(Material(flows, known, view, first_ns=report.source.first_ns))
        return tuple(flows[place] for place in selection.tunnels.nonzero()[0].tolist())

    return replace(
        report,
        flows=chosen(tuple(report.flows), facts, packets or EMPTY),
        others=chosen(report.others, {}, EMPTY),
        made=None,
        table=None,
    )
