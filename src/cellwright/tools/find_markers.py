"""``find_markers``: genes that set each group apart from the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import ToolError
from cellwright.knowledge.records import Evidence
from cellwright.tools import figures
from cellwright.tools.profiles import group_profiles
from cellwright.tools.selection import (
    groups_meant,
    groups_of,
    one_group,
    prepares_grouping,
    symbols,
)
from cellwright.tools.spec import Claim, Needs, ToolArgs, ToolResult, ToolSpec
from cellwright.tools.workbench import Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame, Series

NAME = "find_markers"
MIN_CELLS = 3
SHOWN_PER_GROUP = 3
MAX_DOT_GENES = 36
MATCHED = 25
"""Leading genes of a group that are held against the marker records."""


class MarkersArgs(ToolArgs):
    """Which groups to set apart."""

    group_by: str | None = Field(
        default=None, description="Column of obs; the labels, else the clusters, when left out."
    )
    groups: tuple[str, ...] | None = Field(
        default=None, description="Groups of the column; all of them when left out."
    )
    n_genes: int = Field(default=10, ge=1, le=200, description="Marker genes for each group.")


class Marker(BaseModel):
    """A gene that sets a group apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gene: str = Field(description="Gene symbol.")
    log2_fold_change: float = Field(description="log2 of mean expression in over outside.")
    share_in: float = Field(description="Share of the group's cells that express it.")
    share_out: float = Field(description="Share of all other cells that express it.")
    score: float = Field(description="Wilcoxon z score.")
    p_adjusted: float = Field(description="Benjamini-Hochberg p over cells; for ranking only.")


class GroupMarkers(BaseModel):
    """The marker genes of a group."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: str = Field(description="Name of the group.")
    n_cells: int = Field(description="Number of its cells.")
    genes: tuple[Marker, ...] = Field(description="Its marker genes, the strongest first.")
    names: tuple[str, ...] = Field(description="Their symbols.")
    known_type: str = Field(description="Cell type that marker records tie them to; may be empty.")
    known_id: str = Field(description="Its Cell Ontology id; may be empty.")
    supporting: tuple[str, ...] = Field(description="Genes that those records name.")
    citation: str = Field(description="Source of the records; may be empty.")
    evidence: tuple[Evidence, ...] = Field(default=(), description="The records, at most three.")


class MarkersResult(ToolResult):
    """Marker genes for each group."""

    group_by: str = Field(description="Column of obs that groups the cells.")
    n_groups: int = Field(description="Number of groups.")
    groups: tuple[GroupMarkers, ...] = Field(description="The groups, with their genes.")
    left_out: tuple[str, ...] = Field(description="Groups with too few cells to test.")
    min_cells: int = Field(description="Fewest cells that are tested.")

    def claims(self) -> list[Claim]:
        """A sentence for each group, and how far the test carries."""
        found = [
            Claim(
                template="Markers of {n_groups} groups of `{group_by}` were found by a "
                "Wilcoxon rank-sum test of each group against all other cells."
            )
        ]
        for at, group in enumerate(self.groups):
            sentence = f"**{{groups.{at}.group}}** ({{groups.{at}.n_cells:,}} cells): "
            sentence += f"{{groups.{at}.names}}." if group.names else "no gene is raised."
            if group.known_type:
                sentence += (
                    f" Marker records of {{groups.{at}.supporting}} point to "
                    f"{{groups.{at}.known_type}} ({{groups.{at}.known_id}}) "
                    f"{{groups.{at}.citation}}."
                )
            found.append(Claim(template=sentence))
        found.append(
            Claim(
                template="Groups were made from the same expression values and cells of a donor "
                "are not independent, so these p-values rank genes and prove nothing.",
                kind="caveat",
            )
        )
        if self.left_out:
            found.append(
                Claim(
                    template="Not tested, with fewer than {min_cells} cells: {left_out}.",
                    kind="caveat",
                )
            )
        return found


def _run(args: MarkersArgs, bench: Workbench) -> MarkersResult:
    adata = bench.adata()
    groups = groups_of(adata, bench.passport, args.group_by)
    sizes = groups.value_counts()
    names = [str(name) for name in groups.cat.categories]
    chosen = names
    if args.groups:
        meant = [
            groups_meant(one, names, bench.knowledge) or [one_group(groups, one)]
            for one in args.groups
        ]
        chosen = list(dict.fromkeys(one for some in meant for one in some))
    tested = [name for name in chosen if MIN_CELLS <= sizes[name] < int(sizes.sum())]
    if not tested:
        msg = (
            f"No group of obs['{groups.name}'] can be set against the rest: each needs at least "
            f"{MIN_CELLS} cells, and another group beside it. Groups: {', '.join(names)}."
        )
        raise ToolError(msg)
    bench.progress(f"testing {len(tested)} groups", 0.2)
    ranked = rank_genes(adata, groups, tested)
    rows = [
        _describe(name, ranked[name], int(sizes[name]), args.n_genes, bench=bench)
        for name in tested
    ]
    return MarkersResult(
        figures=(_figure(adata, groups, rows, bench),),
        tables=(_table(ranked, bench),),
        group_by=str(groups.name),
        n_groups=len(rows),
        groups=tuple(rows),
        left_out=tuple(name for name in chosen if name not in tested),
        min_cells=MIN_CELLS,
    )


def rank_genes(adata: AnnData, groups: Series, names: list[str]) -> dict[str, DataFrame]:
    """Wilcoxon rank-sum test of groups against all other cells.

    Args:
        adata: Cells with log-normalised X.
        groups: The grouping.
        names: Groups to test.

    Returns:
        For each group a table of all genes, the highest score first, with columns ``gene``,
        ``log2_fold_change``, ``share_in``, ``share_out``, ``score`` and ``p_adjusted``.
    """
    import pandas as pd
    import scanpy as sc
    from anndata import AnnData

    keep = groups.notna().to_numpy()
    present = groups[keep].cat.remove_unused_categories()
    work = AnnData(adata.X[keep], obs=pd.DataFrame({"group": present}))
    work.var_names = adata.var_names
    work.uns["log1p"] = {"base": None}
    with np.errstate(invalid="ignore", divide="ignore"):  # a gene that is the same everywhere
        sc.tl.rank_genes_groups(work, "group", groups=names, method="wilcoxon", tie_correct=True)
    profiles = group_profiles(work.X, work.obs["group"])
    shown = pd.Series(symbols(adata), index=adata.var_names)
    tables = {}
    for name in names:
        table = sc.get.rank_genes_groups_df(work, group=name).set_index("names")
        order = adata.var_names.get_indexer(table.index)
        inside = profiles[name]
        tables[name] = pd.DataFrame(
            {
                "gene": shown.loc[table.index].to_numpy(),
                "log2_fold_change": inside.log2_fold_change[order],
                "share_in": inside.share_in[order],
                "share_out": inside.share_out[order],
                "score": table["scores"].to_numpy(),
                "p_adjusted": table["pvals_adj"].to_numpy(),
            }
        )
    return tables


def _describe(
    name: str, table: DataFrame, n_cells: int, n_genes: int, *, bench: Workbench
) -> GroupMarkers:
    raised = table[(table["score"] > 0) & (table["log2_fold_change"] > 0)]
    leading = raised.head(n_genes).to_dict("records")
    genes = [Marker.model_validate(record) for record in leading]
    known: dict[str, Any] = {"known_type": "", "known_id": "", "supporting": (), "citation": ""}
    if bench.passport and len(raised):
        tissue = bench.passport.tissue.value
        matches = bench.knowledge.markers.match(
            raised["gene"].head(MATCHED).tolist(),
            species=bench.passport.species.value,
            tissue=None if tissue == "unknown" else tissue,
            top=1,
        )
        if matches:
            best = matches[0]
            known = {
                "known_type": best.cell_type,
                "known_id": best.ontology_id,
                "supporting": tuple(best.genes[:6]),
                "citation": best.evidence[0].cite() if best.evidence else "",
                "evidence": tuple(best.evidence[:3]),
            }
    return GroupMarkers(
        group=name,
        n_cells=n_cells,
        genes=tuple(genes),
        names=tuple(marker.gene for marker in genes),
        **known,
    )


def _table(ranked: dict[str, DataFrame], bench: Workbench) -> ArtifactRef:
    import pandas as pd

    whole = pd.concat(ranked, names=["group"]).reset_index(level=0)
    return bench.store.put_file(
        "table",
        lambda path: whole.to_csv(path, index=False, float_format="%.6g"),
        "All genes of every group, with fold changes and scores",
        tool=NAME,
    )


def _figure(
    adata: AnnData, groups: Series, rows: list[GroupMarkers], bench: Workbench
) -> ArtifactRef:
    per_group = max(1, min(SHOWN_PER_GROUP, MAX_DOT_GENES // max(len(rows), 1)))
    wanted = list(dict.fromkeys(gene for row in rows for gene in row.names[:per_group]))
    by_symbol = {name: at for at, name in enumerate(symbols(adata))}
    at = [by_symbol[gene] for gene in wanted]
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    names = [row.group for row in rows]
    means = np.array([profiles[name].mean_in for name in names])
    means = means / np.maximum(means.max(axis=0, keepdims=True), 1e-9)
    shares = np.array([profiles[name].share_in for name in names])
    figure, axes = figures.new_figure(3.4 + 0.24 * len(wanted), 1.9 + 0.27 * len(names))
    figures.dot_plot(axes, means, shares, names, wanted)
    axes.set_title(f"Leading markers by {groups.name}", fontsize=11)
    return figures.save(figure, bench, f"Leading markers by {groups.name}", tool=NAME)


FIND_MARKERS = ToolSpec(
    name=NAME,
    title="Marker genes",
    description=(
        "Finds the genes that set each group of cells (cell types or clusters) apart from the "
        "rest, with fold changes, a dot plot and the cell types that marker records tie them to."
    ),
    args=MarkersArgs,
    result=MarkersResult,
    needs=Needs(prepared=frozenset({"clusters"})),
    preparation=prepares_grouping,
    run=_run,
)
