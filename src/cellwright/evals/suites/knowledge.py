"""Knowledge: gene names resolved against plain look-up, and markers against plain counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.metrics import bootstrap, wilson
from cellwright.evals.task import OURS, EvalContext, EvalRow, EvalTask, Score

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge

SUITE = "knowledge"
TOP_GENES = 20
FEWEST = 15
MARKER_SETS = (
    "pbmc3k_2638",
    "pbmc68k_reduced_700",
    "telencephalon_4474",
    "bastidas_ponce_e15_739",
    "mca_gut_1871",
    "joost_skin_720",
    "zeisel_brain_1464",
    "zilionis_lung_800",
    "bm_stroma_250",
    "hnscc_ref_180",
    "xin2016_islet_674",
)

#: Name, species, and the symbol it stands for; empty where no gene may be chosen.
NAMES = (
    ("TP53", "human", "TP53"),
    ("p53", "human", "TP53"),
    ("CD8", "human", "CD8A"),
    ("PD-1", "human", "PDCD1"),
    ("PDL1", "human", "CD274"),
    ("HER2", "human", "ERBB2"),
    ("CD20", "human", "MS4A1"),
    ("CD3", "human", ""),
    ("OCT4", "human", "POU5F1"),
    ("c-MYC", "human", "MYC"),
    ("ENSG00000141510", "human", "TP53"),
    ("ENSG00000141510.18", "human", "TP53"),
    ("7157", "human", "TP53"),
    ("CD16", "human", ""),
    ("CD56", "human", "NCAM1"),
    ("KI67", "human", "MKI67"),
    ("GLP1R", "human", "GLP1R"),
    ("notagene1", "human", ""),
    ("Ins2", "mouse", "Ins2"),
    ("INS2", "mouse", "Ins2"),
    ("Cd45", "mouse", "Ptprc"),
    ("Ngn3", "mouse", "Neurog3"),
    ("ENSMUSG00000059552", "mouse", "Trp53"),
    ("P53", "mouse", "Trp53"),
    ("F4/80", "mouse", "Adgre1"),
    ("Oct4", "mouse", "Pou5f1"),
)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """A labelled group's most telling genes."""

    data: str
    species: str
    genes: tuple[str, ...]
    ontology_id: str


def run(context: EvalContext) -> list[EvalRow]:
    """Resolver on names with a known answer; marker match on labelled groups."""
    knowledge = context.knowledge
    rows = EvalTask[Sequence[tuple[str, str, str]], list[str]](
        suite=SUITE,
        data=f"{len(NAMES)} gene names",
        split="known cases",
        dataset=NAMES,
        solvers={
            OURS: lambda cases: [_resolve(knowledge, name, of) for name, of, _want in cases],
            "exact-symbol": lambda cases: [_exact(knowledge, name, of) for name, of, _ in cases],
        },
        scorer=lambda cases, said: {
            "accuracy": wilson(
                sum(want == got for (_n, _s, want), got in zip(cases, said, strict=True)),
                len(cases),
            )
        },
    ).run(context.say)
    groups = _groups(context)
    if groups:
        rows += EvalTask[list[_Group], list[str]](
            suite=SUITE,
            data=f"{len(groups)} labelled groups",
            split=f"top {TOP_GENES} genes",
            dataset=groups,
            solvers={
                OURS: lambda found: [_match(knowledge, one) for one in found],
                "counting": lambda found: [_count(knowledge, one) for one in found],
            },
            scorer=lambda found, said: _judge(knowledge, found, said),
        ).run(context.say)
    return rows


def _resolve(knowledge: Knowledge, name: str, species: str) -> str:
    match = knowledge.genes.resolve_many([name], species)[0]
    return (match.symbol or "") if match.status == "ok" else ""


def _exact(knowledge: Knowledge, name: str, species: str) -> str:
    """The name itself where it is an official symbol, letter by letter."""
    match = knowledge.genes.resolve_many([name], species)[0]
    return name if match.status == "ok" and match.symbol == name else ""


def _groups(context: EvalContext) -> list[_Group]:
    """Top genes of each label against the rest of its file, by difference of means over spread."""
    from cellwright.cellmodel.data.registry import dataset, label_table
    from cellwright.cellmodel.training.data import block_state, read_cells

    found = []
    for name in MARKER_SETS:
        card = dataset(name)
        path = context.data_dir / f"{name}.h5ad"
        if not path.is_file():
            continue
        context.say(f"{SUITE}: groups of {name}")
        matrix, _keys, rows, _labels, obs = read_cells(
            path, card, label_table()[name], lambda names, _species: list(names)
        )
        from cellwright.cellmodel.data.block import make_block
        from cellwright.cellmodel.vocabulary import GeneVocabulary

        genes = tuple(dict.fromkeys(str(key) for key in _keys))
        block = make_block(matrix, _keys, GeneVocabulary(genes), **block_state(card))
        ids = np.array([row.ontology_id for row in rows], object)
        for identifier in sorted(set(ids) - {""}):
            inside = ids == identifier
            if FEWEST <= inside.sum() < len(ids):
                top = _telling(block.expression, inside)
                telling = tuple(genes[at] for at in top)
                found.append(
                    _Group(data=name, species=card.species, genes=telling, ontology_id=identifier)
                )
        del obs
    return found


def _telling(expression: object, inside: np.ndarray) -> np.ndarray:
    """Positions of the genes with the largest Welch statistic, highest first."""
    from scipy import sparse

    matrix = sparse.csr_matrix(expression)

    def moments(rows: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        mean = np.asarray(rows.mean(axis=0)).ravel()
        return mean, np.asarray(rows.multiply(rows).mean(axis=0)).ravel() - mean**2

    a, va = moments(matrix[inside])
    b, vb = moments(matrix[~inside])
    error = np.sqrt(va / inside.sum() + vb / (~inside).sum()) + 0.05
    return np.argsort(-(a - b) / error, kind="stable")[:TOP_GENES]


def _match(knowledge: Knowledge, group: _Group) -> str:
    found = knowledge.markers.match(list(group.genes), group.species, top=1)
    return found[0].ontology_id if found else ""


def _count(knowledge: Knowledge, group: _Group) -> str:
    """The type that most of the genes are recorded for, each record counting alike."""
    votes: Counter[str] = Counter()
    for match in knowledge.genes.resolve_many(list(group.genes), group.species):
        if match.key:
            votes.update(knowledge.markers.types_of(match.key, group.species, top=1000))
    if not votes:
        return ""
    best = knowledge.ontology.lookup(votes.most_common(1)[0][0])
    return best.ontology_id or ""


def _judge(knowledge: Knowledge, groups: Sequence[_Group], said: Sequence[str]) -> dict[str, Score]:
    """1 for the term itself, one half for a term above or below it."""
    points = np.array(
        [
            1.0
            if got == group.ontology_id
            else 0.5 * bool(got and knowledge.ontology.related(got, group.ontology_id))
            for group, got in zip(groups, said, strict=True)
        ]
    )
    return {
        "ontology_score": bootstrap(lambda at: float(points[at].mean()), len(points)),
        "related": wilson(int((points > 0).sum()), len(points)),
    }
