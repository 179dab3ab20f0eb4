"""Marker records: which genes mark a cell type, and which cell types a set of genes points at."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cellwright.errors import InputError
from cellwright.knowledge import tables
from cellwright.knowledge.marker_weights import MarkerWeights, build_weights, tissue_words
from cellwright.knowledge.ontology import CellOntology, curie
from cellwright.knowledge.records import Evidence, MarkerMatch
from cellwright.knowledge.resolver import GeneResolver

EVIDENCE_GENES = 6
"""Genes of a match that come with their records."""
RANK_DISCOUNT = 0.05
NORM_FLOOR = 1600.0
"""Added to a type's squared norm, so that a type with few records does not win by them alone."""
NORM_POWER = 0.2
"""Power of the squared norm that a type's score is divided by.

Floor, power and the weight of resources are among the best of a small grid on what
``evals/knowledge_markers.py`` sets apart for it: 23 labelled groups, and half of CellMarker's
publications, each part matched without its own records; the rest had no say.
"""


class MarkerTable:
    """Marker records of CellMarker 2.0 and the Cell Marker Accordion.

    Args:
        genes: Resolver of the query's names.
        ontology: Cell types.
        folder: Folder of the compiled tables.
        without: PMIDs that are left out, as when the cells of those studies are to be judged.
    """

    def __init__(
        self,
        genes: GeneResolver,
        ontology: CellOntology,
        folder: Path = tables.FOLDER,
        without: frozenset[int] = frozenset(),
    ) -> None:
        self._genes = genes
        self._ontology = ontology
        self._folder = folder
        self._without = without

    def match(
        self,
        genes: Sequence[str],
        species: str,
        tissue: str | None = None,
        weights: Sequence[float] | None = None,
        top: int = 10,
    ) -> list[MarkerMatch]:
        """Return the cell types that a set of genes points at, best first.

        A gene counts by how few types it marks, by how many distinct publications and resources
        say so, and by its rank (or ``weights``); what is known of a type is divided by how much
        is known of it. Records of the other species count half, through orthologs.

        Args:
            genes: Gene names, most telling first.
            species: ``human`` or ``mouse``.
            tissue: Only types that have a record there; all types when none fits.
            weights: Weight of each gene instead of its rank.
            top: How many types to return.

        Raises:
            InputError: The species is unknown, or weights and genes differ in number.
        """
        return self.match_many([genes], species, tissue, weights=[weights], top=top)[0]

    def match_many(
        self,
        lists: Sequence[Sequence[str]],
        species: str,
        tissue: str | None = None,
        *,
        weights: Sequence[Sequence[float] | None] | None = None,
        top: int = 10,
    ) -> list[list[MarkerMatch]]:
        """Return ``match`` of every list, in order."""
        table = self.weights(species)
        found = []
        for place, genes in enumerate(lists):
            given = weights[place] if weights else None
            if given is not None and len(given) != len(genes):
                msg = f"{len(given)} weights were given for {len(genes)} genes."
                raise InputError(msg)
            query = self._query(list(genes), given, species, table)
            found.append(self._match(query, species, tissue, top) if query else [])
        return found

    def records(
        self, gene: str, species: str, cell_type: str | None = None, *, negative: bool = True
    ) -> list[Evidence]:
        """Return the marker records of a gene, those with most publications first.

        Args:
            gene: Gene name.
            species: Records of this species.
            cell_type: Only records of this type (ontology id or name) or of a related one.
            negative: Whether to return records that a gene marks a type by its absence.
        """
        match = self._genes.resolve_many([gene], species)[0]
        if match.symbol is None:
            return []
        rows = self._by_gene.get((species, match.symbol), [])
        if not negative:
            rows = [row for row in rows if not self._columns["negative"][row]]
        if cell_type is not None:
            rows = [row for row in rows if self._is_of(row, cell_type)]
        return self._evidence(rows)

    def symbols_of(self, ontology_id: str, species: str, *, broader: bool = True) -> frozenset[str]:
        """Return the symbols with a record that they mark a type, or a kind of it, in a species.

        Records of absence do not count, nor do records of cell names that have no term.

        Args:
            ontology_id: The type.
            species: Records of this species.
            broader: Whether records of the types above it count too, such as those of T cells for
                memory T cells.
        """
        ontology = self._ontology
        fits = ontology.related if broader else ontology.is_a
        found: set[str] = set()
        for term, symbols in self._by_term.get(species, {}).items():
            if fits(curie(term), ontology_id):
                found |= symbols
        return frozenset(found)

    def rows(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield columns of the records, row by row."""
        return zip(*(self._columns[name] for name in names), strict=True)

    def of_type(self, ontology_id: str, species: str, top: int = 10) -> tuple[str, ...]:
        """Return the vocabulary keys that mark a type most, best first."""
        table = self.weights(species)
        term = table.row.get(int(ontology_id.removeprefix("CL:")))
        return table.best_genes(term, top) if term is not None else ()

    def types_of(self, key: str, species: str, top: int = 8) -> tuple[str, ...]:
        """Return labels of the types that a vocabulary key marks most, best first."""
        table = self.weights(species)
        column = table.column.get(key)
        if column is None:
            return ()
        return tuple(self._ontology.label(curie(one)) for one in table.best_types(column, top))

    def said_of(self, species: str, symbol: str) -> int:
        """Return how many publications and resources name a gene a marker of anything."""
        return len(self._said[0].get((species, symbol), ()))

    def said_of_type(self, ontology_id: str) -> int:
        """Return how many publications and resources name markers of a type."""
        return len(self._said[1].get(int(ontology_id.removeprefix("CL:")), ()))

    @cached_property
    def _said(self) -> tuple[dict[tuple[str, str], set[object]], dict[int, set[object]]]:
        genes: dict[tuple[str, str], set[object]] = defaultdict(set)
        types: dict[int, set[object]] = defaultdict(set)
        for species, symbol, term, pmids, resources in self.rows(
            "species", "symbol", "term", "pmids", "resources"
        ):
            who = {*pmids, *resources.split("|")} - {""}
            genes[species, symbol] |= who
            types[term] |= who
        return dict(genes), dict(types)

    def weights(self, species: str) -> MarkerWeights:
        """Return the weight of each gene for each type, as seen from a species.

        Raises:
            InputError: The species is neither human nor mouse.
        """
        self._genes.index(species)
        if species not in self._weights:
            self._weights[species] = build_weights(self._columns, species, self._genes)
        return self._weights[species]

    @cached_property
    def _weights(self) -> dict[str, MarkerWeights]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        found = tables.columns(tables.read("markers", self._folder))
        if not self._without:
            return found
        found["pmids"] = [
            [one for one in row if one not in self._without] for row in found["pmids"]
        ]
        kept = [row for row, said in enumerate(found["pmids"]) if said or found["resources"][row]]
        return {name: [values[row] for row in kept] for name, values in found.items()}

    @cached_property
    def _by_gene(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        columns = self._columns
        for row, key in enumerate(zip(columns["species"], columns["symbol"], strict=True)):
            found[key].append(row)
        return dict(found)

    @cached_property
    def _by_term(self) -> dict[str, dict[int, set[str]]]:
        """Symbols with a positive record, by species and term."""
        found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        columns = self._columns
        for row, (species, term) in enumerate(
            zip(columns["species"], columns["term"], strict=True)
        ):
            if term >= 0 and not columns["negative"][row]:
                found[species][term].add(columns["symbol"][row])
        return {species: dict(terms) for species, terms in found.items()}

    def _is_of(self, row: int, cell_type: str) -> bool:
        wanted = self._wanted(cell_type)
        term = self._columns["term"][row]
        if term < 0:
            return cell_type.casefold() == self._columns["cell_name"][row].casefold()
        return wanted is not None and self._ontology.related(curie(term), wanted)

    def _wanted(self, cell_type: str) -> str | None:
        if cell_type not in self._names:
            self._names[cell_type] = self._ontology.lookup(cell_type).ontology_id
        return self._names[cell_type]

    @cached_property
    def _names(self) -> dict[str, str | None]:
        return {}

    def _query(
        self,
        genes: list[str],
        given: Sequence[float] | None,
        species: str,
        table: MarkerWeights,
    ) -> dict[int, tuple[float, list[str]]]:
        """Amount of each gene of the table, and how the caller wrote it."""
        query: dict[int, tuple[float, list[str]]] = {}
        keys = self._genes.keys(genes, species)
        for rank, (name, key) in enumerate(zip(genes, keys, strict=True)):
            column = table.column.get(key or "")
            if column is None:
                continue
            amount = given[rank] if given is not None else 1 / (1 + RANK_DISCOUNT * rank)
            before, names = query.get(column, (amount, []))
            # Ins1 and Ins2 are one gene of the vocabulary: it counts once, both are named.
            query[column] = (max(amount, before), list(dict.fromkeys([*names, name])))
        return query

    def _match(
        self, query: dict[int, tuple[float, list[str]]], species: str, tissue: str | None, top: int
    ) -> list[MarkerMatch]:
        table = self.weights(species)
        columns = np.fromiter(query, dtype=int)
        parts = table.parts(columns) * np.array([amount for amount, _ in query.values()])
        scores = parts.sum(1) / (table.squared + NORM_FLOOR) ** NORM_POWER
        allowed, where = self._in_tissue(scores, tissue, table)
        scores = np.where(allowed, scores, 0.0)
        order = [row for row in np.argsort(-scores, kind="stable")[: top + 1] if scores[row] > 0]
        written = [names for _, names in query.values()]
        found = []
        for place, row in enumerate(order[:top]):
            following = scores[order[place + 1]] if place + 1 < len(order) else 0.0
            ranked = sorted(zip(parts[row], written, strict=True), key=lambda one: -one[0])
            evidence, own = self._support(ranked, species, table.terms[row])
            scope = f"{species} records first, the other species' at half weight; {where}"
            if not own:
                scope = f"records of the other species only, through orthologs; {where}"
            found.append(
                MarkerMatch(
                    cell_type=self._ontology.label(curie(table.terms[row])),
                    ontology_id=curie(table.terms[row]),
                    score=round(float(scores[row]), 4),
                    genes=tuple(name for part, names in ranked if part > 0 for name in names),
                    evidence=evidence,
                    against=tuple(name for part, names in ranked if part < 0 for name in names),
                    margin=round(float((scores[row] - following) / scores[row]), 4),
                    scope=scope,
                )
            )
        return found

    def _support(
        self, ranked: list[tuple[float, list[str]]], species: str, term: int
    ) -> tuple[tuple[Evidence, ...], bool]:
        """Records behind a match, and whether one of them is of the query's species."""
        evidence: list[Evidence] = []
        own = False
        for part, names in ranked[:EVIDENCE_GENES]:
            if part > 0:
                records, found_here = self._best_record(names[0], species, term)
                evidence += records
                own = own or found_here
        return tuple(evidence), own

    def _in_tissue(
        self, scores: np.ndarray, tissue: str | None, table: MarkerWeights
    ) -> tuple[np.ndarray, str]:
        everywhere = np.ones(len(scores), dtype=bool)
        if not tissue or not tissue.strip():
            return everywhere, "all tissues"
        words = tissue_words(tissue)
        inside = table.seen_in(words)
        if not (inside & (scores > 0)).any():
            return everywhere, f"all tissues, as no record of {tissue} fits"
        return inside, f"types recorded in {tissue}"

    def _best_record(self, name: str, species: str, term: int) -> tuple[list[Evidence], bool]:
        key = self._genes.keys([name], species)[0] or ""
        other = "mouse" if species == "human" else "human"
        for one in (species, other):
            symbol = self._genes.symbol_of_key(key, one)
            rows = [
                row
                for row in self._by_gene.get((one, symbol), [])
                if self._columns["term"][row] == term and not self._columns["negative"][row]
            ]
            if rows:
                return self._evidence(rows)[:1], one == species
        return [], False

    def _evidence(self, rows: list[int]) -> list[Evidence]:
        columns = self._columns
        # One record for what a source says of a gene and a type, over all tissues.
        merged: dict[tuple[str, int, str, str, bool, bool], list[int]] = defaultdict(list)
        for row in rows:
            merged[
                (
                    columns["source"][row],
                    columns["term"][row],
                    columns["cell_name"][row] if columns["term"][row] < 0 else "",
                    columns["species"][row],
                    columns["negative"][row],
                    columns["cancer"][row],
                )
            ].append(row)
        found = [
            self._record(group, term, name, negative=negative, cancer=cancer)
            for (_, term, name, _, negative, cancer), group in merged.items()
        ]
        return sorted(found, key=lambda one: (-len(one.pmids), -(one.score or 0.0), one.record_id))

    def _record(
        self, rows: list[int], term: int, name: str, *, negative: bool, cancer: bool
    ) -> Evidence:
        columns = self._columns
        source, species = columns["source"][rows[0]], columns["species"][rows[0]]
        symbol = columns["symbol"][rows[0]]
        about = tables.sources(self._folder)[source]
        pmids = sorted({one for row in rows for one in columns["pmids"][row]}, reverse=True)
        resources = {one for row in rows for one in columns["resources"][row].split("|")} - {""}
        label = self._ontology.label(curie(term)) if term >= 0 else name
        text = f"{symbol} is a {'negative ' if negative else ''}marker of {label} in {species}"
        text += _where(sorted({columns["tissue"][row] for row in rows} - {""}))
        text += ", in cancer" if cancer else ""
        if pmids:
            text += f": {len(pmids)} publication{'s' if len(pmids) > 1 else ''}"
        elif resources:
            text += f": according to {', '.join(sorted(resources))}"
        return Evidence(
            text=f"{text}.",
            source=source,
            record_id=f"{symbol} / {curie(term) if term >= 0 else name}",
            release=about["release"],
            pmids=tuple(str(one) for one in pmids),
            licence=about["licence"],
            kind="cell_type",
            species=species,
            score=float(len(pmids) + len(resources)),
        )


def _where(tissues: list[str]) -> str:
    if not tissues:
        return ""
    more = f" and {len(tissues) - 4} more tissues" if len(tissues) > 4 else ""
    return f" ({', '.join(tissues[:4])}{more})"
