"""Cells in memory as a file that intake can read, and results brought back to them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

NAME = "adata.h5ad"


@contextmanager
def written(data: str | Path | AnnData) -> Iterator[Path]:
    """A path to read the data from: the file itself, or cells in memory written for the while.

    Only what intake reads is written (matrices, obs, var, obsm), and the caller's object is not
    touched.

    Raises:
        InputError: It is neither a path nor an AnnData, or it cannot be written.
    """
    if isinstance(data, str | Path):
        yield Path(data)
        return
    if not hasattr(data, "obs_names"):
        msg = f"{type(data).__name__} is no data: give a path, or an AnnData of cells by genes."
        raise InputError(msg)
    with tempfile.TemporaryDirectory(prefix="cellwright-") as folder:
        path = Path(folder) / NAME
        write_light(data, path)
        yield path


def write_light(adata: AnnData, path: Path) -> None:
    """Write the parts of an AnnData that intake reads.

    Raises:
        InputError: They cannot be written as .h5ad; the message says why.
    """
    from anndata import AnnData

    light = AnnData(
        adata.X,
        obs=adata.obs.copy(),
        var=adata.var.copy(),
        layers=dict(adata.layers),
        obsm={key: value for key, value in adata.obsm.items() if hasattr(value, "dtype")},
    )
    if adata.raw is not None:
        light.raw = adata.raw.to_adata()
    try:
        light.write_h5ad(path)
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        msg = f"The AnnData cannot be written as .h5ad ({reason}). Mend or drop what it names."
        raise InputError(msg) from error


def add_made(target: AnnData, working: AnnData, key: str = "cellwright") -> None:
    """Add to an AnnData what tools made on its working copy, and leave everything else alone.

    Takes ``obs`` columns and ``uns`` keys that start with ``cellwright_``, and ``obsm`` keys that
    start with ``X_cellwright_``.

    Args:
        target: The same cells in the same order as ``working``; changed in place.
        working: The working copy.
        key: What stands in the names in place of ``cellwright``.
    """
    prefix = "cellwright_"
    for name in map(str, working.obs.columns):
        if name.startswith(prefix):
            values = working.obs[name]
            made = name.replace(prefix, f"{key}_", 1)
            target.obs[made] = values.to_numpy()
            if values.dtype == "category":
                target.obs[made] = target.obs[made].astype(values.dtype)
    for name in working.obsm:
        if name.startswith(f"X_{prefix}"):
            target.obsm[name.replace(prefix, f"{key}_", 1)] = working.obsm[name]
    for name in working.uns:
        if name.startswith(prefix):
            target.uns[name.replace(prefix, f"{key}_", 1)] = working.uns[name]
