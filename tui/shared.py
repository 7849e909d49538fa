"""Files that come with the program: shell completion and the manual page."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["COMPLETIONS", "DIRECTORY", "completion"]

DIRECTORY: Final = Path(__file__).parent / "share"

COMPLETIONS: Final = {
    "bash": "bash-completion/completions/tunnelscope",
    "fish": "fish/vendor_completions.d/tunnelscope.fish",
    "zsh": "zsh/site-functions/_tunnelscope",
}
"""Where each shell looks below ``share``."""


def completion(shell: str) -> str:
    """The completion script for ``bash``, ``fish`` or ``zsh``."""
    return (DIRECTORY / COMPLETIONS[shell]).read_text(encoding="utf-8")
