from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.capture.live.namespaces import Wire


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    """Namespaces take a second to go: one wire serves all tests of a module."""
    joined = Wire()
    try:
        joined.make()
        yield joined
    finally:
        joined.remove()
