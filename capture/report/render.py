"""The formats by name; each renderer is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.report.model import Report

FORMATS: Final = ("text", "json", "ndjson", "markdown", "html", "csv", "mermaid")


def render(
    format: str, reports: Iterable[Report], *, many: bool = False, others: bool = False
) -> Iterator[str]:
    """Yield the report in pieces, as soon as each can be written.

    Args:
        format: One of ``FORMATS``.
        reports: One report a file, taken one by one.
        many: Several files were asked for (JSON becomes an array, CSV gets a file column).
        others: List the flows that are not to a proxy, too.

    Raises:
        ValueError: Unknown format.
    """
    if format == "text":
        from capture.report.to_text import text_chunks

        return text_chunks(reports, many=many, others=others)
    if format == "json":
        from capture.report.to_json import json_chunks

        return json_chunks(reports, many=many, others=others)
    if format == "ndjson":
        from capture.report.to_json import ndjson_chunks

        return ndjson_chunks(reports, others=others)
    if format == "csv":
        from capture.report.to_csv import csv_chunks

        return csv_chunks(reports, many=many, others=others)
    if format == "markdown":
        from capture.report.to_markdown import markdown_chunks

        return markdown_chunks(reports, many=many, others=others)
    if format == "html":
        from capture.report.to_html import html_chunks

        return html_chunks(reports, many=many, others=others)
    if format == "mermaid":
        from capture.report.to_mermaid import mermaid_chunks

        return mermaid_chunks(reports, many=many, others=others)
    raise ValueError(f"unknown format: {format}")


def needs_steps(format: str) -> bool:
    """Whether ``format`` shows the steps of flows without a finding, too."""
    return format in ("json", "ndjson", "mermaid")


def needs_texts(format: str) -> bool:
    """Whether ``format`` shows more of a finding than its rule."""
    return format != "csv"
