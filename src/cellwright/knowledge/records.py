"""What the knowledge base answers with; evidence is the only thing that may be cited."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["gene", "cell_type", "drug"]
Species = Literal["human", "mouse"]
SPECIES: tuple[Species, ...] = ("human", "mouse")

MAX_CITED = 3
"""PMIDs that one citation names; the record keeps them all."""


class Evidence(BaseModel):
    """One record of one source.

    Attributes:
        text: The fact, in one sentence composed from the record's fields.
        source: Name of the source, such as ``CellMarker 2.0``.
        record_id: The record's own identifier (gene id, ontology id, drug name).
        release: Release of the source.
        pmids: Publications that the record rests on.
        licence: Licence or terms of the source.
        kind: What the record is about.
        species: ``human`` or ``mouse``; empty when it holds for both or neither.
        score: Rank score where the record was found by search or matching.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    source: str
    record_id: str
    release: str
    pmids: tuple[str, ...] = ()
    licence: str = ""
    kind: Kind
    species: str = ""
    score: float | None = Field(default=None)

    def cite(self) -> str:
        """Return the citation that reports print: source, release and up to three PMIDs."""
        head = f"{self.source} ({self.release})"
        if not self.pmids:
            return f"[{head}; {self.record_id}]"
        more = len(self.pmids) - MAX_CITED
        tail = ", ".join(self.pmids[:MAX_CITED]) + (f" and {more} more" if more > 0 else "")
        return f"[{head}; PMID {tail}]"


class GeneMatch(NamedTuple):
    """What a gene name was taken for; a tuple, as whole vocabularies of them are made at once.

    Attributes:
        query: The name as given.
        status: ``ambiguous`` when several genes answer to the name: none is chosen.
        species: Species that the gene belongs to.
        why: How the name led to the gene, or why it did not.
        symbol: Current symbol; None unless ``ok``, or when the gene has none.
        gene_id: NCBI gene id.
        ensembl_id: Ensembl gene id without version.
        name: Full name.
        candidates: Symbols that it could be; that look alike when it is unknown; of other genes
            that carry the name, but not as a name of the nomenclature, when it is ``ok``.
        aliases: Other names of the gene.
        gene_type: NCBI's type, such as ``protein-coding``.
        key: Key of the shared human-mouse vocabulary.
    """

    query: str
    status: Literal["ok", "ambiguous", "unknown"]
    species: str
    why: str
    symbol: str | None = None
    gene_id: str | None = None
    ensembl_id: str | None = None
    name: str = ""
    candidates: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    gene_type: str = ""
    key: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CoverageReport:
    """What became of the gene names of a data set.

    Attributes:
        names: Number of names.
        species: Species that they were read as.
        resolved: Names that lead to one gene.
        genes: Distinct genes that they lead to.
        ways: Number of resolved names by how they led to their gene, most frequent first.
        ambiguous: Names that several genes carry, with those genes.
        unknown: Names that no gene has.
        shared: Genes that several names lead to, with those names.
    """

    names: int
    species: str
    resolved: int
    genes: int
    ways: Mapping[str, int]
    ambiguous: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]
    shared: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class NameReport:
    """Species and identifier scheme of a data set's gene names.

    Attributes:
        species: ``human``, ``mouse`` or ``unknown``.
        species_evidence: What says so.
        species_confidence: 0 to 1.
        scheme: How genes are named.
        scheme_evidence: What says so.
        scheme_confidence: 0 to 1.
        coverage: Share of the names that resolve to one gene of the species.
    """

    species: Literal["human", "mouse", "unknown"]
    species_evidence: str
    species_confidence: float
    scheme: Literal["symbol", "ensembl", "ensembl_versioned", "entrez", "unknown"]
    scheme_evidence: str
    scheme_confidence: float
    coverage: float


@dataclass(frozen=True, kw_only=True, slots=True)
class CellTypeMatch:
    """What a cell type name was taken for.

    Attributes:
        query: The text as given.
        status: ``none`` when nothing in the Cell Ontology is near enough.
        ontology_id: Cell Ontology id; None unless ``ok``.
        label: The ontology's label.
        score: 0 to 1; 1 is an exact label or synonym.
        runner_up: Next best ``(id, label, score)``.
        why: How the text led to the term, or why it did not.
        suggestions: Labels that look alike when there is no match.
    """

    query: str
    status: Literal["ok", "none"]
    ontology_id: str | None = None
    label: str | None = None
    score: float = 0.0
    runner_up: tuple[str, str, float] | None = None
    why: str = ""
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkerMatch:
    """A cell type that a set of genes points at.

    Attributes:
        cell_type: Cell Ontology label.
        ontology_id: Cell Ontology id.
        score: Larger is better; comparable within one query only.
        genes: Query genes that support it, best first, as the caller wrote them.
        evidence: Records behind them.
        against: Query genes that are recorded as negative markers.
        margin: Lead over the next type, as a share of this score.
        scope: Which species and tissue the records come from, in words.
    """

    cell_type: str
    ontology_id: str
    score: float
    genes: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    against: tuple[str, ...] = ()
    margin: float = 0.0
    scope: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrugMatch:
    """What a drug name was taken for.

    Attributes:
        query: The name as given.
        status: ``unknown`` when no drug answers to it.
        name: Preferred name; None when unknown.
        synonyms: Other names.
        targets: Targets, as the sources write them.
        pathway: Pathway that GDSC assigns.
        mechanism: Mechanism of action of the Repurposing Hub.
        indications: Diseases that it is given for, by the Repurposing Hub.
        areas: Fields of medicine of those diseases.
        phase: Highest clinical phase that the Repurposing Hub knows.
        sources: Sources that have the drug.
        in_gdsc: Whether GDSC screened it.
        suggestions: Names that look alike when it is unknown.
        why: How the name led to the drug.
    """

    query: str
    status: Literal["ok", "unknown"]
    name: str | None = None
    synonyms: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    pathway: str = ""
    mechanism: str = ""
    indications: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    phase: str = ""
    sources: tuple[str, ...] = ()
    in_gdsc: bool = False
    suggestions: tuple[str, ...] = ()
    why: str = ""
