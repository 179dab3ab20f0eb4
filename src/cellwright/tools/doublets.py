"""Doublets: droplets that held two cells, told by their likeness to sums of two measured cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

DOUBLET = "cellwright_doublet"
DOUBLET_SCORE = "cellwright_doublet_score"
DOUBLET_TYPES = "cellwright_doublet_types"

MIN_CELLS = 100
"""Cells that a sample needs: with fewer there is no neighbourhood to look at."""

MIN_GENES = 200
"""Genes that a file needs."""

MIN_SHARE = 0.005
"""Share of a sample's cells that a type needs for sums with it to be drawn (and three cells)."""

CHUNK = 5000
"""Cells scored together: larger samples are split at random, so that time grows with cells."""

N_VARIABLE = 2000
N_COMPONENTS = 20
NEIGHBOURS = (10, 30, 60)
N_ALIKE = 10
"""Nearest measured cells whose depth a cell is held against."""

KEPT = 0.5
"""Least share of the two cells' counts that a sum keeps; droplets do not hold all of both."""

SUSPECT = 0.7
"""Score from which cells are not taken for single ones when the score is fitted once more."""

SURE = 0.95
"""Score from which a cell is flagged."""

PARTNERS_FROM = 15
"""Nearest sums that say which two types a doublet is of."""

PARTNERS_AGREE = 0.4
"""Share of those sums that must be of one pair of types."""

SECONDS_PER_CELL = 0.0007
"""Measured on one core: 0.6 (kang, 24,522 cells) to 0.9 ms (pbmc3k) a cell."""

Say = Callable[[str, float | None], None]


@dataclass(frozen=True, kw_only=True)
class Doublets:
    """How much each cell looks like two.

    Attributes:
        score: (B,) float32, 0 to 1: the probability of being a sum rather than a cell, were both
            equally frequent; NaN where it was not measured.
        partners: (B,) object, pair of types whose sums a flagged cell resembles, in order of
            name; None for all others, and where the sums nearby are of many pairs.
        skipped: Samples that were not scored, each with the reason; one entry named ``""`` where
            nothing was.
    """

    score: np.ndarray
    partners: np.ndarray
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def flags(self) -> np.ndarray:
        """(B,) bool."""
        with np.errstate(invalid="ignore"):
            found: np.ndarray = self.score >= SURE
        return found


def score_doublets(
    counts: Any,
    types: np.ndarray,
    samples: np.ndarray | None = None,
    *,
    seed: int = 0,
    say: Say | None = None,
) -> Doublets:
    """Score cells by how much they resemble sums of two cells of different types.

    Within each sample, sums of two random cells of different types are drawn, one for each cell;
    cells and sums are placed together in principal components of log1p CP10k, and a logistic
    regression separates them by the share of sums among their neighbours and by their depth beyond
    that of the nearest cells. It is fitted once more without the cells that the first fit suspects.
    Simulated sums among neighbours are the idea of Scrublet (Wolock et al., Cell Systems 2019);
    sums between types, and depth beside them, that of scDblFinder (Germain et al., F1000Research
    2021).

    A sum of two cells of one type looks like one cell and is not found; a cell on its way between
    two types looks like a sum.

    Args:
        counts: (B, G) csr of raw counts.
        types: (B,) object, type or cluster of each cell.
        samples: (B,) object, the sample that each cell was loaded with; doublets form within one.
        seed: Seed of the draws.
        say: Progress.
    """
    n = counts.shape[0]
    score = np.full(n, np.nan, dtype=np.float32)
    partners = np.full(n, None, dtype=object)
    if counts.shape[1] < MIN_GENES:
        reason = f"{counts.shape[1]:,} genes were measured, and {MIN_GENES} are needed"
        return Doublets(score=score, partners=partners, skipped=(("", reason),))
    samples = np.full(n, "", dtype=object) if samples is None else samples
    rng = np.random.default_rng(seed)
    skipped: list[tuple[str, str]] = []
    filled = np.asarray(counts.sum(axis=1)).ravel() > 0
    done = 0
    for name in sorted(set(samples.tolist())):
        rows = np.flatnonzero((samples == name) & filled)
        reason = _unfit(types[rows])
        if reason:
            skipped.append((str(name), reason))
            continue
        for part in _chunks(rows, rng):
            if say:
                left = (n - done) * SECONDS_PER_CELL
                say(f"scoring doublets of {n:,} cells (about {left:.0f} s left)", done / n)
            score[part], partners[part] = _score(counts[part], types[part], rng)
            done += len(part)
    return Doublets(score=score, partners=partners, skipped=tuple(skipped))


def write_doublets(adata: AnnData, doublets: Doublets) -> None:
    """Write score, flag and the two types of flagged cells to obs, where anything was scored."""
    if np.isnan(doublets.score).all():
        return
    adata.obs[DOUBLET_SCORE] = doublets.score
    adata.obs[DOUBLET] = doublets.flags
    adata.obs[DOUBLET_TYPES] = [" + ".join(pair) if pair else "" for pair in doublets.partners]
    adata.obs[DOUBLET_TYPES] = adata.obs[DOUBLET_TYPES].astype("category")


def _unfit(types: np.ndarray) -> str:
    """Why a sample cannot be scored; empty when it can."""
    if len(types) < MIN_CELLS:
        return f"{len(types):,} cells, and {MIN_CELLS} are needed"
    if len(_usable(types)) < 2:
        return "its cells are of one type, and two cells of a type look like one"
    return ""


def _usable(types: np.ndarray) -> set[str]:
    least = max(3, MIN_SHARE * len(types))
    return {str(name) for name, count in Counter(types.tolist()).items() if count >= least}


def _chunks(rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    n_parts = math.ceil(len(rows) / CHUNK)
    return [np.sort(part) for part in np.array_split(rng.permutation(rows), n_parts)]


def _score(
    counts: Any, types: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the cells of one sample, and the partners of those that are flagged."""
    from sklearn.neighbors import NearestNeighbors

    n = counts.shape[0]
    first, second = draw_pairs(types, n, rng)
    sums = add_cells(counts, first, second, rng)
    points = _components(counts, sums, rng)
    k = min(max(NEIGHBOURS), n // 4)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    near = index.kneighbors(return_distance=False)
    features = np.column_stack([*_shares(near >= n), *_depths(counts, sums, points)])
    score = _fit(features, n)
    partners = np.full(n, None, dtype=object)
    for row in np.flatnonzero(score >= SURE):
        drawn = (near[row][near[row] >= n] - n)[:PARTNERS_FROM]
        partners[row] = _pair(types[first[drawn]], types[second[drawn]])
    return score, partners


def draw_pairs(
    types: np.ndarray, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of n pairs of cells of different types; a type is drawn as often as it occurs."""
    rows = np.flatnonzero(np.isin(types.astype(str), list(_usable(types))))
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    found = 0
    while found < n:
        a, b = rng.choice(rows, 2 * n), rng.choice(rows, 2 * n)
        apart = types[a] != types[b]
        first.append(a[apart])
        second.append(b[apart])
        found += int(apart.sum())
    return np.concatenate(first)[:n], np.concatenate(second)[:n]


def add_cells(
    counts: Any,
    first: np.ndarray,
    second: np.ndarray,
    rng: np.random.Generator,
    *,
    kept: float = KEPT,
) -> Any:
    """Sums of pairs of cells, each thinned to a random share of its counts.

    Args:
        counts: (B, G) csr of raw counts.
        first: (N,) positions.
        second: (N,) positions.
        rng: Source of the draws.
        kept: Least share that is kept; 1 keeps the sums whole.

    Returns:
        (N, G) csr.
    """
    from scipy import sparse

    sums = sparse.csr_matrix(counts[first] + counts[second], dtype=np.float32)
    if kept < 1:
        shares = np.repeat(rng.uniform(kept, 1, len(first)), np.diff(sums.indptr))
        sums.data = rng.binomial(np.rint(sums.data).astype(np.int64), shares).astype(np.float32)
        sums.eliminate_zeros()
    return sums


def _components(counts: Any, sums: Any, rng: np.random.Generator) -> np.ndarray:
    """Principal components of the cells, and the sums projected on them: (B + N, D)."""
    from sklearn.utils.extmath import randomized_svd

    from cellwright.tools.matrices import log_cp10k

    seen = np.asarray((counts > 0).sum(axis=0)).ravel() >= 3
    cells, drawn = log_cp10k(counts)[:, seen], log_cp10k(sums)[:, seen]
    mean = np.asarray(cells.mean(axis=0)).ravel()
    spread = np.asarray(cells.multiply(cells).mean(axis=0)).ravel() - mean**2
    genes = np.sort(np.argsort(-_excess(mean, spread), kind="stable")[:N_VARIABLE])
    mean = mean[genes]
    dense = cells[:, genes].toarray() - mean
    n_components = max(1, min(N_COMPONENTS, dense.shape[0] - 1, dense.shape[1] - 1))
    axes = randomized_svd(dense, n_components, n_iter=4, random_state=int(rng.integers(2**31)))[2]
    projected = drawn[:, genes] @ axes.T - mean @ axes.T
    return np.concatenate([dense @ axes.T, projected]).astype(np.float32)


def _excess(mean: np.ndarray, variance: np.ndarray, n_bins: int = 20) -> np.ndarray:
    """Dispersion of genes beyond that of genes of like mean, in robust deviations."""
    dispersion = variance / np.maximum(mean, 1e-9)
    edges = np.quantile(mean, np.linspace(0, 1, n_bins + 1)[1:-1])
    place = np.digitize(mean, edges)
    found = np.zeros(len(mean))
    for at in range(n_bins):
        own = dispersion[place == at]
        if len(own):
            middle = np.median(own)
            found[place == at] = (own - middle) / (np.median(np.abs(own - middle)) + 1e-9)
    return found


def _shares(is_sum: np.ndarray) -> list[np.ndarray]:
    """Log odds of a sum among the nearest 10, 30 and 60."""
    columns = []
    for k in NEIGHBOURS:
        near = is_sum[:, :k]
        hits = near.sum(axis=1)
        columns.append(np.log((hits + 1) / (near.shape[1] - hits + 1)))
    return columns


def _depths(counts: Any, sums: Any, points: np.ndarray) -> list[np.ndarray]:
    """Log counts and log genes beyond those of the nearest measured cells.

    Beyond those, because a type that is rich in RNA is not a type of doublets.
    """
    from sklearn.neighbors import NearestNeighbors

    n = counts.shape[0]
    k = min(N_ALIKE, n - 1)
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points[:n])
    near = np.concatenate(
        [
            index.kneighbors(return_distance=False),
            index.kneighbors(points[n:], return_distance=False),
        ]
    )
    totals = [np.asarray(one.sum(axis=1)).ravel() for one in (counts, sums)]
    genes = [np.asarray((one > 0).sum(axis=1)).ravel() for one in (counts, sums)]
    columns = []
    for depth in (totals, genes):
        values = np.log1p(np.concatenate(depth))
        columns.append(values - np.median(values[near], axis=1))
    return columns


def _fit(features: np.ndarray, n: int) -> np.ndarray:
    """Probability of being a sum, of the first n rows; the others are sums."""
    from sklearn.linear_model import LogisticRegression

    truth = np.arange(len(features)) >= n
    single = np.ones(n, dtype=bool)
    for _round in range(2):
        taken = np.concatenate([single, np.ones(len(features) - n, dtype=bool)])
        model = LogisticRegression(class_weight="balanced").fit(features[taken], truth[taken])
        score: np.ndarray = model.predict_proba(features[:n])[:, 1]
        single = score < SUSPECT
    return score.astype(np.float32)


def _pair(first: Sequence[str], second: Sequence[str]) -> tuple[str, str] | None:
    pairs = Counter(
        (min(a, b), max(a, b)) for a, b in zip(map(str, first), map(str, second), strict=True)
    )
    if not pairs:
        return None
    pair, hits = pairs.most_common(1)[0]
    return pair if hits >= PARTNERS_AGREE * pairs.total() else None
