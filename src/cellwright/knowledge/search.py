"""Hybrid search: exact names, words and meaning, fused by rank."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.artifacts import sha256_file
from cellwright.errors import InputError, WeightsError
from cellwright.knowledge import documents, tables, vectors
from cellwright.knowledge.documents import Document
from cellwright.knowledge.records import Evidence, Kind
from cellwright.knowledge.store import VectorStore

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge

logger = logging.getLogger(__name__)

DEPTH = 50
"""Candidates that each way of searching puts forward."""
RANK_CONSTANT = 20
"""Of reciprocal rank fusion: the larger, the less the first places count."""
WEIGHTS = {"exact": 3.0, "token": 1.0, "lexical": 1.0, "dense": 1.0}
STORED = ("genes_human", "genes_mouse", "cell_ontology", "markers", "drugs", vectors.NAME)
_TOKEN = re.compile(r"[A-Za-z][A-Za-z0-9.-]+")
_SYMBOL = re.compile(r"^(?=.*[A-Z0-9])[A-Za-z][A-Za-z0-9-]{2,}$")
_ENDING = re.compile(r"\b([a-z]{6})[a-z]+\b|(?<=[a-z]{3})(?<![sui])s\b")
_WORD = r"(?u)\b\w[\w+-]*\b"


class HybridSearch:
    """Search over gene, cell-type and drug documents.

    Args:
        knowledge: Whose facts are searched.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def search(
        self, query: str, *, kind: Kind | None = None, species: str | None = None, top: int = 10
    ) -> list[Evidence]:
        """Return the best records for a query, best first.

        Raises:
            InputError: The query is empty, or the species is neither human nor mouse.
        """
        if not query.strip():
            msg = "The search text is empty."
            raise InputError(msg)
        if species:
            self._knowledge.genes.index(species)
        scores: dict[str, float] = defaultdict(float)
        for way, found in self._ways(query, kind, species).items():
            for rank, identifier in enumerate(found):
                scores[identifier] += WEIGHTS[way] / (RANK_CONSTANT + rank)
        best = sorted(scores, key=lambda one: (-scores[one], one))[:top]
        return [self._evidence(one, species, round(scores[one], 4)) for one in best]

    def _ways(self, query: str, kind: str | None, species: str | None) -> dict[str, list[str]]:
        found = {
            "exact": self._exact(query, species),
            "token": self._tokens(query, species),
            "lexical": self._lexical(query, kind, species),
            "dense": self._dense(query, kind, species),
        }
        return {
            way: [one for one in ids if self._fits(one, kind, species)]
            for way, ids in found.items()
        }

    def _fits(self, identifier: str, kind: str | None, species: str | None) -> bool:
        row = self._row.get(identifier)
        if row is None:
            return False
        document = self._documents[row]
        return (kind is None or document.kind == kind) and (
            species is None or document.species in {species, "both"}
        )

    def _exact(self, query: str, species: str | None) -> list[str]:
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
        words = _TOKEN.findall(query)
        if len(words) < 2:
            return []
        found = []
        for word in words:
            if _SYMBOL.match(word) and not word.islower():
                for one in (species,) if species else ("human", "mouse"):
                    index = self._knowledge.genes.index(one)
                    if word in index.by_symbol:
                        found += [f"gene/{key}" for key in self._knowledge.genes.keys([word], one)]
            if len(word) > 4 and (name := self._knowledge.drugs.exact(word)):
                found.append(f"drug/{name}")
        return list(dict.fromkeys(found))

    def _lexical(self, query: str, kind: str | None, species: str | None) -> list[str]:
        vectorizer, matrix = self._words
        scores = np.asarray((matrix @ vectorizer.transform([query]).T).todense()).ravel()
        scores = np.where(self._mask(kind, species), scores, 0.0)
        order = np.argsort(-scores, kind="stable")[:DEPTH]
        return [self._documents[one].id for one in order if scores[one] > 0]

    def _dense(self, query: str, kind: str | None, species: str | None) -> list[str]:
        try:
            full = self._knowledge.embed([query])
        except WeightsError as error:
            logger.warning("Search goes by names and words only: %s", error)
            return []
        vector = self._vectors.project(full)[0]
        found = self._store.query(vector, kind=kind, species=species, top=DEPTH)
        return [identifier for identifier, _ in found]

    def _mask(self, kind: str | None, species: str | None) -> np.ndarray:
        mask = np.ones(len(self._documents), dtype=bool)
        if kind:
            mask &= self._kinds == kind
        if species:
            mask &= np.isin(self._species, [species, "both"])
        return mask

    @cached_property
    def _documents(self) -> list[Document]:
        return documents.compose(self._knowledge)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {one.id: row for row, one in enumerate(self._documents)}

    @cached_property
    def _kinds(self) -> np.ndarray:
        return np.array([one.kind for one in self._documents])

    @cached_property
    def _species(self) -> np.ndarray:
        return np.array([one.species for one in self._documents])

    @cached_property
    def _words(self) -> tuple[Any, Any]:
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

        vectorizer = TfidfVectorizer(
            preprocessor=_stems,
            token_pattern=_WORD,
            sublinear_tf=True,
            stop_words=sorted({_stems(word) for word in ENGLISH_STOP_WORDS}),
            dtype=np.float32,
        )
        return vectorizer, vectorizer.fit_transform([one.text for one in self._documents])

    @cached_property
    def _vectors(self) -> vectors.DocumentVectors:
        return vectors.read(self._knowledge.folder)

    @cached_property
    def _store(self) -> VectorStore:
        digest = hashlib.sha256()
        for name in STORED:
            digest.update(sha256_file(self._knowledge.folder / f"{name}.parquet").encode())
        store = VectorStore(self._knowledge.settings.knowledge_dir, digest.hexdigest())
        if not store.ready():
            shipped = self._vectors
            kept = [row for row, one in enumerate(shipped.ids) if one in self._row]
            store.build(
                [self._documents[self._row[shipped.ids[row]]] for row in kept],
                shipped.vectors[kept],
            )
        return store

    def _evidence(self, identifier: str, species: str | None, score: float) -> Evidence:
        document = self._documents[self._row[identifier]]
        about = tables.sources(self._knowledge.folder)
        if document.kind == "drug":
            drugs = self._knowledge.drugs
            return drugs.evidence(drugs.lookup(document.record), score)
        source = "NCBI Gene" if document.kind == "gene" else "Cell Ontology"
        return Evidence(
            text=document.text,
            source=source,
            record_id=self._record_id(document, species),
            release=about[source]["release"],
            licence=about[source]["licence"],
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


def _stems(text: str) -> str:
    """Cut words to six letters, so that secrete and secreting, pancreas and pancreatic agree."""
    return _ENDING.sub(lambda found: found.group(1) or "", text.lower())
