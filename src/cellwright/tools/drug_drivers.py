"""Which genes move a predicted drug response: an exact split of the linear transfer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cellwright.cellmodel.drug import DrugTransfer


def contributions(
    transfer: DrugTransfer, profile: np.ndarray, keys: Sequence[str | None], drug: str
) -> tuple[np.ndarray, float]:
    """Split the predicted z of one profile over genes.

    The transfer is linear in the mapped profile, so the shares of the genes sum to the prediction
    less that of the average line. Negative moves towards sensitive.

    Args:
        transfer: The drug transfer.
        profile: (G,) log1p CP10k.
        keys: Vocabulary key of each of the G genes.
        drug: Name in the screen.

    Returns:
        (G,) contributions, zero for genes that the screen lacks, and the predicted z.
    """
    placement, space = transfer.place(keys), transfer.space
    column = int(transfer.drug_index([drug])[0])
    slope = transfer.weights_KD[:, column] @ placement.to_factors_KM
    centred = placement.mapped(profile[None, :])[0] - space.mean_G[placement.genes]
    shares = np.zeros(len(profile))
    shares[placement.columns] = centred * slope
    return shares, float(shares.sum() + transfer.bias_D[column])
