"""Which cells train, tune and test: seeded, per file, drawn before any gene is chosen."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import sparse

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


def random_split(
    n_cells: int, *, seed: int, shares: tuple[float, float] = (0.75, 0.05)
) -> dict[Part, np.ndarray]:
    """Split cells at random.

    Args:
        n_cells: Number of cells.
        seed: Seed of the permutation.
        shares: Shares of the training and the validation part; the rest tests.

    Returns:
        Sorted positions of each part.
    """
    order = np.random.default_rng(seed).permutation(n_cells)
    first, second = round(shares[0] * n_cells), round(sum(shares) * n_cells)
    chunks = (order[:first], order[first:second], order[second:])
    return {part: np.sort(chunk) for part, chunk in zip(PARTS, chunks, strict=True)}


def donor_split(
    donors: np.ndarray, *, seed: int, test_share: float = 0.2, valid_share: float = 0.06
) -> dict[Part, np.ndarray]:
    """Hold whole donors out for the test; the others give training and validation cells.

    Args:
        donors: ``(B,)`` donor of each cell.
        seed: Seed that chooses the donors.
        test_share: Share of the donors to hold out, at least one.
        valid_share: Share of the other donors' cells that tune.

    Raises:
        ValueError: There are fewer than two donors.
    """
    names = donors.astype(str)
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.unique(names))
    if len(order) < 2:
        msg = f"A donor split needs two donors or more; found {len(order)}."
        raise ValueError(msg)
    held_out = order[: max(1, round(test_share * len(order)))]
    test = np.flatnonzero(np.isin(names, held_out))
    rest = rng.permutation(np.flatnonzero(~np.isin(names, held_out)))
    n_valid = round(valid_share * len(rest))
    return {"train": np.sort(rest[n_valid:]), "valid": np.sort(rest[:n_valid]), "test": test}


NEAR = 1e-4
"""Cosine distance of log1p profiles below which two cells count as one."""


def near_duplicates(
    expression: sparse.csr_matrix, parts: Mapping[Part, np.ndarray], *, block: int = 512
) -> np.ndarray:
    """Training cells that are also, or all but, in the validation or test part.

    Args:
        expression: ``(B, V)`` csr, log1p counts per 10,000.
        parts: Cells of each part.
        block: Cells compared at once.

    Returns:
        Positions of the training cells to leave out.
    """
    norms = np.sqrt(np.asarray(expression.multiply(expression).sum(axis=1)).ravel())
    unit = sparse.csr_matrix(sparse.diags(1 / np.maximum(norms, 1e-9)) @ expression)
    train = parts["train"]
    others = unit[np.concatenate([parts["valid"], parts["test"]])].T.tocsr()
    found = []
    for start in range(0, len(train), block):
        rows = train[start : start + block]
        closest = (unit[rows] @ others).max(axis=1).toarray().ravel()
        found.append(rows[closest > 1 - NEAR])
    return np.concatenate(found) if found else np.zeros(0, dtype=int)
