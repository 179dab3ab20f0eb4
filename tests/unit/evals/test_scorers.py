"""Scorers and baselines on made answers."""

import numpy as np
import pytest
from scipy import sparse

from cellwright.agent.plan import DraftRefusal, DraftStep, PlanDraft
from cellwright.evals.baselines import LabelledCells, centroid, logistic, majority, neighbours
from cellwright.evals.scorers import Labelling, score_labels, score_plans


def make_plan(*calls: tuple[str, dict[str, object]], refused: tuple[int, ...] = ()) -> PlanDraft:
    return PlanDraft(
        steps=tuple(DraftStep(tool=tool, args=args) for tool, args in calls),
        refused=(DraftRefusal(asks=refused, reason="unsupported"),) if refused else (),
    )


def make_cells(*, n: int = 90, genes: int = 30, seed: int = 0) -> LabelledCells:
    rng = np.random.default_rng(seed)
    labels = np.array(list("aab") * (n // 3), object)
    matrix = rng.poisson(0.5, size=(n, genes)).astype(np.float32)
    matrix[labels == "a", :5] += 4
    matrix[labels == "b", 5:10] += 4
    train = np.arange(n) < 2 * n // 3
    return LabelledCells(
        train=sparse.csr_matrix(np.log1p(matrix[train])),
        train_labels=labels[train],
        test=sparse.csr_matrix(np.log1p(matrix[~train])),
        test_labels=labels[~train],
        genes=tuple(f"G{at}" for at in range(genes)),
    )


def test_plans_by_tools_and_by_arguments() -> None:
    want = [make_plan(("a", {"x": 1}), ("b", {})), make_plan(("c", {"genes": ["INS", "GCG"]}))]
    got = [make_plan(("b", {}), ("a", {"x": 2})), make_plan(("c", {"genes": ["gcg", "ins"]}))]
    scores = score_plans(want, got)
    assert scores["tools"].mean == 1.0
    assert scores["tools_and_args"].mean == 0.5


def test_no_answer_is_wrong_and_refusals_are_judged_on_what_asks_for_them() -> None:
    want = [make_plan(refused=(1,)), make_plan(("a", {}))]
    scores = score_plans(want, [None, make_plan(("a", {"left_out": None}))])
    assert scores["tools"].mean == 0.5
    assert scores["plan"].mean == 0.5
    assert (scores["refusals"].mean, scores["refusals"].n) == (0.0, 1)
    assert score_plans(want, want)["plan"].mean == 1.0


def test_labels_with_confidence_and_sets() -> None:
    truth = np.array(["a", "b", "a", "b"], object)
    answer = Labelling(
        labels=np.array(["a", "b", "b", "unknown"], object),
        confidence=np.array([1.0, 1.0, 1.0, 0.0]),
        sets=[("a",), ("b",), ("a", "b"), ()],
    )
    scores = score_labels(truth, answer)
    assert scores["accuracy"].mean == 0.5
    assert scores["set_coverage"].mean == 0.75
    assert scores["calibration_error"].mean == pytest.approx(0.25)


def test_baselines_find_a_planted_signal_and_the_majority_does_not() -> None:
    cells = make_cells()
    for system in (logistic, neighbours, centroid):
        assert (system(cells).labels == cells.test_labels).mean() > 0.95
    assert set(majority(cells).labels) == {"a"}
