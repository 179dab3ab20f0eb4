"""Which cells train, tune and test: seeded, per file, drawn before any gene is chosen."""

from typing import Literal

import numpy as np

Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")


def random_split(
    n_cells: int, *, seed: int, shares: tuple[float, float] = (0.8, 0.1)
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
    donors: np.ndarray, held_out: tuple[str, ...], *, seed: int, valid_share: float = 0.1
) -> dict[Part, np.ndarray]:
    """Hold whole donors out for the test; the others give training and validation cells.

    Raises:
        ValueError: A donor to hold out has no cell.
    """
    names = donors.astype(str)
    missing = [donor for donor in held_out if donor not in set(names)]
    if missing:
        msg = f"Donors to hold out that the file does not have: {', '.join(missing)}."
        raise ValueError(msg)
    test = np.flatnonzero(np.isin(names, held_out))
    rest = np.flatnonzero(~np.isin(names, held_out))
    order = np.random.default_rng(seed).permutation(rest)
    n_valid = round(valid_share * len(rest))
    return {"train": np.sort(order[n_valid:]), "valid": np.sort(order[:n_valid]), "test": test}
