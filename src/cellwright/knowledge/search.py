"""Hybrid search: exact names, words and meaning, weighed with how much is known of a record."""

from __future__ import annotations

import hashlib
import logging
import re
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cellwright.artifacts import sha256_file
from cellwright.errors import InputError, WeightsError
from cellwright.knowledge import documents, functions, tables, vectors
from cellwright.knowledge.asked import asked_kind
from cellwright.knowledge.documents import Document
from cellwright.knowledge.records import Evidence, Kind
from cellwright.knowledge.sources import prose
from cellwright.knowledge.store import VectorStore
from cellwright.knowledge.words import WordIndex

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge

logger = logging.getLogger(__name__)

COMPOSITION = b"3"
"""Version of how documents are composed and indexed; another one means another store."""
DEPTH = 500
"""Nearest documents that meaning puts forward."""
EXACT, TOKEN = 3.0, 0.5
"""Weight of a name that is the whole query, and of one within it."""
MOST_WORDS = 6
"""Words of the longest query that may be a name."""
LEXICAL, DENSE, KNOWN, TARGETED, ASKED = 0.6, 1.0, 0.7, 0.35, 0.27
"""Weights of common words (BM25), of meaning (cosine), of how much is known of a record, of being
hit by a drug that the query names, and of being of the kind that its words ask for.

Fitted to the development half of ``evals/questions/knowledge_search.tsv`` by a softmax over
candidates, and rounded.
"""
STORED = (
    *("genes_human", "genes_mouse", "names_human", functions.GENES, functions.TERMS),
    *("cell_ontology", "markers", "drugs", vectors.NAME, vectors.AXES),
)
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9.-]+")
_SYMBOL = re.compile(r"^(?=.*[A-Z0-9])[A-Za-z][A-Za-z0-9-]{2,}$")


class HybridSearch:
    """Search over gene, cell-type and drug documents.

    Args:
        knowledge: Whose facts are searched.
        with_prose: Whether the sources' prose is searched and shown too, where this user has
            indexed it by ``cellwright knowledge build``.
    """

    def __init__(self, knowledge: Knowledge, *, with_prose: bool = True) -> None:
        self._knowledge = knowledge
        self._prose = knowledge.settings.knowledge_dir if with_prose else None

    def search(
        self, query: str, *, kind: Kind | None = None, species: str | None = None, top: int = 10
    ) -> list[Evidence]:
        """Return the best records for a query, best first.

        Raises:
            InputError: The query is empty, or the species is neither human nor mouse.
        """
        return [
            self._evidence(self._documents[row], species, round(score, 4))
            for row, score in self._ranked(query, kind, species, top)
        ]

    def ids(
        self, query: str, *, kind: str | None = None, species: str | None = None, top: int = 10
    ) -> list[str]:
        """Return the ids of the best documents, such as ``gene/GCG``; see ``search``."""
        return [self._documents[row].id for row, _ in self._ranked(query, kind, species, top)]

    def _ranked(
        self, query: str, kind: str | None, species: str | None, top: int
    ) -> list[tuple[int, float]]:
        """Rows of the best documents with their scores."""
        if not query.strip():
            msg = "The search text is empty."
            raise InputError(msg)
        if species:
            self._knowledge.genes.index(species)
        lexical = self._words.scores(query)
        dense = self._dense(query, kind, species)
        scores = LEXICAL * lexical + KNOWN * self._known
        scores += DENSE * (dense if dense is not None else 0.0)
        if kind is None and (asked := asked_kind(query)):
            scores += ASKED * (self._kinds == asked)
        # What neither words nor meaning put forward is not found by being well known.
        found = lexical > 0
        if dense is not None:
            found |= dense > dense.min()
        for names, weight in (
            (self._exact(query, species), EXACT),
            (named := self._tokens(query, species), TOKEN),
        ):
            for place, name in enumerate(names):
                row = self._row.get(name)
                if row is not None:
                    scores[row] += weight / (1 + 0.1 * place)
                    found[row] = True
        targets = self._targets(named)
        scores[targets] += TARGETED
        found[targets] = True
        scores = np.where(found & self._mask(kind, species), scores, -np.inf)
        best = np.argsort(-scores, kind="stable")[:top]
        return [(int(row), float(scores[row])) for row in best if np.isfinite(scores[row])]

    def _exact(self, query: str, species: str | None) -> list[str]:
        if len(query.split()) > MOST_WORDS:
            return []
        knowledge = self._knowledge
        found = []
        for one in (species,) if species else ("human", "mouse"):
            match = knowledge.genes.resolve_many([query], one)[0]
            if match.key:
                found.append(f"gene/{match.key}")
            elif match.status == "ambiguous":
                keys = knowledge.genes.keys(match.candidates, one)
                found += [f"gene/{key}" for key in keys if key]
        cell_type = knowledge.ontology.lookup(query)
        if cell_type.ontology_id and cell_type.score >= 0.9:
            found.append(f"cell_type/{cell_type.ontology_id}")
        if drug := knowledge.drugs.exact(query):
            found.append(f"drug/{drug}")
        return list(dict.fromkeys(found))

    def _tokens(self, query: str, species: str | None) -> list[str]:
        """Names inside a sentence: gene symbols as written, and drugs."""
        tokens = _TOKEN.findall(query)
        if len(tokens) < 2:
            return []
        found = []
        for word in tokens:
            if _SYMBOL.match(word) and not word.islower():
                for one in (species,) if species else ("human", "mouse"):
                    index = self._knowledge.genes.index(one)
                    if word in index.by_symbol:
                        found += [f"gene/{key}" for key in self._knowledge.genes.keys([word], one)]
            if len(word) > 4 and (name := self._knowledge.drugs.exact(word)):
                found.append(f"drug/{name}")
        return list(dict.fromkeys(found))

    def _targets(self, named: list[str]) -> list[int]:
        """Rows of the genes that the drugs among some documents hit."""
        knowledge = self._knowledge
        hit = [
            target
            for one in named
            if one.startswith("drug/")
            for target in knowledge.drugs.lookup(one.removeprefix("drug/")).targets
        ]
        keys = dict.fromkeys(knowledge.genes.keys(hit, "human"))
        return [self._row[f"gene/{key}"] for key in keys if f"gene/{key}" in self._row]

    def _dense(self, query: str, kind: str | None, species: str | None) -> np.ndarray | None:
        """Cosine of meaning with every document (N,), that of the last one found for the rest."""
        try:
            full = self._knowledge.embed([query])
        except WeightsError as error:
            logger.warning("Search goes by names and words only: %s", error)
            return None
        vector = self._vectors.project(full)[0]
        near = self._store.query(vector, kind=kind, species=species, top=DEPTH)
        floor = min((cosine for _, cosine in near), default=0.0)
        found = np.full(len(self._documents), floor)
        for identifier, cosine in near:
            found[self._row[identifier]] = cosine
        return found

    def _mask(self, kind: str | None, species: str | None) -> np.ndarray:
        mask = np.ones(len(self._documents), dtype=bool)
        if kind:
            mask &= self._kinds == kind
        if species:
            mask &= np.isin(self._species, [species, "both"])
        return mask

    @cached_property
    def _documents(self) -> list[Document]:
        return self._store.documents()

    @cached_property
    def _row(self) -> dict[str, int]:
        return {one.id: row for row, one in enumerate(self._documents)}

    @cached_property
    def _known(self) -> np.ndarray:
        return np.array([one.known for one in self._documents])

    @cached_property
    def _kinds(self) -> np.ndarray:
        return np.array([one.kind for one in self._documents])

    @cached_property
    def _species(self) -> np.ndarray:
        return np.array([one.species for one in self._documents])

    @cached_property
    def _words(self) -> WordIndex:
        return self._store.words()

    @cached_property
    def _vectors(self) -> vectors.DocumentVectors:
        return vectors.read(self._knowledge.folder)

    @cached_property
    def _store(self) -> VectorStore:
        """The store of these tables and this prose, built on first use."""
        folder = self._knowledge.folder
        paths = [folder / f"{name}.parquet" for name in STORED]
        if self._prose:
            paths.append(self._prose / f"{prose.NAME}.parquet")
        digest = hashlib.sha256(COMPOSITION)
        for path in paths:
            digest.update(sha256_file(path).encode() if path.is_file() else b"none")
        store = VectorStore(self._knowledge.settings.knowledge_dir, digest.hexdigest())
        if not store.ready():
            store.build(*self._described())
        return store

    def _described(self) -> tuple[list[Document], np.ndarray]:
        """Every document with all that is known of it, and the vectors (N, D) of those."""
        shipped = self._vectors
        place = {one: row for row, one in enumerate(shipped.ids)}
        said = prose.read(self._prose) if self._prose else {}
        found = [one for one in documents.compose(self._knowledge, said) if one.id in place]
        return found, shipped.vectors[[place[one.id] for one in found]]

    def _evidence(self, document: Document, species: str | None, score: float) -> Evidence:
        about = tables.sources(self._knowledge.folder)
        if document.kind == "drug":
            drugs = self._knowledge.drugs
            return drugs.evidence(drugs.lookup(document.record), score)
        names = [one for one in _sources(document) if one in about]
        text = document.text
        if species == "mouse" and document.kind == "gene" and document.species == "both":
            text += f" As known of the human ortholog {document.record}."
        return Evidence(
            text=text,
            source=", ".join(names),
            record_id=self._record_id(document, species),
            release="; ".join(about[one]["release"] for one in names),
            licence="; ".join(dict.fromkeys(about[one]["licence"] for one in names)),
            kind=document.kind,
            species="" if document.species == "both" else document.species,
            score=score,
        )

    def _record_id(self, document: Document, species: str | None) -> str:
        if document.kind != "gene":
            return document.record
        one = species or ("mouse" if document.species == "mouse" else "human")
        symbol = self._knowledge.genes.symbol_of_key(document.record, one)
        gene = self._knowledge.genes.resolve_many([symbol], one)[0]
        return f"{symbol} (NCBI Gene {gene.gene_id})" if gene.gene_id else symbol


def _sources(document: Document) -> list[str]:
    """Names of the sources that a gene's or a cell type's text rests on."""
    names = ["NCBI Gene"] if document.kind == "gene" else ["Cell Ontology"]
    if document.kind == "gene" and document.prose:
        names.append("RefSeq")
    if any(f"{word} " in document.facts for word in documents.MARKED):
        names += ["CellMarker 2.0", "Cell Marker Accordion"]
    return names
