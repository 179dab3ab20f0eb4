"""Short texts on genes, cell types and drugs, composed from the tables' facts for retrieval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellwright.knowledge.drugs import describe
from cellwright.knowledge.ontology import TAXON_TERMS
from cellwright.knowledge.records import Kind

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge

MAX_ALIASES = 8
MAX_TYPES = 6
MAX_MARKERS = 10
MAX_SYNONYMS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text to find a record by.

    Attributes:
        id: Kind and record, such as ``gene/GCG``, ``cell_type/CL:0000169`` or ``drug/Dabrafenib``.
        kind: What it is about.
        species: ``human``, ``mouse`` or ``both``.
        text: Composed from facts only.
    """

    id: str
    kind: Kind
    species: str
    text: str

    @property
    def record(self) -> str:
        """The record's own id."""
        return self.id.partition("/")[2]


def compose(knowledge: Knowledge) -> list[Document]:
    """Return every document in a fixed order."""
    return [*_genes(knowledge), *_cell_types(knowledge), *_drugs(knowledge)]


def gene_text(symbol: str, name: str, summary: str = "") -> str:
    """Return the text whose vector stands for a gene in the cell model.

    Args:
        symbol: Gene symbol.
        name: Full name.
        summary: RefSeq's summary where its file is at hand; it is never stored.
    """
    return ". ".join(part for part in (f"{symbol}: {name}" if name else symbol, summary) if part)


def _genes(knowledge: Knowledge) -> Iterator[Document]:
    human, mouse = knowledge.genes.human, knowledge.genes.mouse
    markers = knowledge.markers
    weights = {species: markers.weights(species) for species in ("human", "mouse")}
    for symbol, row in sorted(human.by_symbol.items()):
        described = human.gene_type[row] == "protein-coding" and human.ensembl[row]
        if not described and symbol not in weights["human"].column:
            continue
        aliases = human.aliases(row)[:MAX_ALIASES]
        partner = human.partner[row]
        yield Document(
            id=f"gene/{symbol}",
            kind="gene",
            species="both" if partner >= 0 else "human",
            text=_gene(symbol, human.name[row], aliases, markers.types_of(symbol, "human")),
        )
    for key in weights["mouse"].keys:
        row = mouse.by_symbol.get(key.removeprefix("mouse:"), -1)
        if not key.startswith("mouse:") or row < 0:
            continue
        aliases = mouse.aliases(row)[:MAX_ALIASES]
        types = markers.types_of(key, "mouse")
        text = _gene(mouse.symbol[row], mouse.name[row], aliases, types)
        yield Document(id=f"gene/{key}", kind="gene", species="mouse", text=text)


def _gene(symbol: str, name: str, aliases: tuple[str, ...], types: tuple[str, ...]) -> str:
    text = f"{symbol}: {name}." if name else f"{symbol}."
    if aliases:
        text += f" Also called {', '.join(aliases)}."
    if types:
        text += f" Marker of {', '.join(types[:MAX_TYPES])}."
    return text


def _cell_types(knowledge: Knowledge) -> Iterator[Document]:
    ontology = knowledge.ontology
    for identifier in ontology.ids():
        if int(identifier.removeprefix("CL:")) >= TAXON_TERMS:
            continue
        text = f"{ontology.label(identifier)}."
        if synonyms := ontology.synonyms(identifier)[:MAX_SYNONYMS]:
            text += f" Also called {', '.join(synonyms)}."
        if parents := ontology.parents(identifier):
            text += f" A kind of {', '.join(ontology.label(one) for one in parents[:4])}."
        if genes := knowledge.markers.of_type(identifier, "human", MAX_MARKERS):
            text += f" Markers {', '.join(one.removeprefix('mouse:') for one in genes)}."
        yield Document(id=f"cell_type/{identifier}", kind="cell_type", species="both", text=text)


def _drugs(knowledge: Knowledge) -> Iterator[Document]:
    seen = set()
    for row in range(len(knowledge.drugs)):
        match = knowledge.drugs.match(row)
        wanted = match.in_gdsc or match.phase == "Launched"
        if wanted and match.name and match.name not in seen:
            seen.add(match.name)
            text = describe(match)
            yield Document(id=f"drug/{match.name}", kind="drug", species="both", text=text)
