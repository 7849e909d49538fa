"""What several flows say of one."""

from __future__ import annotations

from capture.facts import CaptureFacts, Endpoint, FlowFacts
from capture.judging import Catalogue, Judgement, judge, relate
from capture.report.model import Severity
from tests.capture.judging.build import (
    CLIENT_END,
    TLS12,
    Story,
    capture,
    certificate,
    healthy,
    hello,
    opened,
    tunnel,
)
from tests.capture.judging.stories import BASIC, challenge, denied

CATALOGUE = Catalogue.load()
OTHER_CLIENT = Endpoint("10.40.40.2", 40000)


def judged(*stories: Story | FlowFacts, after: float = 20.0) -> tuple[Judgement, ...]:
    flows = [item.facts() if isinstance(item, Story) else item for item in stories]
    last = max(flows, key=lambda flow: flow.last.time_ns)
    around: CaptureFacts = capture(last, after)
    return relate(flows, [judge(flow, around, CATALOGUE) for flow in flows], around, CATALOGUE)


def rules(item: Judgement) -> list[str]:
    return [finding.rule for finding in item.findings]


def with_credentials(at: float, number: int) -> Story:
    return (
        Story(at=at, number=number, client=Endpoint("10.40.40.1", 40001)).connect()
        .ask(credentials=BASIC)
    )  # fmt: skip


def refused(at: float = 0.0, number: int = 1) -> Story:
    return Story(at=at, number=number).connect().ask().answer(**challenge("basic"))


def test_a_retry_that_works_on_another_connection_is_no_problem() -> None:
    again = with_credentials(1.0, 20).answer().client_hello().server_flight().finish().fetch()
    first, second = judged(refused().close("proxy_fin"), again)
    assert first.verdict == "auth_required"
    assert rules(first) == ["auth-retried"]
    assert first.findings[0].severity is Severity.INFO
    assert "#20 " in first.findings[0].observation
    assert second.verdict == "ok"


def test_a_retry_after_a_minute_is_another_story() -> None:
    again = with_credentials(60.0, 20).answer().client_hello().server_flight().finish().fetch()
    assert rules(judged(refused(), again)[0]) == ["auth-challenge"]


def test_a_retry_that_fails_is_named() -> None:
    again = with_credentials(1.0, 20).answer(503, "Service Unavailable")
    first = judged(refused(), again)[0]
    assert first.verdict == "auth_required"
    assert rules(first) == ["auth-challenge", "auth-retry"]


def test_the_same_request_without_credentials_is_no_retry() -> None:
    assert rules(judged(refused(), refused(1.0, 20))[0]) == ["auth-challenge"]


def test_refusals_over_several_connections_are_a_loop() -> None:
    tries = [with_credentials(at, 20 * (at + 1)).answer(**challenge("basic")) for at in range(4)]
    assert "auth-loop" in rules(judged(*tries)[0])


def test_an_address_where_names_pass() -> None:
    literal = denied(target="72.163.4.161:443")
    first, _ = judged(literal, healthy(at=5, number=40))
    assert rules(first) == ["acl-deny", "acl-address"]
    assert rules(judged(denied(), healthy(at=5, number=40))[0]) == ["acl-deny"]


def test_a_client_that_is_forbidden_everything() -> None:
    mine = [denied(), denied(target="b.example.com:443")]
    theirs = healthy(at=5, number=60, client=OTHER_CLIENT)
    assert rules(judged(*mine, theirs)[0]) == ["acl-deny", "acl-source"]
    assert rules(judged(*mine, healthy(at=5, number=60))[0]) == ["acl-deny"]


def test_a_proxy_that_answers_others() -> None:
    silent = Story().syn(4)
    first, _ = judged(silent, healthy(at=1, number=60, client=OTHER_CLIENT))
    assert rules(first) == ["tcp-no-answer", "tcp-source-filtered"]
    assert "10.40.40.2" in first.findings[1].observation


def test_another_server_name_passes_to_the_same_target() -> None:
    cut = opened().client_hello(hello("blocked.example.com")).close("proxy_rst")
    first, _ = judged(cut, healthy(at=5, number=60))
    assert rules(first) == ["tls-hello-reset", "tls-name-filtered"]
    same = opened().client_hello().close("proxy_rst")
    assert rules(judged(same, healthy(at=5, number=60))[0]) == ["tls-hello-reset"]


def test_the_same_idle_time_twice() -> None:
    def idle(at: float, number: int) -> Story:
        story = opened(at=at, number=number).client_hello().server_flight().finish()
        return story.fetch(9000).wait(60).close("proxy_fin").close("client_fin")

    for item in judged(idle(0, 1), idle(100, 60)):
        assert rules(item) == ["idle-timeout", "idle-repeated"]


def test_one_issuer_for_several_names() -> None:
    def inspected(name: str, at: float, number: int) -> Story:
        return (
            opened(at=at, number=number).client_hello(hello(name))
            .server_flight(TLS12, shown=certificate("CN=Company CA")).alert(0, 48)
            .close("client_rst")
        )  # fmt: skip

    for item in judged(inspected("a.example.com", 0, 1), inspected("b.example.com", 5, 60)):
        assert rules(item) == ["tls-untrusted-ca", "tls-same-issuer"]


def test_healthy_flows_stay_the_same_objects() -> None:
    flow = healthy().facts()
    around = capture(flow)
    before = [judge(flow, around, CATALOGUE)]
    assert relate([flow], before, around, CATALOGUE)[0] is before[0]


def spare(at: float = 0.01) -> Story:
    story = tunnel(at=at, number=60, client=Endpoint("10.40.40.1", 40002)).tickets()
    return story.close("client_fin").close("proxy_fin")


def test_a_spare_connection_beside_one_in_use_is_no_rejection() -> None:
    left, used = judged(spare(), healthy())
    assert used.verdict == left.verdict == "ok"
    assert rules(left) == ["tls-spare"]
    assert left.findings[0].severity is Severity.INFO
    # A transfer that failed later shows as well that the certificate was accepted.
    cut = tunnel().fetch(200_000).set(missing=(0, 900)).close("proxy_rst")
    assert [item.verdict for item in judged(spare(), cut)] == ["ok", "transfer_reset"]


def test_a_client_that_left_alone_may_have_rejected_the_certificate() -> None:
    for other in (
        healthy(at=60),  # later: another program, or another option
        healthy(client=OTHER_CLIENT),
        spare(),
        opened().client_hello().server_flight().wait(9).close("client_fin"),
    ):
        assert rules(judged(spare(), other)[0]) == ["tls-left-after-handshake"]


def given_up(number: int = 600) -> Story:
    """A download, and a client that leaves after 30 s."""
    story = tunnel(number=number, client=Endpoint("10.40.40.1", 40002)).fetch(200_000)
    return story.wait(30.0).goodbye().close("client_fin").close("proxy_fin")


def leaving_with(story: Story, close: str = "client_fin", client: Endpoint = CLIENT_END) -> Story:
    """A tunnel in use that ends when ``story`` does."""
    end_ns = next(mark.time_ns for name, mark in story.closes if name == "client_fin")
    other = tunnel(at=29, client=client).fetch()
    return other.wait((end_ns - other.now) / 1e9).close(close)


def test_a_client_that_drops_all_its_connections_gave_up_no_transfer() -> None:
    assert judged(given_up())[0].verdict == "transfer_stalled"
    left, other = judged(given_up(), leaving_with(given_up()))
    assert left.verdict == other.verdict == "ok"
    assert rules(left) == ["left-together"]
    assert left.findings[0].severity is Severity.INFO


def test_two_downloads_dropped_in_one_moment_were_not_given_up() -> None:
    assert [item.verdict for item in judged(given_up(), given_up(900))] == ["ok", "ok"]


def test_a_page_that_was_denied_long_ago_counts_as_well() -> None:
    end_ns = next(mark.time_ns for name, mark in given_up().closes if name == "client_fin")
    denial = denied()
    denial.wait((end_ns - denial.now) / 1e9).close("client_fin")
    assert judged(given_up(), denial)[0].verdict == "ok"


def test_a_client_that_leaves_one_tunnel_alone_gave_it_up() -> None:
    for other in (
        leaving_with(given_up(), client=OTHER_CLIENT),
        leaving_with(given_up(), "proxy_fin"),
        healthy(at=20),
    ):
        assert judged(given_up(), other)[0].verdict == "transfer_stalled"


def test_a_transfer_that_stopped_within_a_record_was_given_up() -> None:
    stalled = given_up().set(missing=(0, 900))
    assert judged(stalled, leaving_with(stalled))[0].verdict == "transfer_stalled"
