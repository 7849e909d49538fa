"""Reads a capture as the screen does, saves from it, and looks at what was saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capture.engine import Engine
from capture.facts import CLIENT, PROXY
from capture.frames import Source
from capture.keeping.store import PacketStore
from capture.options import AnalysisOptions
from capture.report.model import FlowReport
from capture.saving.flows import FlowSaver, SaveOptions
from capture.snapshot import Snapshot
from capture.sources import open_source
from capture.stream.assembly import assemble
from capture.stream.reading import StreamReader


@dataclass
class Loaded:
    """A capture that was read to its end."""

    source: Source
    snapshot: Snapshot
    store: PacketStore

    @property
    def flows(self) -> list[FlowReport]:
        return [*self.snapshot.report.flows, *self.snapshot.report.others]

    def saver(
        self, flows: list[FlowReport] | None = None, options: SaveOptions | None = None
    ) -> FlowSaver:
        return FlowSaver(
            self.snapshot.packets,
            self.flows if flows is None else flows,
            self.snapshot.facts,
            self.store,
            legs=self.snapshot.legs,
            source=self.source.info.path,
            interfaces=self.source.info.interfaces,
            options=options,
        )

    def save(
        self, path: Path, options: SaveOptions | None = None, flows: list[FlowReport] | None = None
    ) -> FlowSaver:
        """Save to a file; returns who did it."""
        saver = self.saver(flows, options)
        path.write_bytes(b"".join(saver.chunks()))
        return saver

    def frame(self, number: int) -> bytes:
        view = self.snapshot.packets
        row = view.row(number)
        assert row is not None
        return self.store.frame(int(view.rows["position"][row]), int(view.rows["caplen"][row]))

    def frames(self) -> list[bytes]:
        """All frames."""
        view = self.snapshot.packets
        return [self.frame(view.number(row)) for row in range(len(view))]

    def streams(self) -> bytes:
        """What both sides of all flows said, one after the other."""
        view = self.snapshot.packets
        said = b""
        for flow in self.flows:
            reader = StreamReader(
                self.frame, view, assemble(view, view.of_flow(flow.uid)), masked=False
            )
            for side in (CLIENT, PROXY):
                chunks = reader.raw(side, 0, reader.total(side))
                said += b"".join(chunk.data for chunk in chunks) + b"\n"
        return said


@contextmanager
def loaded(path: Path | str, *, keep_other: bool = False) -> Iterator[Loaded]:
    source = open_source(str(path), spool=True)
    engine = Engine(source, AnalysisOptions(keep_packets=True, keep_other=keep_other))
    engine.start()
    engine.join()
    snapshot = engine.latest()
    assert snapshot is not None
    assert not snapshot.error
    assert engine.store is not None
    try:
        yield Loaded(source, snapshot, engine.store)
    finally:
        engine.store.close()
