"""The cell model's vectors of bulk lines: their ranks are given the values of single cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cellwright.cellmodel.drug.fit import PlatformPair
    from cellwright.cellmodel.inference import CellModel


class LineEmbedder:
    """Reads profiles of any platform as cells.

    Each profile is ranked over the genes that are given and takes the values that one pseudobulk
    has on the screen's genes, so that bulk and single cells come to the model on one scale.

    Args:
        model: The cell model.
        keys: Vocabulary keys of the screen's G genes.
        pair: Whose pseudobulk gives the values.
    """

    def __init__(self, model: CellModel, keys: Sequence[str], pair: PlatformPair) -> None:
        self.model, self.keys = model, list(keys)
        known = set(keys)
        shared = [at for at, key in enumerate(pair.keys) if key in known]
        self.values = np.sort(pair.profile[shared])

    def __call__(self, profiles_NG: np.ndarray, genes: np.ndarray) -> np.ndarray:
        """Vectors (N, E) of profiles (N, G), read on these genes (M,) alone."""
        from scipy import sparse
        from scipy.stats import rankdata

        from cellwright.cellmodel.data.block import make_block

        ranks = (rankdata(profiles_NG[:, genes], axis=1) - 0.5) / len(genes)
        steps = (np.arange(len(self.values)) + 0.5) / len(self.values)
        cells = sparse.csr_matrix(np.interp(ranks, steps, self.values).astype(np.float32))
        keys = [self.keys[gene] for gene in genes]
        block = make_block(cells, keys, self.model.vocabulary, "log1p", log_base="e")
        return self.model.annotate(block).embedding
