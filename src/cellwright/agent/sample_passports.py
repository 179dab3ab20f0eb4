# ruff: noqa: E501 - a table, one data set a line
"""Data sets for planning examples: made-up ones, to train on and held out, and real ones."""

from collections.abc import Mapping
from functools import cache
from importlib import resources

from cellwright.tools.passport import Column, Matrix, Passport, Statement


def _passport(species: str, state: str, tissue: str, columns: str) -> Passport:
    """A passport for planning; ``columns`` is ``role name=value|value; ...``."""
    read = []
    for part in filter(None, columns.split("; ")):
        role, rest = part.split(" ", maxsplit=1)
        name, _, values = rest.partition("=")
        listed = tuple(values.split("|"))
        read.append(
            Column(name=name, role=role, n_values=len(listed), values=listed, evidence="made up")
        )
    said = {
        "species": Statement(value=species, evidence="made up", confidence=1),
        "identifiers": Statement(value="symbol", evidence="made up", confidence=1),
        "tissue": Statement(value=tissue, evidence="made up", confidence=1),
        "protocol": Statement(value="10x", evidence="made up", confidence=1),
    }
    matrix = Matrix(slot="X", state=state, n_genes=2000, evidence="made up")
    return Passport(
        file="made_up.h5ad",
        sha256="0" * 64,
        n_cells=1000,
        n_genes=2000,
        matrices=(matrix,),
        best="X",
        columns=tuple(read),
        coverage=1.0,
        model_coverage=0.5,
        **said,
    )


PASSPORTS: tuple[tuple[Passport, ...], tuple[Passport, ...]] = (
    (
        _passport("human", "counts", "PBMC", ""),
        _passport("human", "counts", "PBMC", "label bulk_labels=CD14+ Monocyte|CD19+ B|Dendritic; cluster louvain=0|1|2"),
        _passport("human", "counts", "PBMC", "label cell_type=B cells|NK cells|CD4 T cells; donor sample_id=101|107|1015; condition stim=ctrl|stim"),
        _passport("mouse", "counts", "pancreas", "label clusters_fig=Alpha|Beta|Delta|Ductal; batch day=E14|E15"),
        _passport("human", "log1p", "melanoma", "label celltype=Naive T Cells|Cytotoxic CD8; donor patient=Pre_P1|Pre_P2; condition response=Responder|Non-responder"),
        _passport("human", "counts", "glioblastoma", "donor patient_id=PW030|PW032; batch sample_id=PW030-701|PW032-709; condition treatment=ctrl|panobinostat"),
        _passport("human", "counts", "lung lines", "label cell_line=H1975|H2228|HCC827; batch batch=p1|p2"),
        _passport("mouse", "tpm", "lung", "label Major.cell.type=B cells|T cells|Neutrophils; donor Animal=h_1|t_1; condition Tissue=healthy|tumor; cluster leiden=0|1|2"),
        _passport("human", "scaled", "A375", "condition response=sensitive|resistant"),
        _passport("human", "counts", "colon", "label annotation=Enterocyte|Goblet cell; donor donor_id=D1|D2|D3; condition disease=normal|Crohn; condition treatment=untreated|anti-TNF; cluster seurat_clusters=0|1"),
        _passport("mouse", "counts", "brain", "label subclass=Astro|Oligo|Pvalb; donor mouse_id=m1|m2; condition genotype=WT|KO; condition age=young|old"),
    ),
    (
        _passport("human", "counts", "blood", "label majority_voting=T cell|Monocyte; donor subject_id=S1|S2; condition timepoint=day0|day7; cluster leiden_res1=0|1|2"),
        _passport("mouse", "log1p", "skin", "label cell_class=Basal|IFE; batch plate=1|2; condition treated=vehicle|drug_A; condition sex=female|male"),
        _passport("human", "counts", "neuroblastoma", "condition treatment=vehicle|nutlin; donor individual=i1|i2"),
    ),
)  # fmt: skip


@cache
def datasets() -> Mapping[str, Passport]:
    """The data sets that the written requests are about, by name: columns, roles and values."""
    table = resources.files("cellwright.agent") / "wordings" / "datasets.tsv"
    found = {}
    for line in table.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, species, tissue, columns = line.split("\t")
            found[name] = _passport(species, "counts", tissue, columns)
    return found
