"""The readable outputs and the contract, compared to the letter.

To accept a wanted change: ``python -m tests.capture.report.test_golden``, then read the diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.report.render import render
from tests.capture.report.data import mixed

GOLDEN = Path(__file__).parents[2] / "golden"
FILES = {
    "text": "mixed.txt",
    "json": "mixed.json",
    "ndjson": "mixed.ndjson",
    "csv": "mixed.csv",
    "markdown": "mixed.md",
    "html": "mixed.html",
    "mermaid": "mixed.mmd",
}


def rendered(format: str) -> str:
    # The version is no part of what is compared.
    from capture import __version__

    return "".join(render(format, [mixed()])).replace(__version__, "VERSION")


@pytest.mark.parametrize("format", FILES)
def test_output_is_as_accepted(format: str) -> None:
    assert rendered(format) == (GOLDEN / FILES[format]).read_text(encoding="utf-8")


if __name__ == "__main__":
    for name, file in FILES.items():
        (GOLDEN / file).write_text(rendered(name), encoding="utf-8")
