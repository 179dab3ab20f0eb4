"""``generate_cells``: synthetic counts of a cell type, checked and marked as synthetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from cellwright.errors import RefusedError
from cellwright.tools.generation_checks import GeneratedMeasures, draw_checks, held_out_fields
from cellwright.tools.generation_result import GenerateResult
from cellwright.tools.model_card import card, label_space
from cellwright.tools.spec import Needs, ToolArgs, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.cellmodel.generation import GeneratedCells
    from cellwright.tools.passport import Passport

NAME = "generate_cells"


class GenerateArgs(ToolArgs):
    """Which cells, and how many."""

    cell_type: str = Field(min_length=1, description="Cell type, by name or Cell Ontology id.")
    tissue: str | None = Field(default=None, description="Tissue, such as 'blood'.")
    species: Literal["human", "mouse"] | None = Field(
        default=None, description="Species; that of the data, else human."
    )
    protocol: str | None = Field(default=None, description="Protocol, such as '10x'.")
    n: int = Field(default=100, ge=1, le=10_000, description="Number of cells.")


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
    measures = GeneratedMeasures(drawn, reference)
    checks = measures.checks(recognised)
    term = next(one.ontology_id for one in model.labels if one.name == drawn.source.name)
    cells = bench.store.put_file(
        "anndata",
        lambda path: adata.write_h5ad(path, compression="lzf"),
        f"{args.n} synthetic cells, {drawn.source.name}",
        tool=NAME,
    )
    return GenerateResult(
        cells=cells,
        figures=(draw_checks(measures, drawn, bench, tool=NAME),),
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
        **held_out_fields(reference.realism),
    )


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
