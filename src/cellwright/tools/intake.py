"""Opens a user's file: makes the working copy and the passport, and leaves the file alone."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellwright.artifacts import ArtifactRef, sha256_file
from cellwright.errors import InputError
from cellwright.tools.columns import constant_conditions, find_columns
from cellwright.tools.matrices import (
    Slot,
    choose_best,
    clean,
    describe_slot,
    is_binary_log,
    log_cp10k,
    slots_of,
)
from cellwright.tools.model_card import gene_keys
from cellwright.tools.passport import Column, Matrix, Passport, Statement
from cellwright.tools.readers import read_cells

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from cellwright.knowledge import Knowledge
    from cellwright.knowledge.records import NameReport
    from cellwright.tools.workbench import Workbench

logger = logging.getLogger(__name__)

KEY_COLUMN = "cellwright_gene_key"
SYMBOL_COLUMN = "cellwright_symbol"
MIN_KNOWN = 0.01
BETTER_BY = 0.2
"""By how much more another column of var must be known before it names the genes."""

LOW_COVERAGE = 0.5
NAME_HINTS = ("gene", "symbol", "ensembl", "entrez", "feature", "id", "name")
MAX_LOOKED_UP = 60
TINY = 50


@dataclass(frozen=True, kw_only=True)
class _Genes:
    """The names that genes go by in the working copy."""

    names: list[str]
    report: NameReport
    origin: str
    duplicated: int
    warnings: tuple[str, ...]


def intake(path: Path, bench: Workbench) -> tuple[Passport, ArtifactRef]:
    """Open a data file: return its passport and the working copy of its cells.

    The working copy holds every cell in the file's order, ``layers["counts"]`` where the file
    has counts, log1p CP10k in ``X`` where it can be had, all columns of obs, and the gene
    columns ``cellwright_gene_key`` and ``cellwright_symbol``.

    Args:
        path: The user's file; it is only read.
        bench: Where the copy is stored, and whose knowledge names the genes.

    Raises:
        InputError: The file cannot be read as cells by genes; the message says what was found,
            what is needed and what to do.
    """
    knowledge = bench.knowledge
    bench.progress(f"reading {path.name}", None)
    adata = read_cells(path, lambda names: knowledge.genes.identify(list(names)).coverage)
    matrices = _describe_matrices(adata, path.name)
    best = choose_best(matrices)
    slot = next(slot for slot in slots_of(adata) if slot.name == (best or matrices[0].slot))
    bench.progress("reading gene names", None)
    genes = _name_genes(_var(adata, slot), knowledge, path.name)
    working, notes = _working_copy(
        adata, slot, matrices, genes, knowledge=knowledge, file=path.name
    )
    passport = _passport(
        path,
        working,
        matrices,
        genes,
        notes=notes,
        embeddings=tuple(map(str, adata.obsm)),
        bench=bench,
    )
    summary = f"{path.name}: {working.n_obs:,} cells by {working.n_vars:,} genes"
    ref = bench.put_adata(working, summary, tool="intake")
    return passport, ref


def _describe_matrices(adata: AnnData, file: str) -> list[Matrix]:
    slots = slots_of(adata)
    for slot in slots:
        if getattr(slot.values, "dtype", np.dtype(object)).kind not in "biuf":
            msg = f"{file}: {slot.name} holds no numbers ({slot.values.dtype})."
            raise InputError(msg)
    matrices = [describe_slot(slot) for slot in slots]
    if all(matrix.state == "unknown" for matrix in matrices):
        found = "; ".join(f"{matrix.slot}: {matrix.evidence}" for matrix in matrices)
        msg = f"{file}: there is no expression in the file ({found}). Give counts or log1p values."
        raise InputError(msg)
    return matrices


def _var(adata: AnnData, slot: Slot) -> DataFrame:
    var = adata.raw.var if slot.from_raw else adata.var
    if not slot.from_raw:
        return var
    # raw.var often holds names alone; the columns of var tell more where genes are shared.
    extra = adata.var[[name for name in adata.var.columns if name not in var.columns]]
    extra = extra[~extra.index.duplicated()]
    return var.join(extra) if var.index.is_unique else var


def _name_genes(var: DataFrame, knowledge: Knowledge, file: str) -> _Genes:
    """Choose the column that names the genes, and insist that each name is one gene."""
    options = _name_options(var)
    reports = {origin: knowledge.genes.identify(names) for origin, names in options.items()}
    origin = "var_names"
    for other in list(options)[1:]:
        if reports[other].coverage > reports[origin].coverage + BETTER_BY:
            origin = other
    report = reports[origin]
    if report.coverage < MIN_KNOWN:
        first = ", ".join(options["var_names"][:3])
        msg = (
            f"{file}: none of the {len(var):,} gene names is known (the first: {first}). Human or "
            "mouse gene symbols, Ensembl or Entrez ids are needed in var_names."
        )
        raise InputError(msg)
    names, notes = options[origin], []
    if origin != "var_names":
        notes.append(f"Genes are named by var['{origin}'], because var_names are not gene names.")
    duplicated = _repeated(names)
    if duplicated:
        spare = next(
            (
                one
                for one in options
                if reports[one].coverage >= LOW_COVERAGE and not _repeated(options[one])
            ),
            None,
        )
        if spare is None:
            raise InputError(_duplicates_message(file, names, duplicated))
        notes.append(
            f"{duplicated:,} gene names occur more than once, so genes are named by var['{spare}']."
        )
        names, origin, report = options[spare], spare, reports[spare]
    return _Genes(
        names=names, report=report, origin=origin, duplicated=duplicated, warnings=tuple(notes)
    )


def _name_options(var: DataFrame) -> dict[str, list[str]]:
    options = {"var_names": [str(name) for name in var.index]}
    for column in map(str, var.columns):
        hinted = any(hint in column.lower() for hint in NAME_HINTS)
        if hinted and not np.issubdtype(np.asarray(var[column].dtype).dtype, np.floating):
            values = var[column]
            if values.notna().all() and values.nunique() > len(var) // 2:
                options[column] = values.astype(str).tolist()
    return options


def _repeated(names: Sequence[str]) -> int:
    return len(names) - len(set(names))


def _duplicates_message(file: str, names: Sequence[str], duplicated: int) -> str:
    counts = Counter(names)
    repeats = [name for name, n in counts.items() if n > 1]
    return (
        f"{file}: {duplicated:,} of {len(names):,} gene names are duplicates (such as "
        f"{', '.join(repeats[:3])}), and no column of var has a unique gene id, so it is not known "
        "whether they are one gene. Put Ensembl ids into var_names, or sum the duplicates, and "
        "give the file again."
    )


def _working_copy(
    adata: AnnData,
    slot: Slot,
    matrices: Sequence[Matrix],
    genes: _Genes,
    *,
    knowledge: Knowledge,
    file: str,
) -> tuple[AnnData, list[str]]:
    import pandas as pd
    from anndata import AnnData

    notes = list(genes.warnings)
    matrix = next(one for one in matrices if one.slot == slot.name)
    values, missing = clean(slot.values, file)
    if missing:
        notes.append(f"{missing:,} values are NaN or infinite and are read as zero.")
    layers: dict[str, Any] = {}
    expression = values
    if matrix.state == "counts":
        layers["counts"] = values
        expression = log_cp10k(values)
    elif matrix.state == "tpm":
        expression = log_cp10k(values)
    elif matrix.state == "log1p" and is_binary_log(matrix.evidence):
        values.data *= np.float32(np.log(2))
        notes.append("Logarithms to base 2 were brought to the natural logarithm.")
    species = genes.report.species
    var = _tidy(pd.DataFrame(index=pd.Index(genes.names, name=None)))
    keys = knowledge.genes.keys(genes.names, species)
    var[KEY_COLUMN] = ["" if key is None else key for key in keys]
    var[SYMBOL_COLUMN] = [
        name if key is None else knowledge.genes.symbol_of_key(key, species)
        for name, key in zip(genes.names, keys, strict=True)
    ]
    obs = _tidy(adata.obs.copy())
    obs.index = obs.index.astype(str)
    working = AnnData(expression, obs=obs, var=var, layers=layers)
    if not working.obs_names.is_unique:
        notes.append("Cell names are not unique; cells are told apart by their position.")
        working.obs_names_make_unique()
    for name in adata.obsm:
        if isinstance(adata.obsm[name], np.ndarray) and adata.obsm[name].ndim == 2:
            working.obsm[name] = np.asarray(adata.obsm[name])
    working.uns["cellwright"] = {"slot": slot.name, "state": matrix.state, "file": file}
    return working, notes


def _tidy(frame: DataFrame) -> DataFrame:
    """Make a table of annotations that any .h5ad can hold."""
    for name in list(frame.columns):
        if not isinstance(name, str):
            frame = frame.rename(columns={name: str(name)})
    for name in frame.columns:
        column = frame[name]
        if column.dtype == object or str(column.dtype).startswith("string"):
            frame[name] = column.astype(str).where(column.notna()).astype("category")
    # anndata keeps the name of the index as a column, so both cannot be the same.
    if frame.index.name in frame.columns:
        frame.index.name = None
    return frame


def _passport(
    path: Path,
    working: AnnData,
    matrices: Sequence[Matrix],
    genes: _Genes,
    *,
    notes: list[str],
    embeddings: tuple[str, ...],
    bench: Workbench,
) -> Passport:
    report, best = genes.report, choose_best(list(matrices))
    share = _OntologyShare(bench.knowledge)
    columns = find_columns(working.obs, share)
    if report.coverage < LOW_COVERAGE:
        notes.append(f"Only {report.coverage:.0%} of the gene names are known.")
    notes += _warn(working, columns, report)
    if not best:
        notes.append(
            f"No matrix holds counts or log-normalised values (X: {matrices[0].evidence})."
        )
    return Passport(
        file=path.name,
        sha256=_checksum(path),
        n_cells=working.n_obs,
        n_genes=working.n_vars,
        species=Statement(
            value=report.species,
            evidence=report.species_evidence,
            confidence=round(float(report.species_confidence), 4),
        ),
        identifiers=Statement(
            value=report.scheme,
            evidence=f"{genes.origin}: {report.scheme_evidence}",
            confidence=round(float(report.scheme_confidence), 4),
        ),
        tissue=_said_by(columns, "tissue"),
        protocol=_said_by(columns, "protocol"),
        matrices=tuple(matrices),
        best=best,
        columns=columns,
        coverage=round(float(report.coverage), 4),
        model_coverage=round(_model_coverage(working, bench), 4),
        duplicated_genes=genes.duplicated,
        embeddings=embeddings,
        warnings=tuple(notes),
    )


def _warn(working: AnnData, columns: Sequence[Column], report: NameReport) -> list[str]:
    notes = []
    for column in columns:
        if column.role == "species":
            said = {_species_word(value) for value in column.values} - {""}
            if said and report.species not in said:
                notes.append(
                    f"obs['{column.name}'] says {', '.join(sorted(said))}, the gene names say "
                    f"{report.species}; the gene names are believed."
                )
    for name, value in constant_conditions(working.obs):
        notes.append(f"obs['{name}'] has one value in every cell ({value}): it cannot be compared.")
    if working.n_obs < TINY:
        notes.append(f"{working.n_obs} cells are too few for statements about groups.")
    totals = np.asarray((working.layers.get("counts", working.X)).sum(axis=1)).ravel()
    empty = int((totals == 0).sum())
    if empty:
        notes.append(f"{empty:,} cells have no expression at all.")
    return notes


def _species_word(text: str) -> str:
    low = text.lower()
    if any(word in low for word in ("human", "homo sapiens", "ncbitaxon:9606", "hsapiens")):
        return "human"
    if any(word in low for word in ("mouse", "mus musculus", "ncbitaxon:10090", "mmusculus")):
        return "mouse"
    return low


def _said_by(columns: Sequence[Column], role: str) -> Statement:
    for column in columns:
        if column.role == role:
            evidence = f"obs['{column.name}'] says so"
            return Statement(value=", ".join(column.values[:5]), evidence=evidence, confidence=0.9)
    return Statement(value="unknown", evidence=f"no column of obs names a {role}", confidence=0)


def _model_coverage(working: AnnData, bench: Workbench) -> float:
    known = gene_keys(bench.settings)
    if not known:
        return 0.0
    measured = set(working.var[KEY_COLUMN]) - {""}
    return len(known & measured) / len(known)


class _OntologyShare:
    """Share of values that are names of cell types; each value is looked up once."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._known: dict[str, bool] = {}

    def __call__(self, values: Sequence[str]) -> float:
        shown = list(values)[:MAX_LOOKED_UP]
        hits = sum(self._is_known(value) for value in shown)
        return hits / max(len(shown), 1)

    def _is_known(self, value: str) -> bool:
        if value not in self._known:
            worth_it = any(letter.isalpha() for letter in value) and len(value) < 80
            self._known[value] = worth_it and self._knowledge.ontology.lookup(value).status == "ok"
        return self._known[value]


def _checksum(path: Path) -> str:
    if path.is_file():
        return sha256_file(path)
    digest = hashlib.sha256()
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        digest.update(str(file.relative_to(path)).encode())
        digest.update(sha256_file(file).encode())
    return digest.hexdigest()
