"""What the drug transfer is fitted with, beside the screen: drug facts and platform pairs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.cellmodel.drug.fit import PlatformPair
from cellwright.cellmodel.drug.sharing import DrugFacts
from cellwright.errors import InputError

if TYPE_CHECKING:
    from cellwright.cellmodel.drug.screen import Screen
    from cellwright.knowledge import Knowledge

PC9 = "pc9_erlotinib_day11_resistant_only"
NGP = "ngp_nutlin_83"
#: Single-cell files of screened kinds of cells, none of them a held-out line: PC-9 is in the screen
#: as PC-14, NGP is not and stands beside the neuroblastoma lines.
PAIRED: dict[str, Callable[[Screen], tuple[str, ...]]] = {
    PC9: lambda screen: ("PC14",),
    NGP: lambda screen: lines_of(screen, "neuroblastoma"),
}
VEHICLE = "vehicle"

KeysOf = Callable[[Sequence[str]], Sequence[str | None]]


def lines_of(screen: Screen, tissue: str) -> tuple[str, ...]:
    """Training lines of a tissue."""
    return tuple(
        line
        for line, one, held in zip(screen.lines, screen.tissues, screen.held_out, strict=True)
        if one == tissue and not held
    )


def read_pairs(folder: Path, screen: Screen, keys: KeysOf) -> list[PlatformPair]:
    """Pool the counts of each paired file into one profile; treated cells are left out of NGP.

    Args:
        folder: Where the files are.
        screen: The screen.
        keys: Vocabulary keys of gene names.

    Raises:
        InputError: A file is missing.
    """
    import anndata

    pairs = []
    for name, lines in PAIRED.items():
        path = folder / f"{name}.h5ad"
        if not path.is_file():
            msg = f"No file {path}; name the folder of {' and '.join(PAIRED)} with --cells."
            raise InputError(msg)
        adata = anndata.read_h5ad(path)
        if "treatment" in adata.obs and VEHICLE in set(adata.obs["treatment"].astype(str)):
            adata = adata[adata.obs["treatment"].astype(str) == VEHICLE]
        pairs.append(
            PlatformPair(
                name=name,
                profile=np.log1p(np.asarray(cp10k(adata.X).mean(axis=0)).ravel()),
                keys=tuple(keys([str(gene) for gene in adata.var_names])),
                lines=lines(screen),
            )
        )
    return pairs


def cp10k(matrix: Any) -> Any:
    """Counts (B, G) per 10,000 of each cell, as CSR."""
    from scipy import sparse

    counts = sparse.csr_matrix(matrix, dtype=np.float64)
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1e4 / np.maximum(totals, 1)) @ counts)


def read_facts(folder: Path, knowledge: Knowledge, drugs: Sequence[str]) -> dict[str, DrugFacts]:
    """Targets and pathway of each drug from the knowledge, its structure from ``smiles.tsv``."""
    path, smiles = folder / "smiles.tsv", {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            smiles = {row["drug"]: row["smiles"] for row in csv.DictReader(file, delimiter="\t")}
    facts = {}
    for drug in drugs:
        match = knowledge.drugs.lookup(drug)
        known = match.status == "ok"
        pathway = match.pathway if known else ""
        facts[drug] = DrugFacts(
            targets=match.targets if known else (),
            pathways=(pathway,) if pathway and not _vague(pathway) else (),
            smiles=smiles.get(drug, ""),
        )
    return facts


def _vague(pathway: str) -> bool:
    """Whether drugs of this pathway have nothing in common."""
    return "other" in pathway.casefold() or pathway.casefold() == "unclassified"
