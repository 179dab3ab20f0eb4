"""Made-up cells with real gene names, and workbenches on them."""

from functools import cache
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

from cellwright.artifacts import DirectoryStore
from cellwright.knowledge import Knowledge
from cellwright.settings import Settings
from cellwright.tools.intake import intake
from cellwright.tools.workbench import Workbench

B_GENES = ("CD79A", "MS4A1", "CD79B", "CD19", "BANK1")
T_GENES = ("CD3D", "CD3E", "IL7R", "CD2", "LCK")
MONO_GENES = ("LYZ", "CD14", "FCN1", "S100A8", "S100A9")
OTHERS = (
    "ACTB", "GAPDH", "B2M", "MALAT1", "TMSB4X", "RPL13", "RPS6", "EEF1A1", "FTL", "FTH1",
    "MT-CO1", "MT-ND1", "TPT1", "PTMA", "UBC", "HSP90AB1", "NPM1", "JUN", "FOS", "VIM",
)  # fmt: skip
GENES = (*B_GENES, *T_GENES, *MONO_GENES, *OTHERS)
TYPES = {"B cell": B_GENES, "T cell": T_GENES, "monocyte": MONO_GENES}


def make_adata(
    n_cells: int = 90, *, seed: int = 0, donors: int = 0, shifted: str | None = None
) -> anndata.AnnData:
    """Counts of three cell types in equal parts.

    Args:
        n_cells: Number of cells.
        seed: Seed.
        donors: Donors, each on both sides of ``condition``; none when 0.
        shifted: A gene that is eight times higher under ``treated``.
    """
    draw = np.random.default_rng(seed)
    labels = np.array(list(TYPES))[np.arange(n_cells) % 3]
    rate = np.full((n_cells, len(GENES)), 2.0)
    rate[:, len(B_GENES) + len(T_GENES) + len(MONO_GENES) :] = 6.0
    for at, gene in enumerate(GENES):
        for label, marked in TYPES.items():
            if gene in marked:
                rate[:, at] = np.where(labels == label, 12.0, 0.15)
    condition = np.where(np.arange(n_cells) // 3 % 2, "treated", "control")
    if shifted:
        rate[:, GENES.index(shifted)] *= np.where(condition == "treated", 8.0, 1.0)
    obs = pd.DataFrame({"cell_type": labels}, index=[f"c{at}" for at in range(n_cells)])
    if donors:
        obs["condition"] = condition
        obs["donor_id"] = [f"d{at // 6 % donors}" for at in range(n_cells)]
    counts = sparse.csr_matrix(draw.poisson(rate).astype(np.float32))
    return anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(GENES)))


def write(adata: anndata.AnnData, folder: Path, name: str = "cells.h5ad") -> Path:
    """Write cells to a file."""
    path = folder / name
    adata.write_h5ad(path)
    return path


def make_bench(
    adata: anndata.AnnData, folder: Path, *, checkpoint: Path | None = None
) -> Workbench:
    """A workbench on made-up cells; without a checkpoint folder there is no cell model."""
    settings = Settings(cache_dir=folder / "cache", checkpoint=checkpoint or folder / "none")
    bench = Workbench(DirectoryStore(folder / "store"), settings)
    # Tables take seconds to load and never change, so all made-up workbenches share them.
    bench.__dict__["knowledge"] = _knowledge()
    bench.passport, bench.data = intake(write(adata, folder), bench)
    return bench


@cache
def _knowledge() -> Knowledge:
    return Knowledge.open()
