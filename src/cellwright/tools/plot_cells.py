"""``plot_cells``: one figure of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cellwright.errors import ToolError
from cellwright.tools import figures
from cellwright.tools.columns import grouping
from cellwright.tools.plot_records import Bar, GeneShare, PlotArgs, PlotResult
from cellwright.tools.profiles import group_profiles, indicator
from cellwright.tools.selection import (
    default_grouping,
    gene_positions,
    groups_of,
    symbols,
)
from cellwright.tools.spec import Needs, Preparation, ToolSpec
from cellwright.tools.workbench import EMBEDDING, Workbench

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure
    from pandas import Series

    from cellwright.tools.passport import Passport

NAME = "plot_cells"
MAX_GENES = 40
MAX_PANELS = 9
ALL = "all cells"
USER_EMBEDDINGS = ("X_umap", "X_tsne", "X_tSNE", "UMAP")
KIND_WORDS = {
    "umap": "UMAP",
    "dotplot": "Dot plot",
    "heatmap": "Heat map",
    "violin": "Violin plot",
    "composition": "Composition",
}


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    figure: Figure
    color_by: str
    genes: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    n_groups: int | None = None
    basis: str = ""
    bars: tuple[Bar, ...] = ()
    expression: tuple[GeneShare, ...] = ()


def _run(args: PlotArgs, bench: Workbench) -> PlotResult:
    adata = bench.adata()
    draw = {
        "umap": _embedding,
        "dotplot": _dots,
        "heatmap": _heatmap,
        "violin": _violins,
        "composition": _composition,
    }[args.kind]
    drawn = draw(args, adata, bench)
    summary = f"{KIND_WORDS[args.kind]} by {drawn.color_by}"
    widest, narrowest = _extremes(drawn.bars)
    return PlotResult(
        figures=(figures.save(drawn.figure, bench, summary, tool=NAME),),
        kind=args.kind,
        kind_words=KIND_WORDS[args.kind],
        color_by=drawn.color_by,
        genes=drawn.genes,
        absent=drawn.absent,
        n_groups=drawn.n_groups,
        n_cells=adata.n_obs,
        basis=drawn.basis,
        bars=drawn.bars,
        totals=_totals(drawn.bars),
        leaders=_leaders(drawn.bars),
        n_bars=len({one.bar for one in drawn.bars}),
        widest=widest,
        narrowest=narrowest,
        expression=drawn.expression,
    )


def _count(groups: Series, bars: Series | None = None) -> tuple[Bar, ...]:
    """Cells of every group, in all or in each bar; bars in their order, groups by size."""
    found = []
    for bar in [None] if bars is None else list(bars.cat.categories):
        inside = groups if bar is None or bars is None else groups[np.asarray(bars == bar)]
        counts = {name: int((inside == name).sum()) for name in _by_size(groups)}
        total = max(sum(counts.values()), 1)
        found += [
            Bar(bar=ALL if bar is None else str(bar), group=name, n_cells=n, share=n / total)
            for name, n in counts.items()
        ]
    return tuple(found)


def _totals(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """Cells of every group over all bars."""
    counts: dict[str, int] = {}
    for one in bars:
        counts[one.group] = counts.get(one.group, 0) + one.n_cells
    cells = max(sum(counts.values()), 1)
    return tuple(
        Bar(bar=ALL, group=group, n_cells=n, share=n / cells) for group, n in counts.items()
    )


def _leaders(bars: tuple[Bar, ...]) -> tuple[Bar, ...]:
    """Each bar's cells and its largest group."""
    found = []
    for name in dict.fromkeys(one.bar for one in bars):
        inside = [one for one in bars if one.bar == name]
        first = max(inside, key=lambda one: one.n_cells)
        cells = sum(one.n_cells for one in inside)
        found.append(Bar(bar=name, group=first.group, n_cells=cells, share=first.share))
    return tuple(found)


def _extremes(bars: tuple[Bar, ...]) -> tuple[Bar | None, Bar | None]:
    """The bars in which the group that leads over all has its largest and smallest share."""
    if not bars:
        return None, None
    own = [one for one in bars if one.group == bars[0].group]
    return max(own, key=lambda one: one.share), min(own, key=lambda one: one.share)


def _seen(adata: AnnData, groups: Series, at: list[int], names: list[str]) -> tuple[GeneShare, ...]:
    """The group in which each gene is highest."""
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    overall = np.asarray((adata.X[:, at] > 0).mean(axis=0)).ravel()
    found = []
    for place, name in enumerate(names):
        best = max(_by_size(groups), key=lambda row: float(profiles[row].mean_in[place]))
        found.append(
            GeneShare(
                gene=name,
                group=best,
                share=float(profiles[best].share_in[place]),
                mean=float(profiles[best].mean_in[place]),
                share_all=float(overall[place]),
            )
        )
    return tuple(found)


def _embedding(args: PlotArgs, adata: AnnData, bench: Workbench) -> _Drawn:
    points, basis, kind = _coordinates(adata)
    genes = list(args.genes or ())
    if args.color_by and args.color_by not in adata.obs and args.color_by != "clusters":
        genes.insert(0, args.color_by)
    if genes:
        return _gene_panels(genes, adata, bench, (points, basis, kind))
    name = args.color_by or default_grouping(bench.passport)
    if name in adata.obs and _is_number(adata.obs[name]):
        return _number(str(name), adata, (points, basis, kind))
    groups = groups_of(adata, bench.passport, args.color_by)
    names = _by_size(groups)
    figure, axes = figures.new_figure(7.6, 5.2)
    shown = groups.astype(object).where(groups.notna(), "unknown").astype(str).to_numpy()
    if groups.isna().any():
        names.append("unknown")
    figures.scatter_groups(axes, points, shown, names)
    figures.finish_embedding(axes, f"{kind} by {groups.name}", kind)
    return _Drawn(
        figure=figure, color_by=str(groups.name), n_groups=len(names), basis=basis,
        bars=_count(groups),
    )  # fmt: skip


def _coordinates(adata: AnnData) -> tuple[np.ndarray, str, str]:
    if EMBEDDING in adata.obsm:
        return adata.obsm[EMBEDDING], "UMAP made by preprocess_dataset", "UMAP"
    for name in USER_EMBEDDINGS:
        if name in adata.obsm and adata.obsm[name].shape[1] >= 2:
            kind = "t-SNE" if "sne" in name.lower() else "UMAP"
            return np.asarray(adata.obsm[name])[:, :2], f"{kind} of the file, {name}", kind
    msg = "There is no UMAP yet: run preprocess_dataset first."
    raise ToolError(msg)


def _gene_panels(
    genes: list[str], adata: AnnData, bench: Workbench, basis: tuple[np.ndarray, str, str]
) -> _Drawn:
    from matplotlib.figure import Figure

    points, words, kind = basis
    at, names, absent = _genes(genes[:MAX_PANELS], adata, bench)
    columns = min(3, len(at))
    rows = -(-len(at) // columns)
    figure = Figure(figsize=(3.7 * columns + 0.4, 3.2 * rows + 0.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    size = float(np.clip(6000 / adata.n_obs, 1.2, 22))
    for panel, gene, name in zip(panels, at, names, strict=False):
        values = np.asarray(adata.X[:, [gene]].todense()).ravel()
        order = np.argsort(values, kind="stable")
        dots = panel.scatter(
            points[order, 0], points[order, 1], c=values[order], cmap=figures.SEQUENTIAL, s=size,
            linewidths=0, vmin=0, vmax=max(float(np.quantile(values, 0.995)), 1e-6),
            rasterized=True,
        )  # fmt: skip
        figures.finish_embedding(panel, name, kind)
        panel.title.set_fontstyle("italic")
        bar = figure.colorbar(dots, ax=panel, shrink=0.7)
        bar.set_label("log-normalised expression", fontsize=7)
        bar.ax.tick_params(labelsize=7)
    for panel in panels[len(at) :]:
        panel.set_visible(False)
    by = default_grouping(bench.passport)
    seen = _seen(adata, groups_of(adata, bench.passport, by), at, names) if by in adata.obs else ()
    return _Drawn(
        figure=figure, color_by=", ".join(names), genes=tuple(names), absent=absent, basis=words,
        expression=seen,
    )  # fmt: skip


def _number(name: str, adata: AnnData, basis: tuple[np.ndarray, str, str]) -> _Drawn:
    points, words, kind = basis
    figure, axes = figures.new_figure(6.4, 5.0)
    values = adata.obs[name].astype(float).to_numpy()
    size = float(np.clip(9000 / adata.n_obs, 1.5, 28))
    dots = axes.scatter(
        points[:, 0], points[:, 1], c=values, cmap="viridis", s=size, linewidths=0, rasterized=True
    )
    figure.colorbar(dots, ax=axes, shrink=0.7).set_label(name, fontsize=8)
    figures.finish_embedding(axes, f"{kind} by {name}", kind)
    return _Drawn(figure=figure, color_by=name, basis=words)


def _dots(args: PlotArgs, adata: AnnData, bench: Workbench) -> _Drawn:
    groups = _grouping(args, adata, bench)
    at, names, absent = _chosen_genes(args, adata, groups, bench)
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    rows = _by_size(groups)
    means = np.array([profiles[row].mean_in for row in rows])
    means = means / np.maximum(means.max(axis=0, keepdims=True), 1e-9)
    shares = np.array([profiles[row].share_in for row in rows])
    figure, axes = figures.new_figure(3.4 + 0.26 * len(at), 1.9 + 0.27 * len(rows))
    figures.dot_plot(axes, means, shares, rows, names)
    axes.set_title(f"Expression by {groups.name}", fontsize=11)
    return _Drawn(
        figure=figure, color_by=str(groups.name), genes=tuple(names), absent=absent,
        n_groups=len(rows), expression=_seen(adata, groups, at, names),
    )  # fmt: skip


def _heatmap(args: PlotArgs, adata: AnnData, bench: Workbench) -> _Drawn:
    groups = _grouping(args, adata, bench)
    at, names, absent = _chosen_genes(args, adata, groups, bench)
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep][:, at], groups[keep])
    rows = _by_size(groups)
    means = np.array([profiles[row].mean_in for row in rows])
    spread = means.std(axis=0, keepdims=True)
    z = (means - means.mean(axis=0, keepdims=True)) / np.where(spread > 0, spread, 1)
    figure, axes = figures.new_figure(3.0 + 0.24 * len(at), 1.8 + 0.26 * len(rows))
    bound = max(1.0, float(np.abs(z).max()))
    image = axes.imshow(z, cmap="PuOr_r", vmin=-bound, vmax=bound, aspect="auto")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8, fontstyle="italic")
    axes.set_yticks(range(len(rows)), [figures.short(row) for row in rows], fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.7)
    bar.set_label("z-score over groups", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set_title(f"Expression by {groups.name}", fontsize=11)
    return _Drawn(
        figure=figure, color_by=str(groups.name), genes=tuple(names), absent=absent,
        n_groups=len(rows), expression=_seen(adata, groups, at, names),
    )  # fmt: skip


def _violins(args: PlotArgs, adata: AnnData, bench: Workbench) -> _Drawn:
    from matplotlib.figure import Figure

    groups = _grouping(args, adata, bench)
    at, names, absent = _chosen_genes(args, adata, groups, bench, most=6)
    rows = _by_size(groups)
    width = max(4.0, 1.2 + 0.34 * len(rows))
    figure = Figure(figsize=(width, 1.25 * len(at) + 1.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(at), 1, sharex=True))
    shades = figures.colours(rows)
    for panel, gene, name in zip(panels, at, names, strict=True):
        values = np.asarray(adata.X[:, [gene]].todense()).ravel()
        parts = [values[np.asarray(groups == row)] for row in rows]
        # A little noise gives groups that never express the gene a body to draw.
        noise = np.random.default_rng(0)
        drawn = panel.violinplot(
            [part + noise.uniform(0, 1e-3, len(part)) for part in parts],
            positions=range(len(rows)), widths=0.85, showextrema=False,
        )  # fmt: skip
        for body, row in zip(drawn["bodies"], rows, strict=True):
            body.set(facecolor=shades[row], edgecolor="#333333", linewidth=0.5, alpha=0.9)
        panel.set_ylabel(
            name, fontsize=8.5, fontstyle="italic", rotation=0, ha="right", va="center"
        )
        panel.set_ylim(bottom=-0.02)
        figures.plain(panel)
    panels[-1].set_xticks(
        range(len(rows)), [figures.short(row) for row in rows], rotation=45, ha="right", fontsize=8
    )
    figure.suptitle(f"log-normalised expression by {groups.name}", fontsize=11)
    return _Drawn(
        figure=figure, color_by=str(groups.name), genes=tuple(names), absent=absent,
        n_groups=len(rows), expression=_seen(adata, groups, at, names),
    )  # fmt: skip


def _composition(args: PlotArgs, adata: AnnData, bench: Workbench) -> _Drawn:
    passport = bench.passport
    # "Composition per donor" names the bars, not what they are made of.
    bar_roles = {"donor", "condition", "batch", "tissue"}
    columns = passport.columns if passport else ()
    over = next((c for c in columns if c.name == args.color_by and c.role in bar_roles), None)
    groups = groups_of(adata, passport, None if over else args.color_by)
    if over is None and passport:
        over = passport.column("donor", "condition", "batch")
    if over is None or over.name == groups.name:
        bars, basis = None, ALL
    else:
        bars, basis = grouping(adata.obs, over.name), f"per {over.name}"
    names = _by_size(groups)
    table = np.array([[(groups == name).sum() for name in names]], dtype=float)
    labels = [ALL]
    if bars is not None:
        by_bar = indicator(bars)
        table = np.array(
            [np.asarray(by_bar @ np.asarray(groups == name, dtype=float)).ravel() for name in names]
        ).T
        labels = [str(name) for name in bars.cat.categories]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1) * 100
    figure, axes = figures.new_figure(7.4, max(2.4, 1.4 + 0.34 * len(labels)))
    shades, left = figures.colours(names), np.zeros(len(labels))
    for at, name in enumerate(names):
        axes.barh(labels, share[:, at], left=left, color=shades[name], label=figures.short(name))
        left += share[:, at]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of cells (%)", fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    axes.set_title(f"Composition by {groups.name}", fontsize=11)
    figures.plain(axes)
    return _Drawn(
        figure=figure, color_by=str(groups.name), n_groups=len(names), basis=basis,
        bars=_count(groups, bars),
    )  # fmt: skip


def _grouping(args: PlotArgs, adata: AnnData, bench: Workbench) -> Series:
    return groups_of(adata, bench.passport, args.color_by)


def _chosen_genes(
    args: PlotArgs, adata: AnnData, groups: Series, bench: Workbench, *, most: int = MAX_GENES
) -> tuple[list[int], list[str], tuple[str, ...]]:
    if args.genes:
        return _genes(list(args.genes[:most]), adata, bench)
    keep = groups.notna().to_numpy()
    profiles = group_profiles(adata.X[keep], groups[keep])
    per_group = max(1, min(3, most // max(len(profiles), 1)))
    chosen: list[int] = []
    for name in _by_size(groups):
        one = profiles[name]
        rank = one.log2_fold_change.clip(0, 4) * (one.share_in - one.share_out).clip(0)
        chosen += [int(at) for at in np.argsort(-rank, kind="stable")[:per_group] if rank[at] > 0]
    chosen = list(dict.fromkeys(chosen))[:most]
    if not chosen:
        msg = "No gene sets a group apart; name the genes to show."
        raise ToolError(msg)
    return chosen, [str(name) for name in symbols(adata)[chosen]], ()


def _genes(
    genes: list[str], adata: AnnData, bench: Workbench
) -> tuple[list[int], list[str], tuple[str, ...]]:
    species = bench.passport.species.value if bench.passport else "human"
    at, absent = gene_positions(adata, genes, bench.knowledge, species)
    if not at:
        msg = (
            f"None of {', '.join(genes)} is a gene or a column of this file. Columns: "
            f"{', '.join(map(str, adata.obs.columns))}."
        )
        raise ToolError(msg)
    return at, [str(name) for name in symbols(adata)[at]], tuple(absent)


def _by_size(groups: Series) -> list[str]:
    return [str(name) for name, n in groups.value_counts().items() if n]


def _is_number(values: Any) -> bool:
    from pandas.api import types

    if not types.is_numeric_dtype(values.dtype) or types.is_bool_dtype(values.dtype):
        return False
    return int(values.nunique()) > figures.MAX_LEGEND


def _preparation(args: PlotArgs, passport: Passport | None, _needs: Needs) -> Preparation:
    """A UMAP where one is drawn and the file brings none; clusters where nothing groups cells."""
    wanted: set[Literal["clusters", "umap"]] = set()
    if args.kind == "umap":
        if passport is None or not set(USER_EMBEDDINGS) & set(passport.embeddings):
            wanted.add("umap")
        if args.color_by is None and not args.genes and not default_grouping(passport):
            wanted.add("clusters")
    elif args.color_by is None and not default_grouping(passport):
        wanted.add("clusters")
    return frozenset(wanted)


PLOT_CELLS = ToolSpec(
    name=NAME,
    title="Figure",
    description=(
        "Draws a figure: UMAP coloured by a column or by genes, dot plot, heat map or violins of "
        "genes by group, or the composition of groups."
    ),
    args=PlotArgs,
    result=PlotResult,
    needs=Needs(
        matrix=frozenset({"counts", "log1p", "tpm", "scaled"}),
        species=frozenset(),
        prepared=frozenset({"umap"}),
    ),
    preparation=_preparation,
    run=_run,
)
