"""Simple systems that any model must beat: linear, neighbours, centroids, the largest class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cellwright.evals.scorers import Labelling
from cellwright.evals.task import Unavailable

COMPONENTS = 50


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


def logistic(cells: LabelledCells) -> Labelling:
    """Logistic regression, L2 with C = 1, on log1p CP10k of every gene."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=300)
    model.fit(cells.train, cells.train_labels.astype(str))
    shares = model.predict_proba(cells.test)
    return Labelling(
        labels=model.classes_[shares.argmax(axis=1)].astype(object), confidence=shares.max(axis=1)
    )


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
    try:
        import celltypist as package
    except ImportError as error:
        msg = "celltypist is not installed (pip install 'cellwright[bench]')"
        raise Unavailable(msg) from error
    from anndata import AnnData

    def data(matrix: Any, labels: np.ndarray) -> AnnData:
        adata = AnnData(matrix.copy())
        adata.var_names = list(cells.genes)
        adata.obs["label"] = labels.astype(str)
        return adata

    try:
        model = package.train(
            data(cells.train, cells.train_labels),
            labels="label",
            use_SGD=True,
            feature_selection=False,
            check_expression=False,
            n_jobs=1,
        )
        found = package.annotate(data(cells.test, cells.test_labels), model=model)
    except (ValueError, KeyError, SystemExit) as error:
        msg = f"celltypist does not take these cells ({error})"
        raise Unavailable(msg) from error
    return Labelling(labels=found.predicted_labels["predicted_labels"].to_numpy().astype(object))


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
