"""``generate_cells``: synthetic counts of a cell type, checked and marked as synthetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import RefusedError
from cellwright.tools import figures
from cellwright.tools.model_card import card, label_space
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.cellmodel.generation import GeneratedCells
    from cellwright.cellmodel.reference import TypeRealism, TypeReference
    from cellwright.tools.passport import Passport

NAME = "generate_cells"
ZERO_TOLERANCE = 0.1
MIN_CORRELATION = 0.9
MIN_SPREAD = 0.5
"""Least ratio of generated to measured variance over genes; lower is a collapsed sample."""

MIN_RECOGNISED = 0.8
MIN_AGREEMENT = 0.5
"""Least agreement of gene-gene correlations, of drawn cells with training cells."""

FEWEST_CORRELATED = 50
"""Cells, drawn or of training, below which correlations between genes are too uncertain."""


class GenerateArgs(ToolArgs):
    """Which cells, and how many."""

    cell_type: str = Field(min_length=1, description="Cell type, by name or Cell Ontology id.")
    tissue: str | None = Field(default=None, description="Tissue, such as 'blood'.")
    species: Literal["human", "mouse"] | None = Field(
        default=None, description="Species; that of the data, else human."
    )
    protocol: str | None = Field(default=None, description="Protocol, such as '10x'.")
    n: int = Field(default=100, ge=1, le=10_000, description="Number of cells.")


class Check(BaseModel):
    """A check of the generated cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What is checked.")
    value: float = Field(description="What the generated cells have.")
    wanted: str = Field(description="What passes.")
    passed: bool = Field(description="Whether it passes.")


class HeldOutFigure(BaseModel):
    """A comparison with held-out cells, made when the model was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What is compared.")
    value: float = Field(description="What drawn cells had.")
    real: float | None = Field(description="What training cells had, where it was measured.")
    ideal: str = Field(description="What cells that cannot be told from measured ones would have.")


class GenerateResult(ToolResult):
    """Synthetic cells and their checks."""

    cells: ArtifactRef = Field(description="AnnData of integer counts, marked as synthetic.")
    cell_type: str = Field(description="Cell type, as the model names it.")
    ontology_id: str = Field(description="Its Cell Ontology id; may be empty.")
    species: str = Field(description="Species.")
    tissue: str = Field(description="Tissue of the training cells that the draw follows.")
    protocol: str = Field(description="Protocol of the training cells that the draw follows.")
    study: str = Field(description="Training file that the draw follows.")
    n_training: int = Field(description="Training cells of the type in it.")
    n: int = Field(description="Number of generated cells.")
    n_genes: int = Field(description="Number of genes.")
    seed: int = Field(description="Seed of the draw.")
    condition: str = Field(description="Text under which the cells were drawn.")
    median_total: float = Field(description="Median counts of a generated cell.")
    reference_total: float = Field(description="Median counts of the training cells.")
    correlation: float = Field(description="Pearson correlation of mean log expression.")
    recognised: float = Field(
        description="Share that the cell model gives the same or related type."
    )
    duplicates: int = Field(description="Generated cells that equal another one exactly.")
    checks: tuple[Check, ...] = Field(description="Every check.")
    n_passed: int = Field(description="Checks that pass.")
    n_checks: int = Field(description="Checks made.")
    failed: tuple[str, ...] = Field(description="Names of checks that fail.")
    wished: str = Field(description="Tissue or protocol asked for that the draw does not follow.")
    n_held_out: int = Field(description="Held-out cells of the type and file, when trained.")
    held_out: tuple[HeldOutFigure, ...] = Field(
        description="Drawn beside held-out cells, when trained; empty where these were too few."
    )
    auc: float | None = Field(
        description="How well a classifier told drawn from held-out cells; .5 is not at all."
    )
    auc_real: float | None = Field(description="The same of training and held-out cells.")
    nearest_ratio: float | None = Field(
        description="Distance of a drawn cell to its nearest training cell over a held-out one's."
    )

    def claims(self) -> list[Claim]:
        """What was drawn, how the checks ended, and what was not checked."""
        found = [
            Claim(
                template="{n:,} synthetic {cell_type} cells ({species}) were drawn with seed "
                "{seed}, after {n_training:,} training cells of {study} ({tissue}, {protocol})."
            ),
            Claim(
                template="{n_passed} of {n_checks} checks pass. Median counts per cell are "
                "{median_total:,.0f} against {reference_total:,.0f} in training; mean expression "
                "over {n_genes:,} genes correlates at {correlation:.2f}; the cell model recognises "
                "{recognised:.1%} as the type or a related one."
            ),
        ]
        if self.failed:
            found.append(Claim(template="Checks that fail: {failed}.", kind="caveat"))
        if self.wished:
            found.append(
                Claim(
                    template="The model learned this type from {tissue} ({protocol}) only, not "
                    "from {wished}.",
                    kind="caveat",
                )
            )
        found.append(
            Claim(
                template="The cells are marked synthetic and must not be counted as measured. "
                "{duplicates} of them equal one another exactly.",
                kind="caveat",
            )
        )
        found.append(self._copying())
        return found

    def _copying(self) -> Claim:
        """What is known of copies, and of how well drawn cells can be told from measured ones."""
        if self.auc is None:
            return Claim(
                template="Whether any copies a training cell cannot be checked here, because no "
                "training cells are shipped; and when the model was trained, {n_held_out} held-out "
                "cells of the type were too few to compare with.",
                kind="caveat",
            )
        return Claim(
            template="Training cells are not shipped, so copies cannot be looked for among these "
            "cells. When the model was trained, a drawn cell of this type was {nearest_ratio:.2f} "
            "times as far from its nearest training cell as a held-out cell was, and a classifier "
            "told drawn from {n_held_out} held-out cells with an AUC of {auc:.2f} (training from "
            "held-out cells: {auc_real:.2f}).",
            kind="caveat",
        )

    def report_tables(self) -> list[Table]:
        """The checks, and the comparison with held-out cells."""
        found = [
            Table(
                title="Checks of the generated cells",
                rows="checks",
                columns=(
                    ("name", "Check"),
                    ("value:.3g", "Generated"),
                    ("wanted", "Passes if"),
                    ("passed", "Passes"),
                ),
            )
        ]
        if self.held_out:
            found.append(
                Table(
                    title="Drawn beside held-out cells, when the model was trained",
                    rows="held_out",
                    columns=(
                        ("name", "Figure"),
                        ("value:.3g", "Drawn"),
                        ("real:.3g", "Training cells"),
                        ("ideal", "Ideal"),
                    ),
                )
            )
        return found


def _run(args: GenerateArgs, bench: Workbench) -> GenerateResult:
    from cellwright.cellmodel.generation import UnknownTypeError

    model, species = bench.cell_model, _species(args, bench.passport)
    seed = bench.settings.seed
    bench.progress(f"drawing {args.n} cells", 0.2)
    try:
        drawn = model.generate(
            _model_name(args.cell_type, bench),
            tissue=args.tissue or "",
            species=species,
            protocol=args.protocol,
            n=args.n,
            seed=seed,
        )
    except UnknownTypeError as error:
        raise RefusedError(*_refusal(args.cell_type, species, error.near)) from error
    reference = model.reference(drawn.source.name, dataset=drawn.source.dataset)
    bench.progress("checking", 0.7)
    adata = _as_adata(drawn, args, bench, seed)
    recognised = _recognised(drawn, bench, species)
    measures = _Measures(drawn, reference)
    checks = measures.checks(recognised)
    term = next(one.ontology_id for one in model.labels if one.name == drawn.source.name)
    cells = bench.store.put_file(
        "anndata",
        lambda path: adata.write_h5ad(path, compression="lzf"),
        f"{args.n} synthetic {drawn.source.name} cells",
        tool=NAME,
    )
    return GenerateResult(
        cells=cells,
        figures=(_figure(measures, drawn, bench),),
        cell_type=drawn.source.name,
        ontology_id=term,
        species=drawn.source.species,
        tissue=drawn.source.tissue,
        protocol=drawn.source.protocol,
        study=drawn.source.dataset,
        n_training=drawn.source.n_cells,
        n=adata.n_obs,
        n_genes=adata.n_vars,
        seed=seed,
        condition=drawn.condition,
        median_total=float(np.median(measures.totals)),
        reference_total=float(reference.library_quantiles[2]),
        correlation=measures.correlation,
        recognised=recognised,
        duplicates=measures.duplicates,
        checks=checks,
        n_passed=sum(check.passed for check in checks),
        n_checks=len(checks),
        failed=tuple(check.name for check in checks if not check.passed),
        wished=_wished(args, drawn),
        **_held_out(reference.realism),
    )


def _held_out(realism: TypeRealism | None) -> dict[str, Any]:
    """Fields on the comparison with held-out cells."""
    one = realism
    rows: list[tuple[str, float | None, float | None, str]] = []
    if one is not None:
        rows = [
            ("median counts per cell, ratio", one.library_ratio, None, "1"),
            ("share of zeros, difference", one.zero_gap, None, "0"),
            (
                "agreement of gene-gene correlations",
                one.gene_correlation,
                one.gene_correlation_real,
                "that of training cells",
            ),
            ("two-sample AUC", one.two_sample_auc, one.two_sample_auc_real, "0.5"),
            ("distance to the nearest training cell, ratio", one.nearest_ratio, None, "1"),
        ]
    return {
        "n_held_out": 0 if one is None else one.n_held_out,
        "held_out": tuple(
            HeldOutFigure(name=name, value=value, real=real, ideal=ideal)
            for name, value, real, ideal in rows
            if value is not None
        ),
        "auc": None if one is None else one.two_sample_auc,
        "auc_real": None if one is None else one.two_sample_auc_real,
        "nearest_ratio": None if one is None else one.nearest_ratio,
    }


def _species(args: GenerateArgs, passport: Passport | None) -> str:
    if args.species:
        return args.species
    if passport is not None and passport.species.value != "unknown":
        return passport.species.value
    return "human"


def _model_name(cell_type: str, bench: Workbench) -> str:
    """The type as the cell model names it: by its own names, else through the Cell Ontology."""
    space = label_space(bench.settings)
    if space is None or space.find(cell_type) is not None:
        return cell_type
    bare = cell_type.strip().removesuffix("s").removesuffix(" cell")
    if space.find(bare) is not None:
        return bare
    term = bench.knowledge.ontology.lookup(cell_type).ontology_id
    at = space.find(term) if term else None
    return cell_type if at is None else space.records[at].name


def _refusal(cell_type: str, species: str, near: tuple[str, ...]) -> tuple[str, str]:
    reason = f"The cell model has learned no counts of {species} {cell_type!r}."
    return reason, f"Near types that it can draw: {', '.join(near)}." if near else ""


def _as_adata(drawn: GeneratedCells, args: GenerateArgs, bench: Workbench, seed: int) -> AnnData:
    import pandas as pd
    from anndata import AnnData

    genes, source, n = bench.knowledge.genes, drawn.source, drawn.counts.shape[0]
    symbols = [genes.symbol_of_key(key, source.species) for key in drawn.keys]
    obs = pd.DataFrame(
        {
            "cell_type": source.name,
            "species": source.species,
            "tissue": source.tissue,
            "protocol": source.protocol,
            "cellwright_is_synthetic": True,
        },
        index=[f"synthetic_{seed}_{at}" for at in range(n)],
    )
    var = pd.DataFrame({"cellwright_gene_key": list(drawn.keys)}, index=pd.Index(symbols))
    adata = AnnData(drawn.counts.astype(np.float32), obs=obs, var=var)
    adata.var_names_make_unique()
    adata.uns["cellwright_synthetic"] = {
        "is_synthetic": True,
        "condition": drawn.condition,
        "asked_for": args.cell_type,
        "seed": seed,
        "follows": source.dataset,
    }
    return adata


class _Measures:
    """The generated cells beside the summaries of the training cells."""

    def __init__(self, drawn: GeneratedCells, reference: TypeReference) -> None:
        counts = np.asarray(drawn.counts.todense(), dtype=np.float64)
        self.reference = reference
        self.totals = counts.sum(axis=1)
        self.zero_rate = float((counts == 0).mean())
        logged = np.log1p(counts * (1e4 / np.maximum(self.totals, 1))[:, None])
        self.mean, self.variance = logged.mean(axis=0), logged.var(axis=0)
        self.expected = np.asarray(reference.mean_log1p, dtype=np.float64)
        self.correlation = _correlation(self.mean, self.expected)
        spread = float(np.sum(reference.var_log1p))
        self.spread = float(self.variance.sum() / spread) if spread > 0 else 0.0
        self.duplicates = len(counts) - len(np.unique(counts, axis=0))
        self.pairs = _gene_pairs(logged, reference)
        self.correlation_of_pairs = 0.0 if self.pairs is None else _correlation(*self.pairs)

    def checks(self, recognised: float) -> tuple[Check, ...]:
        low, high = self.reference.library_quantiles[0], self.reference.library_quantiles[-1]
        zero = self.reference.zero_rate
        median = float(np.median(self.totals))
        rows: tuple[tuple[str, float, str, bool], ...] = (
            ("median counts per cell", median, f"{low:,.0f} to {high:,.0f}", low <= median <= high),
            (
                "share of zeros",
                self.zero_rate,
                f"{zero:.2f} ± {ZERO_TOLERANCE}",
                abs(self.zero_rate - zero) <= ZERO_TOLERANCE,
            ),
            (
                "correlation of mean expression",
                self.correlation,
                f"at least {MIN_CORRELATION}",
                self.correlation >= MIN_CORRELATION,
            ),
            (
                "variance over measured variance",
                self.spread,
                f"{MIN_SPREAD} to {1 / MIN_SPREAD:g}",
                MIN_SPREAD <= self.spread <= 1 / MIN_SPREAD,
            ),
            (
                "recognised by the cell model",
                recognised,
                f"at least {MIN_RECOGNISED}",
                recognised >= MIN_RECOGNISED,
            ),
            ("exact duplicates among them", float(self.duplicates), "0", self.duplicates == 0),
        )
        if self.pairs is not None:
            rows += (
                (
                    "agreement of gene-gene correlations",
                    self.correlation_of_pairs,
                    f"at least {MIN_AGREEMENT}",
                    self.correlation_of_pairs >= MIN_AGREEMENT,
                ),
            )
        return tuple(
            Check(name=name, value=value, wanted=wanted, passed=bool(passed))
            for name, value, wanted, passed in rows
        )


def _gene_pairs(
    levels: np.ndarray, reference: TypeReference
) -> tuple[np.ndarray, np.ndarray] | None:
    """Correlations of pairs of genes in training and in drawn cells; None for too few cells."""
    from cellwright.cellmodel.reference import pair_correlations

    if min(len(levels), reference.source.n_cells) < FEWEST_CORRELATED:
        return None
    found = pair_correlations(levels[:, reference.correlated])
    return np.asarray(reference.correlations[: len(found)], dtype=np.float64), found


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _recognised(drawn: GeneratedCells, bench: Workbench, species: str) -> float:
    from cellwright.cellmodel.data.block import make_block

    model, ontology = bench.cell_model, bench.knowledge.ontology
    block = make_block(drawn.counts, drawn.keys, model.vocabulary, "counts")
    called = model.annotate(block, species=species, tissue=drawn.source.tissue)
    records = {record.name: record for record in model.labels}
    wanted = records[drawn.source.name]

    def same(label: str, term: str) -> bool:
        if label == wanted.name:
            return True
        return bool(term and wanted.ontology_id and ontology.related(term, wanted.ontology_id))

    hits = [
        same(str(label), str(term))
        for label, term in zip(called.labels, called.ontology_ids, strict=True)
    ]
    return float(np.mean(hits))


def _wished(args: GenerateArgs, drawn: GeneratedCells) -> str:
    """What was asked for that the training cells behind the draw do not have."""
    from cellwright.cellmodel.labels import tissue_groups

    wished = []
    if args.tissue and not tissue_groups(args.tissue) & tissue_groups(drawn.source.tissue):
        wished.append(args.tissue)
    words = set(drawn.source.protocol.casefold().split())
    if args.protocol and not set(args.protocol.casefold().split()) & words:
        wished.append(args.protocol)
    return " and ".join(wished)


def _figure(measures: _Measures, drawn: GeneratedCells, bench: Workbench) -> ArtifactRef:
    from matplotlib.figure import Figure

    pairs = measures.pairs
    wide = 1 if pairs is None else 1.45
    figure = Figure(figsize=(8.6 * wide, 3.9), dpi=figures.DPI, layout="constrained")
    left, right, *more = figure.subplots(1, 2 if pairs is None else 3)
    quantiles = measures.reference.library_quantiles
    left.hist(measures.totals, bins=30, color=figures.PALETTE[0], alpha=0.85)
    left.axvspan(
        quantiles[0], quantiles[-1], color=figures.PALETTE[1], alpha=0.18, zorder=0,
        label="measured, middle 90 %",
    )  # fmt: skip
    left.axvline(quantiles[2], color=figures.PALETTE[5], linewidth=1.4, label="measured, median")
    left.set_xlabel("counts per cell", fontsize=9)
    left.set_ylabel("synthetic cells", fontsize=9)
    left.legend(frameon=False, fontsize=8)
    right.scatter(
        measures.expected, measures.mean, s=6, linewidths=0, color=figures.PALETTE[0], alpha=0.5,
        rasterized=True,
    )  # fmt: skip
    top = float(max(measures.expected.max(), measures.mean.max(), 0.1)) * 1.05
    right.plot([0, top], [0, top], color="#888888", linewidth=0.8)
    far = np.argsort(-np.maximum(measures.expected, measures.mean))[:6]
    for at in far:
        name = bench.knowledge.genes.symbol_of_key(drawn.keys[at], drawn.source.species)
        right.annotate(
            name, (measures.expected[at], measures.mean[at]), fontsize=7, fontstyle="italic",
            xytext=(3, -7), textcoords="offset points",
        )  # fmt: skip
    right.set_xlabel("measured mean (log1p CP10k)", fontsize=9)
    right.set_ylabel("synthetic mean (log1p CP10k)", fontsize=9)
    right.set_title(
        f"r = {measures.correlation:.2f} over {len(measures.mean):,} genes", fontsize=10
    )
    if pairs is not None:
        _draw_pairs(more[0], pairs, measures.correlation_of_pairs)
    for axes in (left, right, *more):
        figures.plain(axes)
    figure.suptitle(f"Synthetic {drawn.source.name} beside the measured summaries", fontsize=11)
    return figures.save(figure, bench, f"Checks of synthetic {drawn.source.name}", tool=NAME)


def _draw_pairs(axes: Any, pairs: tuple[np.ndarray, np.ndarray], correlation: float) -> None:
    axes.scatter(*pairs, s=6, linewidths=0, color=figures.PALETTE[0], alpha=0.5, rasterized=True)
    axes.plot([-1, 1], [-1, 1], color="#888888", linewidth=0.8)
    axes.set(xlim=(-0.6, 1), ylim=(-0.6, 1))
    axes.set_xlabel("correlation of two genes, measured", fontsize=9)
    axes.set_ylabel("synthetic", fontsize=9)
    axes.set_title(f"r = {correlation:.2f} over {len(pairs[0]):,} pairs", fontsize=10)


def _gate(args: GenerateArgs, passport: Passport | None, bench: Workbench) -> Verdict:
    """Refuse types that the model never saw counts of, and files that hold no counts at all."""
    if passport is not None and not passport.best:
        first = passport.matrices[0]
        return Verdict(
            outcome="refuse",
            reason=(
                f"{passport.file} holds {first.state} values ({first.evidence}); counts like these "
                "cells' cannot be drawn from it, nor drawn cells be compared with them."
            ),
            alternative=(
                "Supply the cells' raw counts, or draw a type that the model has learned without "
                "a data file (cellwright generate)."
            ),
        )
    space = label_space(bench.settings)
    if space is None:
        return Verdict(outcome="refuse", reason="There is no trained cell model to draw from.")
    from cellwright.cellmodel.generation import UnknownTypeError, pick_source
    from cellwright.cellmodel.reference import TypeSource

    sources = [TypeSource(**row) for row in card(bench.settings).get("generatable", ())]
    species = _species(args, passport)
    try:
        pick_source(sources, space, _model_name(args.cell_type, bench), species=species)
    except UnknownTypeError as error:
        reason, alternative = _refusal(args.cell_type, species, error.near)
        return Verdict(outcome="refuse", reason=reason, alternative=alternative)
    return Verdict()


GENERATE_CELLS = ToolSpec(
    name=NAME,
    title="Generated cells",
    description=(
        "Draws synthetic cells (integer counts) of a cell type that the cell model has learned, "
        "marks them as synthetic, and checks them against summaries of measured cells. Needs no "
        "data."
    ),
    args=GenerateArgs,
    result=GenerateResult,
    needs=Needs(data=False),
    gate=_gate,
    run=_run,
)
