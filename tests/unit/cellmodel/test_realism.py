import numpy as np

from cellwright.cellmodel.realism import (
    correlation_agreement,
    log_profile,
    measure_realism,
    nearest_ratio,
    two_sample_auc,
)
from cellwright.cellmodel.reference import TypeSource

SOURCE = TypeSource(
    name="B cell", dataset="one", species="human", tissue="blood", protocol="10x", n_cells=300
)


def cells(n: int, seed: int, *, linked: bool = True, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    base = np.exp(np.linspace(-1, 3, 60))
    sign = np.where(np.arange(60) % 2, 1.0, -1.0)
    varied = rng.normal(size=(n, 1) if linked else (n, 60)) * 0.6 * sign
    return rng.poisson(base * np.exp(varied + shift * (np.arange(60) < 10)))


def test_equal_cells_cannot_be_told_apart() -> None:
    one, other, moved = (log_profile(cells(150, at)) for at in (1, 2, 3))
    assert abs(two_sample_auc(one, other) - 0.5) < 0.1
    assert two_sample_auc(one, moved + 0.5) > 0.85


def test_lost_correlations_are_seen() -> None:
    real = log_profile(cells(300, 1))
    assert correlation_agreement(real, log_profile(cells(300, 2))) > 0.9
    assert correlation_agreement(real, log_profile(cells(300, 2, linked=False))) < 0.5


def test_copies_are_seen() -> None:
    training, real, made = (log_profile(cells(200, at)) for at in (1, 2, 3))
    assert abs(nearest_ratio(made, real, training) - 1) < 0.1
    assert nearest_ratio(training[:50], real, training) < 0.05


def test_a_source_with_few_held_out_cells_is_not_judged() -> None:
    training, made = cells(200, 1), cells(60, 3)
    judged = measure_realism(SOURCE, cells(60, 2), made, training)
    assert judged.n_held_out == 60
    assert judged.two_sample_auc is not None
    assert abs((judged.library_ratio or 0) - 1) < 0.2
    few = measure_realism(SOURCE, cells(8, 2), made[:8], training)
    assert (few.n_held_out, few.two_sample_auc, few.nearest_ratio) == (8, None, None)
