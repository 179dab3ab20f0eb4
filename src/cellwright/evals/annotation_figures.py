"""Figures of annotation: cells by true and by predicted type, confusion, and all sets at once."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.evals.metrics import accuracy, macro_f1
from cellwright.evals.pictures import confusion, new_figure, save
from cellwright.tools.figures import GREY, colours, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellwright.cellmodel.inference import CellModel
    from cellwright.evals.cells import CellFile

MAX_CELLS = 1500
"""Cells that a map shows; more are sampled."""

N_COMPONENTS = 30
N_NEIGHBOURS = 15
PCA_NAME = "PCA-30 of log1p CP10k"
MODEL_NAME = "the model's cell vectors"
MAX_NAMED = 20
"""Types of the overview that are named; the others are grey."""

FEW = 12
"""Cells of a set that the overview shows at least, where it has so many."""


def draw_pair(
    file: CellFile,
    rows: np.ndarray,
    predicted: np.ndarray,
    folder: Path,
    *,
    embedding: np.ndarray | None = None,
    embedding_name: str = MODEL_NAME,
) -> tuple[Path, Path]:
    """Cells by true and by predicted type on one UMAP, and the confusion matrix.

    Args:
        file: The file.
        rows: (B,) cells that were predicted.
        predicted: (B,) object, their predicted labels.
        folder: Where the figures go.
        embedding: (B, D) vectors that the map is made of; principal components of the cells' own
            genes when None.
        embedding_name: What those vectors are, for the title.

    Returns:
        Paths of the pair of maps and of the confusion matrix.
    """
    truth = file.names[rows]
    predicted = np.asarray(predicted, dtype=object)
    shown = sample_cells(np.zeros(len(rows), dtype=int), MAX_CELLS)
    if embedding is None:
        vectors, name = components(file.log[rows[shown]]), PCA_NAME
    else:
        vectors, name = np.asarray(embedding)[shown], embedding_name
    points = project(vectors)
    labels = by_size(np.concatenate([truth, predicted]))
    palette = colours(labels)
    figure, axes = new_figure(10.5, 4.6, 1, 2)
    n = f"{len(rows):,}" if len(shown) == len(rows) else f"{len(shown):,} of {len(rows):,}"
    where = f"{file.card.name}, {n} test cells, {file.split} split"
    _scatter(axes[0, 0], points, truth[shown], palette, f"truth: {where}")
    figures = (
        f"accuracy {accuracy(list(truth), list(predicted)):.3f}, "
        f"macro F1 {macro_f1(list(truth), list(predicted)):.3f}"
    )
    _scatter(axes[0, 1], points, predicted[shown], palette, f"predicted: {figures}")
    wrong = truth[shown] != predicted[shown]
    axes[0, 1].scatter(
        *points[wrong].T, s=16, facecolors="none", edgecolors="black", linewidths=0.5
    )
    _legend(axes[0, 1], labels, palette, note="ringed: not the true type")
    for axis in axes[0]:
        axis.set_xlabel(f"UMAP of {name}", fontsize=8)
    pair = save(figure, folder, f"annotation_map_{file.card.name}")
    side = 2.6 + 0.2 * len(labels)
    figure, axes = new_figure(side + 0.8, side, 1, 1)
    confusion(
        axes[0, 0], list(truth), list(predicted), f"{file.card.name}, {len(rows):,} test cells"
    )
    return pair, save(figure, folder, f"annotation_confusion_{file.card.name}")


def draw_overview(files: Sequence[CellFile], model: CellModel, folder: Path) -> Path:
    """Test cells of all sets on one map, by data set, species, tissue and type.

    Sets do not share genes, so the map is of the model's cell vectors.

    Args:
        files: The files.
        model: The model.
        folder: Where the figure goes.
    """
    origin = np.concatenate([np.full(len(one.parts["test"]), at) for at, one in enumerate(files)])
    place = np.concatenate([one.parts["test"] for one in files])
    shown = sample_cells(origin, MAX_CELLS)
    origin, place = origin[shown], place[shown]
    vectors, labels = [], []
    for at, file in enumerate(files):
        own = place[origin == at]
        if len(own):
            vectors.append(model.annotate(file.block(model.vocabulary, own)).embedding)
            labels.append(file.names[own])
    points = project(np.concatenate(vectors))
    cards = [files[at].card for at in origin]
    panels = (
        ("data set", np.array([card.name for card in cards], object)),
        ("species", np.array([card.species for card in cards], object)),
        ("tissue", np.array([card.tissue for card in cards], object)),
        ("cell type", np.concatenate(labels)),
    )
    figure, axes = new_figure(15, 10, 2, 2)
    for axis, (what, values) in zip(axes.ravel(), panels, strict=True):
        names = by_size(values)
        named = names[:MAX_NAMED]
        palette = {**dict.fromkeys(names, GREY), **colours(named)}
        _scatter(axis, points, values, palette, f"{what}: {len(names)}")
        rest = len(names) - len(named)
        _legend(axis, named, palette, note=f"grey: {rest} smaller ones" if rest else "")
        axis.set_xlabel(f"UMAP of {MODEL_NAME}", fontsize=8)
    title = f"{len(shown):,} test cells of {len(files)} data sets"
    figure.suptitle(title, fontsize=12)
    return save(figure, folder, "annotation_overview")


def sample_cells(origin: np.ndarray, most: int) -> np.ndarray:
    """Positions of at most so many cells, more from large sets but some from each.

    Args:
        origin: (B,) int, set of each cell.
        most: Number of cells.

    Returns:
        Sorted positions; the same for the same input.
    """
    if len(origin) <= most:
        return np.arange(len(origin))
    sizes = np.bincount(origin)
    weight = np.sqrt(sizes)
    quota = np.minimum(sizes, np.maximum(FEW, np.floor(most * weight / weight.sum())).astype(int))
    rng = np.random.default_rng(0)
    picks = [
        rng.choice(np.flatnonzero(origin == at), n, replace=False) for at, n in enumerate(quota)
    ]
    found = np.sort(np.concatenate(picks))
    return found if len(found) <= most else np.sort(rng.choice(found, most, replace=False))


def components(log: Any) -> np.ndarray:
    """Principal components of log1p CP10k, ``(B, <=30)``."""
    from sklearn.decomposition import PCA

    dense = np.asarray(log.toarray() if hasattr(log, "toarray") else log, dtype=np.float32)
    n = max(1, min(N_COMPONENTS, dense.shape[0] - 1, dense.shape[1] - 1))
    found: np.ndarray = PCA(n, svd_solver="randomized", random_state=0).fit_transform(dense)
    return found


def project(vectors: np.ndarray) -> np.ndarray:
    """UMAP of vectors to two dimensions, seeded."""
    import umap

    with warnings.catch_warnings():
        # A seeded map is made on one thread, and says so.
        warnings.simplefilter("ignore")
        mapper = umap.UMAP(
            n_neighbors=min(N_NEIGHBOURS, len(vectors) - 1),
            min_dist=0.5,
            init="spectral" if len(vectors) > 2 * N_NEIGHBOURS else "random",
            random_state=0,
        )
        points: np.ndarray = mapper.fit_transform(np.asarray(vectors, dtype=np.float32))
    return points


def by_size(labels: np.ndarray) -> list[str]:
    """Labels, the most frequent first, equals by name."""
    counts = Counter(map(str, labels))
    return sorted(counts, key=lambda name: (-counts[name], name))


def _scatter(
    axis: Axes, points: np.ndarray, labels: np.ndarray, palette: dict[str, Any], title: str
) -> None:
    order = np.random.default_rng(0).permutation(len(points))
    tints = [palette[str(label)] for label in labels[order]]
    axis.scatter(points[order, 0], points[order, 1], c=tints, s=9, linewidths=0)
    axis.set_title(title, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_color("#BBBBBB")


def _legend(axis: Axes, labels: Sequence[str], palette: dict[str, Any], *, note: str) -> None:
    handles = [
        axis.scatter([], [], color=palette[label], s=22, label=short(label, 30)) for label in labels
    ]
    box = axis.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=7,
        handletextpad=0.3, title=note or None, title_fontsize=7, ncols=1 + (len(labels) - 1) // 26,
    )  # fmt: skip
    box.set_alignment("left")
