"""``check`` with keys: what was said inside is in the report, the secrets are not."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from capture.check import check_file
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.report.render import render
from tests.capture.decrypt.build import CAPTURE, KEYS, NAMES, READABLE

OPENED = AnalysisOptions(tls_keylog=str(KEYS))


def checked(path: Path, options: AnalysisOptions) -> Report:
    report = check_file(str(path), options)
    assert isinstance(report, Report), report
    return report


def details(report: Report) -> dict[str, str]:
    """What the data step of each tunnel says."""
    steps = [next(step for step in flow.steps if step.name == "data") for flow in report.flows]
    return dict(zip(NAMES, (step.detail for step in steps), strict=True))


def test_the_reply_inside() -> None:
    found = details(checked(CAPTURE, OPENED))
    assert all(found[name].endswith(", 302 Found inside") for name in READABLE)
    assert "inside" not in found["13-rejected"]


def test_what_is_hidden_no_more_is_not_called_so() -> None:
    before, after = (checked(CAPTURE, options) for options in (AnalysisOptions(), OPENED))
    first = NAMES.index("13-chacha")
    assert any("encrypted" in note for note in before.flows[first].notes)
    assert not any("encrypted" in note for note in after.flows[first].notes)
    assert [flow.verdict for flow in after.flows] == [flow.verdict for flow in before.flows]


@pytest.mark.parametrize("format", ["text", "json", "ndjson", "html", "markdown", "csv", "mermaid"])
def test_no_format_tells_a_secret(format: str) -> None:
    text = "".join(render(format, iter([checked(CAPTURE, OPENED)]), many=False))
    for line in KEYS.read_text().splitlines()[1:]:
        assert line.split()[2] not in text
    assert "hunter" not in text
    assert "dXNlcj" not in text


def test_a_log_that_fits_nothing_changes_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "keys"
    empty.write_bytes(b"")
    other = replace(OPENED, tls_keylog=str(empty))
    assert checked(CAPTURE, other).flows == checked(CAPTURE, AnalysisOptions()).flows


def with_secrets(path: Path, order: str, *blocks: tuple[int, bytes]) -> Path:
    """The capture as pcapng, Decryption Secrets Blocks in front."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        size = struct.pack(f"{order}I", 12 + len(body))
        return struct.pack(f"{order}I", kind) + size + body + size

    data = CAPTURE.read_bytes()
    out = [block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))]
    out.append(block(1, struct.pack(f"{order}HHI", 1, 0, 0)))
    for kind, secrets in blocks:
        out.append(block(10, struct.pack(f"{order}II", kind, len(secrets)) + secrets))
    at = 24
    while at < len(data):
        seconds, micros, caplen, wirelen = struct.unpack_from("<IIII", data, at)
        stamp = seconds * 1_000_000 + micros
        head = struct.pack(f"{order}IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, caplen, wirelen)
        out.append(block(6, head + data[at + 16 : at + 16 + caplen]))
        at += 16 + caplen
    path.write_bytes(b"".join(out))
    return path


TLSK = 0x544C534B


@pytest.mark.parametrize("order", "<>")
def test_secrets_that_the_capture_carries(order: str, tmp_path: Path) -> None:
    lines = KEYS.read_bytes().splitlines(keepends=True)
    parts = b"".join(lines[:20]), b"".join(lines[20:])
    path = with_secrets(tmp_path / "own.pcapng", order, *((TLSK, part) for part in parts))
    found = details(checked(path, AnalysisOptions()))
    assert all(found[name].endswith(", 302 Found inside") for name in READABLE)


@pytest.mark.parametrize("block", [(0x57474B4C, KEYS.read_bytes()), (TLSK, b""), (TLSK, b"\xff")])
def test_blocks_of_other_secrets_or_none(block: tuple[int, bytes], tmp_path: Path) -> None:
    path = with_secrets(tmp_path / "own.pcapng", "<", block)
    assert "inside" not in "".join(details(checked(path, AnalysisOptions())).values())


def test_a_block_that_claims_more_than_it_has(tmp_path: Path) -> None:
    path = with_secrets(tmp_path / "own.pcapng", "<", (TLSK, KEYS.read_bytes()))
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<I", TLSK))
    data[at + 4 : at + 8] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    assert "inside" not in "".join(details(checked(path, AnalysisOptions())).values())


def test_a_capture_that_is_judged_as_it_comes() -> None:
    from capture.sources import open_source
    from capture.watching.check import check_live

    source = open_source(str(CAPTURE), spool=True)
    report = check_live(source, OPENED)
    assert source.store is not None
    source.store.close()
    assert sum(said.endswith("302 Found inside") for said in details(report).values()) == 15
