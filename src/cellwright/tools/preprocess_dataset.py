"""``preprocess_dataset``: quality, variable genes, PCA, neighbours, clusters and UMAP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cellwright.artifacts import ArtifactRef
from cellwright.errors import ToolError
from cellwright.tools import figures
from cellwright.tools.quality import measure_quality, sample_column, samples_of, write_quality
from cellwright.tools.selection import groups_of
from cellwright.tools.spec import Claim, Needs, Table, ToolArgs, ToolResult, ToolSpec, Verdict
from cellwright.tools.workbench import CLUSTERS, EMBEDDING, Workbench

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.tools.passport import Passport

NAME = "preprocess_dataset"
MAX_VARIABLE = 2000
FEW_GENES = 1000
"""Files with fewer genes than this keep them all: their packagers have chosen already."""

MAX_COMPONENTS = 50
MAX_NEIGHBOURS = 15


class PreprocessArgs(ToolArgs):
    """How finely to cluster, and which batches to bring together."""

    resolution: float = Field(
        default=1.0, gt=0, le=10, description="Leiden resolution: larger makes more clusters."
    )
    batch_key: str | None = Field(
        default=None,
        description="Column of obs whose groups are technical batches; their differences are "
        "taken out of the PCA before clustering.",
    )


class Cluster(BaseModel):
    """A cluster and its size."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: str = Field(description="Name of the cluster.")
    n_cells: int = Field(description="Number of its cells.")
    share: float = Field(description="Share of all cells.")
    median_total: float = Field(description="Median counts, or summed values, of its cells.")


class PreprocessResult(ToolResult):
    """What was measured and made."""

    n_cells: int = Field(description="Number of cells; none is removed.")
    n_low_quality: int = Field(description="Cells flagged in obs as of low quality.")
    median_total: float = Field(description="Median counts, or summed values, of a cell.")
    total_name: str = Field(description="What the totals are: counts or summed values.")
    median_genes: float = Field(description="Median number of genes seen in a cell.")
    mitochondrial: float | None = Field(
        description="Median mitochondrial share of counts; None where it cannot be told."
    )
    n_variable: int = Field(description="Number of genes on which the PCA was made.")
    n_components: int = Field(description="Number of principal components.")
    n_neighbours: int = Field(description="Neighbours of a cell in the graph.")
    resolution: float = Field(description="Leiden resolution.")
    n_clusters: int = Field(description="Number of clusters.")
    clusters: tuple[Cluster, ...] = Field(description="Clusters, the largest first.")
    batch_key: str | None = Field(description="Column whose batches were brought together.")
    mixing_before: float | None = Field(
        description="Share of neighbours of the same batch before, or None."
    )
    mixing_after: float | None = Field(
        description="Share of neighbours of the same batch after, or None."
    )
    seed: int = Field(description="Seed of the random draws.")

    def claims(self) -> list[Claim]:
        """What was done, and what to beware of."""
        found = [
            Claim(
                template="{n_cells:,} cells were clustered into {n_clusters} groups: PCA "
                "({n_components} components) on {n_variable:,} genes, a graph of "
                "{n_neighbours} neighbours, Leiden at resolution {resolution:g}, seed {seed}."
            ),
            Claim(
                template="The median cell has {median_total:,.0f} {total_name} in "
                "{median_genes:,.0f} genes"
                + (
                    ", {mitochondrial:.1%} of them mitochondrial."
                    if self.mitochondrial is not None
                    else "; mitochondrial genes were not measured."
                )
            ),
        ]
        if self.n_low_quality:
            found.append(
                Claim(
                    template="{n_low_quality:,} cells lie far from the others in totals, genes or "
                    "mitochondrial share; they are flagged in `cellwright_low_quality` and kept.",
                    kind="caveat",
                )
            )
        if self.batch_key:
            found.append(
                Claim(
                    template="Batches of `{batch_key}` were centred in the PCA: a cell's "
                    "neighbours are of its own batch in {mixing_after:.1%} of cases, against "
                    "{mixing_before:.1%} before. Centring also removes real differences in "
                    "composition between batches.",
                    kind="caveat",
                )
            )
        return found

    def report_tables(self) -> list[Table]:
        """The clusters."""
        return [
            Table(
                title="Clusters",
                rows="clusters",
                columns=(
                    ("cluster", "Cluster"),
                    ("n_cells:,", "Cells"),
                    ("share:.1%", "Share"),
                    ("median_total:,.0f", f"Median {self.total_name}"),
                ),
            )
        ]


def _run(args: PreprocessArgs, bench: Workbench) -> PreprocessResult:
    import scanpy as sc

    adata, seed = bench.adata(), bench.settings.seed
    batches = _batches(adata, bench.passport, args.batch_key)
    bench.progress("measuring quality", 0.05)
    quality = _measure_quality(adata, bench.passport)
    bench.progress("choosing variable genes", 0.15)
    work, n_variable = _variable(adata, args.batch_key if batches is not None else None)
    if work.n_obs < 3:
        msg = f"{work.n_obs} cells cannot be clustered; at least 3 are needed."
        raise ToolError(msg)
    n_components = max(1, min(MAX_COMPONENTS, work.n_obs - 1, work.n_vars - 1))
    bench.progress("principal components", 0.25)
    sc.pp.pca(work, n_comps=n_components, random_state=seed, svd_solver="arpack")
    n_neighbours = min(MAX_NEIGHBOURS, work.n_obs - 1)
    before = after = None
    if batches is not None:
        before = _own_batch(work.obsm["X_pca"], batches, n_neighbours)
        work.obsm["X_pca"] = _centred(work.obsm["X_pca"], batches)
        after = _own_batch(work.obsm["X_pca"], batches, n_neighbours)
    bench.progress("neighbours", 0.4)
    sc.pp.neighbors(work, n_neighbors=n_neighbours, use_rep="X_pca", random_state=seed)
    bench.progress("clusters", 0.55)
    sc.tl.leiden(
        work, resolution=args.resolution, random_state=seed, flavor="igraph", n_iterations=2,
        directed=False, key_added=CLUSTERS,
    )  # fmt: skip
    bench.progress("UMAP", 0.7)
    sc.tl.umap(work, random_state=seed)
    adata.obs[CLUSTERS] = work.obs[CLUSTERS].to_numpy()
    adata.obs[CLUSTERS] = adata.obs[CLUSTERS].astype("category")
    adata.obsm["X_cellwright_pca"] = work.obsm["X_pca"]
    adata.obsm[EMBEDDING] = work.obsm["X_umap"]
    figure = _figure(adata, bench)
    clusters = _clusters(adata)
    summary = f"preprocessed: {len(clusters)} clusters, UMAP"
    return PreprocessResult(
        data=bench.put_adata(adata, summary, tool=NAME),
        figures=(figure,),
        n_cells=adata.n_obs,
        n_variable=n_variable,
        n_components=n_components,
        n_neighbours=n_neighbours,
        resolution=args.resolution,
        n_clusters=len(clusters),
        clusters=clusters,
        batch_key=args.batch_key,
        mixing_before=before,
        mixing_after=after,
        seed=seed,
        **quality,
    )


def _batches(adata: AnnData, passport: Passport | None, key: str | None) -> np.ndarray | None:
    if key is None:
        return None
    groups = groups_of(adata, passport, key)
    if len(groups.cat.categories) < 2:
        msg = f"obs['{key}'] has one value: there are no batches to bring together."
        raise ToolError(msg)
    codes: np.ndarray = groups.cat.codes.to_numpy()
    return codes


def _measure_quality(adata: AnnData, passport: Passport | None) -> dict[str, object]:
    """Write quality columns to obs, flag outliers, and return the medians."""
    found = measure_quality(adata, samples_of(adata, sample_column(passport)))
    write_quality(adata, found)
    share = found.mitochondrial
    return {
        "n_low_quality": int(found.flags.sum()),
        "median_total": float(np.median(found.totals)),
        "total_name": "counts" if found.counted else "summed values",
        "median_genes": float(np.median(found.n_genes)),
        "mitochondrial": float(np.median(share)) if share is not None else None,
    }


def _variable(adata: AnnData, batch_key: str | None) -> tuple[AnnData, int]:
    """A copy with the variable genes only, its X as PCA takes it."""
    import scanpy as sc
    from anndata import AnnData

    work = AnnData(adata.X.copy(), obs=adata.obs[[batch_key]].copy() if batch_key else None)
    spread = _variance(work.X)
    keep = spread > 0
    if int(keep.sum()) < 2:
        msg = f"{int(keep.sum())} genes vary between cells; at least 2 are needed."
        raise ToolError(msg)
    scaled = adata.uns["cellwright"]["state"] in {"scaled", "unknown"}
    work = work[:, keep].copy()
    if not scaled and work.n_vars > FEW_GENES:
        if batch_key:
            work.obs[batch_key] = work.obs[batch_key].astype(str).astype("category")
        sc.pp.highly_variable_genes(
            work, n_top_genes=min(MAX_VARIABLE, work.n_vars), batch_key=batch_key
        )
        work = work[:, work.var["highly_variable"]].copy()
    return work, int(work.n_vars)


def _variance(matrix: object) -> np.ndarray:
    from scipy import sparse

    values = sparse.csr_matrix(matrix)
    mean = np.asarray(values.mean(axis=0)).ravel()
    squares = np.asarray(values.multiply(values).mean(axis=0)).ravel()
    return np.asarray(np.maximum(squares - mean**2, 0))


def _centred(components: np.ndarray, batches: np.ndarray) -> np.ndarray:
    result = components.copy()
    for batch in np.unique(batches):
        rows = batches == batch
        result[rows] -= result[rows].mean(axis=0)
    return result


def _own_batch(components: np.ndarray, batches: np.ndarray, n_neighbours: int) -> float:
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=n_neighbours).fit(components)
    near = index.kneighbors(return_distance=False)
    return float((batches[near] == batches[:, None]).mean())


def _clusters(adata: AnnData) -> tuple[Cluster, ...]:
    counts = adata.obs[CLUSTERS].value_counts()
    return tuple(
        Cluster(
            cluster=str(name),
            n_cells=int(n),
            share=float(n / adata.n_obs),
            median_total=float(
                np.median(adata.obs.loc[adata.obs[CLUSTERS] == name, "cellwright_total"])
            ),
        )
        for name, n in counts.items()
        if n
    )


def _figure(adata: AnnData, bench: Workbench) -> ArtifactRef:
    figure, axes = figures.new_figure(7.2, 5.2)
    names = [str(name) for name in adata.obs[CLUSTERS].cat.categories]
    groups = adata.obs[CLUSTERS].astype(str).to_numpy()
    figures.scatter_groups(axes, adata.obsm[EMBEDDING], groups, names)
    figures.finish_embedding(axes, "Leiden clusters", "UMAP")
    return figures.save(figure, bench, "UMAP coloured by Leiden cluster", tool=NAME)


def _gate(args: PreprocessArgs, passport: Passport | None, _bench: Workbench) -> Verdict:
    if passport is None or args.batch_key is None:
        return Verdict()
    condition = passport.column("condition")
    if condition is not None and condition.name == args.batch_key:
        return Verdict(
            outcome="warn",
            reason=(
                f"obs['{args.batch_key}'] is the condition of the study; taking its differences "
                "out of the clustering hides what may be the effect of interest."
            ),
        )
    return Verdict()


PREPROCESS_DATASET = ToolSpec(
    name=NAME,
    title="Preprocessing and clusters",
    description=(
        "Measures quality, normalises, chooses variable genes and makes PCA, neighbours, Leiden "
        "clusters and a UMAP. Removes no cells."
    ),
    args=PreprocessArgs,
    result=PreprocessResult,
    needs=Needs(matrix=frozenset({"counts", "log1p", "tpm", "scaled"}), species=frozenset()),
    gate=_gate,
    run=_run,
    changes_data=True,
)
