"""Metrics against values worked out by hand."""

import math

import numpy as np
import pytest

from cellwright.evals.metrics import (
    accuracy,
    bootstrap,
    expected_calibration_error,
    interval_coverage,
    kernel_width,
    macro_f1,
    mean_discrepancy,
    neighbour_accuracy,
    over_seeds,
    same_label_share,
    set_coverage,
    spearman,
    weighted_f1,
    wilson,
)

TRUTH = ["a", "a", "a", "b", "b", "c"]
GUESS = ["a", "a", "b", "b", "unknown", "a"]


def test_f1_by_hand() -> None:
    # a: tp 2, fp 1, fn 1 -> 4/6; b: tp 1, fp 1, fn 1 -> 2/4; c: 0.
    assert macro_f1(TRUTH, GUESS) == pytest.approx((2 / 3 + 0.5 + 0) / 3)
    assert weighted_f1(TRUTH, GUESS) == pytest.approx((3 * 2 / 3 + 2 * 0.5) / 6)
    assert accuracy(TRUTH, GUESS) == pytest.approx(0.5)


def test_an_invented_label_is_wrong_but_no_class() -> None:
    assert macro_f1(["a", "b"], ["a", "zebra"]) == pytest.approx(0.5)


def test_a_label_of_the_list_that_is_absent_counts_as_zero() -> None:
    assert macro_f1(["a"], ["a"], ["a", "b"]) == pytest.approx(0.5)


def test_calibration_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    correct = np.array([1, 1, 1, 0], float)
    # |.95 - 1| * .5 + |.55 - .5| * .5
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.05)


def test_coverage() -> None:
    assert set_coverage(["a", "b"], [("a", "c"), ()]) == 0.5
    truth = np.array([0.0, 2.0, np.nan])
    assert interval_coverage(truth, np.array([-1, -1, -1]), np.array([1, 1, 1])) == 0.5


def test_spearman_ignores_scale_and_missing_pairs() -> None:
    a = np.array([1.0, 2.0, 3.0, np.nan])
    assert spearman(a, np.array([1.0, 10.0, 1000.0, 5.0])) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    assert math.isnan(spearman(a, np.ones(4)))


def test_wilson_by_hand() -> None:
    # 8 of 10: the published interval is .490 to .943.
    score = wilson(8, 10)
    assert (round(score.low, 3), round(score.high, 3)) == (0.490, 0.943)
    assert wilson(10, 10).high == 1.0
    assert wilson(0, 10).low == 0.0


def test_bootstrap_holds_the_mean_and_narrows_with_n() -> None:
    values = np.random.default_rng(0).normal(size=400)
    wide = bootstrap(lambda at: float(values[:20][at].mean()), 20)
    narrow = bootstrap(lambda at: float(values[at].mean()), 400)
    assert wide.low <= wide.mean <= wide.high
    assert narrow.high - narrow.low < wide.high - wide.low


def test_over_seeds_is_mean_and_range() -> None:
    score = over_seeds([0.1, 0.2, 0.6], 9)
    assert (score.mean, score.low, score.high, score.seeds) == (pytest.approx(0.3), 0.1, 0.6, 3)


def test_neighbour_metrics_on_two_blobs() -> None:
    points = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]], float)
    labels = np.array(list("aaabbb"))
    assert same_label_share(points, labels, 2) == 1.0
    assert same_label_share(points, labels, 3) == pytest.approx(2 / 3)
    assert neighbour_accuracy(points, labels, points + 0.1, labels, 2) == 1.0
    assert neighbour_accuracy(points, labels, points + 0.1, labels[::-1], 2) == 0.0


def test_mmd_is_zero_on_itself_and_grows_with_distance() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(60, 3))
    assert mean_discrepancy(real, real) == pytest.approx(0, abs=1e-12)
    assert mean_discrepancy(real, real + 3) > mean_discrepancy(real, real + 0.5) > 0


def test_parts_of_the_real_cells_are_judged_by_the_width_of_all() -> None:
    real = np.random.default_rng(0).normal(size=(60, 3))
    width = kernel_width(real)
    assert mean_discrepancy(real, real + 1) == mean_discrepancy(real, real + 1, width)
    assert kernel_width(real[:30]) > width
    assert kernel_width(real, 5) < width


def test_mmd_by_hand() -> None:
    # Two points each, distance 1 within; the other set far away: across terms vanish.
    real, made = np.array([[0.0], [1.0]]), np.array([[1e6], [1e6 + 1]])
    one = sum((2 + 2 * math.exp(-g)) / 4 for g in (0.5, 1, 2))
    assert mean_discrepancy(real, made) == pytest.approx(2 * one)
