"""Opens a feed for the screen: source, engine and the bridge between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capture.decrypt.keys import TlsKeys
from tui.engine_bridge import EngineBridge
from tui.recent import remember

if TYPE_CHECKING:
    from capture.judging import Catalogue
    from capture.options import AnalysisOptions
    from tui.engine_bridge import EngineLike
    from tui.feeds import Feed, Opened
    from tui.names.naming import Naming

__all__ = ["Opener", "Setup", "open_bridge"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What every capture of this run is shown with."""

    options: AnalysisOptions
    catalogue: Catalogue | None
    """Texts of the rules; None: the built-in ones, read by the engine's thread."""
    period_s: float
    """Seconds between two snapshots."""


Opener = Callable[["Feed"], EngineBridge]
"""Opens a feed; raises ``FeedFailed``."""


def open_bridge(feed: Feed, setup: Setup) -> EngineBridge:
    """Open a feed; the engine is made, and reads, when the bridge is started.

    Raises:
        FeedFailed: It cannot be opened.
    """
    opened = feed.open()
    if feed.file:
        remember(feed.file)
    return EngineBridge(
        lambda: _make_engine(opened, setup),
        opened.source.progress,
        live=opened.live,
        close=opened.close,
        interfaces=lambda: opened.source.info.interfaces,
        naming=_naming() if setup.options.resolve else None,
        keys=TlsKeys(setup.options.tls_keylog, lambda: opened.source.info.tls_secrets),
    )


def _naming() -> Naming:
    from tui.names.naming import Naming
    from tui.names.resolver import Resolver

    return Naming(Resolver())


def _make_engine(opened: Opened, setup: Setup) -> EngineLike:
    from capture.engine import Engine

    engine: type[Engine] = Engine
    if not opened.live:
        from capture.replay.engine import ReplayEngine as engine
    return engine(
        opened.source,
        replace(setup.options, keep_packets=True),
        period_s=setup.period_s,
        catalogue=setup.catalogue,
    )
