"""Cells to try things on: 700 human blood cells that scanpy carries."""

import warnings
from pathlib import Path


def write_example(target: Path) -> None:
    """Write the example as an ``.h5ad``; no network is needed."""
    import scanpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy's file was written by an older anndata
        cells = scanpy.datasets.pbmc68k_reduced()
    cells.write_h5ad(target)
