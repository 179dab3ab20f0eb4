"""Picks the columns, groups and genes that a tool's arguments mean, or says which exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.errors import ToolError
from cellwright.tools.columns import grouping
from cellwright.tools.intake import KEY_COLUMN, SYMBOL_COLUMN
from cellwright.tools.spec import Needs, Preparation
from cellwright.tools.workbench import CLUSTERS

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.knowledge import Knowledge
    from cellwright.tools.passport import Passport

MADE = "cellwright_"
MAX_GROUPS = 200


def default_grouping(passport: Passport | None, *, clusters_first: bool = False) -> str | None:
    """The column that groups cells when none is named; None when there is none."""
    if passport is None:
        return None
    own = [one for one in passport.columns if not one.name.startswith(MADE)]
    made = [one for one in passport.columns if one.name.startswith(MADE)]
    labels = [one.name for one in (*own, *made) if one.role == "label"]
    clusters = [one.name for one in (*made, *own) if one.role == "cluster"]
    ordered = clusters + labels if clusters_first else labels + clusters
    return ordered[0] if ordered else None


def prepares_grouping(args: Any, passport: Passport | None, needs: Needs) -> Preparation:
    """Clusters are needed only where no grouping is named and the file brings none."""
    if getattr(args, "group_by", None) or default_grouping(passport):
        return needs.prepared - {"clusters"}
    return needs.prepared


def groups_of(adata: AnnData, passport: Passport | None, group_by: str | None) -> Series:
    """The grouping that is meant, as text categories named by its column.

    Raises:
        ToolError: The column does not exist or does not group; the message lists those that do.
    """
    name = group_by or default_grouping(passport)
    if name is None:
        msg = "There is no label or cluster column: run preprocess_dataset first, or name a column."
        raise ToolError(msg)
    if name == "clusters" and name not in adata.obs and CLUSTERS in adata.obs:
        name = CLUSTERS
    if name not in adata.obs:
        raise ToolError(_unknown_column(name, adata, passport))
    groups = grouping(adata.obs, name)
    if not 1 <= len(groups.cat.categories) <= MAX_GROUPS:
        msg = (
            f"obs['{name}'] has {len(groups.cat.categories)} values, so it does not group cells. "
            f"Columns that do: {_columns(passport)}."
        )
        raise ToolError(msg)
    return groups


def one_group(groups: Series, name: str) -> str:
    """A group by its name, whatever the case.

    Raises:
        ToolError: There is no such group; the message lists those that exist.
    """
    known = [str(value) for value in groups.cat.categories]
    if name in known:
        return name
    folded = {value.casefold(): value for value in known}
    if name.casefold() in folded:
        return folded[name.casefold()]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    msg = f"obs['{groups.name}'] has no group {name!r}.{hint} Its groups: {', '.join(known)}."
    raise ToolError(msg)


def groups_meant(name: str, values: Sequence[str], knowledge: Knowledge) -> list[str]:
    """Groups that a name means: itself, else what the ontology places under it, else by words.

    Args:
        name: A group, or a cell type.
        values: The groups there are.
        knowledge: For the ontology.
    """
    folded = _fold(name)
    same = [value for value in values if _fold(value) == folded]
    if same:
        return same
    term = knowledge.ontology.lookup(name).ontology_id
    if term:
        found = []
        for value in values:
            other = knowledge.ontology.lookup(value).ontology_id
            if other and (other == term or knowledge.ontology.is_a(other, term)):
                found.append(value)
        if found:
            return found
    words = set(folded.split())
    return [value for value in values if words and words <= set(_fold(value).split())]


def _fold(text: str) -> str:
    plain = re.sub(r"[^a-z0-9+]+", " ", text.casefold()).strip()
    return re.sub(r"s$", "", re.sub(r" cells?$", "", plain))


def gene_positions(
    adata: AnnData, genes: Sequence[str], knowledge: Knowledge, species: str
) -> tuple[list[int], list[str]]:
    """Positions of genes in the data, and those that it has not.

    A gene may be given by the name in the file, its symbol or an alias.
    """
    by_name = {str(name): at for at, name in enumerate(adata.var_names)}
    by_symbol = {str(name): at for at, name in enumerate(adata.var[SYMBOL_COLUMN])}
    by_key = {str(key): at for at, key in enumerate(adata.var[KEY_COLUMN]) if key}
    found: list[int] = []
    absent: list[str] = []
    for gene, match in zip(genes, knowledge.genes.resolve_many(list(genes), species), strict=True):
        at = by_name.get(gene, by_symbol.get(gene, by_key.get(match.key or "")))
        if at is None and match.status == "ambiguous":
            # An alias of several genes means the one that this file measured, if it is one.
            measured = [by_symbol[one] for one in match.candidates if one in by_symbol]
            at = measured[0] if len(measured) == 1 else None
        if at is None:
            absent.append(gene)
        elif at not in found:
            found.append(at)
    return found, absent


def symbols(adata: AnnData) -> np.ndarray:
    """How each gene is shown, (G,) text."""
    return adata.var[SYMBOL_COLUMN].astype(str).to_numpy()


def keys_of(adata: AnnData) -> list[str | None]:
    """Vocabulary key of each gene, None where it is unknown."""
    return [str(key) or None for key in adata.var[KEY_COLUMN]]


def _unknown_column(name: str, adata: AnnData, passport: Passport | None) -> str:
    near = difflib.get_close_matches(name, [str(column) for column in adata.obs.columns], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"obs has no column {name!r}.{hint} Columns that group cells: {_columns(passport)}."


def _columns(passport: Passport | None) -> str:
    known = [column.name for column in passport.columns] if passport else []
    return ", ".join(known) or "none; run preprocess_dataset to make clusters"
