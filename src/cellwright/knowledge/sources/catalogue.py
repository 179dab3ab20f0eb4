"""The official files: what each is called, its release and its terms."""

import gzip
import re
import sqlite3
import zlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import zstandard

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
        columns: Columns that must be there, or tables of a database; none for a file that is
            neither.
        download: Address of a file of this form at its publisher; empty where the publisher's
            own file has another form, so that it must be given.
    """

    file: str
    source: str
    release: str
    licence: str
    url: str
    columns: tuple[str, ...] = ()
    download: str = ""


def _biomart(species: str, other: str) -> str:
    homolog = f"{other}_homolog"
    attributes = (
        "ensembl_gene_id",
        "external_gene_name",
        f"{homolog}_associated_gene_name",
        f"{homolog}_ensembl_gene",
        f"{homolog}_orthology_type",
        f"{homolog}_orthology_confidence",
        f"{homolog}_goc_score",
    )
    names = "".join(f'<Attribute name="{one}"/>' for one in attributes)
    query = (
        '<Query virtualSchemaName="default" formatter="TSV" header="1" uniqueRows="1">'
        f'<Dataset name="{species}_gene_ensembl">{names}</Dataset></Query>'
    )
    return f"https://www.ensembl.org/biomart/martservice?query={quote(query)}"


NCBI_URL = "https://ftp.ncbi.nlm.nih.gov/gene/DATA/GENE_INFO/Mammalia/"
GDSC_URL = "https://cog.sanger.ac.uk/cancerrxgene/GDSC_release8.4/"
HGNC_URL = (
    "https://www.genenames.org/cgi-bin/download/custom?col=gd_hgnc_id&col=gd_app_sym"
    "&col=gd_app_name&col=gd_status&col=gd_aliases&col=md_eg_id&col=md_prot_id&col=md_mgd_id"
    "&col=md_rgd_id&col=gd_prev_sym&col=gd_pub_ensembl_id&col=gd_locus_type&col=gd_enz_ids"
    "&status=Approved&status=Entry%20Withdrawn&hgnc_dbtag=on&order_by=gd_app_sym_sort"
    "&format=text&submit=submit"
)
GENE_INFO_COLUMNS = (
    "GeneID",
    "Symbol",
    "Synonyms",
    "dbXrefs",
    "chromosome",
    "description",
    "type_of_gene",
    "Full_name_from_nomenclature_authority",
)
NCBI_HUMAN = SourceFile(
    file="ncbi_gene_info_human.tsv.gz",
    source="NCBI Gene",
    release="2021-07",
    licence="public domain",
    url=NCBI_URL,
    columns=GENE_INFO_COLUMNS,
    download=f"{NCBI_URL}Homo_sapiens.gene_info.gz",
)
NCBI_MOUSE = SourceFile(
    file="ncbi_gene_info_mouse.tsv.gz",
    source="NCBI Gene",
    release="2021-07",
    licence="public domain",
    url=NCBI_URL,
    columns=GENE_INFO_COLUMNS,
    download=f"{NCBI_URL}Mus_musculus.gene_info.gz",
)
ORTHOLOGS_HUMAN = SourceFile(
    file="orthologs_human_to_mouse.tsv.gz",
    source="Ensembl",
    release="BioMart export",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.ensembl.org/biomart/",
    columns=("Gene stable ID", "Gene name", "Mouse gene name", "Mouse gene stable ID"),
    download=_biomart("hsapiens", "mmusculus"),
)
ORTHOLOGS_MOUSE = SourceFile(
    file="orthologs_mouse_to_human.tsv.gz",
    source="Ensembl",
    release="BioMart export",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.ensembl.org/biomart/",
    columns=("Gene stable ID", "Gene name", "Human gene name", "Human gene stable ID"),
    download=_biomart("mmusculus", "hsapiens"),
)
ENSEMBL_HG19 = SourceFile(
    file="ensembl_symbol_hg19.tsv",
    source="Ensembl",
    release="GRCh37 (10x hg19 reference)",
    licence="no restrictions (EMBL-EBI terms of use)",
    url="https://www.10xgenomics.com/support/software/cell-ranger/downloads",
    columns=("ensembl", "symbol"),
)
CELLMARKER_HUMAN = SourceFile(
    file="cellmarker2_human.tsv.gz",
    source="CellMarker 2.0",
    release="2022-07",
    licence="no licence stated; cite Hu et al. 2023, Nucleic Acids Research",
    url="http://bio-bigdata.hrbmu.edu.cn/CellMarker/",
    columns=("Tissue class", "Cell name", "CellOntologyID", "Marker", "GeneID", "PMID"),
)
CELLMARKER_MOUSE = SourceFile(
    file="cellmarker2_mouse.tsv.gz",
    source="CellMarker 2.0",
    release="2022-07",
    licence="no licence stated; cite Hu et al. 2023, Nucleic Acids Research",
    url="http://bio-bigdata.hrbmu.edu.cn/CellMarker/",
    columns=("Tissue class", "Cell name", "CellOntologyID", "Marker", "GeneID", "PMID"),
)
ACCORDION = SourceFile(
    file="accordion_markers.tsv.gz",
    source="Cell Marker Accordion",
    release="2026-01",
    licence="MIT; rows keep the terms of their resource",
    url="https://github.com/TebaldiLab/cellmarkeraccordion",
    columns=("species", "Uberon_tissue", "CL_ID", "marker", "marker_type", "resource"),
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
    columns=("DRUG_ID", "DRUG_NAME", "SYNONYMS", "TARGET", "TARGET_PATHWAY"),
    download=f"{GDSC_URL}screened_compounds_rel_8.4.csv",
)
REPURPOSING_HUB = SourceFile(
    file="repurposing_hub.tsv",
    source="Drug Repurposing Hub",
    release="as downloaded from the hub's app",
    licence="the hub's terms of use; cite Corsello et al. 2017, Nature Medicine",
    url="https://repo-hub.broadinstitute.org/repurposing",
    columns=("Name", "MOA", "Target", "Disease Area", "Indication", "Phase"),
)

HGNC = SourceFile(
    file="hgnc_entries.tsv",
    source="HGNC",
    release="2024-07",
    licence="CC0 1.0",
    url="https://www.genenames.org/download/custom/",
    columns=("HGNC ID", "Approved symbol", "Status", "Alias symbols", "Previous symbols"),
    download=HGNC_URL,
)
GO_GENES = SourceFile(
    file="org.Hs.eg.sqlite",
    source="Gene Ontology",
    release="2022-07-01; annotations and publications of NCBI 2022-09-12",
    licence="CC BY 4.0; NCBI's gene2pubmed public domain",
    url="https://bioconductor.org/packages/org.Hs.eg.db",
    columns=("genes", "go_bp", "go_mf", "go_cc", "pubmed"),
)
GO_TERMS = SourceFile(
    file="GO.sqlite",
    source="Gene Ontology",
    release=GO_GENES.release,
    licence=GO_GENES.licence,
    url="https://bioconductor.org/packages/GO.db",
    columns=("go_term",),
)
SUMMARIES_HUMAN = SourceFile(
    file="refseq_summary_human.tsv.gz",
    source="RefSeq",
    release="220",
    licence="public domain",
    url="https://ftp.ncbi.nlm.nih.gov/refseq/H_sapiens/",
    columns=("Gene_ID", "Gene_summary"),
)
SUMMARIES_MOUSE = SourceFile(
    file="refseq_summary_mouse.tsv.gz",
    source="RefSeq",
    release="220",
    licence="public domain",
    url="https://ftp.ncbi.nlm.nih.gov/refseq/M_musculus/",
    columns=("Gene_ID", "Gene_summary"),
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
OPTIONAL_SOURCES: tuple[SourceFile, ...] = (
    HGNC,
    GO_GENES,
    GO_TERMS,
    SUMMARIES_HUMAN,
    SUMMARIES_MOUSE,
)
"""Files that a build takes when they are there; what was compiled of them before is else kept."""


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


def check(one: SourceFile, path: Path) -> None:
    """Read a file to its end and see that its columns are there.

    Raises:
        InputError: It is damaged, empty, or another file than its name says.
    """
    try:
        head = _read_through(path)
    except (
        *(OSError, EOFError, zlib.error, UnicodeDecodeError, zstandard.ZstdError),
        sqlite3.Error,
    ) as error:
        msg = f"{path.name} of {one.source} is damaged ({error}). Fetch it again from {one.url}."
        raise InputError(msg) from error
    found = [name.strip().strip('"').lstrip("#") for name in re.split(r"[\t,]", head)]
    lacking = [name for name in one.columns if name not in found]
    if lacking or not head:
        said = f"begins with {head[:80]!r}" if head else "is empty"
        need = f"a table with {', '.join(one.columns)}" if one.columns else "content"
        msg = f"{path.name} {said}; needed is {need}. Fetch it from {one.url}."
        raise InputError(msg)


def _read_through(path: Path) -> str:
    """Return the first line, having read every byte, so that a cut-off file is noticed.

    Of a database it is the names of its tables.
    """
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as link:
            if (state := link.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(state)
            found = link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return ",".join(sorted(name for (name,) in found))
    if path.suffix == ".zst":
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
            start = stream.read(200)
            while stream.read(1 << 20):
                pass
        return start.decode("utf-8", "replace")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as handle:
        head = handle.readline().rstrip("\r\n")
        while handle.read(1 << 20):
            pass
    return head
