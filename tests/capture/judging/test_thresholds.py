from __future__ import annotations

from dataclasses import replace

import pytest

from capture.judging import Catalogue
from capture.judging.thresholds import DEFAULTS, THRESHOLDS, BadThreshold, check, choose


def test_every_default_is_allowed() -> None:
    for name, threshold in THRESHOLDS.items():
        check(name, threshold.default)


def test_what_is_not_chosen_stays_as_it_is() -> None:
    assert choose(()) == DEFAULTS
    assert choose([("syn-unanswered-s", 9.5)]) == replace(DEFAULTS, syn_unanswered_s=9.5)


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(BadThreshold, match="did you mean syn-slow-s"):
        choose([("syn-unanswered-s", 9.5), ("syn-slow", 2.0)])
    with pytest.raises(BadThreshold, match="at least"):
        choose([("syn-unanswered-s", float("inf"))])


def test_two_catalogues_judge_by_their_own() -> None:
    patient = choose([("tls-silent-s", 60)])
    usual = Catalogue.load()
    assert usual.judging_by(patient).thresholds is patient
    assert usual.thresholds is DEFAULTS


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
