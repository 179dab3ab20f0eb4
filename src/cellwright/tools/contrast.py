"""Two groups of cells set against each other, with donors as the unit where there are donors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellwright.tools.moderated import Test, adjust, moderated_t

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MIN_CELLS = 10
"""Cells of one donor on one side below which they make no pseudobulk sample."""

MIN_DONORS = 2
MIN_SHARE = 0.05
"""Share of cells, on either side, that must express a gene for it to be tested."""

Design = Literal["paired donors", "separate donors", "no donors"]


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Pseudobulk samples: a donor's cells on one side.

    Attributes:
        donors: (S,) donor of each sample.
        side: (S,) True on side A.
        members: (S, B) sparse ones that sum cells into samples.
        design: Whether the same donors stand on both sides.
    """

    donors: np.ndarray
    side: np.ndarray
    members: Any
    design: Design


def make_samples(donors: Series | None, is_a: np.ndarray, is_b: np.ndarray) -> Samples | None:
    """Donors with enough cells on each side; None where either side has fewer than two.

    Args:
        donors: Donor of each cell; None when the file names none.
        is_a: (B,) cells of side A.
        is_b: (B,) cells of side B.
    """
    from scipy import sparse

    if donors is None:
        return None
    names = donors.astype(str).to_numpy()
    rows: list[tuple[str, bool, np.ndarray]] = []
    for side, mask in ((True, is_a), (False, is_b)):
        for name in np.unique(names[mask & donors.notna().to_numpy()]):
            cells = np.flatnonzero(mask & (names == name))
            if len(cells) >= MIN_CELLS:
                rows.append((str(name), side, cells))
    donor = np.array([name for name, _side, _cells in rows])
    side_of = np.array([side for _name, side, _cells in rows], dtype=bool)
    if min(int(side_of.sum()), int((~side_of).sum())) < MIN_DONORS:
        return None
    both = np.intersect1d(donor[side_of], donor[~side_of])
    design: Design = "separate donors"
    keep = np.ones(len(rows), dtype=bool)
    if len(both) >= MIN_DONORS:
        design, keep = "paired donors", np.isin(donor, both)
    members = sparse.lil_matrix((int(keep.sum()), len(is_a)))
    for at, row in enumerate(np.flatnonzero(keep)):
        members[at, rows[row][2]] = 1.0
    return Samples(donors=donor[keep], side=side_of[keep], members=members.tocsr(), design=design)


def compare_expression(samples: Samples, matrix: Any, *, counts: bool) -> tuple[Test, np.ndarray]:
    """Moderated t test of A against B over pseudobulk samples.

    Args:
        samples: The samples.
        matrix: (B, G) counts, or log-normalised expression.
        counts: Whether it holds counts: they are summed, otherwise values are averaged.

    Returns:
        The test of log2 expression, and (S, G) the samples' log2 expression.
    """
    summed = np.asarray((samples.members @ matrix).todense(), dtype=np.float64)
    if counts:
        # Half a count in the mean library keeps absent genes finite and small samples honest.
        totals = summed.sum(axis=1, keepdims=True)
        prior = 0.5 * totals / totals.mean()
        values = np.log2((summed + prior) / (totals + 2 * prior) * 1e6)
    else:
        sizes = np.asarray(samples.members.sum(axis=1))
        values = summed / sizes / np.log(2)
    design = design_matrix(samples)
    return moderated_t(values, design, 0), values


def design_matrix(samples: Samples) -> np.ndarray:
    """(S, K): side A first, then one column for each donor where pairs are, else a constant."""
    side = samples.side.astype(float)[:, None]
    if samples.design == "paired donors":
        names = np.unique(samples.donors)
        return np.hstack([side, (samples.donors[:, None] == names[None, :]).astype(float)])
    return np.hstack([side, np.ones((len(side), 1))])


def composition(samples: Samples, types: Series) -> tuple[Test, DataFrame]:
    """Test of the share of each cell type per donor, A against B, on the arcsine scale.

    Args:
        samples: Donors' samples.
        types: Cell type of each cell.

    Returns:
        The test over types, and a table (samples, types) of shares.
    """
    import pandas as pd

    codes = types.cat.codes.to_numpy()
    names = [str(name) for name in types.cat.categories]
    one_hot = (codes[:, None] == np.arange(len(names))[None, :]).astype(float)
    counted = np.asarray(samples.members @ one_hot)
    shares = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
    test = moderated_t(np.arcsin(np.sqrt(shares)), design_matrix(samples), 0)
    index = pd.MultiIndex.from_arrays(
        [samples.donors, np.where(samples.side, "A", "B")], names=["donor", "side"]
    )
    return test, pd.DataFrame(shares, index=index, columns=names)


def effect_sizes(matrix: Any, is_a: np.ndarray, is_b: np.ndarray) -> dict[str, np.ndarray]:
    """Fold change and shares of cells, without any test.

    Args:
        matrix: (B, G) log-normalised expression.
        is_a: (B,) cells of side A.
        is_b: (B,) cells of side B.
    """
    from scipy import sparse

    values = sparse.csr_matrix(matrix)
    sides = {}
    for name, mask in (("a", is_a), ("b", is_b)):
        part = values[np.flatnonzero(mask)]
        linear = part.copy()
        linear.data = np.expm1(linear.data.astype(np.float64))
        sides[f"mean_{name}"] = np.asarray(linear.mean(axis=0)).ravel()
        sides[f"share_{name}"] = np.asarray((part > 0).mean(axis=0)).ravel()
    sides["log2_fold_change"] = np.log2((sides["mean_a"] + 0.01) / (sides["mean_b"] + 0.01))
    return sides


__all__ = [
    "MIN_CELLS",
    "MIN_DONORS",
    "MIN_SHARE",
    "Samples",
    "adjust",
    "compare_expression",
    "composition",
    "effect_sizes",
    "make_samples",
]
