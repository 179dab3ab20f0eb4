"""How made cells compare with measured ones: for a checkpoint's card, the tool and evals."""

import numpy as np

from cellwright.cellmodel.reference import TypeRealism, TypeSource, pair_correlations

TESTED_GENES = 500
"""Most variable genes that the two-sample classifier reads."""
CORRELATED_GENES = 200
"""Best expressed genes whose correlations are compared."""
FOLDS = 5
FEWEST_JUDGED = 20
"""Cells of either kind below which no classifier is trained and no correlation compared."""


def measure_realism(
    source: TypeSource, real: np.ndarray, made: np.ndarray, training: np.ndarray
) -> TypeRealism:
    """Compare made cells with held-out ones.

    Args:
        source: What they are cells of.
        real: ``(B, G)`` counts of held-out cells.
        made: ``(B, G)`` counts of made cells.
        training: ``(N, G)`` counts of training cells.
    """
    who = {"name": source.name, "dataset": source.dataset, "n_held_out": len(real)}
    if len(real) < FEWEST_JUDGED or len(training) < FEWEST_JUDGED:
        return TypeRealism(**who)  # type: ignore[arg-type] # a name, a file and a number
    some = training[np.random.default_rng(0).permutation(len(training))[: len(real)]]
    levels, drawn, known = (log_profile(part) for part in (real, made, some))
    median = max(float(np.median(real.sum(axis=1))), 1.0)
    figures = {
        "library_ratio": float(np.median(made.sum(axis=1))) / median,
        "zero_gap": float((made == 0).mean() - (real == 0).mean()),
        "gene_correlation": correlation_agreement(levels, drawn),
        "gene_correlation_real": correlation_agreement(levels, known),
        "two_sample_auc": two_sample_auc(levels, drawn),
        "two_sample_auc_real": two_sample_auc(levels, known),
        "nearest_ratio": nearest_ratio(drawn, levels, log_profile(training)),
    }
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return TypeRealism(**who, **rounded)  # type: ignore[arg-type]


def log_profile(counts: np.ndarray, base: float = np.e) -> np.ndarray:
    """log(1 + counts per 10,000), ``(B, G)`` float32."""
    scale = 1e4 / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.log1p(counts * scale) / np.log(base), dtype=np.float32)


def two_sample_auc(real: np.ndarray, made: np.ndarray) -> float:
    """How well a logistic regression tells two sets of cells apart; .5 is not at all.

    Mean area under the ROC curve over the folds of a cross-validation (a classifier two-sample
    test, Lopez-Paz and Oquab 2017), on the most variable genes of both sets together.

    Args:
        real: ``(B, G)`` log profiles.
        made: ``(C, G)`` log profiles.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    both = np.concatenate([real, made])
    kind = np.repeat([0, 1], [len(real), len(made)])
    genes = np.argsort(-both.var(axis=0), kind="stable")[:TESTED_GENES]
    folds = StratifiedKFold(min(FOLDS, len(real), len(made)), shuffle=True, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=500)
    levels = both[:, genes] - both[:, genes].mean(axis=0)
    return float(cross_val_score(model, levels, kind, cv=folds, scoring="roc_auc").mean())


def correlation_agreement(real: np.ndarray, made: np.ndarray) -> float:
    """Correlation, over pairs of the real cells' best expressed genes, of gene-gene correlations.

    Args:
        real: ``(B, G)`` log profiles.
        made: ``(C, G)`` log profiles.
    """
    genes = np.argsort(-real.mean(axis=0), kind="stable")[:CORRELATED_GENES]
    return agreement(pair_correlations(real[:, genes]), pair_correlations(made[:, genes]))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two rows of figures; 0 where one is constant."""
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def nearest_ratio(made: np.ndarray, real: np.ndarray, training: np.ndarray) -> float:
    """Median distance of made cells to their nearest training cell, over that of real cells.

    About 1 is right; near 0 is copying.

    Args:
        made: ``(B, G)`` log profiles of made cells.
        real: ``(C, G)`` log profiles of held-out cells.
        training: ``(N, G)`` log profiles of training cells.
    """
    return nearest_distance(made, training) / max(nearest_distance(real, training), 1e-9)


def nearest_distance(cells: np.ndarray, training: np.ndarray) -> float:
    """Median distance of log profiles ``(B, G)`` to the nearest of others, ``(N, G)``."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training)
    return float(np.median(model.kneighbors(cells)[0]))
