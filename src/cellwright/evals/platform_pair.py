"""Reads a single-cell file of one cell line as the platform's side of a ``PlatformPair``."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cellwright.cellmodel.drug.fit import PlatformPair
from cellwright.errors import InputError


def read_pair(
    path: Path, line: str, keys: Callable[[Sequence[str]], Sequence[str | None]]
) -> PlatformPair:
    """Pool the counts of a file into one profile.

    Args:
        path: An ``.h5ad`` file of raw counts of one line.
        line: The line's name in the screen's expression table.
        keys: Vocabulary keys of gene names.

    Raises:
        InputError: The file is missing.
    """
    import anndata
    from scipy import sparse

    if not path.is_file():
        msg = f"No file {path}; name single cells of a screened line with --shift-from."
        raise InputError(msg)
    adata = anndata.read_h5ad(path)
    counts = sparse.csr_matrix(adata.X, dtype=np.float64)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    mean = np.asarray((sparse.diags(1e4 / np.maximum(totals, 1)) @ counts).mean(axis=0)).ravel()
    names = [str(name) for name in adata.var_names]
    return PlatformPair(profile=np.log1p(mean), keys=tuple(keys(names)), line=line)
