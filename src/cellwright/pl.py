"""Figures of an AnnData: ``cellwright.pl.umap(adata, color_by="leiden")``.

The first five draw what ``plot_cells`` draws, and leave ``adata`` as it is; the others show the
figures of a result that ``cellwright.tl`` has kept in it. All return a picture that a notebook
shows and that ``save`` writes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellwright import get
from cellwright.agent.shown import Picture
from cellwright.errors import InputError
from cellwright.tools.adapters.python import KEY, applied, kept, made_function
from cellwright.tools.plot_cells import PLOT_CELLS

if TYPE_CHECKING:
    from anndata import AnnData

    from cellwright.agent.shown import Finding

__all__ = [
    "annotation",
    "composition",
    "dotplot",
    "drug_response",
    "explanation",
    "heatmap",
    "markers",
    "umap",
    "violin",
]


def _drawn(kind: str) -> Callable[..., Picture]:
    def draw(adata: AnnData, *, save: str | Path | None = None, **args: Any) -> Picture:
        with applied(PLOT_CELLS, adata, {**args, "kind": kind}) as (result, _bench):
            ref = result.figures[0]
        picture = Picture(kept().path(ref.id), ref.summary)
        if save is not None:
            picture.save(save)
        return picture

    own = {"save": "A .png file to write."}
    returns = "The figure."
    return made_function(
        draw, PLOT_CELLS, kind, own=own, returns=returns, fixed=frozenset({"kind"})
    )


umap = _drawn("umap")
dotplot = _drawn("dotplot")
heatmap = _drawn("heatmap")
violin = _drawn("violin")
composition = _drawn("composition")


def annotation(adata: AnnData, *, key: str = KEY) -> tuple[Picture, ...]:
    """Figures of ``tl.annotate``: the cells by type, and the agreement with the file's labels."""
    return _figures(get.annotation(adata, key=key))


def drug_response(adata: AnnData, *, key: str = KEY) -> tuple[Picture, ...]:
    """Figures of ``tl.drug_response``: predictions with intervals, by group."""
    return _figures(get.drug_response(adata, key=key))


def explanation(adata: AnnData, *, key: str = KEY) -> tuple[Picture, ...]:
    """Figures of ``tl.explain``: salient genes, beside their expression."""
    return _figures(get.explanation(adata, key=key))


def markers(adata: AnnData, *, key: str = KEY) -> tuple[Picture, ...]:
    """Figures of ``tl.find_markers``: the leading markers by group."""
    return _figures(get.markers(adata, key=key))


def _figures(finding: Finding) -> tuple[Picture, ...]:
    if not finding.figures:
        msg = f"The figures of {finding.title!r} are not in this cache: run the tool again."
        raise InputError(msg)
    return finding.figures
