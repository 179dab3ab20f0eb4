"""Plain-language queries with known records, half for development and half for the report."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from cellwright.evals.metrics import mean_over, wilson
from cellwright.evals.task import Score

if TYPE_CHECKING:
    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.documents import Document
    from cellwright.knowledge.search import HybridSearch

FILE = "knowledge_search.tsv"
TOP = 10
Searcher = Callable[[str, str | None], list[str]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A query and the records that answer it.

    Attributes:
        query: Plain words, without the record's own name.
        kind: What is asked for.
        answers: Ids of the documents that answer, such as ``gene/PDCD1``.
    """

    query: str
    kind: str
    answers: frozenset[str]

    @property
    def held_out(self) -> bool:
        """Whether it is for the report; nothing may be tuned on it. The query's hash decides."""
        return int(hashlib.sha256(self.query.encode()).hexdigest(), 16) % 2 == 1


def questions(knowledge: Knowledge) -> list[Question]:
    """Return all questions; answers are named in the table by symbol, label or drug name.

    Raises:
        KeyError: The table names a record that the knowledge has not.
    """
    ontology = knowledge.ontology
    label = {ontology.label(one).casefold(): one for one in ontology.ids()}
    text = resources.files("cellwright.evals.questions").joinpath(FILE).read_text(encoding="utf-8")
    found = []
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        names = row["answers"].split("|")
        if row["kind"] == "cell_type":
            names = [label[name.casefold()] for name in names]
        answers = frozenset(f"{row['kind']}/{name}" for name in names)
        found.append(Question(query=row["query"], kind=row["kind"], answers=answers))
    return found


def judge(asked: Sequence[Question], said: Sequence[Sequence[str]]) -> dict[str, Score]:
    """Recall at 1 and 10 (an accepted record among the first), and mean reciprocal rank."""
    ranks = [
        next((place for place, one in enumerate(ids[:TOP]) if one in question.answers), None)
        for question, ids in zip(asked, said, strict=True)
    ]
    return {
        "recall_at_1": wilson(sum(rank == 0 for rank in ranks), len(ranks)),
        "recall_at_10": wilson(sum(rank is not None for rank in ranks), len(ranks)),
        "mrr": mean_over(np.array([0.0 if rank is None else 1 / (rank + 1) for rank in ranks])),
    }


def ours(search: HybridSearch) -> Searcher:
    """The hybrid search."""
    return lambda query, kind: search.ids(query, kind=kind, top=TOP)


def tf_idf(documents: Sequence[Document]) -> Searcher:
    """Baseline: plain TF-IDF over all that the hybrid search reads too."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(stop_words="english", sublinear_tf=True)
    matrix = vectorizer.fit_transform([one.searched for one in documents])
    ids, kinds = [one.id for one in documents], np.array([one.kind for one in documents])

    def search(query: str, kind: str | None) -> list[str]:
        scores = np.asarray((matrix @ vectorizer.transform([query]).T).todense()).ravel()
        scores = np.where(kinds == kind, scores, -1) if kind else scores
        return [ids[row] for row in np.argsort(-scores, kind="stable")[:TOP]]

    return search


def dense_only(knowledge: Knowledge) -> Searcher:
    """Baseline: the nearest vectors of MiniLM alone."""
    from cellwright.knowledge import vectors

    shipped = vectors.read(knowledge.folder)
    kinds = np.array([one.partition("/")[0] for one in shipped.ids])

    def search(query: str, kind: str | None) -> list[str]:
        scores = shipped.vectors @ shipped.project(knowledge.embed([query]))[0]
        scores = np.where(kinds == kind, scores, -1) if kind else scores
        return [shipped.ids[row] for row in np.argsort(-scores, kind="stable")[:TOP]]

    return search
