"""The names ``--theme`` takes, and which theme fits a terminal that did not say."""

from __future__ import annotations

import os
from typing import Final

from textual.theme import BUILTIN_THEMES, Theme

__all__ = ["OWN_THEMES", "THEME_NAMES", "UnknownTheme", "choose_theme"]

# Textual's own dark and light, but for what is too faint on them: text on the cursor of the one,
# and nearly every colour on the grey of the other.
DARK: Final = Theme(
    name="dark",
    primary="#0178D4",
    secondary="#004578",
    accent="#FFA62B",
    success="#4EBF71",
    warning="#FFA62B",
    error="#E8607A",
    foreground="#E0E0E0",
    background="#121212",
    surface="#1E1E1E",
    dark=True,
    variables={
        "block-cursor-background": "#0A62AC",
    },
)
LIGHT: Final = Theme(
    name="light",
    primary="#0A5CA8",
    secondary="#3C5A78",
    accent="#0A5CA8",
    success="#12702F",
    warning="#8A5300",
    error="#B3123A",
    foreground="#16191D",
    background="#FFFFFF",
    surface="#F3F5F8",
    panel="#E6EBF0",
    dark=False,
    variables={
        "block-cursor-blurred-background": "#D6E5F3",
        "border-blurred": "#8A939C",
        "footer-key-foreground": "#0A5CA8",
        "text-muted": "#545D66",
    },
)
HIGH_CONTRAST: Final = Theme(
    name="high-contrast",
    primary="#00FFFF",
    secondary="#FFFFFF",
    accent="#FFFF00",
    warning="#FFD700",
    error="#FF6060",
    success="#00FF66",
    foreground="#FFFFFF",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    text_alpha=1.0,
    variables={
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#FFFF00",
        "block-cursor-blurred-background": "#444444",
        "footer-key-foreground": "#FFFF00",
        "border": "#FFFFFF",
        "border-blurred": "#AAAAAA",
        "text-muted": "#DDDDDD",
    },
)

# Blue for good, orange for bad, yellow between: told apart with each of the usual kinds of
# colour blindness (Paul Tol, "Colour schemes", vibrant and bright). Signs never rest on colour
# alone anyway.
COLOUR_BLIND_DARK: Final = Theme(
    name="colour-blind-dark",
    primary="#66CCEE",
    secondary="#4477AA",
    accent="#66CCEE",
    success="#66CCEE",
    warning="#E8D56C",
    error="#FF8C4A",
    foreground="#E6E6E6",
    background="#101418",
    surface="#171C22",
    panel="#1F262E",
    dark=True,
    variables={"block-cursor-blurred-background": "#1D3340"},
)
COLOUR_BLIND_LIGHT: Final = Theme(
    name="colour-blind-light",
    primary="#00588F",
    secondary="#33668F",
    accent="#00588F",
    success="#00588F",
    warning="#6B5500",
    error="#B23A00",
    foreground="#14181C",
    background="#FFFFFF",
    surface="#F4F6F8",
    panel="#E6EBF0",
    dark=False,
    variables={"block-cursor-blurred-background": "#D3E3EE", "text-muted": "#4F575E"},
)
OWN_THEMES: Final = (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND_DARK, COLOUR_BLIND_LIGHT)
"""Those that Textual does not have."""

_SHORT: Final = {
    "ansi": "ansi-dark",
    "contrast": "high-contrast",
    "colour-blind": "colour-blind-dark",
    "color-blind": "colour-blind-dark",
}
THEME_NAMES: Final = (*(theme.name for theme in OWN_THEMES), *_SHORT, *BUILTIN_THEMES)
"""What ``--theme`` understands."""

LIGHT_BACKGROUNDS: Final = ("7", "15")
"""Background colours in $COLORFGBG (rxvt's convention) that are light."""


class UnknownTheme(Exception):
    """``--theme`` named none that exists. ``str()`` is one line with near matches."""


def choose_theme(name: str | None) -> str:
    """Turn what the user asked for, or did not, into a theme's name.

    Args:
        name: Value of ``--theme``; None to go by the terminal.

    Raises:
        UnknownTheme: There is no such theme.
    """
    if name is not None:
        name = _SHORT.get(name, name)
        if name not in THEME_NAMES:
            raise UnknownTheme(_explain(name))
        return name
    preset = os.environ.get("TEXTUAL_THEME", "")
    if preset in THEME_NAMES:
        return _SHORT.get(preset, preset)
    light = os.environ.get("COLORFGBG", "").rpartition(";")[2] in LIGHT_BACKGROUNDS
    if "NO_COLOR" in os.environ or not _many_colours():
        # The terminal's own sixteen: whatever its owner made of them is readable to them.
        return "ansi-light" if light else "ansi-dark"
    return LIGHT.name if light else DARK.name


def _many_colours() -> bool:
    """Whether the terminal claims 256 colours or more."""
    term = os.environ.get("TERM", "")
    return "COLORTERM" in os.environ or any(
        word in term for word in ("256", "direct", "kitty", "alacritty", "ghostty", "wezterm")
    )


def _explain(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, THEME_NAMES, n=3, cutoff=0.4)
    hint = (
        f"did you mean {', '.join(near)}?"
        if near
        else f"try {', '.join(THEME_NAMES[: len(OWN_THEMES)])}"
    )
    return f"no theme {name!r}: {hint}"
