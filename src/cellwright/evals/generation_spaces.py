"""The spaces in which made cells are judged, and the figures of merit there."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from cellwright.cellmodel.realism import (
    agreement,
    correlation_agreement,
    log_profile,
    nearest_distance,
    two_sample_auc,
)
from cellwright.evals.generators import Bed, Made
from cellwright.evals.metrics import (
    kernel_width,
    mean_discrepancy,
    neighbour_accuracy,
    same_label_share,
)

NEIGHBOURS = (5, 10, 25, 50)
COMPONENTS = 50
UMAP_NEIGHBOURS = 40
BASE_SEED = 42


def principal_points(real: np.ndarray, others: Made) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """PCA-50: principal components of log1p CP10k, fitted on real cells, and others mapped there.

    The components know the noise of the cells that they were fitted on. Cells that are new to them,
    real ones as well, come to lie nearer the middle.

    Args:
        real: ``(B, G)`` counts that the space is fitted on.
        others: Counts by system.
    """
    from sklearn.decomposition import PCA

    levels = log_profile(real)
    model = PCA(n_components=min(COMPONENTS, *levels.shape), random_state=0).fit(levels)
    return model.transform(levels), {
        system: model.transform(log_profile(cells)) for system, cells in others.items()
    }


class PapersSpace:
    """InstructCell's space: log10(1 + CP10k), 50 singular vectors, UMAP to two dimensions.

    One for all files, fitted on their test cells together.

    Args:
        beds: Test cells of the files.
        seed: Seed of UMAP.
    """

    def __init__(self, beds: Sequence[Bed], seed: int) -> None:
        from sklearn.decomposition import TruncatedSVD
        from umap import UMAP

        self._width = len(beds[0].genes)
        levels = self._levels(beds, [bed.real for bed in beds])
        size = min(COMPONENTS, min(levels.shape) - 1)
        self._flat = TruncatedSVD(n_components=size, n_iter=20, random_state=BASE_SEED).fit(levels)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # UMAP says that a seed means one thread
            near = min(UMAP_NEIGHBOURS, levels.shape[0] - 1)
            self._umap = UMAP(n_neighbors=near, random_state=BASE_SEED + seed, n_jobs=1)
            self._umap.fit(self._flat.transform(levels))
        self.real = _parted(np.asarray(self._umap.embedding_), beds)

    def points(self, beds: Sequence[Bed], cells: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Where made cells come to lie, a table ``(B, 2)`` for each file."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mapped = self._umap.transform(self._flat.transform(self._levels(beds, cells)))
        return _parted(np.asarray(mapped), beds)

    def _levels(self, beds: Sequence[Bed], cells: Sequence[np.ndarray]) -> np.ndarray:
        rows = []
        for bed, counts in zip(beds, cells, strict=True):
            levels = np.zeros((len(counts), self._width), dtype=np.float32)
            levels[:, bed.genes] = log_profile(counts, 10)
            rows.append(levels)
        return np.concatenate(rows)


def _parted(points: np.ndarray, beds: Sequence[Bed]) -> list[np.ndarray]:
    return np.split(points, np.cumsum([len(bed.real) for bed in beds])[:-1])


def kernel_widths(real: np.ndarray) -> dict[int, float]:
    """Width of MMD's kernels by k, for everything that is held against a bed's real cells."""
    return {k: kernel_width(real, k) for k in NEIGHBOURS}


def neighbourhoods(
    real: np.ndarray,
    real_labels: np.ndarray,
    made: np.ndarray,
    made_labels: np.ndarray,
    *,
    widths: Mapping[int, float],
) -> dict[str, dict[int, float]]:
    """Figures of merit by k: ``delta_sknn``, ``pknn``, ``delta_pknn`` and ``mmd``.

    The paper's own: the gap of made to real cells in the share of neighbours of the same type; the
    accuracy of a k-NN classifier of real cells on made ones; MMD, whose kernels are as wide as the
    distance to the k-th neighbour (the paper takes 25). ``delta_pknn`` sets the accuracy beside
    what the real cells reach among themselves: types that are easier to tell apart than real ones
    are not better.

    Args:
        real: ``(B, D)`` points of real cells.
        real_labels: ``(B,)`` their types.
        made: ``(C, D)`` points of made cells.
        made_labels: ``(C,)`` their types.
        widths: ``kernel_widths`` of all real cells of the bed.
    """
    found: dict[str, dict[int, float]] = {
        name: {} for name in ("delta_sknn", "pknn", "delta_pknn", "mmd")
    }
    for k in NEIGHBOURS:
        if k >= min(len(real), len(made)):
            continue
        own = same_label_share(made, made_labels, k)
        found["delta_sknn"][k] = abs(own - same_label_share(real, real_labels, k))
        hit = neighbour_accuracy(real, real_labels, made, made_labels, k)
        found["pknn"][k] = hit
        found["delta_pknn"][k] = abs(hit - left_out_accuracy(real, real_labels, k))
        found["mmd"][k] = mean_discrepancy(real, made, widths[k])
    return found


def left_out_accuracy(points: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Accuracy of a k-NN classifier on the cells that it was fitted on, each left out in turn."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
    names, codes = np.unique(labels, return_inverse=True)
    votes = np.stack([(codes[near] == at).sum(axis=1) for at in range(len(names))], axis=1)
    return float((votes.argmax(axis=1) == codes).mean())


def gene_figures(
    real: np.ndarray, made: np.ndarray, training: np.ndarray, *, usual: float
) -> dict[str, float]:
    """Gene-level figures of made cells beside real ones.

    Args:
        real: ``(B, G)`` counts.
        made: ``(C, G)`` counts.
        training: ``(N, G)`` log profiles of training cells.
        usual: ``nearest_distance`` of real cells to those.
    """
    levels, drawn = log_profile(real), log_profile(made)
    medians = [max(float(np.median(part.sum(axis=1))), 1.0) for part in (made, real)]
    return {
        "library_gap": abs(float(np.log(medians[0] / medians[1]))),
        "zero_rate_gap": abs(float((made == 0).mean() - (real == 0).mean())),
        "mean_correlation": agreement(levels.mean(axis=0), drawn.mean(axis=0)),
        "variance_correlation": agreement(levels.var(axis=0), drawn.var(axis=0)),
        "gene_correlation": correlation_agreement(levels, drawn),
        "two_sample_auc": two_sample_auc(levels, drawn),
        "nearest_training_ratio": nearest_distance(drawn, training) / max(usual, 1e-9),
    }


def halves(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of two halves, every type in both."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    return np.sort(order[::2]), np.sort(order[1::2])


def mean_over_k(found: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Each figure's mean over k, as the paper's radar plots show it."""
    return {name: float(np.mean(list(by_k.values()))) for name, by_k in found.items() if by_k}
