"""``annotate_cells``: what every cell is, by the cell model and by marker records."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cellwright.cellmodel.labels import tissue_groups
from cellwright.tools.agreement import UNKNOWN, Agreement, agreement
from cellwright.tools.annotation_columns import (
    BY_MARKERS,
    BY_MODEL,
    LABEL,
    SEPARATOR,
    CellCalls,
    call_cells,
    write_calls,
)
from cellwright.tools.annotation_figures import draw_agreement, draw_labels
from cellwright.tools.annotation_result import (
    AnnotateResult,
    BackedOff,
    BackedOffTerm,
    LabelCount,
)
from cellwright.tools.backoff import Category
from cellwright.tools.calls import ask_markers, ask_model
from cellwright.tools.cell_warnings import warn_of_cells
from cellwright.tools.cluster_calls import compare_calls, save_calls
from cellwright.tools.columns import grouping
from cellwright.tools.model_card import card, gene_keys, label_space
from cellwright.tools.selection import MADE, groups_of
from cellwright.tools.spec import Needs, Preparation, ToolArgs, ToolSpec, Verdict
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.passport import Passport

NAME = "annotate_cells"
LOW = 0.5
"""Score below which a cell model's label counts as doubtful."""

FEW_GENES = 500
N_SETS = 3
"""Label sets that are shown for a term."""

N_LABELS = 4
"""Labels of a set that are shown; the column holds them all."""


class AnnotateArgs(ToolArgs):
    """How to annotate."""

    level: Literal["cell", "cluster"] = Field(
        default="cell", description="A label for each cell, or one for each cluster."
    )
    group_by: str | None = Field(
        default=None, description="Column of obs with the clusters; Leiden clusters when left out."
    )
    choices: tuple[str, ...] | None = Field(
        default=None, description="Cell types to choose from; all that are known when left out."
    )


def _run(args: AnnotateArgs, bench: Workbench) -> AnnotateResult:
    adata, passport = bench.adata(), bench.passport
    tissue, ontology = _tissue(passport), bench.knowledge.ontology
    clusters = groups_of(adata, passport, args.group_by or _cluster_column(passport))
    bench.progress("asking the cell model", 0.05)
    said = ask_model(adata, bench, args.choices, tissue)
    bench.progress("matching clusters with marker records", 0.7)
    marked = ask_markers(adata, clusters, bench, args.choices, tissue)
    rows = compare_calls(marked, clusters, said, ontology)
    calls = call_cells(clusters, said, marked, args.level, ontology)
    write_calls(adata, calls)
    warnings = warn_of_cells(adata, calls.labels, clusters, bench)
    adata.uns["cellwright_annotation"] = json.dumps(
        {
            "level": args.level,
            "clusters": str(clusters.name),
            "choices": args.choices,
            "marker_gene_evidence": {row.cluster: list(row.markers) for row in rows},
            "rationale": {row.cluster: row.verdict for row in rows},
        }
    )
    counts = _counts(calls)
    checked = _check(adata, calls, bench, tissue)
    figures = tuple(draw_labels(adata, LABEL, bench, tool=NAME))
    if checked is not None:
        truth = grouping(adata.obs, checked.column)
        figures += (draw_agreement(truth, adata.obs[LABEL], bench, tool=NAME),)
    spoken = calls.sources == BY_MODEL
    return AnnotateResult(
        data=bench.put_adata(adata, f"annotated: {len(counts)} labels", tool=NAME),
        figures=figures,
        tables=(save_calls(rows, bench, tool=NAME),),
        level=args.level,
        n_cells=adata.n_obs,
        n_types=sum(one.label != UNKNOWN for one in counts),
        by_model=float(spoken.mean()),
        by_markers=float((calls.sources == BY_MARKERS).mean()),
        unknown=float((calls.labels == UNKNOWN).mean()),
        low=float((calls.scores[spoken] < LOW).mean()) if spoken.any() else 0.0,
        low_threshold=LOW,
        why_no_model=said.why_not,
        choices=args.choices or (),
        counts=counts,
        cluster_column=str(clusters.name),
        clusters=tuple(rows),
        disagreements=tuple(at for at, row in enumerate(rows) if row.agree is False),
        backed_off=_backed_off(calls),
        warnings=warnings,
        agreement=checked,
        trained_on=_trained_on(passport, bench),
    )


def _tissue(passport: Passport | None) -> str | None:
    if passport is None or passport.tissue.value == "unknown":
        return None
    return passport.tissue.value


def _cluster_column(passport: Passport | None) -> str | None:
    """Leiden clusters made here before those of the file; labels are never used as clusters."""
    if passport is None:
        return None
    found = [column.name for column in passport.columns if column.role == "cluster"]
    made = [name for name in found if name.startswith(MADE)]
    return next(iter([*made, *found]), None)


def _counts(calls: CellCalls) -> tuple[LabelCount, ...]:
    rows = []
    for label in sorted(set(calls.labels.tolist())):
        own = calls.labels == label
        rows.append(
            LabelCount(
                label=label,
                ontology_id=Counter(calls.terms[own].tolist()).most_common(1)[0][0],
                n_cells=int(own.sum()),
                share=float(own.mean()),
                mean_score=float(calls.scores[own].mean()),
            )
        )
    return tuple(sorted(rows, key=lambda row: -row.n_cells))


def _backed_off(calls: CellCalls) -> BackedOff:
    """Cells with several labels, by the term that holds them."""
    wide = [one for one in calls.categories if len(one.labels) > 1]
    common = [one for one in wide if one.kind == "common"]
    apart = [one for one in wide if one.kind == "none"]
    return BackedOff(
        n_cells=len(wide),
        share=len(wide) / max(len(calls.labels), 1),
        n_common=len(common),
        n_apart=len(apart),
        terms=_terms(common),
        apart=_terms(apart),
    )


def _terms(categories: Sequence[Category]) -> tuple[BackedOffTerm, ...]:
    sets: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in categories:
        sets[one.name, one.ontology_id][_short(one.labels)] += 1
    rows = [
        BackedOffTerm(
            name=name,
            ontology_id=term,
            n_cells=found.total(),
            label_sets=tuple(text for text, _n in found.most_common(N_SETS)),
        )
        for (name, term), found in sets.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.n_cells, row.name)))


def _short(labels: Sequence[str]) -> str:
    names = sorted(labels)
    more = f" and {len(names) - N_LABELS} more" if len(names) > N_LABELS else ""
    return SEPARATOR.join(names[:N_LABELS]) + more


def _check(
    adata: AnnData, calls: CellCalls, bench: Workbench, tissue: str | None
) -> Agreement | None:
    passport = bench.passport
    if passport is None:
        return None
    own = [one for one in passport.columns if one.role == "label" and not one.name.startswith(MADE)]
    if not own:
        return None
    truth, space = grouping(adata.obs, own[0].name), label_space(bench.settings)
    aliases = {}
    for name in map(str, truth.cat.categories) if space is not None else ():
        at = space.find(name) if space is not None else None
        if at is not None and space is not None:
            aliases[name] = space.records[at].name
    return agreement(
        truth,
        calls.labels,
        calls.terms,
        bench.knowledge,
        species=passport.species.value,
        tissue=tissue,
        aliases=aliases,
    )


def _trained_on(passport: Passport | None, bench: Workbench) -> str:
    """Name of the training file that these cells are, as far as names tell; empty if none."""
    if passport is None:
        return ""
    stem = passport.file.split(".")[0]
    known = {
        name for one in (label_space(bench.settings) or _Empty()).records for name in one.datasets
    }
    known |= {str(one) for one in card(bench.settings).get("datasets", ()) if isinstance(one, str)}
    return stem if stem in known else ""


class _Empty:
    records: tuple = ()


def _gate(args: AnnotateArgs, passport: Passport | None, bench: Workbench) -> Verdict:
    if passport is None:
        return Verdict()
    known = gene_keys(bench.settings)
    measured = round(passport.model_coverage * len(known))
    if known and measured < FEW_GENES:
        return Verdict(
            outcome="warn",
            reason=(
                f"The file measures {measured:,} of the {len(known):,} genes that the cell model "
                "reads, so its labels rest on few genes; `cellwright train --panel` makes a model "
                "for such cells."
            ),
        )
    space, tissue = label_space(bench.settings), _tissue(passport)
    if space is not None and tissue and not args.choices:
        trained = tissue_groups(*(one for record in space.records for one in record.tissues))
        if not tissue_groups(tissue) & trained:
            return Verdict(
                outcome="warn",
                reason=(
                    f"The cell model was trained on no cells of {tissue}, so clusters are named "
                    "by marker records alone."
                ),
            )
    return Verdict()


def _preparation(args: AnnotateArgs, passport: Passport | None, needs: Needs) -> Preparation:
    if args.group_by or _cluster_column(passport):
        return frozenset()
    return needs.prepared


ANNOTATE_CELLS = ToolSpec(
    name=NAME,
    title="Cell type annotation",
    description=(
        "Names the cell type of every cell (or cluster) with Cell Ontology ids and scores, by the "
        "cell model inside its range and by marker records elsewhere; shows where both disagree, "
        "which labels stand beside the first and the term that holds them, which cells look like "
        "doublets or of low quality, and the agreement with labels that the file brings."
    ),
    args=AnnotateArgs,
    result=AnnotateResult,
    needs=Needs(prepared=frozenset({"clusters"})),
    gate=_gate,
    preparation=_preparation,
    run=_run,
    changes_data=True,
)
