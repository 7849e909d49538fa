from __future__ import annotations

import platform
import random
import re
from pathlib import Path

import pytest

from capture.report.model import FlowReport
from capture.saving.flows import CannotSave, Format, SaveOptions
from tests.capture.saving.loading import Loaded, loaded
from tests.capture.sources.building import CAPTURES, read
from tests.capture.writing.building import needs_tshark, tshark_fields

EVERY = sorted(
    path.name for path in CAPTURES.iterdir() if path.suffix in (".pcap", ".pcapng", ".txt")
)
PLAIN = SaveOptions(redact=False)
DENIED = "02a_squid_acl_deny.pcap"
PASSWORD = "05b_basic_wrong_password.pcap"


def wanted_frames(capture: Loaded, flows: list[FlowReport]) -> list[bytes]:
    """The frames of some flows, of the proxy's own connections for them, and those that their
    findings name, picked by hand."""
    view = capture.snapshot.packets
    legs = [leg.facts for flow in flows for leg in capture.snapshot.legs.get(flow.uid, ())]
    evidence = {n for flow in flows for item in flow.findings for n in item.packets}
    known = [capture.snapshot.facts[f.uid] for f in flows if f.uid in capture.snapshot.facts]
    evidence |= {error.number for facts in (*known, *legs) for error in facts.icmp}
    uids = {flow.uid for flow in flows} | {facts.id for facts in legs}
    numbers = [
        view.number(row)
        for row in range(len(view))
        if int(view.rows["flow"][row]) in uids or view.number(row) in evidence
    ]
    return [capture.frame(number) for number in numbers]


@pytest.mark.parametrize("name", EVERY)
def test_every_packet_of_every_tunnel(tmp_path: Path, name: str) -> None:
    """Saved as they are, packet by packet, and judged again as before."""
    with loaded(CAPTURES / name) as capture:
        flows = capture.flows
        if not flows:
            return
        saver = capture.save(tmp_path / "saved", PLAIN)
        frames, info = read(tmp_path / "saved")
        expected = wanted_frames(capture, flows)
        assert [frame.data for frame in frames] == expected
        assert (saver.packets, saver.gone, saver.changed) == (len(expected), 0, 0)
        assert saver.part == 1
        assert not info.warnings
        with loaded(tmp_path / "saved") as again:
            verdicts = [(flow.verdict, flow.target, flow.status) for flow in again.flows]
        if name.endswith("pcap"):
            assert verdicts == [(flow.verdict, flow.target, flow.status) for flow in flows]


@pytest.mark.parametrize("name", EVERY)
def test_made_up_addresses_make_no_difference(tmp_path: Path, name: str) -> None:
    """The same lengths and times, the same verdicts; no address and no name of before."""
    with loaded(CAPTURES / name) as capture:
        flows = capture.flows
        if not flows:
            return
        capture.save(tmp_path / "saved", SaveOptions(anonymize=True))
        frames, _ = read(tmp_path / "saved")
        assert [len(frame.data) for frame in frames] == [
            len(data) for data in wanted_frames(capture, flows)
        ]
        names = {(flow.target or "").rpartition(":")[0] for flow in flows}
        names |= {flow.tls.sni or "" for flow in flows if flow.tls is not None}
        names |= {flow.client.rpartition(":")[0] for flow in flows}
        written = (tmp_path / "saved").read_bytes()
        assert [word for word in names if "." in word and word.encode() in written] == []
        with loaded(tmp_path / "saved") as again:
            if name.endswith("pcap"):
                assert [(f.verdict, f.status) for f in again.flows] == [
                    (f.verdict, f.status) for f in flows
                ]


def test_one_of_many_and_its_comments(tmp_path: Path) -> None:
    with loaded(CAPTURES / DENIED) as capture:
        (flow,) = [flow for flow in capture.flows if flow.failing][:1]
        saver = capture.save(tmp_path / "saved", flows=[flow])
        frames, info = read(tmp_path / "saved")
        assert saver.packets == len(frames) == flow.packets
        about, *comments = info.comments
    assert about.startswith("1 tunnel saved by tunnelscope")
    assert "credentials are covered by *" in about
    title = flow.findings[0].title
    assert all(re.match(rf"packet \d+: tunnelscope: {title}: ", text) for text in comments)
    assert comments
    # Numbers are those of the new file.
    mentioned = {int(number) for text in comments for number in re.findall(r"#(\d+)", text)}
    assert mentioned <= set(range(1, len(frames) + 1))


def test_proxies_name_themselves(tmp_path: Path) -> None:
    """A name without a dot is known from the field that it stands in; a product is no name."""
    data = (CAPTURES / DENIED).read_bytes()
    (via,) = set(re.findall(rb"Via: 1\.1 ([\w.-]+) \(squid", data))
    (tmp_path / "short.pcap").write_bytes(data.replace(via, b"n" * len(via)))
    with loaded(tmp_path / "short.pcap") as capture:
        capture.save(tmp_path / "saved", SaveOptions(anonymize=True))
    saved = (tmp_path / "saved").read_bytes()
    assert b"n" * len(via) not in saved
    assert b"squid/" in saved
    with loaded(CAPTURES / "02c_tinyproxy_filter.pcap") as capture:
        capture.save(tmp_path / "tiny", SaveOptions(anonymize=True))
    assert b"tinyproxy" in (tmp_path / "tiny").read_bytes()


def test_the_second_leg_comes_along(tmp_path: Path) -> None:
    """The proxy's own connection for a tunnel is saved with it; what else passed is not."""
    with loaded(CAPTURES / "01z_on_proxy_both_legs.pcap") as capture:
        (flow,) = capture.snapshot.report.flows
        (leg,) = capture.snapshot.legs[flow.uid]
        capture.save(tmp_path / "saved", PLAIN, [flow])
        uids = capture.snapshot.packets.rows["flow"]
        numbers = [
            capture.snapshot.packets.number(row)
            for row in range(len(uids))
            if int(uids[row]) in (flow.uid, leg.facts.id)
        ]
        assert len(numbers) > flow.packets
        frames, _ = read(tmp_path / "saved")
        assert [frame.data for frame in frames] == [capture.frame(number) for number in numbers]
    with loaded(tmp_path / "saved") as again:
        (flow,) = again.snapshot.report.flows
        assert [found.certain for found in again.snapshot.legs[flow.uid]] == [leg.certain]


def test_made_up_names_hold_in_the_second_leg(tmp_path: Path) -> None:
    """Both legs speak of one server by one made-up name, and neither by its own."""
    with loaded(CAPTURES / "01z_on_proxy_both_legs.pcap") as capture:
        (flow,) = capture.snapshot.report.flows
        capture.save(tmp_path / "saved", SaveOptions(anonymize=True), [flow])
    data = (tmp_path / "saved").read_bytes()
    assert b"cisco" not in data
    assert platform.release().encode() not in data, "it tells nothing of this machine"
    with loaded(tmp_path / "saved") as again:
        (flow,) = again.snapshot.report.flows
        (leg,) = again.snapshot.legs[flow.uid]
        assert flow.target == f"{flow.tls.sni if flow.tls else ''}:443"
        assert leg.certain


def test_without_comments(tmp_path: Path) -> None:
    with loaded(CAPTURES / DENIED) as capture:
        capture.save(tmp_path / "saved", SaveOptions(comments=False))
    assert len(read(tmp_path / "saved")[1].comments) == 1


def test_credentials_are_covered_unless_they_are_to_be_kept(tmp_path: Path) -> None:
    with loaded(CAPTURES / PASSWORD) as capture:
        (secret,) = set(re.findall(rb"Basic (\w{8,}=*)", capture.streams()))
        saver = capture.save(tmp_path / "saved")
        assert saver.changed == 1
        assert secret not in (tmp_path / "saved").read_bytes()
        old, new = wanted_frames(capture, capture.flows), read(tmp_path / "saved")[0]
        changed = [(a, b.data) for a, b in zip(old, new, strict=True) if a != b.data]
        ((before, after),) = changed
        assert after[54:].replace(b"*" * len(secret), secret) == before[54:]
        capture.save(tmp_path / "kept", PLAIN)
        assert secret in (tmp_path / "kept").read_bytes()


@pytest.mark.parametrize("name", [DENIED, "01f_success_ipv6_proxy.pcap", PASSWORD])
def test_pcap(tmp_path: Path, name: str) -> None:
    with loaded(CAPTURES / name) as capture:
        capture.save(tmp_path / "saved", SaveOptions(format=Format.PCAP, redact=False))
        frames, info = read(tmp_path / "saved")
        assert info.format == "pcap"
        assert [frame.data for frame in frames] == wanted_frames(capture, capture.flows)
        times = capture.snapshot.packets.rows["time_ns"].tolist()
        assert {frame.time_ns for frame in frames} <= set(times)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with loaded(CAPTURES / DENIED) as capture, pytest.raises(CannotSave, match="no packet"):
        capture.saver(flows=[])


def test_packets_that_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    data = (CAPTURES / DENIED).read_bytes()
    path.write_bytes(data)
    with loaded(path) as capture:
        with path.open("r+b") as file:
            file.truncate(len(data) // 2)
        saver = capture.save(tmp_path / "saved")
    frames, _ = read(tmp_path / "saved")
    assert 0 < saver.packets == len(frames)
    assert saver.gone > 0
    assert saver.part == 1


def test_giving_up(tmp_path: Path) -> None:
    with loaded(CAPTURES / DENIED) as capture:
        saver = capture.saver()
        chunks = saver.chunks()
        next(chunks)
        assert 0 < saver.part < 1
        chunks.close()
        assert saver.packets == 0


@needs_tshark
@pytest.mark.parametrize(
    ("name", "anonymize"),
    [
        (PASSWORD, False),
        ("01f_success_ipv6_proxy.pcap", True),
        ("01l_success_any_sll2.pcap", True),
        ("06d_proxy_admin_prohibited_icmp.pcap", True),
        ("12c2_mitmproxy_untrusted_tls12.pcap", True),
        ("13d_socks5_to_http_proxy.pcap", False),
        ("document_acl.txt", True),
    ],
)
def test_tshark_sees_the_same(tmp_path: Path, name: str, anonymize: bool) -> None:
    """As many packets, the same flags and lengths, and no checksum that became wrong."""
    with loaded(CAPTURES / name) as capture:
        capture.save(tmp_path / "plain", PLAIN)
        capture.save(tmp_path / "saved", SaveOptions(anonymize=anonymize))
    fields = (
        "frame.time_epoch", "frame.len", "ip.checksum.status", "tcp.checksum.status",
        "udp.checksum.status", "icmp.checksum.status", "icmpv6.checksum.status", "tcp.flags",
        "tcp.len", "http.response.code", "http.request.method", "tls.handshake.type",
    )  # fmt: skip
    options = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
               "-o", "udp.check_checksum:TRUE")  # fmt: skip
    plain = tshark_fields(tmp_path / "plain", *fields, options=options)
    assert tshark_fields(tmp_path / "saved", *fields, options=options) == plain


@pytest.mark.parametrize("seed", range(12))
def test_damaged_captures(tmp_path: Path, seed: int) -> None:
    """Whatever the bytes are: no frame changes its length, and none is lost."""
    chance = random.Random(seed)
    name = chance.choice([name for name in EVERY if not name.endswith(".txt")])
    data = bytearray((CAPTURES / name).read_bytes())
    for _ in range(chance.randint(1, 200)):
        data[chance.randrange(60, len(data))] = chance.randrange(256)
    path = tmp_path / "damaged"
    path.write_bytes(data)
    with loaded(path, keep_other=True) as capture:
        flows = capture.flows
        if not flows:
            return
        expected = [len(frame) for frame in wanted_frames(capture, flows)]
        for options in (SaveOptions(), SaveOptions(anonymize=True)):
            saver = capture.save(tmp_path / "saved", options)
            frames, _ = read(tmp_path / "saved")
            assert [len(frame.data) for frame in frames] == expected
            assert saver.packets == len(expected)
