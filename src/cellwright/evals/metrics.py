"""Figures of merit, each from arrays alone."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from cellwright.evals.task import Score

Z_95 = 1.959964


def accuracy(truth: Sequence[str], guess: Sequence[str]) -> float:
    """Share of guesses that equal the truth."""
    return float(np.mean(np.asarray(truth, object) == np.asarray(guess, object)))


def f1_scores(
    truth: Sequence[str], guess: Sequence[str], labels: Sequence[str] | None = None
) -> dict[str, tuple[float, int]]:
    """F1 and number of true items of each label.

    Args:
        truth: True labels.
        guess: Guesses; one outside the labels (``unknown``, no answer) is wrong and no class.
        labels: The true label list; by default the labels that occur in the truth.
    """
    true, said = np.asarray(truth, object), np.asarray(guess, object)
    found = {}
    for label in labels if labels is not None else sorted(set(truth)):
        hits = int(((true == label) & (said == label)).sum())
        total = int((true == label).sum()) + int((said == label).sum())
        found[label] = (2 * hits / total if total else 0.0, int((true == label).sum()))
    return found


def macro_f1(
    truth: Sequence[str], guess: Sequence[str], labels: Sequence[str] | None = None
) -> float:
    """Mean F1 over the true label list."""
    return float(np.mean([f1 for f1, _n in f1_scores(truth, guess, labels).values()]))


def weighted_f1(
    truth: Sequence[str], guess: Sequence[str], labels: Sequence[str] | None = None
) -> float:
    """Mean F1 over the true label list, each label by its number of true items."""
    scores = f1_scores(truth, guess, labels).values()
    return float(sum(f1 * n for f1, n in scores) / max(sum(n for _f1, n in scores), 1))


def expected_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 10
) -> float:
    """Mean gap between confidence and accuracy over equal bins of confidence."""
    where = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[where == at].mean() - correct[where == at].mean()) * (where == at).mean()
        for at in range(bins)
        if (where == at).any()
    ]
    return float(sum(gaps))


def set_coverage(truth: Sequence[str], sets: Sequence[Sequence[str]]) -> float:
    """Share of label sets that hold the truth."""
    return float(np.mean([one in held for one, held in zip(truth, sets, strict=True)]))


def interval_coverage(truth: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of measured values within their interval; NaN values are left out."""
    known = np.isfinite(truth)
    return float(((truth >= low) & (truth <= high))[known].mean())


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation over the pairs that are both measured; NaN if one side is constant."""
    from scipy.stats import rankdata

    both = np.isfinite(a) & np.isfinite(b)
    ranks = rankdata(a[both]), rankdata(b[both])
    if both.sum() < 3 or ranks[0].std() == 0 or ranks[1].std() == 0:
        return math.nan
    return float(np.corrcoef(*ranks)[0, 1])


def wilson(hits: int, n: int) -> Score:
    """A share with its 95 % Wilson interval."""
    if n == 0:
        return Score(mean=0.0, low=0.0, high=1.0, n=0)
    share = hits / n
    scale = 1 + Z_95**2 / n
    middle = (share + Z_95**2 / (2 * n)) / scale
    half = Z_95 * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2)) / scale
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    # At 0 and at n hits the interval ends at the share; rounding must not put it beyond.
    return Score(mean=share, low=min(low, share), high=max(high, share), n=n)


def bootstrap(
    figure: Callable[[np.ndarray], float], n: int, *, draws: int = 200, seed: int = 0
) -> Score:
    """A figure with its 95 % bootstrap interval.

    Args:
        figure: The figure on the items at these positions.
        n: Number of items.
        draws: Number of resamples.
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    mean = figure(np.arange(n))
    values = np.array([figure(rng.integers(0, n, n)) for _ in range(draws)])
    values = values[np.isfinite(values)]
    if not len(values):
        return Score(mean=mean, low=mean, high=mean, n=n)
    low, high = np.quantile(values, [0.025, 0.975])
    return Score(mean=mean, low=min(float(low), mean), high=max(float(high), mean), n=n)


def mean_over(values: np.ndarray) -> Score:
    """Mean of values with its 95 % bootstrap interval."""
    return bootstrap(lambda at: float(values[at].mean()), len(values))


def over_seeds(values: Sequence[float], n: int) -> Score:
    """Mean and range of a figure over seeds."""
    return Score(
        mean=float(np.mean(values)), low=min(values), high=max(values), n=n, seeds=len(values)
    )


def auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Chance that a value of the first kind is above one of the second; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    wins = ranks.sum() - len(inside) * (len(inside) + 1) / 2
    return float(wins / (len(inside) * len(outside)))


def same_label_share(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """sKNN: mean share of a cell's k nearest neighbours, itself left out, with its own label."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    return float((labels[near] == labels[:, None]).mean())


def neighbour_accuracy(
    real: np.ndarray, real_labels: np.ndarray, made: np.ndarray, made_labels: np.ndarray, k: int
) -> float:
    """pKNN: accuracy, on generated cells, of a k-NN classifier fitted on real ones."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(n_neighbors=k).fit(real, real_labels)
    return float((model.predict(made) == made_labels).mean())


def kernel_width(real: np.ndarray, neighbour: int = 25) -> float:
    """Median distance of a real cell to its ``neighbour``-th nearest."""
    from scipy.spatial.distance import cdist

    within = np.sort(cdist(real, real, "sqeuclidean"), axis=1)
    return float(np.median(np.sqrt(within[:, min(neighbour, len(real) - 1)])))


def mean_discrepancy(real: np.ndarray, made: np.ndarray, width: float | None = None) -> float:
    """MMD: biased squared statistic, three RBF kernels around a width.

    Figures that are set beside one another need one width, so that of parts of the real cells has
    to be given; None takes ``kernel_width`` of the real ones.
    """
    from scipy.spatial.distance import cdist

    width = kernel_width(real) if width is None else width
    gamma = 1.0 / max(width**2, 1e-12)
    within, other = cdist(real, real, "sqeuclidean"), cdist(made, made, "sqeuclidean")
    across = cdist(real, made, "sqeuclidean")
    return float(
        sum(
            np.exp(-g * within).mean() + np.exp(-g * other).mean() - 2 * np.exp(-g * across).mean()
            for g in (gamma / 2, gamma, 2 * gamma)
        )
    )
