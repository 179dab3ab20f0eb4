"""Short texts on genes, cell types and drugs, composed from the tables' facts for retrieval."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cellwright.knowledge.drugs import describe
from cellwright.knowledge.ontology import TAXON_TERMS
from cellwright.knowledge.records import Kind
from cellwright.knowledge.sources.prose import OF_ORTHOLOG

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.marker_weights import MarkerWeights
    from cellwright.knowledge.records import DrugMatch

MAX_ALIASES = 8
MAX_TYPES = 6
MAX_MARKERS = 10
MAX_SYNONYMS = 6
MAX_DRUGS = 6
MAX_TARGETS = 4
MAX_TISSUES = 4
MAX_DESCRIBED, MAX_TITLE = 320, 260
"""Characters that are embedded, with prose and without: more would take minutes more."""

ALSO = " Also called "
MARKED = ("Marker of", "Markers", "Found in")
"""How facts begin that rest on marker records."""

_PREAMBLE = re.compile(
    r"^(?:the (?:protein|product) encoded by this gene|this gene(?: product)?|the encoded protein)"
    r" (?:is|encodes|belongs to|functions as) ",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A text to find a record by.

    Attributes:
        id: Kind and record, such as ``gene/GCG``, ``cell_type/CL:0000169`` or ``drug/Dabrafenib``.
        kind: What it is about.
        species: ``human``, ``mouse`` or ``both``.
        head: What the record is called.
        facts: What the tables say of it.
        links: What the record's neighbours say, such as the names of a cell type's marker genes,
            the drugs that hit a gene, or what a gene does; searched, not shown.
        prose: What the source's own prose says, where its file was indexed.
        known: How much is known of the record among its kind, 0 to 1.
    """

    id: str
    kind: Kind
    species: str
    head: str
    facts: str = ""
    links: str = ""
    prose: str = ""
    known: float = 0.0

    @property
    def text(self) -> str:
        """Head, facts and prose: what is shown and cited."""
        return " ".join(part for part in (self.head, self.facts, self.prose) if part)

    @property
    def searched(self) -> str:
        """All text whose words a query may hit."""
        return f"{self.text} {self.links}"

    @property
    def described(self) -> str:
        """The text whose vector stands for the record: its name with the prose, else its head."""
        if not self.prose:
            return self.head[:MAX_TITLE]
        name = self.head.partition(ALSO)[0]
        prose = self.prose.removeprefix(OF_ORTHOLOG)
        return f"{name} {_PREAMBLE.sub('', prose)}"[:MAX_DESCRIBED]

    @property
    def record(self) -> str:
        """The record's own id."""
        return self.id.partition("/")[2]


def compose(knowledge: Knowledge, prose: Mapping[str, str] | None = None) -> list[Document]:
    """Return every document in a fixed order.

    Args:
        knowledge: Whose facts they are made of.
        prose: What the sources' own prose says, by document id.
    """
    drugs = _searched_drugs(knowledge)
    genes = list(_genes(knowledge, drugs))
    written = _shares([_publications(knowledge, one) for one in genes])
    found = [
        *(
            replace(one, known=(one.known + share) / 2)
            for one, share in zip(_by_share(genes), written, strict=True)
        ),
        *_by_share(list(_cell_types(knowledge))),
        *_by_share(list(_drugs(knowledge, drugs))),
    ]
    said = prose or {}
    return [replace(one, prose=said[one.id]) if one.id in said else one for one in found]


def _shares(counts: Sequence[float]) -> list[float]:
    """Counts on a log scale, 1 for the largest."""
    most = math.log1p(max(counts, default=0)) or 1.0
    return [round(math.log1p(one) / most, 4) for one in counts]


def _by_share(found: list[Document]) -> list[Document]:
    shares = _shares([one.known for one in found])
    return [replace(one, known=share) for one, share in zip(found, shares, strict=True)]


def _publications(knowledge: Knowledge, document: Document) -> int:
    """Publications on a human gene, or on the human gene that stands for a mouse gene."""
    human = knowledge.genes.human
    row = human.by_symbol.get(document.record, -1)
    return knowledge.functions.publications(human.entrez[row]) if row >= 0 else 0


def gene_text(symbol: str, name: str, summary: str = "") -> str:
    """Return the text whose vector stands for a gene in the cell model.

    Args:
        symbol: Gene symbol.
        name: Full name.
        summary: RefSeq's summary where its file is at hand; it is never stored.
    """
    return ". ".join(part for part in (f"{symbol}: {name}" if name else symbol, summary) if part)


def _genes(knowledge: Knowledge, drugs: list[DrugMatch]) -> Iterator[Document]:
    human, mouse = knowledge.genes.human, knowledge.genes.mouse
    markers = knowledge.markers
    weights = {species: markers.weights(species) for species in ("human", "mouse")}
    hits = _drugs_by_target(knowledge, drugs)
    for symbol, row in sorted(human.by_symbol.items()):
        described = human.gene_type[row] == "protein-coding" and human.ensembl[row]
        if not described and symbol not in weights["human"].column:
            continue
        partner = human.partner[row]
        yield Document(
            id=f"gene/{symbol}",
            kind="gene",
            species="both" if partner >= 0 else "human",
            head=_titled(symbol, human.name[row]),
            facts=_known(markers.types_of(symbol, "human"), human.aliases(row)),
            links=f"{_targeted(hits.get(row, []))} {_does(knowledge, human.entrez[row])}".strip(),
            known=markers.said_of("human", symbol) + 3 * min(len(hits.get(row, [])), 12),
        )
    for key in weights["mouse"].keys:
        row = mouse.by_symbol.get(key.removeprefix("mouse:"), -1)
        if not key.startswith("mouse:") or row < 0:
            continue
        yield Document(
            id=f"gene/{key}",
            kind="gene",
            species="mouse",
            head=_titled(mouse.symbol[row], mouse.name[row]),
            facts=_known(markers.types_of(key, "mouse"), mouse.aliases(row)),
            known=markers.said_of("mouse", mouse.symbol[row]),
        )


def _titled(symbol: str, name: str) -> str:
    return f"{symbol}: {name}." if name else f"{symbol}."


def _known(types: tuple[str, ...], aliases: tuple[str, ...]) -> str:
    parts = []
    if types:
        parts.append(f"Marker of {', '.join(types[:MAX_TYPES])}.")
    if aliases:
        parts.append(f"Also called {', '.join(aliases[:MAX_ALIASES])}.")
    return " ".join(parts)


def _does(knowledge: Knowledge, entrez: int) -> str:
    return "; ".join(knowledge.functions.of(entrez))


def _targeted(drugs: list[DrugMatch]) -> str:
    """What acts on a gene: the drugs that hit few targets first, and their mechanisms."""
    best = sorted(drugs, key=lambda one: (len(one.targets), one.phase != "Launched", one.name))
    if not best:
        return ""
    names = [str(one.name) for one in best[: 2 * MAX_DRUGS]]
    ways = dict.fromkeys(one.mechanism for one in best if one.mechanism)
    ills = dict.fromkeys(ill for one in best[:MAX_DRUGS] for ill in one.indications)
    text = f"Target of {', '.join(names)}."
    text += f" {'; '.join(list(ways)[:MAX_DRUGS])}." if ways else ""
    return text + (f" In {', '.join(list(ills)[:MAX_DRUGS])}." if ills else "")


def _drugs_by_target(knowledge: Knowledge, drugs: list[DrugMatch]) -> dict[int, list[DrugMatch]]:
    """Drugs by row of the human gene that they target."""
    names = sorted({one for drug in drugs for one in drug.targets})
    symbols = knowledge.genes.human.by_symbol
    row = {
        one: symbols[key]
        for one, key in zip(names, knowledge.genes.keys(names, "human"), strict=True)
        if key in symbols
    }
    hits: dict[int, list[DrugMatch]] = defaultdict(list)
    for drug in drugs:
        for target in dict.fromkeys(row[one] for one in drug.targets if one in row):
            hits[target].append(drug)
    return hits


def _cell_types(knowledge: Knowledge) -> Iterator[Document]:
    ontology, markers = knowledge.ontology, knowledge.markers
    human = knowledge.genes.human
    weights = markers.weights("human")
    for identifier in ontology.ids():
        number = int(identifier.removeprefix("CL:"))
        if number >= TAXON_TERMS:
            continue
        head = f"{ontology.label(identifier)}."
        if synonyms := ontology.synonyms(identifier)[:MAX_SYNONYMS]:
            head += f"{ALSO}{', '.join(synonyms)}."
        facts, links = [], ""
        if parents := ontology.parents(identifier):
            facts.append(f"A kind of {', '.join(ontology.label(one) for one in parents[:4])}.")
        if tissues := _tissues(weights, number):
            facts.append(f"Found in {', '.join(tissues)}.")
        if genes := markers.of_type(identifier, "human", MAX_MARKERS):
            facts.append(f"Markers {', '.join(one.removeprefix('mouse:') for one in genes)}.")
            rows = (human.by_symbol.get(one, -1) for one in genes)
            links = "; ".join(human.name[row] for row in rows if row >= 0 and human.name[row])
        yield Document(
            id=f"cell_type/{identifier}",
            kind="cell_type",
            species="both",
            head=head,
            facts=" ".join(facts),
            links=links,
            known=markers.said_of_type(identifier),
        )


def _tissues(weights: MarkerWeights, number: int) -> tuple[str, ...]:
    row = weights.row.get(number)
    return () if row is None else weights.tissues_of(row, MAX_TISSUES)


def _searched_drugs(knowledge: Knowledge) -> list[DrugMatch]:
    """Drugs that GDSC screened or that are on the market, one of each name."""
    found: dict[str, DrugMatch] = {}
    for row in range(len(knowledge.drugs)):
        match = knowledge.drugs.match(row)
        if match.name and (match.in_gdsc or match.phase == "Launched"):
            found.setdefault(match.name, match)
    return list(found.values())


def _drugs(knowledge: Knowledge, drugs: list[DrugMatch]) -> Iterator[Document]:
    human = knowledge.genes.human
    for match in drugs:
        rows = (human.by_symbol.get(one, -1) for one in match.targets[:MAX_TARGETS])
        yield Document(
            id=f"drug/{match.name}",
            kind="drug",
            species="both",
            head=describe(match),
            known=len(match.targets)
            + 2 * len(match.indications)
            + len(match.synonyms)
            + 3 * (match.phase == "Launched")
            + 3 * (len(match.sources) > 1),
            links="; ".join(human.name[row] for row in rows if row >= 0 and human.name[row]),
        )
