"""Reads the user's files as cells by genes; never writes to them."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

logger = logging.getLogger(__name__)

FORMATS = ".h5ad, 10x .h5, a 10x folder with matrix.mtx, .csv or .tsv, or a .zarr folder"
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".tab")
MATRIX_NAMES = ("matrix.mtx", "matrix.mtx.gz")
SIGNATURE_HDF5 = b"\x89HDF\r\n\x1a\n"

KnownShare = Callable[[Sequence[str]], float]
"""Share of names that are genes, used to tell which way a text table lies."""


def read_cells(path: Path, known_share: KnownShare) -> AnnData:
    """Read a file as an AnnData, cells by genes, in memory.

    Args:
        path: The user's file or folder.
        known_share: Share of a list of names that the gene resolver knows.

    Raises:
        InputError: The file is missing, damaged, of another kind, or holds no numbers.
    """
    if not path.exists():
        msg = f"{path}: no such file or folder. Give the path of {FORMATS}."
        raise InputError(msg)
    adata = _reader(path)(path, known_share)
    if adata.n_obs == 0 or adata.n_vars == 0:
        msg = (
            f"{path.name}: the matrix is empty ({adata.n_obs} cells by {adata.n_vars} genes). "
            "Give a file with at least one cell and one gene."
        )
        raise InputError(msg)
    if adata.X is None and adata.raw is None and not adata.layers:
        msg = f"{path.name}: there is no expression matrix (X, raw and layers are all empty)."
        raise InputError(msg)
    return adata


def _reader(path: Path) -> Callable[[Path, KnownShare], AnnData]:
    if path.is_dir():
        return _read_folder
    suffixes = [suffix.lower() for suffix in path.suffixes]
    plain = [suffix for suffix in suffixes if suffix not in {".gz", ".bz2", ".xz", ".zst"}]
    last = plain[-1] if plain else ""
    if last == ".h5ad":
        return _read_h5ad
    if last in {".h5", ".hdf5"}:
        return _read_10x_h5
    if last in TEXT_SUFFIXES:
        return _read_text
    if last == ".mtx":
        return lambda found, known: _read_folder(found.parent, known)
    if last == ".zip" and zipfile.is_zipfile(path) and ".zarr" in suffixes:
        return _read_zarr
    msg = f"{path.name}: not a kind of file that can be read. Give {FORMATS}."
    raise InputError(msg)


def _read_h5ad(path: Path, _known_share: KnownShare) -> AnnData:
    import anndata

    with path.open("rb") as handle:
        head = handle.read(8)
    if head != SIGNATURE_HDF5:
        what = "is empty" if not head else "is not an HDF5 file, whatever its name says"
        msg = f"{path.name}: the file {what}. Write it again with `adata.write_h5ad(...)`."
        raise InputError(msg)
    try:
        return anndata.read_h5ad(path)
    except Exception as error:
        logger.debug("read_h5ad failed", exc_info=True)
        msg = (
            f"{path.name}: the file is damaged, cut short, or no AnnData ({_first_line(error)}). "
            "Copy or download it again, or write it again with `adata.write_h5ad(...)`."
        )
        raise InputError(msg) from error


def _read_10x_h5(path: Path, _known_share: KnownShare) -> AnnData:
    import scanpy

    try:
        adata = scanpy.read_10x_h5(path)
    except Exception as error:
        logger.debug("read_10x_h5 failed", exc_info=True)
        msg = (
            f"{path.name}: not a 10x Genomics matrix, or damaged ({_first_line(error)}). "
            "Give Cell Ranger's filtered_feature_bc_matrix.h5, or an .h5ad."
        )
        raise InputError(msg) from error
    return _named_by_id(adata)


def _read_folder(path: Path, known_share: KnownShare) -> AnnData:
    import scanpy

    if path.suffix == ".zarr" or any((path / name).exists() for name in (".zgroup", "zarr.json")):
        return _read_zarr(path, known_share)
    found = next((path / name for name in MATRIX_NAMES if (path / name).is_file()), None)
    if found is None:
        msg = (
            f"{path}: the folder holds neither matrix.mtx(.gz) nor a zarr group. Give the folder "
            "with matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv), or one of: "
            f"{FORMATS}."
        )
        raise InputError(msg)
    try:
        adata = scanpy.read_10x_mtx(path, var_names="gene_symbols", make_unique=False)
    except Exception as error:
        logger.debug("read_10x_mtx failed", exc_info=True)
        msg = (
            f"{path}: the 10x folder cannot be read ({_first_line(error)}). It needs matrix.mtx, "
            "barcodes.tsv and features.tsv (or genes.tsv), all of them gzipped or none."
        )
        raise InputError(msg) from error
    return _named_by_id(adata)


def _read_zarr(path: Path, _known_share: KnownShare) -> AnnData:
    import anndata

    try:
        return anndata.read_zarr(str(path))
    except Exception as error:
        logger.debug("read_zarr failed", exc_info=True)
        msg = (
            f"{path.name}: the zarr store is damaged or no AnnData ({_first_line(error)}). "
            "Write it again with `adata.write_zarr(...)`."
        )
        raise InputError(msg) from error


def _named_by_id(adata: AnnData) -> AnnData:
    """Name genes by their Ensembl ids, which 10x files always carry and which are unique."""
    if "gene_ids" in adata.var and not adata.var_names.is_unique:
        adata.var["gene_symbols"] = adata.var_names.to_numpy()
        adata.var_names = adata.var["gene_ids"].astype(str).to_numpy()
    return adata


def _read_text(path: Path, known_share: KnownShare) -> AnnData:
    import pandas as pd

    separator = "," if ".csv" in path.name.lower() else "\t"
    try:
        frame = pd.read_csv(path, sep=separator, index_col=0, low_memory=False)
        if frame.shape[1] == 0:
            # The suffix and the separator do not always agree.
            frame = pd.read_csv(path, sep=None, engine="python", index_col=0)
    except Exception as error:
        logger.debug("read_csv failed", exc_info=True)
        msg = (
            f"{path.name}: not a table of numbers with names in the first row and column "
            f"({_first_line(error)})."
        )
        raise InputError(msg) from error
    return _from_frame(frame, path.name, known_share)


def _from_frame(frame: DataFrame, name: str, known_share: KnownShare) -> AnnData:
    """Turn a table into cells by genes, keeping columns of text as obs or var."""
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    if frame.empty:
        msg = (
            f"{name}: the table is empty ({frame.shape[0]} rows by {frame.shape[1]} columns "
            "beside the names). Give numbers, with names in the first row and the first column."
        )
        raise InputError(msg)
    numeric = frame.select_dtypes(include=["number", "bool"])
    if numeric.shape[1] == 0:
        msg = (
            f"{name}: no column of the table holds numbers (the first cell says "
            f"{str(frame.iloc[0, 0])[:30]!r}). Give expression values, with names in the first "
            "row and the first column."
        )
        raise InputError(msg)
    other = frame.drop(columns=numeric.columns)
    _refuse_damaged(other, name)
    rows = [str(value) for value in frame.index]
    columns = [str(value) for value in numeric.columns]
    if known_share(rows) > known_share(columns):
        matrix, genes, cells, obs, var = numeric.to_numpy().T, rows, columns, None, other
    else:
        matrix, genes, cells, obs, var = numeric.to_numpy(), columns, rows, other, None
    # pandas renames a repeated header to NAME.1; the repeat is what the file said.
    genes = _undo_renaming(genes)
    result = AnnData(
        sparse.csr_matrix(matrix.astype(np.float32)),
        obs=pd.DataFrame(index=cells)
        if obs is None
        else obs.set_axis(cells, axis=0).rename(columns=str),
        var=pd.DataFrame(index=genes)
        if var is None
        else var.set_axis(genes, axis=0).rename(columns=str),
    )
    return result


def _refuse_damaged(text: DataFrame, name: str) -> None:
    """Refuse a table where words stand among numbers: taken as text, the column would be lost.

    Raises:
        InputError: At least half of a column are numbers and some values are not.
    """
    import pandas as pd

    for column in text.columns:
        given = text[column].dropna()
        bad = given[pd.to_numeric(given, errors="coerce").isna()]
        if 0 < len(bad) <= len(given) / 2:
            msg = (
                f"{name}: column {str(column)!r} holds numbers, but row {str(bad.index[0])!r} says "
                f"{str(bad.iloc[0])[:30]!r} ({len(bad)} of {len(given)} values are no numbers). "
                "Mend those values, or leave the column out."
            )
            raise InputError(msg)


def _undo_renaming(names: Sequence[str]) -> list[str]:
    present = set(names)
    restored = []
    for name in names:
        stem, _, number = name.rpartition(".")
        # Only Ensembl-like versions and clone names end in .digit by themselves, and their stem
        # is not a name of the same table.
        restored.append(stem if number.isdigit() and stem in present else name)
    return restored


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
