"""``explain_cells``: the genes behind an answer, beside marker records and expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from cellwright.errors import RefusedError, ToolError
from cellwright.tools import figures
from cellwright.tools.agreement import UNKNOWN
from cellwright.tools.annotation_columns import LABEL
from cellwright.tools.calls import block_of
from cellwright.tools.columns import grouping
from cellwright.tools.drug_drivers import contributions
from cellwright.tools.explanation import Explained, ExplainResult
from cellwright.tools.model_card import label_space
from cellwright.tools.saliency_figure import MIN_GROUP, TypeMap, gene_figure, saliency_map
from cellwright.tools.salient_genes import ExplainedCells, expressed_rate, salient_genes
from cellwright.tools.selection import default_grouping, groups_of, keys_of, one_group, symbols
from cellwright.tools.spec import Needs, ToolArgs, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.artifacts import ArtifactRef
    from cellwright.tools.passport import Passport

NAME = "explain_cells"
MAX_CELLS = 100
"""Cells of a label that gradients are taken on; more change the mean little."""

MAX_CELLS_EACH = 30
"""The same where every type of a file is explained."""

MAX_TYPES = 12


class ExplainArgs(ToolArgs):
    """Which answer to explain."""

    target: Literal["cell_type", "drug"] = Field(
        default="cell_type", description="Explain a cell type, or a predicted drug response."
    )
    label: str | None = Field(
        default=None,
        description="The cell type, or the drug; every cell type of the file when left out.",
    )
    group_by: str | None = Field(
        default=None,
        description="Column of obs whose group of that name gives the cells; the annotation, else "
        "the file's labels, else what the cell model calls the cells, when left out.",
    )
    n_genes: int = Field(default=10, ge=1, le=100, description="Genes to name.")


@dataclass(frozen=True, kw_only=True)
class _Ranked:
    """Genes of the file for a label, scored."""

    cells: ExplainedCells
    read_as: str
    scores: np.ndarray
    order: list[int]
    n_used: int
    method: str


def _run(args: ExplainArgs, bench: Workbench) -> ExplainResult:
    adata = bench.adata()
    if args.target == "drug":
        return _explain_drug(args, adata, bench)
    if args.label is None:
        return _explain_every(args, adata, bench)
    cells, read_as = _cells(args, args.label, adata, bench)
    bench.progress(f"gradients of {read_as}", 0.3)
    ranked = _rank(cells, read_as, adata, bench, most=MAX_CELLS, n_genes=args.n_genes)
    if not ranked.order:
        msg = f"No gene of this file speaks for {read_as!r} in the cell model."
        raise ToolError(msg)
    one = _explained(ranked, adata, bench)
    figure = _figure(one, adata, bench, target=args.target)
    return _result(args, [one], bench, figure, method=ranked.method)


def _explain_every(args: ExplainArgs, adata: AnnData, bench: Workbench) -> ExplainResult:
    """Each type of the file, by the cells that carry it."""
    groups, origin = _typed_groups(args, adata, bench)
    counts = groups.value_counts()
    chosen: list[tuple[ExplainedCells, str]] = []
    left_out = []
    for name in map(str, counts.index[counts > 0]):
        read_as, term = _as_model_label(name, bench)
        known = term or read_as in {record.name for record in bench.cell_model.labels}
        if name == UNKNOWN or not known or counts[name] < MIN_GROUP or len(chosen) == MAX_TYPES:
            left_out.append(name)
            continue
        rows = np.flatnonzero(np.asarray(groups == name))
        chosen.append((ExplainedCells(label=name, rows=rows, origin=origin, term=term), read_as))
    if not chosen:
        msg = (
            f"None of the groups is a cell type with {MIN_GROUP} cells or more: "
            f"{', '.join(left_out[:8])}. Name a column with cell types, or run annotate_cells."
        )
        raise ToolError(msg)
    found = []
    for at, (cells, read_as) in enumerate(chosen):
        bench.progress(f"gradients of {read_as}", at / len(chosen))
        found.append(_rank(cells, read_as, adata, bench, most=MAX_CELLS_EACH, n_genes=args.n_genes))
    kept = [one for one in found if one.order]
    if not kept:
        msg = "No gene of this file speaks for any of its types in the cell model."
        raise ToolError(msg)
    left_out += [one.cells.label for one in found if not one.order]
    explained = [_explained(one, adata, bench) for one in kept]
    if len(explained) == 1:
        figure = _figure(explained[0], adata, bench, target=args.target)
    else:
        figure = _map(kept, explained, adata, bench)
    return _result(args, explained, bench, figure, method=kept[0].method, left_out=left_out)


def _rank(
    cells: ExplainedCells,
    read_as: str,
    adata: AnnData,
    bench: Workbench,
    *,
    most: int,
    n_genes: int,
) -> _Ranked:
    """Score the file's genes for a label, held against the model's other types of the species."""
    from cellwright.cellmodel.saliency import DEFAULT_METHOD, explain

    rows = _thin(cells.rows, most, bench.settings.seed)
    species = bench.passport.species.value if bench.passport else "human"
    rivals = [one.name for one in bench.cell_model.labels if species in one.species]
    found = explain(
        bench.cell_model,
        block_of(adata, bench, rows),
        read_as,
        method=DEFAULT_METHOD,
        candidates=rivals or None,
    )
    place = {key: at for at, key in enumerate(found.keys)}
    positions = [place.get(key or "", -1) for key in keys_of(adata)]
    scores = np.array([found.scores[at] if at >= 0 else 0.0 for at in positions])
    order = [int(at) for at in np.argsort(-scores, kind="stable")[:n_genes] if scores[at] > 0]
    return _Ranked(
        cells=cells,
        read_as=read_as,
        scores=scores,
        order=order,
        n_used=len(rows),
        method=DEFAULT_METHOD.replace("_", " "),
    )


def _explained(ranked: _Ranked, adata: AnnData, bench: Workbench) -> Explained:
    cells = ranked.cells
    genes = salient_genes(ranked.scores, ranked.order, cells, adata, bench)
    rate, n_expressed = (0.0, 0) if cells.targets else expressed_rate(cells, adata, bench)
    backed = tuple(gene.gene for gene in genes if gene.n_records)
    return Explained(
        label=cells.label,
        read_as=ranked.read_as,
        ontology_id=cells.term,
        cells_from=cells.origin,
        n_cells=len(cells.rows),
        n_used=ranked.n_used,
        genes=genes,
        names=tuple(gene.gene for gene in genes),
        backed=backed,
        share_backed=len(backed) / max(len(genes), 1),
        share_expressed=rate,
        n_expressed=n_expressed,
    )


def _explain_drug(args: ExplainArgs, adata: AnnData, bench: Workbench) -> ExplainResult:
    from cellwright.cellmodel.drug import DrugTransfer

    if args.label is None:
        msg = "Name the drug whose predicted response is to be explained."
        raise ToolError(msg)
    transfer = DrugTransfer.load()
    match = bench.knowledge.drugs.lookup(args.label)
    folded = {drug.casefold(): drug for drug in transfer.drugs}
    drug = next(
        (
            folded[one.casefold()]
            for one in (args.label, match.name or "", *match.synonyms)
            if one.casefold() in folded
        ),
        None,
    )
    if drug is None:
        near = ", ".join(match.suggestions) or "none"
        reason = f"{args.label!r} is not among the {len(transfer.drugs)} drugs of the screen."
        raise RefusedError(reason, f"Names that look alike: {near}.")
    rows = np.arange(adata.n_obs)
    cells = ExplainedCells(label=drug, rows=rows, origin="all cells", targets=match.targets)
    profile = np.log1p(np.asarray(np.expm1(adata.X[rows]).mean(axis=0)).ravel())
    shares, predicted = contributions(transfer, profile, keys_of(adata), drug)
    order = [int(at) for at in np.argsort(-np.abs(shares), kind="stable")[: args.n_genes]]
    method = "exact split of the linear transfer"
    ranked = _Ranked(
        cells=cells, read_as=drug, scores=shares, order=order, n_used=len(rows), method=method
    )
    one = _explained(ranked, adata, bench)
    figure = _figure(one, adata, bench, target=args.target)
    return _result(args, [one], bench, figure, method=method, predicted=predicted)


def _cells(
    args: ExplainArgs, label: str, adata: AnnData, bench: Workbench
) -> tuple[ExplainedCells, str]:
    """The cells that carry the label: by the column named, the annotation, the file, the model."""
    columns = [args.group_by] if args.group_by else []
    if not columns:
        columns = [LABEL] if LABEL in adata.obs else []
        default = default_grouping(bench.passport)
        columns += [default] if default and default not in columns else []
    for name in columns:
        groups = groups_of(adata, bench.passport, name)
        row_name = _same_type(groups, label, bench)
        if row_name is not None:
            rows = np.flatnonzero(np.asarray(groups == row_name))
            read_as, term = _as_model_label(row_name, bench)
            cells = ExplainedCells(label=row_name, rows=rows, origin=_origin(name), term=term)
            return cells, read_as
        if args.group_by:
            one_group(groups, label)
    return _called(label, adata, bench)


def _typed_groups(args: ExplainArgs, adata: AnnData, bench: Workbench) -> tuple[Series, str]:
    """The grouping whose groups are types: as named, annotated, in the file, or by the model."""
    import pandas as pd

    passport = bench.passport
    labels = [one.name for one in passport.columns if one.role == "label"] if passport else []
    name = args.group_by or (LABEL if LABEL in adata.obs else next(iter(labels), None))
    if name is not None:
        return groups_of(adata, passport, name), _origin(name)
    species = passport.species.value if passport else None
    found = bench.cell_model.annotate(block_of(adata, bench), species=species)
    called = pd.Series(found.labels.astype(str), index=adata.obs_names, dtype="category")
    return called, "that the cell model calls so"


def _origin(column: str) -> str:
    return "annotated so" if column == LABEL else f"of obs['{column}']"


def _same_type(groups: Series, label: str, bench: Workbench) -> str | None:
    """The group with this name, else the largest that is the same type or one below it."""
    counts = groups.value_counts()
    names = [str(name) for name in counts.index if counts[name]]
    for name in names:
        if name.casefold() == label.casefold():
            return name
    ontology = bench.knowledge.ontology
    wanted = ontology.lookup(label).ontology_id
    if wanted is None:
        return None
    terms = {name: ontology.lookup(name).ontology_id for name in names}
    exact = [name for name in names if terms[name] == wanted]
    below = [name for name in names if terms[name] and ontology.is_a(terms[name] or "", wanted)]
    return next(iter([*exact, *below]), None)


def _called(wanted: str, adata: AnnData, bench: Workbench) -> tuple[ExplainedCells, str]:
    """Cells that the cell model itself calls by the label."""
    label, term = _as_model_label(wanted, bench)
    species = bench.passport.species.value if bench.passport else None
    called = bench.cell_model.annotate(block_of(adata, bench), species=species)
    rows = np.flatnonzero((called.labels == label) | (called.ontology_ids == (term or "-")))
    if not len(rows):
        names, counts = np.unique(called.labels.astype(str), return_counts=True)
        found = ", ".join(str(names[at]) for at in np.argsort(-counts)[:8])
        msg = f"No cell of this file is called {wanted!r}. What its cells are called: {found}."
        raise ToolError(msg)
    origin = "that the cell model calls so"
    return ExplainedCells(label=wanted, rows=rows, origin=origin, term=term), label


def _as_model_label(label: str, bench: Workbench) -> tuple[str, str]:
    """The model's own label of the same type, else the words as given, and the ontology id."""
    records = bench.cell_model.labels
    match = bench.knowledge.ontology.lookup(label)
    for record in records:
        if label.casefold() in {
            record.name.casefold(),
            *(one.casefold() for one in record.aliases),
        }:
            return record.name, record.ontology_id or match.ontology_id or ""
    for record in records:
        if match.ontology_id and record.ontology_id == match.ontology_id:
            return record.name, record.ontology_id
    return label, match.ontology_id or ""


def _thin(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def _result(
    args: ExplainArgs,
    explained: list[Explained],
    bench: Workbench,
    figure: ArtifactRef,
    *,
    method: str,
    predicted: float | None = None,
    left_out: list[str] | None = None,
) -> ExplainResult:
    import pandas as pd

    records: list[dict[str, Any]] = [
        {"label": one.label, **gene.model_dump(exclude={"evidence"})}
        for one in explained
        for gene in one.genes
    ]
    frame = pd.DataFrame(records)
    what = explained[0].label if len(explained) == 1 else f"{len(explained)} types"
    table = bench.store.put_file(
        "table",
        lambda path: frame.to_csv(path, index=False, float_format="%.6g"),
        f"Salient genes of {what}",
        tool=NAME,
    )
    return ExplainResult(
        figures=(figure,),
        tables=(table,),
        target=args.target,
        method=method,
        predicted=predicted,
        explained=tuple(explained),
        n_types=len(explained),
        n_over_half=sum(one.share_backed > 0.5 for one in explained),
        mean_backed=float(np.mean([one.share_backed for one in explained])),
        mean_expressed=float(np.mean([one.share_expressed for one in explained])),
        left_out=tuple(left_out or ()),
    )


def _figure(one: Explained, adata: AnnData, bench: Workbench, *, target: str) -> ArtifactRef:
    """One label's genes, beside their expression in the annotated or labelled groups."""
    name = LABEL if LABEL in adata.obs else default_grouping(bench.passport)
    groups = grouping(adata.obs, name) if name else None
    figure = gene_figure(one.label, one.genes, adata, groups, target=target)
    return figures.save(figure, bench, f"Salient genes of {one.label}", tool=NAME)


def _map(
    ranked: list[_Ranked], explained: list[Explained], adata: AnnData, bench: Workbench
) -> ArtifactRef:
    """Genes by types, marked where a record says the same."""
    shown = symbols(adata)
    content = TypeMap(
        tops={one.label: one.names for one in explained},
        scores={
            one.cells.label: dict(zip(map(str, shown), map(float, one.scores), strict=True))
            for one in ranked
        },
        marks={one.label: set(one.backed) for one in explained},
        title="Genes behind each type",
    )
    return figures.save(saliency_map(content), bench, "Salient genes by type", tool=NAME)


def _gate(args: ExplainArgs, passport: Passport | None, bench: Workbench) -> Verdict:
    if args.target == "drug":
        if passport is not None and passport.species.value != "human":
            return Verdict(
                outcome="refuse",
                reason=(
                    f"Drug responses are learned from human cell lines; these cells are "
                    f"{passport.species.value}."
                ),
                alternative="The genes behind a cell type can be explained.",
            )
        return Verdict()
    if label_space(bench.settings) is None:
        return Verdict(
            outcome="refuse",
            reason="There is no trained cell model to explain.",
            alternative="Marker genes by differential expression (find_markers) are possible.",
        )
    return Verdict()


EXPLAIN_CELLS = ToolSpec(
    name=NAME,
    title="Genes behind an answer",
    description=(
        "Explains cell type calls (or a predicted drug response) by the genes that the model "
        "looks at, with marker records and PMIDs, expression, and a comparison with random genes."
    ),
    args=ExplainArgs,
    result=ExplainResult,
    needs=Needs(),
    gate=_gate,
    run=_run,
)
