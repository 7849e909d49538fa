from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from capture import check
from capture.check import Unreadable, check_files
from capture.frames import UnreadableInput
from capture.options import AnalysisOptions
from capture.report.model import Report
from tests.capture import stand_in
from tests.capture.report.data import mixed
from tests.patience import GIVE_UP_S


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files come from a table instead of the disk; the names of those read are returned."""
    seen: list[str] = []
    trouble: dict[str, BaseException] = {
        "foreign": UnreadableInput("foreign: not a capture"),
        "absent": FileNotFoundError(2, "No such file or directory"),
        "huge": MemoryError(),
        "defect": KeyError("x"),
        "stop": KeyboardInterrupt(),
    }

    def analyse(
        path: str, options: AnalysisOptions, progress: Callable[..., Any] | None, processes: int
    ) -> Report:
        seen.append(path)
        if path in trouble:
            raise trouble[path]
        if progress is not None:
            progress(50, 200)
            progress(7, None)
        return mixed()

    monkeypatch.setattr(check, "_analyse", analyse)
    return seen


def test_a_file_that_fails_does_not_stop_the_others(analysed: list[str]) -> None:
    outcomes = list(check_files(["a", "foreign", "b", "absent", "huge", "c"], jobs=1))
    assert analysed == ["a", "foreign", "b", "absent", "huge", "c"]
    assert [isinstance(item, Report) for item in outcomes] == [
        True, False, True, False, False, True,
    ]  # fmt: skip
    assert outcomes[1] == Unreadable("foreign", "foreign: not a capture")
    assert outcomes[3] == Unreadable("absent", "No such file or directory")
    assert outcomes[4] == Unreadable("huge", "not enough memory to read it")


def test_the_collector_spares_large_reports_only_while_they_are_used(
    analysed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in check_files(["a", "foreign"], jobs=1):
        assert gc.get_freeze_count() == 0
    monkeypatch.setattr(check, "LARGE", 1)
    frozen = [
        gc.get_freeze_count() > 0 for _ in check_files(["a", "foreign", "b", "foreign"], jobs=1)
    ]
    assert frozen == [True, False, True, False]


def test_a_defect_of_ours_is_one_line(analysed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNNELSCOPE_DEBUG", raising=False)
    (outcome,) = check_files(["defect"])
    assert isinstance(outcome, Unreadable)
    assert outcome.message.startswith("internal error (KeyError: 'x')")
    assert "\n" not in outcome.message
    monkeypatch.setenv("TUNNELSCOPE_DEBUG", "1")
    with pytest.raises(KeyError):
        list(check_files(["defect"]))


def test_ctrl_c_is_not_a_failure_of_the_file(analysed: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(check_files(["stop"]))


def test_results_come_one_by_one(analysed: list[str]) -> None:
    outcomes = check_files(["a", "b"], jobs=1)
    next(outcomes)
    assert analysed == ["a"]


def test_progress_is_told_as_a_part_or_as_unknown(analysed: list[str]) -> None:
    told: list[tuple[float | None, str]] = []
    list(check_files(["a"], progress=lambda part, label: told.append((part, label))))
    assert told == [(0.25, "a"), (None, "a")]
    told.clear()
    list(check_files(["a", "b"], jobs=1, progress=lambda part, label: told.append((part, label))))
    assert [label for _, label in told] == ["a (1 of 2)"] * 2 + ["b (2 of 2)"] * 2


def test_standard_input_is_read_in_this_process(analysed: list[str]) -> None:
    assert len(list(check_files(["a", "-"], jobs=8))) == 2
    assert analysed == ["a", "-"]


@pytest.fixture
def parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "check_file", stand_in.check_file)


@pytest.mark.usefixtures("parallel")
def test_workers_keep_the_order_and_get_the_options() -> None:
    paths = [f"file{number}" for number in range(12)]
    options = AnalysisOptions(proxies=(("10.0.0.1", None),))
    told: list[float | None] = []
    outcomes = list(check_files(paths, options, jobs=2, progress=lambda part, _: told.append(part)))
    assert outcomes == [Unreadable(path, "1 proxies") for path in paths]
    assert told == [(number + 1) / 12 for number in range(12)]


@pytest.mark.usefixtures("parallel")
def test_a_file_that_kills_its_worker_is_named_and_the_rest_is_read() -> None:
    paths = ["a", "deadly", "b", "c", "d", "e", "f", "g", "h"]
    outcomes = list(check_files(paths, jobs=2))
    assert [item.path for item in outcomes if isinstance(item, Unreadable)] == paths
    assert outcomes[1] == Unreadable("deadly", "the reading process died (out of memory?)")
    assert {item.message for item in outcomes if isinstance(item, Unreadable)} == {
        "0 proxies",
        "the reading process died (out of memory?)",
    }


@pytest.mark.usefixtures("parallel")
def test_leaving_early_stops_the_workers() -> None:
    from multiprocessing import active_children

    before = len(active_children())
    outcomes = check_files([f"file{number}" for number in range(50)], jobs=2)
    assert isinstance(next(outcomes), Unreadable)
    outcomes.close()  # type: ignore[attr-defined]
    for child in active_children():
        child.join(GIVE_UP_S)
    assert len(active_children()) <= before
