"""Simple systems that any model must beat: linear, neighbours, centroids, the largest class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cellwright.evals.scorers import Labelling
from cellwright.evals.task import Unavailable

COMPONENTS = 50
CELLTYPIST_SWEEPS = 50
"""Most sweeps of CellTypist's SGD: its own 1,000 take minutes a set, times twenty sets."""


@dataclass(frozen=True, kw_only=True)
class LabelledCells:
    """Cells of one split.

    Attributes:
        train: (N, G) CSR, log1p CP10k.
        train_labels: (N,) object.
        test: (M, G) CSR, the same genes.
        test_labels: (M,) object.
        genes: Names of the G genes.
        payload: What a system of another kind needs (blocks aligned to a model's genes).
    """

    train: Any
    train_labels: np.ndarray
    test: Any
    test_labels: np.ndarray
    genes: tuple[str, ...]
    payload: Any = None


STRENGTHS = (0.1, 1.0, 10.0)


def logistic(cells: LabelledCells) -> Labelling:
    """Logistic regression on log1p CP10k of every gene, its L2 strength tuned."""
    from sklearn.linear_model import LogisticRegression

    labels = cells.train_labels.astype(str)
    model = LogisticRegression(C=_best_strength(cells.train, labels), max_iter=200)
    model.fit(cells.train, labels)
    shares = model.predict_proba(cells.test)
    return Labelling(
        labels=model.classes_[shares.argmax(axis=1)].astype(object), confidence=shares.max(axis=1)
    )


def _best_strength(train: Any, labels: np.ndarray) -> float:
    """The strength of best macro F1 on a quarter of the training cells, fitted on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.model_selection import train_test_split

    fit, held_out = train_test_split(np.arange(len(labels)), test_size=0.25, random_state=0)
    if len(set(labels[fit])) < 2:
        return 1.0
    found = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=60, tol=1e-2)
        guess = model.fit(train[fit], labels[fit]).predict(train[held_out])
        found[strength] = f1_score(labels[held_out], guess, average="macro", zero_division=0)
    return max(found, key=lambda strength: found[strength])


def neighbours(cells: LabelledCells, k: int = 15) -> Labelling:
    """K nearest neighbours in 50 principal components of the training cells."""
    from sklearn.neighbors import KNeighborsClassifier

    train, test = _components(cells)
    model = KNeighborsClassifier(n_neighbors=min(k, len(train)))
    model.fit(train, cells.train_labels.astype(str))
    return Labelling(labels=model.predict(test).astype(object))


def centroid(cells: LabelledCells) -> Labelling:
    """Nearest class mean in 50 principal components of the training cells."""
    train, test = _components(cells)
    labels = np.array(sorted(set(cells.train_labels)), object)
    means = np.stack([train[cells.train_labels == label].mean(axis=0) for label in labels])
    distance = ((test[:, None, :] - means[None]) ** 2).sum(axis=2)
    return Labelling(labels=labels[distance.argmin(axis=1)])


def majority(cells: LabelledCells) -> Labelling:
    """The most frequent training label for every cell."""
    values, counts = np.unique(cells.train_labels.astype(str), return_counts=True)
    return Labelling(labels=np.full(cells.test.shape[0], values[counts.argmax()], object))


def celltypist(cells: LabelledCells) -> Labelling:
    """CellTypist's own training (SGD) and prediction, without majority voting.

    Raises:
        Unavailable: CellTypist is not installed, or does not take these cells.
    """
    return Labelling(labels=celltypist_predictor(cells)(cells.test))


def celltypist_predictor(cells: LabelledCells) -> Callable[[Any], np.ndarray]:
    """A function from cells, log1p CP10k on the same genes, to CellTypist's labels.

    Raises:
        Unavailable: CellTypist is not installed, or does not take these cells.
    """
    try:
        import celltypist as package
    except ImportError as error:
        msg = "celltypist is not installed (pip install 'cellwright[bench]')"
        raise Unavailable(msg) from error
    import logging

    from anndata import AnnData

    logging.getLogger("celltypist").setLevel(logging.ERROR)
    package.logger.set_level(logging.ERROR)

    def data(matrix: Any) -> AnnData:
        adata = AnnData(matrix.copy())
        adata.var_names = list(cells.genes)
        return adata

    try:
        train = data(cells.train)
        train.obs["label"] = cells.train_labels.astype(str)
        model = package.train(
            train,
            labels="label",
            use_SGD=True,
            feature_selection=False,
            check_expression=False,
            max_iter=CELLTYPIST_SWEEPS,
            n_jobs=1,
        )

        def predict(matrix: Any) -> np.ndarray:
            found = package.annotate(data(matrix), model=model)
            return np.asarray(found.predicted_labels["predicted_labels"], dtype=object)

        predict(cells.train[:2])
    except (ValueError, KeyError, SystemExit) as error:
        msg = f"celltypist does not take these cells ({error})"
        raise Unavailable(msg) from error
    return predict


BASELINES = {
    "logistic": logistic,
    "knn": neighbours,
    "centroid": centroid,
    "celltypist": celltypist,
    "majority": majority,
}


def _components(cells: LabelledCells) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import TruncatedSVD

    size = min(COMPONENTS, min(cells.train.shape) - 1)
    model = TruncatedSVD(n_components=max(size, 1), random_state=0).fit(cells.train)
    return model.transform(cells.train), model.transform(cells.test)
