"""Genes behind an answer, each with what is known of it: expression, marker records, targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.knowledge.records import Evidence
from cellwright.tools.selection import keys_of, symbols

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.workbench import Workbench

MAX_EVIDENCE = 3
LEAST_SHARE = 0.05
"""Share of the cells that must express a gene for it to count as one that they express."""


class SalientGene(BaseModel):
    """A gene that speaks for the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gene: str = Field(description="Gene symbol.")
    name: str = Field(description="Full name of the gene; may be empty.")
    saliency: float = Field(description="Mean over cells, as a share of the strongest gene's.")
    share_in: float = Field(description="Share of the explained cells that express it.")
    share_out: float | None = Field(description="Share of all other cells; None if there are none.")
    n_records: int = Field(description="Marker records that tie it to the cell type.")
    is_target: bool = Field(description="Whether it is a recorded target of the drug.")
    citation: str = Field(description="Citation of the first record; may be empty.")
    evidence: tuple[Evidence, ...] = Field(description="The records, at most three.")


@dataclass(frozen=True, kw_only=True)
class ExplainedCells:
    """The cells that are explained, and what they are held to be.

    Attributes:
        label: Name of the group.
        rows: Positions of its cells.
        origin: Where they come from, in words.
        term: Cell Ontology id of the type; empty where there is none.
        targets: Recorded targets, where a drug is explained.
    """

    label: str
    rows: np.ndarray
    origin: str
    term: str = ""
    targets: tuple[str, ...] = field(default=())


def salient_genes(
    scores: np.ndarray, order: list[int], cells: ExplainedCells, adata: AnnData, bench: Workbench
) -> tuple[SalientGene, ...]:
    """Genes in the order given, with expression and evidence.

    Args:
        scores: (G,) saliency of each gene of the file.
        order: Positions of the genes to name.
        cells: The explained cells.
        adata: The data.
        bench: The workbench, for the knowledge.
    """
    species = bench.passport.species.value if bench.passport else "human"
    inside = np.zeros(adata.n_obs, dtype=bool)
    inside[cells.rows] = True
    seen = adata.X[:, order] > 0
    share_in = np.asarray(seen[inside].mean(axis=0)).ravel()
    share_out = np.asarray(seen[~inside].mean(axis=0)).ravel() if not inside.all() else None
    names = [str(name) for name in symbols(adata)[order]]
    strongest = float(np.abs(scores[order]).max())
    markers = bench.knowledge.markers
    found = []
    for at, (gene, match) in enumerate(
        zip(names, bench.knowledge.genes.resolve_many(names, species), strict=True)
    ):
        records = markers.records(gene, species, cells.term, negative=False) if cells.term else []
        found.append(
            SalientGene(
                gene=gene,
                name=match.name,
                # The last digits depend on how many threads took the sum.
                saliency=round(float(scores[order[at]] / strongest), 4),
                share_in=float(share_in[at]),
                share_out=None if share_out is None else float(share_out[at]),
                n_records=len(records),
                is_target=gene in cells.targets,
                citation=records[0].cite() if records else "",
                evidence=tuple(records[:MAX_EVIDENCE]),
            )
        )
    return tuple(found)


def expressed_rate(cells: ExplainedCells, adata: AnnData, bench: Workbench) -> tuple[float, int]:
    """Share of all genes that the cells express that have a marker record, and their number.

    It is what genes drawn at random from these cells would give.
    """
    species = bench.passport.species.value if bench.passport else "human"
    share = np.asarray((adata.X[cells.rows] > 0).mean(axis=0)).ravel()
    known = keys_of(adata)
    keys = [known[at] for at in np.flatnonzero(share >= LEAST_SHARE)]
    if not cells.term or not keys:
        return 0.0, len(keys)
    recorded = bench.knowledge.markers.symbols_of(cells.term, species)
    genes = bench.knowledge.genes
    hits = [bool(key) and genes.symbol_of_key(str(key), species) in recorded for key in keys]
    return float(np.mean(hits)), len(keys)
