"""A user's own labelled file, registered for training as the declared ones are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from cellwright.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.cellmodel.data.registry import DatasetCard, LabelRow
    from cellwright.knowledge.resolver import GeneResolver
    from cellwright.settings import Settings

FEWEST_CELLS = 10
"""Cells that a label needs to be learned and tested."""
FEWEST_PANEL_GENES = 50
NO_LABEL = frozenset({"", "nan", "none", "na", "unknown", "unassigned"})


@dataclass(frozen=True, kw_only=True)
class OwnSet:
    """A registered file.

    Attributes:
        card: What is declared of it.
        rows: What its labels mean: label -> row.
        left_out: Labels that are not learned, with the number of their cells.
    """

    card: DatasetCard
    rows: dict[str, LabelRow]
    left_out: dict[str, int]


def register(
    path: Path,
    label_column: str,
    *,
    folder: Path,
    settings: Settings,
    tissue: str = "",
    protocol: str = "",
    donor_column: str = "",
) -> OwnSet:
    """Declare a file of labelled cells.

    Species, gene names and the state of the matrix come from the file's passport; labels are
    looked up in the Cell Ontology and kept as written.

    Args:
        path: The file, in any format that ``cellwright describe`` reads.
        label_column: Column of obs with the labels.
        folder: Where the working copy goes.
        settings: Deployment settings.
        tissue: Tissue; the passport's when empty.
        protocol: Protocol; the passport's when empty.
        donor_column: Column of donors, to test on whole donors; empty for a random split.

    Raises:
        InputError: No such column, fewer than two labels of ten cells, an unknown species, or no
            matrix that can be read.
    """
    from cellwright.cellmodel.data.registry import DatasetCard, LabelRow
    from cellwright.tools.workbench import Workbench

    bench = Workbench.open(path, folder=folder / "artifacts", settings=settings)
    passport, adata = bench.passport, bench.adata()
    if passport is None or not passport.best:
        msg = f"{path.name} has no counts, log1p or TPM that the model could learn from."
        raise InputError(msg)
    if passport.species.value not in {"human", "mouse"}:
        msg = f"The species of {path.name} is {passport.species.value}; human or mouse is needed."
        raise InputError(msg)
    for column in filter(None, (label_column, donor_column)):
        if column not in adata.obs:
            msg = f"{path.name} has no column {column!r}. Columns: {', '.join(adata.obs.columns)}."
            raise InputError(msg)
    counts = adata.obs[label_column].astype(str).value_counts()
    kept = [
        str(label)
        for label, n in counts.items()
        if n >= FEWEST_CELLS and str(label).casefold() not in NO_LABEL
    ]
    if len(kept) < 2:
        msg = (
            f"{label_column!r} of {path.name} has {len(kept)} labels of {FEWEST_CELLS} cells or "
            "more; two are needed."
        )
        raise InputError(msg)
    tissue = tissue or _known(passport.tissue.value)
    lookup = bench.knowledge.ontology.lookup
    rows = {
        label: LabelRow(name=label, ontology_id=lookup(label, tissue=tissue).ontology_id or "")
        for label in kept
    }
    name = re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)
    card = DatasetCard(
        name=name,
        species=cast('Literal["human", "mouse"]', passport.species.value),
        tissue=tissue or "tissue",
        protocol=protocol or _known(passport.protocol.value) or "single-cell RNA-seq",
        state="counts" if "counts" in adata.layers else "ln",
        label_column=label_column,
        donor_column=donor_column,
        split="donor" if donor_column else "random",
        path=str(_write(adata, folder / f"{name}.h5ad")),
    )
    left_out = {str(label): int(n) for label, n in counts.items() if str(label) not in rows}
    return OwnSet(card=card, rows=rows, left_out=left_out)


def _known(text: str) -> str:
    return "" if text == "unknown" else text


def _write(adata: AnnData, target: Path) -> Path:
    """The matrix that training reads, under the resolver's gene names."""
    import anndata

    matrix: Any = adata.layers.get("counts", adata.X)
    plain = anndata.AnnData(matrix.copy(), obs=adata.obs.copy())
    plain.var_names = adata.var_names
    target.parent.mkdir(parents=True, exist_ok=True)
    plain.write_h5ad(target)
    return target


def read_panel(path: Path, genes: GeneResolver) -> list[str]:
    """Vocabulary keys of a gene panel: a text file with one name a line, in any scheme.

    Raises:
        InputError: There is no such file, or hardly any of its lines names a gene.
    """
    try:
        names = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as text ({error}); name a file with one gene a line."
        raise InputError(msg) from error
    species = genes.identify(names).species
    keys = [key for key in genes.keys(names, species) if key] if species != "unknown" else []
    if len(keys) < FEWEST_PANEL_GENES:
        msg = (
            f"{path.name} names {len(keys)} known genes in {len(names):,} words; "
            f"{FEWEST_PANEL_GENES} are needed, one a line."
        )
        raise InputError(msg)
    return keys
