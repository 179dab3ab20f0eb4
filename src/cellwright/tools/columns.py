"""Which parts the columns of obs play, told by their names and by what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellwright.tools.passport import Column, Role

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_VALUES = 300
"""More distinct values than this is no grouping."""

MAX_SHOWN = 40
ONTOLOGY_SHARE = 0.5
"""Share of values that must be Cell Ontology names for an unnamed column to be labels."""

NAMES: tuple[tuple[Role, str], ...] = (
    ("species", r"species|organism"),
    ("tissue", r"tissue|organ|tissue_type|tissue_general|anatomical_site|body_site|site"),
    (
        "protocol",
        r"protocol|assay|platform|technology|chemistry|method|sequencing_method|seq_method"
        r"|library_preparation_protocol",
    ),
    (
        "donor",
        r"donor|donor_?id|patient|patient_?id|individual|individual_id|subject|subject_id"
        r"|animal|animal_id|mouse|mouse_id|mouse_?number|participant(_id)?",
    ),
    (
        "condition",
        r"condition|treatment|treated|stim|stimulation|response|respond|responder|disease"
        r"|disease_state|status|genotype|phenotype|perturbation|drug|group|timepoint|time_point"
        r"|.*__treatment|pre_post",
    ),
    (
        "cluster",
        r"leiden.*|louvain.*|seurat_clusters?|.*_snn_res.*|phenograph.*|clusters?|cluster_id"
        r"|.*[._]clusters?|cellwright_leiden",
    ),
    (
        "label",
        r"cell_?types?|cell_?type_?.*|.*cell_?types?|.*_cell_?type_.*|cell_?labels?|labels?"
        r"|annotations?|bulk_labels|predicted_labels?|majority_voting|classified|subclass"
        r"|minor_subset|cell_line|cell_class|cell_identity|idents?.*",
    ),
    (
        "batch",
        r"batch|.*_batch|library|library_id|lane|run|plate|chip|channel|orig_ident|gsm|sample"
        r"|sample_?id|sample_?name|replicate",
    ),
)

SAMPLE_NAMES = re.compile(r"sample|sample_?id|sample_?name|replicate")
NOT_LABEL = re.compile(
    r"sex|gender|phase|cell_cycle|age|ethnicity|barcode|.*(ontology_term_id|ontology|score|prob|conf|n_|count|number|demuxlet|colou?rs?).*|.*_id_?\d*$"
)
FIRST = (
    "tissue",
    "protocol",
    "assay",
    "cell_type",
    "celltype",
    "cell_types",
    "condition",
    "treatment",
    "donor_id",
    "batch",
)
"""Names that settle which of several columns of one role comes first."""

ARMS = re.compile(
    r"(^|[\W_])(control|ctrl|vehicle|dmso|mock|untreated|treated|stim(ulated)?|healthy|normal"
    r"|tumou?r|disease[d]?|responder|sensitive|resistant|wt|wild.?type|ko|knockout|mutant|infected"
    r"|baseline)($|[\W_])",
    re.IGNORECASE,
)

OntologyShare = Callable[[Sequence[str]], float]


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    column: Column
    rank: float


def find_columns(obs: DataFrame, ontology_share: OntologyShare) -> tuple[Column, ...]:
    """Columns of obs that play a part, the best of each role first.

    Args:
        obs: The cells' annotations.
        ontology_share: Share of some values that are names of cell types.
    """
    found: list[_Candidate] = []
    for position, name in enumerate(map(str, obs.columns)):
        candidate = _judge(name, obs[obs.columns[position]], ontology_share, position)
        if candidate is not None:
            found.append(candidate)
    found = _samples_as_donors(found)
    order: dict[Role, int] = {role: at for at, (role, _pattern) in enumerate(NAMES)}
    found.sort(key=lambda one: (order[one.column.role], -one.rank))
    return tuple(one.column for one in found)


def constant_conditions(obs: DataFrame) -> list[tuple[str, str]]:
    """Columns named like a condition that hold one value: nothing to compare in this file."""
    pattern = dict(NAMES)["condition"]
    found = []
    for name in map(str, obs.columns):
        if re.fullmatch(pattern, _plain(name)):
            values = obs[name].dropna().astype(str).unique()
            if len(values) == 1:
                found.append((name, str(values[0])))
    return found


def made_columns(obs: DataFrame) -> tuple[Column, ...]:
    """Columns that Cellwright's own tools have added so far."""
    roles: tuple[tuple[str, Role], ...] = (
        ("cellwright_cell_type", "label"),
        ("cellwright_leiden", "cluster"),
    )
    found = []
    for name, role in roles:
        if name in obs:
            counts = obs[name].astype(str).value_counts()
            column = Column(
                name=name,
                role=role,
                n_values=len(counts),
                values=tuple(map(str, counts.index[:MAX_SHOWN])),
                evidence="made by Cellwright in this session",
            )
            found.append(column)
    return tuple(found)


def grouping(obs: DataFrame, name: str) -> Series:
    """A column as text categories, missing values left out of the categories."""
    values = obs[name]
    text = values.astype(str).where(values.notna())
    return text.astype("category")


def _judge(
    name: str, values: Series, ontology_share: OntologyShare, position: int
) -> _Candidate | None:
    plain = _plain(name)
    present = values.dropna()
    if present.empty or _is_continuous(present):
        return None
    text = present.astype(str)
    counts = text.value_counts()
    if len(counts) > min(MAX_VALUES, max(len(text) // 2, 1)):
        return None
    role, evidence, rank = _role(plain, counts.index.tolist(), ontology_share)
    if role is None or (role == "condition" and len(counts) == 1):
        return None
    if role in {"batch", "cluster"} and len(counts) < 2:
        return None
    column = Column(
        name=name,
        role=role,
        n_values=len(counts),
        values=tuple(map(str, counts.index[:MAX_SHOWN])),
        evidence=evidence,
    )
    bonus = 10.0 if plain in FIRST else 0.0
    return _Candidate(column=column, rank=rank + bonus - position / 1000)


def _role(
    plain: str, values: list[str], ontology_share: OntologyShare
) -> tuple[Role | None, str, float]:
    """Role, evidence and rank of a column, by its name first and its values second."""
    named = next((role for role, pattern in NAMES if re.fullmatch(pattern, plain)), None)
    numbered = all(_is_number(value) for value in values)
    if named == "label" and NOT_LABEL.match(plain) and plain not in FIRST:
        named = None
    if named == "tissue" and all(ARMS.search(value) and " " not in value for value in values):
        return "condition", "the name says tissue, the values are study arms", 1.0
    if named == "batch" and SAMPLE_NAMES.fullmatch(plain) and not numbered:
        arms = sum(bool(ARMS.search(value)) for value in values)
        if arms and len(values) <= 3:
            return "batch", "the name says sample; a value reads like a study arm", 0.5
    if named in {"label", "cluster"}:
        return _label_or_cluster(named, values, ontology_share, numbered=numbered)
    if named is not None:
        return named, f"the name says {named}; {_shape(values)}", 1.0
    if not numbered and 2 <= len(values) <= 100 and not NOT_LABEL.match(plain):
        share = ontology_share(values)
        if share >= ONTOLOGY_SHARE:
            return "label", f"{share:.0%} of its values are names of cell types", share
    return None, "", 0.0


def _label_or_cluster(
    named: Role, values: list[str], ontology_share: OntologyShare, *, numbered: bool
) -> tuple[Role, str, float]:
    if numbered:
        return "cluster", f"the name says {named}, the values are numbers; {_shape(values)}", 1.0
    share = ontology_share(values)
    if named == "cluster" and share < ONTOLOGY_SHARE and len(values) > 1 and _short(values):
        return "cluster", f"the name says cluster; {_shape(values)}", 0.5
    evidence = f"the name says {named}; {share:.0%} of its {len(values)} values name a cell type"
    bonus = 2.0 if named == "label" else 1.0
    return "label", evidence, share + bonus


def _samples_as_donors(found: list[_Candidate]) -> list[_Candidate]:
    """Let samples stand for donors where the file names none."""
    if any(one.column.role == "donor" for one in found):
        return found
    samples = [
        one
        for one in found
        if one.column.role == "batch"
        and SAMPLE_NAMES.fullmatch(_plain(one.column.name))
        and "study arm" not in one.column.evidence
    ]
    if not samples:
        return found
    best = max(samples, key=lambda one: one.rank)
    evidence = "no column names donors, so samples stand for them; " + _shape(best.column.values)
    donor = best.column.model_copy(update={"role": "donor", "evidence": evidence})
    return [_Candidate(column=donor, rank=best.rank) if one is best else one for one in found]


def _plain(name: str) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _shape(values: Sequence[str]) -> str:
    shown = ", ".join(map(str, list(values)[:3]))
    more = ", ..." if len(values) > 3 else ""
    return f"{len(values)} value{'s' if len(values) != 1 else ''} ({shown}{more})"


def _is_number(value: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+(\.0+)?", value))


def _short(values: Sequence[str]) -> bool:
    return all(len(value) <= 4 for value in values)


def _is_continuous(values: Series) -> bool:
    from pandas.api import types

    dtype: Any = values.dtype
    if not types.is_float_dtype(dtype):
        return False
    return bool((values % 1 != 0).any())
