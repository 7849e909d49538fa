from __future__ import annotations

from collections.abc import Iterator

import pytest

from capture.judging import reach, transfer
from capture.judging.thresholds import THRESHOLDS, BadThreshold, check, use


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    before = {name: threshold.default() for name, threshold in THRESHOLDS.items()}
    yield
    use(())
    assert {name: threshold.default() for name, threshold in THRESHOLDS.items()} == before


def test_every_threshold_names_a_constant_that_its_default_allows() -> None:
    for name, threshold in THRESHOLDS.items():
        check(name, threshold.default())


def test_rules_read_what_was_chosen_and_forget_it() -> None:
    before = reach.NO_ANSWER_S
    use([("syn-unanswered-s", 9.5)])
    assert reach.NO_ANSWER_S == 9.5
    assert THRESHOLDS["syn-unanswered-s"].default() == before
    use([("transfer-stalled-s", 30.0)])
    assert before == reach.NO_ANSWER_S
    assert transfer.STALLED_S == 30.0


def test_nothing_changes_when_one_of_them_is_wrong() -> None:
    before = reach.NO_ANSWER_S
    with pytest.raises(BadThreshold, match="did you mean syn-slow-s"):
        use([("syn-unanswered-s", 9.5), ("syn-slow", 2.0)])
    with pytest.raises(BadThreshold, match="at least"):
        use([("syn-unanswered-s", float("inf"))])
    assert before == reach.NO_ANSWER_S


def test_a_count_stays_whole() -> None:
    from capture.judging import mtu

    use([("mtu-hole-tries", 4.0)])
    assert isinstance(mtu.TRIES, int)
    assert repr(mtu.TRIES) == "4"


def test_a_silent_proxy_is_judged_by_the_users_patience() -> None:
    """The same capture: unreachable by default, not yet for someone more patient."""
    from capture.check import check_file
    from capture.demo import find_demo
    from capture.options import AnalysisOptions
    from capture.report.model import Report

    path = str(find_demo("proxy-unreachable").path)
    usual = check_file(path, AnalysisOptions())
    assert isinstance(usual, Report)
    assert usual.flows[0].failing
    patient = check_file(path, AnalysisOptions(thresholds=(("syn-unanswered-s", 3600.0),)))
    assert isinstance(patient, Report)
    assert patient.flows[0].findings != usual.flows[0].findings
