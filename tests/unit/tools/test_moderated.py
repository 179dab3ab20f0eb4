import numpy as np
import pytest
from scipy import stats

from cellwright.tools.moderated import adjust, moderated_t, shared_variance


def test_equals_the_ordinary_t_test_where_no_variance_is_shared():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(20, 2))
    side = np.r_[np.ones(10), np.zeros(10)]
    test = moderated_t(values, np.c_[side, np.ones(20)], 0)
    plain = stats.ttest_ind(values[:10], values[10:])
    assert np.sign(test.t) == pytest.approx(np.sign(plain.statistic))
    np.testing.assert_allclose(test.effect, values[:10].mean(0) - values[10:].mean(0))


def test_p_values_are_uniform_without_a_difference():
    draw = np.random.default_rng(1)
    scale = np.sqrt(1 / draw.chisquare(6, 4000) * 6)
    values = draw.normal(size=(6, 4000)) * scale
    side = np.r_[np.ones(3), np.zeros(3)]
    test = moderated_t(values, np.c_[side, np.ones(6)], 0)
    assert (test.p < 0.05).mean() == pytest.approx(0.05, abs=0.012)
    assert (test.p_adjusted < 0.05).sum() <= 3


def test_finds_the_prior_that_variances_were_drawn_from():
    draw = np.random.default_rng(2)
    true = 0.5 * 8 / draw.chisquare(8, 20000)
    seen = true * draw.chisquare(4, 20000) / 4
    prior, freedom = shared_variance(seen, 4)
    assert prior == pytest.approx(0.5, rel=0.1)
    assert freedom == pytest.approx(8, rel=0.2)


def test_adjusted_p_values():
    np.testing.assert_allclose(
        adjust(np.array([0.01, 0.04, 0.03, 0.5])), [0.04, 0.16 / 3, 0.16 / 3, 0.5]
    )
