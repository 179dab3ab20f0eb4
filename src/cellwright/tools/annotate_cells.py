"""``annotate_cells``: what every cell is, by the cell model and by marker records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.cellmodel.labels import tissue_groups
from cellwright.knowledge.records import Evidence
from cellwright.tools.agreement import UNKNOWN, Agreement, agreement
from cellwright.tools.annotation_figures import draw_agreement, draw_labels
from cellwright.tools.calls import MarkerCall, ModelCalls, ask_markers, ask_model
from cellwright.tools.columns import grouping
from cellwright.tools.model_card import card, gene_keys, label_space
from cellwright.tools.selection import MADE, groups_of
from cellwright.tools.spec import (
    Claim,
    Needs,
    Preparation,
    Table,
    ToolArgs,
    ToolResult,
    ToolSpec,
    Verdict,
)
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import Series

    from cellwright.artifacts import ArtifactRef
    from cellwright.tools.passport import Passport

NAME = "annotate_cells"
LABEL = "cellwright_cell_type"
TERM = "cellwright_cell_type_ontology_term_id"
SCORE = "cellwright_score"
LABEL_SET = "cellwright_label_set"
SOURCE = "cellwright_source"
BY_MODEL, BY_MARKERS, BY_NONE = "cell model", "markers", "none"
COVERED = 0.5
"""Share of a cluster's cells within the model's range from which the model names the cluster."""

LOW = 0.5
"""Score below which a cell model's label counts as doubtful."""

CLOSE_CALL = 0.53
"""Share of the first two marker scores below which the first is hardly ahead."""

FEW_GENES = 500
NOT_RECORDED = frozenset({"CL:0001064"})
"""Malignant cells: marker records are of healthy types and cannot name a tumour's cell line."""

NO_LINES = "cell model only; marker records name no cell lines"


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


class LabelCount(BaseModel):
    """A cell type and its cells."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="Cell type.")
    ontology_id: str = Field(description="Cell Ontology id; empty if none.")
    n_cells: int = Field(description="Number of cells.")
    share: float = Field(description="Share of all cells.")
    mean_score: float = Field(description="Mean score of its cells.")


class ClusterCall(BaseModel):
    """What the two ways say of a cluster."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(description="Name of the cluster.")
    n_cells: int = Field(description="Number of its cells.")
    model_label: str = Field(description="The cell model's most frequent label; may be unknown.")
    model_share: float = Field(description="Share of the cluster's cells with that label.")
    in_range: float = Field(description="Share of its cells within the model's range.")
    marker_label: str = Field(description="Cell type by marker records; may be unknown.")
    marker_ontology_id: str = Field(description="Its Cell Ontology id; empty if none.")
    marker_score: float = Field(description="First score over the first two; 0.5 is undecided.")
    marker_runner_up: str = Field(description="Next cell type by marker records.")
    markers: tuple[str, ...] = Field(description="Genes behind the marker label.")
    citation: str = Field(description="Citation of the first record; may be empty.")
    agree: bool | None = Field(description="Whether both name related types; None if one is mute.")
    verdict: str = Field(description="How the two stand to each other, in words.")
    evidence: tuple[Evidence, ...] = Field(description="Records behind the marker label.")


class AnnotateResult(ToolResult):
    """Cell types, and how sure they are."""

    level: str = Field(description="cell or cluster.")
    n_cells: int = Field(description="Number of cells.")
    n_types: int = Field(description="Number of cell types found.")
    by_model: float = Field(description="Share of cells that the cell model named.")
    by_markers: float = Field(description="Share of cells that marker records named.")
    unknown: float = Field(description="Share of cells left unknown.")
    low: float = Field(description="Share of the model's cells with a score below the threshold.")
    low_threshold: float = Field(description="That threshold.")
    why_no_model: str = Field(description="Why the cell model was not asked; empty if it was.")
    choices: tuple[str, ...] = Field(
        description="Cell types that were to choose from; may be empty."
    )
    counts: tuple[LabelCount, ...] = Field(description="Cell types, most frequent first.")
    cluster_column: str = Field(description="Column with the clusters.")
    clusters: tuple[ClusterCall, ...] = Field(description="Both ways on each cluster.")
    disagreements: tuple[int, ...] = Field(
        description="Positions of clusters on which they differ."
    )
    agreement: Agreement | None = Field(description="Agreement with the file's labels, or None.")
    trained_on: str = Field(description="The training file that this file is, if it is one.")

    def claims(self) -> list[Claim]:
        """What the cells are, how far both ways agree, and doubts."""
        return [*self._findings(), *self._agreement_claims(), *self._caveats()]

    def _findings(self) -> list[Claim]:
        leading = ", ".join(
            f"{{counts.{at}.label}} ({{counts.{at}.share:.1%}})"
            for at, count in enumerate(self.counts[:6])
            if count.label != UNKNOWN
        )
        found = [
            Claim(
                template="{n_cells:,} cells were annotated by {level}: {n_types} cell types, most "
                f"often {leading}."
                if leading
                else "None of the {n_cells:,} cells could be named."
            ),
            Claim(
                template="The cell model named {by_model:.1%} of the cells and marker records "
                "{by_markers:.1%}; {unknown:.1%} are left unknown."
            ),
        ]
        cited = [
            at
            for at, one in enumerate(self.clusters)
            if one.citation and (one.agree or one.model_label == UNKNOWN)
        ][:3]
        found += [
            Claim(
                template=f"Cluster {{clusters.{at}.cluster}} expresses {{clusters.{at}.markers}}, "
                f"recorded markers of {{clusters.{at}.marker_label}} "
                f"({{clusters.{at}.marker_ontology_id}}) {{clusters.{at}.citation}}."
            )
            for at in cited
        ]
        return found

    def _agreement_claims(self) -> list[Claim]:
        if self.agreement is None:
            return []
        return [
            Claim(
                template="Against the file's own labels (`{agreement.column}`, "
                "{agreement.n_mapped} of {agreement.n_labels} of which the Cell Ontology has a "
                "term for): {agreement.exact:.1%} of {agreement.n_cells:,} cells were given the "
                "same term, {agreement.related:.1%} the same, a broader or a narrower one."
            ),
            Claim(
                template="Agreement is lowest for `{agreement.lowest}` "
                "({agreement.lowest_related:.1%}), called {agreement.lowest_called} most often.",
                kind="caveat",
            ),
        ]

    def _caveats(self) -> list[Claim]:
        found = []
        if self.trained_on:
            found.append(
                Claim(
                    template="The cell model was trained on the study {trained_on}, of which these "
                    "cells are part: agreement here is no test.",
                    kind="caveat",
                )
            )
        if self.why_no_model:
            found.append(
                Claim(template="Only marker records were used: {why_no_model}.", kind="caveat")
            )
        for at in self.disagreements[:5]:
            found.append(
                Claim(
                    template=f"Cluster {{clusters.{at}.cluster}} ({{clusters.{at}.n_cells:,}} "
                    f"cells): the cell model says {{clusters.{at}.model_label}}, marker records "
                    f"say {{clusters.{at}.marker_label}} ({{clusters.{at}.markers}}).",
                    kind="caveat",
                )
            )
        if self.low > 0:
            found.append(
                Claim(
                    template="{low:.1%} of the cells that the model named have a score below "
                    "{low_threshold:g}; their label sets name the alternatives.",
                    kind="caveat",
                )
            )
        return found

    def report_tables(self) -> list[Table]:
        """Cell types, clusters, and agreement."""
        tables = [
            Table(
                title="Cell types",
                rows="counts",
                columns=(
                    ("label", "Cell type"),
                    ("ontology_id", "Cell Ontology"),
                    ("n_cells:,", "Cells"),
                    ("share:.1%", "Share"),
                    ("mean_score:.2f", "Mean score"),
                ),
            ),
            Table(
                title="Cluster by cluster",
                rows="clusters",
                columns=(
                    ("cluster", "Cluster"),
                    ("n_cells:,", "Cells"),
                    ("model_label", "Cell model"),
                    ("model_share:.0%", "of its cells"),
                    ("marker_label", "Marker records"),
                    ("markers", "By the genes"),
                    ("verdict", "Verdict"),
                ),
            ),
        ]
        if self.agreement is not None:
            tables.append(
                Table(
                    title="Agreement with the file's labels",
                    rows="agreement.per_label",
                    columns=(
                        ("label", "Label in the file"),
                        ("meaning", "Read as"),
                        ("n_cells:,", "Cells"),
                        ("most_called", "Mostly called"),
                        ("called_share:.0%", "of cells"),
                        ("exact:.0%", "Same term"),
                        ("related:.0%", "Related term"),
                    ),
                )
            )
        return tables


def _run(args: AnnotateArgs, bench: Workbench) -> AnnotateResult:
    adata, passport = bench.adata(), bench.passport
    tissue = _tissue(passport)
    clusters = groups_of(adata, passport, args.group_by or _cluster_column(passport))
    bench.progress("asking the cell model", 0.05)
    said = ask_model(adata, bench, args.choices, tissue)
    bench.progress("matching clusters with marker records", 0.7)
    marked = ask_markers(adata, clusters, bench, args.choices, tissue)
    rows = [_cluster_call(name, call, clusters, said, bench) for name, call in marked.items()]
    rows.sort(key=lambda row: -row.n_cells)
    write_calls(adata, clusters, said, marked, args.level)
    adata.uns["cellwright_annotation"] = json.dumps(
        {
            "level": args.level,
            "clusters": str(clusters.name),
            "choices": args.choices,
            "marker_gene_evidence": {row.cluster: list(row.markers) for row in rows},
            "rationale": {row.cluster: row.verdict for row in rows},
        }
    )
    counts = _counts(adata)
    checked = _check(adata, bench, tissue)
    figures = tuple(draw_labels(adata, LABEL, bench, tool=NAME))
    if checked is not None:
        truth = grouping(adata.obs, checked.column)
        figures += (draw_agreement(truth, adata.obs[LABEL], bench, tool=NAME),)
    source = adata.obs[SOURCE].to_numpy()
    spoken = source == BY_MODEL
    return AnnotateResult(
        data=bench.put_adata(adata, f"annotated: {len(counts)} labels", tool=NAME),
        figures=figures,
        tables=(_table(rows, bench),),
        level=args.level,
        n_cells=adata.n_obs,
        n_types=sum(one.label != UNKNOWN for one in counts),
        by_model=float(spoken.mean()),
        by_markers=float((source == BY_MARKERS).mean()),
        unknown=float((adata.obs[LABEL] == UNKNOWN).mean()),
        low=float((adata.obs[SCORE].to_numpy()[spoken] < LOW).mean()) if spoken.any() else 0.0,
        low_threshold=LOW,
        why_no_model=said.why_not,
        choices=args.choices or (),
        counts=counts,
        cluster_column=str(clusters.name),
        clusters=tuple(rows),
        disagreements=tuple(at for at, row in enumerate(rows) if row.agree is False),
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


def write_calls(
    adata: AnnData, clusters: Series, said: ModelCalls, marked: dict[str, MarkerCall], level: str
) -> None:
    """Write label, term, score, label set and source of every cell to obs."""
    n = adata.n_obs
    labels, terms = np.full(n, UNKNOWN, dtype=object), np.full(n, "", dtype=object)
    scores, sources = np.zeros(n, dtype=np.float32), np.full(n, BY_NONE, dtype=object)
    sets = np.full(n, "", dtype=object)
    by_cluster = level == "cluster"
    for name, call in marked.items():
        rows = np.flatnonzero(np.asarray(clusters == name))
        named = rows[said.labels[rows] != UNKNOWN]
        if by_cluster and len(named) >= COVERED * len(rows) and len(rows):
            label, term, share = _majority(named, said)
            labels[rows], terms[rows], scores[rows] = label, term, share
            sets[rows], sources[rows] = label, BY_MODEL
            continue
        rest = rows if by_cluster else np.setdiff1d(rows, named)
        if call.label != UNKNOWN:
            labels[rest], terms[rest] = call.label, call.ontology_id
            scores[rest], sources[rest] = call.score, BY_MARKERS
            sets[rest] = " | ".join(one for one in (call.label, call.runner_up) if one)
    if not by_cluster:
        named = np.flatnonzero(said.labels != UNKNOWN)
        labels[named], terms[named], scores[named] = (
            said.labels[named],
            said.ids[named],
            said.scores[named],
        )
        sources[named] = BY_MODEL
        for row in named:
            sets[row] = " | ".join(said.sets[row])
    for column, values in ((LABEL, labels), (TERM, terms), (LABEL_SET, sets), (SOURCE, sources)):
        adata.obs[column] = values.astype(str)
        adata.obs[column] = adata.obs[column].astype("category")
    adata.obs[SCORE] = scores


def _majority(rows: np.ndarray, said: ModelCalls) -> tuple[str, str, float]:
    values, counts = np.unique(said.labels[rows].astype(str), return_counts=True)
    label = str(values[counts.argmax()])
    term = next(str(said.ids[row]) for row in rows if said.labels[row] == label)
    return label, term, float(counts.max() / len(rows))


def _cluster_call(
    name: str, call: MarkerCall, clusters: Series, said: ModelCalls, bench: Workbench
) -> ClusterCall:
    rows = np.flatnonzero(np.asarray(clusters == name))
    named = rows[said.labels[rows] != UNKNOWN]
    label, term, share = UNKNOWN, "", 0.0
    if len(named):
        label, term, share = _majority(named, said)
        share *= len(named) / len(rows)
    agree: bool | None = None
    spoken = UNKNOWN not in {label, call.label} and term and call.ontology_id
    if spoken and term not in NOT_RECORDED:
        agree = bench.knowledge.ontology.related(term, call.ontology_id)
    return ClusterCall(
        cluster=name,
        n_cells=len(rows),
        model_label=label,
        model_share=share,
        in_range=float(said.in_range[rows].mean()) if len(rows) else 0.0,
        marker_label=call.label,
        marker_ontology_id=call.ontology_id,
        marker_score=call.score,
        marker_runner_up=call.runner_up,
        markers=call.genes,
        citation=call.evidence[0].cite() if call.evidence else "",
        agree=agree,
        verdict=NO_LINES if term in NOT_RECORDED else _verdict(label, call, agree=agree),
        evidence=call.evidence,
    )


def _verdict(model_label: str, call: MarkerCall, *, agree: bool | None) -> str:
    close = f"; hardly ahead of {call.runner_up}" if 0 < call.score < CLOSE_CALL else ""
    if agree is True:
        return "both agree"
    if agree is False:
        return f"they differ{close}"
    if model_label != UNKNOWN:
        return "cell model only"
    return f"markers only{close}" if call.label != UNKNOWN else "unknown"


def _counts(adata: AnnData) -> tuple[LabelCount, ...]:
    table = adata.obs.groupby(LABEL, observed=True)
    rows = [
        LabelCount(
            label=str(label),
            ontology_id=str(part[TERM].mode().iloc[0]),
            n_cells=len(part),
            share=len(part) / adata.n_obs,
            mean_score=float(part[SCORE].mean()),
        )
        for label, part in table
    ]
    return tuple(sorted(rows, key=lambda row: -row.n_cells))


def _check(adata: AnnData, bench: Workbench, tissue: str | None) -> Agreement | None:
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
        adata.obs[LABEL].astype(str).to_numpy(),
        adata.obs[TERM].astype(str).to_numpy(),
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


def _table(rows: list[ClusterCall], bench: Workbench) -> ArtifactRef:
    import pandas as pd

    frame = pd.DataFrame(
        [
            {
                key: " ".join(value) if isinstance(value, tuple) else value
                for key, value in row.model_dump(exclude={"evidence"}).items()
            }
            for row in rows
        ]
    )
    return bench.store.put_file(
        "table",
        lambda path: frame.to_csv(path, index=False, float_format="%.6g"),
        "Calls of both ways for each cluster",
        tool=NAME,
    )


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
                "reads, so its labels rest on few genes."
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
        "and the agreement with labels that the file brings."
    ),
    args=AnnotateArgs,
    result=AnnotateResult,
    needs=Needs(prepared=frozenset({"clusters"})),
    gate=_gate,
    preparation=_preparation,
    run=_run,
)
