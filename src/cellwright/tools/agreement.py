"""How calls agree with the labels that a file brings, judged through the Cell Ontology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pandas import Series

    from cellwright.knowledge import Knowledge

UNKNOWN = "unknown"


class LabelAgreement(BaseModel):
    """Agreement on the cells of one of the file's labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="Label in the file.")
    meaning: str = Field(description="Cell Ontology label it was taken for; empty if none.")
    ontology_id: str = Field(description="Its Cell Ontology id; empty if none.")
    n_cells: int = Field(description="Cells with the label.")
    most_called: str = Field(description="What Cellwright called most of them.")
    called_share: float = Field(description="Share of the cells that were called that.")
    exact: float | None = Field(description="Share called the same term; None when not mapped.")
    related: float | None = Field(
        description="Share called the same, a broader or a narrower term; None when not mapped."
    )


class Agreement(BaseModel):
    """Agreement of calls with a file's own labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="Column of obs with the file's labels.")
    n_labels: int = Field(description="Labels in the file.")
    n_mapped: int = Field(description="Labels that the Cell Ontology has a term for.")
    unmapped: tuple[str, ...] = Field(description="Labels without a term.")
    n_cells: int = Field(description="Cells with a mapped label, over which shares are taken.")
    exact: float = Field(description="Share of those called the same term.")
    related: float = Field(description="Share called the same, a broader or a narrower term.")
    per_label: tuple[LabelAgreement, ...] = Field(description="Each label, largest first.")
    lowest: str = Field(description="Mapped label with the lowest related share; may be empty.")
    lowest_related: float = Field(description="Its related share.")
    lowest_n_cells: int = Field(description="Its number of cells.")
    lowest_called: str = Field(description="What its cells were called most.")


def agreement(
    truth: Series,
    calls: np.ndarray,
    call_ids: np.ndarray,
    knowledge: Knowledge,
    *,
    species: str,
    tissue: str | None,
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Agreement | None:
    """Compare calls with labels cell by cell; None when no label can be mapped.

    A call of ``unknown`` agrees with nothing. A label and a call agree where they are the same
    words or the label is an alias of the call, whatever their terms.

    Args:
        truth: The file's labels as categories, named by their column.
        calls: (B,) called labels.
        call_ids: (B,) their Cell Ontology ids, empty where there is none.
        knowledge: The ontology.
        species: For the reading of labels.
        tissue: For the reading of labels.
        aliases: The cell model's names for labels, as its training files write them.
    """
    names = [str(name) for name in truth.cat.categories]
    terms = {
        name: knowledge.ontology.lookup(name, species=species, tissue=tissue) for name in names
    }
    rows: list[LabelAgreement] = []
    hits: list[tuple[int, float, float]] = []
    for name in names:
        cells = np.flatnonzero(np.asarray(truth == name))
        if not len(cells):
            continue
        term = terms[name]
        row = _one(
            name,
            term.ontology_id or "",
            calls[cells],
            call_ids[cells],
            knowledge,
            alias=aliases.get(name, name),
        )
        rows.append(row.model_copy(update={"meaning": term.label or ""}))
        if row.exact is not None and row.related is not None:
            hits.append((len(cells), row.exact, row.related))
    if not hits:
        return None
    weight = np.array([n for n, _exact, _related in hits], dtype=float)
    judged = [row for row in rows if row.related is not None]
    worst = min(judged, key=lambda row: row.related or 0.0)
    return Agreement(
        column=str(truth.name),
        n_labels=len(rows),
        n_mapped=sum(bool(row.ontology_id) for row in rows),
        unmapped=tuple(row.label for row in rows if not row.ontology_id),
        n_cells=int(weight.sum()),
        exact=float(np.average([exact for _n, exact, _r in hits], weights=weight)),
        related=float(np.average([related for _n, _e, related in hits], weights=weight)),
        per_label=tuple(sorted(rows, key=lambda row: -row.n_cells)),
        lowest=worst.label,
        lowest_related=worst.related or 0.0,
        lowest_n_cells=worst.n_cells,
        lowest_called=worst.most_called,
    )


def _one(
    name: str,
    term: str,
    calls: np.ndarray,
    ids: np.ndarray,
    knowledge: Knowledge,
    *,
    alias: str,
) -> LabelAgreement:
    values, counts = np.unique(calls.astype(str), return_counts=True)
    most = int(counts.argmax())
    said = np.array([str(call).casefold() in {name.casefold(), alias.casefold()} for call in calls])
    exact = related = None
    if term:
        pairs = {
            str(one): _relation(str(one), term, knowledge) for one in np.unique(ids.astype(str))
        }
        exact = float(np.mean(said | np.array([pairs[str(one)][0] for one in ids])))
        related = float(np.mean(said | np.array([pairs[str(one)][1] for one in ids])))
    elif said.any() or alias != name:
        exact = related = float(said.mean())
    return LabelAgreement(
        label=name,
        meaning="",
        ontology_id=term,
        n_cells=len(calls),
        most_called=str(values[most]),
        called_share=float(counts[most] / len(calls)),
        exact=exact,
        related=related,
    )


def _relation(call: str, term: str, knowledge: Knowledge) -> tuple[bool, bool]:
    if not call:
        return False, False
    return call == term, call == term or knowledge.ontology.related(call, term)


def related_terms(ids: Sequence[str], other: str, knowledge: Knowledge) -> bool:
    """Whether a term is the same as, or above or below, any of some terms."""
    return any(one and other and knowledge.ontology.related(one, other) for one in ids)
