"""Marker records of CellMarker and the Accordion, one row for what several papers say alike."""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellwright.knowledge.ontology import CellOntology
from cellwright.knowledge.records import SPECIES
from cellwright.knowledge.resolver import GeneResolver
from cellwright.knowledge.sources import catalogue
from cellwright.knowledge.sources.cell_ontology import number

CELLMARKER = "CellMarker 2.0"
LEFT_OUT = frozenset({"MSigDB", "CellMarker2.0"})
"""Resources of the Accordion not taken: MSigDB for its terms; CellMarker is read itself."""
SURE = 0.9
"""Ontology score from which a cell name without an id is taken for a term."""

Group = tuple[str, int, str, str, bool, bool, str]


@dataclass(kw_only=True, slots=True)
class _Records:
    """What the rows of one group say."""

    pmids: set[int] = field(default_factory=set)
    resources: set[str] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    uberon: Counter[str] = field(default_factory=Counter)
    rows: int = 0


def compile_markers(
    paths: dict[str, Path], genes: GeneResolver, ontology: CellOntology
) -> dict[str, Any]:
    """Return the columns of ``markers``.

    A row is a species, term (or cell name without one), gene, tissue, sign, normal or cancer, and
    source; it holds the distinct PMIDs and resources that say so, and how many rows they were.
    """
    groups: dict[Group, _Records] = defaultdict(_Records)
    for file, species in zip(
        (catalogue.CELLMARKER_HUMAN.file, catalogue.CELLMARKER_MOUSE.file), SPECIES, strict=True
    ):
        _read_cellmarker(paths[file], species, genes, ontology, groups)
    _read_accordion(paths[catalogue.ACCORDION.file], genes, ontology, groups)
    return _columns(groups)


def _table(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")


def _read_cellmarker(
    path: Path,
    species: str,
    genes: GeneResolver,
    ontology: CellOntology,
    groups: dict[Group, _Records],
) -> None:
    index = genes.index(species)
    terms: dict[str, int] = {}
    symbols: dict[str, str] = {}
    for row in _table(path):
        entrez = row["GeneID"].removesuffix(".0")
        gene = index.by_entrez.get(int(entrez), -1) if entrez.isdigit() else -1
        symbol = (
            index.symbol[gene] if gene >= 0 else _symbol(row["Marker"], species, genes, symbols)
        )
        if not symbol:
            continue
        name = row["Cell name"].strip()
        identifier = row["CellOntologyID"].strip()
        term = _by_id(identifier, ontology) if identifier else _by_name(name, ontology, terms)
        cancer = row["Cell type"] == "Cancer cell" or row["Cancer type"] != "Normal"
        tissue = _tissue(row["Tissue class"])
        group = groups[
            (
                species,
                term,
                name if term < 0 else "",
                symbol,
                False,
                cancer,
                f"{CELLMARKER}\t{tissue}",
            )
        ]
        group.rows += 1
        group.names[name] += 1
        if row["UberonOntologyID"]:
            group.uberon[row["UberonOntologyID"].replace("_", ":")] += 1
        if row["PMID"].isdigit():
            group.pmids.add(int(row["PMID"]))
        else:
            group.resources.add("company")


def _read_accordion(
    path: Path, genes: GeneResolver, ontology: CellOntology, groups: dict[Group, _Records]
) -> None:
    symbols: dict[str, dict[str, str]] = {species: {} for species in SPECIES}
    for row in _table(path):
        species = row["species"].lower()
        if row["resource"] in LEFT_OUT or species not in symbols:
            continue
        symbol = _symbol(row["marker"], species, genes, symbols[species])
        term = _by_id(row["CL_ID"], ontology)
        if not symbol or term < 0:
            continue
        negative = row["marker_type"] == "negative"
        source = f"{catalogue.ACCORDION.source}\t{_tissue(row['Uberon_tissue'])}"
        group = groups[(species, term, "", symbol, negative, False, source)]
        group.rows += 1
        group.names[row["original_celltype"].strip()] += 1
        group.uberon[row["Uberon_ID"]] += 1
        group.resources.add(row["resource"])


def _tissue(text: str) -> str:
    text = " ".join(text.replace("\xa0", " ").lower().split())
    return "" if text == "undefined" else text


def _symbol(name: str, species: str, genes: GeneResolver, seen: dict[str, str]) -> str:
    if name not in seen:
        match = genes.resolve_many([name], species)[0]
        seen[name] = match.symbol or "" if match.status == "ok" else ""
    return seen[name]


def _by_id(identifier: str, ontology: CellOntology) -> int:
    match = ontology.lookup(identifier)
    return number(match.ontology_id) if match.ontology_id else -1


def _by_name(name: str, ontology: CellOntology, seen: dict[str, int]) -> int:
    if name not in seen:
        match = ontology.lookup(name)
        sure = match.ontology_id is not None and match.score >= SURE
        seen[name] = number(match.ontology_id) if sure and match.ontology_id else -1
    return seen[name]


def _columns(groups: dict[Group, _Records]) -> dict[str, Any]:
    import pyarrow as pa

    rows = sorted(groups.items())
    keys = [key for key, _ in rows]
    found = [records for _, records in rows]
    names = [key[2] or _first(one.names) for key, one in rows]
    return {
        "species": pa.array([key[0] for key in keys]).dictionary_encode(),
        "term": pa.array([key[1] for key in keys], pa.int32()),
        "cell_name": pa.array(names).dictionary_encode(),
        "symbol": pa.array([key[3] for key in keys]).dictionary_encode(),
        "negative": pa.array([key[4] for key in keys]),
        "cancer": pa.array([key[5] for key in keys]),
        "source": pa.array([key[6].split("\t")[0] for key in keys]).dictionary_encode(),
        "tissue": pa.array([key[6].split("\t")[1] for key in keys]).dictionary_encode(),
        "uberon": pa.array([_first(one.uberon) for one in found]).dictionary_encode(),
        "pmids": pa.array([sorted(one.pmids) for one in found], pa.list_(pa.int32())),
        "resources": pa.array(
            ["|".join(sorted(one.resources)) for one in found]
        ).dictionary_encode(),
        "rows": pa.array([one.rows for one in found], pa.int32()),
    }


def _first(counts: Counter[str]) -> str:
    return min(counts, key=lambda one: (-counts[one], one), default="")
