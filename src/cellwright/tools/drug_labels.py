"""Response labels: cells told apart where the cell model was trained to, refused elsewhere.

A label is bound to its context, a drug on one kind of cells. It is asked for in no other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.passport import Passport
    from cellwright.tools.workbench import Workbench

COLUMN = "cellwright_response"
CHECKPOINT = "checkpoint therapy"
#: Names under which people ask for what the label calls checkpoint therapy.
CHECKPOINT_DRUGS = frozenset(
    {"pembrolizumab", "nivolumab", "ipilimumab", "antipd1", "antictla4", "checkpoint"}
)


@dataclass(frozen=True, kw_only=True)
class Context:
    """A drug on cells of one kind, as it was trained.

    Attributes:
        drug: Treatment that the labels are about.
        tissue: Kind of cells.
        state: What the matrix held.
        of_patients: The label is a property of the patient and not of the cell.
    """

    drug: str
    tissue: str
    state: str
    of_patients: bool

    @property
    def text(self) -> str:
        """The context in words."""
        return f"{self.drug} on {self.tissue}"


@cache
def contexts() -> tuple[Context, ...]:
    """Every context that the packaged cell model has labels for."""
    from cellwright.cellmodel.data.registry import DATASETS

    return tuple(
        Context(
            drug=card.drug,
            tissue=card.tissue,
            state=card.state,
            of_patients=bool(card.donor_column),
        )
        for card in DATASETS
        if card.task == "drug response" and not card.excluded
    )


def trained_context(drugs: Sequence[str], passport: Passport | None) -> Context | None:
    """The context that was trained with one of these drugs on this kind of cells, if any."""
    if passport is None:
        return None
    said = set(re.findall(r"[a-z0-9]+", passport.tissue.value.casefold()))
    scaled = passport.state in {"scaled", "unknown"}
    for one in contexts():
        kind = one.tissue.casefold().split()[0]
        if kind in said and scaled == (one.state == "scaled") and _same_drug(one.drug, drugs):
            return one
    return None


def nearest_context(drugs: Sequence[str], passport: Passport | None) -> Context:
    """The trained context that shares the drug, else the kind of cells, else the first."""
    said = passport.tissue.value.casefold() if passport else ""
    return max(
        contexts(),
        key=lambda one: (
            _same_drug(one.drug, drugs),
            any(len(word) > 3 and word in said for word in one.tissue.casefold().split()),
        ),
    )


def label_cells(adata: AnnData, context: Context, bench: Workbench) -> np.ndarray:
    """Label (B,) of each cell by the cell model's ReadOut, among the context's own labels."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.tools.selection import keys_of

    model = bench.cell_model
    names = [name for name in model.checkpoint.labels.names if name.startswith(f"{context.drug} ")]
    block = make_block(
        adata.X,
        keys_of(adata),
        model.vocabulary,
        "scaled" if context.state == "scaled" else "log1p",
        log_base="e",
    )
    labels = model.annotate(block, candidates=names, progress=bench.progress).labels
    short = [str(label).removeprefix(f"{context.drug} ") for label in labels]
    return np.array(short, dtype=object)


def _same_drug(own: str, asked: Sequence[str]) -> bool:
    plain = [re.sub(r"[^0-9a-z]", "", one.casefold()) for one in asked]
    if own == CHECKPOINT:
        return any(name in one for one in plain for name in CHECKPOINT_DRUGS)
    return re.sub(r"[^0-9a-z]", "", own.casefold()) in plain
