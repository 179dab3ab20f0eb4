"""Annotation of a file that need not fit in memory: cells in, rows of a table out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from cellwright.errors import InputError
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from cellwright.cellmodel.data.block import State
    from cellwright.settings import Settings
    from cellwright.tools.passport import Passport

SAMPLE = 1000
"""Cells from which species, gene names and the state of the matrix are told."""
HEADER = ("cell", "label", "ontology_id", "score", "label_set", "familiarity")
READABLE = frozenset({"counts", "log1p", "tpm"})


def annotate_to_table(
    path: Path,
    out: Path,
    settings: Settings,
    *,
    choices: Sequence[str] | None = None,
    progress: Callable[[str, float | None], None] = lambda _text, _share: None,
) -> int:
    """Annotate each cell of an ``.h5ad`` by the cell model alone, block by block.

    Rows go to ``OUT.partial``, which becomes ``out`` at the end; a run that was stopped goes on
    after the last whole block of it. Memory grows with the block, not with the number of cells.

    Args:
        path: The file; its matrix is CSR or dense.
        out: The .csv to write.
        settings: Deployment settings.
        choices: Labels to choose from; None takes the model's own types of the tissue.
        progress: Progress callback.

    Returns:
        Number of cells.

    Raises:
        InputError: No .h5ad, stored by columns, a species that the model does not know, or no
            matrix that it reads.
    """
    from cellwright.cellmodel.streaming import BLOCK, stream

    if path.suffix != ".h5ad":
        msg = f"Only .h5ad files can be streamed; {path.name} is none. Write to an .h5ad instead."
        raise InputError(msg)
    bench, passport, total = _look(path, settings)
    state, layer = _matrix(passport, path)
    species = passport.species.value
    draft = out.with_name(out.name + ".partial")
    done = _rows_done(draft) // BLOCK * BLOCK
    _keep(draft, done)
    genes = bench.knowledge.genes
    tissue = None if passport.tissue.value == "unknown" else passport.tissue.value
    with draft.open("a", encoding="utf-8", newline="") as stream_out:
        rows = csv.writer(stream_out)
        for part in stream(
            bench.cell_model,
            path,
            lambda names: genes.keys(list(names), species),
            cast("State", state),
            candidates=choices,
            species=species,
            tissue=tissue,
            layer=layer,
            block=BLOCK,
            start=done,
        ):
            found = part.annotation
            rows.writerows(
                zip(
                    part.cells,
                    found.labels,
                    found.ontology_ids,
                    (f"{score:.4f}" for score in found.scores),
                    ("; ".join(one) for one in found.label_sets),
                    (f"{value:.4f}" for value in found.familiarity),
                    strict=True,
                )
            )
            stream_out.flush()
            at = part.start + len(part.cells)
            progress(f"{at:,} of {total:,} cells", at / total)
    draft.replace(out)
    return total


def _look(path: Path, settings: Settings) -> tuple[Workbench, Passport, int]:
    """The passport of the first cells, and how many there are in all."""
    import anndata

    try:
        adata = anndata.read_h5ad(path, backed="r")
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path.name} cannot be read as .h5ad: {error}"
        raise InputError(msg) from error
    total = adata.n_obs
    with TemporaryDirectory(prefix="cellwright-") as folder:
        sample = Path(folder) / path.name
        adata[: min(SAMPLE, total)].to_memory().write_h5ad(sample)
        adata.file.close()
        bench = Workbench.open(sample, folder=Path(folder) / "artifacts", settings=settings)
    if bench.passport is None:
        msg = f"{path.name} has no cells."
        raise InputError(msg)
    return bench, bench.passport, total


def _matrix(passport: Passport, path: Path) -> tuple[str, str | None]:
    """State and layer of the matrix to read; X where it will do."""
    for matrix in passport.matrices:
        if matrix.state in READABLE and (matrix.slot == "X" or matrix.slot.startswith("layers/")):
            slot = matrix.slot.removeprefix("layers/")
            return matrix.state, None if slot == "X" else slot
    msg = f"{path.name} has no counts, log1p or TPM in X or a layer; stream a file that has."
    raise InputError(msg)


def _rows_done(draft: Path) -> int:
    if not draft.is_file():
        return 0
    with draft.open(encoding="utf-8", newline="") as rows:
        return max(0, sum(1 for _ in csv.reader(rows)) - 1)


def _keep(draft: Path, done: int) -> None:
    """Cut the draft to its header and so many rows."""
    kept = []
    if done:
        with draft.open(encoding="utf-8", newline="") as rows:
            kept = list(csv.reader(rows))[1 : done + 1]
    with draft.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows(kept)
