"""How much each gene speaks for each cell type, computed from the marker records."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.knowledge.resolver import GeneResolver

if TYPE_CHECKING:
    from scipy import sparse

OTHER_SPECIES = 0.5
"""Weight of a record of the other species."""
RESOURCE = 1.0
"""Weight of a resource that names no publication, beside a publication's 1."""
NEGATIVE = 1.0
CANCER = 0.5
"""Weight of records of cancer tissue, where types carry names of convenience."""

TISSUE_WORDS: Mapping[str, tuple[str, ...]] = {
    "pbmc": ("blood",),
    "islet": ("pancrea", "islet"),
    "cortex": ("brain", "cortex"),
    "telencephalon": ("brain", "telencephalon", "cortex"),
    "hippocampus": ("brain", "hippocamp"),
    "gut": ("intestin", "colon", "stomach", "gastrointestinal"),
    "colon": ("intestin", "colon"),
    "ileum": ("intestin",),
    "intestine": ("intestin", "colon"),
    "retina": ("eye", "retina"),
    "epidermis": ("skin", "epidermis"),
    "airway": ("airway", "lung", "bronch", "trachea", "nose"),
    "mammary": ("breast", "mammary"),
    "marrow": ("bone marrow", "bone"),
}


@dataclass(frozen=True, kw_only=True)
class MarkerWeights:
    """Types by genes.

    Attributes:
        terms: Cell Ontology number by row.
        keys: Vocabulary key by column.
        matrix: (T, G) csc, weight times specificity; negative markers below zero.
        tissues: Number of publications and resources by tissue, by row.
    """

    terms: list[int]
    keys: list[str]
    matrix: "sparse.csc_matrix"
    tissues: list[Mapping[str, int]]

    @cached_property
    def row(self) -> dict[int, int]:
        """Row of each term."""
        return {term: row for row, term in enumerate(self.terms)}

    @cached_property
    def column(self) -> dict[str, int]:
        """Column of each key."""
        return {key: column for column, key in enumerate(self.keys)}

    @cached_property
    def squared(self) -> np.ndarray:
        """Squared norm (T,) of what is known of each type."""
        found: np.ndarray = np.asarray(self.matrix.multiply(self.matrix).sum(1)).ravel()
        return found

    @cached_property
    def _by_row(self) -> "sparse.csr_matrix":
        return self.matrix.tocsr()

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """Return the weights (T, n) of some genes."""
        found: np.ndarray = self.matrix[:, columns].toarray()
        return found

    def seen_in(self, words: tuple[str, ...]) -> np.ndarray:
        """Return which types (T,) have a record in a tissue whose name holds one of the words."""
        return np.array(
            [any(word in tissue for tissue in seen for word in words) for seen in self.tissues]
        )

    def tissues_of(self, row: int, top: int) -> tuple[str, ...]:
        """Return the tissues of a type with most publications."""
        seen = self.tissues[row]
        return tuple(sorted((one for one in seen if one), key=lambda one: (-seen[one], one))[:top])

    def best_genes(self, row: int, top: int) -> tuple[str, ...]:
        """Return the keys that speak most for a type."""
        return tuple(self.keys[one] for one in _largest(self._by_row, row, top))

    def best_types(self, column: int, top: int) -> tuple[int, ...]:
        """Return the terms that a gene speaks most for, given how much is known of each."""
        return tuple(self.terms[one] for one in _largest(self.matrix, column, top))


def _largest(matrix: "sparse.spmatrix", place: int, top: int) -> list[int]:
    """Return where a compressed row or column has its largest positive values."""
    start, end = matrix.indptr[place], matrix.indptr[place + 1]
    values = matrix.data[start:end].tolist()
    places = matrix.indices[start:end].tolist()
    pairs = sorted((-value, one) for value, one in zip(values, places, strict=True) if value > 0)
    return [one for _, one in pairs[:top]]


def tissue_words(tissue: str) -> tuple[str, ...]:
    """Return the words by which records of a tissue are recognised."""
    low = tissue.casefold()
    found = {word for name, words in TISSUE_WORDS.items() if name in low for word in words}
    parts = [part.strip() for part in low.replace("/", ",").replace(" of ", ",").split(",")]
    found |= {part for part in parts if len(part) > 2}
    for part in parts:
        found |= {word for word in part.split() if len(word) > 4}
    return tuple(sorted(found))


def build_weights(
    columns: Mapping[str, list[Any]], species: str, genes: GeneResolver
) -> MarkerWeights:
    """Return the weights as seen from a species.

    A cell of the table is log(1 + publications + resources), its gene's specificity
    being log(types / types that it marks). Publications are counted once however many rows,
    tissues or sources repeat them.

    Args:
        columns: Columns of the ``markers`` table.
        species: Whose records count in full.
        genes: Resolver, for the vocabulary keys.
    """
    from scipy import sparse

    keys = _keys(columns, genes)
    papers: dict[tuple[int, str, bool], dict[object, float]] = defaultdict(dict)
    tissues: dict[int, Counter[str]] = defaultdict(Counter)
    for row, term in enumerate(columns["term"]):
        key = keys[row]
        if term < 0 or key is None:
            continue
        tissues[term][columns["tissue"][row]] += max(1, len(columns["pmids"][row]))
        weight = 1.0 if columns["species"][row] == species else OTHER_SPECIES
        weight *= CANCER if columns["cancer"][row] else 1.0
        cell = papers[(term, key, columns["negative"][row])]
        says = [(one, weight) for one in columns["pmids"][row]]
        says += [(one, weight * RESOURCE) for one in columns["resources"][row].split("|") if one]
        for one, amount in says:
            cell[one] = max(amount, cell.get(one, 0.0))
    terms = sorted({term for term, _, _ in papers})
    names = sorted({key for _, key, _ in papers})
    rows, places = {t: i for i, t in enumerate(terms)}, {k: i for i, k in enumerate(names)}
    at = np.array([(rows[term], places[key]) for term, key, _ in papers])
    sign = np.array([-NEGATIVE if negative else 1.0 for _, _, negative in papers])
    amounts = np.log1p([sum(cell.values()) for cell in papers.values()])
    matrix = sparse.csr_matrix((sign * amounts, (at[:, 0], at[:, 1])), (len(terms), len(names)))
    marked = np.asarray((matrix > 0).sum(0)).ravel()
    specificity = np.log(len(terms) / np.maximum(marked, 1))
    return MarkerWeights(
        terms=terms,
        keys=names,
        matrix=matrix.multiply(specificity).tocsc(),
        tissues=[tissues[term] for term in terms],
    )


def _keys(columns: Mapping[str, list[Any]], genes: GeneResolver) -> list[str | None]:
    seen: dict[tuple[str, str], str | None] = {}
    for one in ("human", "mouse"):
        symbols = sorted(
            {
                s
                for s, where in zip(columns["symbol"], columns["species"], strict=True)
                if where == one
            }
        )
        seen.update(
            {(one, s): key for s, key in zip(symbols, genes.keys(symbols, one), strict=True)}
        )
    return [seen[pair] for pair in zip(columns["species"], columns["symbol"], strict=True)]
