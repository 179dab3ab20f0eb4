"""Top genes of labelled groups, matched to cell types; no study is scored by its own records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.metrics import bootstrap, wilson
from cellwright.evals.task import EvalContext, Score

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.markers import MarkerTable

TOP_GENES = 20
FEWEST = 15
"""Cells that a group must have."""

#: Data sets with the PMIDs of the studies that made them; True where constants were tuned on it.
STUDIES: dict[str, tuple[bool, frozenset[int]]] = {
    "pbmc3k_2638": (True, frozenset({28091601})),
    "bastidas_ponce_e15_739": (True, frozenset({31160421})),
    "joost_skin_720": (True, frozenset({27641957})),
    "zilionis_lung_800": (True, frozenset({30979687})),
    "zeisel_brain_1464": (True, frozenset({25700174})),
    "pbmc68k_reduced_700": (False, frozenset({28091601})),
    "kang_pbmc_ctrl_12261": (False, frozenset({29227470})),
    "telencephalon_4474": (False, frozenset()),
    "mca_gut_1871": (False, frozenset({29474909})),
    "bm_stroma_250": (False, frozenset()),
    "hnscc_ref_180": (False, frozenset({29198524})),
    "xin2016_islet_674": (False, frozenset({27667665})),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Group:
    """A labelled group's most telling genes.

    Attributes:
        data: Data set.
        species: Its species.
        genes: Gene names, most telling first.
        ontology_id: The label's term.
        tuned: Whether constants were chosen on this data set.
        studies: PMIDs of the study that the cells come from.
    """

    data: str
    species: str
    genes: tuple[str, ...]
    ontology_id: str
    tuned: bool
    studies: frozenset[int]


def groups(context: EvalContext) -> list[Group]:
    """Top genes of each label against the rest of its file."""
    from cellwright.cellmodel.data.block import make_block
    from cellwright.cellmodel.data.registry import dataset
    from cellwright.cellmodel.training.data import block_state, read_cells
    from cellwright.cellmodel.vocabulary import GeneVocabulary

    terms = _terms(context.knowledge)
    found = []
    for name, (tuned, studies) in STUDIES.items():
        path = context.data_dir / f"{name}.h5ad"
        if not path.is_file():
            continue
        context.say(f"knowledge: groups of {name}")
        card = dataset(name)
        matrix, keys, rows, labels = _cells(path, name, read_cells)
        genes = tuple(dict.fromkeys(str(key) for key in keys))
        block = make_block(matrix, keys, GeneVocabulary(genes), **block_state(card))
        ids = np.array([terms.get((name, label)) or "" for label in labels], object)
        for term in sorted(set(ids) - {""}):
            inside = ids == term
            if FEWEST <= inside.sum() < len(ids):
                top = telling(block.expression, inside)
                found.append(
                    Group(
                        data=name,
                        species=card.species,
                        genes=tuple(genes[at] for at in top),
                        ontology_id=term,
                        tuned=tuned,
                        studies=studies,
                    )
                )
    return found
