"""Names that the knowledge tables have: what tells a gene or a drug from any other word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellwright.knowledge.ontology import CellOntology

SHORTEST_FAMILY = 6
"""Letters from which the name of a family of drugs, such as 'nutlin', is taken for a drug."""
SHORTEST_MISSPELT = 7
"""Letters from which a word is taken for a misspelt drug."""
SURE = 0.9
"""Score from which the ontology's reading of a name is taken."""


@cache
def gene_symbols() -> Mapping[str, str]:
    """Symbols of human and mouse genes, and human aliases with a digit, by their lower case."""
    from cellwright.knowledge import tables

    found: dict[str, str] = {}
    for said in tables.read("genes_mouse").column("previous").to_pylist():
        for old in said.split("|") if said else ():
            if re.fullmatch(r"[A-Z][a-z0-9]{2,7}", old):
                found[old.lower()] = old
    for table in ("genes_mouse", "genes_human"):
        for symbol in tables.read(table).column("symbol").to_pylist():
            if symbol:
                found[symbol.lower()] = symbol
    names = tables.read("names_human")
    for column in ("aliases", "previous"):
        for said in names.column(column).to_pylist():
            for alias in said.split("|") if said else ():
                if re.fullmatch(r"[A-Za-z][\w-]*\d[\w-]*", alias):
                    found.setdefault(alias.lower(), alias)
    return found


@cache
def drug_names() -> Mapping[str, str]:
    """Names and synonyms of drugs, by their lower case."""
    from cellwright.knowledge import tables

    table = tables.read("drugs")
    found: dict[str, str] = {}
    for name, synonyms in zip(
        table.column("name").to_pylist(), table.column("synonyms").to_pylist(), strict=True
    ):
        for one in (name, *(synonyms.split("|") if synonyms else ())):
            found.setdefault(one.lower(), name)
    return found


@cache
def drug_named(word: str) -> str | None:
    """The drug that a word names, if need be misspelt: its spelling in the tables.

    One slip, or two in a long name, and the same first letter: 'capmatinib' is no 'apatinib'.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    names = drug_names()
    plain = word.lower()
    if plain in names:
        return word
    if len(plain) >= SHORTEST_FAMILY and any(one.startswith(f"{plain}-") for one in names):
        return word
    if len(plain) < SHORTEST_MISSPELT or not plain.isalpha():
        return None
    alike = [one for one in _long_drugs() if one[0] == plain[0]]
    near = process.extractOne(plain, alike, scorer=OSA.distance, score_cutoff=1 + len(plain) // 10)
    return near[0] if near else None


@cache
def _long_drugs() -> tuple[str, ...]:
    return tuple(one for one in drug_names() if len(one) >= SHORTEST_MISSPELT and one.isalpha())


@cache
def cell_type_names() -> frozenset[str]:
    """Names and synonyms of the Cell Ontology, and usual short forms, in lower case."""
    ontology = _ontology()
    named = [
        one
        for number in ontology.ids()
        for one in (ontology.label(number), *ontology.synonyms(number))
    ]
    return frozenset(one.lower() for one in (*named, *_short_forms()))


@cache
def type_id(name: str) -> str | None:
    """The number of the Cell Ontology's term that a name surely stands for."""
    found = _ontology().lookup(name)
    return found.ontology_id if found.status == "ok" and found.score >= SURE else None


@cache
def labels_meant(name: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """Labels that a name of a cell type stands for: those of its term, else kinds of it."""
    wanted = type_id(name)
    if wanted is None:
        return ()
    known = {one: found for one in values if (found := type_id(one))}
    same = tuple(one for one, found in known.items() if found == wanted)
    return same or tuple(one for one, found in known.items() if _ontology().is_a(found, wanted))


@cache
def _ontology() -> CellOntology:
    from cellwright.knowledge.ontology import CellOntology

    return CellOntology()


@cache
def eastern_types() -> Mapping[str, str]:
    """Korean and Chinese names of cell types, with the ontology's names."""
    ontology = _ontology()
    return {
        form: ontology.label(identifier)
        for form, identifier in _short_forms().items()
        if re.search("[가-힣一-鿿]", form) and len(form) > 1
    }


@cache
def _short_forms() -> Mapping[str, str]:
    import csv

    from cellwright.knowledge import tables

    with (tables.FOLDER / "forms.tsv").open(encoding="utf-8", newline="") as handle:
        return {row["form"]: row["ontology_id"] for row in csv.DictReader(handle, delimiter="\t")}
