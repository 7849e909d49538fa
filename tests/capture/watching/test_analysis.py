"""Live judging: scenarios as data, and what holds whatever comes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.analysis import Analysis
from capture.frames import FrameBlock
from capture.options import AnalysisOptions
from capture.report.model import FlowReport, Report, StepState
from capture.report.waiting import waiting
from capture.sources import open_source
from capture.watching.analysis import LiveAnalysis
from tests.capture.decode.building import Frame, block_of
from tests.capture.decode.test_fragments import pieces
from tests.capture.live_feed import CATALOGUE, Watch, only, rules, together
from tests.capture.tracking.building import HANDSHAKE, START_NS, captures, story

WHOLE = AnalysisOptions(keep_packets=True)
SILENT = "0 c S 0 0 mss=1460"
REFUSED = SILENT + "\n1 p RA 0 1"
ASKED = (
    HANDSHAKE
    + """
21   c PA 1 1 x=CONNECT_a.example:443_HTTP/1.1~Host:_a.example:443~~
40   p A  1 54
"""
)


def opened(ms: float) -> str:
    """The CONNECT of ``ASKED`` is answered at that time."""
    return f"{ms} p PA 1 54 x=HTTP/1.1_200_Connection_established~~\n"


def denied(ms: float) -> str:
    return f"{ms} p PA 1 54 x=HTTP/1.1_403_Forbidden~Content-Length:_0~~\n"


def used(ms: float) -> str:
    """SSH in the tunnel, and an end in order."""
    return f"""
{ms + 1} c PA 54 40 x=SSH-2.0-client~
{ms + 2} p PA 40 70 x=SSH-2.0-server~
{ms + 3} c FA 70 56
{ms + 4} p FA 56 71
{ms + 5} c A  71 57
"""


HEALTHY = ASKED + opened(60) + used(60)


@pytest.mark.parametrize(
    ("text", "threshold_ms", "before", "after"),
    [
        (SILENT, 3_000, ("ok", []), ("proxy_unreachable", ["tcp-no-answer"])),
        (ASKED, 5_021, ("ok", []), ("connect_no_reply", ["connect-hang"])),
        (
            ASKED,
            20_021,
            ("connect_no_reply", ["connect-hang"]),
            ("connect_no_reply", ["connect-hang"]),
        ),
        (
            HANDSHAKE + "30 c PA 1 1 b=1603010020\n50 p A 1 6",
            3_030,
            ("ok", []),
            ("connect_no_reply", ["tls-to-silent-proxy"]),
        ),
        (
            ASKED + opened(60) + "70 c PA 54 40 x=SSH-2.0-client~\n90 p A 40 70",
            5_070,
            ("ok", []),
            ("transfer_stalled", ["tunnel-no-answer"]),
        ),
    ],
    ids=["syn", "connect", "connect for long", "TLS instead of a request", "tunnel"],
)
def test_absence_is_judged_when_the_clock_passes_the_threshold(
    text: str,
    threshold_ms: float,
    before: tuple[str, list[str]],
    after: tuple[str, list[str]],
) -> None:
    watch = Watch(together(text))
    assert only(watch.at(500)).findings == ()
    early = only(watch.at(threshold_ms - 1))
    assert (early.verdict, rules(early)) == before
    late = only(watch.at(threshold_ms))
    assert (late.verdict, rules(late)) == after
    assert only(watch.end()).findings == late.findings


def test_a_reply_that_comes_late_replaces_what_its_absence_meant() -> None:
    watch = Watch(together(ASKED + opened(25_000) + used(25_000)))
    assert [f.severity for f in only(watch.at(6_000)).findings] == ["warning"]
    assert [f.severity for f in only(watch.at(21_000)).findings] == ["problem"]
    late = only(watch.at(25_001))
    assert late.verdict == "ok"
    assert rules(late) == ["connect-slow"]
    assert late.status == 200
    assert only(watch.end()).verdict == "ok"


def test_a_step_that_is_awaited_is_pending_with_its_age() -> None:
    watch = Watch(together(ASKED + opened(3_000)))
    flow = only(watch.at(2_000))
    states = {step.name: step.state for step in flow.steps}
    assert states["ack"] is states["connect"] is StepState.DONE
    assert states["response"] is states["client_hello"] is StepState.PENDING
    found = waiting(flow)
    assert found is not None
    assert found.step == "response"
    assert found.seconds(START_NS + 2_021_000_000) == 2.0
    assert only(watch.at(2_900)) is flow  # time alone makes no new report
    later = waiting(only(watch.at(3_100)))
    assert later is not None
    assert later.step == "client_hello"


def test_what_is_over_waits_for_nothing() -> None:
    assert waiting(only(Watch(together(HEALTHY)).at(500))) is None
    assert waiting(only(Watch(together(REFUSED)).at(500))) is None


def test_unchanged_flows_are_the_same_objects() -> None:
    watch = Watch(together(HEALTHY, ASKED + denied(50), ASKED + opened(1_000)))
    first = watch.at(500).flows
    second = watch.at(900).flows
    assert all(a is b for a, b in zip(first, second, strict=True))
    third = watch.at(1_100).flows
    assert [a is b for a, b in zip(first, third, strict=True)] == [True, True, False]
    assert third[2].rev == first[2].rev + 1
    assert watch.analysis.facts()[third[2].uid].tunnel is not None


def test_a_flow_keeps_its_number_when_earlier_ones_are_listed_after_it() -> None:
    """Whether the first flow goes to a proxy shows when the second one proves its port."""
    early = REFUSED.replace("0 c", "0 c", 1)
    frames = story(early, port=40001).frames
    for frame in frames:  # to a port that no list of proxies names
        frame.data = frame.data.replace((3128).to_bytes(2, "big"), (9999).to_bytes(2, "big"))
    proof = story(ASKED.replace("0    c S", "5    c S") + opened(60), port=40002).frames
    for frame in proof:
        frame.data = frame.data.replace((3128).to_bytes(2, "big"), (9999).to_bytes(2, "big"))
    watch = Watch(sorted([*frames, *proof], key=lambda frame: frame.time_ns))
    assert watch.at(10).flows == ()
    numbers = {flow.client: flow.id for flow in watch.at(500).flows}
    assert set(numbers) == {"10.40.40.1:40001", "10.40.40.1:40002"}
    last = watch.end()
    assert {flow.client: flow.id for flow in last.flows} == numbers


def test_what_is_learned_of_a_proxy_lists_flows_seen_before() -> None:
    port = (9999).to_bytes(2, "big")
    frames = [*story(REFUSED, port=40001).frames, *story(ASKED + opened(900), port=40002).frames]
    for frame in frames:
        frame.data = frame.data.replace((3128).to_bytes(2, "big"), port)
    watch = Watch(sorted(frames, key=lambda frame: frame.time_ns))
    assert watch.at(0.5).flows == ()
    assert [flow.verdict for flow in watch.at(1_000).flows] == ["proxy_refused", "ok"]


def test_flows_shed_light_on_each_other_before_the_end() -> None:
    """A 407 whose request came again on another connection is no problem of the flow."""
    challenge = (
        "50 p PA 1 54 x=HTTP/1.1_407_Auth~Proxy-Authenticate:_Basic~Content-Length:_0~~\n"
        "51 p FA 68 54\n52 c FA 54 69"
    )
    retry = HANDSHAKE + (
        "21 c PA 1 1 x=CONNECT_a.example:443_HTTP/1.1~Proxy-Authorization:_Basic_QTpC~~\n"
    )
    again = story(retry, port=40009).frames
    for frame in again:
        frame.time_ns += 1_000_000_000
    answer = story("1060 p PA 1 75 x=HTTP/1.1_200_OK~~", port=40009).frames
    watch = Watch([*together(ASKED + challenge)])
    assert only(watch.at(500)).failing
    watch.more([*again, *answer])
    flows = {flow.client: flow for flow in watch.at(2_000).flows}
    assert rules(flows["10.40.40.1:40000"]) == ["auth-retried"]


# -- bounds ---------------------------------------------------------------------------

KINDS = (HEALTHY, ASKED + denied(60), REFUSED, ASKED + opened(60), SILENT, ASKED)


def many(kinds: list[int], apart_ms: float = 50) -> list[str]:
    """Flows of these kinds, one begun ``apart_ms`` after the other."""
    return [_later(KINDS[kind], at * apart_ms) for at, kind in enumerate(kinds)]


def _later(text: str, ms: float) -> str:
    lines = [line.strip().partition(" ") for line in text.splitlines() if line.strip()]
    return "\n".join(f"{float(time) + ms} {rest}" for time, _, rest in lines)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(range(len(KINDS))), min_size=6, max_size=30),
    st.integers(2, 8),
    st.integers(20, 60),
)
def test_bounds_hold_and_identities_last(kinds: list[int], flows: int, packets: int) -> None:
    watch = Watch(together(*many(kinds)), max_flows=flows, max_packets=packets)
    known: dict[int, tuple[int, str]] = {}
    gone: set[int] = set()
    for ms in range(100, 50 * len(kinds) + 400, 100):
        report = watch.at(ms)
        shown = {flow.uid: (flow.id, flow.client) for flow in report.flows}
        assert len(shown) <= flows
        assert len({number for number, _ in shown.values()}) == len(shown)
        assert not gone & shown.keys()
        for uid, what in shown.items():
            assert known.setdefault(uid, what) == what
        gone |= known.keys() - shown.keys()
        assert set(watch.analysis.facts()) == set(shown)
        assert watch.analysis.index is not None
        view = watch.analysis.index.view()
        assert len(view) <= packets + packets // 4
        numbers = [view.number(row) for row in range(len(view))]
        assert numbers == sorted(set(numbers))
        assert all(view.row(number) == row for row, number in enumerate(numbers))
    assert watch.analysis.evicted_flows == len(gone)
    watch.end()


def test_findings_outlive_clean_flows() -> None:
    kinds = [1] + [0] * 20 + [2] + [0] * 20
    watch = Watch(together(*many(kinds)), max_flows=6)
    for ms in range(100, 2_500, 100):
        report = watch.at(ms)
    assert [flow.verdict for flow in report.flows if flow.failing] == [
        "acl_denied",
        "proxy_refused",
    ]
    assert report.source.warnings[-1].code == "flows-dropped"


def test_old_failures_do_not_make_blind_for_new_flows() -> None:
    """A tunnel that is open among many failures is still there when it fails itself."""
    texts = [*many([1] * 15), _later(ASKED, 700), *[_later(text, 800) for text in many([2] * 40)]]
    watch = Watch(together(*texts), max_flows=10)
    for ms in range(100, 3_000, 100):
        report = watch.at(ms)
    newest = max(report.flows, key=lambda flow: flow.start_ns)
    assert newest.client == f"10.40.40.1:{40000 + len(texts) - 1}"
    assert ["connect-hang"] in [rules(flow) for flow in watch.at(8_000).flows]


def test_packets_of_flows_with_findings_outlive_others() -> None:
    kinds = [1] + [0] * 20
    watch = Watch(together(*many(kinds)), max_packets=40)
    for ms in range(100, 1_500, 100):
        report = watch.at(ms)
    assert watch.analysis.index is not None
    view = watch.analysis.index.view()
    failing = next(flow for flow in report.flows if flow.failing)
    assert len(view.of_flow(failing.uid)) == failing.packets
    assert watch.analysis.evicted_packets + len(view) == report.source.packets


def test_payload_of_flows_that_are_over_is_let_go_and_their_reports_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capture.watching.bounds.UNSEALED", 1)
    watch = Watch(together(HEALTHY, HEALTHY, ASKED + denied(60) + "70 c FA 54 47\n80 p FA 47 55"))
    before = watch.at(1_000).flows
    after = watch.at(10_000).flows
    assert watch.analysis._attention.sealed[:3].sum() == 2
    assert [a is b for a, b in zip(before, after, strict=True)] == [True] * 3
    assert [replace(flow, rev=0) for flow in watch.end().flows] == [
        replace(flow, rev=0) for flow in after
    ]


def test_tunnels_that_are_settled_meanwhile_are_listed_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capture.tracking.tracker.MANY_FLOWS", 1)
    path = next(path for path in captures() if path.name == "tour.pcapng")
    options = AnalysisOptions()
    whole, bits = _read(path, Analysis, 1 << 30, options), _read(path, LiveAnalysis, 40, options)
    assert [flow.uid for flow in bits.flows] == [flow.uid for flow in whole.flows]
    assert [flow.verdict for flow in bits.flows] == [flow.verdict for flow in whole.flows]


def test_addresses_of_flows_that_went_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.watching.bounds.ADDRESSES", 8)
    frames = []
    for number in range(60):
        (frame,) = story(SILENT, port=40000 + number).frames
        client = number.to_bytes(16, "big")
        ip = b"\x60\0\0\0" + len(frame.data[34:]).to_bytes(2, "big") + b"\x06\x40"
        frame.data = (
            frame.data[:12] + b"\x86\xdd" + ip + client + bytes(15) + b"\1" + frame.data[34:]
        )
        frame.wirelen = len(frame.data)
        frame.time_ns = START_NS + number * 10_000_000
        frames.append(frame)
    watch = Watch(frames, max_flows=4)
    for ms in range(10, 700, 10):
        report = watch.at(ms)
        assert len(watch.analysis.decoder.addresses) <= 8 + 2 * 6
    assert [flow.client for flow in report.flows][-1] == f"[::{59:x}]:40059"


def test_clearing_forgets_what_is_over_and_follows_what_is_open() -> None:
    open_flow = ASKED + opened(60)
    watch = Watch(together(HEALTHY, open_flow))
    assert len(watch.at(500).flows) == 2
    watch.analysis.clear()
    report = watch.at(1_000)
    assert report.flows == ()
    assert (report.other_flows, report.source.packets) == (0, 0)
    assert watch.analysis.index is not None
    assert len(watch.analysis.index.view()) == 0
    assert watch.at(60_000).flows == ()  # nothing happened to it
    watch.more(story("61000 p FA 40 54", port=40001, isn=(77, 1)).frames)
    flow = only(watch.at(61_500))
    assert (flow.id, flow.target) == (1, "a.example:443")
    assert [finding.rule for finding in flow.findings] == ["tunnel-closed-unused"]
    assert watch.analysis.index.view().number(0) > 1
    assert report.flows == ()


def test_clearing_forgets_what_was_lost_before() -> None:
    watch = Watch(together(HEALTHY))
    watch.info.lost_kernel, watch.info.lost_queue = 7, 3
    unknown = bytes(12) + b"\x99\x99" + bytes(40)
    watch.more([Frame(pieces(4)[0], 101, START_NS), Frame(unknown, 1, START_NS + 900_000_000)])
    before = watch.at(1_000)
    assert {item.rule for item in before.findings} >= {"capture-drops", "capture-fragments"}
    assert before.not_understood
    watch.analysis.clear()
    after = watch.at(2_000)
    assert after.findings == ()
    assert after.not_understood == ()
    assert (after.source.lost_kernel, after.source.lost_queue) == (0, 0)
    watch.info.lost_kernel = 9
    watch.take_until(4_000)
    last = watch.end()
    (finding,) = last.findings
    assert finding.rule == "capture-drops"
    assert finding.observation.startswith("2 packets dropped by the capturing host's kernel")
    assert last.source.lost_kernel == 2


# -- live equals a file -----------------------------------------------------------------


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_fed_bit_by_bit_a_capture_comes_to_the_same_as_read_at_once(path: Path) -> None:
    whole, bits = _read(path, Analysis, 1 << 30), _read(path, LiveAnalysis, 40)
    assert list(map(_plain, bits.flows)) == list(map(_plain, whole.flows))
    assert bits.findings == whole.findings
    assert bits.other_flows == whole.other_flows


def _plain(flow: FlowReport) -> FlowReport:
    # Numbers are given as flows appear. Repetitions are told apart by what stands near them.
    return replace(flow, id=0, rev=0)


def _read(path: Path, kind: type[Analysis], size: int, options: AnalysisOptions = WHOLE) -> Report:
    source = open_source(str(path))
    analysis = kind(source.info, options, CATALOGUE)
    for block in source.blocks():
        for turn, start in enumerate(range(0, len(block), size)):
            part = _part(block, slice(start, start + size))
            if kind is LiveAnalysis:
                source.info.clock_ns = max(source.info.clock_ns or 0, int(part.time_ns.max()))
            analysis.take(part)
            if kind is LiveAnalysis and turn % 3 == 0:
                analysis.report(final=False)
    source.close()
    return analysis.report()


def _part(block: FrameBlock, rows: slice) -> FrameBlock:
    return FrameBlock(
        block.data, block.offset[rows], block.time_ns[rows], block.caplen[rows],
        block.wirelen[rows], block.linktype[rows], block.interface[rows],
        block.position[rows], block.first_number + rows.start,
    )  # fmt: skip


def test_an_empty_block_is_no_packet() -> None:
    watch = Watch([])
    watch.analysis.take(block_of([], first_number=1))
    assert watch.at(10_000).source.packets == 0
    assert watch.end().flows == ()


def test_while_nothing_happens_the_report_is_the_same_object() -> None:
    watch = Watch(together(HEALTHY, ASKED))
    watch.at(500)
    still = watch.at(2_000)  # what went on last was looked at once more
    assert watch.at(3_000) is still
    assert watch.at(5_020) is still
    assert watch.at(5_021) is not still
    watch.info.lost_kernel = 7
    assert watch.at(5_100).source.lost_kernel == 7


def test_a_flood_delays_the_newest_flow_no_more_than_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When there is no time for all, every other look is at what waited longest."""
    monkeypatch.setattr("capture.watching.analysis.BUDGET_S", 0.0)
    monkeypatch.setattr("capture.watching.analysis.BATCH", 4)
    watch = Watch(together(*many([2] * 40, apart_ms=1)))
    first = {flow.client for flow in watch.at(1_000).flows}
    assert len(first) == 4
    assert {"10.40.40.1:40000", "10.40.40.1:40039"} <= first
    assert watch.analysis.behind == 36
    for ms in range(1_100, 2_100, 100):
        report = watch.at(ms)
    assert len(report.flows) == 40
    assert watch.analysis.behind == 0
