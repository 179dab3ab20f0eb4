"""Label sets that back off up the Cell Ontology: several candidates, one term that holds them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from cellwright.tools.agreement import UNKNOWN

if TYPE_CHECKING:
    from cellwright.knowledge.ontology import CellOntology

LEAST_BITS = 1.5
"""Information content below which a term says too little: it holds over a third of the ontology.

``cell`` has 0 bits and ``eukaryotic cell`` 0.1; ``neural cell`` (1.8), ``hematopoietic cell`` (2.1)
and ``epithelial cell`` (2.2) are the broadest terms that pass.
"""

PROPERTIES = frozenset(
    {
        "CL:0000080",  # circulating cell
        "CL:0000151",  # secretory cell
        "CL:0000183",  # contractile cell
        "CL:0000211",  # electrically active cell
        "CL:0000219",  # motile cell
        "CL:0000225",  # anucleate cell
        "CL:0000226",  # single nucleate cell
        "CL:0000228",  # multinucleate cell
        "CL:0000234",  # phagocyte
        "CL:0000393",  # electrically responsive cell
        "CL:0000404",  # electrically signaling cell
        "CL:0000412",  # polyploid cell
        "CL:0000413",  # haploid cell
        "CL:0000518",  # phagocyte (sensu Vertebrata)
        "CL:0000630",  # supporting cell
        "CL:0001034",  # cell in vitro
        "CL:0001061",  # abnormal cell
        "CL:0002242",  # nucleate cell
        "CL:0002321",  # embryonic cell
        "CL:0011115",  # precursor cell
    }
)
"""Terms that say what a cell does or looks like, not what it is: no answer unless a label."""

DOING = (" secreting cell", " accumulating cell")
"""Ends of the names of more such terms."""

ATLAS_TERMS = 4_300_000
"""Terms from here on name clusters of single brain atlases; they would make ``neuron`` look like
the broadest of types."""

Kind = Literal["one", "common", "none", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Category:
    """What a label set says as one term.

    Attributes:
        kind: ``one`` for a set of one label, ``common`` where a term holds several, ``none`` where
            no informative term does, ``unknown`` for an empty set.
        ontology_id: Its Cell Ontology id; empty where there is none.
        name: Its name; ``unknown`` where no term holds the set.
        labels: The labels that stand.
    """

    kind: Kind
    ontology_id: str
    name: str
    labels: tuple[str, ...]


def back_off(labels: Sequence[str], ids: Mapping[str, str], ontology: CellOntology) -> Category:
    """The nearest informative term that holds every label of a set.

    One label stands for itself. Of the terms above or equal to all labels the one with the highest
    information content is taken (the most informative common ancestor; Resnik, IJCAI 1995), so
    that a set of a broad type and a kind of it gives the broad type. A label without a term cannot
    be put under one, so a set with such a label among others has no common term.

    Args:
        labels: The set; ``unknown`` among others says nothing and is left out.
        ids: Cell Ontology id of each label that a cell could have been given, empty or absent where
            there is none.
        ontology: The ontology.
    """
    held = tuple(dict.fromkeys(one for one in labels if one and one != UNKNOWN))
    if not held:
        return Category(kind="unknown", ontology_id="", name=UNKNOWN, labels=())
    if len(held) == 1:
        return Category(kind="one", ontology_id=ids.get(held[0], ""), name=held[0], labels=held)
    terms = [ids.get(one, "") for one in held]
    found = nearest_term(terms, ontology) if all(terms) else ""
    if not found:
        return Category(kind="none", ontology_id="", name=UNKNOWN, labels=held)
    return Category(kind="common", ontology_id=found, name=_name(found, ids, ontology), labels=held)


def _name(term: str, ids: Mapping[str, str], ontology: CellOntology) -> str:
    """The candidate's name for a term, so that one type has one name; else the ontology's.

    A candidate may be narrower than its term; it lends its name only where no other has the term
    and the ontology reads the name as that term.
    """
    own = [name for name, one in ids.items() if one == term]
    if len(own) == 1 and ontology.lookup(own[0]).ontology_id == term:
        return own[0]
    return ontology.label(term)


def back_off_all(
    sets: Iterable[Sequence[str]], ids: Mapping[str, str], ontology: CellOntology
) -> list[Category]:
    """``back_off`` for many cells: each distinct set is worked out once."""
    known: dict[tuple[str, ...], Category] = {}
    found = []
    for labels in sets:
        key = tuple(labels)
        category = known.get(key)
        if category is None:
            category = known[key] = back_off(key, ids, ontology)
        found.append(category)
    return found


def nearest_term(terms: Iterable[str], ontology: CellOntology) -> str:
    """Id of the most informative term above or equal to all; empty where none says enough."""
    current = {ontology.lookup(term).ontology_id for term in terms}
    if None in current or not current:
        return ""
    bits = information(ontology)
    above = [ontology.ancestors(term) | {term} for term in current if term]
    shared = [
        one
        for one in frozenset.intersection(*above)
        if bits.get(one, 0.0) >= LEAST_BITS and (one in current or _says_what(one, ontology))
    ]
    return max(shared, key=lambda one: (bits[one], one), default="")


def _says_what(term: str, ontology: CellOntology) -> bool:
    return term not in PROPERTIES and not ontology.label(term).endswith(DOING)


@lru_cache(maxsize=2)
def information(ontology: CellOntology) -> Mapping[str, float]:
    """Information content of every term in bits: minus log2 of the share of terms at or below it.

    Terms of single brain atlases are not counted.
    """
    below: Counter[str] = Counter()
    for term in ontology.ids():
        if int(term.removeprefix("CL:")) < ATLAS_TERMS:
            below.update([term, *ontology.ancestors(term)])
    most = max(below.values(), default=1)
    # A term that only atlas terms lie below, or an atlas term itself, is as specific as any.
    found = dict.fromkeys(ontology.ids(), math.log2(most))
    return found | {term: math.log2(most / n) for term, n in below.items()}
