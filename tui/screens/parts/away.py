"""Taking it away: saving tunnels, exporting reports, copying."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, ClassVar, Final, cast

from textual.binding import Binding, BindingType

from capture.report.model import FlowReport
from capture.report.prose import needs_block
from capture.report.rungs import Rung, rungs_of_ladder
from capture.snapshot import Snapshot
from capture.timeline.ladder import build_ladder
from capture.units import plural
from tui.config import Config
from tui.keys.bindings import AWAY
from tui.screens.parts.base import MainPart

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore
    from capture.saving.flows import Format
    from tui.screens.write_file import Choice, Option

COPY_LIMIT: Final = 64_000
"""Characters copied at most: terminals refuse longer OSC 52 sequences (xterm: 1 MB in base64,
tmux and others less)."""

CHOSEN: Final = frozenset({"selected", "marked"})
"""Scopes of tunnels that the user picked: each is shown in full, whatever became of it."""

LADDERS: Final = 200
"""Whole ladders drawn in one export, each of which is built from packets; the other flows get
the ladder of their steps."""


class AwayPart(MainPart):
    """Taking it away: saving tunnels, exporting reports, copying."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save", id="main.save", group=AWAY,
                tooltip="Save the packets of tunnels as a capture"),
        Binding("e", "export", "Export", id="main.export", group=AWAY,
                tooltip="Write a report to a file"),
        Binding("Y", "copy_menu", "Copy…", show=False, id="main.copy-menu", group=AWAY,
                tooltip="Copy a filter, a finding, a command"),
    ]  # fmt: skip

    # Copying

    def copy_text(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52), so that it works over SSH, and say so."""
        self.app.copy_to_clipboard(text[:COPY_LIMIT])
        self.tell(f"copied: {what}")

    def action_copy_menu(self) -> None:
        from tui.screens.copy import CopyScreen

        texts = self._copyable()
        if not texts:
            self.tell("no tunnel is selected")
            return

        def chosen(text: str | None) -> None:
            if text is not None:
                self.copy_text(text, text.partition("\n")[0])

        ascii_only = self.app.has_class("-ascii")
        self.app.push_screen(CopyScreen(texts, ascii_only=ascii_only), chosen)

    def repeating(self) -> str:
        """The command that asks once more for what the selected tunnel asked for; may be empty."""
        from capture.report.export import repeat_command

        flow = self._tunnels.selected
        return (repeat_command(flow) or "") if flow is not None else ""

    def _copyable(self) -> list[tuple[str, str]]:
        from capture.report.export import capture_filter, display_filter, finding_text
        from capture.report.to_mermaid import diagram

        flow = self._tunnels.selected
        if flow is None:
            return []
        names = self._snapshot.report.names if self._snapshot is not None else {}
        commands = dict.fromkeys((*self._issue.commands(), self.repeating()))
        texts = [("command", command) for command in commands if command]
        texts += [
            ("finding", finding_text(flow, names)),
            ("display filter", display_filter(flow)),
            ("capture filter", capture_filter(flow)),
            ("client", flow.client),
            ("proxy", flow.proxy),
        ]
        if flow.target:
            texts.append(("target", flow.target))
        rungs = self._rungs(self._snapshot, [flow]).get(flow.uid) if self._snapshot else None
        if rungs:
            texts.append(("ladder", diagram(flow, rungs, names)))
        return texts

    # Captures

    def action_save(self) -> None:
        from tui.screens.write_file import Option

        looks = self._looks()
        self._ask_where(
            "Save packets",
            suffix=".pcapng",
            hint=".pcapng (findings become packet comments) or .pcap",
            writing=self._saving,
            options=(
                Option("redact", "cover credentials", on=looks.redact),
                Option("anonymize", "make up addresses and names", on=looks.anonymize),
            ),
        )

    def _ask_where(
        self,
        title: str,
        *,
        suffix: str,
        hint: str,
        writing: Callable[[Snapshot], Callable[..., str]],
        options: Sequence[Option] = (),
    ) -> None:
        """Open the dialog that writes tunnels, unless there are none."""
        from tui.screens.write_file import WriteScreen

        snapshot = self._snapshot
        if snapshot is None or not snapshot.report.flows:
            self.tell("no tunnel to write")
            return
        scopes = self.scopes()
        self.app.push_screen(
            WriteScreen(
                title,
                path=f"{scopes[0].stem}{suffix}",
                hint=hint,
                writing=writing(snapshot),
                scopes=scopes,
                options=options,
                ascii_only=self.app.has_class("-ascii"),
            ),
            self._written,
        )

    def _looks(self) -> Config:
        looks = getattr(self.app, "looks", None)
        return looks if isinstance(looks, Config) else Config()

    def _saving(self, snapshot: Snapshot) -> Callable[..., str]:
        """What writes the packets, in a thread, of what is shown now."""
        flows = {option.name: self.scoped(option.name) for option in self.scopes()}
        store, interfaces = self._bridge.store, self._bridge.interfaces()
        spared = self._bridge.files()

        def write(choice: Choice, told: Callable[[float], None], given_up: Event) -> str:
            from capture.saving.flows import CannotSave, FlowSaver, SaveOptions
            from tui.writing import CannotWrite, write_whole

            if store is None:
                raise CannotWrite("the packets' bytes are not kept")
            options = SaveOptions(
                format_of_capture(choice.path),
                redact="redact" in choice.options,
                anonymize="anonymize" in choice.options,
            )

            def chunks(saver: FlowSaver) -> Iterator[bytes]:
                for chunk in saver.chunks():
                    if given_up.is_set():
                        raise CannotWrite("given up")
                    told(saver.part)
                    yield chunk

            try:
                saver = FlowSaver(
                    snapshot.packets,
                    flows[choice.scope],
                    snapshot.facts,
                    cast("PacketStore", store),
                    legs=snapshot.legs,
                    source=snapshot.report.source.path,
                    interfaces=interfaces,
                    options=options,
                )
                size = write_whole(
                    choice.path, chunks(saver), replace=choice.replace, spared=spared
                )
            except CannotSave as error:
                raise CannotWrite(str(error)) from None
            said = f"saved {choice.path}: {plural(saver.packets, 'packet')}, {size:,} bytes"
            if saver.gone:
                said += f"; {plural(saver.gone, 'packet')} could not be had any more"
            return said

        return write

    # Reports

    def action_export(self) -> None:
        self._ask_where(
            "Export a report",
            suffix=".md",
            hint=".md .html .txt .json .csv .mmd (Mermaid ladder)",
            writing=self._exporting,
        )

    def _written(self, said: str | None) -> None:
        if said is not None:
            self.tell(said)

    def scopes(self) -> list[Option]:
        """Which tunnels can be meant; the first that exists is chosen."""
        from tui.screens.write_file import Option

        found = []
        flow, marked = self._tunnels.selected, self.marked()
        if marked:
            found.append(("marked", f"the {len(marked)} marked", f"{len(marked)}-marked-tunnels"))
        if flow is not None:
            found.append(("selected", f"tunnel {flow.id}", f"tunnel-{flow.id}-{flow.verdict}"))
        shown, every = sum(1 for _ in self._tunnels.order), len(self._snapshot_flows())
        if shown != every:
            found.append(("shown", f"the {shown:,} shown", f"{shown}-tunnels"))
        if every > 1 or not found:
            found.append(("all", f"all {plural(every, 'tunnel')}", "all-tunnels"))
        return [
            Option(name, label, on=at == 0, stem=stem)
            for at, (name, label, stem) in enumerate(found)
        ]

    def _snapshot_flows(self) -> Sequence[FlowReport]:
        return self._snapshot.report.flows if self._snapshot is not None else ()

    def marked(self) -> Sequence[FlowReport]:
        """The marked tunnels, in their order."""
        uids = self._tunnels.marked
        return [flow for flow in self._snapshot_flows() if flow.uid in uids]

    def scoped(self, scope: str) -> Sequence[FlowReport]:
        """The tunnels that a scope means."""
        if scope == "marked":
            return self.marked()
        if scope == "selected":
            flow = self._tunnels.selected
            return [flow] if flow is not None else []
        if scope == "shown":
            return list(self._tunnels.order)
        return self._snapshot_flows()

    def _exporting(self, snapshot: Snapshot) -> Callable[..., str]:
        """What writes the report, in a thread, of what is shown now."""
        flows = {option.name: self.scoped(option.name) for option in self.scopes()}
        spared = self._bridge.files()

        def write(choice: Choice, told: Callable[[float], None], given_up: Event) -> str:
            from capture.report.export import SUFFIXES, export_chunks, format_of, of_flows
            from tui.writing import CannotWrite, write_whole

            format = format_of(choice.path)
            if format is None:
                raise CannotWrite(f"end the name with one of {' '.join(sorted(SUFFIXES))}")
            wanted = flows[choice.scope]
            report = of_flows(snapshot.report, {flow.uid for flow in wanted})
            drawn = wanted if format in ("html", "mermaid") else ()
            if format == "html" and choice.scope not in CHOSEN:
                drawn = [flow for flow in wanted if needs_block(flow)]
            ladders = self._rungs(snapshot, drawn)
            chunks = export_chunks(format, report, ladders)
            size = write_whole(choice.path, chunks, replace=choice.replace, spared=spared)
            tunnels = plural(len(report.flows), "tunnel")
            return f"written {choice.path}: {tunnels}, {size:,} bytes"

        return write

    def _rungs(
        self, snapshot: Snapshot, flows: Sequence[FlowReport]
    ) -> Mapping[int, Sequence[Rung]]:
        """Ladders by uid, of the flows whose facts are at hand, with what keys open of them."""
        drawn: dict[int, Sequence[Rung]] = {}
        for flow in flows[:LADDERS]:
            facts = snapshot.facts.get(flow.uid)
            if facts is not None:
                rows = snapshot.packets.of_flow(flow.uid)
                legs = snapshot.legs.get(flow.uid, ())
                _, inner = self._bridge.opened(flow, snapshot.packets, rows)
                lines = build_ladder(flow, facts, snapshot.packets, rows, legs, inner)
                drawn[flow.uid] = rungs_of_ladder(lines, flow.start_ns)
        return drawn


def format_of_capture(path: str) -> Format:
    """The format that a file's name asks for.

    Raises:
        CannotWrite: It asks for none.
    """
    from capture.saving.flows import Format
    from tui.writing import CannotWrite

    for suffix, format in ((".pcapng", Format.PCAPNG), (".pcap", Format.PCAP)):
        if path.lower().endswith(suffix):
            return format
    raise CannotWrite("end the name with .pcapng or .pcap")
