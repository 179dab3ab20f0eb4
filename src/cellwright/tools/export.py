"""Writing results back: the user's own file, with Cellwright's columns beside theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellwright.errors import InputError
from cellwright.tools.in_memory import add_made
from cellwright.tools.readers import read_cells

if TYPE_CHECKING:
    from cellwright.tools.workbench import Workbench

ROWS = "cellwright_rows"
"""Key of uns with the positions in the user's file of the cells of a subset."""


def write_annotated(source: Path, bench: Workbench, target: Path) -> None:
    """Write the user's data with what the tools added, everything of theirs untouched.

    Copies ``obs`` columns and ``uns`` keys that start with ``cellwright_``, and ``obsm`` keys that
    start with ``X_cellwright_``, from the current working copy.

    Args:
        source: The user's file; it is only read.
        bench: The workbench whose current data set was made from it.
        target: An ``.h5ad`` file to write, through a temporary name.

    Raises:
        InputError: The target is the user's own file.
    """
    if target.exists() and target.resolve() == source.resolve():
        msg = f"{target} is the data itself, which is never overwritten; name another file."
        raise InputError(msg)
    genes = bench.knowledge.genes
    original = read_cells(source, lambda names: genes.identify(list(names)).coverage)
    working = bench.adata()
    rows = working.uns.pop(ROWS, None)
    if rows is not None:
        original = original[rows].copy()
    add_made(original, working)
    draft = target.with_name(f".{target.name}.partial")
    try:
        original.write_h5ad(draft, compression="gzip")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
