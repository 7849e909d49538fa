"""The small parts that rules are made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY, Direction, Exchange, FlowFacts, Hole, Mark
from capture.judging import Catalogue, judge
from capture.judging.baseline import notes
from capture.judging.hit import sentence
from capture.judging.idle import is_round
from capture.judging.quality import assess
from capture.judging.reset import origin
from capture.judging.scene import Scene
from capture.judging.signs import from_origin, from_proxy, read
from capture.judging.status import verdict_of
from capture.judging.talk import last_request, only_tickets, requests, unanswered
from capture.report.model import VERDICTS, Confidence
from tests.capture.judging.build import (
    TLS12,
    Story,
    capture,
    certificate,
    healthy,
    opened,
    response,
    tunnel,
)
from tests.capture.judging.scenarios import ALL
from tests.capture.judging.stories import Scenario, midway

CATALOGUE = Catalogue.load()
MARK = Mark(1, 1)


def scene(story: Story, after: float = 0.5) -> Scene:
    flow = story.facts()
    return Scene(flow, capture(flow, after))


class TestQuality:
    def test_a_clean_flow_can_prove_absences(self) -> None:
        quality = scene(healthy()).quality
        assert quality.absent(CLIENT)
        assert quality.absent(PROXY)
        assert quality.timed

    @pytest.mark.parametrize(
        "fields",
        [{"acked_unseen": 1, "stream_bytes": 9000}, {"holes": (Hole(1, 9, MARK, True, 5),)}],
    )
    def test_an_acknowledged_gap_is_the_captures_fault(self, fields: dict[str, int]) -> None:
        quality = scene(healthy().set(PROXY, **fields)).quality
        assert not quality.absent(PROXY)
        assert quality.absent(CLIENT)

    def test_data_captured_after_its_acknowledgement_is_no_gap(self) -> None:
        assert scene(healthy().set(PROXY, acked_unseen=1)).quality.absent(PROXY)

    def test_nor_is_it_where_some_was_sent_again(self) -> None:
        side = {"acked_unseen": 1, "bytes": 9000, "stream_bytes": 7000}
        assert scene(healthy().set(PROXY, **side)).quality.absent(PROXY)
        assert not scene(healthy().set(PROXY, **side, lost_segments=1)).quality.absent(PROXY)

    def test_a_lack_at_the_end_is_a_gap_unless_it_is_the_fin(self) -> None:
        ended = healthy().set(PROXY, acked_unseen=1, acked_beyond=1)
        cut = healthy().set(PROXY, acked_unseen=1, acked_beyond=189)
        assert scene(ended).quality.absent(PROXY)
        assert not scene(cut).quality.absent(PROXY)

    def test_a_hole_that_nobody_acknowledged_is_the_networks(self) -> None:
        assert scene(healthy().set(PROXY, holes=(Hole(1, 9, MARK, False, 5),))).quality.absent(
            PROXY
        )

    def test_such_a_hole_is_no_gap_where_all_else_came_after_its_acknowledgement(self) -> None:
        side = {"acked_unseen": 1, "bytes": 6992, "stream_bytes": 7000}
        missing = {"holes": (Hole(1, 9, MARK, False, 5),)}
        assert scene(healthy().set(PROXY, **side, **missing)).quality.absent(PROXY)
        side["bytes"] -= 1
        assert not scene(healthy().set(PROXY, **side, **missing)).quality.absent(PROXY)

    def test_merged_segments(self) -> None:
        story = healthy().set(PROXY, oversized=40, data_packets=100)
        assert scene(story).quality.merged == (False, True)
        assert scene(story.set(PROXY, oversized=1)).quality.merged == (False, False)

    def test_unknown_times_and_drops(self) -> None:
        flow = healthy().facts()
        assert not assess(flow, capture(flow, times_known=False)).timed
        assert assess(flow, capture(flow, lost_kernel=1)).dropped

    def test_texts_and_packet_lists(self) -> None:
        flow = healthy().set(PROXY, cut_by_snaplen=3).facts()
        text = assess(flow, capture(flow, text=True))
        assert (text.text, text.blind, text.cut) == (True, True, (False, True))
        listed = assess(flow, capture(flow, text=True, listed=True))
        assert (listed.text, listed.blind, listed.cut) == (True, False, (False, False))


class TestReset:
    def side(self, **fields: object) -> Direction:
        known = Direction(ttl=63, timestamps=True, rst=MARK, rst_ttl=63, rst_window=501,
                          rst_options=8, rst_seq_offset=0)  # fmt: skip
        return replace(known, **fields)  # type: ignore[arg-type]

    def test_the_peers_own_reset_bears_no_sign(self) -> None:
        assert origin(self.side()).between is None
        assert origin(Direction()).signs == ()

    def test_signs_add_up(self) -> None:
        assert origin(self.side(rst_ttl=64)).between is Confidence.POSSIBLE
        strange = self.side(rst_ttl=240, rst_window=0, rst_options=0, rst_seq_offset=7)
        assert origin(strange).between is Confidence.LIKELY
        assert "TTL is 240" in origin(strange).text


def test_a_capture_without_dates_says_nothing_of_a_certificates_age() -> None:
    story = opened().client_hello().server_flight(TLS12, shown=certificate(days=-3))
    flow = story.alert(CLIENT, 48).close("client_fin").facts()
    for start, verdict in ((flow.first.time_ns, "tls_cert_expired"), (0, "tls_untrusted_ca")):
        moved = replace(flow, first=Mark(flow.first.number, start))
        assert judge(moved, capture(flow), CATALOGUE).verdict == verdict


class TestIdle:
    @pytest.mark.parametrize("seconds", [10.1, 30.0, 60.2, 120.5, 302.0, 3600.0])
    def test_round(self, seconds: float) -> None:
        assert is_round(seconds)

    @pytest.mark.parametrize("seconds", [4.7, 9.7, 10.6, 21.0, 59.7])
    def test_round_for_software_that_looks_seldom(self, seconds: float) -> None:
        assert is_round(seconds, short=True, coarse=True)
        assert not is_round(seconds)

    @pytest.mark.parametrize("seconds", [0.0, 4.0, 13.0, 37.0, 59.0, 66.0, 250.0])
    def test_not_round(self, seconds: float) -> None:
        assert not is_round(seconds)


class TestSigns:
    def reading(self, *headers: tuple[str, str], body: bytes = b"", status: int = 503) -> str:
        item = Exchange(response=response(status, "x", headers), body_start=body)
        found = read(item, CATALOGUE.signs)
        return found.sign.means if found else ""

    def test_better_evidence_wins(self) -> None:
        status = ("proxy-status", "p; error=dns_error; rcode=NXDOMAIN")
        squid = ("x-squid-error", "ERR_CONNECT_FAIL 111")
        assert self.reading(squid, status, body=b"timed out") == "up-dns"
        assert self.reading(squid, body=b"connection timed out") == "up-refused"
        assert self.reading(body=b"<b>connection timed out</b>") == "up-timeout"
        assert self.reading() == ""

    def test_a_denial_is_read_as_nothing_else(self) -> None:
        assert self.reading(body=b"connection refused", status=403) == ""
        assert self.reading(body=b"Access Denied", status=403) == "acl-deny"

    def test_scripts_and_styles_of_a_page_say_nothing(self) -> None:
        page = b"<style>/* connection refused */</style><p>Sorry</p>"
        assert self.reading(body=page) == ""

    def test_who_wrote_it(self) -> None:
        via = ("via", "1.1 proxy (squid/5.7)")
        assert from_origin(response(404, "x", (("server", "nginx"), via)))
        assert not from_origin(response(404, "x", (("server", "squid/5.7"), via)))
        assert from_proxy(response(503, "x", (("x-squid-error", "ERR_DNS_FAIL 0"),)))
        assert from_proxy(response(503, "x", (("server", "nginx"),))) == ""

    @given(st.integers(0, 999), st.text(max_size=30), st.binary(max_size=300))
    def test_any_reply_has_a_verdict(self, status: int, reason: str, body: bytes) -> None:
        read(Exchange(response=response(status, reason), body_start=body), CATALOGUE.signs)
        assert verdict_of(status) in VERDICTS


class TestTalk:
    def test_the_finished_is_no_request(self) -> None:
        assert requests(scene(tunnel())) == ()
        assert last_request(scene(tunnel())) is None

    def test_small_records_ask_nothing(self) -> None:
        story = tunnel().fetch()
        story.record(CLIENT, 23, 30)
        talk = scene(story)
        assert len(requests(talk)) == 1
        assert unanswered(talk) is None

    def test_tickets_are_no_answer(self) -> None:
        story = tunnel()
        story.record(CLIENT, 23, 300)
        assert only_tickets(scene(story.tickets()))
        assert unanswered(scene(story)) is not None
        story.record(PROXY, 23, 500)
        assert not only_tickets(scene(story))

    def test_tls12_tickets_come_before_the_data(self) -> None:
        story = tunnel(TLS12)
        story.record(CLIENT, 23, 300)
        assert unanswered(scene(story)) is not None
        story.record(PROXY, 23, 500)
        assert unanswered(scene(story)) is None

    def test_long_conversations_are_judged_by_their_last_record(self) -> None:
        story = tunnel()
        for _ in range(12):
            story.fetch(500)
        story.record(CLIENT, 23, 300)
        assert last_request(scene(story)) == story.last


class TestNotes:
    def test_what_cannot_be_seen(self) -> None:
        assert any("encrypted in TLS 1.3" in note for note in notes(healthy().facts()))
        shown = tunnel(TLS12).fetch().close("client_fin").facts()
        assert not any(note.startswith("certificate") for note in notes(shown))
        assert any("already open" in note for note in notes(midway().facts()))
        assert any("still open" in note for note in notes(opened().facts()))

    def test_flows_share_their_notes(self) -> None:
        assert notes(healthy().facts()) is notes(healthy(at=9).facts())


def test_sentence_leaves_out_what_is_empty() -> None:
    assert sentence("a b", "", "c") == "A b; c."
    assert sentence("") == ""


@given(st.data())
def test_no_combination_of_facts_breaks_a_rule(data: st.DataObject) -> None:
    """Facts that no capture would show together still give a verdict, not a traceback."""
    first: Scenario = data.draw(st.sampled_from(ALL))
    second: Scenario = data.draw(st.sampled_from(ALL))
    mixed, around = first.facts()
    other, _ = second.facts()
    names = data.draw(st.sets(st.sampled_from(sorted(FlowFacts.__dataclass_fields__)), max_size=8))
    flow = replace(mixed, **{name: getattr(other, name) for name in names})
    judgement = judge(flow, around, CATALOGUE)
    assert judgement.verdict in VERDICTS
    assert all("{" not in item.title for item in judgement.findings)
