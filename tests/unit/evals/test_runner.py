"""Running, merging and rendering."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cellwright.errors import InputError
from cellwright.evals import runner
from cellwright.evals.metrics import wilson
from cellwright.evals.task import EvalContext, EvalRow, EvalTask, Unavailable


def make_row(suite: str = "toy", data: str = "d", system: str = "cellwright", mean: float = 0.5):
    return EvalRow(
        suite=suite,
        data=data,
        split="random",
        metric="accuracy",
        system=system,
        mean=mean,
        low=mean,
        high=mean,
        n=10,
    )


def make_suite(monkeypatch: pytest.MonkeyPatch, name: str, rows: list[EvalRow] | Exception) -> None:
    module = ModuleType(f"toy_{name}")

    def run(_context: EvalContext) -> list[EvalRow]:
        if isinstance(rows, Exception):
            raise rows
        return rows

    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(runner.SUITES, name, module.__name__)


def test_a_rerun_replaces_its_suite_and_keeps_the_others() -> None:
    old = [make_row("a", "gone"), make_row("a", "stays", mean=0.1), make_row("b")]
    merged = runner.merge(old, [make_row("a", "stays", mean=0.9)], suites=("a",))
    assert [(row.suite, row.data, row.mean) for row in merged] == [
        ("a", "stays", 0.9),
        ("b", "d", 0.5),
    ]


def test_results_are_written_stamped_and_read_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_suite(monkeypatch, "toy", [make_row(mean=1 / 3)])
    log = runner.run_suites(["toy"], EvalContext(tmp_path), tmp_path / "out")
    records = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(records[0]) == list(runner.ORDER)
    assert records[0]["mean"] == 0.3333
    assert records[0]["machine"]
    assert not log.failed
    assert runner.read_results(tmp_path / "out")[0].key == log.rows[0].key


def test_a_failing_suite_keeps_its_old_rows_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner.write_results(tmp_path, [make_row("bad")])
    make_suite(monkeypatch, "bad", RuntimeError("no luck"))
    make_suite(monkeypatch, "good", [make_row("good")])
    log = runner.run_suites(["bad", "good"], EvalContext(tmp_path), tmp_path)
    assert log.failed == {"bad": "RuntimeError: no luck"}
    assert {row.suite for row in runner.read_results(tmp_path)} == {"bad", "good"}


def test_unknown_suite_and_missing_data_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="annotation"):
        runner.run_suites(["nonsense"], EvalContext(tmp_path), tmp_path)
    with pytest.raises(InputError, match="--data-dir"):
        runner.run_suites(["knowledge"], EvalContext(tmp_path / "none"), tmp_path)


def test_the_page_marks_the_best_and_averages_complete_systems() -> None:
    rows = [
        make_row(data="x", mean=0.8),
        make_row(data="y", mean=0.6),
        make_row(data="x", system="logistic", mean=0.9),
    ]
    page = runner.render(rows)
    assert "| x | 10 | 0.800 | **0.900** |" in page
    assert "| *mean* | | 0.700 | – |" in page


def test_lower_is_better_for_an_error() -> None:
    rows = [make_row(mean=0.2), make_row(system="logistic", mean=0.1)]
    rows = [row.model_copy(update={"metric": "calibration_error"}) for row in rows]
    assert "| d | 10 | 0.200 | **0.100** |" in runner.render(rows)


def test_a_system_that_is_not_there_is_left_out() -> None:
    def missing(_data: list[int]) -> int:
        raise Unavailable

    task = EvalTask[list[int], int](
        suite="toy",
        data="d",
        split="s",
        dataset=[1, 2],
        solvers={"cellwright": len, "peer": missing, "later": None},
        scorer=lambda data, answer: {"accuracy": wilson(answer, len(data))},
    )
    assert [(row.system, row.mean) for row in task.run()] == [("cellwright", 1.0)]
