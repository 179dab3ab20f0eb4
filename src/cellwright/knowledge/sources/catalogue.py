"""The official files: what each is called, its release and its terms."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cellwright.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """An input of ``knowledge build``.

    Attributes:
        file: File name.
        source: Name that citations use.
        release: Release of the file.
        licence: Licence or terms.
        url: Where its publisher offers it.
    """

    file: str
    source: str
    release: str
    licence: str
    url: str


NCBI_URL = "https://ftp.ncbi.nlm.nih.gov/gene/DATA/GENE_INFO/Mammalia/"
NCBI_HUMAN = SourceFile(
    file="ncbi_gene_info_human.tsv.gz",
    source="NCBI Gene",
    release="2021-07",
    licence="public domain",
    url=NCBI_URL,
)
NCBI_MOUSE = SourceFile(
    file="ncbi_gene_info_mouse.tsv.gz",
    source="NCBI Gene",
    release="2021-07",
    licence="public domain",
    url=NCBI_URL,
)
ORTHOLOGS_HUMAN = SourceFile(
    file="orthologs_human_to_mouse.tsv.gz",
    source="Ensembl",
    release="BioMart export",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.ensembl.org/biomart/",
)
ORTHOLOGS_MOUSE = SourceFile(
    file="orthologs_mouse_to_human.tsv.gz",
    source="Ensembl",
    release="BioMart export",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.ensembl.org/biomart/",
)
ENSEMBL_HG19 = SourceFile(
    file="ensembl_symbol_hg19.tsv",
    source="Ensembl",
    release="GRCh37 (10x hg19 reference)",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.10xgenomics.com/support/software/cell-ranger/downloads",
)
CELLMARKER_HUMAN = SourceFile(
    file="cellmarker2_human.tsv.gz",
    source="CellMarker 2.0",
    release="2022-07",
    licence="no licence stated; cite Hu et al. 2023, Nucleic Acids Research",
    url="http://bio-bigdata.hrbmu.edu.cn/CellMarker/",
)
CELLMARKER_MOUSE = SourceFile(
    file="cellmarker2_mouse.tsv.gz",
    source="CellMarker 2.0",
    release="2022-07",
    licence="no licence stated; cite Hu et al. 2023, Nucleic Acids Research",
    url="http://bio-bigdata.hrbmu.edu.cn/CellMarker/",
)
ACCORDION = SourceFile(
    file="accordion_markers.tsv.gz",
    source="Cell Marker Accordion",
    release="2026-01",
    licence="MIT; rows keep the terms of their resource",
    url="https://github.com/TebaldiLab/cellmarkeraccordion",
)
CELL_ONTOLOGY = SourceFile(
    file="CL-ontology-v2026-03-26.json.zst",
    source="Cell Ontology",
    release="2026-03-26",
    licence="CC BY 4.0",
    url="https://obofoundry.org/ontology/cl.html",
)
GDSC = SourceFile(
    file="gdsc_compounds_8.4.csv",
    source="GDSC",
    release="8.4",
    licence="GDSC terms of use",
    url="https://www.cancerrxgene.org/downloads",
)
REPURPOSING_HUB = SourceFile(
    file="repurposing_hub.tsv",
    source="Drug Repurposing Hub",
    release="as downloaded from the hub's app",
    licence="the hub's terms of use; cite Corsello et al. 2017, Nature Medicine",
    url="https://repo-hub.broadinstitute.org/repurposing",
)

ALL_SOURCES: tuple[SourceFile, ...] = (
    NCBI_HUMAN,
    NCBI_MOUSE,
    ORTHOLOGS_HUMAN,
    ORTHOLOGS_MOUSE,
    ENSEMBL_HG19,
    CELLMARKER_HUMAN,
    CELLMARKER_MOUSE,
    ACCORDION,
    CELL_ONTOLOGY,
    GDSC,
    REPURPOSING_HUB,
)


def locate(folder: Path, wanted: Iterable[SourceFile] = ALL_SOURCES) -> dict[str, Path]:
    """Return the path of every wanted file, by file name.

    Raises:
        InputError: The folder or some of the files are missing; the message names them all.
    """
    if not folder.is_dir():
        msg = f"{folder} is not a folder with the official files."
        raise InputError(msg)
    wanted = tuple(wanted)
    missing = [one for one in wanted if not (folder / one.file).is_file()]
    if missing:
        names = "; ".join(f"{one.file} ({one.source}, {one.url})" for one in missing)
        msg = f"{folder} lacks {len(missing)} of {len(wanted)} official files: {names}."
        raise InputError(msg)
    return {one.file: folder / one.file for one in wanted}
