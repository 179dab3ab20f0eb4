"""``explain_cells``: the genes behind an answer, beside marker records and expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.errors import RefusedError, ToolError
from cellwright.knowledge.records import Evidence
from cellwright.tools import figures
from cellwright.tools.agreement import UNKNOWN
from cellwright.tools.annotate_cells import LABEL
from cellwright.tools.calls import block_of
from cellwright.tools.columns import grouping
from cellwright.tools.drug_drivers import contributions
from cellwright.tools.model_card import label_space
from cellwright.tools.profiles import group_profiles
from cellwright.tools.selection import default_grouping, groups_of, keys_of, one_group, symbols
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from pandas import Series

    from cellwright.artifacts import ArtifactRef
    from cellwright.tools.passport import Passport

NAME = "explain_cells"
MAX_CELLS = 300
"""Cells of a label that gradients are taken on; more change the mean little."""

MIN_GROUP = 3
N_RANDOM = 200
MIN_SHARE = 0.05
"""Share of the cells that must express a gene for it to be drawn as a random one."""


class ExplainArgs(ToolArgs):
    """Which answer to explain."""

    target: Literal["cell_type", "drug"] = Field(
        default="cell_type", description="Explain a cell type, or a predicted drug response."
    )
    label: str | None = Field(
        default=None,
        description="The cell type, or the drug; the most frequent cell type when left out.",
    )
    group_by: str | None = Field(
        default=None,
        description="Column of obs whose group of that name gives the cells; the annotation, else "
        "the file's labels, when left out.",
    )
    n_genes: int = Field(default=10, ge=1, le=100, description="Genes to name.")


class SalientGene(BaseModel):
    """A gene that speaks for the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gene: str = Field(description="Gene symbol.")
    name: str = Field(description="Full name of the gene; may be empty.")
    saliency: float = Field(description="Mean over cells, as a share of the strongest gene's.")
    share_in: float = Field(description="Share of the explained cells that express it.")
    share_out: float | None = Field(description="Share of all other cells; None if there are none.")
    n_records: int = Field(description="Marker records that tie it to the cell type.")
    is_target: bool = Field(description="Whether it is a recorded target of the drug.")
    citation: str = Field(description="Citation of the first record; may be empty.")
    evidence: tuple[Evidence, ...] = Field(description="The records, at most three.")


class ExplainResult(ToolResult):
    """The genes behind an answer."""

    target: str = Field(description="cell_type or drug.")
    label: str = Field(description="Cell type or drug.")
    read_as: str = Field(description="The model's label, or the screen's name of the drug.")
    ontology_id: str = Field(description="Cell Ontology id of the type; may be empty.")
    cells_from: str = Field(description="Where the explained cells come from, in words.")
    n_cells: int = Field(description="Cells explained.")
    n_used: int = Field(description="Cells of those that saliency was taken on.")
    method: str = Field(description="How saliency was computed.")
    predicted: float | None = Field(description="Predicted z of ln IC50 for a drug, or None.")
    genes: tuple[SalientGene, ...] = Field(description="The genes, most salient first.")
    names: tuple[str, ...] = Field(description="Their symbols.")
    backed: tuple[str, ...] = Field(description="Those with a marker record for the type.")
    share_backed: float = Field(description="Share of the genes with such a record.")
    share_random: float = Field(description="The same of random genes that these cells express.")
    n_random: int = Field(description="Number of those random genes.")

    def claims(self) -> list[Claim]:
        """The genes, the records behind them, and what saliency is not."""
        return self._drug() if self.target == "drug" else self._cell_type()

    def _cell_type(self) -> list[Claim]:
        found = [
            Claim(
                template="The genes that speak most for **{label}** in the cell model ({method}, "
                "mean over {n_used:,} of {n_cells:,} cells {cells_from}) are {names}."
            ),
            Claim(
                template="{share_backed:.0%} of them have a marker record for {read_as} or a "
                "related type, against {share_random:.0%} of {n_random} random genes that these "
                "cells express."
            ),
        ]
        for at, gene in enumerate(self.genes):
            if gene.citation and len(found) < 5:
                found.append(
                    Claim(template=f"{{genes.{at}.evidence.0.text}} {{genes.{at}.citation}}")
                )
        found.append(
            Claim(
                template="Saliency says what the model looks at, which need not be what makes the "
                "cell what it is; genes without a record are not thereby new markers.",
                kind="caveat",
            )
        )
        return found

    def _drug(self) -> list[Claim]:
        return [
            Claim(
                template="The predicted response to **{read_as}** of {n_cells:,} cells "
                "({cells_from}) is z {predicted:.2f} against the lines of the screen; the genes "
                "that move it most are {names}."
            ),
            Claim(
                template="These genes carry a linear model fitted on cell lines: they are "
                "correlates of response, not its causes.",
                kind="caveat",
            ),
        ]

    def report_tables(self) -> list[Table]:
        """The genes with their evidence."""
        columns = [
            ("gene", "Gene"),
            ("name", "Name"),
            ("saliency:.2f", "Saliency"),
            ("share_in:.0%", "Expressed in these cells"),
            ("share_out:.0%", "elsewhere"),
        ]
        if self.genes and self.genes[0].share_out is None:
            columns = columns[:-1]
        if self.target == "cell_type":
            columns += [("n_records:,", "Marker records"), ("citation", "First record")]
        else:
            columns.append(("is_target", "Drug target"))
        return [Table(title="Salient genes", rows="genes", columns=tuple(columns))]


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The cells that are explained."""

    label: str
    rows: np.ndarray
    origin: str


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What was explained, and by what."""

    read_as: str
    method: str
    term: str = ""
    n_used: int | None = None
    predicted: float | None = None
    random: tuple[float, int] = (0.0, 0)


def _run(args: ExplainArgs, bench: Workbench) -> ExplainResult:
    adata = bench.adata()
    if args.target == "drug":
        return _explain_drug(args, adata, bench)
    return _explain_type(args, adata, bench)


def _explain_type(args: ExplainArgs, adata: AnnData, bench: Workbench) -> ExplainResult:
    from cellwright.cellmodel.saliency import explain

    cells = _cells(args, adata, bench)
    label, term = _as_model_label(cells.label, bench)
    rows = _thin(cells.rows, bench.settings.seed)
    bench.progress(f"gradients over {len(rows)} cells", 0.3)
    found = explain(bench.cell_model, block_of(adata, bench, rows), label)
    place = {key: at for at, key in enumerate(found.keys)}
    at_vocabulary = [place.get(key or "", -1) for key in keys_of(adata)]
    scores = np.array([found.scores[at] if at >= 0 else 0.0 for at in at_vocabulary])
    order = [int(at) for at in np.argsort(-scores, kind="stable")[: args.n_genes] if scores[at] > 0]
    if not order:
        msg = f"No gene of this file speaks for {label!r} in the cell model."
        raise ToolError(msg)
    genes = _genes(order, scores, cells, adata, bench, wanted=term or label)
    random = _random_rate(cells, adata, bench, wanted=term or label)
    method = found.method.replace("input_x_gradient", "input times gradient").replace("_", " ")
    return _result(
        args, cells, genes, adata, bench,
        said=_Said(read_as=label, term=term, method=method, random=random, n_used=len(rows)),
    )  # fmt: skip


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
    cells = _Cells(label=drug, rows=rows, origin="all cells")
    profile = np.log1p(np.asarray(np.expm1(adata.X[rows]).mean(axis=0)).ravel())
    shares, predicted = contributions(transfer, profile, keys_of(adata), drug)
    order = [int(at) for at in np.argsort(-np.abs(shares), kind="stable")[: args.n_genes]]
    genes = _genes(order, shares, cells, adata, bench, targets=match.targets)
    return _result(
        args, cells, genes, adata, bench,
        said=_Said(read_as=drug, method="exact split of the linear transfer", predicted=predicted),
    )  # fmt: skip


def _cells(args: ExplainArgs, adata: AnnData, bench: Workbench) -> _Cells:
    """The cells that carry the label: by the column named, the annotation, or the file."""
    columns = [args.group_by] if args.group_by else []
    if not columns:
        columns = [LABEL] if LABEL in adata.obs else []
        default = default_grouping(bench.passport)
        columns += [default] if default and default not in columns else []
    for name in columns:
        groups = groups_of(adata, bench.passport, name)
        label = args.label or _most_frequent(groups)
        row_name = _same_type(groups, label, bench)
        if row_name is not None:
            rows = np.flatnonzero(np.asarray(groups == row_name))
            word = "annotated so" if name == LABEL else f"of obs['{name}']"
            return _Cells(label=row_name, rows=rows, origin=word)
        if args.group_by:
            one_group(groups, label)
    return _called(args, adata, bench)


def _most_frequent(groups: Series) -> str:
    counts = groups.value_counts()
    known = [str(name) for name in counts.index if str(name) != UNKNOWN]
    return known[0] if known else str(counts.index[0])


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


def _called(args: ExplainArgs, adata: AnnData, bench: Workbench) -> _Cells:
    """Cells that the cell model itself calls by the label."""
    if args.label is None:
        msg = "Name the cell type to explain, or run annotate_cells first."
        raise ToolError(msg)
    label, term = _as_model_label(args.label, bench)
    species = bench.passport.species.value if bench.passport else None
    called = bench.cell_model.annotate(block_of(adata, bench), species=species)
    rows = np.flatnonzero((called.labels == label) | (called.ontology_ids == (term or "-")))
    if not len(rows):
        names, counts = np.unique(called.labels.astype(str), return_counts=True)
        found = ", ".join(str(names[at]) for at in np.argsort(-counts)[:8])
        msg = f"No cell of this file is called {args.label!r}. What its cells are called: {found}."
        raise ToolError(msg)
    return _Cells(label=args.label, rows=rows, origin="that the cell model calls so")


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


def _thin(rows: np.ndarray, seed: int) -> np.ndarray:
    if len(rows) <= MAX_CELLS:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, MAX_CELLS, replace=False))


def _genes(
    order: list[int],
    scores: np.ndarray,
    cells: _Cells,
    adata: AnnData,
    bench: Workbench,
    *,
    wanted: str = "",
    targets: tuple[str, ...] = (),
) -> tuple[SalientGene, ...]:
    species = bench.passport.species.value if bench.passport else "human"
    inside = np.zeros(adata.n_obs, dtype=bool)
    inside[cells.rows] = True
    seen = adata.X[:, order] > 0
    share_in = np.asarray(seen[inside].mean(axis=0)).ravel()
    share_out = np.asarray(seen[~inside].mean(axis=0)).ravel() if not inside.all() else None
    names = [str(name) for name in symbols(adata)[order]]
    strongest = float(np.abs(scores[order]).max())
    found = []
    for at, (gene, match) in enumerate(
        zip(names, bench.knowledge.genes.resolve_many(names, species), strict=True)
    ):
        records = bench.knowledge.markers.records(gene, species, wanted) if wanted else []
        found.append(
            SalientGene(
                gene=gene,
                name=match.name,
                saliency=float(scores[order[at]] / strongest),
                share_in=float(share_in[at]),
                share_out=None if share_out is None else float(share_out[at]),
                n_records=len(records),
                is_target=gene in targets,
                citation=records[0].cite() if records else "",
                evidence=tuple(records[:3]),
            )
        )
    return tuple(found)


def _random_rate(
    cells: _Cells, adata: AnnData, bench: Workbench, *, wanted: str
) -> tuple[float, int]:
    """Share of random expressed genes with a marker record for the type, and their number."""
    species = bench.passport.species.value if bench.passport else "human"
    share = np.asarray((adata.X[cells.rows] > 0).mean(axis=0)).ravel()
    expressed = np.flatnonzero(share >= MIN_SHARE)
    if not len(expressed):
        return 0.0, 0
    size = min(N_RANDOM, len(expressed))
    drawn = np.random.default_rng(bench.settings.seed).choice(expressed, size, replace=False)
    names = symbols(adata)[drawn]
    hits = [bool(bench.knowledge.markers.records(str(one), species, wanted)) for one in names]
    return float(np.mean(hits)), size


def _result(
    args: ExplainArgs,
    cells: _Cells,
    genes: tuple[SalientGene, ...],
    adata: AnnData,
    bench: Workbench,
    *,
    said: _Said,
) -> ExplainResult:
    import pandas as pd

    backed = tuple(gene.gene for gene in genes if gene.n_records)
    frame = pd.DataFrame([gene.model_dump(exclude={"evidence"}) for gene in genes])
    table = bench.store.put_file(
        "table",
        lambda path: frame.to_csv(path, index=False, float_format="%.6g"),
        f"Salient genes of {cells.label}",
        tool=NAME,
    )
    return ExplainResult(
        figures=(_figure(cells, genes, adata, bench, target=args.target),),
        tables=(table,),
        target=args.target,
        label=cells.label,
        read_as=said.read_as,
        ontology_id=said.term,
        cells_from=cells.origin,
        n_cells=len(cells.rows),
        n_used=len(cells.rows) if said.n_used is None else said.n_used,
        method=said.method,
        predicted=said.predicted,
        genes=genes,
        names=tuple(gene.gene for gene in genes),
        backed=backed,
        share_backed=len(backed) / max(len(genes), 1),
        share_random=said.random[0],
        n_random=said.random[1],
    )


def _figure(
    cells: _Cells, genes: tuple[SalientGene, ...], adata: AnnData, bench: Workbench, *, target: str
) -> ArtifactRef:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    groups = _shown_groups(adata, bench)
    height = 1.9 + 0.27 * len(genes)
    figure = Figure(figsize=(8.8, height), dpi=figures.DPI, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    at = np.arange(len(genes))
    marked = [gene.n_records > 0 or gene.is_target for gene in genes]
    tint = [figures.PALETTE[0] if one else "#B9B9B9" for one in marked]
    left.barh(at, [gene.saliency for gene in genes], color=tint)
    left.set_yticks(at, [gene.gene for gene in genes], fontstyle="italic")
    left.invert_yaxis()
    left.set_xlabel(
        "contribution to z (negative: towards sensitive)"
        if target == "drug"
        else "saliency (share of the strongest)",
        fontsize=9,
    )
    left.axvline(0, color="#888888", linewidth=0.7)
    word = ("drug target", "other") if target == "drug" else ("marker record", "no record")
    figure.legend(
        handles=[
            Patch(color=figures.PALETTE[0], label=word[0]),
            Patch(color="#B9B9B9", label=word[1]),
        ],
        frameon=False, fontsize=8, loc="outside lower left", ncols=2,
    )  # fmt: skip
    figures.plain(left)
    _heat(right, groups, genes, adata)
    what = "genes behind the response to" if target == "drug" else "genes behind"
    figure.suptitle(f"{what.capitalize()} {figures.short(cells.label, 40)}", fontsize=11)
    return figures.save(figure, bench, f"Salient genes of {cells.label}", tool=NAME)


def _shown_groups(adata: AnnData, bench: Workbench) -> Series:
    name = LABEL if LABEL in adata.obs else default_grouping(bench.passport)
    if name is None:
        import pandas as pd

        return pd.Series(["all cells"] * adata.n_obs, index=adata.obs_names, dtype="category")
    return grouping(adata.obs, name)


def _heat(axes: Axes, groups: Series, genes: tuple[SalientGene, ...], adata: AnnData) -> None:
    by_symbol = {name: at for at, name in enumerate(symbols(adata))}
    at = [by_symbol[gene.gene] for gene in genes]
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    counts = groups.value_counts()
    names = [str(name) for name in counts.index if counts[name] >= MIN_GROUP][:14]
    means = np.array([profiles[name].mean_in for name in names]).T
    scaled = means / np.maximum(means.max(axis=1, keepdims=True), 1e-9)
    image = axes.imshow(scaled, cmap=figures.SEQUENTIAL, vmin=0, vmax=1, aspect="auto")
    axes.set_yticks([])
    axes.set_xticks(
        range(len(names)), [figures.short(name, 26) for name in names], rotation=45, ha="right",
        fontsize=7.5,
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("mean expression\n(share of highest group)", fontsize=7.5)
    bar.ax.tick_params(labelsize=7)


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
        "Explains a cell type call (or a predicted drug response) by the genes that the model "
        "looks at, with marker records and PMIDs, expression, and a comparison with random genes."
    ),
    args=ExplainArgs,
    result=ExplainResult,
    needs=Needs(),
    gate=_gate,
    run=_run,
)
